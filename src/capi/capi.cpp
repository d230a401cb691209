// The C interface: checks arguments, holds the model's lock, turns Errors and broken invariants into
// statuses.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "capi/handles.h"
#include "capi/open_device.h"
#include "model/architecture.h"

namespace tattletale {
namespace {

constexpr uint32_t kDefaultPageTokens = 64;
constexpr uint32_t kDefaultStepTokens = 512;

tt_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument: return TT_INVALID_ARGUMENT;
    case ErrorKind::not_found: return TT_NOT_FOUND;
    case ErrorKind::bad_file: return TT_BAD_FILE;
    case ErrorKind::unsupported: return TT_UNSUPPORTED;
    case ErrorKind::out_of_memory: return TT_OUT_OF_MEMORY;
    case ErrorKind::io: return TT_IO;
    case ErrorKind::limit_exceeded: return TT_LIMIT_EXCEEDED;
    case ErrorKind::cancelled: return TT_CANCELLED;
    case ErrorKind::device_lost: return TT_DEVICE_LOST;
    case ErrorKind::internal: return TT_INTERNAL;
  }
  return TT_INTERNAL;
}

tt_status report(const Error& fault, tt_error* error) {
  if (error != nullptr) std::snprintf(error->message, sizeof(error->message), "%s", fault.message().c_str());
  return status_of(fault.kind);
}

/// Runs the body of an API call: nothing it throws passes into C.
template <class Body>
tt_status guarded(tt_error* error, Body&& body) {
  try {
    Result<void> result = body();
    if (!result) return report(result.error(), error);
    if (error != nullptr) error->message[0] = '\0';
    return TT_OK;
  } catch (const std::bad_alloc&) {
    return report(make_error(ErrorKind::out_of_memory, "", "the process is out of memory"), error);
  } catch (const std::exception& fault) {
    return report(make_error(ErrorKind::internal, "", fault.what()), error);
  }
}

Error missing(std::string_view argument) {
  return make_error(ErrorKind::invalid_argument, std::string(argument), "is null");
}

Result<void> give(std::string_view text, tt_string* out) {
  if (out == nullptr) return missing("out");
  out->data = static_cast<char*>(std::malloc(text.size() + 1));
  if (out->data == nullptr) throw std::bad_alloc();
  std::memcpy(out->data, text.data(), text.size());
  out->data[text.size()] = '\0';
  out->length = text.size();
  return {};
}

Result<void> give(std::span<const uint32_t> tokens, tt_tokens* out) {
  if (out == nullptr) return missing("out");
  out->data = static_cast<uint32_t*>(std::malloc(std::max<size_t>(tokens.size_bytes(), 1)));
  if (out->data == nullptr) throw std::bad_alloc();
  if (!tokens.empty()) std::memcpy(out->data, tokens.data(), tokens.size_bytes());
  out->length = tokens.size();
  return {};
}

/// Copies a caller's struct that may be older and shorter than ours over our defaults.
template <class Struct>
Result<Struct> grown(const Struct* from, Struct defaults, std::string_view name) {
  if (from == nullptr) return defaults;
  if (from->struct_size < sizeof(size_t) || from->struct_size > sizeof(Struct)) {
    return make_error(ErrorKind::invalid_argument, std::string(name),
                      "struct_size is " + std::to_string(from->struct_size) +
                          "; fill the struct with its _defaults function first");
  }
  std::memcpy(&defaults, from, from->struct_size);
  return defaults;
}

Result<DType> kv_dtype_of(std::string_view name) {
  const std::optional<DType> dtype = dtype_from_name(name);
  if (!dtype || (*dtype != DType::f16 && *dtype != DType::bf16 && *dtype != DType::f32)) {
    return make_error(ErrorKind::invalid_argument, "kv_dtype",
                      "\"" + std::string(name) + "\" is not one of: f16, bf16, f32");
  }
  return *dtype;
}

/// Fills in what the caller left open. A context beyond the model's positions is refused.
Result<EngineOptions> engine_options(const tt_model_options& options, const DecoderConfig& config,
                                     const Caps& caps) {
  EngineOptions result;
  TT_ASSIGN(result.kv_dtype, kv_dtype_of(options.kv_dtype == nullptr ? "f16" : options.kv_dtype));
  result.page_tokens = options.page_tokens == 0 ? kDefaultPageTokens : options.page_tokens;
  result.step_tokens = options.step_tokens == 0 ? kDefaultStepTokens : options.step_tokens;
  const bool power_of_two = (result.page_tokens & (result.page_tokens - 1)) == 0;
  if (result.page_tokens < 16 || result.page_tokens > 256 || !power_of_two) {
    return make_error(ErrorKind::invalid_argument, "page_tokens",
                      std::to_string(result.page_tokens) + " is not a power of two from 16 to 256");
  }
  constexpr uint32_t kMaxStepTokens = 65536;
  if (result.step_tokens > kMaxStepTokens) {
    return make_error(ErrorKind::invalid_argument, "step_tokens",
                      std::to_string(result.step_tokens) + " is above " + std::to_string(kMaxStepTokens));
  }
  if (options.context_tokens > config.context_tokens) {
    return make_error(ErrorKind::invalid_argument, "context_tokens",
                      std::to_string(options.context_tokens) + " is beyond the " +
                          std::to_string(config.context_tokens) + " positions that the model was made for");
  }
  result.context_tokens = options.context_tokens;
  if (result.context_tokens == 0) {
    const uint64_t token_bytes =
        KvPool::page_bytes(config, result.page_tokens, result.kv_dtype) / result.page_tokens;
    const uint64_t affordable = std::max<uint64_t>(caps.max_buffer_bytes / 4 / token_bytes, 512);
    result.context_tokens = std::min(config.context_tokens, affordable);
  }
  result.kv_tokens = options.kv_tokens == 0 ? result.context_tokens : options.kv_tokens;
  return result;
}

Result<std::unique_ptr<tt_model>> load_model(const std::string& path, const tt_model_options& options) {
  auto model = std::make_unique<tt_model>();
  TT_ASSIGN(model->device,
            open_device(options.device == nullptr ? "auto" : options.device, options.num_threads));
  TT_ASSIGN(model->files, open_files_or_synthetic(path));
  model->format = dominant_format(model->files);
  TT_ASSIGN(const LoadedConfig loaded, read_architecture(model->files));
  TT_ASSIGN(const EngineOptions engine, engine_options(options, loaded.config, model->device->caps()));
  TT_ASSIGN(model->text, load_text_assets(model->files));
  TT_ASSIGN(model->suggested, suggested_sampling(model->files));
  TT_ASSIGN(model->decoder,
            Decoder::load(*model->device, model->files, loaded.config, loaded.names, engine.context_tokens));
  for (const uint32_t id : loaded.config.end_ids) model->text.end_ids.push_back(id);
  TT_ASSIGN(model->engine, Engine::create(*model->device, *model->decoder, engine));
  return model;
}

/// Passes new tokens of a session through detokenizer and stop strings, and flushes once when it ends.
void collect(tt_session& session) {
  Engine& engine = *session.model->engine;
  for (const uint32_t token : engine.take_tokens(session.id)) {
    session.tokens.push_back(token);
    if (!session.decoder) continue;
    session.text += session.stops->push(session.decoder->push(token));
    if (session.stops->stopped()) engine.finish(session.id, Finish::stop_string);
  }
  if (engine.progress(session.id).finish == Finish::running || session.finish_seen) return;
  session.finish_seen = true;
  if (!session.decoder) return;
  session.text += session.stops->push(session.decoder->flush());
  session.text += session.stops->flush();
}

/// One engine step and what follows from it. The lock is held.
Result<bool> step_locked(tt_model& model) {
  Result<bool> more = model.engine->step();
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
      static_cast<void>(step_locked(model));
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
                       state.generated_tokens};
    std::memcpy(progress, &filled, size);
  }
  if (state.finish == Finish::error && session.failure) return *session.failure;
  return {};
}

/// The prompt of a request as tokens.
Result<std::vector<uint32_t>> prompt_tokens(const tt_model& model, const tt_request& request) {
  const int given =
      (request.text != nullptr) + (request.messages_json != nullptr) + (request.tokens != nullptr);
  if (given != 1) {
    return make_error(
        ErrorKind::invalid_argument, "request",
        "exactly one of text, messages_json and tokens must be given; " + std::to_string(given) + " are");
  }
  if (request.tokens != nullptr)
    return std::vector<uint32_t>(request.tokens, request.tokens + request.num_tokens);
  if (request.text != nullptr)
    return model.text.encode(request.text, {.add_special = true, .parse_special = true});
  TT_ASSIGN(const Json messages, parse_json(request.messages_json, "messages_json"));
  TT_ASSIGN(const std::string prompt, model.text.render_chat(messages, Json()));
  // The template writes the special tokens itself.
  return model.text.encode(prompt, {.add_special = false, .parse_special = true});
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

void tt_string_free(tt_string* string) {
  if (string == nullptr) return;
  std::free(string->data);
  *string = {};
}

void tt_tokens_free(tt_tokens* tokens) {
  if (tokens == nullptr) return;
  std::free(tokens->data);
  *tokens = {};
}

uint32_t tt_api_version(void) {
  return TT_API_VERSION;
}
const char* tt_version(void) {
  return TATTLETALE_VERSION;
}

const char* tt_status_name(tt_status status) {
  if (status == TT_OK) return "ok";
  for (const ErrorKind kind :
       {ErrorKind::invalid_argument, ErrorKind::not_found, ErrorKind::bad_file, ErrorKind::unsupported,
        ErrorKind::out_of_memory, ErrorKind::io, ErrorKind::limit_exceeded, ErrorKind::cancelled,
        ErrorKind::device_lost, ErrorKind::internal}) {
    if (status_of(kind) == status) return error_kind_name(kind).data();
  }
  return "unknown";
}

tt_status tt_devices_json(tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> { return give(describe_devices(list_devices()).dump(), out); });
}

void tt_model_options_defaults(tt_model_options* options) {
  if (options == nullptr) return;
  *options = {};
  options->struct_size = sizeof(*options);
}

tt_status tt_model_load(const char* path, const tt_model_options* options, tt_model** out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (path == nullptr) return missing("path");
    if (out == nullptr) return missing("out");
    tt_model_options defaults;
    tt_model_options_defaults(&defaults);
    TT_ASSIGN(const tt_model_options full, grown(options, defaults, "options"));
    TT_ASSIGN(std::unique_ptr<tt_model> model, load_model(path, full));
    *out = model.release();
    return {};
  });
}

tt_status tt_tokenizer_load(const char* path, tt_model** out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (path == nullptr) return missing("path");
    if (out == nullptr) return missing("out");
    auto model = std::make_unique<tt_model>();
    TT_ASSIGN(model->files, open_model(path));
    TT_ASSIGN(model->text, load_text_assets(model->files));
    *out = model.release();
    return {};
  });
}

void tt_model_free(tt_model* model) {
  if (model == nullptr) return;
  {
    const std::scoped_lock lock(model->mutex);
    model->stopping = true;
  }
  model->wake.notify_all();
  if (model->thread.joinable()) model->thread.join();
  delete model;
}

tt_status tt_model_info_json(tt_model* model, tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (model == nullptr) return missing("model");
    const std::scoped_lock lock(model->mutex);
    return give(describe_model(*model).dump(-1, ' ', false, Json::error_handler_t::replace), out);
  });
}

tt_status tt_inspect_json(const char* path, tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (path == nullptr) return missing("path");
    TT_ASSIGN(const Json info, describe_files(path));
    return give(info.dump(-1, ' ', false, Json::error_handler_t::replace), out);
  });
}

tt_status tt_tokenize(tt_model* model, const char* text, size_t length, uint32_t flags, tt_tokens* out,
                      tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (model == nullptr) return missing("model");
    if (text == nullptr && length > 0) return missing("text");
    const EncodeOptions options{.add_special = (flags & TT_TOKENIZE_ADD_SPECIAL) != 0,
                                .parse_special = (flags & TT_TOKENIZE_PARSE_SPECIAL) != 0};
    TT_ASSIGN(const std::vector<TokenId> ids, model->text.encode({text, length}, options));
    return give(ids, out);
  });
}

tt_status tt_detokenize(tt_model* model, const uint32_t* tokens, size_t num_tokens, int skip_special,
                        tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (model == nullptr) return missing("model");
    if (tokens == nullptr && num_tokens > 0) return missing("tokens");
    if (model->text.tokenizer == nullptr) {
      return make_error(ErrorKind::unsupported, "tokenizer", "the model has none");
    }
    return give(model->text.tokenizer->decode({tokens, num_tokens}, skip_special != 0), out);
  });
}

tt_status tt_apply_chat_template(tt_model* model, const char* messages_json, const char* tools_json,
                                 tt_string* out, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (model == nullptr) return missing("model");
    if (messages_json == nullptr) return missing("messages_json");
    TT_ASSIGN(const Json messages, parse_json(messages_json, "messages_json"));
    Json tools;
    if (tools_json != nullptr) {
      TT_ASSIGN(tools, parse_json(tools_json, "tools_json"));
    }
    TT_ASSIGN(const std::string prompt, model->text.render_chat(messages, tools));
    return give(prompt, out);
  });
}

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

void tt_request_defaults(tt_model* model, tt_request* request) {
  if (request == nullptr) return;
  const SamplingOptions sampling = model == nullptr ? SamplingOptions{} : model->suggested;
  *request = {};
  request->struct_size = sizeof(*request);
  request->temperature = sampling.temperature;
  request->top_k = sampling.top_k;
  request->top_p = sampling.top_p;
  request->min_p = sampling.min_p;
  request->repetition_penalty = sampling.repetition_penalty;
}

tt_status tt_submit(tt_session* session, const tt_request* given, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    if (session == nullptr) return missing("session");
    if (given == nullptr) return missing("request");
    tt_model& model = *session->model;
    tt_request defaults;
    tt_request_defaults(&model, &defaults);
    TT_ASSIGN(const tt_request request, grown(given, defaults, "request"));
    TokenRequest tokens;
    TT_ASSIGN(tokens.prompt, prompt_tokens(model, request));
    tokens.max_new_tokens = request.max_new_tokens;
    tokens.sampling = {
        request.temperature,       request.top_k, request.top_p, request.min_p, request.repetition_penalty,
        request.repetition_window, request.seed};
    if (request.ignore_end == 0) tokens.end_ids = model.text.end_ids;
    std::vector<std::string> stops;
    for (size_t i = 0; i < request.num_stop; ++i) {
      if (request.stop == nullptr || request.stop[i] == nullptr) return missing("stop");
      if (*request.stop[i] == '\0')
        return make_error(ErrorKind::invalid_argument, "stop", "a stop string is empty");
      stops.emplace_back(request.stop[i]);
    }
    if (!stops.empty() && model.text.tokenizer == nullptr) {
      return make_error(ErrorKind::unsupported, "stop",
                        "stop strings need a tokenizer, which the model lacks");
    }
    {
      const std::scoped_lock lock(model.mutex);
      TT_TRY(model.engine->submit(session->id, std::move(tokens)));
      session->finish_seen = false;
      session->failure.reset();
      session->text.clear();
      session->tokens.clear();
      session->stops.emplace(std::move(stops));
      if (model.text.tokenizer != nullptr) session->decoder.emplace(model.text.tokenizer);
    }
    model.wake.notify_all();
    return {};
  });
}

tt_status tt_step(tt_model* model, int* more, tt_error* error) {
  return guarded(error, [&]() -> Result<void> {
    TT_TRY(generating(model));
    const std::scoped_lock lock(model->mutex);
    if (model->thread.joinable()) {
      return make_error(ErrorKind::invalid_argument, "model", "a background thread already runs its steps");
    }
    TT_ASSIGN(const bool has_more, step_locked(*model));
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
