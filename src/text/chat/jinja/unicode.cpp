#include "text/chat/jinja/unicode.h"

#include <algorithm>
#include <span>

#include "text/chat/jinja/unicode_tables.h"

namespace tattletale::jinja {
namespace {

bool in_ranges(std::span<const CodeRange> ranges, uint32_t code) {
  auto it = std::upper_bound(ranges.begin(), ranges.end(), code,
                             [](uint32_t value, const CodeRange& range) { return value < range.first; });
  return it != ranges.begin() && code <= std::prev(it)->last;
}

struct CaseTable {
  std::span<const CaseRun> runs;
  std::span<const CaseSpecial> special;
};

void append_mapped(std::string& out, const CaseTable& table, uint32_t code) {
  auto special =
      std::lower_bound(table.special.begin(), table.special.end(), code,
                       [](const CaseSpecial& entry, uint32_t value) { return entry.code < value; });
  if (special != table.special.end() && special->code == code) {
    out += special->text;
    return;
  }
  auto it = std::upper_bound(table.runs.begin(), table.runs.end(), code,
                             [](uint32_t value, const CaseRun& run) { return value < run.first; });
  // Runs of step 2 may interleave, so the match can be one run earlier.
  for (int back = 0; back < 2 && it != table.runs.begin(); ++back) {
    --it;
    if (code <= it->last && (code - it->first) % it->step == 0) {
      append_character(out, static_cast<uint32_t>(static_cast<int64_t>(code) + it->delta));
      return;
    }
  }
  append_character(out, code);
}

CaseTable upper_table() {
  return {kToUpper, kToUpperSpecial};
}
CaseTable lower_table() {
  return {kToLower, kToLowerSpecial};
}
CaseTable title_table() {
  return {kToTitle, kToTitleSpecial};
}

bool is_cased(uint32_t code) {
  return is_lowercase(code) || is_uppercase(code) || is_titlecase(code);
}

/// Greek capital sigma becomes a final sigma at the end of a word.
bool is_final_sigma(std::string_view text, size_t position) {
  size_t before = position;
  bool cased_before = false;
  while (before > 0) {
    --before;
    while (before > 0 && (static_cast<uint8_t>(text[before]) & 0xC0) == 0x80) {
      --before;
    }
    const uint32_t code = character_at(text, before).code;
    if (code == '\'' || code == 0xAD || code == 0x2019) {
      continue;
    }
    cased_before = is_cased(code);
    break;
  }
  if (!cased_before) {
    return false;
  }
  for (size_t after = position + 2; after < text.size();) {
    const Character next = character_at(text, after);
    after += next.num_bytes;
    if (next.code == '\'' || next.code == 0xAD || next.code == 0x2019) {
      continue;
    }
    return !is_cased(next.code);
  }
  return true;
}

void append_lower(std::string& out, std::string_view text, size_t position, uint32_t code) {
  if (code == 0x3A3 && is_final_sigma(text, position)) {
    append_character(out, 0x3C2);
  } else {
    append_mapped(out, lower_table(), code);
  }
}

}  // namespace

Character character_at(std::string_view text, size_t position) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[position + i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const uint32_t num_bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  const Character broken{0x110000u + lead, 1};
  if (lead < 0xC2 || lead > 0xF4 || text.size() - position < num_bytes) {
    return broken;
  }
  uint32_t code = lead & (0xFFu >> (num_bytes + 1));
  for (uint32_t i = 1; i < num_bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return broken;
    }
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  const bool overlong = (num_bytes == 3 && code < 0x800) || (num_bytes == 4 && code < 0x10000);
  return overlong || code > 0x10FFFF ? broken : Character{code, num_bytes};
}

void append_character(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x110000) {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(code - 0x110000);
  }
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) {
    i += static_cast<uint8_t>(text[i]) < 0x80 ? 1 : character_at(text, i).num_bytes;
  }
  return count;
}

size_t byte_position(std::string_view text, size_t index) {
  size_t position = 0;
  while (index > 0 && position < text.size()) {
    position += character_at(text, position).num_bytes;
    --index;
  }
  return position;
}

bool is_space(uint32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}
bool is_line_break(uint32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
         code == 0x2029;
}
bool is_alphabetic(uint32_t code) {
  return in_ranges(kAlphabetic, code);
}
bool is_decimal(uint32_t code) {
  return in_ranges(kDecimal, code);
}
bool is_digit(uint32_t code) {
  return in_ranges(kDigit, code);
}
bool is_numeric(uint32_t code) {
  return in_ranges(kNumeric, code);
}
bool is_printable(uint32_t code) {
  return in_ranges(kPrintable, code);
}
bool is_lowercase(uint32_t code) {
  return in_ranges(kLowercase, code);
}
bool is_uppercase(uint32_t code) {
  return in_ranges(kUppercase, code);
}
bool is_titlecase(uint32_t code) {
  return in_ranges(kTitlecase, code);
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    append_mapped(out, upper_table(), c.code);
    i += c.num_bytes;
  }
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    append_lower(out, text, i, c.code);
    i += c.num_bytes;
  }
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (in_word) {
      append_lower(out, text, i, c.code);
    } else {
      append_mapped(out, title_table(), c.code);
    }
    in_word = is_cased(c.code);
    i += c.num_bytes;
  }
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (i == 0) {
      append_mapped(out, title_table(), c.code);
    } else {
      append_lower(out, text, i, c.code);
    }
    i += c.num_bytes;
  }
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (is_uppercase(c.code)) {
      append_lower(out, text, i, c.code);
    } else if (is_lowercase(c.code)) {
      append_mapped(out, upper_table(), c.code);
    } else {
      append_character(out, c.code);
    }
    i += c.num_bytes;
  }
  return out;
}

std::string_view strip(std::string_view text, const std::string_view* set, bool left, bool right) {
  bool table[128] = {};
  std::vector<uint32_t> wide;
  for (size_t i = 0; set != nullptr && i < set->size();) {
    const Character c = character_at(*set, i);
    if (c.code < 128) {
      table[c.code] = true;
    } else {
      wide.push_back(c.code);
    }
    i += c.num_bytes;
  }
  std::sort(wide.begin(), wide.end());
  const auto dropped = [&](uint32_t code) {
    if (set == nullptr) {
      return is_space(code);
    }
    return code < 128 ? table[code] : std::binary_search(wide.begin(), wide.end(), code);
  };
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end) {
    const Character c = character_at(text, begin);
    if (!dropped(c.code)) {
      break;
    }
    begin += c.num_bytes;
  }
  while (right && end > begin) {
    // The start of the last character: at most three continuation bytes back, if that decodes to exactly it.
    size_t start = end - 1;
    for (size_t back = 1; back <= 4 && back <= end - begin; ++back) {
      if (character_at(text, end - back).num_bytes == back) {
        start = end - back;
        if (back > 1 || static_cast<uint8_t>(text[end - 1]) < 0x80) {
          break;
        }
      }
    }
    if (!dropped(character_at(text, start).code)) {
      break;
    }
    end = start;
  }
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const size_t line_end = i;
    i += c.num_bytes;
    if (!is_line_break(c.code)) {
      continue;
    }
    if (c.code == '\r' && i < text.size() && text[i] == '\n') {
      ++i;
    }
    lines.push_back(text.substr(start, (keep_ends ? i : line_end) - start));
    start = i;
  }
  if (start < text.size()) {
    lines.push_back(text.substr(start));
  }
  return lines;
}

}  // namespace tattletale::jinja
