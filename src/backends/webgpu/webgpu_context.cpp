#include "backends/webgpu/webgpu_context.h"

#include <chrono>
#include <cstring>
#include <thread>

namespace tattletale::webgpu {
namespace {

std::string text_of(api::StringView view) {
  if (view.data == nullptr) return "";
  return view.length == api::kStringLength ? std::string(view.data) : std::string(view.data, view.length);
}

const char* backend_name(uint32_t type) {
  static constexpr const char* kNames[] = {"",      "null",   "webgpu", "d3d11",   "d3d12",
                                           "metal", "vulkan", "opengl", "opengles"};
  return type < std::size(kNames) ? kNames[type] : "unknown";
}

AdapterDescription describe(const Functions& call, api::Adapter adapter) {
  api::AdapterInfo info;
  call.AdapterGetInfo(adapter, &info);
  AdapterDescription out;
  out.name = text_of(info.device);
  out.driver = text_of(info.description);
  if (out.name.empty()) std::swap(out.name, out.driver);
  if (out.name.empty()) out.name = text_of(info.vendor);
  out.backend = backend_name(info.backend_type);
  out.is_cpu = info.adapter_type == api::kCpu;
  out.is_discrete = info.adapter_type == api::kDiscreteGpu;
  out.vendor_id = info.vendor_id;
  out.subgroup_min_size = info.subgroup_min_size;
  out.subgroup_max_size = info.subgroup_max_size;
  call.AdapterInfoFreeMembers(info);
  return out;
}

struct AdapterAnswer {
  bool done = false;
  api::Adapter adapter = nullptr;
  std::string message;
};

AdapterAnswer request_adapter(const Functions& call, api::Instance instance,
                              const api::RequestAdapterOptions& options) {
  AdapterAnswer answer;
  const auto callback = [](uint32_t status, api::Adapter adapter, api::StringView message, void* to, void*) {
    auto* out = static_cast<AdapterAnswer*>(to);
    out->done = true;
    if (status == api::kSuccess) out->adapter = adapter;
    out->message = text_of(message);
  };
  call.InstanceRequestAdapter(instance, &options, {.callback = callback, .userdata1 = &answer});
  while (!answer.done) call.InstanceProcessEvents(instance);
  return answer;
}

/// All adapters; the caller releases them. A library without an enumeration is asked by preference.
std::vector<api::Adapter> adapters_of(const Functions& call, api::Instance instance) {
  if (call.InstanceEnumerateAdapters != nullptr) {
    const api::EnumerateAdapterOptions options{.backends = api::kNativeBackendVulkan};
    std::vector<api::Adapter> out(call.InstanceEnumerateAdapters(instance, &options, nullptr));
    if (!out.empty()) call.InstanceEnumerateAdapters(instance, &options, out.data());
    return out;
  }
  std::vector<api::Adapter> out;
  std::vector<std::string> seen;
  for (const api::RequestAdapterOptions& options :
       {api::RequestAdapterOptions{.power_preference = api::kHighPerformance,
                                   .backend_type = api::kBackendVulkan},
        api::RequestAdapterOptions{.power_preference = api::kLowPower, .backend_type = api::kBackendVulkan},
        api::RequestAdapterOptions{.force_fallback_adapter = 1, .backend_type = api::kBackendVulkan}}) {
    const AdapterAnswer answer = request_adapter(call, instance, options);
    if (answer.adapter == nullptr) continue;
    const AdapterDescription description = describe(call, answer.adapter);
    const std::string key = description.name + description.driver;
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      call.AdapterRelease(answer.adapter);
      continue;
    }
    seen.push_back(key);
    out.push_back(answer.adapter);
  }
  return out;
}

}  // namespace

Result<std::vector<AdapterDescription>> list_adapters() {
  TT_ASSIGN(const std::shared_ptr<WebgpuLibrary> library, WebgpuLibrary::open());
  const Functions& call = library->functions();
  const api::Instance instance = call.CreateInstance(nullptr);
  if (instance == nullptr)
    return make_error(ErrorKind::unsupported, library->path(), "made no WebGPU instance");
  std::vector<AdapterDescription> out;
  for (api::Adapter adapter : adapters_of(call, instance)) {
    out.push_back(describe(call, adapter));
    call.AdapterRelease(adapter);
  }
  call.InstanceRelease(instance);
  return out;
}

Result<std::unique_ptr<WebgpuContext>> WebgpuContext::open(uint32_t index) {
  TT_ASSIGN(std::shared_ptr<WebgpuLibrary> library, WebgpuLibrary::open());
  std::unique_ptr<WebgpuContext> context(new WebgpuContext(std::move(library)));
  const Functions& call = context->call();
  context->instance_ = call.CreateInstance(nullptr);
  if (context->instance_ == nullptr) {
    return make_error(ErrorKind::unsupported, context->library_->path(), "made no WebGPU instance");
  }
  const std::vector<api::Adapter> adapters = adapters_of(call, context->instance_);
  for (size_t i = 0; i < adapters.size(); ++i) {
    if (i == index)
      context->adapter_ = adapters[i];
    else
      call.AdapterRelease(adapters[i]);
  }
  if (context->adapter_ == nullptr) {
    return make_error(
        ErrorKind::not_found, "webgpu",
        "adapter " + std::to_string(index) + " was asked for, but " + context->library_->implementation() +
            " offers " + std::to_string(adapters.size()) +
            " by way of Vulkan; install a Vulkan driver (for a GPU its vendor's, else mesa-vulkan-drivers)");
  }
  context->adapter_description_ = describe(call, context->adapter_);
  TT_TRY(context->request_device());
  return context;
}

Result<void> WebgpuContext::request_device() {
  const FeatureNumbers& numbers = library_->features();
  std::vector<uint32_t> wanted;
  api::SupportedFeatures supported;
  call().AdapterGetFeatures(adapter_, &supported);
  const auto want = [&](uint32_t feature) {
    const uint32_t* end = supported.features + supported.count;
    if (feature == 0 || std::find(supported.features, end, feature) == end) return false;
    wanted.push_back(feature);
    return true;
  };
  has_f16_ = want(numbers.shader_f16);
  has_subgroups_ = want(numbers.subgroups);
  has_subgroup_barrier_ = has_subgroups_ && want(numbers.subgroup_barrier);
  has_immediates_ = call().ComputePassEncoderSetImmediates != nullptr && want(numbers.immediates);
  call().SupportedFeaturesFreeMembers(supported);
  api::Limits limits;
  call().AdapterGetLimits(adapter_, &limits);
  limits.next = nullptr;
  has_immediates_ =
      has_immediates_ && limits.max_immediate_size != api::kUndefined32 && limits.max_immediate_size >= 64;

  struct Answer {
    bool done = false;
    api::Device device = nullptr;
    std::string message;
  } answer;
  api::DeviceDescriptor descriptor;
  descriptor.label = {"tattletale"};
  descriptor.num_required_features = wanted.size();
  descriptor.required_features = wanted.data();
  descriptor.required_limits = &limits;
  descriptor.device_lost = {
      .mode = api::kAllowSpontaneous,
      .callback = [](api::Device const*, uint32_t reason, api::StringView message, void* to,
                     void*) { static_cast<WebgpuContext*>(to)->note_lost(reason, text_of(message)); },
      .userdata1 = this};
  descriptor.uncaptured_error = {
      .callback = [](api::Device const*, uint32_t type, api::StringView message, void* to,
                     void*) { static_cast<WebgpuContext*>(to)->note_error(type, text_of(message)); },
      .userdata1 = this};
  const auto callback = [](uint32_t status, api::Device device, api::StringView message, void* to, void*) {
    auto* out = static_cast<Answer*>(to);
    out->done = true;
    if (status == api::kSuccess) out->device = device;
    out->message = text_of(message);
  };
  call().AdapterRequestDevice(adapter_, &descriptor, {.callback = callback, .userdata1 = &answer});
  while (!answer.done) call().InstanceProcessEvents(instance_);
  if (answer.device == nullptr) {
    return make_error(ErrorKind::unsupported, adapter_description_.name,
                      library_->implementation() + " gave no device: " + answer.message);
  }
  device_ = answer.device;
  queue_ = call().DeviceGetQueue(device_);
  call().DeviceGetLimits(device_, &limits_);
  return {};
}

WebgpuContext::~WebgpuContext() {
  closing_ = true;  // the library reports a released device as lost
  if (queue_ != nullptr) call().QueueRelease(queue_);
  if (device_ != nullptr) {
    call().DeviceDestroy(device_);
    call().DeviceRelease(device_);
  }
  if (adapter_ != nullptr) call().AdapterRelease(adapter_);
  if (instance_ != nullptr) {
    call().InstanceProcessEvents(instance_);
    call().InstanceRelease(instance_);
  }
}

void WebgpuContext::pump() {
  if (call().DevicePoll != nullptr)
    call().DevicePoll(device_, 0, nullptr);
  else
    call().InstanceProcessEvents(instance_);
}

bool WebgpuContext::pump_until(const std::function<bool()>& done, const uint64_t* submission_index) {
  for (uint32_t round = 0; !lost_; ++round) {
    if (call().DevicePoll != nullptr && submission_index != nullptr && round == 1) {
      call().DevicePoll(device_, 1, submission_index);
    }
    pump();
    if (done()) return true;
    if (round > 0) wait_a_little(round);
  }
  return done();
}

void WebgpuContext::wait_a_little(uint32_t round) {
  std::this_thread::sleep_for(std::chrono::microseconds(round < 100 ? 20 : 200));
}

std::optional<Error> WebgpuContext::complaint_of(const std::function<void()>& create,
                                                 const std::string& where) {
  // wgpu-native ends the process at a filter for internal errors; it has none to tell of.
  std::vector<uint32_t> filters = {api::kFilterOutOfMemory, api::kFilterValidation};
  if (!library_->is_wgpu_native()) filters.push_back(api::kFilterInternal);
  struct Answer {
    bool done = false;
    uint32_t type = api::kNoError;
    std::string message;
  };
  for (uint32_t filter : filters) call().DevicePushErrorScope(device_, filter);
  create();
  std::optional<Error> out;
  for (size_t i = 0; i < filters.size(); ++i) {
    Answer answer;
    const auto callback = [](uint32_t status, uint32_t type, api::StringView message, void* to, void*) {
      auto* reply = static_cast<Answer*>(to);
      reply->done = true;
      if (status == api::kSuccess) reply->type = type;
      reply->message = text_of(message);
    };
    call().DevicePopErrorScope(device_, {.callback = callback, .userdata1 = &answer});
    while (!answer.done) call().InstanceProcessEvents(instance_);
    if (answer.type == api::kNoError || out) continue;
    const bool memory = answer.type == api::kOutOfMemoryError;
    out = make_error(memory ? ErrorKind::out_of_memory : ErrorKind::internal, where, answer.message);
  }
  return out;
}

void WebgpuContext::note_lost(uint32_t reason, std::string message) {
  if (closing_ || reason == api::kLostCancelled) return;
  lost_ = true;
  lost_message_ = std::move(message);
}

void WebgpuContext::note_error(uint32_t type, std::string message) {
  if (failure_ || closing_) return;
  failure_ = make_error(type == api::kOutOfMemoryError ? ErrorKind::out_of_memory : ErrorKind::internal,
                        adapter_description_.name, std::move(message));
}

std::optional<Error> WebgpuContext::take_failure() {
  if (lost_) {
    return make_error(ErrorKind::device_lost, adapter_description_.name,
                      "the device was lost: " + lost_message_ + "; open it again");
  }
  std::optional<Error> out;
  out.swap(failure_);
  return out;
}

}  // namespace tattletale::webgpu
