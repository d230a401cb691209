// Conversions of halves on the device, every f16 and a dense sweep of f32, against tensor/float16.h, bit by
// bit.
#include <bit>
#include <cmath>
#include <random>

#include "backends/opencl/opencl_fixture.h"
#include "tensor/float16.h"

namespace tattletale::test {
namespace {

using namespace lang;  // NOLINT: kernel bodies are written this way

constexpr uint32_t kThreads = 64;

class OpenclHalves : public OpenclTest {
 protected:
  /// Runs `kernel` (x in, y out, one thread a result) over `num_results` words; x and y have as many
  /// bindings.
  std::vector<uint32_t> run(const ir::Kernel& kernel, const std::vector<uint32_t>& x, uint32_t num_results) {
    const KernelId id = load(kernel);
    const BufferId in = make_buffer(x), out = make_buffer(uint64_t{num_results} * 4);
    CommandList list;
    list.dispatch(dispatch_of(id, (num_results + kThreads - 1) / kThreads, {{in, 0, 0}, {out, 0, 0}}));
    (void)must(device().submit(list));
    auto results = read<uint32_t>(out, num_results);
    device().destroy_buffer(in);
    device().destroy_buffer(out);
    return results;
  }
};

bool same_float(uint32_t a, float b) {
  return std::bit_cast<uint32_t>(b) == a || (std::isnan(b) && std::isnan(std::bit_cast<float>(a)));
}

TEST_F(OpenclHalves, EveryF16AndBf16IsLoadedRight) {
  constexpr uint32_t kCount = 65536;
  std::vector<uint32_t> x(kCount / 2);
  for (uint32_t i = 0; i < x.size(); ++i) x[i] = 2 * i | (2 * i + 1) << 16;
  const auto kernel = [&](int kind) {
    KernelScope k("load_halves_" + std::to_string(kind), kThreads, target());
    const Buffer from = k.input("x"), y = k.output("y");
    const Val<uint32_t> i = workgroup_id() * kThreads + local_id();
    if (kind == 0) y.store(i, from.load<Storage::f16>(i));
    if (kind == 1) y.store(i, from.load<Storage::bf16>(i));
    if (kind == 2) {
      const Val<uint32_t> word = from.load<Storage::u32>(i >> 1u);
      y.store(i, select((i & 1u) == 0u, unpack_f16_lo(word), unpack_f16_hi(word)));
    }
    return k.finish();
  };
  for (const int kind : {0, 1, 2}) {
    const auto results = run(kernel(kind), x, kCount);
    for (uint32_t i = 0; i < kCount; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const float expected = kind == 1 ? bf16_to_f32(bits) : f16_to_f32(bits);
      ASSERT_TRUE(same_float(results[i], expected)) << kind << " of " << i << ": " << results[i];
    }
  }
}

/// Numbers round which rounding changes: every f16 and bf16, what lies halfway to the next, and a bit beside
/// it.
std::vector<uint32_t> rounding_cases() {
  std::vector<uint32_t> words;
  for (uint32_t h = 0; h < 65536; h += 3) {
    const auto bits = std::bit_cast<uint32_t>(f16_to_f32(static_cast<uint16_t>(h)));
    for (const uint32_t beside : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu}) words.push_back(bits + beside);
    for (const uint32_t beside : {0u, 0x7fffu, 0x8000u, 0x8001u}) words.push_back((h << 16) + beside);
  }
  std::mt19937 random(3);
  for (int i = 0; i < 200'000; ++i) words.push_back(static_cast<uint32_t>(random()));
  while (words.size() % kThreads != 0) words.push_back(0);
  return words;
}

TEST_F(OpenclHalves, PackingRoundsToNearestEven) {
  const auto kernel = [&](bool brain) {
    KernelScope k(brain ? "pack_bf16" : "pack_f16", kThreads, target());
    const Buffer from = k.input("x"), y = k.output("y");
    const Val<uint32_t> i = workgroup_id() * kThreads + local_id();
    const Val<float> x = from.load<Storage::f32>(i);
    y.store(i, brain ? pack_bf16x2(x, neg(x)) : pack_f16x2(x, neg(x)));
    return k.finish();
  };
  const auto words = rounding_cases();
  for (const bool brain : {false, true}) {
    const auto results = run(kernel(brain), words, static_cast<uint32_t>(words.size()));
    for (size_t i = 0; i < words.size(); ++i) {
      const float x = std::bit_cast<float>(words[i]);
      const auto lo = static_cast<uint16_t>(results[i]), hi = static_cast<uint16_t>(results[i] >> 16);
      if (std::isnan(x)) {
        ASSERT_TRUE(std::isnan(brain ? bf16_to_f32(lo) : f16_to_f32(lo))) << std::hex << words[i];
        continue;
      }
      const uint16_t expected = brain ? f32_to_bf16(x) : f32_to_f16(x);
      ASSERT_EQ(lo, expected) << std::hex << words[i] << (brain ? " bf16" : " f16");
      ASSERT_EQ(hi, expected ^ 0x8000u) << std::hex << words[i];
    }
  }
}

}  // namespace
}  // namespace tattletale::test
