// Buffers, writes, reads and the completion of submissions of WebgpuProgramDevice.
#include <algorithm>
#include <cstring>

#include "backends/webgpu/webgpu_program_device.h"
#include "ir/lang.h"

namespace tattletale::webgpu {
namespace {

constexpr uint64_t kWriteChunkBytes = 16u << 20;
constexpr uint64_t kMaxUnflushedBytes =
    64u << 20;  // the library keeps a copy of writes until the next submission
constexpr uint64_t kReadChunkBytes = 64u << 20;
constexpr size_t kMaxFreeStaging = 16;

uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::string mebibytes(uint64_t bytes) {
  return std::to_string(bytes) + " bytes (" + std::to_string(bytes >> 20) + " MiB)";
}

}  // namespace

Result<WebgpuProgramDevice::BufferRef> WebgpuProgramDevice::make_buffer(uint64_t size, api::Flags usage,
                                                                        std::string_view label) {
  if (context_->lost()) return *context_->take_failure();
  const api::BufferDescriptor descriptor{.label = {label.data(), label.size()},
                                         .usage = usage,
                                         .size = round_up(std::max<uint64_t>(size, 16), 16)};
  api::Buffer handle = nullptr;
  const auto complaint = context_->complaint_of(
      [&] { handle = call_.DeviceCreateBuffer(context_->device(), &descriptor); }, caps_.name);
  if (complaint || handle == nullptr) {
    if (handle != nullptr) call_.BufferRelease(handle);
    return make_error(ErrorKind::out_of_memory, std::string(label),
                      "no buffer of " + mebibytes(size) + " on " + caps_.name + ", " +
                          mebibytes(allocated_bytes_) + " in use; a buffer may have " +
                          mebibytes(caps_.max_buffer_bytes) + (complaint ? ": " + complaint->what : ""));
  }
  const auto release = call_.BufferRelease;
  return BufferRef(handle, [release](api::Buffer buffer) { release(buffer); });
}

Result<BufferId> WebgpuProgramDevice::create_buffer(uint64_t size_bytes, std::string_view label) {
  if (size_bytes > caps_.max_buffer_bytes) {
    return make_error(ErrorKind::out_of_memory, std::string(label),
                      mebibytes(size_bytes) + " asked for, " + mebibytes(allocated_bytes_) +
                          " in use; a buffer of " + caps_.name + " may have " +
                          mebibytes(caps_.max_buffer_bytes));
  }
  BufferEntry entry{.size_bytes = size_bytes,
                    .padded_bytes = round_up(std::max<uint64_t>(size_bytes, 16), 16),
                    .label = std::string(label)};
  TT_ASSIGN(
      entry.handle,
      make_buffer(size_bytes, api::kBufferStorage | api::kBufferCopySource | api::kBufferCopyTarget, label));
  const uint32_t id = next_buffer_++;
  allocated_bytes_ += size_bytes;
  buffers_.emplace(id, std::move(entry));
  return BufferId{id};
}

/// The library keeps the memory for as long as submitted work uses it.
void WebgpuProgramDevice::destroy_buffer(BufferId buffer) {
  const auto found = buffers_.find(static_cast<uint32_t>(buffer));
  if (found == buffers_.end()) return;
  const auto handle = reinterpret_cast<uint64_t>(found->second.handle.get());
  std::erase_if(bind_groups_, [&](const auto& item) {
    for (size_t i = 1; i < item.first.size(); i += 3) {
      if (item.first[i] == handle) return true;
    }
    return false;
  });
  allocated_bytes_ -= found->second.size_bytes;
  buffers_.erase(found);
}

Result<const WebgpuProgramDevice::BufferEntry*> WebgpuProgramDevice::find_buffer(BufferId buffer,
                                                                                 const char* call) const {
  const auto found = buffers_.find(static_cast<uint32_t>(buffer));
  if (found == buffers_.end()) {
    return make_error(ErrorKind::invalid_argument, call,
                      "no buffer has the number " + std::to_string(static_cast<uint32_t>(buffer)));
  }
  return &found->second;
}

Result<void> WebgpuProgramDevice::write(BufferId buffer, uint64_t offset_bytes,
                                        std::span<const std::byte> bytes) {
  TT_ASSIGN(const BufferEntry* entry, find_buffer(buffer, "write"));
  if (offset_bytes > entry->size_bytes || bytes.size() > entry->size_bytes - offset_bytes) {
    return make_error(ErrorKind::invalid_argument, entry->label,
                      "write of " + std::to_string(bytes.size()) + " bytes at " +
                          std::to_string(offset_bytes) + " passes the end of " +
                          std::to_string(entry->size_bytes) + " bytes");
  }
  TT_TRY(failure());
  // WebGPU writes whole words. What is left at the ends goes through a kernel, so that neighbours stay.
  const uint64_t head = std::min<uint64_t>(bytes.size(), (4 - offset_bytes % 4) % 4);
  if (head != 0) TT_TRY(write_part_of_word(buffer, offset_bytes, bytes.first(head)));
  bytes = bytes.subspan(head);
  const uint64_t tail = bytes.size() % 4;
  TT_ASSIGN(entry, find_buffer(buffer, "write"));
  TT_TRY(write_words(*entry, offset_bytes + head, bytes.first(bytes.size() - tail)));
  if (tail == 0) return {};
  return write_part_of_word(buffer, offset_bytes + head + bytes.size() - tail, bytes.last(tail));
}

Result<void> WebgpuProgramDevice::write_words(const BufferEntry& entry, uint64_t offset,
                                              std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const uint64_t size = std::min<uint64_t>(bytes.size(), kWriteChunkBytes);
    call_.QueueWriteBuffer(context_->queue(), entry.handle.get(), offset, bytes.data(), size);
    offset += size;
    bytes = bytes.subspan(size);
    unflushed_bytes_ += size;
    if (unflushed_bytes_ >= kMaxUnflushedBytes) flush_writes();
  }
  return {};
}

/// Sends writes on their way and waits for earlier ones, so that loading weights holds few copies of them.
void WebgpuProgramDevice::flush_writes() {
  unflushed_bytes_ = 0;
  if (call_.QueueSubmitForIndex == nullptr) {
    call_.QueueSubmit(context_->queue(), 0, nullptr);
    context_->pump();
    return;
  }
  const uint64_t index = call_.QueueSubmitForIndex(context_->queue(), 0, nullptr);
  call_.DevicePoll(context_->device(), 1, &index);
}

/// word = (word & keep) | value, as a program: at most two for a write that begins or ends within a word.
Result<KernelId> WebgpuProgramDevice::merge_kernel() {
  if (merge_kernel_ != KernelId::none) return merge_kernel_;
  lang::KernelScope scope("write_part_of_word", std::max(1u, target_.subgroup_size), target_);
  const lang::Buffer buffer = scope.output("buffer");
  const lang::Val<uint32_t> word = scope.param<uint32_t>("word", 0), keep = scope.param<uint32_t>("keep", 1),
                            value = scope.param<uint32_t>("value", 2);
  $if (lang::local_id() == 0u) {
    buffer.store(word, (buffer.load<ir::Storage::u32>(word) & keep) | value);
  }
  TT_ASSIGN(const KernelBinary binary, compile(scope.finish()));
  TT_ASSIGN(merge_kernel_, load(binary));
  return merge_kernel_;
}

Result<void> WebgpuProgramDevice::write_part_of_word(BufferId buffer, uint64_t offset,
                                                     std::span<const std::byte> bytes) {
  TT_ASSIGN(const KernelId kernel, merge_kernel());
  TT_ASSIGN(const BufferEntry* entry, find_buffer(buffer, "write"));
  const uint64_t begin = offset / caps_.offset_alignment_bytes * caps_.offset_alignment_bytes;
  struct {
    uint32_t word = 0, keep = UINT32_MAX, value = 0;
  } params;
  params.word = static_cast<uint32_t>((offset - begin) / 4);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint32_t shift = 8 * static_cast<uint32_t>(offset % 4 + i);
    params.keep &= ~(0xffu << shift);
    params.value |= std::to_integer<uint32_t>(bytes[i]) << shift;
  }
  Dispatch dispatch{.kernel = kernel, .num_bindings = 1};
  dispatch.bindings[0] = {buffer, begin,
                          std::min<uint64_t>(entry->size_bytes - begin, round_up(offset - begin + 4, 16))};
  dispatch.set_params(params);
  CommandList list;
  list.dispatch(dispatch);
  TT_ASSIGN([[maybe_unused]] const Submission submission, submit(list));
  return {};
}

Result<WebgpuProgramDevice::BufferRef> WebgpuProgramDevice::take_staging(uint64_t size, uint64_t& made) {
  const auto fits = [&](const auto& item) {
    return item.first >= size && item.first <= 4 * std::max<uint64_t>(size, 4096);
  };
  if (const auto found = std::ranges::find_if(free_staging_, fits); found != free_staging_.end()) {
    BufferRef buffer = std::move(found->second);
    made = found->first;
    free_staging_.erase(found);
    return buffer;
  }
  made = round_up(std::max<uint64_t>(size, 4096), 4096);
  return make_buffer(made, api::kBufferMapRead | api::kBufferCopyTarget, "read staging");
}

Result<Submission> WebgpuProgramDevice::read(BufferSlice source, std::span<std::byte> out) {
  TT_ASSIGN(const BufferEntry* entry, find_buffer(source.buffer, "read"));
  if (source.offset_bytes > entry->size_bytes ||
      source.size_bytes > entry->size_bytes - source.offset_bytes || out.size() != source.size_bytes) {
    return make_error(ErrorKind::invalid_argument, entry->label,
                      "read of " + std::to_string(source.size_bytes) + " bytes at " +
                          std::to_string(source.offset_bytes) + " into " + std::to_string(out.size()) +
                          " bytes; the buffer has " + std::to_string(entry->size_bytes));
  }
  TT_TRY(failure());
  Submission last = Submission{next_submission_ - 1};
  for (uint64_t done = 0; done < out.size();) {
    const uint64_t size = std::min<uint64_t>(out.size() - done, kReadChunkBytes);
    const uint64_t begin = (source.offset_bytes + done) / 4 * 4;
    const uint64_t skip = source.offset_bytes + done - begin;
    const uint64_t copied = round_up(skip + size, 4);
    auto pending = std::make_shared<Pending>();
    pending->skip = skip;
    pending->out = out.subspan(done, size);
    TT_ASSIGN(pending->staging, take_staging(copied, pending->staging_bytes));
    const api::CommandEncoderDescriptor descriptor;
    const api::CommandEncoder encoder = call_.DeviceCreateCommandEncoder(context_->device(), &descriptor);
    call_.CommandEncoderCopyBufferToBuffer(encoder, entry->handle.get(), begin, pending->staging.get(), 0,
                                           copied);
    TT_ASSIGN(last, enqueue(encoder, pending));
    start_map(pending);
    done += size;
  }
  return last;
}

/// The callback owns a share of `pending`: it may come after the device forgot it.
void WebgpuProgramDevice::start_map(const std::shared_ptr<Pending>& pending) {
  const auto callback = [](uint32_t status, api::StringView message, void* to, void*) {
    const std::unique_ptr<std::shared_ptr<Pending>> share(static_cast<std::shared_ptr<Pending>*>(to));
    (*share)->done = true;
    (*share)->failed = status != api::kSuccess;
    if (message.data != nullptr && (*share)->failed) {
      (*share)->message = message.length == api::kStringLength ? std::string(message.data)
                                                               : std::string(message.data, message.length);
    }
  };
  call_.BufferMapAsync(pending->staging.get(), api::kMapRead, 0, pending->staging_bytes,
                       {.callback = callback, .userdata1 = new std::shared_ptr<Pending>(pending)});
}

void WebgpuProgramDevice::finish(Pending& pending) {
  if (pending.staging == nullptr) return;
  if (!pending.failed) {
    const void* mapped = call_.BufferGetConstMappedRange(pending.staging.get(), 0, pending.staging_bytes);
    if (mapped != nullptr) {
      std::memcpy(pending.out.data(), static_cast<const std::byte*>(mapped) + pending.skip,
                  pending.out.size());
    } else {
      pending.failed = true;
      pending.message = "the staging buffer was not mapped";
    }
    call_.BufferUnmap(pending.staging.get());
    if (free_staging_.size() < kMaxFreeStaging && pending.staging_bytes <= kReadChunkBytes) {
      free_staging_.emplace_back(pending.staging_bytes, std::move(pending.staging));
    }
  }
  pending.staging.reset();
}

Result<Submission> WebgpuProgramDevice::enqueue(api::CommandEncoder encoder,
                                                std::shared_ptr<Pending> pending) {
  const api::CommandBuffer commands = call_.CommandEncoderFinish(encoder, nullptr);
  call_.CommandEncoderRelease(encoder);
  if (commands == nullptr) {
    TT_TRY(failure());
    return make_error(ErrorKind::internal, caps_.name, "the commands were not accepted");
  }
  if (call_.QueueSubmitForIndex != nullptr) {
    pending->index = call_.QueueSubmitForIndex(context_->queue(), 1, &commands);
    pending->has_index = true;
  } else {
    call_.QueueSubmit(context_->queue(), 1, &commands);
  }
  call_.CommandBufferRelease(commands);
  unflushed_bytes_ = 0;
  pending->id = next_submission_++;
  pending_.push_back(pending);
  if (pending->staging != nullptr) return Submission{pending->id};  // its map says when it is done

  auto* share = new std::shared_ptr<Pending>(pending);
  const auto callback = [](uint32_t, api::StringView, void* to, void*) {
    const std::unique_ptr<std::shared_ptr<Pending>> own(static_cast<std::shared_ptr<Pending>*>(to));
    (*own)->done = true;
  };
  const api::CallbackInfo<api::WorkDoneCallback> info{.callback = callback, .userdata1 = share};
  call_.QueueOnSubmittedWorkDone(context_->queue(), info);
  return Submission{pending->id};
}

/// Takes finished submissions off the queue, in order.
void WebgpuProgramDevice::retire() {
  while (!pending_.empty() && pending_.front()->done) {
    const std::shared_ptr<Pending> first = pending_.front();
    pending_.pop_front();
    finish(*first);
    completed_ = first->id;
  }
}

Result<void> WebgpuProgramDevice::failure() {
  if (std::optional<Error> error = context_->take_failure()) return std::move(*error);
  return {};
}

Result<bool> WebgpuProgramDevice::poll(Submission submission) {
  context_->pump();
  for (const auto& pending : pending_) {
    if (pending->failed) {
      TT_TRY(failure());
      return make_error(ErrorKind::internal, caps_.name, "reading back failed: " + pending->message);
    }
  }
  retire();
  TT_TRY(failure());
  return completed_ >= static_cast<uint64_t>(submission);
}

Result<void> WebgpuProgramDevice::wait(Submission submission) {
  const auto id = static_cast<uint64_t>(submission);
  if (id >= next_submission_) {
    return make_error(ErrorKind::invalid_argument, "wait",
                      "submission " + std::to_string(id) + " was never made");
  }
  const uint64_t* index = nullptr;
  for (const auto& pending : pending_) {
    if (pending->id == id && pending->has_index) index = &pending->index;
  }
  std::optional<Error> error;
  const bool done = context_->pump_until(
      [&] {
        Result<bool> finished = poll(submission);
        if (!finished) error = finished.take_error();
        return error || *finished;
      },
      index);
  if (error) return std::move(*error);
  if (!done) TT_TRY(failure());
  return {};
}

}  // namespace tattletale::webgpu
