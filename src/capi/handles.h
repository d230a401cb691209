// What stands behind the opaque handles of tattletale.h.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "capi/open_device.h"
#include "device/device.h"
#include "engine/engine.h"
#include "engine/stop_matcher.h"
#include "engine/text_assets.h"
#include "model/decoder.h"
#include "tattletale/tattletale.h"
#include "weights/model_files.h"

struct tt_model {
  // Destroyed from the bottom up: the engine before the decoder before the device.
  tattletale::ModelFiles files, draft_files;
  tattletale::TextAssets text;
  tattletale::SamplingOptions suggested;
  std::unique_ptr<tattletale::Device> device;  // null when only the tokenizer was loaded
  std::unique_ptr<tattletale::Decoder> decoder, draft_decoder;
  std::unique_ptr<tattletale::Engine> engine;
  std::string format;  // the dtype that holds most of the weights

  std::mutex mutex;  // guards everything here and every session of the model
  std::vector<tt_session*> sessions;
  std::condition_variable wake;  // new work, or stopping
  bool stopping = false;
  std::thread thread;
  std::map<std::vector<std::string>, std::vector<uint32_t>> breakers;  // tokens that have one of these texts
};

struct tt_session {
  tt_model* model = nullptr;
  tattletale::SessionId id{};
  std::optional<tattletale::StreamDecoder> decoder;  // none for a model without a tokenizer
  std::optional<tattletale::StopMatcher> stops;
  bool finish_seen = true;       // the text of the last answer was flushed
  std::string text;              // ready, not yet polled
  std::vector<uint32_t> tokens;  // likewise
  std::vector<tattletale::TokenLogprobs> logprobs;
  std::optional<tattletale::Error> failure;  // why the last answer ended with an error
};

namespace tattletale {

/// JSON texts of tt_devices_json, tt_model_info_json and tt_inspect_json.
Json describe_devices(const std::vector<DeviceListing>& devices);
Json describe_model(const tt_model& model);
Result<Json> describe_files(const std::string& path);

/// A request in the engine's words, and its stop strings.
struct ReadRequest {
  TokenRequest request;
  std::vector<std::string> stops;
};
/// Reads a caller's request; the model's lock is not held. Errors: invalid_argument naming the field;
/// those of the tokenizer and the chat template.
Result<ReadRequest> read_request(tt_model& model, const tt_request& request);

/// open_model, or open_synthetic_model for "synthetic:..." names.
Result<ModelFiles> open_files_or_synthetic(const std::string& path);

/// The dtype that holds most bytes of the matrices.
std::string dominant_format(const ModelFiles& files);

}  // namespace tattletale
