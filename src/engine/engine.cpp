#include "engine/engine.h"

#include <algorithm>
#include <chrono>

namespace tattletale {
namespace {

constexpr uint32_t kMaxSequences = 256;     // that can get a token in one step
constexpr uint32_t kScoreChunkTokens = 64;  // rows of logits computed together when every row is wanted

uint64_t steady_now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

Engine::Engine(const Decoder& decoder, const EngineOptions& options, std::unique_ptr<Runner> runner,
               std::unique_ptr<RadixTrie> trie, std::unique_ptr<DraftModel> draft)
    : decoder_(decoder),
      options_(options),
      runner_(std::move(runner)),
      trie_(std::move(trie)),
      scheduler_(*trie_, runner_->can_copy()),
      speculator_(scheduler_, std::move(draft)) {
  if (!options_.now_us) options_.now_us = steady_now_us;
}

Engine::~Engine() {
  for (const std::unique_ptr<Session>& session : sessions_) {
    if (session != nullptr) scheduler_.remove(*session, false);
  }
}

Result<std::unique_ptr<Engine>> Engine::create(Device& device, const Decoder& decoder,
                                               const EngineOptions& options) {
  if (options.context_tokens < 2 || options.kv_tokens < options.context_tokens || options.step_tokens == 0) {
    return make_error(
        ErrorKind::invalid_argument, "engine options",
        "context_tokens is " + std::to_string(options.context_tokens) + " and kv_tokens " +
            std::to_string(options.kv_tokens) +
            "; the context must be at least 2 and fit into the KV cache, and step_tokens at least 1");
  }
  const uint64_t num_pages = (options.kv_tokens + options.page_tokens - 1) / options.page_tokens;
  RunnerOptions runner_options;
  runner_options.num_pages = num_pages;
  runner_options.page_tokens = options.page_tokens;
  runner_options.kv_dtype = options.kv_dtype;
  runner_options.context_tokens = options.context_tokens;
  runner_options.max_tokens = options.step_tokens;
  runner_options.max_sequences = runner_options.max_logit_rows = kMaxSequences;
  TT_ASSIGN(std::unique_ptr<Runner> runner, Runner::create(device, decoder, runner_options));
  // After the keys and values: where those fit nowhere, their sizes are the reason to give.
  TrieOptions trie_options;
  trie_options.pool.num_pages = num_pages;
  trie_options.pool.page_tokens = options.page_tokens;
  TT_ASSIGN(std::unique_ptr<RadixTrie> trie, RadixTrie::create(std::move(trie_options)));
  std::unique_ptr<DraftModel> draft;
  if (options.draft != nullptr) {
    TT_ASSIGN(draft, DraftModel::create(device, *options.draft, runner_options, decoder.config().vocab_size));
  }
  return std::unique_ptr<Engine>(
      new Engine(decoder, options, std::move(runner), std::move(trie), std::move(draft)));
}

Session& Engine::at(SessionId id) {
  const size_t index = static_cast<size_t>(id);
  CHECK(index < sessions_.size() && sessions_[index] != nullptr);
  return *sessions_[index];
}
const Session& Engine::at(SessionId id) const {
  return const_cast<Engine*>(this)->at(id);
}

SessionId Engine::create_session() {
  const auto hole = std::find(sessions_.begin(), sessions_.end(), nullptr);
  const size_t index = static_cast<size_t>(hole - sessions_.begin());
  if (hole == sessions_.end()) sessions_.emplace_back();
  sessions_[index] = std::make_unique<Session>();
  return static_cast<SessionId>(index);
}

void Engine::free_session(SessionId id) {
  end(at(id), Finish::cancelled);
  sessions_[static_cast<size_t>(id)].reset();
}

Result<void> Engine::check_tokens(std::span<const uint32_t> tokens) const {
  if (tokens.empty())
    return make_error(ErrorKind::invalid_argument, "prompt", "is empty; give at least one token");
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= decoder_.config().vocab_size) {
      return make_error(ErrorKind::invalid_argument, "prompt",
                        "token " + std::to_string(i) + " is " + std::to_string(tokens[i]) +
                            "; the vocabulary has " + std::to_string(decoder_.config().vocab_size) + " ids");
    }
  }
  if (tokens.size() > options_.context_tokens) {
    return make_error(ErrorKind::limit_exceeded, "prompt",
                      "has " + std::to_string(tokens.size()) + " tokens; the context holds " +
                          std::to_string(options_.context_tokens) +
                          ". Shorten it or load with a larger context");
  }
  return {};
}

Result<void> Engine::check_request(const TokenRequest& request) const {
  TT_TRY(check_tokens(request.prompt));
  TT_TRY(request.sampling.validate());
  if (request.top_logprobs > kMaxTopLogprobs) {
    return make_error(ErrorKind::invalid_argument, "top_logprobs",
                      "is " + std::to_string(request.top_logprobs) + "; at most " +
                          std::to_string(kMaxTopLogprobs) + " are reported");
  }
  if (request.speculation == Speculation::draft_model && !speculator_.has_draft_model()) {
    return make_error(ErrorKind::invalid_argument, "speculation",
                      "asks for a draft model and none is loaded; load one with the model");
  }
  if (request.prompt.size() == options_.context_tokens) {
    return make_error(ErrorKind::limit_exceeded, "prompt",
                      "has " + std::to_string(request.prompt.size()) + " tokens and fills the context of " +
                          std::to_string(options_.context_tokens) + "; no room is left for an answer");
  }
  return {};
}

void Engine::begin(Session& session, const TokenRequest& request) {
  session.tokens = request.prompt;
  session.cached_tokens = session.forwarded_tokens = session.preemptions = 0;
  session.request = request;
  session.final_tokens = options_.context_tokens;
  if (request.max_new_tokens != 0)
    session.final_tokens = std::min(session.final_tokens, request.prompt.size() + request.max_new_tokens);
  session.ready.clear();
  session.ready_logprobs.clear();
  session.draft_length = {};
  session.drafts.clear();
  session.draft_computed = 0;
  session.deadline_us = request.timeout_us == 0 ? 0 : options_.now_us() + request.timeout_us;
  num_deadlines_ += session.deadline_us != 0;
  session.progress = {};
  session.progress.finish = Finish::running;
  session.progress.prompt_tokens = session.tokens.size();
  scheduler_.enlist(session);
}

Result<void> Engine::submit(SessionId id, TokenRequest request) {
  return submit_choices(std::span(&id, 1), std::move(request));
}

Result<void> Engine::submit_choices(std::span<const SessionId> ids, TokenRequest request) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool twice = std::ranges::find(ids.first(i), ids[i]) != ids.first(i).end();
    if (!at(ids[i]).answering() && !twice) continue;
    return make_error(ErrorKind::invalid_argument, "session",
                      "still answers its last request; poll or cancel it first");
  }
  TT_TRY(check_request(request));
  Session* leader = nullptr;
  for (const SessionId id : ids) {
    Session& session = at(id);
    begin(session, request);
    ++request.sampling.seed;
    session.leader = leader;
    if (leader == nullptr) {
      leader = &session;
      scheduler_.add(session);
    } else {
      leader->followers.push_back(&session);
    }
  }
  return {};
}

/// Takes a session that ends out of its group of choices; if it led it, the next one does.
void Engine::leave_group(Session& session) {
  if (session.leader != nullptr) std::erase(std::exchange(session.leader, nullptr)->followers, &session);
  if (session.followers.empty()) return;
  std::vector<Session*> others = std::exchange(session.followers, {});
  Session& next = *others.front();
  next.leader = nullptr;
  next.followers.assign(others.begin() + 1, others.end());
  for (Session* follower : next.followers) follower->leader = &next;
  scheduler_.add(next);
}

/// Brings the scheduler's counts into the progress that callers see.
void Engine::copy_counts(Session& session) {
  RequestProgress& progress = session.progress;
  progress.cached_tokens = session.cached_tokens;
  progress.computed_tokens =
      std::max(progress.computed_tokens, std::min<uint64_t>(session.computed, progress.prompt_tokens));
  progress.forwarded_tokens = session.forwarded_tokens;
  progress.preemptions = session.preemptions;
}

void Engine::end(Session& session, Finish reason) {
  if (!session.answering()) return;
  copy_counts(session);
  session.progress.finish = reason;
  num_deadlines_ -= session.deadline_us != 0;
  leave_group(session);
  scheduler_.remove(session, reason != Finish::error);
}

void Engine::end_late_requests() {
  if (num_deadlines_ == 0) return;
  const uint64_t now = options_.now_us();
  for (const std::unique_ptr<Session>& session : sessions_) {
    if (session != nullptr && session->answering() && session->deadline_us != 0 &&
        session->deadline_us <= now) {
      end(*session, Finish::deadline);
    }
  }
}

void Engine::finish(SessionId id, Finish reason) {
  end(at(id), reason);
}

std::vector<uint32_t> Engine::take_tokens(SessionId id) {
  return std::exchange(at(id).ready, {});
}
std::vector<TokenLogprobs> Engine::take_logprobs(SessionId id) {
  return std::exchange(at(id).ready_logprobs, {});
}
RequestProgress Engine::progress(SessionId id) const {
  return at(id).progress;
}

/// The tokens that a step may have to end within its budget.
uint32_t Engine::tokens_within(uint64_t budget_us) const {
  if (budget_us == 0) return options_.step_tokens;
  // Decodes attend to all of theirs; a chunk of a prompt to about what stands before it.
  uint64_t decode_keys = 0, prompt_keys = 0;
  for (const Sequence* sequence : scheduler_.running()) {
    (sequence->pending() == 1 ? decode_keys : prompt_keys) += sequence->computed;
  }
  return step_cost_.tokens_within(static_cast<double>(budget_us), decode_keys, prompt_keys,
                                  options_.step_tokens);
}

Result<bool> Engine::step(uint64_t budget_us) {
  end_late_requests();
  const uint64_t begin_us = options_.now_us();
  const uint32_t max_tokens = tokens_within(budget_us);
  StepPlan& plan = scheduler_.plan({max_tokens, kMaxSequences});
  if (plan.parts.empty()) return false;
  Result<void> ran = run_plan(plan, max_tokens);
  if (!ran) {
    for (const StepPart& part : plan.parts) end(static_cast<Session&>(*part.sequence), Finish::error);
    return ran.take_error();
  }
  uint64_t tokens = 0, keys = 0;
  for (const StepPart& part : plan.parts) {
    const uint64_t count = part.num_tokens + part.num_drafts;
    tokens += count;
    keys += count * (part.sequence->computed + count / 2);
  }
  TT_TRY(accept(plan));
  step_cost_.learn(tokens, keys, static_cast<double>(options_.now_us() - begin_us));
  return has_work();
}

Result<void> Engine::run_plan(StepPlan& plan, uint32_t max_tokens) {
  TT_TRY(runner_->copy(plan.copies));
  TT_TRY(speculator_.copy(plan.copies));
  scheduler_.copies_done();
  TT_TRY(speculator_.propose(plan, max_tokens, runner_->options().max_logit_rows));
  batch_.clear();
  for (const StepPart& part : plan.parts) {
    const Session& session = static_cast<const Session&>(*part.sequence);
    batch_.push_back({.tokens = std::span(session.tokens).subspan(session.computed, part.num_tokens),
                      .drafts = session.drafts,
                      .first_position = session.computed,
                      .pages = session.pages,
                      .num_logit_rows = part.wants_logits() ? 1 + part.num_drafts : 0});
  }
  // Where the likeliest token is all that is asked for, the device picks it and no logits travel.
  device_chooses_ = runner_->can_choose() && std::ranges::all_of(plan.parts, [](const StepPart& part) {
                      const Session& session = static_cast<const Session&>(*part.sequence);
                      return !part.wants_logits() ||
                             (session.request.sampling.takes_likeliest() && !session.request.wants_logprobs);
                    });
  return runner_->run(batch_, device_chooses_ ? Runner::Outcome::choices : Runner::Outcome::logits);
}

Result<void> Engine::accept(const StepPlan& plan) {
  size_t row = 0;
  Result<void> result;
  for (const StepPart& part : plan.parts) {
    Session& session = static_cast<Session&>(*part.sequence);
    const bool has_logits = part.wants_logits();
    scheduler_.computed(session, part.num_tokens);
    copy_counts(session);
    if (!has_logits) continue;
    if (!session.followers.empty()) {
      if (Result<void> started = start_followers(session, row); !started) result = std::move(started);
    }
    accept_row(session, row);
    accept_drafts(session, row + 1);
    row += 1 + part.num_drafts;
  }
  return result;
}

/// Goes on behind each guess that is what the model drew; the rows of the others are forgotten.
void Engine::accept_drafts(Session& session, size_t first_row) {
  const size_t num_drafts = session.drafts.size();
  if (num_drafts == 0) return;
  size_t accepted = 0;
  while (accepted < num_drafts && session.answering() && session.tokens.back() == session.drafts[accepted]) {
    scheduler_.computed(session, 1);
    accept_row(session, first_row + accepted);
    ++accepted;
  }
  session.progress.drafts += num_drafts;
  session.progress.accepted_drafts += accepted;
  session.draft_length.learn(static_cast<uint32_t>(num_drafts), static_cast<uint32_t>(accepted));
  session.draft_computed = std::min(session.draft_computed, session.computed);
  scheduler_.rejected(session, num_drafts - accepted);
  session.progress.forwarded_tokens = session.forwarded_tokens;
}

/// The leader's prompt is computed: the other choices go on beside it, each from its own draw.
Result<void> Engine::start_followers(Session& leader, size_t row) {
  const std::vector<Session*> followers = std::exchange(leader.followers, {});
  std::vector<PageCopy> copies;
  for (Session* follower : followers) {
    follower->leader = nullptr;
    if (const std::optional<PageCopy> copy = scheduler_.fork(leader, *follower)) copies.push_back(*copy);
  }
  Result<void> copied = runner_->copy(copies);
  if (copied) copied = speculator_.copy(copies);
  if (!copied) {
    for (Session* follower : followers) end(*follower, Finish::error);
    return copied;
  }
  for (Session* follower : followers) {
    follower->draft_computed = std::min(leader.draft_computed, follower->computed);
    copy_counts(*follower);
    if (device_chooses_) {
      accept_row(*follower, row);
    } else {
      // Sampling changes logits that the leader is yet to draw from.
      const std::span<const float> logits = runner_->logits(row);
      follower_logits_.assign(logits.begin(), logits.end());
      accept_logits(*follower, follower_logits_);
    }
  }
  return {};
}

void Engine::accept_row(Session& session, size_t row) {
  if (device_chooses_) {
    accept_token(session, runner_->choice(row), nullptr);
  } else {
    accept_logits(session, runner_->logits(row));
  }
}

void Engine::accept_logits(Session& session, std::span<float> logits) {
  const TokenRequest& request = session.request;
  // As the model gave them: sampling changes the logits.
  std::optional<LogprobReport> report;
  if (request.wants_logprobs) {
    raw_logits_.assign(logits.begin(), logits.end());
    report.emplace(raw_logits_, request.top_logprobs);
  }
  const uint32_t token =
      sampler_.sample(logits, request.sampling, session.tokens, session.tokens.size(), request.prompt.size());
  accept_token(session, token, report ? &*report : nullptr);
}

void Engine::accept_token(Session& session, uint32_t token, const LogprobReport* report) {
  const TokenRequest& request = session.request;
  if (std::ranges::find(request.end_ids, token) != request.end_ids.end()) return end(session, Finish::stop);
  session.tokens.push_back(token);
  session.ready.push_back(token);
  if (report != nullptr) session.ready_logprobs.push_back(report->of(token));
  RequestProgress& progress = session.progress;
  ++progress.generated_tokens;
  const bool enough = request.max_new_tokens != 0 && progress.generated_tokens >= request.max_new_tokens;
  if (enough || session.tokens.size() >= options_.context_tokens) end(session, Finish::length);
}

Result<void> Engine::compute_logits_impl(SessionId id, std::span<const uint32_t> tokens, size_t first_row,
                                         RowCallback on_row, void* context) {
  Session& session = at(id);
  if (session.answering()) {
    return make_error(ErrorKind::invalid_argument, "session",
                      "still answers its last request; poll or cancel it first");
  }
  TT_TRY(check_tokens(tokens));
  session.tokens.assign(tokens.begin(), tokens.end());
  const auto compute = [&]() -> Result<void> {
    std::optional<PageCopy> copy;
    while (session.pending() > 0) {
      if (!scheduler_.reserve_now(session, session.computed + 1, first_row, copy)) {
        return make_error(ErrorKind::out_of_memory, "kv cache", "pinned prefixes hold too many pages");
      }
      if (copy) TT_TRY(runner_->copy(std::span(&*copy, 1)));
      // Chunks end where the wanted rows begin, so that rows are computed for whole chunks.
      const bool rows = session.computed >= first_row;
      const uint64_t most = rows ? kScoreChunkTokens : first_row - session.computed;
      const uint32_t count =
          static_cast<uint32_t>(std::min({most, uint64_t{options_.step_tokens}, session.pending()}));
      if (!scheduler_.reserve_now(session, session.computed + count, first_row, copy)) {
        return make_error(ErrorKind::out_of_memory, "kv cache", "pinned prefixes hold too many pages");
      }
      const BatchPart part{.tokens = tokens.subspan(session.computed, count),
                           .drafts = {},
                           .first_position = session.computed,
                           .pages = session.pages,
                           .num_logit_rows = rows ? count : 0};
      TT_TRY(runner_->run(std::span(&part, 1)));
      for (uint32_t row = 0; rows && row < count; ++row) {
        on_row(context, session.computed + row, runner_->logits(row));
      }
      scheduler_.computed(session, count);
    }
    return {};
  };
  Result<void> computed = compute();
  scheduler_.remove(session, computed.has_value());
  return computed;
}

}  // namespace tattletale
