// Every operation compiled for three generations of cards, what the assembler reports, and bad programs.
#include "backends/cuda/nvrtc.h"

#include <filesystem>
#include <fstream>

#include "backends/cuda/cuda_dialect.h"
#include "backends/cuda/tiled_matmul.h"
#include "ir/lang.h"
#include "nvrtc_fixture.h"
#include "support/op_kernels.h"

namespace tattletale::cuda {
namespace {

using namespace lang;  // NOLINT: bodies are written this way

TEST_F(WithNvrtc, CompilesEveryOperationForEveryGeneration) {
  for (const uint32_t capability : kComputeCapabilities) {
    const ir::TargetInfo target = cuda_target_info(capability);
    const auto architecture = nvrtc_->architecture(capability);
    if (!architecture && nvrtc_->major() < 13 && capability >= 100) continue;  // younger than NVRTC 12.4
    ASSERT_TRUE(architecture) << architecture.error().message();
    for (const test::OpKernel& op : test::op_kernels(target, 128)) {
      const auto source = print_cuda(op.kernel, target);
      ASSERT_TRUE(source) << source.error().message();
      const auto cubin = nvrtc_->compile(op.kernel, *source, *architecture);
      ASSERT_TRUE(cubin) << cubin.error().message();
      ASSERT_GT(cubin->code.size(), 4u);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(cubin->code.data()), 4), "\177ELF");
      ASSERT_TRUE(cubin->resources) << cubin->log;
      EXPECT_GT(cubin->resources->registers, 4u);
      EXPECT_EQ(cubin->resources->spill_bytes, 0u) << op.kernel.name;
      EXPECT_EQ(cubin->resources->stack_bytes, 0u) << op.kernel.name;
      EXPECT_EQ(cubin->resources->shared_bytes, op.kernel.shared_bytes()) << op.kernel.name;
    }
  }
}

TEST_F(WithNvrtc, AMatrixProductStaysInRegisters) {
  for (const uint32_t capability : kComputeCapabilities) {
    const ir::Kernel kernel = test::tiled_matmul(cuda_target_info(capability), Storage::bf16);
    const auto architecture = nvrtc_->architecture(capability);
    if (!architecture) continue;  // said above
    const auto cubin =
        nvrtc_->compile(kernel, *print_cuda(kernel, cuda_target_info(capability)), *architecture);
    ASSERT_TRUE(cubin) << cubin.error().message();
    EXPECT_LE(cubin->resources->registers, 128u);
    EXPECT_EQ(cubin->resources->stack_bytes, 0u);
  }
}

TEST_F(WithNvrtc, ArchitecturesAreThoseOfTheCards) {
  EXPECT_EQ(*nvrtc_->architecture(80), "sm_80");
  EXPECT_EQ(*nvrtc_->architecture(90), "sm_90a");
  EXPECT_EQ(*nvrtc_->architecture(91), "sm_90");  // the nearest that runs there, without the set of one card
  const auto none = nvrtc_->architecture(990);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::unsupported);
}

/// Two hundred numbers that are all alive until the end, in workgroups that leave 64 registers a thread.
ir::Kernel many_live_values(uint32_t threads) {
  KernelScope k("many_live_values", threads, cuda_target_info(90));
  const Buffer x = k.input("x"), y = k.output("y");
  std::vector<std::unique_ptr<Var<float>>> live;
  for (uint32_t i = 0; i < 160; ++i) {
    live.push_back(std::make_unique<Var<float>>(x.load<Storage::f32>(local_id() + i * threads)));
  }
  $for (i, 0u, k.param<uint32_t>("turns", 0)) {
    *live[0] += to_f32(i);
    for (size_t j = 0; j < live.size(); ++j) {
      *live[j] = live[j]->get() * live[(j + 37) % live.size()]->get() + live[j * 7 % live.size()]->get();
    }
  }
  Var<float> sum(0.0f);
  for (const auto& value : live) sum += value->get();
  y.store(local_id(), sum);
  return k.finish();
}

TEST_F(WithNvrtc, TellsRegistersAndSpills) {
  const auto compile = [&](uint32_t threads) {
    const ir::Kernel kernel = many_live_values(threads);
    const auto cubin = nvrtc_->compile(kernel, *print_cuda(kernel, cuda_target_info(90)), "sm_90a");
    EXPECT_TRUE(cubin) << cubin.error().message();
    return *cubin->resources;
  };
  const ProgramResources tight = compile(1024), roomy = compile(64);
  EXPECT_EQ(tight.registers, 64u);  // 65536 registers for 1024 threads
  EXPECT_GT(tight.spill_bytes, 100u);
  EXPECT_GE(tight.stack_bytes, 4u * (160 - 64));
  EXPECT_EQ(roomy.spill_bytes, 0u);
  EXPECT_EQ(roomy.stack_bytes, 0u);
  EXPECT_GT(roomy.registers, 160u);
}

TEST(CudaResources, AreReadFromTheAssemblersLog) {
  const char* log =
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'k' for 'sm_90a'\n"
      "ptxas info    : Function properties for k\n"
      "    408 bytes stack frame, 704 bytes spill stores, 856 bytes spill loads\n"
      "ptxas info    : Used 64 registers, used 1 barriers, 408 bytes cumulative stack size, 5120 bytes "
      "smem\n";
  EXPECT_EQ(parse_resources(log), (ProgramResources{64, 704, 408, 5120}));
  EXPECT_EQ(parse_resources("ptxas info    : Used many registers\n"), std::nullopt);
  EXPECT_EQ(parse_resources(""), std::nullopt);
}

TEST_F(WithNvrtc, AFaultyProgramNamesItsKernelLineAndLog) {
  KernelScope k("faulty", 32, cuda_target_info(90));
  const Buffer y = k.output("y");
  const uint32_t line = __LINE__ + 1;
  y.store(local_id(), local_id());
  const ir::Kernel kernel = k.finish();
  auto source = print_cuda(kernel, cuda_target_info(90));
  ASSERT_TRUE(source);
  const size_t call = source->text.rfind("tt_store_u32(");
  source->text.replace(call, 12, "tt_misspelt");
  const auto cubin = nvrtc_->compile(kernel, *source, "sm_90a");
  ASSERT_FALSE(cubin);
  const std::string message = cubin.error().message();
  EXPECT_EQ(cubin.error().where, "faulty (nvrtc_test.cpp:" + std::to_string(line) + ")");
  EXPECT_NE(message.find("identifier \"tt_misspelt\" is undefined"), std::string::npos) << message;
  EXPECT_NE(message.find("  tt_misspelt(b0_y, "), std::string::npos) << message;  // the printed line
}

TEST_F(WithNvrtc, AFaultInInlineAssemblyGivesTheAssemblersLog) {
  KernelScope k("faulty_assembly", 32, cuda_target_info(90));
  const Buffer y = k.output("y");
  y.store(local_id(), exp2(Val<float>(1.0f)));
  const ir::Kernel kernel = k.finish();
  auto source = print_cuda(kernel, cuda_target_info(90));
  ASSERT_TRUE(source);
  source->text.replace(source->text.find("ex2.approx"), 10, "ex3.approx");
  const auto cubin = nvrtc_->compile(kernel, *source, "sm_90a");
  ASSERT_FALSE(cubin);
  EXPECT_NE(cubin.error().message().find("ptxas"), std::string::npos) << cubin.error().message();
  EXPECT_NE(cubin.error().message().find("ex3"), std::string::npos) << cubin.error().message();
}

TEST(CudaNvrtcSearch, SaysWhatWasTriedWhenNothingFits) {
  const auto folder = std::filesystem::temp_directory_path() / "tattletale_no_nvrtc";
  std::filesystem::create_directories(folder);
  const auto file = folder / "libnvrtc.so.13";
  std::ofstream(file) << "not a library";
  setenv("TATTLETALE_NVRTC", folder.c_str(), 1);
  const auto nvrtc = Nvrtc::load(11);  // no version is that old
  unsetenv("TATTLETALE_NVRTC");
  std::filesystem::remove_all(folder);
  ASSERT_FALSE(nvrtc);
  EXPECT_EQ(nvrtc.error().kind, ErrorKind::not_found);
  EXPECT_NE(nvrtc.error().what.find(file.string() + ": "), std::string::npos) << nvrtc.error().what;
  EXPECT_NE(nvrtc.error().what.find("nvidia-cuda-nvrtc"), std::string::npos);
}

}  // namespace
}  // namespace tattletale::cuda
