// The device contract: everything the engine may ask of a CPU, a GPU or a browser tab.
//
// It is drawn against the weakest target, WebGPU: buffers are opaque and addressed as (buffer, offset),
// a dispatch binds at most kMaxBindings buffers and kMaxParamsBytes of parameters, work is recorded and
// submitted, and completion is polled; nothing here has to block. Values that change from step to step
// (positions, page tables, lengths) travel in buffers, so that a recorded list can be replayed.
// Backends live in src/backends/ and are named only by applications and tests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "tensor/dtype.h"

namespace tattletale {

inline constexpr int kMaxBindings = 8;           // WebGPU's default storage buffers per stage
inline constexpr size_t kMaxParamsBytes = 64;    // WebGPU's immediate data
inline constexpr size_t kMaxComptimeBytes = 64;  // what a kernel is specialised on

enum class BufferId : uint32_t { none = 0 };
enum class KernelId : uint32_t { none = 0 };
enum class ListId : uint32_t { none = 0 };
enum class Submission : uint64_t { none = 0 };

/// A byte range of one buffer. 64-bit offsets everywhere: a KV pool passes 2^31 elements.
struct BufferSlice {
  BufferId buffer = BufferId::none;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

/// What a device can do; filled once when it is opened.
struct Caps {
  std::string backend;  // "cpu", "cuda", "vulkan", ...
  std::string name;     // the processor's or card's own name
  std::string isa;      // instruction set or driver version in use
  uint64_t max_buffer_bytes = 0;
  uint64_t max_binding_bytes = 0;
  uint32_t offset_alignment_bytes = 1;
  uint32_t num_threads = 0;  // CPU threads; 0 elsewhere
  bool waits = false;        // wait() may block the caller
};

/// A compiled kernel on its way from a compiler to a device. For a device with built-in kernels
/// (`native`), `name` and `comptime` are all there is; elsewhere `code` holds the target's program.
struct KernelBinary {
  enum class Format : uint8_t { native, cubin, opencl_c, spirv, wgsl, opencl_binary };
  Format format = Format::native;
  std::string name;                 // the kernel's contract name, e.g. "linear"
  std::vector<std::byte> comptime;  // the contract's comptime struct, at most kMaxComptimeBytes
  std::vector<std::byte> code;
  std::string entry_point;
  uint32_t num_bindings = 0;
  uint32_t params_bytes = 0;
  uint32_t writes_mask = 0;        // bit i set: binding i is written (others are read only)
  uint32_t workgroup_threads = 0;  // compiled programs only: threads of one workgroup, along x
  uint32_t subgroup_size = 0;      // the size it was compiled for; 0 when it uses no subgroup operation
  uint32_t shared_bytes = 0;       // workgroup memory
};

/// One kernel launch. Unused bindings stay none; the kernel's contract says which may be absent.
struct Dispatch {
  KernelId kernel = KernelId::none;
  uint32_t num_bindings = 0;
  uint32_t params_bytes = 0;
  std::array<uint32_t, 3> workgroups{1, 1, 1};  // ignored by a device that partitions work itself
  std::array<BufferSlice, kMaxBindings> bindings{};
  alignas(16) std::array<std::byte, kMaxParamsBytes> params{};

  template <class Params>
  void set_params(const Params& value) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxParamsBytes);
    std::memcpy(params.data(), &value, sizeof(Params));
    params_bytes = sizeof(Params);
  }
};

/// Work in order. Each dispatch sees the writes of those before it.
class CommandList {
 public:
  void dispatch(const Dispatch& command) { dispatches_.push_back(command); }
  void clear() { dispatches_.clear(); }
  std::span<const Dispatch> dispatches() const { return dispatches_; }

 private:
  std::vector<Dispatch> dispatches_;
};

/// One accelerator. Single-threaded use: one thread owns a device and everything made from it.
/// Every call that can fail returns an Error; `device_lost` is final for the device.
class Device {
 public:
  virtual ~Device() = default;

  virtual const Caps& caps() const = 0;

  /// A zero-filled buffer. Errors: out_of_memory naming the size asked for and what is in use.
  virtual Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) = 0;

  /// Puts a stored matrix [rows, columns] on the device in the layout that its kernels read: the CPU maps
  /// `bytes` as they are, others may rearrange. Only kernels' matrix bindings take the result. `bytes` hold
  /// rows of `dtype` one after the other; `owner` keeps them alive where they are not copied. Read only.
  /// Errors: out_of_memory; unsupported when no kernel here reads `dtype`.
  virtual Result<BufferSlice> create_matrix(DType dtype, uint64_t rows, uint64_t columns,
                                            std::span<const std::byte> bytes,
                                            std::shared_ptr<const void> owner, std::string_view label) = 0;

  /// Frees a buffer once no submitted work uses it.
  virtual void destroy_buffer(BufferId buffer) = 0;

  /// Copies host bytes into a buffer; ordered before every later submission.
  virtual Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) = 0;

  /// Starts copying a slice to `out` after all earlier submissions. `out` must live, and may be looked
  /// at, only once poll() of the returned submission says true.
  virtual Result<Submission> read(BufferSlice source, std::span<std::byte> out) = 0;

  /// Errors: unsupported when the kernel or its comptime is unknown here; with the driver's log verbatim.
  virtual Result<KernelId> load_kernel(const KernelBinary& binary) = 0;

  /// Enqueues a list; returns at once on devices that run on their own.
  virtual Result<Submission> submit(const CommandList& list) = 0;

  /// Prepares a list for being submitted again and again: a CUDA graph, a reusable command buffer. Its
  /// buffers and kernels must outlive it.
  virtual Result<ListId> record(const CommandList& list) = 0;
  virtual Result<Submission> submit(ListId list) = 0;
  /// Frees a recorded list once no submitted work uses it.
  virtual void destroy_list(ListId list) = 0;

  /// True when a submission and all before it have finished. Never waits.
  virtual Result<bool> poll(Submission submission) = 0;

  /// Blocks until poll() would say true. Errors: unsupported unless caps().waits.
  virtual Result<void> wait(Submission submission) = 0;

  /// Bytes of live buffers made by create_buffer.
  virtual uint64_t allocated_bytes() const = 0;
};

}  // namespace tattletale
