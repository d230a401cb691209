#include "backends/vulkan/spirv_module.h"

#include <bit>
#include <string>

#include "base/check.h"

namespace tattletale::spirv {
namespace {

void append(Words& out, SpvOp op, std::span<const uint32_t> operands) {
  CHECK(operands.size() + 1 < 0x10000);
  out.push_back(static_cast<uint32_t>(operands.size() + 1) << 16 | static_cast<uint32_t>(op));
  out.insert(out.end(), operands.begin(), operands.end());
}
void append(Words& out, SpvOp op, std::initializer_list<uint32_t> operands) {
  append(out, op, std::span(operands.begin(), operands.size()));
}

/// A literal string: bytes in little-endian words, closed by at least one zero byte.
void append_string(Words& words, std::string_view text) {
  const size_t first = words.size();
  words.resize(first + text.size() / 4 + 1, 0);
  for (size_t i = 0; i < text.size(); ++i) {
    words[first + i / 4] |= static_cast<uint32_t>(static_cast<unsigned char>(text[i])) << (i % 4 * 8);
  }
}

Words with(std::initializer_list<uint32_t> first, std::initializer_list<uint32_t> rest) {
  Words words(first);
  words.insert(words.end(), rest.begin(), rest.end());
  return words;
}

}  // namespace

void Module::add_extension(std::string_view name) {
  extensions_.emplace(name);
}

void Module::decorate(Id target, Decoration decoration, std::initializer_list<uint32_t> extra) {
  append(decorations_, SpvOp::decorate, with({target, static_cast<uint32_t>(decoration)}, extra));
}

void Module::decorate_member(Id target, uint32_t member, Decoration decoration,
                             std::initializer_list<uint32_t> extra) {
  append(decorations_, SpvOp::member_decorate,
         with({target, member, static_cast<uint32_t>(decoration)}, extra));
}

void Module::add_name(Id target, std::string_view name) {
  Words words{target};
  append_string(words, name);
  append(names_, SpvOp::name, words);
}

Id Module::unique_type(SpvOp op, std::initializer_list<uint32_t> operands) {
  Id& id = known_[with({static_cast<uint32_t>(op)}, operands)];
  if (id == 0) id = new_type(op, std::span(operands.begin(), operands.size()));
  return id;
}

Id Module::new_type(SpvOp op, std::span<const uint32_t> operands) {
  const Id id = new_id();
  Words words{id};
  words.insert(words.end(), operands.begin(), operands.end());
  append(declarations_, op, words);
  return id;
}

Id Module::unique_constant(Id type, std::initializer_list<uint32_t> value) {
  Words key = with({static_cast<uint32_t>(SpvOp::constant), type}, value);
  Id& id = known_[key];
  if (id == 0) {
    id = new_id();
    append(declarations_, SpvOp::constant, with({type, id}, value));
  }
  return id;
}

Id Module::constant_bool(bool value) {
  const SpvOp op = value ? SpvOp::constant_true : SpvOp::constant_false;
  const Id type = type_bool();
  Id& id = known_[{static_cast<uint32_t>(op)}];
  if (id == 0) {
    id = new_id();
    append(declarations_, op, {type, id});
  }
  return id;
}

Id Module::constant_f32(float value) {
  return unique_constant(type_float(32), {std::bit_cast<uint32_t>(value)});
}

Id Module::constant_u64(uint64_t value) {
  return unique_constant(type_int(64, false),
                         {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)});
}

Id Module::type_matrix(Id component, uint32_t rows, uint32_t columns, uint32_t use) {
  return unique_type(SpvOp::type_cooperative_matrix,
                     {component, constant_u32(kScopeSubgroup), constant_u32(rows), constant_u32(columns),
                      constant_u32(use)});
}

Id Module::new_array(Id element, uint32_t length) {
  const uint32_t operands[] = {element, constant_u32(length)};
  return new_type(SpvOp::type_array, operands);
}

Id Module::global_variable(StorageClass storage, Id pointee) {
  const Id pointer = type_pointer(storage, pointee);
  const Id id = new_id();
  append(declarations_, SpvOp::variable, {pointer, id, static_cast<uint32_t>(storage)});
  interface_.push_back(id);
  return id;
}

Id Module::function_variable(Id pointee) {
  const Id pointer = type_pointer(StorageClass::function, pointee);
  const Id id = new_id();
  append(function_variables_, SpvOp::variable, {pointer, id, static_cast<uint32_t>(StorageClass::function)});
  return id;
}

void Module::body(SpvOp op, std::initializer_list<uint32_t> operands) {
  append(body_, op, operands);
}
void Module::body(SpvOp op, std::span<const uint32_t> operands) {
  append(body_, op, operands);
}

Id Module::value(SpvOp op, Id type, std::initializer_list<uint32_t> operands) {
  const Id id = new_id();
  append(body_, op, with({type, id}, operands));
  return id;
}

void Module::append_head(Words& out, Id main, uint32_t threads) const {
  for (uint32_t capability : capabilities_) append(out, SpvOp::capability, {capability});
  for (const std::string& name : extensions_) {
    Words words;
    append_string(words, name);
    append(out, SpvOp::extension, words);
  }
  if (glsl_ != 0) {
    Words words{glsl_};
    append_string(words, "GLSL.std.450");
    append(out, SpvOp::ext_inst_import, words);
  }
  append(out, SpvOp::memory_model, {kAddressingPhysicalStorageBuffer64, kMemoryModelVulkan});
  Words entry{kExecutionModelCompute, main};
  append_string(entry, "main");
  entry.insert(entry.end(), interface_.begin(), interface_.end());
  append(out, SpvOp::entry_point, entry);
  append(out, SpvOp::execution_mode, {main, kExecutionModeLocalSize, threads, 1, 1});
  for (const Words& mode : execution_modes_) {
    Words words{main};
    words.insert(words.end(), mode.begin(), mode.end());
    append(out, SpvOp::execution_mode, words);
  }
}

Words Module::finish(uint32_t threads) {
  const Id void_type = type_void();
  const Id function_type = type_function(void_type);
  const Id main = new_id();
  const Id entry_label = new_id();
  Words out{kMagic, kVersion16, 0, 0, 0};
  append_head(out, main, threads);
  for (const Words* section : {&names_, &decorations_, &declarations_}) {
    out.insert(out.end(), section->begin(), section->end());
  }
  append(out, SpvOp::function, {void_type, main, 0, function_type});
  append(out, SpvOp::label, {entry_label});
  out.insert(out.end(), function_variables_.begin(), function_variables_.end());
  out.insert(out.end(), body_.begin(), body_.end());
  append(out, SpvOp::return_, {});
  append(out, SpvOp::function_end, {});
  out[3] = next_id_;
  return out;
}

}  // namespace tattletale::spirv
