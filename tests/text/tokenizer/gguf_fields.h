// Reads only the tokenizer.* metadata of a GGUF file, for tests and benchmarks of the text layer, which lies
// below the real reader (src/weights). Trusts its file.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>

#include "base/file_map.h"
#include "text/tokenizer/load_tokenizer.h"

namespace tattletale::test {

class GgufFieldReader {
 public:
  static GgufTokenizerFields read(std::shared_ptr<const FileMap> map) {
    GgufFieldReader reader(*map);
    GgufTokenizerFields fields;
    fields.owner = map;
    fields.where = map->path();
    reader.at_ = 16;
    const auto num_keys = reader.number<uint64_t>();
    for (uint64_t i = 0; i < num_keys; ++i) reader.key(fields);
    return fields;
  }

 private:
  explicit GgufFieldReader(const FileMap& map)
      : bytes_(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()) {}

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string_view text() {
    const auto size = number<uint64_t>();
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  static size_t width(uint32_t type) {
    constexpr size_t kWidths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kWidths[type];
  }
  void skip(uint32_t type) {
    if (type == 8) {
      text();
    } else if (type == 9) {
      const auto item = number<uint32_t>();
      const auto count = number<uint64_t>();
      for (uint64_t i = 0; i < count; ++i) skip(item);
    } else {
      at_ += width(type);
    }
  }
  template <class T>
  std::vector<T> numbers() {
    at_ += 4;
    std::vector<T> out(number<uint64_t>());
    std::memcpy(out.data(), bytes_.data() + at_, out.size() * sizeof(T));
    at_ += out.size() * sizeof(T);
    return out;
  }
  std::vector<std::string_view> texts() {
    at_ += 4;
    std::vector<std::string_view> out(number<uint64_t>());
    for (auto& item : out) item = text();
    return out;
  }
  void key(GgufTokenizerFields& f) {
    const std::string_view name = text();
    const auto type = number<uint32_t>();
    const auto is = [&](std::string_view suffix) {
      return name.starts_with("tokenizer.ggml.") && name.substr(15) == suffix;
    };
    if (is("model"))
      f.model = text();
    else if (is("pre"))
      f.pre = text();
    else if (is("tokens"))
      f.tokens = texts();
    else if (is("merges"))
      f.merges = texts();
    else if (is("scores"))
      f.scores = numbers<float>();
    else if (is("token_type"))
      f.token_types = numbers<int32_t>();
    else if (is("bos_token_id"))
      f.bos_id = number<uint32_t>();
    else if (is("eos_token_id"))
      f.eos_id = number<uint32_t>();
    else if (is("unknown_token_id"))
      f.unk_id = number<uint32_t>();
    else if (is("padding_token_id"))
      f.pad_id = number<uint32_t>();
    else if (is("add_bos_token"))
      f.add_bos = number<uint8_t>() != 0;
    else if (is("add_eos_token"))
      f.add_eos = number<uint8_t>() != 0;
    else if (is("add_space_prefix"))
      f.add_space_prefix = number<uint8_t>() != 0;
    else
      skip(type);
  }

  std::string_view bytes_;
  size_t at_ = 0;
};

}  // namespace tattletale::test
