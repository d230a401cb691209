#include "backends/vulkan/vulkan_queue.h"

#include <limits>

namespace tattletale::vulkan {

Result<std::unique_ptr<Queue>> Queue::open(std::shared_ptr<const Instance> instance,
                                           const PhysicalDevice& device) {
  std::unique_ptr<Queue> queue(new Queue);
  queue->instance_ = std::move(instance);
  TT_ASSIGN(queue->device_, create_device(*queue->instance_, device));
  TT_TRY(queue->load_functions());
  TT_TRY(queue->create_objects(device.queue_family));
  return queue;
}

Result<void> Queue::load_functions() {
  const auto get = instance_->call().vkGetDeviceProcAddr;
  // Destroying the device is the first thing that must work when another function is missing.
  call_.vkDestroyDevice = reinterpret_cast<PFN_vkDestroyDevice>(get(device_, "vkDestroyDevice"));
#define TT_VULKAN_LOAD(name)                                                \
  call_.name = reinterpret_cast<PFN_##name>(get(device_, #name));           \
  if (call_.name == nullptr) {                                              \
    return make_error(ErrorKind::internal, #name, "missing in the driver"); \
  }
  TT_VULKAN_DEVICE_FUNCTIONS(TT_VULKAN_LOAD)
#undef TT_VULKAN_LOAD
  return {};
}

Result<void> Queue::create_objects(uint32_t family) {
  call_.vkGetDeviceQueue(device_, family, 0, &queue_);
  VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo semaphore{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
  semaphore.pNext = &type;
  if (VkResult r = call_.vkCreateSemaphore(device_, &semaphore, nullptr, &timeline_); r != VK_SUCCESS) {
    return failed(r, "vkCreateSemaphore");
  }
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = family;
  if (VkResult r = call_.vkCreateCommandPool(device_, &pool, nullptr, &pool_); r != VK_SUCCESS) {
    return failed(r, "vkCreateCommandPool");
  }
  return {};
}

Queue::~Queue() {
  if (device_ == VK_NULL_HANDLE || call_.vkDestroyDevice == nullptr) return;
  if (pool_ != VK_NULL_HANDLE) call_.vkDestroyCommandPool(device_, pool_, nullptr);
  if (timeline_ != VK_NULL_HANDLE) call_.vkDestroySemaphore(device_, timeline_, nullptr);
  call_.vkDestroyDevice(device_, nullptr);
}

Error Queue::failed(VkResult result, std::string_view call) {
  lost_ |= result == VK_ERROR_DEVICE_LOST;
  return call_failed(result, call);
}

Result<uint64_t> Queue::refresh() {
  if (lost_) return make_error(ErrorKind::device_lost, "Vulkan", "the device was lost earlier");
  if (idle()) return completed_;
  uint64_t value = 0;
  if (VkResult r = call_.vkGetSemaphoreCounterValue(device_, timeline_, &value); r != VK_SUCCESS) {
    return failed(r, "vkGetSemaphoreCounterValue");
  }
  if (value > submitted_) {  // NVIDIA and others answer so once the device is gone
    lost_ = true;
    return make_error(ErrorKind::device_lost, "vkGetSemaphoreCounterValue", "names work never submitted");
  }
  completed_ = value;
  while (!used_.empty() && used_.front().submission <= completed_) {
    free_.push_back(used_.front().commands);
    used_.pop_front();
  }
  return completed_;
}

Result<void> Queue::wait(uint64_t submission) {
  if (lost_) return make_error(ErrorKind::device_lost, "Vulkan", "the device was lost earlier");
  if (submission <= completed_) return {};
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &timeline_;
  info.pValues = &submission;
  const VkResult r = call_.vkWaitSemaphores(device_, &info, std::numeric_limits<uint64_t>::max());
  if (r != VK_SUCCESS) return failed(r, "vkWaitSemaphores");
  TT_ASSIGN([[maybe_unused]] const uint64_t done, refresh());
  return {};
}

Result<VkCommandBuffer> Queue::begin(bool once) {
  VkCommandBuffer commands = VK_NULL_HANDLE;
  if (once && !free_.empty()) {
    commands = free_.back();
    free_.pop_back();
  } else {
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    if (VkResult r = call_.vkAllocateCommandBuffers(device_, &info, &commands); r != VK_SUCCESS) {
      return failed(r, "vkAllocateCommandBuffers");
    }
  }
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags =
      once ? VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT : VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
  if (VkResult r = call_.vkBeginCommandBuffer(commands, &info); r != VK_SUCCESS) {
    free(commands);
    return failed(r, "vkBeginCommandBuffer");
  }
  // Submissions of one queue start in order but do not wait for each other's memory.
  full_barrier(commands);
  return commands;
}

Result<void> Queue::end(VkCommandBuffer commands) {
  if (VkResult r = call_.vkEndCommandBuffer(commands); r != VK_SUCCESS) {
    return failed(r, "vkEndCommandBuffer");
  }
  return {};
}

Result<uint64_t> Queue::submit(std::span<const VkCommandBuffer> commands, VkCommandBuffer once) {
  if (lost_) return make_error(ErrorKind::device_lost, "Vulkan", "the device was lost earlier");
  const uint64_t value = submitted_ + 1;
  VkTimelineSemaphoreSubmitInfo timeline{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.pNext = &timeline;
  info.commandBufferCount = static_cast<uint32_t>(commands.size());
  info.pCommandBuffers = commands.data();
  info.signalSemaphoreCount = 1;
  info.pSignalSemaphores = &timeline_;
  if (VkResult r = call_.vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE); r != VK_SUCCESS) {
    return failed(r, "vkQueueSubmit");
  }
  submitted_ = value;
  if (once != VK_NULL_HANDLE) used_.push_back({value, once});
  return value;
}

void Queue::free(VkCommandBuffer commands) {
  call_.vkFreeCommandBuffers(device_, pool_, 1, &commands);
}

void Queue::full_barrier(VkCommandBuffer commands) const {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                          VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                          VK_ACCESS_HOST_READ_BIT;
  constexpr VkPipelineStageFlags kWork =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  call_.vkCmdPipelineBarrier(commands, kWork, kWork | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr,
                             0, nullptr);
}

}  // namespace tattletale::vulkan
