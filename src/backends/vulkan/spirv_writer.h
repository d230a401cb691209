// ir::Kernel -> SPIR-V 1.6 words, written directly. Needs no driver; driver/vulkan_device.cpp runs the
// result.
//
// Calling convention: push constants hold one 64-bit device address a binding, then the parameter words;
// there are no descriptors. Global memory is reached through physical storage buffer pointers, so a binding
// may be as large as a buffer, and a dispatch needs no set-up but a few words.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale {

/// What the module may use beyond Vulkan 1.3's required features.
struct SpirvFeatures {
  bool int64 = false;                      // else addresses are pairs of words
  bool wide_offsets = false;               // buffers may be larger than 4 GiB; needs int64
  bool storage16 = false;                  // 16-bit loads; else the word is read and the half extracted
  bool storage8 = false;                   // 8-bit loads, likewise
  bool float16 = false;                    // half arithmetic (Op::fma_f16x2) and native conversion from f16
  bool f16_round_to_even = false;          // float16 and a promise that f32 -> f16 rounds to nearest even
  bool packed_dot = false;                 // a fast four-way integer dot product
  bool explicit_workgroup_layout = false;  // one workgroup memory seen as words and as vectors
  bool cooperative_matrix = false;         // f16 x f16 -> f32, 16x16x16; needs explicit_workgroup_layout
  bool bfloat16_matrix = false;            // bf16 x bf16 -> f32, likewise

  // Faults of drivers that the module goes round.
  bool inexact_u32_to_f32 = false;  // SwiftShader rounds large numbers twice
  bool slow_vector_loads = false;   // lavapipe loops over lanes and components; words are faster
  bool float_atomic_fault = false;  // lavapipe ends the process on an atomic operand that was a float

  /// What `target` promises, and nothing more: a module that runs wherever the target does.
  static SpirvFeatures of(const ir::TargetInfo& target);
};

/// The module of a legal kernel (ir/verify.h); entry point "main".
/// Errors: unsupported, naming kernel and source line, for an operation that the features do not allow.
Result<std::vector<uint32_t>> emit_spirv(const ir::Kernel& kernel, const SpirvFeatures& features);
Result<std::vector<uint32_t>> emit_spirv(const ir::Kernel& kernel, const ir::TargetInfo& target);

/// Workgroup memory of the module: the kernel's arrays, and scratch for fragments stored at places that are
/// not seen to be 16-byte aligned.
uint32_t spirv_shared_bytes(const ir::Kernel& kernel);

/// Counts up whenever the writer's output changes; part of compiled programs' cache keys.
inline constexpr uint32_t kSpirvWriterVersion = 1;

}  // namespace tattletale
