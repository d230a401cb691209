// Copies between the host and device memory, recorded into the batch of commands that goes out with the next
// submission: zero fills, writes through a staging ring, reads through memory that the host caches.
#pragma once

#include <deque>
#include <span>

#include "backends/vulkan/vulkan_memory.h"

namespace tattletale::vulkan {

class Transfer {
 public:
  Transfer(Queue& queue, Memory& memory) : queue_(queue), memory_(memory) {}

  /// Zeroes a new range.
  Result<void> clear(const Range& range);
  /// Copies host bytes to `offset` of the range, before everything submitted later.
  Result<void> write(const Range& range, uint64_t offset, std::span<const std::byte> bytes);
  /// Submits a copy to the host after everything submitted earlier; `out` is filled by deliver().
  Result<uint64_t> read(const Range& range, uint64_t offset, std::span<std::byte> out);
  /// Fills `out` of the reads that have finished.
  void deliver();

  /// The open batch, for commands of a submission: begun if there is none, copies closed by a barrier.
  Result<VkCommandBuffer> batch();
  bool has_batch() const { return batch_ != VK_NULL_HANDLE; }
  /// Ends the batch and submits it, followed by `more` when given.
  Result<uint64_t> submit(VkCommandBuffer more = VK_NULL_HANDLE);

 private:
  struct Piece {  // of the ring, in use until its submission has finished
    uint64_t end;
    uint64_t submission;
  };
  struct Written {  // device addresses written by copies since the last barrier
    VkDeviceAddress first, end;
  };
  struct PendingRead {
    uint64_t submission;
    Range staging;
    std::span<std::byte> out;
  };

  Result<void> open_batch();
  Result<uint64_t> reserve(uint64_t wanted, uint64_t& size);
  void order_copy(VkDeviceAddress first, uint64_t size);
  bool host_may_touch(const Range& range) const;

  Queue& queue_;
  Memory& memory_;
  VkCommandBuffer batch_ = VK_NULL_HANDLE;
  bool copies_open_ = false;  // the batch holds copies that no barrier follows yet
  std::vector<Written> written_;
  Range ring_{};
  uint64_t head_ = 0;  // monotonic positions; the place in the ring is their remainder
  uint64_t tail_ = 0;
  std::deque<Piece> pieces_;
  std::deque<PendingRead> reads_;
};

}  // namespace tattletale::vulkan
