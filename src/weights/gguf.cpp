#include "weights/gguf.h"

#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/file_map.h"
#include "weights/gguf_parser.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

/// An integer of any stored type, wide enough for all of them.
using Wide = __int128;

bool is_integer(GgufType type) {
  return type != GgufType::f32 && type != GgufType::f64 && type != GgufType::boolean &&
         type != GgufType::string && type != GgufType::array;
}

size_t element_bytes(GgufType type) {
  switch (type) {
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    default: return 1;
  }
}

Wide load_integer(GgufType type, const std::byte* bytes) {
  switch (type) {
    case GgufType::i8: return load<int8_t>(bytes);
    case GgufType::u16: return load<uint16_t>(bytes);
    case GgufType::i16: return load<int16_t>(bytes);
    case GgufType::u32: return load<uint32_t>(bytes);
    case GgufType::i32: return load<int32_t>(bytes);
    case GgufType::u64: return load<uint64_t>(bytes);
    case GgufType::i64: return load<int64_t>(bytes);
    default: return load<uint8_t>(bytes);
  }
}

std::string describe(const GgufValue& value) {
  if (value.type != GgufType::array) return std::string(gguf_type_name(value.type));
  return "array of " + std::string(gguf_type_name(value.element_type));
}

/// "name-00002-of-00003.gguf" taken apart.
struct PartName {
  std::string stem;  // "name"
  uint32_t number;   // 2
  uint32_t count;    // 3
};

std::optional<uint32_t> five_digits(std::string_view text) {
  uint32_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.size() != 5 || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<PartName> part_name(const std::string& file_name) {
  constexpr std::string_view kPattern = "-00001-of-00002.gguf";
  if (file_name.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = std::string_view(file_name).substr(file_name.size() - kPattern.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") return std::nullopt;
  const auto number = five_digits(tail.substr(1, 5));
  const auto count = five_digits(tail.substr(10, 5));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return PartName{file_name.substr(0, file_name.size() - kPattern.size()), *number, *count};
}

std::string part_file_name(const PartName& part, uint32_t number) {
  char numbers[32];
  std::snprintf(numbers, sizeof(numbers), "-%05u-of-%05u.gguf", number, part.count);
  return part.stem + numbers;
}

Result<std::shared_ptr<const GgufFile>> open_one(const std::filesystem::path& path) {
  TT_ASSIGN(std::shared_ptr<const FileMap> map, FileMap::open(path));
  return GgufFile::parse(map->bytes(), map, map->path());
}

Result<uint64_t> split_count(const GgufFile& file) {
  return file.has("split.count") ? file.get_u64("split.count") : Result<uint64_t>(1);
}

}  // namespace

Result<std::shared_ptr<const GgufFile>> GgufFile::parse(std::span<const std::byte> bytes,
                                                        std::shared_ptr<const void> owner,
                                                        std::string where) {
  auto file = std::make_shared<GgufFile>();
  file->path_ = where;
  file->owners_.push_back(std::move(owner));
  TT_TRY(GgufParser(bytes, std::move(where), *file).parse());
  return std::shared_ptr<const GgufFile>(std::move(file));
}

Result<std::shared_ptr<const GgufFile>> GgufFile::open(const std::filesystem::path& path) {
  TT_ASSIGN(std::shared_ptr<const GgufFile> given, open_one(path));
  TT_ASSIGN(const uint64_t count, split_count(*given));
  if (count <= 1) return given;
  const auto name = part_name(path.filename().string());
  if (!name || name->count != count) {
    return make_error(ErrorKind::bad_file, path.string(),
                      "is one of " + std::to_string(count) + " parts (split.count) but is not named like \"" +
                          "model-00001-of-" + std::to_string(100000 + count).substr(1) +
                          ".gguf\", so its other parts cannot be found");
  }
  return open_parts(path.parent_path(), name->stem, name->count);
}

Result<std::shared_ptr<const GgufFile>> GgufFile::open_parts(const std::filesystem::path& folder,
                                                             const std::string& stem, uint32_t count) {
  std::shared_ptr<GgufFile> whole;
  for (uint32_t number = 0; number < count; ++number) {
    const std::filesystem::path path = folder / part_file_name({stem, number + 1, count}, number + 1);
    TT_ASSIGN(std::shared_ptr<const GgufFile> opened, open_one(path));
    TT_ASSIGN(const uint64_t stored_number, opened->get_u64("split.no"));
    TT_ASSIGN(const uint64_t stored_count, split_count(*opened));
    if (stored_number != number || stored_count != count) {
      return make_error(ErrorKind::bad_file, path.string(),
                        "says it is part " + std::to_string(stored_number) + " of " +
                            std::to_string(stored_count) +
                            " (split.no, split.count, counted from 0), expected part " +
                            std::to_string(number) + " of " + std::to_string(count));
    }
    // Each part was made non-const by parse() and is ours alone until it is returned.
    auto part = std::const_pointer_cast<GgufFile>(std::move(opened));
    if (number == 0) {
      whole = std::move(part);
    } else {
      TT_TRY(whole->append_part(*part, number));
    }
  }
  if (whole->has("split.tensors.count")) {
    TT_ASSIGN(const uint64_t expected, whole->get_u64("split.tensors.count"));
    if (expected != whole->tensors_.size()) {
      return make_error(ErrorKind::bad_file, whole->path_,
                        "the parts hold " + std::to_string(whole->tensors_.size()) + " tensors, expected " +
                            std::to_string(expected) + " (split.tensors.count)");
    }
  }
  return std::shared_ptr<const GgufFile>(std::move(whole));
}

Result<void> GgufFile::append_part(GgufFile& part, uint32_t number) {
  owners_.insert(owners_.end(), part.owners_.begin(), part.owners_.end());
  weight_bytes_ += part.weight_bytes_;
  for (GgufTensor& tensor : part.tensors_) {
    tensor.part = number;
    if (!tensor_index_.try_emplace(tensor.name, tensors_.size()).second) {
      return make_error(ErrorKind::bad_file, part.path_,
                        "tensor " + quote_for_error(tensor.name) + " also occurs in an earlier part");
    }
    tensors_.push_back(tensor);
  }
  return {};
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

Result<const GgufValue*> GgufFile::require(std::string_view key) const {
  if (const GgufValue* value = find(key)) return value;
  return make_error(ErrorKind::not_found, path_, "has no metadata key " + quote_for_error(key));
}

Error GgufFile::type_error(std::string_view key, const GgufValue& value, std::string_view expected) const {
  return make_error(ErrorKind::bad_file, path_ + ", key " + std::string(key),
                    "is of type " + describe(value) + ", expected " + std::string(expected));
}

Result<uint64_t> GgufFile::get_u64(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  if (!is_integer(value->type)) return type_error(key, *value, "an integer");
  const Wide number = load_integer(value->type, value->bytes.data());
  if (number < 0) {
    return make_error(ErrorKind::bad_file, path_ + ", key " + std::string(key),
                      "is " + std::to_string(static_cast<int64_t>(number)) + ", expected 0 or more");
  }
  return static_cast<uint64_t>(number);
}

Result<int64_t> GgufFile::get_i64(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  if (!is_integer(value->type)) return type_error(key, *value, "an integer");
  const Wide number = load_integer(value->type, value->bytes.data());
  if (number > INT64_MAX) {
    return make_error(ErrorKind::bad_file, path_ + ", key " + std::string(key),
                      "is " + std::to_string(static_cast<uint64_t>(number)) + ", past 2^63 - 1");
  }
  return static_cast<int64_t>(number);
}

Result<float> GgufFile::get_f32(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  if (value->type == GgufType::f32) return load<float>(value->bytes.data());
  if (value->type == GgufType::f64) return static_cast<float>(load<double>(value->bytes.data()));
  return type_error(key, *value, "f32 or f64");
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::boolean) return type_error(key, *value, "bool");
  return value->bytes[0] != std::byte{0};
}

Result<std::string_view> GgufFile::get_string(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::string) return type_error(key, *value, "string");
  return value->string;
}

Result<std::span<const std::string_view>> GgufFile::get_string_array(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  if (value->type != GgufType::array || value->element_type != GgufType::string) {
    return type_error(key, *value, "array of string");
  }
  return value->strings;
}

Result<std::vector<int64_t>> GgufFile::get_int_array(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  const bool integers = is_integer(value->element_type) || value->element_type == GgufType::boolean;
  if (value->type != GgufType::array || !integers) return type_error(key, *value, "array of integers");
  const size_t stride = element_bytes(value->element_type);
  std::vector<int64_t> numbers(value->count);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const Wide number = load_integer(value->element_type, value->bytes.data() + i * stride);
    if (number > INT64_MAX) {
      return make_error(ErrorKind::bad_file, path_ + ", key " + std::string(key),
                        "element " + std::to_string(i) + " is past 2^63 - 1");
    }
    numbers[i] = static_cast<int64_t>(number);
  }
  return numbers;
}

Result<std::vector<float>> GgufFile::get_f32_array(std::string_view key) const {
  TT_ASSIGN(const GgufValue* value, require(key));
  const bool wide = value->element_type == GgufType::f64;
  if (value->type != GgufType::array || !(wide || value->element_type == GgufType::f32)) {
    return type_error(key, *value, "array of f32 or f64");
  }
  std::vector<float> numbers(value->count);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = wide ? static_cast<float>(load<double>(value->bytes.data() + i * 8))
                      : load<float>(value->bytes.data() + i * 4);
  }
  return numbers;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

Result<TensorView> GgufFile::tensor(std::string_view name) const {
  const GgufTensor* tensor = find_tensor(name);
  if (tensor == nullptr)
    return make_error(ErrorKind::not_found, path_, "has no tensor " + quote_for_error(name));
  if (!tensor->dtype) {
    return make_error(ErrorKind::unsupported, path_ + ", tensor " + quote_for_error(name),
                      "is stored as " + ggml_type_name(tensor->type_number) + " (ggml type " +
                          std::to_string(tensor->type_number) +
                          "), which cannot be computed; use a file quantized in another format");
  }
  return TensorView{*tensor->dtype, tensor->shape, tensor->bytes};
}

}  // namespace tattletale
