// The methods of dict, list and tuple that do not change them. The others do not exist in the immutable
// sandbox.
#include <algorithm>

#include "text/chat/jinja/filters.h"

namespace tattletale::jinja {
namespace {

Value view(Interpreter& in, const Value& self, DictView::What what) {
  DictView* object = in.make<DictView>();
  object->dict = self.as<Dict>();
  object->what = what;
  return Value::object(Kind::dict_view, object);
}

template <DictView::What kWhat>
Result<Value> view_method(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("this method", args, {}, 0));
  return view(in, self, kWhat);
}

Result<Value> get(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("get", args, {"", ""}, 1));
  TT_ASSIGN(const uint64_t hash, in.hash(*bound[0]));
  const Value* found = self.as<Dict>()->find(*bound[0], hash);
  return found != nullptr ? *found : bound.given(1) ? *bound[1] : Value();
}

Result<Value> copy_dict(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("copy", args, {}, 0));
  Dict* out = nullptr;
  Value result = in.dict(&out);
  for (const Dict::Entry& entry : self.as<Dict>()->entries) {
    TT_TRY(in.dict_set(*out, entry.key, entry.value));
  }
  return result;
}

Result<Value> copy_list(Interpreter& in, const Value& self, Args& args) {
  TT_TRY(in.bind("copy", args, {}, 0));
  TT_ASSIGN(std::vector<Value> items, in.iterate(self));
  return in.list(std::move(items));
}

Result<Value> count(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("count", args, {""}, 1));
  int64_t total = 0;
  for (const Value& item : self.list()->items) {
    TT_TRY(in.step());
    TT_ASSIGN(const bool same, in.equal(item, *bound[0]));
    total += same;
  }
  return Value::integer(total);
}

Result<Value> index(Interpreter& in, const Value& self, Args& args) {
  TT_ASSIGN(const Bound bound, in.bind("index", args, {"", "", ""}, 1));
  const auto& items = self.list()->items;
  const auto size = static_cast<int64_t>(items.size());
  TT_ASSIGN(int64_t start, in.int_argument(bound, 1, 0));
  TT_ASSIGN(int64_t stop, in.int_argument(bound, 2, size));
  start = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size);
  stop = std::clamp<int64_t>(stop < 0 ? stop + size : stop, 0, size);
  for (int64_t i = start; i < stop; ++i) {
    TT_TRY(in.step());
    TT_ASSIGN(const bool same, in.equal(items[static_cast<size_t>(i)], *bound[0]));
    if (same) {
      return Value::integer(i);
    }
  }
  return in.fail("the item looked for is not in the list");
}

}  // namespace

static constexpr BuiltinEntry kDictMethods[] = {
    {"copy", copy_dict},
    {"get", get},
    {"items", view_method<DictView::items>},
    {"keys", view_method<DictView::keys>},
    {"values", view_method<DictView::values>},
};
static constexpr BuiltinEntry kListMethods[] = {{"copy", copy_list}, {"count", count}, {"index", index}};
static constexpr BuiltinEntry kTupleMethods[] = {{"count", count}, {"index", index}};
const std::span<const BuiltinEntry> kDictMethodTable(kDictMethods);
const std::span<const BuiltinEntry> kListMethodTable(kListMethods);
const std::span<const BuiltinEntry> kTupleMethodTable(kTupleMethods);

}  // namespace tattletale::jinja
