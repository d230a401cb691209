// Finds libOpenCL and its functions. See opencl_api.h.
#include "backends/opencl/opencl_api.h"

#include <dlfcn.h>

namespace tattletale::opencl {

Result<std::shared_ptr<const OpenclApi>> load_opencl(std::string_view library) {
  const std::string name(library);
  void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return make_error(
        ErrorKind::unsupported, "opencl",
        "found no OpenCL loader: " + std::string(reason != nullptr ? reason : name.c_str()) +
            "; install one (Debian and Ubuntu: ocl-icd-libopencl1) and the driver of your device");
  }
  auto api = std::make_shared<OpenclApi>();
#define TT_OPENCL_FIND(name)                                                                              \
  api->name = reinterpret_cast<decltype(api->name)>(dlsym(handle, "cl" #name));                           \
  if (api->name == nullptr) {                                                                             \
    return make_error(                                                                                    \
        ErrorKind::unsupported, "opencl",                                                                 \
        std::string(library) + " has no function cl" #name ": expected a loader of OpenCL 1.2 or later"); \
  }
  TT_OPENCL_FUNCTIONS(TT_OPENCL_FIND)
#undef TT_OPENCL_FIND
  return std::shared_ptr<const OpenclApi>(std::move(api));
}

std::string status_text(cl_int status) {
  struct Named {
    cl_int code;
    std::string_view name;
  };
#define TT_CODE(name) {name, #name}
  static constexpr Named kNames[] = {TT_CODE(CL_DEVICE_NOT_FOUND),
                                     TT_CODE(CL_DEVICE_NOT_AVAILABLE),
                                     TT_CODE(CL_COMPILER_NOT_AVAILABLE),
                                     TT_CODE(CL_MEM_OBJECT_ALLOCATION_FAILURE),
                                     TT_CODE(CL_OUT_OF_RESOURCES),
                                     TT_CODE(CL_OUT_OF_HOST_MEMORY),
                                     TT_CODE(CL_BUILD_PROGRAM_FAILURE),
                                     TT_CODE(CL_MAP_FAILURE),
                                     TT_CODE(CL_MISALIGNED_SUB_BUFFER_OFFSET),
                                     TT_CODE(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
                                     TT_CODE(CL_INVALID_VALUE),
                                     TT_CODE(CL_INVALID_PLATFORM),
                                     TT_CODE(CL_INVALID_DEVICE),
                                     TT_CODE(CL_INVALID_CONTEXT),
                                     TT_CODE(CL_INVALID_COMMAND_QUEUE),
                                     TT_CODE(CL_INVALID_HOST_PTR),
                                     TT_CODE(CL_INVALID_MEM_OBJECT),
                                     TT_CODE(CL_INVALID_BINARY),
                                     TT_CODE(CL_INVALID_BUILD_OPTIONS),
                                     TT_CODE(CL_INVALID_PROGRAM),
                                     TT_CODE(CL_INVALID_PROGRAM_EXECUTABLE),
                                     TT_CODE(CL_INVALID_KERNEL_NAME),
                                     TT_CODE(CL_INVALID_KERNEL_DEFINITION),
                                     TT_CODE(CL_INVALID_KERNEL),
                                     TT_CODE(CL_INVALID_ARG_INDEX),
                                     TT_CODE(CL_INVALID_ARG_VALUE),
                                     TT_CODE(CL_INVALID_ARG_SIZE),
                                     TT_CODE(CL_INVALID_KERNEL_ARGS),
                                     TT_CODE(CL_INVALID_WORK_DIMENSION),
                                     TT_CODE(CL_INVALID_WORK_GROUP_SIZE),
                                     TT_CODE(CL_INVALID_WORK_ITEM_SIZE),
                                     TT_CODE(CL_INVALID_GLOBAL_OFFSET),
                                     TT_CODE(CL_INVALID_EVENT),
                                     TT_CODE(CL_INVALID_OPERATION),
                                     TT_CODE(CL_INVALID_BUFFER_SIZE),
                                     TT_CODE(CL_INVALID_GLOBAL_WORK_SIZE)};
#undef TT_CODE
  for (const Named& named : kNames) {
    if (named.code == status) return std::string(named.name) + " (" + std::to_string(status) + ")";
  }
  return "code " + std::to_string(status);
}

}  // namespace tattletale::opencl
