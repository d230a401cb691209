#include "kernels/body_parts.h"

#include <algorithm>

namespace tattletale {

using namespace lang;  // NOLINT: kernel bodies read like the language

uint32_t preferred_threads(const ir::TargetInfo& target, uint32_t wanted) {
  constexpr uint32_t kSoftwareThreads = 64;
  const uint32_t most =
      std::min(target.is_cpu ? std::min(wanted, kSoftwareThreads) : wanted, target.max_workgroup_threads);
  return std::max(most / target.subgroup_size, 1u) * target.subgroup_size;
}

Val<float> WorkgroupSum::operator()(Val<float> x) {
  const Val<float> mine = subgroup_add(x);
  if (num_subgroups_ == 1) return mine;
  barrier();  // an earlier sum has been read
  $if (lane_id() == 0u) {
    partials_.store(subgroup_id(), mine);
  }
  barrier();
  Val<float> total = partials_.load(0u);
  for (uint32_t i = 1; i < num_subgroups_; ++i) total = total + partials_.load(i);
  return total;
}

Val<float> load_float(const Buffer& from, DType dtype, Val<uint32_t> index) {
  switch (dtype) {
    case DType::f32: return from.load<Storage::f32>(index);
    case DType::f16: return from.load<Storage::f16>(index);
    default: CHECK(dtype == DType::bf16); return from.load<Storage::bf16>(index);
  }
}

std::array<Val<float>, 2> load_pair(const Buffer& from, DType dtype, Val<uint32_t> pair) {
  if (dtype == DType::f32) {
    const Vec<float, 2> both = from.load_vec<float, 2>(pair * 2u);
    return {both[0], both[1]};
  }
  const Val<uint32_t> word = from.load<Storage::u32>(pair);
  if (dtype == DType::f16) return {unpack_f16_lo(word), unpack_f16_hi(word)};
  return {unpack_bf16_lo(word), unpack_bf16_hi(word)};
}

std::array<Val<float>, 8> load_chunk(const Buffer& from, DType dtype, Val<uint32_t> chunk, bool streamed) {
  if (dtype == DType::f32) {
    const Vec<float, 4> a = from.load_vec<float, 4>(chunk * 8u, streamed);
    const Vec<float, 4> b = from.load_vec<float, 4>(chunk * 8u + 4u, streamed);
    return {a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]};
  }
  const Vec<uint32_t, 4> words = from.load_vec<uint32_t, 4>(chunk * 4u, streamed);
  const Val<uint32_t> w[4] = {words[0], words[1], words[2], words[3]};
  const auto lo = [&](int i) { return dtype == DType::f16 ? unpack_f16_lo(w[i]) : unpack_bf16_lo(w[i]); };
  const auto hi = [&](int i) { return dtype == DType::f16 ? unpack_f16_hi(w[i]) : unpack_bf16_hi(w[i]); };
  return {lo(0), hi(0), lo(1), hi(1), lo(2), hi(2), lo(3), hi(3)};
}

namespace {

/// Two numbers of 16 bits in a word.
Val<uint32_t> pack_pair(DType dtype, Val<float> first, Val<float> second) {
  CHECK(dtype == DType::f16 || dtype == DType::bf16);
  return dtype == DType::f16 ? pack_f16x2(first, second) : pack_bf16x2(first, second);
}

}  // namespace

void store_pair(const Buffer& to, DType dtype, Val<uint32_t> pair, Val<float> first, Val<float> second) {
  if (dtype == DType::f32) {
    to.store_vec(pair * 2u, Vec<float, 2>({first, second}));
    return;
  }
  to.store(pair, pack_pair(dtype, first, second));
}

void store_chunk(const Buffer& to, DType dtype, Val<uint32_t> chunk,
                 const std::array<Val<float>, 8>& values) {
  const auto word = [&](size_t i) { return pack_pair(dtype, values[2 * i], values[2 * i + 1]); };
  to.store_vec(chunk * 4u, Vec<uint32_t, 4>({word(0), word(1), word(2), word(3)}));
}

Val<float> silu(Val<float> x) {
  // exp2 of a large argument overflows; x / (1 + huge) is the right 0 without it.
  return x / (1.0f + exp2(min(x * -kLog2E, 126.0f)));
}

Val<float> gelu_tanh(Val<float> x) {
  constexpr float kSqrt2OverPi = 0.7978845608028654f;
  return 0.5f * x * (1.0f + tanh(kSqrt2OverPi * (x + 0.044715f * x * x * x)));
}

}  // namespace tattletale
