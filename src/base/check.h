// CHECK guards invariants of this program, never properties of its input. A failed CHECK throws
// InvariantError, which the C API turns into a failed request; it does not end the process.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace tattletale {

struct InvariantError : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] inline void check_failed(const char* condition,
                                      std::source_location at = std::source_location::current()) {
  throw InvariantError(std::string(at.file_name()) + ":" + std::to_string(at.line()) +
                       ": broken invariant: " + condition);
}

}  // namespace tattletale

#define CHECK(condition)                      \
  do {                                        \
    if (!(condition)) [[unlikely]] {          \
      ::tattletale::check_failed(#condition); \
    }                                         \
  } while (false)
