// Decoding, streaming, special tokens, hostile texts and hostile files.
#include "text/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "text/tokenizer/corpus.h"
#include "text/tokenizer/load_tokenizer.h"
#include "text/tokenizer/tokenizer_spec.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

using testing::HasSubstr;

std::shared_ptr<const Tokenizer> load(const std::string& file) {
  const std::string bytes = test::read_data(file);
  auto tokenizer =
      file.ends_with(".json") ? load_tokenizer_json(bytes, file) : load_sentencepiece(bytes, file);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message();
  return tokenizer ? *tokenizer : nullptr;
}

std::vector<std::string> corpus() {
  return test::corpus_records(test::read_data("phrases.txt"), 99, 300);
}

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer, std::span<const TokenId> ids,
                   bool skip) {
  StreamDecoder decoder(tokenizer, skip);
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(part));
    text += part;
  }
  return text + decoder.flush();
}

TEST(Decode, UndoesEncode) {
  for (const char* file :
       {"gpt2.json", "smollm.json", "llama3.json", "llama2.json", "gemma.json", "sp_bpe.model"}) {
    const auto tokenizer = load(file);
    for (const std::string& record : corpus()) {
      std::string text = make_valid_utf8(record);
      const auto ids = tokenizer->encode(text, {.add_special = false, .parse_special = false});
      ASSERT_TRUE(ids);
      // A U+2581 in the text is a space to SentencePiece.
      if (tokenizer->token_bytes(*tokenizer->id_of("e")) == "e" &&
          !std::string_view(file).starts_with("gpt2")) {
        const bool escapes =
            std::string_view(file) != "smollm.json" && std::string_view(file) != "llama3.json";
        for (size_t at; escapes && (at = text.find("\xE2\x96\x81")) != std::string::npos;)
          text.replace(at, 3, " ");
      }
      ASSERT_EQ(tokenizer->decode(*ids, false), text) << file;
    }
  }
}

TEST(StreamDecoder, EqualsDecode) {
  for (const char* file : {"gpt2.json", "gemma.json", "llama2.json", "sp_bpe_nfkc.model", "unigram.json"}) {
    const auto tokenizer = load(file);
    test::SplitMix rng(5);
    for (int round = 0; round < 500; ++round) {
      std::vector<TokenId> ids;  // random ids: broken UTF-8 in abundance
      for (uint32_t n = rng.below(40); n > 0; --n)
        ids.push_back(rng.below(static_cast<uint32_t>(tokenizer->vocab_size()) + 3));
      for (const bool skip : {false, true})
        ASSERT_EQ(stream(tokenizer, ids, skip), tokenizer->decode(ids, skip)) << file;
    }
  }
}

TEST(StreamDecoder, HoldsBackUnfinishedCharacters) {
  const auto tokenizer = load("gpt2.json");
  const auto ids = tokenizer->encode("\xF0\x9F\xA7\xBF", {.add_special = false});
  ASSERT_TRUE(ids);
  ASSERT_GE(ids->size(), 2u);  // the small vocabulary has no token for it
  StreamDecoder decoder(tokenizer);
  for (size_t i = 0; i + 1 < ids->size(); ++i) EXPECT_EQ(decoder.push((*ids)[i]), "");
  EXPECT_EQ(decoder.push(ids->back()), "\xF0\x9F\xA7\xBF");
  EXPECT_EQ(decoder.push((*ids)[0]), "");
  EXPECT_EQ(decoder.flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(SpecialTokens, AreTextWhenNotParsed) {
  const auto tokenizer = load("gpt2.json");
  const TokenId start = *tokenizer->id_of("<|im_start|>");
  EXPECT_TRUE(tokenizer->is_special(start));
  const auto parsed = tokenizer->encode("<|im_start|>user");
  const auto plain = tokenizer->encode("<|im_start|>user", {.parse_special = false});
  ASSERT_TRUE(parsed && plain);
  EXPECT_EQ(parsed->front(), start);
  EXPECT_THAT(*plain, testing::Not(testing::Contains(start)));
  EXPECT_EQ(tokenizer->decode(*parsed), "user");
  EXPECT_EQ(tokenizer->decode(*parsed, false), "<|im_start|>user");
  EXPECT_EQ(tokenizer->decode(*plain), "<|im_start|>user");
}

TEST(SpecialTokens, SurroundTheTextOnlyWhenAsked) {
  const auto tokenizer = load("unigram.json");
  EXPECT_EQ(tokenizer->encode("")->size(), 2u);
  EXPECT_TRUE(tokenizer->encode("", {.add_special = false})->empty());
  EXPECT_EQ(tokenizer->bos_id(), tokenizer->id_of("<s>"));
  EXPECT_EQ(tokenizer->eos_id(), tokenizer->id_of("</s>"));
}

TEST(Threads, ShareOneTokenizer) {
  const auto tokenizer = load("llama3.json");
  const auto records = corpus();
  std::vector<std::vector<TokenId>> want;
  for (const auto& record : records) want.push_back(*tokenizer->encode(record));
  std::vector<std::jthread> threads;
  std::atomic<int> different = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < records.size(); ++i) different += *tokenizer->encode(records[i]) != want[i];
    });
  }
  threads.clear();
  EXPECT_EQ(different, 0);
}

std::string repeat(std::string_view part, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += part;
  return text;
}

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
constexpr size_t kHostileBytes = size_t{1} << 17;  // the same check, in bearable time
#else
constexpr size_t kHostileBytes = size_t{1} << 20;
#endif

TEST(HostileText, CostsTimeInProportionToItsLength) {
  for (const char* file :
       {"gpt2.json", "smollm.json", "llama3.json", "qwen2.json", "gpt4o.json", "deepseek.json", "llama2.json",
        "gemma.json", "metaspace.json", "unigram.json", "sp_bpe.model", "sp_unigram.model"}) {
    const auto tokenizer = load(file);
    for (const char* part : {"a", "1", " ", "\n", "\r\n", "\xF0\x9F\x98\x80", "\xCC\x81", "'", "\xE2\x96\x81",
                             "ab", "\xFF", " a", "\xE4\xB8\xAD", "<", "a\xCC\x81", "  \n"}) {
      const auto seconds = [&](size_t bytes) {
        const std::string text = repeat(part, bytes);
        const auto start = std::chrono::steady_clock::now();
        const auto ids = tokenizer->encode(text);
        EXPECT_TRUE(ids) << file << ": " << ids.error().message();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      };
      // Sixteen times the text: linear time is 16 times as long, quadratic 256 times. The slack is for a busy
      // machine.
      const double part_time = seconds(kHostileBytes / 16);
      EXPECT_LT(seconds(kHostileBytes), 100 * part_time + 0.25)
          << file << " on " << kHostileBytes << " bytes of \"" << part << "\"";
    }
  }
}

void expect_refused(const std::string& json, ErrorKind kind, const std::string& words) {
  const auto tokenizer = load_tokenizer_json(json, "t.json");
  ASSERT_FALSE(tokenizer) << json;
  EXPECT_EQ(tokenizer.error().kind, kind) << tokenizer.error().message();
  EXPECT_THAT(tokenizer.error().message(), HasSubstr(words));
}

TEST(HostileJson, IsRefusedByName) {
  const std::string vocab = R"("vocab":{"a":0,"b":1},"merges":[])";
  const auto with = [&](std::string more) {
    return R"({"model":{"type":"BPE",)" + vocab + "}," + more + "}";
  };
  expect_refused("", ErrorKind::bad_file, "t.json");
  expect_refused("[1]", ErrorKind::bad_file, "JSON object");
  expect_refused("{}", ErrorKind::bad_file, "t.json.model");
  expect_refused(std::string(100000, '['), ErrorKind::bad_file, "JSON");
  expect_refused(R"({"model":{"type":"WordPiece"}})", ErrorKind::unsupported, "WordPiece");
  expect_refused(R"({"model":{"type":"BPE","vocab":{},"merges":[]}})", ErrorKind::bad_file, "empty");
  expect_refused(R"({"model":{"type":"BPE","vocab":{"a":4000000000},"merges":[]}})", ErrorKind::bad_file,
                 "vocab.a");
  expect_refused(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})", ErrorKind::bad_file,
                 "merges[0]");
  expect_refused(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}})",
                 ErrorKind::unsupported, "dropout");
  expect_refused(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[],"speed":1}})", ErrorKind::unsupported,
                 "speed");
  expect_refused(with(R"("normalizer":{"type":"StripAccents"})"), ErrorKind::unsupported, "StripAccents");
  expect_refused(with(R"("pre_tokenizer":{"type":"UnicodeScripts"})"), ErrorKind::unsupported,
                 "UnicodeScripts");
  expect_refused(with(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"})"),
                 ErrorKind::unsupported, "split pattern");
  expect_refused(with(R"("decoder":{"type":"CTC"})"), ErrorKind::unsupported, "CTC");
  expect_refused(with(R"("surprise":1)"), ErrorKind::unsupported, "surprise");
  expect_refused(with(R"("added_tokens":[{"id":0,"content":"x"}])"), ErrorKind::bad_file, "added_tokens[0]");
  std::string nested = R"({"type":"NFC"})";
  for (int i = 0; i < 20; ++i) nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
  expect_refused(with("\"normalizer\":" + nested), ErrorKind::limit_exceeded, "nested");
}

TEST(HostileSentencePiece, IsRefused) {
  const std::string good = test::read_data("sp_bpe.model");
  EXPECT_FALSE(load_sentencepiece("", "t.model"));
  EXPECT_FALSE(load_sentencepiece("garbage", "t.model"));
  for (size_t cut = 1; cut < good.size(); cut += 997) {
    const auto tokenizer = load_sentencepiece(std::string_view(good).substr(0, cut), "t.model");
    if (!tokenizer) EXPECT_THAT(tokenizer.error().message(), HasSubstr("t.model"));
  }
}

GgufTokenizerFields small_gguf() {
  GgufTokenizerFields fields;
  fields.where = "m.gguf";
  fields.model = "gpt2";
  fields.pre = "gpt-2";
  fields.tokens = {"a", "b", "ab", "<e>"};
  fields.token_types = {1, 1, 1, 3};
  fields.merges = {"a b"};
  fields.eos_id = 3;
  return fields;
}

TEST(Gguf, BuildsASmallOne) {
  const auto tokenizer = load_gguf_tokenizer(small_gguf());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message();
  EXPECT_THAT(*(*tokenizer)->encode("abb<e>"), testing::ElementsAre(2u, 1u, 3u));
  EXPECT_THAT((*tokenizer)->end_ids(), testing::ElementsAre(3u));
}

TEST(Gguf, EveryKnownPreNameCompiles) {
  for (const char* pre : {"default", "gpt-2", "llama-bpe", "qwen2", "smollm", "tekken", "deepseek-llm",
                          "deepseek-coder", "deepseek-v3", "gpt-4o", "starcoder", "falcon"}) {
    auto fields = small_gguf();
    fields.pre = pre;
    const auto tokenizer = load_gguf_tokenizer(fields);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message();
    EXPECT_THAT(*(*tokenizer)->encode("ab"), testing::ElementsAre(2u)) << pre;
  }
}

TEST(Gguf, RefusesByName) {
  const auto expect_words = [](const GgufTokenizerFields& fields, const char* words) {
    const auto tokenizer = load_gguf_tokenizer(fields);
    ASSERT_FALSE(tokenizer);
    EXPECT_THAT(tokenizer.error().message(), HasSubstr(words));
  };
  auto fields = small_gguf();
  fields.pre = "klingon";
  expect_words(fields, "klingon");
  expect_words(fields, "llama-bpe");  // the list of known ones
  fields = small_gguf();
  fields.model = "rwkv";
  expect_words(fields, "rwkv");
  fields = small_gguf();
  fields.merges = {"a z"};
  expect_words(fields, "tokenizer.ggml.merges");
  fields = small_gguf();
  fields.eos_id = 77;
  expect_words(fields, "eos");
  fields = small_gguf();
  fields.model = "llama";
  expect_words(fields, "tokenizer.ggml.scores");
  fields = small_gguf();
  fields.token_types.pop_back();
  expect_words(fields, "token_type");
  fields = small_gguf();
  fields.add_bos = true;
  expect_words(fields, "bos_token_id");
}

}  // namespace
}  // namespace tattletale
