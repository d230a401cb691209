#include "ir/builder.h"

#include "base/check.h"

namespace tattletale::ir {

Builder::Builder(std::string name, uint32_t workgroup_threads, uint32_t subgroup_size) {
  kernel_.name = std::move(name);
  kernel_.workgroup_threads = workgroup_threads;
  kernel_.subgroup_size = subgroup_size;
}

uint32_t Builder::location(std::source_location at) {
  const std::string_view path = at.file_name();
  const std::string_view file = path.substr(path.find_last_of('/') + 1);
  const uint64_t key = std::hash<std::string_view>{}(file) * 1000003u + at.line();
  const auto [place, added] = locations_.try_emplace(key, static_cast<uint32_t>(kernel_.locations.size()));
  if (added) kernel_.locations.push_back({std::string(file), at.line()});
  return place->second;
}

Value Builder::append(const Instruction& instruction, RegionId region) {
  const Value value{static_cast<uint32_t>(kernel_.instructions.size())};
  kernel_.instructions.push_back(instruction);
  kernel_.regions[region].push_back(value);
  return value;
}

Value Builder::emit(const Instruction& instruction, std::source_location at) {
  Instruction copy = instruction;
  copy.location = location(at);
  return append(copy, open_.back());
}

Value Builder::emit(Op op, Type type, std::initializer_list<Value> operands, std::source_location at,
                    uint32_t attr0, uint32_t attr1) {
  Instruction instruction;
  instruction.op = op;
  instruction.type = type;
  instruction.attr0 = attr0;
  instruction.attr1 = attr1;
  for (const Value operand : operands) {
    if (operand.valid()) instruction.operands[instruction.num_operands++] = operand;
  }
  return emit(instruction, at);
}

Value Builder::constant(Type type, uint32_t bits) {
  const uint64_t key = uint64_t{static_cast<uint8_t>(type.scalar)} << 32 | bits;
  const auto [place, added] = constants_.try_emplace(key);
  if (added) {
    Instruction instruction;
    instruction.op = Op::constant;
    instruction.type = type;
    instruction.attr0 = bits;
    place->second = Value{static_cast<uint32_t>(kernel_.instructions.size())};
    kernel_.instructions.push_back(instruction);
    prologue_.push_back(place->second);
  }
  return place->second;
}

uint32_t Builder::add_binding(std::string_view name, bool written) {
  kernel_.bindings.push_back({std::string(name), written});
  return static_cast<uint32_t>(kernel_.bindings.size() - 1);
}
uint32_t Builder::add_local(std::string_view name, Type type) {
  kernel_.locals.push_back({std::string(name), type});
  return static_cast<uint32_t>(kernel_.locals.size() - 1);
}
uint32_t Builder::add_shared(std::string_view name, uint32_t num_words) {
  kernel_.shared.push_back({std::string(name), num_words});
  return static_cast<uint32_t>(kernel_.shared.size() - 1);
}

Value Builder::param(std::string_view name, Scalar scalar, uint32_t index) {
  const auto [place, added] = params_.try_emplace(index);
  if (added) {
    // Words nobody asked for still take their place in the block.
    if (kernel_.params.size() <= index) kernel_.params.resize(index + 1);
    kernel_.params[index] = {std::string(name), scalar};
    Instruction instruction;
    instruction.op = Op::param;
    instruction.type = Type{scalar};
    instruction.attr0 = index;
    place->second = Value{static_cast<uint32_t>(kernel_.instructions.size())};
    kernel_.instructions.push_back(instruction);
    prologue_.push_back(place->second);
  }
  CHECK(kernel_.at(place->second).type.scalar == scalar);
  return place->second;
}

void Builder::open_region(Value structured, uint32_t which) {
  RegionId& region = kernel_.instructions[structured.index].regions[which];
  CHECK(region == kNoRegion);
  region = static_cast<RegionId>(kernel_.regions.size());
  kernel_.regions.emplace_back();
  open_.push_back(region);
}

void Builder::close_region() {
  CHECK(open_.size() > 1);
  open_.pop_back();
}

Value Builder::last() const {
  const std::vector<Value>& region = kernel_.regions[open_.back()];
  return region.empty() ? Value{} : region.back();
}

Kernel Builder::finish() {
  CHECK(open_.size() == 1);
  for (size_t i = 0; i < kernel_.params.size(); ++i) {
    if (kernel_.params[i].name.empty()) kernel_.params[i].name = "unused_" + std::to_string(i);
  }
  std::vector<Value>& root = kernel_.regions[kRootRegion];
  root.insert(root.begin(), prologue_.begin(), prologue_.end());
  prologue_.clear();
  return std::move(kernel_);
}

}  // namespace tattletale::ir
