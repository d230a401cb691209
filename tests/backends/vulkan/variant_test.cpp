// What the writer does on devices that this machine may not have: the forms for missing and for larger
// features, each run on every device here that allows it.
#include "backends/vulkan/vulkan_fixture.h"
#include "ir/compare_device.h"
#include "support/op_conformance.h"

namespace tattletale::test {
namespace {

struct Variant {
  const char* name;
  bool (*apply)(SpirvFeatures& features);  // false: this device cannot
};

constexpr Variant kVariants[] = {
    {"no optional feature",
     [](SpirvFeatures& f) {
       const SpirvFeatures all = f;
       f = SpirvFeatures();
       f.inexact_u32_to_f32 = all.inexact_u32_to_f32;  // faults do not go away
       f.float_atomic_fault = all.float_atomic_fault;
       return true;
     }},
    {"64-bit offsets", [](SpirvFeatures& f) { return f.wide_offsets = f.int64; }},
    {"64-bit offsets, loads of words only",
     [](SpirvFeatures& f) {
       f.storage8 = f.storage16 = f.float16 = f.f16_round_to_even = f.packed_dot = false;
       return f.wide_offsets = f.int64;
     }},
    {"whole vectors", [](SpirvFeatures& f) { return std::exchange(f.slow_vector_loads, false); }},
    {"words instead of vectors", [](SpirvFeatures& f) { return !std::exchange(f.slow_vector_loads, true); }},
    {"large numbers converted by halves",
     [](SpirvFeatures& f) { return !std::exchange(f.inexact_u32_to_f32, true); }},
    {"atomics of disguised operands",
     [](SpirvFeatures& f) { return !std::exchange(f.float_atomic_fault, true); }},
};

class VulkanVariantTest : public VulkanTest {
 protected:
  /// The device of this test with other features; null when it cannot have them.
  std::unique_ptr<compiler::ProgramDevice> open_variant(const Variant& variant) {
    return open_changed(GetParam(), [&](vulkan::PhysicalDevice& physical) {
      if (!variant.apply(physical.features)) return false;
      physical.target.f16x2 = physical.features.float16 && physical.target.f16x2;
      physical.target.dot4_i8 = physical.features.packed_dot;
      if (!physical.features.explicit_workgroup_layout) {
        physical.target.f16_fragments = physical.target.bf16_fragments = ir::FragmentTier::none;
      }
      return true;
    });
  }
};
TT_FOR_ALL_VULKAN_DEVICES(VulkanVariantTest);

TEST_P(VulkanVariantTest, EveryFormComputesWhatTheInterpreterDoes) {
  uint32_t ran = 0;
  for (const Variant& variant : kVariants) {
    SCOPED_TRACE(variant.name);
    const auto other = open_variant(variant);
    if (other == nullptr) continue;
    ++ran;
    for (const OpKernel& op : op_kernels(other->target(), 64)) {
      if (op.kernel.name == "op_f32_exact") continue;  // its fma may round twice; ops_test has it
      EXPECT_EQ(must(difference_on(*other, op)), "") << op.kernel.name;
    }
    EXPECT_EQ(compare_on(*other, 1000, 10), "");
  }
  std::printf("%u of %zu forms ran\n", ran, std::size(kVariants));
  EXPECT_GE(ran, 3u);
}

}  // namespace
}  // namespace tattletale::test
