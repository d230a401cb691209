// The CPU's linear kernel against its naive twin, and the promise that a row's result does not depend on the
// batch.
#include "kernels/linear.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/cpu_device.h"
#include "backends/cpu/cpu_info.h"
#include "backends/cpu/linear_amx.h"
#include "quant/block_format.h"

namespace tattletale {
namespace {

constexpr DType kWeightDTypes[] = {DType::f32,  DType::f16,  DType::bf16, DType::q4_0,   DType::q4_1,
                                   DType::q5_0, DType::q5_1, DType::q8_0, DType::q2_k,   DType::q3_k,
                                   DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs};

/// One launch: its shapes and data, all made from a seed.
struct Case {
  LinearComptime comptime;
  LinearParams params;
  bool with_bias = false;
  std::vector<float> x;
  std::vector<float> y;  // before the launch
  std::vector<std::byte> weight[3];
  std::vector<float> bias[3];

  bool gated() const {
    return comptime.epilogue == LinearEpilogue::silu_mul ||
           comptime.epilogue == LinearEpilogue::gelu_tanh_mul;
  }
  uint32_t y_width() const {
    if (gated()) return params.out_dim[0];
    uint32_t width = 0;
    for (uint32_t i = 0; i < comptime.num_weights; ++i) width += params.out_dim[i];
    return width;
  }
};

struct Shape {
  uint32_t t, k;
  std::vector<uint32_t> n;
  std::vector<DType> dtypes;
  LinearEpilogue epilogue = LinearEpilogue::store;
  bool with_bias = false;
  uint32_t x_padding = 0, y_padding = 0;
};

Case make_case(const Shape& shape, uint64_t seed = 1) {
  Case c;
  c.comptime.num_weights = static_cast<uint8_t>(shape.n.size());
  c.comptime.epilogue = shape.epilogue;
  c.params.num_rows = shape.t;
  c.params.in_dim = shape.k;
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  const float sigma = 1.0f / std::sqrt(static_cast<float>(shape.k));
  for (size_t i = 0; i < shape.n.size(); ++i) {
    const DType dtype = shape.dtypes[i % shape.dtypes.size()];
    c.comptime.weight_dtype[i] = dtype;
    c.params.out_dim[i] = shape.n[i];
    const uint64_t bytes = row_bytes(dtype, shape.k).value();
    c.weight[i].resize(bytes * shape.n[i]);
    for (uint32_t n = 0; n < shape.n[i]; ++n) {
      block_format(dtype).fill_random_row(c.weight[i].data() + n * bytes, shape.k, random(), sigma);
    }
    if (shape.with_bias) {
      c.bias[i].resize(shape.n[i]);
      for (float& b : c.bias[i]) b = normal(random);
    }
  }
  c.params.x_stride = shape.k + shape.x_padding;
  c.params.y_stride = c.y_width() + shape.y_padding;
  c.x.resize(uint64_t{shape.t} * c.params.x_stride);
  for (float& v : c.x) v = normal(random);
  c.y.resize(uint64_t{shape.t} * c.params.y_stride);
  for (float& v : c.y) v = normal(random);
  return c;
}

std::vector<float> run_twin(const Case& c) {
  std::vector<float> y = c.y;
  HostBinding bindings[8] = {};
  bindings[0] = {reinterpret_cast<std::byte*>(const_cast<float*>(c.x.data())), c.x.size() * 4};
  bindings[1] = {reinterpret_cast<std::byte*>(y.data()), y.size() * 4};
  for (uint32_t i = 0; i < c.comptime.num_weights; ++i) {
    bindings[2 + i] = {const_cast<std::byte*>(c.weight[i].data()), c.weight[i].size()};
    if (!c.bias[i].empty()) {
      bindings[5 + i] = {reinterpret_cast<std::byte*>(const_cast<float*>(c.bias[i].data())),
                         c.bias[i].size() * 4};
    }
  }
  kLinearContract.twin(bindings, &c.comptime, &c.params);
  return y;
}

/// Runs launches on a device with its own number of threads.
class Runner {
 public:
  explicit Runner(uint32_t num_threads) : device_(open_cpu_device(num_threads).value()) {}

  std::vector<float> run(const Case& c) { return run_rows(c, 0, c.params.num_rows); }

  /// y of the rows [t0, t1) alone, launched as a batch of their own.
  std::vector<float> run_rows(const Case& c, uint32_t t0, uint32_t t1) {
    KernelBinary binary;
    binary.name = "linear";
    binary.comptime.resize(sizeof(LinearComptime));
    std::memcpy(binary.comptime.data(), &c.comptime, sizeof(LinearComptime));
    const KernelId kernel = device_->load_kernel(binary).value();
    LinearParams params = c.params;
    params.num_rows = t1 - t0;
    std::vector<float> y(c.y.begin() + uint64_t{t0} * params.y_stride,
                         c.y.begin() + uint64_t{t1} * params.y_stride);
    Dispatch dispatch;
    dispatch.kernel = kernel;
    dispatch.num_bindings = 8;
    dispatch.set_params(params);
    std::vector<BufferId> buffers;
    const auto import = [&](const void* data, uint64_t size) {
      const std::span<const std::byte> bytes(static_cast<const std::byte*>(data), size);
      const BufferSlice slice = device_->create_matrix(DType::u8, 1, size, bytes, nullptr, "matrix").value();
      buffers.push_back(slice.buffer);
      return slice;
    };
    dispatch.bindings[0] =
        import(c.x.data() + uint64_t{t0} * params.x_stride, uint64_t{t1 - t0} * params.x_stride * 4);
    const BufferId y_id = device_->create_buffer(std::max<size_t>(y.size() * 4, 4), "y").value();
    buffers.push_back(y_id);
    EXPECT_TRUE(device_->write(y_id, 0, std::as_bytes(std::span(y))).has_value());
    dispatch.bindings[1] = {y_id, 0, y.size() * 4};
    for (uint32_t i = 0; i < c.comptime.num_weights; ++i) {
      const std::byte* data = weight_override_ != nullptr ? weight_override_ : c.weight[i].data();
      dispatch.bindings[2 + i] = import(data, c.weight[i].size());
      if (!c.bias[i].empty()) dispatch.bindings[5 + i] = import(c.bias[i].data(), c.bias[i].size() * 4);
    }
    CommandList list;
    list.dispatch(dispatch);
    EXPECT_TRUE(device_->submit(list).has_value());
    EXPECT_TRUE(device_->read({y_id, 0, y.size() * 4}, std::as_writable_bytes(std::span(y))).has_value());
    for (const BufferId id : buffers) device_->destroy_buffer(id);
    return y;
  }

  void override_weight(const std::byte* data) { weight_override_ = data; }

 private:
  std::unique_ptr<Device> device_;
  const std::byte* weight_override_ = nullptr;
};

/// How far an output may lie from the exact product. What a device may round is x: to bf16 (relative 2^-9),
/// or to 127 steps of the largest |x| in a block of 32; each such error is uniform and independent, so the
/// variance of an output's is the sum over k of w^2 step^2 / 12. Six standard deviations of it are allowed,
/// which 10^9 outputs would not pass by chance and any wrong weight or scale does. f32 and f16 weights see x
/// as it is: rounding of the sum alone.
double allowed_error(const Case& c, uint32_t i, uint32_t n, uint32_t t) {
  const DType dtype = c.comptime.weight_dtype[i];
  const uint32_t k = c.params.in_dim;
  std::vector<float> w(k);
  const uint64_t bytes = row_bytes(dtype, k).value();
  block_format(dtype).dequantize_row(c.weight[i].data() + n * bytes, w.data(), k);
  const float* x = c.x.data() + uint64_t{t} * c.params.x_stride;
  double variance = 0, magnitude = 0;
  for (uint32_t block = 0; block < k; block += 32) {
    float amax = 0;
    const uint32_t end = std::min(k, block + 32);
    for (uint32_t j = block; j < end; ++j) amax = std::max(amax, std::fabs(x[j]));
    for (uint32_t j = block; j < end; ++j) {
      double step = 0;
      if (dtype >= DType::q4_0) step = amax / 127.0;
      if (dtype == DType::bf16) step = std::fabs(x[j]) * 0x1p-7;
      variance += double{w[j]} * w[j] * step * step / 12.0;
      magnitude += std::fabs(double{w[j]} * x[j]);
    }
  }
  return 6.0 * std::sqrt(variance) + 4e-6 * magnitude + 1e-6;
}

/// `scale` widens the bound for gated epilogues, where values of a few units multiply each other's error.
void expect_close(const Case& c, const std::vector<float>& got, float scale, const std::string& what) {
  const std::vector<float> want = run_twin(c);
  ASSERT_EQ(got.size(), want.size());
  for (uint32_t t = 0; t < c.params.num_rows; ++t) {
    uint32_t column = 0;
    for (uint32_t i = 0; i < (c.gated() ? 1u : c.comptime.num_weights); ++i) {
      for (uint32_t n = 0; n < c.params.out_dim[i]; ++n, ++column) {
        const uint64_t at = uint64_t{t} * c.params.y_stride + column;
        double bound = allowed_error(c, i, n, t);
        if (c.gated()) bound = scale * (bound + allowed_error(c, 1, n, t));
        ASSERT_LE(std::fabs(got[at] - want[at]), bound)
            << what << " row " << t << " column " << column << " got " << got[at] << " want " << want[at];
      }
    }
    for (uint32_t pad = column; pad < c.params.y_stride; ++pad) {
      const uint64_t at = uint64_t{t} * c.params.y_stride + pad;
      ASSERT_EQ(got[at], c.y[at]) << what << ": wrote past the row's end";
    }
  }
}

uint32_t smallest_k(DType dtype) {
  return dtype_info(dtype).block_elements == 256 ? 256 : 32;
}

std::vector<uint32_t> some_k(DType dtype) {
  if (dtype_info(dtype).block_elements == 256) return {256, 768};
  if (dtype_info(dtype).block_elements == 1) return {1, 7, 33, 100, 576};
  return {32, 64, 96, 576, 640};
}

class LinearDType : public testing::TestWithParam<DType> {};

TEST_P(LinearDType, agrees_with_the_twin) {
  const DType dtype = GetParam();
  Runner runner(2);
  for (const uint32_t k : some_k(dtype)) {
    for (const uint32_t t : {1u, 2u, 3u, 5u, 16u, 17u, 31u, 33u, 64u, 129u}) {
      for (const uint32_t n : {1u, 7u, 17u, 33u, 129u}) {
        if (t > 17 && n != 33 && k > 100) continue;  // keep the run short
        const Case c = make_case({.t = t, .k = k, .n = {n}, .dtypes = {dtype}}, t * 1000 + n);
        expect_close(c, runner.run(c), 1.0f,
                     "T " + std::to_string(t) + " K " + std::to_string(k) + " N " + std::to_string(n));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearDType, a_row_does_not_depend_on_the_batch_or_the_threads) {
  const DType dtype = GetParam();
  Runner one(1), two(2), three(3);
  for (const uint32_t k : {some_k(dtype).front(), some_k(dtype).back()}) {
    const Case c =
        make_case({.t = 133, .k = k, .n = {67, 16}, .dtypes = {dtype}, .x_padding = 3, .y_padding = 5});
    const std::vector<float> whole = two.run(c);
    EXPECT_EQ(whole, one.run(c));
    EXPECT_EQ(whole, three.run(c));
    for (const std::vector<uint32_t>& splits :
         {std::vector<uint32_t>{1, 1, 1, 130}, {2, 3, 5, 7, 116}, {8, 15, 16, 17, 31, 33, 13}, {4, 64, 65}}) {
      uint32_t t = 0;
      for (const uint32_t size : splits) {
        const std::vector<float> part = (size % 2 == 0 ? one : two).run_rows(c, t, t + size);
        ASSERT_EQ(0,
                  std::memcmp(part.data(), whole.data() + uint64_t{t} * c.params.y_stride, part.size() * 4))
            << "rows " << t << " to " << t + size << " of K " << k;
        t += size;
      }
      EXPECT_EQ(t, c.params.num_rows);
    }
  }
}

TEST_P(LinearDType, epilogues_and_biases) {
  const DType dtype = GetParam();
  Runner runner(2);
  for (const LinearEpilogue epilogue : {LinearEpilogue::store, LinearEpilogue::add, LinearEpilogue::silu_mul,
                                        LinearEpilogue::gelu_tanh_mul}) {
    for (const bool with_bias : {false, true}) {
      for (const uint32_t t : {1u, 5u, 37u}) {
        const Case c = make_case({.t = t,
                                  .k = smallest_k(dtype) * 2,
                                  .n = {45, 45},
                                  .dtypes = {dtype},
                                  .epilogue = epilogue,
                                  .with_bias = with_bias,
                                  .x_padding = 2,
                                  .y_padding = 1});
        // A product of two values near 1 to 4 carries the error of both.
        expect_close(c, runner.run(c), c.gated() ? 6.0f : 1.0f, "epilogue " + std::to_string(int(epilogue)));
      }
    }
  }
}

TEST_P(LinearDType, never_reads_past_the_last_weight) {
  const DType dtype = GetParam();
  const uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const uint32_t k : some_k(dtype)) {
    for (const uint32_t n : {1u, 16u, 21u}) {
      for (const uint32_t t : {1u, 3u, 20u}) {
        const Case c = make_case({.t = t, .k = k, .n = {n}, .dtypes = {dtype}});
        const uint64_t size = c.weight[0].size();
        const uint64_t mapped = (size + page - 1) / page * page;
        auto* memory = static_cast<std::byte*>(
            ::mmap(nullptr, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ASSERT_NE(memory, MAP_FAILED);
        ASSERT_EQ(0, ::mprotect(memory + mapped, page, PROT_NONE));
        std::memcpy(memory + mapped - size, c.weight[0].data(), size);
        Runner runner(1);
        const std::vector<float> want = runner.run(c);
        runner.override_weight(memory + mapped - size);
        EXPECT_EQ(want, runner.run(c));
        ::munmap(memory, mapped + page);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, LinearDType, testing::ValuesIn(kWeightDTypes),
                         [](const auto& param) { return std::string(dtype_name(param.param)); });

TEST(Linear, three_matrices_of_three_formats) {
  Runner runner(2);
  for (const uint32_t t : {1u, 4u, 40u}) {
    const Case c = make_case({.t = t,
                              .k = 512,
                              .n = {40, 24, 7},
                              .dtypes = {DType::q4_k, DType::f32, DType::q6_k},
                              .epilogue = LinearEpilogue::add,
                              .with_bias = true});
    expect_close(c, runner.run(c), 1.0f, "T " + std::to_string(t));
    const Case gated = make_case({.t = t,
                                  .k = 512,
                                  .n = {40, 40},
                                  .dtypes = {DType::q8_0, DType::f16},
                                  .epilogue = LinearEpilogue::silu_mul});
    expect_close(gated, runner.run(gated), 6.0f, "gated, T " + std::to_string(t));
  }
}

TEST(Linear, activations_of_zero_and_not_a_number) {
  Runner runner(1);
  Case c = make_case({.t = 3, .k = 64, .n = {20}, .dtypes = {DType::q4_0}});
  for (uint32_t k = 0; k < 64; ++k) c.x[k] = 0;
  c.x[64 + 40] = std::nanf("");
  c.x[128 + 3] = 1e-38f;
  const std::vector<float> y = runner.run(c);
  for (uint32_t n = 0; n < 20; ++n) {
    EXPECT_EQ(y[n], 0.0f);
    EXPECT_TRUE(std::isnan(y[20 + n]));
    EXPECT_FALSE(std::isnan(y[40 + n]));
  }
}

/// Every instruction set this machine has gives the same bits for packed weights.
TEST(Linear, instruction_sets_agree) {
  cpu::apply_isa_limits();
  const int64_t all = hwy::SupportedTargets();
  for (const DType dtype : kWeightDTypes) {
    const bool packed = dtype >= DType::q4_0;
    const Case c = make_case({.t = 21, .k = 768, .n = {37}, .dtypes = {dtype}});
    Runner runner(2);
    const std::vector<float> best = runner.run(c);
    const std::vector<float> best_row = runner.run_rows(c, 20, 21);
    cpu::disable_linear_amx(true);
    EXPECT_EQ(best, runner.run(c)) << "without AMX, " << dtype_name(dtype);
    for (const int64_t target : {HWY_AVX3_DL, HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_NEON}) {
      if ((all & target) == 0) continue;
      hwy::SetSupportedTargetsForTest(target);
      const std::vector<float> y = runner.run(c);
      const std::vector<float> row = runner.run_rows(c, 20, 21);
      hwy::SetSupportedTargetsForTest(0);
      expect_close(c, y, 1.0f, hwy::TargetName(target));
      EXPECT_EQ(0, std::memcmp(row.data(), y.data() + 20 * c.params.y_stride, row.size() * 4))
          << hwy::TargetName(target);
      if (packed && target != HWY_SSE4)
        EXPECT_EQ(best, y) << hwy::TargetName(target) << " " << dtype_name(dtype);
    }
    cpu::disable_linear_amx(false);
  }
}

}  // namespace
}  // namespace tattletale
