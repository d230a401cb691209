#include "backends/webgpu/webgpu_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <vector>

namespace tattletale::webgpu {
namespace {

constexpr const char* kAdvice =
    "install wgpu-native (libwgpu_native.so; the Python package wgpu carries one) or Dawn "
    "(libwebgpu_dawn.so), "
    "or set TATTLETALE_WEBGPU_LIB to the library's file";

}  // namespace

Result<std::shared_ptr<WebgpuLibrary>> WebgpuLibrary::open() {
  std::vector<std::string> names = {"libwgpu_native.so", "libwebgpu_dawn.so", "libwebgpu.so",
                                    "libwgpu_native-release.so"};
  if (const char* chosen = std::getenv(kLibraryVariable); chosen != nullptr && *chosen != '\0')
    names = {chosen};
  std::string tried;
  for (const std::string& name : names) {
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      std::shared_ptr<WebgpuLibrary> library(new WebgpuLibrary(handle, name));
      TT_TRY(library->find_functions());
      return library;
    }
    const char* reason = dlerror();
    tried += (tried.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : name);
  }
  return make_error(ErrorKind::not_found, "webgpu",
                    "no library that implements WebGPU was found (" + tried + "); " + kAdvice);
}

/// Never closed: these libraries keep threads and thread-local state that outlive their last object.
WebgpuLibrary::~WebgpuLibrary() = default;

Result<void> WebgpuLibrary::find_functions() {
  std::string missing;
#define TT_WEBGPU_FIND(result, name, parameters) \
  functions_.name = reinterpret_cast<result(*) parameters>(dlsym(handle_, "wgpu" #name));
#define TT_WEBGPU_REQUIRE(result, name, parameters) \
  TT_WEBGPU_FIND(result, name, parameters)          \
  if (functions_.name == nullptr) missing += " wgpu" #name;
  TT_WEBGPU_FUNCTIONS(TT_WEBGPU_REQUIRE)
  TT_WEBGPU_OPTIONAL_FUNCTIONS(TT_WEBGPU_FIND)
#undef TT_WEBGPU_REQUIRE
#undef TT_WEBGPU_FIND
  if (!missing.empty()) {
    return make_error(
        ErrorKind::unsupported, path_,
        "not a library of the standard webgpu.h of 2025 or later; it lacks" + missing + "; " + kAdvice);
  }
  if (is_wgpu_native()) {
    features_ = {.shader_f16 = 0xB, .subgroups = 0x30021, .subgroup_barrier = 0x30023, .immediates = 0x30001};
  } else if (early_dawn()) {
    features_ = {.shader_f16 = 10, .subgroups = 17};
  }
  return {};
}

std::string WebgpuLibrary::implementation() const {
  if (is_wgpu_native()) {
    const uint32_t version = functions_.GetVersion();
    return "wgpu-native " + std::to_string(version >> 24) + "." + std::to_string((version >> 16) & 0xff) +
           "." + std::to_string((version >> 8) & 0xff) + "." + std::to_string(version & 0xff);
  }
  return "Dawn (" + path_.substr(path_.rfind('/') + 1) + ")";
}

}  // namespace tattletale::webgpu
