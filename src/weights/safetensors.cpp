#include "weights/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/file_map.h"
#include "weights/safetensors_header.h"
#include "weights/tensor_extents.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

constexpr auto kDtypes = std::to_array<std::pair<std::string_view, DType>>({
    {"BOOL", DType::boolean},
    {"U8", DType::u8},
    {"I8", DType::i8},
    {"F8_E5M2", DType::f8_e5m2},
    {"F8_E4M3", DType::f8_e4m3},
    {"I16", DType::i16},
    {"U16", DType::u16},
    {"F16", DType::f16},
    {"BF16", DType::bf16},
    {"I32", DType::i32},
    {"U32", DType::u32},
    {"F32", DType::f32},
    {"F64", DType::f64},
    {"I64", DType::i64},
    {"U64", DType::u64},
});

constexpr size_t kMaxIndexBytes = 100'000'000;

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  const auto* found = std::ranges::find(kDtypes, name, &std::pair<std::string_view, DType>::first);
  return found == kDtypes.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string_view> safetensors_from_dtype(DType dtype) {
  const auto* found = std::ranges::find(kDtypes, dtype, &std::pair<std::string_view, DType>::second);
  return found == kDtypes.end() ? std::nullopt : std::optional(found->first);
}

/// Turns a header into checked entries of one file.
class SafetensorsParser {
 public:
  SafetensorsParser(std::span<const std::byte> bytes, std::string where, SafetensorsFile& file)
      : bytes_(bytes), where_(std::move(where)), file_(file) {}

  Result<void> parse() {
    TT_ASSIGN(const std::string_view json, header_text());
    TT_ASSIGN(SafetensorsHeader header, parse_safetensors_header(json, where_ + ", header"));
    file_.metadata_ = std::move(header.metadata);
    data_ = bytes_.subspan(8 + json.size());
    file_.tensors_.reserve(header.tensors.size());
    for (SafetensorsHeaderEntry& entry : header.tensors) TT_TRY(add_tensor(std::move(entry)));
    TT_TRY(check_coverage());
    for (size_t i = 0; i < file_.tensors_.size(); ++i) file_.index_.emplace(file_.tensors_[i].name, i);
    return {};
  }

 private:
  Result<std::string_view> header_text() {
    uint64_t length = 0;
    if (bytes_.size() < sizeof(length)) {
      return make_error(ErrorKind::bad_file, where_,
                        "not a safetensors file: it has " + std::to_string(bytes_.size()) +
                            " bytes, and the header's length alone takes 8");
    }
    std::memcpy(&length, bytes_.data(), sizeof(length));
    if (length > kMaxSafetensorsHeaderBytes) {
      return make_error(ErrorKind::limit_exceeded, where_,
                        "not a safetensors file, or a damaged one: its header claims " +
                            std::to_string(length) + " bytes, at most " +
                            std::to_string(kMaxSafetensorsHeaderBytes) + " are allowed");
    }
    if (length > bytes_.size() - sizeof(length)) {
      return make_error(ErrorKind::bad_file, where_,
                        "the header claims " + std::to_string(length) + " bytes but only " +
                            std::to_string(bytes_.size() - sizeof(length)) +
                            " follow; the file is cut off or damaged, fetch it again");
    }
    const std::string_view json(reinterpret_cast<const char*>(bytes_.data() + sizeof(length)), length);
    if (json.empty() || json[0] != '{') {
      return make_error(ErrorKind::bad_file, where_,
                        "not a safetensors file: the header starts with " +
                            quote_for_error(json.substr(0, 1)) + ", expected \"{\"");
    }
    return json;
  }

  Result<void> add_tensor(SafetensorsHeaderEntry entry) {
    const std::string where = where_ + ", tensor " + quote_for_error(entry.name);
    const uint64_t begin = entry.data_offsets[0];
    const uint64_t end = entry.data_offsets[1];
    if (begin > end || end > data_.size()) {
      return make_error(ErrorKind::bad_file, where,
                        "data_offsets are " + std::to_string(begin) + " to " + std::to_string(end) +
                            ", outside the data section of " + std::to_string(data_.size()) +
                            " bytes; the file is cut off or damaged, fetch it again");
    }
    SafetensorsEntry tensor;
    TT_ASSIGN(tensor.shape, to_shape(entry.shape, where));
    tensor.dtype = dtype_from_safetensors(entry.dtype);
    if (tensor.dtype) {
      const std::optional<uint64_t> size = tensor.shape.num_bytes(*tensor.dtype);
      if (!size || *size != end - begin) {
        return make_error(ErrorKind::bad_file, where,
                          "shape " + tensor.shape.to_string() + " of " + entry.dtype + " takes " +
                              (size ? std::to_string(*size) : "more than 2^63") +
                              " bytes, but data_offsets " + std::to_string(begin) + " to " +
                              std::to_string(end) + " hold " + std::to_string(end - begin));
      }
      file_.weight_bytes_ += *size;
    }
    tensor.name = std::move(entry.name);
    tensor.dtype_name = std::move(entry.dtype);
    tensor.bytes = data_.subspan(begin, end - begin);
    extents_.push_back({begin, end, file_.tensors_.size()});
    file_.tensors_.push_back(std::move(tensor));
    return {};
  }

  static Result<Shape> to_shape(std::span<const uint64_t> stored, const std::string& where) {
    if (stored.size() > Shape::kMaxRank) {
      return make_error(ErrorKind::unsupported, where,
                        "has " + std::to_string(stored.size()) + " dimensions; at most " +
                            std::to_string(Shape::kMaxRank) + " can be read");
    }
    int64_t dims[Shape::kMaxRank];
    for (size_t i = 0; i < stored.size(); ++i) {
      if (stored[i] > static_cast<uint64_t>(INT64_MAX)) {
        return make_error(ErrorKind::bad_file, where,
                          "has a dimension of " + std::to_string(stored[i]) + ", past 2^63 - 1");
      }
      dims[i] = static_cast<int64_t>(stored[i]);
    }
    const Shape shape(std::span<const int64_t>(dims, stored.size()));
    if (!shape.num_elements()) {
      return make_error(ErrorKind::bad_file, where,
                        "shape " + shape.to_string() + " has more than 2^63 - 1 elements");
    }
    return shape;
  }

  /// The format wants every byte of the data section to belong to exactly one tensor.
  Result<void> check_coverage() {
    if (const auto overlap = find_overlap(extents_)) {
      const auto& [first, second] = *overlap;
      return make_error(ErrorKind::bad_file,
                        where_ + ", tensor " + quote_for_error(file_.tensors_[second.tensor].name),
                        "data_offsets " + std::to_string(second.begin) + " to " + std::to_string(second.end) +
                            " overlap tensor " + quote_for_error(file_.tensors_[first.tensor].name) + ", " +
                            std::to_string(first.begin) + " to " + std::to_string(first.end));
    }
    uint64_t reached = 0;
    for (const TensorExtent& extent : extents_) {
      if (extent.begin == extent.end) continue;
      if (extent.begin != reached) return hole(reached, extent.begin);
      reached = extent.end;
    }
    if (reached != data_.size()) return hole(reached, data_.size());
    return {};
  }

  Error hole(uint64_t begin, uint64_t end) const {
    return make_error(ErrorKind::bad_file, where_,
                      "bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                          " of the data section belong to no tensor; the format allows no holes");
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  SafetensorsFile& file_;
  std::span<const std::byte> data_;
  std::vector<TensorExtent> extents_;
};

Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::parse(std::span<const std::byte> bytes,
                                                                      std::shared_ptr<const void> owner,
                                                                      std::string where) {
  auto file = std::make_shared<SafetensorsFile>();
  file->path_ = where;
  file->owners_.push_back(std::move(owner));
  TT_TRY(SafetensorsParser(bytes, std::move(where), *file).parse());
  return std::shared_ptr<const SafetensorsFile>(std::move(file));
}

Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::open(const std::filesystem::path& path) {
  if (path.extension() == ".json") return open_sharded(path);
  TT_ASSIGN(std::shared_ptr<const FileMap> map, FileMap::open(path));
  return parse(map->bytes(), map, map->path());
}

Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::open_sharded(
    const std::filesystem::path& index_path) {
  const std::string where = index_path.string();
  TT_ASSIGN(const std::string text, read_text_file(index_path, kMaxIndexBytes));
  TT_ASSIGN(const auto weight_map, parse_safetensors_index(text, where));
  auto whole = std::make_shared<SafetensorsFile>();
  whole->path_ = where;
  std::unordered_map<std::string_view, uint32_t> shards;
  for (const auto& [tensor, shard] : weight_map) {
    if (!is_plain_file_name(shard) ||
        !shard.ends_with(".safetensors")) {  // an index here could lead round in a circle
      return make_error(ErrorKind::bad_file, where,
                        "tensor " + quote_for_error(tensor) + " is said to lie in " + quote_for_error(shard) +
                            ", expected the name of a file beside the index that ends in .safetensors");
    }
    const auto number = static_cast<uint32_t>(shards.size());
    if (!shards.try_emplace(shard, number).second) continue;
    TT_ASSIGN(std::shared_ptr<const SafetensorsFile> part, open(index_path.parent_path() / shard));
    // Made non-const by parse() and ours alone.
    whole->append_part(*std::const_pointer_cast<SafetensorsFile>(part), number);
  }
  for (size_t i = 0; i < whole->tensors_.size(); ++i) {
    const auto [entry, is_new] = whole->index_.try_emplace(whole->tensors_[i].name, i);
    if (!is_new) {
      return make_error(ErrorKind::bad_file, where,
                        "tensor " + quote_for_error(whole->tensors_[i].name) + " occurs in two shards");
    }
  }
  for (const auto& [tensor, shard] : weight_map) {
    const SafetensorsEntry* entry = whole->find_tensor(tensor);
    if (entry == nullptr || entry->part != shards[shard]) {
      return make_error(ErrorKind::bad_file, where,
                        "tensor " + quote_for_error(tensor) + " is not in " + quote_for_error(shard) +
                            ", where weight_map says it is");
    }
  }
  return std::shared_ptr<const SafetensorsFile>(std::move(whole));
}

void SafetensorsFile::append_part(SafetensorsFile& part, uint32_t number) {
  owners_.insert(owners_.end(), part.owners_.begin(), part.owners_.end());
  weight_bytes_ += part.weight_bytes_;
  if (number == 0) metadata_ = std::move(part.metadata_);
  for (SafetensorsEntry& entry : part.tensors_) {
    entry.part = number;
    tensors_.push_back(std::move(entry));
  }
}

const SafetensorsEntry* SafetensorsFile::find_tensor(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

Result<TensorView> SafetensorsFile::tensor(std::string_view name) const {
  const SafetensorsEntry* entry = find_tensor(name);
  if (entry == nullptr)
    return make_error(ErrorKind::not_found, path_, "has no tensor " + quote_for_error(name));
  if (!entry->dtype) {
    return make_error(ErrorKind::unsupported, path_ + ", tensor " + quote_for_error(name),
                      "is stored as " + quote_for_error(entry->dtype_name) + ", which cannot be computed");
  }
  return TensorView{*entry->dtype, entry->shape, entry->bytes};
}

}  // namespace tattletale
