// One answer from submit to finish: steps the model, hands text on as it becomes ready, and keeps the time.
// Shared by run and chat.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/interrupt.h"
#include "cli/model.h"

namespace tattletale::cli {

struct Answer {
  std::string text;
  std::vector<uint32_t> tokens;
  tt_progress progress{};
  double first_token_ms = 0;  // from submit
  double total_ms = 0;        // from submit

  /// Prompt tokens that were computed, not found in the cache, over the time to the first token.
  double prefill_tok_s() const;
  /// Tokens after the first over the time after the first; 0 when there are none.
  double decode_tok_s() const;
};

/// The request that the sampling options make of the model's defaults. Pointers into `stops` and `biases`.
/// Failures: kUsage.
Outcome<tt_request> make_request(const LoadedModel& model, const Options& options,
                                 const std::vector<const char*>& stops,
                                 const std::vector<tt_token_bias>& biases);

/// The entries of --logit-bias, for make_request. Failures: kUsage.
Outcome<std::vector<tt_token_bias>> logit_biases(const Options& options);

/// C strings of --stop, for make_request.
std::vector<const char*> stop_strings(const Options& options);

/// {"role": role, "content": text}. Failures: kUsage when the text is not UTF-8, with the byte's place.
Outcome<Json> chat_message(const char* role, const std::string& text, const std::string& where);

/// Called with what has become ready since the last call.
using AnswerSink = std::function<Outcome<void>(std::string_view text, std::span<const uint32_t> tokens)>;

/// Runs the request to its end. Ctrl-C cancels it: the answer so far is returned with TT_FINISH_CANCELLED.
/// A failure of the sink cancels too.
Outcome<Answer> stream_answer(const LoadedModel& model, tt_session* session, const tt_request& request,
                              InterruptGuard& interrupt, const AnswerSink& sink);

/// "stop", "stop_string", "length", "cancelled" or "error".
const char* finish_name(tt_finish finish);

/// One line of token counts and speeds.
std::string statistics_text(const LoadedModel& model, const Answer& answer);

}  // namespace tattletale::cli
