// Writes a kernel as WGSL text. Knows the language and its dialects, not any device: the same text is for
// Dawn, wgpu-native and browsers.
// Sources: WebGPU Shading Language, W3C; op.h says what each operation means.
#pragma once

#include <string>

#include "base/error.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::webgpu {

/// What implementations of WGSL disagree on. The default is what every browser takes.
struct WgslDialect {
  bool enable_subgroups = true;        // `enable subgroups;` (wgpu-native has subgroups but refuses the line)
  bool subgroup_size_control = false;  // `@subgroup_size(n)`: the feature subgroup-size-control is enabled
  bool subgroup_barrier = false;       // subgroupBarrier(): wgpu-native only
  bool immediates = false;             // parameters in var<immediate>, else in a uniform buffer
  bool native_pack = false;   // pack2x16float is known to round to nearest even and to overflow to infinity
  bool native_unpack = true;  // unpack2x16float is known to keep subnormals
  bool native_exp2 = true;    // exp2 is known to be good to 2^-20 on its whole range
  bool native_u32_to_f32 = false;  // f32(u32) is known to round to nearest (SwiftShader's does not)
};

inline constexpr const char* kWgslEntryPoint = "main";
/// Changes with every change of the emitted text; part of cache keys.
inline constexpr const char* kWgslWriterVersion = "wgsl-1";

/// The interface of a program: buffer i is @group(0) @binding(i), storage; parameters, if any, are one struct
/// of 32-bit words in @group(1) @binding(0), uniform, or in var<immediate>; the entry point is "main".
/// Buffers bound must be sized in multiples of 16 bytes (an array of vectors has no use for a shorter tail).
/// The thread `local_id` of a workgroup is taken to be lane local_id % subgroup_size of its subgroup: a
/// device has to check that (webgpu_probe.h) before it promises a subgroup size. Lines `// file:line` name
/// the source of what follows. Errors: unsupported for fragments, for subgroup operations on a target without
/// them, packed half arithmetic without TargetInfo::f16x2, and a subgroup barrier where threads of a
/// workgroup differ.
Result<std::string> emit_wgsl(const ir::Kernel& kernel, const ir::TargetInfo& target,
                              const WgslDialect& dialect = {});

/// The text with read-only buffer `binding` declared read_write, so that its buffer may be written through
/// another binding of the same dispatch.
std::string wgsl_with_writable(std::string text, uint32_t binding);

/// "linear.cpp:120": the source line in force at a line (from 1) of emitted text, or "".
std::string wgsl_source_line(const std::string& text, uint32_t line);

}  // namespace tattletale::webgpu
