// Page-locked host memory between the caller's bytes and the device: only from and to such memory do copies
// run beside the host. Writes go through a ring, reads through blocks that are emptied when their copy has
// finished.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "backends/cuda/cuda_api.h"
#include "backends/cuda/timeline.h"

namespace tattletale::cuda {

class PinnedMemory {
 public:
  static Result<PinnedMemory> allocate(const CudaApi& api, size_t size_bytes);
  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_.get()), size_bytes_}; }

 private:
  struct Free {
    const CudaApi* api;
    void operator()(void* memory) const { api->host_free(memory); }
  };
  PinnedMemory(const CudaApi& api, void* memory, size_t size_bytes)
      : memory_(memory, Free{&api}), size_bytes_(size_bytes) {}

  std::unique_ptr<void, Free> memory_;
  size_t size_bytes_;
};

/// Copies host bytes to the device in stream order and returns as soon as the caller's bytes are free again.
/// Small writes share a segment and cost one copy into the ring each; large ones fill segment after segment
/// while the device still reads the one before.
class WriteRing {
 public:
  static constexpr size_t kSegmentBytes = size_t{8} << 20;
  static constexpr size_t kNumSegments = 4;

  WriteRing(const CudaApi& api, CUstream stream) : api_(api), stream_(stream) {}
  ~WriteRing();
  WriteRing(const WriteRing&) = delete;

  /// Waits only where the ring is full of copies that have not run yet.
  Result<void> write(CUdeviceptr to, std::span<const std::byte> bytes);

 private:
  struct Segment {
    PinnedMemory memory;
    CUevent copied = nullptr;
    bool in_use = false;  // `copied` is recorded behind the copies from here
  };
  Result<void> next_segment();

  const CudaApi& api_;
  CUstream stream_;
  std::vector<Segment> segments_;  // allocated when first needed
  size_t current_ = 0;
  size_t used_bytes_ = 0;
};

/// Copies device bytes to the host in stream order; they arrive at the caller's memory in deliver().
class ReadBlocks {
 public:
  /// Larger reads are handed to the driver, which waits for them.
  static constexpr size_t kMaxBlockBytes = size_t{64} << 20;

  ReadBlocks(const CudaApi& api, CUstream stream) : api_(api), stream_(stream) {}

  Result<Submission> read(CUdeviceptr from, std::span<std::byte> out, Timeline& timeline);
  /// Fills the `out` of every read that is behind no later milestone than `passed`.
  void deliver(Submission passed);

 private:
  struct Pending {
    Submission after;
    PinnedMemory block;
    std::span<std::byte> out;
  };
  Result<PinnedMemory> take_block(size_t size_bytes);

  const CudaApi& api_;
  CUstream stream_;
  std::vector<Pending> pending_;  // in order
  std::vector<PinnedMemory> unused_;
};

}  // namespace tattletale::cuda
