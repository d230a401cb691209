#include "backends/cuda/cuda_snippets.h"

namespace tattletale::cuda {
namespace {

// One table and long for it: what a kernel uses of it is printed above that kernel, so that the text of one
// can be read, and compiled, by itself.
constexpr compiler::CSnippet kSnippets[] = {
    // In a recorded list a kernel may start before the one in front of it has finished, and waits for it
    // here,
    // before it touches memory. Only then may the next one start: so two kernels overlap, never three, and
    // what a
    // kernel starts with in its first-level cache is no older than the kernel before the one it waits for.
    // Launched in any other way neither instruction does anything.
    {"tt_begin", R"(TT_FN void tt_begin(void) {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" : : : "memory");
  asm volatile("griddepcontrol.launch_dependents;" : : : "memory");
#endif
}
)"},
    // Types.
    {"u32x2", "typedef uint2 u32x2;\n"},
    {"tt_make_u32x2", R"(TT_FN u32x2 tt_make_u32x2(u32 x, u32 y) {
  return make_uint2(x, y);
}
)"},
    {"u32x4", "typedef uint4 u32x4;\n"},
    {"tt_make_u32x4", R"(TT_FN u32x4 tt_make_u32x4(u32 x, u32 y, u32 z, u32 w) {
  return make_uint4(x, y, z, w);
}
)"},
    {"i32x2", "typedef int2 i32x2;\n"},
    {"tt_make_i32x2", R"(TT_FN i32x2 tt_make_i32x2(i32 x, i32 y) {
  return make_int2(x, y);
}
)"},
    {"i32x4", "typedef int4 i32x4;\n"},
    {"tt_make_i32x4", R"(TT_FN i32x4 tt_make_i32x4(i32 x, i32 y, i32 z, i32 w) {
  return make_int4(x, y, z, w);
}
)"},
    {"f32x2", "typedef float2 f32x2;\n"},
    {"tt_make_f32x2", R"(TT_FN f32x2 tt_make_f32x2(f32 x, f32 y) {
  return make_float2(x, y);
}
)"},
    {"f32x4", "typedef float4 f32x4;\n"},
    {"tt_make_f32x4", R"(TT_FN f32x4 tt_make_f32x4(f32 x, f32 y, f32 z, f32 w) {
  return make_float4(x, y, z, w);
}
)"},
    // Bits of vectors: memory is always accessed as u32, so that C's aliasing rules have nothing to forbid.
    {"tt_i32x2_from_bits", R"(TT_FN i32x2 tt_i32x2_from_bits(u32x2 v) {
  return tt_make_i32x2((i32)v.x, (i32)v.y);
}
)"},
    {"tt_bits_from_i32x2", R"(TT_FN u32x2 tt_bits_from_i32x2(i32x2 v) {
  return tt_make_u32x2((u32)v.x, (u32)v.y);
}
)"},
    {"tt_i32x4_from_bits", R"(TT_FN i32x4 tt_i32x4_from_bits(u32x4 v) {
  return tt_make_i32x4((i32)v.x, (i32)v.y, (i32)v.z, (i32)v.w);
}
)"},
    {"tt_bits_from_i32x4", R"(TT_FN u32x4 tt_bits_from_i32x4(i32x4 v) {
  return tt_make_u32x4((u32)v.x, (u32)v.y, (u32)v.z, (u32)v.w);
}
)"},
    {"tt_f32x2_from_bits", R"(TT_FN f32x2 tt_f32x2_from_bits(u32x2 v) {
  return tt_make_f32x2(__uint_as_float(v.x), __uint_as_float(v.y));
}
)"},
    {"tt_bits_from_f32x2", R"(TT_FN u32x2 tt_bits_from_f32x2(f32x2 v) {
  return tt_make_u32x2(__float_as_uint(v.x), __float_as_uint(v.y));
}
)"},
    {"tt_f32x4_from_bits", R"(TT_FN f32x4 tt_f32x4_from_bits(u32x4 v) {
  return tt_make_f32x4(__uint_as_float(v.x), __uint_as_float(v.y), __uint_as_float(v.z), __uint_as_float(v.w));
}
)"},
    {"tt_bits_from_f32x4", R"(TT_FN u32x4 tt_bits_from_f32x4(f32x4 v) {
  return tt_make_u32x4(__float_as_uint(v.x), __float_as_uint(v.y), __float_as_uint(v.z), __float_as_uint(v.w));
}
)"},
    {"tt_f32_from_bits", R"(TT_FN f32 tt_f32_from_bits(u32 x) {
  return __uint_as_float(x);
}
)"},
    {"tt_bits_from_f32", R"(TT_FN u32 tt_bits_from_f32(f32 x) {
  return __float_as_uint(x);
}
)"},
    // Ids.
    {"tt_local_id", R"(TT_FN u32 tt_local_id(void) {
  return threadIdx.x;
}
)"},
    {"tt_workgroup_id_0", R"(TT_FN u32 tt_workgroup_id_0(void) {
  return blockIdx.x;
}
)"},
    {"tt_num_workgroups_0", R"(TT_FN u32 tt_num_workgroups_0(void) {
  return gridDim.x;
}
)"},
    {"tt_workgroup_id_1", R"(TT_FN u32 tt_workgroup_id_1(void) {
  return blockIdx.y;
}
)"},
    {"tt_num_workgroups_1", R"(TT_FN u32 tt_num_workgroups_1(void) {
  return gridDim.y;
}
)"},
    {"tt_workgroup_id_2", R"(TT_FN u32 tt_workgroup_id_2(void) {
  return blockIdx.z;
}
)"},
    {"tt_num_workgroups_2", R"(TT_FN u32 tt_num_workgroups_2(void) {
  return gridDim.z;
}
)"},
    // Arithmetic that the compiler knows better than inline PTX. log2f and tanhf: 1 and 2 ulp.
    {"tt_mul_hi", R"(TT_FN u32 tt_mul_hi(u32 a, u32 b) {
  return __umulhi(a, b);
}
)"},
    {"tt_popcount", R"(TT_FN u32 tt_popcount(u32 x) {
  return (u32)__popc(x);
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
  return fminf(a, b);
}
)"},
    {"tt_max_f32", R"(TT_FN f32 tt_max_f32(f32 a, f32 b) {
  return fmaxf(a, b);
}
)"},
    {"tt_fma", R"(TT_FN f32 tt_fma(f32 a, f32 b, f32 c) {
  return __fmaf_rn(a, b, c);
}
)"},
    {"tt_abs", R"(TT_FN f32 tt_abs(f32 x) {
  return fabsf(x);
}
)"},
    {"tt_floor", R"(TT_FN f32 tt_floor(f32 x) {
  return floorf(x);
}
)"},
    {"tt_log2", R"(TT_FN f32 tt_log2(f32 x) {
  return log2f(x);
}
)"},
    {"tt_tanh", R"(TT_FN f32 tt_tanh(f32 x) {
  return tanhf(x);
}
)"},
    // Global memory, read only: through the read-only cache.
    {"tt_load_u32", R"(TT_FN u32 tt_load_u32(const u8* p, u32 index) {
  return __ldg((const u32*)((const u32*)p + index));
}
)"},
    {"tt_load_u32_stream", R"(TT_FN u32 tt_load_u32_stream(const u8* p, u32 index) {
  u32 v;
  asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"((const u32*)p + index));
  return v;
}
)"},
    {"tt_load_u32_written", R"(TT_FN u32 tt_load_u32_written(const u8* p, u32 index) {
  return *(const u32*)((const u32*)p + index);
}
)"},
    {"tt_store_u32", R"(TT_FN void tt_store_u32(u8* p, u32 index, u32 v) {
  *(u32*)((u32*)p + index) = v;
}
)"},
    {"tt_load_i32", R"(TT_FN i32 tt_load_i32(const u8* p, u32 index) {
  return (i32)tt_load_u32(p, index);
}
)"},
    {"tt_load_i32_stream", R"(TT_FN i32 tt_load_i32_stream(const u8* p, u32 index) {
  return (i32)tt_load_u32_stream(p, index);
}
)"},
    {"tt_load_i32_written", R"(TT_FN i32 tt_load_i32_written(const u8* p, u32 index) {
  return (i32)tt_load_u32_written(p, index);
}
)"},
    {"tt_store_i32", R"(TT_FN void tt_store_i32(u8* p, u32 index, i32 v) {
  tt_store_u32(p, index, (u32)v);
}
)"},
    {"tt_load_f32", R"(TT_FN f32 tt_load_f32(const u8* p, u32 index) {
  return __uint_as_float(tt_load_u32(p, index));
}
)"},
    {"tt_load_f32_stream", R"(TT_FN f32 tt_load_f32_stream(const u8* p, u32 index) {
  return __uint_as_float(tt_load_u32_stream(p, index));
}
)"},
    {"tt_load_f32_written", R"(TT_FN f32 tt_load_f32_written(const u8* p, u32 index) {
  return __uint_as_float(tt_load_u32_written(p, index));
}
)"},
    {"tt_store_f32", R"(TT_FN void tt_store_f32(u8* p, u32 index, f32 v) {
  tt_store_u32(p, index, __float_as_uint(v));
}
)"},
    {"tt_load_u32x2", R"(TT_FN u32x2 tt_load_u32x2(const u8* p, u32 index) {
  return __ldg((const u32x2*)((const u32*)p + index));
}
)"},
    {"tt_load_u32x2_stream", R"(TT_FN u32x2 tt_load_u32x2_stream(const u8* p, u32 index) {
  u32x2 v;
  asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"((const u32*)p + index));
  return v;
}
)"},
    {"tt_load_u32x2_written", R"(TT_FN u32x2 tt_load_u32x2_written(const u8* p, u32 index) {
  return *(const u32x2*)((const u32*)p + index);
}
)"},
    {"tt_store_u32x2", R"(TT_FN void tt_store_u32x2(u8* p, u32 index, u32x2 v) {
  *(u32x2*)((u32*)p + index) = v;
}
)"},
    {"tt_load_i32x2", R"(TT_FN i32x2 tt_load_i32x2(const u8* p, u32 index) {
  return tt_i32x2_from_bits(tt_load_u32x2(p, index));
}
)"},
    {"tt_load_i32x2_stream", R"(TT_FN i32x2 tt_load_i32x2_stream(const u8* p, u32 index) {
  return tt_i32x2_from_bits(tt_load_u32x2_stream(p, index));
}
)"},
    {"tt_load_i32x2_written", R"(TT_FN i32x2 tt_load_i32x2_written(const u8* p, u32 index) {
  return tt_i32x2_from_bits(tt_load_u32x2_written(p, index));
}
)"},
    {"tt_store_i32x2", R"(TT_FN void tt_store_i32x2(u8* p, u32 index, i32x2 v) {
  tt_store_u32x2(p, index, tt_bits_from_i32x2(v));
}
)"},
    {"tt_load_f32x2", R"(TT_FN f32x2 tt_load_f32x2(const u8* p, u32 index) {
  return tt_f32x2_from_bits(tt_load_u32x2(p, index));
}
)"},
    {"tt_load_f32x2_stream", R"(TT_FN f32x2 tt_load_f32x2_stream(const u8* p, u32 index) {
  return tt_f32x2_from_bits(tt_load_u32x2_stream(p, index));
}
)"},
    {"tt_load_f32x2_written", R"(TT_FN f32x2 tt_load_f32x2_written(const u8* p, u32 index) {
  return tt_f32x2_from_bits(tt_load_u32x2_written(p, index));
}
)"},
    {"tt_store_f32x2", R"(TT_FN void tt_store_f32x2(u8* p, u32 index, f32x2 v) {
  tt_store_u32x2(p, index, tt_bits_from_f32x2(v));
}
)"},
    {"tt_load_u32x4", R"(TT_FN u32x4 tt_load_u32x4(const u8* p, u32 index) {
  return __ldg((const u32x4*)((const u32*)p + index));
}
)"},
    {"tt_load_u32x4_stream", R"(TT_FN u32x4 tt_load_u32x4_stream(const u8* p, u32 index) {
  u32x4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"((const u32*)p + index));
  return v;
}
)"},
    {"tt_load_u32x4_written", R"(TT_FN u32x4 tt_load_u32x4_written(const u8* p, u32 index) {
  return *(const u32x4*)((const u32*)p + index);
}
)"},
    {"tt_store_u32x4", R"(TT_FN void tt_store_u32x4(u8* p, u32 index, u32x4 v) {
  *(u32x4*)((u32*)p + index) = v;
}
)"},
    {"tt_load_i32x4", R"(TT_FN i32x4 tt_load_i32x4(const u8* p, u32 index) {
  return tt_i32x4_from_bits(tt_load_u32x4(p, index));
}
)"},
    {"tt_load_i32x4_stream", R"(TT_FN i32x4 tt_load_i32x4_stream(const u8* p, u32 index) {
  return tt_i32x4_from_bits(tt_load_u32x4_stream(p, index));
}
)"},
    {"tt_load_i32x4_written", R"(TT_FN i32x4 tt_load_i32x4_written(const u8* p, u32 index) {
  return tt_i32x4_from_bits(tt_load_u32x4_written(p, index));
}
)"},
    {"tt_store_i32x4", R"(TT_FN void tt_store_i32x4(u8* p, u32 index, i32x4 v) {
  tt_store_u32x4(p, index, tt_bits_from_i32x4(v));
}
)"},
    {"tt_load_f32x4", R"(TT_FN f32x4 tt_load_f32x4(const u8* p, u32 index) {
  return tt_f32x4_from_bits(tt_load_u32x4(p, index));
}
)"},
    {"tt_load_f32x4_stream", R"(TT_FN f32x4 tt_load_f32x4_stream(const u8* p, u32 index) {
  return tt_f32x4_from_bits(tt_load_u32x4_stream(p, index));
}
)"},
    {"tt_load_f32x4_written", R"(TT_FN f32x4 tt_load_f32x4_written(const u8* p, u32 index) {
  return tt_f32x4_from_bits(tt_load_u32x4_written(p, index));
}
)"},
    {"tt_store_f32x4", R"(TT_FN void tt_store_f32x4(u8* p, u32 index, f32x4 v) {
  tt_store_u32x4(p, index, tt_bits_from_f32x4(v));
}
)"},
    // Smaller numbers. A 16-bit number of a written binding comes from its word, which is what was stored.
    {"tt_load_u8", R"(TT_FN u32 tt_load_u8(const u8* p, u32 index) {
  return __ldg(p + index);
}
)"},
    {"tt_load_u8_written", R"(TT_FN u32 tt_load_u8_written(const u8* p, u32 index) {
  return p[index];
}
)"},
    {"tt_load_u16", R"(TT_FN u32 tt_load_u16(const u8* p, u32 index) {
  return __ldg((const unsigned short*)p + index);
}
)"},
    {"tt_load_u16_written", R"(TT_FN u32 tt_load_u16_written(const u8* p, u32 index) {
  return *((const u32*)p + index / 2u) >> (index % 2u * 16u) & 0xffffu;
}
)"},
    {"tt_load_i8", R"(TT_FN i32 tt_load_i8(const u8* p, u32 index) {
  return (i32)(signed char)tt_load_u8(p, index);
}
)"},
    {"tt_load_i16", R"(TT_FN i32 tt_load_i16(const u8* p, u32 index) {
  return (i32)(short)tt_load_u16(p, index);
}
)"},
    {"tt_load_bf16", R"(TT_FN f32 tt_load_bf16(const u8* p, u32 index) {
  return __uint_as_float(tt_load_u16(p, index) << 16);
}
)"},
    {"tt_load_f16", R"(TT_FN f32 tt_load_f16(const u8* p, u32 index) {
  return tt_unpack_f16_lo(tt_load_u16(p, index));
}
)"},
    {"tt_load_i8_written", R"(TT_FN i32 tt_load_i8_written(const u8* p, u32 index) {
  return (i32)(signed char)tt_load_u8_written(p, index);
}
)"},
    {"tt_load_i16_written", R"(TT_FN i32 tt_load_i16_written(const u8* p, u32 index) {
  return (i32)(short)tt_load_u16_written(p, index);
}
)"},
    {"tt_load_bf16_written", R"(TT_FN f32 tt_load_bf16_written(const u8* p, u32 index) {
  return __uint_as_float(tt_load_u16_written(p, index) << 16);
}
)"},
    {"tt_load_f16_written", R"(TT_FN f32 tt_load_f16_written(const u8* p, u32 index) {
  return tt_unpack_f16_lo(tt_load_u16_written(p, index));
}
)"},
    // Atomics.
    {"tt_atomic_add_u32", R"(TT_FN u32 tt_atomic_add_u32(u8* p, u32 index, u32 x) {
  return atomicAdd((u32*)p + index, x);
}
)"},
    {"tt_atomic_min_u32", R"(TT_FN u32 tt_atomic_min_u32(u8* p, u32 index, u32 x) {
  return atomicMin((u32*)p + index, x);
}
)"},
    {"tt_atomic_max_u32", R"(TT_FN u32 tt_atomic_max_u32(u8* p, u32 index, u32 x) {
  return atomicMax((u32*)p + index, x);
}
)"},
    {"tt_atomic_add_i32", R"(TT_FN i32 tt_atomic_add_i32(u8* p, u32 index, i32 x) {
  return atomicAdd((i32*)p + index, x);
}
)"},
    {"tt_atomic_min_i32", R"(TT_FN i32 tt_atomic_min_i32(u8* p, u32 index, i32 x) {
  return atomicMin((i32*)p + index, x);
}
)"},
    {"tt_atomic_max_i32", R"(TT_FN i32 tt_atomic_max_i32(u8* p, u32 index, i32 x) {
  return atomicMax((i32*)p + index, x);
}
)"},
    {"tt_atomic_cas_u32", R"(TT_FN u32 tt_atomic_cas_u32(u8* p, u32 index, u32 compare, u32 x) {
  return atomicCAS((u32*)p + index, compare, x);
}
)"},
    {"tt_atomic_cas_i32", R"(TT_FN i32 tt_atomic_cas_i32(u8* p, u32 index, i32 compare, i32 x) {
  return atomicCAS((i32*)p + index, compare, x);
}
)"},
    // Shared memory.
    {"tt_shared_load_u32", R"(TT_FN u32 tt_shared_load_u32(const u32* arena, u32 word) {
  return *(const u32*)(arena + word);
}
)"},
    {"tt_shared_store_u32", R"(TT_FN void tt_shared_store_u32(u32* arena, u32 word, u32 v) {
  *(u32*)(arena + word) = v;
}
)"},
    {"tt_shared_load_i32", R"(TT_FN i32 tt_shared_load_i32(const u32* arena, u32 word) {
  return (i32)tt_shared_load_u32(arena, word);
}
)"},
    {"tt_shared_store_i32", R"(TT_FN void tt_shared_store_i32(u32* arena, u32 word, i32 v) {
  tt_shared_store_u32(arena, word, (u32)v);
}
)"},
    {"tt_shared_load_f32", R"(TT_FN f32 tt_shared_load_f32(const u32* arena, u32 word) {
  return __uint_as_float(tt_shared_load_u32(arena, word));
}
)"},
    {"tt_shared_store_f32", R"(TT_FN void tt_shared_store_f32(u32* arena, u32 word, f32 v) {
  tt_shared_store_u32(arena, word, __float_as_uint(v));
}
)"},
    {"tt_shared_load_u32x2", R"(TT_FN u32x2 tt_shared_load_u32x2(const u32* arena, u32 word) {
  return *(const u32x2*)(arena + word);
}
)"},
    {"tt_shared_store_u32x2", R"(TT_FN void tt_shared_store_u32x2(u32* arena, u32 word, u32x2 v) {
  *(u32x2*)(arena + word) = v;
}
)"},
    {"tt_shared_load_i32x2", R"(TT_FN i32x2 tt_shared_load_i32x2(const u32* arena, u32 word) {
  return tt_i32x2_from_bits(tt_shared_load_u32x2(arena, word));
}
)"},
    {"tt_shared_store_i32x2", R"(TT_FN void tt_shared_store_i32x2(u32* arena, u32 word, i32x2 v) {
  tt_shared_store_u32x2(arena, word, tt_bits_from_i32x2(v));
}
)"},
    {"tt_shared_load_f32x2", R"(TT_FN f32x2 tt_shared_load_f32x2(const u32* arena, u32 word) {
  return tt_f32x2_from_bits(tt_shared_load_u32x2(arena, word));
}
)"},
    {"tt_shared_store_f32x2", R"(TT_FN void tt_shared_store_f32x2(u32* arena, u32 word, f32x2 v) {
  tt_shared_store_u32x2(arena, word, tt_bits_from_f32x2(v));
}
)"},
    {"tt_shared_load_u32x4", R"(TT_FN u32x4 tt_shared_load_u32x4(const u32* arena, u32 word) {
  return *(const u32x4*)(arena + word);
}
)"},
    {"tt_shared_store_u32x4", R"(TT_FN void tt_shared_store_u32x4(u32* arena, u32 word, u32x4 v) {
  *(u32x4*)(arena + word) = v;
}
)"},
    {"tt_shared_load_i32x4", R"(TT_FN i32x4 tt_shared_load_i32x4(const u32* arena, u32 word) {
  return tt_i32x4_from_bits(tt_shared_load_u32x4(arena, word));
}
)"},
    {"tt_shared_store_i32x4", R"(TT_FN void tt_shared_store_i32x4(u32* arena, u32 word, i32x4 v) {
  tt_shared_store_u32x4(arena, word, tt_bits_from_i32x4(v));
}
)"},
    {"tt_shared_load_f32x4", R"(TT_FN f32x4 tt_shared_load_f32x4(const u32* arena, u32 word) {
  return tt_f32x4_from_bits(tt_shared_load_u32x4(arena, word));
}
)"},
    {"tt_shared_store_f32x4", R"(TT_FN void tt_shared_store_f32x4(u32* arena, u32 word, f32x4 v) {
  tt_shared_store_u32x4(arena, word, tt_bits_from_f32x4(v));
}
)"},
    {"tt_shared_atomic_add", R"(TT_FN u32 tt_shared_atomic_add(u32* arena, u32 word, u32 x) {
  return atomicAdd(arena + word, x);
}
)"},
    {"tt_shared_atomic_add_i32", R"(TT_FN i32 tt_shared_atomic_add_i32(u32* arena, u32 word, i32 x) {
  return (i32)atomicAdd(arena + word, (u32)x);
}
)"},
    // Asynchronous copies.
    {"tt_shared_address", R"(TT_FN u32 tt_shared_address(const u32* p) {
  return (u32)__cvta_generic_to_shared(p);
}
)"},
    {"tt_copy_async", R"(TT_FN void tt_copy_async(u32* arena, u32 word, const u8* p, u32 global_word) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;"
               :
               : "r"(tt_shared_address(arena + word)), "l"((const u32*)p + global_word)
               : "memory");
}
)"},
    // Synchronisation.
    {"tt_barrier", R"(TT_FN void tt_barrier(void) {
  __syncthreads();
}
)"},
    {"tt_subgroup_barrier", R"(TT_FN void tt_subgroup_barrier(void) {
  __syncwarp();
}
)"},
    // Fragments in memory.
    {"tt_fragment_load_a",
     R"(TT_FN tt_fragment_a tt_fragment_load_a(const u32* arena, u32 first, u32 index, u32 stride) {
  tt_fragment_a r;
  const u32 lane = tt_lane_id();
  const u32 element = index + lane % 16u * stride + lane / 16u * 8u;  // matrices: (0,0) (8,0) (0,8) (8,8)
  tt_ldmatrix(r.x, tt_shared_address(arena + first) + 2u * element);
  return r;
}
)"},
    {"tt_fragment_load_b",
     R"(TT_FN tt_fragment_b tt_fragment_load_b(const u32* arena, u32 first, u32 index, u32 stride) {
  tt_fragment_b r;
  const u32 lane = tt_lane_id();
  const u32 n = lane % 8u + lane / 16u * 8u;
  const u32 k = lane / 8u % 2u * 8u;
  tt_ldmatrix(r.x, tt_shared_address(arena + first) + 2u * (index + n * stride + k));
  return r;
}
)"},
    {"tt_fragment_load_rows_b",
     R"(TT_FN tt_fragment_b tt_fragment_load_rows_b(const u32* arena, u32 first, u32 index, u32 stride) {
  tt_fragment_b r;
  const u32 lane = tt_lane_id();
  const u32 element = index + lane % 16u * stride + lane / 16u * 8u;  // row k = lane % 16
  tt_ldmatrix_trans(r.x, tt_shared_address(arena + first) + 2u * element);
  return r;
}
)"},
    {"tt_fragment_store_shared",
     R"(TT_FN void tt_fragment_store_shared(u32* arena, u32 word, u32 stride, tt_fragment_accumulator c) {
  const u32 first = word + tt_fragment_row(0u) * stride + tt_fragment_column(0u);
  const u32 below = first + 8u * stride;
  arena[first] = __float_as_uint(c.x[0]);
  arena[first + 1u] = __float_as_uint(c.x[1]);
  arena[below] = __float_as_uint(c.x[2]);
  arena[below + 1u] = __float_as_uint(c.x[3]);
  arena[first + 8u] = __float_as_uint(c.x[4]);
  arena[first + 9u] = __float_as_uint(c.x[5]);
  arena[below + 8u] = __float_as_uint(c.x[6]);
  arena[below + 9u] = __float_as_uint(c.x[7]);
}
)"},
    // Volatile: the compiler would otherwise merge the halves of both branches into single stores.
    {"tt_store_pair", R"(TT_FN void tt_store_pair(u32* p, f32 x, f32 y) {
  asm volatile("st.global.v2.f32 [%0], {%1, %2};" : : "l"(p), "f"(x), "f"(y) : "memory");
}
)"},
    {"tt_fragment_store",
     R"(TT_FN void tt_fragment_store(u8* p, u32 index, u32 stride, tt_fragment_accumulator c) {
  u32* first = (u32*)p + index + tt_fragment_row(0u) * stride + tt_fragment_column(0u);
  u32* below = first + 8u * stride;
  if ((((u64)p + 4u * (index | stride)) & 7u) == 0u) {
    tt_store_pair(first, c.x[0], c.x[1]);
    tt_store_pair(first + 8, c.x[4], c.x[5]);
    tt_store_pair(below, c.x[2], c.x[3]);
    tt_store_pair(below + 8, c.x[6], c.x[7]);
  } else {
    first[0] = __float_as_uint(c.x[0]);
    first[1] = __float_as_uint(c.x[1]);
    first[8] = __float_as_uint(c.x[4]);
    first[9] = __float_as_uint(c.x[5]);
    below[0] = __float_as_uint(c.x[2]);
    below[1] = __float_as_uint(c.x[3]);
    below[8] = __float_as_uint(c.x[6]);
    below[9] = __float_as_uint(c.x[7]);
  }
}
)"},
};

}  // namespace

std::string_view cuda_prologue() {
  return R"(typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;
typedef float f32;
typedef unsigned long long u64;
#define TT_FN static __device__ __forceinline__
)";
}

std::span<const compiler::CSnippet> cuda_snippets() {
  return kSnippets;
}

}  // namespace tattletale::cuda
