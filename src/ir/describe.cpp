#include "ir/describe.h"

#include "ir/op_attributes.h"

namespace tattletale::ir {
namespace {

template <class Table>
std::string name_in(const Table& table, uint32_t index) {
  return index < table.size() && !table[index].name.empty() ? " of " + table[index].name : "";
}

}  // namespace

std::string describe(const Kernel& kernel, Value value) {
  const Instruction& in = kernel.at(value);
  std::string text(op_info(in.op).name);
  switch (attribute0(in.op)) {
    case Attribute::binding: text += name_in(kernel.bindings, in.attr0); break;
    case Attribute::shared: text += name_in(kernel.shared, in.attr0); break;
    case Attribute::local: text += name_in(kernel.locals, in.attr0); break;
    case Attribute::param: text += name_in(kernel.params, in.attr0); break;
    default: break;
  }
  const std::string where = in.location < kernel.locations.size() ? kernel.where(value) : "";
  return text + (where.empty() ? " (%" + std::to_string(value.index) + ")" : " at " + where);
}

}  // namespace tattletale::ir
