// Value numbering over structured regions: an instruction is found again in its region and the regions
// inside. Memory is numbered by versions: whatever may change memory starts a new one, and a load carries the
// version it reads. Unwritten bindings have version 0 for ever.
#include <unordered_map>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/region_effects.h"
#include "compiler/rewriter.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

struct Key {
  Instruction in;  // without location and regions
  uint32_t version = 0;

  bool operator==(const Key& other) const {
    return in.op == other.in.op && in.type == other.in.type && in.storage == other.in.storage &&
           in.strict == other.in.strict && in.num_operands == other.in.num_operands &&
           in.attr0 == other.in.attr0 && in.attr1 == other.in.attr1 && in.operands == other.in.operands &&
           version == other.version;
  }
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    uint64_t hash = static_cast<uint64_t>(key.in.op) << 8 | static_cast<uint64_t>(key.in.storage);
    const auto mix = [&](uint64_t word) {
      hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 29;
    };
    mix(uint64_t{key.in.attr0} << 32 | key.in.attr1);
    mix(key.version);
    for (uint32_t i = 0; i < key.in.num_operands; ++i) mix(key.in.operands[i].index);
    return hash;
  }
};

class ValueNumbering : public Rewriter {
 public:
  explicit ValueNumbering(ir::Kernel& kernel) : Rewriter(kernel), known_(kernel.locals.size()) {}

 private:
  struct Scope {
    size_t log_size;
    uint32_t version;
    std::vector<Value> known;
  };

  void enter(ir::RegionId, const std::vector<Value>&) override {
    scopes_.push_back({log_.size(), version_, known_});
  }
  void leave(ir::RegionId) override {
    for (; log_.size() > scopes_.back().log_size; log_.pop_back()) found_.erase(log_.back());
    version_ = scopes_.back().version;
    known_ = std::move(scopes_.back().known);
    scopes_.pop_back();
  }

  void visit(Value value, const Instruction& in) override {
    if (ir::op_info(in.op).kind == ir::OpKind::structure) return visit_structure(value, in);
    if (in.op == Op::local_get || in.op == Op::local_set) return visit_local(value, in);
    if (changes_memory(in.op)) version_ = ++last_version_;
    const bool is_load = in.op == Op::load || in.op == Op::shared_load;
    // Fragments stay as written: a second name for one could cost registers.
    if ((!is_pure(in.op) && !is_load) || in.type.scalar == ir::Scalar::fragment) return keep(value);
    const bool constant_memory = in.op == Op::load && !kernel_.bindings[in.attr0].written;
    const Key key{in, is_load && !constant_memory ? version_ : 0};
    const auto [entry, added] = found_.try_emplace(key, value);
    if (!added) return replace(value, entry->second);
    log_.push_back(key);
    keep(value);
  }

  void visit_local(Value value, const Instruction& in) {
    if (in.type.scalar == ir::Scalar::fragment ||
        kernel_.locals[in.attr0].type.scalar == ir::Scalar::fragment) {
      return keep(value);
    }
    Value& known = known_[in.attr0];
    if (in.op == Op::local_set) {
      if (known == in.operands[0]) return;  // it holds that already
      known = in.operands[0];
      return keep(value);
    }
    if (known.valid()) return replace(value, known);
    known = value;
    keep(value);
  }

  void visit_structure(Value value, const Instruction& in) {
    const RegionEffects effects = effects_of(kernel_, value);
    // What a loop changes it may have changed in an earlier turn.
    if (in.op != Op::if_) forget(effects);
    keep(value);
    forget(effects);
  }
  void forget(const RegionEffects& effects) {
    for (const uint32_t local : effects.locals) known_[local] = Value{};
    if (effects.memory) version_ = ++last_version_;
  }

  std::unordered_map<Key, Value, KeyHash> found_;
  std::vector<Key> log_;  // what the open regions have added, to be undone
  std::vector<Scope> scopes_;
  std::vector<Value> known_;  // by local: the value it holds here
  uint32_t version_ = 1;
  uint32_t last_version_ = 1;
};

}  // namespace

void cse(ir::Kernel& kernel, const PassContext&) {
  ValueNumbering(kernel).run();
}

}  // namespace tattletale::compiler
