// OpenCL C 1.2 for any driver. Source: The OpenCL C Specification, 1.2.
#include "backends/opencl/opencl_snippets.h"

namespace tattletale::opencl {
namespace {

// One table and long for it: a kernel's text carries just what it uses, so that it can be read by itself.
constexpr compiler::CSnippet kSnippets[] = {
    // Types. Memory is always accessed as u32 words, so that C's aliasing rules have nothing to forbid.
    {"u32x2", "typedef uint2 u32x2;\n"},
    {"tt_make_u32x2", R"(TT_FN u32x2 tt_make_u32x2(u32 x, u32 y) {
  return (u32x2)(x, y);
}
)"},
    {"i32x2", "typedef int2 i32x2;\n"},
    {"tt_make_i32x2", R"(TT_FN i32x2 tt_make_i32x2(i32 x, i32 y) {
  return (i32x2)(x, y);
}
)"},
    {"f32x2", "typedef float2 f32x2;\n"},
    {"tt_make_f32x2", R"(TT_FN f32x2 tt_make_f32x2(f32 x, f32 y) {
  return (f32x2)(x, y);
}
)"},
    {"u32x4", "typedef uint4 u32x4;\n"},
    {"tt_make_u32x4", R"(TT_FN u32x4 tt_make_u32x4(u32 x, u32 y, u32 z, u32 w) {
  return (u32x4)(x, y, z, w);
}
)"},
    {"i32x4", "typedef int4 i32x4;\n"},
    {"tt_make_i32x4", R"(TT_FN i32x4 tt_make_i32x4(i32 x, i32 y, i32 z, i32 w) {
  return (i32x4)(x, y, z, w);
}
)"},
    {"f32x4", "typedef float4 f32x4;\n"},
    {"tt_make_f32x4", R"(TT_FN f32x4 tt_make_f32x4(f32 x, f32 y, f32 z, f32 w) {
  return (f32x4)(x, y, z, w);
}
)"},
    {"tt_f32_from_bits", R"(TT_FN f32 tt_f32_from_bits(u32 x) {
  return as_float(x);
}
)"},
    {"tt_bits_from_f32", R"(TT_FN u32 tt_bits_from_f32(f32 x) {
  return as_uint(x);
}
)"},
    // Ids.
    {"tt_local_id", R"(TT_FN u32 tt_local_id(void) {
  return (u32)get_local_id(0);
}
)"},
    {"tt_workgroup_id_0", R"(TT_FN u32 tt_workgroup_id_0(void) {
  return (u32)get_group_id(0);
}
)"},
    {"tt_num_workgroups_0", R"(TT_FN u32 tt_num_workgroups_0(void) {
  return (u32)get_num_groups(0);
}
)"},
    {"tt_workgroup_id_1", R"(TT_FN u32 tt_workgroup_id_1(void) {
  return (u32)get_group_id(1);
}
)"},
    {"tt_num_workgroups_1", R"(TT_FN u32 tt_num_workgroups_1(void) {
  return (u32)get_num_groups(1);
}
)"},
    {"tt_workgroup_id_2", R"(TT_FN u32 tt_workgroup_id_2(void) {
  return (u32)get_group_id(2);
}
)"},
    {"tt_num_workgroups_2", R"(TT_FN u32 tt_num_workgroups_2(void) {
  return (u32)get_num_groups(2);
}
)"},
    // Arithmetic.
    {"tt_mul_hi", R"(TT_FN u32 tt_mul_hi(u32 a, u32 b) {
  return mul_hi(a, b);
}
)"},
    {"tt_popcount", R"(TT_FN u32 tt_popcount(u32 x) {
  return popcount(x);
}
)"},
    {"tt_min_u32", R"(TT_FN u32 tt_min_u32(u32 a, u32 b) {
  return a < b ? a : b;
}
)"},
    {"tt_max_u32", R"(TT_FN u32 tt_max_u32(u32 a, u32 b) {
  return a > b ? a : b;
}
)"},
    {"tt_min_i32", R"(TT_FN i32 tt_min_i32(i32 a, i32 b) {
  return a < b ? a : b;
}
)"},
    {"tt_max_i32", R"(TT_FN i32 tt_max_i32(i32 a, i32 b) {
  return a > b ? a : b;
}
)"},
    {"tt_min_f32", R"(TT_FN f32 tt_min_f32(f32 a, f32 b) {
  return a < b ? a : b;
}
)"},
    {"tt_max_f32", R"(TT_FN f32 tt_max_f32(f32 a, f32 b) {
  return a > b ? a : b;
}
)"},
    {"tt_funnel_shr", R"(TT_FN u32 tt_funnel_shr(u32 hi, u32 lo, u32 count) {
  return (u32)(((u64)hi << 32 | lo) >> count);
}
)"},
    {"tt_dot4_i8", R"(TT_FN i32 tt_dot4_i8(u32 a, u32 b, i32 c) {
  const char4 x = as_char4(a);
  const char4 y = as_char4(b);
  return c + x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
}
)"},
    {"tt_fma", R"(TT_FN f32 tt_fma(f32 a, f32 b, f32 c) {
  return fma(a, b, c);
}
)"},
    {"tt_div", R"(TT_FN f32 tt_div(f32 a, f32 b) {
  return a / b;
}
)"},
    {"tt_add_strict", R"(TT_FN f32 tt_add_strict(f32 a, f32 b) {
#pragma OPENCL FP_CONTRACT OFF
  return a + b;
}
)"},
    {"tt_sub_strict", R"(TT_FN f32 tt_sub_strict(f32 a, f32 b) {
#pragma OPENCL FP_CONTRACT OFF
  return a - b;
}
)"},
    {"tt_mul_strict", R"(TT_FN f32 tt_mul_strict(f32 a, f32 b) {
#pragma OPENCL FP_CONTRACT OFF
  return a * b;
}
)"},
    {"tt_abs", R"(TT_FN f32 tt_abs(f32 x) {
  return fabs(x);
}
)"},
    {"tt_sqrt", R"(TT_FN f32 tt_sqrt(f32 x) {
  return sqrt(x);
}
)"},
    {"tt_rsqrt", R"(TT_FN f32 tt_rsqrt(f32 x) {
  return rsqrt(x);
}
)"},
    {"tt_exp2", R"(TT_FN f32 tt_exp2(f32 x) {
  return exp2(x);
}
)"},
    {"tt_log2", R"(TT_FN f32 tt_log2(f32 x) {
  return log2(x);
}
)"},
    {"tt_sin", R"(TT_FN f32 tt_sin(f32 x) {
  return sin(x);
}
)"},
    {"tt_cos", R"(TT_FN f32 tt_cos(f32 x) {
  return cos(x);
}
)"},
    {"tt_floor", R"(TT_FN f32 tt_floor(f32 x) {
  return floor(x);
}
)"},
    {"tt_tanh", R"(TT_FN f32 tt_tanh(f32 x) {
  return tanh(x);
}
)"},
    // Halves. `half` is no type of arithmetic here, but pointers to it may be loaded from and stored to.
    {"tt_f16_from_f32", R"(TT_FN u32 tt_f16_from_f32(f32 x) {
  ushort bits;
  vstore_half_rte(x, 0, (__private half*)&bits);
  return bits;
}
)"},
    {"tt_f32_from_f16", R"(TT_FN f32 tt_f32_from_f16(u32 x) {
  const ushort bits = (ushort)x;
  return vload_half(0, (const __private half*)&bits);
}
)"},
    {"tt_pack_f16x2", R"(TT_FN u32 tt_pack_f16x2(f32 lo, f32 hi) {
  return tt_f16_from_f32(lo) | tt_f16_from_f32(hi) << 16;
}
)"},
    {"tt_unpack_f16_lo", R"(TT_FN f32 tt_unpack_f16_lo(u32 x) {
  return tt_f32_from_f16(x);
}
)"},
    {"tt_unpack_f16_hi", R"(TT_FN f32 tt_unpack_f16_hi(u32 x) {
  return tt_f32_from_f16(x >> 16);
}
)"},
    // To nearest even by adding half of what is cut off; a NaN keeps its upper bits and stays one.
    {"tt_bf16_from_f32", R"(TT_FN u32 tt_bf16_from_f32(f32 x) {
  const u32 bits = as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40u;
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
)"},
    {"tt_pack_bf16x2", R"(TT_FN u32 tt_pack_bf16x2(f32 lo, f32 hi) {
  return tt_bf16_from_f32(lo) | tt_bf16_from_f32(hi) << 16;
}
)"},
    // Global memory.
    {"tt_load_u32", R"(TT_FN u32 tt_load_u32(__global const u8* p, u32 index) {
  return *((__global const u32*)p + index);
}
)"},
    {"tt_store_u32", R"(TT_FN void tt_store_u32(__global u8* p, u32 index, u32 v) {
  *((__global u32*)p + index) = v;
}
)"},
    {"tt_load_u32x2", R"(TT_FN u32x2 tt_load_u32x2(__global const u8* p, u32 index) {
  return *(__global const u32x2*)((__global const u32*)p + index);
}
)"},
    {"tt_store_u32x2", R"(TT_FN void tt_store_u32x2(__global u8* p, u32 index, u32x2 v) {
  *(__global u32x2*)((__global u32*)p + index) = v;
}
)"},
    {"tt_load_u32x4", R"(TT_FN u32x4 tt_load_u32x4(__global const u8* p, u32 index) {
  return *(__global const u32x4*)((__global const u32*)p + index);
}
)"},
    {"tt_store_u32x4", R"(TT_FN void tt_store_u32x4(__global u8* p, u32 index, u32x4 v) {
  *(__global u32x4*)((__global u32*)p + index) = v;
}
)"},
    {"tt_load_i32", R"(TT_FN i32 tt_load_i32(__global const u8* p, u32 index) {
  return as_int(tt_load_u32(p, index));
}
)"},
    {"tt_store_i32", R"(TT_FN void tt_store_i32(__global u8* p, u32 index, i32 v) {
  tt_store_u32(p, index, as_uint(v));
}
)"},
    {"tt_load_i32x2", R"(TT_FN i32x2 tt_load_i32x2(__global const u8* p, u32 index) {
  return as_int2(tt_load_u32x2(p, index));
}
)"},
    {"tt_store_i32x2", R"(TT_FN void tt_store_i32x2(__global u8* p, u32 index, i32x2 v) {
  tt_store_u32x2(p, index, as_uint2(v));
}
)"},
    {"tt_load_i32x4", R"(TT_FN i32x4 tt_load_i32x4(__global const u8* p, u32 index) {
  return as_int4(tt_load_u32x4(p, index));
}
)"},
    {"tt_store_i32x4", R"(TT_FN void tt_store_i32x4(__global u8* p, u32 index, i32x4 v) {
  tt_store_u32x4(p, index, as_uint4(v));
}
)"},
    {"tt_load_f32", R"(TT_FN f32 tt_load_f32(__global const u8* p, u32 index) {
  return as_float(tt_load_u32(p, index));
}
)"},
    {"tt_store_f32", R"(TT_FN void tt_store_f32(__global u8* p, u32 index, f32 v) {
  tt_store_u32(p, index, as_uint(v));
}
)"},
    {"tt_load_f32x2", R"(TT_FN f32x2 tt_load_f32x2(__global const u8* p, u32 index) {
  return as_float2(tt_load_u32x2(p, index));
}
)"},
    {"tt_store_f32x2", R"(TT_FN void tt_store_f32x2(__global u8* p, u32 index, f32x2 v) {
  tt_store_u32x2(p, index, as_uint2(v));
}
)"},
    {"tt_load_f32x4", R"(TT_FN f32x4 tt_load_f32x4(__global const u8* p, u32 index) {
  return as_float4(tt_load_u32x4(p, index));
}
)"},
    {"tt_store_f32x4", R"(TT_FN void tt_store_f32x4(__global u8* p, u32 index, f32x4 v) {
  tt_store_u32x4(p, index, as_uint4(v));
}
)"},
    // Smaller numbers. A 16-bit number of a written binding comes from its word, which is what was stored.
    {"tt_load_u8", R"(TT_FN u32 tt_load_u8(__global const u8* p, u32 index) {
  return p[index];
}
)"},
    {"tt_load_i8", R"(TT_FN i32 tt_load_i8(__global const u8* p, u32 index) {
  return (i32)as_char(p[index]);
}
)"},
    {"tt_load_u8_written", R"(TT_FN u32 tt_load_u8_written(__global const u8* p, u32 index) {
  return p[index];
}
)"},
    {"tt_load_i8_written", R"(TT_FN i32 tt_load_i8_written(__global const u8* p, u32 index) {
  return (i32)as_char(p[index]);
}
)"},
    {"tt_load_u16", R"(TT_FN u32 tt_load_u16(__global const u8* p, u32 index) {
  return *((__global const ushort*)p + index);
}
)"},
    {"tt_load_u16_written", R"(TT_FN u32 tt_load_u16_written(__global const u8* p, u32 index) {
  return tt_load_u32(p, index / 2u) >> (index % 2u * 16u) & 0xffffu;
}
)"},
    {"tt_load_i16", R"(TT_FN i32 tt_load_i16(__global const u8* p, u32 index) {
  return (i32)as_short((ushort)tt_load_u16(p, index));
}
)"},
    {"tt_load_bf16", R"(TT_FN f32 tt_load_bf16(__global const u8* p, u32 index) {
  return as_float(tt_load_u16(p, index) << 16);
}
)"},
    {"tt_load_i16_written", R"(TT_FN i32 tt_load_i16_written(__global const u8* p, u32 index) {
  return (i32)as_short((ushort)tt_load_u16_written(p, index));
}
)"},
    {"tt_load_bf16_written", R"(TT_FN f32 tt_load_bf16_written(__global const u8* p, u32 index) {
  return as_float(tt_load_u16_written(p, index) << 16);
}
)"},
    {"tt_load_f16", R"(TT_FN f32 tt_load_f16(__global const u8* p, u32 index) {
  return vload_half(index, (__global const half*)p);
}
)"},
    {"tt_load_f16_written", R"(TT_FN f32 tt_load_f16_written(__global const u8* p, u32 index) {
  return tt_unpack_f16_lo(tt_load_u16_written(p, index));
}
)"},
    // Atomics: the relaxed ones of OpenCL 1.2, device scope.
    {"tt_atomic_add_u32", R"(TT_FN u32 tt_atomic_add_u32(__global u8* p, u32 index, u32 x) {
  return atomic_add((volatile __global u32*)p + index, x);
}
)"},
    {"tt_atomic_min_u32", R"(TT_FN u32 tt_atomic_min_u32(__global u8* p, u32 index, u32 x) {
  return atomic_min((volatile __global u32*)p + index, x);
}
)"},
    {"tt_atomic_max_u32", R"(TT_FN u32 tt_atomic_max_u32(__global u8* p, u32 index, u32 x) {
  return atomic_max((volatile __global u32*)p + index, x);
}
)"},
    {"tt_atomic_cas_u32", R"(TT_FN u32 tt_atomic_cas_u32(__global u8* p, u32 index, u32 compare, u32 x) {
  return atomic_cmpxchg((volatile __global u32*)p + index, compare, x);
}
)"},
    {"tt_atomic_add_i32", R"(TT_FN i32 tt_atomic_add_i32(__global u8* p, u32 index, i32 x) {
  return atomic_add((volatile __global i32*)p + index, x);
}
)"},
    {"tt_atomic_min_i32", R"(TT_FN i32 tt_atomic_min_i32(__global u8* p, u32 index, i32 x) {
  return atomic_min((volatile __global i32*)p + index, x);
}
)"},
    {"tt_atomic_max_i32", R"(TT_FN i32 tt_atomic_max_i32(__global u8* p, u32 index, i32 x) {
  return atomic_max((volatile __global i32*)p + index, x);
}
)"},
    {"tt_atomic_cas_i32", R"(TT_FN i32 tt_atomic_cas_i32(__global u8* p, u32 index, i32 compare, i32 x) {
  return atomic_cmpxchg((volatile __global i32*)p + index, compare, x);
}
)"},
    // Workgroup memory.
    {"tt_shared_load_u32", R"(TT_FN u32 tt_shared_load_u32(__local const u32* arena, u32 word) {
  return arena[word];
}
)"},
    {"tt_shared_store_u32", R"(TT_FN void tt_shared_store_u32(__local u32* arena, u32 word, u32 v) {
  arena[word] = v;
}
)"},
    {"tt_shared_load_u32x2", R"(TT_FN u32x2 tt_shared_load_u32x2(__local const u32* arena, u32 word) {
  return *(__local const u32x2*)(arena + word);
}
)"},
    {"tt_shared_store_u32x2", R"(TT_FN void tt_shared_store_u32x2(__local u32* arena, u32 word, u32x2 v) {
  *(__local u32x2*)(arena + word) = v;
}
)"},
    {"tt_shared_load_u32x4", R"(TT_FN u32x4 tt_shared_load_u32x4(__local const u32* arena, u32 word) {
  return *(__local const u32x4*)(arena + word);
}
)"},
    {"tt_shared_store_u32x4", R"(TT_FN void tt_shared_store_u32x4(__local u32* arena, u32 word, u32x4 v) {
  *(__local u32x4*)(arena + word) = v;
}
)"},
    {"tt_shared_load_i32", R"(TT_FN i32 tt_shared_load_i32(__local const u32* arena, u32 word) {
  return as_int(tt_shared_load_u32(arena, word));
}
)"},
    {"tt_shared_store_i32", R"(TT_FN void tt_shared_store_i32(__local u32* arena, u32 word, i32 v) {
  tt_shared_store_u32(arena, word, as_uint(v));
}
)"},
    {"tt_shared_load_i32x2", R"(TT_FN i32x2 tt_shared_load_i32x2(__local const u32* arena, u32 word) {
  return as_int2(tt_shared_load_u32x2(arena, word));
}
)"},
    {"tt_shared_store_i32x2", R"(TT_FN void tt_shared_store_i32x2(__local u32* arena, u32 word, i32x2 v) {
  tt_shared_store_u32x2(arena, word, as_uint2(v));
}
)"},
    {"tt_shared_load_i32x4", R"(TT_FN i32x4 tt_shared_load_i32x4(__local const u32* arena, u32 word) {
  return as_int4(tt_shared_load_u32x4(arena, word));
}
)"},
    {"tt_shared_store_i32x4", R"(TT_FN void tt_shared_store_i32x4(__local u32* arena, u32 word, i32x4 v) {
  tt_shared_store_u32x4(arena, word, as_uint4(v));
}
)"},
    {"tt_shared_load_f32", R"(TT_FN f32 tt_shared_load_f32(__local const u32* arena, u32 word) {
  return as_float(tt_shared_load_u32(arena, word));
}
)"},
    {"tt_shared_store_f32", R"(TT_FN void tt_shared_store_f32(__local u32* arena, u32 word, f32 v) {
  tt_shared_store_u32(arena, word, as_uint(v));
}
)"},
    {"tt_shared_load_f32x2", R"(TT_FN f32x2 tt_shared_load_f32x2(__local const u32* arena, u32 word) {
  return as_float2(tt_shared_load_u32x2(arena, word));
}
)"},
    {"tt_shared_store_f32x2", R"(TT_FN void tt_shared_store_f32x2(__local u32* arena, u32 word, f32x2 v) {
  tt_shared_store_u32x2(arena, word, as_uint2(v));
}
)"},
    {"tt_shared_load_f32x4", R"(TT_FN f32x4 tt_shared_load_f32x4(__local const u32* arena, u32 word) {
  return as_float4(tt_shared_load_u32x4(arena, word));
}
)"},
    {"tt_shared_store_f32x4", R"(TT_FN void tt_shared_store_f32x4(__local u32* arena, u32 word, f32x4 v) {
  tt_shared_store_u32x4(arena, word, as_uint4(v));
}
)"},
    {"tt_shared_atomic_add", R"(TT_FN u32 tt_shared_atomic_add(__local u32* arena, u32 word, u32 x) {
  return atomic_add((volatile __local u32*)arena + word, x);
}
)"},
    {"tt_shared_atomic_add_i32", R"(TT_FN i32 tt_shared_atomic_add_i32(__local u32* arena, u32 word, i32 x) {
  return (i32)tt_shared_atomic_add(arena, word, (u32)x);
}
)"},
    // Copies are done at once: nothing to commit, nothing to wait for.
    {"tt_copy_async",
     R"(TT_FN void tt_copy_async(__local u32* arena, u32 word, __global const u8* p, u32 global_word) {
  *(__local uint4*)(arena + word) = *(__global const uint4*)((__global const u32*)p + global_word);
}
)"},
    {"tt_copy_commit", "#define tt_copy_commit()\n"},
    {"tt_copy_wait", "#define tt_copy_wait(groups)\n"},
    // Synchronisation.
    {"tt_barrier", R"(TT_FN void tt_barrier(void) {
  barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
}
)"},
};

}  // namespace

std::string_view opencl_prologue() {
  return R"(typedef uchar u8;
typedef uint u32;
typedef int i32;
typedef float f32;
typedef ulong u64;
#define TT_FN static inline __attribute__((always_inline))
)";
}

std::span<const compiler::CSnippet> opencl_snippets() {
  return kSnippets;
}

}  // namespace tattletale::opencl
