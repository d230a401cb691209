// Python's strftime in the C locale, on the proleptic Gregorian calendar. A naive time: %z and %Z are empty.
#include <chrono>
#include <cstdio>

#include "text/chat/jinja/filters.h"

namespace tattletale::jinja {
namespace {

constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

struct Moment {
  int year, month, day, hour, minute, second, week_day, year_day;  // month and day from 1, year_day from 0
};

std::string number(int64_t value, int width, char fill = '0') {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, fill == '0' ? "%0*lld" : "%*lld", width,
                static_cast<long long>(value));
  return buffer;
}

Moment moment_of(int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(seconds)};
  const sys_days date = floor<days>(time);
  const year_month_day civil(date);
  const int64_t rest = (time - date).count();
  const sys_days new_year = sys_days(civil.year() / January / 1);
  return {static_cast<int>(civil.year()),
          static_cast<int>(static_cast<unsigned>(civil.month())),
          static_cast<int>(static_cast<unsigned>(civil.day())),
          static_cast<int>(rest / 3600),
          static_cast<int>(rest / 60 % 60),
          static_cast<int>(rest % 60),
          static_cast<int>(weekday(date).c_encoding()),
          static_cast<int>((date - new_year).count())};
}

/// ISO 8601 week and its year.
std::pair<int, int> iso_week(const Moment& m) {
  const int monday_based = (m.week_day + 6) % 7;
  const auto is_leap = [](int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; };
  const int week = (m.year_day - monday_based + 10) / 7;
  const auto weeks_in = [&](int year, int first_day) {  // first_day: weekday of January 1st, Monday = 0
    return first_day == 3 || (first_day == 2 && is_leap(year)) ? 53 : 52;
  };
  const int first_day = ((monday_based - m.year_day) % 7 + 7) % 7;
  if (week < 1) {
    const int length = is_leap(m.year - 1) ? 366 : 365;
    return {weeks_in(m.year - 1, ((first_day - length) % 7 + 7) % 7), m.year - 1};
  }
  return week > weeks_in(m.year, first_day) ? std::pair{1, m.year + 1} : std::pair{week, m.year};
}

std::string field(char letter, const Moment& m, int64_t seconds) {
  const int hour12 = m.hour % 12 == 0 ? 12 : m.hour % 12;
  const auto expand = [&](std::string_view format) { return format_time(format, seconds); };
  switch (letter) {
    case 'a': return std::string(kDays[m.week_day].substr(0, 3));
    case 'A': return std::string(kDays[m.week_day]);
    case 'b':
    case 'h': return std::string(kMonths[m.month - 1].substr(0, 3));
    case 'B': return std::string(kMonths[m.month - 1]);
    case 'c': return expand("%a %b %e %H:%M:%S %Y");
    case 'C': return number(m.year / 100, 2);
    case 'd': return number(m.day, 2);
    case 'D':
    case 'x': return expand("%m/%d/%y");
    case 'e': return number(m.day, 2, ' ');
    case 'f': return "000000";
    case 'F': return expand("%Y-%m-%d");
    case 'g': return number(iso_week(m).second % 100, 2);
    case 'G': return number(iso_week(m).second, 1);
    case 'H': return number(m.hour, 2);
    case 'I': return number(hour12, 2);
    case 'j': return number(m.year_day + 1, 3);
    case 'k': return number(m.hour, 2, ' ');
    case 'l': return number(hour12, 2, ' ');
    case 'm': return number(m.month, 2);
    case 'M': return number(m.minute, 2);
    case 'n': return "\n";
    case 'p': return m.hour < 12 ? "AM" : "PM";
    case 'P': return m.hour < 12 ? "am" : "pm";
    case 'r': return expand("%I:%M:%S %p");
    case 'R': return expand("%H:%M");
    case 's': return std::to_string(seconds);
    case 'S': return number(m.second, 2);
    case 't': return "\t";
    case 'T':
    case 'X': return expand("%H:%M:%S");
    case 'u': return number(m.week_day == 0 ? 7 : m.week_day, 1);
    case 'U': return number((m.year_day + 7 - m.week_day) / 7, 2);
    case 'V': return number(iso_week(m).first, 2);
    case 'w': return number(m.week_day, 1);
    case 'W': return number((m.year_day + 7 - (m.week_day + 6) % 7) / 7, 2);
    case 'y': return number(m.year % 100, 2);
    case 'Y': return number(m.year, 1);
    case 'z':
    case 'Z': return "";
    case '%': return "%";
    default: return std::string("%") + letter;
  }
}

}  // namespace

std::string format_time(std::string_view format, int64_t local_seconds) {
  const Moment moment = moment_of(local_seconds);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    ++i;
    if (format[i] == '-' && i + 1 < format.size()) {  // glibc: no padding
      const std::string text = field(format[++i], moment, local_seconds);
      const size_t start = text.find_first_not_of("0 ");
      out +=
          start == std::string::npos ? text.substr(text.empty() ? 0 : text.size() - 1) : text.substr(start);
      continue;
    }
    out += field(format[i], moment, local_seconds);
  }
  return out;
}

}  // namespace tattletale::jinja
