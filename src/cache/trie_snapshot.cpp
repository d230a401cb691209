// Snapshot file, little endian: magic, version, page_tokens, fingerprint, nodes, pages, ages; nodes in
// preorder (parent number, tokens, flags, last use); a checksum; then each page's contents in node order,
// each with its own checksum.
#include "cache/trie_snapshot.h"

#include <algorithm>
#include <cstring>
#include <istream>
#include <ostream>

namespace tattletale {
namespace {

constexpr uint64_t kMagic = 0x3130'4548'4341'4354;  // "TCACHE01"
constexpr uint32_t kVersion = 1;
constexpr uint64_t kMaxFingerprintBytes = 4096;
constexpr uint64_t kMaxPageBytes = uint64_t{1} << 30;

/// Every change of one byte changes the sum: each step is a bijection of the state.
class Checksum {
 public:
  void add(const void* data, size_t num_bytes) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (; num_bytes >= 8; bytes += 8, num_bytes -= 8) {
      uint64_t word;
      std::memcpy(&word, bytes, 8);
      step(word);
    }
    for (; num_bytes > 0; ++bytes, --num_bytes) step(*bytes + 256u);
  }
  uint64_t value() const { return state_; }

 private:
  void step(uint64_t word) {
    state_ = (state_ ^ word) * 0x9fb21c651e98df25ull;
    state_ ^= state_ >> 32;
  }
  uint64_t state_ = 0x27d4eb2f165667c5ull;
};

struct Writer {
  std::ostream& out;
  Checksum sum;

  void bytes(const void* data, size_t num) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(num));
    sum.add(data, num);
  }
  template <class T>
  void number(T value) {
    bytes(&value, sizeof value);
  }
  void close_section() {
    const uint64_t value = sum.value();
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
    sum = {};
  }
};

Error damaged(uint64_t offset, const std::string& what) {
  return make_error(ErrorKind::bad_file, "cache snapshot at byte " + std::to_string(offset),
                    what + "; delete the snapshot, the cache fills again by itself");
}

}  // namespace

struct TrieSnapshot::Reader {
  std::istream& in;
  Checksum sum = {};
  uint64_t offset = 0;

  Result<void> bytes(void* data, uint64_t num) {
    in.read(static_cast<char*>(data), static_cast<std::streamsize>(num));
    if (static_cast<uint64_t>(in.gcount()) != num) return damaged(offset, "the file ends too early");
    sum.add(data, num);
    offset += num;
    return {};
  }
  template <class T>
  Result<T> number() {
    T value;
    TT_TRY(bytes(&value, sizeof value));
    return value;
  }
  Result<void> close_section() {
    const uint64_t expected = sum.value();
    TT_ASSIGN(const uint64_t found, number<uint64_t>());
    if (found != expected) return damaged(offset - 8, "the checksum does not fit");
    sum = {};
    return {};
  }
};

Result<void> TrieSnapshot::save(const RadixTrie& trie, std::string_view fingerprint,
                                const ReadPage& read_page, std::ostream& out) {
  if (fingerprint.size() > kMaxFingerprintBytes) {
    return make_error(ErrorKind::invalid_argument, "fingerprint", "expected at most 4096 bytes");
  }
  std::vector<NodeIndex> preorder, stack{kRootNode};
  std::vector<uint32_t> number_of(trie.nodes_.high_water(), 0);
  while (!stack.empty()) {
    const NodeIndex node = stack.back();
    stack.pop_back();
    number_of[node] = static_cast<uint32_t>(preorder.size());
    preorder.push_back(node);
    trie.children_.for_each_tree(trie.nodes_, node, [&](NodeIndex root) {
      std::vector<NodeIndex> below{root};
      while (!below.empty()) {
        const NodeIndex at = below.back();
        below.pop_back();
        if (at == kNoNode) continue;
        stack.push_back(at);
        below.push_back(trie.nodes_[at].left);
        below.push_back(trie.nodes_[at].right);
      }
    });
  }

  Writer writer{out, {}};
  writer.number(kMagic);
  writer.number(kVersion);
  writer.number(trie.page_tokens());
  writer.number(static_cast<uint64_t>(fingerprint.size()));
  writer.bytes(fingerprint.data(), fingerprint.size());
  writer.number(static_cast<uint64_t>(preorder.size() - 1));
  writer.number(trie.trie_pages_);
  writer.number(trie.clock_);
  writer.close_section();
  std::vector<TokenId> path;
  for (size_t i = 1; i < preorder.size(); ++i) {
    const TrieNode& node = trie.nodes_[preorder[i]];
    trie.path_tokens(preorder[i], path);
    writer.number(number_of[node.parent]);
    writer.number(node.num_tokens());
    writer.number(static_cast<uint32_t>(node.pinned | node.has_tail << 1));
    writer.number(uint64_t{node.last_use});
    writer.bytes(&path[node.start], node.num_tokens() * sizeof(TokenId));
  }
  writer.close_section();
  std::vector<std::byte> contents;
  for (size_t i = 1; i < preorder.size(); ++i) {
    const TrieNode& node = trie.nodes_[preorder[i]];
    uint32_t page = node.first_page;
    for (uint64_t left = trie.num_pages_of(node); left > 0; --left, page = trie.pool_.links_[page].next) {
      const bool is_tail = left == 1 && node.has_tail;
      const uint32_t rows = is_tail ? node.end & trie.page_mask() : trie.page_tokens();
      contents.clear();
      TT_TRY(read_page(trie.pool_.id(page), rows, contents));
      writer.number(static_cast<uint64_t>(contents.size()));
      writer.bytes(contents.data(), contents.size());
      writer.close_section();
    }
  }
  if (!out.flush()) return make_error(ErrorKind::io, "cache snapshot", "writing failed; is the disk full?");
  return {};
}

Result<uint64_t> TrieSnapshot::restore(RadixTrie& trie, std::string_view fingerprint,
                                       const WritePage& write_page, std::istream& in) {
  if (trie.num_nodes() != 0 || trie.num_leases_ != 0) {
    return make_error(ErrorKind::invalid_argument, "cache snapshot",
                      "the cache to restore into is not empty");
  }
  Reader reader{in};
  TT_ASSIGN(const uint64_t magic, reader.number<uint64_t>());
  if (magic != kMagic) return damaged(0, "this is no cache snapshot");
  TT_ASSIGN(const uint32_t version, reader.number<uint32_t>());
  if (version != kVersion) return damaged(8, "found version " + std::to_string(version) + ", expected 1");
  TT_ASSIGN(const uint32_t page_tokens, reader.number<uint32_t>());
  TT_ASSIGN(const uint64_t name_bytes, reader.number<uint64_t>());
  if (name_bytes > kMaxFingerprintBytes) return damaged(16, "the fingerprint is too long");
  std::string name(name_bytes, '\0');
  TT_TRY(reader.bytes(name.data(), name_bytes));
  TT_ASSIGN(const uint64_t num_nodes, reader.number<uint64_t>());
  TT_ASSIGN(const uint64_t num_pages, reader.number<uint64_t>());
  TT_ASSIGN(const uint64_t saved_clock, reader.number<uint64_t>());
  TT_TRY(reader.close_section());
  if (page_tokens != trie.page_tokens() || name != fingerprint) {
    return make_error(ErrorKind::invalid_argument, "cache snapshot",
                      "found pages of " + std::to_string(page_tokens) + " tokens for \"" + name +
                          "\", expected " + std::to_string(trie.page_tokens()) + " for \"" +
                          std::string(fingerprint) + "\"");
  }
  if (num_pages > trie.num_free_pages()) {
    return make_error(ErrorKind::limit_exceeded, "cache snapshot",
                      "found " + std::to_string(num_pages) + " pages, the pool has " +
                          std::to_string(trie.num_free_pages()) + " free");
  }
  if (num_nodes > 2 * num_pages || saved_clock >= (uint64_t{1} << 43))
    return damaged(reader.offset, "counts");

  trie.clock_ = saved_clock;
  std::vector<NodeIndex> by_number{kRootNode};
  std::vector<TokenId> path;
  const auto run = [&]() -> Result<uint64_t> {
    for (uint64_t i = 0; i < num_nodes; ++i) TT_TRY(restore_node(trie, reader, by_number, path));
    TT_TRY(reader.close_section());
    if (trie.trie_pages_ != num_pages) return damaged(reader.offset, "the number of pages does not fit");
    for (size_t i = 1; i < by_number.size(); ++i) {
      const TrieNode& node = trie.nodes_[by_number[i]];
      const bool needs_children = (node.end & trie.page_mask()) != 0 && !node.has_tail;
      const NodeIndex child = trie.children_.any_child(trie.nodes_, by_number[i]);
      if (needs_children &&
          (child == kNoNode || trie.children_.only_child(trie.nodes_, by_number[i]) != kNoNode)) {
        return damaged(reader.offset, "a node ends inside a page and does not branch");
      }
    }
    join_up(trie, by_number);
    TT_TRY(restore_pages(trie, reader, write_page, by_number));
    uint64_t num_tokens = 0;
    for (size_t i = 1; i < by_number.size(); ++i) num_tokens += trie.nodes_[by_number[i]].num_tokens();
    for (size_t i = 1; i < by_number.size();
         ++i) {  // an unfilled page inside a run was held when it was saved
      const NodeIndex node = by_number[i];
      if (!trie.nodes_[node].has_tail || trie.children_.empty(trie.nodes_, node)) continue;
      trie.drop_redundant_tail(node);
      trie.try_merge(node);
    }
    return num_tokens;
  };
  Result<uint64_t> result = run();
  if (!result) clear(trie);
  trie.publish_counts();
  return result;
}

/// Reads one node and hangs it below its parent. Chains that lead out of a node are closed later, by join_up.
Result<void> TrieSnapshot::restore_node(RadixTrie& trie, Reader& reader, std::vector<NodeIndex>& by_number,
                                        std::vector<TokenId>& path) {
  TT_ASSIGN(const uint32_t parent_number, reader.number<uint32_t>());
  TT_ASSIGN(const uint32_t num_tokens, reader.number<uint32_t>());
  TT_ASSIGN(const uint32_t flags, reader.number<uint32_t>());
  TT_ASSIGN(const uint64_t last_use, reader.number<uint64_t>());
  if (parent_number >= by_number.size()) return damaged(reader.offset, "a node comes before its parent");
  const NodeIndex parent = by_number[parent_number];
  const uint64_t start = trie.nodes_[parent].end;
  const uint64_t end = start + num_tokens;
  const uint64_t shift = trie.pool_.page_shift();
  const bool has_tail = (flags & 2) != 0;
  if (num_tokens == 0 || end > UINT32_MAX || flags > 3 || last_use > trie.clock_ ||
      (has_tail && (end & trie.page_mask()) == 0) || ((flags & 1) && (end & trie.page_mask()) != 0) ||
      (parent != kRootNode && last_use > trie.nodes_[parent].last_use)) {
    return damaged(reader.offset, "a node that cannot be");
  }
  const uint64_t num_pages = (end >> shift) - (start >> shift) + has_tail;
  if (num_pages > trie.num_free_pages()) return damaged(reader.offset, "more pages than announced");
  if (num_pages == 0 && num_tokens >= trie.page_tokens())
    return damaged(reader.offset, "a node without its pages");
  trie.path_tokens(parent, path);
  path.resize(end);
  TT_TRY(reader.bytes(&path[start], uint64_t{num_tokens} * sizeof(TokenId)));
  if (trie.children_.find(trie.nodes_, parent, path[start]) != kNoNode) {
    return damaged(reader.offset, "two siblings begin with one token");
  }

  const NodeIndex index = trie.nodes_.take();
  TrieNode& node = trie.nodes_[index];
  node.key = path[start];
  node.parent = parent;
  node.start = static_cast<uint32_t>(start);
  node.end = static_cast<uint32_t>(end);
  node.has_tail = has_tail;
  node.last_use = last_use;
  // Besides its own pages a node that ends inside a page needs its last rows readable until join_up: one more
  // page, given back there, serves as the borrowed one.
  const bool borrows = (end & trie.page_mask()) != 0 && !has_tail;
  if (num_pages + borrows > trie.num_free_pages()) {
    trie.nodes_.give_back(index);
    return make_error(ErrorKind::limit_exceeded, "cache snapshot",
                      "the pool has no page to spare for restoring");
  }
  uint32_t before = PagePool::kNone;
  for (uint64_t i = 0; i < num_pages + borrows; ++i) {
    const uint32_t page = trie.pool_.take();
    trie.pool_.links_[page] = {PagePool::kNone, before};
    (before == PagePool::kNone ? node.first_page : trie.pool_.links_[before].next) = page;
    if (i < num_pages) node.last_page = page;
    before = page;
    const uint64_t from = ((start >> shift) + i) << shift;
    std::copy_n(&path[from], std::min<uint64_t>(trie.page_tokens(), end - from), trie.pool_.tokens(page));
  }
  trie.trie_pages_ += num_pages;
  trie.children_.insert(trie.nodes_, parent, index);
  by_number.push_back(index);
  if (flags & 1) {
    trie.hold(index);
    node.pinned = 1;
  }
  return {};
}

/// Gives back the stand-ins for borrowed pages, children before parents, and puts free leaves into the
/// eviction order.
void TrieSnapshot::join_up(RadixTrie& trie, const std::vector<NodeIndex>& by_number) {
  for (size_t i = by_number.size(); i-- > 1;) {
    TrieNode& node = trie.nodes_[by_number[i]];
    const NodeIndex child = trie.children_.any_child(trie.nodes_, by_number[i]);
    if ((node.end & trie.page_mask()) != 0 && !node.has_tail) {
      uint32_t& borrowed = trie.is_pageless(node) ? node.first_page : trie.pool_.links_[node.last_page].next;
      trie.pool_.give_back(borrowed);
      borrowed = trie.nodes_[child].first_page;
    }
    if (child == kNoNode && node.num_holds == 0) trie.order_.insert(trie.nodes_, by_number[i]);
  }
}

Result<void> TrieSnapshot::restore_pages(RadixTrie& trie, Reader& reader, const WritePage& write_page,
                                         const std::vector<NodeIndex>& by_number) {
  std::vector<std::byte> contents;
  for (size_t i = 1; i < by_number.size(); ++i) {
    const TrieNode& node = trie.nodes_[by_number[i]];
    uint32_t page = node.first_page;
    for (uint64_t left = trie.num_pages_of(node); left > 0; --left, page = trie.pool_.links_[page].next) {
      const bool is_tail = left == 1 && node.has_tail;
      const uint32_t rows = is_tail ? node.end & trie.page_mask() : trie.page_tokens();
      TT_ASSIGN(const uint64_t num_bytes, reader.number<uint64_t>());
      if (num_bytes > kMaxPageBytes) return damaged(reader.offset, "a page of more than 1 GiB");
      contents.clear();
      for (uint64_t done = 0; done < num_bytes;) {  // grows only as far as the file really goes
        const uint64_t step = std::min<uint64_t>(num_bytes - done, uint64_t{1} << 20);
        contents.resize(done + step);
        TT_TRY(reader.bytes(contents.data() + done, step));
        done += step;
      }
      TT_TRY(reader.close_section());
      TT_TRY(write_page(trie.pool_.id(page), rows, contents));
    }
  }
  return {};
}

/// Back to an empty trie over a full pool, whatever state a failed restore left.
void TrieSnapshot::clear(RadixTrie& trie) {
  TrieOptions options = std::move(trie.options_);
  auto fresh = RadixTrie::create(options);
  CHECK(fresh.has_value());
  trie.pool_ = std::move((*fresh)->pool_);
  std::swap(trie.nodes_, (*fresh)->nodes_);
  std::swap(trie.children_, (*fresh)->children_);
  std::swap(trie.checkpoints_, (*fresh)->checkpoints_);
  trie.order_ = EvictionOrder{};
  trie.options_ = std::move(options);
  trie.trie_pages_ = trie.protected_pages_ = 0;
  trie.clock_ = 0;
}

}  // namespace tattletale
