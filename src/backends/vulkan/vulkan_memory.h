// Device memory: small ranges out of shared blocks, large ones in blocks of their own. With buffer device
// addresses a range needs no buffer object of its own, so thousands of tensors cost no allocation each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "backends/vulkan/vulkan_queue.h"

namespace tattletale::vulkan {

struct Block {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkDeviceAddress address = 0;
  std::byte* mapped = nullptr;  // host-coherent view; null when the host cannot see it
  bool cached = false;          // mapped, and fast for the host to read
  uint64_t size_bytes = 0;
  bool shared = false;                  // holds many ranges
  std::map<uint64_t, uint64_t> free{};  // offset -> size; shared blocks only
};

/// Bytes of one block, from `offset`. A multiple of 16 bytes long, aligned to kRangeAlignment.
struct Range {
  Block* block = nullptr;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;

  VkDeviceAddress address() const { return block->address + offset; }
  std::byte* mapped() const { return block->mapped == nullptr ? nullptr : block->mapped + offset; }
};

enum class MemoryKind : uint8_t {
  device,    // where kernels work
  upload,    // written by the host
  download,  // read by the host
};

inline constexpr uint64_t kRangeAlignment = 256;

class Memory {
 public:
  Memory(Queue& queue, const PhysicalDevice& device);
  ~Memory();
  Memory(const Memory&) = delete;

  /// Errors: out_of_memory naming the size asked for and what is in use.
  Result<Range> allocate(uint64_t size_bytes, MemoryKind kind);
  /// The caller has seen all work on the range finish.
  void release(const Range& range);

  uint64_t reserved_bytes() const { return reserved_bytes_; }

 private:
  Result<Block*> new_block(uint64_t size_bytes, MemoryKind kind);
  Result<void> fill_block(Block& block, MemoryKind kind);
  void destroy(Block& block);
  std::optional<uint32_t> memory_type(uint32_t allowed, MemoryKind kind) const;
  Error out_of_memory(uint64_t size_bytes, std::string_view why) const;

  Queue& queue_;
  const PhysicalDevice& device_;
  std::vector<std::unique_ptr<Block>> blocks_[3];  // by MemoryKind
  uint64_t reserved_bytes_ = 0;
};

}  // namespace tattletale::vulkan
