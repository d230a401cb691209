// libOpenCL as a table of functions found at run time, so that a program starts on a machine without it;
// handles that release themselves; names of error codes. Source: the OpenCL API specification, version 3.0.
#pragma once

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS  // clCreateCommandQueue: the one that drivers of every version have
#include <CL/cl.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tattletale::opencl {

// One name a line: the formatter does not settle on anything else.
// clang-format off
#define TT_OPENCL_FUNCTIONS(X) \
  X(GetPlatformIDs) \
  X(GetPlatformInfo) \
  X(GetDeviceIDs) \
  X(GetDeviceInfo) \
  X(CreateContext) \
  X(ReleaseContext) \
  X(CreateCommandQueue) \
  X(ReleaseCommandQueue) \
  X(CreateBuffer) \
  X(ReleaseMemObject) \
  X(EnqueueMapBuffer) \
  X(EnqueueUnmapMemObject) \
  X(EnqueueWriteBuffer) \
  X(EnqueueReadBuffer) \
  X(EnqueueFillBuffer) \
  X(EnqueueNDRangeKernel) \
  X(EnqueueMarkerWithWaitList) \
  X(Flush) \
  X(Finish) \
  X(WaitForEvents) \
  X(GetEventInfo) \
  X(ReleaseEvent) \
  X(CreateProgramWithSource) \
  X(CreateProgramWithBinary) \
  X(BuildProgram) \
  X(GetProgramBuildInfo) \
  X(GetProgramInfo) \
  X(ReleaseProgram) \
  X(CreateKernel) \
  X(ReleaseKernel) \
  X(SetKernelArg) \
  X(GetKernelWorkGroupInfo)
// clang-format on

/// The functions in use. A test may hand a device a copy with some of them replaced.
struct OpenclApi {
#define TT_OPENCL_MEMBER(name) decltype(&::cl##name) name = nullptr;
  TT_OPENCL_FUNCTIONS(TT_OPENCL_MEMBER)
#undef TT_OPENCL_MEMBER
};

inline constexpr std::string_view kOpenclLibrary = "libOpenCL.so.1";

/// The installable client driver loader, opened once and never closed: drivers have threads of their own.
/// Errors: unsupported, saying what was looked for and what to install.
Result<std::shared_ptr<const OpenclApi>> load_opencl(std::string_view library = kOpenclLibrary);

/// "CL_OUT_OF_RESOURCES (-5)"; codes of no known name as "code -9999".
std::string status_text(cl_int status);

/// Owns one reference to an OpenCL object; the table must outlive it.
template <class T>
class Handle {
 public:
  Handle() = default;
  Handle(const OpenclApi& api, T object) : api_(&api), object_(object) {}
  Handle(Handle&& other) noexcept : api_(other.api_), object_(std::exchange(other.object_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      api_ = other.api_;
      object_ = std::exchange(other.object_, nullptr);
    }
    return *this;
  }
  ~Handle() { reset(); }
  void reset() {
    if (T object = std::exchange(object_, nullptr)) release(*api_, object);
  }
  T get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  static void release(const OpenclApi& api, cl_context object) { api.ReleaseContext(object); }
  static void release(const OpenclApi& api, cl_command_queue object) { api.ReleaseCommandQueue(object); }
  static void release(const OpenclApi& api, cl_mem object) { api.ReleaseMemObject(object); }
  static void release(const OpenclApi& api, cl_program object) { api.ReleaseProgram(object); }
  static void release(const OpenclApi& api, cl_kernel object) { api.ReleaseKernel(object); }
  static void release(const OpenclApi& api, cl_event object) { api.ReleaseEvent(object); }

  const OpenclApi* api_ = nullptr;
  T object_ = nullptr;
};

}  // namespace tattletale::opencl
