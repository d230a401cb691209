// The rivals' bodies. Straightforward standard containers, reserved up front where the originals do so.
#include "rivals.h"

#include <algorithm>
#include <cstring>

namespace tattletale::bench {
namespace {

/// One multiply-and-fold step of 128 bits.
uint64_t fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

HashChainCache::HashChainCache(uint64_t num_pages, uint32_t page_tokens) : page_tokens_(page_tokens) {
  blocks_.resize(num_pages + 1);
  map_.reserve(num_pages);
  free_.reserve(num_pages);
  for (uint64_t i = num_pages; i > 0; --i) free_.push_back(static_cast<uint32_t>(i));
}

HashChainCache::Key HashChainCache::chain(Key before, const uint32_t* tokens, uint32_t num) {
  uint64_t low = before.low ^ 0x9e3779b97f4a7c15ull, high = before.high ^ 0xc2b2ae3d27d4eb4full;
  for (uint32_t i = 0; i < num; i += 4) {
    uint64_t a, b;
    std::memcpy(&a, tokens + i, 8);
    std::memcpy(&b, tokens + i + 2, 8);
    low = fold(a ^ low, b ^ 0xff51afd7ed558ccdull);
    high = fold(a ^ 0xa0761d6478bd642full, b ^ high);
  }
  return {low, high};
}

void HashChainCache::unlink(uint32_t block) {
  Block& at = blocks_[block];
  blocks_[at.older].newer = at.newer;
  blocks_[at.newer].older = at.older;
}
void HashChainCache::append(uint32_t block) {
  const uint32_t newest = blocks_[0].older;
  blocks_[block].older = newest;
  blocks_[block].newer = 0;
  blocks_[newest].newer = block;
  blocks_[0].older = block;
}

void HashChainCache::match(std::span<const uint32_t> tokens, Held& held) {
  held.blocks.clear();
  Key key;
  for (uint64_t at = 0; at + page_tokens_ <= tokens.size(); at += page_tokens_) {
    key = chain(key, tokens.data() + at, page_tokens_);
    const auto found = map_.find(key);
    if (found == map_.end()) break;
    if (blocks_[found->second].num_holds++ == 0) unlink(found->second);
    held.blocks.push_back(found->second);
  }
  held.matched_tokens = held.blocks.size() * page_tokens_;
}

void HashChainCache::release(Held& held) {
  for (size_t i = held.blocks.size(); i-- > 0;) {  // the last block first, so that it goes first
    if (--blocks_[held.blocks[i]].num_holds == 0) append(held.blocks[i]);
  }
  held.blocks.clear();
}

bool HashChainCache::insert(std::span<const uint32_t> tokens, Held& held) {
  Key key = held.blocks.empty() ? Key{} : blocks_[held.blocks.back()].key;
  for (uint64_t at = held.blocks.size() * page_tokens_; at + page_tokens_ <= tokens.size();
       at += page_tokens_) {
    key = chain(key, tokens.data() + at, page_tokens_);
    if (free_.empty()) return false;
    const uint32_t block = free_.back();
    const auto [where, is_new] = map_.try_emplace(key, block);
    if (is_new) {
      free_.pop_back();
      blocks_[block].key = key;
      blocks_[block].num_holds = 1;
    } else if (blocks_[where->second].num_holds++ == 0) {
      unlink(where->second);
    }
    held.blocks.push_back(where->second);
  }
  return true;
}

uint64_t HashChainCache::evict(uint64_t num_pages) {
  uint64_t num = 0;
  for (; num < num_pages && blocks_[0].newer != 0; ++num) {
    const uint32_t block = blocks_[0].newer;
    unlink(block);
    map_.erase(blocks_[block].key);
    free_.push_back(block);
  }
  return num;
}

uint64_t HashChainCache::memory_bytes() const {
  constexpr uint64_t kMapNode = 8 + sizeof(Key) + 8 + 16;  // next, value, allocator's header and rounding
  return map_.size() * (kMapNode + sizeof(Block)) + map_.bucket_count() * sizeof(void*);
}

HashRadixCache::HashRadixCache(uint64_t num_pages, uint32_t page_tokens) : page_tokens_(page_tokens) {
  free_.reserve(num_pages);
  for (uint64_t i = num_pages; i > 0; --i) free_.push_back(static_cast<uint32_t>(i));
}

uint64_t HashRadixCache::page_key(const uint32_t* tokens) const {
  uint64_t key = 0x9e3779b97f4a7c15ull;
  for (uint32_t i = 0; i < page_tokens_; i += 2) {
    uint64_t two;
    std::memcpy(&two, tokens + i, 8);
    key = fold(key ^ two, 0xff51afd7ed558ccdull);
  }
  return key;
}

HashRadixCache::Node* HashRadixCache::split(Node* node, uint64_t num_tokens) {
  auto upper = std::make_unique<Node>();
  const auto cut = static_cast<ptrdiff_t>(num_tokens);
  const auto page_cut = static_cast<ptrdiff_t>(num_tokens / page_tokens_);
  upper->tokens.assign(node->tokens.begin(), node->tokens.begin() + cut);
  upper->pages.assign(node->pages.begin(), node->pages.begin() + page_cut);
  upper->parent = node->parent;
  upper->key = node->key;
  upper->last_use = node->last_use;
  upper->num_locks = node->num_locks;
  Node* const result = upper.get();
  auto& place = node->parent->children[node->key];
  std::unique_ptr<Node> lower = std::move(place);
  place = std::move(upper);
  lower->tokens.erase(lower->tokens.begin(), lower->tokens.begin() + cut);
  lower->pages.erase(lower->pages.begin(), lower->pages.begin() + page_cut);
  lower->key = page_key(lower->tokens.data());
  lower->parent = result;
  result->children[lower->key] = std::move(lower);
  ++num_nodes_;
  return result;
}

void HashRadixCache::match(std::span<const uint32_t> tokens, Held& held) {
  held.pages.clear();
  Node* at = &root_;
  uint64_t pos = 0;
  ++clock_;
  while (pos + page_tokens_ <= tokens.size()) {
    const auto found = at->children.find(page_key(tokens.data() + pos));
    if (found == at->children.end()) break;
    Node* child = found->second.get();
    const uint64_t num = std::min<uint64_t>(child->tokens.size(), tokens.size() - pos);
    const auto differ =
        std::mismatch(child->tokens.begin(), child->tokens.begin() + static_cast<ptrdiff_t>(num),
                      tokens.begin() + static_cast<ptrdiff_t>(pos));
    uint64_t same = static_cast<uint64_t>(differ.first - child->tokens.begin());
    same -= same % page_tokens_;
    if (same == 0) break;
    if (same < child->tokens.size()) child = split(child, same);
    child->last_use = clock_;
    held.pages.insert(held.pages.end(), child->pages.begin(), child->pages.end());
    pos += same;
    at = child;
    if (same < num) break;
  }
  held.node = at;
  held.matched_tokens = pos;
  for (Node* up = at; up != nullptr; up = up->parent) ++up->num_locks;
}

void HashRadixCache::release(Held& held) {
  for (Node* up = held.node; up != nullptr; up = up->parent) --up->num_locks;
  held.node = nullptr;
}

bool HashRadixCache::insert(std::span<const uint32_t> tokens, Held& held) {
  const uint64_t end = tokens.size() - tokens.size() % page_tokens_;
  if (end <= held.matched_tokens) return true;
  const uint64_t num_pages = (end - held.matched_tokens) / page_tokens_;
  if (free_.size() < num_pages) return false;
  auto leaf = std::make_unique<Node>();
  leaf->tokens.assign(tokens.begin() + static_cast<ptrdiff_t>(held.matched_tokens),
                      tokens.begin() + static_cast<ptrdiff_t>(end));
  for (uint64_t i = 0; i < num_pages; ++i) {
    leaf->pages.push_back(free_.back());
    free_.pop_back();
  }
  leaf->parent = held.node;
  leaf->key = page_key(leaf->tokens.data());
  leaf->last_use = ++clock_;
  leaf->num_locks = 1;  // the lock moves down with the request
  num_pages_used_ += num_pages;
  ++num_nodes_;
  Node* const parent = held.node;
  held.node = leaf.get();
  held.matched_tokens = end;
  held.pages.insert(held.pages.end(), leaf->pages.begin(), leaf->pages.end());
  parent->children[leaf->key] = std::move(leaf);
  return true;
}

uint64_t HashRadixCache::evict(uint64_t num_pages) {
  std::vector<Node*> leaves, stack{&root_};
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    for (auto& [key, child] : node->children) stack.push_back(child.get());
    if (node->children.empty() && node != &root_ && node->num_locks == 0) leaves.push_back(node);
  }
  const auto younger = [](const Node* a, const Node* b) { return a->last_use > b->last_use; };
  std::make_heap(leaves.begin(), leaves.end(), younger);
  uint64_t num = 0;
  while (num < num_pages && !leaves.empty()) {
    std::pop_heap(leaves.begin(), leaves.end(), younger);
    Node* node = leaves.back();
    leaves.pop_back();
    num += node->pages.size();
    num_pages_used_ -= node->pages.size();
    free_.insert(free_.end(), node->pages.begin(), node->pages.end());
    Node* parent = node->parent;
    parent->children.erase(node->key);
    --num_nodes_;
    if (parent != &root_ && parent->children.empty() && parent->num_locks == 0) {
      leaves.push_back(parent);
      std::push_heap(leaves.begin(), leaves.end(), younger);
    }
  }
  return num;
}

uint64_t HashRadixCache::memory_bytes() const {
  constexpr uint64_t kMapEntry =
      8 + 8 + 8 + 16 + 8;  // next, key, pointer, allocator's header, share of the buckets
  constexpr uint64_t kTwoVectors = 2 * 16;
  return num_nodes_ * (sizeof(Node) + 16 + kMapEntry + kTwoVectors) +
         num_pages_used_ * (page_tokens_ * 4 + 4);
}

}  // namespace tattletale::bench
