#include "backends/webgpu/wgsl_body.h"

#include <cctype>
#include <utility>

namespace tattletale::webgpu {

using ir::Instruction;
using ir::Op;
using ir::Value;

std::string wgsl_type(ir::Type type) {
  std::string scalar;
  switch (type.scalar) {
    case ir::Scalar::boolean: scalar = "bool"; break;
    case ir::Scalar::i32: scalar = "i32"; break;
    case ir::Scalar::f32: scalar = "f32"; break;
    default: scalar = "u32"; break;  // byte offsets are 32 bits wide here: a binding is below 4 GiB
  }
  if (type.lanes == 1) return scalar;
  return "vec" + std::to_string(type.lanes) + "<" + scalar + ">";
}

std::string wgsl_identifier(std::string_view name) {
  std::string out;
  for (char c : name) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return out;
}

std::string wgsl_name(char kind, size_t index, std::string_view name) {
  return kind + std::to_string(index) + "_" + wgsl_identifier(name);
}

WgslBody::WgslBody(const ir::Kernel& kernel, const ir::TargetInfo& target, const WgslDialect& dialect,
                   const MemoryPlan& plan)
    : kernel_(kernel),
      target_(target),
      dialect_(dialect),
      plan_(plan),
      uniformity_(ir::analyse_uniformity(kernel)),
      names_(kernel.instructions.size()) {}

Result<void> WgslBody::write() {
  for (size_t i = 0; i < kernel_.locals.size(); ++i) {
    const ir::Local& local = kernel_.locals[i];
    if (local.type.scalar == ir::Scalar::fragment) continue;  // only fragment operations touch it
    line("var " + wgsl_name('l', i, local.name) + ": " + wgsl_type(local.type) + ";");
  }
  return region(ir::kRootRegion);
}

Result<void> WgslBody::region(ir::RegionId id) {
  const ir::RegionId outer = std::exchange(region_, id);
  for (Value value : kernel_.regions[id]) TT_TRY(instruction(value));
  region_ = outer;
  return {};
}

Result<void> WgslBody::instruction(Value value) {
  const Instruction& in = kernel_.at(value);
  const std::string name = "v" + std::to_string(value.index);
  names_[value.index] = name;
  switch (in.op) {
    case Op::constant: name_constant(value, in); return {};
    case Op::param:
      names_[value.index] = "params." + wgsl_name('p', in.attr0, kernel_.params[in.attr0].name);
      return {};
    case Op::copy_commit:
    case Op::copy_wait:
    case Op::yield: return {};
    default: break;
  }
  note_source(in);
  switch (in.op) {
    case Op::local_set:
      line(wgsl_name('l', in.attr0, kernel_.locals[in.attr0].name) + " = " + operand(in, 0) + ";");
      return {};
    case Op::load: line("let " + name + " = " + load(value, in, false) + ";"); return {};
    case Op::shared_load: line("let " + name + " = " + load(value, in, true) + ";"); return {};
    case Op::store: store(in, false); return {};
    case Op::shared_store: store(in, true); return {};
    case Op::copy_async: copy_async(value, in); return {};
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::atomic_cas: atomic(value, in, false); return {};
    case Op::shared_atomic_add: atomic(value, in, true); return {};
    case Op::barrier: sync(value, in); return {};
    case Op::subgroup_barrier: return subgroup_barrier(value);
    case Op::if_:
    case Op::for_:
    case Op::while_: return structure(value, in);
    default: break;
  }
  TT_ASSIGN(const std::string text, expression(value, in));
  line("let " + name + " = " + text + ";");
  return {};
}

Result<void> WgslBody::structure(Value value, const Instruction& in) {
  const std::string name = names_[value.index];
  if (in.op == Op::if_) {
    line("if (" + operand(in, 0) + ") {");
    ++depth_;
    TT_TRY(region(in.regions[0]));
    --depth_;
    if (in.regions[1] != ir::kNoRegion && !kernel_.regions[in.regions[1]].empty()) {
      line("} else {");
      ++depth_;
      TT_TRY(region(in.regions[1]));
      --depth_;
    }
  } else if (in.op == Op::for_) {
    line("for (var " + name + " = " + operand(in, 0) + "; " + name + " < " + operand(in, 1) + "; " + name +
         " += " + operand(in, 2) + ") {");
    ++depth_;
    TT_TRY(region(in.regions[0]));
    --depth_;
  } else {
    line("loop {");
    ++depth_;
    TT_TRY(region(in.regions[0]));
    const Instruction& end = kernel_.at(kernel_.regions[in.regions[0]].back());
    line("if (!(" + operand(end, 0) + ")) { break; }");
    TT_TRY(region(in.regions[1]));
    --depth_;
  }
  line("}");
  return {};
}

/// storageBarrier orders buffers, and costs a second rendezvous: only for buffers that are read and written.
void WgslBody::sync(Value, const Instruction&) {
  line("workgroupBarrier();");
  for (const MemoryShape& shape : plan_.bindings) {
    if (shape.loaded && shape.stored) {
      line("storageBarrier();");
      return;
    }
  }
}

/// WGSL has no barrier for a subgroup; one for the workgroup does more than is asked, where all get there.
Result<void> WgslBody::subgroup_barrier(Value value) {
  const bool all_here = uniformity_.of_region[region_] <= ir::Uniformity::workgroup;
  if (dialect_.subgroup_barrier && !(all_here && kernel_.subgroup_size == kernel_.workgroup_threads)) {
    needs_.subgroups = true;
    line("subgroupBarrier();");
  } else if (all_here) {
    sync(value, kernel_.at(value));
  } else {
    return unsupported(value, "where the subgroups of a workgroup differ has no form in WGSL");
  }
  return {};
}

void WgslBody::line(std::string_view text) {
  text_.append(2 * depth_, ' ');
  text_ += text;
  text_ += '\n';
}

void WgslBody::note_source(const Instruction& in) {
  if (in.location == source_ || in.location == 0) return;
  source_ = in.location;
  const ir::Location& at = kernel_.locations[in.location];
  line("// " + at.file + ":" + std::to_string(at.line));
}

Error WgslBody::unsupported(Value value, std::string_view why) const {
  const std::string where = kernel_.where(value);
  return make_error(ErrorKind::unsupported, kernel_.name,
                    (where.empty() ? "" : where + ": ") +
                        std::string(ir::op_info(kernel_.at(value).op).name) + " " + std::string(why));
}

std::string WgslBody::fresh(std::string_view stem) {
  return std::string(stem) + std::to_string(next_name_++);
}

std::string WgslBody::named(std::string_view stem, const std::string& text) {
  const std::string name = fresh(stem);
  line("let " + name + " = " + text + ";");
  return name;
}

}  // namespace tattletale::webgpu
