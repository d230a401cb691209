// The hand-made splitters cut as PCRE2 does with the same pattern, on the seeded corpus and on random text.
#include "text/tokenizer/splitter.h"

#include <gtest/gtest.h>

#include "text/tokenizer/corpus.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

std::vector<uint32_t> ends_of(const Splitter& splitter, std::string_view text) {
  std::vector<uint32_t> ends;
  Piece pieces[7];  // few, so that splits go on across calls
  for (size_t begin = 0;;) {
    const auto count = splitter.split(text, begin, pieces);
    EXPECT_TRUE(count) << count.error().message();
    if (!count || *count == 0) return ends;
    for (size_t i = 0; i < *count; ++i) ends.push_back(pieces[i].end);
    begin = ends.back();
  }
}

/// Characters that make the patterns' cases meet, in random order.
std::string random_text(test::SplitMix& rng) {
  constexpr const char* kParts[] = {
      "a",        "Z",  "\xC3\xA9", "\xD0\x96", "\xE4\xB8\xAD", "1",  "23",       "\xD9\xA3",
      "\xC2\xBD", " ",  "  ",       "\n",       "\r",           "\t", "\xC2\xA0", "\xE3\x80\x80",
      "'",        "'s", "'LL",      "'re",      "'\xC5\xBF",    "!",  "--",       "\xF0\x9F\x98\x80",
      "\xCC\x81", "_",  "\xC2\x85", "/",        "'d",           "v",  "e"};
  std::string text;
  for (uint32_t n = rng.below(24); n > 0; --n) text += kParts[rng.below(std::size(kParts))];
  return text;
}

void expect_same_pieces(std::string_view pattern) {
  const auto known = make_known_splitter(pattern);
  ASSERT_TRUE(known);
  const auto regex = make_regex_splitter(pattern, "test");
  ASSERT_TRUE(regex) << regex.error().message();
  for (const std::string& record : test::corpus_records(test::read_data("phrases.txt"), 7, 1000)) {
    const std::string text = make_valid_utf8(record);
    ASSERT_EQ(ends_of(*known, text), ends_of(**regex, text)) << text;
  }
  test::SplitMix rng(11);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(rng);
    ASSERT_EQ(ends_of(*known, text), ends_of(**regex, text)) << text;
  }
}

TEST(KnownSplitter, Gpt2CutsAsPcre2) {
  expect_same_pieces(kGpt2Pattern);
}
TEST(KnownSplitter, Llama3CutsAsPcre2) {
  expect_same_pieces(kLlama3Pattern);
}
TEST(KnownSplitter, Qwen2CutsAsPcre2) {
  expect_same_pieces(kQwen2Pattern);
}

TEST(KnownSplitter, DigitsGpt2CutsAsTwoSteps) {
  const auto known = make_digits_gpt2_splitter();
  const auto digits = make_class_splitter(ClassSplit::digits);
  const auto gpt2 = make_regex_splitter(kGpt2Pattern, "test");
  ASSERT_TRUE(gpt2);
  test::SplitMix rng(13);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(rng);
    std::vector<uint32_t> want;
    uint32_t begin = 0;
    for (const uint32_t end : ends_of(*digits, text)) {
      for (const uint32_t inner : ends_of(**gpt2, text.substr(begin, end - begin)))
        want.push_back(begin + inner);
      begin = end;
    }
    ASSERT_EQ(ends_of(*known, text), want) << text;
  }
}

TEST(RegexSplitter, RefusesWhatItCannotRead) {
  for (const char* pattern : {"(", "[a&&b]", "[[a]b]", "\\p{Nope}"}) {
    const auto splitter = make_regex_splitter(pattern, "model.json: pattern");
    ASSERT_FALSE(splitter) << pattern;
    EXPECT_EQ(splitter.error().kind, ErrorKind::unsupported);
    EXPECT_NE(splitter.error().message().find(pattern), std::string::npos) << splitter.error().message();
  }
}

TEST(RegexSplitter, GivesUpWithAnErrorOnRunawayPatterns) {
  const auto splitter = make_regex_splitter("(a+)+(a+)+(a+)+c", "test");
  ASSERT_TRUE(splitter);
  Piece pieces[16];
  const auto count = (*splitter)->split(std::string(4000, 'a') + "dc", 0, pieces);
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().kind, ErrorKind::limit_exceeded);
}

}  // namespace
}  // namespace tattletale
