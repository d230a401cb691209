// The kernel language, embedded in C++: values that record what is done to them.
//
//   lang::KernelScope k("scale", 256, target);
//   const lang::Buffer x = k.input("x"), y = k.output("y");
//   const Val<uint32_t> n = k.param<uint32_t>("n", 0);
//   $for (i, k.thread(), n, k.num_threads()) { y.store(i, 2.0f * x.load<Storage::f32>(i)); }
//   ir::Kernel kernel = k.finish();
//
// A body is ordinary C++ that runs once, while it is traced. C++ `for` and `if` decide what is traced: a C++
// loop unrolls, a C++ function is inlined, a C++ constant is a compile-time constant. $if, $else, $for and
// $while are recorded and run on the device. Val<T> is immutable, Var<T> a mutable local. A Val<bool> does
// not convert to bool, so forgetting a $ does not compile. Every operation carries the line that made it.
// The language's whole surface stands in this one file, which is why it is long: a body includes it and
// nothing else.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <source_location>
#include <string_view>

#include "base/check.h"
#include "ir/builder.h"

namespace tattletale::lang {

using ir::Op;
using ir::Storage;
using SourceLocation = std::source_location;

template <class T>
concept Number = std::same_as<T, float> || std::same_as<T, int32_t> || std::same_as<T, uint32_t>;

template <class T>
inline constexpr ir::Type kType = ir::kNone;
template <>
inline constexpr ir::Type kType<float> = ir::kF32;
template <>
inline constexpr ir::Type kType<int32_t> = ir::kI32;
template <>
inline constexpr ir::Type kType<uint32_t> = ir::kU32;
template <>
inline constexpr ir::Type kType<bool> = ir::kBool;

template <Storage kStorage>
struct Loaded {
  using Type =
      std::conditional_t<ir::loaded_type(kStorage) == ir::kF32, float,
                         std::conditional_t<ir::loaded_type(kStorage) == ir::kI32, int32_t, uint32_t>>;
};

/// The builder of the kernel being traced on this thread; a broken invariant outside a KernelScope.
ir::Builder& builder();

template <class T>
class Val;
template <class T>
class Var;

/// The right-hand operand of an operator: also notes the line.
template <class T>
struct Arg {
  ir::Value value;
  SourceLocation at;
  Arg(const Val<T>& v, SourceLocation where = SourceLocation::current());
  Arg(const Var<T>& v, SourceLocation where = SourceLocation::current());
  Arg(T constant, SourceLocation where = SourceLocation::current());
};

template <class T>
struct Operators;
template <>
struct Operators<bool> {
  friend Val<bool> operator&(Val<bool> a, Arg<bool> b);
  friend Val<bool> operator|(Val<bool> a, Arg<bool> b);
  friend Val<bool> operator!(Val<bool> a);
};

template <>
class Val<bool> : public Operators<bool> {
 public:
  Val(bool constant) : value_(builder().constant(ir::kBool, constant ? 1 : 0)) {}
  explicit Val(ir::Value value) : value_(value) {}
  explicit operator bool() const = delete;  // use $if, not if
  ir::Value value() const { return value_; }

 private:
  ir::Value value_;
};

/// Operators of Val<T> and Var<T>; found through this base whichever of the two is an operand.
template <class T>
struct Operators {
  friend Val<T> operator+(Val<T> a, Arg<T> b) { return Val<T>::make(Op::add, a, b); }
  friend Val<T> operator-(Val<T> a, Arg<T> b) { return Val<T>::make(Op::sub, a, b); }
  friend Val<T> operator*(Val<T> a, Arg<T> b) { return Val<T>::make(Op::mul, a, b); }
  friend Val<T> operator/(Val<T> a, Arg<T> b) { return Val<T>::make(Op::div, a, b); }
  friend Val<T> operator%(Val<T> a, Arg<T> b) { return Val<T>::make(Op::rem, a, b); }
  friend Val<T> operator&(Val<T> a, Arg<T> b) { return Val<T>::make(Op::bit_and, a, b); }
  friend Val<T> operator|(Val<T> a, Arg<T> b) { return Val<T>::make(Op::bit_or, a, b); }
  friend Val<T> operator^(Val<T> a, Arg<T> b) { return Val<T>::make(Op::bit_xor, a, b); }
  friend Val<bool> operator==(Arg<T> a, Arg<T> b) { return Val<T>::compare(Op::eq, a, b); }
  friend Val<bool> operator!=(Arg<T> a, Arg<T> b) { return Val<T>::compare(Op::ne, a, b); }
  friend Val<bool> operator<(Arg<T> a, Arg<T> b) { return Val<T>::compare(Op::lt, a, b); }
  friend Val<bool> operator<=(Arg<T> a, Arg<T> b) { return Val<T>::compare(Op::le, a, b); }
  friend Val<bool> operator>(Arg<T> a, Arg<T> b) { return Val<T>::compare(Op::gt, a, b); }
  friend Val<bool> operator>=(Arg<T> a, Arg<T> b) { return Val<T>::compare(Op::ge, a, b); }
  friend Val<T> operator<<(Val<T> a, Arg<uint32_t> b) {
    return Val<T>(builder().emit(Op::shl, kType<T>, {a.value(), b.value}, b.at));
  }
  friend Val<T> operator>>(Val<T> a, Arg<uint32_t> b) {
    return Val<T>(builder().emit(Op::shr, kType<T>, {a.value(), b.value}, b.at));
  }
  friend Val<T> min(Val<T> a, Arg<T> b) { return Val<T>::make(Op::min, a, b); }
  friend Val<T> max(Val<T> a, Arg<T> b) { return Val<T>::make(Op::max, a, b); }
};

/// An immutable value of the device: float, int32_t, uint32_t or bool.
template <class T>
class Val : public Operators<T> {
 public:
  Val(T constant) : value_(builder().constant(kType<T>, std::bit_cast<uint32_t>(static_cast<T>(constant)))) {}
  explicit Val(ir::Value value) : value_(value) {}

  ir::Value value() const { return value_; }

  static Val make(Op op, Val a, Arg<T> b) {
    return Val(builder().emit(op, kType<T>, {a.value(), b.value}, b.at));
  }
  static Val<bool> compare(Op op, Arg<T> a, Arg<T> b);

 private:
  ir::Value value_;
};

/// A mutable local of one thread. Undefined until assigned.
template <class T>
class Var : public Operators<T> {
 public:
  explicit Var(std::string_view name = "") : local_(builder().add_local(name, kType<T>)) {}
  explicit Var(Val<T> initial, SourceLocation at = SourceLocation::current()) : Var() { set(initial, at); }
  explicit Var(T initial, SourceLocation at = SourceLocation::current()) : Var(Val<T>(initial), at) {}
  Var(const Var&) = delete;  // a copy would be a second name for the same local, or a new local: say which
  Var(Var&&) = default;

  void set(Val<T> value, SourceLocation at = SourceLocation::current()) {
    builder().emit(Op::local_set, ir::kNone, {value.value()}, at, local_);
  }
  Val<T> get(SourceLocation at = SourceLocation::current()) const {
    return Val<T>(builder().emit(Op::local_get, kType<T>, {}, at, local_));
  }
  operator Val<T>() const { return get(); }
  void operator=(Arg<T> b) { set(Val<T>(b.value), b.at); }
  void operator=(const Var& other) { set(other.get()); }
  void operator+=(Arg<T> b) { set(Val<T>::make(Op::add, get(b.at), b), b.at); }
  void operator-=(Arg<T> b) { set(Val<T>::make(Op::sub, get(b.at), b), b.at); }
  void operator*=(Arg<T> b) { set(Val<T>::make(Op::mul, get(b.at), b), b.at); }

 private:
  uint32_t local_;
};

template <class T>
Arg<T>::Arg(const Val<T>& v, SourceLocation where) : value(v.value()), at(where) {}
template <class T>
Arg<T>::Arg(const Var<T>& v, SourceLocation where) : value(v.get(where).value()), at(where) {}
template <class T>
Arg<T>::Arg(T constant, SourceLocation where) : value(Val<T>(constant).value()), at(where) {}

template <class T>
Val<bool> Val<T>::compare(Op op, Arg<T> a, Arg<T> b) {
  return Val<bool>(builder().emit(op, ir::kBool, {a.value, b.value}, b.at));
}
inline Val<bool> operator&(Val<bool> a, Arg<bool> b) {
  return Val<bool>(builder().emit(Op::bit_and, ir::kBool, {a.value(), b.value}, b.at));
}
inline Val<bool> operator|(Val<bool> a, Arg<bool> b) {
  return Val<bool>(builder().emit(Op::bit_or, ir::kBool, {a.value(), b.value}, b.at));
}
inline Val<bool> operator!(Val<bool> a) {
  return Val<bool>(builder().emit(Op::bit_not, ir::kBool, {a.value()}, SourceLocation::current()));
}

// ---- Functions. Each is one operation of ir/op.h, which says what it computes.
// -----------------------------

namespace detail {
template <class R>
Val<R> unary(Op op, ir::Value x, SourceLocation at) {
  return Val<R>(builder().emit(op, kType<R>, {x}, at));
}
}  // namespace detail

#define TT_LANG_UNARY(name, op, R, T)                                           \
  inline Val<R> name(Val<T> x, SourceLocation at = SourceLocation::current()) { \
    return detail::unary<R>(Op::op, x.value(), at);                             \
  }
TT_LANG_UNARY(neg, neg, float, float)
TT_LANG_UNARY(neg, neg, int32_t, int32_t)
TT_LANG_UNARY(abs, abs, float, float)
TT_LANG_UNARY(abs, abs, int32_t, int32_t)
TT_LANG_UNARY(bit_not, bit_not, uint32_t, uint32_t)
TT_LANG_UNARY(popcount, popcount, uint32_t, uint32_t)
TT_LANG_UNARY(to_f32, to_f32, float, uint32_t)
TT_LANG_UNARY(to_f32, to_f32, float, int32_t)
TT_LANG_UNARY(to_i32, to_i32, int32_t, float)
TT_LANG_UNARY(to_i32, to_i32, int32_t, uint32_t)
TT_LANG_UNARY(to_u32, to_u32, uint32_t, float)
TT_LANG_UNARY(to_u32, to_u32, uint32_t, int32_t)
TT_LANG_UNARY(bits_of, bitcast, uint32_t, float)
TT_LANG_UNARY(f32_of_bits, bitcast, float, uint32_t)
TT_LANG_UNARY(sqrt, sqrt, float, float)
TT_LANG_UNARY(rsqrt, rsqrt, float, float)
TT_LANG_UNARY(exp2, exp2, float, float)
TT_LANG_UNARY(log2, log2, float, float)
TT_LANG_UNARY(sin, sin, float, float)
TT_LANG_UNARY(cos, cos, float, float)
TT_LANG_UNARY(floor, floor, float, float)
TT_LANG_UNARY(tanh, tanh, float, float)
TT_LANG_UNARY(unpack_f16_lo, unpack_f16_lo, float, uint32_t)
TT_LANG_UNARY(unpack_f16_hi, unpack_f16_hi, float, uint32_t)
#undef TT_LANG_UNARY

inline Val<float> fma(Val<float> a, Val<float> b, Val<float> c,
                      SourceLocation at = SourceLocation::current()) {
  return Val<float>(builder().emit(Op::fma, ir::kF32, {a.value(), b.value(), c.value()}, at));
}
inline Val<uint32_t> mul_hi(Val<uint32_t> a, Val<uint32_t> b, SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::mul_hi, ir::kU32, {a.value(), b.value()}, at));
}
inline Val<uint32_t> funnel_shr(Val<uint32_t> hi, Val<uint32_t> lo, Val<uint32_t> count,
                                SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::funnel_shr, ir::kU32, {hi.value(), lo.value(), count.value()}, at));
}
inline Val<int32_t> dot4_i8(Val<uint32_t> a, Val<uint32_t> b, Val<int32_t> c,
                            SourceLocation at = SourceLocation::current()) {
  return Val<int32_t>(builder().emit(Op::dot4_i8, ir::kI32, {a.value(), b.value(), c.value()}, at));
}
inline Val<uint32_t> pack_f16x2(Val<float> lo, Val<float> hi, SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::pack_f16x2, ir::kU32, {lo.value(), hi.value()}, at));
}
inline Val<uint32_t> pack_bf16x2(Val<float> lo, Val<float> hi,
                                 SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::pack_bf16x2, ir::kU32, {lo.value(), hi.value()}, at));
}
inline Val<float> unpack_bf16_lo(Val<uint32_t> w, SourceLocation at = SourceLocation::current()) {
  return f32_of_bits(w << 16u, at);
}
inline Val<float> unpack_bf16_hi(Val<uint32_t> w, SourceLocation at = SourceLocation::current()) {
  return f32_of_bits(w & 0xffff0000u, at);
}
#define TT_LANG_F16X2(name)                                                               \
  inline Val<uint32_t> name(Val<uint32_t> a, Val<uint32_t> b,                             \
                            SourceLocation at = SourceLocation::current()) {              \
    return Val<uint32_t>(builder().emit(Op::name, ir::kU32, {a.value(), b.value()}, at)); \
  }
TT_LANG_F16X2(add_f16x2)
TT_LANG_F16X2(mul_f16x2)
#undef TT_LANG_F16X2
inline Val<uint32_t> fma_f16x2(Val<uint32_t> a, Val<uint32_t> b, Val<uint32_t> c,
                               SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::fma_f16x2, ir::kU32, {a.value(), b.value(), c.value()}, at));
}

/// condition ? x : y, both computed.
template <class T>
Val<T> select(Val<bool> condition, Val<T> x, std::type_identity_t<Val<T>> y,
              SourceLocation at = SourceLocation::current()) {
  return Val<T>(builder().emit(Op::select, kType<T>, {condition.value(), x.value(), y.value()}, at));
}

// ---- Threads ----------------------------------------------------------------------------------------------

inline Val<uint32_t> workgroup_id(uint32_t axis = 0, SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::workgroup_id, ir::kU32, {}, at, axis));
}
inline Val<uint32_t> num_workgroups(uint32_t axis = 0, SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::num_workgroups, ir::kU32, {}, at, axis));
}
inline Val<uint32_t> local_id(SourceLocation at = SourceLocation::current()) {
  return Val<uint32_t>(builder().emit(Op::local_id, ir::kU32, {}, at));
}
inline Val<uint32_t> lane_id(SourceLocation at = SourceLocation::current()) {
  if (builder().kernel().subgroup_size == 1) return 0u;
  return Val<uint32_t>(builder().emit(Op::lane_id, ir::kU32, {}, at));
}
inline Val<uint32_t> subgroup_id(SourceLocation at = SourceLocation::current()) {
  if (builder().kernel().subgroup_size == 1) return local_id(at);
  return Val<uint32_t>(builder().emit(Op::subgroup_id, ir::kU32, {}, at));
}
inline void barrier(SourceLocation at = SourceLocation::current()) {
  builder().emit(Op::barrier, ir::kNone, {}, at);
}
inline void subgroup_barrier(SourceLocation at = SourceLocation::current()) {
  if (builder().kernel().subgroup_size > 1) builder().emit(Op::subgroup_barrier, ir::kNone, {}, at);
}

// With a subgroup of one thread these are what they must be: the thread's own value.
#define TT_LANG_SUBGROUP(name)                                           \
  template <Number T>                                                    \
  Val<T> name(Val<T> x, SourceLocation at = SourceLocation::current()) { \
    if (builder().kernel().subgroup_size == 1) return x;                 \
    return Val<T>(builder().emit(Op::name, kType<T>, {x.value()}, at));  \
  }
TT_LANG_SUBGROUP(subgroup_add)
TT_LANG_SUBGROUP(subgroup_max)
TT_LANG_SUBGROUP(subgroup_min)
#undef TT_LANG_SUBGROUP
template <Number T>
Val<T> shuffle_xor(Val<T> x, uint32_t mask, SourceLocation at = SourceLocation::current()) {
  CHECK(mask < builder().kernel().subgroup_size);
  if (mask == 0) return x;
  return Val<T>(
      builder().emit(Op::shuffle_xor, kType<T>, {x.value(), builder().constant(ir::kU32, mask)}, at));
}
template <Number T>
Val<T> shuffle(Val<T> x, Val<uint32_t> lane, SourceLocation at = SourceLocation::current()) {
  if (builder().kernel().subgroup_size == 1) return x;
  return Val<T>(builder().emit(Op::shuffle, kType<T>, {x.value(), lane.value()}, at));
}

// ---- Memory -----------------------------------------------------------------------------------------------

/// 2 or 4 numbers as memory gives and takes them.
template <class T, int N>
class Vec {
 public:
  explicit Vec(ir::Value value) : value_(value) {}
  Vec(const std::array<Val<T>, N>& lanes, SourceLocation at = SourceLocation::current());
  ir::Value value() const { return value_; }
  Val<T> operator[](uint32_t lane) const {
    CHECK(lane < N);
    return Val<T>(builder().emit(Op::extract, kType<T>, {value_}, SourceLocation::current(), lane));
  }

 private:
  ir::Value value_;
};

template <class T, int N>
Vec<T, N>::Vec(const std::array<Val<T>, N>& lanes, SourceLocation at) {
  ir::Type type = kType<T>;
  type.lanes = N;
  if constexpr (N == 2) {
    value_ = builder().emit(Op::make_vector, type, {lanes[0].value(), lanes[1].value()}, at);
  } else {
    value_ = builder().emit(Op::make_vector, type,
                            {lanes[0].value(), lanes[1].value(), lanes[2].value(), lanes[3].value()}, at);
  }
}

template <class T>
inline constexpr Storage kStorageOf = std::same_as<T, float>     ? Storage::f32
                                      : std::same_as<T, int32_t> ? Storage::i32
                                                                 : Storage::u32;

/// A buffer, or a place in it (`at`). Indices count elements of the accessed type.
class Buffer {
 public:
  Buffer(uint32_t binding, ir::Value base) : binding_(binding), base_(base) {}

  /// This buffer from byte `count * stride_bytes` on, computed in 64 bits; stride_bytes a multiple of 4, of
  /// 16 where vectors are loaded.
  Buffer at(Val<uint32_t> count, Val<uint32_t> stride_bytes,
            SourceLocation where = SourceLocation::current()) const {
    CHECK(!base_.valid());
    return Buffer(binding_,
                  builder().emit(Op::offset, ir::kOffset, {count.value(), stride_bytes.value()}, where));
  }

  template <Storage kStorage>
  Val<typename Loaded<kStorage>::Type> load(Val<uint32_t> index,
                                            SourceLocation where = SourceLocation::current()) const {
    return Val<typename Loaded<kStorage>::Type>(
        emit_load(kStorage, ir::loaded_type(kStorage), index, false, where));
  }
  /// N numbers from `index` on, a multiple of N. `streamed`: read once by nobody else, caches may be spared.
  template <class T, int N>
  Vec<T, N> load_vec(Val<uint32_t> index, bool streamed = false,
                     SourceLocation where = SourceLocation::current()) const {
    ir::Type type = kType<T>;
    type.lanes = N;
    return Vec<T, N>(emit_load(kStorageOf<T>, type, index, streamed, where));
  }
  template <Number T>
  void store(Val<uint32_t> index, Val<T> value, SourceLocation where = SourceLocation::current()) const {
    emit_store(kStorageOf<T>, index, value.value(), where);
  }
  template <Number T>
  void store(Val<uint32_t> index, const Var<T>& value,
             SourceLocation where = SourceLocation::current()) const {
    emit_store(kStorageOf<T>, index, value.get(where).value(), where);
  }
  template <class T, int N>
  void store_vec(Val<uint32_t> index, const Vec<T, N>& value,
                 SourceLocation where = SourceLocation::current()) const {
    emit_store(kStorageOf<T>, index, value.value(), where);
  }
  Val<uint32_t> atomic_add(Val<uint32_t> index, Val<uint32_t> value,
                           SourceLocation where = SourceLocation::current()) const {
    return Val<uint32_t>(
        builder().emit(Op::atomic_add, ir::kU32, {index.value(), value.value(), base_}, where, binding_));
  }
  Val<uint32_t> atomic_max(Val<uint32_t> index, Val<uint32_t> value,
                           SourceLocation where = SourceLocation::current()) const {
    return Val<uint32_t>(
        builder().emit(Op::atomic_max, ir::kU32, {index.value(), value.value(), base_}, where, binding_));
  }

  uint32_t binding() const { return binding_; }
  ir::Value base() const { return base_; }

 private:
  ir::Value emit_load(Storage storage, ir::Type type, Val<uint32_t> index, bool streamed,
                      SourceLocation where) const;
  void emit_store(Storage storage, Val<uint32_t> index, ir::Value value, SourceLocation where) const;

  uint32_t binding_;
  ir::Value base_;
};

/// An array of 32-bit words shared by a workgroup. Undefined at the start.
template <Number T>
class Shared {
 public:
  Shared(std::string_view name, uint32_t num_words) : array_(builder().add_shared(name, num_words)) {}

  Val<T> load(Val<uint32_t> index, SourceLocation at = SourceLocation::current()) const {
    return Val<T>(emit_load(kType<T>, index, at));
  }
  template <int N>
  Vec<T, N> load_vec(Val<uint32_t> index, SourceLocation at = SourceLocation::current()) const {
    ir::Type type = kType<T>;
    type.lanes = N;
    return Vec<T, N>(emit_load(type, index, at));
  }
  void store(Val<uint32_t> index, Val<T> value, SourceLocation at = SourceLocation::current()) const {
    emit_store(index, value.value(), at);
  }
  template <int N>
  void store_vec(Val<uint32_t> index, const Vec<T, N>& value,
                 SourceLocation at = SourceLocation::current()) const {
    emit_store(index, value.value(), at);
  }
  uint32_t array() const { return array_; }

 private:
  ir::Value emit_load(ir::Type type, Val<uint32_t> index, SourceLocation at) const {
    ir::Instruction load;
    load.op = Op::shared_load;
    load.type = type;
    load.storage = kStorageOf<T>;
    load.attr0 = array_;
    load.num_operands = 1;
    load.operands[0] = index.value();
    return builder().emit(load, at);
  }
  void emit_store(Val<uint32_t> index, ir::Value value, SourceLocation at) const {
    ir::Instruction store;
    store.op = Op::shared_store;
    store.storage = kStorageOf<T>;
    store.attr0 = array_;
    store.num_operands = 2;
    store.operands = {index.value(), value};
    builder().emit(store, at);
  }

  uint32_t array_;
};

/// Copies 16 bytes, word `from_index` of a buffer on, to word `to_index` of a shared array on; both multiples
/// of 4.
template <Number T>
void copy_async(const Shared<T>& to, Val<uint32_t> to_index, const Buffer& from, Val<uint32_t> from_index,
                SourceLocation at = SourceLocation::current()) {
  builder().emit(Op::copy_async, ir::kNone, {to_index.value(), from_index.value(), from.base()}, at,
                 from.binding(), to.array());
}
inline void copy_commit(SourceLocation at = SourceLocation::current()) {
  builder().emit(Op::copy_commit, ir::kNone, {}, at);
}
inline void copy_wait(uint32_t groups_left, SourceLocation at = SourceLocation::current()) {
  builder().emit(Op::copy_wait, ir::kNone, {}, at, groups_left);
}

// ---- Fragments --------------------------------------------------------------------------------------------

ir::Type fragment_type(ir::FragmentUse use, Storage element);

/// A 16x16 piece of a matrix held by a subgroup.
class Fragment {
 public:
  explicit Fragment(ir::Value value) : value_(value) {}
  ir::Value value() const { return value_; }

  static Fragment fill(Val<float> x, SourceLocation at = SourceLocation::current());
  /// `use` a: row-major. `use` b: stored by columns, or by rows with `rows`. Index and stride in elements.
  template <Number T>
  static Fragment load(ir::FragmentUse use, Storage element, const Shared<T>& from, Val<uint32_t> index,
                       Val<uint32_t> stride, bool rows = false,
                       SourceLocation at = SourceLocation::current()) {
    return Fragment(builder().emit(rows ? Op::fragment_load_rows : Op::fragment_load,
                                   fragment_type(use, element), {index.value(), stride.value()}, at,
                                   from.array()));
  }
  static Fragment mma(const Fragment& a, const Fragment& b, const Fragment& c,
                      SourceLocation at = SourceLocation::current());
  template <Number T>
  void store(const Shared<T>& to, Val<uint32_t> index, Val<uint32_t> stride,
             SourceLocation at = SourceLocation::current()) const {
    builder().emit(Op::fragment_store_shared, ir::kNone, {index.value(), stride.value(), value_}, at,
                   to.array());
  }
  void store(const Buffer& to, Val<uint32_t> index, Val<uint32_t> stride,
             SourceLocation at = SourceLocation::current()) const {
    builder().emit(Op::fragment_store, ir::kNone, {index.value(), stride.value(), value_, to.base()}, at,
                   to.binding());
  }

  // Transparent tier only.
  Val<float> get(uint32_t number, SourceLocation at = SourceLocation::current()) const;
  Fragment with(uint32_t number, Val<float> x, SourceLocation at = SourceLocation::current()) const;
  static Val<uint32_t> row(uint32_t number, SourceLocation at = SourceLocation::current());
  static Val<uint32_t> column(uint32_t number, SourceLocation at = SourceLocation::current());
  static Fragment from_pairs(Storage element, const std::array<Val<uint32_t>, 4>& pairs,
                             SourceLocation at = SourceLocation::current());

 private:
  ir::Value value_;
};

/// A mutable accumulator.
class FragmentVar {
 public:
  FragmentVar(const Fragment& initial, SourceLocation at = SourceLocation::current());
  FragmentVar(const FragmentVar&) = delete;
  FragmentVar(FragmentVar&&) = default;
  Fragment get(SourceLocation at = SourceLocation::current()) const;
  void set(const Fragment& value, SourceLocation at = SourceLocation::current()) const;

 private:
  uint32_t local_;
};

// ---- Control flow
// ------------------------------------------------------------------------------------------

namespace detail {

class IfScope {
 public:
  IfScope(Val<bool> condition, SourceLocation at = SourceLocation::current());
  ~IfScope();
};
/// Continues the $if just closed.
class ElseScope {
 public:
  ElseScope();
  ~ElseScope();
};
class ForScope {
 public:
  ForScope(Val<uint32_t> first, Val<uint32_t> end, Val<uint32_t> step = 1u, uint32_t unroll = 0,
           SourceLocation at = SourceLocation::current());
  bool open();  // true once, then closes the region
  Val<uint32_t> index() const { return Val<uint32_t>(loop_); }

 private:
  ir::Value loop_;
  bool opened_ = false;
};
class WhileScope {
 public:
  explicit WhileScope(SourceLocation at = SourceLocation::current());
  void condition(Val<bool> value, SourceLocation at = SourceLocation::current());
  bool open();
  bool opened() const { return opened_; }

 private:
  ir::Value loop_;
  bool opened_ = false;
};

}  // namespace detail

#define TT_LANG_NAME(stem) TT_LANG_JOIN(stem, __COUNTER__)
#define TT_LANG_JOIN(a, b) TT_LANG_JOIN_INNER(a, b)
#define TT_LANG_JOIN_INNER(a, b) a##b

/// $if (condition) { ... } $else { ... }
#define $if(...) if (const ::tattletale::lang::detail::IfScope TT_LANG_NAME(tt_if_)(__VA_ARGS__); true)
#define $else if (const ::tattletale::lang::detail::ElseScope TT_LANG_NAME(tt_else_); true)
/// $for (i, first, end) or (i, first, end, step) or (i, first, end, step, unroll) { ... }
#define $for(name, ...) TT_LANG_FOR(TT_LANG_NAME(tt_for_), name, __VA_ARGS__)
#define TT_LANG_FOR(scope, name, ...)                                          \
  for (::tattletale::lang::detail::ForScope scope(__VA_ARGS__); scope.open();) \
    if (const ::tattletale::lang::Val<uint32_t> name = scope.index(); true)
/// $while (condition) { ... }: the condition is recorded and evaluated before every turn.
#define $while(...) TT_LANG_WHILE(TT_LANG_NAME(tt_while_), __VA_ARGS__)
#define TT_LANG_WHILE(scope, ...)                    \
  for (::tattletale::lang::detail::WhileScope scope; \
       (scope.opened() || (scope.condition(__VA_ARGS__), true)) && scope.open();)

// ---- Kernels ----------------------------------------------------------------------------------------------

/// Traces one kernel on this thread, from construction to finish().
class KernelScope {
 public:
  /// workgroup_threads: a multiple of target.subgroup_size.
  KernelScope(std::string name, uint32_t workgroup_threads, const ir::TargetInfo& target);
  ~KernelScope();
  KernelScope(const KernelScope&) = delete;

  const ir::TargetInfo& target() const { return target_; }
  Buffer input(std::string_view name) { return Buffer(builder_.add_binding(name, false), ir::Value{}); }
  Buffer output(std::string_view name) { return Buffer(builder_.add_binding(name, true), ir::Value{}); }
  /// The 32-bit word `word` of the launch's parameter block. See TT_PARAM.
  template <Number T>
  Val<T> param(std::string_view name, size_t word) {
    return Val<T>(builder_.param(name, kType<T>.scalar, static_cast<uint32_t>(word)));
  }
  ir::Kernel finish();

 private:
  friend ir::Builder& builder();
  ir::TargetInfo target_;
  ir::Builder builder_;
  KernelScope* outer_;
};

/// A field of the launch's params struct: TT_PARAM(k, LinearParams, in_dim) or (k, LinearParams, out_dim[1]).
#define TT_PARAM(scope, Params, field)                                                  \
  (scope).template param<std::remove_cvref_t<decltype(std::declval<Params&>().field)>>( \
      #field, offsetof(Params, field) / 4)

}  // namespace tattletale::lang
