#include "compiler/random_program.h"

#include <algorithm>
#include <array>
#include <bit>
#include <random>

#include "ir/builder.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::kBool;
using ir::kF32;
using ir::kI32;
using ir::kNone;
using ir::kU32;
using ir::Op;
using ir::Type;
using ir::Value;

constexpr uint32_t kThreads = 16;
constexpr uint32_t kTileWords = 8;    // of each thread, in the tile that all phases use
constexpr uint32_t kLoopBudget = 64;  // turns of all loops around a statement, multiplied

class Program {
 public:
  Program(uint32_t seed, uint32_t size)
      : random_(seed), builder_("random", kThreads, kProgramSubgroup), statements_left_(size) {}

  ir::Kernel make() {
    builder_.add_binding("x", false);
    builder_.add_binding("y", true);
    tile_ = builder_.add_shared("tile", kThreads * kTileWords);
    for (uint32_t i = 0; i < kProgramParams; ++i) {
      add(builder_.param("p" + std::to_string(i), ir::Scalar::u32, i));
      uniform_.push_back(last_);
    }
    const Value wg = emit(Op::workgroup_id, kU32, {});
    local_id_ = emit(Op::local_id, kU32, {});
    emit(Op::lane_id, kU32, {});
    emit(Op::subgroup_id, kU32, {});
    const Value thread = emit(Op::add, kU32, {emit(Op::mul, kU32, {wg, u32(kThreads)}), local_id_});
    own_ = emit(Op::mul, kU32, {thread, u32(kProgramThreadWords)});
    own_tile_ = emit(Op::mul, kU32, {local_id_, u32(kTileWords)});
    for (uint32_t i = 0; i < kTileWords; ++i) {
      memory(Op::shared_store, kNone, {emit(Op::add, kU32, {own_tile_, u32(i)}), pick(kU32)}, tile_);
    }
    make_locals();
    while (statements_left_ > 0) statement(0);
    for (uint32_t i = 0; i < locals_.size(); ++i) {  // nothing that was computed goes unseen
      store_own(u32(i), as_u32(get_local(i)));
    }
    return builder_.finish();
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  bool chance(uint32_t percent) { return below(100) < percent; }

  Value u32(uint32_t bits) { return builder_.constant(kU32, bits); }
  Value emit(Op op, Type type, std::initializer_list<Value> operands, uint32_t attr0 = 0) {
    return add(builder_.emit(op, type, operands, std::source_location::current(), attr0));
  }
  Value add(Value value) {
    last_ = value;
    if (Values* pool = pool_of(builder_.kernel().at(value).type)) pool->push_back(value);
    return value;
  }
  Value memory(Op op, Type type, std::initializer_list<Value> operands, uint32_t attr0,
               ir::Storage storage = ir::Storage::u32) {
    Instruction in;
    in.op = op;
    in.type = type;
    in.storage = storage;
    in.attr0 = attr0;
    for (const Value operand : operands) in.operands[in.num_operands++] = operand;
    return add(builder_.emit(in, std::source_location::current()));
  }

  using Values = std::vector<Value>;
  Values* pool_of(Type type) {
    return type == kU32    ? &pools_[0]
           : type == kI32  ? &pools_[1]
           : type == kF32  ? &pools_[2]
           : type == kBool ? &pools_[3]
                           : nullptr;
  }
  Value constant(Type type) {
    static constexpr uint32_t kNumbers[] = {
        0,  1,  2,   3,   4,   5,   7,     8,     12,         16,         31,         32,
        60, 64, 100, 255, 256, 641, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    static constexpr float kFloats[] = {0.0f, -0.0f, 1.0f,   -1.0f, 0.5f,  2.0f,
                                        4.0f, 3.0f,  -7.25f, 0.1f,  1e10f, 1e-20f};
    if (type == kBool) return builder_.constant(kBool, below(2));
    if (type == kF32)
      return builder_.constant(kF32, std::bit_cast<uint32_t>(kFloats[below(std::size(kFloats))]));
    return builder_.constant(
        type, chance(80) ? kNumbers[below(std::size(kNumbers))] : static_cast<uint32_t>(random_()));
  }
  /// A visible value, a recent one rather than an old one, or a constant.
  Value pick(Type type) {
    const Values& pool = *pool_of(type);
    if (pool.empty() || chance(25)) return constant(type);
    const uint32_t size = static_cast<uint32_t>(pool.size());
    return chance(60) ? pool[size - 1 - below(std::min(size, 6u))] : pool[below(size)];
  }
  Type any_type() {
    constexpr Type kTypes[] = {kU32, kU32, kU32, kI32, kF32, kBool};
    return kTypes[below(6)];
  }

  /// Expressions at whose edges a rule is easily wrong: signed zeros, NaNs, shifts that add up to 32 and
  /// more.
  Value edge() {
    switch (below(5)) {
      case 0: {
        const Value zero = emit(Op::mul, kF32, {finite(), f32(chance(50) ? 0.0f : -0.0f)});
        return emit(chance(50) ? Op::add : Op::sub, kF32, {zero, f32(chance(50) ? 0.0f : -0.0f)});
      }
      case 1: {
        constexpr Op kCompare[] = {Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge};
        const Value nan = emit(Op::div, kF32, {f32(0.0f), f32(0.0f)});
        const Value test = emit(kCompare[below(6)], kBool, {nan, chance(50) ? nan : pick(kF32)});
        return emit(Op::bit_not, kBool, {test});
      }
      case 2:
      case 3: {
        const Type type = chance(50) ? kU32 : kI32;
        const auto shift = [&] { return chance(35) ? Op::shl : Op::shr; };
        const uint32_t count = below(32);
        const Value x =
            chance(50) ? emit(Op::bit_or, type, {pick(type), builder_.constant(type, 1u << 31)}) : pick(type);
        const Value once = emit(shift(), type, {x, u32(count)});
        return emit(shift(), type, {once, u32(chance(50) ? count : below(32))});
      }
      default: {
        const Value count = emit(Op::bit_and, kU32, {pick(kU32), u32((1u << below(3)) - 1)});
        return emit(Op::funnel_shr, kU32, {pick(kU32), pick(kU32), count});
      }
    }
  }

  Value shift_count() { return chance(70) ? u32(below(32)) : emit(Op::bit_and, kU32, {pick(kU32), u32(31)}); }

  Value expression(Type type) {
    if (chance(8)) return emit(Op::select, type, {pick(kBool), pick(type), pick(type)});
    if (type == kBool) return boolean();
    return type == kF32 ? floating() : type == kI32 ? integer_i32() : integer_u32();
  }
  Value boolean() {
    constexpr Op kCompare[] = {Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge};
    if (chance(25)) {
      constexpr Op kLogic[] = {Op::bit_and, Op::bit_or, Op::bit_xor, Op::eq, Op::ne};
      return emit(kLogic[below(5)], kBool, {pick(kBool), pick(kBool)});
    }
    if (chance(12)) return emit(Op::bit_not, kBool, {pick(kBool)});
    constexpr Type kTypes[] = {kU32, kU32, kU32, kI32, kF32};
    const Type type = kTypes[below(5)];
    return emit(kCompare[below(6)], kBool, {pick(type), pick(type)});
  }
  Value integer_u32() {
    constexpr Op kBinary[] = {Op::add, Op::add, Op::sub,     Op::mul,    Op::mul,    Op::mul_hi,
                              Op::min, Op::max, Op::bit_and, Op::bit_or, Op::bit_xor};
    switch (below(10)) {
      case 0: {
        const Value n = chance(30) ? emit(Op::bit_not, kU32, {emit(Op::bit_and, kU32, {pick(kU32), u32(15)})})
                                   : pick(kU32);
        return emit(chance(60) ? Op::div : Op::rem, kU32, {n, divisor()});
      }
      case 1: return emit(chance(50) ? Op::shl : Op::shr, kU32, {pick(kU32), shift_count()});
      case 2: return emit(Op::bit_and, kU32, {pick(kU32), u32((2u << below(8)) - 1)});
      case 3:
        switch (below(5)) {
          case 0: return emit(Op::popcount, kU32, {pick(kU32)});
          case 1: return emit(Op::bit_not, kU32, {pick(kU32)});
          case 2: return emit(Op::to_u32, kU32, {pick(kI32)});
          case 3: return emit(Op::funnel_shr, kU32, {pick(kU32), pick(kU32), shift_count()});
          default: return halves();
        }
      default: return emit(kBinary[below(std::size(kBinary))], kU32, {pick(kU32), pick(kU32)});
    }
  }
  Value divisor() {
    if (chance(40)) return emit(Op::bit_or, kU32, {pick(kU32), u32(1)});
    constexpr uint32_t kDivisors[] = {1,  2,  3,  5,   6,   7,    8,          10,
                                      12, 14, 28, 100, 641, 1024, 0x80000001, 0xffffffff};
    return u32(kDivisors[below(std::size(kDivisors))]);
  }
  Value f32(float value) { return builder_.constant(kF32, std::bit_cast<uint32_t>(value)); }
  Value finite() { return emit(Op::to_f32, kF32, {emit(Op::shr, kI32, {pick(kI32), u32(below(20))})}); }
  /// Finite halves of all sizes. A small third operand of a product's sum is what rounding twice gets wrong.
  Value halves() {
    const auto finite_halves = [&] { return emit(Op::bit_and, kU32, {pick(kU32), u32(0xfbfffbff)}); };
    const Value a = finite_halves(), b = finite_halves();
    if (chance(30)) return emit(Op::add_f16x2, kU32, {a, b});
    if (chance(30)) return emit(Op::mul_f16x2, kU32, {a, b});
    const Value c = chance(50) ? finite_halves() : emit(Op::bit_and, kU32, {pick(kU32), u32(0x83ff83ff)});
    return emit(Op::fma_f16x2, kU32, {a, b, c});
  }
  Value integer_i32() {
    constexpr Op kBinary[] = {Op::add, Op::sub,     Op::mul,    Op::min,
                              Op::max, Op::bit_and, Op::bit_or, Op::bit_xor};
    switch (below(8)) {
      case 0: return emit(chance(50) ? Op::shl : Op::shr, kI32, {pick(kI32), shift_count()});
      case 1: return emit(chance(50) ? Op::neg : Op::abs, kI32, {pick(kI32)});
      case 2: return emit(Op::to_i32, kI32, {pick(kU32)});
      case 3: return emit(Op::dot4_i8, kI32, {pick(kU32), pick(kU32), pick(kI32)});
      default: return emit(kBinary[below(std::size(kBinary))], kI32, {pick(kI32), pick(kI32)});
    }
  }
  Value floating() {
    constexpr Op kBinary[] = {Op::add, Op::sub, Op::mul, Op::div, Op::min, Op::max};
    switch (below(8)) {
      case 0: return chance(5) ? emit(Op::div, kF32, {f32(0.0f), f32(0.0f)}) : finite();
      case 1: return emit(Op::fma, kF32, {pick(kF32), pick(kF32), pick(kF32)});
      case 2: return emit(chance(50) ? Op::neg : chance(50) ? Op::abs : Op::floor, kF32, {pick(kF32)});
      default: return emit(kBinary[below(6)], kF32, {pick(kF32), pick(kF32)});
    }
  }

  Value as_u32(Value value) {
    const Type type = builder_.kernel().at(value).type;
    if (type == kI32) return emit(Op::to_u32, kU32, {value});
    if (type == kF32) return emit(Op::bitcast, kU32, {value});
    return type == kBool ? emit(Op::select, kU32, {value, u32(1), u32(0)}) : value;
  }

  /// Mixes a value into a local that is stored at the end: what nobody looks at proves nothing.
  void observe(Value value) {
    const Value seen = emit(Op::local_get, kU32, {}, locals_[0]);
    const Value mixed = emit(Op::bit_xor, kU32, {emit(Op::mul, kU32, {seen, u32(31)}), as_u32(value)});
    emit(Op::local_set, kNone, {mixed}, locals_[0]);
  }

  // ---- Statements -----------------------------------------------------------------------------------------

  void make_locals() {
    constexpr Type kTypes[] = {kU32, kU32, kI32, kF32, kBool};
    for (const Type type : kTypes) {
      locals_.push_back(builder_.add_local("v" + std::to_string(locals_.size()), type));
      emit(Op::local_set, kNone, {pick(type)}, locals_.back());
    }
  }
  Value get_local(uint32_t i) {
    return emit(Op::local_get, builder_.kernel().locals[locals_[i]].type, {}, locals_[i]);
  }

  void statement(uint32_t depth) {
    if (statements_left_ > 0) --statements_left_;
    switch (below(16)) {
      case 0:
      case 1:
        if (depth < 4) return branch(depth);
        break;
      case 2:
      case 3:
        if (depth < 4) return counting_loop(depth);
        break;
      case 4:
        if (depth < 3) return waiting_loop(depth);
        break;
      case 5:
      case 6: return burst_of_loads();
      case 7:
      case 8: return burst_of_stores();
      case 9: return set_local();
      case 10: return static_cast<void>(get_local(below(static_cast<uint32_t>(locals_.size()))));
      case 11:
        if (divergence_ == 0) return exchange();
        break;
      case 12: return store_own(pick(kU32), as_u32(pick(any_type())));
      default: break;
    }
    if (chance(20)) return guarded();
    if (chance(40)) return observe(edge());
    expression(any_type());
    observe(expression(any_type()));
  }
  /// A comparison at the edge of what the condition around it says.
  void guarded() {
    constexpr Op kCompare[] = {Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge};
    const Type type = chance(70) ? kU32 : kI32;
    const Value a =
        chance(70) ? emit(Op::bit_and, type, {pick(type), builder_.constant(type, 15)}) : pick(type);
    const uint32_t limit = chance(70) ? below(16) : builder_.kernel().at(constant(kU32)).attr0;
    const auto compare = [&](uint32_t near) {
      return emit(kCompare[below(6)], kBool, {a, builder_.constant(type, limit + near - 1)});
    };
    const Value condition =
        chance(50) ? compare(1)
                   : emit(chance(50) ? Op::bit_and : Op::bit_or, kBool, {compare(1), expression(kBool)});
    const Value in = builder_.emit(Op::if_, kNone, {condition}, std::source_location::current());
    ++divergence_;
    region(in, 0, [&] {
      observe(compare(below(3)));
      observe(emit(Op::min, type, {a, builder_.constant(type, limit + below(2))}));
    });
    region(in, 1, [&] { observe(compare(below(3))); });
    --divergence_;
  }
  void set_local() {
    const uint32_t i = 1 + below(static_cast<uint32_t>(locals_.size()) - 1);
    const Type type = builder_.kernel().locals[locals_[i]].type;
    emit(Op::local_set, kNone, {chance(50) ? pick(type) : expression(type)}, locals_[i]);
  }

  template <class Body>
  void region(Value structured, uint32_t which, Body body) {
    std::array<size_t, 4> marks{};
    for (size_t i = 0; i < 4; ++i) marks[i] = pools_[i].size();
    builder_.open_region(structured, which);
    body();
    builder_.close_region();
    for (size_t i = 0; i < 4; ++i) pools_[i].resize(marks[i]);
  }
  void statements(uint32_t depth) {
    for (uint32_t n = 1 + below(4); n > 0; --n) statement(depth);
  }

  void branch(uint32_t depth) {
    const bool uniform = chance(30);
    const Value condition =
        uniform ? emit(Op::lt, kBool, {uniform_[below(kProgramParams)], u32(below(12))}) : expression(kBool);
    const Value in = builder_.emit(Op::if_, kNone, {condition}, std::source_location::current());
    divergence_ += !uniform;
    region(in, 0, [&] { statements(depth + 1); });
    if (chance(50)) region(in, 1, [&] { statements(depth + 1); });
    divergence_ -= !uniform;
  }

  void counting_loop(uint32_t depth) {
    constexpr uint32_t kSteps[] = {1, 1, 1, 2, 3, 4};
    const uint32_t step = kSteps[below(6)], most = 1 + below(7);
    if (turns_ * (most + 1) > kLoopBudget) return;
    // At most `most` turns, by a constant, a parameter or a thread's own number.
    const bool uniform = chance(60);
    const Value first =
        chance(60) ? u32(below(3) * step) : emit(Op::bit_and, kU32, {pick_bound(uniform), u32(3)});
    const Value span = chance(50) ? u32(below(most + 1) * step - (step > 1 ? below(2) : 0) * (below(2)))
                                  : emit(Op::min, kU32, {pick_bound(uniform), u32(most * step)});
    const Value end =
        emit(Op::min, kU32,
             {emit(Op::add, kU32, {first, emit(Op::min, kU32, {span, u32(most * step)})}), u32(1000)});
    const Value loop = builder_.emit(Op::for_, kU32, {first, end, u32(step)}, std::source_location::current(),
                                     chance(50) ? below(6) : 0);
    const uint32_t turns = turns_;
    turns_ *= most + 1;
    divergence_ += !uniform;
    region(loop, 0, [&] {
      pools_[0].push_back(loop);
      statements(depth + 1);
    });
    divergence_ -= !uniform;
    turns_ = turns;
  }
  Value pick_bound(bool uniform) { return uniform ? uniform_[below(kProgramParams)] : pick(kU32); }

  /// A local counts down; the condition has a value of its own.
  void waiting_loop(uint32_t depth) {
    const uint32_t most = 1 + below(4);
    if (turns_ * (most + 1) > kLoopBudget) return;
    const uint32_t counter = builder_.add_local("turns", kU32);
    emit(Op::local_set, kNone, {u32(most)}, counter);
    const Value loop = builder_.emit(Op::while_, kNone, {}, std::source_location::current());
    const uint32_t turns = turns_;
    turns_ *= most + 1;
    ++divergence_;
    region(loop, 0, [&] {
      const Value left = emit(Op::local_get, kU32, {}, counter);
      const Value more = emit(Op::gt, kBool, {left, u32(0)});
      const Value extra = chance(50) ? emit(Op::bit_and, kBool, {more, pick(kBool)}) : more;
      builder_.emit(Op::yield, kNone, {extra}, std::source_location::current());
    });
    region(loop, 1, [&] {
      emit(Op::local_set, kNone, {emit(Op::sub, kU32, {emit(Op::local_get, kU32, {}, counter), u32(1)})},
           counter);
      statements(depth + 1);
    });
    --divergence_;
    turns_ = turns;
  }

  // ---- Memory ---------------------------------------------------------------------------------------------

  /// A multiple of 4 below `words`, in one of the shapes that addresses take.
  Value aligned(uint32_t words) {
    if (chance(50)) return u32(4 * below(2));  // often the same words, so that accesses meet
    const Value quad = emit(Op::bit_and, kU32, {pick(kU32), u32(words / 4 - 1)});
    return chance(50) ? emit(Op::shl, kU32, {quad, u32(2)}) : emit(Op::mul, kU32, {quad, u32(4)});
  }
  void burst_of_loads() {
    const uint32_t where = below(3);
    const Value first = aligned(where == 0   ? kProgramInputWords
                                : where == 1 ? kProgramThreadWords
                                             : kTileWords);
    const uint32_t start = chance(30) ? below(3) : 0;
    const ir::Storage storage = chance(50)   ? ir::Storage::u32
                                : chance(50) ? ir::Storage::f32
                                             : ir::Storage::i32;
    std::array<uint32_t, 4> order{0, 1, 2, 3};
    std::ranges::shuffle(order, random_);
    const uint32_t count = chance(50) ? 4 : 1 + below(4);
    for (uint32_t i = 0; i < count; ++i) {
      const Value index = emit(Op::add, kU32, {first, u32((start + order[i]) & 3)});
      const Type type = ir::loaded_type(storage);
      if (where == 0) memory(Op::load, type, {index}, 0, storage);
      if (where == 1) memory(Op::load, type, {emit(Op::add, kU32, {own_, index})}, 1, storage);
      if (where == 2)
        memory(Op::shared_load, type, {emit(Op::add, kU32, {own_tile_, index})}, tile_, storage);
      if (chance(60)) observe(last_);
      if (where == 1 && chance(25))
        store_own(chance(70) ? emit(Op::add, kU32, {first, u32(below(4))}) : pick(kU32), pick(kU32));
      if (where == 2 && chance(15)) {
        const Value word = emit(Op::add, kU32, {first, u32(below(4))});
        memory(Op::shared_store, kNone, {emit(Op::add, kU32, {own_tile_, word}), pick(kU32)}, tile_);
      }
    }
    if (chance(10)) {
      constexpr ir::Storage kNarrow[] = {ir::Storage::u8, ir::Storage::i8, ir::Storage::u16, ir::Storage::i16,
                                         ir::Storage::bf16};
      const ir::Storage narrow = kNarrow[below(5)];
      memory(Op::load, ir::loaded_type(narrow), {emit(Op::bit_and, kU32, {pick(kU32), u32(255)})}, 0, narrow);
    }
  }
  void burst_of_stores() {
    const bool shared = chance(30);
    const Value first = aligned(shared ? kTileWords : kProgramThreadWords);
    std::array<uint32_t, 4> order{0, 1, 2, 3};
    std::ranges::shuffle(order, random_);
    const uint32_t count = chance(50) ? 4 : 1 + below(4);
    const Type type = chance(70) ? kU32 : kF32;
    for (uint32_t i = 0; i < count; ++i) {
      const Value index = emit(Op::add, kU32, {first, u32(order[i])});
      const ir::Storage storage = type == kU32 ? ir::Storage::u32 : ir::Storage::f32;
      const Value address = emit(Op::add, kU32, {shared ? own_tile_ : own_, index});
      memory(shared ? Op::shared_store : Op::store, kNone, {address, pick(type)}, shared ? tile_ : 1,
             storage);
      if (chance(10)) {
        memory(Op::load, kU32, {emit(Op::add, kU32, {own_, emit(Op::bit_and, kU32, {pick(kU32), u32(31)})})},
               1);
      }
      if (chance(5)) emit(Op::atomic_add, kU32, {emit(Op::add, kU32, {own_, u32(below(32))}), pick(kU32)}, 1);
    }
  }
  void store_own(Value index, Value value) {
    const Value word = emit(Op::bit_and, kU32, {index, u32(kProgramThreadWords - 1)});
    memory(Op::store, kNone, {emit(Op::add, kU32, {own_, word}), value}, 1);
  }

  /// What threads do together: through the tile, through an array of its own, by a copy, by the subgroup.
  void exchange() {
    const auto barrier = [&] { emit(Op::barrier, kNone, {}); };
    switch (below(4)) {
      case 0: {
        barrier();
        memory(Op::shared_load, kU32, {emit(Op::bit_and, kU32, {pick(kU32), u32(kThreads * kTileWords - 1)})},
               tile_);
        barrier();
        return;
      }
      case 1: {
        const uint32_t array = builder_.add_shared("own", kThreads);
        const bool once = turns_ == 1;  // nobody used the array before, nobody will again
        if (!once || chance(50)) barrier();
        memory(Op::shared_store, kNone, {local_id_, pick(kU32)}, array);
        barrier();
        observe(
            memory(Op::shared_load, kU32, {emit(Op::bit_and, kU32, {pick(kU32), u32(kThreads - 1)})}, array));
        if (!once || chance(50)) barrier();
        return;
      }
      case 2: {
        const uint32_t array = builder_.add_shared("copied", kThreads * 4);
        barrier();
        const Value from = emit(Op::mul, kU32, {emit(Op::bit_and, kU32, {pick(kU32), u32(63)}), u32(4)});
        Instruction copy;
        copy.op = Op::copy_async;
        copy.attr0 = 0;
        copy.attr1 = array;
        copy.num_operands = 2;
        copy.operands = {emit(Op::mul, kU32, {local_id_, u32(4)}), from};
        builder_.emit(copy, std::source_location::current());
        emit(Op::copy_commit, kNone, {});
        expression(kU32);
        emit(Op::copy_wait, kNone, {});
        barrier();
        observe(memory(Op::shared_load, kU32, {emit(Op::bit_and, kU32, {pick(kU32), u32(kThreads * 4 - 1)})},
                       array));
        barrier();
        return;
      }
      default:
        if (chance(50)) {
          emit(Op::subgroup_add, kU32, {pick(kU32)});
        } else {
          emit(Op::shuffle_xor, kU32, {pick(kU32), u32(1u << below(3))});
        }
        observe(last_);
    }
  }

  std::mt19937 random_;
  ir::Builder builder_;
  uint32_t statements_left_;
  std::array<Values, 4> pools_;  // visible values: u32, i32, f32, bool
  Values uniform_;
  std::vector<uint32_t> locals_;
  Value local_id_, own_, own_tile_, last_;
  uint32_t tile_ = 0;
  uint32_t divergence_ = 0;  // conditions around this place in which threads may differ
  uint32_t turns_ = 1;
};

}  // namespace

ir::Kernel random_program(uint32_t seed, uint32_t size) {
  return Program(seed, size).make();
}

ProgramInput random_input(uint32_t seed) {
  std::mt19937 random(seed);
  ProgramInput input;
  for (uint32_t i = 0; i < kProgramParams; ++i) input.params.push_back(static_cast<uint32_t>(random() % 12));
  for (uint32_t i = 0; i < kProgramInputWords; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random());
    const float small = static_cast<float>(static_cast<int32_t>(bits % 2001) - 1000) / 16.0f;
    input.input.push_back(i % 3 == 0 ? bits : i % 3 == 1 ? bits % 100 : std::bit_cast<uint32_t>(small));
  }
  return input;
}

}  // namespace tattletale::compiler
