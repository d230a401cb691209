// The time model of steps on simulated devices.
#include "engine/schedule/step_cost.h"

#include <gtest/gtest.h>

#include <random>

namespace tattletale {
namespace {

TEST(StepCost, LearnsWhatADeviceCosts) {
  StepCost cost;
  std::mt19937 random(1);
  for (int step = 0; step < 200; ++step) {
    const uint64_t tokens = 1 + random() % 500, keys = tokens * (random() % 3000);
    cost.learn(tokens, keys, 3000.0 + 350.0 * static_cast<double>(tokens) + 0.05 * static_cast<double>(keys));
  }
  EXPECT_NEAR(cost.expected_us(100, 100000), 3000 + 35000 + 5000, 500);
  EXPECT_NEAR(cost.expected_us(1, 500), 3375, 100);
}

TEST(StepCost, StartsSmallAndGrowsStepByStep) {
  StepCost cost;
  uint32_t tokens = cost.tokens_within(1e9, 0, 0, 512);
  EXPECT_LE(tokens, 8u);
  int steps = 0;
  for (; tokens < 512; ++steps) {
    cost.learn(tokens, 0, 100.0 * tokens);
    const uint32_t next = cost.tokens_within(1e9, 0, 0, 512);
    EXPECT_LE(next, 2 * tokens);
    tokens = next;
  }
  EXPECT_LE(steps, 7);
  EXPECT_EQ(cost.tokens_within(0.001, 0, 0, 512), 1u);  // a step always has one
}

TEST(StepCost, MostStepsEndWithinTheirBudget) {
  std::mt19937 random(2);
  std::normal_distribution<double> noise(1.0, 0.03);
  StepCost cost;
  const double budget = 20000;
  int late = 0;
  uint64_t total = 0, position = 0;
  for (int step = 0; step < 300; ++step) {
    const uint32_t tokens = cost.tokens_within(budget, 0, position, 512);
    const uint64_t keys = tokens * position;
    const double us = (2500.0 + 180.0 * tokens + 0.06 * static_cast<double>(keys)) * noise(random);
    cost.learn(tokens, keys, us);
    late += us > budget;
    total += tokens;
    position = (position + tokens) % 6000;
  }
  EXPECT_LT(late, 30);
  EXPECT_GT(total, 300 * 30u);  // and it uses the time
}

TEST(StepCost, FollowsADeviceThatSlowsDown) {
  StepCost cost;
  for (int step = 0; step < 100; ++step) cost.learn(64, 0, 5000);
  for (int step = 0; step < 100; ++step) cost.learn(64, 0, 15000);
  EXPECT_NEAR(cost.expected_us(64, 0), 15000, 1500);
}

}  // namespace
}  // namespace tattletale
