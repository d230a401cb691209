// Buffers, submissions and lists of an OpenCL device. See opencl_program_device.h; programs:
// opencl_compile.cpp.
#include "backends/opencl/opencl_program_device.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace tattletale::opencl {
namespace {

constexpr uint64_t kFillPieceBytes = 1u << 30;  // some drivers count the bytes of a fill in 32 bits
constexpr uint64_t kMinBufferBytes = 16;        // an empty slice still needs an address
constexpr uint32_t kOffsetAlignment = 16;       // kernels load 16 bytes at once

std::string bytes_text(uint64_t bytes) {
  return std::to_string(bytes) + " bytes";
}

}  // namespace

OpenclProgramDevice::OpenclProgramDevice(std::shared_ptr<const OpenclApi> api, DeviceFacts facts,
                                         Handle<cl_context> context, Handle<cl_command_queue> queue)
    : api_(std::move(api)),
      facts_(std::move(facts)),
      caps_(caps_of(facts_)),
      target_(target_of(facts_)),
      context_(std::move(context)),
      queue_(std::move(queue)),
      write_ring_(*api_, context_.get(), queue_.get(), !facts_.is_cpu),
      read_ring_(*api_, context_.get(), queue_.get()) {}

OpenclProgramDevice::~OpenclProgramDevice() {
  // Reads in flight write to callers' memory and copies read the rings: end them before anything goes away.
  api_->Finish(queue_.get());
}

Result<std::unique_ptr<OpenclProgramDevice>> OpenclProgramDevice::open(std::shared_ptr<const OpenclApi> api,
                                                                       uint32_t index) {
  std::vector<DeviceFacts> devices = find_devices(*api);
  if (devices.empty()) {
    return make_error(
        ErrorKind::unsupported, "opencl",
        "the OpenCL loader " + std::string(kOpenclLibrary) +
            " finds no usable device: expected a driver registered in /etc/OpenCL/vendors; install "
            "your card's (NVIDIA: the driver's libnvidia-compute package) or, to run on the "
            "processor, pocl-opencl-icd");
  }
  if (index >= devices.size()) {
    std::string names;
    for (size_t i = 0; i < devices.size(); ++i) {
      names += (i ? ", " : "") + std::to_string(i) + ": " + devices[i].name;
    }
    return make_error(ErrorKind::invalid_argument, "opencl device " + std::to_string(index),
                      "there is no such device; those that are there: " + names);
  }
  DeviceFacts& facts = devices[index];
  const std::array<cl_context_properties, 3> properties{
      CL_CONTEXT_PLATFORM, reinterpret_cast<cl_context_properties>(facts.platform), 0};
  cl_int status = CL_SUCCESS;
  Handle<cl_context> context(
      *api, api->CreateContext(properties.data(), 1, &facts.device, nullptr, nullptr, &status));
  if (status != CL_SUCCESS) {
    return make_error(ErrorKind::device_lost, facts.name, "cannot open it: " + status_text(status));
  }
  Handle<cl_command_queue> queue(*api, api->CreateCommandQueue(context.get(), facts.device, 0, &status));
  if (status != CL_SUCCESS) {
    return make_error(ErrorKind::device_lost, facts.name, "cannot make its queue: " + status_text(status));
  }
  return std::unique_ptr<OpenclProgramDevice>(
      new OpenclProgramDevice(std::move(api), std::move(facts), std::move(context), std::move(queue)));
}

// ---- Failures

Result<void> OpenclProgramDevice::check_alive() const {
  if (lost_because_.empty()) return {};
  return make_error(ErrorKind::device_lost, facts_.name, "the device was lost: " + lost_because_);
}

Error OpenclProgramDevice::lost(cl_int status, const std::string& label) {
  if (lost_because_.empty()) lost_because_ = label + ": " + status_text(status);
  return make_error(ErrorKind::device_lost, facts_.name, "the device was lost: " + lost_because_);
}

Error OpenclProgramDevice::failure(cl_int status, std::string label) {
  if (!lost_because_.empty()) return lost(status, label);
  // A call after a fault on the device reports it in its own words, often as a lack of resources. A queue
  // that still finishes is alive, and the call itself was at fault.
  if (const cl_int finished = api_->Finish(queue_.get()); finished != CL_SUCCESS) return lost(status, label);
  switch (status) {
    case CL_DEVICE_NOT_AVAILABLE: return lost(status, label);
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
      return make_error(ErrorKind::out_of_memory, facts_.name,
                        label + ": " + status_text(status) + "; " + bytes_text(allocated_bytes_) + " of " +
                            bytes_text(facts_.memory_bytes) + " in use");
    default: return make_error(ErrorKind::internal, facts_.name, label + ": " + status_text(status));
  }
}

// ---- Buffers

Result<void> OpenclProgramDevice::fill_zero(cl_mem memory, uint64_t size_bytes) {
  const cl_uint zero = 0;
  for (uint64_t at = 0; at < size_bytes; at += kFillPieceBytes) {
    const uint64_t piece = std::min(kFillPieceBytes, size_bytes - at);
    const cl_int status =
        api_->EnqueueFillBuffer(queue_.get(), memory, &zero, sizeof zero, at, piece, 0, nullptr, nullptr);
    if (status != CL_SUCCESS) return failure(status, "clearing " + bytes_text(size_bytes));
  }
  return {};
}

Result<BufferId> OpenclProgramDevice::create_buffer(uint64_t size_bytes, std::string_view label) {
  TT_TRY(check_alive());
  const std::string asked = "buffer \"" + std::string(label) + "\" of " + bytes_text(size_bytes);
  if (size_bytes > facts_.max_allocation_bytes) {
    return make_error(ErrorKind::out_of_memory, facts_.name,
                      asked + ": the largest of this device is " + bytes_text(facts_.max_allocation_bytes) +
                          "; " + bytes_text(allocated_bytes_) + " in use");
  }
  // Drivers may allocate more than there is and move buffers to the host behind our back: slow, never said.
  if (size_bytes > facts_.memory_bytes - std::min(allocated_bytes_, facts_.memory_bytes)) {
    return make_error(ErrorKind::out_of_memory, facts_.name,
                      asked + ": " + bytes_text(allocated_bytes_) + " of " + bytes_text(facts_.memory_bytes) +
                          " are in use");
  }
  const uint64_t real_bytes = std::max((size_bytes + 3) / 4 * 4, kMinBufferBytes);
  cl_int status = CL_SUCCESS;
  Buffer buffer;
  buffer.memory = {*api_,
                   api_->CreateBuffer(context_.get(), CL_MEM_READ_WRITE, real_bytes, nullptr, &status)};
  if (status != CL_SUCCESS) return failure(status, asked);
  // Memory is often allocated when it is first used: clearing and waiting shows here whether there is enough.
  TT_TRY(fill_zero(buffer.memory.get(), real_bytes));
  if (status = api_->Finish(queue_.get()); status != CL_SUCCESS) return failure(status, asked);
  buffer.size_bytes = size_bytes;
  buffer.label = label;
  allocated_bytes_ += size_bytes;
  buffers_.emplace(++last_buffer_, std::move(buffer));
  return BufferId{last_buffer_};
}

void OpenclProgramDevice::destroy_buffer(BufferId buffer) {
  const auto found = buffers_.find(static_cast<uint32_t>(buffer));
  if (found == buffers_.end()) return;
  allocated_bytes_ -= found->second.size_bytes;
  buffers_.erase(found);  // the driver keeps it until the work that uses it is done
}

Result<void> OpenclProgramDevice::write(BufferId buffer, uint64_t offset_bytes,
                                        std::span<const std::byte> bytes) {
  TT_TRY(check_alive());
  const auto found = buffers_.find(static_cast<uint32_t>(buffer));
  if (found == buffers_.end()) return make_error(ErrorKind::invalid_argument, "write", "no such buffer");
  const Buffer& target = found->second;
  if (offset_bytes > target.size_bytes || bytes.size() > target.size_bytes - offset_bytes) {
    return make_error(ErrorKind::invalid_argument, "write to buffer \"" + target.label + "\"",
                      bytes_text(bytes.size()) + " at " + std::to_string(offset_bytes) + ", but it has " +
                          bytes_text(target.size_bytes));
  }
  if (bytes.empty()) return {};
  const cl_int status = write_ring_.write(target.memory.get(), offset_bytes, bytes);
  if (status != CL_SUCCESS) {
    return failure(status, "writing " + bytes_text(bytes.size()) + " to buffer \"" + target.label + "\"");
  }
  return {};
}

Result<Submission> OpenclProgramDevice::read(BufferSlice source, std::span<std::byte> out) {
  TT_TRY(check_alive());
  const auto found = buffers_.find(static_cast<uint32_t>(source.buffer));
  if (found == buffers_.end()) return make_error(ErrorKind::invalid_argument, "read", "no such buffer");
  const Buffer& buffer = found->second;
  if (source.offset_bytes > buffer.size_bytes ||
      source.size_bytes > buffer.size_bytes - source.offset_bytes || out.size() != source.size_bytes) {
    return make_error(ErrorKind::invalid_argument, "read of buffer \"" + buffer.label + "\"",
                      bytes_text(source.size_bytes) + " at " + std::to_string(source.offset_bytes) +
                          " into " + bytes_text(out.size()) + ", but it has " +
                          bytes_text(buffer.size_bytes));
  }
  if (out.empty()) return finish_submission(nullptr);
  // A copy to memory that is not pinned may wait for all that was enqueued before it.
  TT_TRY(retire_finished());
  std::byte* staged = facts_.is_cpu ? nullptr : read_ring_.take(out.size());
  cl_event event = nullptr;
  const cl_int status =
      api_->EnqueueReadBuffer(queue_.get(), buffer.memory.get(), CL_FALSE, source.offset_bytes, out.size(),
                              staged != nullptr ? staged : out.data(), 0, nullptr, &event);
  if (status != CL_SUCCESS) {
    if (staged != nullptr) read_ring_.release_newest();
    return failure(status, "reading " + bytes_text(out.size()) + " of buffer \"" + buffer.label + "\"");
  }
  return finish_submission(event, staged, out);
}

// ---- Lists

Result<void> OpenclProgramDevice::check_dispatch(const Dispatch& dispatch) const {
  const auto found = programs_.find(static_cast<uint32_t>(dispatch.kernel));
  if (found == programs_.end()) return make_error(ErrorKind::invalid_argument, "dispatch", "no such kernel");
  const Program& program = found->second;
  const auto refuse = [&](const std::string& what) {
    return make_error(ErrorKind::invalid_argument, "dispatch of kernel " + program.name, what);
  };
  if (dispatch.num_bindings != program.num_bindings) {
    return refuse(std::to_string(dispatch.num_bindings) + " bindings, expected " +
                  std::to_string(program.num_bindings));
  }
  if (dispatch.params_bytes < program.params_bytes) {
    return refuse(bytes_text(dispatch.params_bytes) + " of parameters, expected " +
                  bytes_text(program.params_bytes));
  }
  for (uint32_t i = 0; i < dispatch.num_bindings; ++i) {
    const BufferSlice& slice = dispatch.bindings[i];
    if (slice.buffer == BufferId::none) continue;
    const auto buffer = buffers_.find(static_cast<uint32_t>(slice.buffer));
    if (buffer == buffers_.end()) return refuse("binding " + std::to_string(i) + ": no such buffer");
    const uint64_t size_bytes = buffer->second.size_bytes;
    if (slice.offset_bytes % kOffsetAlignment != 0 || slice.offset_bytes > size_bytes ||
        slice.size_bytes > size_bytes - slice.offset_bytes) {
      return refuse("binding " + std::to_string(i) + ": " + bytes_text(slice.size_bytes) + " at " +
                    std::to_string(slice.offset_bytes) + " of buffer \"" + buffer->second.label + "\" with " +
                    bytes_text(size_bytes) + "; offsets are multiples of " +
                    std::to_string(kOffsetAlignment));
    }
  }
  return {};
}

Result<void> OpenclProgramDevice::check_list(const CommandList& list) const {
  for (const Dispatch& dispatch : list.dispatches()) TT_TRY(check_dispatch(dispatch));
  return {};
}

cl_int OpenclProgramDevice::set_arguments(cl_kernel kernel, const Program& program,
                                          const Dispatch& dispatch) const {
  cl_int status = CL_SUCCESS;
  cl_uint argument = 0;
  for (uint32_t i = 0; i < program.num_bindings; ++i) {
    const BufferSlice& slice = dispatch.bindings[i];
    const auto found = buffers_.find(static_cast<uint32_t>(slice.buffer));
    const cl_mem memory = found != buffers_.end() ? found->second.memory.get() : nullptr;
    const cl_ulong offset_bytes = slice.offset_bytes;
    status |= api_->SetKernelArg(kernel, argument++, sizeof memory, memory != nullptr ? &memory : nullptr);
    status |= api_->SetKernelArg(kernel, argument++, sizeof offset_bytes, &offset_bytes);
  }
  if (program.params_bytes > 0) {
    status |= api_->SetKernelArg(kernel, argument++, program.params_bytes, dispatch.params.data());
  }
  return status;
}

namespace {

std::array<size_t, 3> global_size_of(const Dispatch& dispatch, uint32_t workgroup_threads) {
  return {size_t{dispatch.workgroups[0]} * workgroup_threads, dispatch.workgroups[1], dispatch.workgroups[2]};
}
bool is_empty(const std::array<size_t, 3>& size) {
  return size[0] == 0 || size[1] == 0 || size[2] == 0;
}

}  // namespace

cl_int OpenclProgramDevice::enqueue(cl_kernel kernel, const std::array<size_t, 3>& global_size,
                                    uint32_t workgroup_threads, cl_event* event) {
  const std::array<size_t, 3> local_size{workgroup_threads, 1, 1};
  return api_->EnqueueNDRangeKernel(queue_.get(), kernel, 3, nullptr, global_size.data(), local_size.data(),
                                    0, nullptr, event);
}

Result<Submission> OpenclProgramDevice::submit(const CommandList& list) {
  TT_TRY(check_alive());
  TT_TRY(check_list(list));
  TT_TRY(retire_finished());
  Handle<cl_event> last;
  for (size_t i = 0; i < list.dispatches().size(); ++i) {
    const Dispatch& dispatch = list.dispatches()[i];
    const Program& program = programs_.at(static_cast<uint32_t>(dispatch.kernel));
    const auto global_size = global_size_of(dispatch, program.workgroup_threads);
    if (is_empty(global_size)) continue;
    const bool is_last = i + 1 == list.dispatches().size();
    cl_event event = nullptr;
    cl_int status = set_arguments(program.kernel.get(), program, dispatch);
    if (status == CL_SUCCESS) {
      status =
          enqueue(program.kernel.get(), global_size, program.workgroup_threads, is_last ? &event : nullptr);
    }
    if (status != CL_SUCCESS) return failure(status, "dispatch of kernel " + program.name);
    if (is_last) return finish_submission(event);
  }
  return finish_submission(nullptr);
}

Result<ListId> OpenclProgramDevice::record(const CommandList& list) {
  TT_TRY(check_alive());
  TT_TRY(check_list(list));
  std::vector<Launch> launches;
  for (const Dispatch& dispatch : list.dispatches()) {
    const Program& program = programs_.at(static_cast<uint32_t>(dispatch.kernel));
    Launch launch{.global_size = global_size_of(dispatch, program.workgroup_threads),
                  .workgroup_threads = program.workgroup_threads};
    if (is_empty(launch.global_size)) continue;
    TT_ASSIGN(launch.kernel, new_kernel(program));
    const cl_int status = set_arguments(launch.kernel.get(), program, dispatch);
    if (status != CL_SUCCESS) return failure(status, "recording kernel " + program.name);
    launches.push_back(std::move(launch));
  }
  lists_.emplace(++last_list_, std::move(launches));
  return ListId{last_list_};
}

Result<Submission> OpenclProgramDevice::submit(ListId list) {
  TT_TRY(check_alive());
  const auto found = lists_.find(static_cast<uint32_t>(list));
  if (found == lists_.end()) return make_error(ErrorKind::invalid_argument, "submit", "no such list");
  TT_TRY(retire_finished());
  cl_event event = nullptr;
  const std::vector<Launch>& launches = found->second;
  for (size_t i = 0; i < launches.size(); ++i) {
    const Launch& launch = launches[i];
    const cl_int status = enqueue(launch.kernel.get(), launch.global_size, launch.workgroup_threads,
                                  i + 1 == launches.size() ? &event : nullptr);
    if (status != CL_SUCCESS) return failure(status, "a recorded dispatch");
  }
  return finish_submission(event);
}

void OpenclProgramDevice::destroy_list(ListId list) {
  lists_.erase(static_cast<uint32_t>(list));  // commands keep the kernel objects they were enqueued with
}

// ---- Completion

Result<Submission> OpenclProgramDevice::finish_submission(cl_event event, std::byte* staged,
                                                          std::span<std::byte> out) {
  cl_int status = CL_SUCCESS;
  if (event == nullptr) {
    status = api_->EnqueueMarkerWithWaitList(queue_.get(), 0, nullptr, &event);
    if (status != CL_SUCCESS) return failure(status, "marking the end of a submission");
  }
  pending_.push_back({Handle<cl_event>(*api_, event), staged, out});
  ++last_submission_;
  if (status = api_->Flush(queue_.get()); status != CL_SUCCESS)
    return failure(status, "starting a submission");
  return Submission{last_submission_};
}

Result<bool> OpenclProgramDevice::is_finished(const Pending& pending) {
  cl_int state = CL_QUEUED;
  const cl_int status = api_->GetEventInfo(pending.event.get(), CL_EVENT_COMMAND_EXECUTION_STATUS,
                                           sizeof state, &state, nullptr);
  if (status != CL_SUCCESS) return failure(status, "asking for a submission's state");
  if (state < 0) return lost(state, "a submission failed");
  return state == CL_COMPLETE;
}

void OpenclProgramDevice::retire_oldest() {
  const Pending& oldest = pending_.front();
  if (oldest.staged != nullptr) {
    std::memcpy(oldest.out.data(), oldest.staged, oldest.out.size());
    read_ring_.release_oldest();
  }
  pending_.pop_front();
}

/// Bounds the number of events kept for a caller that looks at few submissions. Leaves reads alone: their
/// bytes move only when the caller asks, since until then it may still be preparing `out`.
Result<void> OpenclProgramDevice::retire_finished() {
  while (pending_.size() > 1 && pending_.front().out.empty()) {
    TT_ASSIGN(const bool finished, is_finished(pending_.front()));
    if (!finished) break;
    retire_oldest();
  }
  return {};
}

Result<bool> OpenclProgramDevice::poll(Submission submission) {
  const auto number = static_cast<uint64_t>(submission);
  if (number > last_submission_) return make_error(ErrorKind::invalid_argument, "poll", "no such submission");
  if (number < oldest_pending()) return true;
  TT_TRY(check_alive());
  while (number >= oldest_pending()) {
    TT_ASSIGN(const bool finished, is_finished(pending_.front()));
    if (!finished) return false;
    retire_oldest();
  }
  return true;
}

Result<void> OpenclProgramDevice::wait(Submission submission) {
  const auto number = static_cast<uint64_t>(submission);
  if (number > last_submission_) return make_error(ErrorKind::invalid_argument, "wait", "no such submission");
  if (number < oldest_pending()) return {};
  TT_TRY(check_alive());
  const auto wait_for = [&](const Pending& pending) {
    const cl_event event = pending.event.get();
    return api_->WaitForEvents(1, &event);
  };
  cl_int status = wait_for(pending_[number - oldest_pending()]);
  // The queue is in order, so those before it are done; drivers may still have to notice.
  while (status == CL_SUCCESS && number >= oldest_pending()) {
    TT_ASSIGN(const bool finished, is_finished(pending_.front()));
    if (finished) {
      retire_oldest();
    } else {
      status = wait_for(pending_.front());
    }
  }
  if (status != CL_SUCCESS) return lost(status, "waiting for a submission");
  return {};
}

}  // namespace tattletale::opencl
