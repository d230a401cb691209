#include "backends/vulkan/spirv_check.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "backends/vulkan/spirv_enums.h"

namespace tattletale::test {
namespace {

using spirv::SpvOp;

/// Where an instruction's result id stands: 0 for none, else the operand's index.
int result_position(SpvOp op) {
  switch (op) {
    case SpvOp::ext_inst_import:
    case SpvOp::type_void:
    case SpvOp::type_bool:
    case SpvOp::type_int:
    case SpvOp::type_float:
    case SpvOp::type_vector:
    case SpvOp::type_array:
    case SpvOp::type_runtime_array:
    case SpvOp::type_struct:
    case SpvOp::type_pointer:
    case SpvOp::type_function:
    case SpvOp::type_cooperative_matrix:
    case SpvOp::label: return 1;
    case SpvOp::name:
    case SpvOp::extension:
    case SpvOp::memory_model:
    case SpvOp::entry_point:
    case SpvOp::execution_mode:
    case SpvOp::capability:
    case SpvOp::function_end:
    case SpvOp::store:
    case SpvOp::decorate:
    case SpvOp::member_decorate:
    case SpvOp::control_barrier:
    case SpvOp::loop_merge:
    case SpvOp::selection_merge:
    case SpvOp::branch:
    case SpvOp::branch_conditional:
    case SpvOp::return_:
    case SpvOp::cooperative_matrix_store: return 0;
    default: return 2;
  }
}

/// The section of section 2.4 that an instruction belongs to; function bodies come last.
int section(SpvOp op) {
  switch (op) {
    case SpvOp::capability: return 0;
    case SpvOp::extension: return 1;
    case SpvOp::ext_inst_import: return 2;
    case SpvOp::memory_model: return 3;
    case SpvOp::entry_point: return 4;
    case SpvOp::execution_mode: return 5;
    case SpvOp::name: return 6;
    case SpvOp::decorate:
    case SpvOp::member_decorate: return 7;
    case SpvOp::type_cooperative_matrix: return 8;
    default: return op >= SpvOp::type_void && op <= SpvOp::constant ? 8 : 9;
  }
}

bool is_terminator(SpvOp op) {
  return op == SpvOp::branch || op == SpvOp::branch_conditional || op == SpvOp::return_;
}

struct Walk {
  std::set<uint32_t> defined, labels, targets;
  int last_section = 0;
  bool in_block = false;
  bool merge_pending = false;

  std::string visit(std::span<const uint32_t> in, uint32_t bound) {
    const auto op = static_cast<SpvOp>(in[0] & 0xffff);
    if (const int position = result_position(op); position != 0) {
      if (in.size() <= static_cast<size_t>(position)) return "too short for its result";
      const uint32_t id = in[position];
      if (id == 0 || id >= bound) return "id " + std::to_string(id) + " is out of bounds";
      if (!defined.insert(id).second) return "id " + std::to_string(id) + " is defined twice";
      if (position == 2 && !defined.contains(in[1])) return "a type is used before it is declared";
    }
    const int now = op == SpvOp::variable && !in_block ? 8 : section(op);
    if (now < last_section) return "section order is broken";
    last_section = now;
    if (now < 9) return "";
    if (op == SpvOp::label) {
      if (in_block) return "a block has no terminator";
      in_block = true;
      labels.insert(in[1]);
    } else if (op != SpvOp::function && op != SpvOp::function_end && !in_block) {
      return "an instruction stands outside a block";
    }
    if (merge_pending && op != SpvOp::branch && op != SpvOp::branch_conditional) {
      return "a merge instruction is not followed by a branch";
    }
    merge_pending = op == SpvOp::loop_merge || op == SpvOp::selection_merge;
    if (op == SpvOp::branch || op == SpvOp::selection_merge) targets.insert(in[1]);
    if (op == SpvOp::branch_conditional) targets.insert({in[2], in[3]});
    if (op == SpvOp::loop_merge) targets.insert({in[1], in[2]});
    if (is_terminator(op)) in_block = false;
    return "";
  }
};

}  // namespace

std::string check_structure(std::span<const uint32_t> words) {
  if (words.size() < 5 || words[0] != spirv::kMagic || words[1] != spirv::kVersion16 || words[4] != 0) {
    return "bad header";
  }
  Walk walk;
  for (size_t at = 5; at < words.size();) {
    const uint32_t length = words[at] >> 16;
    if (length == 0 || at + length > words.size()) return "bad length at word " + std::to_string(at);
    const std::string fault = walk.visit(words.subspan(at, length), words[3]);
    if (!fault.empty()) {
      return fault + " (word " + std::to_string(at) + ", opcode " + std::to_string(words[at] & 0xffff) + ")";
    }
    at += length;
  }
  if (walk.in_block) return "the last block is open";
  for (uint32_t target : walk.targets) {
    if (!walk.labels.contains(target)) return "a branch goes to " + std::to_string(target) + ", no block";
  }
  return "";
}

int spirv_val_year() {
  static const int year = [] {
    FILE* pipe = popen("spirv-val --version 2>/dev/null", "r");
    if (pipe == nullptr) return 0;
    int found = 0;
    if (fscanf(pipe, "SPIRV-Tools v%d", &found) != 1) found = 0;
    pclose(pipe);
    return found;
  }();
  return year;
}

std::string spirv_val(std::span<const uint32_t> words) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tattletale_spirv_" + std::to_string(getpid()) + ".spv");
  {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(words.data()), static_cast<std::streamsize>(words.size_bytes()));
  }
  FILE* pipe = popen(("spirv-val --target-env vulkan1.3 " + path.string() + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "cannot run spirv-val";
  std::string said;
  std::array<char, 512> buffer;
  while (fgets(buffer.data(), buffer.size(), pipe) != nullptr) said += buffer.data();
  const int status = pclose(pipe);
  std::filesystem::remove(path);
  return status == 0 ? "" : said.empty() ? "spirv-val failed" : said;
}

}  // namespace tattletale::test
