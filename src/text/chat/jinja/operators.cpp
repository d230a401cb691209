// Arithmetic and the other binary operators, with Python's rules on 64-bit integers.
#include <cmath>

#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/text_functions.h"

namespace tattletale::jinja {
namespace {

std::string_view operator_text(Operator op) {
  switch (op) {
    case Operator::add: return "+";
    case Operator::subtract: return "-";
    case Operator::multiply: return "*";
    case Operator::divide: return "/";
    case Operator::floor_divide: return "//";
    case Operator::modulo: return "%";
    default: return "**";
  }
}

}  // namespace

Result<Value> Interpreter::binary(Operator op, const Value& a, const Value& b) {
  if (op == Operator::modulo && a.is_string()) {
    TT_ASSIGN(std::string text, printf_format(a.as_string(), b));
    return string(std::move(text), a.is_safe());
  }
  if (a.is_undefined() || b.is_undefined()) {
    return fail_undefined(a.is_undefined() ? a : b);
  }
  if (a.is_number() && b.is_number()) {
    return arithmetic(op, a, b);
  }
  if (op == Operator::add &&
      ((a.is_string() && b.is_string()) || (a.is_sequence() && a.kind() == b.kind()))) {
    return add(a, b);
  }
  if (op == Operator::multiply && ((a.is_integral() && (b.is_string() || b.is_sequence())) ||
                                   (b.is_integral() && (a.is_string() || a.is_sequence())))) {
    return a.is_integral() ? multiply(b, a) : multiply(a, b);
  }
  if (op == Operator::add && (a.is_string() || b.is_string())) {
    return fail("\"+\" cannot join a " + std::string(type_name(a)) + " and a " + std::string(type_name(b)) +
                "; use \"~\" or the string filter");
  }
  return fail("\"" + std::string(operator_text(op)) + "\" does not work on a " + std::string(type_name(a)) +
              " and a " + std::string(type_name(b)));
}

Result<Value> Interpreter::add(const Value& a, const Value& b) {
  if (a.is_string()) {
    const bool safe = a.is_safe() || b.is_safe();
    TT_TRY(reserve((a.as_string().size() + b.as_string().size()) * (safe ? 6 : 1)));
    std::string text = safe && !a.is_safe() ? escape_html(a.as_string()) : a.as_string();
    text += safe && !b.is_safe() ? escape_html(b.as_string()) : b.as_string();
    return string(std::move(text), safe);
  }
  const auto& left = a.list()->items;
  const auto& right = b.list()->items;
  TT_TRY(reserve((left.size() + right.size()) * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(left.size() + right.size());
  items.insert(items.end(), left.begin(), left.end());
  items.insert(items.end(), right.begin(), right.end());
  return a.is(Kind::list) ? list(std::move(items)) : tuple(std::move(items));
}

Result<Value> Interpreter::multiply(const Value& a, const Value& b) {
  const uint64_t times = static_cast<uint64_t>(std::max<int64_t>(b.as_int(), 0));
  const uint64_t size = a.is_string() ? a.as_string().size() : a.list()->items.size() * sizeof(Value);
  if (size == 0 || times == 0) {
    return a.is_string() ? string("", a.is_safe()) : a.is(Kind::list) ? list({}) : tuple({});
  }
  if (times > limits_.max_value_bytes / size) {
    return reserve(UINT64_MAX).take_error();
  }
  TT_TRY(reserve(size * times));
  if (a.is_string()) {
    std::string text;
    text.reserve(size * times);
    for (uint64_t i = 0; i < times; ++i) {
      text += a.as_string();
    }
    return string(std::move(text), a.is_safe());
  }
  std::vector<Value> items;
  for (uint64_t i = 0; i < times; ++i) {
    items.insert(items.end(), a.list()->items.begin(), a.list()->items.end());
  }
  return a.is(Kind::list) ? list(std::move(items)) : tuple(std::move(items));
}

Result<Value> Interpreter::arithmetic(Operator op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral() && op != Operator::divide &&
      !(op == Operator::power && b.as_int() < 0)) {
    return integer_arithmetic(op, a.as_int(), b.as_int());
  }
  return real_arithmetic(op, a.as_double(), b.as_double());
}

Result<Value> Interpreter::integer_arithmetic(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Operator::add: overflow = __builtin_add_overflow(a, b, &result); break;
    case Operator::subtract: overflow = __builtin_sub_overflow(a, b, &result); break;
    case Operator::multiply: overflow = __builtin_mul_overflow(a, b, &result); break;
    case Operator::floor_divide:
    case Operator::modulo: {
      if (b == 0) {
        return fail("division by zero");
      }
      if (b == -1) {  // INT64_MIN / -1 does not fit
        overflow = op == Operator::floor_divide && __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      const bool inexact = a % b != 0 && (a < 0) != (b < 0);
      result = op == Operator::floor_divide ? a / b - inexact : a % b + (inexact ? b : 0);
      break;
    }
    default: {
      result = 1;
      int64_t base = a;
      for (int64_t exponent = b; exponent > 0 && !overflow; exponent >>= 1) {
        if (exponent & 1) {
          overflow = __builtin_mul_overflow(result, base, &result);
        }
        if (exponent > 1 && !overflow) {
          overflow = __builtin_mul_overflow(base, base, &base);
        }
      }
    }
  }
  if (overflow) {
    return fail("the result of \"" + std::string(operator_text(op)) + "\" does not fit in 64 bits",
                ErrorKind::limit_exceeded);
  }
  return Value::integer(result);
}

Result<Value> Interpreter::real_arithmetic(Operator op, double a, double b) {
  const bool divides = op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo;
  if (divides && b == 0) {
    return fail("division by zero");
  }
  switch (op) {
    case Operator::add: return Value::real(a + b);
    case Operator::subtract: return Value::real(a - b);
    case Operator::multiply: return Value::real(a * b);
    case Operator::divide: return Value::real(a / b);
    case Operator::floor_divide:
    case Operator::modulo: {
      double rest = std::fmod(a, b);
      double quotient = (a - rest) / b;
      if (rest != 0) {
        if ((b < 0) != (rest < 0)) {
          rest += b;
          quotient -= 1;
        }
      } else {
        rest = std::copysign(0.0, b);
      }
      if (op == Operator::modulo) {
        return Value::real(rest);
      }
      if (quotient == 0) {
        return Value::real(std::copysign(0.0, a / b));
      }
      const double whole = std::floor(quotient);
      return Value::real(quotient - whole > 0.5 ? whole + 1 : whole);
    }
    default: {
      if (a == 0 && b < 0) {
        return fail("0.0 cannot be raised to a negative power");
      }
      if (a < 0 && b != std::floor(b)) {
        return fail("a negative number to a fractional power is complex, which is not supported");
      }
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) {
        return fail("the result of \"**\" is too large", ErrorKind::limit_exceeded);
      }
      return Value::real(result);
    }
  }
}

}  // namespace tattletale::jinja
