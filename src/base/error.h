// Expected failures as values. A bad file, a bad request, exhausted memory or a lost device is an
// Error inside a Result; a broken invariant is a CHECK (check.h). Nothing here prints or exits.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace tattletale {

enum class ErrorKind {
  invalid_argument,  // the caller asked for something that can never work
  not_found,         // a file, tensor, key or name that is not there
  bad_file,          // a model file that breaks its own format
  unsupported,       // well-formed, but not something this build can compute
  out_of_memory,
  io,
  limit_exceeded,  // more than a documented limit (context length, nesting, sizes)
  cancelled,
  device_lost,
  internal,
};

std::string_view error_kind_name(ErrorKind kind);

/// One failure. `where` names file, tensor, byte offset or argument; `what` says what was found,
/// what was expected and what to do next.
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string where;
  std::string what;

  /// "where: what", or just `what` when there is no place to name.
  std::string message() const { return where.empty() ? what : where + ": " + what; }
};

/// A T or an Error. TT_TRY and TT_ASSIGN propagate errors across types.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpected(std::move(error))) {}

  /// The error by value, ready to be returned from a function with another Result type.
  Error take_error() { return std::move(this->error()); }
};

inline Error make_error(ErrorKind kind, std::string where, std::string what) {
  return Error{kind, std::move(where), std::move(what)};
}

}  // namespace tattletale

#define TT_CONCAT_INNER(a, b) a##b
#define TT_CONCAT(a, b) TT_CONCAT_INNER(a, b)

/// Evaluates a Result<void>-like expression and returns its error from the enclosing function.
#define TT_TRY(expr)                           \
  do {                                         \
    if (auto tt_result = (expr); !tt_result) { \
      return tt_result.take_error();           \
    }                                          \
  } while (false)

/// TT_ASSIGN(auto x, f()); binds x to the value or returns the error.
#define TT_ASSIGN(declaration, expr)                     \
  auto TT_CONCAT(tt_assign_, __LINE__) = (expr);         \
  if (!TT_CONCAT(tt_assign_, __LINE__)) {                \
    return TT_CONCAT(tt_assign_, __LINE__).take_error(); \
  }                                                      \
  declaration = std::move(*TT_CONCAT(tt_assign_, __LINE__))
