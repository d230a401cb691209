// Range-checked reads of configuration numbers, and the largest numbers a configuration may name. A hostile
// or broken file is refused here, before any of its numbers sizes an allocation or divides another; the
// limits are far above every published model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/decoder_config.h"
#include "weights/config_reader.h"

namespace tattletale {

inline constexpr uint64_t kMaxLayers = 1000;
inline constexpr uint64_t kMaxDim = uint64_t{1} << 20;  // hidden, feed-forward, heads times head size
inline constexpr uint64_t kMaxHeads = uint64_t{1} << 14;
inline constexpr uint64_t kMaxHeadDim = 1024;
inline constexpr uint64_t kMaxVocab = uint64_t{1} << 24;
inline constexpr uint64_t kMaxContextTokens = uint64_t{1} << 31;  // positions are 32 bits wide

// Without a fallback the key must be there. Errors: not_found; bad_file for a wrong type or a number out of
// range.
Result<uint64_t> read_int(ConfigReader& config, std::string_view key, uint64_t min, uint64_t max,
                          std::optional<uint64_t> fallback = std::nullopt);
Result<double> read_number(ConfigReader& config, std::string_view key, double min, double max,
                           std::optional<double> fallback = std::nullopt);

/// An unsupported error about the value of a key: "is <value>; <expected>".
Error unsupported_value(const ConfigReader& config, std::string_view key, std::string_view value,
                        std::string_view expected);

/// Refuses keys that nobody read and whose value is not null, false, zero or empty: every such key when
/// `strict`, else those whose names speak of the computation and are not in `harmless`. Bookkeeping keys
/// pass.
Result<void> refuse_unread_keys(ConfigReader& config, std::span<const std::string_view> harmless,
                                bool strict);

/// What has to hold between the numbers: query heads share key heads evenly, rotated dimensions fit a head,
/// and so on. Errors: bad_file or unsupported naming `where` and the numbers.
Result<void> check_decoder_config(const std::string& where, const DecoderConfig& config);

}  // namespace tattletale
