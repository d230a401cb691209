// The text form: exact round trips, and damaged texts that name their line.
#include "ir/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "ir/lang.h"
#include "ir/verify.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ::testing::HasSubstr;

ir::TargetInfo target() {
  ir::TargetInfo info;
  info.name = "everything";
  info.subgroup_size = 32;
  info.f16x2 = true;
  info.f16_fragments = info.bf16_fragments = ir::FragmentTier::transparent;
  return info;
}

/// Every shape of line: attributes of all kinds, storages, vectors, fragments, strictness, nesting.
ir::Kernel rich_kernel() {
  KernelScope k("rich", 64, target());
  const Buffer in = k.input("weights"), out = k.output("result");
  const Val<uint32_t> n = k.param<uint32_t>("n", 0);
  const Val<float> scale = k.param<float>("scale", 2);
  Shared<float> tile("tile", 300);
  Var<float> sum("sum");
  Var<uint32_t> unnamed;
  FragmentVar acc(Fragment::fill(-0.0f));
  sum = std::numeric_limits<float>::infinity();
  unnamed = workgroup_id(1) * num_workgroups(2) + (bits_of(scale) >> 3u);
  $for (i, local_id(), n, 64u, 4) {
    const Vec<uint32_t, 4> words = in.at(i, 16u).load_vec<uint32_t, 4>(0u, true);
    sum += to_f32(words[3]) * 0x1p-140f + to_f32(in.load<Storage::i8>(i));
    $if ((sum > 1.0f) & !(Val<bool>(true))) {
      sum = std::numeric_limits<float>::quiet_NaN();
    }
    $else {
      $while (sum > 0.1f) {
        sum = sum * 0.5f;
      }
    }
  }
  tile.store_vec<2>(local_id() * 2u, Vec<float, 2>({sum, scale}));
  copy_async(tile, 0u, in, 4u);
  copy_commit();
  copy_wait(1);
  barrier();
  acc.set(Fragment::mma(Fragment::load(ir::FragmentUse::a, Storage::bf16, tile, 0u, 16u),
                        Fragment::load(ir::FragmentUse::b, Storage::bf16, tile, 0u, 16u, true), acc.get()));
  acc.get().with(7, 1.0f).store(out, 0u, 16u);
  static_cast<void>(out.atomic_max(shuffle(unnamed.get(), 1u), subgroup_add(n)));
  out.store(300u, Val<int32_t>(-5));
  return k.finish();
}

std::vector<ir::Value> in_text_order(const ir::Kernel& kernel, ir::RegionId region) {
  std::vector<ir::Value> order;
  for (const ir::Value value : kernel.regions[region]) {
    order.push_back(value);
    for (const ir::RegionId inner : kernel.at(value).regions) {
      if (inner == ir::kNoRegion) continue;
      for (const ir::Value v : in_text_order(kernel, inner)) order.push_back(v);
    }
  }
  return order;
}

void expect_same(const ir::Kernel& a, const ir::Kernel& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.workgroup_threads, b.workgroup_threads);
  EXPECT_EQ(a.subgroup_size, b.subgroup_size);
  EXPECT_EQ(a.writes_mask(), b.writes_mask());
  ASSERT_EQ(a.locals.size(), b.locals.size());
  for (size_t i = 0; i < a.locals.size(); ++i) EXPECT_EQ(a.locals[i].type, b.locals[i].type);
  ASSERT_EQ(a.params.size(), b.params.size());
  for (size_t i = 0; i < a.params.size(); ++i) EXPECT_EQ(a.params[i].name, b.params[i].name);
  ASSERT_EQ(a.shared.size(), b.shared.size());
  for (size_t i = 0; i < a.shared.size(); ++i) EXPECT_EQ(a.shared[i].num_words, b.shared[i].num_words);
  const std::vector<ir::Value> x = in_text_order(a, 0), y = in_text_order(b, 0);
  ASSERT_EQ(x.size(), y.size());
  std::vector<uint32_t> number(a.instructions.size());
  for (uint32_t i = 0; i < x.size(); ++i) number[x[i].index] = i;
  for (size_t i = 0; i < x.size(); ++i) {
    const ir::Instruction &p = a.at(x[i]), &q = b.at(y[i]);
    EXPECT_EQ(p.op, q.op);
    EXPECT_EQ(p.type, q.type);
    EXPECT_EQ(p.storage, q.storage);
    EXPECT_EQ(p.strict, q.strict);
    EXPECT_EQ(p.attr0, q.attr0) << i;
    EXPECT_EQ(p.attr1, q.attr1);
    EXPECT_EQ(a.where(x[i]), b.where(y[i]));
    ASSERT_EQ(p.num_operands, q.num_operands);
    for (uint32_t o = 0; o < p.num_operands; ++o) EXPECT_EQ(number[p.operands[o].index], q.operands[o].index);
  }
}

TEST(Text, RoundTripIsExact) {
  ir::Kernel kernel = rich_kernel();
  for (ir::Instruction& in : kernel.instructions) in.strict = in.op == Op::add && in.type == ir::kF32;
  ASSERT_TRUE(ir::verify(kernel, target())) << ir::verify(kernel, target()).error().message();
  const std::string text = ir::print(kernel);
  const auto parsed = ir::parse(text);
  ASSERT_TRUE(parsed) << parsed.error().message() << "\n" << text;
  expect_same(kernel, *parsed);
  EXPECT_EQ(ir::print(*parsed), text);
  EXPECT_TRUE(ir::verify(*parsed, target()));
}

TEST(Text, ReadsAsOneWouldWriteIt) {
  ir::TargetInfo plain;
  KernelScope k("scale", 64, plain);
  const Buffer x = k.input("x"), y = k.output("y");
  $if (local_id() < k.param<uint32_t>("n", 0)) {
    y.store(local_id(), x.load<Storage::f16>(7u) * -1.5f);
  }
  ir::Kernel kernel = k.finish();
  for (ir::Instruction& in : kernel.instructions) in.location = 0;
  kernel.instructions.back().location = 1;
  kernel.locations[1] = {"a b;\".cpp", 12};
  EXPECT_EQ(ir::print(kernel), R"(kernel scale threads 64 subgroup 1 {
  binding b0 x read
  binding b1 y write
  param p0 n u32
  %0 = param u32 p0.n
  %1 = constant u32 7
  %2 = constant f32 -1.5
  %3 = local_id u32
  %4 = lt bool %3, %0
  if %4 {
    %6 = local_id u32
    %7 = load f32 f16 b0.x %1
    %8 = mul f32 %7, %2
    store f32 b1.y %6, %8 ; "a b;\22.cpp":12
  }
}
)");
  const auto parsed = ir::parse(ir::print(kernel));
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->where({static_cast<uint32_t>(parsed->instructions.size() - 1)}), "a b;\".cpp:12");
}

TEST(Text, EveryConstantSurvives) {
  for (const uint32_t bits : {0u, 0x80000000u, 1u, 0x807fffffu, 0x7f800000u, 0xff800000u, 0x7fc00001u,
                              0x3f800000u, 0x3dcccccdu, 0x7f7fffffu, 0x00800000u}) {
    for (const ir::Type type : {ir::kF32, ir::kI32, ir::kU32}) {
      ir::Kernel kernel;
      kernel.name = "k";
      ir::Instruction constant;
      constant.type = type;
      constant.attr0 = bits;
      kernel.instructions = {constant};
      kernel.regions = {{ir::Value{0}}};
      const auto parsed = ir::parse(ir::print(kernel));
      ASSERT_TRUE(parsed) << parsed.error().message();
      EXPECT_EQ(parsed->instructions[0].attr0, bits);
    }
  }
}

TEST(Text, DeadInstructionsAndUnsoundKernelsPrintToo) {
  ir::Kernel kernel = rich_kernel();
  const std::string before = ir::print(kernel);
  kernel.instructions.push_back({});
  EXPECT_EQ(ir::print(kernel), before);
  for (ir::Instruction& in : kernel.instructions) {
    if (in.op == Op::for_) in.regions[0] = ir::kRootRegion;
    if (in.op == Op::store) in.operands[0] = {};
  }
  EXPECT_THAT(ir::print(kernel), HasSubstr("%undefined"));
}

struct Damage {
  const char* text;
  const char* reason;
};

TEST(Text, DamagedTextsNameTheirLine) {
  const std::string head = "kernel k threads 1 subgroup 1 {\n binding b0 x write\n local l0 v f32\n";
  const Damage damages[] = {
      {"%0 = nonsense u32\n}", "line 4: no operation is called `nonsense`"},
      {"# remark\n\n%0 = local_id u31\n}", "line 6: no type is called `u31`"},
      {"%0 = local_id u32x1\n}", "no type is called `u32x1`"},
      {"%0 = local_id fragment.c.f16\n}", "no type is called `fragment.c.f16`"},
      {"%0 = constant u32 -1\n}", "`-1` is no constant of its type"},
      {"%0 = constant f32 1.5x\n}", "`1.5x` is no constant"},
      {"%0 = constant bool 1\n}", "`1` is no constant"},
      {"%0 = constant u32 0x1ffffffff\n}", "is no constant"},
      {"%0 = constant u32\n}", "the line ends where a constant is expected"},
      {"%0 = neg u32 %1\n}", "%1 is not defined above"},
      {"%0 = local_id u32\n%0 = local_id u32\n}", "line 5: %0 is defined twice"},
      {"%0 = local_id u32 7\n}", "`7` is too much"},
      {"%0 = local_id u32\n%1 = add u32 %0,\n}", "an operand is missing"},
      {"%0 = local_id u32\n%1 = add u32 %0, %0, %0, %0, %0\n}", "more than 4 operands"},
      {"%0 = workgroup_id u32 1\n}", "expected a number with @, found `1`"},
      {"%0 = local_get f32 l1\n}", "`l1` is not declared"},
      {"%0 = local_get f32 l0.w\n}", "`l0.w`: its name is v"},
      {"%0 = local_get f32 b0\n}", "expected l and a number, found `b0`"},
      {"%0 = load f32 f17 b0 %0\n}", "no storage type is called `f17`"},
      {"%0 = local_id u32 ; nowhere\n}", "no `; file:line`"},
      {"%0 = local_id u32 ; \"x\n}", "an unfinished quote"},
      {"; a.cpp:1\n}", "a location without an instruction"},
      {"%0 = constant bool true\nif %0\n}", "expected `{`, found ``"},
      {"%0 = constant bool true\nif %0 {\n} do {\n}\n}", "no condition of a while loop ends here"},
      {"while {\n} else {\n}\n}", "no if ends here"},
      {"while {\n}\n}", "ends in `} do {`"},
      {"} else {\n}", "no if ends here"},
      {"%0 = local_id u32\n", "the text ends inside a brace"},
      {"}\nkernel", "line 5: text after the kernel's end"},
      {"binding b2 y read\n}", "the next binding is b1, not b2"},
      {"binding b1 y\n}", "a binding is read or write"},
      {"param p0 n fragment.a\n}", "no type is called `fragment.a`"},
      {"shared s0 t many\n}", "the number of words cannot be `many`"},
      {"%0 = local_id u32\nshared s0 t 4\n}", "no operation is called `shared`"},
      {"binding b1 \"y\\4\" read\n}", "an unfinished quote"},
  };
  for (const Damage& damage : damages) {
    const auto parsed = ir::parse(head + damage.text);
    ASSERT_FALSE(parsed) << damage.text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::bad_file);
    EXPECT_THAT(parsed.error().message(), HasSubstr(damage.reason)) << damage.text;
  }
  EXPECT_THAT(ir::parse("").error().message(), HasSubstr("no kernel here"));
  EXPECT_THAT(ir::parse("colonel k").error().message(), HasSubstr("line 1: expected `kernel`"));
  EXPECT_THAT(ir::parse("kernel k threads x").error().message(),
              HasSubstr("number of threads cannot be `x`"));
  std::string deep = head + "%0 = constant bool true\n";
  for (int i = 0; i < 300; ++i) deep += "if %0 {\n";
  EXPECT_THAT(ir::parse(deep).error().message(), HasSubstr("more than 256 regions"));
}

TEST(Text, CutAndChangedTextsNeverCrash) {
  const std::string text = ir::print(rich_kernel());
  for (size_t length = 0; length + 1 < text.size(); length += 7) {
    EXPECT_FALSE(ir::parse(text.substr(0, length)));
  }
  for (size_t at = 0; at < text.size(); at += 5) {
    for (const char c : {'x', '%', '{', '\n', '9'}) {
      std::string changed = text;
      changed[at] = c;
      const auto parsed = ir::parse(changed);
      if (!parsed) continue;
      static_cast<void>(ir::verify(*parsed, target()));
      const std::string printed = ir::print(*parsed);
      const auto again = ir::parse(printed);
      ASSERT_TRUE(again) << again.error().message();
      ASSERT_EQ(ir::print(*again), printed);
    }
  }
}

}  // namespace
}  // namespace tattletale
