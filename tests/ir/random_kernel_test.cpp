// Random kernels themselves: sound and free of reports at every subgroup size, with everything in them; and
// the comparison finds planted miscompiles.
#include "ir/random_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ir/compare_device.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace tattletale::test {
namespace {

ir::TargetInfo target(uint32_t subgroup_size) {
  ir::TargetInfo info;
  info.name = "random";
  info.subgroup_size = subgroup_size;
  info.f16x2 = true;
  if (subgroup_size > 1) info.f16_fragments = ir::FragmentTier::transparent;
  return info;
}

class RandomKernels : public ::testing::TestWithParam<uint32_t> {};

/// Printed and parsed, a kernel still computes the same bits.
TEST_P(RandomKernels, RunWithoutAReportAndSurviveTheirText) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    const RandomKernel random = random_kernel(seed, target(GetParam()));
    const auto want = run_on_interpreter(random, random.kernel);
    ASSERT_TRUE(want) << "seed " << seed << ": " << want.error().message() << "\n"
                      << ir::print(random.kernel);
    const std::string text = ir::print(random.kernel);
    const auto parsed = ir::parse(text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    ASSERT_EQ(ir::print(*parsed), text);
    const auto got = run_on_interpreter(random, *parsed);
    ASSERT_TRUE(got);
    ASSERT_EQ(got->y, want->y);
    ASSERT_EQ(got->z, want->z);
  }
}

INSTANTIATE_TEST_SUITE_P(SubgroupSizes, RandomKernels, ::testing::Values(1, 4, 8, 32, 64));

TEST(RandomKernel, BetweenThemTheyUseEveryOperation) {
  std::set<ir::Op> used;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    for (const ir::Instruction& in : random_kernel(seed, target(32)).kernel.instructions) used.insert(in.op);
  }
  // Fragments in global memory and from pairs are left to kernels that are written for them.
  const std::set<ir::Op> left_out{ir::Op::fragment_store, ir::Op::fragment_from_pairs};
  for (const ir::OpInfo& info : ir::all_ops())
    EXPECT_NE(used.contains(info.op), left_out.contains(info.op)) << info.name;
}

TEST(RandomKernel, TheSameSeedIsTheSameKernel) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const RandomKernel a = random_kernel(seed, target(8)), b = random_kernel(seed, target(8));
    EXPECT_EQ(ir::print(a.kernel), ir::print(b.kernel));
    EXPECT_EQ(a.x, b.x);
  }
  EXPECT_NE(ir::print(random_kernel(1, target(8)).kernel), ir::print(random_kernel(2, target(8)).kernel));
}

struct Miscompile {
  const char* name;
  std::function<bool(ir::Kernel&, ir::Instruction&)> change;  // true: changed this one
  bool once = false;
};

/// Changes every instruction that `change` takes, as a compiler that is wrong would, or the last one only.
bool plant(ir::Kernel& kernel, const Miscompile& fault) {
  bool changed = false;
  for (size_t i = kernel.instructions.size(); i-- > 0;) {
    changed |= fault.change(kernel, kernel.instructions[i]);
    if (changed && fault.once) return true;
  }
  return changed;
}

void replace(ir::Instruction& in, ir::Op op) {
  in.op = op;
}

const Miscompile kMiscompiles[] = {
    {"sub with swapped operands",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::sub) return false;
       std::swap(in.operands[0], in.operands[1]);
       return true;
     }},
    {"select with swapped arms",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::select) return false;
       std::swap(in.operands[1], in.operands[2]);
       return true;
     }},
    {"shr for shl",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::shl) return false;
       replace(in, ir::Op::shr);
       return true;
     }},
    {"lt for le",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::le) return false;
       replace(in, ir::Op::lt);
       return true;
     }},
    {"i16 read as i8",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::load || in.storage != ir::Storage::i16) return false;
       in.storage = ir::Storage::i8;
       return true;
     }},
    {"a barrier dropped",
     [](ir::Kernel& kernel, ir::Instruction& in) {
       if (in.op != ir::Op::barrier) return false;
       for (auto& region : kernel.regions) {
         std::erase_if(region, [&](ir::Value v) { return &kernel.instructions[v.index] == &in; });
       }
       return true;
     },
     true},
    {"a local's store dropped",
     [](ir::Kernel& kernel, ir::Instruction& in) {
       if (in.op != ir::Op::local_set) return false;
       for (auto& region : kernel.regions) {
         std::erase_if(region, [&](ir::Value v) { return &kernel.instructions[v.index] == &in; });
       }
       return true;
     },
     true},
    {"mul for mul_hi",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::mul_hi) return false;
       replace(in, ir::Op::mul);
       return true;
     }},
    {"the wrong lane of a vector",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::extract) return false;
       in.attr0 ^= 1;
       return true;
     }},
    {"subgroup_min for subgroup_max",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::subgroup_max) return false;
       replace(in, ir::Op::subgroup_min);
       return true;
     }},
    {"else never runs",
     [](ir::Kernel& kernel, ir::Instruction& in) {
       if (in.op != ir::Op::if_ || in.regions[1] == ir::kNoRegion) return false;
       kernel.regions[in.regions[1]].clear();
       return true;
     },
     true},
    {"a loop turns once too often",
     [](ir::Kernel& kernel, ir::Instruction& in) {
       if (in.op != ir::Op::lt || in.operands[0] == in.operands[1]) return false;
       if (kernel.at(in.operands[0]).op != ir::Op::local_get) return false;
       replace(in, ir::Op::le);
       return true;
     }},
    {"tanh for sin",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::sin) return false;
       replace(in, ir::Op::tanh);
       return true;
     }},
    {"atomic_add stores the maximum",
     [](ir::Kernel&, ir::Instruction& in) {
       if (in.op != ir::Op::atomic_add) return false;
       replace(in, ir::Op::atomic_max);
       return true;
     }},
};

/// A fault in one instruction may hide (its value unused, its operands equal); over some seeds it must not.
TEST(RandomKernel, PlantedMiscompilesAreCaught) {
  for (const Miscompile& fault : kMiscompiles) {
    uint32_t planted = 0, caught = 0;
    for (uint64_t seed = 1; seed <= 400 && planted < 40; ++seed) {
      const RandomKernel random = random_kernel(seed, target(8));
      ir::Kernel wrong = random.kernel;
      if (!plant(wrong, fault)) continue;
      ++planted;
      const auto want = run_on_interpreter(random, random.kernel);
      const auto got = run_on_interpreter(random, wrong);
      ASSERT_TRUE(want);
      caught += !got || !difference(random, *want, *got).empty();
    }
    std::printf("%-32s planted %u, caught %u\n", fault.name, planted, caught);
    EXPECT_GE(planted, 10u) << fault.name;
    EXPECT_GE(caught * 4, planted) << fault.name;
  }
}

}  // namespace
}  // namespace tattletale::test
