// Operations on a thread's own values: arithmetic, bits, comparison, conversion, mathematics, halves,
// vectors, locals. Loops run over all threads, active or not: what the others get is never read.
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "ir/interpreter/machine.h"
#include "tensor/float16.h"

namespace tattletale::ir {
namespace {

template <class T>
T as(uint32_t bits) {
  return std::bit_cast<T>(bits);
}

template <class T, class F>
void each(uint32_t n, uint32_t* to, const uint32_t* a, F f) {
  for (uint32_t t = 0; t < n; ++t) to[t] = std::bit_cast<uint32_t>(f(as<T>(a[t])));
}
template <class T, class F>
void each(uint32_t n, uint32_t* to, const uint32_t* a, const uint32_t* b, F f) {
  for (uint32_t t = 0; t < n; ++t) to[t] = std::bit_cast<uint32_t>(f(as<T>(a[t]), as<T>(b[t])));
}
template <class T, class F>
void each_bool(uint32_t n, uint32_t* to, const uint32_t* a, const uint32_t* b, F f) {
  for (uint32_t t = 0; t < n; ++t) to[t] = f(as<T>(a[t]), as<T>(b[t])) ? 1 : 0;
}

/// Rounds once: through f32 rounded to odd, which no later rounding to fewer digits can notice.
uint16_t f64_to_f16(double x) {
  float f = static_cast<float>(x);
  if (static_cast<double>(f) != x && std::isfinite(f)) {
    uint32_t bits = std::bit_cast<uint32_t>(f);
    if ((bits & 1) == 0) bits += (std::fabs(static_cast<double>(f)) < std::fabs(x)) ? 1 : -1u;
    f = as<float>(bits);
  }
  return f32_to_f16(f);
}
double half(uint32_t word, uint32_t which) {
  return f16_to_f32(static_cast<uint16_t>(word >> (16 * which)));
}
template <class F>
uint32_t both_halves(F f) {
  return f64_to_f16(f(0)) | uint32_t{f64_to_f16(f(1))} << 16;
}

int32_t dot4(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    const auto x = static_cast<int8_t>(a >> (8 * i)), y = static_cast<int8_t>(b >> (8 * i));
    sum += static_cast<uint32_t>(x * y);
  }
  return as<int32_t>(sum);
}

}  // namespace

/// Reports the first active thread whose word in `bad` is not zero.
bool Machine::defined(Value value, const Mask& mask, const uint32_t* bad, const char* what) {
  uint32_t any = 0;
  for (uint32_t t = 0; t < threads_; ++t) any |= bad[t] & mask.on[t];
  if (any == 0 || !options_.report_undefined) return true;
  for (uint32_t t = 0; t < threads_; ++t) {
    if ((bad[t] & mask.on[t]) != 0) return fail(value, what, t);
  }
  return true;
}

bool Machine::scalar(Value value, const Instruction& in, const Mask& mask) {
  uint32_t* to = out(value);
  switch (in.op) {
    case Op::eq:
    case Op::ne:
    case Op::lt:
    case Op::le:
    case Op::gt:
    case Op::ge: return compare(value, in);
    case Op::select: {
      const uint32_t *c = operand(in, 0), *x = operand(in, 1), *y = operand(in, 2);
      for (uint32_t t = 0; t < threads_; ++t) to[t] = c[t] != 0 ? x[t] : y[t];
      return true;
    }
    case Op::to_f32:
    case Op::to_i32:
    case Op::to_u32:
    case Op::bitcast: return convert(value, in, mask);
    case Op::pack_f16x2:
    case Op::pack_bf16x2:
    case Op::unpack_f16_lo:
    case Op::unpack_f16_hi:
    case Op::fma_f16x2:
    case Op::add_f16x2:
    case Op::mul_f16x2: return halves(value, in);
    case Op::make_vector:
      for (uint32_t i = 0; i < in.num_operands; ++i) {
        std::memcpy(to + i * threads_, operand(in, i), threads_ * sizeof(uint32_t));
      }
      return true;
    case Op::extract:
      std::memcpy(to, operand(in, 0) + in.attr0 * threads_, threads_ * sizeof(uint32_t));
      return true;
    case Op::offset: {
      const uint32_t *count = operand(in, 0), *stride = operand(in, 1);
      for (uint32_t t = 0; t < threads_; ++t) {
        const uint64_t product = uint64_t{count[t]} * stride[t];
        to[t] = static_cast<uint32_t>(product);
        to[threads_ + t] = static_cast<uint32_t>(product >> 32);
      }
      return true;
    }
    default: return in.type == kF32 ? arithmetic_f32(value, in) : arithmetic_int(value, in, mask);
  }
}

bool Machine::arithmetic_f32(Value value, const Instruction& in) {
  const uint32_t n = threads_;
  uint32_t* to = out(value);
  const uint32_t* a = operand(in, 0);
  const uint32_t* b = in.num_operands > 1 ? operand(in, 1) : nullptr;
  const auto wide = [&](auto f) {
    each<float>(n, to, a, [&](float x) { return static_cast<float>(f(static_cast<double>(x))); });
  };
  switch (in.op) {
    case Op::add: each<float>(n, to, a, b, [](float x, float y) { return x + y; }); return true;
    case Op::sub: each<float>(n, to, a, b, [](float x, float y) { return x - y; }); return true;
    case Op::mul: each<float>(n, to, a, b, [](float x, float y) { return x * y; }); return true;
    case Op::div: each<float>(n, to, a, b, [](float x, float y) { return x / y; }); return true;
    case Op::min: each<float>(n, to, a, b, [](float x, float y) { return y < x ? y : x; }); return true;
    case Op::max: each<float>(n, to, a, b, [](float x, float y) { return x < y ? y : x; }); return true;
    case Op::neg: each<uint32_t>(n, to, a, [](uint32_t x) { return x ^ 0x80000000u; }); return true;
    case Op::abs: each<uint32_t>(n, to, a, [](uint32_t x) { return x & 0x7fffffffu; }); return true;
    case Op::fma: {
      const uint32_t* c = operand(in, 2);
      for (uint32_t t = 0; t < n; ++t) {
        to[t] = std::bit_cast<uint32_t>(std::fma(as<float>(a[t]), as<float>(b[t]), as<float>(c[t])));
      }
      return true;
    }
    case Op::sqrt: each<float>(n, to, a, [](float x) { return std::sqrt(x); }); return true;
    case Op::floor: each<float>(n, to, a, [](float x) { return std::floor(x); }); return true;
    case Op::rsqrt: wide([](double x) { return 1.0 / std::sqrt(x); }); return true;
    case Op::exp2: wide([](double x) { return std::exp2(x); }); return true;
    case Op::log2: wide([](double x) { return std::log2(x); }); return true;
    case Op::sin: wide([](double x) { return std::sin(x); }); return true;
    case Op::cos: wide([](double x) { return std::cos(x); }); return true;
    case Op::tanh: wide([](double x) { return std::tanh(x); }); return true;
    default: CHECK(false); return false;
  }
}

bool Machine::arithmetic_int(Value value, const Instruction& in, const Mask& mask) {
  using U = uint32_t;
  using I = int32_t;
  const U n = threads_;
  U* to = out(value);
  const U* a = operand(in, 0);
  const U* b = in.num_operands > 1 ? operand(in, 1) : nullptr;
  const U* c = in.num_operands > 2 ? operand(in, 2) : nullptr;
  const bool is_signed = in.type == kI32;
  switch (in.op) {
    case Op::add: each<U>(n, to, a, b, [](U x, U y) { return x + y; }); return true;
    case Op::sub: each<U>(n, to, a, b, [](U x, U y) { return x - y; }); return true;
    case Op::mul: each<U>(n, to, a, b, [](U x, U y) { return x * y; }); return true;
    case Op::div:
    case Op::rem:
      for (U t = 0; t < n; ++t) scratch_[t] = b[t] == 0 ? 1 : 0;
      if (!defined(value, mask, scratch_.data(), "divides by zero")) return false;
      if (in.op == Op::div) each<U>(n, to, a, b, [](U x, U y) { return y == 0 ? 0 : x / y; });
      if (in.op == Op::rem) each<U>(n, to, a, b, [](U x, U y) { return y == 0 ? 0 : x % y; });
      return true;
    case Op::mul_hi:
      each<U>(n, to, a, b, [](U x, U y) { return static_cast<U>(uint64_t{x} * y >> 32); });
      return true;
    case Op::min:
      if (is_signed) each<I>(n, to, a, b, [](I x, I y) { return x < y ? x : y; });
      if (!is_signed) each<U>(n, to, a, b, [](U x, U y) { return x < y ? x : y; });
      return true;
    case Op::max:
      if (is_signed) each<I>(n, to, a, b, [](I x, I y) { return x > y ? x : y; });
      if (!is_signed) each<U>(n, to, a, b, [](U x, U y) { return x > y ? x : y; });
      return true;
    case Op::neg: each<U>(n, to, a, [](U x) { return 0u - x; }); return true;
    case Op::abs: each<U>(n, to, a, [](U x) { return as<I>(x) < 0 ? 0u - x : x; }); return true;
    case Op::bit_and: each<U>(n, to, a, b, [](U x, U y) { return x & y; }); return true;
    case Op::bit_or: each<U>(n, to, a, b, [](U x, U y) { return x | y; }); return true;
    case Op::bit_xor: each<U>(n, to, a, b, [](U x, U y) { return x ^ y; }); return true;
    case Op::bit_not:
      each<U>(n, to, a, [boolean = in.type == kBool](U x) { return boolean ? x ^ 1 : ~x; });
      return true;
    case Op::shl:
    case Op::shr:
    case Op::funnel_shr: {
      const U* count = c != nullptr ? c : b;
      for (U t = 0; t < n; ++t) scratch_[t] = count[t] > 31 ? 1 : 0;
      if (!defined(value, mask, scratch_.data(), "shifts by more than 31")) return false;
      if (in.op == Op::shl) each<U>(n, to, a, b, [](U x, U y) { return x << (y & 31); });
      if (in.op == Op::shr && is_signed) each<I>(n, to, a, b, [](I x, I y) { return x >> (y & 31); });
      if (in.op == Op::shr && !is_signed) each<U>(n, to, a, b, [](U x, U y) { return x >> (y & 31); });
      if (in.op != Op::funnel_shr) return true;
      for (U t = 0; t < n; ++t) to[t] = static_cast<U>((uint64_t{a[t]} << 32 | b[t]) >> (c[t] & 31));
      return true;
    }
    case Op::popcount: each<U>(n, to, a, [](U x) { return static_cast<U>(std::popcount(x)); }); return true;
    case Op::dot4_i8:
      for (U t = 0; t < n; ++t) to[t] = c[t] + static_cast<U>(dot4(a[t], b[t]));
      return true;
    default: CHECK(false); return false;
  }
}

bool Machine::compare(Value value, const Instruction& in) {
  uint32_t* to = out(value);
  const uint32_t *a = operand(in, 0), *b = operand(in, 1);
  const auto by = [&]<class T>(T) {
    switch (in.op) {
      case Op::eq: each_bool<T>(threads_, to, a, b, [](T x, T y) { return x == y; }); break;
      case Op::ne: each_bool<T>(threads_, to, a, b, [](T x, T y) { return x != y; }); break;
      case Op::lt: each_bool<T>(threads_, to, a, b, [](T x, T y) { return x < y; }); break;
      case Op::le: each_bool<T>(threads_, to, a, b, [](T x, T y) { return x <= y; }); break;
      case Op::gt: each_bool<T>(threads_, to, a, b, [](T x, T y) { return x > y; }); break;
      default: each_bool<T>(threads_, to, a, b, [](T x, T y) { return x >= y; }); break;
    }
  };
  const Type type = kernel_.at(in.operands[0]).type;
  if (type == kF32) {
    by(float{});
  } else if (type == kI32) {
    by(int32_t{});
  } else {
    by(uint32_t{});
  }
  return true;
}

bool Machine::convert(Value value, const Instruction& in, const Mask& mask) {
  uint32_t* to = out(value);
  const uint32_t* a = operand(in, 0);
  const Type from = kernel_.at(in.operands[0]).type;
  if (in.op == Op::to_f32 && from == kI32) {
    each<int32_t>(threads_, to, a, [](int32_t x) { return static_cast<float>(x); });
  } else if (in.op == Op::to_f32) {
    each<uint32_t>(threads_, to, a, [](uint32_t x) { return static_cast<float>(x); });
  } else if (in.op == Op::bitcast || from != kF32) {
    std::memcpy(to, a, threads_ * sizeof(uint32_t));
  } else {
    const bool is_signed = in.op == Op::to_i32;
    // The bounds exclude what truncates to the first number outside.
    const float least = is_signed ? -2147483648.0f : -0.99999994f,
                end = is_signed ? 2147483648.0f : 4294967296.0f;
    for (uint32_t t = 0; t < threads_; ++t) {
      const float x = as<float>(a[t]);
      const bool fits = x >= least && x < end;
      scratch_[t] = fits ? 0 : 1;
      to[t] = !fits       ? 0
              : is_signed ? static_cast<uint32_t>(static_cast<int32_t>(x))
                          : static_cast<uint32_t>(x);
    }
    return defined(value, mask, scratch_.data(), "converts a number out of range");
  }
  return true;
}

bool Machine::halves(Value value, const Instruction& in) {
  uint32_t* to = out(value);
  const uint32_t* a = operand(in, 0);
  const uint32_t* b = in.num_operands > 1 ? operand(in, 1) : nullptr;
  const uint32_t* c = in.num_operands > 2 ? operand(in, 2) : nullptr;
  for (uint32_t t = 0; t < threads_; ++t) {
    const auto x = [&](uint32_t h) { return half(a[t], h); };
    const auto y = [&](uint32_t h) { return half(b[t], h); };
    switch (in.op) {
      case Op::pack_f16x2:
        to[t] = f32_to_f16(as<float>(a[t])) | uint32_t{f32_to_f16(as<float>(b[t]))} << 16;
        break;
      case Op::pack_bf16x2:
        to[t] = f32_to_bf16(as<float>(a[t])) | uint32_t{f32_to_bf16(as<float>(b[t]))} << 16;
        break;
      case Op::unpack_f16_lo: to[t] = std::bit_cast<uint32_t>(f16_to_f32(static_cast<uint16_t>(a[t]))); break;
      case Op::unpack_f16_hi:
        to[t] = std::bit_cast<uint32_t>(f16_to_f32(static_cast<uint16_t>(a[t] >> 16)));
        break;
      case Op::add_f16x2: to[t] = both_halves([&](uint32_t h) { return x(h) + y(h); }); break;
      case Op::mul_f16x2: to[t] = both_halves([&](uint32_t h) { return x(h) * y(h); }); break;
      // Products of halves are exact in 64 bits, and so is the sum wherever f16 could tell.
      default: to[t] = both_halves([&](uint32_t h) { return x(h) * y(h) + half(c[t], h); }); break;
    }
  }
  return true;
}

bool Machine::local(Value value, const Instruction& in, const Mask& mask) {
  std::vector<uint32_t>& words = locals_[in.attr0];
  std::vector<uint32_t>& set = local_set_[in.attr0];
  const bool fragment = kernel_.locals[in.attr0].type.scalar == Scalar::fragment;
  if (in.op == Op::local_get) {
    uint32_t unset = 0;
    for (uint32_t t = 0; t < threads_; ++t) unset |= mask.on[t] & ~set[t];
    for (uint32_t t = 0; unset != 0 && t < threads_; ++t) {
      if ((mask.on[t] & ~set[t]) != 0) return fail(value, "the local has not been set", t);
    }
    std::memcpy(out(value), words.data(), words.size() * sizeof(uint32_t));
    return true;
  }
  const uint32_t* from = operand(in, 0);
  if (fragment) {
    if (!together(value, mask)) return false;
    for (uint32_t s = 0; s < num_subgroups_; ++s) {
      if (mask.on[s * subgroup_size_] != 0) std::memcpy(&words[s * 256], from + s * 256, 1024);
    }
  } else {
    for (uint32_t t = 0; t < threads_; ++t) words[t] = (from[t] & mask.on[t]) | (words[t] & ~mask.on[t]);
  }
  for (uint32_t t = 0; t < threads_; ++t) set[t] |= mask.on[t];
  return true;
}

}  // namespace tattletale::ir
