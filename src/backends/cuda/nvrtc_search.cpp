// Where NVRTC may be: it comes with the toolkit, with Python packages, or beside the program.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "backends/cuda/nvrtc.h"

namespace tattletale::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void add_folder(std::vector<std::string>& out, const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : kNames) {
    if (fs::exists(folder / name, ignored)) out.push_back((folder / name).string());
  }
}

/// Folders in `parent` whose names start with `prefix`, newest name first.
std::vector<fs::path> folders_like(const fs::path& parent, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(prefix)) found.push_back(it->path());
  }
  std::ranges::sort(found, std::greater<>());
  return found;
}

void add_toolkit(std::vector<std::string>& out, const fs::path& root) {
  add_folder(out, root / "lib64");
  add_folder(out, root / "lib");
  add_folder(out, root / "targets/x86_64-linux/lib");
  add_folder(out, root / "targets/sbsa-linux/lib");
}

/// A folder that Python packages are installed into: NVIDIA's have one folder for version 13, another before.
void add_packages(std::vector<std::string>& out, const fs::path& packages) {
  add_folder(out, packages / "nvidia/cu13/lib");
  add_folder(out, packages / "nvidia/cuda_nvrtc/lib");
}

void add_python_prefix(std::vector<std::string>& out, const fs::path& prefix) {
  for (const fs::path& python : folders_like(prefix / "lib", "python3")) {
    add_packages(out, python / "site-packages");
    add_packages(out, python / "dist-packages");
  }
}

void add_python(std::vector<std::string>& out) {
  const std::string home = environment("HOME");
  const std::string cache = environment("XDG_CACHE_HOME");
  if (!cache.empty() || !home.empty()) {
    add_packages(out, (cache.empty() ? fs::path(home) / ".cache" : fs::path(cache)) / "tattletale/python");
  }
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string prefix = environment(name); !prefix.empty()) add_python_prefix(out, prefix);
  }
  if (!home.empty()) add_python_prefix(out, fs::path(home) / ".local");
  const std::string path = environment("PATH");
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const fs::path folder = path.substr(begin, end - begin);
    if (folder.filename() == "bin") add_python_prefix(out, folder.parent_path());
    if (folder.filename() == "shims") {  // pyenv
      for (const fs::path& version : folders_like(folder.parent_path() / "versions", "")) {
        add_python_prefix(out, version);
      }
    }
    begin = end + 1;
  }
}

}  // namespace

std::vector<std::string> nvrtc_candidates() {
  std::vector<std::string> out;
  std::error_code error;
  if (const std::string chosen = environment("TATTLETALE_NVRTC"); !chosen.empty()) {
    if (fs::is_directory(chosen, error)) {
      add_folder(out, chosen);
    } else {
      out.push_back(chosen);
    }
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (!error) {
    add_folder(out, program);
    add_folder(out, program.parent_path() / "lib");
  }
  out.insert(out.end(), std::begin(kNames), std::end(kNames));
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const std::string root = environment(name); !root.empty()) add_toolkit(out, root);
  }
  add_toolkit(out, "/usr/local/cuda");
  for (const fs::path& root : folders_like("/usr/local", "cuda-")) add_toolkit(out, root);
  add_toolkit(out, "/opt/cuda");
  add_python(out);
  return out;
}

}  // namespace tattletale::cuda
