#include "backends/cuda/cuda_program_device.h"

#include <algorithm>

#include "backends/cuda/cuda_dialect.h"
#include "base/check.h"

namespace tattletale::cuda {
namespace {

constexpr uint32_t kMinComputeCapability = 80;
constexpr uint64_t kAlignmentBytes = 16;  // of slices: kernels load vectors of 16 bytes

std::string quoted(std::string_view label) {
  return "\"" + std::string(label) + "\"";
}

std::string capability_text(uint32_t capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

}  // namespace

// ---- Opening and closing ----------------------------------------------------------------------------------

Result<std::unique_ptr<CudaProgramDevice>> CudaProgramDevice::open(std::shared_ptr<const CudaApi> api,
                                                                   uint32_t index,
                                                                   const CudaOptions& options) {
  int count = 0;
  if (const CUresult result = api->device_count(&count); result != kSuccess) {
    return api->error(result, "cuda", "cuDeviceGetCount");
  }
  if (index >= static_cast<uint32_t>(std::max(count, 0))) {
    return make_error(
        ErrorKind::not_found, "cuda",
        "there is no device " + std::to_string(index) + "; the driver shows " + std::to_string(count));
  }
  CUdevice device = 0;
  if (const CUresult result = api->device_get(&device, static_cast<int>(index)); result != kSuccess) {
    return api->error(result, "cuda", "cuDeviceGet");
  }
  std::unique_ptr<CudaProgramDevice> opened(new CudaProgramDevice(std::move(api), device, options));
  TT_TRY(opened->describe());
  TT_TRY(opened->start());
  return opened;
}

Result<void> CudaProgramDevice::describe() {
  char name[256] = {};
  size_t memory_bytes = 0;
  int major = 0, minor = 0, processors = 0, shared_bytes = 0;
  const auto ask = [&](CUresult result) { return result == kSuccess; };
  if (!ask(api_->driver_version(&driver_version_)) ||
      !ask(api_->device_name(name, sizeof name - 1, device_)) ||
      !ask(api_->device_total_memory(&memory_bytes, device_)) ||
      !ask(api_->device_attribute(&major, kAttributeCapabilityMajor, device_)) ||
      !ask(api_->device_attribute(&minor, kAttributeCapabilityMinor, device_)) ||
      !ask(api_->device_attribute(&processors, kAttributeMultiprocessorCount, device_)) ||
      !ask(api_->device_attribute(&shared_bytes, kAttributeMaxSharedOptin, device_))) {
    return make_error(ErrorKind::internal, "cuda", "the driver does not describe the device");
  }
  compute_capability_ = static_cast<uint32_t>(major * 10 + minor);
  if (compute_capability_ < kMinComputeCapability) {
    return make_error(ErrorKind::unsupported, name,
                      "compute capability " + capability_text(compute_capability_) + ", needed is " +
                          capability_text(kMinComputeCapability) + " or later; try --device vulkan");
  }
  target_ = cuda_target_info(compute_capability_);
  target_.max_shared_bytes = static_cast<uint32_t>(shared_bytes);
  target_.num_processors = static_cast<uint32_t>(processors);
  target_.max_binding_bytes = memory_bytes;
  caps_.backend = "cuda";
  caps_.name = name;
  caps_.isa =
      "sm_" + std::to_string(compute_capability_) + ", driver of CUDA " + version_text(driver_version_);
  caps_.max_buffer_bytes = memory_bytes;
  caps_.max_binding_bytes = memory_bytes;
  caps_.offset_alignment_bytes = kAlignmentBytes;
  caps_.waits = true;
  return {};
}

Result<void> CudaProgramDevice::start() {
  if (const CUresult result = api_->context_retain(&context_, device_); result != kSuccess) {
    context_ = nullptr;
    return api_->error(result, caps_.name, "cuDevicePrimaryCtxRetain");
  }
  TT_TRY(enter());
  if (const CUresult result = api_->stream_create(&stream_, kStreamNonBlocking); result != kSuccess) {
    return api_->error(result, caps_.name, "cuStreamCreate");
  }
  timeline_ = std::make_unique<Timeline>(*api_, stream_);
  writes_ = std::make_unique<WriteRing>(*api_, stream_);
  reads_ = std::make_unique<ReadBlocks>(*api_, stream_);
  return {};
}

CudaProgramDevice::~CudaProgramDevice() {
  if (!context_) return;
  api_->context_set_current(context_);
  if (stream_) api_->stream_synchronize(stream_);  // what is freed below is no longer in use
  reads_.reset();
  writes_.reset();
  timeline_.reset();
  for (const Garbage& garbage : garbage_) discard(garbage);
  for (CUgraphExec list : lists_) {
    if (list) api_->graph_executable_destroy(list);
  }
  for (const auto& program : programs_) api_->module_unload(program->module);
  for (const Buffer& buffer : buffers_) {
    if (buffer.pointer) api_->memory_free(buffer.pointer);
  }
  if (stream_) api_->stream_destroy(stream_);
  api_->context_set_current(nullptr);
  api_->context_release(device_);
}

// ---- Errors -----------------------------------------------------------------------------------------------

Result<void> CudaProgramDevice::enter() {
  if (lost_) return *lost_;
  if (const CUresult result = api_->context_set_current(context_); result != kSuccess) {
    return failed(result, caps_.name, "cuCtxSetCurrent");
  }
  return {};
}

Error CudaProgramDevice::note(Error error) {
  if (error.kind == ErrorKind::device_lost && !lost_) {
    error.what += ". The device accepts no further work; compute-sanitizer finds the kernel";
    lost_ = error;
  }
  return error;
}

Error CudaProgramDevice::failed(CUresult result, const std::string& where, const std::string& call) {
  return note(api_->error(result, where, call));
}

// ---- Programs ---------------------------------------------------------------------------------------------

Result<std::shared_ptr<const Nvrtc>> CudaProgramDevice::nvrtc() {
  if (!nvrtc_) {
    TT_ASSIGN(nvrtc_, Nvrtc::load(driver_version_ / 1000));
  }
  return nvrtc_;
}

std::string CudaProgramDevice::compiler_identity() const {
  // Not the driver: a cubin depends on the compiler and the architecture alone.
  std::string identity = "cuda emitter 2, sm_" + std::to_string(compute_capability_);
  const auto compiler = const_cast<CudaProgramDevice*>(this)->nvrtc();
  if (!compiler) return identity + ", no NVRTC";
  const auto architecture = (*compiler)->architecture(compute_capability_);
  return identity + ", NVRTC " + std::to_string((*compiler)->major()) + "." +
         std::to_string((*compiler)->minor()) + " " + (architecture ? *architecture : "");
}

Result<KernelBinary> CudaProgramDevice::compile(const ir::Kernel& kernel) {
  TT_ASSIGN(const auto compiler, nvrtc());
  TT_ASSIGN(const std::string architecture, compiler->architecture(compute_capability_));
  TT_ASSIGN(const compiler::CSource source, print_cuda(kernel, target_));
  TT_ASSIGN(Cubin cubin, compiler->compile(kernel, source, architecture));
  KernelBinary binary;
  binary.format = KernelBinary::Format::cubin;
  binary.name = kernel.name;
  binary.code = std::move(cubin.code);
  binary.entry_point = source.entry_point;
  binary.num_bindings = static_cast<uint32_t>(kernel.bindings.size());
  binary.params_bytes = static_cast<uint32_t>(kernel.params.size() * 4);
  binary.writes_mask = kernel.writes_mask();
  binary.workgroup_threads = kernel.workgroup_threads;
  binary.subgroup_size = kernel.subgroup_size > 1 ? kernel.subgroup_size : 0;
  binary.shared_bytes = kernel.shared_bytes();
  return binary;
}

Result<KernelId> CudaProgramDevice::load(const KernelBinary& binary) {
  TT_TRY(enter());
  const bool sound = binary.format == KernelBinary::Format::cubin && !binary.code.empty() &&
                     binary.num_bindings <= kMaxBindings && binary.params_bytes <= kMaxParamsBytes &&
                     binary.workgroup_threads >= 1 &&
                     binary.workgroup_threads <= target_.max_workgroup_threads &&
                     binary.shared_bytes <= target_.max_shared_bytes;
  if (!sound) return make_error(ErrorKind::unsupported, binary.name, "this is no program for " + caps_.name);
  std::string key = binary.entry_point + '\0';
  key.append(reinterpret_cast<const char*>(binary.code.data()), binary.code.size());
  if (const auto known = programs_by_code_.find(key); known != programs_by_code_.end()) return known->second;

  auto program = std::make_unique<Program>();
  program->name = binary.name;
  program->num_bindings = binary.num_bindings;
  program->params_bytes = binary.params_bytes;
  program->writes_mask = binary.writes_mask;
  program->threads = binary.workgroup_threads;
  program->dynamic_shared_bytes = binary.shared_bytes > kMaxStaticSharedBytes ? binary.shared_bytes : 0;
  if (const CUresult result = api_->module_load(&program->module, binary.code.data()); result != kSuccess) {
    return failed(result, binary.name, "cuModuleLoadData on " + caps_.name + ", " + caps_.isa);
  }
  CUresult result = api_->module_function(&program->function, program->module, binary.entry_point.c_str());
  std::string call = "cuModuleGetFunction " + binary.entry_point;
  if (result == kSuccess && program->dynamic_shared_bytes > 0) {
    call = "cuFuncSetAttribute for " + std::to_string(binary.shared_bytes) + " bytes of shared memory";
    result = api_->function_set_attribute(program->function, kFunctionMaxDynamicShared,
                                          static_cast<int>(binary.shared_bytes));
  }
  if (result != kSuccess) {
    api_->module_unload(program->module);
    return failed(result, binary.name, call);
  }
  programs_.push_back(std::move(program));
  const KernelId id{static_cast<uint32_t>(programs_.size())};
  programs_by_code_.emplace(std::move(key), id);
  return id;
}

Result<ProgramResources> CudaProgramDevice::resources(KernelId kernel) {
  TT_TRY(enter());
  const auto index = static_cast<uint32_t>(kernel);
  if (index == 0 || index > programs_.size()) {
    return make_error(ErrorKind::invalid_argument, "cuda", "kernel " + std::to_string(index) + " is unknown");
  }
  const Program& program = *programs_[index - 1];
  int registers = 0, local_bytes = 0, shared_bytes = 0;
  for (const auto& [attribute, value] :
       {std::pair{kFunctionNumRegisters, &registers}, std::pair{kFunctionLocalBytes, &local_bytes},
        std::pair{kFunctionSharedBytes, &shared_bytes}}) {
    if (const CUresult result = api_->function_attribute(value, attribute, program.function);
        result != kSuccess) {
      return failed(result, program.name, "cuFuncGetAttribute");
    }
  }
  ProgramResources resources;
  resources.registers = static_cast<uint32_t>(registers);
  resources.stack_bytes = static_cast<uint32_t>(local_bytes);
  resources.spill_bytes = resources.stack_bytes;  // the driver does not tell spills from arrays
  resources.shared_bytes = static_cast<uint32_t>(shared_bytes) + program.dynamic_shared_bytes;
  return resources;
}

// ---- Buffers ----------------------------------------------------------------------------------------------

Result<CUdeviceptr> CudaProgramDevice::allocate(uint64_t size_bytes, std::string_view label) {
  CUdeviceptr pointer = 0;
  const uint64_t rounded =
      std::max<uint64_t>(size_bytes, kAlignmentBytes);  // the driver gives no empty buffer
  CUresult result = api_->memory_allocate(&pointer, rounded);
  if (result == kOutOfMemory && !garbage_.empty()) {  // destroyed buffers that the device still used
    TT_TRY(note(timeline_->wait(timeline_->newest())));
    collect(timeline_->newest_passed());
    result = api_->memory_allocate(&pointer, rounded);
  }
  if (result == kSuccess) return pointer;
  Error error = failed(result, caps_.name, "cuMemAlloc");
  if (result == kOutOfMemory) {
    size_t free_bytes = 0, total_bytes = 0;
    api_->memory_info(&free_bytes, &total_bytes);
    error.what = "buffer " + quoted(label) + " of " + std::to_string(size_bytes) +
                 " bytes does not fit: " + std::to_string(allocated_bytes_) + " bytes in use here, " +
                 std::to_string(free_bytes) + " of " + std::to_string(total_bytes) +
                 " bytes of the device free";
  }
  return error;
}

Result<BufferId> CudaProgramDevice::create_buffer(uint64_t size_bytes, std::string_view label) {
  TT_TRY(enter());
  collect(timeline_->newest_passed());
  TT_ASSIGN(const CUdeviceptr pointer, allocate(size_bytes, label));
  if (size_bytes > 0) {
    if (const CUresult result = api_->fill_bytes(pointer, 0, size_bytes, stream_); result != kSuccess) {
      api_->memory_free(pointer);
      return failed(result, std::string(label), "cuMemsetD8Async");
    }
  }
  buffers_.push_back({pointer, size_bytes, std::string(label)});
  allocated_bytes_ += size_bytes;
  return BufferId{static_cast<uint32_t>(buffers_.size())};
}

void CudaProgramDevice::destroy_buffer(BufferId buffer) {
  const auto index = static_cast<uint32_t>(buffer);
  if (index == 0 || index > buffers_.size() || buffers_[index - 1].pointer == 0) return;
  Buffer& dead = buffers_[index - 1];
  allocated_bytes_ -= dead.size_bytes;
  const CUdeviceptr pointer = dead.pointer;
  dead = {};
  api_->context_set_current(context_);
  Garbage garbage{Submission::none, pointer};
  if (auto after = timeline_->mark()) {
    garbage.after = *after;
    garbage_.push_back(garbage);
  } else {
    discard(garbage);  // the driver itself waits for the device
  }
}

Result<CudaProgramDevice::Buffer*> CudaProgramDevice::find_buffer(BufferId buffer, uint64_t offset_bytes,
                                                                  uint64_t size_bytes) {
  const auto index = static_cast<uint32_t>(buffer);
  if (index == 0 || index > buffers_.size() || buffers_[index - 1].pointer == 0) {
    return make_error(ErrorKind::invalid_argument, "cuda",
                      "buffer " + std::to_string(index) + " does not exist");
  }
  Buffer& found = buffers_[index - 1];
  if (offset_bytes > found.size_bytes || size_bytes > found.size_bytes - offset_bytes) {
    return make_error(ErrorKind::invalid_argument, "buffer " + quoted(found.label),
                      std::to_string(size_bytes) + " bytes from byte " + std::to_string(offset_bytes) +
                          " on lie outside of its " + std::to_string(found.size_bytes) + " bytes");
  }
  return &found;
}

Result<void> CudaProgramDevice::write(BufferId buffer, uint64_t offset_bytes,
                                      std::span<const std::byte> bytes) {
  TT_TRY(enter());
  TT_ASSIGN(const Buffer* target, find_buffer(buffer, offset_bytes, bytes.size()));
  return note(writes_->write(target->pointer + offset_bytes, bytes));
}

Result<Submission> CudaProgramDevice::read(BufferSlice source, std::span<std::byte> out) {
  TT_TRY(enter());
  if (out.size() != source.size_bytes) {
    return make_error(
        ErrorKind::invalid_argument, "cuda",
        "a read of " + std::to_string(source.size_bytes) + " bytes into " + std::to_string(out.size()));
  }
  TT_ASSIGN(const Buffer* from, find_buffer(source.buffer, source.offset_bytes, source.size_bytes));
  return note(reads_->read(from->pointer + source.offset_bytes, out, *timeline_));
}

// ---- Submissions ------------------------------------------------------------------------------------------

Result<bool> CudaProgramDevice::poll(Submission submission) {
  TT_TRY(enter());
  TT_ASSIGN(const bool passed, note(timeline_->passed(submission)));
  reads_->deliver(timeline_->newest_passed());
  if (!garbage_.empty()) collect(timeline_->newest_passed());
  return passed;
}

Result<void> CudaProgramDevice::wait(Submission submission) {
  TT_TRY(enter());
  TT_TRY(note(timeline_->wait(submission)));
  reads_->deliver(timeline_->newest_passed());
  if (!garbage_.empty()) collect(timeline_->newest_passed());
  return {};
}

void CudaProgramDevice::discard(Garbage garbage) {
  if (garbage.pointer) api_->memory_free(garbage.pointer);
  if (garbage.list) api_->graph_executable_destroy(garbage.list);
}

void CudaProgramDevice::collect(Submission passed) {
  std::erase_if(garbage_, [&](const Garbage& garbage) {
    if (garbage.after > passed) return false;
    discard(garbage);
    return true;
  });
}

}  // namespace tattletale::cuda
