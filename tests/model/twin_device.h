// A device that runs every kernel's naive twin on one thread: slow, and as right as the contracts themselves.
// Models checked on it are checked without any backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "kernels/kernel_contract.h"
#include "kernels/linear.h"

namespace tattletale::testing {

class TwinDevice final : public Device {
 public:
  /// With `rounds_activations`, the input of a product with packed weights is rounded to 8 bits per block of
  /// 32, the coarsest that linear.h lets a device do: what that does to a model is what another device may
  /// differ by.
  explicit TwinDevice(bool rounds_activations = false) : rounds_activations_(rounds_activations) {
    caps_.backend = "twin";
    caps_.waits = true;
    buffers_.emplace_back();
    kernels_.emplace_back();
  }

  const Caps& caps() const override { return caps_; }

  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view) override {
    buffers_.emplace_back((size_bytes + 7) / 8);
    return static_cast<BufferId>(buffers_.size() - 1);
  }
  Result<BufferSlice> create_matrix(DType, uint64_t, uint64_t, std::span<const std::byte> bytes,
                                    std::shared_ptr<const void>, std::string_view label) override {
    TT_ASSIGN(const BufferId buffer, create_buffer(bytes.size(), label));
    TT_TRY(write(buffer, 0, bytes));
    return BufferSlice{buffer, 0, bytes.size()};
  }
  void destroy_buffer(BufferId buffer) override { buffers_[static_cast<size_t>(buffer)].clear(); }

  Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) override {
    const HostBinding target = resolve({buffer, offset_bytes, bytes.size()});
    if (!bytes.empty()) std::memcpy(target.data, bytes.data(), bytes.size());
    return {};
  }
  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override {
    std::memcpy(out.data(), resolve(source).data, out.size());
    return Submission{1};
  }
  Result<KernelId> load_kernel(const KernelBinary& binary) override {
    for (const KernelContract* contract : all_kernel_contracts()) {
      if (contract->name != binary.name) continue;
      kernels_.push_back({contract, binary.comptime});
      return static_cast<KernelId>(kernels_.size() - 1);
    }
    return make_error(ErrorKind::unsupported, "twin", "no kernel named " + binary.name);
  }
  Result<Submission> submit(const CommandList& list) override {
    for (const Dispatch& dispatch : list.dispatches()) {
      const Loaded& kernel = kernels_[static_cast<size_t>(dispatch.kernel)];
      std::vector<HostBinding> bindings;
      for (uint32_t i = 0; i < dispatch.num_bindings; ++i) bindings.push_back(resolve(dispatch.bindings[i]));
      std::vector<float> rounded;
      if (rounds_activations_ && kernel.contract == &kLinearContract)
        round_input(kernel, dispatch, bindings[0], rounded);
      kernel.contract->twin(bindings, kernel.comptime.data(), dispatch.params.data());
    }
    return Submission{1};
  }
  Result<ListId> record(const CommandList& list) override {
    recorded_.push_back(list);
    return static_cast<ListId>(recorded_.size());
  }
  Result<Submission> submit(ListId list) override { return submit(recorded_[static_cast<size_t>(list) - 1]); }
  void destroy_list(ListId) override {}
  Result<bool> poll(Submission) override { return true; }
  Result<void> wait(Submission) override { return {}; }
  uint64_t allocated_bytes() const override { return 0; }

 private:
  struct Loaded {
    const KernelContract* contract = nullptr;
    std::vector<std::byte> comptime;
  };
  static void round_input(const Loaded& kernel, const Dispatch& dispatch, HostBinding& x,
                          std::vector<float>& rounded) {
    LinearComptime comptime;
    LinearParams params;
    std::memcpy(&comptime, kernel.comptime.data(), sizeof(comptime));
    std::memcpy(&params, dispatch.params.data(), sizeof(params));
    if (!dtype_info(comptime.weight_dtype[0]).packed) return;
    rounded.assign(x.as<float>(), x.as<float>() + uint64_t{params.num_rows} * params.x_stride);
    for (size_t block = 0; block + 32 <= rounded.size(); block += 32) {
      float largest = 0.0f;
      for (size_t i = block; i < block + 32; ++i) largest = std::max(largest, std::abs(rounded[i]));
      const float step = largest / 127.0f;
      if (step == 0.0f) continue;
      for (size_t i = block; i < block + 32; ++i) rounded[i] = std::nearbyint(rounded[i] / step) * step;
    }
    x.data = reinterpret_cast<std::byte*>(rounded.data());
  }

  HostBinding resolve(const BufferSlice& slice) {
    if (slice.buffer == BufferId::none) return {};
    std::vector<uint64_t>& memory = buffers_[static_cast<size_t>(slice.buffer)];
    CHECK(slice.offset_bytes + slice.size_bytes <= memory.size() * 8);
    return {reinterpret_cast<std::byte*>(memory.data()) + slice.offset_bytes, slice.size_bytes};
  }

  bool rounds_activations_;
  Caps caps_;
  std::vector<std::vector<uint64_t>> buffers_;
  std::vector<CommandList> recorded_;
  std::vector<Loaded> kernels_;
};

}  // namespace tattletale::testing
