// PagePool: a free list threaded through the page links, filled lazily so that creation is not O(pages).
#include "cache/page_pool.h"

#include <bit>
#include <string>

namespace tattletale {

Result<PagePool> PagePool::create(const PagePoolOptions& options) {
  if (!std::has_single_bit(options.page_tokens) || options.page_tokens < 16 || options.page_tokens > 256) {
    return make_error(
        ErrorKind::invalid_argument, "page_tokens",
        "found " + std::to_string(options.page_tokens) + ", expected a power of two from 16 to 256");
  }
  if (options.num_pages == 0 || options.num_pages > kMaxPoolPages) {
    return make_error(ErrorKind::invalid_argument, "num_pages",
                      "found " + std::to_string(options.num_pages) + ", expected 1 to " +
                          std::to_string(kMaxPoolPages) + "; use larger pages for a larger pool");
  }
  PagePool pool;
  pool.num_pages_ = pool.num_free_ = options.num_pages;
  pool.first_page_ = options.first_page;
  pool.page_shift_ = static_cast<uint32_t>(std::countr_zero(options.page_tokens));
  const uint64_t num_indices = options.num_pages + 1;
  if (!pool.links_.allocate(num_indices, options.touch_memory_now) ||
      !pool.tokens_.allocate(num_indices << pool.page_shift_, options.touch_memory_now)) {
    return make_error(
        ErrorKind::out_of_memory, "page pool",
        "no memory for the tokens of " + std::to_string(options.num_pages) + " pages; use fewer pages");
  }
  return pool;
}

PagePool::PageIndex PagePool::take() {
  PageIndex page = free_head_;
  if (page != kNone) {
    free_head_ = links_[page].next;
  } else {
    if (high_water_ > num_pages_) return kNone;
    page = high_water_++;
  }
  --num_free_;
  return page;
}

void PagePool::give_back(PageIndex page) {
  links_[page] = {free_head_, kNone};
  free_head_ = page;
  ++num_free_;
}

}  // namespace tattletale
