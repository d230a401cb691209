#include <bit>
#include <charconv>
#include <cmath>

#include "ir/op_attributes.h"
#include "ir/text.h"
#include "ir/text_words.h"

namespace tattletale::ir {
namespace {

class Printer {
 public:
  explicit Printer(const Kernel& kernel) : kernel_(kernel) {
    numbers_.assign(kernel.instructions.size(), UINT32_MAX);
    printed_.assign(kernel.regions.size(), false);
  }

  std::string run() {
    out_ = "kernel " + name_text(kernel_.name) + " threads " + std::to_string(kernel_.workgroup_threads) +
           " subgroup " + std::to_string(kernel_.subgroup_size) + " {\n";
    uint32_t i = 0;
    for (const Binding& binding : kernel_.bindings)
      declare("binding b", i++, binding.name, binding.written ? "write" : "read");
    i = 0;
    for (const Param& param : kernel_.params)
      declare("param p", i++, param.name, std::string(scalar_name(param.scalar)));
    i = 0;
    for (const Local& local : kernel_.locals) declare("local l", i++, local.name, type_text(local.type));
    i = 0;
    for (const SharedArray& array : kernel_.shared)
      declare("shared s", i++, array.name, std::to_string(array.num_words));
    region(kRootRegion, 1);
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  void declare(const char* what, uint32_t index, const std::string& name, const std::string& rest) {
    out_ += std::string("  ") + what + std::to_string(index) + " " + name_text(name) + " " + rest + "\n";
  }

  void region(RegionId id, uint32_t depth) {
    if (id >= kernel_.regions.size() || printed_[id]) return;  // unsound, and would never end
    printed_[id] = true;
    for (Value value : kernel_.regions[id]) {
      if (value.index < kernel_.instructions.size()) instruction(value, depth);
    }
  }

  void instruction(Value value, uint32_t depth) {
    const Instruction& in = kernel_.at(value);
    if (static_cast<size_t>(in.op) >= all_ops().size()) return;
    numbers_[value.index] = next_++;
    out_.append(size_t{depth} * 2, ' ');
    if (in.type != kNone) out_ += "%" + std::to_string(numbers_[value.index]) + " = ";
    out_ += op_info(in.op).name;
    if (in.strict) out_ += " strict";
    if (in.type != kNone) out_ += " " + type_text(in.type);
    if (has_storage(in.op)) out_ += " " + std::string(storage_name(in.storage));
    attribute(in, attribute0(in.op), in.attr0);
    attribute(in, attribute1(in.op), in.attr1);
    for (uint32_t i = 0; i < in.num_operands && i < in.operands.size(); ++i) {
      out_ += (i == 0 ? " %" : ", %") + number_of(in.operands[i]);
    }
    if (op_info(in.op).kind != OpKind::structure || in.op == Op::yield) {
      end_line(in);
      return;
    }
    out_ += " {";
    end_line(in);
    region(in.regions[0], depth + 1);
    if (in.op == Op::while_ || (in.op == Op::if_ && in.regions[1] != kNoRegion)) {
      out_.append(size_t{depth} * 2, ' ');
      out_ += in.op == Op::while_ ? "} do {\n" : "} else {\n";
      region(in.regions[1], depth + 1);
    }
    out_.append(size_t{depth} * 2, ' ');
    out_ += "}\n";
  }

  std::string number_of(Value value) const {
    if (value.index < numbers_.size() && numbers_[value.index] != UINT32_MAX) {
      return std::to_string(numbers_[value.index]);
    }
    return "undefined";
  }

  void attribute(const Instruction& in, Attribute kind, uint32_t attr) {
    const auto reference = [&](char prefix, const auto& table) {
      out_ += std::string(" ") + prefix + std::to_string(attr);
      if (attr < table.size() && is_plain_name(table[attr].name)) out_ += "." + table[attr].name;
    };
    switch (kind) {
      case Attribute::none: return;
      case Attribute::bits: out_ += " " + constant_text(in.type, attr); return;
      case Attribute::param: return reference('p', kernel_.params);
      case Attribute::local: return reference('l', kernel_.locals);
      case Attribute::binding: return reference('b', kernel_.bindings);
      case Attribute::shared: return reference('s', kernel_.shared);
      case Attribute::streamed:
        if (attr == 1) out_ += " streamed";
        return;
      case Attribute::unroll:
        if (attr == 0) return;
        [[fallthrough]];
      case Attribute::axis:
      case Attribute::lane:
      case Attribute::groups:
      case Attribute::number: out_ += " @" + std::to_string(attr); return;
    }
  }

  void end_line(const Instruction& in) {
    if (in.location < kernel_.locations.size()) {
      const Location& at = kernel_.locations[in.location];
      if (!at.file.empty() || at.line != 0)
        out_ += " ; " + name_text(at.file) + ":" + std::to_string(at.line);
    }
    out_ += "\n";
  }

  const Kernel& kernel_;
  std::string out_;
  std::vector<uint32_t> numbers_;
  std::vector<bool> printed_;
  uint32_t next_ = 0;
};

}  // namespace

std::string constant_text(Type type, uint32_t bits) {
  if (type == kI32) return std::to_string(static_cast<int32_t>(bits));
  if (type == kU32) return std::to_string(bits);
  if (type == kBool && bits <= 1) return bits == 1 ? "true" : "false";
  const float f = std::bit_cast<float>(bits);
  char text[64];
  if (type == kF32 && std::isfinite(f)) {
    const auto end = std::to_chars(text, text + sizeof text, f);  // the shortest that reads back exactly
    return std::string(text, end.ptr);
  }
  const auto end = std::to_chars(text, text + sizeof text, bits, 16);
  return "0x" + std::string(text, end.ptr);
}

std::string type_text(Type type) {
  std::string text(scalar_name(type.scalar));
  if (type.scalar == Scalar::fragment) {
    text += "." + std::string(kUseNames[static_cast<size_t>(type.use)]) + "." +
            std::string(storage_name(type.element));
  }
  if (type.lanes != 1) text += "x" + std::to_string(type.lanes);
  return text;
}

bool is_plain_name(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '-' || c == '+';
    if (!plain) return false;
  }
  return true;
}

std::string name_text(std::string_view name) {
  if (is_plain_name(name)) return std::string(name);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '"' || c == '\\') {
      text += {'\\', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      text += c;
    }
  }
  return text + "\"";
}

std::string print(const Kernel& kernel) {
  return Printer(kernel).run();
}

}  // namespace tattletale::ir
