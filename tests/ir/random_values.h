// The expressions of random kernels: pools of values to draw from, and operations that stay defined and
// exact.
#pragma once

#include <initializer_list>
#include <vector>

#include "ir/builder.h"
#include "ir/random_kernel.h"
#include "ir/uniformity.h"

namespace tattletale::test {

class Random {
 public:
  /// Seeds one apart start far from each other: states are sums of one constant.
  explicit Random(uint64_t seed) : state_((seed + 1) * 0xd1342543de82ef95u ^ seed << 32) { word(); }
  uint32_t word();
  uint32_t below(uint32_t n) { return word() % n; }
  bool one_in(uint32_t n) { return below(n) == 0; }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<uint32_t>(choices.size()))];
  }

 private:
  uint64_t state_;
};

/// A value that may be drawn, with what is known of it.
struct Known {
  ir::Value value;
  ir::Uniformity level = ir::Uniformity::constant;
  double max_abs = 0;  // floats only: at most this, and a multiple of `grain`, a power of two
  double grain = 1;
};

/// Input buffer x, in words. Each part is 64 words.
inline constexpr uint32_t kPartWords = 64;
enum class Part : uint32_t { bits, f32, f16, bf16, small_halves, count };

class RandomValues {
 public:
  RandomValues(uint64_t seed, const ir::TargetInfo& target, uint32_t threads);

 protected:
  using Level = ir::Uniformity;
  using Value = ir::Value;

  struct Pools {
    std::vector<Known> u32, i32, f32, boolean;
  };
  std::vector<Known>& pool(ir::Type type);

  Value emit(ir::Op op, ir::Type type, std::initializer_list<Value> operands, uint32_t attr0 = 0,
             uint32_t attr1 = 0, std::source_location at = std::source_location::current()) {
    return b_.emit(op, type, operands, at, attr0, attr1);
  }
  Value u32(uint32_t bits) { return b_.constant(ir::kU32, bits); }
  Value i32(int32_t x) { return b_.constant(ir::kI32, static_cast<uint32_t>(x)); }
  Value f32(float x);

  /// Any value of the type that is no wider than `widest`; makes a constant when there is none.
  Known draw(ir::Type type, Level widest = Level::lane);
  /// As draw, rather not the same value again: x - x tells little.
  Known draw_other(const Known& than, ir::Type type, Level widest);
  /// As draw, rather one that differs between lanes.
  Known draw_varied(ir::Type type);
  void keep(ir::Type type, Known known) { pool(type).push_back(known); }
  void keep(ir::Type type, Value value, std::initializer_list<Known> from);
  static Level widest_of(std::initializer_list<Known> from);
  /// A u32 below n, drawn.
  Known below(uint32_t n, Level widest = Level::lane);

  void integer_op(Level widest);
  void float_op(Level widest);
  void boolean_op(Level widest);
  void conversion(Level widest);
  void select_op(Level widest);
  void halves_op();
  void load_op(Level widest);
  /// A float result that has to round.
  Known rounded(ResultRule& rule);

  Random random_;
  ir::TargetInfo target_;
  ir::Builder b_;
  Pools pools_;
  uint32_t threads_;
};

}  // namespace tattletale::test
