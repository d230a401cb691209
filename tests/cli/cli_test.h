// What the tests of the command line share: one tiny model per test program, and matchers.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/program.h"
#include "cli/tiny_gguf.h"

namespace tattletale::testing {

/// The tiny model with its chat template, written on first use.
inline const std::string& tiny_model_path() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    std::string file = folder.file("tiny.gguf");
    write_tiny_gguf(file);
    return file;
  }();
  return path;
}

/// One whose answers of --max-tokens 100000 take long enough to be interrupted.
inline const std::string& slow_model_path() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    std::string file = folder.file("slow.gguf");
    TinyGguf model;
    model.context_tokens = 110000;
    write_tiny_gguf(file, model);
    return file;
  }();
  return path;
}

/// Valid JSON, or a test failure.
inline Json json_of(const std::string& text) {
  Result<Json> json = parse_json(text, "output");
  EXPECT_TRUE(json.has_value()) << text;
  return json ? *json : Json();
}

}  // namespace tattletale::testing
