#include "compiler/ptx_snippets.h"

namespace tattletale::compiler {
namespace {

// `asm` without volatile: the compiler may move, merge and drop these like any arithmetic. What all lanes of
// a subgroup do together is volatile, so that it stays where they meet.
constexpr CSnippet kSnippets[] = {
    {"tt_lane_id", R"(TT_FN u32 tt_lane_id(void) {
  u32 lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}
)"},
    // Arithmetic. Errors as the ISA gives them: div.full 2 ulp, sqrt.approx 2^-23, rsqrt.approx 2^-22.9,
    // ex2.approx 2^-22 relative; sin, cos.approx 2^-20.5 absolute on [-pi, pi].
    {"tt_div", R"(TT_FN f32 tt_div(f32 a, f32 b) {
  f32 r;
  asm("div.full.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
)"},
    {"tt_add_strict", R"(TT_FN f32 tt_add_strict(f32 a, f32 b) {
  f32 r;
  asm("add.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
)"},
    {"tt_sub_strict", R"(TT_FN f32 tt_sub_strict(f32 a, f32 b) {
  f32 r;
  asm("sub.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
)"},
    {"tt_mul_strict", R"(TT_FN f32 tt_mul_strict(f32 a, f32 b) {
  f32 r;
  asm("mul.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
)"},
    {"tt_sqrt", R"(TT_FN f32 tt_sqrt(f32 x) {
  f32 r;
  asm("sqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
)"},
    {"tt_rsqrt", R"(TT_FN f32 tt_rsqrt(f32 x) {
  f32 r;
  asm("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
)"},
    {"tt_exp2", R"(TT_FN f32 tt_exp2(f32 x) {
  f32 r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
)"},
    {"tt_sin", R"(TT_FN f32 tt_sin(f32 x) {
  f32 r;
  asm("sin.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
)"},
    {"tt_cos", R"(TT_FN f32 tt_cos(f32 x) {
  f32 r;
  asm("cos.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
)"},
    {"tt_funnel_shr", R"(TT_FN u32 tt_funnel_shr(u32 hi, u32 lo, u32 count) {
  u32 r;
  asm("shf.r.wrap.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(lo), "r"(hi), "r"(count));
  return r;
}
)"},
    {"tt_dot4_i8", R"(TT_FN i32 tt_dot4_i8(u32 a, u32 b, i32 c) {
  i32 r;
  asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
)"},
    // Halves. cvt.*x2 puts its first source into the upper half.
    {"tt_pack_f16x2", R"(TT_FN u32 tt_pack_f16x2(f32 lo, f32 hi) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
)"},
    {"tt_pack_bf16x2", R"(TT_FN u32 tt_pack_bf16x2(f32 lo, f32 hi) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
)"},
    {"tt_unpack_f16_lo", R"(TT_FN f32 tt_unpack_f16_lo(u32 x) {
  f32 r;
  asm("{.reg .f16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l;}" : "=f"(r) : "r"(x));
  return r;
}
)"},
    {"tt_unpack_f16_hi", R"(TT_FN f32 tt_unpack_f16_hi(u32 x) {
  f32 r;
  asm("{.reg .f16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h;}" : "=f"(r) : "r"(x));
  return r;
}
)"},
    {"tt_fma_f16x2", R"(TT_FN u32 tt_fma_f16x2(u32 a, u32 b, u32 c) {
  u32 r;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
)"},
    {"tt_add_f16x2", R"(TT_FN u32 tt_add_f16x2(u32 a, u32 b) {
  u32 r;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
)"},
    {"tt_mul_f16x2", R"(TT_FN u32 tt_mul_f16x2(u32 a, u32 b) {
  u32 r;
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
)"},
    // Subgroups: shuffles.
    {"tt_shuffle_xor_u32", R"(TT_FN u32 tt_shuffle_xor_u32(u32 x, u32 mask) {
  u32 r;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(r) : "r"(x), "r"(mask));
  return r;
}
)"},
    {"tt_shuffle_xor_i32", R"(TT_FN i32 tt_shuffle_xor_i32(i32 x, u32 mask) {
  return (i32)tt_shuffle_xor_u32((u32)x, mask);
}
)"},
    {"tt_shuffle_xor_f32", R"(TT_FN f32 tt_shuffle_xor_f32(f32 x, u32 mask) {
  f32 r;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=f"(r) : "f"(x), "r"(mask));
  return r;
}
)"},
    {"tt_shuffle_xor_bool", R"(TT_FN bool tt_shuffle_xor_bool(bool x, u32 mask) {
  return tt_shuffle_xor_u32(x ? 1u : 0u, mask) != 0u;
}
)"},
    {"tt_shuffle_u32", R"(TT_FN u32 tt_shuffle_u32(u32 x, u32 lane) {
  u32 r;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(r) : "r"(x), "r"(lane));
  return r;
}
)"},
    {"tt_shuffle_i32", R"(TT_FN i32 tt_shuffle_i32(i32 x, u32 lane) {
  return (i32)tt_shuffle_u32((u32)x, lane);
}
)"},
    {"tt_shuffle_f32", R"(TT_FN f32 tt_shuffle_f32(f32 x, u32 lane) {
  f32 r;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, 31, 0xffffffff;" : "=f"(r) : "f"(x), "r"(lane));
  return r;
}
)"},
    {"tt_shuffle_bool", R"(TT_FN bool tt_shuffle_bool(bool x, u32 lane) {
  return tt_shuffle_u32(x ? 1u : 0u, lane) != 0u;
}
)"},
    // Subgroups: reductions. Integers have an instruction; a butterfly adds f32 in one order for every lane.
    {"tt_subgroup_add_u32", R"(TT_FN u32 tt_subgroup_add_u32(u32 x) {
  u32 r;
  asm volatile("redux.sync.add.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(x));
  return r;
}
)"},
    {"tt_subgroup_add_i32", R"(TT_FN i32 tt_subgroup_add_i32(i32 x) {
  return (i32)tt_subgroup_add_u32((u32)x);
}
)"},
    {"tt_subgroup_add_f32", R"(TT_FN f32 tt_subgroup_add_f32(f32 x) {
#pragma unroll
  for (u32 mask = 16u; mask > 0u; mask >>= 1) x += tt_shuffle_xor_f32(x, mask);
  return x;
}
)"},
    {"tt_subgroup_max_u32", R"(TT_FN u32 tt_subgroup_max_u32(u32 x) {
  u32 r;
  asm volatile("redux.sync.max.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(x));
  return r;
}
)"},
    {"tt_subgroup_max_i32", R"(TT_FN i32 tt_subgroup_max_i32(i32 x) {
  i32 r;
  asm volatile("redux.sync.max.s32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(x));
  return r;
}
)"},
    {"tt_subgroup_max_f32", R"(TT_FN f32 tt_subgroup_max_f32(f32 x) {
#pragma unroll
  for (u32 mask = 16u; mask > 0u; mask >>= 1) x = tt_max_f32(x, tt_shuffle_xor_f32(x, mask));
  return x;
}
)"},
    {"tt_subgroup_min_u32", R"(TT_FN u32 tt_subgroup_min_u32(u32 x) {
  u32 r;
  asm volatile("redux.sync.min.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(x));
  return r;
}
)"},
    {"tt_subgroup_min_i32", R"(TT_FN i32 tt_subgroup_min_i32(i32 x) {
  i32 r;
  asm volatile("redux.sync.min.s32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(x));
  return r;
}
)"},
    {"tt_subgroup_min_f32", R"(TT_FN f32 tt_subgroup_min_f32(f32 x) {
#pragma unroll
  for (u32 mask = 16u; mask > 0u; mask >>= 1) x = tt_min_f32(x, tt_shuffle_xor_f32(x, mask));
  return x;
}
)"},
    {"tt_max_f32", R"(TT_FN f32 tt_max_f32(f32 a, f32 b) {
  f32 r;
  asm("max.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
)"},
    {"tt_min_f32", R"(TT_FN f32 tt_min_f32(f32 a, f32 b) {
  f32 r;
  asm("min.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
)"},
    {"tt_subgroup_any", R"(TT_FN bool tt_subgroup_any(bool x) {
  u32 r;
  asm volatile("{.reg .pred p, q; setp.ne.u32 p, %1, 0; vote.sync.any.pred q, p, 0xffffffff; selp.u32 %0, 1, 0, q;}"
               : "=r"(r) : "r"(x ? 1u : 0u));
  return r != 0u;
}
)"},
    {"tt_subgroup_all", R"(TT_FN bool tt_subgroup_all(bool x) {
  u32 r;
  asm volatile("{.reg .pred p, q; setp.ne.u32 p, %1, 0; vote.sync.all.pred q, p, 0xffffffff; selp.u32 %0, 1, 0, q;}"
               : "=r"(r) : "r"(x ? 1u : 0u));
  return r != 0u;
}
)"},
    // Fragments.
    {"tt_fragment_a", "typedef struct { u32 x[4]; } tt_fragment_a;\n"},
    {"tt_fragment_b", "typedef struct { u32 x[4]; } tt_fragment_b;\n"},
    {"tt_fragment_accumulator", "typedef struct { f32 x[8]; } tt_fragment_accumulator;\n"},
    {"tt_fragment_fill", R"(TT_FN tt_fragment_accumulator tt_fragment_fill(f32 x) {
  tt_fragment_accumulator r;
  r.x[0] = x; r.x[1] = x; r.x[2] = x; r.x[3] = x; r.x[4] = x; r.x[5] = x; r.x[6] = x; r.x[7] = x;
  return r;
}
)"},
    {"tt_fragment_mma_f16",
     R"(TT_FN tt_fragment_accumulator tt_fragment_mma_f16(tt_fragment_a a, tt_fragment_b b, tt_fragment_accumulator c) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[4]), "+f"(c.x[5]), "+f"(c.x[6]), "+f"(c.x[7])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[2]), "r"(b.x[3]));
  return c;
}
)"},
    {"tt_fragment_mma_bf16",
     R"(TT_FN tt_fragment_accumulator tt_fragment_mma_bf16(tt_fragment_a a, tt_fragment_b b, tt_fragment_accumulator c) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[4]), "+f"(c.x[5]), "+f"(c.x[6]), "+f"(c.x[7])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[2]), "r"(b.x[3]));
  return c;
}
)"},
    {"tt_fragment_get", R"(TT_FN f32 tt_fragment_get(tt_fragment_accumulator c, u32 number) {
  return c.x[number];
}
)"},
    {"tt_fragment_set",
     R"(TT_FN tt_fragment_accumulator tt_fragment_set(tt_fragment_accumulator c, u32 number, f32 x) {
  c.x[number] = x;
  return c;
}
)"},
    {"tt_fragment_row", R"(TT_FN u32 tt_fragment_row(u32 number) {
  return tt_lane_id() / 4u + (number & 2u) * 4u;
}
)"},
    {"tt_fragment_column", R"(TT_FN u32 tt_fragment_column(u32 number) {
  return tt_lane_id() % 4u * 2u + (number & 4u) * 2u + (number & 1u);
}
)"},
    {"tt_fragment_from_pairs", R"(TT_FN tt_fragment_a tt_fragment_from_pairs(u32 p0, u32 p1, u32 p2, u32 p3) {
  tt_fragment_a r;
  r.x[0] = p0; r.x[1] = p1; r.x[2] = p2; r.x[3] = p3;
  return r;
}
)"},
    // Asynchronous copies, and fragments from workgroup memory by its own address. Lane l of ldmatrix.x4
    // gives the address of row l % 8 of 8x8 matrix l / 8.
    {"tt_copy_commit", R"(TT_FN void tt_copy_commit(void) {
  asm volatile("cp.async.commit_group;" : : : "memory");
}
)"},
    {"tt_copy_wait",
     R"(#define tt_copy_wait(groups) asm volatile("cp.async.wait_group " #groups ";" : : : "memory")
)"},
    {"tt_ldmatrix", R"(TT_FN void tt_ldmatrix(u32* x, u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(address)
               : "memory");
}
)"},
    {"tt_ldmatrix_trans", R"(TT_FN void tt_ldmatrix_trans(u32* x, u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(address)
               : "memory");
}
)"},
};

}  // namespace

std::span<const CSnippet> ptx_snippets() {
  return kSnippets;
}

}  // namespace tattletale::compiler
