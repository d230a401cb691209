// Every format against recorded results of the gguf package, and against its own twin.
#include "quant/block_format.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "quant/plain/float8.h"
#include "quant/random_source.h"

namespace tattletale {
namespace {

std::vector<char> read_fixture(const std::string& name) {
  std::ifstream file(std::string(TT_TEST_DATA) + "/quant/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

const std::byte* as_bytes(const char* data) {
  return reinterpret_cast<const std::byte*>(data);
}

/// Equal bits, or both NaN: inf * 0 gives a NaN whose sign depends on the processor.
bool same_number(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

const DType kDecodeRecorded[] = {DType::f16,  DType::bf16, DType::q4_0,   DType::q4_1,  DType::q5_0,
                                 DType::q5_1, DType::q8_0, DType::q2_k,   DType::q3_k,  DType::q4_k,
                                 DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs};
const DType kEncodeRecorded[] = {DType::f16,  DType::bf16, DType::q4_0, DType::q4_1,
                                 DType::q5_0, DType::q5_1, DType::q8_0};

TEST(BlockFormat, DecodesAsRecordedBitForBit) {
  for (const DType dtype : kDecodeRecorded) {
    SCOPED_TRACE(dtype_name(dtype));
    const std::vector<char> file = read_fixture("decode_" + std::string(dtype_name(dtype)) + ".bin");
    uint32_t num_blocks = 0;
    ASSERT_GE(file.size(), 4u);
    std::memcpy(&num_blocks, file.data(), 4);
    const DTypeInfo& info = dtype_info(dtype);
    const int64_t n = int64_t{num_blocks} * info.block_elements;
    const size_t block_bytes = size_t{num_blocks} * info.block_bytes;
    ASSERT_EQ(file.size(), 4 + block_bytes + static_cast<size_t>(n) * 4);
    std::vector<float> expected(n), actual(n);
    std::memcpy(expected.data(), file.data() + 4 + block_bytes, n * 4);
    block_format(dtype).dequantize_row(as_bytes(file.data() + 4), actual.data(), n);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (same_number(expected[i], actual[i])) continue;
      if (++wrong <= 3) ADD_FAILURE() << "number " << i << ": " << actual[i] << ", recorded " << expected[i];
    }
    EXPECT_EQ(wrong, 0);
  }
}

TEST(BlockFormat, EncodesAsRecordedByteForByte) {
  for (const DType dtype : kEncodeRecorded) {
    SCOPED_TRACE(dtype_name(dtype));
    const std::vector<char> file = read_fixture("encode_" + std::string(dtype_name(dtype)) + ".bin");
    uint32_t n = 0;
    ASSERT_GE(file.size(), 4u);
    std::memcpy(&n, file.data(), 4);
    const size_t num_bytes = *row_bytes(dtype, n);
    ASSERT_EQ(file.size(), 4 + size_t{n} * 4 + num_bytes);
    std::vector<float> input(n);
    std::memcpy(input.data(), file.data() + 4, size_t{n} * 4);
    std::vector<std::byte> actual(num_bytes);
    block_format(dtype).quantize_row(input.data(), actual.data(), n);
    const std::byte* expected = as_bytes(file.data() + 4 + size_t{n} * 4);
    int wrong = 0;
    for (size_t i = 0; i < num_bytes; ++i) {
      if (actual[i] == expected[i]) continue;
      if (++wrong <= 3) {
        ADD_FAILURE() << "byte " << i << " (block " << i / dtype_info(dtype).block_bytes
                      << "): " << static_cast<int>(actual[i]) << ", recorded "
                      << static_cast<int>(expected[i]);
      }
    }
    EXPECT_EQ(wrong, 0);
  }
}

TEST(BlockFormat, TableIsCompleteAndKnowsItsDtype) {
  for (const DTypeInfo& info : all_dtypes()) {
    const BlockFormat& format = block_format(info.dtype);
    EXPECT_EQ(format.dtype, info.dtype);
    EXPECT_NE(format.dequantize_row, nullptr);
    EXPECT_NE(format.quantize_row, nullptr);
    EXPECT_NE(format.fill_random_row, nullptr);
  }
  EXPECT_EQ(bits_per_element(DType::q4_0), 4.5);
  EXPECT_EQ(bits_per_element(DType::q6_k), 6.5625);
}

/// Largest acceptable rms error of encoding N(0, 1), about 1.15 times what was measured.
double rms_bound(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::f64: return 0;
    case DType::f16: return 2.5e-4;
    case DType::bf16: return 1.95e-3;
    case DType::f8_e4m3: return 0.031;
    case DType::f8_e5m2: return 0.0615;
    case DType::q4_0: return 0.094;
    case DType::q4_1: return 0.088;
    case DType::q5_0: return 0.0465;
    case DType::q5_1: return 0.0425;
    case DType::q8_0: return 0.00585;
    case DType::q2_k: return 0.304;
    case DType::q3_k: return 0.161;
    case DType::q4_k: return 0.0797;
    case DType::q5_k: return 0.0397;
    case DType::q6_k: return 0.0185;
    case DType::iq4_nl: return 0.082;
    case DType::iq4_xs: return 0.083;
    default: return 0.33;  // integers round to whole numbers
  }
}

TEST(BlockFormat, EncodingThenDecodingStaysNear) {
  constexpr int64_t kNumbers = 256 * 64;
  std::vector<float> input(kNumbers), output(kNumbers);
  RandomSource random(5);
  for (float& x : input) x = next_normal(random);
  for (const DTypeInfo& info : all_dtypes()) {
    if (info.dtype == DType::boolean) continue;
    SCOPED_TRACE(info.name);
    std::vector<float> source = input;
    const bool is_unsigned = info.name[0] == 'u';
    if (is_unsigned) {
      for (float& x : source) x = std::fabs(x);
    }
    std::vector<std::byte> row(*row_bytes(info.dtype, kNumbers));
    block_format(info.dtype).quantize_row(source.data(), row.data(), kNumbers);
    block_format(info.dtype).dequantize_row(row.data(), output.data(), kNumbers);
    double squares = 0;
    for (int64_t i = 0; i < kNumbers; ++i) squares += std::pow(double{output[i]} - source[i], 2);
    const double rms = std::sqrt(squares / kNumbers);
    EXPECT_LE(rms, rms_bound(info.dtype));
    RecordProperty(std::string("rms_") + std::string(info.name), std::to_string(rms));
  }
}

TEST(BlockFormat, ZerosStayZeroAndConstantsFinite) {
  constexpr double kTiny = 1e-7;  // scales are binary16: nothing smaller than their last place survives
  std::vector<float> output(256);
  for (const float constant : {0.0f, 1.0f, -2.5f, 1e-30f}) {
    const std::vector<float> input(256, constant);
    for (const DTypeInfo& info : all_dtypes()) {
      if (!info.packed) continue;
      std::vector<std::byte> row(*row_bytes(info.dtype, 256));
      block_format(info.dtype).quantize_row(input.data(), row.data(), 256);
      block_format(info.dtype).dequantize_row(row.data(), output.data(), 256);
      for (const float x : output) ASSERT_NEAR(x, constant, std::fabs(constant) * 0.04 + kTiny) << info.name;
    }
  }
}

TEST(BlockFormat, RandomRowsLookNormal) {
  constexpr int64_t kNumbers = 256 * 512;
  std::vector<float> numbers(kNumbers);
  for (const DTypeInfo& info : all_dtypes()) {
    if (info.dtype == DType::boolean) continue;
    const bool is_integer = info.name[0] == 'i' && !info.packed;
    const bool is_unsigned = info.name[0] == 'u';
    const float sigma = is_integer ? 20.0f : 0.02f;
    SCOPED_TRACE(info.name);
    std::vector<std::byte> row(*row_bytes(info.dtype, kNumbers)), again(row.size());
    block_format(info.dtype).fill_random_row(row.data(), kNumbers, 7, sigma);
    block_format(info.dtype).fill_random_row(again.data(), kNumbers, 7, sigma);
    EXPECT_EQ(row, again);
    if (is_unsigned) continue;
    block_format(info.dtype).fill_random_row(again.data(), kNumbers, 8, sigma);
    EXPECT_NE(row, again);
    block_format(info.dtype).dequantize_row(row.data(), numbers.data(), kNumbers);
    double sum = 0, squares = 0, within_one = 0, largest = 0;
    for (const float x : numbers) {
      ASSERT_TRUE(std::isfinite(x));
      sum += x;
      squares += double{x} * x;
      within_one += std::fabs(x) < sigma;
      largest = std::max(largest, std::fabs(double{x}));
    }
    EXPECT_LT(std::fabs(sum / kNumbers), 0.03 * sigma);
    EXPECT_NEAR(std::sqrt(squares / kNumbers), sigma, 0.03 * sigma);
    EXPECT_LT(largest, 6 * sigma);
    if (info.dtype != DType::q2_k) EXPECT_NEAR(within_one / kNumbers, 0.683, 0.08);
  }
}

TEST(BlockFormat, RowsMayLieAtAnyAddress) {
  std::vector<float> expected(256), actual(256);
  for (const DTypeInfo& info : all_dtypes()) {
    const size_t num_bytes = *row_bytes(info.dtype, 256);
    std::vector<std::byte> row(num_bytes), shifted(num_bytes + 1);
    block_format(info.dtype).fill_random_row(row.data(), 256, 1, 1.0f);
    block_format(info.dtype).fill_random_row(shifted.data() + 1, 256, 1, 1.0f);
    block_format(info.dtype).dequantize_row(row.data(), expected.data(), 256);
    block_format(info.dtype).dequantize_row(shifted.data() + 1, actual.data(), 256);
    EXPECT_EQ(expected, actual) << info.name;
  }
}

TEST(Float8, EveryValueSurvivesARoundTrip) {
  for (int bits = 0; bits < 256; ++bits) {
    const uint8_t byte = static_cast<uint8_t>(bits);
    const float e4m3 = f8_e4m3_to_f32(byte);
    if (!std::isnan(e4m3)) EXPECT_EQ(f32_to_f8_e4m3(e4m3), byte);
    const float e5m2 = f8_e5m2_to_f32(byte);
    if (!std::isnan(e5m2)) EXPECT_EQ(f32_to_f8_e5m2(e5m2), byte);
  }
  EXPECT_EQ(f8_e4m3_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8_e4m3_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f8_e5m2_to_f32(0x7b), 57344.0f);
  EXPECT_TRUE(std::isnan(f8_e4m3_to_f32(0xff)));
  EXPECT_TRUE(std::isinf(f8_e5m2_to_f32(0x7c)));
}

TEST(Float8, RoundsToTheNearestNeighbour) {
  for (int bits = 0; bits < 0x7e; ++bits) {
    const float low = f8_e4m3_to_f32(static_cast<uint8_t>(bits));
    const float high = f8_e4m3_to_f32(static_cast<uint8_t>(bits + 1));
    const float middle = (low + high) / 2;
    EXPECT_EQ(f32_to_f8_e4m3(std::nextafter(middle, low)), bits);
    EXPECT_EQ(f32_to_f8_e4m3(std::nextafter(middle, high)), bits + 1);
    EXPECT_EQ(f32_to_f8_e4m3(middle), bits + bits % 2);  // ties go to even
  }
  EXPECT_EQ(f32_to_f8_e4m3(1e9f), 0x7e);
  EXPECT_EQ(f32_to_f8_e5m2(-1e9f), 0xfb);
  EXPECT_EQ(f32_to_f8_e5m2(INFINITY), 0x7c);
}

TEST(Integers, RoundToEvenAndSaturate) {
  const float input[] = {2.5f, 3.5f, -2.5f, 1e30f, -1e30f, 127.6f, -0.4f, 255.0f};
  std::vector<std::byte> row(64);
  std::vector<float> output(8);
  block_format(DType::i8).quantize_row(input, row.data(), 8);
  block_format(DType::i8).dequantize_row(row.data(), output.data(), 8);
  EXPECT_EQ(output, (std::vector<float>{2, 4, -2, 127, -128, 127, 0, 127}));
  block_format(DType::u8).quantize_row(input, row.data(), 8);
  block_format(DType::u8).dequantize_row(row.data(), output.data(), 8);
  EXPECT_EQ(output, (std::vector<float>{2, 4, 0, 255, 0, 128, 0, 255}));
  block_format(DType::i64).quantize_row(input, row.data(), 8);
  block_format(DType::i64).dequantize_row(row.data(), output.data(), 8);
  EXPECT_EQ(output[3], 0x1p63f);
  EXPECT_EQ(output[4], -0x1p63f);
}

TEST(FillRandom, IsFastEnoughForLargeModels) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TT_SANITIZED
#endif
#endif
#if defined(TT_SANITIZED) || defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
  GTEST_SKIP() << "timing is only meaningful in an optimised build without sanitizers";
#endif
  constexpr int64_t kNumbers = 1 << 22;
  for (const DTypeInfo& info : all_dtypes()) {
    std::vector<std::byte> row(*row_bytes(info.dtype, kNumbers));
    const auto start = std::chrono::steady_clock::now();
    block_format(info.dtype).fill_random_row(row.data(), kNumbers, 1, 0.02f);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const double mb_per_s = static_cast<double>(row.size()) / elapsed.count() / 1e6;
    RecordProperty(std::string("mb_per_s_") + std::string(info.name), std::to_string(mb_per_s));
    EXPECT_GT(mb_per_s, 50) << info.name;  // far below what is measured: this guards against accidents only
  }
}

}  // namespace
}  // namespace tattletale
