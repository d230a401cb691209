// Fits of scales for the packed super-blocks: least squares over a few candidate scales. Our own simple
// search, good enough for tests and conversion drafts; it is not ggml's and does not reproduce its bits.
#pragma once

#include <cstdint>

namespace tattletale {

/// x[i] ~ scale * q[i] with integer q in low..high.
/// The scale of least squared error among candidates around max|x| / high; 0 for all-zero x.
float fit_scale(const float* x, int n, int low, int high);

struct ScaleOffsetFit {
  float scale;   // >= 0
  float offset;  // >= 0: x[i] ~ scale * q[i] - offset
};

/// x[i] ~ scale * q[i] - offset with integer q in 0..high.
ScaleOffsetFit fit_scale_offset(const float* x, int n, int high);

/// round(x / scale) within low..high; 0 (clamped) when the scale is 0.
int nearest_level(float x, float scale, int low, int high);

}  // namespace tattletale
