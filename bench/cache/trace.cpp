// Trace generation and reading.
#include "trace.h"

#include <charconv>
#include <fstream>
#include <random>
#include <sstream>

namespace tattletale::bench {
namespace {

constexpr uint64_t kMaxRunTokens = 1'000'000;
constexpr uint32_t kVocabulary = 128'000;

void append_run(uint64_t seed, uint64_t length, std::vector<uint32_t>& out) {
  for (uint64_t i = 0; i < length; ++i) {
    uint64_t x = seed * 0x9e3779b97f4a7c15ull + i * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 31)) * 0x94d049bb133111ebull;
    out.push_back(static_cast<uint32_t>((x >> 33) % kVocabulary));
  }
}

/// A conversation so far: runs as they are written to the file.
struct Thread {
  std::string runs;
};

}  // namespace

Result<std::string> make_trace(const std::string& kind, uint64_t num_requests, uint64_t seed) {
  if (kind != "chat" && kind != "system" && kind != "agents" && kind != "documents") {
    return make_error(ErrorKind::invalid_argument, "trace kind",
                      "found \"" + kind + "\", expected chat, system, agents or documents");
  }
  std::mt19937_64 random(seed);
  const auto between = [&](uint64_t low, uint64_t high) { return low + random() % (high - low + 1); };
  uint64_t next_run = seed * 1'000'000;
  const auto run = [&](uint64_t length) {
    return " " + std::to_string(next_run++) + ":" + std::to_string(length);
  };

  const std::string shared = run(kind == "documents" ? 50 : 500);
  std::vector<Thread> threads;
  const uint64_t num_threads = kind == "chat" ? 64 : kind == "agents" ? 32 : 24;
  for (uint64_t i = 0; i < num_threads; ++i) {
    threads.push_back({shared + (kind == "documents" ? run(between(8'000, 40'000)) : "")});
  }
  std::string out = "# tattletale trace 2 " + kind + " seed " + std::to_string(seed) + "\n";
  for (uint64_t i = 0; i < num_requests; ++i) {
    Thread& thread = threads[random() % threads.size()];
    const std::string prompt = (kind == "system" ? shared : thread.runs) + run(between(10, 200));
    const std::string answer = run(between(20, 300));
    out += "prompt" + prompt + " answer" + answer + "\n";
    const std::string onward = " @" + std::to_string(i);
    if (kind == "chat") thread.runs = random() % 12 == 0 ? shared : onward;
    if (kind == "agents") {  // a step goes on from this thread or starts a branch beside it
      threads[random() % 3 == 0 ? random() % threads.size() : static_cast<size_t>(&thread - threads.data())]
          .runs = random() % 20 == 0 ? shared : onward;
    }
  }
  return out;
}

Result<std::vector<TraceRequest>> read_trace(const std::string& path) {
  std::ifstream file(path);
  if (!file) return make_error(ErrorKind::io, path, "cannot be opened");
  std::vector<TraceRequest> requests;
  std::string line;
  for (uint64_t number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    TraceRequest request;
    std::vector<uint32_t>* into = nullptr;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      uint64_t seed = 0, length = 0;
      char colon = 0;
      std::istringstream parts(word);
      if (word == "prompt") {
        into = &request.prompt;
      } else if (word == "answer") {
        into = &request.answer;
      } else if (word[0] == '@' && into == &request.prompt && into->empty() && !request.after) {
        size_t earlier = 0;
        const auto [end, status] = std::from_chars(word.data() + 1, word.data() + word.size(), earlier);
        if (status != std::errc() || end != word.data() + word.size() || earlier >= requests.size()) {
          return make_error(ErrorKind::bad_file, path + " line " + std::to_string(number),
                            "found \"" + word.substr(0, 40) + "\", expected @ and an earlier request");
        }
        request.after = earlier;
      } else if (into != nullptr && (parts >> seed >> colon >> length) && colon == ':' &&
                 length <= kMaxRunTokens) {
        append_run(seed, length, *into);
      } else {
        return make_error(ErrorKind::bad_file, path + " line " + std::to_string(number),
                          "found \"" + word.substr(0, 40) + "\", expected prompt, answer or SEED:LENGTH");
      }
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace tattletale::bench
