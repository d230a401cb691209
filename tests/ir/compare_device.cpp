#include "ir/compare_device.h"

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>

#include "ir/interpreter.h"
#include "ir/text.h"

namespace tattletale::test {
namespace {

constexpr int kMaxWords = 4;  // of a report
constexpr int kMaxSeeds = 4;

std::span<std::byte> bytes(std::vector<uint32_t>& words) {
  return std::as_writable_bytes(std::span(words));
}

bool agrees(const ResultRule& rule, uint32_t want, uint32_t got) {
  if (!rule.is_f32) return want == got;
  const double a = std::bit_cast<float>(want), b = std::bit_cast<float>(got);
  return std::fabs(a - b) <= rule.relative * std::fabs(a) + rule.absolute;  // false if one is NaN
}

std::string word_text(bool is_f32, uint32_t word) {
  char text[64];
  if (is_f32) {
    std::snprintf(text, sizeof text, "%.9g (%08x)", static_cast<double>(std::bit_cast<float>(word)), word);
  } else {
    std::snprintf(text, sizeof text, "%08x", word);
  }
  return text;
}

/// Frees what one run made.
class Buffers {
 public:
  explicit Buffers(compiler::ProgramDevice& device) : device_(device) {}
  ~Buffers() {
    for (const BufferId id : ids_) device_.destroy_buffer(id);
  }
  Result<BufferSlice> make(const char* name, const std::vector<uint32_t>& words) {
    TT_ASSIGN(const BufferId id, device_.create_buffer(words.size() * 4, name));
    ids_.push_back(id);
    TT_TRY(device_.write(id, 0, std::as_bytes(std::span(words))));
    return BufferSlice{id, 0, words.size() * 4};
  }

 private:
  compiler::ProgramDevice& device_;
  std::vector<BufferId> ids_;
};

Result<void> finish(compiler::ProgramDevice& device, Submission submission) {
  if (device.caps().waits) return device.wait(submission);
  while (true) {
    TT_ASSIGN(const bool done, device.poll(submission));
    if (done) return {};
    std::this_thread::yield();
  }
}

Result<std::string> compare(compiler::ProgramDevice& device, const RandomKernel& random,
                            const PrepareKernel& prepare) {
  TT_ASSIGN(const RunResult want, run_on_interpreter(random, random.kernel));
  ir::Kernel kernel = random.kernel;
  if (prepare) {
    TT_ASSIGN(kernel, prepare(random.kernel));
  }
  TT_ASSIGN(const RunResult got, run_on_device(device, random, kernel));
  return difference(random, want, got);
}

std::string compare_seed(compiler::ProgramDevice& device, uint64_t seed, uint32_t statements,
                         const PrepareKernel& prepare) {
  const auto result = compare(device, random_kernel(seed, device.target(), statements), prepare);
  return result ? *result : "failed: " + result.error().message() + "\n";
}

}  // namespace

Result<RunResult> run_on_interpreter(const RandomKernel& random, const ir::Kernel& kernel) {
  TT_ASSIGN(ir::Interpreter interpreter, ir::Interpreter::create(kernel));
  RunResult result{random.y, random.z};
  std::vector<uint32_t> x = random.x;
  TT_TRY(interpreter.run(
      {{random.num_workgroups, 1, 1}, random.params, {bytes(x), bytes(result.y), bytes(result.z)}}));
  return result;
}

Result<RunResult> run_on_device(compiler::ProgramDevice& device, const RandomKernel& random,
                                const ir::Kernel& kernel) {
  TT_ASSIGN(const KernelBinary binary, device.compile(kernel));
  TT_ASSIGN(const KernelId id, device.load(binary));
  Buffers buffers(device);
  TT_ASSIGN(const BufferSlice x, buffers.make("x", random.x));
  TT_ASSIGN(const BufferSlice y, buffers.make("y", random.y));
  TT_ASSIGN(const BufferSlice z, buffers.make("z", random.z));
  Dispatch dispatch;
  dispatch.kernel = id;
  dispatch.num_bindings = 3;
  dispatch.bindings[0] = x;
  dispatch.bindings[1] = y;
  dispatch.bindings[2] = z;
  dispatch.workgroups = {random.num_workgroups, 1, 1};
  dispatch.params_bytes = static_cast<uint32_t>(random.params.size() * 4);
  std::memcpy(dispatch.params.data(), random.params.data(), dispatch.params_bytes);
  CommandList list;
  list.dispatch(dispatch);
  TT_ASSIGN(Submission last, device.submit(list));
  RunResult result{random.y, random.z};
  TT_ASSIGN(last, device.read(y, bytes(result.y)));
  TT_ASSIGN(last, device.read(z, bytes(result.z)));
  TT_TRY(finish(device, last));
  return result;
}

std::string difference(const RandomKernel& random, const RunResult& want, const RunResult& got) {
  std::string report;
  int count = 0;
  const size_t per_thread = random.rules.size();
  for (size_t i = 0; i < want.y.size(); ++i) {
    const ResultRule& rule = random.rules[i % per_thread];
    if (agrees(rule, want.y[i], got.y[i]) || count++ >= kMaxWords) continue;
    report += "  thread " + std::to_string(i / per_thread) + ", word " + std::to_string(i % per_thread) +
              ": " + word_text(rule.is_f32, got.y[i]) + ", must be " + word_text(rule.is_f32, want.y[i]) +
              "\n";
  }
  for (size_t i = 0; i < want.z.size(); ++i) {
    if (want.z[i] == got.z[i] || count++ >= kMaxWords) continue;
    report += "  z[" + std::to_string(i) + "]: " + word_text(false, got.z[i]) + ", must be " +
              word_text(false, want.z[i]) + "\n";
  }
  if (count > kMaxWords) report += "  and " + std::to_string(count - kMaxWords) + " more\n";
  return report;
}

std::string compare_on(compiler::ProgramDevice& device, uint64_t first_seed, uint32_t count,
                       const PrepareKernel& prepare) {
  std::string report;
  int failed = 0;
  for (uint64_t seed = first_seed; seed < first_seed + count && failed < kMaxSeeds; ++seed) {
    const std::string said = compare_seed(device, seed, 0, prepare);
    if (said.empty()) continue;
    report += device.caps().name + ", seed " + std::to_string(seed) + ":\n" + said;
    if (++failed > 1) continue;
    for (uint32_t statements = 1; statements <= 40; ++statements) {
      const std::string smaller = compare_seed(device, seed, statements, prepare);
      if (smaller.empty()) continue;
      report += "with " + std::to_string(statements) + " statements:\n" + smaller +
                ir::print(random_kernel(seed, device.target(), statements).kernel);
      break;
    }
  }
  return report;
}

}  // namespace tattletale::test
