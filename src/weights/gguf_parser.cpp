#include "weights/gguf_parser.h"

#include <bit>
#include <cstring>

#include "weights/tensor_extents.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

constexpr int kMaxArrayDepth = 4;
constexpr uint64_t kMaxNameBytes = 65535;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 24;
constexpr uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;         // length, name, type, value
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;  // length, name, rank, type, offset

/// Bytes of one scalar, 0 for strings, arrays and unknown numbers.
uint64_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean: return 1;
    case GgufType::u16:
    case GgufType::i16: return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32: return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64: return 8;
    default: return 0;
  }
}

}  // namespace

Error GgufParser::fault(ErrorKind kind, std::string what) const {
  return make_error(kind, where_ + ", byte " + std::to_string(offset_), std::move(what));
}

Error GgufParser::truncated(uint64_t wanted, std::string_view of_what) const {
  return fault(ErrorKind::bad_file, std::string(of_what) + " needs " + std::to_string(wanted) +
                                        " bytes but only " + std::to_string(remaining()) +
                                        " are left; the file is cut off or damaged, fetch it again");
}

template <class T>
Result<T> GgufParser::read(std::string_view of_what) {
  if (remaining() < sizeof(T)) return truncated(sizeof(T), of_what);
  T value;
  std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
  offset_ += sizeof(T);
  return value;
}

Result<std::string_view> GgufParser::read_string(std::string_view of_what) {
  TT_ASSIGN(const uint64_t length, read<uint64_t>(of_what));
  if (length > remaining()) return truncated(length, of_what);
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + offset_), length);
  offset_ += length;
  return text;
}

Result<void> GgufParser::parse() {
  TT_TRY(parse_header());
  TT_TRY(parse_metadata());
  TT_TRY(parse_alignment());
  TT_TRY(parse_tensor_table());
  return place_tensors();
}

Result<void> GgufParser::parse_header() {
  TT_ASSIGN(const uint32_t magic, read<uint32_t>("the magic number"));
  if (magic != 0x46554747u) {  // "GGUF"
    offset_ = 0;
    return fault(ErrorKind::bad_file, "not a GGUF file: it starts with " +
                                          quote_for_error({reinterpret_cast<const char*>(&magic), 4}) +
                                          ", expected \"GGUF\"");
  }
  TT_ASSIGN(file_.version_, read<uint32_t>("the version"));
  if (const uint32_t swapped = std::byteswap(file_.version_); swapped == 2 || swapped == 3) {
    return fault(ErrorKind::unsupported,
                 "a big-endian GGUF file; only little-endian ones can be read, convert it");
  }
  if (file_.version_ != 2 && file_.version_ != 3) {
    return fault(ErrorKind::unsupported,
                 "GGUF version " + std::to_string(file_.version_) + "; versions 2 and 3 can be read");
  }
  TT_ASSIGN(num_tensors_, read<uint64_t>("the number of tensors"));
  TT_ASSIGN(num_keys_, read<uint64_t>("the number of metadata keys"));
  if (num_keys_ > remaining() / kMinKeyBytes) {
    return fault(ErrorKind::bad_file, "claims " + std::to_string(num_keys_) +
                                          " metadata keys, more than fit into " +
                                          std::to_string(remaining()) + " remaining bytes");
  }
  return {};
}

Result<void> GgufParser::parse_metadata() {
  file_.keys_.reserve(num_keys_);
  file_.metadata_.reserve(num_keys_);
  for (uint64_t i = 0; i < num_keys_; ++i) {
    const uint64_t key_offset = offset_;
    TT_ASSIGN(const std::string_view key, read_string("metadata key " + std::to_string(i)));
    if (key.empty() || key.size() > kMaxNameBytes || !is_utf8(key)) {
      offset_ = key_offset;
      return fault(ErrorKind::bad_file, "metadata key " + std::to_string(i) + " is " + quote_for_error(key) +
                                            ", expected 1 to 65535 bytes of UTF-8");
    }
    const auto [entry, is_new] = file_.metadata_.try_emplace(key);
    if (!is_new) {
      offset_ = key_offset;
      return fault(ErrorKind::bad_file, "metadata key " + quote_for_error(key) + " occurs twice");
    }
    TT_ASSIGN(const uint32_t type, read<uint32_t>("the type of a metadata value"));
    TT_TRY(parse_value(static_cast<GgufType>(type), key, 0, entry->second));
    file_.keys_.push_back(key);
  }
  return {};
}

Result<void> GgufParser::parse_value(GgufType type, std::string_view key, int depth, GgufValue& value) {
  value.type = type;
  if (type == GgufType::string) {
    TT_ASSIGN(value.string, read_string("the value of key " + quote_for_error(key)));
    return {};
  }
  if (type == GgufType::array) return parse_array(key, depth, value);
  const uint64_t num_bytes = scalar_bytes(type);
  if (num_bytes == 0) {
    return fault(ErrorKind::bad_file, "key " + quote_for_error(key) + " has value type " +
                                          std::to_string(static_cast<uint32_t>(type)) +
                                          "; GGUF knows 0 to 12");
  }
  if (num_bytes > remaining()) return truncated(num_bytes, "the value of key " + quote_for_error(key));
  value.bytes = bytes_.subspan(offset_, num_bytes);
  if (type == GgufType::boolean && static_cast<uint8_t>(value.bytes[0]) > 1) {
    return fault(ErrorKind::bad_file, "key " + quote_for_error(key) + " is a bool with the byte " +
                                          std::to_string(static_cast<int>(value.bytes[0])) +
                                          ", expected 0 or 1");
  }
  offset_ += num_bytes;
  return {};
}

Result<void> GgufParser::parse_array(std::string_view key, int depth, GgufValue& value) {
  if (depth >= kMaxArrayDepth) {
    return fault(ErrorKind::limit_exceeded, "key " + quote_for_error(key) + " nests arrays deeper than " +
                                                std::to_string(kMaxArrayDepth) + " levels");
  }
  TT_ASSIGN(const uint32_t element_type, read<uint32_t>("an array's element type"));
  TT_ASSIGN(value.count, read<uint64_t>("an array's length"));
  value.element_type = static_cast<GgufType>(element_type);
  const bool is_string = value.element_type == GgufType::string;
  const bool is_array = value.element_type == GgufType::array;
  const uint64_t least_bytes = is_string ? 8 : is_array ? 12 : scalar_bytes(value.element_type);
  if (least_bytes == 0) {
    return fault(ErrorKind::bad_file, "key " + quote_for_error(key) + " is an array of type " +
                                          std::to_string(element_type) + "; GGUF knows 0 to 12");
  }
  if (value.count > remaining() / least_bytes) {
    return fault(ErrorKind::bad_file, "key " + quote_for_error(key) + " claims an array of " +
                                          std::to_string(value.count) + " elements, more than fit into " +
                                          std::to_string(remaining()) + " remaining bytes");
  }
  if (is_string) return parse_string_array(key, value);
  if (is_array) {
    value.values.resize(value.count);
    for (GgufValue& inner : value.values) TT_TRY(parse_value(GgufType::array, key, depth + 1, inner));
    return {};
  }
  value.bytes = bytes_.subspan(offset_, value.count * least_bytes);
  if (value.element_type == GgufType::boolean) {
    for (size_t i = 0; i < value.bytes.size(); ++i) {
      if (static_cast<uint8_t>(value.bytes[i]) <= 1) continue;
      return fault(ErrorKind::bad_file, "key " + quote_for_error(key) +
                                            " is an array of bools with the byte " +
                                            std::to_string(static_cast<int>(value.bytes[i])) + " at " +
                                            std::to_string(i) + ", expected 0 or 1");
    }
  }
  offset_ += value.bytes.size();
  return {};
}

Result<void> GgufParser::parse_string_array(std::string_view key, GgufValue& value) {
  // Vocabularies have hundreds of thousands of entries: one allocation, one pass, no Result per string.
  auto strings = std::make_unique_for_overwrite<std::string_view[]>(value.count);
  const std::byte* const base = bytes_.data();
  uint64_t at = offset_;
  for (uint64_t i = 0; i < value.count; ++i) {
    uint64_t length = 0;
    const bool has_length = bytes_.size() - at >= sizeof(length);
    if (has_length) std::memcpy(&length, base + at, sizeof(length));
    if (!has_length || length > bytes_.size() - at - sizeof(length)) {
      offset_ = at;
      return truncated(sizeof(length) + std::min(length, UINT64_MAX - sizeof(length)),
                       "string " + std::to_string(i) + " of key " + quote_for_error(key));
    }
    strings[i] = {reinterpret_cast<const char*>(base + at + sizeof(length)), length};
    at += sizeof(length) + length;
  }
  offset_ = at;
  value.strings = {strings.get(), value.count};
  file_.string_arrays_.push_back(std::move(strings));
  return {};
}

Result<void> GgufParser::parse_alignment() {
  if (!file_.has("general.alignment")) return {};
  TT_ASSIGN(file_.alignment_, file_.get_u64("general.alignment"));
  if (file_.alignment_ % 8 != 0 || !std::has_single_bit(file_.alignment_) ||
      file_.alignment_ > kMaxAlignment) {
    return make_error(ErrorKind::bad_file, where_ + ", key general.alignment",
                      "is " + std::to_string(file_.alignment_) + ", expected a power of two from 8 to " +
                          std::to_string(kMaxAlignment));
  }
  return {};
}

Result<void> GgufParser::parse_tensor_table() {
  if (num_tensors_ > remaining() / kMinTensorBytes) {
    return fault(ErrorKind::bad_file, "claims " + std::to_string(num_tensors_) +
                                          " tensors, more than fit into " + std::to_string(remaining()) +
                                          " remaining bytes");
  }
  file_.tensors_.reserve(num_tensors_);
  file_.tensor_index_.reserve(num_tensors_);
  data_offsets_.reserve(num_tensors_);
  for (uint64_t i = 0; i < num_tensors_; ++i) TT_TRY(parse_tensor());
  return {};
}

Result<void> GgufParser::parse_tensor() {
  const uint64_t entry_offset = offset_;
  const std::string ordinal = "tensor " + std::to_string(file_.tensors_.size());
  GgufTensor tensor;
  TT_ASSIGN(tensor.name, read_string("the name of " + ordinal));
  if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes || !is_utf8(tensor.name)) {
    offset_ = entry_offset;
    return fault(ErrorKind::bad_file, ordinal + " is named " + quote_for_error(tensor.name) +
                                          ", expected 1 to 65535 bytes of UTF-8");
  }
  if (!file_.tensor_index_.try_emplace(tensor.name, file_.tensors_.size()).second) {
    offset_ = entry_offset;
    return fault(ErrorKind::bad_file, "tensor " + quote_for_error(tensor.name) + " occurs twice");
  }
  TT_TRY(parse_shape(tensor));
  TT_ASSIGN(tensor.type_number, read<uint32_t>("the type of " + ordinal));
  tensor.dtype = dtype_from_ggml(tensor.type_number);
  TT_ASSIGN(const uint64_t data_offset, read<uint64_t>("the offset of " + ordinal));
  if (data_offset % file_.alignment_ != 0) {
    return fault(ErrorKind::bad_file, "tensor " + quote_for_error(tensor.name) + " starts at data offset " +
                                          std::to_string(data_offset) +
                                          ", which is not a multiple of the alignment " +
                                          std::to_string(file_.alignment_));
  }
  data_offsets_.push_back(data_offset);
  file_.tensors_.push_back(tensor);
  return {};
}

Result<void> GgufParser::parse_shape(GgufTensor& tensor) {
  const std::string name = "tensor " + quote_for_error(tensor.name);
  TT_ASSIGN(const uint32_t rank, read<uint32_t>("the rank of " + name));
  if (rank > Shape::kMaxRank) {
    return fault(ErrorKind::bad_file, name + " has " + std::to_string(rank) +
                                          " dimensions, expected at most " + std::to_string(Shape::kMaxRank));
  }
  int64_t dims[Shape::kMaxRank];
  for (uint32_t i = 0; i < rank; ++i) {
    TT_ASSIGN(const uint64_t dim, read<uint64_t>("a dimension of " + name));
    if (dim > static_cast<uint64_t>(INT64_MAX)) {
      return fault(ErrorKind::bad_file,
                   name + " has a dimension of " + std::to_string(dim) + ", past 2^63 - 1");
    }
    dims[rank - 1 - i] = static_cast<int64_t>(dim);  // GGUF stores the innermost first
  }
  tensor.shape = Shape(std::span<const int64_t>(dims, rank));
  if (!tensor.shape.num_elements()) {
    return fault(ErrorKind::bad_file,
                 name + " of shape " + tensor.shape.to_string() + " has more than 2^63 - 1 elements");
  }
  return {};
}

Result<void> GgufParser::place_tensors() {
  const uint64_t mask =
      file_.alignment_ - 1;  // offset_ is within the file, so rounding it up cannot overflow
  const uint64_t data_start = std::min<uint64_t>((offset_ + mask) & ~mask, bytes_.size());
  const std::span<const std::byte> data = bytes_.subspan(data_start);
  std::vector<TensorExtent> extents;
  extents.reserve(file_.tensors_.size());
  for (size_t i = 0; i < file_.tensors_.size(); ++i) {
    GgufTensor& tensor = file_.tensors_[i];
    const uint64_t begin = data_offsets_[i];
    const std::string where = where_ + ", tensor " + quote_for_error(tensor.name);
    uint64_t size = 0;
    if (tensor.dtype) {
      const std::optional<uint64_t> num_bytes = tensor.shape.num_bytes(*tensor.dtype);
      if (!num_bytes) {
        return make_error(ErrorKind::bad_file, where,
                          "shape " + tensor.shape.to_string() + " of " +
                              std::string(dtype_name(*tensor.dtype)) + " is not whole blocks of " +
                              std::to_string(dtype_info(*tensor.dtype).block_elements) + " or too large");
      }
      size = *num_bytes;
    }
    if (begin > data.size() || size > data.size() - begin) {
      return make_error(ErrorKind::bad_file, where,
                        "takes " + std::to_string(size) + " bytes at data offset " + std::to_string(begin) +
                            ", past the end of the file: the data section has " +
                            std::to_string(data.size()) + " bytes and starts at byte " +
                            std::to_string(data_start) + "; the file is cut off or damaged, fetch it again");
    }
    tensor.bytes = data.subspan(begin, size);
    file_.weight_bytes_ += size;
    extents.push_back({begin, begin + size, i});
  }
  if (const auto overlap = find_overlap(extents)) {
    const auto& [first, second] = *overlap;
    return make_error(ErrorKind::bad_file,
                      where_ + ", tensor " + quote_for_error(file_.tensors_[second.tensor].name),
                      "data bytes " + std::to_string(second.begin) + " to " + std::to_string(second.end) +
                          " overlap tensor " + quote_for_error(file_.tensors_[first.tensor].name) +
                          ", bytes " + std::to_string(first.begin) + " to " + std::to_string(first.end));
  }
  return {};
}

}  // namespace tattletale
