#include "backends/cpu/cpu_device.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/cpu_kernel.h"
#include "backends/cpu/thread_team.h"

namespace tattletale {
namespace {

constexpr uint32_t kMaxThreads = 1024;

/// Zero-filled, page-aligned memory that is only backed by the machine once it is touched.
class HostMemory {
 public:
  HostMemory() = default;
  static HostMemory allocate(uint64_t size_bytes) {
    HostMemory memory;
    void* data = ::mmap(nullptr, std::max<uint64_t>(size_bytes, 1), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return memory;
    if (size_bytes >= (4u << 20)) ::madvise(data, size_bytes, MADV_HUGEPAGE);
    memory.data_ = static_cast<std::byte*>(data);
    memory.size_ = size_bytes;
    return memory;
  }
  HostMemory(HostMemory&& other) noexcept { *this = std::move(other); }
  HostMemory& operator=(HostMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~HostMemory() {
    if (data_ != nullptr) ::munmap(data_, std::max<uint64_t>(size_, 1));
  }
  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

struct CpuBuffer {
  std::byte* data = nullptr;
  uint64_t size_bytes = 0;
  bool read_only = false;
  HostMemory memory;                  // when we made it
  std::shared_ptr<const void> owner;  // when it was imported
};

struct LoadedKernel {
  const cpu::CpuKernel* kernel = nullptr;
  std::vector<std::byte> comptime;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(uint32_t num_threads) : team_(num_threads) {
    caps_.backend = "cpu";
    caps_.name = cpu::processor_name();
    caps_.isa = cpu::instruction_set_name();
    caps_.max_buffer_bytes = cpu::physical_memory_bytes();
    caps_.max_binding_bytes = caps_.max_buffer_bytes;
    caps_.num_threads = num_threads;
    caps_.waits = true;
    buffers_.emplace_back();   // BufferId::none
    kernels_.emplace_back();   // KernelId::none
    recorded_.emplace_back();  // ListId::none
  }

  const Caps& caps() const override { return caps_; }

  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override {
    HostMemory memory;
    if (size_bytes <= caps_.max_buffer_bytes) memory = HostMemory::allocate(size_bytes);
    if (memory.data() == nullptr) {
      return make_error(ErrorKind::out_of_memory, std::string(label),
                        "cannot allocate " + std::to_string(size_bytes) + " bytes on the CPU (" +
                            std::to_string(allocated_bytes_) + " bytes are in use, the machine has " +
                            std::to_string(caps_.max_buffer_bytes) + ")");
    }
    CpuBuffer buffer;
    buffer.data = memory.data();
    buffer.size_bytes = size_bytes;
    buffer.memory = std::move(memory);
    allocated_bytes_ += size_bytes;
    return add_buffer(std::move(buffer));
  }

  Result<BufferSlice> create_matrix(DType dtype, uint64_t rows, uint64_t columns,
                                    std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                    std::string_view) override {
    CHECK(row_bytes(dtype, columns).value() * rows == bytes.size());
    CpuBuffer buffer;
    buffer.data = const_cast<std::byte*>(bytes.data());
    buffer.size_bytes = bytes.size();
    buffer.read_only = true;
    buffer.owner = std::move(owner);
    return BufferSlice{add_buffer(std::move(buffer)), 0, bytes.size()};
  }

  void destroy_buffer(BufferId id) override {
    CpuBuffer& buffer = at(id);
    if (!buffer.read_only) allocated_bytes_ -= buffer.size_bytes;
    buffer = CpuBuffer{};
    free_.push_back(id);
  }

  Result<void> write(BufferId id, uint64_t offset_bytes, std::span<const std::byte> bytes) override {
    CpuBuffer& buffer = at(id);
    CHECK(!buffer.read_only);
    CHECK(offset_bytes <= buffer.size_bytes && bytes.size() <= buffer.size_bytes - offset_bytes);
    if (!bytes.empty()) std::memcpy(buffer.data + offset_bytes, bytes.data(), bytes.size());
    return {};
  }

  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override {
    const HostBinding binding = resolve(source);
    CHECK(out.size() <= binding.size_bytes);
    if (!out.empty()) std::memcpy(out.data(), binding.data, out.size());
    return Submission{++submitted_};
  }

  Result<KernelId> load_kernel(const KernelBinary& binary) override {
    const cpu::CpuKernel* kernel = cpu::find_cpu_kernel(binary.name);
    if (binary.format != KernelBinary::Format::native || kernel == nullptr) {
      return make_error(ErrorKind::unsupported, "cpu", "there is no built-in kernel named " + binary.name);
    }
    CHECK(binary.comptime.size() == kernel->contract->comptime_bytes);
    if (kernel->supports != nullptr && !kernel->supports(binary.comptime.data())) {
      return make_error(ErrorKind::unsupported, "cpu",
                        "kernel " + binary.name + " is not implemented for these types");
    }
    kernels_.push_back({kernel, binary.comptime});
    return static_cast<KernelId>(kernels_.size() - 1);
  }

  Result<Submission> submit(const CommandList& list) override {
    const std::span<const Dispatch> dispatches = list.dispatches();
    TT_TRY(prepare(dispatches));
    if (!dispatches.empty()) {
      team_.run([&](uint32_t thread_index) { run_share(dispatches, thread_index); });
    }
    return Submission{++submitted_};
  }

  Result<ListId> record(const CommandList& list) override {
    recorded_.push_back(list);
    return static_cast<ListId>(recorded_.size() - 1);
  }
  Result<Submission> submit(ListId list) override {
    const size_t index = static_cast<size_t>(list);
    CHECK(index > 0 && index < recorded_.size());
    return submit(recorded_[index]);
  }
  void destroy_list(ListId list) override { recorded_[static_cast<size_t>(list)].clear(); }

  Result<bool> poll(Submission) override { return true; }
  Result<void> wait(Submission) override { return {}; }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }

 private:
  BufferId add_buffer(CpuBuffer buffer) {
    if (!free_.empty()) {
      const BufferId id = free_.back();
      free_.pop_back();
      buffers_[static_cast<size_t>(id)] = std::move(buffer);
      return id;
    }
    buffers_.push_back(std::move(buffer));
    return static_cast<BufferId>(buffers_.size() - 1);
  }

  CpuBuffer& at(BufferId id) {
    const size_t index = static_cast<size_t>(id);
    CHECK(index > 0 && index < buffers_.size() && buffers_[index].data != nullptr);
    return buffers_[index];
  }

  HostBinding resolve(const BufferSlice& slice) {
    if (slice.buffer == BufferId::none) return {};
    CpuBuffer& buffer = at(slice.buffer);
    CHECK(slice.offset_bytes <= buffer.size_bytes);
    CHECK(slice.size_bytes <= buffer.size_bytes - slice.offset_bytes);
    return {buffer.data + slice.offset_bytes, slice.size_bytes};
  }

  /// Resolves bindings to pointers and reserves scratch, before any thread runs.
  Result<void> prepare(std::span<const Dispatch> dispatches) {
    uint64_t scratch_bytes = 0;
    bindings_.resize(dispatches.size());
    for (size_t i = 0; i < dispatches.size(); ++i) {
      const Dispatch& dispatch = dispatches[i];
      const LoadedKernel& loaded = kernels_[static_cast<size_t>(dispatch.kernel)];
      CHECK(loaded.kernel != nullptr);
      CHECK(dispatch.num_bindings == loaded.kernel->contract->num_bindings);
      for (uint32_t b = 0; b < dispatch.num_bindings; ++b) {
        bindings_[i][b] = resolve(dispatch.bindings[b]);
        const bool writes = (loaded.kernel->contract->writes_mask >> b & 1u) != 0;
        CHECK(!writes || bindings_[i][b].data == nullptr || !at(dispatch.bindings[b].buffer).read_only);
      }
      if (loaded.kernel->scratch_bytes != nullptr) {
        scratch_bytes =
            std::max(scratch_bytes, loaded.kernel->scratch_bytes(
                                        loaded.comptime.data(), dispatch.params.data(), team_.num_threads()));
      }
    }
    if (scratch_bytes > scratch_.size()) {
      scratch_ = HostMemory::allocate(scratch_bytes);
      if (scratch_.data() == nullptr) {
        return make_error(ErrorKind::out_of_memory, "cpu",
                          "cannot allocate " + std::to_string(scratch_bytes) + " bytes of scratch memory");
      }
    }
    return {};
  }

  void run_share(std::span<const Dispatch> dispatches, uint32_t thread_index) {
    cpu::Launch launch;
    launch.team.thread_index = thread_index;
    launch.team.num_threads = team_.num_threads();
    launch.team.barrier = &team_.barrier();
    launch.team.shared_scratch = {scratch_.data(), scratch_.size()};
    for (size_t i = 0; i < dispatches.size(); ++i) {
      const LoadedKernel& loaded = kernels_[static_cast<size_t>(dispatches[i].kernel)];
      launch.bindings = {bindings_[i].data(), dispatches[i].num_bindings};
      launch.comptime = loaded.comptime.data();
      launch.params = dispatches[i].params.data();
      launch.team.work_counter = &work_counters_[i % 2].value;
      loaded.kernel->run(launch);
      team_.barrier().arrive_and_wait(
          [&] { work_counters_[i % 2].value.store(0, std::memory_order_relaxed); });
    }
  }

  struct alignas(64) WorkCounter {
    std::atomic<uint64_t> value{0};
  };

  Caps caps_;
  cpu::ThreadTeam team_;
  std::vector<CpuBuffer> buffers_;
  std::vector<BufferId> free_;
  std::vector<LoadedKernel> kernels_;
  std::vector<CommandList> recorded_;
  std::vector<std::array<HostBinding, kMaxBindings>> bindings_;  // of the list being run
  HostMemory scratch_;
  WorkCounter work_counters_[2];
  uint64_t allocated_bytes_ = 0;
  uint64_t submitted_ = 0;
};

uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return static_cast<uint32_t>(CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

Result<std::unique_ptr<Device>> open_cpu_device(uint32_t num_threads) {
  if (num_threads > kMaxThreads) {
    return make_error(
        ErrorKind::invalid_argument, "--threads",
        std::to_string(num_threads) + " threads asked for; at most " + std::to_string(kMaxThreads));
  }
  if (num_threads == 0) num_threads = usable_cores();
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>(num_threads));
}

}  // namespace tattletale
