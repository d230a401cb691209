// The state of one workgroup that runs in lockstep, and the operations on it. Internal to the interpreter.
//
// A value is `words_of(type)` arrays of one 32-bit word for every thread, one behind the other. A fragment is
// a row-major 16x16 matrix of floats for every subgroup, which takes as much: 256 / subgroup_size words a
// thread.
#pragma once

#include <array>
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include "ir/interpreter.h"
#include "ir/interpreter/shadow.h"

namespace tattletale::ir {

/// Which threads take part: all ones or zero for each.
struct Mask {
  std::vector<uint32_t> on;
  uint32_t active = 0;
};

class Machine {
 public:
  Machine(const Kernel& kernel, const InterpreterOptions& options);

  Result<InterpreterStats> run(const Launch& launch);

 private:
  struct SharedWord {
    WordShadow shadow;
    uint32_t owner = 0;  // the workgroup that the rest speaks of
    bool written = false;
    bool pending = false;  // a copy is under way
  };
  /// Copies of one thread: committed groups, oldest first, and the open one. Words of shared memory.
  struct Copies {
    std::vector<std::vector<uint32_t>> groups;
    std::vector<uint32_t> open;
  };
  struct Address {
    std::byte* at = nullptr;
    uint64_t word = 0;
  };

  // Values
  static uint32_t words_of(Type type, uint32_t subgroup_size);
  uint32_t* out(Value value) { return words_.data() + slots_[value.index]; }
  const uint32_t* operand(const Instruction& in, uint32_t i) const {
    return words_.data() + slots_[in.operands[i].index];
  }
  float* fragment(uint32_t* value, uint32_t subgroup) {
    return reinterpret_cast<float*>(value) + subgroup * 256;
  }
  const float* fragment(const uint32_t* value, uint32_t subgroup) const {
    return reinterpret_cast<const float*>(value) + subgroup * 256;
  }

  // Running: false after fail()
  bool fit(const Launch& launch);
  bool workgroup();
  bool charge(const Mask& mask);
  bool region(RegionId id, const Mask& mask, uint32_t depth);
  bool execute(Value value, const Instruction& in, const Mask& mask, uint32_t depth);
  bool structure(Value value, const Instruction& in, const Mask& mask, uint32_t depth);
  bool for_loop(Value value, const Instruction& in, const Mask& mask, uint32_t depth);
  bool while_loop(const Instruction& in, const Mask& mask, uint32_t depth);
  Mask& mask_at(uint32_t depth);

  bool builtin(Value value, const Instruction& in);
  bool scalar(Value value, const Instruction& in, const Mask& mask);
  bool arithmetic_f32(Value value, const Instruction& in);
  bool arithmetic_int(Value value, const Instruction& in, const Mask& mask);
  bool compare(Value value, const Instruction& in);
  bool convert(Value value, const Instruction& in, const Mask& mask);
  bool halves(Value value, const Instruction& in);
  bool defined(Value value, const Mask& mask, const uint32_t* bad, const char* what);

  bool local(Value value, const Instruction& in, const Mask& mask);
  bool global_load(Value value, const Instruction& in, const Mask& mask);
  bool global_store(Value value, const Instruction& in, const Mask& mask);
  bool global_atomic(Value value, const Instruction& in, const Mask& mask);
  bool shared_access(Value value, const Instruction& in, const Mask& mask);
  bool copy_async(Value value, const Instruction& in, const Mask& mask);
  bool copy_group(const Instruction& in, const Mask& mask);
  void arrive(Copies& copies, size_t count, uint32_t thread);

  bool subgroup(Value value, const Instruction& in, const Mask& mask);
  bool together(Value value, const Mask& mask);
  template <class T>
  void reduce(Value value, const Instruction& in, const Mask& mask);

  bool fragments(Value value, const Instruction& in, const Mask& mask);
  bool fragment_numbers(Value value, const Instruction& in);
  bool fragment_load(Value value, const Instruction& in, const Mask& mask);
  bool fragment_store(Value value, const Instruction& in, const Mask& mask);
  void fragment_mma(Value value, const Instruction& in, const Mask& mask);
  bool same_in_subgroup(Value value, const Instruction& in, uint32_t i, uint32_t subgroup);

  // Memory
  enum class Touch : uint8_t { read, write, atomic };
  Accessor accessor(Value value, uint32_t thread, bool collective) const;
  bool address(Value value, const Instruction& in, uint32_t thread, uint32_t index, const uint32_t* base,
               uint32_t bytes, uint32_t count, Address& found);
  bool touch_global(Value value, uint32_t binding, uint64_t word, uint32_t thread, Touch touch,
                    bool collective);
  bool touch_shared(Value value, uint32_t array, uint64_t index, uint32_t thread, Touch touch,
                    bool collective);

  // Reports; all return false
  bool fail(Value value, const std::string& reason, uint32_t thread);
  bool fail_launch(const std::string& reason);
  bool fail_race(Value value, uint32_t thread, const Access& other, const std::string& place);
  std::string thread_name(uint32_t thread) const;

  const Kernel& kernel_;
  InterpreterOptions options_;
  uint32_t threads_;
  uint32_t subgroup_size_;
  uint32_t subgroup_shift_;
  uint32_t num_subgroups_;

  std::vector<uint32_t> words_;  // all values
  std::vector<uint32_t> slots_;  // by instruction, into words_
  std::vector<std::vector<uint32_t>> locals_;
  std::vector<std::vector<uint32_t>> local_set_;  // by local and thread: all ones once set
  std::vector<uint32_t> shared_;
  std::vector<uint32_t> shared_first_;  // by array, into shared_
  std::vector<SharedWord> shared_shadow_;
  std::vector<Copies> copies_;  // by thread
  std::vector<Mask> masks_;     // by nesting
  std::vector<uint32_t> scratch_;

  const Launch* launch_ = nullptr;
  std::array<uint32_t, 3> group_id_{};
  uint32_t group_ = 0;
  uint32_t epoch_ = 0;
  std::vector<uint32_t> sub_epochs_;
  Shadow shadow_;
  std::vector<ShadowPages> global_shadows_;  // by binding; only of written ones
  uint64_t group_operations_ = 0;
  InterpreterStats stats_;
  Error error_;
};

}  // namespace tattletale::ir
