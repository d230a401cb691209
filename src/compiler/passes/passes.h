// Every pass, by name. Each takes a verified kernel and leaves a verified kernel that computes the same: the
// same bits for integers and for all float operations that are exact or correctly rounded. What a kernel
// leaves undefined (ir/op.h) stays undefined or becomes defined. Distinct bindings are distinct memory, and a
// binding that the kernel does not write does not change while it runs.
#pragma once

#include "compiler/pipeline.h"

namespace tattletale::compiler {

/// Constants, exact identities, mul/div/rem by constants, constant conditions, loops that never run.
void fold(ir::Kernel& kernel, const PassContext& context);

/// One instruction for each value (pure operations, loads between effects); locals known on a straight path
/// are replaced by what was stored.
void cse(ir::Kernel& kernel, const PassContext& context);

/// Integer intervals from sizes, masks, loop bounds and conditions: replaces comparisons, masks, minima and
/// remainders whose outcome they prove.
void range(ir::Kernel& kernel, const PassContext& context);

/// Copies the bodies of `for_` loops that ask for it (attr0), within the budgets; hints are consumed.
void unroll(ir::Kernel& kernel, const PassContext& context);

/// Writes out what the target lacks: dot4_i8, packed halves arithmetic, funnel_shr, copy_async.
void legalise(ir::Kernel& kernel, const PassContext& context);

/// Loads and stores of adjacent words, provably aligned, become accesses of two or four words.
void vectorise_memory(ir::Kernel& kernel, const PassContext& context);

/// Moves address arithmetic, and loads of unwritten bindings where the loop surely runs, in front of loops.
void licm(ir::Kernel& kernel, const PassContext& context);

/// Shared arrays that are never alive at once become one array.
void plan_shared(ir::Kernel& kernel, const PassContext& context);

/// Removes what nobody uses and renumbers: instructions in program order, locals and shared arrays in use.
void dce(ir::Kernel& kernel, const PassContext& context);

}  // namespace tattletale::compiler
