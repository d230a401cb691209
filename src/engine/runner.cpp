#include "engine/runner.h"

#include <algorithm>

#include "kernels/argmax.h"
#include "kernels/copy_kv_rows.h"

namespace tattletale {
namespace {

constexpr uint32_t kMaxCopies = 256;       // of one launch
constexpr uint64_t kTableAlignment = 256;  // of a binding's offset, where it is largest

}  // namespace

Runner::Runner(Device& device, const Decoder& decoder, const RunnerOptions& options, KvPool kv)
    : device_(device), decoder_(decoder), options_(options), kv_(std::move(kv)), kernels_(device) {}

Result<std::unique_ptr<Runner>> Runner::create(Device& device, const Decoder& decoder,
                                               const RunnerOptions& options) {
  TT_ASSIGN(KvPool kv, KvPool::create(device, decoder.config(), options.num_pages, options.page_tokens,
                                      options.kv_dtype));
  std::unique_ptr<Runner> runner(new Runner(device, decoder, options, std::move(kv)));
  TT_TRY(runner->create_tables());
  const CopyKvRowsComptime comptime{options.kv_dtype};
  const ArgmaxComptime argmax;
  TT_ASSIGN(runner->can_copy_,
            runner->has_kernel(kCopyKvRowsContract, std::as_bytes(std::span(&comptime, 1))));
  TT_ASSIGN(runner->can_choose_, runner->has_kernel(kArgmaxContract, std::as_bytes(std::span(&argmax, 1))));
  return runner;
}

Result<bool> Runner::has_kernel(const KernelContract& contract, std::span<const std::byte> comptime) {
  const Result<KernelId> kernel = kernels_.get(contract, comptime);
  if (!kernel && kernel.error().kind != ErrorKind::unsupported) return kernel.error();
  return kernel.has_value();
}

Result<void> Runner::create_tables() {
  TT_ASSIGN(workspace_, decoder_.create_workspace(options_.max_tokens, options_.max_logit_rows));
  const int64_t tokens = options_.max_tokens;
  const int64_t sequences = std::min<int64_t>(tokens, options_.max_sequences);
  const uint64_t context_pages = (options_.context_tokens + options_.page_tokens - 1) / options_.page_tokens;
  struct Wanted {
    DeviceTensor* tensor;
    DType dtype;
    int64_t elements;
  };
  // A batch's tables share a buffer, so that one write brings them all; the page table, of which a step needs
  // the least, is the last.
  const Wanted batch[] = {
      {&tables_.token_ids, DType::u32, tokens},
      {&tables_.positions, DType::u32, tokens},
      {&tables_.kv_slots, DType::u64, tokens},
      {&tables_.sequences, DType::u32, sequences * 4},
      {&logit_rows_, DType::u32, options_.max_logit_rows},
      {&tables_.page_table, DType::u32, sequences * static_cast<int64_t>(context_pages)},
  };
  uint64_t end = 0;
  for (const Wanted& wanted : batch) {
    const Shape shape{wanted.elements};
    const uint64_t bytes = *shape.num_bytes(wanted.dtype);
    *wanted.tensor = DeviceTensor{wanted.dtype, shape, {BufferId::none, end, bytes}};
    end += (bytes + kTableAlignment - 1) / kTableAlignment * kTableAlignment;
  }
  TT_ASSIGN(const BufferId tables, device_.create_buffer(end, "batch tables"));
  for (const Wanted& wanted : batch) wanted.tensor->slice.buffer = tables;
  const Wanted all[] = {
      {&copies_, DType::u32, kMaxCopies * 4},
      {&device_choices_, DType::u32, options_.max_logit_rows},
  };
  for (const Wanted& wanted : all) {
    const Shape shape{wanted.elements};
    const uint64_t bytes = *shape.num_bytes(wanted.dtype);
    TT_ASSIGN(const BufferId buffer, device_.create_buffer(bytes, "batch tables"));
    *wanted.tensor = DeviceTensor{wanted.dtype, shape, {buffer, 0, bytes}};
  }
  return {};
}

Runner::~Runner() {
  for (const auto& [shape, list] : recorded_) device_.destroy_list(list);
  decoder_.destroy_workspace(workspace_);
  for (const DeviceTensor* tensor : {&tables_.token_ids, &copies_, &device_choices_}) {
    if (tensor->present()) device_.destroy_buffer(tensor->slice.buffer);
  }
}

Result<void> Runner::copy(std::span<const PageCopy> copies) {
  std::vector<KvRowsCopy> rows;
  for (size_t begin = 0; begin < copies.size(); begin += kMaxCopies) {
    rows.clear();
    for (const PageCopy& copy : copies.subspan(begin, std::min<size_t>(kMaxCopies, copies.size() - begin))) {
      rows.push_back({static_cast<uint32_t>(copy.from), static_cast<uint32_t>(copy.to), copy.num_rows, 0});
    }
    TT_TRY(device_.write(copies_.slice.buffer, 0, std::as_bytes(std::span(rows))));
    copy_list_.clear();
    OpRecorder ops(kernels_, copy_list_);
    for (size_t layer = 0; layer < decoder_.config().layers.size(); ++layer) {
      TT_TRY(ops.copy_kv_rows(copies_, static_cast<uint32_t>(rows.size()), kv_.layer(layer)));
    }
    TT_TRY(device_.submit(copy_list_));
  }
  return {};
}

void Runner::fill_tables(std::span<const BatchPart> parts) {
  token_ids_.clear();
  positions_.clear();
  kv_slots_.clear();
  sequences_.clear();
  page_table_.clear();
  rows_.clear();
  for (const BatchPart& part : parts) {
    const uint64_t count = part.tokens.size() + part.drafts.size();
    const uint64_t context = part.first_position + count;
    sequences_.push_back({static_cast<uint32_t>(token_ids_.size()), static_cast<uint32_t>(count),
                          static_cast<uint32_t>(context), static_cast<uint32_t>(page_table_.size())});
    token_ids_.insert(token_ids_.end(), part.tokens.begin(), part.tokens.end());
    token_ids_.insert(token_ids_.end(), part.drafts.begin(), part.drafts.end());
    for (uint64_t position = part.first_position; position < context; ++position) {
      positions_.push_back(static_cast<uint32_t>(position));
      const PageId page = part.pages[position / options_.page_tokens];
      kv_slots_.push_back(page * options_.page_tokens + position % options_.page_tokens);
    }
    const uint64_t num_pages = (context + options_.page_tokens - 1) / options_.page_tokens;
    for (const PageId page : part.pages.first(num_pages)) page_table_.push_back(static_cast<uint32_t>(page));
    for (uint32_t row = part.num_logit_rows; row > 0; --row) {
      rows_.push_back(static_cast<uint32_t>(token_ids_.size()) - row);
    }
  }
  CHECK(token_ids_.size() <= options_.max_tokens && rows_.size() <= options_.max_logit_rows);
  CHECK(sequences_.size() <= options_.max_sequences);
}

Result<void> Runner::run(std::span<const BatchPart> parts, Outcome outcome) {
  CHECK(outcome == Outcome::logits || can_choose_);
  fill_tables(parts);
  TT_TRY(upload_tables());
  TT_ASSIGN(Submission submission,
            submit(static_cast<uint32_t>(token_ids_.size()), static_cast<uint32_t>(sequences_.size()),
                   static_cast<uint32_t>(rows_.size()), outcome));
  if (rows_.empty()) return device_.wait(submission);
  if (outcome == Outcome::choices) {
    choices_.resize(rows_.size());
    const std::span<std::byte> out = std::as_writable_bytes(std::span(choices_));
    TT_ASSIGN(submission, device_.read({device_choices_.slice.buffer, 0, out.size()}, out));
  } else {
    logits_.resize(rows_.size() * decoder_.config().vocab_size);
    const std::span<std::byte> out = std::as_writable_bytes(std::span(logits_));
    TT_ASSIGN(submission, device_.read({workspace_.logits.slice.buffer, 0, out.size()}, out));
  }
  return device_.wait(submission);
}

Result<void> Runner::upload_tables() {
  const auto place = [&](const DeviceTensor& tensor, const auto& values) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
    CHECK(bytes.size() <= tensor.slice.size_bytes);
    const uint64_t end = tensor.slice.offset_bytes + bytes.size();
    if (staged_tables_.size() < end) staged_tables_.resize(end);
    std::copy(bytes.begin(), bytes.end(),
              staged_tables_.begin() + static_cast<ptrdiff_t>(tensor.slice.offset_bytes));
    return end;
  };
  place(tables_.token_ids, token_ids_);
  place(tables_.positions, positions_);
  place(tables_.kv_slots, kv_slots_);
  place(tables_.sequences, sequences_);
  place(logit_rows_, rows_);
  const uint64_t end = place(tables_.page_table, page_table_);
  return device_.write(tables_.token_ids.slice.buffer, 0, std::span(staged_tables_).first(end));
}

/// What changes between steps of one shape travels in buffers, so decode steps are recorded once and
/// replayed.
Result<Submission> Runner::submit(uint32_t num_tokens, uint32_t num_sequences, uint32_t num_rows,
                                  Outcome outcome) {
  const uint64_t key = uint64_t{num_tokens} * 2 + (outcome == Outcome::choices);
  const bool decode = num_tokens == num_sequences && num_sequences == num_rows;
  if (decode) {
    if (const auto found = recorded_.find(key); found != recorded_.end())
      return device_.submit(found->second);
  }
  list_.clear();
  BatchTables batch = tables_;
  batch.num_tokens = num_tokens;
  batch.num_sequences = num_sequences;
  LogitRows wanted{logit_rows_, num_rows};
  wanted.rows.shape = Shape{int64_t{num_rows}};
  wanted.rows.slice.size_bytes = num_rows * sizeof(uint32_t);
  TT_TRY(decoder_.forward(batch, wanted, kv_, workspace_, kernels_, list_));
  if (outcome == Outcome::choices && num_rows > 0) {
    const auto rows_of = [&](DeviceTensor tensor, int64_t columns) {
      tensor.shape = columns == 1 ? Shape{int64_t{num_rows}} : Shape{int64_t{num_rows}, columns};
      tensor.slice.size_bytes = *tensor.shape.num_bytes(tensor.dtype);
      return tensor;
    };
    TT_TRY(OpRecorder(kernels_, list_)
               .argmax(rows_of(workspace_.logits, workspace_.logits.shape[-1]), rows_of(device_choices_, 1)));
  }
  if (!decode) return device_.submit(list_);
  TT_ASSIGN(const ListId recorded, device_.record(list_));
  recorded_.emplace(key, recorded);
  return device_.submit(recorded);
}

}  // namespace tattletale
