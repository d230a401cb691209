// Runs batches of a decoder on a device: the one place that uploads tables, submits work and brings logits
// back. It owns the KV memory and the workspace; which page belongs to whom is decided elsewhere.
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "device/device.h"
#include "engine/schedule/sequence.h"
#include "model/decoder.h"

namespace tattletale {

struct RunnerOptions {
  uint64_t num_pages = 0;
  uint32_t page_tokens = 64;
  DType kv_dtype = DType::f16;
  uint64_t context_tokens = 0;   // longest sequence
  uint32_t max_tokens = 512;     // rows of one batch
  uint32_t max_sequences = 256;  // of one batch
  uint32_t max_logit_rows = 256;
};

/// Consecutive tokens of one sequence: `tokens` stand at positions first_position .. and go into `pages`
/// (entry i: positions i * page_tokens ..), which hold everything before them. Logits are wanted behind the
/// last `num_logit_rows` tokens.
struct BatchPart {
  std::span<const uint32_t> tokens;
  std::span<const uint32_t> drafts;  // more tokens, behind `tokens`
  uint64_t first_position = 0;
  std::span<const PageId> pages;
  uint32_t num_logit_rows = 0;
};

/// Threading: the thread that owns the device. The device and the decoder must outlive it.
class Runner {
 public:
  /// Errors: out_of_memory, those of loading kernels.
  static Result<std::unique_ptr<Runner>> create(Device& device, const Decoder& decoder,
                                                const RunnerOptions& options);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// The device has the kernel that copies rows of pages.
  bool can_copy() const { return can_copy_; }
  const KvPool& kv() const { return kv_; }
  const RunnerOptions& options() const { return options_; }

  /// Copies rows of pages, before everything that is run later. Enqueues only.
  Result<void> copy(std::span<const PageCopy> copies);

  /// The device picks the likeliest token itself: run() with Outcome::choices works.
  bool can_choose() const { return can_choose_; }

  /// What comes back from the device for the wanted rows, in the order of the parts.
  enum class Outcome { logits, choices };

  /// Computes a batch and waits. logits(row), or choice(row), then stand until the next call.
  Result<void> run(std::span<const BatchPart> parts, Outcome outcome = Outcome::logits);
  /// The likeliest token of a row, the lowest id among equals.
  uint32_t choice(size_t row) const { return choices_[row]; }
  std::span<float> logits(size_t row) {
    const size_t vocab = decoder_.config().vocab_size;
    return std::span(logits_).subspan(row * vocab, vocab);
  }

 private:
  Runner(Device& device, const Decoder& decoder, const RunnerOptions& options, KvPool kv);
  Result<void> create_tables();
  Result<bool> has_kernel(const KernelContract& contract, std::span<const std::byte> comptime);
  void fill_tables(std::span<const BatchPart> parts);
  Result<void> upload_tables();
  Result<Submission> submit(uint32_t num_tokens, uint32_t num_sequences, uint32_t num_rows, Outcome outcome);

  Device& device_;
  const Decoder& decoder_;
  RunnerOptions options_;
  KvPool kv_;
  KernelCache kernels_;
  bool can_copy_ = false;
  bool can_choose_ = false;
  Workspace workspace_;
  BatchTables tables_;
  DeviceTensor logit_rows_, copies_, device_choices_;
  std::vector<float> logits_;      // host copy of the step's rows
  std::vector<uint32_t> choices_;  // likewise

  std::unordered_map<uint64_t, ListId> recorded_;  // decode steps, by shape and outcome
  CommandList list_;                               // of the current step
  CommandList copy_list_;

  // Host side of the tables, reused.
  std::vector<uint32_t> token_ids_, positions_, page_table_, rows_;
  std::vector<uint64_t> kv_slots_;
  std::vector<BatchSequence> sequences_;
  std::vector<std::byte> staged_tables_;  // as they lie in the device's buffer
};

}  // namespace tattletale
