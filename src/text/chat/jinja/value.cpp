#include "text/chat/jinja/value.h"

#include <cmath>
#include <cstring>

namespace tattletale::jinja {
namespace {

constexpr size_t kIndexFrom = 12;  // smaller dictionaries are searched linearly

uint64_t mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xD6E8FEB86659FD93ull;
  value ^= value >> 32;
  value *= 0xD6E8FEB86659FD93ull;
  return value ^ (value >> 32);
}

/// Differs from process to process, so that keys cannot be chosen to collide.
uint64_t process_seed() {
  static const int anchor = 0;
  static const uint64_t seed = mix(reinterpret_cast<uintptr_t>(&anchor) + 0x9E3779B97F4A7C15ull);
  return seed;
}

}  // namespace

uint64_t hash_string(std::string_view text) {
  uint64_t hash = process_seed() ^ text.size();
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    hash = mix(hash ^ word);
  }
  uint64_t tail = 0;
  std::memcpy(&tail, text.data() + i, text.size() - i);
  return mix(hash ^ tail);
}

uint64_t hash_scalar(const Value& value) {
  if (value.is_string()) {
    return hash_string(value.as_string());
  }
  if (value.is_integral()) {
    return mix(static_cast<uint64_t>(value.as_int()));
  }
  if (value.is(Kind::real)) {
    const double real = value.as_double();
    if (real == std::floor(real) && std::fabs(real) < 9e18) {
      return mix(static_cast<uint64_t>(static_cast<int64_t>(real)));
    }
    uint64_t bits;
    std::memcpy(&bits, &real, 8);
    return mix(bits);
  }
  if (value.is_none() || value.is_undefined()) {
    return mix(static_cast<uint64_t>(value.kind()) + 1);
  }
  return mix(reinterpret_cast<uintptr_t>(value.identity()));
}

bool scalars_equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) {
      return a.as_int() == b.as_int();
    }
    if (a.is(Kind::real) && b.is(Kind::real)) {
      return a.as_double() == b.as_double();
    }
    // An integer against a float, exactly.
    const double real = a.is(Kind::real) ? a.as_double() : b.as_double();
    const int64_t whole = a.is(Kind::real) ? b.as_int() : a.as_int();
    return real >= -9223372036854775808.0 && real < 9223372036854775808.0 && real == std::floor(real) &&
           static_cast<int64_t>(real) == whole;
  }
  if (a.kind() != b.kind()) {
    return false;
  }
  if (a.is_string()) {
    return a.as_string() == b.as_string();
  }
  return a.is_none() || a.is_undefined() || a.identity() == b.identity();
}

bool keys_equal(const Value& a, const Value& b) {
  if (!a.is(Kind::tuple) || !b.is(Kind::tuple)) {
    return scalars_equal(a, b);
  }
  const auto& left = a.list()->items;
  const auto& right = b.list()->items;
  if (left.size() != right.size()) {
    return false;
  }
  for (size_t i = 0; i < left.size(); ++i) {
    if (!keys_equal(left[i], right[i])) {
      return false;
    }
  }
  return true;
}

int64_t Dict::position(const Value& key, uint64_t hash) const {
  if (index.empty()) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].hash == hash && keys_equal(entries[i].key, key)) {
        return static_cast<int64_t>(i);
      }
    }
    return -1;
  }
  const size_t mask = index.size() - 1;
  for (size_t slot = hash & mask; index[slot] != 0; slot = (slot + 1) & mask) {
    const Entry& entry = entries[index[slot] - 1];
    if (entry.hash == hash && keys_equal(entry.key, key)) {
      return index[slot] - 1;
    }
  }
  return -1;
}

void Dict::rebuild_index() {
  size_t size = 32;
  while (size < entries.size() * 4) {
    size *= 2;
  }
  index.assign(size, 0);
  for (size_t i = 0; i < entries.size(); ++i) {
    size_t slot = entries[i].hash & (size - 1);
    while (index[slot] != 0) {
      slot = (slot + 1) & (size - 1);
    }
    index[slot] = static_cast<uint32_t>(i + 1);
  }
}

const Value* Dict::find(const Value& key, uint64_t hash) const {
  const int64_t at = position(key, hash);
  return at < 0 ? nullptr : &entries[static_cast<size_t>(at)].value;
}

const Value* Dict::find(std::string_view key) const {
  const uint64_t hash = hash_string(key);
  const auto matches = [&](const Entry& entry) {
    return entry.hash == hash && entry.key.is_string() && entry.key.as_string() == key;
  };
  if (index.empty()) {
    for (const Entry& entry : entries) {
      if (matches(entry)) {
        return &entry.value;
      }
    }
    return nullptr;
  }
  const size_t mask = index.size() - 1;
  for (size_t slot = hash & mask; index[slot] != 0; slot = (slot + 1) & mask) {
    if (matches(entries[index[slot] - 1])) {
      return &entries[index[slot] - 1].value;
    }
  }
  return nullptr;
}

void Dict::set(Value key, uint64_t hash, Value value) {
  const int64_t at = position(key, hash);
  if (at >= 0) {
    entries[static_cast<size_t>(at)].value = std::move(value);
    return;
  }
  entries.push_back({std::move(key), std::move(value), hash});
  if (entries.size() < kIndexFrom) {
    return;
  }
  if (index.empty() || entries.size() * 2 > index.size()) {
    rebuild_index();
    return;
  }
  size_t slot = hash & (index.size() - 1);
  while (index[slot] != 0) {
    slot = (slot + 1) & (index.size() - 1);
  }
  index[slot] = static_cast<uint32_t>(entries.size());
}

void Dict::set(const Value& string_key, Value value) {
  set(string_key, hash_string(string_key.as_string()), std::move(value));
}

int64_t Range::length() const {
  if (step > 0) {
    return start < stop
               ? static_cast<int64_t>((static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) - 1) /
                                      static_cast<uint64_t>(step)) +
                     1
               : 0;
  }
  return start > stop
             ? static_cast<int64_t>((static_cast<uint64_t>(start) - static_cast<uint64_t>(stop) - 1) /
                                    (0 - static_cast<uint64_t>(step))) +
                   1
             : 0;
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined: return "Undefined";
    case Kind::none: return "NoneType";
    case Kind::boolean: return "bool";
    case Kind::integer: return "int";
    case Kind::real: return "float";
    case Kind::string: return value.is_safe() ? "Markup" : "str";
    case Kind::list: return "list";
    case Kind::tuple: return "tuple";
    case Kind::dict: return "dict";
    case Kind::dict_view: {
      const auto what = value.as<DictView>()->what;
      return what == DictView::keys ? "dict_keys" : what == DictView::values ? "dict_values" : "dict_items";
    }
    case Kind::range: return "range";
    case Kind::iterator: return value.as<Iterator>()->python_type;
    case Kind::name_space: return "Namespace";
    case Kind::macro: return "Macro";
    case Kind::function: return "function";
    case Kind::method: return "builtin_function_or_method";
    case Kind::loop: return "LoopContext";
    case Kind::cycler: return "Cycler";
    case Kind::joiner: return "Joiner";
  }
  return "object";
}

}  // namespace tattletale::jinja
