// The generated Unicode data behind unicode.h; formats are stated beside each table in unicode_tables.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tattletale::unicode_tables {

extern const uint32_t class_runs[];
extern const size_t class_runs_count;
extern const uint32_t canonical_decompositions[];
extern const size_t canonical_decompositions_count;
extern const uint32_t compat_decompositions[];
extern const size_t compat_decompositions_count;
extern const uint32_t composition_pairs[];
extern const size_t composition_pairs_count;
extern const uint32_t combining_classes[];
extern const size_t combining_classes_count;
extern const uint32_t lower_cases[];
extern const size_t lower_cases_count;

}  // namespace tattletale::unicode_tables
