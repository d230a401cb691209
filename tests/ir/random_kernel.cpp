#include "ir/random_kernel.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "ir/random_values.h"
#include "ir/verify.h"
#include "tensor/float16.h"

namespace tattletale::test {
namespace {

using ir::kBool;
using ir::kF32;
using ir::kI32;
using ir::kNone;
using ir::kU32;
using ir::Op;
using ir::Scalar;
using ir::Storage;
using ir::Type;

constexpr uint32_t kScratchWords = 8;  // at the start of a thread's words in y
constexpr uint32_t kResultWords = 40;  // behind them; the last two are sums of everything kept
constexpr uint32_t kAtomicWords = 8;   // of each kind, at the start of z; then a word for each thread
constexpr uint32_t kMaxDepth = 3;

class Generator : public RandomValues {
 public:
  Generator(uint64_t seed, const ir::TargetInfo& target, uint32_t threads)
      : RandomValues(seed, target, threads) {}

  RandomKernel run(uint32_t statements, uint32_t num_workgroups) {
    prologue();
    block(statements);
    epilogue();
    RandomKernel made;
    made.kernel = b_.finish();
    made.num_workgroups = num_workgroups;
    made.rules.assign(kScratchWords + kResultWords, {});
    std::copy(rules_.begin(), rules_.end(), made.rules.begin() + kScratchWords);
    data(made);
    return made;
  }

 private:
  struct LocalOf {
    uint32_t index;
    Type type;
    bool uniform;  // only ever set to workgroup-uniform values in workgroup-uniform control flow
  };

  void prologue() {
    b_.add_binding("x", false);
    b_.add_binding("y", true);
    b_.add_binding("z", true);
    for (uint32_t i = 0; i < 2; ++i)
      keep(kU32, Known{b_.param("pu" + std::to_string(i), Scalar::u32, i), Level::grid});
    keep(kI32, Known{b_.param("pi", Scalar::i32, 2), Level::grid});
    keep(kF32, Known{b_.param("pf", Scalar::f32, 3), Level::grid, 16, 0.25});
    const Value group = emit(Op::workgroup_id, kU32, {});
    local_id_ = emit(Op::local_id, kU32, {});
    thread_ = emit(Op::add, kU32, {emit(Op::mul, kU32, {group, u32(threads_)}), local_id_});
    first_word_ = emit(Op::mul, kU32, {thread_, u32(kScratchWords + kResultWords)});
    own_ = emit(Op::offset, ir::kOffset, {thread_, u32((kScratchWords + kResultWords) * 4)});
    keep(kU32, Known{group, Level::workgroup});
    keep(kU32, Known{emit(Op::num_workgroups, kU32, {}), Level::grid});
    keep(kU32, Known{local_id_, Level::lane});
    keep(kU32, Known{thread_, Level::lane});
    keep(kU32, Known{emit(Op::lane_id, kU32, {}), Level::lane});
    keep(kU32, Known{emit(Op::subgroup_id, kU32, {}), Level::subgroup});
    for (uint32_t i = 0; i < 6; ++i) {
      const Type type = random_.pick({kU32, kI32, kF32, kBool});
      locals_.push_back({b_.add_local("v" + std::to_string(i), type), type, random_.one_in(3)});
      set_local(locals_.back());
    }
    hash_ = b_.add_local("hash", kU32);
    emit(Op::local_set, kNone, {u32(1)}, hash_);
    for (uint32_t i = 0; i < kScratchWords; ++i) store_own(i, kU32, u32(i));
  }

  void epilogue() {
    for (int i = 0; i < 6; ++i) {
      result(draw(kU32), kU32, {});
      result(draw(kI32), kI32, {});
      result(draw(kF32), kF32, ResultRule{true, 0, 0});
    }
    mix(Pools{});
    store_own(kScratchWords + kResultWords - 1, kU32, emit(Op::local_get, kU32, {}, hash_));
  }

  // ---- Results --------------------------------------------------------------------------------------------

  void store_own(uint32_t word, Type type, Value value) {
    const Storage storage = type == kF32 ? Storage::f32 : type == kI32 ? Storage::i32 : Storage::u32;
    const bool based = random_.one_in(2);
    const Value index = based ? u32(word) : emit(Op::add, kU32, {first_word_, u32(word)});
    const Value store = emit(Op::store, kNone, {index, value, based ? own_ : Value{}}, 1);
    b_.kernel().instructions[store.index].storage = storage;
  }

  /// Into a word of its own, as long as there is room.
  void result(const Known& known, Type type, const ResultRule& rule) {
    if (rules_.size() + 1 >= kResultWords) return;
    store_own(kScratchWords + static_cast<uint32_t>(rules_.size()), type, known.value);
    rules_.push_back(rule);
  }

  /// Makes the hash depend on every value kept since `before`: a wrong one shows, as xor and an odd factor
  /// lose nothing.
  void mix(const Pools& before) {
    hash_value_ = {};
    for (const Type type : {kU32, kI32, kF32, kBool}) {
      const std::vector<Known>& now = pool(type);
      for (size_t i = size_of(before, type); i < now.size(); ++i) {
        mix(type, now[i].value);
      }
    }
    if (hash_value_.valid()) emit(Op::local_set, kNone, {hash_value_}, hash_);
  }
  static size_t size_of(const Pools& pools, Type type) {
    if (type == kU32) return pools.u32.size();
    if (type == kI32) return pools.i32.size();
    return type == kF32 ? pools.f32.size() : pools.boolean.size();
  }

  void mix(Type type, Value word) {
    if (!hash_value_.valid()) hash_value_ = emit(Op::local_get, kU32, {}, hash_);
    if (type == kI32) word = emit(Op::bitcast, kU32, {word});
    if (type == kBool) word = emit(Op::select, kU32, {word, u32(0x9e3779b9), u32(3)});
    if (type == kF32)
      word = emit(Op::bitcast, kU32, {emit(Op::to_i32, kI32, {emit(Op::mul, kF32, {word, f32(16)})})});
    hash_value_ = emit(Op::mul, kU32, {emit(Op::bit_xor, kU32, {hash_value_, word}), u32(0x01000193)});
  }

  // ---- Statements -----------------------------------------------------------------------------------------

  void block(uint32_t statements) {
    for (uint32_t i = 0; i < statements; ++i) statement(statements);
  }

  void statement(uint32_t size) {
    const Level widest = random_.one_in(4) ? Level::workgroup : Level::lane;  // some chains stay uniform
    switch (random_.below(26)) {
      case 0:
      case 1:
      case 2:
      case 3: return integer_op(widest);
      case 4:
      case 5:
      case 6: return float_op(widest);
      case 7: return boolean_op(widest);
      case 8: return conversion(widest);
      case 9: return select_op(widest);
      case 10: return halves_op();
      case 11:
      case 12: return load_op(widest);
      case 13: {
        ResultRule rule;
        const Known value = rounded(rule);
        return result(value, kF32, rule);
      }
      case 14: return get_local();
      case 15: return set_local(locals_[random_.below(static_cast<uint32_t>(locals_.size()))]);
      case 16: return if_statement(size);
      case 17: return random_.one_in(3) ? while_statement(size) : for_statement(size);
      case 18: return scratch();
      case 19: return atomic();
      case 20: return shared_phase();
      case 21: return shared_read();
      case 22:
      case 23: return subgroup_op();
      case 24: return boolean_op(widest);
      default: return random_.one_in(2) ? fragment() : subgroup_phase();
    }
  }

  void get_local() {
    const LocalOf& local = locals_[random_.below(static_cast<uint32_t>(locals_.size()))];
    const Level level = local.uniform ? Level::workgroup : Level::lane;
    keep(local.type, Known{emit(Op::local_get, local.type, {}, local.index), level, 64, 0x1p-4});
  }

  void set_local(const LocalOf& local) {
    if (local.uniform && control_ > Level::workgroup) return;
    const Known x = draw(local.type, local.uniform ? Level::workgroup : Level::lane);
    Value value = x.value;
    if (local.type == kF32) {  // a multiple of 1/16 of at most 64, whatever comes round a loop
      if (x.grain < 0x1p-4) value = emit(Op::floor, kF32, {value});
      value = emit(Op::min, kF32, {emit(Op::max, kF32, {value, f32(-64)}), f32(64)});
    }
    emit(Op::local_set, kNone, {value}, local.index);
  }

  // ---- Control flow ---------------------------------------------------------------------------------------

  struct Scope {
    Pools pools;
    Level control;
    bool shared_ready;
  };
  Scope enter(Level level) {
    Scope scope{pools_, control_, shared_ready_};
    control_ = std::max(control_, level);
    ++depth_;
    return scope;
  }
  void leave(Scope&& scope) {
    mix(scope.pools);
    pools_ = std::move(scope.pools);
    control_ = scope.control;
    shared_ready_ = scope.shared_ready;
    --depth_;
  }
  uint32_t inner(uint32_t size) { return 2 + random_.below(std::max(size / 2, 2u)); }

  /// Half of the threads or workgroups go each way, more or less: what never runs tests nothing.
  Known branch_condition() {
    if (random_.one_in(3)) return draw(kBool, random_.one_in(2) ? Level::workgroup : Level::lane);
    const Known x = draw(kU32, random_.one_in(3) ? Level::workgroup : Level::lane);
    const Value bit = emit(Op::bit_and, kU32, {x.value, u32(1u << random_.below(3))});
    return {emit(random_.pick({Op::eq, Op::ne}), kBool, {bit, u32(0)}), x.level};
  }

  void if_statement(uint32_t size) {
    if (depth_ == kMaxDepth) return integer_op(Level::lane);
    const Known condition = branch_condition();
    const Value branch = emit(Op::if_, kNone, {condition.value});
    for (uint32_t which = 0; which < 1 + random_.below(2); ++which) {
      b_.open_region(branch, which);
      Scope scope = enter(condition.level);
      block(inner(size));
      leave(std::move(scope));
      b_.close_region();
    }
  }

  void for_statement(uint32_t size) {
    if (depth_ == kMaxDepth) return float_op(Level::lane);
    const Level widest = random_.one_in(2) ? Level::workgroup : Level::lane;
    const Known first = below(4, widest), length = below(4, widest);
    Value end = emit(Op::add, kU32, {first.value, length.value});
    if (!random_.one_in(4)) end = emit(Op::add, kU32, {end, u32(1)});  // at least one turn
    const Value step = u32(1 + random_.below(2));
    const Value loop = emit(Op::for_, kU32, {first.value, end, step}, random_.pick({0u, 0u, 2u, 4u}));
    const Level level = widest_of({first, length});
    b_.open_region(loop, 0);
    Scope scope = enter(level);
    keep(kU32, Known{loop, control_});
    block(inner(size));
    leave(std::move(scope));
    b_.close_region();
  }

  void while_statement(uint32_t size) {
    if (depth_ == kMaxDepth) return float_op(Level::lane);
    const Known bound = below(4, random_.one_in(2) ? Level::workgroup : Level::lane);
    const uint32_t turn = b_.add_local("turn", kU32);
    emit(Op::local_set, kNone, {u32(0)}, turn);
    const Value loop = emit(Op::while_, kNone, {});
    b_.open_region(loop, 0);
    Scope scope = enter(bound.level);
    integer_op(Level::lane);
    emit(Op::yield, kNone, {emit(Op::lt, kBool, {emit(Op::local_get, kU32, {}, turn), bound.value})});
    b_.close_region();
    pools_ = scope.pools;  // what the condition computes is not seen in the body
    b_.open_region(loop, 1);
    const Value next = emit(Op::add, kU32, {emit(Op::local_get, kU32, {}, turn), u32(1)});
    emit(Op::local_set, kNone, {next}, turn);
    block(inner(size));
    leave(std::move(scope));
    b_.close_region();
  }

  // ---- Memory ---------------------------------------------------------------------------------------------

  /// Words of y that are this thread's own: what was stored must come back.
  void scratch() {
    const auto lanes = static_cast<uint8_t>(random_.pick({1, 2, 4}));
    const Type type{Scalar::u32, lanes};
    const Known at = below(kScratchWords / lanes);
    const Value index = lanes > 1 ? emit(Op::mul, kU32, {at.value, u32(lanes)}) : at.value;
    const auto mark = [&](Value access) { b_.kernel().instructions[access.index].storage = Storage::u32; };
    if (random_.one_in(2)) {
      std::array<Value, 4> x;
      for (Value& v : x) v = draw(kU32).value;
      Value value = x[0];
      if (lanes == 2) value = emit(Op::make_vector, type, {x[0], x[1]});
      if (lanes == 4) value = emit(Op::make_vector, type, {x[0], x[1], x[2], x[3]});
      return mark(emit(Op::store, kNone, {index, value, own_}, 1));
    }
    const Value loaded = emit(Op::load, type, {index, own_}, 1);
    mark(loaded);
    const Value one = lanes > 1 ? emit(Op::extract, kU32, {loaded}, random_.below(lanes)) : loaded;
    keep(kU32, Known{one, Level::lane});
  }

  /// Sums and extremes do not depend on the order; a compare-and-swap has a word of its own.
  void atomic() {
    if (random_.one_in(4)) {
      const Value at = emit(Op::add, kU32, {thread_, u32(kAtomicWords * 4)});
      const Value old = emit(Op::atomic_cas, kU32, {at, draw(kU32).value, draw(kU32).value}, 2);
      return keep(kU32, Known{old, Level::lane});
    }
    const uint32_t kind = random_.below(4);
    const Type type = kind == 3 ? kI32 : kU32;
    const Op op = kind == 0 ? Op::atomic_add : kind == 1 ? Op::atomic_max : Op::atomic_min;
    const Value at = emit(Op::add, kU32, {below(kAtomicWords).value, u32(kAtomicWords * kind)});
    emit(op, type, {at, draw(type).value}, 2);
  }

  bool may_barrier() const { return control_ <= Level::workgroup; }
  bool may_vote() const { return control_ <= Level::subgroup && target_.subgroup_size > 1; }

  Value shared_access(Op op, Type type, std::initializer_list<Value> operands, uint32_t array) {
    const Value access = emit(op, type, operands, array);
    b_.kernel().instructions[access.index].storage = Storage::u32;
    return access;
  }

  /// Every thread fills its place, then all read anywhere.
  void shared_phase() {
    if (!may_barrier()) return shared_read();
    if (shared_ == UINT32_MAX) {
      shared_ = b_.add_shared("tile", 4 * threads_);
      counters_ = b_.add_shared("counters", 8);
    }
    emit(Op::barrier, kNone, {});  // what was read before has been read
    const Value place = random_.one_in(2) ? local_id_ : emit(Op::sub, kU32, {u32(threads_ - 1), local_id_});
    const Value first = emit(Op::mul, kU32, {place, u32(4)});
    if (random_.one_in(3)) {
      const Value from = emit(Op::mul, kU32, {below(kPartWords / 4).value, u32(4)});
      emit(Op::copy_async, kNone, {first, from}, 0, shared_);
      emit(Op::copy_commit, kNone, {});
      emit(Op::copy_wait, kNone, {}, 0);
    } else {
      const Value value = emit(Op::make_vector, {Scalar::u32, 4},
                               {draw(kU32).value, draw(kU32).value, draw(kU32).value, thread_});
      shared_access(Op::shared_store, kNone, {first, value}, shared_);
    }
    const bool count = random_.one_in(2);
    if (count) {
      const Value low = emit(Op::lt, kBool, {local_id_, u32(1)});
      b_.open_region(emit(Op::if_, kNone, {low}), 0);
      for (uint32_t i = 0; i < 8; ++i) shared_access(Op::shared_store, kNone, {u32(i), u32(i)}, counters_);
      b_.close_region();
    }
    emit(Op::barrier, kNone, {});
    shared_ready_ = true;
    if (!count) return shared_read();
    emit(Op::shared_atomic_add, kU32, {below(8).value, draw(kU32).value}, counters_);
    emit(Op::barrier, kNone, {});
    const Value sum = shared_access(Op::shared_load, kU32, {below(8).value}, counters_);
    keep(kU32, Known{sum, Level::lane});
  }

  void shared_read() {
    if (!shared_ready_) return load_op(Level::lane);
    const auto lanes = static_cast<uint8_t>(random_.pick({1, 2, 4}));
    const Known at = below(4 * threads_ / lanes);
    const Value index = lanes > 1 ? emit(Op::mul, kU32, {at.value, u32(lanes)}) : at.value;
    const Value loaded = shared_access(Op::shared_load, {Scalar::u32, lanes}, {index}, shared_);
    const Value one = lanes > 1 ? emit(Op::extract, kU32, {loaded}, random_.below(lanes)) : loaded;
    keep(kU32, Known{one, Level::lane});
  }

  // ---- Subgroups ------------------------------------------------------------------------------------------

  void subgroup_op() {
    if (!may_vote()) return integer_op(Level::lane);
    const uint32_t size = target_.subgroup_size;
    if (random_.one_in(5)) {
      const Known vote = draw(kBool);
      const Op op = random_.pick({Op::subgroup_any, Op::subgroup_all});
      return keep(kBool, Known{emit(op, kBool, {vote.value}), Level::subgroup});
    }
    const Type type = random_.pick({kU32, kI32, kF32});
    const Known x = draw_varied(type);
    const auto put = [&](Value value, Level level, double max_abs) {
      keep(type, Known{value, level, max_abs, x.grain});
    };
    switch (random_.below(4)) {
      case 0:
        if (type != kF32 || (x.max_abs * size <= x.grain * (1 << 24) && x.grain >= 0x1p-20)) {
          return put(emit(Op::subgroup_add, type, {x.value}), Level::subgroup, x.max_abs * size);
        }
        [[fallthrough]];
      case 1:
        return put(emit(random_.pick({Op::subgroup_max, Op::subgroup_min}), type, {x.value}), Level::subgroup,
                   x.max_abs);
      case 2:
        return put(emit(Op::shuffle_xor, type, {x.value, u32(random_.below(size))}), Level::lane, x.max_abs);
      default: {
        const Known lane = below(size);
        const Level level = lane.level <= Level::subgroup ? Level::subgroup : Level::lane;
        return put(emit(Op::shuffle, type, {x.value, lane.value}), level, x.max_abs);
      }
    }
  }

  /// Through shared memory, ordered by subgroup barriers only.
  void subgroup_phase() {
    if (!may_vote() || !may_barrier()) return shared_phase();
    if (subgroup_tile_ == UINT32_MAX) subgroup_tile_ = b_.add_shared("subgroup_tile", threads_);
    emit(Op::subgroup_barrier, kNone, {});
    shared_access(Op::shared_store, kNone, {local_id_, draw(kU32).value}, subgroup_tile_);
    emit(Op::subgroup_barrier, kNone, {});
    const uint32_t size = target_.subgroup_size;
    const Value first = emit(Op::mul, kU32, {emit(Op::subgroup_id, kU32, {}), u32(size)});
    const Value at = emit(Op::add, kU32, {first, below(size).value});
    keep(kU32, Known{shared_access(Op::shared_load, kU32, {at}, subgroup_tile_), Level::lane});
  }

  /// A product of small integers in halves, which is exact. Every subgroup computes it for itself.
  void fragment() {
    const bool offered =
        target_.f16_fragments != ir::FragmentTier::none && threads_ / target_.subgroup_size <= 4;
    if (!offered || !may_barrier() || depth_ > 1) return shared_phase();
    const uint32_t subgroups = threads_ / target_.subgroup_size;
    if (halves_ == UINT32_MAX) {
      halves_ = b_.add_shared("halves", 256);
      product_ = b_.add_shared("product", 256 * subgroups);
    }
    emit(Op::barrier, kNone, {});
    const Value i = emit(Op::for_, kU32, {local_id_, u32(256), u32(threads_)});
    b_.open_region(i, 0);
    const Value from = emit(
        Op::add, kU32,
        {emit(Op::bit_and, kU32, {emit(Op::mul, kU32, {i, u32(random_.word() | 1)}), u32(kPartWords - 1)}),
         u32(static_cast<uint32_t>(Part::small_halves) * kPartWords)});
    const Value word = emit(Op::load, kU32, {from}, 0);
    shared_access(Op::shared_store, kNone, {i, word}, halves_);
    b_.close_region();
    emit(Op::barrier, kNone, {});
    const auto type = [](ir::FragmentUse use, Storage element) {
      return Type{Scalar::fragment, 1, use, element};
    };
    const Type accumulator = type(ir::FragmentUse::accumulator, Storage::f32);
    const Value a =
        emit(Op::fragment_load, type(ir::FragmentUse::a, Storage::f16), {u32(0), u32(16)}, halves_);
    const Op load = random_.pick({Op::fragment_load, Op::fragment_load_rows});
    const Value b = emit(load, type(ir::FragmentUse::b, Storage::f16), {u32(256), u32(16)}, halves_);
    Value c = emit(Op::fragment_fill, accumulator, {f32(3)});
    c = emit(Op::fragment_mma, accumulator, {a, b, c});
    if (target_.f16_fragments == ir::FragmentTier::transparent && random_.one_in(2)) {
      const uint32_t number = random_.below(256 / target_.subgroup_size);
      const Value row = emit(Op::to_f32, kF32, {emit(Op::fragment_row, kU32, {}, number)});
      const Value column = emit(Op::to_f32, kF32, {emit(Op::fragment_column, kU32, {}, number)});
      const Value old = emit(Op::fragment_get, kF32, {c}, number);
      const Value sum = emit(Op::fma, kF32, {row, f32(64), emit(Op::add, kF32, {old, column})});
      c = emit(Op::fragment_set, accumulator, {c, sum}, number);
    }
    const Value first = emit(Op::mul, kU32, {emit(Op::subgroup_id, kU32, {}), u32(256)});
    emit(Op::fragment_store_shared, kNone, {first, u32(16), c}, product_);
    emit(Op::barrier, kNone, {});
    const Value at = emit(Op::add, kU32, {first, below(256).value});
    const Value loaded = emit(Op::shared_load, kF32, {at}, product_);
    b_.kernel().instructions[loaded.index].storage = Storage::f32;
    keep(kF32, Known{loaded, Level::lane, 4096, 1});
  }

  // ---- Data -----------------------------------------------------------------------------------------------

  uint32_t input_word(Part part) {
    const auto small = [&](uint32_t n) {
      return static_cast<float>(static_cast<int>(random_.below(2 * n + 1)) - static_cast<int>(n));
    };
    switch (part) {
      case Part::f32: return std::bit_cast<uint32_t>(small(4096) / 16);
      case Part::f16: return f32_to_f16(small(2047) / 8) | uint32_t{f32_to_f16(small(2047) / 8)} << 16;
      case Part::bf16: return f32_to_bf16(small(255)) | uint32_t{f32_to_bf16(small(255))} << 16;
      case Part::small_halves: return f32_to_f16(small(4)) | uint32_t{f32_to_f16(small(4))} << 16;
      default: return random_.one_in(4) ? random_.below(16) : random_.word() * 0x9e3779b9u;
    }
  }

  void data(RandomKernel& made) {
    made.params = {random_.below(9), random_.word(), static_cast<uint32_t>(-3),
                   std::bit_cast<uint32_t>(2.25f)};
    made.kernel.params.resize(4);
    for (uint32_t part = 0; part < static_cast<uint32_t>(Part::count); ++part) {
      for (uint32_t i = 0; i < kPartWords; ++i) made.x.push_back(input_word(static_cast<Part>(part)));
    }
    const uint32_t num_threads = made.num_workgroups * threads_;
    made.y.resize(num_threads * made.rules.size());
    made.z.resize(kAtomicWords * 4 + num_threads);
    for (uint32_t i = 0; i < 2 * kAtomicWords; ++i) made.z[2 * kAtomicWords + i] = 0x7fffffff;
  }

  Value local_id_, thread_, first_word_, own_;
  uint32_t hash_ = 0;
  Value hash_value_;
  uint32_t shared_ = UINT32_MAX, counters_ = UINT32_MAX, subgroup_tile_ = UINT32_MAX;
  uint32_t halves_ = UINT32_MAX, product_ = UINT32_MAX;
  std::vector<LocalOf> locals_;
  std::vector<ResultRule> rules_;
  Level control_ = Level::constant;
  uint32_t depth_ = 0;
  bool shared_ready_ = false;
};

}  // namespace

RandomKernel random_kernel(uint64_t seed, const ir::TargetInfo& target, uint32_t statements) {
  Random shape(seed ^ 0x5bd1e995u);
  const uint32_t limit = std::min(target.max_workgroup_threads, std::max(64u, target.subgroup_size));
  uint32_t threads = target.subgroup_size * shape.pick({1u, 2u, 4u});
  if (target.subgroup_size == 1) threads = shape.pick({1u, 3u, 8u, 32u});
  while (threads > limit) threads /= 2;
  if (statements == 0) statements = 6 + shape.below(30);
  const uint32_t num_workgroups = 1 + shape.below(3);
  RandomKernel made = Generator(seed, target, threads).run(statements, num_workgroups);
  const auto sound = ir::verify(made.kernel, target);
  if (!sound) throw InvariantError("random kernel " + std::to_string(seed) + ": " + sound.error().message());
  return made;
}

}  // namespace tattletale::test
