#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace tattletale {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
  for (const std::string& stop : stops_) longest_ = std::max(longest_, stop.size());
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped_) return {};
  held_ += text;
  size_t found = std::string::npos;
  for (const std::string& stop : stops_) found = std::min(found, held_.find(stop));
  if (found != std::string::npos) {
    stopped_ = true;
    return std::exchange(held_, {}).substr(0, found);
  }
  // Keep the longest tail that begins a stop string.
  size_t keep = std::min(held_.size(), longest_ == 0 ? 0 : longest_ - 1);
  for (; keep > 0; --keep) {
    const std::string_view tail = std::string_view(held_).substr(held_.size() - keep);
    if (std::ranges::any_of(stops_, [&](const std::string& stop) { return stop.starts_with(tail); })) break;
  }
  std::string ready = held_.substr(0, held_.size() - keep);
  held_.erase(0, ready.size());
  return ready;
}

std::string StopMatcher::flush() {
  return stopped_ ? std::string() : std::exchange(held_, {});
}

}  // namespace tattletale
