#include "compiler/pipeline.h"

#include "compiler/passes/passes.h"
#include "ir/verify.h"

namespace tattletale::compiler {
namespace {

constexpr Pass kPasses[] = {
    {"fold", fold, true},  // so that trip counts and addresses are plain
    {"cse", cse, false},   // ... and locals that hold known values are seen through
    {"range", range, false},
    {"fold", fold, true},
    {"legalise", legalise, true},  // what the target lacks, written out: from here on sizes are true
    {"unroll", unroll, false},
    {"fold", fold, true},  // the copies' counters are constants now
    {"cse", cse, false},   // ... and copies share their address arithmetic
    {"range", range, false},
    {"fold", fold, true},
    {"vectorise_memory", vectorise_memory, true},  // adjacent accesses are now in one region
    {"licm", licm, true},                          // sees the addresses that remain
    {"cse", cse, false},                           // what several loops have given up, once
    {"plan_shared", plan_shared, true},
    {"dce", dce, true},
};

Error broken_by(std::string_view pass, Error error) {
  error.what = "pass " + std::string(pass) + " broke the kernel: " + error.what;
  error.kind = ErrorKind::internal;
  return error;
}

}  // namespace

std::span<const Pass> pipeline_passes() {
  return kPasses;
}

Result<ir::Kernel> run_pipeline(ir::Kernel kernel, const ir::TargetInfo& target,
                                const PipelineOptions& options) {
  ir::TargetInfo accepted = target;
  accepted.f16x2 = true;  // until legalise has written it out
  TT_TRY(ir::verify(kernel, accepted));
  if (options.dump) options.dump("input", kernel);
  const PassContext context{target, options};
  for (const Pass& pass : kPasses) {
    pass.run(kernel, context);
    if (pass.run == legalise) accepted = target;
    if (options.dump) options.dump(pass.name, kernel);
    const bool is_last = &pass == std::end(kPasses) - 1;
    if (!is_last && !(options.verify_each && pass.leaves_it_verified)) continue;
    if (auto sound = ir::verify(kernel, accepted); !sound) {
      return broken_by(options.verify_each ? pass.name : "(unknown: verify_each finds it)",
                       sound.take_error());
    }
  }
  return kernel;
}

}  // namespace tattletale::compiler
