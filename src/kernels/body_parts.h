// Pieces that several kernel bodies share.
#pragma once

#include <array>

#include "ir/lang.h"
#include "tensor/dtype.h"

namespace tattletale {

/// The workgroup size bodies take unless they know better: software drivers are best with few threads.
uint32_t preferred_threads(const ir::TargetInfo& target, uint32_t wanted);

/// The sum over the workgroup's threads, in every thread; the same order every time. All threads take part.
class WorkgroupSum {
 public:
  WorkgroupSum(uint32_t workgroup_threads, uint32_t subgroup_size)
      : num_subgroups_(workgroup_threads / subgroup_size), partials_("partial_sums", num_subgroups_) {}
  lang::Val<float> operator()(lang::Val<float> x);

 private:
  uint32_t num_subgroups_;
  lang::Shared<float> partials_;
};

/// One stored number of a KV page or activation: f32, f16 or bf16.
lang::Val<float> load_float(const lang::Buffer& from, DType dtype, lang::Val<uint32_t> index);
/// Numbers 2 * pair and 2 * pair + 1.
std::array<lang::Val<float>, 2> load_pair(const lang::Buffer& from, DType dtype, lang::Val<uint32_t> pair);
/// Numbers 8 * chunk ..; `from` starts on 16 bytes.
std::array<lang::Val<float>, 8> load_chunk(const lang::Buffer& from, DType dtype, lang::Val<uint32_t> chunk,
                                           bool streamed = false);
/// Writes numbers 2 * pair and 2 * pair + 1, rounded to nearest even.
void store_pair(const lang::Buffer& to, DType dtype, lang::Val<uint32_t> pair, lang::Val<float> first,
                lang::Val<float> second);

/// Writes numbers 8 * chunk .. of 16 bits each; `to` starts on 16 bytes.
void store_chunk(const lang::Buffer& to, DType dtype, lang::Val<uint32_t> chunk,
                 const std::array<lang::Val<float>, 8>& values);

lang::Val<float> silu(lang::Val<float> x);
lang::Val<float> gelu_tanh(lang::Val<float> x);

/// log2(e): softmax runs on exp2.
inline constexpr float kLog2E = 1.4426950408889634f;
/// Stands for minus infinity: targets may assume that no infinity exists.
inline constexpr float kLowest = -1e30f;

}  // namespace tattletale
