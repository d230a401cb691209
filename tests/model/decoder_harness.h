// Runs a decoder step by step in tests: owns device, KV pool, page tables and workspace, and returns logits.
// It does by hand what the engine does, so that the model is tested without one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "model/architecture.h"

namespace tattletale::testing {

struct HarnessOptions {
  bool twin = false;         // run the kernels' naive twins instead of the CPU backend
  bool twin_rounds = false;  // twins that round activations to 8 bits
  uint32_t num_threads = 2;
  std::function<Result<std::unique_ptr<Device>>()> open_device = {};  // another device than the CPU
  DType kv_dtype = DType::f32;
  uint32_t page_tokens = 16;
  uint32_t num_pages = 64;
  uint64_t context_tokens = 150;
};

/// Some tokens of one sequence, behind what was run of it before. `wanted` are offsets into `tokens`.
struct Chunk {
  uint32_t sequence = 0;
  std::vector<uint32_t> tokens;
  std::vector<uint32_t> wanted;
};

class DecoderHarness {
 public:
  static Result<std::unique_ptr<DecoderHarness>> open(const ModelFiles& files,
                                                      const HarnessOptions& options = {});
  /// With a configuration of the caller's own, for planted faults.
  static Result<std::unique_ptr<DecoderHarness>> open(const ModelFiles& files, LoadedConfig loaded,
                                                      const HarnessOptions& options);
  ~DecoderHarness();

  /// The pages of a sequence, in order. Without this call sequence s uses pages s * 16 and up.
  void set_pages(uint32_t sequence, std::vector<uint32_t> pages) { pages_[sequence] = std::move(pages); }

  /// Rows for token ids marked with kReadyEmbeddingBit, [*, hidden_dim].
  void set_ready(std::vector<float> rows) { ready_ = std::move(rows); }

  /// One forward over a ragged batch: the logits of the wanted tokens, in the order of chunks and `wanted`.
  Result<std::vector<float>> step(std::span<const Chunk> chunks);

  /// A whole prompt as sequence 0 from its start, in chunks of `chunk_tokens`; logits of every token.
  Result<std::vector<float>> prefill(std::span<const uint32_t> tokens, uint32_t chunk_tokens);

  const DecoderConfig& config() const { return decoder_->config(); }
  const Decoder& decoder() const { return *decoder_; }

 private:
  DecoderHarness() = default;
  Result<DeviceTensor> upload(DType dtype, const Shape& shape, std::span<const std::byte> bytes);

  HarnessOptions options_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<KvPool> kv_;
  std::unique_ptr<KernelCache> kernels_;
  Workspace workspace_;
  std::map<uint32_t, std::vector<uint32_t>> pages_;
  std::map<uint32_t, uint32_t> lengths_;  // tokens run so far
  std::vector<float> ready_;
  std::vector<BufferId> step_buffers_;
};

}  // namespace tattletale::testing
