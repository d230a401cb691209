// A ProgramDevice over the driver's functions: buffers, programs, launches in one stream, and command lists
// as CUDA graphs. It is given the functions, so that tests can put a driver of their own in their place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/cuda/cuda_api.h"
#include "backends/cuda/cuda_device.h"
#include "backends/cuda/nvrtc.h"
#include "backends/cuda/staging.h"
#include "backends/cuda/timeline.h"
#include "compiler/program_device.h"

namespace tattletale::cuda {

class CudaProgramDevice : public compiler::ProgramDevice {
 public:
  static Result<std::unique_ptr<CudaProgramDevice>> open(std::shared_ptr<const CudaApi> api, uint32_t index,
                                                         const CudaOptions& options = {});
  ~CudaProgramDevice() override;

  const Caps& caps() const override { return caps_; }
  const ir::TargetInfo& target() const override { return target_; }
  std::string compiler_identity() const override;

  Result<KernelBinary> compile(const ir::Kernel& kernel) override;
  bool compiles_on_any_thread() const override { return true; }  // NVRTC is, and the rest is pure
  Result<KernelId> load(const KernelBinary& binary) override;

  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override;
  void destroy_buffer(BufferId buffer) override;
  Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) override;
  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override;
  Result<Submission> submit(const CommandList& list) override;
  Result<ListId> record(const CommandList& list) override;
  Result<Submission> submit(ListId list) override;
  void destroy_list(ListId list) override;
  Result<bool> poll(Submission submission) override;
  Result<void> wait(Submission submission) override;
  uint64_t allocated_bytes() const override { return allocated_bytes_; }

  /// Registers, spills and memory of a loaded program, as the driver tells them.
  Result<ProgramResources> resources(KernelId kernel);

 private:
  struct Buffer {
    CUdeviceptr pointer = 0;  // 0: destroyed
    uint64_t size_bytes = 0;
    std::string label;
  };
  struct Program {
    std::string name;
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    uint32_t num_bindings = 0;
    uint32_t params_bytes = 0;
    uint32_t writes_mask = 0;
    uint32_t threads = 0;
    uint32_t dynamic_shared_bytes = 0;
  };
  /// A checked dispatch. The arguments' addresses are taken where it is launched.
  struct Launch {
    const Program* program = nullptr;
    std::array<CUdeviceptr, kMaxBindings> pointers{};
    const Dispatch* dispatch = nullptr;
  };
  /// Freed when the device has passed `after`.
  struct Garbage {
    Submission after;
    CUdeviceptr pointer = 0;
    CUgraphExec list = nullptr;
  };

  CudaProgramDevice(std::shared_ptr<const CudaApi> api, CUdevice device, const CudaOptions& options)
      : api_(std::move(api)), device_(device), options_(options) {}
  Result<void> describe();
  Result<void> start();

  /// Makes the context current on this thread; the error that lost the device, once it is lost.
  Result<void> enter();
  /// Passes a result on and remembers when it means that the device is lost.
  Error note(Error error);
  template <class T>
  Result<T> note(Result<T> result) {
    if (!result) return note(result.take_error());
    return result;
  }
  Error failed(CUresult result, const std::string& where, const std::string& call);

  Result<CUdeviceptr> allocate(uint64_t size_bytes, std::string_view label);
  Result<Buffer*> find_buffer(BufferId buffer, uint64_t offset_bytes, uint64_t size_bytes);
  Result<Launch> prepare(const Dispatch& dispatch);
  Result<std::vector<Launch>> prepare(const CommandList& list);
  Result<CUgraphExec> build_graph(const std::vector<Launch>& launches);
  bool overlaps_launches() const;
  Result<void> add_nodes(CUgraph graph, const std::vector<Launch>& launches);
  Result<std::shared_ptr<const Nvrtc>> nvrtc();
  void collect(Submission passed);
  void discard(Garbage garbage);

  std::shared_ptr<const CudaApi> api_;
  CUdevice device_;
  CudaOptions options_;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  std::unique_ptr<Timeline> timeline_;
  std::unique_ptr<WriteRing> writes_;
  std::unique_ptr<ReadBlocks> reads_;
  Caps caps_;
  ir::TargetInfo target_;
  uint32_t compute_capability_ = 0;
  int driver_version_ = 0;
  std::shared_ptr<const Nvrtc> nvrtc_;
  std::optional<Error> lost_;
  std::vector<Buffer> buffers_;  // BufferId - 1; ids are not used again
  std::vector<std::unique_ptr<Program>> programs_;
  std::unordered_map<std::string, KernelId> programs_by_code_;
  std::vector<CUgraphExec> lists_;  // ListId - 1; null: destroyed
  std::vector<Garbage> garbage_;
  uint64_t allocated_bytes_ = 0;
};

}  // namespace tattletale::cuda
