// Host memory that the device copies from and to by itself. A write is put into a ring and its copy enqueued,
// so the caller goes on at once and may reuse its bytes; a read lands in a ring and is moved on when it is
// done. Ring memory is pinned where the device is not the CPU. Knows nothing of submissions; waits only when
// full.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/opencl/opencl_api.h"

namespace tattletale::opencl {

/// A block of host memory, pinned when it comes from the driver.
class HostBlock {
 public:
  /// Status of the driver when it has no such memory.
  static std::expected<HostBlock, cl_int> make(const OpenclApi& api, cl_context context,
                                               cl_command_queue queue, size_t size_bytes, bool pinned);
  std::byte* data() const { return data_; }

 private:
  struct Unmap {
    const OpenclApi* api;
    cl_command_queue queue;
    cl_mem buffer;
    void operator()(std::byte* mapped) const;
  };
  Handle<cl_mem> buffer_;
  std::unique_ptr<std::byte, Unmap> mapped_;
  std::unique_ptr<std::byte[]> heap_;
  std::byte* data_ = nullptr;
};

/// Writes from host to device: slots filled one after the other, each free again when its last copy is done.
class WriteRing {
 public:
  static constexpr size_t kSlotBytes = 2u << 20;
  static constexpr size_t kNumSlots = 8;

  WriteRing(const OpenclApi& api, cl_context context, cl_command_queue queue, bool pinned)
      : api_(api), context_(context), queue_(queue), pinned_(pinned) {}

  /// Enqueues copies of `bytes` to `buffer`; the bytes are free again on return. Larger writes go in pieces
  /// of a slot, filling one while another is on its way. Gives the status of the call that failed.
  cl_int write(cl_mem buffer, uint64_t offset_bytes, std::span<const std::byte> bytes);

 private:
  struct Slot {
    Handle<cl_event> last_copy;
  };
  cl_int write_piece(cl_mem buffer, uint64_t offset_bytes, std::span<const std::byte> bytes);

  const OpenclApi& api_;
  cl_context context_;
  cl_command_queue queue_;
  bool pinned_;
  std::optional<HostBlock> block_;  // made by the first write
  std::array<Slot, kNumSlots> slots_;
  size_t slot_ = 0;
  size_t used_bytes_ = 0;  // of the current slot
};

/// Where reads land: a circular buffer whose pieces are given back in the order they were taken.
class ReadRing {
 public:
  static constexpr size_t kBytes = 8u << 20;

  ReadRing(const OpenclApi& api, cl_context context, cl_command_queue queue)
      : api_(api), context_(context), queue_(queue) {}

  /// `size_bytes` of pinned memory, or nullptr when there is no room: read without it then.
  std::byte* take(size_t size_bytes);
  /// Gives the oldest piece back.
  void release_oldest();
  /// Takes the newest piece back, of a read that could not be enqueued.
  void release_newest() { pieces_.pop_back(); }

 private:
  struct Piece {
    size_t begin = 0;
    size_t end = 0;
  };
  const OpenclApi& api_;
  cl_context context_;
  cl_command_queue queue_;
  std::optional<HostBlock> block_;
  bool unavailable_ = false;
  std::vector<Piece> pieces_;  // oldest first; few at a time
};

}  // namespace tattletale::opencl
