// A library that may be absent, opened while the program runs.
#pragma once

#include <dlfcn.h>

#include <memory>
#include <string>

namespace tattletale::cuda {

class SharedLibrary {
 public:
  /// `name`: a path, or a name that the dynamic linker looks up. Not open afterwards when it is not there.
  /// Stays in the process for good: NVIDIA's libraries start threads and keep memory, and are not made to go.
  explicit SharedLibrary(const std::string& name)
      : handle_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) {
    if (!handle_) {
      const char* reason = dlerror();
      error_ = reason ? reason : "dlopen failed";
    }
  }
  bool is_open() const { return handle_ != nullptr; }
  /// Why it is not open.
  const std::string& error() const { return error_; }

  /// False when the library has no such function; `function` is null then.
  template <class F>
  bool find(F*& function, const char* name) const {
    function = reinterpret_cast<F*>(dlsym(handle_.get(), name));
    return function != nullptr;
  }

 private:
  struct Closer {
    void operator()(void* handle) const { dlclose(handle); }
  };
  std::unique_ptr<void, Closer> handle_;
  std::string error_;
};

}  // namespace tattletale::cuda
