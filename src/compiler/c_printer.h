// Prints a kernel as C-like text: CUDA C++, OpenCL C, host C++. The body is the same text in every dialect;
// what differs (types, qualifiers, builtins, memory access, inline assembly) is a table of small functions,
// CSnippet, of which only those a kernel calls are printed. Optimises nothing: see compiler/pipeline.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ir/kernel.h"

namespace tattletale::compiler {

/// One definition of a dialect's library: a function or a type. `text` ends in a newline and may mention
/// other snippets of the dialect by name; they are printed before it.
struct CSnippet {
  std::string_view name;
  std::string_view text;
};

/// What the body calls; a dialect defines those its target has. T: u32, i32, f32. V: also Tx2, Tx4.
///   types      bool u8 u32 i32 f32 u64 (from prologue()), Tx2 Tx4, tt_fragment_{a,b,accumulator}
///   ids        u32 tt_local_id()  tt_workgroup_id_{0,1,2}()  tt_num_workgroups_{0,1,2}()
///   integers   tt_mul_hi tt_popcount tt_funnel_shr tt_dot4_i8 tt_{min,max}_T
///   floats     tt_fma tt_div tt_abs tt_{add,sub,mul}_strict tt_{sqrt,rsqrt,exp2,log2,sin,cos,floor,tanh}
///   bits       f32 tt_f32_from_bits(u32)  u32 tt_bits_from_f32(f32)
///   halves     tt_pack_{f16x2,bf16x2} tt_unpack_f16_{lo,hi} tt_{fma,add,mul}_f16x2
///   vectors    tt_make_Tx2(a, b)  tt_make_Tx4(a, b, c, d); members x y z w
///   global     V tt_load_V(pointer, u32 index), also tt_load_{f16,bf16,u8,i8,u16,i16}; tt_store_V(p, i, V);
///              tt_atomic_{add,min,max}_{u32,i32}(p, i, x)  tt_atomic_cas_{u32,i32}(p, i, compare, x).
///              The pointer is to bytes, const for read-only bindings. A load prefers, where the dialect has
///              it, tt_load_V_written for a binding the kernel writes and tt_load_V_stream where attr1 = 1
///   shared     V tt_shared_load_V(arena, u32 word)  tt_shared_store_V(arena, word, V)
///              u32 tt_shared_atomic_add(arena, word, u32)   i32 for i32: tt_shared_atomic_add_i32
///   copies     tt_copy_async(arena, word, pointer, u32 global_word)  tt_copy_commit()
///              tt_copy_wait(n), n a literal, so it may be a macro
///   sync       tt_barrier() tt_subgroup_barrier()
///   subgroups  tt_subgroup_{add,min,max}_T  tt_{shuffle_xor,shuffle}_{T,bool}  tt_subgroup_{any,all}
///   fragments  tt_fragment_fill(x)  tt_fragment_{load,load_rows}_{a,b}(arena, first_word, index, stride)
///              tt_fragment_mma_{f16,bf16}(a, b, c)  tt_fragment_store_shared(arena, word, stride, c)
///              tt_fragment_store(p, index, stride, c)  tt_fragment_get(c, n)  tt_fragment_set(c, n, x)
///              tt_fragment_{row,column}(n)  tt_fragment_from_pairs(p0, p1, p2, p3)
class CDialect {
 public:
  virtual ~CDialect() = default;

  virtual std::string_view name() const = 0;

  /// Text before everything else: pragmas, macros, the scalar typedefs u8 u32 i32 f32 u64.
  virtual std::string_view prologue() const = 0;

  /// The snippet called `name`, or nullptr when the dialect has none.
  virtual const CSnippet* find(std::string_view snippet_name) const = 0;

  /// The entry's declaration up to, without, the opening brace; macros may stand before it. Arguments are the
  /// bindings in order, named c_binding_name(kernel, i), then, when there are any, one struct `tt_params
  /// params` by value.
  virtual std::string signature(const ir::Kernel& kernel) const = 0;

  /// Declares `tt_arena`, an array of u32 in workgroup memory, 16-byte aligned; printed first in the body.
  virtual std::string arena(uint32_t num_words) const = 0;

  /// A snippet that the body calls first of all, or "".
  virtual std::string_view first_call() const { return ""; }

  /// A line before a loop that should be unrolled `copies` times; may be empty.
  virtual std::string unroll_hint(uint32_t copies) const {
    return "#pragma unroll " + std::to_string(copies);
  }
};

struct CSource {
  std::string text;
  std::string entry_point;
  /// Kernel::locations index of each line of `text`; 0 where the line comes from no kernel source.
  std::vector<uint32_t> line_locations;
};

/// "kernel_" and the kernel's name with anything but letters, digits and underscores replaced.
std::string c_entry_point(const ir::Kernel& kernel);
/// "b0_weights"
std::string c_binding_name(const ir::Kernel& kernel, uint32_t binding);

/// Errors: unsupported, with kernel name and source line, when the dialect lacks something the kernel uses.
/// The kernel must be valid (ir/verify.h).
Result<CSource> print_c(const ir::Kernel& kernel, const CDialect& dialect);

/// The snippet of a table by name: what most CDialect::find consist of.
const CSnippet* find_snippet(std::span<const CSnippet> table, std::string_view name);

}  // namespace tattletale::compiler
