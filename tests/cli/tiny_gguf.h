// A tiny Llama with random weights, a byte-level tokenizer and a chat template as a GGUF file, so that the
// command line can be tested on a whole model in milliseconds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tattletale::testing {

struct TinyGguf {
  std::string architecture = "llama";
  std::string name = "tiny";  // general.name
  uint64_t context_tokens = 2048;
  bool chat_template = true;
  bool add_bos = true;
};

inline constexpr uint32_t kTinyBosId = 256;      // "<|bos|>"; the bytes have the ids 0 to 255
inline constexpr uint32_t kTinyStartId = 257;    // "<|im_start|>"
inline constexpr uint32_t kTinyEndId = 258;      // "<|im_end|>", the end of a turn
inline constexpr uint32_t kTinyVocabSize = 260;  // the last one is a merge, "he"

/// Writes the model. It never ends an answer by itself: its end token is never the likeliest.
void write_tiny_gguf(const std::filesystem::path& path, const TinyGguf& model = {});

}  // namespace tattletale::testing
