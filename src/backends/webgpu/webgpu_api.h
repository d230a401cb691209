// The part of the standard C API of WebGPU (webgpu.h) that is used here, declared by hand: the library is
// found at run time and no header of it is needed. Names drop the prefix WGPU, values are the standard's.
// Layouts are those of the header as standardised in 2025, which wgpu-native 29 and Dawn share; what Dawn of
// mid-2025 numbered differently is in webgpu_library.h. Source: webgpu-headers, webgpu.h (BSD-3-Clause);
// wgpu.h of wgpu-native for the functions marked so.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tattletale::webgpu::api {

#define TT_WEBGPU_HANDLE(name) using name = struct name##Impl*
TT_WEBGPU_HANDLE(Adapter);
TT_WEBGPU_HANDLE(BindGroup);
TT_WEBGPU_HANDLE(BindGroupLayout);
TT_WEBGPU_HANDLE(Buffer);
TT_WEBGPU_HANDLE(CommandBuffer);
TT_WEBGPU_HANDLE(CommandEncoder);
TT_WEBGPU_HANDLE(ComputePassEncoder);
TT_WEBGPU_HANDLE(ComputePipeline);
TT_WEBGPU_HANDLE(Device);
TT_WEBGPU_HANDLE(Instance);
TT_WEBGPU_HANDLE(PipelineLayout);
TT_WEBGPU_HANDLE(Queue);
TT_WEBGPU_HANDLE(ShaderModule);
#undef TT_WEBGPU_HANDLE

using Bool = uint32_t;
using Flags = uint64_t;

inline constexpr size_t kStringLength = SIZE_MAX;  // StringView::length: data ends with a zero
inline constexpr uint32_t kUndefined32 = UINT32_MAX;
inline constexpr uint64_t kUndefined64 = UINT64_MAX;

inline constexpr Flags kBufferMapRead = 0x1, kBufferCopySource = 0x4, kBufferCopyTarget = 0x8;
inline constexpr Flags kBufferUniform = 0x40, kBufferStorage = 0x80;
inline constexpr Flags kMapRead = 0x1;
inline constexpr Flags kStageCompute = 0x4;

enum BackendType : uint32_t { kBackendUndefined = 0, kBackendVulkan = 6 };
enum AdapterType : uint32_t { kDiscreteGpu = 1, kIntegratedGpu = 2, kCpu = 3, kUnknownAdapter = 4 };
enum BindingType : uint32_t {
  kBindingNotUsed = 0,
  kUniformBinding = 2,
  kStorageBinding = 3,
  kReadOnlyStorageBinding = 4
};
enum CallbackMode : uint32_t { kAllowProcessEvents = 2, kAllowSpontaneous = 3 };
enum ErrorFilter : uint32_t { kFilterValidation = 1, kFilterOutOfMemory = 2, kFilterInternal = 3 };
enum ErrorType : uint32_t { kNoError = 1, kValidationError = 2, kOutOfMemoryError = 3, kInternalError = 4 };
enum DeviceLostReason : uint32_t {
  kLostUnknown = 1,
  kLostDestroyed = 2,
  kLostCancelled = 3,
  kLostAtCreation = 4
};
enum Status : uint32_t { kSuccess = 1 };  // of every request: success is 1
enum PowerPreference : uint32_t { kNoPreference = 0, kLowPower = 1, kHighPerformance = 2 };
enum FeatureLevel : uint32_t { kCoreLevel = 2 };
enum ChainType : uint32_t { kShaderSourceWgsl = 2 };

struct StringView {
  const char* data = nullptr;
  size_t length = kStringLength;
};
struct Chained {
  const Chained* next = nullptr;
  uint32_t type = 0;
};
struct Future {
  uint64_t id = 0;
};

using RequestAdapterCallback = void (*)(uint32_t status, Adapter, StringView message, void*, void*);
using RequestDeviceCallback = void (*)(uint32_t status, Device, StringView message, void*, void*);
using DeviceLostCallback = void (*)(Device const*, uint32_t reason, StringView message, void*, void*);
using UncapturedErrorCallback = void (*)(Device const*, uint32_t type, StringView message, void*, void*);
using PopErrorScopeCallback = void (*)(uint32_t status, uint32_t type, StringView message, void*, void*);
using BufferMapCallback = void (*)(uint32_t status, StringView message, void*, void*);
using WorkDoneCallback = void (*)(uint32_t status, StringView message, void*, void*);

template <class Callback>
struct CallbackInfo {
  const Chained* next = nullptr;
  uint32_t mode = kAllowProcessEvents;
  Callback callback = nullptr;
  void* userdata1 = nullptr;
  void* userdata2 = nullptr;
};
struct UncapturedErrorCallbackInfo {
  const Chained* next = nullptr;
  UncapturedErrorCallback callback = nullptr;
  void* userdata1 = nullptr;
  void* userdata2 = nullptr;
};

struct AdapterInfo {
  Chained* next = nullptr;
  StringView vendor, architecture, device, description;
  uint32_t backend_type = 0;
  uint32_t adapter_type = 0;
  uint32_t vendor_id = 0;
  uint32_t device_id = 0;
  uint32_t subgroup_min_size = 0;
  uint32_t subgroup_max_size = 0;
};

struct Limits {
  Chained* next = nullptr;
  uint32_t texture_dimensions[4] = {kUndefined32, kUndefined32, kUndefined32,
                                    kUndefined32};  // 1D, 2D, 3D, layers
  uint32_t max_bind_groups = kUndefined32;
  uint32_t max_bind_groups_plus_vertex_buffers = kUndefined32;
  uint32_t max_bindings_per_bind_group = kUndefined32;
  uint32_t max_dynamic_uniform_buffers_per_pipeline_layout = kUndefined32;
  uint32_t max_dynamic_storage_buffers_per_pipeline_layout = kUndefined32;
  uint32_t max_sampled_textures_per_shader_stage = kUndefined32;
  uint32_t max_samplers_per_shader_stage = kUndefined32;
  uint32_t max_storage_buffers_per_shader_stage = kUndefined32;
  uint32_t max_storage_textures_per_shader_stage = kUndefined32;
  uint32_t max_uniform_buffers_per_shader_stage = kUndefined32;
  uint64_t max_uniform_buffer_binding_size = kUndefined64;
  uint64_t max_storage_buffer_binding_size = kUndefined64;
  uint32_t min_uniform_buffer_offset_alignment = kUndefined32;
  uint32_t min_storage_buffer_offset_alignment = kUndefined32;
  uint32_t max_vertex_buffers = kUndefined32;
  uint64_t max_buffer_size = kUndefined64;
  uint32_t max_vertex_attributes = kUndefined32;
  uint32_t max_vertex_buffer_array_stride = kUndefined32;
  uint32_t max_inter_stage_shader_variables = kUndefined32;
  uint32_t max_color_attachments = kUndefined32;
  uint32_t max_color_attachment_bytes_per_sample = kUndefined32;
  uint32_t max_compute_workgroup_storage_size = kUndefined32;
  uint32_t max_compute_invocations_per_workgroup = kUndefined32;
  uint32_t max_compute_workgroup_size[3] = {kUndefined32, kUndefined32, kUndefined32};
  uint32_t max_compute_workgroups_per_dimension = kUndefined32;
  uint32_t max_immediate_size = kUndefined32;
  // Dawn of mid-2025 has four more limits of the compatibility mode here.
  uint32_t compatibility[4] = {kUndefined32, kUndefined32, kUndefined32, kUndefined32};
};

struct QueueDescriptor {
  const Chained* next = nullptr;
  StringView label;
};
struct DeviceDescriptor {
  const Chained* next = nullptr;
  StringView label;
  size_t num_required_features = 0;
  const uint32_t* required_features = nullptr;
  const Limits* required_limits = nullptr;
  QueueDescriptor default_queue;
  CallbackInfo<DeviceLostCallback> device_lost;
  UncapturedErrorCallbackInfo uncaptured_error;
};
struct RequestAdapterOptions {
  const Chained* next = nullptr;
  uint32_t feature_level = kCoreLevel;
  uint32_t power_preference = kNoPreference;
  Bool force_fallback_adapter = 0;
  uint32_t backend_type = kBackendUndefined;
  void* compatible_surface = nullptr;
};
struct SupportedFeatures {
  size_t count = 0;
  const uint32_t* features = nullptr;
};

struct BufferDescriptor {
  const Chained* next = nullptr;
  StringView label;
  Flags usage = 0;
  uint64_t size = 0;
  Bool mapped_at_creation = 0;
};
struct ShaderSourceWgsl {
  Chained chain{nullptr, kShaderSourceWgsl};
  StringView code;
};
struct ShaderModuleDescriptor {
  const Chained* next = nullptr;
  StringView label;
};
struct BufferBindingLayout {
  const Chained* next = nullptr;
  uint32_t type = kBindingNotUsed;
  Bool has_dynamic_offset = 0;
  uint64_t min_binding_size = 0;
};
struct SamplerBindingLayout {
  const Chained* next = nullptr;
  uint32_t type = 0;
};
struct TextureBindingLayout {
  const Chained* next = nullptr;
  uint32_t sample_type = 0;
  uint32_t view_dimension = 0;
  Bool multisampled = 0;
};
struct StorageTextureBindingLayout {
  const Chained* next = nullptr;
  uint32_t access = 0;
  uint32_t format = 0;
  uint32_t view_dimension = 0;
};
struct BindGroupLayoutEntry {
  const Chained* next = nullptr;
  uint32_t binding = 0;
  Flags visibility = kStageCompute;
  uint32_t binding_array_size = 0;
  BufferBindingLayout buffer;
  SamplerBindingLayout sampler;
  TextureBindingLayout texture;
  StorageTextureBindingLayout storage_texture;
};
struct BindGroupLayoutDescriptor {
  const Chained* next = nullptr;
  StringView label;
  size_t num_entries = 0;
  const BindGroupLayoutEntry* entries = nullptr;
};
struct BindGroupEntry {
  const Chained* next = nullptr;
  uint32_t binding = 0;
  Buffer buffer = nullptr;
  uint64_t offset = 0;
  uint64_t size = 0;
  void* sampler = nullptr;
  void* texture_view = nullptr;
};
struct BindGroupDescriptor {
  const Chained* next = nullptr;
  StringView label;
  BindGroupLayout layout = nullptr;
  size_t num_entries = 0;
  const BindGroupEntry* entries = nullptr;
};
struct PipelineLayoutDescriptor {
  const Chained* next = nullptr;
  StringView label;
  size_t num_layouts = 0;
  const BindGroupLayout* layouts = nullptr;
  uint32_t immediate_size = 0;
};
struct ComputeState {
  const Chained* next = nullptr;
  ShaderModule module = nullptr;
  StringView entry_point;
  size_t num_constants = 0;
  const void* constants = nullptr;
};
struct ComputePipelineDescriptor {
  const Chained* next = nullptr;
  StringView label;
  PipelineLayout layout = nullptr;
  ComputeState compute;
};
struct CommandEncoderDescriptor {
  const Chained* next = nullptr;
  StringView label;
};
struct ComputePassDescriptor {
  const Chained* next = nullptr;
  StringView label;
  const void* timestamp_writes = nullptr;
};
struct EnumerateAdapterOptions {  // wgpu-native
  const Chained* next = nullptr;
  Flags backends = 0;
};
inline constexpr Flags kNativeBackendVulkan = 1;

}  // namespace tattletale::webgpu::api
