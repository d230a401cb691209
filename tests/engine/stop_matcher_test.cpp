#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

namespace tattletale {
namespace {

/// Everything that comes out when `text` goes in cut into pieces of `piece` bytes.
std::string through(StopMatcher matcher, std::string_view text, size_t piece) {
  std::string out;
  for (size_t i = 0; i < text.size(); i += piece) out += matcher.push(text.substr(i, piece));
  return out + matcher.flush();
}

TEST(StopMatcher, CutsAtTheEarliestStopHoweverTheTextArrives) {
  for (size_t piece = 1; piece <= 20; ++piece) {
    EXPECT_EQ(through(StopMatcher({"END", "STOP"}), "one STOP two END", piece), "one ");
    EXPECT_EQ(through(StopMatcher({"STOP"}), "no such thing: STO", piece), "no such thing: STO");
    EXPECT_EQ(through(StopMatcher({"aab"}), "aaaab!", piece), "aa");
    EXPECT_EQ(through(StopMatcher({}), "plain", piece), "plain");
  }
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"\n\n"});
  EXPECT_EQ(matcher.push("a line\n"), "a line");
  EXPECT_EQ(matcher.push("next"), "\nnext");
  EXPECT_EQ(matcher.push("\n\nrest"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.flush(), "");
}

}  // namespace
}  // namespace tattletale
