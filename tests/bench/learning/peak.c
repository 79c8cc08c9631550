/* SPDX-License-Identifier: Apache-2.0 */
/* The float32 peak of one core: see learning.h. Independent fused multiply-adds in registers. */
#include "tests/bench/learning/learning.h"

#include <immintrin.h>
#include <time.h>

double learning_cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define PEAK(function, isa, vector, set1, fma, lanes) \
  __attribute__((target(isa))) static double function(void) { \
    enum { CHAINS = 12, TIMES = 4000000 }; \
    vector a0 = set1(0.1F), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, \
           a8 = a0, a9 = a0, a10 = a0, a11 = a0; \
    const vector x = set1(0.999F), y = set1(1e-3F); \
    const double start = learning_cpu_s(); \
    for (int i = 0; i < TIMES; i++) { \
      a0 = fma(a0, x, y), a1 = fma(a1, x, y), a2 = fma(a2, x, y), a3 = fma(a3, x, y); \
      a4 = fma(a4, x, y), a5 = fma(a5, x, y), a6 = fma(a6, x, y), a7 = fma(a7, x, y); \
      a8 = fma(a8, x, y), a9 = fma(a9, x, y), a10 = fma(a10, x, y), a11 = fma(a11, x, y); \
      /* Each chain is kept apart, or the compiler would see that all are equal. */ \
      __asm__ volatile("" \
                       : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5), "+x"(a6), \
                         "+x"(a7)); \
      __asm__ volatile("" : "+x"(a8), "+x"(a9), "+x"(a10), "+x"(a11)); \
    } \
    return (double)CHAINS * TIMES * 2 * lanes / (learning_cpu_s() - start) / 1e9; \
  }

#ifdef __x86_64__
PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)

double learning_peak_gflops(void) {
  double best = 0;
  for (int i = 0; i < 3; i++) {
    const double wide = __builtin_cpu_supports("avx512f") ? peak_avx512() : 0;
    const double narrow = __builtin_cpu_supports("fma") ? peak_avx2() : 0;
    best = wide > best ? wide : best;
    best = narrow > best ? narrow : best;
  }
  return best;
}
#else
double learning_peak_gflops(void) { return 0; }
#endif
