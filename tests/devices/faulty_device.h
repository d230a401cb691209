// A device that passes everything on to another one, until it is lost or out of memory as a test plans it.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "device/device.h"

namespace tattletale::testing {

struct FaultPlan {
  uint64_t submits = std::numeric_limits<uint64_t>::max();       // the next one loses the device
  uint64_t memory_bytes = std::numeric_limits<uint64_t>::max();  // of buffers and matrices together
};

class FaultyDevice final : public Device {
 public:
  FaultyDevice(std::unique_ptr<Device> inner, FaultPlan plan) : inner_(std::move(inner)), plan_(plan) {}

  /// Buffers and matrices that were made and not destroyed.
  uint64_t num_live() const { return num_live_; }
  uint64_t num_submits() const { return num_submits_; }

  const Caps& caps() const override { return inner_->caps(); }
  Result<BufferId> create_buffer(uint64_t size_bytes, std::string_view label) override {
    TT_TRY(alive());
    TT_TRY(take(size_bytes, label));
    TT_ASSIGN(const BufferId made, inner_->create_buffer(size_bytes, label));
    ++num_live_;
    return made;
  }
  Result<BufferSlice> create_matrix(DType dtype, uint64_t rows, uint64_t columns,
                                    std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                    std::string_view label) override {
    TT_TRY(alive());
    TT_TRY(take(bytes.size(), label));
    TT_ASSIGN(const BufferSlice made,
              inner_->create_matrix(dtype, rows, columns, bytes, std::move(owner), label));
    ++num_live_;
    return made;
  }
  void destroy_buffer(BufferId buffer) override {
    --num_live_;
    inner_->destroy_buffer(buffer);
  }
  Result<void> write(BufferId buffer, uint64_t offset_bytes, std::span<const std::byte> bytes) override {
    TT_TRY(alive());
    return inner_->write(buffer, offset_bytes, bytes);
  }
  Result<Submission> read(BufferSlice source, std::span<std::byte> out) override {
    TT_TRY(alive());
    return inner_->read(source, out);
  }
  Result<KernelId> load_kernel(const KernelBinary& binary) override {
    TT_TRY(alive());
    return inner_->load_kernel(binary);
  }
  Result<Submission> submit(const CommandList& list) override {
    TT_TRY(count_submit());
    return inner_->submit(list);
  }
  Result<ListId> record(const CommandList& list) override {
    TT_TRY(alive());
    return inner_->record(list);
  }
  Result<Submission> submit(ListId list) override {
    TT_TRY(count_submit());
    return inner_->submit(list);
  }
  void destroy_list(ListId list) override { inner_->destroy_list(list); }
  Result<bool> poll(Submission submission) override {
    TT_TRY(alive());
    return inner_->poll(submission);
  }
  Result<void> wait(Submission submission) override {
    TT_TRY(alive());
    return inner_->wait(submission);
  }
  uint64_t allocated_bytes() const override { return inner_->allocated_bytes(); }

 private:
  Result<void> alive() const {
    if (!lost_) return {};
    return make_error(ErrorKind::device_lost, caps().name, "the device is lost, as the test wants it");
  }
  Result<void> count_submit() {
    if (num_submits_++ >= plan_.submits) lost_ = true;
    return alive();
  }
  Result<void> take(uint64_t size_bytes, std::string_view label) {
    if (plan_.memory_bytes - used_bytes_ < size_bytes) {
      return make_error(
          ErrorKind::out_of_memory, std::string(label),
          "asked for " + std::to_string(size_bytes) + " bytes, " + std::to_string(used_bytes_) + " in use");
    }
    used_bytes_ += size_bytes;
    return {};
  }

  std::unique_ptr<Device> inner_;
  FaultPlan plan_;
  uint64_t num_live_ = 0, num_submits_ = 0, used_bytes_ = 0;
  bool lost_ = false;
};

}  // namespace tattletale::testing
