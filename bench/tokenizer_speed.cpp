// Encodes a text file with one tokenizer, one thread, and prints the speed; tokenizer_speed.py runs it beside
// other libraries. Usage: bench_tokenizer_speed tokenizer.(json|model|gguf) TEXT [REPEATS] [IDS_OUT]
// IDS_OUT gets the ids as little-endian u32. With TEXT ending in .records: u32 length + bytes, each record by
// itself.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "../tests/text/tokenizer/gguf_fields.h"
#include "base/file_map.h"
#include "text/tokenizer/load_tokenizer.h"

using namespace tattletale;

namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<std::shared_ptr<const Tokenizer>> load(const std::string& path) {
  TT_ASSIGN(auto map, FileMap::open(path));
  const std::string_view bytes(reinterpret_cast<const char*>(map->bytes().data()), map->bytes().size());
  if (path.ends_with(".json")) return load_tokenizer_json(bytes, path);
  if (path.ends_with(".model")) return load_sentencepiece(bytes, path);
  const GgufTokenizerFields fields = test::GgufFieldReader::read(map);
  const double start = now_s();
  auto tokenizer = load_gguf_tokenizer(fields);
  std::printf("build from fields %.1f ms\n", (now_s() - start) * 1e3);
  return tokenizer;
}

int fail(const std::string& what) {
  std::cerr << what << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return fail("usage: tokenizer_speed SOURCE TEXT [REPEATS] [IDS_OUT]");
  const double start = now_s();
  auto tokenizer = load(argv[1]);
  if (!tokenizer) return fail(tokenizer.error().message());
  std::printf("load %.1f ms\n", (now_s() - start) * 1e3);
  auto map = FileMap::open(argv[2]);
  if (!map) return fail(map.error().message());
  const std::string_view all(reinterpret_cast<const char*>((*map)->bytes().data()), (*map)->bytes().size());
  std::vector<std::string_view> texts;
  if (std::string_view(argv[2]).ends_with(".records")) {
    for (size_t at = 0; at + 4 <= all.size();) {
      uint32_t size;
      std::memcpy(&size, all.data() + at, 4);
      texts.push_back(all.substr(at + 4, size));
      at += 4 + size;
    }
  } else {
    texts.push_back(all);
  }
  const int repeats = argc > 3 ? std::atoi(argv[3]) : 1;
  std::vector<TokenId> ids;
  for (int run = 0; run < repeats; ++run) {
    ids.clear();
    const double begin = now_s();
    for (const std::string_view text : texts) {
      auto part = (*tokenizer)->encode(text);
      if (!part) return fail(part.error().message());
      if (texts.size() > 1) ids.push_back(static_cast<uint32_t>(part->size()));
      if (texts.size() > 1)
        ids.insert(ids.end(), part->begin(), part->end());
      else
        ids = std::move(*part);
    }
    const double seconds = now_s() - begin;
    std::printf("encode %zu bytes %zu ids %.3f ms %.1f MB/s\n", all.size(), ids.size(), seconds * 1e3,
                static_cast<double>(all.size()) / seconds / 1e6);
  }
  if (argc > 4) {
    std::ofstream(argv[4], std::ios::binary)
        .write(reinterpret_cast<const char*>(ids.data()), static_cast<std::streamsize>(ids.size() * 4));
  }
  return 0;
}
