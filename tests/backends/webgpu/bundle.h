// Writes launches with their WGSL and expected results into one JSON file, for bundle_check.mjs to run in a
// browser or in Node.
#pragma once

#include <string>
#include <vector>

#include "backends/webgpu/launch.h"

namespace tattletale::test {

class Bundle {
 public:
  /// A launch to run and compare; `needs` are the names bundle_check.mjs knows features by.
  void add(const KernelLaunch& launch, const std::string& name, const std::string& wgsl,
           std::vector<std::string> needs, const std::vector<std::vector<uint32_t>>& expected);
  /// A program that must be accepted.
  void add_text(const std::string& name, const std::string& wgsl);
  size_t size() const { return cases_.size(); }
  void write(const std::string& path) const;

 private:
  std::vector<std::string> cases_;
};

}  // namespace tattletale::test
