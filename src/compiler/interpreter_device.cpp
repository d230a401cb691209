#include "compiler/interpreter_device.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <unordered_map>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace tattletale::compiler {
namespace {

constexpr uint32_t kOffsetAlignment = 256;

class InterpreterDevice final : public ProgramDevice {
 public:
  explicit InterpreterDevice(const ir::TargetInfo& target) : target_(target) {
    caps_.backend = "interpreter";
    caps_.name = "interpreter, subgroups of " + std::to_string(target.subgroup_size);
    caps_.isa = "kernel IR";
    caps_.max_buffer_bytes = uint64_t{1} << 40;
    caps_.max_binding_bytes = target.max_binding_bytes;
    caps_.offset_alignment_bytes = kOffsetAlignment;
    caps_.waits = true;
  }

  const Caps& caps() const override { return caps_; }
  const ir::TargetInfo& target() const override { return target_; }
  std::string compiler_identity() const override { return "interpreter 1"; }

  Result<KernelBinary> compile(const ir::Kernel& kernel) override {
    TT_TRY(ir::verify(kernel, target_));
    const std::string text = ir::print(kernel);
    const auto bytes = std::as_bytes(std::span(text));
    KernelBinary binary;
    binary.name = kernel.name;
    binary.code.assign(bytes.begin(), bytes.end());
    binary.entry_point = kernel.name;
    binary.num_bindings = static_cast<uint32_t>(kernel.bindings.size());
    binary.params_bytes = static_cast<uint32_t>(kernel.params.size() * 4);
    binary.writes_mask = kernel.writes_mask();
    binary.workgroup_threads = kernel.workgroup_threads;
    binary.subgroup_size = kernel.subgroup_size;
    binary.shared_bytes = kernel.shared_bytes();
    return binary;
  }

  Result<KernelId> load(const KernelBinary& binary) override {
    const std::string_view text(reinterpret_cast<const char*>(binary.code.data()), binary.code.size());
    TT_ASSIGN(ir::Kernel kernel, ir::parse(text));
    TT_TRY(ir::verify(kernel, target_));
    TT_ASSIGN(ir::Interpreter interpreter, ir::Interpreter::create(std::move(kernel)));
    kernels_.push_back(std::move(interpreter));
    return KernelId{static_cast<uint32_t>(kernels_.size())};
  }

  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override {
    Buffer buffer;
    try {
      buffer.words = std::make_unique<uint32_t[]>((size_bytes + 3) / 4);
    } catch (const std::bad_alloc&) {
      return make_error(
          ErrorKind::out_of_memory, std::string(label),
          std::to_string(size_bytes) + " bytes asked for, " + std::to_string(allocated_bytes_) + " in use");
    }
    buffer.size_bytes = size_bytes;
    allocated_bytes_ += size_bytes;
    const BufferId id{++last_buffer_};
    buffers_.emplace(static_cast<uint32_t>(id), std::move(buffer));
    return id;
  }

  void destroy_buffer(BufferId id) override {
    const auto found = buffers_.find(static_cast<uint32_t>(id));
    if (found == buffers_.end()) return;
    allocated_bytes_ -= found->second.size_bytes;
    buffers_.erase(found);
  }

  Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) override {
    TT_ASSIGN(const std::span<std::byte> to, bytes_of({buffer, offset_bytes, bytes.size()}, "write"));
    std::copy(bytes.begin(), bytes.end(), to.begin());
    return {};
  }

  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override {
    TT_ASSIGN(const std::span<std::byte> from, bytes_of(source, "read"));
    if (from.size() != out.size()) {
      return make_error(ErrorKind::invalid_argument, "read",
                        "the slice and the memory for it differ in size");
    }
    std::copy(from.begin(), from.end(), out.begin());
    return next();
  }

  Result<Submission> submit(const CommandList& list) override { return run(list.dispatches()); }

  Result<ListId> record(const CommandList& list) override {
    const ListId id{++last_list_};
    const std::span<const Dispatch> dispatches = list.dispatches();
    lists_.emplace(static_cast<uint32_t>(id), std::vector<Dispatch>(dispatches.begin(), dispatches.end()));
    return id;
  }
  Result<Submission> submit(ListId list) override {
    const auto found = lists_.find(static_cast<uint32_t>(list));
    if (found == lists_.end()) return make_error(ErrorKind::not_found, "submit", "no such list");
    return run(found->second);
  }
  void destroy_list(ListId list) override { lists_.erase(static_cast<uint32_t>(list)); }

  Result<bool> poll(Submission) override { return true; }
  Result<void> wait(Submission) override { return {}; }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }

 private:
  struct Buffer {
    std::unique_ptr<uint32_t[]> words;
    uint64_t size_bytes = 0;
  };

  Submission next() { return Submission{++last_submission_}; }

  Result<std::span<std::byte>> bytes_of(const BufferSlice& slice, const std::string& where) {
    const auto found = buffers_.find(static_cast<uint32_t>(slice.buffer));
    if (found == buffers_.end()) return make_error(ErrorKind::not_found, where, "no such buffer");
    const uint64_t size = found->second.size_bytes;
    if (slice.offset_bytes > size || slice.size_bytes > size - slice.offset_bytes) {
      return make_error(ErrorKind::invalid_argument, where,
                        "bytes " + std::to_string(slice.offset_bytes) + " to " +
                            std::to_string(slice.offset_bytes + slice.size_bytes) + " of a buffer of " +
                            std::to_string(size));
    }
    return std::span(reinterpret_cast<std::byte*>(found->second.words.get()) + slice.offset_bytes,
                     slice.size_bytes);
  }

  Result<Submission> run(std::span<const Dispatch> dispatches) {
    for (const Dispatch& dispatch : dispatches) TT_TRY(run(dispatch));
    return next();
  }

  Result<void> run(const Dispatch& dispatch) {
    const auto index = static_cast<uint32_t>(dispatch.kernel) - 1;
    if (index >= kernels_.size()) return make_error(ErrorKind::not_found, "dispatch", "no such kernel");
    ir::Interpreter& interpreter = kernels_[index];
    const std::string& name = interpreter.kernel().name;
    ir::Launch launch;
    launch.workgroups = dispatch.workgroups;
    std::array<uint32_t, kMaxParamsBytes / 4> params{};
    std::memcpy(params.data(), dispatch.params.data(), kMaxParamsBytes);
    launch.params = std::span(params).first(dispatch.params_bytes / 4);
    for (uint32_t i = 0; i < dispatch.num_bindings; ++i) {
      const BufferSlice& slice = dispatch.bindings[i];
      if (slice.buffer == BufferId::none) {
        launch.bindings.emplace_back();
        continue;
      }
      TT_ASSIGN(const std::span<std::byte> bytes, bytes_of(slice, name + ", binding " + std::to_string(i)));
      if (slice.offset_bytes % kOffsetAlignment != 0 || slice.size_bytes > target_.max_binding_bytes) {
        return make_error(ErrorKind::invalid_argument, name,
                          "binding " + std::to_string(i) + ": offset " + std::to_string(slice.offset_bytes) +
                              " must be a multiple of 256, size " + std::to_string(slice.size_bytes) +
                              " at most " + std::to_string(target_.max_binding_bytes));
      }
      launch.bindings.push_back(bytes);
    }
    TT_TRY(interpreter.run(launch));
    return {};
  }

  ir::TargetInfo target_;
  Caps caps_;
  std::vector<ir::Interpreter> kernels_;
  std::unordered_map<uint32_t, Buffer> buffers_;
  std::unordered_map<uint32_t, std::vector<Dispatch>> lists_;
  uint32_t last_buffer_ = 0;
  uint32_t last_list_ = 0;
  uint64_t last_submission_ = 0;
  uint64_t allocated_bytes_ = 0;
};

}  // namespace

std::unique_ptr<ProgramDevice> open_interpreter_device(const ir::TargetInfo& target) {
  return std::make_unique<InterpreterDevice>(target);
}

ir::TargetInfo interpreter_target(uint32_t subgroup_size) {
  ir::TargetInfo target;
  target.name = "interpreter";
  target.subgroup_size = subgroup_size;
  target.max_workgroup_threads = 1024;
  target.max_shared_bytes = 48 << 10;
  target.f16x2 = true;
  target.async_copy = true;
  if (subgroup_size > 1) target.f16_fragments = target.bf16_fragments = ir::FragmentTier::transparent;
  return target;
}

}  // namespace tattletale::compiler
