// The numbers of SPIR-V 1.6 that the writer uses, by hand: the headers of Debian 12 know neither cooperative
// matrices nor bfloat16. Not a full header.
// Source: SPIR-V specification 1.6, SPV_KHR_cooperative_matrix, SPV_KHR_bfloat16, GLSL.std.450.
#pragma once

#include <cstdint>

namespace tattletale::spirv {

inline constexpr uint32_t kMagic = 0x07230203;
inline constexpr uint32_t kVersion16 = 0x00010600;

enum class SpvOp : uint16_t {
  name = 5,
  extension = 10,
  ext_inst_import = 11,
  ext_inst = 12,
  memory_model = 14,
  entry_point = 15,
  execution_mode = 16,
  capability = 17,
  type_void = 19,
  type_bool = 20,
  type_int = 21,
  type_float = 22,
  type_vector = 23,
  type_array = 28,
  type_runtime_array = 29,
  type_struct = 30,
  type_pointer = 32,
  type_function = 33,
  constant_true = 41,
  constant_false = 42,
  constant = 43,
  function = 54,
  function_end = 56,
  variable = 59,
  load = 61,
  store = 62,
  access_chain = 65,
  decorate = 71,
  member_decorate = 72,
  composite_construct = 80,
  composite_extract = 81,
  convert_f_to_u = 109,
  convert_f_to_s = 110,
  convert_s_to_f = 111,
  convert_u_to_f = 112,
  u_convert = 113,
  s_convert = 114,
  f_convert = 115,
  convert_u_to_ptr = 120,
  bitcast = 124,
  s_negate = 126,
  f_negate = 127,
  i_add = 128,
  f_add = 129,
  i_sub = 130,
  f_sub = 131,
  i_mul = 132,
  f_mul = 133,
  u_div = 134,
  s_div = 135,
  f_div = 136,
  u_mod = 137,
  s_rem = 138,
  i_add_carry = 149,
  u_mul_extended = 151,
  logical_equal = 164,
  logical_not_equal = 165,
  logical_or = 166,
  logical_and = 167,
  logical_not = 168,
  select = 169,
  i_equal = 170,
  i_not_equal = 171,
  u_greater_than = 172,
  s_greater_than = 173,
  u_greater_than_equal = 174,
  s_greater_than_equal = 175,
  u_less_than = 176,
  s_less_than = 177,
  u_less_than_equal = 178,
  s_less_than_equal = 179,
  f_ord_equal = 180,
  f_unord_not_equal = 183,
  f_ord_less_than = 184,
  f_ord_greater_than = 186,
  f_ord_less_than_equal = 188,
  f_ord_greater_than_equal = 190,
  shift_right_logical = 194,
  shift_right_arithmetic = 195,
  shift_left_logical = 196,
  bitwise_or = 197,
  bitwise_xor = 198,
  bitwise_and = 199,
  bit_not = 200,
  bit_field_s_extract = 202,
  bit_count = 205,
  control_barrier = 224,
  atomic_compare_exchange = 230,
  atomic_i_add = 234,
  atomic_s_min = 236,
  atomic_u_min = 237,
  atomic_s_max = 238,
  atomic_u_max = 239,
  phi = 245,
  loop_merge = 246,
  selection_merge = 247,
  label = 248,
  branch = 249,
  branch_conditional = 250,
  return_ = 253,
  group_all = 334,
  group_any = 335,
  group_shuffle = 345,
  group_shuffle_xor = 346,
  group_i_add = 349,
  group_f_add = 350,
  group_s_min = 353,
  group_u_min = 354,
  group_f_min = 355,
  group_s_max = 356,
  group_u_max = 357,
  group_f_max = 358,
  s_dot = 4450,
  type_cooperative_matrix = 4456,
  cooperative_matrix_load = 4457,
  cooperative_matrix_store = 4458,
  cooperative_matrix_mul_add = 4459,
};

enum class Glsl : uint32_t {
  f_abs = 4,
  s_abs = 5,
  floor = 8,
  sqrt = 31,
  inverse_sqrt = 32,
  exp2 = 29,
  log2 = 30,
  f_min = 37,
  u_min = 38,
  s_min = 39,
  f_max = 40,
  u_max = 41,
  s_max = 42,
  fma = 50,
  unpack_half_2x16 = 62,
};

enum class Capability : uint32_t {
  shader = 1,
  float16 = 9,
  int64 = 11,
  int16 = 22,
  int8 = 39,
  group_non_uniform = 61,
  group_non_uniform_vote = 62,
  group_non_uniform_arithmetic = 63,
  group_non_uniform_shuffle = 65,
  workgroup_memory_explicit_layout = 4428,
  storage_buffer_16bit = 4433,
  storage_buffer_8bit = 4448,
  rounding_mode_rte = 4467,
  bfloat16_type = 5116,
  bfloat16_cooperative_matrix = 5118,
  vulkan_memory_model = 5345,
  physical_storage_buffer_addresses = 5347,
  dot_product_input_4x8bit_packed = 6018,
  dot_product = 6019,
  cooperative_matrix = 6022,
};

enum class StorageClass : uint32_t {
  input = 1,
  workgroup = 4,
  function = 7,
  push_constant = 9,
  physical_storage_buffer = 5349,
};

enum class Decoration : uint32_t {
  block = 2,
  array_stride = 6,
  built_in = 11,
  aliased = 20,
  non_writable = 24,
  offset = 35,
  no_contraction = 42,
};

enum class BuiltIn : uint32_t { num_workgroups = 24, workgroup_id = 26, local_invocation_index = 29 };

inline constexpr uint32_t kAddressingPhysicalStorageBuffer64 = 5348;
inline constexpr uint32_t kMemoryModelVulkan = 3;
inline constexpr uint32_t kExecutionModelCompute = 5;
inline constexpr uint32_t kExecutionModeLocalSize = 17;
inline constexpr uint32_t kExecutionModeRoundingRte = 4462;
inline constexpr uint32_t kBfloat16Encoding = 0;
inline constexpr uint32_t kPackedVector4x8Bit = 0;
inline constexpr uint32_t kGroupReduce = 0;
inline constexpr uint32_t kLoopPartialCount = 0x100;

// Scopes.
inline constexpr uint32_t kScopeWorkgroup = 2;
inline constexpr uint32_t kScopeSubgroup = 3;
inline constexpr uint32_t kScopeQueueFamily = 5;

// Memory semantics.
inline constexpr uint32_t kSemanticsAcquireRelease = 0x8;
inline constexpr uint32_t kSemanticsUniformMemory = 0x40;
inline constexpr uint32_t kSemanticsWorkgroupMemory = 0x100;
inline constexpr uint32_t kSemanticsMakeAvailable = 0x2000;
inline constexpr uint32_t kSemanticsMakeVisible = 0x4000;

// Memory operands.
inline constexpr uint32_t kAligned = 0x2;
inline constexpr uint32_t kNontemporal = 0x4;
inline constexpr uint32_t kNonPrivate = 0x20;

// Cooperative matrices.
inline constexpr uint32_t kMatrixA = 0;
inline constexpr uint32_t kMatrixB = 1;
inline constexpr uint32_t kMatrixAccumulator = 2;
inline constexpr uint32_t kRowMajor = 0;
inline constexpr uint32_t kColumnMajor = 1;

}  // namespace tattletale::spirv
