// Memory operations of NVIDIA's OpenCL C, in inline PTX where the language has no word for them. Pointers
// carry their address space, so an integer made from one is an address of that space. Source: Parallel Thread
// Execution ISA 8.x, "Data Movement and Conversion Instructions".
#include "backends/opencl/opencl_snippets.h"

namespace tattletale::opencl {
namespace {

constexpr compiler::CSnippet kSnippets[] = {
    // Read-only bindings: through the read-only cache; `asm` without volatile may be moved and merged.
    {"tt_load_u32", R"(TT_FN u32 tt_load_u32(__global const u8* p, u32 index) {
  u32 v;
  asm("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"((u64)((__global const u32*)p + index)));
  return v;
}
)"},
    {"tt_load_u32_stream", R"(TT_FN u32 tt_load_u32_stream(__global const u8* p, u32 index) {
  u32 v;
  asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"((u64)((__global const u32*)p + index)));
  return v;
}
)"},
    {"tt_load_u32_written", R"(TT_FN u32 tt_load_u32_written(__global const u8* p, u32 index) {
  return *(__global const u32*)((__global const u32*)p + index);
}
)"},
    {"tt_load_i32_stream", R"(TT_FN i32 tt_load_i32_stream(__global const u8* p, u32 index) {
  return as_int(tt_load_u32_stream(p, index));
}
)"},
    {"tt_load_i32_written", R"(TT_FN i32 tt_load_i32_written(__global const u8* p, u32 index) {
  return as_int(tt_load_u32_written(p, index));
}
)"},
    {"tt_load_f32_stream", R"(TT_FN f32 tt_load_f32_stream(__global const u8* p, u32 index) {
  return as_float(tt_load_u32_stream(p, index));
}
)"},
    {"tt_load_f32_written", R"(TT_FN f32 tt_load_f32_written(__global const u8* p, u32 index) {
  return as_float(tt_load_u32_written(p, index));
}
)"},
    {"tt_load_u32x2", R"(TT_FN u32x2 tt_load_u32x2(__global const u8* p, u32 index) {
  u32 a, b;
  asm("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "l"((u64)((__global const u32*)p + index)));
  return (u32x2)(a, b);
}
)"},
    {"tt_load_u32x2_stream", R"(TT_FN u32x2 tt_load_u32x2_stream(__global const u8* p, u32 index) {
  u32 a, b;
  asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "l"((u64)((__global const u32*)p + index)));
  return (u32x2)(a, b);
}
)"},
    {"tt_load_u32x2_written", R"(TT_FN u32x2 tt_load_u32x2_written(__global const u8* p, u32 index) {
  return *(__global const u32x2*)((__global const u32*)p + index);
}
)"},
    {"tt_load_i32x2_stream", R"(TT_FN i32x2 tt_load_i32x2_stream(__global const u8* p, u32 index) {
  return as_int2(tt_load_u32x2_stream(p, index));
}
)"},
    {"tt_load_i32x2_written", R"(TT_FN i32x2 tt_load_i32x2_written(__global const u8* p, u32 index) {
  return as_int2(tt_load_u32x2_written(p, index));
}
)"},
    {"tt_load_f32x2_stream", R"(TT_FN f32x2 tt_load_f32x2_stream(__global const u8* p, u32 index) {
  return as_float2(tt_load_u32x2_stream(p, index));
}
)"},
    {"tt_load_f32x2_written", R"(TT_FN f32x2 tt_load_f32x2_written(__global const u8* p, u32 index) {
  return as_float2(tt_load_u32x2_written(p, index));
}
)"},
    {"tt_load_u32x4", R"(TT_FN u32x4 tt_load_u32x4(__global const u8* p, u32 index) {
  u32 a, b, c, d;
  asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "l"((u64)((__global const u32*)p + index)));
  return (u32x4)(a, b, c, d);
}
)"},
    {"tt_load_u32x4_stream", R"(TT_FN u32x4 tt_load_u32x4_stream(__global const u8* p, u32 index) {
  u32 a, b, c, d;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "l"((u64)((__global const u32*)p + index)));
  return (u32x4)(a, b, c, d);
}
)"},
    {"tt_load_u32x4_written", R"(TT_FN u32x4 tt_load_u32x4_written(__global const u8* p, u32 index) {
  return *(__global const u32x4*)((__global const u32*)p + index);
}
)"},
    {"tt_load_i32x4_stream", R"(TT_FN i32x4 tt_load_i32x4_stream(__global const u8* p, u32 index) {
  return as_int4(tt_load_u32x4_stream(p, index));
}
)"},
    {"tt_load_i32x4_written", R"(TT_FN i32x4 tt_load_i32x4_written(__global const u8* p, u32 index) {
  return as_int4(tt_load_u32x4_written(p, index));
}
)"},
    {"tt_load_f32x4_stream", R"(TT_FN f32x4 tt_load_f32x4_stream(__global const u8* p, u32 index) {
  return as_float4(tt_load_u32x4_stream(p, index));
}
)"},
    {"tt_load_f32x4_written", R"(TT_FN f32x4 tt_load_f32x4_written(__global const u8* p, u32 index) {
  return as_float4(tt_load_u32x4_written(p, index));
}
)"},
    {"tt_load_u16_written", R"(TT_FN u32 tt_load_u16_written(__global const u8* p, u32 index) {
  return *((__global const u32*)p + index / 2u) >> (index % 2u * 16u) & 0xffffu;
}
)"},
    // Asynchronous copies.
    {"tt_shared_address", R"(TT_FN u32 tt_shared_address(__local const u32* p) {
  return (u32)(size_t)p;
}
)"},
    {"tt_copy_async",
     R"(TT_FN void tt_copy_async(__local u32* arena, u32 word, __global const u8* p, u32 global_word) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;"
               :
               : "r"(tt_shared_address(arena + word)), "l"((u64)((__global const u32*)p + global_word))
               : "memory");
}
)"},
    {"tt_subgroup_barrier", R"(TT_FN void tt_subgroup_barrier(void) {
  asm volatile("bar.warp.sync 0xffffffff;" : : : "memory");
}
)"},
    // Fragments in memory.
    {"tt_fragment_load_a",
     R"(TT_FN tt_fragment_a tt_fragment_load_a(__local const u32* arena, u32 first, u32 index, u32 stride) {
  tt_fragment_a r;
  const u32 lane = tt_lane_id();
  const u32 element = index + lane % 16u * stride + lane / 16u * 8u;  // matrices: (0,0) (8,0) (0,8) (8,8)
  tt_ldmatrix(r.x, tt_shared_address(arena + first) + 2u * element);
  return r;
}
)"},
    {"tt_fragment_load_b",
     R"(TT_FN tt_fragment_b tt_fragment_load_b(__local const u32* arena, u32 first, u32 index, u32 stride) {
  tt_fragment_b r;
  const u32 lane = tt_lane_id();
  const u32 n = lane % 8u + lane / 16u * 8u;
  const u32 k = lane / 8u % 2u * 8u;
  tt_ldmatrix(r.x, tt_shared_address(arena + first) + 2u * (index + n * stride + k));
  return r;
}
)"},
    {"tt_fragment_load_rows_b",
     R"(TT_FN tt_fragment_b tt_fragment_load_rows_b(__local const u32* arena, u32 first, u32 index, u32 stride) {
  tt_fragment_b r;
  const u32 lane = tt_lane_id();
  const u32 element = index + lane % 16u * stride + lane / 16u * 8u;  // row k = lane % 16
  tt_ldmatrix_trans(r.x, tt_shared_address(arena + first) + 2u * element);
  return r;
}
)"},
    {"tt_fragment_store_shared",
     R"(TT_FN void tt_fragment_store_shared(__local u32* arena, u32 word, u32 stride, tt_fragment_accumulator c) {
  __local u32* first = arena + word + tt_fragment_row(0u) * stride + tt_fragment_column(0u);
  __local u32* below = first + 8u * stride;
  first[0] = as_uint(c.x[0]);
  first[1] = as_uint(c.x[1]);
  below[0] = as_uint(c.x[2]);
  below[1] = as_uint(c.x[3]);
  first[8] = as_uint(c.x[4]);
  first[9] = as_uint(c.x[5]);
  below[8] = as_uint(c.x[6]);
  below[9] = as_uint(c.x[7]);
}
)"},
    {"tt_store_pair", R"(TT_FN void tt_store_pair(__global u32* p, f32 x, f32 y, bool aligned) {
  if (aligned) {
    *(__global uint2*)p = (uint2)(as_uint(x), as_uint(y));
  } else {
    p[0] = as_uint(x);
    p[1] = as_uint(y);
  }
}
)"},
    {"tt_fragment_store",
     R"(TT_FN void tt_fragment_store(__global u8* p, u32 index, u32 stride, tt_fragment_accumulator c) {
  __global u32* first = (__global u32*)p + index + tt_fragment_row(0u) * stride + tt_fragment_column(0u);
  __global u32* below = first + 8u * stride;
  const bool aligned = (((u64)p + 4u * (index | stride)) & 7u) == 0u;
  tt_store_pair(first, c.x[0], c.x[1], aligned);
  tt_store_pair(below, c.x[2], c.x[3], aligned);
  tt_store_pair(first + 8, c.x[4], c.x[5], aligned);
  tt_store_pair(below + 8, c.x[6], c.x[7], aligned);
}
)"},
};

}  // namespace

std::span<const compiler::CSnippet> nvidia_opencl_snippets() {
  return kSnippets;
}

}  // namespace tattletale::opencl
