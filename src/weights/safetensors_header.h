// Reads the JSON texts of safetensors: a file's header and a sharded model's index. Internal to weights/.
// Both are read as a stream of events, since a JSON tree of a hundred thousand names would be slow and large,
// and would hide duplicate keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tattletale {

struct SafetensorsHeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> data_offsets;  // begin, end
};

struct SafetensorsHeader {
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<SafetensorsHeaderEntry> tensors;
};

/// Errors: bad_file naming `where` and the byte of the JSON text.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, const std::string& where);

/// The (tensor, shard file) pairs of an index's weight_map. Errors: bad_file.
Result<std::vector<std::pair<std::string, std::string>>> parse_safetensors_index(std::string_view json,
                                                                                 const std::string& where);

}  // namespace tattletale
