#include "model/kv_pool.h"

#include <utility>

namespace tattletale {

uint64_t KvPool::page_bytes(const DecoderConfig& config, uint32_t page_tokens, DType kv_dtype) {
  const uint64_t elements = uint64_t{config.num_kv_heads} * config.head_dim * page_tokens;
  return 2 * config.layers.size() * elements * dtype_info(kv_dtype).block_bytes;
}

Result<KvPool> KvPool::create(Device& device, const DecoderConfig& config, uint64_t num_pages,
                              uint32_t page_tokens, DType kv_dtype) {
  CHECK(page_tokens >= 16 && page_tokens <= 256 && (page_tokens & (page_tokens - 1)) == 0);
  KvPool pool(device, num_pages, page_tokens);
  const Shape shape{static_cast<int64_t>(num_pages), config.num_kv_heads, page_tokens, config.head_dim};
  const std::optional<uint64_t> bytes = shape.num_bytes(kv_dtype);
  if (!bytes) {
    return make_error(ErrorKind::out_of_memory, "kv cache",
                      std::to_string(num_pages) + " pages are more than 64 bits can address");
  }
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    pool.layers_.emplace_back();
    for (DeviceTensor* tensor : {&pool.layers_.back().k, &pool.layers_.back().v}) {
      TT_ASSIGN(const BufferId buffer, device.create_buffer(*bytes, "kv cache"));
      *tensor = DeviceTensor{kv_dtype, shape, BufferSlice{buffer, 0, *bytes}};
    }
  }
  return pool;
}

KvPool::KvPool(KvPool&& other) noexcept
    : device_(other.device_),
      num_pages_(other.num_pages_),
      page_tokens_(other.page_tokens_),
      layers_(std::exchange(other.layers_, {})) {}

KvPool::~KvPool() {
  for (const KvLayer& layer : layers_) {
    for (const DeviceTensor* tensor : {&layer.k, &layer.v}) {
      if (tensor->present()) device_->destroy_buffer(tensor->slice.buffer);
    }
  }
}

}  // namespace tattletale
