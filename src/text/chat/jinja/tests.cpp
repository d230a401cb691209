// Tests: what stands after "is".
#include <algorithm>
#include <cmath>

#include "text/chat/jinja/filters.h"
#include "text/chat/jinja/unicode.h"

namespace tattletale::jinja {
namespace {

template <bool (*kPredicate)(const Value&)>
Result<Value> simple(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("this test", args, {}, 0));
  return Value::boolean(kPredicate(self));
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_undefined(const Value& value) {
  return value.is_undefined();
}
bool is_none(const Value& value) {
  return value.is_none();
}
bool is_boolean(const Value& value) {
  return value.is(Kind::boolean);
}
bool is_true(const Value& value) {
  return value.is(Kind::boolean) && value.as_bool();
}
bool is_false(const Value& value) {
  return value.is(Kind::boolean) && !value.as_bool();
}
bool is_integer(const Value& value) {
  return value.is(Kind::integer);
}
bool is_float(const Value& value) {
  return value.is(Kind::real);
}
bool is_number(const Value& value) {
  return value.is_number();
}
bool is_string(const Value& value) {
  return value.is_string();
}
bool is_mapping(const Value& value) {
  return value.is(Kind::dict);
}
bool is_escaped(const Value& value) {
  return value.is_safe();
}
/// What has a length and items by index or key. Undefined has a length and, in Python, __getitem__.
bool is_sequence(const Value& value) {
  return value.is_string() || value.is_sequence() || value.is(Kind::dict) || value.is(Kind::range) ||
         value.is_undefined();
}

Result<Value> iterable(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("iterable", args, {}, 0));
  return Value::boolean(in.is_iterable(self));
}

Result<Value> callable(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("callable", args, {}, 0));
  return Value::boolean(in.is_callable(self));
}

template <Operator kOperator>
Result<Value> comparison(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("this test", args, {""}, 1));
  TT_ASSIGN(const bool holds, in.compare(kOperator, self, *bound[0]));
  return Value::boolean(holds);
}

Result<Value> in_test(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("in", args, {"seq"}, 1));
  TT_ASSIGN(const bool holds, in.contains(*bound[0], self));
  return Value::boolean(holds);
}

Result<Value> divisible(Interpreter& in, const Value& self, const Value& divisor, int64_t rest) {
  TT_ASSIGN(const Value result, in.binary(Operator::modulo, self, divisor));
  return Value::boolean(scalars_equal(result, Value::integer(rest)));
}
Result<Value> odd(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("odd", args, {}, 0));
  return divisible(in, self, Value::integer(2), 1);
}
Result<Value> even(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("even", args, {}, 0));
  return divisible(in, self, Value::integer(2), 0);
}
Result<Value> divisibleby(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("divisibleby", args, {"num"}, 1));
  return divisible(in, self, *bound[0], 0);
}

Result<Value> cased(Interpreter& in, const Value& self, Args& args, bool want_upper) {
  TT_TRY(in.bind("this test", args, {}, 0));
  TT_ASSIGN(const std::string text, in.str(self));
  TT_TRY(in.step(text.size() / 4));
  bool found = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    i += c.num_bytes;
    if (want_upper ? is_lowercase(c.code) || is_titlecase(c.code)
                   : is_uppercase(c.code) || is_titlecase(c.code)) {
      return Value::boolean(false);
    }
    found = found || (want_upper ? is_uppercase(c.code) : is_lowercase(c.code));
  }
  return Value::boolean(found);
}
Result<Value> lower(Interpreter& in, const Value& self, Args& args) {
  return cased(in, self, args, false);
}
Result<Value> upper(Interpreter& in, const Value& self, Args& args) {
  return cased(in, self, args, true);
}

Result<Value> sameas(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("sameas", args, {"other"}, 1));
  const Value& other = *bound[0];
  if (self.kind() != other.kind()) {
    return Value::boolean(false);
  }
  return Value::boolean(self.is_number() || self.is_string()
                            ? scalars_equal(self, other)
                            : self.is_none() || self.identity() == other.identity());
}

template <Builtin (*kFind)(std::string_view)>
Result<Value> known(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("this test", args, {}, 0));
  return Value::boolean(self.is_string() && kFind(self.as_string()) != nullptr);
}

}  // namespace

static constexpr BuiltinEntry kTests[] = {
    {"defined", simple<is_defined>},
    {"undefined", simple<is_undefined>},
    {"none", simple<is_none>},
    {"boolean", simple<is_boolean>},
    {"true", simple<is_true>},
    {"false", simple<is_false>},
    {"integer", simple<is_integer>},
    {"float", simple<is_float>},
    {"number", simple<is_number>},
    {"string", simple<is_string>},
    {"mapping", simple<is_mapping>},
    {"sequence", simple<is_sequence>},
    {"escaped", simple<is_escaped>},
    {"iterable", iterable},
    {"callable", callable},
    {"==", comparison<Operator::equal>},
    {"eq", comparison<Operator::equal>},
    {"equalto", comparison<Operator::equal>},
    {"!=", comparison<Operator::not_equal>},
    {"ne", comparison<Operator::not_equal>},
    {">", comparison<Operator::greater>},
    {"gt", comparison<Operator::greater>},
    {"greaterthan", comparison<Operator::greater>},
    {">=", comparison<Operator::greater_equal>},
    {"ge", comparison<Operator::greater_equal>},
    {"<", comparison<Operator::less>},
    {"lt", comparison<Operator::less>},
    {"lessthan", comparison<Operator::less>},
    {"<=", comparison<Operator::less_equal>},
    {"le", comparison<Operator::less_equal>},
    {"in", in_test},
    {"odd", odd},
    {"even", even},
    {"divisibleby", divisibleby},
    {"lower", lower},
    {"upper", upper},
    {"sameas", sameas},
    {"filter", known<find_filter>},
    {"test", known<find_test>},
};
const std::span<const BuiltinEntry> kTestTable(kTests);

}  // namespace tattletale::jinja
