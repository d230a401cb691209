#include "weights/config_reader.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

constexpr size_t kMaxShownBytes = 80;

/// A value as an error message shows it.
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMaxShownBytes) text = text.substr(0, kMaxShownBytes) + "...";
  return text;
}

Result<int64_t> to_int(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) return Error{};
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  return Error{};
}

template <class T>
T load(const GgufValue& value, size_t index) {
  T number;
  std::memcpy(&number, value.bytes.data() + index * sizeof(T), sizeof(T));
  return number;
}

Json gguf_scalar(const GgufValue& value, GgufType type, size_t i) {
  switch (type) {
    case GgufType::u8: return load<uint8_t>(value, i);
    case GgufType::i8: return load<int8_t>(value, i);
    case GgufType::u16: return load<uint16_t>(value, i);
    case GgufType::i16: return load<int16_t>(value, i);
    case GgufType::u32: return load<uint32_t>(value, i);
    case GgufType::i32: return load<int32_t>(value, i);
    case GgufType::u64: return load<uint64_t>(value, i);
    case GgufType::i64: return load<int64_t>(value, i);
    case GgufType::f32: return load<float>(value, i);
    case GgufType::f64: return load<double>(value, i);
    case GgufType::boolean: return load<uint8_t>(value, i) != 0;
    default: return nullptr;
  }
}

Json gguf_to_json(const GgufValue& value) {
  if (value.type == GgufType::string) return std::string(value.string);
  if (value.type != GgufType::array) return gguf_scalar(value, value.type, 0);
  Json array = Json::array();
  for (const std::string_view text : value.strings) array.push_back(std::string(text));
  for (const GgufValue& inner : value.values) array.push_back(gguf_to_json(inner));
  if (!value.bytes.empty()) {
    for (size_t i = 0; i < value.count; ++i) array.push_back(gguf_scalar(value, value.element_type, i));
  }
  return array;
}

}  // namespace

ConfigReader::ConfigReader(const Json& object, std::string where, std::string path)
    : object_(&object), where_(std::move(where)), path_(std::move(path)) {
  CHECK(object.is_object());
}

ConfigReader::ConfigReader(const GgufFile& file, std::string prefix)
    : gguf_(&file), where_(file.path()), path_(std::move(prefix)) {}

std::string ConfigReader::full_key(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

bool ConfigReader::has(std::string_view key) const {
  if (gguf_ != nullptr) return gguf_->has(full_key(key));
  const auto found = object_->find(key);
  return found != object_->end() && !found->is_null();
}

std::optional<Json> ConfigReader::lookup(std::string_view key) {
  read_.emplace(key);
  if (!has(key)) return std::nullopt;
  return gguf_ != nullptr ? gguf_to_json(*gguf_->find(full_key(key))) : *object_->find(key);
}

Result<Json> ConfigReader::require(std::string_view key) {
  if (auto value = lookup(key)) return std::move(*value);
  return key_error(ErrorKind::not_found, key, "is missing, and the model cannot be computed without it");
}

Error ConfigReader::key_error(ErrorKind kind, std::string_view key, std::string what) const {
  return make_error(kind, where_ + ", key " + quote_for_error(full_key(key)), std::move(what));
}

Error ConfigReader::wrong_type(std::string_view key, const Json& found, std::string_view expected) const {
  return key_error(ErrorKind::bad_file, key, "is " + shown(found) + ", expected " + std::string(expected));
}

Error ConfigReader::refused(std::string_view key, const Json& found, std::string_view expected) const {
  return key_error(ErrorKind::unsupported, key,
                   "is " + shown(found) + ", which is not supported; expected " + std::string(expected));
}

Result<int64_t> ConfigReader::required_int(std::string_view key, int64_t least, int64_t most) {
  TT_ASSIGN(const Json value, require(key));
  const Result<int64_t> number = to_int(value);
  if (!number) return wrong_type(key, value, "a whole number");
  if (*number < least || *number > most) {
    return wrong_type(key, value,
                      "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *number;
}

Result<double> ConfigReader::required_float(std::string_view key) {
  TT_ASSIGN(const Json value, require(key));
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    return wrong_type(key, value, "a finite number");
  return value.get<double>();
}

Result<bool> ConfigReader::required_bool(std::string_view key) {
  TT_ASSIGN(const Json value, require(key));
  if (!value.is_boolean()) return wrong_type(key, value, "true or false");
  return value.get<bool>();
}

Result<std::string> ConfigReader::required_string(std::string_view key) {
  TT_ASSIGN(const Json value, require(key));
  if (!value.is_string()) return wrong_type(key, value, "a string");
  return value.get<std::string>();
}

Result<std::vector<int64_t>> ConfigReader::required_ints(std::string_view key) {
  TT_ASSIGN(const Json value, require(key));
  std::vector<int64_t> numbers;
  for (const Json& element : value.is_array() ? value : Json::array({nullptr})) {
    const Result<int64_t> number = to_int(element);
    if (!number) return wrong_type(key, value, "an array of whole numbers");
    numbers.push_back(*number);
  }
  return numbers;
}

Result<std::vector<double>> ConfigReader::required_floats(std::string_view key) {
  TT_ASSIGN(const Json value, require(key));
  std::vector<double> numbers;
  for (const Json& element : value.is_array() ? value : Json::array({nullptr})) {
    if (!element.is_number() || !std::isfinite(element.get<double>())) {
      return wrong_type(key, value, "an array of finite numbers");
    }
    numbers.push_back(element.get<double>());
  }
  return numbers;
}

Result<std::vector<std::string>> ConfigReader::required_strings(std::string_view key) {
  TT_ASSIGN(const Json value, require(key));
  std::vector<std::string> strings;
  for (const Json& element : value.is_array() ? value : Json::array({nullptr})) {
    if (!element.is_string()) return wrong_type(key, value, "an array of strings");
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

Result<int64_t> ConfigReader::optional_int(std::string_view key, int64_t otherwise, int64_t least,
                                           int64_t most) {
  return lookup(key) ? required_int(key, least, most) : Result<int64_t>(otherwise);
}

Result<double> ConfigReader::optional_float(std::string_view key, double otherwise) {
  return lookup(key) ? required_float(key) : Result<double>(otherwise);
}

Result<bool> ConfigReader::optional_bool(std::string_view key, bool otherwise) {
  return lookup(key) ? required_bool(key) : Result<bool>(otherwise);
}

Result<std::string> ConfigReader::optional_string(std::string_view key, std::string otherwise) {
  return lookup(key) ? required_string(key) : Result<std::string>(std::move(otherwise));
}

Result<std::vector<int64_t>> ConfigReader::optional_int_or_ints(std::string_view key) {
  const std::optional<Json> value = lookup(key);
  if (!value) return std::vector<int64_t>{};
  if (value->is_array()) return required_ints(key);
  const Result<int64_t> number = to_int(*value);
  if (!number) return wrong_type(key, *value, "a whole number or an array of them");
  return std::vector<int64_t>{*number};
}

Result<std::optional<ConfigReader>> ConfigReader::optional_object(std::string_view key) {
  read_.emplace(key);
  if (gguf_ != nullptr) {
    ConfigReader inner(*gguf_, full_key(key));
    if (inner.unread_keys().empty()) return std::optional<ConfigReader>();
    return std::optional<ConfigReader>(std::move(inner));
  }
  if (!has(key)) return std::optional<ConfigReader>();
  const Json& value = *object_->find(key);
  if (!value.is_object()) return wrong_type(key, value, "an object");
  return std::optional<ConfigReader>(ConfigReader(value, where_, full_key(key)));
}

Result<void> ConfigReader::expect_string(std::string_view key,
                                         std::initializer_list<std::string_view> allowed) {
  const std::optional<Json> value = lookup(key);
  if (!value) return {};
  std::string list;
  for (const std::string_view choice : allowed) {
    if (value->is_string() && value->get_ref<const std::string&>() == choice) return {};
    list += (list.empty() ? "" : " or ") + quote_for_error(choice);
  }
  return refused(key, *value, list);
}

Result<void> ConfigReader::expect_bool(std::string_view key, bool allowed) {
  const std::optional<Json> value = lookup(key);
  if (!value || *value == Json(allowed)) return {};
  return refused(key, *value, allowed ? "true" : "false");
}

Result<void> ConfigReader::expect_int(std::string_view key, int64_t allowed) {
  const std::optional<Json> value = lookup(key);
  if (!value) return {};
  const Result<int64_t> number = to_int(*value);
  if (number && *number == allowed) return {};
  return refused(key, *value, std::to_string(allowed));
}

Result<void> ConfigReader::expect_float(std::string_view key, double allowed) {
  const std::optional<Json> value = lookup(key);
  if (!value || (value->is_number() && value->get<double>() == allowed)) return {};
  return refused(key, *value, shown(Json(allowed)));
}

Result<void> ConfigReader::refuse(std::string_view key, std::string_view why) {
  const std::optional<Json> value = lookup(key);
  if (!value) return {};
  const bool is_off = (value->is_boolean() && !value->get<bool>()) ||
                      (value->is_number() && value->get<double>() == 0) ||
                      (value->is_string() && value->get_ref<const std::string&>().empty()) ||
                      (value->is_structured() && value->empty());
  if (is_off) return {};
  return key_error(ErrorKind::unsupported, key,
                   "is " + shown(*value) + ", which is not supported: " + std::string(why));
}

std::vector<std::string> ConfigReader::unread_keys() const {
  std::vector<std::string> unread;
  const auto note = [&](std::string_view key) {
    if (!read_.contains(key)) unread.emplace_back(key);
  };
  if (gguf_ != nullptr) {
    const std::string prefix = path_.empty() ? "" : path_ + ".";
    for (const std::string_view key : gguf_->keys()) {
      if (key.starts_with(prefix)) note(key.substr(prefix.size()));
    }
  } else {
    for (const auto& item : object_->items()) note(item.key());
  }
  return unread;
}

}  // namespace tattletale
