// Rotary frequencies against transformers' ROPE_INIT_FUNCTIONS, read through the same configuration keys.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "model/archs/rope_config.h"

namespace tattletale::testing {
namespace {

TEST(RopeScaling, MatchesTransformers) {
  std::ifstream file(std::string(TT_TEST_DATA) + "/model/ropes.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Result<Json> list = parse_json(text, "ropes.json");
  ASSERT_TRUE(list.has_value()) << list.error().message();
  ASSERT_GE(list->size(), 10u);
  for (const Json& recorded : *list) {
    const std::string name = recorded.at("name");
    DecoderConfig decoder;
    decoder.head_dim = recorded.at("head_dim");
    decoder.context_tokens = recorded.at("max_position_embeddings");
    ConfigReader config(recorded.at("keys"), name);
    const Result<RopeConfig> rope = read_hf_rope(config, {}, decoder);
    ASSERT_TRUE(rope.has_value()) << rope.error().message();
    const Json& seq_len = recorded.at("seq_len");
    const RopeTable table = make_rope_table(*rope, seq_len.is_null() ? 0 : seq_len.get<uint64_t>());
    const std::vector<float> expected = recorded.at("inv_freq").get<std::vector<float>>();
    ASSERT_EQ(table.inv_freq.size(), expected.size()) << name;
    for (size_t i = 0; i < expected.size(); ++i) {
      // transformers raises to powers in f32: a few units in the last place.
      EXPECT_NEAR(table.inv_freq[i], expected[i], 1e-6 * expected[i]) << name << " frequency " << i;
    }
    EXPECT_NEAR(table.attention_factor, recorded.at("attention_factor").get<double>(), 1e-6) << name;
  }
}

TEST(RopeScaling, DivisorsDivide) {
  RopeConfig config;
  config.rotary_dim = 8;
  const RopeTable plain = make_rope_table(config, 0);
  config.frequency_divisors = {1.0f, 2.0f, 4.0f, 8.0f};
  const RopeTable divided = make_rope_table(config, 0);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_FLOAT_EQ(divided.inv_freq[i], plain.inv_freq[i] / config.frequency_divisors[i]);
}

TEST(RopeScaling, DynamicStaysPlainWithinTheOriginalContext) {
  RopeConfig config;
  config.rotary_dim = 16;
  const RopeTable plain = make_rope_table(config, 0);
  config.kind = RopeScalingKind::dynamic;
  config.scale = 4.0;
  config.original_context_tokens = 100;
  EXPECT_EQ(make_rope_table(config, 100).inv_freq, plain.inv_freq);
  EXPECT_NE(make_rope_table(config, 101).inv_freq, plain.inv_freq);
}

}  // namespace
}  // namespace tattletale::testing
