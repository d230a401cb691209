// A matrix product with all a fast one has, and none of its tuning: asynchronous copies in two stages,
// fragments from shared memory, an accumulator a lane knows its place in.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/lang.h"

namespace tattletale::test {

/// C [m, n] = A [m, k] B [n, k]^T in bf16 with f32 sums: 64x64 tiles, four subgroups, two stages of
/// asynchronous copies. Not fast; every step a fast one has.
inline ir::Kernel tiled_matmul(const ir::TargetInfo& target, ir::Storage element) {
  using namespace lang;  // NOLINT: bodies are written this way
  constexpr uint32_t kTile = 64, kDepth = 32,
                     kStride = kDepth + 8;  // elements; the padding avoids bank conflicts
  KernelScope scope("tiled_matmul", 128, target);
  const Buffer a = scope.input("a"), b = scope.input("b"), c = scope.output("c");
  const Val<uint32_t> n = scope.param<uint32_t>("n", 0), depth = scope.param<uint32_t>("depth", 1);
  constexpr uint32_t kStageWords = kTile * kStride / 2;
  const Shared<uint32_t> tile_a("tile_a", 2 * kStageWords), tile_b("tile_b", 2 * kStageWords);
  const Val<uint32_t> row0 = workgroup_id(1) * kTile, column0 = workgroup_id(0) * kTile;
  const auto fetch = [&](Val<uint32_t> step, Val<uint32_t> stage) {
    for (uint32_t turn = 0; turn < kTile * kDepth / 8 / 128; ++turn) {  // 8 elements a copy
      const Val<uint32_t> piece = local_id() + turn * 128u;
      const Val<uint32_t> row = piece / (kDepth / 8), word = piece % (kDepth / 8) * 4u;
      const Val<uint32_t> to = stage * kStageWords + row * (kStride / 2) + word;
      copy_async(tile_a, to, a.at(row0 + row, depth * 2u), step * (kDepth / 2) + word);
      copy_async(tile_b, to, b.at(column0 + row, depth * 2u), step * (kDepth / 2) + word);
    }
  };
  std::vector<FragmentVar> sums;
  for (uint32_t i = 0; i < 4; ++i) sums.emplace_back(Fragment::fill(0.0f));
  const Val<uint32_t> my_rows = subgroup_id() * 16u;
  fetch(0u, 0u);
  copy_commit();
  const Val<uint32_t> steps = depth / kDepth;
  $for (step, 0u, steps) {
    $if (step + 1u < steps) {
      fetch(step + 1u, (step + 1u) % 2u);
    }
    copy_commit();
    copy_wait(1);
    barrier();
    const Val<uint32_t> stage = step % 2u * (2 * kStageWords);  // elements
    for (uint32_t k = 0; k < kDepth; k += 16) {
      const Fragment fa =
          Fragment::load(ir::FragmentUse::a, element, tile_a, stage + my_rows * kStride + k, kStride);
      for (uint32_t i = 0; i < 4; ++i) {
        const Fragment fb =
            Fragment::load(ir::FragmentUse::b, element, tile_b, stage + (i * 16 * kStride + k), kStride);
        sums[i].set(Fragment::mma(fa, fb, sums[i].get()));
      }
    }
    barrier();
  }
  for (uint32_t i = 0; i < 4; ++i) {
    sums[i].get().store(c, (row0 + my_rows) * n + (column0 + i * 16u), n);
  }
  return scope.finish();
}

}  // namespace tattletale::test
