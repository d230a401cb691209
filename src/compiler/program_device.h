// The driver's side of an accelerator: runs compiled programs and knows nothing of kernel contracts.
// Each GPU backend implements it; kernels/portable_device.h turns one into a Device for the engine.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "device/device.h"
#include "ir/kernel.h"
#include "ir/target_info.h"

namespace tattletale::compiler {

/// Calling convention of a program: `num_bindings` buffers, then `params_bytes` of parameters as 32-bit
/// words, then workgroups of `workgroup_threads` threads on a grid of Dispatch::workgroups. Every dispatch of
/// a list sees the writes of those before it. A binding starts at a multiple of 16 bytes (a slice that does
/// not is refused), because the compiler merges loads on that ground. Buffers, submissions and threading are
/// as device.h says.
class ProgramDevice {
 public:
  virtual ~ProgramDevice() = default;

  virtual const Caps& caps() const = 0;
  virtual const ir::TargetInfo& target() const = 0;

  /// Names everything a compiled program depends on besides the kernel itself: emitter version, compiler
  /// version, driver and device. Part of the disk cache's key.
  virtual std::string compiler_identity() const = 0;

  /// Turns a legal kernel (ir/verify.h, compiler/pipeline.h) into this device's program. May be slow: callers
  /// cache it. Errors: unsupported or internal with kernel name, source line and the compiler's log verbatim.
  virtual Result<KernelBinary> compile(const ir::Kernel& kernel) = 0;

  /// compile() may run on several threads at once, after compiler_identity() has been called once.
  virtual bool compiles_on_any_thread() const { return false; }

  /// Loads a program made by compile(), now or in another process with the same compiler_identity().
  virtual Result<KernelId> load(const KernelBinary& binary) = 0;

  virtual Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) = 0;
  virtual void destroy_buffer(BufferId buffer) = 0;
  virtual Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) = 0;
  virtual Result<Submission> read(BufferSlice source, std::span<std::byte> out) = 0;
  virtual Result<Submission> submit(const CommandList& list) = 0;
  virtual Result<ListId> record(const CommandList& list) = 0;
  virtual Result<Submission> submit(ListId list) = 0;
  virtual void destroy_list(ListId list) = 0;
  virtual Result<bool> poll(Submission submission) = 0;
  virtual Result<void> wait(Submission submission) = 0;
  virtual uint64_t allocated_bytes() const = 0;
};

}  // namespace tattletale::compiler
