// Typed reads of a model's configuration with errors that name file, key, what was found and what was
// expected. One interface over Hugging Face's config.json and GGUF's metadata; which keys mean what is the
// business of model/.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "weights/gguf.h"

namespace tattletale {

/// Reads one JSON object, or the GGUF keys below one prefix. A key that is absent or null counts as absent.
/// Keeps pointers to its source, which must outlive it. Single-threaded: it remembers which keys were read.
///
///   ConfigReader config(model.config, model.config_path);
///   TT_ASSIGN(const int64_t hidden_size, config.required_int("hidden_size", 1, 1 << 20));
///   TT_ASSIGN(const double rope_theta, config.optional_float("rope_theta", 10000.0));
///   TT_TRY(config.expect_string("hidden_act", {"silu"}));
class ConfigReader {
 public:
  /// `where` names the file in errors; `path` the place of `object` in it ("rope_scaling").
  ConfigReader(const Json& object, std::string where, std::string path = {});
  /// Reads "<prefix>.<key>", e.g. prefix "llama" and key "embedding_length"; no prefix reads full keys.
  ConfigReader(const GgufFile& file, std::string prefix);

  bool has(std::string_view key) const;

  // Required keys. Errors: not_found; bad_file with the type or value found, and what was expected.
  Result<int64_t> required_int(std::string_view key, int64_t least = std::numeric_limits<int64_t>::min(),
                               int64_t most = std::numeric_limits<int64_t>::max());
  Result<double> required_float(std::string_view key);  // whole numbers too; finite
  Result<bool> required_bool(std::string_view key);
  Result<std::string> required_string(std::string_view key);
  Result<std::vector<int64_t>> required_ints(std::string_view key);
  Result<std::vector<double>> required_floats(std::string_view key);
  Result<std::vector<std::string>> required_strings(std::string_view key);

  // Optional keys: the default when absent, the same errors when present and wrong.
  Result<int64_t> optional_int(std::string_view key, int64_t otherwise,
                               int64_t least = std::numeric_limits<int64_t>::min(),
                               int64_t most = std::numeric_limits<int64_t>::max());
  Result<double> optional_float(std::string_view key, double otherwise);
  Result<bool> optional_bool(std::string_view key, bool otherwise);
  Result<std::string> optional_string(std::string_view key, std::string otherwise);

  /// An int or an array of ints, as an array (eos_token_id); empty when absent.
  Result<std::vector<int64_t>> optional_int_or_ints(std::string_view key);

  /// A nested object, or nothing when absent. For GGUF: the keys below prefix.key, when there is any.
  Result<std::optional<ConfigReader>> optional_object(std::string_view key);

  // Refusals: a model that would be computed wrongly must not start. Errors: unsupported naming key and
  // value.
  /// The key must be absent or one of these. `allowed` is what this build computes.
  Result<void> expect_string(std::string_view key, std::initializer_list<std::string_view> allowed);
  /// The key must be absent or have this value.
  Result<void> expect_bool(std::string_view key, bool allowed);
  Result<void> expect_int(std::string_view key, int64_t allowed);
  Result<void> expect_float(std::string_view key, double allowed);
  /// The key must be absent, null, false, 0 or empty; `why` says what this build lacks.
  Result<void> refuse(std::string_view key, std::string_view why);

  /// Keys of this object that no call has named so far, in file order.
  std::vector<std::string> unread_keys() const;

  /// An error about a key, with this file and the key's place in `where`.
  Error key_error(ErrorKind kind, std::string_view key, std::string what) const;

 private:
  std::optional<Json> lookup(std::string_view key);  // nothing when absent or null
  Result<Json> require(std::string_view key);
  std::string full_key(std::string_view key) const;
  Error wrong_type(std::string_view key, const Json& found, std::string_view expected) const;
  Error refused(std::string_view key, const Json& found, std::string_view expected) const;

  const Json* object_ = nullptr;
  const GgufFile* gguf_ = nullptr;
  std::string where_;
  std::string path_;  // of the object in the file, or the GGUF prefix
  std::set<std::string, std::less<>> read_;
};

}  // namespace tattletale
