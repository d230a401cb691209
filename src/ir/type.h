// Types of IR values and of stored elements. Everything a register holds is 32 bits wide per lane: f16, bf16
// and 8-bit numbers exist only in memory and are converted by the load, so a target needs none of them.
#pragma once

#include <cstdint>
#include <string_view>

namespace tattletale::ir {

enum class Scalar : uint8_t {
  none,  // no value (a store, a barrier)
  boolean,
  i32,
  u32,
  f32,
  offset,    // a byte offset of up to 64 bits from a binding's start; only memory operations take it
  fragment,  // a 16x16 piece of a matrix spread over a subgroup
};

enum class FragmentUse : uint8_t { a, b, accumulator };

/// What memory holds. Loads widen to 32 bits: f16, bf16 -> f32; u8, u16 -> u32; i8, i16 -> i32.
/// Stores take only f32, i32 and u32: smaller numbers are packed into words first, so no two lanes ever share
/// a word and targets without small stores need no emulation.
enum class Storage : uint8_t { f32, i32, u32, f16, bf16, u8, i8, u16, i16 };

struct Type {
  Scalar scalar = Scalar::none;
  uint8_t lanes = 1;                 // 1, 2 or 4; vectors only come from and go to memory
  FragmentUse use = FragmentUse::a;  // fragments only
  Storage element = Storage::f32;    // fragments only: f16 or bf16 for a and b, f32 for the accumulator

  bool operator==(const Type&) const = default;
};

inline constexpr Type kNone{};
inline constexpr Type kBool{Scalar::boolean};
inline constexpr Type kI32{Scalar::i32};
inline constexpr Type kU32{Scalar::u32};
inline constexpr Type kF32{Scalar::f32};
inline constexpr Type kOffset{Scalar::offset};

inline constexpr uint32_t kFragmentDim = 16;

constexpr uint32_t storage_bytes(Storage storage) {
  switch (storage) {
    case Storage::f32:
    case Storage::i32:
    case Storage::u32: return 4;
    case Storage::f16:
    case Storage::bf16:
    case Storage::u16:
    case Storage::i16: return 2;
    case Storage::u8:
    case Storage::i8: return 1;
  }
  return 0;
}

/// The type a load of one element yields.
constexpr Type loaded_type(Storage storage) {
  switch (storage) {
    case Storage::f32:
    case Storage::f16:
    case Storage::bf16: return kF32;
    case Storage::i32:
    case Storage::i8:
    case Storage::i16: return kI32;
    case Storage::u32:
    case Storage::u8:
    case Storage::u16: return kU32;
  }
  return kNone;
}

std::string_view storage_name(Storage storage);
/// "f32", "bool", "offset", ...
std::string_view scalar_name(Scalar scalar);

}  // namespace tattletale::ir
