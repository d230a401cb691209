#include "backends/vulkan/vulkan_transfer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace tattletale::vulkan {
namespace {

constexpr uint64_t kRingBytes = 32u << 20;
constexpr uint64_t kChunkBytes = 8u << 20;  // of a large write: copying and filling overlap
constexpr uint64_t kPieceAlignment = 64;
constexpr size_t kTrackedCopies = 64;

}  // namespace

/// Without work in flight the host may use memory that it shares with the device directly.
bool Transfer::host_may_touch(const Range& range) const {
  return range.mapped() != nullptr && range.block->cached && batch_ == VK_NULL_HANDLE && queue_.idle();
}

Result<void> Transfer::open_batch() {
  if (batch_ != VK_NULL_HANDLE) return {};
  TT_ASSIGN(batch_, queue_.begin(/*once=*/true));
  written_.clear();
  copies_open_ = false;
  return {};
}

Result<VkCommandBuffer> Transfer::batch() {
  TT_TRY(open_batch());
  if (copies_open_) queue_.full_barrier(batch_);
  copies_open_ = false;
  written_.clear();
  return batch_;
}

Result<uint64_t> Transfer::submit(VkCommandBuffer more) {
  VkCommandBuffer commands[2];
  size_t count = 0;
  const VkCommandBuffer once = batch_;
  if (once != VK_NULL_HANDLE) {
    TT_TRY(queue_.end(once));
    commands[count++] = once;
  }
  if (more != VK_NULL_HANDLE) commands[count++] = more;
  batch_ = VK_NULL_HANDLE;
  TT_ASSIGN(const uint64_t submission, queue_.submit({commands, count}, once));
  for (auto piece = pieces_.rbegin(); piece != pieces_.rend() && piece->submission == 0; ++piece) {
    piece->submission = submission;
  }
  return submission;
}

/// Two copies into the same bytes need an order of their own.
void Transfer::order_copy(VkDeviceAddress first, uint64_t size) {
  const auto overlaps = [&](const Written& w) { return first < w.end && w.first < first + size; };
  if (written_.size() >= kTrackedCopies || std::ranges::any_of(written_, overlaps)) {
    queue_.full_barrier(batch_);
    written_.clear();
  }
  written_.push_back({first, first + size});
  copies_open_ = true;
}

Result<void> Transfer::clear(const Range& range) {
  TT_ASSIGN([[maybe_unused]] const uint64_t done, queue_.refresh());
  if (host_may_touch(range)) {
    std::memset(range.mapped(), 0, range.size_bytes);
    return {};
  }
  TT_TRY(open_batch());
  order_copy(range.address(), range.size_bytes);
  queue_.call().vkCmdFillBuffer(batch_, range.block->buffer, range.offset, range.size_bytes, 0);
  return {};
}

/// A contiguous place in the ring for up to `wanted` bytes; waits for the oldest piece when it is full.
Result<uint64_t> Transfer::reserve(uint64_t wanted, uint64_t& size) {
  if (ring_.block == nullptr) {
    TT_ASSIGN(ring_, memory_.allocate(kRingBytes, MemoryKind::upload));
  }
  size = std::min(wanted, kChunkBytes);
  const uint64_t room = (size + kPieceAlignment - 1) / kPieceAlignment * kPieceAlignment;
  if (head_ % kRingBytes + room > kRingBytes) head_ = (head_ / kRingBytes + 1) * kRingBytes;  // no wrapping
  const auto drop_front = [&] {
    tail_ = pieces_.front().end;
    pieces_.pop_front();
  };
  while (!pieces_.empty() && pieces_.front().submission != 0 &&
         pieces_.front().submission <= queue_.completed()) {
    drop_front();
  }
  while (!pieces_.empty() && head_ + room - tail_ > kRingBytes) {
    if (pieces_.front().submission == 0) {
      TT_ASSIGN([[maybe_unused]] const uint64_t submission, submit());
    }
    TT_TRY(queue_.wait(pieces_.front().submission));
    drop_front();
  }
  if (pieces_.empty()) tail_ = head_;
  const uint64_t place = head_ % kRingBytes;
  head_ += room;
  pieces_.push_back({head_, 0});
  return place;
}

Result<void> Transfer::write(const Range& range, uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  TT_ASSIGN([[maybe_unused]] const uint64_t done, queue_.refresh());
  if (host_may_touch(range)) {
    std::memcpy(range.mapped() + offset, bytes.data(), bytes.size());
    return {};
  }
  while (!bytes.empty()) {
    uint64_t size = 0;
    TT_ASSIGN(const uint64_t place, reserve(bytes.size(), size));
    std::memcpy(ring_.mapped() + place, bytes.data(), size);
    TT_TRY(open_batch());
    order_copy(range.address() + offset, size);
    const VkBufferCopy copy{ring_.offset + place, range.offset + offset, size};
    queue_.call().vkCmdCopyBuffer(batch_, ring_.block->buffer, range.block->buffer, 1, &copy);
    // Large writes go out at once, so that the device copies while the next chunk is filled.
    if (size == kChunkBytes) {
      TT_ASSIGN([[maybe_unused]] const uint64_t submission, submit());
    }
    bytes = bytes.subspan(size);
    offset += size;
  }
  return {};
}

Result<uint64_t> Transfer::read(const Range& range, uint64_t offset, std::span<std::byte> out) {
  TT_ASSIGN([[maybe_unused]] const uint64_t done, queue_.refresh());
  deliver();
  if (out.empty()) return queue_.submitted();
  if (host_may_touch(range)) {
    std::memcpy(out.data(), range.mapped() + offset, out.size());
    return queue_.submitted();
  }
  TT_ASSIGN(const Range staging, memory_.allocate(out.size(), MemoryKind::download));
  const auto started = [&]() -> Result<uint64_t> {
    TT_ASSIGN(const VkCommandBuffer commands, batch());
    const VkBufferCopy copy{range.offset + offset, staging.offset, out.size()};
    queue_.call().vkCmdCopyBuffer(commands, range.block->buffer, staging.block->buffer, 1, &copy);
    queue_.full_barrier(commands);
    return submit();
  }();
  if (!started) {
    memory_.release(staging);
    return started.error();
  }
  reads_.push_back({*started, staging, out});
  return *started;
}

void Transfer::deliver() {
  while (!reads_.empty() && reads_.front().submission <= queue_.completed()) {
    const PendingRead& read = reads_.front();
    std::memcpy(read.out.data(), read.staging.mapped(), read.out.size());
    memory_.release(read.staging);
    reads_.pop_front();
  }
}

}  // namespace tattletale::vulkan
