// Where a writer gets a tensor's bytes from: memory, or a function called when the tensor is written,
// so that a file larger than memory can be made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace tattletale {

/// Fills a tensor's whole data; called once per write, in file order.
using TensorFill = std::function<void(std::span<std::byte>)>;

struct TensorSource {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;  // outermost first
  TensorFill fill;
};

/// A fill that copies `bytes`, which must live until the file is written.
TensorFill copy_of(std::span<const std::byte> bytes);

/// Takes what a writer produces, piece by piece.
using ByteSink = std::function<Result<void>(std::span<const std::byte>)>;

/// Runs `produce` with a sink into `path`.part and renames it to `path` when all went well.
/// Errors: io; whatever `produce` returns, and then nothing is left behind.
Result<void> write_file_atomically(const std::filesystem::path& path,
                                   const std::function<Result<void>(const ByteSink&)>& produce);

}  // namespace tattletale
