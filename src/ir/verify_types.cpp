#include "ir/verify_types.h"

#include <algorithm>

#include "ir/known_bits.h"
#include "ir/op_attributes.h"

namespace tattletale::ir {
namespace {

using MaybeFault = std::optional<Fault>;

MaybeFault invalid(std::string reason) {
  return Fault{ErrorKind::invalid_argument, std::move(reason)};
}
MaybeFault unsupported(const TargetInfo& target, const std::string& what) {
  return Fault{ErrorKind::unsupported, "target " + target.name + " has no " + what};
}

bool is_number(Type t) {
  return t == kI32 || t == kU32 || t == kF32;
}
bool is_plain(Type t) {
  return is_number(t) || t == kBool;
}
bool is_accumulator(Type t) {
  return t == Type{Scalar::fragment, 1, FragmentUse::accumulator, Storage::f32};
}
bool is_word(Storage s) {
  return s == Storage::f32 || s == Storage::i32 || s == Storage::u32;
}

/// Checks one instruction; a small object so that the rules below read like the table in op.h.
class InstructionCheck {
 public:
  InstructionCheck(const Kernel& kernel, const TargetInfo& target, Value value)
      : kernel_(kernel), target_(target), in_(kernel.at(value)) {}

  MaybeFault run() const {
    if (auto fault = shape()) return fault;
    if (auto fault = attributes()) return fault;
    if (auto fault = types()) return fault;
    return constants();
  }

 private:
  Type operand(uint32_t i) const { return kernel_.at(in_.operands[i]).type; }

  MaybeFault shape() const {
    const OpInfo& info = op_info(in_.op);
    if (in_.num_operands < info.min_operands || in_.num_operands > info.max_operands) {
      return invalid(
          "takes " + std::to_string(info.min_operands) +
          (info.max_operands == info.min_operands ? "" : " to " + std::to_string(info.max_operands)) +
          " operands, has " + std::to_string(in_.num_operands));
    }
    if (in_.strict && !((in_.op == Op::add || in_.op == Op::sub || in_.op == Op::mul) && in_.type == kF32)) {
      return invalid("only f32 add, sub and mul can be strict");
    }
    for (uint32_t i = 0; i < in_.num_operands; ++i) {
      if (operand(i).scalar == Scalar::none) return invalid(ordinal(i) + " yields no value");
    }
    return std::nullopt;
  }

  MaybeFault attributes() const {
    if (auto fault = attribute("attr0", attribute0(in_.op), in_.attr0)) return fault;
    return attribute("attr1", attribute1(in_.op), in_.attr1);
  }

  MaybeFault attribute(const char* which, Attribute kind, uint32_t attr) const {
    const auto below = [&](size_t limit, const char* of) -> MaybeFault {
      if (attr < limit) return std::nullopt;
      return invalid(std::string(of) + " " + std::to_string(attr) + " does not exist, there are " +
                     std::to_string(limit));
    };
    switch (kind) {
      case Attribute::none: return attr == 0 ? std::nullopt : invalid(std::string(which) + " must be 0");
      case Attribute::param: return below(kernel_.params.size(), "parameter");
      case Attribute::axis: return below(3, "axis");
      case Attribute::lane: return below(operand(0).lanes, "vector lane");
      case Attribute::local: return below(kernel_.locals.size(), "local");
      case Attribute::binding: return below(kernel_.bindings.size(), "binding");
      case Attribute::shared: return below(kernel_.shared.size(), "shared array");
      case Attribute::streamed: return below(2, "load mode");
      case Attribute::number: return below(256 / std::max(kernel_.subgroup_size, 1u), "accumulator number");
      case Attribute::bits:
      case Attribute::groups:
      case Attribute::unroll: return std::nullopt;
    }
    return std::nullopt;
  }

  static std::string ordinal(uint32_t i) { return "operand " + std::to_string(i); }

  MaybeFault expect(uint32_t i, Type type) const {
    if (operand(i) == type) return std::nullopt;
    return invalid(ordinal(i) + " is " + type_name(operand(i)) + ", must be " + type_name(type));
  }
  template <class... Types>
  MaybeFault expect_all(Types... types) const {
    uint32_t i = 0;
    MaybeFault fault;
    ((fault = fault ? fault : expect(i++, types)), ...);
    return fault;
  }
  MaybeFault yields(Type type) const {
    if (in_.type == type) return std::nullopt;
    return invalid("yields " + type_name(type) + ", not " + type_name(in_.type));
  }
  MaybeFault one_of(Type type, std::initializer_list<Type> allowed, const char* what) const {
    if (std::find(allowed.begin(), allowed.end(), type) != allowed.end()) return std::nullopt;
    std::string names;
    for (Type t : allowed) names += (names.empty() ? "" : ", ") + type_name(t);
    return invalid(std::string(what) + " is " + type_name(type) + ", must be one of " + names);
  }
  /// All operands and the result of one type out of `allowed`.
  MaybeFault same(std::initializer_list<Type> allowed) const {
    if (auto fault = one_of(in_.type, allowed, "result")) return fault;
    for (uint32_t i = 0; i < in_.num_operands; ++i) {
      if (auto fault = expect(i, in_.type)) return fault;
    }
    return std::nullopt;
  }
  template <class... Types>
  MaybeFault signature(Type result, Types... types) const {
    if (auto fault = yields(result)) return fault;
    return expect_all(types...);
  }

  MaybeFault types() const;
  MaybeFault arithmetic() const;
  MaybeFault comparison() const;
  MaybeFault conversion() const;
  MaybeFault vectors() const;
  MaybeFault memory() const;
  MaybeFault atomics() const;
  MaybeFault subgroups() const;
  MaybeFault fragments() const;
  MaybeFault structure() const;

  MaybeFault element_type(Type type, bool load) const;
  MaybeFault written(const char* verb) const;
  MaybeFault base_at(uint32_t i) const { return in_.num_operands > i ? expect(i, kOffset) : std::nullopt; }
  MaybeFault fragment_type(Type type) const;
  MaybeFault transparent() const;

  MaybeFault constants() const;
  MaybeFault indices() const;
  MaybeFault multiple(uint32_t i, uint32_t modulus, const std::string& what) const;
  MaybeFault inside_shared(uint32_t array, Value index, uint32_t words) const;

  const Kernel& kernel_;
  const TargetInfo& target_;
  const Instruction& in_;
};

MaybeFault InstructionCheck::types() const {
  switch (in_.op) {
    case Op::constant:
      if (auto fault = one_of(in_.type, {kBool, kI32, kU32, kF32}, "result")) return fault;
      return in_.type == kBool && in_.attr0 > 1 ? invalid("a boolean is 0 or 1") : std::nullopt;
    case Op::param: return yields(Type{kernel_.params[in_.attr0].scalar});
    case Op::workgroup_id:
    case Op::num_workgroups:
    case Op::local_id:
    case Op::lane_id:
    case Op::subgroup_id: return yields(kU32);
    case Op::local_get: return yields(kernel_.locals[in_.attr0].type);
    case Op::local_set: return signature(kNone, kernel_.locals[in_.attr0].type);
    case Op::offset: return signature(kOffset, kU32, kU32);
    case Op::make_vector:
    case Op::extract: return vectors();
    case Op::load:
    case Op::store:
    case Op::shared_load:
    case Op::shared_store:
    case Op::copy_async: return memory();
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::atomic_cas:
    case Op::shared_atomic_add: return atomics();
    case Op::copy_commit:
    case Op::copy_wait:
    case Op::barrier: return yields(kNone);
    case Op::if_:
    case Op::for_:
    case Op::while_:
    case Op::yield: return structure();
    default: break;
  }
  if (in_.op >= Op::subgroup_barrier && in_.op <= Op::subgroup_all) return subgroups();
  if (in_.op >= Op::fragment_fill && in_.op <= Op::fragment_from_pairs) return fragments();
  if (in_.op >= Op::eq && in_.op <= Op::select) return comparison();
  if (in_.op >= Op::to_f32 && in_.op <= Op::bitcast) return conversion();
  return arithmetic();
}

MaybeFault InstructionCheck::arithmetic() const {
  switch (in_.op) {
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::min:
    case Op::max: return same({kI32, kU32, kF32});
    case Op::div: return same({kU32, kF32});
    case Op::rem:
    case Op::mul_hi:
    case Op::popcount:
    case Op::funnel_shr: return same({kU32});
    case Op::neg:
    case Op::abs: return same({kI32, kF32});
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::bit_not: return same({kU32, kI32, kBool});
    case Op::shl:
    case Op::shr:
      if (auto fault = one_of(in_.type, {kU32, kI32}, "result")) return fault;
      return expect_all(in_.type, kU32);
    case Op::dot4_i8: return signature(kI32, kU32, kU32, kI32);
    case Op::pack_f16x2:
    case Op::pack_bf16x2: return signature(kU32, kF32, kF32);
    case Op::unpack_f16_lo:
    case Op::unpack_f16_hi: return signature(kF32, kU32);
    case Op::fma_f16x2:
    case Op::add_f16x2:
    case Op::mul_f16x2:
      if (!target_.f16x2) return unsupported(target_, "packed half arithmetic");
      return same({kU32});
    default: return same({kF32});  // fma and the functions of mathematics
  }
}

MaybeFault InstructionCheck::comparison() const {
  if (in_.op == Op::select) {
    if (auto fault = one_of(in_.type, {kBool, kI32, kU32, kF32}, "result")) return fault;
    return expect_all(kBool, in_.type, in_.type);
  }
  if (auto fault = yields(kBool)) return fault;
  const bool equality = in_.op == Op::eq || in_.op == Op::ne;
  if (equality && operand(0) == kBool) return expect(1, kBool);
  if (auto fault = one_of(operand(0), {kI32, kU32, kF32}, "operand 0")) return fault;
  return expect(1, operand(0));
}

MaybeFault InstructionCheck::conversion() const {
  switch (in_.op) {
    case Op::to_f32:
      if (auto fault = one_of(operand(0), {kI32, kU32}, "operand 0")) return fault;
      return yields(kF32);
    case Op::to_i32:
      if (auto fault = one_of(operand(0), {kF32, kU32}, "operand 0")) return fault;
      return yields(kI32);
    case Op::to_u32:
      if (auto fault = one_of(operand(0), {kF32, kI32}, "operand 0")) return fault;
      return yields(kU32);
    default:
      if (auto fault = one_of(operand(0), {kI32, kU32, kF32}, "operand 0")) return fault;
      return one_of(in_.type, {kI32, kU32, kF32}, "result");
  }
}

MaybeFault InstructionCheck::vectors() const {
  if (in_.op == Op::extract) {
    Type vector = operand(0);
    if (vector.lanes < 2) return invalid("operand 0 is " + type_name(vector) + ", must be a vector");
    return yields(Type{vector.scalar});
  }
  if (in_.num_operands == 3) return invalid("vectors have 2 or 4 lanes, not 3");
  if (auto fault = one_of(operand(0), {kI32, kU32, kF32}, "operand 0")) return fault;
  for (uint32_t i = 1; i < in_.num_operands; ++i) {
    if (auto fault = expect(i, operand(0))) return fault;
  }
  return yields(Type{operand(0).scalar, in_.num_operands});
}

/// The type of what a load yields or a store takes.
MaybeFault InstructionCheck::element_type(Type type, bool load) const {
  const std::string storage(storage_name(in_.storage));
  if (!load && !is_word(in_.storage)) return invalid("only f32, i32 and u32 can be stored, not " + storage);
  if (type.lanes != 1 && type.lanes != 2 && type.lanes != 4) {
    return invalid("vectors have 2 or 4 lanes, not " + std::to_string(type.lanes));
  }
  if (type.lanes > 1 && !is_word(in_.storage)) return invalid("vectors of " + storage + " cannot be loaded");
  const Type wanted{loaded_type(in_.storage).scalar, type.lanes};
  if (type == wanted) return std::nullopt;
  return invalid("storage " + storage + " holds " + type_name(wanted) + ", not " + type_name(type));
}

MaybeFault InstructionCheck::written(const char* verb) const {
  const Binding& binding = kernel_.bindings[in_.attr0];
  if (binding.written) return std::nullopt;
  return invalid(std::string(verb) + " binding " + binding.name + ", which is not marked written");
}

MaybeFault InstructionCheck::memory() const {
  if (in_.op == Op::copy_async) {
    if (auto fault = signature(kNone, kU32, kU32)) return fault;
    return base_at(2);
  }
  if (auto fault = expect(0, kU32)) return fault;
  if (in_.op == Op::load || in_.op == Op::shared_load) {
    if (auto fault = element_type(in_.type, true)) return fault;
    if (in_.op == Op::load) return base_at(1);
    return is_word(in_.storage) ? std::nullopt : invalid("shared memory holds words of 32 bits only");
  }
  if (auto fault = yields(kNone)) return fault;
  if (auto fault = element_type(operand(1), false)) return fault;
  if (in_.op == Op::shared_store) return std::nullopt;
  if (auto fault = written("stores to")) return fault;
  return base_at(2);
}

MaybeFault InstructionCheck::atomics() const {
  if (in_.op == Op::shared_atomic_add) return signature(kU32, kU32, kU32);
  if (auto fault = written("changes")) return fault;
  if (in_.op == Op::atomic_cas) {
    if (auto fault = signature(kU32, kU32, kU32, kU32)) return fault;
    return base_at(3);
  }
  if (auto fault = one_of(in_.type, {kU32, kI32}, "result")) return fault;
  if (auto fault = expect_all(kU32, in_.type)) return fault;
  return base_at(2);
}

MaybeFault InstructionCheck::subgroups() const {
  if (kernel_.subgroup_size < 2)
    return invalid("the kernel's subgroup size is 1: there are no subgroup operations");
  switch (in_.op) {
    case Op::subgroup_barrier: return yields(kNone);
    case Op::subgroup_any:
    case Op::subgroup_all: return signature(kBool, kBool);
    case Op::shuffle_xor:
    case Op::shuffle:
      if (auto fault = one_of(in_.type, {kI32, kU32, kF32}, "result")) return fault;
      return expect_all(in_.type, kU32);
    default: return same({kI32, kU32, kF32});
  }
}

MaybeFault InstructionCheck::fragment_type(Type type) const {
  const bool accumulator = type.use == FragmentUse::accumulator;
  const bool half = type.element == Storage::f16 || type.element == Storage::bf16;
  if (type.scalar != Scalar::fragment || type.lanes != 1 ||
      (accumulator ? type.element != Storage::f32 : !half)) {
    return invalid("a fragment is a or b of f16 or bf16, or an f32 accumulator, not " + type_name(type));
  }
  const FragmentTier f16 = target_.f16_fragments;
  const FragmentTier bf16 = target_.bf16_fragments;
  const FragmentTier tier = accumulator ? std::max(f16, bf16) : type.element == Storage::f16 ? f16 : bf16;
  if (tier == FragmentTier::none) {
    return unsupported(
        target_, std::string(accumulator ? "f16 or bf16" : storage_name(type.element)) + " matrix fragments");
  }
  return std::nullopt;
}

MaybeFault InstructionCheck::transparent() const {
  if (std::max(target_.f16_fragments, target_.bf16_fragments) == FragmentTier::transparent)
    return std::nullopt;
  return unsupported(target_, "transparent matrix fragments");
}

MaybeFault InstructionCheck::fragments() const {
  const Type accumulator{Scalar::fragment, 1, FragmentUse::accumulator, Storage::f32};
  if (kernel_.subgroup_size < 2 || kernel_.subgroup_size > 256) {
    return invalid("fragments need a subgroup size of 2 to 256, not " +
                   std::to_string(kernel_.subgroup_size));
  }
  if (in_.type.scalar == Scalar::fragment) {
    if (auto fault = fragment_type(in_.type)) return fault;
  }
  for (uint32_t i = 0; i < in_.num_operands; ++i) {
    if (operand(i).scalar != Scalar::fragment) continue;
    if (auto fault = fragment_type(operand(i))) return fault;
  }
  switch (in_.op) {
    case Op::fragment_fill: return signature(accumulator, kF32);
    case Op::fragment_load:
    case Op::fragment_load_rows:
      if (in_.type.scalar != Scalar::fragment || is_accumulator(in_.type)) {
        return invalid("yields a fragment a or b, not " + type_name(in_.type));
      }
      if (in_.op == Op::fragment_load_rows && in_.type.use != FragmentUse::b) {
        return invalid("only b fragments are loaded by rows; fragment_load reads a by rows");
      }
      return expect_all(kU32, kU32);
    case Op::fragment_mma: {
      if (auto fault = yields(accumulator)) return fault;
      const Type a{Scalar::fragment, 1, FragmentUse::a, operand(0).element};
      const Type b{Scalar::fragment, 1, FragmentUse::b, operand(0).element};
      return expect_all(a, b, accumulator);
    }
    case Op::fragment_store_shared: return signature(kNone, kU32, kU32, accumulator);
    case Op::fragment_store:
      if (auto fault = signature(kNone, kU32, kU32, accumulator)) return fault;
      if (auto fault = written("stores to")) return fault;
      return base_at(3);
    default: break;
  }
  if (auto fault = transparent()) return fault;
  switch (in_.op) {
    case Op::fragment_get: return signature(kF32, accumulator);
    case Op::fragment_set: return signature(accumulator, accumulator, kF32);
    case Op::fragment_row:
    case Op::fragment_column: return yields(kU32);
    default:
      if (kernel_.subgroup_size != 32)
        return invalid("four pairs a lane make a fragment at subgroup size 32 only");
      if (in_.type.scalar != Scalar::fragment || in_.type.use != FragmentUse::a) {
        return invalid("yields a fragment a, not " + type_name(in_.type));
      }
      return expect_all(kU32, kU32, kU32, kU32);
  }
}

MaybeFault InstructionCheck::structure() const {
  switch (in_.op) {
    case Op::for_: return signature(kU32, kU32, kU32, kU32);
    case Op::while_: return yields(kNone);
    default: return signature(kNone, kBool);  // if, yield
  }
}

/// Rules on operands that are known while compiling.
MaybeFault InstructionCheck::constants() const {
  const auto known = [&](uint32_t i) { return constant_of(kernel_, in_.operands[i]); };
  switch (in_.op) {
    case Op::div:
    case Op::rem: return in_.type == kU32 && known(1) == 0u ? invalid("divides by zero") : std::nullopt;
    case Op::shl:
    case Op::shr:
    case Op::funnel_shr: {
      const auto count = known(in_.num_operands - 1u);
      return count && *count > 31 ? invalid("shifts by " + std::to_string(*count) + ", the most is 31")
                                  : std::nullopt;
    }
    case Op::shuffle_xor: {
      const auto mask = known(1);
      if (!mask) return invalid("the mask must be a constant");
      return *mask < kernel_.subgroup_size ? std::nullopt
                                           : invalid("the mask must be below the subgroup size");
    }
    case Op::for_: return known(2) == 0u ? invalid("the step is zero") : std::nullopt;
    default: return indices();
  }
}

MaybeFault InstructionCheck::multiple(uint32_t i, uint32_t modulus, const std::string& what) const {
  const auto residue = residue_of(kernel_, in_.operands[i], modulus);
  if (!residue || *residue == 0) return std::nullopt;
  return invalid(what + " is never a multiple of " + std::to_string(modulus));
}

MaybeFault InstructionCheck::inside_shared(uint32_t array, Value index, uint32_t words) const {
  const auto first = constant_of(kernel_, index);
  const SharedArray& shared = kernel_.shared[array];
  if (!first || uint64_t{*first} + words <= shared.num_words) return std::nullopt;
  return invalid("index " + std::to_string(*first) +
                 (words > 1 ? " and the " + std::to_string(words - 1) + " after it are" : " is") +
                 " outside shared array " + shared.name + " of " + std::to_string(shared.num_words) +
                 " words");
}

MaybeFault InstructionCheck::indices() const {
  switch (in_.op) {
    case Op::load:
    case Op::store:
    case Op::shared_load:
    case Op::shared_store: {
      const bool load = in_.op == Op::load || in_.op == Op::shared_load;
      const uint32_t lanes = load ? in_.type.lanes : operand(1).lanes;
      if (lanes > 1) {
        if (auto fault = multiple(0, lanes, "a vector's index")) return fault;
      }
      const bool shared = in_.op == Op::shared_load || in_.op == Op::shared_store;
      return shared ? inside_shared(in_.attr0, in_.operands[0], lanes) : std::nullopt;
    }
    case Op::shared_atomic_add: return inside_shared(in_.attr0, in_.operands[0], 1);
    case Op::copy_async:
      if (auto fault = multiple(0, 4, "the shared index")) return fault;
      if (auto fault = multiple(1, 4, "the global index")) return fault;
      return inside_shared(in_.attr1, in_.operands[0], 4);
    case Op::fragment_load:
    case Op::fragment_load_rows:  // 16 bytes are 8 elements of two bytes
      if (auto fault = multiple(0, 8, "the index")) return fault;
      return multiple(1, 8, "the stride");
    default: return std::nullopt;
  }
}

}  // namespace

std::string type_name(Type type) {
  std::string name(scalar_name(type.scalar));
  if (type.scalar == Scalar::fragment) {
    constexpr const char* kUses[] = {"a", "b", "accumulator"};
    name += std::string(" ") + kUses[static_cast<size_t>(type.use)] + " " +
            std::string(storage_name(type.element));
  }
  if (type.lanes != 1) name += "x" + std::to_string(type.lanes);
  return name;
}

std::optional<Fault> fault_of_instruction(const Kernel& kernel, const TargetInfo& target, Value value) {
  return InstructionCheck(kernel, target, value).run();
}

}  // namespace tattletale::ir
