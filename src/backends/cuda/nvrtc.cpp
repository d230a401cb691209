#include "backends/cuda/nvrtc.h"

#include <charconv>
#include <filesystem>
#include <sstream>

#include "backends/cuda/shared_library.h"

namespace tattletale::cuda {
namespace {

// nvrtc.h, as far as it is used here. All functions return nvrtcResult, 0 for success.
using nvrtcProgram = struct NvrtcProgramHandle*;

struct Functions {
  int (*version)(int* major, int* minor) = nullptr;
  const char* (*error_string)(int result) = nullptr;
  int (*num_architectures)(int* count) = nullptr;
  int (*architectures)(int* out) = nullptr;
  int (*create)(nvrtcProgram* out, const char* source, const char* name, int num_headers,
                const char* const* headers, const char* const* include_names) = nullptr;
  int (*destroy)(nvrtcProgram* program) = nullptr;
  int (*compile)(nvrtcProgram program, int num_options, const char* const* options) = nullptr;
  int (*cubin_size)(nvrtcProgram program, size_t* bytes) = nullptr;
  int (*cubin)(nvrtcProgram program, char* out) = nullptr;
  int (*log_size)(nvrtcProgram program, size_t* bytes) = nullptr;
  int (*log)(nvrtcProgram program, char* out) = nullptr;

  bool find_all(const SharedLibrary& library) {
    return library.find(version, "nvrtcVersion") && library.find(error_string, "nvrtcGetErrorString") &&
           library.find(num_architectures, "nvrtcGetNumSupportedArchs") &&
           library.find(architectures, "nvrtcGetSupportedArchs") &&
           library.find(create, "nvrtcCreateProgram") && library.find(destroy, "nvrtcDestroyProgram") &&
           library.find(compile, "nvrtcCompileProgram") && library.find(cubin_size, "nvrtcGetCUBINSize") &&
           library.find(cubin, "nvrtcGetCUBIN") && library.find(log_size, "nvrtcGetProgramLogSize") &&
           library.find(log, "nvrtcGetProgramLog");
  }
};

class Program {
 public:
  explicit Program(const Functions& functions) : functions_(functions) {}
  ~Program() {
    if (handle_) functions_.destroy(&handle_);
  }
  Program(const Program&) = delete;
  int create(const std::string& text, const std::string& name) {
    return functions_.create(&handle_, text.c_str(), name.c_str(), 0, nullptr, nullptr);
  }
  nvrtcProgram handle() const { return handle_; }
  std::string log() const {
    size_t size = 0;
    if (functions_.log_size(handle_, &size) != 0 || size == 0) return "";
    std::string text(size, '\0');
    if (functions_.log(handle_, text.data()) != 0) return "";
    text.resize(text.find_last_not_of('\0') + 1);
    return text;
  }

 private:
  const Functions& functions_;
  nvrtcProgram handle_ = nullptr;
};

/// The number before `unit` in `text`, or nothing.
std::optional<uint32_t> number_before(std::string_view text, std::string_view unit) {
  const size_t end = text.find(unit);
  if (end == std::string_view::npos) return std::nullopt;
  size_t begin = end;
  while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
  uint32_t number = 0;
  if (std::from_chars(text.data() + begin, text.data() + end, number).ec != std::errc()) return std::nullopt;
  return number;
}

/// The first "NAME(LINE): error" of a log, 1-based, or 0.
size_t first_error_line(std::string_view log, std::string_view file) {
  const std::string start = std::string(file) + "(";
  size_t fallback = 0;
  for (size_t at = log.find(start); at != std::string_view::npos; at = log.find(start, at + 1)) {
    size_t line = 0;
    const char* first = log.data() + at + start.size();
    const auto [end, failed] = std::from_chars(first, log.data() + log.size(), line);
    if (failed != std::errc()) continue;
    if (std::string_view(end, log.data() + log.size()).starts_with("): error")) return line;
    if (fallback == 0) fallback = line;
  }
  return fallback;
}

std::string line_of(const std::string& text, size_t number) {
  std::istringstream in(text);
  std::string line;
  for (size_t i = 0; i < number; ++i) {
    if (!std::getline(in, line)) return "";
  }
  return line;
}

class LoadedNvrtc : public Nvrtc {
 public:
  explicit LoadedNvrtc(std::string path) : path_(std::move(path)), library_(path_) { open_builtins(); }

  /// Why this library cannot be used, or "".
  std::string fault(int max_major) {
    if (!library_.is_open()) return library_.error();
    if (!functions_.find_all(library_)) return "has not all functions of NVRTC 12";
    if (functions_.version(&major_, &minor_) != 0) return "does not tell its version";
    if (major_ < 12 || major_ > max_major) {
      return "version " + std::to_string(major_) + "." + std::to_string(minor_) + ", wanted 12 to " +
             std::to_string(max_major);
    }
    int count = 0;
    if (functions_.num_architectures(&count) != 0 || count <= 0) return "names no architecture";
    architectures_.resize(static_cast<size_t>(count));
    if (functions_.architectures(architectures_.data()) != 0) return "names no architecture";
    return "";
  }

  int major() const override { return major_; }
  int minor() const override { return minor_; }
  const std::string& path() const override { return path_; }

  Result<std::string> architecture(uint32_t compute_capability) const override {
    int best = 0;
    for (const int known : architectures_) {
      const bool runs = known / 10 == static_cast<int>(compute_capability) / 10 &&
                        known <= static_cast<int>(compute_capability);
      if (runs && known > best) best = known;
    }
    if (best == 0) {
      return make_error(ErrorKind::unsupported, path_,
                        "NVRTC " + std::to_string(major_) + "." + std::to_string(minor_) +
                            " compiles nothing that runs on sm_" + std::to_string(compute_capability) +
                            "; install a newer nvidia-cuda-nvrtc or CUDA toolkit");
    }
    // The architecture-specific set exists from 9.0 on and runs on that very card only.
    const bool specific = best >= 90 && best == static_cast<int>(compute_capability);
    return "sm_" + std::to_string(best) + (specific ? "a" : "");
  }

  Result<Cubin> compile(const ir::Kernel& kernel, const compiler::CSource& source,
                        const std::string& architecture) const override {
    const std::string file = kernel.name + ".cu";
    Program program(functions_);
    if (const int result = program.create(source.text, file); result != 0) {
      return make_error(ErrorKind::internal, kernel.name, "nvrtcCreateProgram: " + text_of(result));
    }
    const std::string option = "--gpu-architecture=" + architecture;
    const char* options[] = {option.c_str(), "--std=c++17", "--ptxas-options=-v"};
    const int result = functions_.compile(program.handle(), std::size(options), options);
    Cubin cubin;
    cubin.log = program.log();
    if (result != 0) return compile_error(kernel, source, architecture, result, cubin.log, file);
    size_t size = 0;
    if (functions_.cubin_size(program.handle(), &size) != 0 || size == 0) {
      return make_error(ErrorKind::internal, kernel.name, "NVRTC made no cubin for " + architecture);
    }
    cubin.code.resize(size);
    if (functions_.cubin(program.handle(), reinterpret_cast<char*>(cubin.code.data())) != 0) {
      return make_error(ErrorKind::internal, kernel.name, "NVRTC does not hand out its cubin");
    }
    cubin.resources = parse_resources(cubin.log);
    return cubin;
  }

 private:
  /// NVRTC opens a second library by name when it compiles; the one beside it is found even where the dynamic
  /// linker would not look there.
  void open_builtins() {
    const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    std::error_code error;
    if (!library_.is_open() || folder.empty()) return;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().filename().string().starts_with("libnvrtc-builtins.so")) {
        builtins_.emplace_back(it->path().string());
      }
    }
  }

  std::string text_of(int result) const {
    const char* text = functions_.error_string(result);
    return text ? text : std::to_string(result);
  }

  Error compile_error(const ir::Kernel& kernel, const compiler::CSource& source,
                      const std::string& architecture, int result, const std::string& log,
                      const std::string& file) const {
    std::string where = kernel.name;
    std::string what = "NVRTC " + std::to_string(major_) + "." + std::to_string(minor_) + " for " +
                       architecture + ": " + text_of(result) + "\n" + log;
    if (const size_t line = first_error_line(log, file); line > 0 && line <= source.line_locations.size()) {
      if (const uint32_t location = source.line_locations[line - 1]; location != 0) {
        const ir::Location& place = kernel.locations[location];
        where += " (" + place.file + ":" + std::to_string(place.line) + ")";
      }
      what += "\nline " + std::to_string(line) + ": " + line_of(source.text, line);
    }
    return make_error(ErrorKind::internal, where, what);
  }

  std::string path_;
  SharedLibrary library_;
  std::vector<SharedLibrary> builtins_;
  Functions functions_;
  int major_ = 0;
  int minor_ = 0;
  std::vector<int> architectures_;
};

}  // namespace

std::optional<ProgramResources> parse_resources(std::string_view log) {
  // ptxas info : Used 64 registers, used 1 barriers, 408 bytes cumulative stack size, 5120 bytes smem
  // 408 bytes stack frame, 704 bytes spill stores, 856 bytes spill loads
  const size_t used = log.find("Used ");
  if (used == std::string_view::npos) return std::nullopt;
  const std::string_view line = log.substr(used, log.find('\n', used) - used);
  const auto registers = number_before(line, " registers");
  const auto stack = number_before(log, " bytes stack frame");
  const auto spills = number_before(log, " bytes spill stores");
  if (!registers) return std::nullopt;
  // Some versions leave out the line of a frame that is empty.
  return ProgramResources{*registers, spills.value_or(0), stack.value_or(0),
                          number_before(line, " bytes smem").value_or(0)};
}

Result<std::shared_ptr<const Nvrtc>> Nvrtc::load(int max_major) {
  std::string tried;
  for (const std::string& path : nvrtc_candidates()) {
    auto nvrtc = std::make_shared<LoadedNvrtc>(path);
    const std::string fault = nvrtc->fault(max_major);
    if (fault.empty()) return std::shared_ptr<const Nvrtc>(std::move(nvrtc));
    tried += "\n  " + path + ": " + fault;
  }
  return make_error(
      ErrorKind::not_found, "NVRTC",
      "no usable libnvrtc.so.12 or .13 was found. Install the CUDA toolkit or the Python package "
      "nvidia-cuda-nvrtc (nvidia-cuda-nvrtc-cu12 for drivers of CUDA 12), or set TATTLETALE_NVRTC to "
      "the library. Tried:" +
          tried);
}

}  // namespace tattletale::cuda
