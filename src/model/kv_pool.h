// Device memory for keys and values: a fixed number of pages, each holding page_tokens positions of every
// layer. Which page belongs to whom is the engine's business (cache/); this only owns the memory.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/op_recorder.h"
#include "model/decoder_config.h"

namespace tattletale {

class KvPool {
 public:
  /// Allocates `num_pages` pages for every layer. Errors: out_of_memory with the sizes.
  static Result<KvPool> create(Device& device, const DecoderConfig& config, uint64_t num_pages,
                               uint32_t page_tokens, DType kv_dtype);

  KvPool(KvPool&& other) noexcept;
  KvPool& operator=(KvPool&&) = delete;
  ~KvPool();

  uint64_t num_pages() const { return num_pages_; }
  uint32_t page_tokens() const { return page_tokens_; }
  const KvLayer& layer(size_t index) const { return layers_[index]; }

  /// Bytes of one page over all layers.
  static uint64_t page_bytes(const DecoderConfig& config, uint32_t page_tokens, DType kv_dtype);

 private:
  KvPool(Device& device, uint64_t num_pages, uint32_t page_tokens)
      : device_(&device), num_pages_(num_pages), page_tokens_(page_tokens) {}

  Device* device_;
  uint64_t num_pages_;
  uint32_t page_tokens_;
  std::vector<KvLayer> layers_;
};

}  // namespace tattletale
