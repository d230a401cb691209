// How a kernel contract runs on a device that executes compiled programs: a plan turns one launch of the
// contract into one or more stages, each a body of the kernel language specialised on a few constants.
#pragma once

#include <array>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "device/device.h"
#include "ir/kernel.h"
#include "ir/target_info.h"
#include "tensor/dtype.h"

namespace tattletale {

/// A body: traced into one ir::Kernel for a target and a comptime struct of its own.
struct KernelBody {
  std::string_view name;
  ir::Kernel (*trace)(const ir::TargetInfo& target, const void* comptime);
};

/// Trivially copyable bytes of a comptime or params struct.
template <size_t kMax>
class Block {
 public:
  template <class T>
  void set(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kMax);
    std::memcpy(bytes_.data(), &value, sizeof(T));
    size_ = sizeof(T);
  }
  std::span<const std::byte> bytes() const { return std::span(bytes_).first(size_); }
  const void* data() const { return bytes_.data(); }

 private:
  alignas(16) std::array<std::byte, kMax> bytes_{};
  size_t size_ = 0;
};

/// What a stage binds: a binding of the contract's launch, or one of the plan's scratch buffers.
struct StageBinding {
  enum class Source : uint8_t { launch, scratch } source = Source::launch;
  uint32_t index = 0;

  static StageBinding launch(uint32_t i) { return {Source::launch, i}; }
  static StageBinding scratch(uint32_t i) { return {Source::scratch, i}; }
};

/// One program launch. Stages run in order; each sees the writes of those before it.
struct Stage {
  const KernelBody* body = nullptr;
  Block<kMaxComptimeBytes> comptime;
  Block<kMaxParamsBytes> params;
  std::array<uint32_t, 3> workgroups{1, 1, 1};
  std::vector<StageBinding> bindings;  // in the order in which the body declares them
};

struct LaunchPlan {
  std::vector<Stage> stages;
  std::vector<uint64_t> scratch_bytes;  // contents are undefined at the start of the plan

  /// Asks for a scratch buffer.
  StageBinding scratch(uint64_t bytes) {
    scratch_bytes.push_back(bytes);
    return StageBinding::scratch(static_cast<uint32_t>(scratch_bytes.size() - 1));
  }
};

/// One launch of a contract, as a plan sees it.
struct LaunchRequest {
  const ir::TargetInfo& target;
  const void* comptime;
  const void* params;
  std::span<const BufferSlice> bindings;

  bool present(uint32_t binding) const { return bindings[binding].buffer != BufferId::none; }
  /// Whether vectors of 16 bytes may be read from the binding's start.
  bool aligned(uint32_t binding) const { return bindings[binding].offset_bytes % 16 == 0; }
};

/// Plans a launch; pure. Errors: unsupported when the target or a dtype is out of reach.
using PlanLaunch = Result<LaunchPlan> (*)(const LaunchRequest& request);

/// Most workgroups along one axis that every target takes; bodies stride over the rest.
inline constexpr uint32_t kMaxWorkgroups = 65535;

constexpr uint32_t div_up(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

}  // namespace tattletale
