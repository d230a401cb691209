#include "backends/cuda/staging.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <thread>

namespace tattletale::cuda {
namespace {

/// One thread copies at about a quarter of what the bus takes, and faults in mapped files one page at a time.
void copy_in_parallel(std::byte* to, const std::byte* from, size_t size_bytes) {
  constexpr size_t kWorthAThread = size_t{1} << 20;
  const size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const size_t threads = std::min({size_bytes / kWorthAThread, processors / 2, size_t{4}});
  const size_t part = threads > 1 ? (size_bytes / threads + 4095) / 4096 * 4096 : size_bytes;
  std::vector<std::jthread> others;
  for (size_t begin = part; begin < size_bytes; begin += part) {
    const size_t size = std::min(part, size_bytes - begin);
    others.emplace_back([=] { std::memcpy(to + begin, from + begin, size); });
  }
  std::memcpy(to, from, std::min(part, size_bytes));
}

}  // namespace

Result<PinnedMemory> PinnedMemory::allocate(const CudaApi& api, size_t size_bytes) {
  void* memory = nullptr;
  if (const CUresult result = api.host_allocate(&memory, size_bytes, 0); result != kSuccess) {
    return api.error(result, "cuda",
                     "cuMemHostAlloc of " + std::to_string(size_bytes) + " bytes of host memory");
  }
  return PinnedMemory(api, memory, size_bytes);
}

WriteRing::~WriteRing() {
  for (const Segment& segment : segments_) api_.event_destroy(segment.copied);
}

Result<void> WriteRing::next_segment() {
  if (!segments_.empty()) {
    Segment& full = segments_[current_];
    if (const CUresult result = api_.event_record(full.copied, stream_); result != kSuccess) {
      return api_.error(result, "cuda", "cuEventRecord");
    }
    full.in_use = true;
  }
  if (segments_.size() < kNumSegments) {
    TT_ASSIGN(PinnedMemory memory, PinnedMemory::allocate(api_, kSegmentBytes));
    CUevent event = nullptr;
    if (const CUresult result = api_.event_create(&event, kEventDisableTiming); result != kSuccess) {
      return api_.error(result, "cuda", "cuEventCreate");
    }
    segments_.push_back(Segment{std::move(memory), event});
    current_ = segments_.size() - 1;
  } else {
    current_ = (current_ + 1) % kNumSegments;
    Segment& oldest = segments_[current_];
    if (oldest.in_use) {
      if (const CUresult result = api_.event_synchronize(oldest.copied); result != kSuccess) {
        return api_.error(result, "cuda", "copies to the device");
      }
      oldest.in_use = false;
    }
  }
  used_bytes_ = 0;
  return {};
}

Result<void> WriteRing::write(CUdeviceptr to, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (segments_.empty() || used_bytes_ == kSegmentBytes) TT_TRY(next_segment());
    const size_t size = std::min(bytes.size(), kSegmentBytes - used_bytes_);
    std::byte* staged = segments_[current_].memory.bytes().data() + used_bytes_;
    copy_in_parallel(staged, bytes.data(), size);
    if (const CUresult result = api_.copy_to_device(to, staged, size, stream_); result != kSuccess) {
      return api_.error(result, "cuda", "cuMemcpyHtoDAsync");
    }
    used_bytes_ = std::min(kSegmentBytes, (used_bytes_ + size + 15) / 16 * 16);
    to += size;
    bytes = bytes.subspan(size);
  }
  return {};
}

Result<PinnedMemory> ReadBlocks::take_block(size_t size_bytes) {
  const auto fits = std::ranges::find_if(
      unused_, [&](const PinnedMemory& block) { return block.bytes().size() >= size_bytes; });
  if (fits != unused_.end()) {
    PinnedMemory block = std::move(*fits);
    unused_.erase(fits);
    return block;
  }
  return PinnedMemory::allocate(api_, std::bit_ceil(std::max(size_bytes, size_t{1} << 16)));
}

Result<Submission> ReadBlocks::read(CUdeviceptr from, std::span<std::byte> out, Timeline& timeline) {
  if (out.empty()) return timeline.mark();
  const auto copy = [&](void* to) -> Result<Submission> {
    if (const CUresult result = api_.copy_to_host(to, from, out.size(), stream_); result != kSuccess) {
      return api_.error(result, "cuda", "cuMemcpyDtoHAsync");
    }
    return timeline.mark();
  };
  if (out.size() > kMaxBlockBytes) return copy(out.data());
  TT_ASSIGN(PinnedMemory block, take_block(out.size()));
  auto submission = copy(block.bytes().data());
  // Where there is no milestone the copy may yet run: then the block stays away for good.
  pending_.push_back(Pending{submission ? *submission : Submission{UINT64_MAX}, std::move(block), out});
  return submission;
}

void ReadBlocks::deliver(Submission passed) {
  size_t count = 0;
  while (count < pending_.size() && pending_[count].after <= passed) {
    Pending& read = pending_[count++];
    std::memcpy(read.out.data(), read.block.bytes().data(), read.out.size());
    unused_.push_back(std::move(read.block));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace tattletale::cuda
