// Buffers, ordering, replays, aliasing and errors of the WebGPU device, on whatever driver is here.
#include <gmock/gmock.h>

#include <numeric>

#include "backends/webgpu/webgpu_fixture.h"
#include "ir/lang.h"

namespace tattletale::test {
namespace {

using namespace lang;  // NOLINT: bodies are written this way
using ::testing::HasSubstr;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}
void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().message());
}

class WebgpuDeviceTest : public WebgpuTest {
 protected:
  static constexpr uint32_t kThreads = 64;

  /// y[i] = x[i] * factor + y[i], i below n.
  KernelId scale_add() {
    KernelScope k("scale_add", kThreads, device_->target());
    const Buffer x = k.input("x"), y = k.output("y");
    const Val<uint32_t> n = k.param<uint32_t>("n", 0), factor = k.param<uint32_t>("factor", 1);
    const Val<uint32_t> i = workgroup_id() * kThreads + local_id();
    $if (i < n) {
      y.store(i, x.load<Storage::u32>(i) * factor + y.load<Storage::u32>(i));
    }
    return must(device_->load(must(device_->compile(k.finish()))));
  }
  /// y[i] = x[n - 1 - i]: each thread reads what another one writes when x is y.
  KernelId reverse() {
    KernelScope k("reverse", kThreads, device_->target());
    const Buffer x = k.input("x"), y = k.output("y");
    const Val<uint32_t> n = k.param<uint32_t>("n", 0);
    const Val<uint32_t> i = workgroup_id() * kThreads + local_id();
    $if (i < n) {
      y.store(i, x.load<Storage::u32>(n - 1u - i));
    }
    return must(device_->load(must(device_->compile(k.finish()))));
  }
  BufferId buffer_of(const std::vector<uint32_t>& words) {
    const BufferId id = must(device_->create_buffer(4 * words.size(), "test"));
    must(device_->write(id, 0, std::as_bytes(std::span(words))));
    return id;
  }
  std::vector<uint32_t> words_of(BufferId buffer, size_t count, uint64_t offset_bytes = 0) {
    std::vector<uint32_t> out(count);
    must(device_->wait(
        must(device_->read({buffer, offset_bytes, 4 * count}, std::as_writable_bytes(std::span(out))))));
    return out;
  }
  Dispatch on(KernelId kernel, BufferSlice x, BufferSlice y, uint32_t n, uint32_t factor) {
    Dispatch dispatch{
        .kernel = kernel, .num_bindings = 2, .workgroups = {(n + kThreads - 1) / kThreads, 1, 1}};
    dispatch.bindings = {x, y};
    const uint32_t both[2] = {n, factor};
    std::memcpy(dispatch.params.data(), both, 8);
    dispatch.params_bytes = 8;
    return dispatch;
  }
  static std::vector<uint32_t> counting(size_t count, uint32_t first = 0) {
    std::vector<uint32_t> out(count);
    std::iota(out.begin(), out.end(), first);
    return out;
  }
};

TEST_F(WebgpuDeviceTest, TellsWhatItIs) {
  EXPECT_EQ(device_->caps().backend, "webgpu");
  EXPECT_FALSE(device_->caps().name.empty());
  EXPECT_THAT(device_->compiler_identity(), HasSubstr(device_->caps().name));
  EXPECT_TRUE(std::has_single_bit(device_->target().subgroup_size));
  EXPECT_GE(device_->target().max_workgroup_threads, 128u);
  EXPECT_GE(device_->target().max_shared_bytes, 16384u);
  RecordProperty("device", device_->compiler_identity());
}

TEST_F(WebgpuDeviceTest, BuffersStartAsZeros) {
  const BufferId buffer = must(device_->create_buffer(1000, "zeros"));
  EXPECT_EQ(words_of(buffer, 250), std::vector<uint32_t>(250, 0));
  device_->destroy_buffer(buffer);
}

TEST_F(WebgpuDeviceTest, WritesAndReadsAtAnyByte) {
  const uint64_t before = device_->allocated_bytes();
  const BufferId buffer = must(device_->create_buffer(61, "bytes"));
  EXPECT_EQ(device_->allocated_bytes(), before + 61);
  std::vector<std::byte> expected(61);
  uint32_t next = 1;
  for (const auto [offset, size] :
       {std::pair(0, 61), {1, 2}, {2, 5}, {7, 1}, {8, 4}, {13, 11}, {59, 2}, {60, 1}, {3, 1}}) {
    std::vector<std::byte> piece(static_cast<size_t>(size));
    for (std::byte& byte : piece) byte = static_cast<std::byte>(next++ * 37);
    std::copy(piece.begin(), piece.end(), expected.begin() + offset);
    must(device_->write(buffer, static_cast<uint64_t>(offset), piece));
  }
  std::vector<std::byte> found(61), part(5);
  must(device_->wait(must(device_->read({buffer, 0, 61}, found))));
  EXPECT_EQ(found, expected);
  must(device_->wait(must(device_->read({buffer, 55, 5}, part))));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), expected.begin() + 55));
  device_->destroy_buffer(buffer);
  EXPECT_EQ(device_->allocated_bytes(), before);
}

TEST_F(WebgpuDeviceTest, LargeWritesArriveWhole) {
  const size_t count = (90u << 20) / 4 + 3;
  std::vector<uint32_t> words(count);
  for (size_t i = 0; i < count; ++i) words[i] = static_cast<uint32_t>(i * 2654435761u);
  const BufferId buffer = buffer_of(words);
  EXPECT_TRUE(words_of(buffer, count) == words);
  device_->destroy_buffer(buffer);
}

TEST_F(WebgpuDeviceTest, WorkSeesEarlierWorkAndWrites) {
  const KernelId kernel = scale_add();
  const BufferId x = buffer_of(counting(500)), y = buffer_of(std::vector<uint32_t>(500));
  const BufferSlice xs{x, 0, 2000}, ys{y, 0, 2000};
  CommandList list;
  for (uint32_t i = 1; i <= 3; ++i) list.dispatch(on(kernel, xs, ys, 500, i));  // y = 6 x
  list.dispatch(on(kernel, ys, xs, 500, 10));                                   // x = 61 x
  must(device_->submit(list));
  const uint32_t changed = 1;
  must(device_->write(y, 0, std::as_bytes(std::span(&changed, 1))));  // after the list, before the next
  CommandList second;
  second.dispatch(on(kernel, xs, ys, 500, 1));
  const Submission last = must(device_->submit(second));
  must(device_->wait(last));
  EXPECT_TRUE(must(device_->poll(last)));
  const std::vector<uint32_t> found_x = words_of(x, 500), found_y = words_of(y, 500);
  EXPECT_EQ(found_y[0], 1u);
  for (uint32_t i = 1; i < 500; ++i) {
    ASSERT_EQ(found_x[i], 61 * i) << i;
    ASSERT_EQ(found_y[i], 67 * i) << i;
  }
}

TEST_F(WebgpuDeviceTest, ReplaysMakeNothingNew) {
  const KernelId kernel = scale_add();
  const BufferId x = buffer_of(std::vector<uint32_t>(64, 1)), y = buffer_of(std::vector<uint32_t>(64));
  CommandList list;
  for (uint32_t i = 1; i <= 8; ++i) list.dispatch(on(kernel, {x, 0, 256}, {y, 0, 256}, 64, i));  // y += 36 x
  const ListId recorded = must(device_->record(list));
  const size_t groups = device_->num_bind_groups();
  CommandList other;  // other parameters in between must not reach the recorded ones
  other.dispatch(on(kernel, {x, 0, 256}, {y, 0, 256}, 64, 1000));
  Submission last{};
  for (uint32_t i = 0; i < 20; ++i) {
    if (i == 10) must(device_->submit(other));
    last = must(device_->submit(recorded));
  }
  must(device_->wait(last));
  EXPECT_EQ(words_of(y, 64), std::vector<uint32_t>(64, 20 * 36 + 1000));
  EXPECT_EQ(device_->num_bind_groups(), groups);
  device_->destroy_list(recorded);
  EXPECT_EQ(device_->submit(recorded).error().kind, ErrorKind::invalid_argument);
}

TEST_F(WebgpuDeviceTest, SlicesStartAtTheirOffset) {
  const KernelId kernel = scale_add();
  const BufferId x = buffer_of(counting(1024)), y = buffer_of(std::vector<uint32_t>(1024));
  CommandList list;
  list.dispatch(on(kernel, {x, 512, 64}, {y, 256, 64}, 16, 3));
  must(device_->wait(must(device_->submit(list))));
  const std::vector<uint32_t> found = words_of(y, 1024);
  for (uint32_t i = 0; i < 1024; ++i) {
    ASSERT_EQ(found[i], i >= 64 && i < 80 ? 3 * (128 + i - 64) : 0) << i;
  }
}

TEST_F(WebgpuDeviceTest, OneBufferReadAndWrittenApart) {
  const KernelId kernel = scale_add();
  const BufferId both = buffer_of(counting(1024));
  CommandList list;
  list.dispatch(on(kernel, {both, 0, 1024}, {both, 1024, 1024}, 256, 5));
  must(device_->wait(must(device_->submit(list))));
  const std::vector<uint32_t> found = words_of(both, 512);
  for (uint32_t i = 0; i < 256; ++i) {
    ASSERT_EQ(found[i], i);
    ASSERT_EQ(found[256 + i], 5 * i + 256 + i);
  }
}

TEST_F(WebgpuDeviceTest, InputsMayAliasOutputs) {
  const KernelId kernel = reverse();
  const BufferId both = buffer_of(counting(1024));
  Dispatch dispatch = on(kernel, {both, 0, 4096}, {both, 0, 4096}, 1024, 0);
  dispatch.params_bytes = 4;
  CommandList list;
  list.dispatch(dispatch);
  const ListId recorded = must(device_->record(list));
  for (uint32_t replay = 0; replay < 3; ++replay) {
    must(device_->submit(recorded));
    const std::vector<uint32_t> found = words_of(both, 1024);
    for (uint32_t i = 0; i < 1024; ++i) ASSERT_EQ(found[i], replay % 2 == 0 ? 1023 - i : i) << replay;
  }
}

TEST_F(WebgpuDeviceTest, AbsentBindingsAreAllowed) {
  KernelScope k("absent", kThreads, device_->target());
  const Buffer x = k.input("x"), y = k.output("y"), z = k.output("z");
  const Val<uint32_t> use = k.param<uint32_t>("use", 0);
  $if (use == 1u) {
    z.store(local_id(), x.load<Storage::u32>(local_id()));
  }
  y.store(local_id(), use + 7u);
  const KernelId kernel = must(device_->load(must(device_->compile(k.finish()))));
  const BufferId y_buffer = buffer_of(std::vector<uint32_t>(kThreads));
  Dispatch dispatch{.kernel = kernel, .num_bindings = 3};
  dispatch.bindings[1] = {y_buffer, 0, 4 * kThreads};
  dispatch.set_params(uint32_t{0});
  CommandList list;
  list.dispatch(dispatch);
  must(device_->submit(list));
  EXPECT_EQ(words_of(y_buffer, kThreads), std::vector<uint32_t>(kThreads, 7));
}

TEST_F(WebgpuDeviceTest, RefusesWhatCannotWork) {
  const KernelId kernel = scale_add();
  const BufferId x = buffer_of(counting(64)), y = buffer_of(counting(64));
  const auto refusal = [&](Dispatch dispatch) {
    CommandList list;
    list.dispatch(dispatch);
    Result<Submission> result = device_->submit(list);
    return result ? std::string("accepted") : result.error().message();
  };
  EXPECT_THAT(refusal(on(kernel, {x, 4, 16}, {y, 0, 256}, 1, 1)), HasSubstr("must start at a multiple of"));
  EXPECT_THAT(refusal(on(kernel, {x, 0, 260}, {y, 0, 256}, 1, 1)), HasSubstr("passes the end of 256 bytes"));
  EXPECT_THAT(refusal(on(kernel, {BufferId{999999}, 0, 16}, {y, 0, 256}, 1, 1)),
              HasSubstr("no buffer has the number"));
  EXPECT_THAT(refusal(on(KernelId{12345}, {x, 0, 256}, {y, 0, 256}, 1, 1)),
              HasSubstr("no program has the number"));
  Dispatch wide = on(kernel, {x, 0, 256}, {y, 0, 256}, 1, 1);
  wide.workgroups = {70000, 1, 1};
  EXPECT_THAT(refusal(wide), HasSubstr("70000 workgroups"));
  Dispatch fewer = on(kernel, {x, 0, 256}, {y, 0, 256}, 1, 1);
  fewer.params_bytes = 4;
  EXPECT_THAT(refusal(fewer), HasSubstr("4 bytes of parameters, needs 2 and 8"));
  EXPECT_EQ(device_->write(x, 250, std::vector<std::byte>(16)).error().kind, ErrorKind::invalid_argument);
  const Result<BufferId> huge = device_->create_buffer(uint64_t{1} << 50, "huge");
  ASSERT_FALSE(huge.has_value());
  EXPECT_EQ(huge.error().kind, ErrorKind::out_of_memory);
  EXPECT_THAT(huge.error().message(), HasSubstr("1125899906842624 bytes"));
  EXPECT_THAT(huge.error().message(), HasSubstr("in use"));
  // Nothing of that did harm.
  CommandList good;
  good.dispatch(on(kernel, {x, 0, 256}, {y, 0, 256}, 64, 1));
  must(device_->submit(good));
  EXPECT_EQ(words_of(y, 64)[9], 18u);
}

TEST_F(WebgpuDeviceTest, CompilerWordsArriveWithTheSourceLine) {
  KernelBinary binary{.format = KernelBinary::Format::wgsl, .name = "broken", .entry_point = "main"};
  const std::string text =
      "@compute @workgroup_size(1)\nfn main() {\n  // norm.cpp:41\n  let a = 1u + nothing;\n}\n";
  binary.code.resize(text.size());
  std::memcpy(binary.code.data(), text.data(), text.size());
  const Result<KernelId> loaded = device_->load(binary);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message(), HasSubstr("broken: norm.cpp:41"));
  EXPECT_THAT(loaded.error().message(), HasSubstr("nothing"));
}

TEST(WebgpuLibraryTest, MissingLibraryIsToldClearly) {
  choose_library();
  const char* before = std::getenv(webgpu::kLibraryVariable);
  const std::string kept = before != nullptr ? before : "";
  setenv(webgpu::kLibraryVariable, "/nonexistent/libwebgpu.so", 1);
  const auto opened = webgpu::open_webgpu_program_device(0);
  EXPECT_TRUE(webgpu::list_webgpu_devices().empty());
  setenv(webgpu::kLibraryVariable, "libm.so.6", 1);
  const auto wrong = webgpu::open_webgpu_program_device(0);
  if (kept.empty())
    unsetenv(webgpu::kLibraryVariable);
  else
    setenv(webgpu::kLibraryVariable, kept.c_str(), 1);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().kind, ErrorKind::not_found);
  EXPECT_THAT(opened.error().message(), HasSubstr("/nonexistent/libwebgpu.so"));
  EXPECT_THAT(opened.error().message(), HasSubstr("TATTLETALE_WEBGPU_LIB"));
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(wrong.error().message(), HasSubstr("wgpuCreateInstance"));
}

TEST_F(WebgpuDeviceTest, MissingAdapterIsToldClearly) {
  const auto opened = webgpu::open_webgpu_program_device(999);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().kind, ErrorKind::not_found);
  EXPECT_THAT(opened.error().message(), HasSubstr("adapter 999"));
  const auto named = webgpu::find_webgpu_device("no such card");
  ASSERT_FALSE(named.has_value());
  EXPECT_THAT(named.error().message(), HasSubstr(device_->caps().name));
  EXPECT_TRUE(webgpu::find_webgpu_device(device_->caps().name).has_value());
}

}  // namespace
}  // namespace tattletale::test
