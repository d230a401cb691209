// Opening models from every kind of path.
#include "weights/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "weights/gguf_writer.h"
#include "weights/safetensors_writer.h"
#include "weights/temp_folder.h"

namespace tattletale {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<float> kRow = {1, 2, 3, 4, 5, 6};

std::span<const std::byte> row_data() {
  return std::as_bytes(std::span(kRow));
}

void write_safetensors(const TempFolder& folder, const std::string& name, const std::string& tensor = "w") {
  SafetensorsWriter writer;
  writer.add_tensor(tensor, DType::f32, {2, 3}, row_data());
  ASSERT_TRUE(writer.write(folder / name));
}

void write_gguf(const TempFolder& folder, const std::string& name) {
  GgufWriter writer;
  writer.add_string("general.architecture", "llama");
  writer.add_tensor("w", DType::f32, {2, 3}, row_data());
  ASSERT_TRUE(writer.write(folder / name));
}

TEST(ModelFiles, OpensAFolderWithSafetensors) {
  TempFolder folder;
  write_safetensors(folder, "model.safetensors");
  folder.write("config.json", R"({"model_type": "llama"})");
  folder.write("generation_config.json", R"({"temperature": 0.6})");
  folder.write("tokenizer.json", "{}");
  folder.write("chat_template.jinja", "x");
  const auto model = open_model(folder.path());
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_EQ(model->source, ModelSource::safetensors);
  EXPECT_EQ(model->config["model_type"], "llama");
  EXPECT_EQ(model->generation_config["temperature"], 0.6);
  EXPECT_EQ(model->tokenizer.tokenizer_json, folder / "tokenizer.json");
  EXPECT_EQ(model->tokenizer.chat_template, folder / "chat_template.jinja");
  EXPECT_TRUE(model->tokenizer.tokenizer_model.empty());
  EXPECT_THAT(model->names(), ElementsAre("w"));
  EXPECT_EQ(model->weight_bytes, 24u);
  ASSERT_NE(model->find("w"), nullptr);
  EXPECT_EQ(model->find("w")->shape, Shape({2, 3}));
  EXPECT_EQ(model->find("absent"), nullptr);
  EXPECT_THAT(model->tensor("absent").error().message(),
              HasSubstr("model.safetensors: has no tensor \"absent\""));
}

TEST(ModelFiles, OpensGgufFilesAndFoldersWithOne) {
  TempFolder folder;
  write_gguf(folder, "m.gguf");
  for (const auto& path : {folder / "m.gguf", folder.path()}) {
    const auto model = open_model(path);
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_EQ(model->source, ModelSource::gguf);
    EXPECT_EQ(*model->gguf->get_string("general.architecture"), "llama");
    EXPECT_TRUE(model->config.is_null());
    ASSERT_NE(model->find("w"), nullptr);
    EXPECT_EQ(model->weight_bytes, 24u);
  }
  write_gguf(folder, "other.gguf");
  const auto two = open_model(folder.path());
  ASSERT_FALSE(two);
  EXPECT_THAT(two.error().message(), HasSubstr("has 2 .gguf files; name the file to open"));
}

TEST(ModelFiles, ViewsLiveAsLongAsTheOwner) {
  TempFolder folder;
  write_gguf(folder, "m.gguf");
  std::shared_ptr<const void> owner;
  TensorView view;
  {
    auto model = open_model(folder / "m.gguf");
    ASSERT_TRUE(model);
    const ModelFiles moved = std::move(*model);
    owner = moved.owner;
    view = *moved.find("w");
  }
  EXPECT_EQ(std::memcmp(view.bytes.data(), kRow.data(), 24), 0);
}

TEST(ModelFiles, OpensASingleSafetensorsFileAndAnIndex) {
  TempFolder folder;
  write_safetensors(folder, "weights.safetensors");
  const auto lone = open_model(folder / "weights.safetensors");
  ASSERT_FALSE(lone);
  EXPECT_EQ(lone.error().kind, ErrorKind::not_found);
  EXPECT_THAT(lone.error().message(), HasSubstr("config.json: the model's config.json must lie beside"));
  folder.write("config.json", "{}");
  EXPECT_TRUE(open_model(folder / "weights.safetensors"));
  EXPECT_TRUE(open_model(folder.path()));
  write_safetensors(folder, "more.safetensors", "v");
  EXPECT_THAT(open_model(folder.path()).error().message(), HasSubstr("has 2 .safetensors files and neither"));
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"w":"weights.safetensors","v":"more.safetensors"}})");
  const auto sharded = open_model(folder.path());
  ASSERT_TRUE(sharded) << sharded.error().message();
  EXPECT_THAT(sharded->names(), ElementsAre("w", "v"));
}

TEST(ModelFiles, SaysWhatItLookedFor) {
  TempFolder folder;
  EXPECT_EQ(open_model(folder / "absent").error().kind, ErrorKind::not_found);
  EXPECT_THAT(open_model(folder.path()).error().message(),
              HasSubstr("found neither a .gguf file nor config.json with model.safetensors or "
                        "model.safetensors.index.json"));
  folder.write("weights.bin", "x");
  EXPECT_THAT(open_model(folder / "weights.bin").error().message(), HasSubstr("is no model file: expected"));
  write_safetensors(folder, "model.safetensors");
  folder.write("config.json", "[1]");
  EXPECT_THAT(open_model(folder.path()).error().message(),
              HasSubstr("config.json: holds a JSON array, expected an object"));
  folder.write("config.json", "{");
  EXPECT_THAT(open_model(folder.path()).error().message(), HasSubstr("config.json: not valid JSON at byte"));
}

TEST(ModelFiles, TensorsOfUnknownTypeAreListedButNotFound) {
  TempFolder folder;
  folder.write("config.json", "{}");
  const std::string header = R"({"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})";
  const uint64_t length = header.size();
  folder.write("model.safetensors", std::string(reinterpret_cast<const char*>(&length), 8) + header + "x");
  const auto model = open_model(folder.path());
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_THAT(model->names(), ElementsAre("t"));
  EXPECT_EQ(model->find("t"), nullptr);
  EXPECT_THAT(model->tensor("t").error().message(),
              HasSubstr("is stored as \"F4\", which cannot be computed"));
}

}  // namespace
}  // namespace tattletale
