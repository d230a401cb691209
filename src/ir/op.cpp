#include "ir/op.h"

#include "base/check.h"
#include "ir/kernel.h"

namespace tattletale::ir {
namespace {

constexpr OpInfo kOps[] = {
    {Op::constant, "constant", 0, 0, OpKind::pure},
    {Op::param, "param", 0, 0, OpKind::pure},
    {Op::workgroup_id, "workgroup_id", 0, 0, OpKind::pure},
    {Op::num_workgroups, "num_workgroups", 0, 0, OpKind::pure},
    {Op::local_id, "local_id", 0, 0, OpKind::pure},
    {Op::lane_id, "lane_id", 0, 0, OpKind::pure},
    {Op::subgroup_id, "subgroup_id", 0, 0, OpKind::pure},
    {Op::add, "add", 2, 2, OpKind::pure},
    {Op::sub, "sub", 2, 2, OpKind::pure},
    {Op::mul, "mul", 2, 2, OpKind::pure},
    {Op::div, "div", 2, 2, OpKind::pure},
    {Op::rem, "rem", 2, 2, OpKind::pure},
    {Op::mul_hi, "mul_hi", 2, 2, OpKind::pure},
    {Op::min, "min", 2, 2, OpKind::pure},
    {Op::max, "max", 2, 2, OpKind::pure},
    {Op::neg, "neg", 1, 1, OpKind::pure},
    {Op::abs, "abs", 1, 1, OpKind::pure},
    {Op::fma, "fma", 3, 3, OpKind::pure},
    {Op::bit_and, "and", 2, 2, OpKind::pure},
    {Op::bit_or, "or", 2, 2, OpKind::pure},
    {Op::bit_xor, "xor", 2, 2, OpKind::pure},
    {Op::bit_not, "not", 1, 1, OpKind::pure},
    {Op::shl, "shl", 2, 2, OpKind::pure},
    {Op::shr, "shr", 2, 2, OpKind::pure},
    {Op::popcount, "popcount", 1, 1, OpKind::pure},
    {Op::funnel_shr, "funnel_shr", 3, 3, OpKind::pure},
    {Op::dot4_i8, "dot4_i8", 3, 3, OpKind::pure},
    {Op::eq, "eq", 2, 2, OpKind::pure},
    {Op::ne, "ne", 2, 2, OpKind::pure},
    {Op::lt, "lt", 2, 2, OpKind::pure},
    {Op::le, "le", 2, 2, OpKind::pure},
    {Op::gt, "gt", 2, 2, OpKind::pure},
    {Op::ge, "ge", 2, 2, OpKind::pure},
    {Op::select, "select", 3, 3, OpKind::pure},
    {Op::to_f32, "to_f32", 1, 1, OpKind::pure},
    {Op::to_i32, "to_i32", 1, 1, OpKind::pure},
    {Op::to_u32, "to_u32", 1, 1, OpKind::pure},
    {Op::bitcast, "bitcast", 1, 1, OpKind::pure},
    {Op::sqrt, "sqrt", 1, 1, OpKind::pure},
    {Op::rsqrt, "rsqrt", 1, 1, OpKind::pure},
    {Op::exp2, "exp2", 1, 1, OpKind::pure},
    {Op::log2, "log2", 1, 1, OpKind::pure},
    {Op::sin, "sin", 1, 1, OpKind::pure},
    {Op::cos, "cos", 1, 1, OpKind::pure},
    {Op::floor, "floor", 1, 1, OpKind::pure},
    {Op::tanh, "tanh", 1, 1, OpKind::pure},
    {Op::pack_f16x2, "pack_f16x2", 2, 2, OpKind::pure},
    {Op::pack_bf16x2, "pack_bf16x2", 2, 2, OpKind::pure},
    {Op::unpack_f16_lo, "unpack_f16_lo", 1, 1, OpKind::pure},
    {Op::unpack_f16_hi, "unpack_f16_hi", 1, 1, OpKind::pure},
    {Op::fma_f16x2, "fma_f16x2", 3, 3, OpKind::pure},
    {Op::add_f16x2, "add_f16x2", 2, 2, OpKind::pure},
    {Op::mul_f16x2, "mul_f16x2", 2, 2, OpKind::pure},
    {Op::make_vector, "make_vector", 2, 4, OpKind::pure},
    {Op::extract, "extract", 1, 1, OpKind::pure},
    {Op::local_get, "local_get", 0, 0, OpKind::load},
    {Op::local_set, "local_set", 1, 1, OpKind::effect},
    {Op::offset, "offset", 2, 2, OpKind::pure},
    {Op::load, "load", 1, 2, OpKind::load},
    {Op::store, "store", 2, 3, OpKind::effect},
    {Op::atomic_add, "atomic_add", 2, 3, OpKind::effect},
    {Op::atomic_min, "atomic_min", 2, 3, OpKind::effect},
    {Op::atomic_max, "atomic_max", 2, 3, OpKind::effect},
    {Op::atomic_cas, "atomic_cas", 3, 4, OpKind::effect},
    {Op::shared_load, "shared_load", 1, 1, OpKind::load},
    {Op::shared_store, "shared_store", 2, 2, OpKind::effect},
    {Op::shared_atomic_add, "shared_atomic_add", 2, 2, OpKind::effect},
    {Op::copy_async, "copy_async", 2, 3, OpKind::effect},
    {Op::copy_commit, "copy_commit", 0, 0, OpKind::effect},
    {Op::copy_wait, "copy_wait", 0, 0, OpKind::effect},
    {Op::barrier, "barrier", 0, 0, OpKind::sync},
    {Op::subgroup_barrier, "subgroup_barrier", 0, 0, OpKind::sync},
    {Op::subgroup_add, "subgroup_add", 1, 1, OpKind::sync},
    {Op::subgroup_max, "subgroup_max", 1, 1, OpKind::sync},
    {Op::subgroup_min, "subgroup_min", 1, 1, OpKind::sync},
    {Op::shuffle_xor, "shuffle_xor", 2, 2, OpKind::sync},
    {Op::shuffle, "shuffle", 2, 2, OpKind::sync},
    {Op::subgroup_any, "subgroup_any", 1, 1, OpKind::sync},
    {Op::subgroup_all, "subgroup_all", 1, 1, OpKind::sync},
    {Op::fragment_fill, "fragment_fill", 1, 1, OpKind::pure},
    {Op::fragment_load, "fragment_load", 2, 2, OpKind::sync},
    {Op::fragment_load_rows, "fragment_load_rows", 2, 2, OpKind::sync},
    {Op::fragment_mma, "fragment_mma", 3, 3, OpKind::sync},
    {Op::fragment_store_shared, "fragment_store_shared", 3, 3, OpKind::sync},
    {Op::fragment_store, "fragment_store", 3, 4, OpKind::sync},
    {Op::fragment_get, "fragment_get", 1, 1, OpKind::pure},
    {Op::fragment_set, "fragment_set", 2, 2, OpKind::pure},
    {Op::fragment_row, "fragment_row", 0, 0, OpKind::pure},
    {Op::fragment_column, "fragment_column", 0, 0, OpKind::pure},
    {Op::fragment_from_pairs, "fragment_from_pairs", 4, 4, OpKind::pure},
    {Op::if_, "if", 1, 1, OpKind::structure},
    {Op::for_, "for", 3, 3, OpKind::structure},
    {Op::while_, "while", 0, 0, OpKind::structure},
    {Op::yield, "yield", 1, 1, OpKind::structure},
};

constexpr bool table_is_in_order() {
  for (size_t i = 0; i < std::size(kOps); ++i) {
    if (static_cast<size_t>(kOps[i].op) != i) return false;
  }
  return std::size(kOps) == static_cast<size_t>(Op::yield) + 1;
}
static_assert(table_is_in_order());

}  // namespace

std::span<const OpInfo> all_ops() {
  return kOps;
}
const OpInfo& op_info(Op op) {
  CHECK(static_cast<size_t>(op) < std::size(kOps));
  return kOps[static_cast<size_t>(op)];
}

std::string_view storage_name(Storage storage) {
  constexpr std::string_view kNames[] = {"f32", "i32", "u32", "f16", "bf16", "u8", "i8", "u16", "i16"};
  return kNames[static_cast<size_t>(storage)];
}
std::string_view scalar_name(Scalar scalar) {
  constexpr std::string_view kNames[] = {"none", "bool", "i32", "u32", "f32", "offset", "fragment"};
  return kNames[static_cast<size_t>(scalar)];
}

std::string Kernel::where(Value value) const {
  const Location& location = locations[at(value).location];
  return location.file.empty() ? "" : location.file + ":" + std::to_string(location.line);
}

}  // namespace tattletale::ir
