// A stored matrix written out as f16 or bf16, for products that read each weight many times.
#include "kernels/body_parts.h"
#include "kernels/linear_bodies.h"
#include "kernels/matrix_reader.h"

namespace tattletale {
namespace {

using namespace lang;  // NOLINT: kernel bodies read like the language

ir::Kernel trace(const ir::TargetInfo& target, const void* comptime) {
  const auto& c = *static_cast<const DequantizeComptime*>(comptime);
  const uint32_t threads = preferred_threads(target, 128);
  KernelScope k("dequantize_matrix", threads, target);
  const Buffer matrix = k.input("matrix"), out = k.output("out");
  const Val<uint32_t> rows = TT_PARAM(k, DequantizeParams, rows);
  const Val<uint32_t> columns = TT_PARAM(k, DequantizeParams, columns);
  const MatrixReader reader(c.dtype, matrix, rows, columns);
  const Val<uint32_t> chunk = workgroup_id(0) * threads + local_id();
  $for (row, workgroup_id(1), rows, num_workgroups(1)) {
    $if (chunk < columns / 8u) {
      store_chunk(out.at(row, columns * 2u), c.element, chunk, reader.load8(row, chunk));
    }
  }
  return k.finish();
}

}  // namespace

const KernelBody kDequantizeMatrix = {"dequantize_matrix", trace};

}  // namespace tattletale
