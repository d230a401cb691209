// paged_attention on the CPU: cuts a ragged batch into work items and folds their parts together.
//
// An item is a run of queries of one sequence with all heads of one kv head. With enough items, threads take
// whole items. With few (a decode step, a long context), the parts of each item are shared out as well: in
// rounds, every thread computes parts into shared memory, then the parts are folded in order. Both ways do
// the same arithmetic.
#include "kernels/paged_attention.h"

#include <algorithm>

#include "backends/cpu/cpu_info.h"
#include "backends/cpu/cpu_kernel.h"
#include "backends/cpu/paged_attention_part.h"

namespace tattletale::cpu {
namespace {

// Tiles take bf16, so an f16 cache has to be split or rounded on the way: prefill gains (2.6 times as fast),
// but a decode step, which looks at each key once, loses as much. A bf16 cache gains in prefill and loses
// little.
constexpr bool kTilesForF16 = false;

const AttentionMath& math_for(DType kv_dtype) {
  const bool tiles = kv_dtype == DType::bf16 || (kTilesForF16 && kv_dtype == DType::f16);
  const AttentionMath* amx = tiles ? attention_math_amx() : nullptr;
  return amx != nullptr ? *amx : attention_math_f32();
}

uint64_t align_64(uint64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

/// How a launch is cut up; depends on comptime, params and threads only, as scratch does.
struct Plan {
  uint32_t group = 0;        // query heads per kv head
  uint32_t item_tokens = 0;  // queries per item, at most
  uint32_t max_rows = 0;     // rows per item, at most
  uint32_t row_floats = 0;
  uint32_t split_items = 0;   // below this many items, parts are shared out too
  uint32_t round_parts = 0;   // parts per round then
  uint64_t thread_bytes = 0;  // scratch of one thread
  uint64_t slot_bytes = 0;    // one item's rows: out, max, sum

  Plan(DType kv_dtype, const PagedAttentionParams& p, uint32_t num_threads) {
    const AttentionMath& math = math_for(kv_dtype);
    group = p.num_q_heads / p.num_kv_heads;
    item_tokens = std::clamp(math.target_rows / group, 1u, std::max(1u, p.num_tokens));
    max_rows = item_tokens * group;
    row_floats = (p.head_dim + 15) / 16 * 16;
    split_items = num_threads > 1 ? 4 * num_threads : 0;
    round_parts = (max_rows <= 16 ? 16 : 4) * num_threads;
    slot_bytes = align_64(uint64_t{max_rows} * row_floats * 4) + 2 * align_64(uint64_t{max_rows} * 4);
    thread_bytes = 2 * slot_bytes  // the part's result, the item's running result
                   + align_64(uint64_t{max_rows} * row_floats * 4)  // queries
                   + 2 * align_64(uint64_t{max_rows} * 4)           // visible keys
                   + align_64(math.scratch_bytes(max_rows, row_floats));
  }
  uint64_t total_bytes(uint32_t num_threads) const {
    return thread_bytes * num_threads + slot_bytes * (uint64_t{split_items} + round_parts);
  }
};

/// Rows of results in scratch: out [max_rows, row_floats], max [max_rows], sum [max_rows].
struct RowResults {
  float* out;
  float* max;
  float* sum;

  RowResults(std::byte* memory, const Plan& plan)
      : out(reinterpret_cast<float*>(memory)),
        max(out + align_64(uint64_t{plan.max_rows} * plan.row_floats * 4) / 4),
        sum(max + align_64(uint64_t{plan.max_rows} * 4) / 4) {}

  void reset(uint32_t num_rows, uint32_t row_floats) const {
    std::fill_n(out, uint64_t{num_rows} * row_floats, 0.0f);
    std::fill_n(max, num_rows, kLowestScore);
    std::fill_n(sum, num_rows, 0.0f);
  }
};

struct Item {
  const BatchSequence* sequence = nullptr;
  uint32_t first = 0;  // its first query, counted in the sequence's chunk
  uint32_t num_tokens = 0;
  uint32_t kv_head = 0;
  uint32_t first_position = 0;
  uint32_t first_part = 0;
  uint32_t end_part = 0;
};

/// One thread's view of a launch.
class Attention {
 public:
  Attention(const Launch& launch, const Plan& plan)
      : launch_(launch),
        p_(launch.params_as<PagedAttentionParams>()),
        plan_(plan),
        kv_dtype_(launch.comptime_as<PagedAttentionComptime>().kv_dtype),
        memory_(launch.team.shared_scratch.data() + plan.thread_bytes * launch.team.thread_index),
        part_(memory_, plan),
        running_(memory_ + plan.slot_bytes, plan) {
    std::byte* next = memory_ + 2 * plan.slot_bytes;
    q_ = reinterpret_cast<float*>(next);
    next += align_64(uint64_t{plan.max_rows} * plan.row_floats * 4);
    first_key_ = reinterpret_cast<uint32_t*>(next);
    next += align_64(uint64_t{plan.max_rows} * 4);
    end_key_ = reinterpret_cast<uint32_t*>(next);
    math_scratch_ = next + align_64(uint64_t{plan.max_rows} * 4);
    sequences_ = {launch.bindings[3].as<BatchSequence>(), p_.num_sequences};
  }

  void run() {
    uint64_t num_items = 0;
    for (const BatchSequence& s : sequences_) num_items += blocks_of(s) * p_.num_kv_heads;
    if (num_items < plan_.split_items && longest_parts() > 1) {
      run_split();
    } else {
      run_whole(num_items);
    }
  }

 private:
  uint64_t blocks_of(const BatchSequence& s) const {
    return (uint64_t{s.num_tokens} + plan_.item_tokens - 1) / plan_.item_tokens;
  }

  uint32_t first_visible(uint32_t position) const {
    return p_.window > 0 && position >= p_.window ? position - p_.window + 1 : 0;
  }

  Item make_item(const BatchSequence& s, uint32_t block, uint32_t kv_head) const {
    Item item{.sequence = &s, .first = block * plan_.item_tokens, .kv_head = kv_head};
    item.num_tokens = std::min(plan_.item_tokens, s.num_tokens - item.first);
    item.first_position = s.context_tokens - s.num_tokens + item.first;
    item.first_part = first_visible(item.first_position) / kPartKeys;
    item.end_part = (item.first_position + item.num_tokens - 1) / kPartKeys + 1;
    return item;
  }

  uint32_t longest_parts() const {
    uint32_t longest = 0;
    for (const BatchSequence& s : sequences_) {
      if (s.num_tokens == 0) continue;
      const Item last = make_item(s, static_cast<uint32_t>(blocks_of(s)) - 1, 0);
      longest = std::max(longest, last.end_part - last.first_part);
    }
    return longest;
  }

  /// Copies the item's queries, scaled, into q_.
  void load_queries(const Item& item) const {
    const float* q = launch_.bindings[0].as<float>();
    float* row = q_;
    const float scale = p_.scale * math_for(kv_dtype_).query_factor;
    for (uint32_t i = 0; i < item.num_tokens; ++i) {
      const uint64_t token = uint64_t{item.sequence->first_token} + item.first + i;
      const float* source = q + token * p_.q_stride + uint64_t{item.kv_head} * plan_.group * p_.head_dim;
      for (uint32_t g = 0; g < plan_.group; ++g, row += plan_.row_floats, source += p_.head_dim) {
        for (uint32_t d = 0; d < p_.head_dim; ++d) row[d] = source[d] * scale;
        std::fill(row + p_.head_dim, row + plan_.row_floats, 0.0f);
      }
    }
  }

  void compute_part(const Item& item, uint32_t part_index, const RowResults& results) const {
    const uint32_t start = part_index * kPartKeys;
    for (uint32_t i = 0; i < item.num_tokens; ++i) {
      const uint32_t position = item.first_position + i;
      const uint32_t first = std::clamp(first_visible(position), start, start + kPartKeys) - start;
      const uint32_t end = std::clamp(position + 1, start, start + kPartKeys) - start;
      std::fill_n(first_key_ + i * plan_.group, plan_.group, first);
      std::fill_n(end_key_ + i * plan_.group, plan_.group, end);
    }
    AttentionPart part;
    part.q = q_;
    part.num_rows = item.num_tokens * plan_.group;
    part.row_floats = plan_.row_floats;
    part.first_key = first_key_;
    part.end_key = end_key_;
    part.k_pages = launch_.bindings[1].data;
    part.v_pages = launch_.bindings[2].data;
    part.page_table = launch_.bindings[4].as<uint32_t>() + item.sequence->first_page;
    part.part_start = start;
    part.page_tokens = p_.page_tokens;
    part.num_kv_heads = p_.num_kv_heads;
    part.kv_head = item.kv_head;
    part.head_dim = p_.head_dim;
    part.kv_dtype = kv_dtype_;
    part.scratch = math_scratch_;
    part.out = results.out;
    part.row_max = results.max;
    part.row_sum = results.sum;
    math_for(kv_dtype_).compute(part);
  }

  void fold_row(const RowResults& into, const RowResults& part, uint32_t row) const {
    const uint64_t at = uint64_t{row} * plan_.row_floats;
    fold_part(into.out + at, into.max[row], into.sum[row], part.out + at, part.max[row], part.sum[row],
              plan_.row_floats);
  }

  void write_row(const Item& item, const RowResults& results, uint32_t row) const {
    const uint64_t token = uint64_t{item.sequence->first_token} + item.first + row / plan_.group;
    const uint64_t head = uint64_t{item.kv_head} * plan_.group + row % plan_.group;
    float* out = launch_.bindings[5].as<float>() + (token * p_.num_q_heads + head) * p_.head_dim;
    finish_row(out, results.out + uint64_t{row} * plan_.row_floats, results.sum[row], p_.head_dim);
  }

  /// Threads take whole items, the last (longest) of each sequence first.
  void run_whole(uint64_t num_items) {
    uint64_t sequence_end = 0;  // items of the sequences looked at so far, from the last one
    size_t left = sequences_.size();
    for (uint64_t i = launch_.team.take(1); i < num_items; i = launch_.team.take(1)) {
      while (i >= sequence_end) sequence_end += blocks_of(sequences_[--left]) * p_.num_kv_heads;
      const uint64_t index = sequence_end - 1 - i;  // inside the sequence, from its first item
      const Item item = make_item(sequences_[left], static_cast<uint32_t>(index / p_.num_kv_heads),
                                  static_cast<uint32_t>(index % p_.num_kv_heads));
      const uint32_t num_rows = item.num_tokens * plan_.group;
      load_queries(item);
      running_.reset(num_rows, plan_.row_floats);
      for (uint32_t part = item.first_part; part < item.end_part; ++part) {
        compute_part(item, part, part_);
        for (uint32_t row = 0; row < num_rows; ++row) fold_row(running_, part_, row);
      }
      for (uint32_t row = 0; row < num_rows; ++row) write_row(item, running_, row);
    }
  }

  template <class Body>
  void for_each_item(const Body& body) const {
    uint32_t index = 0;
    for (const BatchSequence& s : sequences_) {
      for (uint32_t block = 0; block < blocks_of(s); ++block) {
        for (uint32_t kv_head = 0; kv_head < p_.num_kv_heads; ++kv_head) {
          body(make_item(s, block, kv_head), index++);
        }
      }
    }
  }

  std::byte* split_memory() const {
    return launch_.team.shared_scratch.data() + plan_.thread_bytes * launch_.team.num_threads;
  }
  RowResults running_slot(uint32_t item_index) const {
    return RowResults(split_memory() + plan_.slot_bytes * item_index, plan_);
  }
  RowResults round_slot(uint64_t part_in_round) const {
    return RowResults(split_memory() + plan_.slot_bytes * (plan_.split_items + part_in_round), plan_);
  }

  /// All parts of all items in one sequence of numbers, round_parts of them at a time.
  void run_split() {
    uint64_t num_parts = 0;
    for_each_item([&](const Item& item, uint32_t) { num_parts += item.end_part - item.first_part; });
    uint64_t counter_base = 0;
    for (uint64_t begin = 0; begin < num_parts; begin += plan_.round_parts) {
      const uint64_t end = std::min<uint64_t>(begin + plan_.round_parts, num_parts);
      compute_round(begin, end, counter_base);
      // In each round every thread takes one number too many, which tells it that the round is over.
      counter_base += end - begin + launch_.team.num_threads;
      launch_.team.sync();
      fold_round(begin, end);
      launch_.team.sync();
    }
  }

  void compute_round(uint64_t begin, uint64_t end, uint64_t counter_base) {
    uint64_t wanted = launch_.team.take(1) - counter_base + begin;
    uint64_t seen = 0;
    for_each_item([&](const Item& item, uint32_t) {
      const uint64_t first = seen;
      seen += item.end_part - item.first_part;
      bool loaded = false;
      while (wanted < seen && wanted < end) {
        if (!loaded) load_queries(item);
        loaded = true;
        compute_part(item, item.first_part + static_cast<uint32_t>(wanted - first),
                     round_slot(wanted - begin));
        wanted = launch_.team.take(1) - counter_base + begin;
      }
    });
  }

  /// Folds the round's parts into their items, rows dealt out to threads.
  void fold_round(uint64_t begin, uint64_t end) const {
    uint64_t seen = 0;
    uint32_t deal = 0;
    for_each_item([&](const Item& item, uint32_t index) {
      const uint64_t first = std::max(begin, seen);
      const uint64_t item_begin = seen;
      seen += item.end_part - item.first_part;
      const uint64_t last = std::min(end, seen);
      if (first >= last) return;
      const RowResults running = running_slot(index);
      for (uint32_t row = 0; row < item.num_tokens * plan_.group; ++row) {
        if (deal++ % launch_.team.num_threads != launch_.team.thread_index) continue;
        if (first == item_begin) {
          std::fill_n(running.out + uint64_t{row} * plan_.row_floats, plan_.row_floats, 0.0f);
          running.max[row] = kLowestScore;
          running.sum[row] = 0.0f;
        }
        for (uint64_t part = first; part < last; ++part) fold_row(running, round_slot(part - begin), row);
        if (last == seen) write_row(item, running, row);
      }
    });
  }

  const Launch& launch_;
  const PagedAttentionParams& p_;
  const Plan& plan_;
  const DType kv_dtype_;
  std::byte* const memory_;
  const RowResults part_;
  const RowResults running_;
  float* q_ = nullptr;
  uint32_t* first_key_ = nullptr;
  uint32_t* end_key_ = nullptr;
  std::byte* math_scratch_ = nullptr;
  std::span<const BatchSequence> sequences_;
};

uint64_t scratch_bytes(const void* comptime, const void* params, uint32_t num_threads) {
  const DType kv_dtype = static_cast<const PagedAttentionComptime*>(comptime)->kv_dtype;
  return Plan(kv_dtype, *static_cast<const PagedAttentionParams*>(params), num_threads)
      .total_bytes(num_threads);
}

void run(const Launch& launch) {
  const Plan plan(launch.comptime_as<PagedAttentionComptime>().kv_dtype,
                  launch.params_as<PagedAttentionParams>(), launch.team.num_threads);
  Attention(launch, plan).run();
}

bool supports(const void* comptime) {
  const DType dtype = static_cast<const PagedAttentionComptime*>(comptime)->kv_dtype;
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

}  // namespace

const CpuKernel kPagedAttentionCpu = {
    .contract = &kPagedAttentionContract, .run = run, .scratch_bytes = scratch_bytes, .supports = supports};

}  // namespace tattletale::cpu
