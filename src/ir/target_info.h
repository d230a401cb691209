// What a kernel body may rely on when it is traced for one target: sizes, limits and optional operations.
// Bodies choose their shape by these numbers and never by a backend's name.
#pragma once

#include <cstdint>
#include <string>

namespace tattletale::ir {

/// How matrix fragments (ir/op.h: fragment_*) are offered.
enum class FragmentTier : uint8_t {
  none,         // no matrix unit: bodies use register tiles
  opaque,       // load, multiply, store; an element's place in the subgroup is unknown (cooperative matrices)
  transparent,  // also fragment_get / set / row / column: each lane knows which elements it holds
};

struct TargetInfo {
  std::string name;            // "cuda", "opencl", "vulkan", "webgpu", "interpreter"
  uint32_t subgroup_size = 1;  // fixed size kernels are traced for; 1: no subgroup operations at all
  uint32_t max_workgroup_threads = 256;
  uint32_t max_shared_bytes = 16384;
  uint32_t max_bindings = 8;  // storage buffers of one program
  uint64_t max_binding_bytes = 128u << 20;
  uint32_t num_processors =
      1;                 // streaming multiprocessors, compute units, cores: how many workgroups fill it
  bool is_cpu = false;   // a software driver: few, long-running threads are best
  bool f16x2 = false;    // packed half arithmetic (Op::fma_f16x2 and friends)
  bool dot4_i8 = false;  // native four-way integer dot; emulated where false
  bool mul_hi = true;    // cheap high product; where false u32 division by constants is left to the driver
  bool funnel_shift = true;  // the emitter has Op::funnel_shr; written out as shifts where false
  bool async_copy = false;   // copy_async runs beside arithmetic; a plain copy where false
  FragmentTier f16_fragments = FragmentTier::none;   // f16 x f16 -> f32, 16x16x16
  FragmentTier bf16_fragments = FragmentTier::none;  // bf16 x bf16 -> f32, 16x16x16
};

}  // namespace tattletale::ir
