// Reads numbers of a stored matrix inside a kernel body, whatever its dtype: plain, or in planes
// (quant/planar.h).
#pragma once

#include <array>

#include "ir/lang.h"
#include "tensor/dtype.h"

namespace tattletale {

/// Whether bodies can read the dtype.
bool is_readable_matrix(DType dtype);

/// rows x columns of `dtype` in `buffer`, as Device::create_matrix lays it out.
class MatrixReader {
 public:
  MatrixReader(DType dtype, const lang::Buffer& buffer, lang::Val<uint32_t> rows,
               lang::Val<uint32_t> columns);

  /// Numbers 8 * chunk .. 8 * chunk + 7 of a row, as f32. columns: a multiple of 8.
  std::array<lang::Val<float>, 8> load8(lang::Val<uint32_t> row, lang::Val<uint32_t> chunk) const;
  /// One number; plain dtypes and fewer than 2^32 numbers only.
  lang::Val<float> load1(lang::Val<uint32_t> row, lang::Val<uint32_t> column) const;

 private:
  std::array<lang::Val<float>, 8> load8_plain(lang::Val<uint32_t> row, lang::Val<uint32_t> chunk) const;
  std::array<lang::Val<float>, 8> load8_planar(lang::Val<uint32_t> row, lang::Val<uint32_t> chunk) const;

  DType dtype_;
  lang::Buffer buffer_;
  lang::Val<uint32_t> columns_;
  lang::Buffer high_, scale_, super_;  // planes; unused by plain dtypes
};

}  // namespace tattletale
