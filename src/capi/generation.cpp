// Sessions, requests, steps and polls of the C interface.
#include <algorithm>
#include <thread>

#include "capi/boundary.h"
#include "capi/handles.h"

namespace tattletale {
namespace {

/// Passes new tokens of a session through detokenizer and stop strings, and flushes once when it ends.
void collect(tt_session& session) {
  Engine& engine = *session.model->engine;
  size_t num_taken = 0;
  for (const uint32_t token : engine.take_tokens(session.id)) {
    session.tokens.push_back(token);
    ++num_taken;
    if (!session.decoder) continue;
    session.text += session.stops->push(session.decoder->push(token));
    if (!session.stops->stopped()) continue;
    engine.finish(session.id, Finish::stop_string);
    break;  // what one step gave beyond the stop is dropped
  }
  std::vector<TokenLogprobs> logprobs = engine.take_logprobs(session.id);
  logprobs.resize(std::min(logprobs.size(), num_taken));
  std::ranges::move(logprobs, std::back_inserter(session.logprobs));
  if (engine.progress(session.id).finish == Finish::running || session.finish_seen) return;
  session.finish_seen = true;
  if (!session.decoder) return;
  session.text += session.stops->push(session.decoder->flush());
  session.text += session.stops->flush();
}

/// One engine step and what follows from it. The lock is held.
Result<bool> step_locked(tt_model& model, uint64_t budget_us) {
  Result<bool> more = model.engine->step(budget_us);
  for (tt_session* session : model.sessions) {
    if (session->finish_seen) continue;
    if (!more && model.engine->progress(session->id).finish == Finish::error) session->failure = more.error();
    collect(*session);
  }
  if (!more) return more;
  return model.engine->has_work();
}

void run_thread(tt_model& model) {
  std::unique_lock lock(model.mutex);
  while (!model.stopping) {
    if (!model.engine->has_work()) {
      model.wake.wait(lock);
      continue;
    }
    // A failed step ended its requests and is reported to them by tt_poll.
    try {
      static_cast<void>(step_locked(model, 0));
    } catch (const std::exception& fault) {
      for (tt_session* session : model.sessions) {
        if (session->finish_seen) continue;
        session->failure = make_error(ErrorKind::internal, "", fault.what());
        model.engine->finish(session->id, Finish::error);
        collect(*session);
      }
    }
    // Lets callers in between two steps; a mutex alone is not fair.
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
}

tt_finish finish_of(Finish finish) {
  switch (finish) {
    case Finish::running: return TT_RUNNING;
    case Finish::stop: return TT_FINISH_STOP;
    case Finish::stop_string: return TT_FINISH_STOP_STRING;
    case Finish::length: return TT_FINISH_LENGTH;
    case Finish::cancelled: return TT_FINISH_CANCELLED;
    case Finish::error: return TT_FINISH_ERROR;
    case Finish::deadline: return TT_FINISH_DEADLINE;
  }
  return TT_FINISH_ERROR;
}

/// The common part of both polls; the lock is held.
Result<void> poll_locked(tt_session& session, tt_progress* progress) {
  const RequestProgress state = session.model->engine->progress(session.id);
  if (progress != nullptr) {
    const size_t size = std::min(progress->struct_size, sizeof(tt_progress));
    if (size < sizeof(size_t))
      return make_error(ErrorKind::invalid_argument, "progress", "struct_size is not set");
    tt_progress filled{size,
                       finish_of(state.finish),
                       state.prompt_tokens,
                       state.cached_tokens,
                       state.computed_tokens,
                       state.generated_tokens,
                       state.forwarded_tokens,
                       state.preemptions,
                       state.drafts,
                       state.accepted_drafts};
    std::memcpy(progress, &filled, size);
  }
  if (state.finish == Finish::error && session.failure) return *session.failure;
  return {};
}

Result<tt_model*> generating(tt_model* model) {
  if (model == nullptr) return missing("model");
  if (model->engine == nullptr) {
    return make_error(ErrorKind::invalid_argument, "model",
                      "was opened for tokenizing only; load it with tt_model_load");
  }
  return model;
}

}  // namespace
}  // namespace tattletale

using namespace tattletale;  // the rest of the file is the C interface

tt_status tt_session_create(tt_model* model, tt_session** out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    TT_TRY(generating(model));
    if (out == nullptr) return missing("out");
    auto session = std::make_unique<tt_session>();
    const std::scoped_lock lock(model->mutex);
    session->model = model;
    model->sessions.push_back(session.get());
    session->id = model->engine->create_session();
    *out = session.release();
    return {};
  });
}

void tt_session_free(tt_session* session) {
  if (session == nullptr) return;
  const std::scoped_lock lock(session->model->mutex);
  session->model->engine->free_session(session->id);
  std::erase(session->model->sessions, session);
  delete session;
}

tt_status tt_submit(tt_session* session, const tt_request* request, tt_error* error) {
  return tt_submit_choices(&session, 1, request, error);
}

tt_status tt_submit_choices(tt_session* const* sessions, size_t num_sessions, const tt_request* given,
                            tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (sessions == nullptr || num_sessions == 0) return missing("sessions");
    std::vector<SessionId> ids;
    for (size_t i = 0; i < num_sessions; ++i) {
      if (sessions[i] == nullptr) return missing("session");
      if (sessions[i]->model != sessions[0]->model)
        return make_error(ErrorKind::invalid_argument, "sessions", "are of different models");
      ids.push_back(sessions[i]->id);
    }
    if (given == nullptr) return missing("request");
    tt_model& model = *sessions[0]->model;
    tt_request defaults;
    tt_request_defaults(&model, &defaults);
    TT_ASSIGN(const tt_request request, grown(given, defaults, "request"));
    TT_ASSIGN(ReadRequest read, read_request(model, request));
    {
      const std::scoped_lock lock(model.mutex);
      TT_TRY(model.engine->submit_choices(ids, std::move(read.request)));
      for (size_t i = 0; i < num_sessions; ++i) {
        tt_session& session = *sessions[i];
        session.finish_seen = false;
        session.failure.reset();
        session.text.clear();
        session.tokens.clear();
        session.logprobs.clear();
        session.stops.emplace(read.stops);
        if (model.text.tokenizer != nullptr) session.decoder.emplace(model.text.tokenizer);
      }
    }
    model.wake.notify_all();
    return {};
  });
}

tt_status tt_step(tt_model* model, int* more, tt_error* error) {
  return tt_step_for(model, 0, more, error);
}

tt_status tt_step_for(tt_model* model, uint64_t budget_us, int* more, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    TT_TRY(generating(model));
    const std::scoped_lock lock(model->mutex);
    if (model->thread.joinable()) {
      return make_error(ErrorKind::invalid_argument, "model", "a background thread already runs its steps");
    }
    TT_ASSIGN(const bool has_more, step_locked(*model, budget_us));
    if (more != nullptr) *more = has_more ? 1 : 0;
    return {};
  });
}

tt_status tt_start_thread(tt_model* model, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    TT_TRY(generating(model));
    const std::scoped_lock lock(model->mutex);
    if (!model->thread.joinable()) model->thread = std::thread([model] { run_thread(*model); });
    return {};
  });
}

tt_status tt_poll(tt_session* session, tt_string* text, tt_progress* progress, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (session == nullptr) return missing("session");
    const std::scoped_lock lock(session->model->mutex);
    if (text != nullptr) TT_TRY(give(std::exchange(session->text, {}), text));
    return poll_locked(*session, progress);
  });
}

tt_status tt_poll_tokens(tt_session* session, tt_tokens* tokens, tt_progress* progress, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (session == nullptr) return missing("session");
    const std::scoped_lock lock(session->model->mutex);
    if (tokens != nullptr) TT_TRY(give(std::exchange(session->tokens, {}), tokens));
    return poll_locked(*session, progress);
  });
}

tt_status tt_poll_logprobs(tt_session* session, tt_logprobs* logprobs, tt_progress* progress,
                           tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (session == nullptr) return missing("session");
    if (logprobs == nullptr) return missing("logprobs");
    const std::scoped_lock lock(session->model->mutex);
    *logprobs = {};
    const std::vector<TokenLogprobs> taken = std::exchange(session->logprobs, {});
    const auto allocate = [](size_t count) {
      void* memory = std::calloc(std::max<size_t>(count, 1), sizeof(tt_token_logprob));
      if (memory == nullptr) throw std::bad_alloc();
      return static_cast<tt_token_logprob*>(memory);
    };
    logprobs->num_tokens = taken.size();
    logprobs->num_top = taken.empty() ? 0 : taken.front().top.size();
    logprobs->chosen = allocate(taken.size());
    logprobs->top = allocate(taken.size() * logprobs->num_top);
    const auto given = [](const TokenLogprob& from) { return tt_token_logprob{from.id, from.logprob}; };
    for (size_t i = 0; i < taken.size(); ++i) {
      logprobs->chosen[i] = given(taken[i].chosen);
      std::ranges::transform(taken[i].top, logprobs->top + i * logprobs->num_top, given);
    }
    return poll_locked(*session, progress);
  });
}

void tt_logprobs_free(tt_logprobs* logprobs) {
  if (logprobs == nullptr) return;
  std::free(logprobs->chosen);
  std::free(logprobs->top);
  *logprobs = {};
}

void tt_cancel(tt_session* session) {
  if (session == nullptr) return;
  const std::scoped_lock lock(session->model->mutex);
  session->model->engine->finish(session->id, Finish::cancelled);
  collect(*session);
}

tt_status tt_score(tt_session* session, const uint32_t* tokens, size_t num_tokens, float* logprobs,
                   tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (session == nullptr) return missing("session");
    if (tokens == nullptr) return missing("tokens");
    if (logprobs == nullptr) return missing("logprobs");
    const std::scoped_lock lock(session->model->mutex);
    const std::span<const uint32_t> ids(tokens, num_tokens);
    return session->model->engine->compute_logits(
        session->id, ids, 0, [&](size_t row, std::span<float> logits) {
          if (row + 1 < num_tokens) logprobs[row] = static_cast<float>(log_probability(logits, ids[row + 1]));
        });
  });
}

tt_status tt_logits(tt_session* session, const uint32_t* tokens, size_t num_tokens, float* out,
                    size_t vocab_size, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (session == nullptr) return missing("session");
    if (tokens == nullptr || num_tokens == 0) return missing("tokens");
    if (out == nullptr) return missing("logits");
    const std::scoped_lock lock(session->model->mutex);
    if (vocab_size != session->model->decoder->config().vocab_size) {
      return make_error(ErrorKind::invalid_argument, "vocab_size",
                        "is " + std::to_string(vocab_size) + "; the model has " +
                            std::to_string(session->model->decoder->config().vocab_size) + " ids");
    }
    return session->model->engine->compute_logits(
        session->id, {tokens, num_tokens}, num_tokens - 1,
        [&](size_t, std::span<float> logits) { std::ranges::copy(logits, out); });
  });
}
