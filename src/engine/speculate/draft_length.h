// How many tokens to guess, learned from how many of the last guesses were right. Pure logic.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tattletale {

class DraftLength {
 public:
  /// Tokens to guess in this step, at most `most`; 0 while guessing has just failed again and again.
  uint32_t next(uint32_t most) {
    if (pause_ > 0) {
      --pause_;
      return 0;
    }
    return std::min(length_, most);
  }

  /// `accepted` of `proposed` (at least one) were right.
  void learn(uint32_t proposed, uint32_t accepted) {
    if (accepted == proposed) {
      length_ = std::min(std::max(length_, proposed) + 2, kLongest);
    } else {
      length_ = accepted + 1;
    }
    failures_ = accepted > 0 ? 0 : std::min(failures_ + 1, kMaxFailures);
    pause_ = failures_ < 2 ? 0 : 1u << (failures_ - 2);  // 1, 2, 4, ... steps without a guess
  }

 private:
  static constexpr uint32_t kFirst = 4;
  static constexpr uint32_t kLongest = 64;
  static constexpr uint32_t kMaxFailures = 6;

  uint32_t length_ = kFirst;
  uint32_t failures_ = 0;  // guesses in a row of which no token was right
  uint32_t pause_ = 0;
};

}  // namespace tattletale
