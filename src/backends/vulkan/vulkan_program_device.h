// ProgramDevice over one Vulkan device; see vulkan_device.h. Programs are SPIR-V; a dispatch is a pipeline,
// up to 128 bytes of push constants (addresses, then parameters) and a grid: no descriptors.
#pragma once

#include <deque>
#include <unordered_map>

#include "backends/vulkan/vulkan_dependencies.h"
#include "backends/vulkan/vulkan_transfer.h"
#include "compiler/program_device.h"

namespace tattletale::vulkan {

class VulkanProgramDevice final : public compiler::ProgramDevice {
 public:
  static Result<std::unique_ptr<compiler::ProgramDevice>> open(std::shared_ptr<const Instance> instance,
                                                               PhysicalDevice device);
  ~VulkanProgramDevice() override;

  const Caps& caps() const override { return device_.caps; }
  const ir::TargetInfo& target() const override { return device_.target; }
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
  struct Program {
    VkPipeline pipeline = VK_NULL_HANDLE;
    std::string name;
    uint32_t num_bindings = 0;
    uint32_t params_bytes = 0;
    uint32_t writes_mask = 0;
  };
  struct Buffer {
    Range range;
    uint64_t size_bytes = 0;
    std::string label;
  };
  struct Retired {  // freed once its submission has finished
    uint64_t submission;
    Range range;
    VkCommandBuffer list;
  };

  explicit VulkanProgramDevice(PhysicalDevice device) : device_(std::move(device)) {}
  Result<void> create_objects();
  Result<VkPipeline> create_pipeline(const KernelBinary& binary, VkShaderModule module);
  Result<Buffer*> find(BufferId buffer);
  Result<void> check_slice(const Program& program, const BufferSlice& slice, uint32_t binding);
  Result<const Program*> check(const Dispatch& dispatch);
  void encode(VkCommandBuffer commands, const CommandList& list);
  void encode(VkCommandBuffer commands, const Program& program, const Dispatch& dispatch);
  Result<void> check(const CommandList& list);
  void retire(const Retired& retired);
  Result<void> refresh();

  PhysicalDevice device_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Memory> memory_;
  std::unique_ptr<Transfer> transfer_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  std::unordered_map<uint32_t, Program> programs_;
  std::unordered_map<uint32_t, Buffer> buffers_;
  std::unordered_map<uint32_t, VkCommandBuffer> lists_;
  std::deque<Retired> retired_;
  uint32_t next_id_ = 1;
  uint64_t allocated_bytes_ = 0;
};

}  // namespace tattletale::vulkan
