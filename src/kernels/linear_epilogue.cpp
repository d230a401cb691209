#include "kernels/linear_epilogue.h"

#include "kernels/body_parts.h"

namespace tattletale {

using namespace lang;  // NOLINT: kernel bodies read like the language

void write_epilogue(const Buffer& row, Val<uint32_t> column, LinearEpilogue epilogue, Val<float> first,
                    Val<float> second) {
  switch (epilogue) {
    case LinearEpilogue::store: row.store(column, first); break;
    case LinearEpilogue::add: row.store(column, row.load<Storage::f32>(column) + first); break;
    case LinearEpilogue::silu_mul: row.store(column, silu(first) * second); break;
    case LinearEpilogue::gelu_tanh_mul: row.store(column, gelu_tanh(first) * second); break;
  }
}

}  // namespace tattletale
