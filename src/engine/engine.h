// The engine: holds many requests at once and computes one ragged batch per step, decode tokens first, then
// chunks of prompts. Token ids in, token ids out; text lives in text_assets.h and generation.h.
//
// A session keeps the keys and values of its tokens between requests and reuses the longest prefix of the
// next prompt. When pages run out, first idle sessions lose theirs (oldest first), then the youngest running
// request is put back and computed again later: it is delayed, never failed or cut.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "device/device.h"
#include "engine/sampler.h"
#include "model/decoder.h"

namespace tattletale {

struct EngineOptions {
  uint64_t context_tokens = 0;  // longest prompt and answer together, at least 2
  uint64_t kv_tokens = 0;       // tokens of KV for all sessions, at least context_tokens
  DType kv_dtype = DType::f16;
  uint32_t page_tokens = 64;
  uint32_t step_tokens = 512;  // most tokens in one step
};

enum class SessionId : uint32_t {};

enum class Finish : uint8_t { running, stop, stop_string, length, cancelled, error };

struct TokenRequest {
  std::vector<uint32_t> prompt;  // not empty
  uint64_t max_new_tokens = 0;   // 0: up to the end of the context
  SamplingOptions sampling;
  std::vector<uint32_t> end_ids;  // tokens that end the answer; they are not reported
};

struct RequestProgress {
  Finish finish = Finish::stop;  // of the last request; `stop` before the first
  uint64_t prompt_tokens = 0;
  uint64_t cached_tokens = 0;    // of the prompt, not computed again
  uint64_t computed_tokens = 0;  // of the prompt, cached ones included
  uint64_t generated_tokens = 0;
};

/// Owned and called by one thread at a time. The device and the decoder must outlive it.
class Engine {
 public:
  /// Errors: invalid_argument, out_of_memory.
  static Result<std::unique_ptr<Engine>> create(Device& device, const Decoder& decoder,
                                                const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const EngineOptions& options() const { return options_; }

  SessionId create_session();
  void free_session(SessionId session);

  /// Queues a request. Errors: limit_exceeded naming prompt and context lengths; invalid_argument for an
  /// empty prompt, ids past the vocabulary, sampling out of range, or a session that still answers.
  Result<void> submit(SessionId session, TokenRequest request);

  /// Computes one batch. True while any request has work left. An error ends the requests of the batch.
  Result<bool> step();
  bool has_work() const;

  /// Tokens generated since the last call.
  std::vector<uint32_t> take_tokens(SessionId session);
  RequestProgress progress(SessionId session) const;

  /// Ends the request now with the given reason; its tokens stay cached.
  void finish(SessionId session, Finish reason);

  /// Logits behind each of the last `rows.size() / vocab_size` tokens, computed at once; the session must be
  /// idle. `on_row(i, logits)` is called for i from first_row to tokens.size() - 1.
  template <class OnRow>
  Result<void> compute_logits(SessionId session, std::span<const uint32_t> tokens, size_t first_row,
                              OnRow&& on_row) {
    return compute_logits_impl(
        session, tokens, first_row,
        [](void* context, size_t row, std::span<float> logits) {
          (*static_cast<std::remove_reference_t<OnRow>*>(context))(row, logits);
        },
        &on_row);
  }

  uint64_t free_pages() const { return free_pages_.size(); }
  uint64_t num_pages() const { return kv_.num_pages(); }

 private:
  struct Session;
  struct BatchPart {
    Session* session;
    uint32_t num_tokens;
    bool wants_logits;
  };
  using RowCallback = void (*)(void* context, size_t row, std::span<float> logits);

  Engine(Device& device, const Decoder& decoder, const EngineOptions& options, KvPool kv);
  Result<void> create_tables();
  Result<void> compute_logits_impl(SessionId id, std::span<const uint32_t> tokens, size_t first_row,
                                   RowCallback on_row, void* context);
  Session& at(SessionId id);
  const Session& at(SessionId id) const;
  Result<void> check_tokens(std::span<const uint32_t> tokens) const;

  std::vector<BatchPart> plan_step();
  bool reserve_pages(Session& session, uint64_t num_tokens, std::span<const BatchPart> planned);
  void release_pages(Session& session, uint64_t keep_tokens);
  Result<void> run_batch(std::span<const BatchPart> parts, uint32_t rows_per_part);
  Result<Submission> submit(uint32_t num_tokens, uint32_t num_sequences, uint32_t num_rows);
  void accept_token(Session& session, std::span<float> logits);

  Device& device_;
  const Decoder& decoder_;
  EngineOptions options_;
  KvPool kv_;
  KernelCache kernels_;
  Workspace workspace_;
  BatchTables tables_;
  DeviceTensor logit_rows_;
  Sampler sampler_;
  std::vector<float> logits_;  // host copy of the step's rows

  std::vector<uint32_t> free_pages_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by id; null when freed
  std::vector<Session*> running_;                   // oldest request first
  std::unordered_map<uint64_t, ListId> recorded_;   // decode steps, by shape
  CommandList list_;                                // of the current step
  uint64_t clock_ = 0;                              // steps, for least-recently-used

  // Host side of the tables, reused.
  std::vector<uint32_t> token_ids_, positions_, page_table_, rows_;
  std::vector<uint64_t> kv_slots_;
  std::vector<BatchSequence> sequences_;
};

}  // namespace tattletale
