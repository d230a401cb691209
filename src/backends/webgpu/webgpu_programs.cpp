// Pipelines, bind groups and the encoding of lists of WebgpuProgramDevice.
#include <algorithm>
#include <cstring>
#include <thread>

#include "backends/webgpu/webgpu_program_device.h"

namespace tattletale::webgpu {
namespace {

uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// The first "12:5" or ":12:5" of a compiler's message: a line of the text.
uint32_t line_in(const std::string& message) {
  for (size_t i = 0; i + 2 < message.size(); ++i) {
    if (message[i] != ':' || !std::isdigit(static_cast<unsigned char>(message[i + 1]))) continue;
    size_t end = i + 1;
    while (end < message.size() && std::isdigit(static_cast<unsigned char>(message[end]))) ++end;
    if (end < message.size() && message[end] == ':')
      return static_cast<uint32_t>(std::stoul(message.substr(i + 1)));
  }
  return 0;
}

std::string_view text_of(const KernelBinary& binary) {
  return {reinterpret_cast<const char*>(binary.code.data()), binary.code.size()};
}

}  // namespace

WebgpuProgramDevice::WebgpuProgramDevice(std::unique_ptr<WebgpuContext> context)
    : context_(std::move(context)), call_(context_->call()) {
  const api::Limits& limits = context_->limits();
  const AdapterDescription& adapter = context_->adapter();
  // A window ends below 4 GiB: the text counts bytes in 32 bits.
  const uint64_t max_binding =
      std::min<uint64_t>(limits.max_storage_buffer_binding_size, UINT32_MAX) / 16 * 16;
  caps_ = {.backend = "webgpu",
           .name = adapter.name,
           .isa = context_->library().implementation() + ", " + adapter.backend + ", " + adapter.driver,
           .max_buffer_bytes = limits.max_buffer_size / 16 * 16,
           .max_binding_bytes = max_binding,
           .offset_alignment_bytes = std::max(16u, limits.min_storage_buffer_offset_alignment),
           .waits = true};
  target_.name = "webgpu";
  target_.max_workgroup_threads =
      std::min(limits.max_compute_invocations_per_workgroup, limits.max_compute_workgroup_size[0]);
  target_.max_shared_bytes = limits.max_compute_workgroup_storage_size;
  target_.max_bindings = std::min<uint32_t>(kMaxBindings, limits.max_storage_buffers_per_shader_stage);
  target_.max_binding_bytes = max_binding;
  target_.is_cpu = adapter.is_cpu;
  // WebGPU does not tell. A discrete card is taken for a large one: too many workgroups cost little there.
  target_.num_processors = adapter.is_cpu        ? std::max(1u, std::thread::hardware_concurrency())
                           : adapter.is_discrete ? 128
                                                 : 16;
  target_.dot4_i8 = true;  // a language feature of every current implementation, Dawn of 2023 and naga alike
  // Software computes halves one by one, and naga 29 makes numbers of another type of bitcasts to halves.
  target_.f16x2 = context_->has_f16() && !adapter.is_cpu && !context_->library().is_wgpu_native();
  dialect_.immediates = context_->has_immediates();
  dialect_.enable_subgroups = !context_->library().is_wgpu_native();
  dialect_.subgroup_barrier = context_->has_subgroup_barrier();
}

WebgpuProgramDevice::~WebgpuProgramDevice() {
  context_->pump();
  retire();
  lists_.clear();
  bind_groups_.clear();
  for (const Program& program : programs_) {
    for (const auto& [mask, pipeline] : program.pipelines) {
      if (pipeline != nullptr) call_.ComputePipelineRelease(pipeline);
    }
  }
  for (const auto& [key, layout] : layouts_) {
    call_.BindGroupLayoutRelease(layout.buffers);
    call_.PipelineLayoutRelease(layout.pipeline);
  }
  params_ = {};
  if (params_layout_ != nullptr) call_.BindGroupLayoutRelease(params_layout_);
}

void WebgpuProgramDevice::set_target(const ir::TargetInfo& target, const WgslDialect& dialect) {
  target_ = target;
  dialect_ = dialect;
}

std::string WebgpuProgramDevice::compiler_identity() const {
  const auto flag = [](bool value) { return value ? '1' : '0'; };
  return std::string(kWgslWriterVersion) + "; " + caps_.isa + "; " + caps_.name + "; subgroup " +
         std::to_string(target_.subgroup_size) + "; dialect " + flag(dialect_.enable_subgroups) +
         flag(dialect_.subgroup_size_control) + flag(dialect_.subgroup_barrier) + flag(dialect_.immediates) +
         flag(dialect_.native_pack) + flag(dialect_.native_unpack) + flag(dialect_.native_exp2) +
         flag(dialect_.native_u32_to_f32) + flag(target_.f16x2) + flag(target_.dot4_i8);
}

Result<KernelBinary> WebgpuProgramDevice::compile(const ir::Kernel& kernel) {
  TT_ASSIGN(const std::string text, emit_wgsl(kernel, target_, dialect_));
  KernelBinary binary{.format = KernelBinary::Format::wgsl,
                      .name = kernel.name,
                      .entry_point = kWgslEntryPoint,
                      .num_bindings = static_cast<uint32_t>(kernel.bindings.size()),
                      .params_bytes = static_cast<uint32_t>(4 * kernel.params.size()),
                      .writes_mask = kernel.writes_mask(),
                      .workgroup_threads = kernel.workgroup_threads,
                      .subgroup_size = text.find("subgroup") == std::string::npos ? 0 : kernel.subgroup_size,
                      .shared_bytes = kernel.shared_bytes()};
  binary.code.resize(text.size());
  std::memcpy(binary.code.data(), text.data(), text.size());
  // Only building the pipeline shows whether the text is accepted; load() builds it again from the same text.
  TT_ASSIGN(const api::ComputePipeline pipeline, make_pipeline(binary, binary.writes_mask));
  call_.ComputePipelineRelease(pipeline);
  return binary;
}

Result<KernelId> WebgpuProgramDevice::load(const KernelBinary& binary) {
  if (binary.format != KernelBinary::Format::wgsl) {
    return make_error(ErrorKind::invalid_argument, binary.name, "is not a WGSL program");
  }
  if (binary.num_bindings > target_.max_bindings || binary.params_bytes > kMaxParamsBytes ||
      binary.params_bytes % 4 != 0) {
    return make_error(ErrorKind::limit_exceeded, binary.name,
                      "has " + std::to_string(binary.num_bindings) + " bindings and " +
                          std::to_string(binary.params_bytes) + " bytes of parameters; this device takes " +
                          std::to_string(target_.max_bindings) + " and 64");
  }
  Program program{.binary = binary};
  TT_ASSIGN(program.pipelines[binary.writes_mask], make_pipeline(binary, binary.writes_mask));
  programs_.push_back(std::move(program));
  return KernelId{static_cast<uint32_t>(programs_.size())};
}

Result<api::ComputePipeline> WebgpuProgramDevice::make_pipeline(const KernelBinary& binary,
                                                                uint32_t writable) {
  if (context_->lost()) return *context_->take_failure();
  std::string text(text_of(binary));
  for (uint32_t i = 0; i < binary.num_bindings; ++i) {
    if (((writable & ~binary.writes_mask) >> i & 1) != 0) text = wgsl_with_writable(std::move(text), i);
  }
  api::ShaderSourceWgsl source;
  source.code = {text.data(), text.size()};
  const api::ShaderModuleDescriptor module_descriptor{.next = &source.chain, .label = {binary.name.c_str()}};
  api::ShaderModule module = nullptr;
  api::ComputePipeline pipeline = nullptr;
  const Layout& layout = layout_of(binary.num_bindings, writable, binary.params_bytes);
  // Kernels are verified and run unchecked on every other GPU backend; wgpu-native can leave its index clamps
  // and loop counters out too. Browsers and Dawn cannot.
  std::optional<Error> complaint = context_->complaint_of(
      [&] {
        module = call_.DeviceCreateShaderModuleTrusted != nullptr
                     ? call_.DeviceCreateShaderModuleTrusted(context_->device(), &module_descriptor, 0)
                     : call_.DeviceCreateShaderModule(context_->device(), &module_descriptor);
      },
      binary.name);
  if (!complaint && module != nullptr) {
    const api::ComputePipelineDescriptor descriptor{
        .label = {binary.name.c_str()},
        .layout = layout.pipeline,
        .compute = {.module = module, .entry_point = {binary.entry_point.c_str()}}};
    complaint = context_->complaint_of(
        [&] { pipeline = call_.DeviceCreateComputePipeline(context_->device(), &descriptor); }, binary.name);
  }
  if (module != nullptr) call_.ShaderModuleRelease(module);
  if (!complaint && pipeline != nullptr) return pipeline;
  if (pipeline != nullptr) call_.ComputePipelineRelease(pipeline);
  const std::string log = complaint ? complaint->what : "no pipeline and no message";
  const std::string at = wgsl_source_line(text, line_in(log));
  return make_error(complaint ? complaint->kind : ErrorKind::internal, binary.name,
                    (at.empty() ? "" : at + ": ") + context_->library().implementation() +
                        " did not take the program: " + log);
}

Result<api::ComputePipeline> WebgpuProgramDevice::pipeline_of(Program& program, uint32_t writable) {
  const auto found = program.pipelines.find(writable);
  if (found != program.pipelines.end()) return found->second;
  Result<api::ComputePipeline> made = make_pipeline(program.binary, writable);
  // Loads from a writable buffer are not uniform, so a variant may be refused: then buffers are copied.
  if (!made && made.error().kind != ErrorKind::internal) return made;
  return program.pipelines[writable] = made ? *made : nullptr;
}

const WebgpuProgramDevice::Layout& WebgpuProgramDevice::layout_of(uint32_t num_bindings, uint32_t writable,
                                                                  uint32_t params_bytes) {
  const auto key = std::pair(uint64_t{num_bindings} << 32 | writable, params_bytes);
  if (const auto found = layouts_.find(key); found != layouts_.end()) return found->second;
  std::vector<api::BindGroupLayoutEntry> entries(num_bindings);
  for (uint32_t i = 0; i < num_bindings; ++i) {
    entries[i].binding = i;
    entries[i].buffer.type = (writable >> i & 1) != 0 ? api::kStorageBinding : api::kReadOnlyStorageBinding;
  }
  Layout layout;
  const api::BindGroupLayoutDescriptor buffers{.num_entries = num_bindings, .entries = entries.data()};
  layout.buffers = call_.DeviceCreateBindGroupLayout(context_->device(), &buffers);
  if (params_layout_ == nullptr) {
    api::BindGroupLayoutEntry entry;
    entry.buffer = {.type = api::kUniformBinding, .has_dynamic_offset = 1};
    const api::BindGroupLayoutDescriptor params{.num_entries = 1, .entries = &entry};
    params_layout_ = call_.DeviceCreateBindGroupLayout(context_->device(), &params);
  }
  const bool uniform = params_bytes != 0 && !dialect_.immediates;
  const api::BindGroupLayout groups[] = {layout.buffers, params_layout_};
  const api::PipelineLayoutDescriptor descriptor{
      .num_layouts = uniform ? 2u : 1u, .layouts = groups, .immediate_size = uniform ? 0 : params_bytes};
  layout.pipeline = call_.DeviceCreatePipelineLayout(context_->device(), &descriptor);
  return layouts_[key] = layout;
}

Result<std::vector<WebgpuProgramDevice::Window>> WebgpuProgramDevice::windows_of(
    const Dispatch& dispatch, const Program& program) const {
  const std::string& name = program.binary.name;
  std::vector<Window> windows(dispatch.num_bindings);
  for (uint32_t i = 0; i < dispatch.num_bindings; ++i) {
    const BufferSlice& slice = dispatch.bindings[i];
    const bool written = (program.binary.writes_mask >> i & 1) != 0;
    if (slice.buffer == BufferId::none) {
      windows[i] = {(written ? absent_written_ : absent_read_).get(), uint64_t{i} * 256, 16};
      continue;
    }
    TT_ASSIGN(const BufferEntry* entry, find_buffer(slice.buffer, name.c_str()));
    const std::string which = "binding " + std::to_string(i) + " (" + entry->label + ", " +
                              std::to_string(slice.size_bytes) + " bytes at " +
                              std::to_string(slice.offset_bytes) + ") ";
    if (slice.offset_bytes % caps_.offset_alignment_bytes != 0) {
      return make_error(
          ErrorKind::invalid_argument, name,
          which + "must start at a multiple of " + std::to_string(caps_.offset_alignment_bytes));
    }
    if (slice.offset_bytes > entry->size_bytes || slice.size_bytes > entry->size_bytes - slice.offset_bytes ||
        slice.size_bytes == 0) {
      return make_error(
          ErrorKind::invalid_argument, name,
          which + "is empty or passes the end of " + std::to_string(entry->size_bytes) + " bytes");
    }
    if (slice.size_bytes > caps_.max_binding_bytes) {
      return make_error(ErrorKind::limit_exceeded, name,
                        which + "is larger than the " + std::to_string(caps_.max_binding_bytes) +
                            " bytes one binding may have");
    }
    windows[i] = {entry->handle.get(), slice.offset_bytes, round_up(slice.size_bytes, 16)};
  }
  return windows;
}

/// WebGPU forbids one buffer to be read by one binding of a dispatch and written by another. Where the ranges
/// lie apart, the reading binding is declared writable; where they overlap, it reads a copy made just before.
Result<uint32_t> WebgpuProgramDevice::resolve_conflicts(Program& program, const Dispatch& dispatch,
                                                        std::vector<Window>& windows, Step& step) {
  const uint32_t writes = program.binary.writes_mask;
  uint32_t apart = 0, overlapping = 0;
  for (uint32_t i = 0; i < windows.size(); ++i) {
    for (uint32_t j = 0; j < windows.size(); ++j) {
      if (i == j || windows[i].buffer != windows[j].buffer || (writes >> j & 1) == 0) continue;
      const bool overlap = windows[i].offset < windows[j].offset + windows[j].size &&
                           windows[j].offset < windows[i].offset + windows[i].size;
      if ((writes >> i & 1) == 0) {
        (overlap ? overlapping : apart) |= 1u << i;
      } else if (overlap) {
        return make_error(ErrorKind::invalid_argument, program.binary.name,
                          "bindings " + std::to_string(std::min(i, j)) + " and " +
                              std::to_string(std::max(i, j)) +
                              " are both written and overlap; WebGPU does not allow that");
      }
    }
  }
  apart &= ~overlapping;
  if (apart != 0) {
    TT_ASSIGN(const api::ComputePipeline variant, pipeline_of(program, writes | apart));
    if (variant == nullptr) {
      overlapping |= apart;
      apart = 0;
    }
  }
  for (uint32_t i = 0; i < windows.size(); ++i) {
    if ((overlapping >> i & 1) != 0) TT_TRY(copy_aside(i, dispatch, windows, step));
  }
  return writes | apart;
}

Result<void> WebgpuProgramDevice::copy_aside(uint32_t binding, const Dispatch& dispatch,
                                             std::vector<Window>& windows, Step& step) {
  Window& window = windows[binding];
  BufferEntry& scratch = scratch_[binding];
  if (scratch.padded_bytes < window.size) {
    TT_ASSIGN(scratch.handle,
              make_buffer(window.size, api::kBufferStorage | api::kBufferCopyTarget, "aliased input"));
    scratch.padded_bytes = window.size;
  }
  TT_ASSIGN(const BufferEntry* entry, find_buffer(dispatch.bindings[binding].buffer, "dispatch"));
  step.copies.push_back({entry->handle, scratch.handle, window.offset, window.size});
  window = {scratch.handle.get(), 0, window.size};
  return {};
}

WebgpuProgramDevice::GroupRef WebgpuProgramDevice::group_of(api::BindGroupLayout layout,
                                                            const std::vector<Window>& windows) {
  GroupKey key{reinterpret_cast<uint64_t>(layout)};
  for (const Window& window : windows) {
    key.insert(key.end(), {reinterpret_cast<uint64_t>(window.buffer), window.offset, window.size});
  }
  if (const auto found = bind_groups_.find(key); found != bind_groups_.end()) return found->second;
  constexpr size_t kMaxBindGroups = 16384;
  if (bind_groups_.size() >= kMaxBindGroups) bind_groups_.clear();  // recorded lists hold their own
  std::vector<api::BindGroupEntry> entries(windows.size());
  for (uint32_t i = 0; i < windows.size(); ++i) {
    entries[i] = {
        .binding = i, .buffer = windows[i].buffer, .offset = windows[i].offset, .size = windows[i].size};
  }
  const api::BindGroupDescriptor descriptor{
      .layout = layout, .num_entries = entries.size(), .entries = entries.data()};
  const auto release = call_.BindGroupRelease;
  GroupRef group(call_.DeviceCreateBindGroup(context_->device(), &descriptor),
                 [release](api::BindGroup handle) {
                   if (handle != nullptr) release(handle);
                 });
  bind_groups_.emplace(std::move(key), group);
  return group;
}

Result<WebgpuProgramDevice::Step> WebgpuProgramDevice::prepare(const Dispatch& dispatch) {
  const auto number = static_cast<uint32_t>(dispatch.kernel);
  if (number == 0 || number > programs_.size()) {
    return make_error(ErrorKind::invalid_argument, "dispatch",
                      "no program has the number " + std::to_string(number));
  }
  Program& program = programs_[number - 1];
  const KernelBinary& binary = program.binary;
  if (dispatch.num_bindings != binary.num_bindings || dispatch.params_bytes < binary.params_bytes) {
    return make_error(ErrorKind::invalid_argument, binary.name,
                      "got " + std::to_string(dispatch.num_bindings) + " bindings and " +
                          std::to_string(dispatch.params_bytes) + " bytes of parameters, needs " +
                          std::to_string(binary.num_bindings) + " and " +
                          std::to_string(binary.params_bytes));
  }
  for (uint32_t count : dispatch.workgroups) {
    if (count > context_->limits().max_compute_workgroups_per_dimension) {
      return make_error(ErrorKind::limit_exceeded, binary.name,
                        std::to_string(count) + " workgroups along one axis; the device allows " +
                            std::to_string(context_->limits().max_compute_workgroups_per_dimension));
    }
  }
  if (absent_read_ == nullptr) {
    TT_ASSIGN(absent_read_, make_buffer(kMaxBindings * 256, api::kBufferStorage, "absent"));
    TT_ASSIGN(absent_written_, make_buffer(kMaxBindings * 256, api::kBufferStorage, "absent"));
  }
  Step step{
      .params_bytes = dispatch.params_bytes, .params = dispatch.params, .workgroups = dispatch.workgroups};
  TT_ASSIGN(std::vector<Window> windows, windows_of(dispatch, program));
  TT_ASSIGN(const uint32_t writable, resolve_conflicts(program, dispatch, windows, step));
  TT_ASSIGN(step.pipeline, pipeline_of(program, writable));
  const Layout& layout = layout_of(binary.num_bindings, writable, binary.params_bytes);
  step.group = group_of(layout.buffers, windows);
  return step;
}

Result<std::vector<WebgpuProgramDevice::Step>> WebgpuProgramDevice::prepare(const CommandList& list) {
  TT_TRY(failure());
  std::vector<Step> steps;
  steps.reserve(list.dispatches().size());
  for (const Dispatch& dispatch : list.dispatches()) {
    TT_ASSIGN(Step step, prepare(dispatch));
    steps.push_back(std::move(step));
  }
  TT_TRY(failure());
  return steps;
}

Result<void> WebgpuProgramDevice::grow_params(ParamsBuffer& params, uint64_t size) {
  if (params.size >= size) return {};
  params.size = std::max<uint64_t>(round_up(size, 4096), 2 * params.size);
  TT_ASSIGN(params.buffer,
            make_buffer(params.size, api::kBufferUniform | api::kBufferCopyTarget, "parameters"));
  const api::BindGroupEntry entry{
      .binding = 0, .buffer = params.buffer.get(), .offset = 0, .size = kMaxParamsBytes};
  const api::BindGroupDescriptor descriptor{.layout = params_layout_, .num_entries = 1, .entries = &entry};
  const auto release = call_.BindGroupRelease;
  params.group = GroupRef(call_.DeviceCreateBindGroup(context_->device(), &descriptor),
                          [release](api::BindGroup handle) {
                            if (handle != nullptr) release(handle);
                          });
  return {};
}

/// All parameters of a list in one write. The queue orders it after what earlier submissions read, so one
/// buffer serves every submission.
Result<void> WebgpuProgramDevice::place_params(std::vector<Step>& steps, ParamsBuffer& params) {
  if (dialect_.immediates) return {};
  const uint64_t stride = round_up(kMaxParamsBytes, context_->limits().min_uniform_buffer_offset_alignment);
  std::vector<std::byte> bytes;
  for (Step& step : steps) {
    if (step.params_bytes == 0) continue;
    step.params_offset = static_cast<uint32_t>(bytes.size());
    bytes.resize(bytes.size() + stride);
    std::memcpy(bytes.data() + step.params_offset, step.params.data(), step.params_bytes);
  }
  if (bytes.empty()) return {};
  TT_TRY(grow_params(params, bytes.size()));
  call_.QueueWriteBuffer(context_->queue(), params.buffer.get(), 0, bytes.data(), bytes.size());
  return {};
}

void WebgpuProgramDevice::encode(api::CommandEncoder encoder, const std::vector<Step>& steps,
                                 const ParamsBuffer& params) {
  api::ComputePassEncoder pass = nullptr;
  api::ComputePipeline pipeline = nullptr;
  const auto end_pass = [&] {
    if (pass == nullptr) return;
    call_.ComputePassEncoderEnd(pass);
    call_.ComputePassEncoderRelease(pass);
    pass = nullptr;
    pipeline = nullptr;
  };
  for (const Step& step : steps) {
    if (!step.copies.empty()) {
      end_pass();
      for (const Copy& copy : step.copies) {
        call_.CommandEncoderCopyBufferToBuffer(encoder, copy.from.get(), copy.offset, copy.to.get(), 0,
                                               copy.size);
      }
    }
    if (pass == nullptr) {
      const api::ComputePassDescriptor descriptor;
      pass = call_.CommandEncoderBeginComputePass(encoder, &descriptor);
    }
    if (step.pipeline != pipeline) call_.ComputePassEncoderSetPipeline(pass, step.pipeline);
    pipeline = step.pipeline;
    call_.ComputePassEncoderSetBindGroup(pass, 0, step.group.get(), 0, nullptr);
    if (step.params_bytes != 0) {
      if (dialect_.immediates)
        call_.ComputePassEncoderSetImmediates(pass, 0, step.params.data(), step.params_bytes);
      else
        call_.ComputePassEncoderSetBindGroup(pass, 1, params.group.get(), 1, &step.params_offset);
    }
    call_.ComputePassEncoderDispatchWorkgroups(pass, step.workgroups[0], step.workgroups[1],
                                               step.workgroups[2]);
  }
  end_pass();
}

Result<Submission> WebgpuProgramDevice::submit(const CommandList& list) {
  TT_ASSIGN(std::vector<Step> steps, prepare(list));
  TT_TRY(place_params(steps, params_));
  const api::CommandEncoderDescriptor descriptor;
  const api::CommandEncoder encoder = call_.DeviceCreateCommandEncoder(context_->device(), &descriptor);
  encode(encoder, steps, params_);
  return enqueue(encoder, std::make_shared<Pending>());
}

Result<ListId> WebgpuProgramDevice::record(const CommandList& list) {
  RecordedList recorded;
  TT_ASSIGN(recorded.steps, prepare(list));
  TT_TRY(place_params(recorded.steps, recorded.params));
  const uint32_t id = next_list_++;
  lists_.emplace(id, std::move(recorded));
  return ListId{id};
}

Result<Submission> WebgpuProgramDevice::submit(ListId list) {
  const auto found = lists_.find(static_cast<uint32_t>(list));
  if (found == lists_.end()) {
    return make_error(ErrorKind::invalid_argument, "submit",
                      "no recorded list has the number " + std::to_string(static_cast<uint32_t>(list)));
  }
  TT_TRY(failure());
  const api::CommandEncoderDescriptor descriptor;
  const api::CommandEncoder encoder = call_.DeviceCreateCommandEncoder(context_->device(), &descriptor);
  encode(encoder, found->second.steps, found->second.params);
  return enqueue(encoder, std::make_shared<Pending>());
}

void WebgpuProgramDevice::destroy_list(ListId list) {
  lists_.erase(static_cast<uint32_t>(list));
}

}  // namespace tattletale::webgpu
