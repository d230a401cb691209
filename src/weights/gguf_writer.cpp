#include "weights/gguf_writer.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

static_assert(std::endian::native == std::endian::little);

void put_bytes(std::vector<std::byte>& out, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

template <class T>
void put(std::vector<std::byte>& out, T value) {
  put_bytes(out, &value, sizeof(T));
}

void put_string(std::vector<std::byte>& out, std::string_view text) {
  put<uint64_t>(out, text.size());
  put_bytes(out, text.data(), text.size());
}

uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

void GgufWriter::begin_value(std::string_view key, GgufType type) {
  if (!keys_.emplace(key).second && duplicate_key_.empty()) duplicate_key_ = key;
  ++num_keys_;
  put_string(metadata_, key);
  put(metadata_, static_cast<uint32_t>(type));
}

void GgufWriter::begin_array(std::string_view key, GgufType element_type, uint64_t count) {
  begin_value(key, GgufType::array);
  put(metadata_, static_cast<uint32_t>(element_type));
  put(metadata_, count);
}

void GgufWriter::add_u8(std::string_view key, uint8_t value) {
  begin_value(key, GgufType::u8);
  put(metadata_, value);
}
void GgufWriter::add_u16(std::string_view key, uint16_t value) {
  begin_value(key, GgufType::u16);
  put(metadata_, value);
}
void GgufWriter::add_u32(std::string_view key, uint32_t value) {
  begin_value(key, GgufType::u32);
  put(metadata_, value);
}
void GgufWriter::add_i32(std::string_view key, int32_t value) {
  begin_value(key, GgufType::i32);
  put(metadata_, value);
}
void GgufWriter::add_u64(std::string_view key, uint64_t value) {
  begin_value(key, GgufType::u64);
  put(metadata_, value);
}
void GgufWriter::add_i64(std::string_view key, int64_t value) {
  begin_value(key, GgufType::i64);
  put(metadata_, value);
}
void GgufWriter::add_f32(std::string_view key, float value) {
  begin_value(key, GgufType::f32);
  put(metadata_, value);
}
void GgufWriter::add_f64(std::string_view key, double value) {
  begin_value(key, GgufType::f64);
  put(metadata_, value);
}
void GgufWriter::add_bool(std::string_view key, bool value) {
  begin_value(key, GgufType::boolean);
  put<uint8_t>(metadata_, value);
}
void GgufWriter::add_string(std::string_view key, std::string_view value) {
  begin_value(key, GgufType::string);
  put_string(metadata_, value);
}
void GgufWriter::add_string_array(std::string_view key, std::span<const std::string> values) {
  begin_array(key, GgufType::string, values.size());
  for (const std::string& value : values) put_string(metadata_, value);
}
void GgufWriter::add_string_array(std::string_view key, std::span<const std::string_view> values) {
  begin_array(key, GgufType::string, values.size());
  for (const std::string_view value : values) put_string(metadata_, value);
}
void GgufWriter::add_i32_array(std::string_view key, std::span<const int32_t> values) {
  begin_array(key, GgufType::i32, values.size());
  put_bytes(metadata_, values.data(), values.size_bytes());
}
void GgufWriter::add_u32_array(std::string_view key, std::span<const uint32_t> values) {
  begin_array(key, GgufType::u32, values.size());
  put_bytes(metadata_, values.data(), values.size_bytes());
}
void GgufWriter::add_f32_array(std::string_view key, std::span<const float> values) {
  begin_array(key, GgufType::f32, values.size());
  put_bytes(metadata_, values.data(), values.size_bytes());
}
void GgufWriter::add_bool_array(std::string_view key, std::span<const bool> values) {
  begin_array(key, GgufType::boolean, values.size());
  for (const bool value : values) put<uint8_t>(metadata_, value);
}

void GgufWriter::set_alignment(uint32_t alignment) {
  CHECK(alignment >= 8 && std::has_single_bit(alignment));
  alignment_ = alignment;
  add_u32("general.alignment", alignment);
}

void GgufWriter::add_tensor(std::string name, DType dtype, Shape shape, TensorFill fill) {
  tensors_.push_back({std::move(name), dtype, shape, std::move(fill)});
}

Result<void> GgufWriter::produce(const ByteSink& sink) const {
  if (!duplicate_key_.empty()) {
    return make_error(ErrorKind::invalid_argument, "key " + duplicate_key_, "was added twice");
  }
  std::vector<std::byte> head;
  put_bytes(head, "GGUF", 4);
  put<uint32_t>(head, 3);
  put<uint64_t>(head, tensors_.size());
  put<uint64_t>(head, num_keys_);
  head.insert(head.end(), metadata_.begin(), metadata_.end());
  std::set<std::string_view> names;
  std::vector<uint64_t> sizes;
  uint64_t offset = 0;
  uint64_t largest = 0;
  for (const TensorSource& tensor : tensors_) {
    const std::string where = "tensor " + quote_for_error(tensor.name);
    const std::optional<uint32_t> type = ggml_from_dtype(tensor.dtype);
    const std::optional<uint64_t> size = tensor.shape.num_bytes(tensor.dtype);
    if (!names.insert(tensor.name).second)
      return make_error(ErrorKind::invalid_argument, where, "was added twice");
    if (!type) {
      return make_error(ErrorKind::invalid_argument, where,
                        "GGUF has no element type " + std::string(dtype_name(tensor.dtype)));
    }
    if (!size) {
      return make_error(ErrorKind::invalid_argument, where,
                        "rows of shape " + tensor.shape.to_string() + " are not whole blocks of " +
                            std::string(dtype_name(tensor.dtype)));
    }
    put_string(head, tensor.name);
    put<uint32_t>(head, static_cast<uint32_t>(tensor.shape.rank()));
    for (int i = tensor.shape.rank() - 1; i >= 0; --i)
      put<uint64_t>(head, static_cast<uint64_t>(tensor.shape[i]));
    put(head, *type);
    put(head, offset);
    offset = align_up(offset + *size, alignment_);
    largest = std::max(largest, *size);
    sizes.push_back(*size);
  }
  head.resize(align_up(head.size(), alignment_));
  TT_TRY(sink(head));
  std::vector<std::byte> data(align_up(largest, alignment_));
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const std::span<std::byte> padded = std::span(data).first(align_up(sizes[i], alignment_));
    tensors_[i].fill(padded.first(sizes[i]));
    std::ranges::fill(padded.subspan(sizes[i]), std::byte{0});
    TT_TRY(sink(padded));
  }
  return {};
}

Result<void> GgufWriter::write(const std::filesystem::path& path) const {
  return write_file_atomically(path, [this](const ByteSink& sink) { return produce(sink); });
}

Result<std::vector<std::byte>> GgufWriter::to_bytes() const {
  std::vector<std::byte> bytes;
  TT_TRY(produce([&](std::span<const std::byte> piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  }));
  return bytes;
}

}  // namespace tattletale
