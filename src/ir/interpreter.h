// Runs kernels on the host, exactly as ir/op.h defines them: the oracle that every target is compared with.
// And a sanitizer: it reports, with source lines, what would be undefined on some target.
//
// A workgroup runs in lockstep, instruction by instruction for all its threads, under a mask of active ones.
// What op.h leaves open is fixed here: f32 add, sub and mul are never contracted, fma rounds once, functions
// are correctly rounded but for rare ties, subgroup sums add lane l and l ^ m for m = size / 2 .. 1, a matrix
// product adds k in ascending order by fma, atomics go by ascending thread and workgroup.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "ir/kernel.h"

namespace tattletale::ir {

/// One launch: what a Dispatch is to a device.
struct Launch {
  std::array<uint32_t, 3> workgroups{1, 1, 1};
  std::span<const uint32_t> params;            // at least Kernel::params.size() words
  std::vector<std::span<std::byte>> bindings;  // as many as Kernel::bindings; 4-byte aligned
};

struct InterpreterOptions {
  /// Division by zero, shifts by 32 or more, conversions out of range: their results are undefined.
  bool report_undefined = true;
  /// A workgroup that does more than this many operations (counted by active threads) is taken to be endless.
  uint64_t max_operations = uint64_t{1} << 36;
};

struct InterpreterStats {
  uint64_t instructions = 0;  // by workgroup
  uint64_t operations = 0;    // instructions times active threads
};

class Machine;

/// A kernel made ready to run. One thread at a time.
class Interpreter {
 public:
  /// Errors: what verify_form() says. Control flow need not be uniform: that is found while running.
  static Result<Interpreter> create(Kernel kernel, InterpreterOptions options = {});
  Interpreter(Interpreter&&) noexcept;
  Interpreter& operator=(Interpreter&&) noexcept;
  ~Interpreter();

  const Kernel& kernel() const { return *kernel_; }

  /// Runs all workgroups, first axis fastest. After an error the contents of written bindings are
  /// unspecified. Errors: invalid_argument for a launch that does not fit the kernel, and, naming kernel,
  /// operation, source line, thread and workgroup: a data race (two accesses to one word, one of them a
  /// write, not ordered by a barrier), a barrier or subgroup operation that not all threads reach, an access
  /// out of bounds or misaligned, a read of shared memory or of a local before it is set, of shared memory
  /// before its copy has arrived, a for loop whose counter wraps, undefined results. limit_exceeded:
  /// max_operations.
  Result<InterpreterStats> run(const Launch& launch);

 private:
  Interpreter(std::unique_ptr<Kernel> kernel, std::unique_ptr<Machine> machine);

  std::unique_ptr<Kernel> kernel_;  // at a fixed place: the machine refers to it
  std::unique_ptr<Machine> machine_;
};

/// Where number `number` of an accumulator lies in lane `lane`, as fragment_row and fragment_column say here.
struct FragmentPlace {
  uint32_t row;
  uint32_t column;
};
FragmentPlace fragment_place(uint32_t subgroup_size, uint32_t lane, uint32_t number);

}  // namespace tattletale::ir
