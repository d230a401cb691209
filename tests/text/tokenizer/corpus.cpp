// See corpus.h.
#include "text/tokenizer/corpus.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>
#include <utility>

#include "text/tokenizer/utf8.h"

namespace tattletale::test {
namespace {

constexpr auto kRanges = std::to_array<std::pair<uint32_t, uint32_t>>({
    {0x20, 0x7E},       {0xA0, 0x24F},      {0x300, 0x36F},     {0x370, 0x52F},     {0x5D0, 0x6FF},
    {0x900, 0xDFF},     {0xE00, 0xEFF},     {0x1000, 0x11FF},   {0x1E00, 0x20FF},   {0x2100, 0x27BF},
    {0x3000, 0x30FF},   {0x4E00, 0x9FFF},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFB00, 0xFFFD},
    {0x10000, 0x103FF}, {0x1D400, 0x1D7FF}, {0x1F300, 0x1FAFF}, {0x20000, 0x2A6DF}, {0xE0000, 0xE01EF},
});
constexpr auto kSpaces = std::to_array<std::string_view>(
    {" ", " ", " ", "\n", "\t", "\r", "\r\n", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\xA8", "\xC2\x85"});
constexpr auto kSpecials = std::to_array<std::string_view>(
    {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<bos>", "<eos>", "<start_of_turn>", "</s>", "<s>",
     "<unk>", "<0x0A>", "\xE2\x96\x81", "\xE2\x96\x81\xE2\x96\x81", "[multimodal]", "<table>", "<|im_",
     "<repo_name>"});

class Generator {
 public:
  Generator(std::string_view phrases, uint64_t seed) : rng_(seed) {
    for (size_t at = 0; at < phrases.size();) {
      const size_t end = std::min(phrases.find('\n', at), phrases.size());
      std::vector<std::string> characters;
      while (at < end) {
        const size_t length = utf8_length(phrases[at]);
        characters.emplace_back(phrases.substr(at, length));
        at += length;
      }
      if (!characters.empty()) phrases_.push_back(std::move(characters));
      at = end + 1;
    }
  }

  std::string record() {
    std::string out;
    const uint32_t parts = 1 + rng_.below(24);
    for (uint32_t i = 0; i < parts; ++i) add_part(out);
    return out;
  }

 private:
  const std::vector<std::string>& phrase() {
    return phrases_[rng_.below(static_cast<uint32_t>(phrases_.size()))];
  }

  void add_phrase(std::string& out, bool whole) {
    const auto& characters = phrase();
    const auto size = static_cast<uint32_t>(characters.size());
    const uint32_t start = whole ? 0 : rng_.below(size);
    const uint32_t end = whole ? size : std::min(size, start + 1 + rng_.below(60));
    for (uint32_t i = start; i < end; ++i) out += characters[i];
  }

  void add_repeated(std::string& out) {
    const auto& characters = phrase();
    const std::string& character = characters[rng_.below(static_cast<uint32_t>(characters.size()))];
    for (uint32_t n = 1 + rng_.below(64); n > 0; --n) out += character;
  }

  void add_part(std::string& out) {
    const uint32_t kind = rng_.below(16);
    if (kind < 7) return add_phrase(out, kind == 6);
    if (kind == 7) {
      const uint32_t count = 1 + rng_.below(8);
      const auto [low, high] = kRanges[rng_.below(kRanges.size())];
      for (uint32_t i = 0; i < count; ++i) append_code_point(out, low + rng_.below(high - low + 1));
    } else if (kind == 8) {
      for (uint32_t n = 1 + rng_.below(12); n > 0; --n) out.push_back(static_cast<char>(48 + rng_.below(10)));
    } else if (kind == 9) {
      for (uint32_t n = 1 + rng_.below(10); n > 0; --n) out += kSpaces[rng_.below(kSpaces.size())];
    } else if (kind == 10) {
      for (uint32_t n = 1 + rng_.below(12); n > 0; --n) out.push_back(static_cast<char>(32 + rng_.below(95)));
    } else if (kind == 11) {
      out += kSpecials[rng_.below(kSpecials.size())];
    } else if (kind == 12) {
      add_repeated(out);
    } else if (kind == 13) {
      for (uint32_t n = 1 + rng_.below(3); n > 0; --n)
        out.push_back(static_cast<char>(0x80 + rng_.below(128)));
    } else if (kind == 14) {
      out.push_back(static_cast<char>(rng_.below(32)));
    } else {
      out.push_back(' ');
    }
  }

  SplitMix rng_;
  std::vector<std::vector<std::string>> phrases_;
};

}  // namespace

std::vector<std::string> corpus_records(std::string_view phrases, uint64_t seed, size_t count) {
  Generator generator(phrases, seed);
  std::vector<std::string> records;
  for (size_t i = 0; i < count; ++i) records.push_back(generator.record());
  return records;
}

uint32_t ids_hash(std::span<const uint32_t> ids) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const uint32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (id >> shift & 255)) * 0x100000001B3u;
  }
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

std::string read_data(std::string_view name) {
  std::ifstream file(std::string(TT_TEST_DATA) + "/tokenizer/" + std::string(name), std::ios::binary);
  EXPECT_TRUE(file.good()) << "cannot read tests/data/tokenizer/" << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace tattletale::test
