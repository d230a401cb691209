// Finds stop strings in text that arrives in pieces, and holds back only what could still become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tattletale {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);

  /// Takes more text. Returns what is certain not to be part of a stop string.
  std::string push(std::string_view text);

  /// Ends the text: what was held back, unless a stop string was found.
  std::string flush();

  /// A stop string was found; it and everything behind it is dropped.
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;  // none empty
  size_t longest_ = 0;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace tattletale
