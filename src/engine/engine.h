// The engine: holds many requests at once and computes one ragged batch per step. Token ids in, token ids
// out; text lives in text_assets.h.
//
// A request's prompt is looked up in the prefix cache, whoever put it there; full pages are shared with
// others as they fill, and everything computed stays cached until its pages are needed. What is computed when
// is decided by schedule/, on the device by runner.h, and which token comes next by sampler.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cache/radix_trie.h"
#include "engine/request.h"
#include "engine/runner.h"
#include "engine/sampling/logprobs.h"
#include "engine/sampling/sampler.h"
#include "engine/schedule/scheduler.h"
#include "engine/schedule/step_cost.h"
#include "engine/session.h"
#include "engine/speculate/speculator.h"

namespace tattletale {

struct EngineOptions {
  uint64_t context_tokens = 0;  // longest prompt and answer together, at least 2
  uint64_t kv_tokens = 0;       // tokens of KV for all requests and the cache, at least context_tokens
  DType kv_dtype = DType::f16;
  uint32_t page_tokens = 64;
  uint32_t step_tokens = 512;      // most tokens in one step
  const Decoder* draft = nullptr;  // a small model for Speculation::draft_model; must outlive the engine
  std::function<uint64_t()> now_us = {};  // a steady clock; empty: the system's
};

/// Owned and called by one thread at a time; cache_stats() may be called by any thread. The device and the
/// decoder must outlive it.
class Engine {
 public:
  /// Errors: invalid_argument, out_of_memory.
  static Result<std::unique_ptr<Engine>> create(Device& device, const Decoder& decoder,
                                                const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const EngineOptions& options() const { return options_; }

  /// A place for one request at a time.
  SessionId create_session();
  void free_session(SessionId session);

  /// Queues a request. Errors: limit_exceeded naming prompt and context lengths; invalid_argument for an
  /// empty prompt, ids past the vocabulary, sampling out of range, or a session that still answers.
  Result<void> submit(SessionId session, TokenRequest request);

  /// Several answers to one prompt, which is computed once: session i gets the answer of seed + i, the same
  /// that it would get alone. Errors: as submit, for any of the sessions; then none is queued.
  Result<void> submit_choices(std::span<const SessionId> sessions, TokenRequest request);

  /// Computes one batch. True while any request has work left. An error ends the requests of the batch.
  /// With a budget the batch is cut so that the step likely ends within it, by what steps have cost so far;
  /// one token is computed in any case.
  Result<bool> step(uint64_t budget_us = 0);
  bool has_work() const { return scheduler_.has_work(); }

  /// Tokens generated since the last call.
  std::vector<uint32_t> take_tokens(SessionId session);
  /// Their log probabilities, if the request wants them; taken apart from the tokens.
  std::vector<TokenLogprobs> take_logprobs(SessionId session);
  RequestProgress progress(SessionId session) const;

  /// Ends the request now with the given reason; what it computed stays cached.
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

  CacheStats cache_stats() const { return trie_->stats(); }
  const ScheduleStats& schedule_stats() const { return scheduler_.stats(); }

  /// Errors: internal, when any page is not in exactly one place. For tests: O(everything).
  Result<void> verify() const { return scheduler_.verify(); }

 private:
  using RowCallback = void (*)(void* context, size_t row, std::span<float> logits);

  Engine(const Decoder& decoder, const EngineOptions& options, std::unique_ptr<Runner> runner,
         std::unique_ptr<RadixTrie> trie, std::unique_ptr<DraftModel> draft);
  Result<void> compute_logits_impl(SessionId id, std::span<const uint32_t> tokens, size_t first_row,
                                   RowCallback on_row, void* context);
  Session& at(SessionId id);
  const Session& at(SessionId id) const;
  Result<void> check_tokens(std::span<const uint32_t> tokens) const;

  uint32_t tokens_within(uint64_t budget_us) const;
  Result<void> run_plan(StepPlan& plan, uint32_t max_tokens);
  Result<void> accept(const StepPlan& plan);
  Result<void> start_followers(Session& leader, size_t row);
  void accept_drafts(Session& session, size_t first_row);
  void accept_row(Session& session, size_t row);
  void accept_logits(Session& session, std::span<float> logits);
  void accept_token(Session& session, uint32_t token, const LogprobReport* report);
  void leave_group(Session& session);
  void end(Session& session, Finish reason);
  void end_late_requests();
  Result<void> check_request(const TokenRequest& request) const;
  void begin(Session& session, const TokenRequest& request);
  void copy_counts(Session& session);

  const Decoder& decoder_;
  EngineOptions options_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<RadixTrie> trie_;  // outlives every lease
  Scheduler scheduler_;
  Speculator speculator_;
  StepCost step_cost_;
  Sampler sampler_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by id; null when freed
  std::vector<BatchPart> batch_;
  bool device_chooses_ = false;  // the step brought back tokens, not logits
  std::vector<float> follower_logits_, raw_logits_;
  uint64_t num_deadlines_ = 0;  // running requests that have one
};

}  // namespace tattletale
