// A WebGPU device that runs compiled programs: buffers, transfers, pipelines, bind groups and submissions
// over any library of webgpu.h. Replays create nothing: bind groups and parameters of a recorded list are
// ready. Source: WebGPU, W3C (queues, usage scopes, limits); compiler/program_device.h is the contract.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/webgpu/webgpu_context.h"
#include "backends/webgpu/wgsl_writer.h"
#include "compiler/program_device.h"

namespace tattletale::webgpu {

class WebgpuProgramDevice final : public compiler::ProgramDevice {
 public:
  explicit WebgpuProgramDevice(std::unique_ptr<WebgpuContext> context);
  ~WebgpuProgramDevice() override;

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

  const WgslDialect& dialect() const { return dialect_; }
  /// What webgpu_probe.h measured; before the first program is compiled.
  void set_target(const ir::TargetInfo& target, const WgslDialect& dialect);
  WebgpuContext& context() { return *context_; }
  /// Bind groups alive, for tests: replays must not make any.
  size_t num_bind_groups() const { return bind_groups_.size(); }

 private:
  using BufferRef = std::shared_ptr<std::remove_pointer_t<api::Buffer>>;
  using GroupRef = std::shared_ptr<std::remove_pointer_t<api::BindGroup>>;
  struct BufferEntry {
    BufferRef handle;
    uint64_t size_bytes = 0;    // as asked for
    uint64_t padded_bytes = 0;  // as made: a multiple of 16
    std::string label;
  };
  struct Program {
    KernelBinary binary;
    std::map<uint32_t, api::ComputePipeline> pipelines;  // by the bindings declared writable; null: refused
  };
  struct Layout {
    api::BindGroupLayout buffers = nullptr;
    api::PipelineLayout pipeline = nullptr;
  };
  /// Bytes of one buffer as a bind group sees them.
  struct Window {
    api::Buffer buffer = nullptr;
    uint64_t offset = 0, size = 0;
  };
  struct Copy {
    BufferRef from, to;
    uint64_t offset = 0, size = 0;
  };
  /// A dispatch with everything made.
  struct Step {
    api::ComputePipeline pipeline = nullptr;
    GroupRef group;            // null without bindings
    std::vector<Copy> copies;  // before the dispatch
    uint32_t params_bytes = 0;
    uint32_t params_offset = 0;  // into the uniform buffer
    std::array<std::byte, kMaxParamsBytes> params{};
    std::array<uint32_t, 3> workgroups{};
  };
  /// Uniform buffer of a list's parameters and its bind group; none with immediates.
  struct ParamsBuffer {
    BufferRef buffer;
    GroupRef group;
    uint64_t size = 0;
  };
  struct RecordedList {
    std::vector<Step> steps;
    ParamsBuffer params;
  };
  struct Pending {
    uint64_t id = 0;
    uint64_t index = 0;  // wgpu-native's own number of it
    bool has_index = false;
    bool done = false;
    bool failed = false;
    std::string message;
    BufferRef staging;  // reads only
    uint64_t staging_bytes = 0;
    uint64_t skip = 0;
    std::span<std::byte> out;
  };
  using GroupKey = std::vector<uint64_t>;

  // Buffers and transfers (webgpu_transfer.cpp)
  Result<BufferRef> make_buffer(uint64_t size, api::Flags usage, std::string_view label);
  Result<const BufferEntry*> find_buffer(BufferId buffer, const char* call) const;
  Result<void> write_words(const BufferEntry& entry, uint64_t offset, std::span<const std::byte> bytes);
  Result<void> write_part_of_word(BufferId buffer, uint64_t offset, std::span<const std::byte> bytes);
  Result<KernelId> merge_kernel();
  Result<BufferRef> take_staging(uint64_t size, uint64_t& made);
  void start_map(const std::shared_ptr<Pending>& pending);
  void finish(Pending& pending);
  Result<Submission> enqueue(api::CommandEncoder encoder, std::shared_ptr<Pending> pending);
  void flush_writes();
  void retire();
  Result<void> failure();

  // Programs (webgpu_programs.cpp)
  Result<api::ComputePipeline> pipeline_of(Program& program, uint32_t writable);
  Result<api::ComputePipeline> make_pipeline(const KernelBinary& binary, uint32_t writable);
  const Layout& layout_of(uint32_t num_bindings, uint32_t writable, uint32_t params_bytes);
  Result<Step> prepare(const Dispatch& dispatch);
  Result<std::vector<Window>> windows_of(const Dispatch& dispatch, const Program& program) const;
  Result<uint32_t> resolve_conflicts(Program& program, const Dispatch& dispatch, std::vector<Window>& windows,
                                     Step& step);
  Result<void> copy_aside(uint32_t binding, const Dispatch& dispatch, std::vector<Window>& windows,
                          Step& step);
  GroupRef group_of(api::BindGroupLayout layout, const std::vector<Window>& windows);
  Result<std::vector<Step>> prepare(const CommandList& list);
  Result<void> place_params(std::vector<Step>& steps, ParamsBuffer& params);
  Result<void> grow_params(ParamsBuffer& params, uint64_t size);
  void encode(api::CommandEncoder encoder, const std::vector<Step>& steps, const ParamsBuffer& params);

  std::unique_ptr<WebgpuContext> context_;
  const Functions& call_;
  Caps caps_;
  ir::TargetInfo target_;
  WgslDialect dialect_;

  std::unordered_map<uint32_t, BufferEntry> buffers_;
  std::vector<Program> programs_;
  std::map<std::pair<uint64_t, uint32_t>, Layout> layouts_;  // by (bindings, writable) and parameter bytes
  std::map<GroupKey, GroupRef> bind_groups_;
  std::unordered_map<uint32_t, RecordedList> lists_;
  std::deque<std::shared_ptr<Pending>> pending_;
  std::vector<std::pair<uint64_t, BufferRef>> free_staging_;
  std::array<BufferEntry, kMaxBindings> scratch_;  // copies of read buffers that the same dispatch writes
  BufferRef absent_read_, absent_written_;         // stand for bindings that are none
  api::BindGroupLayout params_layout_ = nullptr;
  ParamsBuffer params_;
  KernelId merge_kernel_ = KernelId::none;
  uint32_t next_buffer_ = 1, next_list_ = 1;
  uint64_t next_submission_ = 1, completed_ = 0;
  uint64_t allocated_bytes_ = 0, unflushed_bytes_ = 0;
};

}  // namespace tattletale::webgpu
