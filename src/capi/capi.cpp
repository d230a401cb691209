// The C interface: checks arguments, holds the model's lock, turns Errors and broken invariants into
// statuses.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "capi/boundary.h"
#include "capi/handles.h"
#include "capi/open_device.h"
#include "model/architecture.h"

namespace tattletale {
namespace {

constexpr uint32_t kDefaultPageTokens = 64;
constexpr uint32_t kDefaultStepTokens = 512;
constexpr uint32_t kDefaultAcceleratorStepTokens = 2048;  // enough to fill a large card

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
  result.step_tokens = options.step_tokens;
  if (result.step_tokens == 0)
    result.step_tokens = caps.backend == "cpu" ? kDefaultStepTokens : kDefaultAcceleratorStepTokens;
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
  TT_ASSIGN(EngineOptions engine, engine_options(options, loaded.config, model->device->caps()));
  TT_ASSIGN(model->text, load_text_assets(model->files));
  TT_ASSIGN(model->suggested, suggested_sampling(model->files));
  TT_ASSIGN(model->decoder,
            Decoder::load(*model->device, model->files, loaded.config, loaded.names, engine.context_tokens));
  for (const uint32_t id : loaded.config.end_ids) model->text.end_ids.push_back(id);
  if (options.draft_model != nullptr) {
    TT_ASSIGN(model->draft_files, open_files_or_synthetic(options.draft_model));
    TT_ASSIGN(const LoadedConfig draft, read_architecture(model->draft_files));
    TT_ASSIGN(model->draft_decoder, Decoder::load(*model->device, model->draft_files, draft.config,
                                                  draft.names, engine.context_tokens));
    engine.draft = model->draft_decoder.get();
  }
  TT_ASSIGN(model->engine, Engine::create(*model->device, *model->decoder, engine));
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
