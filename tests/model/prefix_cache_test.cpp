// Every tiny architecture, sliding windows and all, through the engine's prefix cache: a request that finds
// its beginning there gets the tokens that it gets alone.
#include <gtest/gtest.h>

#include "backends/cpu/cpu_device.h"
#include "engine/engine.h"
#include "model/architecture.h"
#include "model/tiny_checkpoint.h"

namespace tattletale::testing {
namespace {

struct Answer {
  std::vector<uint32_t> tokens;
  RequestProgress progress;
};

class PrefixCache : public ::testing::Test {
 protected:
  static std::unique_ptr<Engine> engine(Device& device, const Decoder& decoder) {
    EngineOptions options;
    options.context_tokens = options.kv_tokens = 256;
    options.page_tokens = 16;
    options.step_tokens = 48;
    return std::move(*Engine::create(device, decoder, options));
  }

  static Answer answer(Engine& engine, std::vector<uint32_t> prompt) {
    const SessionId session = engine.create_session();
    TokenRequest request;
    request.prompt = std::move(prompt);
    request.max_new_tokens = 12;
    EXPECT_TRUE(engine.submit(session, std::move(request)).has_value());
    while (*engine.step()) continue;
    Answer made{engine.take_tokens(session), engine.progress(session)};
    engine.free_session(session);
    return made;
  }
};

TEST_F(PrefixCache, AHitGivesTheTokensOfAMissInEveryArchitecture) {
  size_t num_windowed = 0;
  for (const TinyCase& tiny : tiny_cases()) {
    SCOPED_TRACE(tiny.name);
    const ModelFiles files = tiny_safetensors(tiny, all_tensors(DType::f32));
    const std::unique_ptr<Device> device = std::move(*open_cpu_device(2));
    Result<std::unique_ptr<Decoder>> decoder = load_decoder(*device, files, 256);
    ASSERT_TRUE(decoder.has_value()) << decoder.error().message();
    const auto& layers = (*decoder)->config().layers;
    num_windowed +=
        std::ranges::any_of(layers, [](const LayerAttention& layer) { return layer.window_tokens != 0; });

    std::vector<uint32_t> prompt;
    for (uint32_t i = 0; i < 150; ++i) prompt.push_back((i * i + 7 * i + 3) % kTinyVocab);
    const std::unique_ptr<Engine> shared = engine(*device, **decoder);
    answer(*shared, prompt);
    for (const size_t keep : {16u, 37u, 100u, 149u}) {
      std::vector<uint32_t> other(prompt.begin(), prompt.begin() + static_cast<ptrdiff_t>(keep));
      other.push_back((prompt[keep] + 1) % kTinyVocab);
      other.push_back(5);
      const Answer hit = answer(*shared, other);
      EXPECT_EQ(hit.progress.cached_tokens, keep);
      EXPECT_EQ(hit.progress.forwarded_tokens, 2 + 11u);
      const Answer miss = answer(*engine(*device, **decoder), other);
      EXPECT_EQ(miss.progress.cached_tokens, 0u);
      EXPECT_EQ(hit.tokens, miss.tokens) << keep << " tokens shared";
    }
  }
  EXPECT_GT(num_windowed, 0u);
}

}  // namespace
}  // namespace tattletale::testing
