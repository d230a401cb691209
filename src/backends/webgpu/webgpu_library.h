// A library that implements WebGPU, found at run time: which file it is, its functions, and how it departs
// from the standard header. Makes no device.
#pragma once

#include <memory>
#include <string>

#include "backends/webgpu/webgpu_api.h"
#include "base/error.h"

namespace tattletale::webgpu {

// Result type, name without the prefix wgpu, parameters. All of these a library must have.
#define TT_WEBGPU_FUNCTIONS(X)                                                                               \
  X(api::Instance, CreateInstance, (const void*))                                                            \
  X(void, InstanceRelease, (api::Instance))                                                                  \
  X(void, InstanceProcessEvents, (api::Instance))                                                            \
  X(api::Future, InstanceRequestAdapter,                                                                     \
    (api::Instance, const api::RequestAdapterOptions*, api::CallbackInfo<api::RequestAdapterCallback>))      \
  X(void, AdapterRelease, (api::Adapter))                                                                    \
  X(uint32_t, AdapterGetInfo, (api::Adapter, api::AdapterInfo*))                                             \
  X(void, AdapterInfoFreeMembers, (api::AdapterInfo))                                                        \
  X(uint32_t, AdapterGetLimits, (api::Adapter, api::Limits*))                                                \
  X(void, AdapterGetFeatures, (api::Adapter, api::SupportedFeatures*))                                       \
  X(void, SupportedFeaturesFreeMembers, (api::SupportedFeatures))                                            \
  X(api::Future, AdapterRequestDevice,                                                                       \
    (api::Adapter, const api::DeviceDescriptor*, api::CallbackInfo<api::RequestDeviceCallback>))             \
  X(void, DeviceRelease, (api::Device))                                                                      \
  X(void, DeviceDestroy, (api::Device))                                                                      \
  X(api::Queue, DeviceGetQueue, (api::Device))                                                               \
  X(uint32_t, DeviceGetLimits, (api::Device, api::Limits*))                                                  \
  X(void, DevicePushErrorScope, (api::Device, uint32_t filter))                                              \
  X(api::Future, DevicePopErrorScope, (api::Device, api::CallbackInfo<api::PopErrorScopeCallback>))          \
  X(api::Buffer, DeviceCreateBuffer, (api::Device, const api::BufferDescriptor*))                            \
  X(api::ShaderModule, DeviceCreateShaderModule, (api::Device, const api::ShaderModuleDescriptor*))          \
  X(api::BindGroupLayout, DeviceCreateBindGroupLayout, (api::Device, const api::BindGroupLayoutDescriptor*)) \
  X(api::PipelineLayout, DeviceCreatePipelineLayout, (api::Device, const api::PipelineLayoutDescriptor*))    \
  X(api::ComputePipeline, DeviceCreateComputePipeline, (api::Device, const api::ComputePipelineDescriptor*)) \
  X(api::BindGroup, DeviceCreateBindGroup, (api::Device, const api::BindGroupDescriptor*))                   \
  X(api::CommandEncoder, DeviceCreateCommandEncoder, (api::Device, const api::CommandEncoderDescriptor*))    \
  X(api::ComputePassEncoder, CommandEncoderBeginComputePass,                                                 \
    (api::CommandEncoder, const api::ComputePassDescriptor*))                                                \
  X(void, CommandEncoderCopyBufferToBuffer,                                                                  \
    (api::CommandEncoder, api::Buffer, uint64_t, api::Buffer, uint64_t, uint64_t))                           \
  X(api::CommandBuffer, CommandEncoderFinish, (api::CommandEncoder, const void*))                            \
  X(void, CommandEncoderRelease, (api::CommandEncoder))                                                      \
  X(void, CommandBufferRelease, (api::CommandBuffer))                                                        \
  X(void, ComputePassEncoderSetPipeline, (api::ComputePassEncoder, api::ComputePipeline))                    \
  X(void, ComputePassEncoderSetBindGroup,                                                                    \
    (api::ComputePassEncoder, uint32_t, api::BindGroup, size_t, const uint32_t*))                            \
  X(void, ComputePassEncoderDispatchWorkgroups, (api::ComputePassEncoder, uint32_t, uint32_t, uint32_t))     \
  X(void, ComputePassEncoderEnd, (api::ComputePassEncoder))                                                  \
  X(void, ComputePassEncoderRelease, (api::ComputePassEncoder))                                              \
  X(void, QueueSubmit, (api::Queue, size_t, const api::CommandBuffer*))                                      \
  X(void, QueueWriteBuffer, (api::Queue, api::Buffer, uint64_t, const void*, size_t))                        \
  X(api::Future, QueueOnSubmittedWorkDone, (api::Queue, api::CallbackInfo<api::WorkDoneCallback>))           \
  X(void, QueueRelease, (api::Queue))                                                                        \
  X(api::Future, BufferMapAsync,                                                                             \
    (api::Buffer, api::Flags, size_t, size_t, api::CallbackInfo<api::BufferMapCallback>))                    \
  X(const void*, BufferGetConstMappedRange, (api::Buffer, size_t, size_t))                                   \
  X(void, BufferUnmap, (api::Buffer))                                                                        \
  X(void, BufferDestroy, (api::Buffer))                                                                      \
  X(void, BufferRelease, (api::Buffer))                                                                      \
  X(void, BindGroupRelease, (api::BindGroup))                                                                \
  X(void, BindGroupLayoutRelease, (api::BindGroupLayout))                                                    \
  X(void, PipelineLayoutRelease, (api::PipelineLayout))                                                      \
  X(void, ComputePipelineRelease, (api::ComputePipeline))                                                    \
  X(void, ShaderModuleRelease, (api::ShaderModule))

// Only some libraries have these; null where missing.
#define TT_WEBGPU_OPTIONAL_FUNCTIONS(X)                                                                     \
  X(void, ComputePassEncoderSetImmediates, (api::ComputePassEncoder, uint32_t, const void*, size_t))        \
  /* wgpu-native */                                                                                         \
  X(size_t, InstanceEnumerateAdapters, (api::Instance, const api::EnumerateAdapterOptions*, api::Adapter*)) \
  X(api::Bool, DevicePoll, (api::Device, api::Bool wait, const uint64_t*))                                  \
  X(uint64_t, QueueSubmitForIndex, (api::Queue, size_t, const api::CommandBuffer*))                         \
  X(uint32_t, GetVersion, ())                                                                               \
  X(api::ShaderModule, DeviceCreateShaderModuleTrusted,                                                     \
    (api::Device, const api::ShaderModuleDescriptor*, api::Flags checks))                                   \
  /* Dawn before immediates were standard; says that a library is that old */                               \
  X(void, ComputePassEncoderSetImmediateData, (api::ComputePassEncoder, uint32_t, const void*, size_t))

struct Functions {
#define TT_WEBGPU_MEMBER(result, name, parameters) result(*name) parameters = nullptr;
  TT_WEBGPU_FUNCTIONS(TT_WEBGPU_MEMBER)
  TT_WEBGPU_OPTIONAL_FUNCTIONS(TT_WEBGPU_MEMBER)
#undef TT_WEBGPU_MEMBER
};

/// Feature numbers of a library; 0 where it has none for that.
struct FeatureNumbers {
  uint32_t shader_f16 = 0xB;
  uint32_t subgroups = 0x12;
  uint32_t subgroup_barrier = 0;
  uint32_t immediates = 0;
};

class WebgpuLibrary {
 public:
  /// The library named by the environment variable TATTLETALE_WEBGPU_LIB, else the first of the usual names
  /// that loads. Errors: not_found, with every name tried, the loader's words and what to install;
  /// unsupported for a library that lacks a function.
  static Result<std::shared_ptr<WebgpuLibrary>> open();
  ~WebgpuLibrary();
  WebgpuLibrary(const WebgpuLibrary&) = delete;
  WebgpuLibrary& operator=(const WebgpuLibrary&) = delete;

  const Functions& functions() const { return functions_; }
  const FeatureNumbers& features() const { return features_; }
  /// The file as it was named.
  const std::string& path() const { return path_; }
  /// "wgpu-native 29.0.1.0", "Dawn (libwebgpu_dawn.so)".
  std::string implementation() const;
  bool is_wgpu_native() const { return functions_.DevicePoll != nullptr && functions_.GetVersion != nullptr; }
  bool early_dawn() const { return functions_.ComputePassEncoderSetImmediateData != nullptr; }

 private:
  WebgpuLibrary(void* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  Result<void> find_functions();

  void* handle_;
  std::string path_;
  Functions functions_;
  FeatureNumbers features_;
};

inline constexpr const char* kLibraryVariable = "TATTLETALE_WEBGPU_LIB";

}  // namespace tattletale::webgpu
