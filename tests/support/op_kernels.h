// Small kernels that between them use every operation with every type it takes: what a backend must compile
// and, on a device, compute as the interpreter does. They are legal as they stand: no pass has to run first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::test {

/// Two workgroups of `threads` threads; thread i of all writes words i * results .. of binding 1.
///   binding 0 "x"  read only, kOpInputWords words a thread; thread i reads words i * kOpInputWords on
///   binding 1 "y"  written, `results` words a thread, zero before
///   params         three words: u32 3, i32 -2, f32 0.5
struct OpKernel {
  enum class Input : uint8_t { any_bits, small_f32, positive_f32, halves };
  ir::Kernel kernel;
  Input input = Input::any_bits;
  uint32_t results = 0;
  bool f32_results = false;  // compare as numbers: relative error 2^-19, or as much absolutely; else as bits
};
inline constexpr uint32_t kOpInputWords = 4;
inline constexpr uint32_t kOpWorkgroups = 2;

/// For a target with packed halves, subgroups and fragments where `target` says so. `threads` is a multiple
/// of the subgroup size and at most 256.
std::vector<OpKernel> op_kernels(const ir::TargetInfo& target, uint32_t threads);

/// Words for binding 0 of all threads, the same for the same arguments.
std::vector<uint32_t> op_inputs(OpKernel::Input input, uint32_t num_threads);

}  // namespace tattletale::test
