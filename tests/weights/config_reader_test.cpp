// Typed configuration reads from JSON and GGUF, and their messages.
#include "weights/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/gguf_writer.h"

namespace tattletale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Json& sample() {
  static const Json json = *parse_json(
      R"({"hidden_size": 576, "rope_theta": 1e4, "eps": 1, "tie": true, "hidden_act": "silu", "none": null,
          "eos_token_id": [1, 2], "bos_token_id": 7, "architectures": ["LlamaForCausalLM"], "factors": [1, 2.5],
          "rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "big": 18446744073709551615, "neg": -3,
          "mixed": [1, "x"], "moe": {}, "experts": 0})",
      "sample");
  return json;
}

ConfigReader reader() {
  return ConfigReader(sample(), "config.json");
}

TEST(ConfigReader, ReadsTypedValues) {
  ConfigReader config = reader();
  EXPECT_EQ(*config.required_int("hidden_size"), 576);
  EXPECT_EQ(*config.required_float("rope_theta"), 1e4);
  EXPECT_EQ(*config.required_float("eps"), 1.0);
  EXPECT_TRUE(*config.required_bool("tie"));
  EXPECT_EQ(*config.required_string("hidden_act"), "silu");
  EXPECT_THAT(*config.required_ints("eos_token_id"), ElementsAre(1, 2));
  EXPECT_THAT(*config.required_floats("factors"), ElementsAre(1, 2.5));
  EXPECT_THAT(*config.required_strings("architectures"), ElementsAre("LlamaForCausalLM"));
  EXPECT_THAT(*config.optional_int_or_ints("eos_token_id"), ElementsAre(1, 2));
  EXPECT_THAT(*config.optional_int_or_ints("bos_token_id"), ElementsAre(7));
  EXPECT_TRUE(config.optional_int_or_ints("absent")->empty());
}

TEST(ConfigReader, AbsentAndNullTakeTheDefault) {
  ConfigReader config = reader();
  for (const char* key : {"absent", "none"}) {
    EXPECT_FALSE(config.has(key));
    EXPECT_EQ(*config.optional_int(key, 5), 5);
    EXPECT_EQ(*config.optional_float(key, 0.5), 0.5);
    EXPECT_EQ(*config.optional_bool(key, true), true);
    EXPECT_EQ(*config.optional_string(key, "x"), "x");
    EXPECT_FALSE(config.optional_object(key)->has_value());
    EXPECT_TRUE(config.expect_string(key, {"silu"}));
    EXPECT_TRUE(config.refuse(key, "why"));
  }
}

TEST(ConfigReader, ErrorsNameFileKeyFoundAndExpected) {
  ConfigReader config = reader();
  const auto absent = config.required_int("absent");
  EXPECT_EQ(absent.error().kind, ErrorKind::not_found);
  EXPECT_EQ(absent.error().message(),
            "config.json, key \"absent\": is missing, and the model cannot be computed without it");
  EXPECT_EQ(config.required_int("hidden_act").error().message(),
            "config.json, key \"hidden_act\": is \"silu\", expected a whole number");
  EXPECT_EQ(config.required_int("hidden_size", 1, 100).error().message(),
            "config.json, key \"hidden_size\": is 576, expected a whole number from 1 to 100");
  EXPECT_THAT(config.required_int("big").error().message(), HasSubstr("is 18446744073709551615"));
  EXPECT_THAT(config.required_int("rope_theta").error().message(),
              HasSubstr("is 10000.0, expected a whole number"));
  EXPECT_THAT(config.optional_int("tie", 1).error().message(), HasSubstr("is true, expected a whole number"));
  EXPECT_THAT(config.required_float("tie").error().message(), HasSubstr("expected a finite number"));
  EXPECT_THAT(config.required_bool("eps").error().message(), HasSubstr("is 1, expected true or false"));
  EXPECT_THAT(config.required_string("eps").error().message(), HasSubstr("is 1, expected a string"));
  EXPECT_THAT(config.required_ints("factors").error().message(),
              HasSubstr("is [1,2.5], expected an array of whole"));
  EXPECT_THAT(config.required_ints("eps").error().message(), HasSubstr("expected an array of whole numbers"));
  EXPECT_THAT(config.required_floats("mixed").error().message(),
              HasSubstr("expected an array of finite numbers"));
  EXPECT_THAT(config.required_strings("mixed").error().message(), HasSubstr("expected an array of strings"));
  EXPECT_THAT(config.optional_int_or_ints("hidden_act").error().message(), HasSubstr("or an array of them"));
  EXPECT_THAT(config.optional_object("eps").error().message(), HasSubstr("is 1, expected an object"));
}

TEST(ConfigReader, RefusesByName) {
  ConfigReader config = reader();
  EXPECT_TRUE(config.expect_string("hidden_act", {"gelu", "silu"}));
  const auto act = config.expect_string("hidden_act", {"gelu", "relu"});
  EXPECT_EQ(act.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(
      act.error().message(),
      "config.json, key \"hidden_act\": is \"silu\", which is not supported; expected \"gelu\" or \"relu\"");
  EXPECT_THAT(config.expect_string("eps", {"x"}).error().message(),
              HasSubstr("is 1, which is not supported"));
  EXPECT_TRUE(config.expect_bool("tie", true));
  EXPECT_THAT(config.expect_bool("tie", false).error().message(),
              HasSubstr("is true, which is not supported"));
  EXPECT_TRUE(config.expect_int("neg", -3));
  EXPECT_THAT(config.expect_int("neg", 1).error().message(),
              HasSubstr("is -3, which is not supported; expected 1"));
  EXPECT_TRUE(config.expect_float("eps", 1.0));
  EXPECT_FALSE(config.expect_float("rope_theta", 1.0));
  EXPECT_TRUE(config.refuse("moe", "no experts yet"));
  EXPECT_TRUE(config.refuse("experts", "no experts yet"));
  EXPECT_THAT(
      config.refuse("rope_scaling", "only plain rope").error().message(),
      HasSubstr("is {\"rope_type\":\"yarn\",\"factor\":4.0}, which is not supported: only plain rope"));
}

TEST(ConfigReader, NestedObjectsKeepTheirPlace) {
  ConfigReader config = reader();
  auto scaling = config.optional_object("rope_scaling");
  ASSERT_TRUE(scaling && *scaling);
  EXPECT_EQ(*(*scaling)->required_float("factor"), 4.0);
  EXPECT_EQ((*scaling)->expect_string("rope_type", {"llama3", "linear"}).error().message(),
            "config.json, key \"rope_scaling.rope_type\": is \"yarn\", which is not supported; expected "
            "\"llama3\" or "
            "\"linear\"");
}

TEST(ConfigReader, KnowsWhichKeysNobodyRead) {
  const Json json = *parse_json(R"({"a": 1, "b": 2, "c": 3})", "x");
  ConfigReader config(json, "x");
  ASSERT_TRUE(config.required_int("b"));
  EXPECT_THAT(config.unread_keys(), ElementsAre("a", "c"));
}

TEST(ConfigReader, ReadsGgufKeysBelowAPrefix) {
  GgufWriter writer;
  writer.add_string("general.architecture", "llama");
  writer.add_u32("llama.embedding_length", 576);
  writer.add_f32("llama.rope.freq_base", 1e4f);
  writer.add_string("llama.rope.scaling.type", "yarn");
  writer.add_i32_array("llama.pattern", std::vector<int32_t>{1, 0});
  writer.add_bool("llama.causal", true);
  const auto bytes = writer.to_bytes();
  const auto file = GgufFile::parse(*bytes, nullptr, "m.gguf");
  ASSERT_TRUE(file);
  ConfigReader config(**file, "llama");
  EXPECT_EQ(*config.required_int("embedding_length"), 576);
  EXPECT_EQ(*config.required_float("rope.freq_base"), 1e4);
  EXPECT_THAT(*config.required_ints("pattern"), ElementsAre(1, 0));
  EXPECT_TRUE(config.expect_bool("causal", true));
  EXPECT_EQ(
      config.expect_string("rope.scaling.type", {"none"}).error().message(),
      "m.gguf, key \"llama.rope.scaling.type\": is \"yarn\", which is not supported; expected \"none\"");
  EXPECT_EQ(config.required_int("block_count").error().message(),
            "m.gguf, key \"llama.block_count\": is missing, and the model cannot be computed without it");
  EXPECT_TRUE(config.unread_keys().size() == 0);
  auto scaling = config.optional_object("rope.scaling");
  ASSERT_TRUE(scaling && *scaling);
  EXPECT_EQ(*(*scaling)->required_string("type"), "yarn");
  EXPECT_FALSE(config.optional_object("moe")->has_value());
  ConfigReader whole(**file, "");
  EXPECT_EQ(*whole.required_string("general.architecture"), "llama");
}

}  // namespace
}  // namespace tattletale
