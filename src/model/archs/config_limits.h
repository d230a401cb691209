// The largest numbers a configuration may name. A hostile or broken file is refused here, before any of its
// numbers sizes an allocation or divides another; the limits are far above every published model.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "model/decoder_config.h"

namespace tattletale {

inline constexpr uint64_t kMaxLayers = 1000;
inline constexpr uint64_t kMaxDim = uint64_t{1} << 20;      // hidden, feed-forward, heads times head size
inline constexpr uint64_t kMaxHeads = uint64_t{1} << 14;
inline constexpr uint64_t kMaxHeadDim = 1024;
inline constexpr uint64_t kMaxVocab = uint64_t{1} << 24;
inline constexpr uint64_t kMaxContextTokens = uint64_t{1} << 32;

/// What has to hold between the numbers: query heads share key heads evenly, rotated dimensions fit a head, and so
/// on. Errors: bad_file or unsupported naming `where` and the numbers.
Result<void> check_decoder_config(const std::string& where, const DecoderConfig& config);

/// True when an unread key with this name may change what is computed, judging by the words in it. Such a key is
/// refused unless it is empty, false or zero; other unknown keys are bookkeeping and pass.
bool names_a_computation(std::string_view key);

}  // namespace tattletale
