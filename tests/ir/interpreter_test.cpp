// What the interpreter computes, operation by operation, and everything that it reports.
#include "ir/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <functional>
#include <numbers>

#include "ir/lang.h"
#include "ir/verify.h"
#include "tensor/float16.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ir::TargetInfo target(uint32_t subgroup_size) {
  ir::TargetInfo info;
  info.name = "interpreter";
  info.subgroup_size = subgroup_size;
  info.max_workgroup_threads = 1024;
  info.max_shared_bytes = 1 << 16;
  info.f16x2 = true;
  info.f16_fragments = info.bf16_fragments = ir::FragmentTier::transparent;
  return info;
}

uint32_t bits(float x) {
  return std::bit_cast<uint32_t>(x);
}
float f32(uint32_t x) {
  return std::bit_cast<float>(x);
}

using Words = std::vector<uint32_t>;

struct Bench {
  KernelScope scope;
  Buffer in = scope.input("weights");
  Buffer out = scope.output("result");
  explicit Bench(uint32_t threads, uint32_t subgroup) : scope("bench", threads, target(subgroup)) {}
};

/// Traces `body` and runs it on `in` and `out`; "" or the report.
std::string run(uint32_t threads, uint32_t subgroup, const std::function<void(Bench&)>& body, Words in,
                Words& out, uint32_t groups = 1, ir::InterpreterOptions options = {}) {
  Bench bench(threads, subgroup);
  body(bench);
  auto interpreter = ir::Interpreter::create(bench.scope.finish(), options);
  if (!interpreter) return interpreter.error().message();
  ir::Launch launch;
  launch.workgroups = {groups, 1, 1};
  const Words params{100, 7, 3};
  launch.params = params;
  launch.bindings = {std::as_writable_bytes(std::span(in)), std::as_writable_bytes(std::span(out))};
  const auto result = interpreter->run(launch);
  return result ? "" : result.error().message();
}
std::string report(uint32_t threads, uint32_t subgroup, const std::function<void(Bench&)>& body,
                   uint32_t groups = 1, ir::InterpreterOptions options = {}) {
  Words out(256);
  return run(threads, subgroup, body, Words(64, 5), out, groups, options);
}
std::string here(uint32_t line) {
  return "interpreter_test.cpp:" + std::to_string(line);
}

/// The values that one thread stores, one after the other.
template <class... T>
Words values(const std::function<void(Bench&, const std::function<void(ir::Value, ir::Type)>&)>& body,
             Words in = {}) {
  Words out(64, 0xdeadbeef);
  uint32_t count = 0;
  const std::string said = run(
      1, 1,
      [&](Bench& k) {
        body(k, [&](ir::Value value, ir::Type type) {
          ir::Instruction store;
          store.op = Op::store;
          store.storage = type == ir::kF32 ? Storage::f32 : type == ir::kI32 ? Storage::i32 : Storage::u32;
          store.attr0 = 1;
          store.num_operands = 2;
          store.operands = {builder().constant(ir::kU32, count++), value};
          builder().emit(store, SourceLocation::current());
        });
      },
      std::move(in), out);
  EXPECT_EQ(said, "");
  out.resize(count);
  return out;
}

TEST(Interpreter, IntegerArithmetic) {
  const Words got = values([](Bench&, const auto& put) {
    const auto u = [&](Val<uint32_t> v) { put(v.value(), ir::kU32); };
    const auto i = [&](Val<int32_t> v) { put(v.value(), ir::kI32); };
    const auto b = [&](Val<bool> v) { u(select(v, Val<uint32_t>(1u), 0u)); };
    const Val<uint32_t> big(0xffffffffu), seven(7u);
    const Val<int32_t> minus(-7), least(INT32_MIN);
    u(big + seven);
    u(seven - 8u);
    u(big * 3u);
    u(big / 7u);
    u(big % 7u);
    u(mul_hi(big, big));
    u(min(big, seven));
    u(max(big, seven));
    i(min(minus, 3));
    i(max(minus, 3));
    i(neg(least));
    i(abs(least));
    i(abs(minus));
    u(big << 31u);
    u(big >> 28u);
    i(minus >> 1u);
    u(popcount(seven));
    u(funnel_shr(Val<uint32_t>(0x12345678u), Val<uint32_t>(0x9abcdef0u), 8u));
    u(funnel_shr(seven, big, 0u));
    i(dot4_i8(Val<uint32_t>(0x80ff7f01u), Val<uint32_t>(0x7f028003u), Val<int32_t>(10)));
    b(minus < 3);
    b(Val<uint32_t>(0xfffffff9u) < 3u);
    b(!(seven == 7u) | (minus != -7));
    i(to_i32(big));
    u((seven & 5u) ^ (seven | 8u));
    u(bit_not(seven));
  });
  EXPECT_THAT(got,
              ElementsAre(6u, 0xffffffffu, 0xfffffffdu, 613566756u, 3u, 0xfffffffeu, 7u, 0xffffffffu, -7u, 3u,
                          0x80000000u, 0x80000000u, 7u, 0x80000000u, 15u, -4u, 3u, 0x789abcdeu, 0xffffffffu,
                          static_cast<uint32_t>(10 + -128 * 127 + -1 * 2 + 127 * -128 + 1 * 3), 1u, 0u, 0u,
                          0xffffffffu, 10u, 0xfffffff8u));
}

TEST(Interpreter, FloatsAndConversions) {
  const Words got = values([](Bench&, const auto& put) {
    const auto f = [&](Val<float> v) { put(v.value(), ir::kF32); };
    const auto i = [&](Val<int32_t> v) { put(v.value(), ir::kI32); };
    const auto u = [&](Val<uint32_t> v) { put(v.value(), ir::kU32); };
    const Val<float> third(1.0f / 3.0f), big(16777216.0f);
    f(third * 3.0f + 1.0f);
    f(fma(third, 3.0f, -1.0f));
    f(third / 0.1f);
    f(min(third, 2.0f));
    f(max(third, 2.0f));
    f(neg(third));
    f(abs(Val<float>(-0.0f)));
    i(to_i32(Val<float>(-2.9f)));
    u(to_u32(Val<float>(3.9e9f)));
    u(to_u32(Val<float>(-0.9f)));
    f(to_f32(Val<uint32_t>(0xffffffffu)));
    f(to_f32(Val<int32_t>(-16777217)));
    f(sqrt(big));
    f(rsqrt(Val<float>(4.0f)));
    f(exp2(Val<float>(-1.5f)));
    f(log2(Val<float>(10.0f)));
    f(sin(Val<float>(1.0f)));
    f(cos(Val<float>(1.0f)));
    f(floor(Val<float>(-1.5f)));
    f(tanh(Val<float>(0.5f)));
    u(pack_f16x2(Val<float>(1.0f), Val<float>(70000.0f)));
    u(pack_bf16x2(Val<float>(1.0f), Val<float>(-2.0f)));
    f(unpack_f16_hi(Val<uint32_t>(0x3c00c000u)));
    f(unpack_f16_lo(Val<uint32_t>(0x3c00c000u)));
    u(add_f16x2(Val<uint32_t>(0x3c003c00u), Val<uint32_t>(0x4000bc00u)));
    u(mul_f16x2(Val<uint32_t>(0x42003c00u), Val<uint32_t>(0x42000001u)));
  });
  const float third = 1.0f / 3.0f;
  const Words want{bits(2.0f),
                   bits(std::fma(third, 3.0f, -1.0f)),
                   bits(third / 0.1f),
                   bits(third),
                   bits(2.0f),
                   bits(-third),
                   0u,
                   -2u,
                   3900000000u,
                   0u,
                   bits(4294967296.0f),
                   bits(-16777216.0f),
                   bits(4096.0f),
                   bits(0.5f),
                   bits(0.35355339f),
                   bits(3.32192809f),
                   bits(0.84147098f),
                   bits(0.540302305868f),
                   bits(-2.0f),
                   bits(0.46211716f),
                   0x7c003c00u,
                   0xc0003f80u,
                   bits(1.0f),
                   bits(-2.0f),
                   0x42000000u,
                   0x48800001u};
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(got[i], want[i]) << i << ": " << f32(got[i]);
}

/// fma of halves rounds once: against sums in exact integers of 2^-48.
TEST(Interpreter, HalfFmaRoundsOnce) {
  uint64_t state = 1;
  Words in(3 * 512), out(512);
  for (uint32_t& word : in) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    word = (state >> 33) & 0x4bff4bff;  // positive, below 16
  }
  const std::string said = run(
      512, 1,
      [](Bench& k) {
        const Val<uint32_t> t = local_id();
        k.out.store(t, fma_f16x2(k.in.load<Storage::u32>(t), k.in.load<Storage::u32>(t + 512u),
                                 k.in.load<Storage::u32>(t + 1024u)));
      },
      in, out);
  ASSERT_EQ(said, "");
  for (uint32_t t = 0; t < 512; ++t) {
    for (uint32_t h = 0; h < 2; ++h) {
      const auto part = [&](uint32_t i) {
        return f16_to_f32(static_cast<uint16_t>(in[t + 512 * i] >> (16 * h)));
      };
      const auto fixed = [](float x) { return static_cast<__int128>(static_cast<double>(x) * 0x1p24); };
      const __int128 exact = fixed(part(0)) * fixed(part(1)) + fixed(part(2)) * (__int128{1} << 24);
      const auto gap = [&](int step) {
        const auto near = static_cast<uint16_t>((out[t] >> (16 * h)) + step);
        const __int128 there = fixed(f16_to_f32(near)) * (__int128{1} << 24);
        return there > exact ? there - exact : exact - there;
      };
      EXPECT_LE(gap(0), gap(1));
      if ((out[t] >> (16 * h) & 0x7fff) != 0) EXPECT_LE(gap(0), gap(-1));
    }
  }
}

TEST(Interpreter, LoadsOfEveryStorage) {
  const Words in{0xfe80bc01u, 0x3f80c000u, 0x7fu};
  const Words got = values(
      [](Bench& k, const auto& put) {
        put(k.in.load<Storage::f16>(0u).value(), ir::kF32);
        put(k.in.load<Storage::bf16>(3u).value(), ir::kF32);
        put(k.in.load<Storage::u8>(1u).value(), ir::kU32);
        put(k.in.load<Storage::i8>(1u).value(), ir::kI32);
        put(k.in.load<Storage::u16>(1u).value(), ir::kU32);
        put(k.in.load<Storage::i16>(1u).value(), ir::kI32);
        put(k.in.load<Storage::u32>(2u).value(), ir::kU32);
        put(k.in.at(2u, 4u).load<Storage::u8>(0u).value(), ir::kU32);
        put(k.in.load_vec<uint32_t, 2>(0u)[1].value(), ir::kU32);
      },
      in);
  EXPECT_THAT(got, ElementsAre(bits(f16_to_f32(0xbc01)), bits(1.0f), 0xbcu, 0xffffffbcu, 0xfe80u, 0xfffffe80u,
                               0x7fu, 0x7fu, 0x3f80c000u));
}

TEST(Interpreter, ControlFlowByThread) {
  Words out(8);
  EXPECT_EQ(run(
                8, 1,
                [](Bench& k) {
                  Var<uint32_t> sum(0u);
                  $for (i, 0u, local_id(), 2u) {
                    $if (i == 2u) {
                      sum += 100u;
                    }
                    $else {
                      sum += i;
                    }
                  }
                  Var<uint32_t> n(local_id());
                  $while (n > 5u) {
                    n -= 1u;
                    sum += 1000u;
                  }
                  k.out.store(local_id(), sum);
                },
                {}, out),
            "");
  EXPECT_THAT(out, ElementsAre(0u, 0u, 0u, 100u, 100u, 104u, 1104u, 2110u));
}

TEST(Interpreter, GridAndParameters) {
  Bench k(4, 4);
  const Val<uint32_t> index =
      ((workgroup_id(2) * 2u + workgroup_id(1)) * 3u + workgroup_id(0)) * 4u + local_id();
  k.out.store(index,
              num_workgroups(1) * 100u + lane_id() * 10u + subgroup_id() + k.scope.param<uint32_t>("p", 1));
  auto interpreter = ir::Interpreter::create(k.scope.finish());
  ASSERT_TRUE(interpreter);
  Words in(1), out(48), params{0, 5};
  ir::Launch launch{
      {3, 2, 2}, params, {std::as_writable_bytes(std::span(in)), std::as_writable_bytes(std::span(out))}};
  const auto stats = interpreter->run(launch);
  ASSERT_TRUE(stats) << stats.error().message();
  for (uint32_t i = 0; i < 48; ++i) EXPECT_EQ(out[i], 205 + i % 4 * 10);
  EXPECT_GT(stats->operations, 48u);
}

Val<bool> vote(Op op, Val<bool> x) {
  if (builder().kernel().subgroup_size == 1) return x;
  return Val<bool>(builder().emit(op, ir::kBool, {x.value()}, SourceLocation::current()));
}

class Subgroups : public ::testing::TestWithParam<uint32_t> {};

TEST_P(Subgroups, ReductionsAndShuffles) {
  const uint32_t size = GetParam(), threads = size * 2;
  Words out(threads * 6);
  ASSERT_EQ(run(
                threads, size,
                [&](Bench& k) {
                  const Val<uint32_t> t = local_id();
                  k.out.store(t * 6u, subgroup_add(t));
                  k.out.store(t * 6u + 1u, subgroup_max(to_i32(t) - 3));
                  k.out.store(t * 6u + 2u, subgroup_min(to_f32(t)));
                  k.out.store(t * 6u + 3u, shuffle(t, (lane_id() + 1u) % size));
                  k.out.store(t * 6u + 4u, size > 1 ? shuffle_xor(t, size / 2) : t);
                  k.out.store(t * 6u + 5u,
                              select(vote(Op::subgroup_any, t == size), Val<uint32_t>(1u), 0u) +
                                  select(vote(Op::subgroup_all, t < size), Val<uint32_t>(2u), 0u));
                },
                {}, out),
            "");
  for (uint32_t t = 0; t < threads; ++t) {
    const uint32_t first = t / size * size;
    EXPECT_EQ(out[t * 6], first * size + size * (size - 1) / 2);
    EXPECT_EQ(out[t * 6 + 1], first + size - 1 - 3);
    EXPECT_EQ(f32(out[t * 6 + 2]), static_cast<float>(first));
    EXPECT_EQ(out[t * 6 + 3], first + (t + 1) % size);
    EXPECT_EQ(out[t * 6 + 4], size > 1 ? t ^ (size / 2) : t);
    EXPECT_EQ(out[t * 6 + 5], first == size ? 1u : 2u);
  }
}

TEST_P(Subgroups, FragmentsMultiplyAsMatricesDo) {
  const uint32_t size = GetParam();
  if (size == 1) return;  // no subgroups, no fragments: ir/verify.h refuses them
  Words in(2 * 16 * 24 / 2), out(2 * 256);
  const auto half_at = [&](uint32_t i) {
    return f16_to_f32(static_cast<uint16_t>(in[i / 2] >> (i % 2 * 16)));
  };
  for (uint32_t i = 0; i < in.size(); ++i) {
    in[i] = f32_to_f16(static_cast<float>(i * 7 % 19) - 9) | uint32_t{f32_to_f16(static_cast<float>(i % 5))}
                                                                 << 16;
  }
  ASSERT_EQ(
      run(
          size, size,
          [&](Bench& k) {
            Shared<uint32_t> tile("tile", 2 * 16 * 24 / 2);
            $for (i, local_id(), 2u * 16u * 24u / 2u, size) {
              tile.store(i, k.in.load<Storage::u32>(i));
            }
            barrier();
            const Fragment a = Fragment::load(ir::FragmentUse::a, Storage::f16, tile, 0u, 24u);
            const Fragment by_columns = Fragment::load(ir::FragmentUse::b, Storage::f16, tile, 384u, 24u);
            const Fragment by_rows = Fragment::load(ir::FragmentUse::b, Storage::f16, tile, 384u, 24u, true);
            Fragment::mma(a, by_columns, Fragment::fill(1.0f)).store(k.out, 0u, 16u);
            Fragment c = Fragment::mma(a, by_rows, Fragment::fill(0.0f));
            for (uint32_t n = 0; n < 256 / size; ++n) {  // adds its own place to every number
              c = c.with(n, c.get(n) + to_f32(Fragment::row(n) * 100u + Fragment::column(n)));
            }
            c.store(k.out.at(256u, 4u), 0u, 16u);
          },
          in, out),
      "");
  for (uint32_t row = 0; row < 16; ++row) {
    for (uint32_t column = 0; column < 16; ++column) {
      float by_columns = 1, by_rows = static_cast<float>(row * 100 + column);
      for (uint32_t i = 0; i < 16; ++i) {
        by_columns += half_at(row * 24 + i) * half_at(384 + column * 24 + i);
        by_rows += half_at(row * 24 + i) * half_at(384 + i * 24 + column);
      }
      EXPECT_EQ(f32(out[row * 16 + column]), by_columns);
      EXPECT_EQ(f32(out[256 + row * 16 + column]), by_rows);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Subgroups, ::testing::Values(1, 2, 4, 8, 16, 32, 64, 128));

TEST(Interpreter, PackedAccumulatorNumbersMakeAnInput) {
  Words in(128), out(512);
  for (uint32_t i = 0; i < 256; ++i)
    in[i / 2] |= uint32_t{f32_to_f16(static_cast<float>(i % 37))} << (i % 2 * 16);
  ASSERT_EQ(
      run(
          32, 32,
          [&](Bench& k) {
            Shared<uint32_t> tile("tile", 128);
            $for (i, local_id(), 128u, 32u) {
              tile.store(i, k.in.load<Storage::u32>(i));
            }
            barrier();
            // b is the identity, so the product is a itself: once loaded, once made of its own
            // product's numbers.
            Shared<uint32_t> ones("ones", 128);
            $for (i, local_id(), 128u, 32u) {
              const Val<uint32_t> column = i * 2u % 16u, row = i * 2u / 16u;
              ones.store(i, select((column ^ row) == 0u, Val<uint32_t>(0x3c00u),
                                   select(((column + 1u) ^ row) == 0u, Val<uint32_t>(0x3c000000u), 0u)));
            }
            barrier();
            const Fragment identity = Fragment::load(ir::FragmentUse::b, Storage::f16, ones, 0u, 16u);
            const Fragment a = Fragment::load(ir::FragmentUse::a, Storage::f16, tile, 0u, 16u);
            const Fragment c = Fragment::mma(a, identity, Fragment::fill(0.0f));
            c.store(k.out, 0u, 16u);
            const auto pair = [&](uint32_t n) { return pack_f16x2(c.get(n), c.get(n + 1)); };
            const Fragment again = Fragment::from_pairs(Storage::f16, {pair(0), pair(2), pair(4), pair(6)});
            Fragment::mma(again, identity, Fragment::fill(0.0f)).store(k.out, 256u, 16u);
          },
          in, out),
      "");
  for (uint32_t i = 0; i < 256; ++i) {
    EXPECT_EQ(f32(out[i]), static_cast<float>(i % 37));
    EXPECT_EQ(out[256 + i], out[i]);
  }
  // The layout that m16n8k16 instructions have.
  EXPECT_EQ(ir::fragment_place(32, 5, 0).row, 1u);
  EXPECT_EQ(ir::fragment_place(32, 5, 1).column, 3u);
  EXPECT_EQ(ir::fragment_place(32, 5, 2).row, 9u);
  EXPECT_EQ(ir::fragment_place(32, 5, 4).column, 10u);
}

TEST(Interpreter, AtomicsCopiesAndShared) {
  Words out(8);
  ASSERT_EQ(run(
                8, 4,
                [](Bench& k) {
                  Shared<uint32_t> tile("tile", 12);
                  copy_async(tile, 4u * 0u, k.in, local_id() * 0u);
                  copy_commit();
                  copy_wait(0);
                },
                Words(8, 3), out)
                    .find("is touched before its asynchronous copy") != std::string::npos,
            true);
  out.assign(8, 0);
  ASSERT_EQ(run(
                8, 4,
                [](Bench& k) {
                  Shared<uint32_t> tile("tile", 12);
                  $if (local_id() < 2u) {
                    copy_async(tile, local_id() * 4u, k.in, local_id() * 4u);
                    copy_commit();
                    copy_wait(0);
                  }
                  $if (local_id() == 2u) {
                    tile.store(8u, 0u);
                  }
                  barrier();
                  builder().emit(Op::shared_atomic_add, ir::kU32,
                                 {Val<uint32_t>(8u).value(), tile.load(local_id()).value()},
                                 SourceLocation::current(), tile.array());
                  static_cast<void>(k.out.atomic_add(0u, local_id()));
                  static_cast<void>(k.out.atomic_max(1u, local_id()));
                  barrier();
                  k.out.store(local_id() % 8u + 2u - select(local_id() > 5u, Val<uint32_t>(0u), 0u),
                              tile.load(8u));
                },
                {1, 2, 3, 4, 5, 6, 7, 8}, out = Words(16)),
            "");
  EXPECT_EQ(out[0], 28u);
  EXPECT_EQ(out[1], 7u);
  for (uint32_t i = 2; i < 10; ++i) EXPECT_EQ(out[i], 36u);
}

// ---- Reports ----------------------------------------------------------------------------------------------

TEST(Reports, SharedRace) {
  uint32_t store = 0, load = 0;
  const std::string said = report(8, 4, [&](Bench& k) {
    Shared<float> tile("tile", 8);
    store = __LINE__ + 1;
    tile.store(local_id(), 1.0f);
    load = __LINE__ + 1;
    k.out.store(local_id(), tile.load(local_id() ^ 1u));
  });
  EXPECT_EQ(said, "bench: shared_load of tile at " + here(load) + ": races with shared_store of tile at " +
                      here(store) +
                      " by thread 1 at word 1: nothing orders the two (thread 0 of workgroup (0, 0, 0))");
}

TEST(Reports, RacesOfEveryKind) {
  const auto tile = [](const std::function<void(Bench&, const Shared<uint32_t>&)>& body) {
    return report(8, 4, [&](Bench& k) {
      const Shared<uint32_t> shared("tile", 16);
      shared.store(local_id(), local_id());
      shared.store(local_id() + 8u, local_id());
      barrier();
      body(k, shared);
    });
  };
  // Reads before writes, writes in one instruction, and what barriers of either kind order.
  EXPECT_THAT(tile([](Bench&, const auto& s) { s.store(local_id(), s.load(local_id() ^ 1u)); }),
              HasSubstr("races with shared_load"));
  EXPECT_THAT(tile([](Bench&, const auto& s) { s.store(0u, Val<uint32_t>(1u)); }),
              HasSubstr("races with shared_store"));
  EXPECT_THAT(tile([](Bench&, const auto& s) { s.store(local_id(), s.load(local_id())); }), "");
  EXPECT_THAT(tile([](Bench&, const auto& s) {
                const Val<uint32_t> v = s.load(local_id() ^ 1u);
                subgroup_barrier();
                s.store(local_id(), v);
              }),
              "");
  EXPECT_THAT(tile([](Bench&, const auto& s) {
                const Val<uint32_t> v = s.load(local_id() ^ 4u);  // of the other subgroup
                subgroup_barrier();
                s.store(local_id(), v);
              }),
              HasSubstr("races with shared_load"));
  // Two lanes read, and the one that read last writes.
  EXPECT_THAT(tile([](Bench&, const auto& s) {
                $if (local_id() < 4u) {
                  const Val<uint32_t> v = s.load(0u);
                  $if (local_id() == 3u) {
                    s.store(0u, v);
                  }
                }
              }),
              HasSubstr("races with shared_load"));
  // A reader of each subgroup, then a subgroup barrier, then a write.
  EXPECT_THAT(tile([](Bench&, const auto& s) {
                const Val<uint32_t> v = s.load(0u);
                subgroup_barrier();
                $if (local_id() == 7u) {
                  s.store(0u, v);
                }
              }),
              HasSubstr("races with shared_load"));
  EXPECT_THAT(tile([](Bench&, const auto& s) {
                $if (local_id() < 4u) {
                  builder().emit(Op::shared_atomic_add, ir::kU32,
                                 {Val<uint32_t>(0u).value(), local_id().value()}, SourceLocation::current(),
                                 s.array());
                }
                s.store(local_id() + 8u, s.load(0u));
              }),
              HasSubstr("races with shared_atomic_add"));
  // An atomic after a plain write of the same thread still races with others' atomics.
  EXPECT_THAT(tile([](Bench&, const auto& s) {
                $if (local_id() == 0u) {
                  s.store(0u, Val<uint32_t>(1u));
                }
                builder().emit(Op::shared_atomic_add, ir::kU32,
                               {Val<uint32_t>(0u).value(), local_id().value()}, SourceLocation::current(),
                               s.array());
              }),
              HasSubstr("shared_atomic_add of tile"));
  // Global memory of one workgroup, and of two.
  EXPECT_THAT(tile([](Bench& k, const auto&) { k.out.store(0u, local_id()); }), HasSubstr("store of result"));
  EXPECT_THAT(
      report(4, 4, [](Bench& k) { k.out.store(local_id(), k.out.load<Storage::u32>(local_id() ^ 1u)); }),
      HasSubstr("races with load of result"));
  EXPECT_THAT(report(4, 4,
                     [](Bench& k) {
                       k.out.store(local_id(), 1.0f + to_f32(local_id()));
                       barrier();
                       k.out.store(local_id() + 8u, k.out.load<Storage::u32>(local_id() ^ 1u));
                     }),
              "");
  EXPECT_THAT(report(
                  4, 4, [](Bench& k) { k.out.store(local_id(), workgroup_id()); }, 2),
              AllOf(HasSubstr("races with store of result"),
                    HasSubstr("by thread 0 of workgroup (0, 0, 0) at word 0"),
                    HasSubstr("(thread 0 of workgroup (1, 0, 0))")));
  EXPECT_THAT(report(
                  4, 4,
                  [](Bench& k) {
                    const Val<uint32_t> v = k.out.load<Storage::u32>(0u);
                    barrier();
                    $if (local_id() + workgroup_id() * 4u == 5u) {
                      k.out.store(0u, v);
                    }
                  },
                  2),
              HasSubstr("races with load of result"));
  EXPECT_THAT(report(4, 4, [](Bench& k) { static_cast<void>(k.out.atomic_add(0u, 1u)); }, 3), "");
  // Bytes of one word belong to one thread.
  EXPECT_THAT(report(4, 4,
                     [](Bench& k) {
                       static_cast<void>(k.out.load<Storage::u8>(local_id()));
                       $if (local_id() == 1u) {
                         k.out.store(0u, 1.0f + to_f32(local_id()));
                       }
                     }),
              HasSubstr("races with load of result"));
}

TEST(Reports, FragmentsBelongToAllLanes) {
  const auto with = [](bool ordered) {
    return report(4, 4, [=](Bench& k) {
      Shared<float> tile("tile", 256);
      Fragment::fill(1.0f).store(tile, 0u, 16u);
      if (ordered) subgroup_barrier();
      k.out.store(local_id(), tile.load(local_id()));
    });
  };
  EXPECT_EQ(with(true), "");
  // Even the first lane of the subgroup may not know which elements it wrote.
  EXPECT_THAT(report(4, 4,
                     [](Bench& k) {
                       Shared<float> tile("tile", 256);
                       Fragment::fill(1.0f).store(tile, 0u, 16u);
                       $if (local_id() == 0u) {
                         k.out.store(0u, tile.load(0u));
                       }
                     }),
              HasSubstr("races with fragment_store_shared of tile"));
  EXPECT_THAT(with(false), HasSubstr("races with fragment_store_shared of tile"));
  EXPECT_THAT(report(4, 4,
                     [](Bench&) {
                       Shared<float> tile("tile", 256);
                       $for (i, local_id(), 256u, 4u) {
                         tile.store(i, 0.0f);
                       }
                       static_cast<void>(Fragment::load(ir::FragmentUse::a, Storage::f16, tile, 0u, 16u));
                     }),
              HasSubstr("fragment_load of tile"));
}

TEST(Reports, DivergentBarriersAndSubgroupOperations) {
  uint32_t line = 0;
  const std::string said = report(8, 4, [&](Bench&) {
    $if (local_id() < 6u) {
      line = __LINE__ + 1;
      barrier();
    }
  });
  EXPECT_THAT(said, AllOf(HasSubstr("barrier at " + here(line)),
                          HasSubstr("only 6 of 8 threads are here (thread 6")));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       $if (local_id() < 6u) {
                         static_cast<void>(subgroup_add(local_id()));
                       }
                     }),
              HasSubstr("only 2 of 4 lanes of subgroup 1 are here (thread 6"));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       $if (local_id() != 2u) {
                         subgroup_barrier();
                       }
                     }),
              HasSubstr("only 3 of 4 lanes of subgroup 0"));
  EXPECT_EQ(report(8, 4,
                   [](Bench&) {
                     $if (local_id() >= 4u) {
                       static_cast<void>(subgroup_add(local_id()));
                     }
                   }),
            "");
  EXPECT_THAT(report(8, 4,
                     [](Bench& k) {
                       $if (local_id() != 2u) {
                         Fragment::fill(0.0f).store(k.out, 0u, 16u);
                       }
                     }),
              HasSubstr("only 3 of 4 lanes"));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       FragmentVar acc(Fragment::fill(0.0f));
                       $if (local_id() != 2u) {
                         acc.set(Fragment::fill(1.0f));
                       }
                     }),
              HasSubstr("local_set"));
  EXPECT_THAT(report(8, 4, [](Bench&) { static_cast<void>(shuffle(local_id(), local_id())); }),
              HasSubstr("lane 4 does not exist"));
  EXPECT_THAT(report(8, 4, [](Bench& k) { Fragment::fill(0.0f).store(k.out, local_id() * 16u, 16u); }),
              HasSubstr("operand 0 differs within the subgroup"));
}

TEST(Reports, OutOfBoundsAndMisaligned) {
  EXPECT_THAT(report(8, 4, [](Bench& k) { k.out.store(local_id() + 250u, Val<float>(0.5f)); }),
              HasSubstr("index 256 is outside: bytes 1024 to 1027 of a binding of 1024 bytes (thread 6"));
  EXPECT_THAT(
      report(8, 4, [](Bench& k) { k.out.store(local_id(), k.in.load<Storage::f16>(local_id() + 126u)); }),
      HasSubstr("load of weights"));
  EXPECT_THAT(
      report(8, 4,
             [](Bench& k) { static_cast<void>(k.in.at(local_id(), 0x40000000u).load<Storage::u8>(0u)); }),
      HasSubstr("index 0 from byte 1073741824 is outside"));
  EXPECT_THAT(
      report(8, 4, [](Bench& k) { static_cast<void>(k.in.at(local_id(), 6u).load<Storage::u8>(0u)); }),
      HasSubstr("the base, byte 6, is not a multiple of 4"));
  EXPECT_THAT(report(8, 4, [](Bench& k) { static_cast<void>(k.in.load_vec<float, 4>(local_id() * 2u)); }),
              HasSubstr("index 2, byte 8, is not a multiple of 4 elements"));
  EXPECT_THAT(
      report(8, 4, [](Bench& k) { static_cast<void>(k.in.at(local_id(), 4u).load_vec<float, 2>(0u)); }),
      HasSubstr("index 0, byte 4, is not a multiple of 2 elements"));
  EXPECT_THAT(report(8, 4, [](Bench& k) { static_cast<void>(k.out.atomic_add(local_id() * 100u, 1u)); }),
              HasSubstr("index 300 is outside"));
  EXPECT_THAT(report(8, 4,
                     [](Bench& k) {
                       Shared<uint32_t> tile("tile", 7);
                       tile.store(local_id(), k.in.load<Storage::u32>(0u));
                     }),
              HasSubstr("index 7 is outside shared array tile of 7 words (thread 7"));
  EXPECT_THAT(report(8, 4,
                     [](Bench& k) {
                       Shared<uint32_t> tile("tile", 32);
                       copy_async(tile, local_id() * 4u, k.in, local_id() * 8u + 8u);
                     }),
              HasSubstr("index 64 is outside"));
  EXPECT_THAT(report(8, 4,
                     [](Bench& k) {
                       Shared<uint32_t> tile("tile", 32);
                       copy_async(tile, local_id() * 2u, k.in, 0u);
                     }),
              HasSubstr("the shared index 2 is not a multiple of 4"));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       Shared<uint32_t> tile("tile", 32);
                       static_cast<void>(Fragment::load(ir::FragmentUse::a, Storage::f16, tile,
                                                        subgroup_id() * 4u + 4u, 16u));
                     }),
              HasSubstr("index 4 or stride 16 is not a multiple of 16 bytes"));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       Shared<uint32_t> tile("tile", 32);
                       static_cast<void>(tile.load_vec<2>(local_id() + 1u));
                     }),
              HasSubstr("index 1 is not a multiple of 2"));
}

TEST(Reports, ReadsBeforeWrites) {
  EXPECT_THAT(report(8, 4,
                     [](Bench& k) {
                       Shared<uint32_t> tile("tile", 8);
                       $if (local_id() != 3u) {
                         tile.store(local_id(), local_id());
                       }
                       barrier();
                       k.out.store(local_id(), tile.load(local_id()));
                     }),
              HasSubstr("word 3 has not been written (thread 3"));
  // Shared memory is undefined again in every workgroup.
  EXPECT_THAT(report(
                  8, 4,
                  [](Bench& k) {
                    Shared<uint32_t> tile("tile", 8);
                    $if (workgroup_id() == 0u) {
                      tile.store(local_id(), local_id());
                    }
                    barrier();
                    k.out.store(local_id() + workgroup_id() * 8u, tile.load(local_id()));
                  },
                  2),
              HasSubstr("word 0 has not been written (thread 0 of workgroup (1, 0, 0))"));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       Shared<uint32_t> tile("tile", 8);
                       builder().emit(Op::shared_atomic_add, ir::kU32,
                                      {Val<uint32_t>(0u).value(), local_id().value()},
                                      SourceLocation::current(), tile.array());
                     }),
              HasSubstr("word 0 has not been written"));
  EXPECT_THAT(report(8, 4,
                     [](Bench& k) {
                       Var<float> v("acc");
                       $if (local_id() < 5u) {
                         v = 1.0f;
                       }
                       k.out.store(local_id(), v);
                     }),
              AllOf(HasSubstr("local_get of acc"), HasSubstr("the local has not been set (thread 5")));
}

TEST(Reports, AsynchronousCopies) {
  const auto with = [](const std::function<void(const Shared<uint32_t>&)>& between) {
    return report(8, 4, [&](Bench& k) {
      Shared<uint32_t> tile("tile", 32);
      copy_async(tile, local_id() * 4u, k.in, local_id() * 4u);
      between(tile);
      k.out.store(local_id(), tile.load(local_id()));
    });
  };
  EXPECT_EQ(with([](const auto&) {
              copy_commit();
              copy_wait(0);
              barrier();
            }),
            "");
  EXPECT_THAT(with([](const auto&) { barrier(); }),
              HasSubstr("is touched before its asynchronous copy has arrived"));
  EXPECT_THAT(with([](const auto&) {
                copy_wait(0);  // waits for groups, and this copy is in none
                barrier();
              }),
              HasSubstr("asynchronous copy has arrived"));
  EXPECT_THAT(with([](const auto&) {
                copy_commit();
                copy_wait(1);
                barrier();
              }),
              HasSubstr("asynchronous copy has arrived"));
  EXPECT_THAT(with([](const auto&) {
                copy_commit();
                copy_wait(0);
              }),
              HasSubstr("races with copy_async"));
  // Waiting is what makes a copy a write: a barrier before it orders nothing.
  EXPECT_THAT(with([](const auto&) {
                copy_commit();
                barrier();
                copy_wait(0);
              }),
              HasSubstr("races with copy_async"));
  EXPECT_EQ(with([](const auto&) {
              copy_commit();
              copy_commit();
              copy_wait(1);  // the older of two groups
              barrier();
            }),
            "");
  EXPECT_THAT(with([](const auto& tile) { tile.store(local_id() * 4u, local_id()); }),
              HasSubstr("asynchronous copy"));
}

TEST(Reports, LoopsAndUndefinedResults) {
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       $for (i, 0xfffffff0u, 0xffffffffu, 32u) {
                       }
                     }),
              HasSubstr("the counter wraps: 4294967280 + 32"));
  EXPECT_THAT(report(8, 4,
                     [](Bench&) {
                       $for (i, 0u, 8u, local_id()) {
                       }
                     }),
              HasSubstr("the step is zero (thread 0"));
  ir::InterpreterOptions few;
  few.max_operations = 10000;
  EXPECT_THAT(report(
                  8, 4,
                  [](Bench&) {
                    $while (Val<bool>(true)) {
                    }
                  },
                  1, few),
              HasSubstr("does more than 10000 operations; an endless loop?"));
  EXPECT_THAT(report(
                  8, 4,
                  [](Bench&) {
                    $for (i, 0u, 0xffffffffu) {
                    }
                  },
                  1, few),
              HasSubstr("an endless loop?"));
  const std::pair<const char*, std::function<void(Bench&)>> undefined[] = {
      {"divides by zero (thread 0", [](Bench&) { static_cast<void>(Val<uint32_t>(7u) / local_id()); }},
      {"divides by zero (thread 4", [](Bench&) { static_cast<void>(Val<uint32_t>(7u) % (local_id() ^ 4u)); }},
      {"shifts by more than 31 (thread 4", [](Bench&) { static_cast<void>(local_id() << local_id() * 8u); }},
      {"shifts by more than 31",
       [](Bench&) { static_cast<void>(funnel_shr(local_id(), local_id(), local_id() * 5u)); }},
      {"converts a number out of range",
       [](Bench&) {
         static_cast<void>(to_u32(-to_f32(local_id()).value().index * Val<float>(1.0f) - to_f32(local_id())));
       }},
      {"converts a number out of range",
       [](Bench&) { static_cast<void>(to_i32(Val<float>(2147483648.0f))); }},
      {"converts a number out of range", [](Bench&) { static_cast<void>(to_i32(Val<float>(NAN))); }},
  };
  ir::InterpreterOptions silent;
  silent.report_undefined = false;
  for (const auto& [reason, body] : undefined) {
    EXPECT_THAT(report(8, 4, body), HasSubstr(reason));
    EXPECT_EQ(report(8, 4, body, 1, silent), "");
  }
  // Threads that are not there divide by nothing.
  EXPECT_EQ(report(8, 4,
                   [](Bench& k) {
                     $if (local_id() > 0u) {
                       k.out.store(local_id(), 7u / local_id());
                     }
                   }),
            "");
}

TEST(Reports, LaunchesThatDoNotFit) {
  Bench k(4, 4);
  k.out.store(local_id(), k.scope.param<float>("p", 1));
  auto made = ir::Interpreter::create(k.scope.finish());
  ASSERT_TRUE(made);
  Words a(16), b(16), params(2);
  const auto bytes = [](Words& w) { return std::as_writable_bytes(std::span(w)); };
  const auto said = [&](const ir::Launch& launch) { return made->run(launch).error().message(); };
  EXPECT_THAT(said({{1, 1, 1}, params, {bytes(a)}}), HasSubstr("takes 2 bindings, the launch has 1"));
  EXPECT_THAT(said({{1, 1, 1}, std::span(params).first(1), {bytes(a), bytes(b)}}),
              HasSubstr("takes 2 parameter words, the launch has 1"));
  EXPECT_THAT(said({{1, 1, 1}, params, {bytes(a), bytes(a)}}),
              HasSubstr("bindings weights and result overlap"));
  EXPECT_THAT(said({{1, 1, 1}, params, {bytes(a), bytes(b).subspan(2)}}), HasSubstr("not aligned"));
  EXPECT_THAT(said({{70000, 1, 1}, params, {bytes(a), bytes(b)}}),
              HasSubstr("at most 65535 workgroups an axis"));
  EXPECT_TRUE(made->run({{1, 1, 1}, params, {bytes(a), bytes(b)}}));
  Bench broken(4, 4);
  builder().emit(Op::add, ir::kF32, {}, SourceLocation::current());
  EXPECT_THAT(ir::Interpreter::create(broken.scope.finish()).error().message(),
              HasSubstr("takes 2 operands"));
}

/// Not a limit to hold, a figure to see: the conformance suite of all kernels runs on the interpreter.
TEST(Interpreter, Throughput) {
  Bench k(256, 32);
  Shared<float> tile("tile", 256);
  Var<float> sum(0.0f);
  $for (i, 0u, 2000u) {
    const Val<uint32_t> at = (local_id() + i) & 255u;
    tile.store(local_id(), to_f32(at));
    barrier();
    sum += fma(k.in.load<Storage::f16>(at), tile.load(at), 1.0f);
    barrier();
  }
  k.out.store(local_id(), subgroup_add(sum.get()));
  auto interpreter = ir::Interpreter::create(k.scope.finish());
  ASSERT_TRUE(interpreter);
  Words in(256), out(256);
  const std::clock_t start = std::clock();  // processor time: machines are shared
  const auto stats = interpreter->run(
      {{1, 1, 1}, {}, {std::as_writable_bytes(std::span(in)), std::as_writable_bytes(std::span(out))}});
  ASSERT_TRUE(stats) << stats.error().message();
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  RecordProperty("operations_per_second", std::to_string(static_cast<double>(stats->operations) / seconds));
  std::printf("%.3g operations, %.3g a second\n", static_cast<double>(stats->operations),
              static_cast<double>(stats->operations) / seconds);
  EXPECT_EQ(f32(out[0]), 2000.0f * 32);
}

}  // namespace
}  // namespace tattletale
