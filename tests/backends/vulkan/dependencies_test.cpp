// Barriers stand where a dispatch depends on an earlier one, and nowhere else.
#include "backends/vulkan/vulkan_dependencies.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace tattletale::vulkan {
namespace {

bool add(Dependencies& dependencies, std::initializer_list<Touched> touched) {
  return dependencies.add(std::span(touched.begin(), touched.size()));
}
Touched reads(uint64_t first, uint64_t end) {
  return {first, end, false};
}
Touched writes(uint64_t first, uint64_t end) {
  return {first, end, true};
}

TEST(VulkanDependencies, ReadersOfOneBufferRunTogether) {
  Dependencies d;
  EXPECT_FALSE(add(d, {reads(0, 100), writes(1000, 1100)}));
  EXPECT_FALSE(add(d, {reads(0, 100), writes(1100, 1200)}));
  EXPECT_FALSE(add(d, {reads(50, 100), writes(1200, 1300)}));
}

TEST(VulkanDependencies, WritesAreSeenWrittenOverAndNotOvertaken) {
  Dependencies after_write;
  EXPECT_FALSE(add(after_write, {writes(0, 100)}));
  EXPECT_TRUE(add(after_write, {reads(99, 200)}));
  Dependencies over_write;
  EXPECT_FALSE(add(over_write, {writes(0, 100)}));
  EXPECT_TRUE(add(over_write, {writes(0, 1)}));
  Dependencies after_read;
  EXPECT_FALSE(add(after_read, {reads(0, 100), writes(500, 600)}));
  EXPECT_TRUE(add(after_read, {writes(50, 60)}));
}

TEST(VulkanDependencies, NeighboursAreIndependent) {
  Dependencies d;
  EXPECT_FALSE(add(d, {writes(100, 200)}));
  EXPECT_FALSE(add(d, {reads(0, 100), writes(200, 300)}));
}

TEST(VulkanDependencies, ABarrierEndsAllThatCameBeforeIt) {
  Dependencies d;
  EXPECT_FALSE(add(d, {writes(0, 100)}));
  EXPECT_FALSE(add(d, {writes(200, 300)}));
  EXPECT_TRUE(add(d, {reads(0, 100), writes(400, 500)}));
  EXPECT_FALSE(add(d, {reads(200, 300)}));  // written before the barrier
  EXPECT_TRUE(add(d, {reads(400, 500)}));
}

}  // namespace
}  // namespace tattletale::vulkan
