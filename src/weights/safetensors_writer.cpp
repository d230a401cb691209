#include "weights/safetensors_writer.h"

#include <cstring>
#include <set>

#include "base/json.h"
#include "weights/safetensors.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

/// A JSON string; `text` is UTF-8.
std::string json_string(std::string_view text) {
  return Json(text).dump();
}

std::string join(std::span<const int64_t> numbers) {
  std::string text;
  for (const int64_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

}  // namespace

void SafetensorsWriter::add_tensor(std::string name, DType dtype, Shape shape, TensorFill fill) {
  tensors_.push_back({std::move(name), dtype, shape, std::move(fill)});
}

Result<void> SafetensorsWriter::produce(const ByteSink& sink) const {
  std::string header = "{";
  if (!metadata_.empty()) {
    std::string pairs;
    std::set<std::string_view> keys;
    for (const auto& [key, value] : metadata_) {
      if (!is_utf8(key) || !is_utf8(value) || !keys.insert(key).second) {
        return make_error(ErrorKind::invalid_argument, "metadata key " + quote_for_error(key),
                          "was added twice or is not UTF-8");
      }
      pairs += (pairs.empty() ? "" : ",") + json_string(key) + ":" + json_string(value);
    }
    header += "\"__metadata__\":{" + pairs + "}";
  }
  std::set<std::string_view> names{"__metadata__"};
  std::vector<uint64_t> sizes;
  uint64_t offset = 0;
  uint64_t largest = 0;
  for (const TensorSource& tensor : tensors_) {
    const std::string where = "tensor " + quote_for_error(tensor.name);
    const auto dtype = safetensors_from_dtype(tensor.dtype);
    const std::optional<uint64_t> size = tensor.shape.num_bytes(tensor.dtype);
    if (!names.insert(tensor.name).second)
      return make_error(ErrorKind::invalid_argument, where, "was added twice");
    if (tensor.name.empty() || !is_utf8(tensor.name)) {
      return make_error(ErrorKind::invalid_argument, where, "expected a name in UTF-8");
    }
    if (!dtype || !size) {
      return make_error(ErrorKind::invalid_argument, where,
                        "safetensors cannot hold shape " + tensor.shape.to_string() + " of " +
                            std::string(dtype_name(tensor.dtype)));
    }
    header += (header.size() > 1 ? "," : "") + json_string(tensor.name) + ":{\"dtype\":\"" +
              std::string(*dtype) + "\",\"shape\":[" + join(tensor.shape.dims()) + "],\"data_offsets\":[" +
              std::to_string(offset) + "," + std::to_string(offset + *size) + "]}";
    offset += *size;
    largest = std::max(largest, *size);
    sizes.push_back(*size);
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the data section starts at a multiple of eight
  const uint64_t length = header.size();
  TT_TRY(sink(std::as_bytes(std::span(&length, 1))));
  TT_TRY(sink(std::as_bytes(std::span(header))));
  std::vector<std::byte> data(largest);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].fill(std::span(data).first(sizes[i]));
    TT_TRY(sink(std::span(data).first(sizes[i])));
  }
  return {};
}

Result<void> SafetensorsWriter::write(const std::filesystem::path& path) const {
  return write_file_atomically(path, [this](const ByteSink& sink) { return produce(sink); });
}

Result<std::vector<std::byte>> SafetensorsWriter::to_bytes() const {
  std::vector<std::byte> bytes;
  TT_TRY(produce([&](std::span<const std::byte> piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  }));
  return bytes;
}

}  // namespace tattletale
