// The driver's side of an OpenCL device: one context, one in-order queue, so that everything runs in the
// order of the calls and needs no barriers. Kernels take, for each binding, a buffer and a 64-bit byte offset
// into it, then the parameter block: sub-buffers would have to start at multiples of the device's alignment
// (128 to 512 bytes).
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/opencl/opencl_api.h"
#include "backends/opencl/opencl_platform.h"
#include "backends/opencl/opencl_staging.h"
#include "compiler/program_device.h"

namespace tattletale::opencl {

/// Where each line of a program's text is from.
using SourceLines = std::vector<ir::Location>;

class OpenclProgramDevice final : public compiler::ProgramDevice {
 public:
  static Result<std::unique_ptr<OpenclProgramDevice>> open(std::shared_ptr<const OpenclApi> api,
                                                           uint32_t index);
  ~OpenclProgramDevice() override;

  const Caps& caps() const override { return caps_; }
  const ir::TargetInfo& target() const override { return target_; }
  std::string compiler_identity() const override;
  Result<KernelBinary> compile(const ir::Kernel& kernel) override;
  Result<KernelId> load(const KernelBinary& binary) override;
  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override;
  void destroy_buffer(BufferId buffer) override;
  Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) override;
  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override;
  Result<Submission> submit(const CommandList& list) override;
  Result<ListId> record(const CommandList& list) override;
  Result<Submission> submit(ListId list) override;
  void destroy_list(ListId list) override;
  Result<bool> poll(Submission submission) override;
  Result<void> wait(Submission submission) override;
  uint64_t allocated_bytes() const override { return allocated_bytes_; }

 private:
  struct Buffer {
    Handle<cl_mem> memory;
    uint64_t size_bytes = 0;
    std::string label;
  };
  struct Program {
    Handle<cl_program> program;
    Handle<cl_kernel>
        kernel;  // for lists that are not recorded; arguments are taken over when it is enqueued
    std::string name;
    std::string entry_point;
    uint32_t num_bindings = 0;
    uint32_t params_bytes = 0;
    uint32_t workgroup_threads = 0;
  };
  struct Launch {
    Handle<cl_kernel> kernel;  // a kernel object of its own: arguments are set once
    std::array<size_t, 3> global_size{};
    uint32_t workgroup_threads = 0;
  };
  /// A submission that is not known to have finished; a read's bytes still have to move from `staged` to
  /// `out`.
  struct Pending {
    Handle<cl_event> event;
    std::byte* staged = nullptr;
    std::span<std::byte> out;
  };

  OpenclProgramDevice(std::shared_ptr<const OpenclApi> api, DeviceFacts facts, Handle<cl_context> context,
                      Handle<cl_command_queue> queue);

  Result<Handle<cl_program>> program_of(const KernelBinary& binary);
  Result<Handle<cl_kernel>> new_kernel(const Program& program);
  Result<Handle<cl_program>> build(Handle<cl_program> program, const char* options,
                                   const std::string& kernel_name, const SourceLines& lines) const;
  Result<std::vector<std::byte>> binary_of(cl_program program, const std::string& kernel_name) const;
  Result<void> fill_zero(cl_mem memory, uint64_t size_bytes);

  Result<void> check_dispatch(const Dispatch& dispatch) const;
  Result<void> check_list(const CommandList& list) const;
  cl_int set_arguments(cl_kernel kernel, const Program& program, const Dispatch& dispatch) const;
  cl_int enqueue(cl_kernel kernel, const std::array<size_t, 3>& global_size, uint32_t workgroup_threads,
                 cl_event* event);
  Result<Submission> finish_submission(cl_event event, std::byte* staged = nullptr,
                                       std::span<std::byte> out = {});
  Result<bool> is_finished(const Pending& pending);
  void retire_oldest();
  Result<void> retire_finished();
  uint64_t oldest_pending() const { return last_submission_ - pending_.size() + 1; }

  Result<void> check_alive() const;
  /// The error of a call that gave `status`; finds out whether the device is lost. `label` says what was
  /// done.
  Error failure(cl_int status, std::string label);
  Error lost(cl_int status, const std::string& label);

  std::shared_ptr<const OpenclApi> api_;
  DeviceFacts facts_;
  Caps caps_;
  ir::TargetInfo target_;
  Handle<cl_context> context_;
  Handle<cl_command_queue> queue_;
  WriteRing write_ring_;
  ReadRing read_ring_;

  std::unordered_map<uint32_t, Buffer> buffers_;
  std::unordered_map<uint32_t, Program> programs_;
  std::unordered_map<uint32_t, std::vector<Launch>> lists_;
  uint32_t last_buffer_ = 0, last_program_ = 0, last_list_ = 0;
  std::deque<Pending> pending_;  // submissions oldest_pending() .. last_submission_
  uint64_t last_submission_ = 0;
  uint64_t allocated_bytes_ = 0;
  std::string lost_because_;  // not empty: the device is lost

  /// What compile() built and load() has not asked for yet: the driver would compile it a second time.
  struct Compiled {
    std::vector<std::byte> code;
    Handle<cl_program> program;
  };
  std::vector<Compiled> compiled_;
};

}  // namespace tattletale::opencl
