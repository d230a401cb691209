// A logical device with its one compute queue: submissions in order on a timeline semaphore, whose values are
// the device's Submission numbers, and command buffers that come back when their submission has finished.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "backends/vulkan/vulkan_physical.h"

namespace tattletale::vulkan {

class Queue {
 public:
  static Result<std::unique_ptr<Queue>> open(std::shared_ptr<const Instance> instance,
                                             const PhysicalDevice& device);
  ~Queue();
  Queue(const Queue&) = delete;

  VkDevice device() const { return device_; }
  const DeviceFunctions& call() const { return call_; }
  const Instance& instance() const { return *instance_; }

  /// The number of the last submission, and of the last that is known to have finished.
  uint64_t submitted() const { return submitted_; }
  uint64_t completed() const { return completed_; }
  bool idle() const { return completed_ == submitted_; }

  /// Asks the device how far it is. Errors: device_lost.
  Result<uint64_t> refresh();
  Result<void> wait(uint64_t submission);

  /// A command buffer in recording state; `once` ones return to the pool after their submission.
  Result<VkCommandBuffer> begin(bool once);
  Result<void> end(VkCommandBuffer commands);
  /// Submits ended command buffers in order. `once` names the one to take back, or null.
  Result<uint64_t> submit(std::span<const VkCommandBuffer> commands, VkCommandBuffer once);
  /// Frees a reusable command buffer; the caller has seen its submissions finish.
  void free(VkCommandBuffer commands);

  /// Everything before it finishes, and is seen by everything after it: dispatches, copies, the host's reads.
  void full_barrier(VkCommandBuffer commands) const;

  /// Turns a failed call into an Error and remembers a lost device.
  Error failed(VkResult result, std::string_view call);

 private:
  Queue() = default;
  Result<void> load_functions();
  Result<void> create_objects(uint32_t family);

  struct Used {
    uint64_t submission;
    VkCommandBuffer commands;
  };
  std::shared_ptr<const Instance> instance_;
  VkDevice device_ = VK_NULL_HANDLE;
  DeviceFunctions call_;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::deque<Used> used_;
  std::vector<VkCommandBuffer> free_;
  uint64_t submitted_ = 0;
  uint64_t completed_ = 0;
  bool lost_ = false;
};

}  // namespace tattletale::vulkan
