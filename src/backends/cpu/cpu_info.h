// What processor this is, for reports and for choosing kernels.
#pragma once

#include <cstdint>
#include <string>

namespace tattletale::cpu {

std::string processor_name();        // "Intel(R) Xeon(R) ..."
std::string instruction_set_name();  // what the kernels will use: "AVX3_DL+AMX", "AVX2", "NEON"
uint64_t physical_memory_bytes();

/// True when the processor and the operating system let this process use AMX tiles (bf16). Asks the kernel
/// for the permission on first use. The environment variable TATTLETALE_CPU_DISABLE=amx[,avx512][,avx2] turns
/// instruction sets off, for tests and comparisons.
bool has_amx_bf16();
/// Likewise for Highway's targets; called once before the first dispatch.
void apply_isa_limits();

}  // namespace tattletale::cpu
