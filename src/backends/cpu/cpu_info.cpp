#include "backends/cpu/cpu_info.h"

#include <hwy/targets.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

namespace tattletale::cpu {
namespace {

bool disabled(std::string_view feature) {
  const char* list = std::getenv("TATTLETALE_CPU_DISABLE");
  if (list == nullptr) return false;
  const std::string padded = "," + std::string(list) + ",";
  return padded.find("," + std::string(feature) + ",") != std::string::npos;
}

bool detect_amx_bf16() {
#if defined(__x86_64__) && defined(__linux__)
  if (disabled("amx") || disabled("avx512")) return false;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool tile = (edx >> 24 & 1u) != 0;
  const bool bf16 = (edx >> 22 & 1u) != 0;
  if (!tile || !bf16) return false;
  // Tile state is granted per process by the kernel (Linux 5.16 and later).
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

/// Highway's targets less the disabled ones. In Highway 1.0.3, SupportedTargets() answers rightly but sets
/// dispatch to every target of the processor, disabled or not; so each call has to be followed by the right
/// setting.
int64_t usable_targets() {
  const int64_t targets = hwy::SupportedTargets();
  hwy::GetChosenTarget().Update(targets);
  return targets;
}

}  // namespace

void apply_isa_limits() {
  static const bool applied = [] {
    int64_t off = 0;
    if (disabled("avx512") || disabled("avx2")) off |= HWY_AVX3 | HWY_AVX3_DL;
    if (disabled("avx2")) off |= HWY_AVX2;
    if (off != 0) {
      hwy::DisableTargets(off);
      usable_targets();
    }
    return true;
  }();
  static_cast<void>(applied);
}

bool has_amx_bf16() {
  static const bool present = detect_amx_bf16();
  return present;
}

std::string instruction_set_name() {
  apply_isa_limits();
  const int64_t targets = usable_targets();
  const int64_t best = targets & -targets;
  return std::string(hwy::TargetName(best)) + (has_amx_bf16() ? "+AMX" : "");
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      const size_t colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "CPU";
}

uint64_t physical_memory_bytes() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace tattletale::cpu
