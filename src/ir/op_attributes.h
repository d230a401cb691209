// What attr0 and attr1 of each operation mean, so that the verifier checks their ranges and the text form
// prints them from one table.
#pragma once

#include <cstdint>

#include "ir/op.h"

namespace tattletale::ir {

enum class Attribute : uint8_t {
  none,      // must be 0
  bits,      // any 32 bits (a constant)
  param,     // index into Kernel::params
  axis,      // 0, 1, 2
  lane,      // of a vector operand
  local,     // index into Kernel::locals
  binding,   // index into Kernel::bindings
  shared,    // index into Kernel::shared
  streamed,  // 0 or 1
  groups,    // groups of copies that may still be under way
  number,    // of an accumulator's numbers in this lane
  unroll,    // copies of a loop body; 0: no hint
};

constexpr Attribute attribute0(Op op) {
  switch (op) {
    case Op::constant: return Attribute::bits;
    case Op::param: return Attribute::param;
    case Op::workgroup_id:
    case Op::num_workgroups: return Attribute::axis;
    case Op::extract: return Attribute::lane;
    case Op::local_get:
    case Op::local_set: return Attribute::local;
    case Op::load:
    case Op::store:
    case Op::atomic_add:
    case Op::atomic_min:
    case Op::atomic_max:
    case Op::atomic_cas:
    case Op::copy_async:
    case Op::fragment_store: return Attribute::binding;
    case Op::shared_load:
    case Op::shared_store:
    case Op::shared_atomic_add:
    case Op::fragment_load:
    case Op::fragment_load_rows:
    case Op::fragment_store_shared: return Attribute::shared;
    case Op::copy_wait: return Attribute::groups;
    case Op::fragment_get:
    case Op::fragment_set:
    case Op::fragment_row:
    case Op::fragment_column: return Attribute::number;
    case Op::for_: return Attribute::unroll;
    default: return Attribute::none;
  }
}

constexpr Attribute attribute1(Op op) {
  switch (op) {
    case Op::load: return Attribute::streamed;
    case Op::copy_async: return Attribute::shared;
    default: return Attribute::none;
  }
}

/// Operations that read or write elements of Instruction::storage.
constexpr bool has_storage(Op op) {
  return op == Op::load || op == Op::store || op == Op::shared_load || op == Op::shared_store;
}

}  // namespace tattletale::ir
