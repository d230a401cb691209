#include "kernels/matrix_reader.h"

#include "kernels/body_parts.h"
#include "quant/gguf/blocks.h"
#include "quant/planar.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

bool is_plain(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

/// kIq4Values[bits]: the table packed in four words.
Val<float> iq4_value(Val<uint32_t> bits) {
  uint32_t words[4] = {};
  for (uint32_t i = 0; i < 16; ++i) {
    words[i / 4] |= uint32_t{static_cast<uint8_t>(kIq4Values[i])} << (8 * (i % 4));
  }
  const Val<uint32_t> low = select(bits < 4u, Val<uint32_t>(words[0]), words[1]);
  const Val<uint32_t> high = select(bits < 12u, Val<uint32_t>(words[2]), words[3]);
  const Val<uint32_t> word = select(bits < 8u, low, high);
  const Val<uint32_t> byte = word >> ((bits & 3u) << 3u);
  return to_f32(to_i32(byte << 24u) >> 24u);
}

struct Planes {
  Val<uint32_t> high, scale, super;  // first 16 bytes of each, counted in 16 bytes
};

/// As planar_layout, in the kernel: n32 counts groups of 32 numbers.
Planes planes_of(const PlanarFormat& f, Val<uint32_t> n32) {
  const auto units = [&](uint32_t bytes_per_32) { return (n32 * bytes_per_32 + 15u) / 16u; };
  const Val<uint32_t> high = units(4u * f.low_bits);
  const Val<uint32_t> scale = f.high_bits == 0 ? high : high + units(4u * f.high_bits);
  const Val<uint32_t> super = f.group_bytes() == 0 ? scale : scale + units(32u / f.group * f.group_bytes());
  return {high, scale, super};
}

}  // namespace

bool is_readable_matrix(DType dtype) {
  return is_plain(dtype) || planar_format(dtype) != nullptr;
}

MatrixReader::MatrixReader(DType dtype, const Buffer& buffer, Val<uint32_t> rows, Val<uint32_t> columns)
    : dtype_(dtype), buffer_(buffer), columns_(columns), high_(buffer), scale_(buffer), super_(buffer) {
  const PlanarFormat* format = planar_format(dtype);
  CHECK(is_readable_matrix(dtype));
  if (format == nullptr) return;
  const Planes planes = planes_of(*format, rows * (columns / 32u));
  high_ = buffer.at(planes.high, 16u);
  scale_ = buffer.at(planes.scale, 16u);
  super_ = buffer.at(planes.super, 16u);
}

std::array<Val<float>, 8> MatrixReader::load8(Val<uint32_t> row, Val<uint32_t> chunk) const {
  return is_plain(dtype_) ? load8_plain(row, chunk) : load8_planar(row, chunk);
}

Val<float> MatrixReader::load1(Val<uint32_t> row, Val<uint32_t> column) const {
  // Rows of an odd number of halves do not start on words, as bases must: the whole matrix is one array.
  return load_float(buffer_, dtype_, row * columns_ + column);
}

std::array<Val<float>, 8> MatrixReader::load8_plain(Val<uint32_t> row, Val<uint32_t> chunk) const {
  const Buffer from = buffer_.at(row, columns_ * dtype_info(dtype_).block_bytes);
  return load_chunk(from, dtype_, chunk, true);
}

std::array<Val<float>, 8> MatrixReader::load8_planar(Val<uint32_t> row, Val<uint32_t> chunk) const {
  const PlanarFormat& f = *planar_format(dtype_);
  const Val<uint32_t> at = row * (columns_ / 8u) + chunk;  // chunks of 8 from the matrix's start

  // Scales: x = a * level + b.
  const Val<uint32_t> super = at / (f.super / 8u);
  const Val<float> d =
      f.super_bytes() == 4 ? super_.load<Storage::f16>(super * 2u) : super_.load<Storage::f16>(super);
  Val<float> a = d, b = 0.0f;
  const Val<uint32_t> group = at / (f.group / 8u);
  switch (f.scale) {
    case PlanarScale::none: break;
    case PlanarScale::i8: a = d * to_f32(scale_.load<Storage::i8>(group)); break;
    case PlanarScale::nibbles: {
      const Val<uint32_t> both = scale_.load<Storage::u8>(group);
      a = d * to_f32(both & 15u);
      b = neg(super_.load<Storage::f16>(super * 2u + 1u) * to_f32(both >> 4u));
      break;
    }
    case PlanarScale::pair: {
      const Val<uint32_t> both = scale_.load<Storage::u16>(group);
      a = d * to_f32(both & 255u);
      b = neg(super_.load<Storage::f16>(super * 2u + 1u) * to_f32(both >> 8u));
      break;
    }
  }
  if (f.has_offset) b = super_.load<Storage::f16>(super * 2u + 1u);

  // Levels.
  Val<uint32_t> low[2] = {0u, 0u};  // the chunk's low bits, eight numbers of low_bits each
  if (f.low_bits == 2) low[0] = buffer_.load<Storage::u16>(at);
  if (f.low_bits == 4) low[0] = buffer_.load<Storage::u32>(at);
  if (f.low_bits == 8) {
    const Vec<uint32_t, 2> words = buffer_.load_vec<uint32_t, 2>(at * 2u);
    low[0] = words[0], low[1] = words[1];
  }
  Val<uint32_t> high = 0u;
  if (f.high_bits == 1) high = high_.load<Storage::u8>(at);
  if (f.high_bits == 2) high = high_.load<Storage::u16>(at);
  std::array<Val<float>, 8> out{0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
  for (uint32_t i = 0; i < 8; ++i) {
    const uint32_t place = i * f.low_bits;
    Val<uint32_t> bits = low[place / 32] >> (place % 32);
    if (f.level == PlanarLevel::i8) {
      out[i] = a * to_f32(to_i32(low[place / 32] << (24 - place % 32)) >> 24u);
      continue;
    }
    bits = bits & ((1u << f.low_bits) - 1u);
    if (f.high_bits > 0) {
      const Val<uint32_t> more = (high >> (i * f.high_bits)) & ((1u << f.high_bits) - 1u);
      bits = bits | (more << f.low_bits);
    }
    Val<float> level = 0.0f;
    if (f.level == PlanarLevel::iq4) {
      level = iq4_value(bits);
    } else {
      level = to_f32(to_i32(bits) - f.level_offset);
    }
    out[i] = f.has_min() || f.has_offset ? fma(a, level, b) : a * level;
  }
  return out;
}

}  // namespace tattletale
