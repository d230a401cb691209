// A tensor in a device buffer: what kernels are recorded on.
#pragma once

#include "device/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace tattletale {

/// Dense row-major data of `dtype` inside `slice`. A default-constructed one means "absent".
struct DeviceTensor {
  DType dtype = DType::f32;
  Shape shape;
  BufferSlice slice;

  bool present() const { return slice.buffer != BufferId::none; }
};

}  // namespace tattletale
