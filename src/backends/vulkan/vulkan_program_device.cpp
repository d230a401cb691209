// Objects: programs, buffers, lists, and when they may be freed. Commands are in vulkan_commands.cpp.
#include "backends/vulkan/vulkan_program_device.h"

#include <cstring>

#include "backends/vulkan/spirv_enums.h"
#include "backends/vulkan/vulkan_device.h"

namespace tattletale::vulkan {

Result<std::unique_ptr<compiler::ProgramDevice>> VulkanProgramDevice::open(
    std::shared_ptr<const Instance> instance, PhysicalDevice physical) {
  std::unique_ptr<VulkanProgramDevice> device(new VulkanProgramDevice(std::move(physical)));
  TT_ASSIGN(device->queue_, Queue::open(std::move(instance), device->device_));
  device->memory_ = std::make_unique<Memory>(*device->queue_, device->device_);
  device->transfer_ = std::make_unique<Transfer>(*device->queue_, *device->memory_);
  TT_TRY(device->create_objects());
  return std::unique_ptr<compiler::ProgramDevice>(std::move(device));
}

/// One layout serves every program: 128 bytes of push constants is what any device has.
Result<void> VulkanProgramDevice::create_objects() {
  static_assert(kMaxBindings * sizeof(VkDeviceAddress) + kMaxParamsBytes <= 128);
  const DeviceFunctions& call = queue_->call();
  const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, 128};
  VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  VkResult r = call.vkCreatePipelineLayout(queue_->device(), &layout, nullptr, &layout_);
  if (r != VK_SUCCESS) return queue_->failed(r, "vkCreatePipelineLayout");
  VkPipelineCacheCreateInfo cache{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  r = call.vkCreatePipelineCache(queue_->device(), &cache, nullptr, &cache_);
  if (r != VK_SUCCESS) return queue_->failed(r, "vkCreatePipelineCache");
  return {};
}

VulkanProgramDevice::~VulkanProgramDevice() {
  if (queue_ == nullptr) return;
  const DeviceFunctions& call = queue_->call();
  if (call.vkDestroyPipeline == nullptr) return;  // opening failed half way
  call.vkDeviceWaitIdle(queue_->device());
  for (const auto& [id, program] : programs_)
    call.vkDestroyPipeline(queue_->device(), program.pipeline, nullptr);
  if (cache_ != VK_NULL_HANDLE) call.vkDestroyPipelineCache(queue_->device(), cache_, nullptr);
  if (layout_ != VK_NULL_HANDLE) call.vkDestroyPipelineLayout(queue_->device(), layout_, nullptr);
  transfer_.reset();
  memory_.reset();
}

std::string VulkanProgramDevice::compiler_identity() const {
  const SpirvFeatures& f = device_.features;
  std::string flags;
  for (const bool flag : {f.int64, f.wide_offsets, f.storage16, f.storage8, f.float16, f.f16_round_to_even,
                          f.packed_dot, f.explicit_workgroup_layout, f.cooperative_matrix, f.bfloat16_matrix,
                          f.inexact_u32_to_f32, f.slow_vector_loads, f.float_atomic_fault}) {
    flags += flag ? '1' : '0';
  }
  return "spirv " + std::to_string(kSpirvWriterVersion) + " " + flags + "; " + device_.identity;
}

Result<KernelBinary> VulkanProgramDevice::compile(const ir::Kernel& kernel) {
  TT_ASSIGN(const std::vector<uint32_t> words, emit_spirv(kernel, device_.features));
  KernelBinary binary;
  binary.format = KernelBinary::Format::spirv;
  binary.name = kernel.name;
  binary.code.resize(words.size() * sizeof(uint32_t));
  std::memcpy(binary.code.data(), words.data(), binary.code.size());
  binary.entry_point = "main";
  binary.num_bindings = static_cast<uint32_t>(kernel.bindings.size());
  binary.params_bytes = static_cast<uint32_t>(kernel.params.size() * sizeof(uint32_t));
  binary.writes_mask = kernel.writes_mask();
  binary.workgroup_threads = kernel.workgroup_threads;
  binary.subgroup_size = kernel.subgroup_size > 1 ? kernel.subgroup_size : 0;
  binary.shared_bytes = spirv_shared_bytes(kernel);
  return binary;
}

namespace {

Error refused(const KernelBinary& binary, ErrorKind kind, std::string what) {
  return make_error(kind, "kernel " + binary.name, std::move(what));
}

Result<void> check_binary(const KernelBinary& binary, const PhysicalDevice& device) {
  const auto limit = [&](const char* what, uint64_t has, uint64_t allowed) -> Result<void> {
    if (has <= allowed) return {};
    return refused(binary, ErrorKind::limit_exceeded,
                   std::string(what) + ": " + std::to_string(has) + ", " + device.caps.name + " allows " +
                       std::to_string(allowed));
  };
  uint32_t magic = 0;
  if (binary.code.size() >= sizeof(magic)) std::memcpy(&magic, binary.code.data(), sizeof(magic));
  if (binary.format != KernelBinary::Format::spirv || binary.code.size() % 4 != 0 || magic != spirv::kMagic) {
    return refused(binary, ErrorKind::invalid_argument, "is not a SPIR-V program");
  }
  TT_TRY(limit("bindings", binary.num_bindings, kMaxBindings));
  TT_TRY(limit("bytes of parameters", binary.params_bytes, kMaxParamsBytes));
  TT_TRY(limit("threads of a workgroup", binary.workgroup_threads, device.target.max_workgroup_threads));
  TT_TRY(limit("bytes of workgroup memory", binary.shared_bytes, device.target.max_shared_bytes));
  if (binary.subgroup_size != 0 &&
      (binary.subgroup_size < device.min_subgroup_size || binary.subgroup_size > device.max_subgroup_size)) {
    return refused(binary, ErrorKind::unsupported,
                   "wants subgroups of " + std::to_string(binary.subgroup_size) + ", " + device.caps.name +
                       " has " + std::to_string(device.min_subgroup_size) + " to " +
                       std::to_string(device.max_subgroup_size));
  }
  return {};
}

}  // namespace

Result<KernelId> VulkanProgramDevice::load(const KernelBinary& binary) {
  TT_TRY(check_binary(binary, device_));
  const DeviceFunctions& call = queue_->call();
  std::vector<uint32_t> words(binary.code.size() / 4);
  std::memcpy(words.data(), binary.code.data(), binary.code.size());
  VkShaderModuleCreateInfo info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  info.codeSize = binary.code.size();
  info.pCode = words.data();
  VkShaderModule module = VK_NULL_HANDLE;
  const VkResult r = call.vkCreateShaderModule(queue_->device(), &info, nullptr, &module);
  if (r != VK_SUCCESS) return refused(binary, ErrorKind::internal, "vkCreateShaderModule: " + result_name(r));
  Result<VkPipeline> pipeline = create_pipeline(binary, module);
  call.vkDestroyShaderModule(queue_->device(), module, nullptr);
  if (!pipeline) return pipeline.take_error();
  const uint32_t id = next_id_++;
  programs_[id] = {*pipeline, binary.name, binary.num_bindings, binary.params_bytes, binary.writes_mask};
  return KernelId{id};
}

Result<VkPipeline> VulkanProgramDevice::create_pipeline(const KernelBinary& binary, VkShaderModule module) {
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
  subgroup.requiredSubgroupSize = binary.subgroup_size;
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = binary.entry_point.c_str();
  info.layout = layout_;
  if (binary.subgroup_size != 0) {
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    if (device_.min_subgroup_size != device_.max_subgroup_size) info.stage.pNext = &subgroup;
  }
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult r =
      queue_->call().vkCreateComputePipelines(queue_->device(), cache_, 1, &info, nullptr, &pipeline);
  if (r == VK_SUCCESS) return pipeline;
  Error error = queue_->failed(r, "vkCreateComputePipelines");
  return refused(binary, error.kind, error.message());
}

Result<BufferId> VulkanProgramDevice::create_buffer(uint64_t size_bytes, std::string_view label) {
  TT_TRY(refresh());
  Result<Range> range = memory_->allocate(size_bytes, MemoryKind::device);
  if (!range) {
    Error error = range.take_error();
    error.where = "buffer \"" + std::string(label) + "\", " + error.where;
    return error;
  }
  if (auto cleared = transfer_->clear(*range); !cleared) {
    memory_->release(*range);
    return cleared.take_error();
  }
  const uint32_t id = next_id_++;
  buffers_[id] = {*range, size_bytes, std::string(label)};
  allocated_bytes_ += size_bytes;
  return BufferId{id};
}

void VulkanProgramDevice::destroy_buffer(BufferId buffer) {
  const auto place = buffers_.find(static_cast<uint32_t>(buffer));
  if (place == buffers_.end()) return;
  allocated_bytes_ -= place->second.size_bytes;
  retire({0, place->second.range, VK_NULL_HANDLE});
  buffers_.erase(place);
}

void VulkanProgramDevice::destroy_list(ListId list) {
  const auto place = lists_.find(static_cast<uint32_t>(list));
  if (place == lists_.end()) return;
  retire({0, {}, place->second});
  lists_.erase(place);
}

/// Freed once everything submitted, and the open batch, has finished.
void VulkanProgramDevice::retire(const Retired& retired) {
  retired_.push_back(retired);
  retired_.back().submission = queue_->submitted() + (transfer_->has_batch() ? 1 : 0);
  static_cast<void>(refresh());  // a lost device frees its memory when it is closed
}

Result<void> VulkanProgramDevice::refresh() {
  TT_ASSIGN(const uint64_t completed, queue_->refresh());
  transfer_->deliver();
  while (!retired_.empty() && retired_.front().submission <= completed) {
    const Retired& retired = retired_.front();
    if (retired.range.block != nullptr) memory_->release(retired.range);
    if (retired.list != VK_NULL_HANDLE) queue_->free(retired.list);
    retired_.pop_front();
  }
  return {};
}

}  // namespace tattletale::vulkan

namespace tattletale {

using vulkan::Instance;
using vulkan::PhysicalDevice;

std::vector<VulkanDeviceInfo> list_vulkan_devices() {
  std::vector<VulkanDeviceInfo> list;
  auto instance = Instance::open();
  if (!instance) return list;
  auto devices = vulkan::describe_all(**instance);
  if (!devices) return list;
  for (const PhysicalDevice& device : *devices) {
    if (!device.missing.empty()) continue;
    list.push_back({device.caps.name, device.driver, device.memory_bytes, device.target.is_cpu});
  }
  return list;
}

Result<std::unique_ptr<compiler::ProgramDevice>> open_vulkan_program_device(uint32_t index) {
  TT_ASSIGN(std::shared_ptr<const Instance> instance, Instance::open());
  TT_ASSIGN(std::vector<PhysicalDevice> devices, vulkan::describe_all(*instance));
  std::string lacking;
  uint32_t usable = 0;
  for (PhysicalDevice& device : devices) {
    if (!device.missing.empty()) {
      lacking += "; " + device.caps.name + " lacks " + device.missing;
    } else if (usable++ == index) {
      return vulkan::VulkanProgramDevice::open(std::move(instance), std::move(device));
    }
  }
  if (usable == 0 && !lacking.empty()) {
    return make_error(ErrorKind::unsupported, "Vulkan", "no usable device" + lacking);
  }
  return make_error(ErrorKind::not_found, "Vulkan",
                    "there is no device " + std::to_string(index) + ", " + std::to_string(usable) +
                        " are usable; install the card's driver or mesa-vulkan-drivers");
}

}  // namespace tattletale
