// Every operation of the IR, in one table: name, number of operands, what it is. The table drives the
// verifier, the text form, the interpreter and every target, so an operation is added here first.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tattletale::ir {

/// Operands are in brackets. `attr0`, `attr1` and `storage` are fields of the instruction. Unless said
/// otherwise an operation takes scalars of one type and yields that type; T is i32, u32 or f32.
enum class Op : uint8_t {
  // Values
  constant,        // attr0: the 32 bits; any of boolean, i32, u32, f32
  param,           // attr0: word of the parameter block; i32, u32 or f32. Uniform over the grid
  workgroup_id,    // attr0: axis 0..2; u32
  num_workgroups,  // attr0: axis; u32
  local_id,        // u32: thread within its workgroup, 0 .. workgroup_threads - 1
  lane_id,         // u32: thread within its subgroup = local_id % subgroup_size
  subgroup_id,     // u32: local_id / subgroup_size. Uniform over the subgroup
  // Arithmetic. Integers wrap. f32 add, sub, mul may be contracted to fma by a target unless
  // Instruction::strict
  add,
  sub,
  mul,
  div,
  rem,     // u32 (division by zero is undefined) and, div only, f32 (2.5 ulp)
  mul_hi,  // u32: high 32 bits of the product
  min,
  max,  // f32: if one is NaN either may be returned
  neg,
  abs,  // [x] i32, f32
  fma,  // [a, b, c] f32, one rounding
  // Bits: u32 and i32; logical ones take booleans too
  bit_and,
  bit_or,
  bit_xor,
  bit_not,  // [x]
  shl,
  shr,         // [x, u32 count < 32]; shr of i32 keeps the sign
  popcount,    // [u32]
  funnel_shr,  // [hi, lo, u32 count < 32]: low word of (hi:lo) >> count
  dot4_i8,     // [u32 a, u32 b, i32 c] -> i32: c + sum of four signed byte products
  // Comparison -> boolean; T or (eq, ne) boolean
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  select,  // [boolean c, x, y] -> c ? x : y; any scalar
  // Conversion
  to_f32,  // [i32 | u32], rounds to nearest
  to_i32,
  to_u32,   // [f32] truncates, out of range is undefined; [u32 | i32] same bits
  bitcast,  // attr0: none; [T] -> Instruction::type of 32 bits. NaNs and subnormals may lose bits if f32
  // Mathematics, f32: relative error below 2^-20 unless said
  sqrt,
  rsqrt,
  exp2,
  log2,  // exp2: below 2^-20 relative; underflow may flush to zero
  sin,
  cos,  // |x| <= pi: absolute error below 2^-19; larger x unspecified
  floor,
  tanh,
  // Packed halves: two numbers in a word, first in the low half
  pack_f16x2,
  pack_bf16x2,  // [f32 lo, f32 hi] -> u32, round to nearest even, f16 overflow to infinity
  unpack_f16_lo,
  unpack_f16_hi,  // [u32] -> f32
  fma_f16x2,
  add_f16x2,
  mul_f16x2,  // u32 holding halves; only where TargetInfo::f16x2
  // Vectors
  make_vector,  // [2 or 4 scalars]
  extract,      // [vector], attr0: lane
  // Mutable locals
  local_get,  // attr0: local
  local_set,  // [x], attr0: local
  // Global memory: attr0 is the binding. index counts elements of `storage` from `base` (when given), u32
  offset,  // [u32 count, u32 stride_bytes] -> offset: count * stride, in 64 bits where the target can
  load,    // [u32 index, base?] -> loaded_type(storage) x lanes. With lanes > 1 storage is 32 bits wide and
           // index a multiple of lanes. attr1 = 1: streamed once, may bypass caches
  store,   // [u32 index, value, base?]; storage f32, i32 or u32; vectors as in load
  atomic_add,
  atomic_min,
  atomic_max,  // [u32 index, u32 | i32 value, base?] -> old value; relaxed
  atomic_cas,  // [u32 index, u32 compare, u32 value, base?] -> old value
  // Workgroup memory: attr0 is the shared array, words of 32 bits, undefined at start
  shared_load,        // [u32 index]; storage f32, i32 or u32, lanes as in load
  shared_store,       // [u32 index, value]
  shared_atomic_add,  // [u32 index, u32 value] -> old value
  // Copies 16 bytes from global to shared memory, perhaps later: attr0 binding, attr1 shared array
  copy_async,   // [u32 shared index in words (multiple of 4), u32 global index in words (multiple of 4),
                // base?]
  copy_commit,  // closes the thread's group of copies
  copy_wait,  // attr0: this thread's groups but the last attr0 have arrived (others see them after a barrier)
  // Synchronisation, both in workgroup-uniform control flow only: WGSL has no barrier of a subgroup
  barrier,  // workgroup: execution, shared and global memory
  subgroup_barrier,
  // Subgroups, in subgroup-uniform control flow only; subgroup_size > 1
  subgroup_add,
  subgroup_max,
  subgroup_min,  // [T]; the same value in every lane
  shuffle_xor,   // [x, u32 constant mask < subgroup_size]
  shuffle,       // [x, u32 lane]
  subgroup_any,
  subgroup_all,  // [boolean]
  // Fragments, 16x16, in subgroup-uniform control flow, all subgroup_size lanes active
  fragment_fill,  // [f32] -> accumulator
  fragment_load,  // attr0: shared array; [u32 index, u32 stride], both in elements of Type::element.
                  // a: element (r, c) at index + r * stride + c. b: element (k, n) at index + n * stride + k,
                  // i.e. b is stored by columns. index * bytes and stride * bytes are multiples of 16
  fragment_load_rows,     // b stored by rows: element (k, n) at index + k * stride + n; otherwise as above
  fragment_mma,           // [a, b, accumulator] -> accumulator
  fragment_store_shared,  // [u32 index, u32 stride, accumulator], attr0: shared array, f32 words, row-major
  fragment_store,  // [u32 index, u32 stride, accumulator, base?], attr0: binding, f32 elements, row-major
  // Transparent tier only. Accumulators hold 256 / subgroup_size numbers a lane; attr0: which
  fragment_get,  // [fragment] -> f32
  fragment_set,  // [fragment, f32] -> fragment with that number replaced
  fragment_row,
  fragment_column,      // [] -> u32 of number attr0 in this lane; the same for every accumulator
  fragment_from_pairs,  // [u32 p0, p1, p2, p3] -> a: packed pairs of element Type::element, such that packing
                        // numbers (0,1) (2,3) (4,5) (6,7) of an accumulator gives that accumulator as an `a`
  // Structure: regions, not operands, hold the bodies
  if_,     // [boolean]; regions: then, else
  for_,    // [u32 first, u32 end, u32 step > 0]: i = first; while (i < end) { body; i += step }; i must not
           // wrap. regions: body; type u32: the instruction itself is the value of i inside the body. attr0:
           // unroll hint (0: none, n: n copies)
  while_,  // regions: condition (ends in yield), body
  yield,   // [boolean]: ends a condition region
};

enum class OpKind : uint8_t { pure, load, effect, sync, structure };

struct OpInfo {
  Op op;
  std::string_view name;
  uint8_t min_operands;
  uint8_t max_operands;
  OpKind kind;
};

std::span<const OpInfo> all_ops();
const OpInfo& op_info(Op op);

}  // namespace tattletale::ir
