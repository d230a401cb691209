// Declarations, and the walk over a kernel's regions.
#include "backends/vulkan/spirv_writer.h"

#include <algorithm>
#include <bit>
#include <string>

#include "backends/vulkan/spirv_kernel_writer.h"
#include "base/check.h"

namespace tattletale::spirv {

using ir::Op;
using ir::OpKind;
using ir::Scalar;

KernelWriter::KernelWriter(const ir::Kernel& kernel, const SpirvFeatures& features)
    : kernel_(kernel), features_(features), values_(kernel.instructions.size(), 0) {
  CHECK(features.int64 || !features.wide_offsets);
  u32_ = module_.type_int(32, false);
  i32_ = module_.type_int(32, true);
  f32_ = module_.type_float(32);
  bool_ = module_.type_bool();
  if (features_.int64) u64_ = module_.type_int(64, false);
  collect(ir::kRootRegion);
}

Result<Words> KernelWriter::write() {
  for (Capability capability :
       {Capability::shader, Capability::vulkan_memory_model, Capability::physical_storage_buffer_addresses}) {
    module_.add_capability(capability);
  }
  if (features_.int64) module_.add_capability(Capability::int64);
  if (features_.f16_round_to_even && uses({Op::pack_f16x2})) {
    module_.add_execution_mode({kExecutionModeRoundingRte, 16});
  }
  declare_push_constants();
  declare_builtins();
  declare_locals();
  declare_shared();
  declare_pointers();
  TT_TRY(write_region(ir::kRootRegion));
  return module_.finish(kernel_.workgroup_threads);
}

bool KernelWriter::uses(std::initializer_list<Op> ops) const {
  return std::ranges::any_of(
      live_, [&](ir::Value value) { return std::ranges::find(ops, kernel_.at(value).op) != ops.end(); });
}

void KernelWriter::collect(ir::RegionId region) {
  if (region == ir::kNoRegion) return;
  for (ir::Value value : kernel_.regions[region]) {
    live_.push_back(value);
    for (ir::RegionId inner : kernel_.at(value).regions) collect(inner);
  }
}

void KernelWriter::declare_builtins() {
  const auto input = [&](Id type, BuiltIn built_in) {
    const Id variable = module_.global_variable(StorageClass::input, type);
    module_.decorate(variable, Decoration::built_in, {static_cast<uint32_t>(built_in)});
    return module_.value(SpvOp::load, type, {variable});
  };
  const Id u32x3 = module_.type_vector(u32_, 3);
  if (uses({Op::workgroup_id})) workgroup_id_ = input(u32x3, BuiltIn::workgroup_id);
  if (uses({Op::num_workgroups})) num_workgroups_ = input(u32x3, BuiltIn::num_workgroups);
  if (uses({Op::local_id, Op::lane_id, Op::subgroup_id, Op::fragment_store, Op::fragment_store_shared,
            Op::atomic_cas})) {
    local_id_ = input(u32_, BuiltIn::local_invocation_index);
  }
}

/// Addresses first, then the parameters, one member each.
void KernelWriter::declare_push_constants() {
  const Id address = features_.int64 ? u64_ : module_.type_vector(u32_, 2);
  std::vector<Id> members(kernel_.bindings.size(), address);
  members.insert(members.end(), kernel_.params.size(), u32_);
  if (members.empty()) return;
  const Id block = module_.new_struct(members);
  module_.decorate(block, Decoration::block);
  uint32_t offset = 0;
  for (uint32_t i = 0; i < members.size(); ++i) {
    module_.decorate_member(block, i, Decoration::offset, {offset});
    offset += i < kernel_.bindings.size() ? 8 : 4;
  }
  push_constants_ = module_.global_variable(StorageClass::push_constant, block);
  module_.add_name(push_constants_, kernel_.name);
  const Id pointer = module_.type_pointer(StorageClass::push_constant, address);
  for (uint32_t i = 0; i < kernel_.bindings.size(); ++i) {
    const Id place = module_.value(SpvOp::access_chain, pointer, {push_constants_, cu(i)});
    addresses_.push_back(module_.value(SpvOp::load, address, {place}));
  }
}

void KernelWriter::declare_locals() {
  for (const ir::Local& local : kernel_.locals) {
    locals_.push_back(module_.function_variable(type_of(local.type)));
  }
}

Result<void> KernelWriter::write_region(ir::RegionId region) {
  if (region == ir::kNoRegion) return {};
  for (ir::Value value : kernel_.regions[region]) TT_TRY(write_instruction(value));
  return {};
}

/// Operations that yield nothing are written here; values go on to write_value.
Result<void> KernelWriter::write_instruction(ir::Value value) {
  current_ = value;
  const ir::Instruction& in = kernel_.at(value);
  switch (in.op) {
    case Op::if_: return write_if(in);
    case Op::for_: return write_for(value, in);
    case Op::while_: return write_while(in);
    case Op::yield: return {};
    case Op::local_set: module_.body(SpvOp::store, {locals_[in.attr0], operand(in, 0)}); return {};
    case Op::store: write_store(in); return {};
    case Op::shared_store: write_shared_store(in); return {};
    case Op::copy_async: write_copy(in); return {};
    case Op::copy_commit:
    case Op::copy_wait: return {};  // the copy was made at once
    case Op::barrier: write_barrier(kScopeWorkgroup); return {};
    case Op::subgroup_barrier: write_barrier(kScopeSubgroup); return {};
    default: break;
  }
  TT_ASSIGN(values_[value.index], write_value(in));
  return {};
}

Result<Id> KernelWriter::write_value(const ir::Instruction& in) {
  if (const auto id = write_arithmetic(in)) return *id;
  if (const auto id = write_bits(in)) return *id;
  if (const auto id = write_comparison(in)) return *id;
  if (const auto id = write_conversion(in)) return *id;
  if (const auto id = write_math(in)) return *id;
  TT_ASSIGN(const auto packed, write_packed(in));
  if (packed) return *packed;
  TT_ASSIGN(const auto fragment, write_fragment(in));
  if (fragment) return *fragment;
  switch (in.op) {
    case Op::constant: {
      if (in.type == ir::kBool) return module_.constant_bool(in.attr0 != 0);
      if (in.type == ir::kI32) return module_.constant_i32(static_cast<int32_t>(in.attr0));
      return in.type == ir::kF32 ? cf(std::bit_cast<float>(in.attr0)) : cu(in.attr0);
    }
    case Op::param: {
      const Id pointer = module_.type_pointer(StorageClass::push_constant, u32_);
      const uint32_t member = static_cast<uint32_t>(kernel_.bindings.size()) + in.attr0;
      const Id place = module_.value(SpvOp::access_chain, pointer, {push_constants_, cu(member)});
      return as(Scalar::u32, in.type.scalar, u(SpvOp::load, {place}));
    }
    case Op::workgroup_id: return u(SpvOp::composite_extract, {workgroup_id_, in.attr0});
    case Op::num_workgroups: return u(SpvOp::composite_extract, {num_workgroups_, in.attr0});
    case Op::local_id: return local_id_;
    case Op::lane_id: return u(SpvOp::u_mod, {local_id_, cu(kernel_.subgroup_size)});
    case Op::subgroup_id: return u(SpvOp::u_div, {local_id_, cu(kernel_.subgroup_size)});
    case Op::make_vector: {
      const Id type = type_of(in.type);
      if (in.num_operands == 2) {
        return module_.value(SpvOp::composite_construct, type, {operand(in, 0), operand(in, 1)});
      }
      return module_.value(SpvOp::composite_construct, type,
                           {operand(in, 0), operand(in, 1), operand(in, 2), operand(in, 3)});
    }
    case Op::extract:
      return module_.value(SpvOp::composite_extract, type_of(in.type), {operand(in, 0), in.attr0});
    case Op::local_get: return module_.value(SpvOp::load, type_of(in.type), {locals_[in.attr0]});
    case Op::offset: return write_offset(in);
    case Op::load: return write_load(in);
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::atomic_cas:
    case Op::shared_atomic_add: return write_atomic(in);
    case Op::shared_load: return write_shared_load(in);
    case Op::subgroup_add:
    case Op::subgroup_max:
    case Op::subgroup_min:
    case Op::shuffle_xor:
    case Op::shuffle:
    case Op::subgroup_any:
    case Op::subgroup_all: return write_subgroup(in);
    default: return unsupported("has no form in SPIR-V");
  }
}

Error KernelWriter::unsupported(std::string_view why) const {
  const std::string place = kernel_.where(current_);
  return make_error(
      ErrorKind::unsupported, "kernel " + kernel_.name + (place.empty() ? "" : ", " + place),
      "operation " + std::string(ir::op_info(kernel_.at(current_).op).name) + " " + std::string(why));
}

Id KernelWriter::operand(const ir::Instruction& in, uint32_t i) const {
  const Id id = values_[in.operands[i].index];
  CHECK(id != 0);
  return id;
}

Id KernelWriter::scalar_type(Scalar scalar) {
  switch (scalar) {
    case Scalar::boolean: return bool_;
    case Scalar::i32: return i32_;
    case Scalar::u32: return u32_;
    case Scalar::f32: return f32_;
    case Scalar::offset: return features_.wide_offsets ? u64_ : u32_;
    case Scalar::none:
    case Scalar::fragment: break;
  }
  CHECK(false);
}

Id KernelWriter::type_of(const ir::Type& type) {
  if (type.scalar == Scalar::fragment) return fragment_type(type);
  const Id scalar = scalar_type(type.scalar);
  return type.lanes == 1 ? scalar : module_.type_vector(scalar, type.lanes);
}

/// The same 32 bits as another type.
Id KernelWriter::as(Scalar from, Scalar to, Id value) {
  return from == to ? value : module_.value(SpvOp::bitcast, scalar_type(to), {value});
}

Id KernelWriter::glsl(Glsl function, Id type, std::initializer_list<Id> args) {
  Words words{type, module_.new_id(), module_.ext_inst_set(), static_cast<uint32_t>(function)};
  words.insert(words.end(), args.begin(), args.end());
  module_.body(SpvOp::ext_inst, words);
  return words[1];
}

}  // namespace tattletale::spirv

namespace tattletale {

SpirvFeatures SpirvFeatures::of(const ir::TargetInfo& target) {
  SpirvFeatures features;
  features.float16 = target.f16x2;
  features.packed_dot = target.dot4_i8;
  features.cooperative_matrix = target.f16_fragments != ir::FragmentTier::none;
  features.bfloat16_matrix = target.bf16_fragments != ir::FragmentTier::none;
  features.explicit_workgroup_layout = features.cooperative_matrix || features.bfloat16_matrix;
  return features;
}

Result<std::vector<uint32_t>> emit_spirv(const ir::Kernel& kernel, const SpirvFeatures& features) {
  return spirv::KernelWriter(kernel, features).write();
}

Result<std::vector<uint32_t>> emit_spirv(const ir::Kernel& kernel, const ir::TargetInfo& target) {
  return emit_spirv(kernel, SpirvFeatures::of(target));
}

}  // namespace tattletale
