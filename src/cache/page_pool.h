// The KV pages of one device as numbers: who is free, and in what order a run's pages follow one another.
// It holds no page contents and knows no device; the tokens beside each page are what the trie compares.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "cache/lazy_array.h"

namespace tattletale {

/// A token of the model's vocabulary, or one of the reserved ids that spell the content hash of an image or a
/// sound (the caller spreads the 128 bits of the hash over the positions that the media item fills).
using TokenId = uint32_t;

/// A page's number, 64 bit on host and device: page * bytes per page is computed in 64 bits everywhere.
using PageId = uint64_t;

/// The byte where a page begins in its pool. Units: bytes.
constexpr uint64_t page_offset_bytes(PageId page, uint64_t page_bytes) {
  return page * page_bytes;
}

struct PagePoolOptions {
  uint64_t num_pages = 0;     // 1 .. kMaxPoolPages
  uint32_t page_tokens = 16;  // a power of two, 16 .. 256
  PageId first_page = 0;      // pages are numbered first_page .. first_page + num_pages - 1
  /// Touch all bookkeeping memory at creation (about 10 bytes a token of the pool), so that no request waits
  /// for a page fault. False leaves it to be touched as pages are used.
  bool touch_memory_now = true;
};

inline constexpr uint64_t kMaxPoolPages = (uint64_t{1} << 30) - 8;

/// Pages first_page .. first_page + num_pages - 1, each free or handed out, with the tokens whose rows they
/// hold. Threading: one writer thread, the trie's. Nothing here allocates after create().
class PagePool {
 public:
  /// Errors: invalid_argument if page_tokens is no power of two in 16..256 or num_pages is out of range;
  /// out_of_memory. Takes (4 * page_tokens + 8) * num_pages bytes.
  static Result<PagePool> create(const PagePoolOptions& options);

  uint64_t num_pages() const { return num_pages_; }
  uint32_t page_tokens() const { return 1u << page_shift_; }
  uint32_t page_shift() const { return page_shift_; }
  uint64_t num_free() const { return num_free_; }
  PageId first_page() const { return first_page_; }

 private:
  friend class RadixTrie;
  friend class TrieVerifier;
  friend class TrieSnapshot;
  friend struct TrieTamper;

  /// A page inside this pool. Public PageId = first_page_ + PageIndex.
  using PageIndex = uint32_t;
  static constexpr PageIndex kNone = 0;  // index 0 is never handed out; page n has index n + 1

  struct PageLinks {
    PageIndex next;
    PageIndex prev;
  };

  PageIndex take();  // kNone if none is free
  void give_back(PageIndex page);
  PageId id(PageIndex page) const { return first_page_ + (page - 1); }
  TokenId* tokens(PageIndex page) { return &tokens_[uint64_t{page} << page_shift_]; }
  const TokenId* tokens(PageIndex page) const { return &tokens_[uint64_t{page} << page_shift_]; }

  LazyArray<PageLinks> links_;
  LazyArray<TokenId> tokens_;
  uint64_t num_pages_ = 0;
  uint64_t num_free_ = 0;
  PageId first_page_ = 0;
  uint32_t page_shift_ = 4;
  PageIndex free_head_ = kNone;
  PageIndex high_water_ = 1;  // indices from here on were never handed out
};

}  // namespace tattletale
