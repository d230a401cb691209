#include "kernels/portable_device.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "kernels/kernel_contract.h"
#include "kernels/program_cache.h"
#include "quant/planar.h"

namespace tattletale {
namespace {

struct LoadedContract {
  const KernelContract* contract = nullptr;
  std::vector<std::byte> comptime;
};

class PortableDevice final : public Device {
 public:
  PortableDevice(std::unique_ptr<compiler::ProgramDevice> programs, const PortableOptions& options)
      : programs_(std::move(programs)), cache_(*programs_, options.use_disk_cache) {
    contracts_.emplace_back();  // KernelId::none
  }
  ~PortableDevice() override {
    for (const Scratch& scratch : retired_) programs_->destroy_buffer(scratch.buffer);
    for (const Scratch& scratch : scratch_) programs_->destroy_buffer(scratch.buffer);
  }

  const Caps& caps() const override { return programs_->caps(); }

  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override {
    TT_ASSIGN(const BufferId buffer, programs_->create_buffer(size_bytes, label));
    sizes_.emplace(buffer, size_bytes);
    allocated_bytes_ += size_bytes;
    return buffer;
  }
  void destroy_buffer(BufferId buffer) override {
    const auto found = sizes_.find(buffer);
    CHECK(found != sizes_.end());
    allocated_bytes_ -= found->second;
    sizes_.erase(found);
    programs_->destroy_buffer(buffer);
  }

  Result<BufferSlice> create_matrix(DType dtype, uint64_t rows, uint64_t columns,
                                    std::span<const std::byte> bytes, std::shared_ptr<const void>,
                                    std::string_view label) override {
    CHECK(row_bytes(dtype, columns).value() * rows == bytes.size());
    const PlanarFormat* format = planar_format(dtype);
    const PlanarLayout layout = format == nullptr ? PlanarLayout{.total_bytes = (bytes.size() + 15) / 16 * 16}
                                                  : planar_layout(*format, rows, columns);
    const uint64_t size_bytes = layout.total_bytes;
    if (size_bytes > caps().max_binding_bytes) {
      return make_error(ErrorKind::limit_exceeded, std::string(label),
                        "takes " + std::to_string(size_bytes) + " bytes; " + caps().name + " by way of " +
                            caps().backend + " binds at most " + std::to_string(caps().max_binding_bytes) +
                            " at once. Choose another device or a smaller model");
    }
    if (format == nullptr) {
      TT_ASSIGN(const BufferId buffer, create_buffer(size_bytes, label));
      TT_TRY(programs_->write(buffer, 0, bytes));
      return BufferSlice{buffer, 0, size_bytes};
    }
    std::vector<std::byte> planes(layout.total_bytes);
    planar_from_blocks(*format, layout, columns, 0, rows, bytes, planes);
    TT_ASSIGN(const BufferId buffer, create_buffer(planes.size(), label));
    TT_TRY(programs_->write(buffer, 0, planes));
    return BufferSlice{buffer, 0, planes.size()};
  }

  Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) override {
    return programs_->write(buffer, offset_bytes, bytes);
  }
  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override {
    return programs_->read(source, out);
  }

  Result<KernelId> load_kernel(const KernelBinary& binary) override {
    for (const KernelContract* contract : all_kernel_contracts()) {
      if (contract->name != binary.name || contract->plan == nullptr) continue;
      CHECK(binary.comptime.size() == contract->comptime_bytes);
      contracts_.push_back({contract, binary.comptime});
      return static_cast<KernelId>(contracts_.size() - 1);
    }
    return make_error(ErrorKind::unsupported, programs_->target().name,
                      "there is no portable kernel named " + binary.name);
  }

  Result<Submission> submit(const CommandList& list) override {
    TT_ASSIGN(const CommandList lowered, lower(list));
    return programs_->submit(lowered);
  }
  Result<ListId> record(const CommandList& list) override {
    TT_ASSIGN(const CommandList lowered, lower(list));
    return programs_->record(lowered);
  }
  Result<Submission> submit(ListId list) override { return programs_->submit(list); }
  void destroy_list(ListId list) override { programs_->destroy_list(list); }
  Result<bool> poll(Submission submission) override { return programs_->poll(submission); }
  Result<void> wait(Submission submission) override { return programs_->wait(submission); }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }

 private:
  struct Scratch {
    BufferId buffer = BufferId::none;
    uint64_t size_bytes = 0;
  };

  /// Every contract launch of a list as program launches.
  Result<CommandList> lower(const CommandList& list) {
    std::vector<LaunchRequest> requests;
    std::vector<LaunchPlan> plans;
    std::vector<const Stage*> stages;
    for (const Dispatch& dispatch : list.dispatches()) {
      const LoadedContract& loaded = contracts_[static_cast<size_t>(dispatch.kernel)];
      CHECK(loaded.contract != nullptr && dispatch.num_bindings == loaded.contract->num_bindings);
      requests.push_back({programs_->target(), loaded.comptime.data(), dispatch.params.data(),
                          std::span(dispatch.bindings).first(dispatch.num_bindings)});
      TT_ASSIGN(LaunchPlan plan, loaded.contract->plan(requests.back()));
      plans.push_back(std::move(plan));
    }
    for (const LaunchPlan& plan : plans) {
      for (const Stage& stage : plan.stages) stages.push_back(&stage);
    }
    cache_.prepare(stages);
    CommandList lowered;
    for (size_t i = 0; i < plans.size(); ++i) {
      TT_TRY(reserve_scratch(plans[i]));
      for (const Stage& stage : plans[i].stages) {
        TT_ASSIGN(const Dispatch launch, lower_stage(stage, requests[i]));
        lowered.dispatch(launch);
      }
    }
    return lowered;
  }

  Result<Dispatch> lower_stage(const Stage& stage, const LaunchRequest& request) {
    Dispatch launch;
    TT_ASSIGN(launch.kernel, cache_.get(*stage.body, stage.comptime.bytes()));
    launch.workgroups = stage.workgroups;
    launch.num_bindings = static_cast<uint32_t>(stage.bindings.size());
    for (size_t i = 0; i < stage.bindings.size(); ++i) {
      const StageBinding& binding = stage.bindings[i];
      if (binding.source == StageBinding::Source::launch) {
        launch.bindings[i] = request.bindings[binding.index];
      } else {
        const Scratch& scratch = scratch_[binding.index];
        launch.bindings[i] = {scratch.buffer, 0, scratch.size_bytes};
      }
    }
    launch.params_bytes = static_cast<uint32_t>(stage.params.bytes().size());
    std::memcpy(launch.params.data(), stage.params.data(), launch.params_bytes);
    return launch;
  }

  /// Scratch buffer i serves every plan's i-th request. A larger one replaces it; recorded lists may still
  /// hold the old one, which lives on until the device goes.
  Result<void> reserve_scratch(const LaunchPlan& plan) {
    for (size_t i = 0; i < plan.scratch_bytes.size(); ++i) {
      if (i < scratch_.size() && scratch_[i].size_bytes >= plan.scratch_bytes[i]) continue;
      const uint64_t old = i < scratch_.size() ? scratch_[i].size_bytes : 0;
      const uint64_t bytes = std::max(plan.scratch_bytes[i], old + old / 2);
      TT_ASSIGN(const BufferId buffer, programs_->create_buffer(bytes, "scratch"));
      if (i < scratch_.size()) {
        retired_.push_back(scratch_[i]);
        scratch_[i] = {buffer, bytes};
      } else {
        CHECK(i == scratch_.size());
        scratch_.push_back({buffer, bytes});
      }
    }
    return {};
  }

  std::unique_ptr<compiler::ProgramDevice> programs_;
  ProgramCache cache_;
  std::vector<LoadedContract> contracts_;
  std::vector<Scratch> scratch_, retired_;
  std::unordered_map<BufferId, uint64_t> sizes_;
  uint64_t allocated_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Device> make_portable_device(std::unique_ptr<compiler::ProgramDevice> programs,
                                             const PortableOptions& options) {
  return std::make_unique<PortableDevice>(std::move(programs), options);
}

}  // namespace tattletale
