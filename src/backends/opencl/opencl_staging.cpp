// See opencl_staging.h.
#include "backends/opencl/opencl_staging.h"

#include <algorithm>
#include <cstring>

namespace tattletale::opencl {
namespace {

constexpr size_t kPieceAlignment = 64;  // a cache line

size_t aligned(size_t bytes) {
  return (bytes + kPieceAlignment - 1) / kPieceAlignment * kPieceAlignment;
}

}  // namespace

void HostBlock::Unmap::operator()(std::byte* mapped) const {
  api->EnqueueUnmapMemObject(queue, buffer, mapped, 0, nullptr, nullptr);
}

std::expected<HostBlock, cl_int> HostBlock::make(const OpenclApi& api, cl_context context,
                                                 cl_command_queue queue, size_t size_bytes, bool pinned) {
  HostBlock block;
  if (!pinned) {
    block.heap_ = std::make_unique_for_overwrite<std::byte[]>(size_bytes);
    block.data_ = block.heap_.get();
    return block;
  }
  // Memory that the driver allocates and maps is pinned with every vendor whose manual speaks of it.
  cl_int status = CL_SUCCESS;
  block.buffer_ = {api, api.CreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size_bytes,
                                         nullptr, &status)};
  if (status != CL_SUCCESS) return std::unexpected(status);
  void* mapped = api.EnqueueMapBuffer(queue, block.buffer_.get(), CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                      size_bytes, 0, nullptr, nullptr, &status);
  if (status != CL_SUCCESS) return std::unexpected(status);
  block.data_ = static_cast<std::byte*>(mapped);
  block.mapped_ = {block.data_, Unmap{&api, queue, block.buffer_.get()}};
  return block;
}

cl_int WriteRing::write(cl_mem buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) {
  if (!pinned_ && bytes.size() > kSlotBytes) {
    // The device's memory is the host's: one copy is better than two.
    return api_.EnqueueWriteBuffer(queue_, buffer, CL_TRUE, offset_bytes, bytes.size(), bytes.data(), 0,
                                   nullptr, nullptr);
  }
  if (!block_) {
    auto block = HostBlock::make(api_, context_, queue_, kNumSlots * kSlotBytes, pinned_);
    if (!block) return block.error();
    block_ = std::move(*block);
  }
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kSlotBytes));
    if (const cl_int status = write_piece(buffer, offset_bytes, piece); status != CL_SUCCESS) return status;
    offset_bytes += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return CL_SUCCESS;
}

cl_int WriteRing::write_piece(cl_mem buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) {
  if (used_bytes_ + bytes.size() > kSlotBytes) {
    slot_ = (slot_ + 1) % kNumSlots;
    used_bytes_ = 0;
    // Start what is enqueued, so that the copies of a large write run beside the filling of the next slot.
    if (const cl_int status = api_.Flush(queue_); status != CL_SUCCESS) return status;
    if (slots_[slot_].last_copy) {
      const cl_event event = slots_[slot_].last_copy.get();
      if (const cl_int status = api_.WaitForEvents(1, &event); status != CL_SUCCESS) return status;
      slots_[slot_].last_copy.reset();
    }
  }
  std::byte* place = block_->data() + slot_ * kSlotBytes + used_bytes_;
  std::memcpy(place, bytes.data(), bytes.size());
  cl_event event = nullptr;
  const cl_int status = api_.EnqueueWriteBuffer(queue_, buffer, CL_FALSE, offset_bytes, bytes.size(), place,
                                                0, nullptr, &event);
  if (status != CL_SUCCESS) return status;
  slots_[slot_].last_copy = {api_, event};
  used_bytes_ = std::min(kSlotBytes, used_bytes_ + aligned(bytes.size()));
  return CL_SUCCESS;
}

std::byte* ReadRing::take(size_t size_bytes) {
  size_bytes = aligned(size_bytes);
  if (unavailable_ || size_bytes > kBytes) return nullptr;
  if (!block_) {
    auto block = HostBlock::make(api_, context_, queue_, kBytes, true);
    if (!block) {
      unavailable_ = true;  // reads still work, only not by themselves
      return nullptr;
    }
    block_ = std::move(*block);
  }
  size_t begin = 0;
  if (!pieces_.empty()) {
    const size_t oldest = pieces_.front().begin;
    const size_t newest = pieces_.back().end;
    const bool wrapped = pieces_.back().begin < oldest;
    if (!wrapped && newest + size_bytes <= kBytes) {
      begin = newest;
    } else if (!wrapped && size_bytes <= oldest) {
      begin = 0;
    } else if (wrapped && newest + size_bytes <= oldest) {
      begin = newest;
    } else {
      return nullptr;
    }
  }
  pieces_.push_back({begin, begin + size_bytes});
  return block_->data() + begin;
}

void ReadRing::release_oldest() {
  pieces_.erase(pieces_.begin());
}

}  // namespace tattletale::opencl
