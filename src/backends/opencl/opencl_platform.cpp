// Enumeration and limits. See opencl_platform.h; the queries are OpenCL 1.2's and
// cl_nv_device_attribute_query's.
#include "backends/opencl/opencl_platform.h"

#include <algorithm>

namespace tattletale::opencl {
namespace {

constexpr uint64_t kCpuBindingBytes = 1u << 30;

constexpr cl_device_info kComputeCapabilityMajorNv = 0x4000;
constexpr cl_device_info kComputeCapabilityMinorNv = 0x4001;

template <class Query>
std::string text_of(Query query) {
  size_t size = 0;
  if (query(size_t{0}, nullptr, &size) != CL_SUCCESS || size == 0) return {};
  std::string text(size, '\0');
  if (query(size, text.data(), nullptr) != CL_SUCCESS) return {};
  text.resize(text.find_last_not_of(std::string_view(" \0", 2)) + 1);
  return text;
}

std::string platform_text(const OpenclApi& api, cl_platform_id platform, cl_platform_info what) {
  return text_of([&](size_t size, void* out, size_t* needed) {
    return api.GetPlatformInfo(platform, what, size, out, needed);
  });
}

std::string device_text(const OpenclApi& api, cl_device_id device, cl_device_info what) {
  return text_of([&](size_t size, void* out, size_t* needed) {
    return api.GetDeviceInfo(device, what, size, out, needed);
  });
}

template <class T>
T device_number(const OpenclApi& api, cl_device_id device, cl_device_info what, T otherwise = T{}) {
  T value{};
  return api.GetDeviceInfo(device, what, sizeof value, &value, nullptr) == CL_SUCCESS ? value : otherwise;
}

DeviceFacts read_facts(const OpenclApi& api, cl_platform_id platform, cl_device_id device) {
  DeviceFacts facts{.platform = platform, .device = device};
  facts.name = device_text(api, device, CL_DEVICE_NAME);
  facts.vendor = device_text(api, device, CL_DEVICE_VENDOR);
  facts.driver_version = device_text(api, device, CL_DRIVER_VERSION);
  facts.platform_name = platform_text(api, platform, CL_PLATFORM_NAME);
  facts.platform_version = platform_text(api, platform, CL_PLATFORM_VERSION);
  facts.memory_bytes = device_number<cl_ulong>(api, device, CL_DEVICE_GLOBAL_MEM_SIZE);
  facts.max_allocation_bytes = device_number<cl_ulong>(api, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  facts.local_bytes = device_number<cl_ulong>(api, device, CL_DEVICE_LOCAL_MEM_SIZE);
  facts.compute_units = device_number<cl_uint>(api, device, CL_DEVICE_MAX_COMPUTE_UNITS, 1);
  facts.is_cpu = (device_number<cl_device_type>(api, device, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_CPU) != 0;
  facts.max_workgroup_threads = device_number<size_t>(api, device, CL_DEVICE_MAX_WORK_GROUP_SIZE, 1);
  // Workgroups lie along x: the limit of that axis counts as well.
  std::array<size_t, 3> axes{};
  if (api.GetDeviceInfo(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof axes, axes.data(), nullptr) ==
      CL_SUCCESS) {
    facts.max_workgroup_threads = std::min(facts.max_workgroup_threads, axes[0]);
  }
  // The vendor is NVIDIA's for its devices under other drivers too; only its own driver takes PTX.
  facts.is_nvidia = facts.platform_name.starts_with("NVIDIA");
  if (facts.is_nvidia) {
    facts.compute_capability = device_number<cl_uint>(api, device, kComputeCapabilityMajorNv) * 10 +
                               device_number<cl_uint>(api, device, kComputeCapabilityMinorNv);
  }
  return facts;
}

bool is_usable(const OpenclApi& api, cl_device_id device) {
  return device_number<cl_bool>(api, device, CL_DEVICE_AVAILABLE) != CL_FALSE &&
         device_number<cl_bool>(api, device, CL_DEVICE_COMPILER_AVAILABLE) != CL_FALSE &&
         device_number<cl_bool>(api, device, CL_DEVICE_ENDIAN_LITTLE) != CL_FALSE &&
         device_number<cl_uint>(api, device, CL_DEVICE_ADDRESS_BITS) == 64;
}

}  // namespace

std::vector<DeviceFacts> find_devices(const OpenclApi& api) {
  cl_uint num_platforms = 0;
  if (api.GetPlatformIDs(0, nullptr, &num_platforms) != CL_SUCCESS || num_platforms == 0) return {};
  std::vector<cl_platform_id> platforms(num_platforms);
  if (api.GetPlatformIDs(num_platforms, platforms.data(), nullptr) != CL_SUCCESS) return {};
  std::vector<DeviceFacts> found;
  for (cl_platform_id platform : platforms) {
    cl_uint num_devices = 0;
    if (api.GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &num_devices) != CL_SUCCESS) continue;
    std::vector<cl_device_id> devices(num_devices);
    if (num_devices == 0 ||
        api.GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, num_devices, devices.data(), nullptr) != CL_SUCCESS) {
      continue;
    }
    for (cl_device_id device : devices) {
      if (is_usable(api, device)) found.push_back(read_facts(api, platform, device));
    }
  }
  return found;
}

ir::TargetInfo target_of(const DeviceFacts& facts) {
  ir::TargetInfo target;
  target.name = "opencl";
  target.max_workgroup_threads =
      static_cast<uint32_t>(std::min<size_t>(facts.max_workgroup_threads, 1u << 16));
  target.max_shared_bytes = static_cast<uint32_t>(std::min<uint64_t>(facts.local_bytes, 1u << 30));
  target.max_bindings = kMaxBindings;
  // PoCL makes this from the memory that happens to be free, and compiled programs are cached by target: a
  // value that stays the same.
  target.max_binding_bytes =
      facts.is_cpu ? std::min(facts.max_allocation_bytes, kCpuBindingBytes) : facts.max_allocation_bytes;
  target.num_processors = facts.compute_units;
  target.is_cpu = facts.is_cpu;
  // Elsewhere the size of a subgroup is the compiler's to choose, kernel by kernel, and kernels are traced
  // for a fixed one: no subgroups then.
  if (!facts.is_nvidia) return target;
  // The PTX in use is that of sm_80 and later (compiler/ptx_snippets.h); older cards are plain OpenCL
  // devices.
  if (facts.compute_capability < 80) return target;
  target.subgroup_size = 32;
  target.f16x2 = true;
  target.dot4_i8 = true;
  target.async_copy = true;
  target.f16_fragments = ir::FragmentTier::transparent;
  target.bf16_fragments = ir::FragmentTier::transparent;
  return target;
}

Caps caps_of(const DeviceFacts& facts) {
  Caps caps;
  caps.backend = "opencl";
  caps.name = facts.name;
  caps.isa = facts.platform_name + " " + facts.driver_version;
  caps.max_buffer_bytes = facts.max_allocation_bytes;
  caps.max_binding_bytes = facts.max_allocation_bytes;
  caps.offset_alignment_bytes = 16;
  caps.num_threads = facts.is_cpu ? facts.compute_units : 0;
  caps.waits = true;
  return caps;
}

}  // namespace tattletale::opencl
