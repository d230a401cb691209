// NVIDIA's run-time compiler, from CUDA C++ to a cubin, found while the program runs; needs no GPU and no
// driver. Source: NVRTC documentation, "User Interface"; versions 12 and 13.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "compiler/c_printer.h"

namespace tattletale::cuda {

/// What one thread, or one workgroup, of a program takes, as the assembler reports it.
struct ProgramResources {
  uint32_t registers = 0;     // a thread
  uint32_t spill_bytes = 0;   // a thread; stores to local memory because registers ran out
  uint32_t stack_bytes = 0;   // a thread; spills and arrays that are indexed at run time
  uint32_t shared_bytes = 0;  // a workgroup; static ones only
  bool operator==(const ProgramResources&) const = default;
};

struct Cubin {
  std::vector<std::byte> code;
  std::optional<ProgramResources> resources;  // absent when the log has another form than known
  std::string log;
};

/// The resources that `log` names for one entry function.
std::optional<ProgramResources> parse_resources(std::string_view log);

class Nvrtc {
 public:
  /// Searches, in this order: $TATTLETALE_NVRTC (a file or a folder), the program's folder, the dynamic
  /// linker, CUDA toolkits, Python packages. Takes the first of major version 12 or 13 but not above
  /// `max_major`: an older driver does not load what a newer major version makes. Errors: not_found listing
  /// the places.
  static Result<std::shared_ptr<const Nvrtc>> load(int max_major = 13);

  virtual ~Nvrtc() = default;

  virtual int major() const = 0;
  virtual int minor() const = 0;
  /// Where it was found.
  virtual const std::string& path() const = 0;

  /// The --gpu-architecture for a card: "sm_90a" for 90, the nearest older one of the same major number where
  /// this version does not know the card. Errors: unsupported.
  virtual Result<std::string> architecture(uint32_t compute_capability) const = 0;

  /// Errors: internal, naming the kernel and its source line, with the compiler's log verbatim.
  virtual Result<Cubin> compile(const ir::Kernel& kernel, const compiler::CSource& source,
                                const std::string& architecture) const = 0;
};

/// The files that load() tries, first to last; names without a slash are the dynamic linker's to find.
std::vector<std::string> nvrtc_candidates();

}  // namespace tattletale::cuda
