#include "compiler/c_printer.h"

#include <algorithm>

#include "base/check.h"
#include "compiler/c_expression.h"

namespace tattletale::compiler {

using ir::Instruction;
using ir::Op;
using ir::OpKind;
using ir::RegionId;
using ir::Scalar;
using ir::Value;

namespace {

bool is_identifier_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Which instructions are worth printing: effects, and whatever they need, down the regions from the root.
class Liveness {
 public:
  explicit Liveness(const ir::Kernel& kernel) : kernel_(kernel), live_(kernel.instructions.size()) {
    visit(ir::kRootRegion);
  }
  bool operator[](Value value) const { return live_[value.index]; }
  /// Whether something printed reads the value.
  bool is_read(Value value) const { return read_.size() > value.index && read_[value.index]; }

 private:
  void visit(RegionId region) {
    for (Value value : kernel_.regions[region]) {
      const Instruction& instruction = kernel_.at(value);
      const OpKind kind = ir::op_info(instruction.op).kind;
      if (kind != OpKind::pure && kind != OpKind::load) mark(value);
      for (RegionId inner : instruction.regions) {
        if (inner != ir::kNoRegion) visit(inner);
      }
    }
  }
  void mark(Value root) {
    read_.resize(kernel_.instructions.size());
    std::vector<Value> open{root};
    while (!open.empty()) {
      const Value value = open.back();
      open.pop_back();
      if (live_[value.index]) continue;
      live_[value.index] = true;
      const Instruction& instruction = kernel_.at(value);
      for (size_t i = 0; i < instruction.num_operands; ++i) {
        read_[instruction.operands[i].index] = true;
        open.push_back(instruction.operands[i]);
      }
    }
  }

  const ir::Kernel& kernel_;
  std::vector<bool> live_;
  std::vector<bool> read_;
};

class Printer {
 public:
  Printer(const ir::Kernel& kernel, const CDialect& dialect)
      : kernel_(kernel), dialect_(dialect), expressions_(kernel, dialect), live_(kernel) {}

  Result<CSource> print() {
    print_entry();
    if (expressions_.error()) return Error(*expressions_.error());
    CSource body = std::move(out_);
    out_ = {};
    lines(dialect_.prologue());
    for (const std::string& name : expressions_.required()) print_snippet(name);
    print_params_struct();
    out_.text += body.text;
    out_.line_locations.insert(out_.line_locations.end(), body.line_locations.begin(),
                               body.line_locations.end());
    out_.entry_point = c_entry_point(kernel_);
    return std::move(out_);
  }

 private:
  /// One line, indented, followed by its place in the kernel's source when that has changed.
  void line(std::string_view text, uint32_t location = 0) {
    out_.text.append(2 * depth_, ' ');
    out_.text += text;
    if (location != 0 && location != last_location_) {
      const ir::Location& place = kernel_.locations[location];
      out_.text += "  // " + place.file + ":" + std::to_string(place.line);
      last_location_ = location;
    }
    out_.text += '\n';
    // A dialect's signature may take several lines.
    const auto num_lines = static_cast<size_t>(std::ranges::count(text, '\n')) + 1;
    out_.line_locations.insert(out_.line_locations.end(), num_lines, location);
  }
  void lines(std::string_view text) {
    out_.text += text;
    for (char c : text) {
      if (c == '\n') out_.line_locations.push_back(0);
    }
  }

  void print_snippet(std::string_view name) {
    const CSnippet* snippet = dialect_.find(name);
    if (!snippet || !printed_.emplace(name).second) return;
    const std::string_view text = snippet->text;
    for (size_t i = 0; i < text.size();) {
      size_t end = i;
      while (end < text.size() && is_identifier_char(text[end])) ++end;
      if (end > i && text.substr(i, end - i) != name) print_snippet(text.substr(i, end - i));
      i = end + (end == i);
    }
    lines(text);
  }

  void print_params_struct() {
    if (kernel_.params.empty()) return;
    line("typedef struct {");
    for (uint32_t i = 0; i < kernel_.params.size(); ++i) {
      const ir::Type type{kernel_.params[i].scalar};
      line("  " + c_type_name(type) + " " + c_param_name(kernel_, i) + ";");
    }
    line("} tt_params;");
  }

  void print_entry() {
    line(dialect_.signature(kernel_) + " {");
    ++depth_;
    if (const uint32_t words = kernel_.shared_bytes() / 4) line(dialect_.arena(words));
    for (uint32_t i = 0; i < kernel_.locals.size(); ++i) {
      const ir::Type type = kernel_.locals[i].type;
      require_type(type, Value{});
      line(c_type_name(type) + " " + c_local_name(kernel_, i) + ";");
    }
    if (const std::string_view call = dialect_.first_call(); !call.empty()) {
      expressions_.require(call, Value{});
      line(std::string(call) + "();");
    }
    print_region(ir::kRootRegion);
    --depth_;
    line("}");
  }

  void print_region(RegionId region) {
    for (Value value : kernel_.regions[region]) {
      if (live_[value]) print_instruction(value);
    }
  }
  void print_block(RegionId region) {
    ++depth_;
    print_region(region);
    --depth_;
  }

  void print_instruction(Value value) {
    const Instruction& instruction = kernel_.at(value);
    switch (instruction.op) {
      case Op::constant: require_constant(value); return;
      case Op::param: return;
      case Op::if_: print_if(value); return;
      case Op::for_: print_for(value); return;
      case Op::while_: print_while(value); return;
      case Op::yield: line("if (!" + operand(value, 0) + ") break;", instruction.location); return;
      default: break;
    }
    std::string text = expressions_.expression(value) + ";";
    if (live_.is_read(value)) {
      require_type(instruction.type, value);
      text = "const " + c_type_name(instruction.type) + " v" + std::to_string(value.index) + " = " + text;
    }
    line(text, instruction.location);
  }

  void print_if(Value value) {
    const Instruction& instruction = kernel_.at(value);
    line("if (" + operand(value, 0) + ") {", instruction.location);
    if (instruction.regions[0] != ir::kNoRegion) print_block(instruction.regions[0]);
    if (instruction.regions[1] != ir::kNoRegion && !kernel_.regions[instruction.regions[1]].empty()) {
      line("} else {");
      print_block(instruction.regions[1]);
    }
    line("}");
  }
  void print_for(Value value) {
    const Instruction& instruction = kernel_.at(value);
    if (instruction.attr0 != 0) line(dialect_.unroll_hint(instruction.attr0));
    const std::string i = "v" + std::to_string(value.index);
    line("for (u32 " + i + " = " + operand(value, 0) + "; " + i + " < " + operand(value, 1) + "; " + i +
             " += " + operand(value, 2) + ") {",
         instruction.location);
    print_block(instruction.regions[0]);
    line("}");
  }
  void print_while(Value value) {
    const Instruction& instruction = kernel_.at(value);
    line("for (;;) {", instruction.location);
    print_block(instruction.regions[0]);  // ends in yield: if (!condition) break;
    print_block(instruction.regions[1]);
    line("}");
  }

  std::string operand(Value value, size_t index) const {
    return expressions_.operand(kernel_.at(value).operands[index]);
  }
  /// Types that are not in the prologue are snippets.
  void require_type(ir::Type type, Value value) {
    if (type.lanes > 1 || type.scalar == Scalar::fragment) expressions_.require(c_type_name(type), value);
  }
  void require_constant(Value value) {
    if (expressions_.operand(value).starts_with("tt_")) expressions_.require("tt_f32_from_bits", value);
  }

  const ir::Kernel& kernel_;
  const CDialect& dialect_;
  CExpressions expressions_;
  Liveness live_;
  CSource out_;
  std::set<std::string, std::less<>> printed_;
  size_t depth_ = 0;
  uint32_t last_location_ = 0;
};

}  // namespace

std::string c_entry_point(const ir::Kernel& kernel) {
  return "kernel_" + c_identifier(kernel.name);
}

const CSnippet* find_snippet(std::span<const CSnippet> table, std::string_view name) {
  for (const CSnippet& snippet : table) {
    if (snippet.name == name) return &snippet;
  }
  return nullptr;
}

Result<CSource> print_c(const ir::Kernel& kernel, const CDialect& dialect) {
  return Printer(kernel, dialect).print();
}

}  // namespace tattletale::compiler
