// The common part of passes: walks a kernel in program order and builds each region anew while the pass
// keeps, replaces or expands what it meets. Constants are gathered at the kernel's start, one of each.
#pragma once

#include <initializer_list>
#include <unordered_map>
#include <vector>

#include "ir/kernel.h"

namespace tattletale::compiler {

class Rewriter {
 public:
  explicit Rewriter(ir::Kernel& kernel) : kernel_(kernel) {}
  virtual ~Rewriter() = default;
  Rewriter(const Rewriter&) = delete;
  Rewriter& operator=(const Rewriter&) = delete;

  void run();

 protected:
  /// Called for every instruction but constants, in program order; `in` has its operands replaced already. A
  /// pass calls keep(), or replace(), or neither (which drops it) after emitting what stands in its place.
  virtual void visit(ir::Value value, const ir::Instruction& in);
  /// Called before a region is walked, with its instructions as they are.
  virtual void enter(ir::RegionId region, const std::vector<ir::Value>& values);
  virtual void leave(ir::RegionId region);

  /// Leaves the instruction where it is and walks its regions.
  void keep(ir::Value value);
  /// Walks the instruction's regions without placing it.
  void walk_regions(ir::Value value);
  /// Places an instruction whose regions have been walked.
  void place(ir::Value value) { out_->push_back(value); }
  void replace(ir::Value value, ir::Value by);
  /// Walks a region's instructions into the present place; its yield, if any, is dropped.
  void inline_region(ir::RegionId region);

  /// Appends an instruction at the present place, with the line of the one being visited.
  ir::Value emit(ir::Instruction in);
  ir::Value emit(ir::Op op, ir::Type type, std::initializer_list<ir::Value> operands, uint32_t attr0 = 0);
  ir::Value constant(ir::Type type, uint32_t bits);

  ir::Value resolve(ir::Value value) const;

  ir::Kernel& kernel_;

 private:
  void walk(ir::RegionId region);
  void step(ir::Value value);

  std::vector<ir::Value>* out_ = nullptr;
  std::vector<ir::Value> replacement_;  // by instruction; invalid: stays
  std::vector<ir::Value> constants_in_order_;
  std::unordered_map<uint64_t, ir::Value> constants_;
  uint32_t location_ = 0;
};

/// The bits of a constant; false for anything else.
bool is_constant(const ir::Kernel& kernel, ir::Value value, uint32_t* bits);

/// An operation whose result depends on its operands alone and that changes nothing.
bool is_pure(ir::Op op);

/// True where executing it on any operands is harmless, so that it may run where it did not run before.
bool is_speculatable(const ir::Kernel& kernel, const ir::Instruction& in);

}  // namespace tattletale::compiler
