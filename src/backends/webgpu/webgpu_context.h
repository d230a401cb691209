// One opened WebGPU device: library, instance, adapter, device, queue, and the errors they report. Makes the
// API's callbacks into values. Knows nothing of programs.
// Source: webgpu-headers (asynchronous operations, error scopes).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/webgpu/webgpu_library.h"
#include "base/error.h"

namespace tattletale::webgpu {

/// What a library says of one adapter.
struct AdapterDescription {
  std::string name;     // "NVIDIA H100 80GB HBM3"
  std::string driver;   // "580.159.04", as far as the library tells
  std::string backend;  // "vulkan", ...
  bool is_cpu = false;
  bool is_discrete = false;
  uint32_t vendor_id = 0;
  uint32_t subgroup_min_size = 0;  // 0: not told
  uint32_t subgroup_max_size = 0;
};

/// Every adapter of the library, without those of OpenGL. Errors: of WebgpuLibrary::open.
Result<std::vector<AdapterDescription>> list_adapters();

class WebgpuContext {
 public:
  /// Opens adapter `index` of list_adapters() with its own highest limits. Errors: not_found when the library
  /// or the adapter is missing, unsupported when it gives no device; with the library's words.
  static Result<std::unique_ptr<WebgpuContext>> open(uint32_t index);
  ~WebgpuContext();
  WebgpuContext(const WebgpuContext&) = delete;
  WebgpuContext& operator=(const WebgpuContext&) = delete;

  const Functions& call() const { return library_->functions(); }
  const WebgpuLibrary& library() const { return *library_; }
  const AdapterDescription& adapter() const { return adapter_description_; }
  const api::Limits& limits() const { return limits_; }
  api::Device device() const { return device_; }
  api::Queue queue() const { return queue_; }
  bool has_f16() const { return has_f16_; }
  bool has_subgroups() const { return has_subgroups_; }
  bool has_subgroup_barrier() const { return has_subgroup_barrier_; }
  bool has_immediates() const { return has_immediates_; }

  /// Runs callbacks that are due; never waits.
  void pump();
  /// Runs callbacks until `done`, waiting in between; false when the device was lost before.
  bool pump_until(const std::function<bool()>& done, const uint64_t* submission_index = nullptr);

  /// Runs `create` and returns what the library complained of, if anything: memory or the library's message.
  std::optional<Error> complaint_of(const std::function<void()>& create, const std::string& where);

  bool lost() const { return lost_; }
  /// The first error nobody has been told of yet; device_lost stays.
  std::optional<Error> take_failure();

 private:
  explicit WebgpuContext(std::shared_ptr<WebgpuLibrary> library) : library_(std::move(library)) {}
  Result<void> request_device();
  void note_lost(uint32_t reason, std::string message);
  void note_error(uint32_t type, std::string message);
  void wait_a_little(uint32_t round);

  std::shared_ptr<WebgpuLibrary> library_;
  api::Instance instance_ = nullptr;
  api::Adapter adapter_ = nullptr;
  api::Device device_ = nullptr;
  api::Queue queue_ = nullptr;
  AdapterDescription adapter_description_;
  api::Limits limits_;
  bool has_f16_ = false, has_subgroups_ = false, has_subgroup_barrier_ = false, has_immediates_ = false;
  bool lost_ = false;
  bool closing_ = false;
  std::string lost_message_;
  std::optional<Error> failure_;
};

}  // namespace tattletale::webgpu
