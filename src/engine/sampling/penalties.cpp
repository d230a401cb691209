#include "engine/sampling/penalties.h"

#include <algorithm>
#include <cmath>

namespace tattletale {
namespace {

std::span<const uint32_t> last(std::span<const uint32_t> tokens, size_t count) {
  return count == 0 || count >= tokens.size() ? tokens : tokens.last(count);
}

/// match[i] := how far r[i..] agrees with r[0..], in O(n) (the Z function; Gusfield 1997, sec. 1.4).
void match_own_beginning(std::span<const uint32_t> r, std::vector<uint32_t>& match) {
  match.assign(r.size(), 0);
  size_t left = 0, right = 0;  // r[left, right) is the match that reaches furthest
  for (size_t i = 1; i < r.size(); ++i) {
    size_t length = i < right ? std::min<size_t>(right - i, match[i - left]) : 0;
    while (i + length < r.size() && r[length] == r[i + length]) ++length;
    match[i] = static_cast<uint32_t>(length);
    if (i + length > right) {
      left = i;
      right = i + length;
    }
  }
}

}  // namespace

void Penalties::apply(std::span<float> logits, const SamplingOptions& options,
                      std::span<const uint32_t> history, size_t num_prompt) {
  for (const auto& [token, bias] : options.logit_bias) {
    if (token < logits.size()) logits[token] += bias;
  }
  if (options.repetition_penalty != 1.0f) apply_repetition(logits, options, history);
  if (options.presence_penalty != 0.0f || options.frequency_penalty != 0.0f)
    apply_counts(logits, options, history.subspan(std::min(num_prompt, history.size())));
  if (options.dry.multiplier != 0.0f) apply_dry(logits, options.dry, history);
}

void Penalties::apply_repetition(std::span<float> logits, const SamplingOptions& options,
                                 std::span<const uint32_t> history) {
  const std::span<const uint32_t> window = last(history, options.repetition_window);
  seen_.assign(window.begin(), window.end());
  std::sort(seen_.begin(), seen_.end());
  seen_.erase(std::unique(seen_.begin(), seen_.end()), seen_.end());
  for (const uint32_t id : seen_) {
    if (id >= logits.size()) continue;
    float& logit = logits[id];
    logit = logit > 0.0f ? logit / options.repetition_penalty : logit * options.repetition_penalty;
  }
}

void Penalties::apply_counts(std::span<float> logits, const SamplingOptions& options,
                             std::span<const uint32_t> answer) {
  seen_.assign(answer.begin(), answer.end());
  std::sort(seen_.begin(), seen_.end());
  for (size_t begin = 0, end = 0; begin < seen_.size(); begin = end) {
    while (end < seen_.size() && seen_[end] == seen_[begin]) ++end;
    if (seen_[begin] >= logits.size()) continue;
    logits[seen_[begin]] -=
        options.presence_penalty + options.frequency_penalty * static_cast<float>(end - begin);
  }
}

void Penalties::apply_dry(std::span<float> logits, const DryOptions& options,
                          std::span<const uint32_t> history) {
  const std::span<const uint32_t> window = last(history, options.window);
  reversed_.assign(window.rbegin(), window.rend());
  const auto breaker = std::ranges::find_if(
      reversed_, [&](uint32_t id) { return std::ranges::binary_search(options.breakers, id); });
  // A repetition ends before the last breaker.
  const uint32_t longest = static_cast<uint32_t>(breaker - reversed_.begin());
  if (longest < options.allowed_length) return;
  match_own_beginning(reversed_, match_);
  repeats_.clear();
  for (size_t i = 1; i < reversed_.size(); ++i) {
    const uint32_t length = std::min(match_[i], longest);
    // The token that came after this earlier occurrence would lengthen the repetition.
    if (length >= options.allowed_length) repeats_.push_back({reversed_[i - 1], length});
  }
  std::ranges::sort(repeats_, std::greater());
  for (size_t i = 0; i < repeats_.size(); ++i) {
    const auto [token, length] = repeats_[i];
    if ((i > 0 && repeats_[i - 1].first == token) || token >= logits.size()) continue;
    logits[token] -=
        options.multiplier * std::pow(options.base, static_cast<float>(length - options.allowed_length));
  }
}

}  // namespace tattletale
