// A caller's tt_request as the engine's TokenRequest.
#include <algorithm>

#include "capi/boundary.h"
#include "capi/handles.h"

namespace tattletale {
namespace {

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

/// Copies the strings of a field; none may be empty.
Result<std::vector<std::string>> read_strings(const char* const* strings, size_t count,
                                              std::string_view field) {
  std::vector<std::string> read;
  for (size_t i = 0; i < count; ++i) {
    if (strings == nullptr || strings[i] == nullptr) return missing(field);
    if (*strings[i] == '\0')
      return make_error(ErrorKind::invalid_argument, std::string(field), "one of its strings is empty");
    read.emplace_back(strings[i]);
  }
  return read;
}

/// Tokens with one of the texts in them, ascending; looked up once for each set of texts.
std::vector<uint32_t> breaker_tokens(tt_model& model, const std::vector<std::string>& texts) {
  if (model.text.tokenizer == nullptr) return {};
  const std::scoped_lock lock(model.mutex);
  if (const auto found = model.breakers.find(texts); found != model.breakers.end()) return found->second;
  std::vector<uint32_t> tokens;
  for (uint32_t id = 0; id < model.decoder->config().vocab_size; ++id) {
    const std::string text = model.text.tokenizer->decode({&id, 1}, false);
    if (std::ranges::any_of(texts, [&](const std::string& part) { return text.contains(part); }))
      tokens.push_back(id);
  }
  constexpr size_t kMaxSets = 64;  // callers vary little; who varies more pays again
  if (model.breakers.size() >= kMaxSets) model.breakers.clear();
  return model.breakers[texts] = std::move(tokens);
}

Result<SamplingOptions> read_sampling(tt_model& model, const tt_request& request) {
  SamplingOptions sampling;
  sampling.temperature = request.temperature;
  sampling.top_k = request.top_k;
  sampling.top_p = request.top_p;
  sampling.min_p = request.min_p;
  sampling.repetition_penalty = request.repetition_penalty;
  sampling.repetition_window = request.repetition_window;
  sampling.seed = request.seed;
  sampling.typical_p = request.typical_p;
  sampling.presence_penalty = request.presence_penalty;
  sampling.frequency_penalty = request.frequency_penalty;
  sampling.dry.multiplier = request.dry_multiplier;
  sampling.dry.base = request.dry_base;
  sampling.dry.allowed_length = request.dry_allowed_length;
  sampling.dry.window = request.dry_window;
  if (request.dry_multiplier != 0.0f) {
    std::vector<std::string> texts{"\n", ":", "\"", "*"};
    if (request.dry_breakers != nullptr) {
      TT_ASSIGN(texts, read_strings(request.dry_breakers, request.num_dry_breakers, "dry_breakers"));
    }
    sampling.dry.breakers = breaker_tokens(model, texts);
  }
  if (request.num_logit_bias > 0 && request.logit_bias == nullptr) return missing("logit_bias");
  for (size_t i = 0; i < request.num_logit_bias; ++i) {
    const tt_token_bias& entry = request.logit_bias[i];
    if (entry.token >= model.decoder->config().vocab_size) {
      return make_error(ErrorKind::invalid_argument, "logit_bias",
                        "token " + std::to_string(entry.token) + " is past the vocabulary of " +
                            std::to_string(model.decoder->config().vocab_size));
    }
    sampling.logit_bias.push_back({entry.token, entry.bias});
  }
  return sampling;
}

}  // namespace

Result<ReadRequest> read_request(tt_model& model, const tt_request& request) {
  ReadRequest read;
  TT_ASSIGN(read.request.prompt, prompt_tokens(model, request));
  read.request.max_new_tokens = request.max_new_tokens;
  TT_ASSIGN(read.request.sampling, read_sampling(model, request));
  if (request.ignore_end == 0) read.request.end_ids = model.text.end_ids;
  if (request.num_stop_tokens > 0 && request.stop_tokens == nullptr) return missing("stop_tokens");
  for (size_t i = 0; i < request.num_stop_tokens; ++i) read.request.end_ids.push_back(request.stop_tokens[i]);
  read.request.wants_logprobs = request.logprobs != 0;
  read.request.top_logprobs = request.top_logprobs;
  read.request.timeout_us = request.timeout_us;
  switch (request.speculation) {
    case TT_SPECULATE_NONE: break;
    case TT_SPECULATE_PROMPT_LOOKUP: read.request.speculation = Speculation::prompt_lookup; break;
    case TT_SPECULATE_DRAFT_MODEL: read.request.speculation = Speculation::draft_model; break;
    default:
      return make_error(ErrorKind::invalid_argument, "speculation",
                        std::to_string(request.speculation) + " is not a tt_speculation");
  }
  if (request.max_draft_tokens != 0) read.request.max_drafts = request.max_draft_tokens;
  TT_ASSIGN(read.stops, read_strings(request.stop, request.num_stop, "stop"));
  if (!read.stops.empty() && model.text.tokenizer == nullptr) {
    return make_error(ErrorKind::unsupported, "stop", "stop strings need a tokenizer, which the model lacks");
  }
  return read;
}

}  // namespace tattletale

using namespace tattletale;

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
  request->typical_p = sampling.typical_p;
  request->dry_base = sampling.dry.base;
  request->dry_allowed_length = sampling.dry.allowed_length;
}
