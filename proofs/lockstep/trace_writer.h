// Writes what is called and answered as 32-bit words to standard output, for check_trace to follow with the
// extracted model. The format is the list of records below; a list is its length and its items.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

namespace tattletale::proofs {

enum class Record : uint32_t {
  kTrie = 1,    // pages, page_tokens: a new trie
  kMatch,       // lease, recompute, [tokens] -> matched, [pages], copy page + 1 or 0, counts
  kFork,        // from, lease -> [pages], counts
  kAllocate,    // lease, number -> done, [pages], counts
  kExtend,      // lease, [tokens] -> published, first replaced, [pages that replace], counts
  kFinish,      // lease, [tokens] -> counts
  kDropCopy,    // lease -> counts
  kRelease,     // lease -> counts
  kEvict,       // number -> freed, counts
  kPin,         // [tokens] -> kept, counts
  kUnpin,       // [tokens] -> whether, counts
  kPeek,        // [tokens] -> matched, counts
  kStructure,   // number of nodes, then each in path order: see cache_trace.cpp
  kTree,        // a new, empty WAVL tree
  kTreeInsert,  // key -> tree in preorder: 0 for none, else 1, key, parity, left, right
  kTreeErase,   // key -> tree
  kEnd = 99     // the number of records before it
};

class TraceWriter {
 public:
  TraceWriter() { words_.reserve(kChunk + 4096); }
  void begin(Record record) {
    if (unbuffered_ || words_.size() >= kChunk) flush();
    if (unbuffered_) std::fflush(stdout);
    word(static_cast<uint32_t>(record));
    ++num_records_;
  }
  void word(uint64_t value) { words_.push_back(static_cast<uint32_t>(value)); }
  template <class T>
  void list(std::span<const T> items) {
    word(items.size());
    for (const T item : items) word(item);
  }
  /// False if the reader has gone.
  bool end() {
    const uint64_t num = num_records_;
    begin(Record::kEnd);
    word(num);
    return flush() && std::fflush(stdout) == 0;
  }

 private:
  static constexpr size_t kChunk = 1 << 16;
  bool flush() {
    const bool written = std::fwrite(words_.data(), 4, words_.size(), stdout) == words_.size();
    words_.clear();
    return written;
  }
  /// For programs that may hang or die: nothing is held back.
  const bool unbuffered_ = std::getenv("CACHE_TRACE_UNBUFFERED") != nullptr;
  std::vector<uint32_t> words_;
  uint64_t num_records_ = 0;
};

}  // namespace tattletale::proofs
