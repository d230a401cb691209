#include "fake_driver.h"

#include <cstring>

namespace tattletale::cuda {
namespace {

FakeDriver* g_driver = nullptr;

struct FakeEvent {
  bool recorded = false;
  size_t pending = 0;  // recordings that have not run yet
};
struct FakeFunction {
  std::string name;
};
struct FakeNode {
  std::string kernel;
  FakeDriver::LaunchRecord record;
  std::function<void()> run;
  bool has_edge = false;  // to the node before it, or it is the first
};
struct FakeGraph {
  std::vector<FakeNode> nodes;
};

template <class To, class From>
To* as(From* handle) {
  return reinterpret_cast<To*>(handle);
}

/// Reads the arguments now, as the driver does, and returns what the kernel will do.
std::function<void()> bind_kernel(const std::string& name, unsigned words, void** arguments) {
  const auto pointer = [&](size_t i) { return *static_cast<CUdeviceptr*>(arguments[i]); };
  const CUdeviceptr first = pointer(0);
  if (name == "kernel_add") {
    uint32_t step;
    std::memcpy(&step, arguments[1], sizeof step);
    return [=] {
      for (unsigned i = 0; i < words; ++i) reinterpret_cast<uint32_t*>(first)[i] += step;
    };
  }
  const CUdeviceptr second = pointer(1);
  return [=] {
    std::memcpy(reinterpret_cast<void*>(second), reinterpret_cast<void*>(first), size_t{words} * 4);
  };
}

}  // namespace

/// The driver's functions. Each first asks whether the test wants it to fail.
struct FakeFunctions {
#define TT_FAKE(symbol) \
  if (const CUresult fail = g_driver->take(symbol); fail != kSuccess) return fail

  static CUresult init(unsigned) { return kSuccess; }
  static CUresult driver_version(int* version) {
    *version = g_driver->driver_version;
    return kSuccess;
  }
  static CUresult error_name(CUresult error, const char** text) {
    *text = error == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == 700        ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                  : "CUDA_ERROR_OTHER";
    return kSuccess;
  }
  static CUresult error_string(CUresult, const char** text) {
    *text = "as the test wanted";
    return kSuccess;
  }
  static CUresult device_count(int* count) {
    TT_FAKE("cuDeviceGetCount");
    *count = g_driver->num_devices;
    return kSuccess;
  }
  static CUresult device_get(CUdevice* device, int ordinal) {
    *device = ordinal;
    return kSuccess;
  }
  static CUresult device_name(char* name, int length, CUdevice) {
    std::strncpy(name, "Fake Card", static_cast<size_t>(length));
    return kSuccess;
  }
  static CUresult device_total_memory(size_t* bytes, CUdevice) {
    *bytes = g_driver->memory_bytes;
    return kSuccess;
  }
  static CUresult device_attribute(int* value, int attribute, CUdevice) {
    *value = attribute == kAttributeCapabilityMajor   ? g_driver->capability / 10
             : attribute == kAttributeCapabilityMinor ? g_driver->capability % 10
             : attribute == kAttributeMaxSharedOptin  ? 227 * 1024
                                                      : 132;
    return kSuccess;
  }
  static CUresult device_uuid(CUuuid*, CUdevice) { return kSuccess; }
  static CUresult context_retain(CUcontext* context, CUdevice) {
    TT_FAKE("cuDevicePrimaryCtxRetain");
    ++g_driver->contexts_retained;
    *context = reinterpret_cast<CUcontext>(g_driver);
    return kSuccess;
  }
  static CUresult context_release(CUdevice) {
    --g_driver->contexts_retained;
    return kSuccess;
  }
  static CUresult context_set_current(CUcontext) { return kSuccess; }
  static CUresult stream_create(CUstream* stream, unsigned) {
    TT_FAKE("cuStreamCreate");
    *stream = reinterpret_cast<CUstream>(g_driver);
    return kSuccess;
  }
  static CUresult stream_destroy(CUstream) { return kSuccess; }
  static CUresult stream_synchronize(CUstream) {
    g_driver->run_all();
    return g_driver->pending_work_fails;
  }
  static CUresult event_create(CUevent* event, unsigned) {
    TT_FAKE("cuEventCreate");
    ++g_driver->live_events;
    *event = as<CUevent_st>(new FakeEvent);
    return kSuccess;
  }
  static CUresult event_destroy(CUevent event) {
    --g_driver->live_events;
    delete as<FakeEvent>(event);
    return kSuccess;
  }
  static CUresult event_record(CUevent event, CUstream) {
    TT_FAKE("cuEventRecord");
    auto* fake = as<FakeEvent>(event);
    fake->recorded = true;
    ++fake->pending;
    g_driver->queue_.push_back([fake] { --fake->pending; });
    return kSuccess;
  }
  static CUresult event_query(CUevent event) {
    if (g_driver->pending_work_fails != kSuccess) return g_driver->pending_work_fails;
    if (as<FakeEvent>(event)->pending == 0) return kSuccess;
    g_driver->run_one();
    return kNotReady;
  }
  static CUresult event_synchronize(CUevent event) {
    ++g_driver->waits;
    if (g_driver->pending_work_fails != kSuccess) return g_driver->pending_work_fails;
    while (as<FakeEvent>(event)->pending > 0) g_driver->run_one();
    return kSuccess;
  }
  static CUresult memory_info(size_t* free_bytes, size_t* total_bytes) {
    *free_bytes = g_driver->memory_bytes - g_driver->allocated_bytes;
    *total_bytes = g_driver->memory_bytes;
    return kSuccess;
  }
  static CUresult memory_allocate(CUdeviceptr* pointer, size_t bytes) {
    TT_FAKE("cuMemAlloc");
    if (bytes == 0) return 1;
    if (g_driver->allocated_bytes + bytes > g_driver->memory_bytes) return kOutOfMemory;
    std::vector<std::byte> memory(bytes, std::byte{0xa5});
    *pointer = reinterpret_cast<CUdeviceptr>(memory.data());
    g_driver->memory_.emplace(*pointer, std::move(memory));
    g_driver->allocated_bytes += bytes;
    ++g_driver->live_allocations;
    return kSuccess;
  }
  static CUresult memory_free(CUdeviceptr pointer) {
    if (!g_driver->queue_.empty()) g_driver->freed_under_work = true;
    const auto found = g_driver->memory_.find(pointer);
    if (found == g_driver->memory_.end()) return 1;
    g_driver->allocated_bytes -= found->second.size();
    g_driver->memory_.erase(found);
    --g_driver->live_allocations;
    return kSuccess;
  }
  static CUresult host_allocate(void** pointer, size_t bytes, unsigned) {
    TT_FAKE("cuMemHostAlloc");
    ++g_driver->live_host_allocations;
    *pointer = ::operator new(bytes);
    return kSuccess;
  }
  static CUresult host_free(void* pointer) {
    --g_driver->live_host_allocations;
    ::operator delete(pointer);
    return kSuccess;
  }
  static CUresult copy_to_device(CUdeviceptr to, const void* from, size_t bytes, CUstream) {
    TT_FAKE("cuMemcpyHtoDAsync");
    g_driver->queue_.push_back([=] { std::memcpy(reinterpret_cast<void*>(to), from, bytes); });
    return kSuccess;
  }
  static CUresult copy_to_host(void* to, CUdeviceptr from, size_t bytes, CUstream) {
    TT_FAKE("cuMemcpyDtoHAsync");
    g_driver->queue_.push_back([=] { std::memcpy(to, reinterpret_cast<const void*>(from), bytes); });
    return kSuccess;
  }
  static CUresult fill_bytes(CUdeviceptr to, unsigned char value, size_t bytes, CUstream) {
    TT_FAKE("cuMemsetD8Async");
    g_driver->queue_.push_back([=] { std::memset(reinterpret_cast<void*>(to), value, bytes); });
    return kSuccess;
  }
  static CUresult module_load(CUmodule* module, const void*) {
    TT_FAKE("cuModuleLoadData");
    ++g_driver->live_modules;
    *module = as<CUmod_st>(new FakeFunction);
    return kSuccess;
  }
  static CUresult module_unload(CUmodule module) {
    --g_driver->live_modules;
    delete as<FakeFunction>(module);
    return kSuccess;
  }
  static CUresult module_function(CUfunction* function, CUmodule module, const char* name) {
    TT_FAKE("cuModuleGetFunction");
    as<FakeFunction>(module)->name = name;
    *function = as<CUfunc_st>(as<FakeFunction>(module));
    return kSuccess;
  }
  static CUresult function_attribute(int* value, int attribute, CUfunction) {
    *value = attribute == kFunctionNumRegisters ? 40 : attribute == kFunctionLocalBytes ? 8 : 1024;
    return kSuccess;
  }
  static CUresult function_set_attribute(CUfunction function, int attribute, int value) {
    TT_FAKE("cuFuncSetAttribute");
    g_driver->function_attributes[as<FakeFunction>(function)->name + ":" + std::to_string(attribute)] = value;
    return kSuccess;
  }
  static FakeNode node(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads,
                       unsigned shared, void** arguments) {
    const std::string name = as<FakeFunction>(function)->name;
    return {name, {name, {x, y, z}, threads, shared}, bind_kernel(name, x * threads, arguments)};
  }
  static void enqueue(const FakeNode& node) {
    g_driver->launches.push_back(node.record);
    g_driver->queue_.push_back(node.run);
  }
  static CUresult launch(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned,
                         unsigned, unsigned shared, CUstream, void** arguments, void**) {
    TT_FAKE("cuLaunchKernel");
    enqueue(node(function, x, y, z, threads, shared, arguments));
    return kSuccess;
  }
  static CUresult graph_create(CUgraph* graph, unsigned) {
    TT_FAKE("cuGraphCreate");
    ++g_driver->live_graphs;
    *graph = as<CUgraph_st>(new FakeGraph);
    return kSuccess;
  }
  static CUresult graph_destroy(CUgraph graph) {
    --g_driver->live_graphs;
    delete as<FakeGraph>(graph);
    return kSuccess;
  }
  static CUresult graph_add_kernel(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies,
                                   size_t count, const KernelNodeParams* p) {
    TT_FAKE("cuGraphAddKernelNode");
    auto& nodes = as<FakeGraph>(graph)->nodes;
    // A chain: each node depends on the one before it, named by its number. Where there is no edge yet one
    // must follow: see graph_add_dependencies.
    if (!nodes.empty() && !nodes.back().has_edge) return 1;
    if (count > 1 || (count == 1 && dependencies[0] != reinterpret_cast<CUgraphNode>(nodes.size()))) return 1;
    const bool has_edge = nodes.empty() || count == 1;
    nodes.push_back(
        node(p->func, p->grid_x, p->grid_y, p->grid_z, p->block_x, p->shared_bytes, p->kernel_params));
    nodes.back().has_edge = has_edge;
    *out = reinterpret_cast<CUgraphNode>(nodes.size());
    return kSuccess;
  }
  static CUresult graph_add_dependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                         const CUgraphEdgeData* edges, size_t count) {
    TT_FAKE("cuGraphAddDependencies");
    auto& nodes = as<FakeGraph>(graph)->nodes;
    const bool last_two = count == 1 && *to == reinterpret_cast<CUgraphNode>(nodes.size()) &&
                          *from == reinterpret_cast<CUgraphNode>(nodes.size() - 1);
    const bool programmatic = edges->from_port == 1 && edges->to_port == 0 && edges->type == 1;
    if (!last_two || !programmatic || nodes.back().has_edge) return 1;
    nodes.back().has_edge = true;
    ++g_driver->overlapping_edges;
    return kSuccess;
  }
  static CUresult graph_instantiate(CUgraphExec* executable, CUgraph graph, unsigned long long) {
    TT_FAKE("cuGraphInstantiate");
    const auto& nodes = as<FakeGraph>(graph)->nodes;
    if (!nodes.empty() && !nodes.back().has_edge) return 1;
    ++g_driver->live_graphs;
    *executable = as<CUgraphExec_st>(new FakeGraph(*as<FakeGraph>(graph)));
    return kSuccess;
  }
  static CUresult graph_upload(CUgraphExec, CUstream) {
    TT_FAKE("cuGraphUpload");
    return kSuccess;
  }
  static CUresult graph_launch(CUgraphExec executable, CUstream) {
    TT_FAKE("cuGraphLaunch");
    for (const FakeNode& node : as<FakeGraph>(executable)->nodes) enqueue(node);
    return kSuccess;
  }
  static CUresult graph_executable_destroy(CUgraphExec executable) {
    if (!g_driver->queue_.empty()) g_driver->freed_under_work = true;
    --g_driver->live_graphs;
    delete as<FakeGraph>(executable);
    return kSuccess;
  }
#undef TT_FAKE
};

FakeDriver::FakeDriver() : api_(std::make_shared<CudaApi>()) {
  g_driver = this;
#define TT_CUDA_FILL(name, symbol, arguments) api_->name = FakeFunctions::name;
  TT_CUDA_FUNCTIONS(TT_CUDA_FILL)
  TT_CUDA_OPTIONAL_FUNCTIONS(TT_CUDA_FILL)
#undef TT_CUDA_FILL
}

FakeDriver::~FakeDriver() {
  g_driver = nullptr;
}

CUresult FakeDriver::take(const std::string& function) {
  const auto found = results.find(function);
  if (found == results.end()) return kSuccess;
  const CUresult result = found->second;
  results.erase(found);
  return result;
}

void FakeDriver::run_one() {
  if (queue_.empty()) return;
  const auto work = std::move(queue_.front());
  queue_.pop_front();
  work();
}

void FakeDriver::run_all() {
  while (!queue_.empty()) run_one();
}

}  // namespace tattletale::cuda
