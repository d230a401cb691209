// Random kernels for comparing targets: well formed, free of races and of undefined results, with everything
// that control flow, memory and subgroups offer. Integers come out the same to the bit on every target. So do
// floats as long as they are exact: a float that feeds another operation is a small multiple of a power of
// two, and what has to round goes straight to a result with a bound of its own. A test program that uses this
// lists ir/random_kernel.cpp, ir/random_values.cpp and ir/compare_device.cpp among its sources.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::test {

/// How a word of a thread's results is compared.
struct ResultRule {
  bool is_f32 = false;  // else all 32 bits
  double relative = 0;
  double absolute = 0;
};

struct RandomKernel {
  ir::Kernel kernel;  // bindings x (read), y and z (written)
  std::vector<uint32_t> params;
  uint32_t num_workgroups = 1;
  // The buffers' contents before the launch. y: `rules.size()` words a thread. z: atomics, compared as bits.
  std::vector<uint32_t> x, y, z;
  std::vector<ResultRule> rules;
};

/// The same kernel for the same arguments, verified for `target`. `statements`: about how much it does; 0:
/// the seed's own choice.
RandomKernel random_kernel(uint64_t seed, const ir::TargetInfo& target, uint32_t statements = 0);

}  // namespace tattletale::test
