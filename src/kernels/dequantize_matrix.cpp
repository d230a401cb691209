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
      const std::array<Val<float>, 8> v = reader.load8(row, chunk);
      std::vector<Val<uint32_t>> words;
      for (uint32_t i = 0; i < 8; i += 2) {
        words.push_back(c.element == DType::f16 ? pack_f16x2(v[i], v[i + 1]) : pack_bf16x2(v[i], v[i + 1]));
      }
      out.at(row, columns * 2u)
          .store_vec(chunk * 4u, Vec<uint32_t, 4>({words[0], words[1], words[2], words[3]}));
    }
  }
  return k.finish();
}

}  // namespace

const KernelBody kDequantizeMatrix = {"dequantize_matrix", trace};

}  // namespace tattletale
