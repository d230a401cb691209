// The part of NVIDIA's driver interface that is used here, declared by hand and found in libcuda.so.1 while
// the program runs. Names and numbers are the driver's own. Source: CUDA Driver API reference, 12.0 to 13.x.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"

namespace tattletale::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphNode = struct CUgraphNode_st*;
using CUgraphExec = struct CUgraphExec_st*;

struct CUuuid {
  char bytes[16];
};
/// CUDA_KERNEL_NODE_PARAMS_v2.
struct KernelNodeParams {
  CUfunction func;
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  void** kernel_params;
  void** extra;
  void* kern;     // read only where func is null
  CUcontext ctx;  // ignored where func is set
};
struct CUgraphEdgeData {
  unsigned char from_port;
  unsigned char to_port;
  unsigned char type;
  unsigned char reserved[5];
};

// Results
inline constexpr CUresult kSuccess = 0;
inline constexpr CUresult kOutOfMemory = 2;
inline constexpr CUresult kNoDevice = 100;
inline constexpr CUresult kNotReady = 600;
// Attributes of devices
inline constexpr int kAttributeMultiprocessorCount = 16;
inline constexpr int kAttributeCapabilityMajor = 75;
inline constexpr int kAttributeCapabilityMinor = 76;
inline constexpr int kAttributeMaxSharedOptin = 97;
// Attributes of functions
inline constexpr int kFunctionSharedBytes = 1;
inline constexpr int kFunctionLocalBytes = 3;
inline constexpr int kFunctionNumRegisters = 4;
inline constexpr int kFunctionMaxDynamicShared = 8;
// Flags
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventDisableTiming = 2;
// Edges of graphs
inline constexpr unsigned char kPortProgrammatic = 1;
inline constexpr unsigned char kDependencyProgrammatic = 1;

/// One line a function: result type, name here, symbol, arguments. The _v2 names are what cuda.h's plain
/// names stand for.
#define TT_CUDA_FUNCTIONS(F)                                                                             \
  F(init, "cuInit", (unsigned flags))                                                                    \
  F(driver_version, "cuDriverGetVersion", (int* version))                                                \
  F(error_name, "cuGetErrorName", (CUresult error, const char** text))                                   \
  F(error_string, "cuGetErrorString", (CUresult error, const char** text))                               \
  F(device_count, "cuDeviceGetCount", (int* count))                                                      \
  F(device_get, "cuDeviceGet", (CUdevice * device, int ordinal))                                         \
  F(device_name, "cuDeviceGetName", (char* name, int length, CUdevice device))                           \
  F(device_total_memory, "cuDeviceTotalMem_v2", (size_t* bytes, CUdevice device))                        \
  F(device_attribute, "cuDeviceGetAttribute", (int* value, int attribute, CUdevice device))              \
  F(device_uuid, "cuDeviceGetUuid_v2", (CUuuid * uuid, CUdevice device))                                 \
  F(context_retain, "cuDevicePrimaryCtxRetain", (CUcontext * context, CUdevice device))                  \
  F(context_release, "cuDevicePrimaryCtxRelease_v2", (CUdevice device))                                  \
  F(context_set_current, "cuCtxSetCurrent", (CUcontext context))                                         \
  F(stream_create, "cuStreamCreate", (CUstream * stream, unsigned flags))                                \
  F(stream_destroy, "cuStreamDestroy_v2", (CUstream stream))                                             \
  F(stream_synchronize, "cuStreamSynchronize", (CUstream stream))                                        \
  F(event_create, "cuEventCreate", (CUevent * event, unsigned flags))                                    \
  F(event_destroy, "cuEventDestroy_v2", (CUevent event))                                                 \
  F(event_record, "cuEventRecord", (CUevent event, CUstream stream))                                     \
  F(event_query, "cuEventQuery", (CUevent event))                                                        \
  F(event_synchronize, "cuEventSynchronize", (CUevent event))                                            \
  F(memory_info, "cuMemGetInfo_v2", (size_t* free_bytes, size_t* total_bytes))                           \
  F(memory_allocate, "cuMemAlloc_v2", (CUdeviceptr * pointer, size_t bytes))                             \
  F(memory_free, "cuMemFree_v2", (CUdeviceptr pointer))                                                  \
  F(host_allocate, "cuMemHostAlloc", (void** pointer, size_t bytes, unsigned flags))                     \
  F(host_free, "cuMemFreeHost", (void* pointer))                                                         \
  F(copy_to_device, "cuMemcpyHtoDAsync_v2",                                                              \
    (CUdeviceptr to, const void* from, size_t bytes, CUstream stream))                                   \
  F(copy_to_host, "cuMemcpyDtoHAsync_v2", (void* to, CUdeviceptr from, size_t bytes, CUstream stream))   \
  F(fill_bytes, "cuMemsetD8Async", (CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream)) \
  F(module_load, "cuModuleLoadData", (CUmodule * module, const void* image))                             \
  F(module_unload, "cuModuleUnload", (CUmodule module))                                                  \
  F(module_function, "cuModuleGetFunction", (CUfunction * function, CUmodule module, const char* name))  \
  F(function_attribute, "cuFuncGetAttribute", (int* value, int attribute, CUfunction function))          \
  F(function_set_attribute, "cuFuncSetAttribute", (CUfunction function, int attribute, int value))       \
  F(launch, "cuLaunchKernel",                                                                            \
    (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,           \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void** kernel_params,   \
     void** extra))                                                                                      \
  F(graph_create, "cuGraphCreate", (CUgraph * graph, unsigned flags))                                    \
  F(graph_destroy, "cuGraphDestroy", (CUgraph graph))                                                    \
  F(graph_add_kernel, "cuGraphAddKernelNode_v2",                                                         \
    (CUgraphNode * node, CUgraph graph, const CUgraphNode* dependencies, size_t num_dependencies,        \
     const KernelNodeParams* params))                                                                    \
  F(graph_instantiate, "cuGraphInstantiateWithFlags",                                                    \
    (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                                 \
  F(graph_upload, "cuGraphUpload", (CUgraphExec executable, CUstream stream))                            \
  F(graph_launch, "cuGraphLaunch", (CUgraphExec executable, CUstream stream))                            \
  F(graph_executable_destroy, "cuGraphExecDestroy", (CUgraphExec executable))

/// Functions that a driver of CUDA 12.0 may lack; null then.
#define TT_CUDA_OPTIONAL_FUNCTIONS(F)                                                             \
  F(graph_add_dependencies, "cuGraphAddDependencies_v2",                                          \
    (CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData* edges, \
     size_t num_dependencies))

struct CudaApi {
#define TT_CUDA_MEMBER(name, symbol, arguments) CUresult(*name) arguments = nullptr;
  TT_CUDA_FUNCTIONS(TT_CUDA_MEMBER)
  TT_CUDA_OPTIONAL_FUNCTIONS(TT_CUDA_MEMBER)
#undef TT_CUDA_MEMBER

  /// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)"
  std::string text_of(CUresult result) const;
  /// The result as an error: out_of_memory, device_lost where nothing works on the device any more, internal.
  /// `call`: what was asked for, "cuMemAlloc".
  Error error(CUresult result, const std::string& where, const std::string& call) const;
};

/// After one of these a context accepts no further work.
bool is_device_lost(CUresult result);

/// "13.0" for 13000.
std::string version_text(int version);

/// The driver of this machine, initialised; the library stays open as long as the pointer lives.
/// Errors: not_found when there is no driver, unsupported when it is older than CUDA 12.0.
Result<std::shared_ptr<const CudaApi>> load_cuda_api();

inline constexpr int kMinDriverVersion = 12000;

}  // namespace tattletale::cuda
