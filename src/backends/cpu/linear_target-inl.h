// Lets the AVX3_DL target use AVX-512 VNNI. Include last, before every HWY_BEFORE_NAMESPACE; it has no guard
// because every inclusion of Highway sets the target string again. Highway 1.0.3 names only "avxvnni" there,
// the VEX encoding of 256-bit vectors, which the target's oldest machines lack: code here must use 512-bit
// VNNI instructions alone. The name has to stay, or Highway would not inline.
#if HWY_TARGET == HWY_AVX3_DL
#undef HWY_TARGET_STR
#define HWY_TARGET_STR                                            \
  HWY_TARGET_STR_AVX3                                             \
  ",vpclmulqdq,avx512vbmi,avx512vbmi2,vaes,avxvnni,avx512bitalg," \
  "avx512vpopcntdq,avx512vnni"
#endif
