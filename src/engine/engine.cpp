#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tattletale {
namespace {

constexpr uint32_t kMaxLogitRows = 256;     // sequences that can get a token in one step
constexpr uint32_t kScoreChunkTokens = 64;  // rows of logits computed together when every row is wanted

uint64_t pages_for(uint64_t num_tokens, uint32_t page_tokens) {
  return (num_tokens + page_tokens - 1) / page_tokens;
}

}  // namespace

struct Engine::Session {
  std::vector<uint32_t> tokens;  // prompt and answer of the current request, or what is cached when idle
  std::vector<uint32_t> pages;   // hold the keys and values of the first `computed` tokens
  uint64_t computed = 0;
  uint64_t last_used = 0;
  TokenRequest request;
  RequestProgress progress;
  std::vector<uint32_t> ready;  // generated, not yet taken

  bool running() const { return progress.finish == Finish::running; }
  uint64_t pending() const { return tokens.size() - computed; }
};

Engine::Engine(Device& device, const Decoder& decoder, const EngineOptions& options, KvPool kv)
    : device_(device), decoder_(decoder), options_(options), kv_(std::move(kv)), kernels_(device) {
  free_pages_.reserve(kv_.num_pages());
  for (uint64_t page = kv_.num_pages(); page > 0; --page)
    free_pages_.push_back(static_cast<uint32_t>(page - 1));
}

Result<std::unique_ptr<Engine>> Engine::create(Device& device, const Decoder& decoder,
                                               const EngineOptions& options) {
  if (options.context_tokens < 2 || options.kv_tokens < options.context_tokens || options.step_tokens == 0) {
    return make_error(
        ErrorKind::invalid_argument, "engine options",
        "context_tokens is " + std::to_string(options.context_tokens) + " and kv_tokens " +
            std::to_string(options.kv_tokens) +
            "; the context must be at least 2 and fit into the KV cache, and step_tokens at least 1");
  }
  const uint64_t num_pages = pages_for(options.kv_tokens, options.page_tokens);
  if (num_pages > UINT32_MAX) {
    return make_error(
        ErrorKind::invalid_argument, "kv_tokens",
        std::to_string(options.kv_tokens) + " tokens need more than 2^32 pages; use larger pages");
  }
  TT_ASSIGN(KvPool kv,
            KvPool::create(device, decoder.config(), num_pages, options.page_tokens, options.kv_dtype));
  std::unique_ptr<Engine> engine(new Engine(device, decoder, options, std::move(kv)));
  TT_TRY(engine->create_tables());
  return engine;
}

Result<void> Engine::create_tables() {
  TT_ASSIGN(workspace_, decoder_.create_workspace(options_.step_tokens, kMaxLogitRows));
  const int64_t tokens = options_.step_tokens;
  const int64_t sequences = std::min<int64_t>(tokens, kMaxLogitRows);
  const int64_t pages =
      sequences * static_cast<int64_t>(pages_for(options_.context_tokens, options_.page_tokens));
  struct Wanted {
    DeviceTensor* tensor;
    DType dtype;
    int64_t elements;
  };
  const Wanted all[] = {
      {&tables_.token_ids, DType::u32, tokens}, {&tables_.positions, DType::u32, tokens},
      {&tables_.kv_slots, DType::u64, tokens},  {&tables_.sequences, DType::u32, sequences * 4},
      {&tables_.page_table, DType::u32, pages}, {&logit_rows_, DType::u32, kMaxLogitRows},
  };
  for (const Wanted& wanted : all) {
    const Shape shape{wanted.elements};
    const uint64_t bytes = *shape.num_bytes(wanted.dtype);
    TT_ASSIGN(const BufferId buffer, device_.create_buffer(bytes, "batch tables"));
    *wanted.tensor = DeviceTensor{wanted.dtype, shape, {buffer, 0, bytes}};
  }
  return {};
}

Engine::~Engine() {
  for (const auto& [shape, list] : recorded_) device_.destroy_list(list);
  decoder_.destroy_workspace(workspace_);
  for (const DeviceTensor* tensor : {&tables_.token_ids, &tables_.positions, &tables_.kv_slots,
                                     &tables_.sequences, &tables_.page_table, &logit_rows_}) {
    if (tensor->present()) device_.destroy_buffer(tensor->slice.buffer);
  }
}

Engine::Session& Engine::at(SessionId id) {
  const size_t index = static_cast<size_t>(id);
  CHECK(index < sessions_.size() && sessions_[index] != nullptr);
  return *sessions_[index];
}
const Engine::Session& Engine::at(SessionId id) const {
  return const_cast<Engine*>(this)->at(id);
}

SessionId Engine::create_session() {
  const auto hole = std::find(sessions_.begin(), sessions_.end(), nullptr);
  const size_t index = static_cast<size_t>(hole - sessions_.begin());
  if (hole == sessions_.end()) sessions_.emplace_back();
  sessions_[index] = std::make_unique<Session>();
  return static_cast<SessionId>(index);
}

void Engine::free_session(SessionId id) {
  Session& session = at(id);
  if (session.running()) finish(id, Finish::cancelled);
  release_pages(session, 0);
  sessions_[static_cast<size_t>(id)].reset();
}

Result<void> Engine::check_tokens(std::span<const uint32_t> tokens) const {
  if (tokens.empty())
    return make_error(ErrorKind::invalid_argument, "prompt", "is empty; give at least one token");
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= decoder_.config().vocab_size) {
      return make_error(ErrorKind::invalid_argument, "prompt",
                        "token " + std::to_string(i) + " is " + std::to_string(tokens[i]) +
                            "; the vocabulary has " + std::to_string(decoder_.config().vocab_size) + " ids");
    }
  }
  if (tokens.size() > options_.context_tokens) {
    return make_error(ErrorKind::limit_exceeded, "prompt",
                      "has " + std::to_string(tokens.size()) + " tokens; the context holds " +
                          std::to_string(options_.context_tokens) +
                          ". Shorten it or load with a larger context");
  }
  return {};
}

Result<void> Engine::submit(SessionId id, TokenRequest request) {
  Session& session = at(id);
  if (session.running()) {
    return make_error(ErrorKind::invalid_argument, "session",
                      "still answers its last request; poll or cancel it first");
  }
  TT_TRY(check_tokens(request.prompt));
  TT_TRY(request.sampling.validate());
  if (request.prompt.size() == options_.context_tokens) {
    return make_error(ErrorKind::limit_exceeded, "prompt",
                      "has " + std::to_string(request.prompt.size()) + " tokens and fills the context of " +
                          std::to_string(options_.context_tokens) + "; no room is left for an answer");
  }
  // The last token is computed in any case, for its logits.
  const std::span<const uint32_t> cached = std::span(session.tokens).first(session.computed);
  const auto [stop, unused] = std::ranges::mismatch(cached, request.prompt);
  const uint64_t shared =
      std::min<uint64_t>(static_cast<uint64_t>(stop - cached.begin()), request.prompt.size() - 1);
  release_pages(session, shared);
  session.tokens = request.prompt;
  session.request = std::move(request);
  session.ready.clear();
  session.progress = RequestProgress{Finish::running, session.tokens.size(), shared, shared, 0};
  running_.push_back(&session);
  return {};
}

void Engine::finish(SessionId id, Finish reason) {
  Session& session = at(id);
  if (!session.running()) return;
  session.progress.finish = reason;
  std::erase(running_, &session);
}

bool Engine::has_work() const {
  return !running_.empty();
}

std::vector<uint32_t> Engine::take_tokens(SessionId id) {
  return std::exchange(at(id).ready, {});
}
RequestProgress Engine::progress(SessionId id) const {
  return at(id).progress;
}

/// Gives back the pages behind the first `keep_tokens` tokens.
void Engine::release_pages(Session& session, uint64_t keep_tokens) {
  const uint64_t keep = pages_for(keep_tokens, options_.page_tokens);
  while (session.pages.size() > keep) {
    free_pages_.push_back(session.pages.back());
    session.pages.pop_back();
  }
  session.computed = std::min(session.computed, keep_tokens);
}

/// Makes sure the session owns pages for `num_tokens` tokens. Takes them from idle sessions, then from
/// running requests younger than it that are not planned yet. False when it has to wait.
bool Engine::reserve_pages(Session& session, uint64_t num_tokens, std::span<const BatchPart> planned) {
  const uint64_t wanted = pages_for(num_tokens, options_.page_tokens);
  while (session.pages.size() + free_pages_.size() < wanted) {
    Session* victim = nullptr;
    for (const std::unique_ptr<Session>& other : sessions_) {
      if (other == nullptr || other.get() == &session || other->running() || other->pages.empty()) continue;
      if (victim == nullptr || other->last_used < victim->last_used) victim = other.get();
    }
    for (size_t i = running_.size(); victim == nullptr && i > 0; --i) {
      Session* other = running_[i - 1];
      if (other == &session) break;  // only younger requests give way
      const bool in_batch =
          std::ranges::any_of(planned, [&](const BatchPart& part) { return part.session == other; });
      if (!in_batch && !other->pages.empty()) victim = other;
    }
    if (victim == nullptr) return false;
    release_pages(*victim, 0);
  }
  while (session.pages.size() < wanted) {
    session.pages.push_back(free_pages_.back());
    free_pages_.pop_back();
  }
  return true;
}

std::vector<Engine::BatchPart> Engine::plan_step() {
  std::vector<BatchPart> parts;
  uint64_t budget = options_.step_tokens;
  for (const bool decoding : {true, false}) {
    for (Session* session : running_) {
      if (budget == 0 || parts.size() == kMaxLogitRows) break;
      if ((session->pending() == 1) != decoding) continue;
      const uint64_t count = std::min(budget, session->pending());
      if (!reserve_pages(*session, session->computed + count, parts)) continue;
      parts.push_back({session, static_cast<uint32_t>(count), count == session->pending()});
      budget -= count;
    }
  }
  return parts;
}

Result<bool> Engine::step() {
  if (running_.empty()) return false;
  ++clock_;
  const std::vector<BatchPart> parts = plan_step();
  CHECK(!parts.empty());  // the oldest request can always take every page
  Result<void> ran = run_batch(parts, 1);
  if (!ran) {
    for (const BatchPart& part : parts) {
      part.session->progress.finish = Finish::error;
      std::erase(running_, part.session);
    }
    return ran.take_error();
  }
  const size_t vocab = decoder_.config().vocab_size;
  size_t row = 0;
  for (const BatchPart& part : parts) {
    Session& session = *part.session;
    session.computed += part.num_tokens;
    session.last_used = clock_;
    session.progress.computed_tokens =
        std::max(session.progress.computed_tokens,
                 std::min<uint64_t>(session.computed, session.progress.prompt_tokens));
    if (part.wants_logits) accept_token(session, std::span(logits_).subspan(row++ * vocab, vocab));
  }
  return !running_.empty();
}

void Engine::accept_token(Session& session, std::span<float> logits) {
  const uint32_t token =
      sampler_.sample(logits, session.request.sampling, session.tokens, session.tokens.size());
  RequestProgress& progress = session.progress;
  if (std::ranges::find(session.request.end_ids, token) != session.request.end_ids.end()) {
    progress.finish = Finish::stop;
  } else {
    session.tokens.push_back(token);
    session.ready.push_back(token);
    ++progress.generated_tokens;
    const bool enough =
        session.request.max_new_tokens != 0 && progress.generated_tokens >= session.request.max_new_tokens;
    if (enough || session.tokens.size() >= options_.context_tokens) progress.finish = Finish::length;
  }
  if (!session.running()) std::erase(running_, &session);
}

/// Computes the parts and leaves the logits of each part's last `rows_per_part` tokens (where wanted) in
/// logits_.
Result<void> Engine::run_batch(std::span<const BatchPart> parts, uint32_t rows_per_part) {
  token_ids_.clear();
  positions_.clear();
  kv_slots_.clear();
  sequences_.clear();
  page_table_.clear();
  rows_.clear();
  for (const BatchPart& part : parts) {
    const Session& session = *part.session;
    const uint64_t first = session.computed;
    const uint64_t context = first + part.num_tokens;
    sequences_.push_back({static_cast<uint32_t>(token_ids_.size()), part.num_tokens,
                          static_cast<uint32_t>(context), static_cast<uint32_t>(page_table_.size())});
    for (uint64_t position = first; position < context; ++position) {
      token_ids_.push_back(session.tokens[position]);
      positions_.push_back(static_cast<uint32_t>(position));
      const uint64_t page = session.pages[position / options_.page_tokens];
      kv_slots_.push_back(page * options_.page_tokens + position % options_.page_tokens);
    }
    const uint64_t num_pages = pages_for(context, options_.page_tokens);
    page_table_.insert(page_table_.end(), session.pages.begin(),
                       session.pages.begin() + static_cast<ptrdiff_t>(num_pages));
    if (!part.wants_logits) continue;
    for (uint32_t row = std::min(rows_per_part, part.num_tokens); row > 0; --row) {
      rows_.push_back(static_cast<uint32_t>(token_ids_.size()) - row);
    }
  }
  const auto upload = [&](const DeviceTensor& tensor, const auto& values) {
    return device_.write(tensor.slice.buffer, 0, std::as_bytes(std::span(values)));
  };
  TT_TRY(upload(tables_.token_ids, token_ids_));
  TT_TRY(upload(tables_.positions, positions_));
  TT_TRY(upload(tables_.kv_slots, kv_slots_));
  TT_TRY(upload(tables_.sequences, sequences_));
  TT_TRY(upload(tables_.page_table, page_table_));
  TT_TRY(upload(logit_rows_, rows_));
  TT_ASSIGN(Submission submission,
            submit(static_cast<uint32_t>(token_ids_.size()), static_cast<uint32_t>(sequences_.size()),
                   static_cast<uint32_t>(rows_.size())));
  if (!rows_.empty()) {
    logits_.resize(rows_.size() * decoder_.config().vocab_size);
    const std::span<std::byte> out = std::as_writable_bytes(std::span(logits_));
    TT_ASSIGN(submission, device_.read({workspace_.logits.slice.buffer, 0, out.size()}, out));
  }
  return device_.wait(submission);
}

/// What changes between steps of one shape travels in buffers, so decode steps are recorded once and
/// replayed.
Result<Submission> Engine::submit(uint32_t num_tokens, uint32_t num_sequences, uint32_t num_rows) {
  const bool decode = num_tokens == num_sequences && num_sequences == num_rows;
  if (decode) {
    if (const auto found = recorded_.find(num_tokens); found != recorded_.end())
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
  if (!decode) return device_.submit(list_);
  TT_ASSIGN(const ListId recorded, device_.record(list_));
  recorded_.emplace(num_tokens, recorded);
  return device_.submit(recorded);
}

Result<void> Engine::compute_logits_impl(SessionId id, std::span<const uint32_t> tokens, size_t first_row,
                                         RowCallback on_row, void* context) {
  Session& session = at(id);
  if (session.running()) {
    return make_error(ErrorKind::invalid_argument, "session",
                      "still answers its last request; poll or cancel it first");
  }
  TT_TRY(check_tokens(tokens));
  release_pages(session, 0);
  session.tokens.assign(tokens.begin(), tokens.end());
  const size_t vocab = decoder_.config().vocab_size;
  while (session.pending() > 0) {
    // Chunks end where the wanted rows begin, so that rows are computed for whole chunks.
    const bool rows = session.computed >= first_row;
    const uint64_t most = rows ? kScoreChunkTokens : first_row - session.computed;
    const uint32_t count =
        static_cast<uint32_t>(std::min({most, uint64_t{options_.step_tokens}, session.pending()}));
    const BatchPart part{&session, count, rows};
    if (!reserve_pages(session, session.computed + count, {})) {
      return make_error(ErrorKind::out_of_memory, "kv cache",
                        "other sessions hold all pages; finish or free one first");
    }
    TT_TRY(run_batch(std::span(&part, 1), count));
    for (uint32_t row = 0; rows && row < count; ++row) {
      on_row(context, session.computed + row, std::span(logits_).subspan(row * vocab, vocab));
    }
    session.computed += count;
  }
  return {};
}

}  // namespace tattletale
