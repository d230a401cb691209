#include "model/decoder_harness.h"

#include "backends/cpu/cpu_device.h"
#include "model/twin_device.h"

namespace tattletale::testing {
namespace {

constexpr uint32_t kMaxTokens = 512;
constexpr uint32_t kPagesPerSequence = 16;

/// The host side of one batch's tables.
struct HostTables {
  std::vector<uint32_t> token_ids, positions, page_table, wanted;
  std::vector<uint64_t> kv_slots;
  std::vector<BatchSequence> sequences;
};

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

int64_t length_of(const auto& values) {
  return static_cast<int64_t>(values.size());
}

}  // namespace

Result<std::unique_ptr<DecoderHarness>> DecoderHarness::open(const ModelFiles& files,
                                                             const HarnessOptions& options) {
  TT_ASSIGN(LoadedConfig loaded, read_architecture(files));
  return open(files, std::move(loaded), options);
}

Result<std::unique_ptr<DecoderHarness>> DecoderHarness::open(const ModelFiles& files, LoadedConfig loaded,
                                                             const HarnessOptions& options) {
  std::unique_ptr<DecoderHarness> harness(new DecoderHarness());
  harness->options_ = options;
  if (options.twin) {
    harness->device_ = std::make_unique<TwinDevice>(options.twin_rounds);
  } else if (options.open_device) {
    TT_ASSIGN(harness->device_, options.open_device());
  } else {
    TT_ASSIGN(harness->device_, open_cpu_device(options.num_threads));
  }
  Device& device = *harness->device_;
  TT_ASSIGN(harness->decoder_,
            Decoder::load(device, files, std::move(loaded.config), loaded.names, options.context_tokens));
  TT_ASSIGN(KvPool pool, KvPool::create(device, harness->config(), options.num_pages, options.page_tokens,
                                        options.kv_dtype));
  harness->kv_ = std::make_unique<KvPool>(std::move(pool));
  harness->kernels_ = std::make_unique<KernelCache>(device);
  TT_ASSIGN(harness->workspace_, harness->decoder_->create_workspace(kMaxTokens, kMaxTokens));
  return harness;
}

DecoderHarness::~DecoderHarness() {
  if (decoder_ != nullptr) decoder_->destroy_workspace(workspace_);
}

Result<DeviceTensor> DecoderHarness::upload(DType dtype, const Shape& shape,
                                            std::span<const std::byte> bytes) {
  TT_ASSIGN(const BufferId buffer, device_->create_buffer(std::max<size_t>(bytes.size(), 1), "table"));
  step_buffers_.push_back(buffer);
  TT_TRY(device_->write(buffer, 0, bytes));
  return DeviceTensor{dtype, shape, {buffer, 0, bytes.size()}};
}

Result<std::vector<float>> DecoderHarness::step(std::span<const Chunk> chunks) {
  HostTables host;
  for (const Chunk& chunk : chunks) {
    std::vector<uint32_t>& pages = pages_[chunk.sequence];
    for (uint32_t i = 0; pages.size() < kPagesPerSequence; ++i)
      pages.push_back(chunk.sequence * kPagesPerSequence + i);
    uint32_t& length = lengths_[chunk.sequence];
    const auto num_tokens = static_cast<uint32_t>(chunk.tokens.size());
    const auto first_token = static_cast<uint32_t>(host.token_ids.size());
    host.sequences.push_back(
        {first_token, num_tokens, length + num_tokens, static_cast<uint32_t>(host.page_table.size())});
    host.page_table.insert(host.page_table.end(), pages.begin(), pages.end());
    for (uint32_t i = 0; i < num_tokens; ++i) {
      const uint32_t position = length + i;
      host.token_ids.push_back(chunk.tokens[i]);
      host.positions.push_back(position);
      host.kv_slots.push_back(uint64_t{pages[position / options_.page_tokens]} * options_.page_tokens +
                              position % options_.page_tokens);
    }
    for (const uint32_t offset : chunk.wanted) host.wanted.push_back(first_token + offset);
    length += num_tokens;
  }
  BatchTables batch;
  batch.num_tokens = static_cast<uint32_t>(host.token_ids.size());
  batch.num_sequences = static_cast<uint32_t>(host.sequences.size());
  TT_ASSIGN(batch.token_ids, upload(DType::u32, Shape{length_of(host.token_ids)}, bytes_of(host.token_ids)));
  TT_ASSIGN(batch.positions, upload(DType::u32, Shape{length_of(host.positions)}, bytes_of(host.positions)));
  TT_ASSIGN(batch.kv_slots, upload(DType::u64, Shape{length_of(host.kv_slots)}, bytes_of(host.kv_slots)));
  TT_ASSIGN(batch.sequences,
            upload(DType::u32, Shape{4 * length_of(host.sequences)}, bytes_of(host.sequences)));
  TT_ASSIGN(batch.page_table,
            upload(DType::u32, Shape{length_of(host.page_table)}, bytes_of(host.page_table)));
  if (!ready_.empty()) {
    const Shape shape{length_of(ready_) / config().hidden_dim, config().hidden_dim};
    TT_ASSIGN(batch.ready, upload(DType::f32, shape, bytes_of(ready_)));
  }
  LogitRows wanted;
  wanted.num_rows = static_cast<uint32_t>(host.wanted.size());
  TT_ASSIGN(wanted.rows, upload(DType::u32, Shape{length_of(host.wanted)}, bytes_of(host.wanted)));

  CommandList list;
  TT_TRY(decoder_->forward(batch, wanted, *kv_, workspace_, *kernels_, list));
  TT_TRY(device_->submit(list));
  std::vector<float> logits(uint64_t{wanted.num_rows} * config().vocab_size);
  const BufferSlice source{workspace_.logits.slice.buffer, 0, logits.size() * sizeof(float)};
  if (!logits.empty()) {
    TT_ASSIGN(const Submission done, device_->read(source, std::as_writable_bytes(std::span(logits))));
    TT_TRY(device_->wait(done));
  }
  for (const BufferId buffer : step_buffers_) device_->destroy_buffer(buffer);
  step_buffers_.clear();
  return logits;
}

Result<std::vector<float>> DecoderHarness::prefill(std::span<const uint32_t> tokens, uint32_t chunk_tokens) {
  lengths_[0] = 0;
  std::vector<float> logits;
  for (size_t first = 0; first < tokens.size(); first += chunk_tokens) {
    Chunk chunk;
    for (size_t i = first; i < std::min<size_t>(tokens.size(), first + chunk_tokens); ++i) {
      chunk.wanted.push_back(static_cast<uint32_t>(i - first));
      chunk.tokens.push_back(tokens[i]);
    }
    TT_ASSIGN(const std::vector<float> rows, step(std::span(&chunk, 1)));
    logits.insert(logits.end(), rows.begin(), rows.end());
  }
  return logits;
}

}  // namespace tattletale::testing
