#include "backends/vulkan/vulkan_memory.h"

#include <algorithm>

#include "base/check.h"

namespace tattletale::vulkan {
namespace {

constexpr uint64_t kSharedBlockBytes = 16u << 20;
constexpr uint64_t kLargestShared = 1u << 20;  // larger ranges get a block of their own

uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::string mebibytes(uint64_t bytes) {
  return std::to_string(bytes) + " bytes (" + std::to_string(bytes >> 20) + " MiB)";
}

}  // namespace

Memory::Memory(Queue& queue, const PhysicalDevice& device) : queue_(queue), device_(device) {}

Memory::~Memory() {
  for (auto& blocks : blocks_) {
    for (auto& block : blocks) destroy(*block);
  }
}

Error Memory::out_of_memory(uint64_t size_bytes, std::string_view why) const {
  return make_error(ErrorKind::out_of_memory, device_.caps.name,
                    "no " + mebibytes(size_bytes) + " of memory: " + std::string(why) + "; " +
                        mebibytes(reserved_bytes_) + " are in use, the device has " +
                        mebibytes(device_.memory_bytes) + ", one buffer may have " +
                        mebibytes(device_.caps.max_buffer_bytes));
}

Result<Range> Memory::allocate(uint64_t size_bytes, MemoryKind kind) {
  if (size_bytes > device_.caps.max_buffer_bytes) {
    return out_of_memory(size_bytes, "more than one buffer holds");
  }
  // Room for a 16-byte load that starts at the last element.
  const uint64_t size = round_up(std::max<uint64_t>(size_bytes, 1), kRangeAlignment);
  auto& blocks = blocks_[static_cast<size_t>(kind)];
  if (size > kLargestShared) {
    TT_ASSIGN(Block * block, new_block(size, kind));
    return Range{block, 0, size};
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (auto& block : blocks) {
      if (!block->shared) continue;
      const auto place = std::ranges::find_if(block->free, [&](const auto& f) { return f.second >= size; });
      if (place == block->free.end()) continue;
      const auto [offset, available] = *place;
      block->free.erase(place);
      if (available > size) block->free.emplace(offset + size, available - size);
      return Range{block.get(), offset, size};
    }
    if (attempt == 1) break;
    TT_ASSIGN(Block * block, new_block(kSharedBlockBytes, kind));
    block->shared = true;
    block->free.emplace(0, kSharedBlockBytes);
  }
  CHECK(false);
}

void Memory::release(const Range& range) {
  Block* block = range.block;
  if (!block->shared) {
    for (auto& blocks : blocks_) {
      const auto place = std::ranges::find(blocks, block, &std::unique_ptr<Block>::get);
      if (place == blocks.end()) continue;
      reserved_bytes_ -= block->size_bytes;
      destroy(*block);
      blocks.erase(place);
      return;
    }
    CHECK(false);
  }
  uint64_t offset = range.offset;
  uint64_t size = range.size_bytes;
  const auto after = block->free.lower_bound(offset);
  if (after != block->free.begin()) {
    const auto before = std::prev(after);
    CHECK(before->first + before->second <= offset);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      block->free.erase(before);
    }
  }
  if (after != block->free.end() && after->first == range.offset + range.size_bytes) {
    size += after->second;
    block->free.erase(after);
  }
  block->free.emplace(offset, size);
}

Result<Block*> Memory::new_block(uint64_t size_bytes, MemoryKind kind) {
  auto block = std::make_unique<Block>();
  block->size_bytes = size_bytes;
  if (auto filled = fill_block(*block, kind); !filled) {
    destroy(*block);
    return filled.take_error();
  }
  reserved_bytes_ += size_bytes;
  auto& blocks = blocks_[static_cast<size_t>(kind)];
  blocks.push_back(std::move(block));
  return blocks.back().get();
}

Result<void> Memory::fill_block(Block& block, MemoryKind kind) {
  const DeviceFunctions& call = queue_.call();
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = block.size_bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  if (VkResult r = call.vkCreateBuffer(queue_.device(), &info, nullptr, &block.buffer); r != VK_SUCCESS) {
    return out_of_memory(block.size_bytes, "vkCreateBuffer: " + result_name(r));
  }
  VkMemoryRequirements needs;
  call.vkGetBufferMemoryRequirements(queue_.device(), block.buffer, &needs);
  const auto type = memory_type(needs.memoryTypeBits, kind);
  if (!type) return out_of_memory(block.size_bytes, "no fitting memory type");
  VkMemoryAllocateFlagsInfo flags{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo allocation{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  allocation.pNext = &flags;
  allocation.allocationSize = needs.size;
  allocation.memoryTypeIndex = *type;
  if (VkResult r = call.vkAllocateMemory(queue_.device(), &allocation, nullptr, &block.memory);
      r != VK_SUCCESS) {
    if (r == VK_ERROR_DEVICE_LOST) return queue_.failed(r, "vkAllocateMemory");
    return out_of_memory(block.size_bytes, "vkAllocateMemory: " + result_name(r));
  }
  if (VkResult r = call.vkBindBufferMemory(queue_.device(), block.buffer, block.memory, 0); r != VK_SUCCESS) {
    return queue_.failed(r, "vkBindBufferMemory");
  }
  VkBufferDeviceAddressInfo address{VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO};
  address.buffer = block.buffer;
  block.address = call.vkGetBufferDeviceAddress(queue_.device(), &address);
  const VkMemoryPropertyFlags properties = device_.memory.memoryTypes[*type].propertyFlags;
  block.cached = (properties & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  // Device memory is mapped only where it is the host's own, cached memory.
  if (kind == MemoryKind::device && !block.cached) return {};
  void* mapped = nullptr;
  if (VkResult r = call.vkMapMemory(queue_.device(), block.memory, 0, VK_WHOLE_SIZE, 0, &mapped);
      r != VK_SUCCESS) {
    return queue_.failed(r, "vkMapMemory");
  }
  block.mapped = static_cast<std::byte*>(mapped);
  return {};
}

/// The first type with all wanted properties, else the first with the necessary ones.
std::optional<uint32_t> Memory::memory_type(uint32_t allowed, MemoryKind kind) const {
  constexpr VkMemoryPropertyFlags kHost =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkMemoryPropertyFlags kDevice = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  const auto find = [&](VkMemoryPropertyFlags flags) -> std::optional<uint32_t> {
    for (uint32_t i = 0; i < device_.memory.memoryTypeCount; ++i) {
      const VkMemoryPropertyFlags have = device_.memory.memoryTypes[i].propertyFlags;
      if ((allowed >> i & 1) != 0 && (have & flags) == flags) return i;
    }
    return std::nullopt;
  };
  const auto first_of = [&](std::initializer_list<VkMemoryPropertyFlags> wishes) {
    std::optional<uint32_t> type;
    for (auto wish = wishes.begin(); wish != wishes.end() && !type; ++wish) type = find(*wish);
    return type;
  };
  switch (kind) {
    case MemoryKind::device:
      if (device_.target.is_cpu) return first_of({kDevice | kHost | kCached, kDevice});
      return first_of({kDevice});
    case MemoryKind::upload: return first_of({kHost});
    case MemoryKind::download: return first_of({kHost | kCached, kHost});
  }
  return std::nullopt;
}

void Memory::destroy(Block& block) {
  const DeviceFunctions& call = queue_.call();
  if (block.buffer != VK_NULL_HANDLE) call.vkDestroyBuffer(queue_.device(), block.buffer, nullptr);
  if (block.memory != VK_NULL_HANDLE) call.vkFreeMemory(queue_.device(), block.memory, nullptr);
}

}  // namespace tattletale::vulkan
