#include "backends/webgpu/webgpu_probe.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/float16.h"

namespace tattletale::webgpu {
namespace {

/// Runs one program over `input` and reads back `num_out` words. Any failure but a lost device gives nothing.
Result<std::vector<uint32_t>> run(WebgpuProgramDevice& device, const std::string& text, uint32_t threads,
                                  const std::vector<uint32_t>& input, uint32_t workgroups, size_t num_out) {
  KernelBinary binary{.format = KernelBinary::Format::wgsl,
                      .name = "probe",
                      .entry_point = kWgslEntryPoint,
                      .num_bindings = 2,
                      .writes_mask = 2,
                      .workgroup_threads = threads};
  binary.code.resize(text.size());
  std::memcpy(binary.code.data(), text.data(), text.size());
  TT_ASSIGN(const KernelId kernel, device.load(binary));
  TT_ASSIGN(const BufferId in, device.create_buffer(4 * input.size(), "probe input"));
  TT_ASSIGN(const BufferId out, device.create_buffer(4 * num_out, "probe output"));
  TT_TRY(device.write(in, 0, std::as_bytes(std::span(input))));
  Dispatch dispatch{.kernel = kernel, .num_bindings = 2, .workgroups = {workgroups, 1, 1}};
  dispatch.bindings[0] = {in, 0, 4 * input.size()};
  dispatch.bindings[1] = {out, 0, 4 * num_out};
  CommandList list;
  list.dispatch(dispatch);
  TT_ASSIGN([[maybe_unused]] const Submission done, device.submit(list));
  std::vector<uint32_t> result(num_out);
  TT_ASSIGN(const Submission read,
            device.read({out, 0, 4 * num_out}, std::as_writable_bytes(std::span(result))));
  TT_TRY(device.wait(read));
  device.destroy_buffer(in);
  device.destroy_buffer(out);
  return result;
}

bool is_fatal(const Error& error) {
  return error.kind == ErrorKind::device_lost || error.kind == ErrorKind::out_of_memory;
}

constexpr std::string_view kSubgroupProbe = R"(
@group(0) @binding(0) var<storage, read> unused: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>,
        @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let partner = subgroupShuffleXor(i, 1u) + unused[0];
  out[group.x * THREADSu + i] = vec4<u32>(size, lane, partner, subgroupAdd(1u));
}
)";

/// The one size that every subgroup had, lanes in the order of threads; 1 when there is none.
Result<uint32_t> subgroup_size(WebgpuProgramDevice& device, uint32_t threads) {
  constexpr uint32_t kWorkgroups = 3;
  std::string text(kSubgroupProbe);
  const std::string number = std::to_string(threads);
  for (size_t at; (at = text.find("THREADS")) != std::string::npos;) text.replace(at, 7, number);
  if (device.dialect().enable_subgroups) text = "enable subgroups;\n" + text;
  Result<std::vector<uint32_t>> out =
      run(device, text, threads, {0, 0, 0, 0}, kWorkgroups, size_t{4} * threads * kWorkgroups);
  if (!out) return is_fatal(out.error()) ? Result<uint32_t>(out.take_error()) : Result<uint32_t>(1u);
  const uint32_t size = (*out)[0];
  if (!std::has_single_bit(size) || size > threads) return 1u;
  for (uint32_t i = 0; i < threads * kWorkgroups; ++i) {
    const uint32_t* seen = &(*out)[size_t{4} * i];
    const uint32_t thread = i % threads;
    if (seen[0] != size || seen[1] != thread % size || seen[2] != (thread ^ 1) || seen[3] != size) return 1u;
  }
  return size;
}

constexpr std::string_view kNumbersProbe = R"(
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<u32>>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let v = x[group.x];
  let number = bitcast<f32>(v.x);
  out[group.x] = vec4<u32>(pack2x16float(vec2<f32>(number, -number)), bitcast<u32>(unpack2x16float(v.y).x),
                           bitcast<u32>(unpack2x16float(v.y).y), bitcast<u32>(exp2(bitcast<f32>(v.z))));
  out[group.x + 128u] = vec4<u32>(bitcast<u32>(f32(v.w)), 0u, 0u, 0u);
}
)";

struct Numbers {
  bool pack = false, unpack = false, exp2 = false, u32_to_f32 = false;
};

Result<Numbers> numbers(WebgpuProgramDevice& device) {
  // Ties to even and away, results below the normal range, the last finite number, overflow.
  constexpr float kPack[] = {1.0f,          1.00048828125f, 1.00146484375f, 2049.0f, 2051.0f,  65504.0f,
                             65519.0f,      65520.0f,       1e6f,           6.1e-5f, 5.96e-8f, 2.98023224e-8f,
                             2.9802326e-8f, 8.9e-8f,        1e-9f,          0.0f};
  constexpr uint32_t kHalves[] = {0x00018001, 0x03ff83ff, 0x04008400, 0x3c00bc00};
  constexpr uint32_t kNumbers = 128;  // as in the text
  std::vector<uint32_t> input;
  for (uint32_t i = 0; i < kNumbers; ++i) {
    const float exponent = -125.9f + 2.0009f * static_cast<float>(i);
    input.insert(input.end(),
                 {std::bit_cast<uint32_t>(kPack[i % std::size(kPack)]), kHalves[i % std::size(kHalves)],
                  std::bit_cast<uint32_t>(std::min(exponent, 127.9f)), UINT32_MAX - i * 33500011u});
  }
  Result<std::vector<uint32_t>> out =
      run(device, std::string(kNumbersProbe), 1, input, kNumbers, 2 * input.size());
  if (!out) return is_fatal(out.error()) ? Result<Numbers>(out.take_error()) : Result<Numbers>(Numbers{});
  Numbers found{true, true, true, true};
  for (size_t i = 0; i < input.size(); i += 4) {
    const float number = std::bit_cast<float>(input[i]);
    const uint32_t packed = f32_to_f16(number) | uint32_t{f32_to_f16(-number)} << 16;
    if ((*out)[i] != packed) found.pack = false;
    for (uint32_t half = 0; half < 2; ++half) {
      const float value = f16_to_f32(static_cast<uint16_t>(input[i + 1] >> (16 * half)));
      if ((*out)[i + 1 + half] != std::bit_cast<uint32_t>(value)) found.unpack = false;
    }
    const double power = std::exp2(double{std::bit_cast<float>(input[i + 2])});
    if (!(std::abs(std::bit_cast<float>((*out)[i + 3]) / power - 1) < 0x1p-21)) found.exp2 = false;
    const auto rounded = static_cast<float>(input[i + 3]);
    if ((*out)[input.size() + i] != std::bit_cast<uint32_t>(rounded)) found.u32_to_f32 = false;
  }
  return found;
}

/// Vulkan drivers may choose a size per program where several exist. A probe then proves nothing: only cards
/// with one size, as the library tells or as their maker builds them.
bool has_one_subgroup_size(const AdapterDescription& adapter) {
  constexpr uint32_t kNvidia = 0x10de;
  const bool told = adapter.subgroup_min_size != 0 && adapter.subgroup_min_size == adapter.subgroup_max_size;
  return told || adapter.is_cpu || adapter.vendor_id == kNvidia;
}

}  // namespace

Result<void> probe(WebgpuProgramDevice& device) {
  ir::TargetInfo target = device.target();
  WgslDialect dialect = device.dialect();
  target.subgroup_size = 1;
  if (device.context().has_subgroups() && has_one_subgroup_size(device.context().adapter())) {
    TT_ASSIGN(const uint32_t small, subgroup_size(device, std::min(128u, target.max_workgroup_threads)));
    TT_ASSIGN(const uint32_t large, subgroup_size(device, target.max_workgroup_threads));
    if (small == large) target.subgroup_size = small;
  }
  TT_ASSIGN(const Numbers found, numbers(device));
  dialect.native_pack = found.pack;
  dialect.native_unpack = found.unpack;
  dialect.native_exp2 = found.exp2;
  dialect.native_u32_to_f32 = found.u32_to_f32;
  device.set_target(target, dialect);
  return {};
}

}  // namespace tattletale::webgpu
