// GGUF from arbitrary bytes: every answer of the reader is looked at, and every tensor byte read.
#include "weights/gguf.h"

#include <cstdint>
#include <cstdlib>
#include <span>

#include "weights/config_reader.h"

namespace {

using namespace tattletale;

uint64_t touch(std::span<const std::byte> bytes) {
  uint64_t sum = 0;
  for (const std::byte b : bytes) sum += static_cast<uint8_t>(b);
  return sum;
}

uint64_t touch_value(const GgufValue& value) {
  uint64_t sum = touch(value.bytes) + touch(std::as_bytes(std::span(value.string)));
  for (const std::string_view text : value.strings) sum += touch(std::as_bytes(std::span(text)));
  for (const GgufValue& inner : value.values) sum += touch_value(inner);
  return sum;
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto parsed = GgufFile::parse(bytes, nullptr, "input");
  if (!parsed) {
    require(!parsed.error().what.empty() && parsed.error().where.starts_with("input"));
    return 0;
  }
  const GgufFile& file = **parsed;
  volatile uint64_t sum = 0;
  ConfigReader config(file, "");
  for (const std::string_view key : file.keys()) {
    const GgufValue* value = file.find(key);
    require(value != nullptr);
    sum = sum + touch_value(*value);
    (void)file.get_u64(key);
    (void)file.get_i64(key);
    (void)file.get_f32(key);
    (void)file.get_bool(key);
    (void)file.get_string(key);
    (void)file.get_string_array(key);
    (void)file.get_int_array(key);
    (void)file.get_f32_array(key);
    (void)config.optional_int(key, 0);
    (void)config.refuse(key, "fuzzing");
  }
  for (const GgufTensor& tensor : file.tensors()) {
    const auto view = file.tensor(tensor.name);
    require(view.has_value() == tensor.dtype.has_value());
    if (!view) continue;
    require(view->bytes.size() == view->shape.num_bytes(view->dtype));
    sum = sum + touch(view->bytes);
  }
  return 0;
}
