// How fast threads of this machine read memory: the ceiling of decoding, which reads every weight once a
// token.
#pragma once

#include <cstdint>

namespace tattletale::cli {

/// Bytes per second that `num_threads` threads together read from a buffer of `bytes` bytes, the fastest of
/// many passes over about `seconds`. A buffer as large as the weights sees the same caches as decoding does.
/// May throw std::bad_alloc.
double measure_read_bandwidth(uint32_t num_threads, uint64_t bytes, double seconds);

}  // namespace tattletale::cli
