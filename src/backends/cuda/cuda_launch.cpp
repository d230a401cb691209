// CudaProgramDevice: from command lists to launches, one by one or as a graph.
#include <algorithm>

#include "backends/cuda/cuda_program_device.h"
#include "base/check.h"

namespace tattletale::cuda {
namespace {

/// What cuLaunchKernel and graph nodes take: an address for each argument, pointers first, then the params.
class Arguments {
 public:
  Arguments(std::span<const CUdeviceptr> pointers, const Dispatch& dispatch) {
    for (const CUdeviceptr& pointer : pointers) add(&pointer);
    if (dispatch.params_bytes > 0) add(dispatch.params.data());
  }
  void** data() { return addresses_.data(); }

 private:
  void add(const void* address) {
    addresses_[count_++] = const_cast<void*>(address);
  }  // read only, says CUDA
  std::array<void*, kMaxBindings + 1> addresses_{};
  size_t count_ = 0;
};

bool overlap(const BufferSlice& a, const BufferSlice& b) {
  return a.buffer == b.buffer && a.buffer != BufferId::none &&
         a.offset_bytes < b.offset_bytes + b.size_bytes && b.offset_bytes < a.offset_bytes + a.size_bytes;
}

/// Frees a graph under construction.
class Graph {
 public:
  explicit Graph(const CudaApi& api) : api_(api) {}
  ~Graph() {
    if (handle) api_.graph_destroy(handle);
  }
  Graph(const Graph&) = delete;
  CUgraph handle = nullptr;

 private:
  const CudaApi& api_;
};

}  // namespace

Result<CudaProgramDevice::Launch> CudaProgramDevice::prepare(const Dispatch& dispatch) {
  const auto index = static_cast<uint32_t>(dispatch.kernel);
  if (index == 0 || index > programs_.size()) {
    return make_error(ErrorKind::invalid_argument, "cuda", "kernel " + std::to_string(index) + " is unknown");
  }
  Launch launch;
  launch.program = programs_[index - 1].get();
  launch.dispatch = &dispatch;
  const Program& program = *launch.program;
  const auto invalid = [&](const std::string& what) {
    return make_error(ErrorKind::invalid_argument, program.name, what);
  };
  if (dispatch.num_bindings != program.num_bindings || dispatch.params_bytes != program.params_bytes) {
    return invalid("dispatched with " + std::to_string(dispatch.num_bindings) + " bindings and " +
                   std::to_string(dispatch.params_bytes) + " bytes of parameters, compiled for " +
                   std::to_string(program.num_bindings) + " and " + std::to_string(program.params_bytes));
  }
  const auto& grid = dispatch.workgroups;
  if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) {
    return invalid("a grid of " + std::to_string(grid[0]) + " x " + std::to_string(grid[1]) + " x " +
                   std::to_string(grid[2]) + " workgroups; the most is 2147483647 x 65535 x 65535");
  }
  for (uint32_t i = 0; i < program.num_bindings; ++i) {
    const BufferSlice& slice = dispatch.bindings[i];
    if (slice.buffer == BufferId::none) continue;  // absent; the kernel does not touch it
    TT_ASSIGN(const Buffer* buffer, find_buffer(slice.buffer, slice.offset_bytes, slice.size_bytes));
    if (slice.offset_bytes % caps_.offset_alignment_bytes != 0) {
      return invalid("binding " + std::to_string(i) + " starts at byte " +
                     std::to_string(slice.offset_bytes) + ", not a multiple of " +
                     std::to_string(caps_.offset_alignment_bytes));
    }
    launch.pointers[i] = buffer->pointer + slice.offset_bytes;
    // Pointers are __restrict__, and what is only read comes through a cache that no write reaches.
    for (uint32_t j = 0; j < i; ++j) {
      const bool written = ((program.writes_mask >> i | program.writes_mask >> j) & 1u) != 0;
      if (written && overlap(slice, dispatch.bindings[j])) {
        return invalid("bindings " + std::to_string(j) + " and " + std::to_string(i) +
                       " overlap and one of them is written");
      }
    }
  }
  return launch;
}

Result<std::vector<CudaProgramDevice::Launch>> CudaProgramDevice::prepare(const CommandList& list) {
  std::vector<Launch> launches;
  launches.reserve(list.dispatches().size());
  for (const Dispatch& dispatch : list.dispatches()) {
    TT_ASSIGN(const Launch launch, prepare(dispatch));
    const bool empty = std::ranges::find(dispatch.workgroups, 0u) != dispatch.workgroups.end();
    if (!empty) launches.push_back(launch);
  }
  return launches;
}

Result<Submission> CudaProgramDevice::submit(const CommandList& list) {
  TT_TRY(enter());
  TT_ASSIGN(const std::vector<Launch> launches, prepare(list));
  for (const Launch& launch : launches) {
    const Program& program = *launch.program;
    const auto& grid = launch.dispatch->workgroups;
    Arguments arguments(std::span(launch.pointers).first(program.num_bindings), *launch.dispatch);
    const CUresult result = api_->launch(program.function, grid[0], grid[1], grid[2], program.threads, 1, 1,
                                         program.dynamic_shared_bytes, stream_, arguments.data(), nullptr);
    if (result != kSuccess) return failed(result, program.name, "cuLaunchKernel");
  }
  return note(timeline_->mark());
}

bool CudaProgramDevice::overlaps_launches() const {
  return options_.overlap_launches && compute_capability_ >= 90 && api_->graph_add_dependencies;
}

Result<void> CudaProgramDevice::add_nodes(CUgraph graph, const std::vector<Launch>& launches) {
  CUgraphNode last = nullptr;
  for (const Launch& launch : launches) {
    const Program& program = *launch.program;
    const auto& grid = launch.dispatch->workgroups;
    Arguments arguments(std::span(launch.pointers).first(program.num_bindings), *launch.dispatch);
    KernelNodeParams params{};
    params.func = program.function;
    params.grid_x = grid[0];
    params.grid_y = grid[1];
    params.grid_z = grid[2];
    params.block_x = program.threads;
    params.block_y = 1;
    params.block_z = 1;
    params.shared_bytes = program.dynamic_shared_bytes;
    params.kernel_params = arguments.data();  // their values are copied
    CUgraphNode node = nullptr;
    const bool plain_edge = last && !overlaps_launches();
    CUresult result = api_->graph_add_kernel(&node, graph, &last, plain_edge ? 1 : 0, &params);
    if (result != kSuccess) return failed(result, program.name, "cuGraphAddKernelNode");
    if (last && !plain_edge) {
      const CUgraphEdgeData edge{kPortProgrammatic, 0, kDependencyProgrammatic, {}};
      result = api_->graph_add_dependencies(graph, &last, &node, &edge, 1);
      if (result != kSuccess) return failed(result, program.name, "cuGraphAddDependencies");
    }
    last = node;
  }
  return {};
}

Result<CUgraphExec> CudaProgramDevice::build_graph(const std::vector<Launch>& launches) {
  Graph graph(*api_);
  if (const CUresult result = api_->graph_create(&graph.handle, 0); result != kSuccess) {
    return failed(result, "cuda", "cuGraphCreate");
  }
  TT_TRY(add_nodes(graph.handle, launches));
  CUgraphExec executable = nullptr;
  if (const CUresult result = api_->graph_instantiate(&executable, graph.handle, 0); result != kSuccess) {
    return failed(result, "cuda",
                  "cuGraphInstantiateWithFlags of " + std::to_string(launches.size()) + " launches");
  }
  // Now rather than at the first replay, which may be timed.
  if (const CUresult result = api_->graph_upload(executable, stream_); result != kSuccess) {
    api_->graph_executable_destroy(executable);
    return failed(result, "cuda", "cuGraphUpload");
  }
  return executable;
}

Result<ListId> CudaProgramDevice::record(const CommandList& list) {
  TT_TRY(enter());
  TT_ASSIGN(const std::vector<Launch> launches, prepare(list));
  TT_ASSIGN(CUgraphExec executable, build_graph(launches));
  lists_.push_back(executable);
  return ListId{static_cast<uint32_t>(lists_.size())};
}

Result<Submission> CudaProgramDevice::submit(ListId list) {
  TT_TRY(enter());
  const auto index = static_cast<uint32_t>(list);
  if (index == 0 || index > lists_.size() || !lists_[index - 1]) {
    return make_error(ErrorKind::invalid_argument, "cuda",
                      "list " + std::to_string(index) + " does not exist");
  }
  if (const CUresult result = api_->graph_launch(lists_[index - 1], stream_); result != kSuccess) {
    return failed(result, "cuda", "cuGraphLaunch");
  }
  return note(timeline_->mark());
}

void CudaProgramDevice::destroy_list(ListId list) {
  const auto index = static_cast<uint32_t>(list);
  if (index == 0 || index > lists_.size() || !lists_[index - 1]) return;
  api_->context_set_current(context_);
  Garbage garbage{Submission::none, 0, lists_[index - 1]};
  lists_[index - 1] = nullptr;
  if (auto after = timeline_->mark()) {
    garbage.after = *after;
    garbage_.push_back(garbage);
  } else {
    discard(garbage);
  }
}

}  // namespace tattletale::cuda
