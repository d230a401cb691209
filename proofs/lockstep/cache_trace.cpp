// Runs the trie and the WAVL tree that ship through random operations, or through the inputs of the fuzzer's
// corpus, and writes everything down for check_trace. Usage: cache_trace OPERATIONS SEED [CORPUS_FILE...]
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/check.h"
#include "cache/lockstep.h"
#include "traced_trie.h"

namespace tattletale::proofs {
namespace {

using TracedLockstep = testing::BasicLockstep<TracedTrie, TracedLease>;

bool fail(const std::string& what) {
  std::cerr << "cache_trace: " << what << '\n';
  return false;
}

/// Random operations on tries of five kinds, a fifth of the operations each.
bool run_trie(uint64_t num_operations, uint64_t seed) {
  constexpr uint32_t kNever = 1u << 31;
  const testing::LockstepOptions kinds[] = {
      {.num_pages = 40, .verify_every = kNever, .checkpoints = false},
      {.num_pages = 16, .max_leases = 8, .alphabet = 2, .verify_every = kNever, .checkpoints = false},
      {.num_pages = 12,
       .page_tokens = 32,
       .alphabet = 2,
       .max_tokens = 120,
       .verify_every = kNever,
       .checkpoints = false},
      {.num_pages = 10,
       .max_leases = 3,
       .alphabet = 1,
       .max_tokens = 70,
       .verify_every = kNever,
       .checkpoints = false},
      {.num_pages = 30,
       .alphabet = 700,
       .max_tokens = 24,
       .token_stride = 64,
       .unrelated = 4,
       .verify_every = kNever,
       .checkpoints = false},
  };
  for (const auto& options : kinds) {
    for (uint64_t done = 0; done < num_operations / std::size(kinds); ++seed) {
      TracedLockstep lockstep(options);
      testing::RandomChoices choices(seed);
      for (uint64_t i = 0; i < 5'000 && done < num_operations / std::size(kinds); ++i, ++done) {
        if (!lockstep.step(choices)) return fail(lockstep.failure());
      }
      if (!lockstep.drain()) return fail(lockstep.failure());
    }
  }
  return true;
}

/// The operations that fuzz/cache.cpp makes of these bytes, checkpoints left out.
bool run_corpus_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(std::string("cannot read ") + path);
  const std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (bytes.empty() || bytes[0] == 0xff) return true;  // a snapshot file
  testing::ByteChoices choices(bytes);
  TracedLockstep lockstep(
      {.num_pages = 20, .max_leases = 4, .alphabet = 2, .verify_every = 1u << 31, .checkpoints = false});
  while (!choices.exhausted()) {
    if (!lockstep.step(choices)) return fail(std::string(path) + ": " + lockstep.failure());
  }
  return lockstep.drain() || fail(std::string(path) + ": " + lockstep.failure());
}

struct TreeNode {
  NodeIndex left = kNoNode, right = kNoNode, up = kNoNode;
  bool parity = false;
};
struct TreeLinks {
  TreeNode* nodes;
  NodeIndex& left(NodeIndex i) const { return nodes[i].left; }
  NodeIndex& right(NodeIndex i) const { return nodes[i].right; }
  NodeIndex& up(NodeIndex i) const { return nodes[i].up; }
  bool parity(NodeIndex i) const { return nodes[i].parity; }
  void flip(NodeIndex i) const { nodes[i].parity = !nodes[i].parity; }
  void clear(NodeIndex i) const { nodes[i] = {}; }
};

void write_tree(TreeLinks links, NodeIndex at, TraceWriter& out) {
  out.word(at != kNoNode);
  if (at == kNoNode) return;
  out.word(at);
  out.word(links.parity(at));
  write_tree(links, links.left(at), out);
  write_tree(links, links.right(at), out);
}

/// Insertions and removals in a tree whose keys are its nodes' indices; it grows and shrinks in turns.
void run_tree(uint64_t num_operations, uint64_t seed) {
  using Tree = WavlTree<TreeLinks>;
  constexpr uint32_t kMaxKeys = 80;
  TraceWriter& out = TracedTrie::writer();
  testing::RandomChoices choices(seed);
  std::vector<TreeNode> nodes(kMaxKeys + 1);
  std::vector<bool> present(kMaxKeys + 1);
  nodes[kNoNode].parity = true;
  const TreeLinks links{nodes.data()};
  NodeIndex root = kNoNode;
  uint32_t bias = 50;
  out.begin(Record::kTree);
  for (uint64_t i = 0; i < num_operations; ++i) {
    if (i % 64 == 0) bias = 20 + choices.below(60);
    const NodeIndex key = 1 + choices.below(kMaxKeys);
    if (present[key] == (choices.below(100) < bias)) continue;
    if (present[key]) {
      Tree::erase(links, root, key);
    } else {
      Tree::insert(links, root, key, [](NodeIndex a, NodeIndex b) { return a < b; });
    }
    present[key] = !present[key];
    out.begin(present[key] ? Record::kTreeInsert : Record::kTreeErase);
    out.word(key);
    write_tree(links, root, out);
  }
}

}  // namespace
}  // namespace tattletale::proofs

int main(int num_arguments, char** arguments) {
  using namespace tattletale::proofs;
  if (num_arguments < 3) {
    std::cerr << "usage: cache_trace OPERATIONS SEED [CORPUS_FILE...]\n";
    return 2;
  }
  const uint64_t num_operations = std::strtoull(arguments[1], nullptr, 10);
  const uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
  bool good = true;
  try {
    for (int i = 3; i < num_arguments; ++i) good = run_corpus_file(arguments[i]) && good;
    run_tree(num_operations / 2, seed);
    good = run_trie(num_operations, seed) && good;
  } catch (const tattletale::InvariantError& error) {  // what was written so far is still worth comparing
    std::cerr << "cache_trace: " << error.what() << '\n';
    good = false;
  }
  return TracedTrie::writer().end() && good ? 0 : 1;
}
