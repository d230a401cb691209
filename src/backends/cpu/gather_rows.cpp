#include "kernels/gather_rows.h"

#include <cstring>

#include "backends/cpu/cpu_kernel.h"

namespace tattletale::cpu {
namespace {

void run(const Launch& launch) {
  const auto& p = launch.params_as<GatherRowsParams>();
  const uint32_t* rows = launch.bindings[0].as<uint32_t>();
  const float* x = launch.bindings[1].as<float>();
  float* out = launch.bindings[2].as<float>();
  const Team::Range mine = launch.team.share(p.num_rows);
  for (uint64_t i = mine.begin; i < mine.end; ++i) {
    std::memcpy(out + i * p.dim, x + uint64_t{rows[i]} * p.dim, uint64_t{p.dim} * sizeof(float));
  }
}

}  // namespace

const CpuKernel kGatherRowsCpu = {.contract = &kGatherRowsContract, .run = run};

}  // namespace tattletale::cpu
