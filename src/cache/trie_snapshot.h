// Saves a trie and its pages to a file and brings them back after a restart. The caller moves page contents;
// this writes the structure, versions and checksums, and believes nothing that it reads.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cache/radix_trie.h"

namespace tattletale {

class TrieSnapshot {
 public:
  /// Fills `out` with the contents of the page's first num_tokens rows.
  using ReadPage = std::function<Result<void>(PageId page, uint32_t num_tokens, std::vector<std::byte>& out)>;
  /// Puts such contents into a page.
  using WritePage =
      std::function<Result<void>(PageId page, uint32_t num_tokens, std::span<const std::byte> in)>;

  /// Writes everything published; private pages and checkpoints are not saved, pins and ages are.
  /// `fingerprint` names what the pages were computed with (model, weights, dtype, KV format) and must be
  /// equal at restore. Errors: io; whatever read_page returns.
  static Result<void> save(const RadixTrie& trie, std::string_view fingerprint, const ReadPage& read_page,
                           std::ostream& out);

  /// Fills `trie`, which must be empty and unleased, and returns the number of tokens cached. On error it is
  /// left empty. Errors: bad_file (damage, with the place), invalid_argument (another fingerprint or page
  /// size, trie not empty), limit_exceeded (the pool is smaller than the snapshot); whatever write_page
  /// returns.
  static Result<uint64_t> restore(RadixTrie& trie, std::string_view fingerprint, const WritePage& write_page,
                                  std::istream& in);

 private:
  struct Reader;
  static Result<void> restore_node(RadixTrie& trie, Reader& reader, std::vector<NodeIndex>& by_number,
                                   std::vector<TokenId>& path);
  static Result<void> restore_pages(RadixTrie& trie, Reader& reader, const WritePage& write_page,
                                    const std::vector<NodeIndex>& by_number);
  static void join_up(RadixTrie& trie, const std::vector<NodeIndex>& by_number);
  static void clear(RadixTrie& trie);
};

}  // namespace tattletale
