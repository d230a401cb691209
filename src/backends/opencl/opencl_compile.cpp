// Programs of an OpenCL device: from kernel to driver's binary, and from binary to kernel object.
#include <algorithm>
#include <cstring>
#include <map>
#include <regex>
#include <set>

#include "backends/opencl/opencl_dialect.h"
#include "backends/opencl/opencl_program_device.h"
#include "ir/verify.h"

namespace tattletale::opencl {
namespace {

constexpr size_t kMaxCompiledKept = 16;
constexpr size_t kMaxLinesNamed = 8;

/// "linear.cpp:120" for each line of the program that the log mentions ("...:31:7: error: ..."), first ones
/// only.
std::string lines_in_log(const std::string& log, const SourceLines& lines) {
  static const std::regex kPlace(":([0-9]{1,7}):[0-9]{1,5}:");
  std::string text;
  std::set<size_t> seen;
  for (std::sregex_iterator it(log.begin(), log.end(), kPlace), end; it != end; ++it) {
    const size_t number = std::stoul((*it)[1].str());
    if (number == 0 || number > lines.size() || lines[number - 1].file.empty()) continue;
    if (!seen.insert(number).second) continue;
    if (seen.size() > kMaxLinesNamed) break;
    const ir::Location& place = lines[number - 1];
    text += "\nline " + std::to_string(number) + " is from " + place.file + ":" + std::to_string(place.line);
  }
  return text;
}

/// " (linear.cpp:120-163)": where the whole kernel is from, for a log that names no line.
std::string places_of(const SourceLines& lines) {
  std::map<std::string, std::pair<uint32_t, uint32_t>> files;
  for (const ir::Location& place : lines) {
    if (place.file.empty()) continue;
    const auto [it, is_new] = files.try_emplace(place.file, place.line, place.line);
    auto& [first, last] = it->second;
    first = std::min(first, place.line);
    last = std::max(last, place.line);
  }
  std::string text;
  for (const auto& [file, range] : files) {
    text += (text.empty() ? " (" : ", ") + file + ":" + std::to_string(range.first);
    if (range.second != range.first) text += "-" + std::to_string(range.second);
  }
  return text.empty() ? text : text + ")";
}

}  // namespace

std::string OpenclProgramDevice::compiler_identity() const {
  std::string identity = "opencl emitter " + std::to_string(kEmitterVersion);
  for (const std::string* part : {&facts_.platform_name, &facts_.platform_version, &facts_.vendor,
                                  &facts_.name, &facts_.driver_version}) {
    identity += "; " + *part;
  }
  return identity + "; " + kBuildOptions;
}

Result<Handle<cl_program>> OpenclProgramDevice::build(Handle<cl_program> program, const char* options,
                                                      const std::string& kernel_name,
                                                      const SourceLines& lines) const {
  const cl_device_id device = facts_.device;
  const cl_int status = api_->BuildProgram(program.get(), 1, &device, options, nullptr, nullptr);
  if (status == CL_SUCCESS) return program;
  std::string log;
  size_t size = 0;
  if (api_->GetProgramBuildInfo(program.get(), device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size) ==
      CL_SUCCESS) {
    log.resize(size + 1);
    api_->GetProgramBuildInfo(program.get(), device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr);
    log.resize(std::strlen(log.c_str()));
  }
  const std::string named = lines_in_log(log, lines);
  return make_error(ErrorKind::internal, "kernel " + kernel_name + (named.empty() ? places_of(lines) : ""),
                    "OpenCL compiler of " + facts_.name + ": " + status_text(status) + named + "\n" + log);
}

Result<std::vector<std::byte>> OpenclProgramDevice::binary_of(cl_program program,
                                                              const std::string& kernel_name) const {
  size_t size = 0;
  cl_int status = api_->GetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr);
  std::vector<std::byte> binary(status == CL_SUCCESS ? size : 0);
  auto* bytes = reinterpret_cast<unsigned char*>(binary.data());
  if (size > 0 && status == CL_SUCCESS) {
    status = api_->GetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, nullptr);
  }
  if (status != CL_SUCCESS || binary.empty()) {
    return make_error(ErrorKind::internal, "kernel " + kernel_name,
                      "the driver gave no binary of the program it built: " + status_text(status));
  }
  return binary;
}

Result<KernelBinary> OpenclProgramDevice::compile(const ir::Kernel& kernel) {
  TT_TRY(check_alive());
  TT_TRY(ir::verify(kernel, target_));
  TT_ASSIGN(const compiler::CSource source, print_opencl(kernel, target_));
  SourceLines lines;
  for (const uint32_t location : source.line_locations) lines.push_back(kernel.locations[location]);
  const char* text = source.text.data();
  const size_t length = source.text.size();
  cl_int status = CL_SUCCESS;
  Handle<cl_program> program(*api_,
                             api_->CreateProgramWithSource(context_.get(), 1, &text, &length, &status));
  if (status != CL_SUCCESS) return failure(status, "creating the program of kernel " + kernel.name);
  TT_ASSIGN(program, build(std::move(program), kBuildOptions, kernel.name, lines));

  KernelBinary binary;
  binary.format = KernelBinary::Format::opencl_binary;
  binary.name = kernel.name;
  TT_ASSIGN(binary.code, binary_of(program.get(), kernel.name));
  binary.entry_point = source.entry_point;
  binary.num_bindings = static_cast<uint32_t>(kernel.bindings.size());
  binary.params_bytes = static_cast<uint32_t>(kernel.params.size() * 4);
  binary.writes_mask = kernel.writes_mask();
  binary.workgroup_threads = kernel.workgroup_threads;
  binary.subgroup_size = target_.subgroup_size > 1 ? kernel.subgroup_size : 0;
  binary.shared_bytes = kernel.shared_bytes();
  if (compiled_.size() == kMaxCompiledKept) compiled_.erase(compiled_.begin());
  compiled_.push_back({binary.code, std::move(program)});
  return binary;
}

Result<Handle<cl_program>> OpenclProgramDevice::program_of(const KernelBinary& binary) {
  const auto kept = std::ranges::find(compiled_, binary.code, &Compiled::code);
  if (kept != compiled_.end()) {
    Handle<cl_program> program = std::move(kept->program);
    compiled_.erase(kept);
    return program;
  }
  const size_t size = binary.code.size();
  cl_int status = CL_SUCCESS;
  if (binary.format == KernelBinary::Format::opencl_c) {
    const char* text = reinterpret_cast<const char*>(binary.code.data());
    Handle<cl_program> program(*api_,
                               api_->CreateProgramWithSource(context_.get(), 1, &text, &size, &status));
    if (status != CL_SUCCESS) return failure(status, "creating the program of kernel " + binary.name);
    return build(std::move(program), kBuildOptions, binary.name, {});
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(binary.code.data());
  cl_int binary_status = CL_SUCCESS;
  const cl_device_id device = facts_.device;
  Handle<cl_program> program(*api_, api_->CreateProgramWithBinary(context_.get(), 1, &device, &size, &bytes,
                                                                  &binary_status, &status));
  if (status != CL_SUCCESS) {
    return make_error(ErrorKind::unsupported, "kernel " + binary.name,
                      "the driver does not take this compiled program (" + status_text(status) +
                          "): compile it again for " + compiler_identity());
  }
  return build(std::move(program), "", binary.name, {});
}

Result<KernelId> OpenclProgramDevice::load(const KernelBinary& binary) {
  TT_TRY(check_alive());
  const auto refuse = [&](const std::string& what) {
    return make_error(ErrorKind::unsupported, "kernel " + binary.name, what);
  };
  if (binary.format != KernelBinary::Format::opencl_binary &&
      binary.format != KernelBinary::Format::opencl_c) {
    return refuse("not a program for OpenCL");
  }
  if (binary.code.empty()) return refuse("the program is empty");
  if (binary.workgroup_threads == 0 || binary.workgroup_threads > target_.max_workgroup_threads) {
    return refuse("workgroups of " + std::to_string(binary.workgroup_threads) +
                  " threads; the device has 1 to " + std::to_string(target_.max_workgroup_threads));
  }
  if (binary.num_bindings > kMaxBindings || binary.params_bytes > kMaxParamsBytes) {
    return refuse("more bindings or parameters than a dispatch carries");
  }
  Program entry;
  TT_ASSIGN(entry.program, program_of(binary));
  entry.name = binary.name;
  entry.entry_point = binary.entry_point;
  entry.num_bindings = binary.num_bindings;
  entry.params_bytes = binary.params_bytes;
  entry.workgroup_threads = binary.workgroup_threads;
  TT_ASSIGN(entry.kernel, new_kernel(entry));
  size_t max_threads = 0;
  if (api_->GetKernelWorkGroupInfo(entry.kernel.get(), facts_.device, CL_KERNEL_WORK_GROUP_SIZE,
                                   sizeof max_threads, &max_threads, nullptr) == CL_SUCCESS &&
      max_threads < binary.workgroup_threads) {
    return refuse("its registers or workgroup memory leave room for " + std::to_string(max_threads) +
                  " threads of a workgroup, it needs " + std::to_string(binary.workgroup_threads));
  }
  programs_.emplace(++last_program_, std::move(entry));
  return KernelId{last_program_};
}

Result<Handle<cl_kernel>> OpenclProgramDevice::new_kernel(const Program& program) {
  cl_int status = CL_SUCCESS;
  Handle<cl_kernel> kernel(*api_,
                           api_->CreateKernel(program.program.get(), program.entry_point.c_str(), &status));
  if (status != CL_SUCCESS) {
    return make_error(ErrorKind::unsupported, "kernel " + program.name,
                      "no entry point " + program.entry_point + ": " + status_text(status));
  }
  return kernel;
}

}  // namespace tattletale::opencl
