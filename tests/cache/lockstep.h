// Runs the trie and the model through the same operations and compares everything a caller can see after
// each, page contents included: row r of a page stands for the KV of one exact prefix, so serving another
// prompt's KV shows.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cache/radix_trie.h"
#include "cache/trie_verifier.h"
#include "model_cache.h"

namespace tattletale::testing {

/// Where choices come from: a seeded generator, or the bytes of a fuzzer, of an enumeration.
class Choices {
 public:
  virtual ~Choices() = default;
  /// A number below `bound`.
  virtual uint32_t below(uint32_t bound) = 0;
  virtual bool exhausted() const { return false; }
};

class RandomChoices : public Choices {
 public:
  explicit RandomChoices(uint64_t seed) : engine_(seed) {}
  uint32_t below(uint32_t bound) override { return static_cast<uint32_t>((engine_() >> 33) % bound); }

 private:
  std::mt19937_64 engine_;
};

class ByteChoices : public Choices {
 public:
  explicit ByteChoices(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint32_t below(uint32_t bound) override {
    if (bytes_.empty()) return 0;
    const uint32_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value % bound;
  }
  bool exhausted() const override { return bytes_.empty(); }

 private:
  std::span<const uint8_t> bytes_;
};

struct LockstepOptions {
  uint64_t num_pages = 40;
  uint32_t page_tokens = 16;
  uint32_t max_leases = 6;
  uint32_t alphabet = 3;
  uint32_t max_tokens = 100;
  uint32_t token_stride = 64;  // tokens are multiples: 64 puts all of them into one way of a fan
  uint32_t unrelated = 0;      // of 8 sequences, how many share at most one token with earlier ones
  PageId first_page = 0;
  uint32_t verify_every = 1;
  bool checkpoints = true;
};

/// Trie and LeaseType have the interface of RadixTrie and Lease; proofs/lockstep puts ones here that also
/// write down every call.
template <class Trie, class LeaseType>
class BasicLockstep {
 public:
  enum Operation : uint32_t {
    kStart,
    kCompute,
    kExtend,
    kFinish,
    kDrop,
    kEvict,
    kFork,
    kPin,
    kUnpin,
    kCheckpoint,
    kDropCopy,
    kPeek,
    kNumOperations
  };

  explicit BasicLockstep(LockstepOptions options)
      : options_(options), model_(options.num_pages, options.page_tokens), rows_(options.num_pages) {
    auto trie =
        Trie::create({.pool = {.num_pages = options.num_pages,
                               .page_tokens = options.page_tokens,
                               .first_page = options.first_page},
                      .release_checkpoint = [this](uint64_t id) { released_checkpoints_.push_back(id); },
                      .on_evict = [this](const EvictedRun& run) { note_eviction(run); }});
    trie_ = std::move(*trie);
    for (auto& rows : rows_) rows.assign(options.page_tokens, 0);
  }

  /// One operation. False, with failure(), once the two disagree.
  bool step(Choices& choices) { return step(static_cast<Operation>(pick_operation(choices)), choices); }
  bool step(Operation operation, Choices& choices) {
    ++num_steps_;
    last_operation_ = operation;
    apply(operation, choices);
    compare_counts();
    coverage_.trie_pages += trie_->num_trie_pages();
    coverage_.max_fans = std::max(coverage_.max_fans, trie_->num_fans());
    if (num_steps_ % options_.verify_every == 0) verify();
    return failure_.empty();
  }
  /// Ends all requests and frees all pages; everything must come back.
  bool drain() {
    while (!requests_.empty()) drop(0);
    for (auto& [key, page] : model_.pages()) {
      if (!page.pinned) continue;
      expect(trie_->unpin(key), "unpin at the end");
      model_.tick();
      model_.touch(key);
      page.pinned = false;
      --page.num_holds;
    }
    evict(options_.num_pages);
    verify();
    expect(trie_->num_free_pages() == options_.num_pages, "all pages free at the end");
    expect(trie_->num_nodes() == 0, "no nodes at the end");
    return failure_.empty();
  }
  const std::string& failure() const { return failure_; }
  uint64_t num_steps() const { return num_steps_; }
  Trie& trie() { return *trie_; }
  /// What the run has met, so that a test can tell that it tested something.
  struct Coverage {
    uint64_t trie_pages = 0, matched_pages = 0, copies = 0, replaced = 0, evicted = 0, refused = 0, tails = 0;
    uint64_t max_fans = 0;
  };
  const Coverage& coverage() const { return coverage_; }

 private:
  struct Request {
    LeaseType lease;
    Tokens tokens;          // prompt and answer
    uint64_t computed = 0;  // tokens whose rows exist (in `pages`, or in the copy source until copied)
    Tokens path;            // published and held
    Tokens copy_key;        // the copy source's page in the model, or empty
    bool must_copy = false;
    std::vector<PageId> pages;
  };

  void expect(bool holds, const std::string& what) {
    if (!holds && failure_.empty())
      failure_ = "step " + std::to_string(num_steps_) + " (operation " + std::to_string(last_operation_) +
                 "): " + what;
  }
  static uint64_t prefix_hash(const Tokens& tokens, uint64_t num) {
    uint64_t hash = 0x9e3779b97f4a7c15ull;
    for (uint64_t i = 0; i < num; ++i) hash = (hash ^ tokens[i]) * 0xff51afd7ed558ccdull + (hash >> 29);
    return hash;
  }
  std::vector<uint64_t>& rows_of(PageId page) { return rows_.at(page - options_.first_page); }
  void check_rows(const Request& request, uint64_t num, const char* when) {
    uint64_t hash = 0x9e3779b97f4a7c15ull;
    for (uint64_t i = 0; i < num; ++i) {
      hash = (hash ^ request.tokens[i]) * 0xff51afd7ed558ccdull + (hash >> 29);
      const uint64_t index = i / options_.page_tokens;
      if (index >= request.pages.size()) return expect(false, std::string("page table too short ") + when);
      if (rows_of(request.pages[index])[i % options_.page_tokens] != hash) {
        return expect(false, std::string("wrong KV at token ") + std::to_string(i) + " " + when);
      }
    }
  }

  uint32_t pick_operation(Choices& choices) {
    static constexpr uint8_t kMix[] = {
        kStart,  kStart,  kStart,  kStart,  kCompute,    kCompute,  kCompute, kCompute, kCompute,
        kExtend, kExtend, kExtend, kExtend, kFinish,     kFinish,   kFinish,  kDrop,    kEvict,
        kEvict,  kFork,   kPin,    kUnpin,  kCheckpoint, kDropCopy, kPeek};
    return kMix[choices.below(sizeof kMix)];
  }
  void apply(Operation operation, Choices& choices) {
    const bool on_request = operation != kStart && operation != kEvict && operation != kPin &&
                            operation != kUnpin && operation != kPeek;
    if (on_request && requests_.empty()) operation = kStart;
    if ((operation == kStart || operation == kFork) && requests_.size() >= options_.max_leases) {
      operation = choices.below(8) == 0 ? kDrop : kFinish;
    }
    const size_t who = requests_.empty() ? 0 : choices.below(static_cast<uint32_t>(requests_.size()));
    switch (operation) {
      case kStart: return start(choices);
      case kCompute: return compute(requests_[who], 1 + choices.below(60));
      case kExtend: return extend(requests_[who]);
      case kFinish: return finish(who);
      case kDrop: return drop(who);
      case kEvict: {  // mostly a page or two, so that the cache stays full; now and then much of it
        const uint32_t kind = choices.below(48);
        if (kind >= 8) return peek(make_tokens(choices));
        return evict(1 + choices.below(kind == 0 ? static_cast<uint32_t>(options_.num_pages) : 3));
      }
      case kFork: return fork(requests_[who]);
      case kPin: return pin(make_tokens(choices));
      case kUnpin: return unpin(choices);
      case kCheckpoint: return set_checkpoint(requests_[who]);
      case kDropCopy: return drop_copy(requests_[who]);
      case kPeek: return peek(make_tokens(choices));
      default: return;
    }
  }

  /// A prefix of an earlier sequence and a few tokens of a small alphabet.
  Tokens make_tokens(Choices& choices) {
    Tokens tokens;
    const bool is_unrelated = options_.unrelated != 0 && choices.below(8) < options_.unrelated;
    if (!history_.empty() && !is_unrelated) {
      const Tokens& old = history_[choices.below(static_cast<uint32_t>(history_.size()))];
      const uint32_t cut = choices.below(4);
      uint64_t num = old.size();
      if (cut == 1) num = num / options_.page_tokens * options_.page_tokens;
      if (cut >= 2) num = choices.below(static_cast<uint32_t>(old.size()) + 1);
      tokens = ModelCache::head(old, num);
    }
    const uint32_t num_fresh = 1 + choices.below(choices.below(2) == 0 ? options_.max_tokens / 2 : 6);
    for (uint32_t i = 0; i < num_fresh; ++i) {
      tokens.push_back(1 + choices.below(options_.alphabet) * options_.token_stride);
    }
    if (tokens.size() > options_.max_tokens) tokens.resize(options_.max_tokens);
    if (history_.size() < 12)
      history_.push_back(tokens);
    else
      history_[choices.below(12)] = tokens;
    return tokens;
  }

  void start(Choices& choices) {
    Request request;
    request.tokens = make_tokens(choices);
    const bool all = choices.below(4) == 0;
    const bool need_checkpoint = choices.below(8) == 0 && options_.checkpoints;
    const uint64_t limit = request.tokens.size() - (all ? 0 : 1);
    request.lease = trie_->match(request.tokens, request.pages,
                                 {.recompute_last_token = !all, .need_checkpoint = need_checkpoint});
    uint64_t matched = model_.longest(ModelCache::head(request.tokens, limit));
    uint64_t full = matched - matched % options_.page_tokens;
    Checkpoint deepest;
    for (uint64_t end = options_.page_tokens; end <= full; end += options_.page_tokens) {
      const uint64_t id = model_.pages().at(ModelCache::head(request.tokens, end)).checkpoint;
      if (id != 0) deepest = {id, end};
    }
    if (need_checkpoint) matched = full = deepest.num_tokens;
    expect(request.lease.matched_tokens() == matched, "matched " +
                                                          std::to_string(request.lease.matched_tokens()) +
                                                          ", expected " + std::to_string(matched));
    expect(request.pages.size() == full / options_.page_tokens, "page table of a match");
    const auto checkpoint = request.lease.checkpoint();
    expect(
        checkpoint.has_value() == (deepest.id != 0) &&
            (!checkpoint || (checkpoint->id == deepest.id && checkpoint->num_tokens == deepest.num_tokens)),
        "deepest checkpoint");
    if (!failure_.empty()) return;
    for (uint64_t i = 0; i < request.pages.size(); ++i) {
      const Tokens key = ModelCache::head(request.tokens, (i + 1) * options_.page_tokens);
      expect(model_.pages().at(key).page == request.pages[i], "the page of a match");
    }
    check_rows(request, full, "after match");
    coverage_.matched_pages += request.pages.size();
    request.path = ModelCache::head(request.tokens, full);
    request.computed = matched;
    model_.tick();
    model_.touch(request.path);
    model_.hold(request.path);
    take_copy_source(request, matched, full);
    requests_.push_back(std::move(request));
  }

  void take_copy_source(Request& request, uint64_t matched, uint64_t full) {
    const auto copy = request.lease.copy_source();
    expect(copy.has_value() == (matched != full), "copy source exactly where the match ends inside a page");
    if (!copy || matched == full) return;
    expect(copy->num_tokens == matched - full, "rows of the copy source");
    for (auto& [key, page] : model_.pages()) {
      if (page.page != copy->page) continue;
      expect(key.size() > full && key.size() <= full + options_.page_tokens &&
                 ModelCache::common(key, request.tokens) >= matched,
             "the copy source holds the rows asked for");
      request.copy_key = key;
    }
    expect(!request.copy_key.empty(), "the copy source is published");
    if (!failure_.empty()) return;
    for (uint64_t i = full; i < matched; ++i) {
      expect(rows_of(copy->page)[i - full] == prefix_hash(request.tokens, i + 1),
             "wrong KV in the copy source");
    }
    model_.touch(request.copy_key);
    model_.hold(request.copy_key);
    request.must_copy = true;
    ++coverage_.copies;
  }

  void compute(Request& request, uint64_t num) {
    const uint64_t target = std::min<uint64_t>(request.computed + num, request.tokens.size());
    const uint64_t page_tokens = options_.page_tokens;
    const uint64_t needed = (target + page_tokens - 1) / page_tokens;
    if (needed > request.pages.size()) {
      const uint64_t missing = needed - request.pages.size();
      if (!allocate(request, missing)) return;
    }
    if (request.must_copy && !request.pages.empty() &&
        request.pages.size() * page_tokens > request.path.size()) {
      const CopySource copy = *request.lease.copy_source();
      auto& own = rows_of(request.pages[request.path.size() / page_tokens]);
      std::copy_n(rows_of(copy.page).begin(), copy.num_tokens, own.begin());
      request.must_copy = false;
    }
    uint64_t hash = prefix_hash(request.tokens, request.computed);
    for (uint64_t i = request.computed; i < target; ++i) {
      hash = (hash ^ request.tokens[i]) * 0xff51afd7ed558ccdull + (hash >> 29);
      rows_of(request.pages[i / page_tokens])[i % page_tokens] = hash;
    }
    request.computed = target;
  }

  bool allocate(Request& request, uint64_t num) {
    const bool expected = num <= model_.num_free() + model_.num_evictable();
    const uint64_t to_evict = num > model_.num_free() ? num - model_.num_free() : 0;
    expected_evictions_.clear();
    next_eviction_ = 0;
    if (expected && to_evict != 0) expect_evictions(to_evict);
    const size_t before = request.pages.size();
    const bool done = trie_->allocate_pages(request.lease, num, request.pages);
    expect(done == expected, "whether pages could be had");
    expect(next_eviction_ == expected_evictions_.size(), "allocation evicted what it should");
    coverage_.refused += !done;
    if (!done) return false;
    expect(request.pages.size() == before + num, "pages allocated");
    model_.num_private += num;
    for (size_t i = before; i < request.pages.size(); ++i) {  // what was in them is lost now
      std::fill(rows_of(request.pages[i]).begin(), rows_of(request.pages[i]).end(), 0);
    }
    return true;
  }

  void extend(Request& request) {
    const uint64_t page_tokens = options_.page_tokens;
    const uint64_t target = request.computed - request.computed % page_tokens;
    const bool publishes = target > request.path.size();
    if (request.must_copy && publishes) return;
    const std::vector<PageId> before = request.pages;
    const ExtendResult result =
        trie_->extend(request.lease, ModelCache::head(request.tokens, request.computed), request.pages);
    publish(request, target, result, before);
    check_rows(request, request.must_copy ? request.path.size() : request.computed, "after extend");
  }

  void publish(Request& request, uint64_t target, const ExtendResult& result,
               const std::vector<PageId>& before) {
    const uint64_t page_tokens = options_.page_tokens;
    expect(result.published_tokens == std::max<uint64_t>(target, request.path.size()), "published length");
    if (target <= request.path.size()) return;
    model_drop_copy(request);
    const Tokens old_path = request.path;
    model_.tick();
    uint64_t num_replaced = 0;
    for (uint64_t end = old_path.size() + page_tokens; end <= target; end += page_tokens) {
      const Tokens key = ModelCache::head(request.tokens, end);
      const PageId mine = before[end / page_tokens - 1];
      const auto there = model_.pages().find(key);
      if (there == model_.pages().end()) {
        model_.publish(key, mine);
      } else {
        ++num_replaced;
      }
      --model_.num_private;
      expect(request.pages[end / page_tokens - 1] == model_.pages().at(key).page, "page table after extend");
    }
    expect(result.num_replaced == num_replaced, "number of pages replaced");
    coverage_.replaced += num_replaced;
    request.path = ModelCache::head(request.tokens, target);
    model_.touch(request.path);
    model_.hold(request.path);
    model_.unhold(old_path);
  }

  void finish(size_t who) {
    Request& request = requests_[who];
    if (request.must_copy &&
        request.computed / options_.page_tokens * options_.page_tokens > request.path.size()) {
      return;
    }
    check_rows(request, request.must_copy ? request.path.size() : request.computed, "before finish");
    const std::vector<PageId> before = request.pages;
    const Tokens computed = ModelCache::head(request.tokens, request.computed);
    if (request.must_copy) return drop(who);
    trie_->finish(std::move(request.lease), computed, request.pages);
    const uint64_t target = request.computed - request.computed % options_.page_tokens;
    publish(request, target,
            {.published_tokens = std::max<uint64_t>(target, request.path.size()),
             .first_replaced = 0,
             .num_replaced = count_published(request, target)},
            before);
    const uint64_t tail_index = target / options_.page_tokens;
    if (computed.size() > request.path.size() && before.size() > tail_index) {
      model_drop_copy(request);
      if (model_.longest(computed) < computed.size()) {
        model_.tick();
        model_.publish(computed, before[tail_index]);
        model_.touch(computed);
        ++coverage_.tails;
      }
    }
    forget(who);
  }
  uint64_t count_published(const Request& request, uint64_t target) {
    uint64_t num = 0;
    for (uint64_t end = request.path.size() + options_.page_tokens; end <= target;
         end += options_.page_tokens) {
      num += model_.pages().contains(ModelCache::head(request.tokens, end));
    }
    return num;
  }

  void drop(size_t who) {
    check_rows(requests_[who], requests_[who].path.size(), "before a drop");
    requests_[who].lease.release();
    forget(who);
  }
  /// The model's side of a release.
  void forget(size_t who) {
    Request& request = requests_[who];
    model_.tick();
    if (!request.copy_key.empty()) {
      model_.touch(request.copy_key);
      model_.unhold(request.copy_key);
    }
    model_.num_private -= request.pages.size() - request.path.size() / options_.page_tokens;
    model_.touch(request.path);
    model_.unhold(request.path);
    requests_.erase(requests_.begin() + static_cast<ptrdiff_t>(who));
  }

  void evict(uint64_t num) {
    expect_evictions(num);
    const EvictResult result = trie_->evict(num);
    expect(result.num_freed == expected_evictions_.size(), "number of pages evicted");
    expect(result.num_freed + result.num_not_freed == num, "evicted and not evicted add up");
    expect(next_eviction_ == expected_evictions_.size(), "every eviction was reported");
  }
  void expect_evictions(uint64_t num) {
    expected_evictions_ = model_.evict(num);
    coverage_.evicted += expected_evictions_.size();
    next_eviction_ = 0;
    for (const auto& [key, page] : expected_evictions_) {
      if (page.checkpoint != 0) expected_released_.push_back(page.checkpoint);
    }
  }
  void note_eviction(const EvictedRun& run) {
    for (size_t i = run.pages.size(); i-- > 0;) {
      if (next_eviction_ >= expected_evictions_.size())
        return expect(false, "evicted more than was asked for");
      const auto& [key, page] = expected_evictions_[next_eviction_++];
      expect(page.page == run.pages[i], "least recently used first");
      const uint64_t end =
          std::min<uint64_t>((run.first_page_of_path + i + 1) * options_.page_tokens, run.tokens.size());
      expect(key.size() == end && std::equal(key.begin(), key.end(), run.tokens.begin()),
             "tokens of an evicted page");
    }
  }

  void fork(Request& request) {
    Request twin;
    twin.lease = trie_->fork(request.lease, twin.pages);
    twin.tokens = request.tokens;
    twin.path = request.path;
    twin.computed = request.path.size();
    expect(twin.lease.matched_tokens() == twin.computed, "a fork starts at what is published");
    check_rows(twin, twin.computed, "after fork");
    model_.hold(twin.path);
    requests_.push_back(std::move(twin));
  }

  void pin(const Tokens& tokens) {
    uint64_t full = model_.longest(tokens);
    full -= full % options_.page_tokens;
    expect(trie_->pin(tokens) == full, "tokens pinned");
    if (full == 0) return;
    ModelPage& page = model_.pages().at(ModelCache::head(tokens, full));
    if (!page.pinned) ++page.num_holds;
    page.pinned = true;
  }
  void unpin(Choices& choices) {
    std::vector<Tokens> pinned;
    for (const auto& [key, page] : model_.pages()) {
      if (page.pinned) pinned.push_back(key);
    }
    if (pinned.empty()) {
      expect(!trie_->unpin(Tokens{1, 2, 3}), "nothing to unpin");
      return;
    }
    const Tokens key = pinned[choices.below(static_cast<uint32_t>(pinned.size()))];
    expect(trie_->unpin(key), "unpin");
    model_.tick();
    model_.touch(key);
    model_.pages().at(key).pinned = false;
    model_.unhold(key);
  }

  void set_checkpoint(Request& request) {
    if (request.path.empty() || !options_.checkpoints) return;
    ModelPage& page = model_.pages().at(request.path);
    if (page.checkpoint != 0) expected_released_.push_back(page.checkpoint);
    page.checkpoint = ++last_checkpoint_;
    trie_->set_checkpoint(request.lease, page.checkpoint);
  }

  void drop_copy(Request& request) {
    trie_->drop_copy_source(request.lease);
    if (request.must_copy) request.computed = request.path.size();
    request.must_copy = false;
    model_drop_copy(request);
  }
  void model_drop_copy(Request& request) {
    if (request.copy_key.empty()) return;
    model_.tick();
    model_.touch(request.copy_key);
    model_.unhold(request.copy_key);
    request.copy_key.clear();
  }

  void peek(const Tokens& tokens) { expect(trie_->peek(tokens) == model_.longest(tokens), "peek"); }

  void compare_counts() {
    expect(trie_->num_free_pages() == model_.num_free(),
           "free pages " + std::to_string(trie_->num_free_pages()) + ", expected " +
               std::to_string(model_.num_free()));
    expect(trie_->num_trie_pages() == model_.pages().size(), "published pages");
    expect(trie_->num_evictable_pages() == model_.num_evictable(), "evictable pages");
    auto released = released_checkpoints_;
    auto expected = expected_released_;
    std::sort(released.begin(), released.end());
    std::sort(expected.begin(), expected.end());
    expect(released == expected, "checkpoints released");
    released_checkpoints_.clear();
    expected_released_.clear();
  }
  void verify() {
    const Result<void> verdict = TrieVerifier::verify(*trie_);
    if (!verdict) expect(false, verdict.error().message());
  }

  LockstepOptions options_;
  ModelCache model_;
  std::vector<std::vector<uint64_t>> rows_;  // the device: by page, the prefix whose KV each row is
  std::unique_ptr<Trie> trie_;
  std::vector<Request> requests_;
  std::vector<Tokens> history_;
  std::vector<std::pair<Tokens, ModelPage>> expected_evictions_;
  size_t next_eviction_ = 0;
  uint64_t last_checkpoint_ = 0;
  std::vector<uint64_t> released_checkpoints_, expected_released_;
  std::string failure_;
  uint64_t num_steps_ = 0;
  uint32_t last_operation_ = 0;
  Coverage coverage_;
};

using Lockstep = BasicLockstep<RadixTrie, Lease>;

}  // namespace tattletale::testing
