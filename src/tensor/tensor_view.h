// A tensor in host memory that somebody else owns.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace tattletale {

/// Dense row-major data of `dtype`; bytes.size() == shape.num_bytes(dtype).
struct TensorView {
  DType dtype = DType::f32;
  Shape shape;
  std::span<const std::byte> bytes;
};

}  // namespace tattletale
