// Loops that ask for it become copies of their body: all of them where the trip count is constant and no
// larger than the hint, else a loop over groups of copies and a loop for the rest. Inner loops go first, so
// that an outer loop counts what its body has become.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/region_effects.h"
#include "compiler/rewriter.h"

namespace tattletale::compiler {
namespace {

using ir::Instruction;
using ir::Op;
using ir::Value;

class Unroller : public Rewriter {
 public:
  Unroller(ir::Kernel& kernel, const PipelineOptions& options)
      : Rewriter(kernel), options_(options), kernel_size_(region_size(kernel, ir::kRootRegion)) {}

 private:
  void visit(Value value, const Instruction& in) override {
    walk_regions(value);
    if (in.op != Op::for_) return place(value);
    kernel_.instructions[value.index].attr0 = 0;  // answered here, by no target again
    uint32_t first = 0, end = 0, step = 0;
    if (!is_constant(kernel_, in.operands[2], &step) || step == 0) return place(value);
    if (is_constant(kernel_, in.operands[0], &first) && is_constant(kernel_, in.operands[1], &end)) {
      const uint64_t trips = first < end ? (uint64_t{end} - first + step - 1) / step : 0;
      const uint32_t wanted = std::max(in.attr0, 1u);  // a single turn needs no loop in any case
      if (trips <= wanted && fits(in.regions[0], trips)) {
        for (uint64_t i = 0; i < trips; ++i) {
          copy_body(value, constant(ir::kU32, first + static_cast<uint32_t>(i) * step));
        }
        return;
      }
    }
    uint32_t copies = in.attr0;
    while (copies >= 2 && !fits(in.regions[0], copies + uint64_t{1})) copies /= 2;
    if (copies < 2 || uint64_t{copies} * step > UINT32_MAX) return place(value);
    unroll_partly(value, copies, step);
  }

  bool fits(ir::RegionId body, uint64_t copies) const {
    const uint64_t size = region_size(kernel_, body);
    return size * copies <= options_.max_unrolled_body &&
           kernel_size_ + size * copies <= options_.max_unrolled_kernel + size;
  }

  /// for (i = first; i < main_end; i += copies * step) { body(i); body(i + step); ... }  then the old loop
  /// from main_end on. main_end - first is the largest multiple of copies * step that is <= end - first, so
  /// no counter passes end and nothing wraps.
  void unroll_partly(Value loop, uint32_t copies, uint32_t step) {
    const Value first = kernel_.at(loop).operands[0], end = kernel_.at(loop).operands[1];
    const Value stride = constant(ir::kU32, copies * step);
    const Value runs = emit(Op::lt, ir::kBool, {first, end});
    const Value distance = emit(Op::sub, ir::kU32, {end, first});
    const Value count = emit(Op::select, ir::kU32, {runs, distance, constant(ir::kU32, 0)});
    const Value groups = emit(Op::div, ir::kU32, {count, stride});
    const Value covered = emit(Op::mul, ir::kU32, {groups, stride});
    const Value main_end = emit(Op::add, ir::kU32, {first, covered});

    Instruction in = kernel_.at(loop);
    in.operands = {first, main_end, stride};
    in.regions[0] = static_cast<ir::RegionId>(kernel_.regions.size());
    kernel_.regions.emplace_back();
    const Value main = emit(in);
    std::vector<Value> body;
    for (uint32_t i = 0; i < copies; ++i) {
      Value counter = main;
      if (i > 0) {
        Instruction add;
        add.op = Op::add;
        add.type = ir::kU32;
        add.num_operands = 2;
        add.operands = {main, constant(ir::kU32, i * step)};
        add.location = in.location;
        counter = append(add, body);
      }
      copy_body_into(loop, counter, body);
    }
    kernel_.regions[in.regions[0]] = std::move(body);
    kernel_.instructions[loop.index].operands[0] = main_end;
    place(loop);
  }

  Value append(const Instruction& in, std::vector<Value>& out) {
    const Value value{static_cast<uint32_t>(kernel_.instructions.size())};
    kernel_.instructions.push_back(in);
    out.push_back(value);
    return value;
  }

  void copy_body(Value loop, Value counter) {
    std::vector<Value> copies;
    copy_body_into(loop, counter, copies);
    for (const Value copy : copies) place(copy);
  }

  void copy_body_into(Value loop, Value counter, std::vector<Value>& out) {
    copy_of_.resize(kernel_.instructions.size());
    copy_of_[loop.index] = counter;
    const ir::RegionId body = kernel_.at(loop).regions[0];
    kernel_size_ += region_size(kernel_, body);
    clone(body, out);
    copy_of_[loop.index] = Value{};
  }

  void clone(ir::RegionId region, std::vector<Value>& out) {
    const std::vector<Value> values = kernel_.regions[region];
    for (const Value value : values) {
      Instruction in = kernel_.at(value);
      for (uint32_t i = 0; i < in.num_operands; ++i) {
        const Value copy = copy_of_[in.operands[i].index];
        if (copy.valid()) in.operands[i] = copy;
      }
      const Value copy = append(in, out);
      copy_of_[value.index] = copy;
      for (uint32_t i = 0; i < in.regions.size(); ++i) {
        if (in.regions[i] == ir::kNoRegion) continue;
        std::vector<Value> nested;
        clone(in.regions[i], nested);
        kernel_.instructions[copy.index].regions[i] = static_cast<ir::RegionId>(kernel_.regions.size());
        kernel_.regions.push_back(std::move(nested));
      }
    }
    // A later copy of the same region writes its own entries before it reads them.
  }

  const PipelineOptions& options_;
  uint64_t kernel_size_;
  std::vector<Value> copy_of_;  // by instruction, of the copy being made
};

}  // namespace

void unroll(ir::Kernel& kernel, const PassContext& context) {
  Unroller(kernel, context.options).run();
}

}  // namespace tattletale::compiler
