#include "support/op_kernels.h"

#include <bit>
#include <random>
#include <source_location>

#include "ir/lang.h"

namespace tattletale::test {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;

using U = Val<uint32_t>;
using I = Val<int32_t>;
using F = Val<float>;

/// An operation the language has no name for.
template <class R>
Val<R> raw(Op op, std::initializer_list<ir::Value> operands, uint32_t attr0 = 0, uint32_t attr1 = 0) {
  return Val<R>(builder().emit(op, kType<R>, operands, std::source_location::current(), attr0, attr1));
}

/// What every body here starts from: x's words of this thread, and results that are stored at the end.
class Body {
 public:
  Body(const std::string& name, uint32_t threads, const ir::TargetInfo& target)
      : k(name, threads, target),
        x(k.input("x")),
        y(k.output("y")),
        id(workgroup_id() * threads + local_id()) {
    for (uint32_t i = 0; i < kOpInputWords; ++i) word.push_back(x.load<Storage::u32>(id * kOpInputWords + i));
  }
  void out(U v) { results_.push_back(v); }
  void out(I v) { out(to_u32(v)); }
  void out(F v) { out(bits_of(v)); }
  void out(Val<bool> v) { out(select<uint32_t>(v, 1u, 0u)); }

  OpKernel finish(OpKernel::Input input, bool f32_results) {
    const auto count = static_cast<uint32_t>(results_.size());
    for (uint32_t i = 0; i < count; ++i) y.store(id * count + i, results_[i]);
    return OpKernel{k.finish(), input, count, f32_results};
  }

  KernelScope k;
  Buffer x, y;
  U id;
  std::vector<U> word;

 private:
  std::vector<U> results_;
};

template <class T>
void comparisons(Body& b, Val<T> p, Val<T> q) {
  b.out(p == q);
  b.out(p != q);
  b.out(p < q);
  b.out(p <= q);
  b.out(p > q);
  b.out(p >= q);
  b.out(p == p);
  b.out(select(p < q, p, q));
}

OpKernel u32_ops(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_u32", threads, target);
  const U p = b.word[0], q = b.word[1], count = b.word[2] & 31u;
  const U divisor = b.word[2] | 1u;
  for (const U& v :
       {p + q, p - q, p * q, p / divisor, p % divisor, mul_hi(p, q), min(p, q), max(p, q), p & q, p | q,
        p ^ q, bit_not(p), p << count, p >> count, popcount(p), funnel_shr(p, q, count)}) {
    b.out(v);
  }
  comparisons(b, p, q);
  const Val<bool> small = p < q, odd = (p & 1u) == 1u;
  b.out(small & odd);
  b.out(small | odd);
  b.out(!small);
  b.out(raw<bool>(Op::bit_xor, {small.value(), odd.value()}));
  b.out(raw<bool>(Op::eq, {small.value(), odd.value()}));
  b.out(raw<bool>(Op::ne, {small.value(), odd.value()}));
  b.out(select<uint32_t>(raw<bool>(Op::select, {odd.value(), small.value(), Val<bool>(true).value()}), p, q));
  return b.finish(OpKernel::Input::any_bits, false);
}

OpKernel i32_ops(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_i32", threads, target);
  const I p = to_i32(b.word[0]), q = to_i32(b.word[1]);
  const U count = b.word[2] & 31u;
  for (const I& v : {p + q, p - q, p * q, min(p, q), max(p, q), neg(p), abs(p), p & q, p | q, p ^ q,
                     raw<int32_t>(Op::bit_not, {p.value()}), p << count, p >> count,
                     dot4_i8(b.word[0], b.word[1], p), I(-5) + p, p * I(INT32_MIN), neg(I(INT32_MIN))}) {
    b.out(v);
  }
  comparisons(b, p, q);
  b.out(to_f32(p));
  b.out(to_f32(b.word[0]));
  b.out(raw<uint32_t>(Op::bitcast, {p.value()}));
  b.out(raw<int32_t>(Op::bitcast, {b.word[3].value()}));
  return b.finish(OpKernel::Input::any_bits, false);
}

/// One rounding or none: bits are equal everywhere.
OpKernel f32_exact_ops(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_f32_exact", threads, target);
  const F p = f32_of_bits(b.word[0]), q = f32_of_bits(b.word[1]), r = f32_of_bits(b.word[2]);
  for (const F& v :
       {p + q, p - q, p * q, min(p, q), max(p, q), neg(p), abs(p), floor(p), floor(q), fma(p, q, r)}) {
    b.out(v);
  }
  const F product = p * q;
  const F parts[3] = {p * r, product + r, product - r};
  for (const F& part : parts) builder().kernel().instructions[part.value().index].strict = true;
  builder().kernel().instructions[product.value().index].strict = true;
  for (const F& part : parts) b.out(part);
  comparisons(b, p, q);
  b.out(to_i32(p * 1000.0f));
  b.out(to_u32(abs(q) * 1000.0f));
  b.out(raw<int32_t>(Op::bitcast, {p.value()}));
  b.out(raw<float>(Op::bitcast, {to_i32(b.word[3]).value()}));
  b.out(select<float>(p < q, 1.0f, -1e-30f) + p);
  b.out(select<float>(p < q, 3e38f, 0.1f));
  return b.finish(OpKernel::Input::small_f32, false);
}

OpKernel f32_functions(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_f32_functions", threads, target);
  const F p = f32_of_bits(b.word[0]), q = f32_of_bits(b.word[1]);
  for (const F& v : {p / q, q / p, sqrt(p), rsqrt(p), exp2(p), exp2(neg(p)), log2(p), log2(q * 1e-3f + 1.0f),
                     sin(p), cos(p), sin(neg(q)), tanh(p), tanh(neg(q) * 0.01f)}) {
    b.out(v);
  }
  return b.finish(OpKernel::Input::positive_f32, true);
}

OpKernel packed_halves(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_packed_halves", threads, target);
  const F p = unpack_f16_lo(b.word[0]), q = unpack_f16_hi(b.word[0]);
  b.out(p);
  b.out(q);
  b.out(pack_f16x2(p * 1.0003f, q * 0.9993f));
  b.out(pack_f16x2(p * 1e5f, q * 1e-6f));  // infinity; halves without a leading one
  b.out(pack_bf16x2(p * 1.003f, q * 0.997f));
  if (target.f16x2) {
    b.out(fma_f16x2(b.word[0], b.word[1], b.word[2]));
    b.out(add_f16x2(b.word[0], b.word[1]));
    b.out(mul_f16x2(b.word[0], b.word[1]));
  }
  return b.finish(OpKernel::Input::halves, false);
}

OpKernel ids_and_params(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_ids_and_params", threads, target);
  for (uint32_t axis = 0; axis < 3; ++axis) {
    b.out(workgroup_id(axis));
    b.out(num_workgroups(axis));
  }
  b.out(local_id());
  b.out(lane_id());
  b.out(subgroup_id());
  b.out(b.k.param<uint32_t>("count", 0));
  b.out(b.k.param<int32_t>("shift", 1));
  b.out(b.k.param<float>("scale", 2) * 3.0f);
  return b.finish(OpKernel::Input::any_bits, false);
}

template <class T>
void vector_loads(Body& b, const Buffer& from, U first, bool streamed) {
  const auto two = from.load_vec<T, 2>(first + 2u, streamed);
  const auto four = from.load_vec<T, 4>(first, streamed);
  for (uint32_t i = 0; i < 2; ++i) b.out(two[i]);
  for (uint32_t i = 0; i < 4; ++i) b.out(four[i]);
}

/// Every storage from a binding that is read only, at a place in it, and from one that is written.
OpKernel loads(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_loads", threads, target);
  const Buffer place = b.x.at(b.id, 16u);
  const Buffer scratch = b.k.output("scratch");
  const U first = b.id * 4u;
  scratch.store_vec(first, Vec<uint32_t, 4>({b.word[0], b.word[1], b.word[2], b.word[3]}));
  const auto all = [&](const Buffer& from, U byte) {
    b.out(from.load<Storage::u8>(byte + 1u));
    b.out(from.load<Storage::i8>(byte + 2u));
    b.out(from.load<Storage::u16>((byte >> 1u) + 3u));
    b.out(from.load<Storage::i16>((byte >> 1u) + 1u));
    b.out(from.load<Storage::f16>((byte >> 1u) + 2u));
    b.out(from.load<Storage::bf16>((byte >> 1u) + 5u));
    b.out(from.load<Storage::f32>((byte >> 2u) + 1u));
    b.out(from.load<Storage::i32>((byte >> 2u) + 2u));
  };
  all(b.x, b.id * 16u);
  all(place, 0u);
  all(scratch, b.id * 16u);
  for (const bool streamed : {false, true}) {
    vector_loads<uint32_t>(b, b.x, first, streamed);
    vector_loads<int32_t>(b, place, 0u, streamed);
    vector_loads<float>(b, b.x, first, streamed);
  }
  vector_loads<uint32_t>(b, scratch, first, false);
  vector_loads<float>(b, scratch, first, true);
  return b.finish(OpKernel::Input::halves, false);
}

/// Stores of every kind, read back, and atomics on words that are this thread's alone.
OpKernel stores_and_atomics(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_stores_and_atomics", threads, target);
  const Buffer scratch = b.k.output("scratch");
  const Buffer mine = scratch.at(b.id, 64u);
  const auto word = [&](uint32_t i) { return b.word[i]; };
  mine.store(0u, word(0));
  mine.store(1u, to_i32(word(1)));
  mine.store_vec(2u, Vec<float, 2>({f32_of_bits(word(2)), f32_of_bits(word(3))}));
  mine.store_vec(4u, Vec<int32_t, 4>({to_i32(word(3)), to_i32(word(2)), to_i32(word(1)), to_i32(word(0))}));
  mine.store_vec(8u, Vec<float, 4>({f32_of_bits(word(0)), f32_of_bits(word(1)), 0.5f, -1.0f}));
  mine.store_vec(12u, Vec<uint32_t, 2>({word(0), word(1)}));
  mine.store_vec(14u, Vec<int32_t, 2>({to_i32(word(2)), to_i32(word(3))}));
  const ir::Value at0 = (b.id * 16u).value(), at1 = (b.id * 16u + 1u).value();
  const uint32_t binding = scratch.binding();
  for (const Op op : {Op::atomic_add, Op::atomic_min, Op::atomic_max}) {
    b.out(raw<uint32_t>(op, {at0, word(3).value()}, binding));
    b.out(raw<int32_t>(op, {at1, to_i32(word(2)).value()}, binding));
    raw<uint32_t>(op, {at0, word(1).value()}, binding);  // the old value is not wanted
  }
  const U seen = mine.load<Storage::u32>(0u);
  b.out(raw<uint32_t>(Op::atomic_cas, {U(0u).value(), seen.value(), word(2).value(), mine.base()}, binding));
  b.out(raw<uint32_t>(Op::atomic_cas, {at0, (seen + 1u).value(), word(3).value()}, binding));
  for (uint32_t i = 0; i < 16; ++i) b.out(mine.load<Storage::u32>(i));
  return b.finish(OpKernel::Input::halves, false);
}

/// Each thread's words travel to the next thread of the workgroup.
OpKernel shared_memory(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_shared_memory", threads, target);
  const Shared<uint32_t> count("count", 1), words("words", 4 * threads), copies("copies", 4 * threads);
  const Shared<float> floats("floats", 4 * threads);
  const Shared<int32_t> ints("ints", 8 * threads);
  const U mine = local_id() * 4u, next = (local_id() + 1u) % threads * 4u;
  $if (local_id() == 0u) {
    count.store(0u, 5u);
  }
  copy_async(copies, mine, b.x, b.id * 4u);
  copy_commit();
  words.store_vec(mine, Vec<uint32_t, 4>({b.word[0], b.word[1], b.word[2], b.word[3]}));
  floats.store_vec(mine, Vec<float, 2>({f32_of_bits(b.word[1]), f32_of_bits(b.word[0])}));
  floats.store(mine + 2u, f32_of_bits(b.word[2]));
  floats.store(mine + 3u, 1.5f);
  ints.store_vec(mine, Vec<int32_t, 4>({to_i32(b.word[0]), 1, 2, to_i32(b.word[3])}));
  copy_wait(0);
  barrier();
  raw<uint32_t>(Op::shared_atomic_add, {U(0u).value(), (b.word[0] & 255u).value()}, count.array());
  const auto four = words.load_vec<4>(next);
  const auto two = words.load_vec<2>(next + 2u);
  const auto f4 = floats.load_vec<4>(next);
  const auto i2 = ints.load_vec<2>(next + 2u);
  for (uint32_t i = 0; i < 4; ++i) b.out(four[i]);
  for (uint32_t i = 0; i < 4; ++i) b.out(f4[i]);
  for (uint32_t i = 0; i < 2; ++i) b.out(two[i]);
  for (uint32_t i = 0; i < 2; ++i) b.out(i2[i]);
  b.out(floats.load(next + 1u));
  b.out(ints.load(next));
  for (uint32_t i = 0; i < 4; ++i) b.out(copies.load(next + i));
  barrier();
  b.out(count.load(0u));
  return b.finish(OpKernel::Input::halves, false);
}

OpKernel control_flow(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_control_flow", threads, target);
  Var<uint32_t> sum(0u), steps(0u);
  Var<float> power(1.0f);
  Var<int32_t> sign(0);
  $for (i, b.word[0] & 3u, 10u, 2u) {
    $for (j, 0u, i) {
      $if ((i ^ j) % 3u == 0u) {
        sum += i * j + 1u;
      }
      $else {
        sum = sum + 7u;
      }
    }
    power *= 1.5f;
  }
  $for (i, 0u, 8u, 1u, 4) {
    sum = sum * 3u + i;
  }
  Var<uint32_t> v(b.word[1] % 1000u + 1u);
  $while (v != 1u) {
    $if (v % 2u == 0u) {
      v = v / 2u;
    }
    $else {
      v = v * 3u + 1u;
    }
    steps += 1u;
  }
  $if (b.word[2] > 0x80000000u) {
    sign = -1;
  }
  $for (i, 5u, 5u) {
    sign = 9;
  }
  b.out(sum);
  b.out(steps);
  b.out(power);
  b.out(sign);
  return b.finish(OpKernel::Input::any_bits, false);
}

OpKernel subgroup_ops(const ir::TargetInfo& target, uint32_t threads) {
  Body b("op_subgroups", threads, target);
  const U p = b.word[0];
  const I q = to_i32(b.word[1]);
  const F r = to_f32(b.word[2] & 1023u);  // sums are exact in any order
  const Val<bool> rare = lane_id() == (subgroup_id() & 1u);
  b.out(subgroup_add(p));
  b.out(subgroup_add(q));
  b.out(subgroup_add(r));
  b.out(subgroup_max(p));
  b.out(subgroup_max(q));
  b.out(subgroup_max(r));
  b.out(subgroup_min(p));
  b.out(subgroup_min(q));
  b.out(subgroup_min(r));
  b.out(shuffle_xor(p, 1));
  b.out(shuffle_xor(q, 2));
  b.out(shuffle_xor(r, target.subgroup_size - 1));
  const U other = (lane_id() * 3u + 1u) % target.subgroup_size;
  b.out(shuffle(p, other));
  b.out(shuffle(q, other));
  b.out(shuffle(r, U(1u)));
  b.out(raw<bool>(Op::subgroup_any, {rare.value()}));
  b.out(raw<bool>(Op::subgroup_all, {rare.value()}));
  b.out(raw<bool>(Op::subgroup_all, {(!(p != p)).value()}));
  subgroup_barrier();
  return b.finish(OpKernel::Input::any_bits, false);
}

/// C = A B + 1 of 16x16 matrices of small integers, so that sums are exact: B by columns, then by rows.
OpKernel fragment_ops(const ir::TargetInfo& target, uint32_t threads, Storage element) {
  Body b(std::string("op_fragments_") + (element == Storage::f16 ? "f16" : "bf16"), threads, target);
  constexpr uint32_t kStride = 24;  // elements; rows start 16-byte aligned and do not touch
  const Shared<uint32_t> a("a", 16 * kStride / 2), matrix("matrix", 16 * kStride / 2);
  const Shared<float> c("c", 256 + threads / target.subgroup_size * 16 * 20);
  const auto pack = [&](F lo, F hi) {
    return element == Storage::f16 ? pack_f16x2(lo, hi) : pack_bf16x2(lo, hi);
  };
  const auto small = [](U v, uint32_t shift) { return to_f32(to_i32((v >> shift) & 15u)) - 7.0f; };
  $for (i, local_id(), 128u, threads) {
    const U to = i / 8u * (kStride / 2) + i % 8u;
    const U seed = i * 2654435761u + workgroup_id() * 977u;
    a.store(to, pack(small(seed, 8), small(seed, 12)));
    matrix.store(to, pack(small(seed, 16), small(seed, 20)));
  }
  barrier();
  const Fragment fa = Fragment::load(ir::FragmentUse::a, element, a, 0u, kStride);
  const Fragment columns = Fragment::load(ir::FragmentUse::b, element, matrix, 0u, kStride);
  const Fragment rows = Fragment::load(ir::FragmentUse::b, element, matrix, 0u, kStride, true);
  FragmentVar sum(Fragment::fill(1.0f));
  sum.set(Fragment::mma(fa, columns, sum.get()));
  const U mine = subgroup_id() * 320u;
  sum.get().store(c, mine, 20u);
  subgroup_barrier();
  for (uint32_t i = 0; i < 8; ++i) b.out(c.load(mine + (lane_id() / 2u) * 20u + (lane_id() & 1u) * 8u + i));
  const Buffer product = b.k.output("product");
  const U subgroup = workgroup_id() * (threads / target.subgroup_size) + subgroup_id();
  Fragment::mma(fa, rows, Fragment::fill(-1.0f)).store(product, subgroup * 544u, 17u);
  sum.get().store(product.at(subgroup, 2176u), 288u, 16u);
  if (target.f16_fragments == ir::FragmentTier::transparent) {
    const uint32_t numbers = 256 / target.subgroup_size;
    for (uint32_t i = 0; i < numbers; ++i) {
      b.out(sum.get().get(i));
      b.out(Fragment::row(i));
      b.out(Fragment::column(i));
    }
    b.out(sum.get().with(1, 2.5f).get(1));
    if (target.subgroup_size == 32) {  // the sum, packed, is an `a`
      const auto at = [&](uint32_t i) { return min(max(sum.get().get(i), F(-64.0f)), F(64.0f)); };
      std::array<U, 4> pairs = {pack(at(0), at(1)), pack(at(2), at(3)), pack(at(4), at(5)),
                                pack(at(6), at(7))};
      const Fragment again = Fragment::from_pairs(element, pairs);
      const Fragment result = Fragment::mma(again, rows, Fragment::fill(0.0f));
      for (uint32_t i = 0; i < 8; ++i) b.out(result.get(i));
    }
  }
  return b.finish(OpKernel::Input::any_bits, false);
}

}  // namespace

std::vector<OpKernel> op_kernels(const ir::TargetInfo& target, uint32_t threads) {
  std::vector<OpKernel> kernels;
  for (const auto make : {u32_ops, i32_ops, f32_exact_ops, f32_functions, packed_halves, ids_and_params,
                          loads, stores_and_atomics, shared_memory, control_flow}) {
    kernels.push_back(make(target, threads));
  }
  if (target.subgroup_size > 1) kernels.push_back(subgroup_ops(target, threads));
  if (target.f16_fragments != ir::FragmentTier::none) {
    kernels.push_back(fragment_ops(target, threads, Storage::f16));
  }
  if (target.bf16_fragments != ir::FragmentTier::none) {
    kernels.push_back(fragment_ops(target, threads, Storage::bf16));
  }
  return kernels;
}

std::vector<uint32_t> op_inputs(OpKernel::Input input, uint32_t num_threads) {
  std::mt19937 random(7);
  const auto between = [&](float low, float high) {  // exact on every platform
    return low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
  };
  std::vector<uint32_t> words(size_t{num_threads} * kOpInputWords);
  for (uint32_t& word : words) {
    switch (input) {
      case OpKernel::Input::any_bits: word = static_cast<uint32_t>(random()); break;
      case OpKernel::Input::small_f32: word = std::bit_cast<uint32_t>(between(-8.0f, 8.0f)); break;
      case OpKernel::Input::positive_f32: word = std::bit_cast<uint32_t>(between(0.01f, 3.1f)); break;
      case OpKernel::Input::halves:  // both halves between 1/16 and 2 in magnitude: no NaN, whatever reads
                                     // them
        word = static_cast<uint32_t>(random()) & 0x83ff83ffu;
        word |= (0x2c00u + static_cast<uint32_t>(random() % 5) * 0x400u) |
                (0x2c00u + static_cast<uint32_t>(random() % 5) * 0x400u) << 16;
        break;
    }
  }
  return words;
}

}  // namespace tattletale::test
