// safetensors from arbitrary bytes: every answer of the reader is looked at, and every tensor byte read.
// The same bytes are also read as a sharded model's index.
#include "weights/safetensors.h"

#include <cstdint>
#include <cstdlib>
#include <span>

#include "weights/safetensors_header.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tattletale;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto index = parse_safetensors_index({reinterpret_cast<const char*>(data), size}, "index");
  require(index.has_value() || !index.error().what.empty());
  const auto parsed = SafetensorsFile::parse(bytes, nullptr, "input");
  if (!parsed) {
    require(!parsed.error().what.empty() && parsed.error().where.starts_with("input"));
    return 0;
  }
  const SafetensorsFile& file = **parsed;
  uint64_t covered = 0;
  volatile uint64_t sum = 0;
  for (const SafetensorsEntry& tensor : file.tensors()) {
    require(file.find_tensor(tensor.name) == &tensor);
    const auto view = file.tensor(tensor.name);
    require(view.has_value() == tensor.dtype.has_value());
    if (view) require(view->bytes.size() == view->shape.num_bytes(view->dtype));
    for (const std::byte b : tensor.bytes) sum = sum + static_cast<uint8_t>(b);
    covered += tensor.bytes.size();
  }
  require(covered < size);
  return 0;
}
