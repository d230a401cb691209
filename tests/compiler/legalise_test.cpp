// What legalise writes out computes the operation: on the interpreter, operation beside emulation.
#include <random>

#include "compiler/pass_test.h"
#include "ir/interpreter.h"

namespace tattletale::compiler {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ir::Op;
using U = Val<uint32_t>;

ir::TargetInfo rich() {
  ir::TargetInfo target = small_target();
  target.f16x2 = target.dot4_i8 = target.async_copy = true;
  return target;
}
ir::TargetInfo poor() {
  ir::TargetInfo target = small_target();
  target.funnel_shift = false;
  return target;
}

/// y[i] = body(x[3 i], x[3 i + 1], x[3 i + 2]) for every i.
ir::Kernel three_to_one(auto body) {
  KernelScope k("k", 1, rich());
  const Buffer x = k.input("x"), y = k.output("y");
  const U at = workgroup_id(0) * 3u;
  y.store(workgroup_id(0),
          body(x.load<Storage::u32>(at), x.load<Storage::u32>(at + 1u), x.load<Storage::u32>(at + 2u)));
  return k.finish();
}

std::vector<uint32_t> results(const ir::Kernel& kernel, std::vector<uint32_t> inputs) {
  auto interpreter = ir::Interpreter::create(kernel);
  EXPECT_TRUE(interpreter);
  std::vector<uint32_t> words(inputs.size() / 3, 0);
  ir::Launch launch;
  launch.workgroups = {static_cast<uint32_t>(words.size()), 1, 1};
  launch.bindings = {std::as_writable_bytes(std::span(inputs)), std::as_writable_bytes(std::span(words))};
  const auto ran = interpreter->run(launch);
  EXPECT_TRUE(ran) << (ran ? "" : ran.error().message());
  return words;
}

void expect_emulated(const ir::Kernel& kernel, Op op, const std::vector<uint32_t>& inputs) {
  ASSERT_EQ(count(kernel, op), 1u);
  ASSERT_EQ(count(after(kernel, {legalise, dce}, rich()), op), 1u) << "the target has it";
  const ir::Kernel written_out = after(kernel, {legalise, dce}, poor());
  ASSERT_EQ(count(written_out, op), 0u);
  const std::vector<uint32_t> expected = results(kernel, inputs), found = results(written_out, inputs);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(found[i], expected[i]) << std::hex << inputs[3 * i] << " " << inputs[3 * i + 1] << " "
                                     << inputs[3 * i + 2];
  }
}

std::vector<uint32_t> random_words(uint32_t num) {
  std::mt19937 random(5);
  std::vector<uint32_t> words(num);
  for (uint32_t& word : words) word = static_cast<uint32_t>(random());
  return words;
}

TEST(Legalise, Dot4) {
  std::vector<uint32_t> inputs = random_words(3000);
  for (const uint32_t a : {0x80808080u, 0x7f7f7f7fu, 0xff0180feu}) {
    for (const uint32_t b : {0x80808080u, 0x7f7f7f7fu, 0x01ff7f80u})
      inputs.insert(inputs.end(), {a, b, 0x7fffffffu});
  }
  expect_emulated(three_to_one([](U a, U b, U c) { return to_u32(dot4_i8(a, b, to_i32(c))); }), Op::dot4_i8,
                  inputs);
}

TEST(Legalise, FunnelShiftOfEveryCount) {
  std::vector<uint32_t> inputs = random_words(3 * 320);
  for (uint32_t i = 0; i < 320; ++i) inputs[3 * i + 2] = i % 32;
  expect_emulated(three_to_one([](U a, U b, U c) { return funnel_shr(a, b, c); }), Op::funnel_shr, inputs);
}

/// Halves that meet at the edges of rounding: few bits set, neighbours of powers of two, subnormals, the
/// largest.
std::vector<uint32_t> critical_halves(uint32_t num) {
  std::mt19937 random(11);
  const auto half = [&]() -> uint32_t {
    const uint32_t sign = (random() & 1) << 15;
    switch (random() % 6) {
      case 0: return sign | ((random() % 31) << 10);          // powers of two
      case 1: return sign | ((random() % 31) << 10) | 1;      // the number after
      case 2: return sign | ((random() % 31) << 10) | 0x3ff;  // the number before
      case 3: return sign | (random() % 0x400);               // subnormal, or zero
      case 4: return sign | 0x7bff;                           // the largest
      default: return sign | (random() % 0x7c00);
    }
  };
  std::vector<uint32_t> words(num);
  for (uint32_t& word : words) word = half() | half() << 16;
  return words;
}

TEST(Legalise, HalvesAreRoundedOnce) {
  const std::vector<uint32_t> inputs = critical_halves(3 * 60000);
  expect_emulated(three_to_one([](U a, U b, U c) { return fma_f16x2(a, b, c); }), Op::fma_f16x2, inputs);
  expect_emulated(three_to_one([](U a, U b, U) { return add_f16x2(a, b); }), Op::add_f16x2, inputs);
  expect_emulated(three_to_one([](U a, U b, U) { return mul_f16x2(a, b); }), Op::mul_f16x2, inputs);
}

/// The example that rounding twice gets wrong: 1.5 * (1 + 2^-10) + 2^-24 lies just above the middle of two
/// halves.
TEST(Legalise, FusedHalvesBesideATie) {
  const auto kernel = three_to_one([](U a, U b, U c) { return fma_f16x2(a, b, c); });
  const std::vector<uint32_t> above = {0x3e00, 0x3c01, 0x0001}, below = {0x3e00, 0x3c01, 0x8001};
  EXPECT_EQ(results(after(kernel, {legalise, dce}, poor()), above)[0] & 0xffff, 0x3e02u);
  EXPECT_EQ(results(after(kernel, {legalise, dce}, poor()), below)[0] & 0xffff, 0x3e01u);
}

TEST(Legalise, CopiesWithoutTheUnit) {
  KernelScope k("k", 4, rich());
  const Buffer x = k.input("x"), y = k.output("y");
  Shared<uint32_t> tile("tile", 16);
  copy_async(tile, local_id() * 4u, x, (3u - local_id()) * 4u);
  copy_commit();
  copy_wait(0);
  barrier();
  y.store(local_id(), tile.load(local_id() * 4u + 1u));
  const ir::Kernel kernel = k.finish();
  EXPECT_EQ(body_text(after(kernel, {legalise, dce}, poor())), R"(
  %0 = constant u32 4
  %1 = constant u32 3
  %2 = constant u32 1
  %3 = local_id u32
  %4 = mul u32 %3, %0
  %5 = local_id u32
  %6 = sub u32 %1, %5
  %7 = mul u32 %6, %0
  %8 = load u32x4 u32 b0.x %7
  shared_store u32 s0.tile %4, %8
  barrier
  %11 = local_id u32
  %12 = local_id u32
  %13 = mul u32 %12, %0
  %14 = add u32 %13, %2
  %15 = shared_load u32 u32 s0.tile %14
  store u32 b1.y %11, %15
)");
}

}  // namespace
}  // namespace tattletale::compiler
