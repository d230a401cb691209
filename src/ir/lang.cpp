#include "ir/lang.h"

namespace tattletale::lang {
namespace {

thread_local KernelScope* current_scope = nullptr;

}  // namespace

ir::Builder& builder() {
  CHECK(current_scope != nullptr);
  return current_scope->builder_;
}

KernelScope::KernelScope(std::string name, uint32_t workgroup_threads, const ir::TargetInfo& target)
    : target_(target),
      builder_(std::move(name), workgroup_threads, target.subgroup_size),
      outer_(current_scope) {
  CHECK(workgroup_threads % target.subgroup_size == 0);
  current_scope = this;
}
KernelScope::~KernelScope() {
  current_scope = outer_;
}
ir::Kernel KernelScope::finish() {
  return builder_.finish();
}

ir::Value Buffer::emit_load(Storage storage, ir::Type type, Val<uint32_t> index, bool streamed,
                            SourceLocation where) const {
  ir::Instruction load;
  load.op = Op::load;
  load.type = type;
  load.storage = storage;
  load.attr0 = binding_;
  load.attr1 = streamed ? 1 : 0;
  load.num_operands = base_.valid() ? 2 : 1;
  load.operands = {index.value(), base_};
  return builder().emit(load, where);
}

void Buffer::emit_store(Storage storage, Val<uint32_t> index, ir::Value value, SourceLocation where) const {
  ir::Instruction store;
  store.op = Op::store;
  store.storage = storage;
  store.attr0 = binding_;
  store.num_operands = base_.valid() ? 3 : 2;
  store.operands = {index.value(), value, base_};
  builder().emit(store, where);
}

ir::Type fragment_type(ir::FragmentUse use, Storage element) {
  ir::Type type;
  type.scalar = ir::Scalar::fragment;
  type.use = use;
  type.element = element;
  return type;
}

namespace {
const ir::Type kAccumulator = fragment_type(ir::FragmentUse::accumulator, Storage::f32);
}

Fragment Fragment::fill(Val<float> x, SourceLocation at) {
  return Fragment(builder().emit(Op::fragment_fill, kAccumulator, {x.value()}, at));
}
Fragment Fragment::mma(const Fragment& a, const Fragment& b, const Fragment& c, SourceLocation at) {
  return Fragment(builder().emit(Op::fragment_mma, kAccumulator, {a.value(), b.value(), c.value()}, at));
}
Val<float> Fragment::get(uint32_t number, SourceLocation at) const {
  return Val<float>(builder().emit(Op::fragment_get, ir::kF32, {value_}, at, number));
}
Fragment Fragment::with(uint32_t number, Val<float> x, SourceLocation at) const {
  return Fragment(builder().emit(Op::fragment_set, kAccumulator, {value_, x.value()}, at, number));
}
Val<uint32_t> Fragment::row(uint32_t number, SourceLocation at) {
  return Val<uint32_t>(builder().emit(Op::fragment_row, ir::kU32, {}, at, number));
}
Val<uint32_t> Fragment::column(uint32_t number, SourceLocation at) {
  return Val<uint32_t>(builder().emit(Op::fragment_column, ir::kU32, {}, at, number));
}
Fragment Fragment::from_pairs(Storage element, const std::array<Val<uint32_t>, 4>& pairs, SourceLocation at) {
  return Fragment(builder().emit(Op::fragment_from_pairs, fragment_type(ir::FragmentUse::a, element),
                                 {pairs[0].value(), pairs[1].value(), pairs[2].value(), pairs[3].value()},
                                 at));
}

FragmentVar::FragmentVar(const Fragment& initial, SourceLocation at)
    : local_(builder().add_local("", kAccumulator)) {
  set(initial, at);
}
Fragment FragmentVar::get(SourceLocation at) const {
  return Fragment(builder().emit(Op::local_get, kAccumulator, {}, at, local_));
}
void FragmentVar::set(const Fragment& value, SourceLocation at) const {
  builder().emit(Op::local_set, ir::kNone, {value.value()}, at, local_);
}

namespace detail {

IfScope::IfScope(Val<bool> condition, SourceLocation at) {
  const ir::Value branch = builder().emit(Op::if_, ir::kNone, {condition.value()}, at);
  builder().open_region(branch, 0);
}
IfScope::~IfScope() {
  builder().close_region();
}

ElseScope::ElseScope() {
  const ir::Value branch = builder().last();
  CHECK(branch.valid() && builder().kernel().at(branch).op == Op::if_);  // $else follows its $if at once
  builder().open_region(branch, 1);
}
ElseScope::~ElseScope() {
  builder().close_region();
}

ForScope::ForScope(Val<uint32_t> first, Val<uint32_t> end, Val<uint32_t> step, uint32_t unroll,
                   SourceLocation at)
    : loop_(builder().emit(Op::for_, ir::kU32, {first.value(), end.value(), step.value()}, at, unroll)) {}
bool ForScope::open() {
  if (opened_) {
    builder().close_region();
    return false;
  }
  opened_ = true;
  builder().open_region(loop_, 0);
  return true;
}

WhileScope::WhileScope(SourceLocation at) : loop_(builder().emit(Op::while_, ir::kNone, {}, at)) {
  builder().open_region(loop_, 0);
}
void WhileScope::condition(Val<bool> value, SourceLocation at) {
  builder().emit(Op::yield, ir::kNone, {value.value()}, at);
  builder().close_region();
}
bool WhileScope::open() {
  if (opened_) {
    builder().close_region();
    return false;
  }
  opened_ = true;
  builder().open_region(loop_, 1);
  return true;
}

}  // namespace detail
}  // namespace tattletale::lang
