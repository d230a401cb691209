// Commands of the Vulkan device: writes, reads, submissions, recorded lists.
#include <cstring>

#include "backends/vulkan/vulkan_program_device.h"

namespace tattletale::vulkan {

Result<VulkanProgramDevice::Buffer*> VulkanProgramDevice::find(BufferId buffer) {
  const auto place = buffers_.find(static_cast<uint32_t>(buffer));
  if (place != buffers_.end()) return &place->second;
  return make_error(ErrorKind::invalid_argument, "Vulkan",
                    "there is no buffer " + std::to_string(static_cast<uint32_t>(buffer)));
}

namespace {

Result<void> inside(uint64_t offset, uint64_t size, uint64_t buffer_bytes, const std::string& label) {
  if (offset <= buffer_bytes && size <= buffer_bytes - offset) return {};
  return make_error(ErrorKind::invalid_argument, "buffer \"" + label + "\"",
                    "bytes " + std::to_string(offset) + " + " + std::to_string(size) + " of " +
                        std::to_string(buffer_bytes));
}

}  // namespace

Result<void> VulkanProgramDevice::write(BufferId buffer, uint64_t offset_bytes,
                                        std::span<const std::byte> bytes) {
  TT_ASSIGN(const Buffer* target, find(buffer));
  TT_TRY(inside(offset_bytes, bytes.size(), target->size_bytes, target->label));
  return transfer_->write(target->range, offset_bytes, bytes);
}

Result<Submission> VulkanProgramDevice::read(BufferSlice source, std::span<std::byte> out) {
  TT_ASSIGN(const Buffer* from, find(source.buffer));
  TT_TRY(inside(source.offset_bytes, source.size_bytes, from->size_bytes, from->label));
  if (out.size() != source.size_bytes) {
    return make_error(ErrorKind::invalid_argument, "buffer \"" + from->label + "\"",
                      std::to_string(source.size_bytes) + " bytes read into " + std::to_string(out.size()));
  }
  TT_ASSIGN(const uint64_t submission, transfer_->read(from->range, source.offset_bytes, out));
  return Submission{submission};
}

Result<void> VulkanProgramDevice::check_slice(const Program& program, const BufferSlice& slice,
                                              uint32_t binding) {
  if (slice.buffer == BufferId::none) return {};
  TT_ASSIGN(const Buffer* buffer, find(slice.buffer));
  TT_TRY(inside(slice.offset_bytes, slice.size_bytes, buffer->size_bytes, buffer->label));
  if (slice.offset_bytes % device_.caps.offset_alignment_bytes == 0) return {};
  return make_error(ErrorKind::invalid_argument, "kernel " + program.name,
                    "binding " + std::to_string(binding) + " starts at byte " +
                        std::to_string(slice.offset_bytes) + ", not a multiple of " +
                        std::to_string(device_.caps.offset_alignment_bytes));
}

/// The program of a dispatch that may be encoded.
Result<const VulkanProgramDevice::Program*> VulkanProgramDevice::check(const Dispatch& dispatch) {
  const auto place = programs_.find(static_cast<uint32_t>(dispatch.kernel));
  if (place == programs_.end()) {
    return make_error(ErrorKind::invalid_argument, "Vulkan",
                      "there is no kernel " + std::to_string(static_cast<uint32_t>(dispatch.kernel)));
  }
  const Program& program = place->second;
  const auto refuse = [&](std::string what) {
    return make_error(ErrorKind::invalid_argument, "kernel " + program.name, std::move(what));
  };
  if (dispatch.num_bindings != program.num_bindings) {
    return refuse("has " + std::to_string(program.num_bindings) + " bindings, the dispatch " +
                  std::to_string(dispatch.num_bindings));
  }
  // A kernel that ignores the last fields of its parameters has fewer words than the struct.
  if (dispatch.params_bytes < program.params_bytes) {
    return refuse("takes " + std::to_string(program.params_bytes) +
                  " bytes of parameters, the dispatch has " + std::to_string(dispatch.params_bytes));
  }
  for (uint32_t i = 0; i < program.num_bindings; ++i) TT_TRY(check_slice(program, dispatch.bindings[i], i));
  for (uint32_t axis = 0; axis < 3; ++axis) {
    if (dispatch.workgroups[axis] > device_.max_workgroups[axis]) {
      return refuse(std::to_string(dispatch.workgroups[axis]) + " workgroups along axis " +
                    std::to_string(axis) + ", the device allows " +
                    std::to_string(device_.max_workgroups[axis]));
    }
  }
  return &program;
}

Result<void> VulkanProgramDevice::check(const CommandList& list) {
  for (const Dispatch& dispatch : list.dispatches()) {
    TT_ASSIGN([[maybe_unused]] const Program* program, check(dispatch));
  }
  return {};
}

/// Bindings' addresses, then the parameters; an absent binding has address 0.
void VulkanProgramDevice::encode(VkCommandBuffer commands, const Program& program, const Dispatch& dispatch) {
  std::array<std::byte, 128> constants;
  size_t size = 0;
  for (uint32_t i = 0; i < program.num_bindings; ++i) {
    const BufferSlice& slice = dispatch.bindings[i];
    VkDeviceAddress address = 0;
    if (slice.buffer != BufferId::none) {
      address =
          buffers_.find(static_cast<uint32_t>(slice.buffer))->second.range.address() + slice.offset_bytes;
    }
    std::memcpy(constants.data() + size, &address, sizeof(address));
    size += sizeof(address);
  }
  std::memcpy(constants.data() + size, dispatch.params.data(), program.params_bytes);
  size += program.params_bytes;
  const DeviceFunctions& call = queue_->call();
  if (size > 0) {
    call.vkCmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<uint32_t>(size),
                            constants.data());
  }
  call.vkCmdDispatch(commands, dispatch.workgroups[0], dispatch.workgroups[1], dispatch.workgroups[2]);
}

/// Encodes a checked list, with a barrier only where a dispatch depends on an earlier one.
void VulkanProgramDevice::encode(VkCommandBuffer commands, const CommandList& list) {
  const DeviceFunctions& call = queue_->call();
  Dependencies dependencies;
  VkPipeline bound = VK_NULL_HANDLE;
  for (const Dispatch& dispatch : list.dispatches()) {
    const Program& program = programs_.find(static_cast<uint32_t>(dispatch.kernel))->second;
    if (dispatch.workgroups[0] == 0 || dispatch.workgroups[1] == 0 || dispatch.workgroups[2] == 0) continue;
    std::array<Touched, kMaxBindings> touched;
    size_t count = 0;
    for (uint32_t i = 0; i < program.num_bindings; ++i) {
      const BufferSlice& slice = dispatch.bindings[i];
      if (slice.buffer == BufferId::none) continue;
      const Range& range = buffers_.find(static_cast<uint32_t>(slice.buffer))->second.range;
      const uint64_t first = range.address() + slice.offset_bytes;
      // A slice without a size may be touched up to the buffer's end.
      const uint64_t end =
          slice.size_bytes > 0 ? first + slice.size_bytes : range.address() + range.size_bytes;
      touched[count++] = {first, end, (program.writes_mask >> i & 1) != 0};
    }
    if (dependencies.add({touched.data(), count})) {
      VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
      barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
      barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
      call.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
    }
    if (program.pipeline != bound) {
      call.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, program.pipeline);
      bound = program.pipeline;
    }
    encode(commands, program, dispatch);
  }
}

Result<Submission> VulkanProgramDevice::submit(const CommandList& list) {
  TT_TRY(refresh());
  TT_TRY(check(list));
  TT_ASSIGN(const VkCommandBuffer commands, transfer_->batch());
  encode(commands, list);
  TT_ASSIGN(const uint64_t submission, transfer_->submit());
  return Submission{submission};
}

Result<ListId> VulkanProgramDevice::record(const CommandList& list) {
  TT_TRY(check(list));
  TT_ASSIGN(const VkCommandBuffer commands, queue_->begin(/*once=*/false));
  encode(commands, list);
  if (auto ended = queue_->end(commands); !ended) {
    queue_->free(commands);
    return ended.take_error();
  }
  const uint32_t id = next_id_++;
  lists_[id] = commands;
  return ListId{id};
}

Result<Submission> VulkanProgramDevice::submit(ListId list) {
  TT_TRY(refresh());
  const auto place = lists_.find(static_cast<uint32_t>(list));
  if (place == lists_.end()) {
    return make_error(ErrorKind::invalid_argument, "Vulkan",
                      "there is no list " + std::to_string(static_cast<uint32_t>(list)));
  }
  TT_ASSIGN(const uint64_t submission, transfer_->submit(place->second));
  return Submission{submission};
}

Result<bool> VulkanProgramDevice::poll(Submission submission) {
  TT_TRY(refresh());
  return static_cast<uint64_t>(submission) <= queue_->completed();
}

Result<void> VulkanProgramDevice::wait(Submission submission) {
  if (static_cast<uint64_t>(submission) > queue_->submitted()) {
    return make_error(ErrorKind::invalid_argument, "Vulkan", "waits for work that was never submitted");
  }
  TT_TRY(queue_->wait(static_cast<uint64_t>(submission)));
  return refresh();
}

}  // namespace tattletale::vulkan
