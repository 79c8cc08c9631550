/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nn/mat.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/nn/gemm.h"
#include "lib/nn/simd.h"

/* CBLAS's interface as its reference implementation fixes it; loaded at run
 * time, because a threaded OpenBLAS starts its threads when it is linked. */
enum { CBLAS_ROW_MAJOR = 101, CBLAS_N = 111, CBLAS_T = 112 };
typedef void cblas_sgemm_fn(int order, int op_a, int op_b, int m, int n, int k, float alpha,
                            const float *a, int lda, const float *b, int ldb, float beta, float *c,
                            int ldc);

/* oneDNN computes with OpenMP; libgomp is a dependency of it. */
void omp_set_num_threads(int n);

static struct {
  enum px_mat_library products; /* who computes them */
  enum px_gemm_isa isa;         /* of our own kernels */
  cblas_sgemm_fn *cblas;
  const char *cblas_name;
} chosen = { PX_MAT_ONEDNN, PX_GEMM_NONE, NULL, "" };

static enum px_status load_cblas(struct px_err *err) {
  static const char *const names[] = { "libopenblas.so.0", "libblis.so.4", "libcblas.so.3",
                                       "libblas.so.3" };
  /* Read by the libraries when they are loaded. */
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  setenv("BLIS_NUM_THREADS", "1", 1);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    void *lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    void *symbol = lib ? dlsym(lib, "cblas_sgemm") : NULL;
    if (!symbol) {
      if (lib) dlclose(lib);
      continue;
    }
    memcpy(&chosen.cblas, &symbol, sizeof symbol);
    chosen.cblas_name = names[i];
    return PX_OK;
  }
  return px_fail(err, PX_E_UNAVAILABLE, "no CBLAS library could be loaded");
}

enum px_status px_mat_choose(enum px_mat_library library, struct px_err *err) {
  if (library == PX_MAT_CBLAS && !chosen.cblas) {
    const enum px_status status = load_cblas(err);
    if (status) return status;
  }
  if (library == PX_MAT_OWN && (chosen.isa = px_gemm_best()) == PX_GEMM_NONE)
    return px_fail(err, PX_E_UNAVAILABLE,
                   "this processor has no fused multiply-adds of eight numbers");
  chosen.products = library;
  return PX_OK;
}

/* Elsewhere than on x86-64 oneDNN has no fast product: look for a CBLAS first. */
__attribute__((constructor)) static void choose_default(void) {
#ifdef __x86_64__
  const enum px_mat_library best = PX_MAT_OWN;
#else
  const enum px_mat_library best = PX_MAT_CBLAS;
#endif
  if (px_mat_choose(best, NULL)) chosen.products = PX_MAT_ONEDNN;
}

static void naive_mul(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                      const float *a, uint32_t lda, const float *b, uint32_t ldb, float beta,
                      float *c, uint32_t ldc) {
  const size_t ai = op_a ? 1 : lda, ak = op_a ? lda : 1, bj = op_b ? ldb : 1, bk = op_b ? 1 : ldb;
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      double sum = 0;
      for (size_t l = 0; l < k; l++) sum += (double)a[i * ai + l * ak] * (double)b[j * bj + l * bk];
      c[i * ldc + j] = (float)(sum + (beta != 0 ? (double)beta * (double)c[i * ldc + j] : 0));
    }
}

void px_mat_mul_naive(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                      const float *a, const float *b, float beta, float *c) {
  naive_mul(op_a, op_b, m, n, k, a, op_a ? m : k, b, op_b ? k : n, beta, c, n);
}

/* ---- products with few columns: a library's packing costs more than the work */

enum { SKINNY_MAX = 6 };

/* C[m,n] = A[m,k] B[n,k]^T: dot products, PX_LANES partial sums each. */
PX_CLONES static void skinny_nt(size_t m, size_t n, size_t k, const float *restrict a,
                                const float *restrict b, float beta, float *restrict c) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      const float *x = a + i * k, *y = b + j * k;
      float part[PX_LANES] = { 0 };
      size_t l = 0;
      for (; l + PX_LANES <= k; l += PX_LANES)
        for (size_t lane = 0; lane < PX_LANES; lane++) part[lane] += x[l + lane] * y[l + lane];
      float sum = 0;
      for (; l < k; l++) sum += x[l] * y[l];
      sum += px_sum_lanes(part);
      c[i * n + j] = sum + (beta != 0 ? beta * c[i * n + j] : 0);
    }
}

/* C[m,n] = A[m,k] B[k,n] with few k: each row is a sum of k scaled rows of B. */
PX_CLONES static void skinny_nn(size_t m, size_t n, size_t k, const float *restrict a,
                                const float *restrict b, float *restrict c) {
  for (size_t i = 0; i < m; i++) {
    float *row = c + i * n;
    for (size_t j = 0; j < n; j++) row[j] = a[i * k] * b[j];
    for (size_t l = 1; l < k; l++)
      for (size_t j = 0; j < n; j++) row[j] += a[i * k + l] * b[l * n + j];
  }
}

/* C[m,n] (+)= A[k,m]^T B[k,n] with few m: a row of C is a sum of scaled rows of
 * B, as many columns at a time as registers hold. */
PX_CLONES static void skinny_tn(size_t m, size_t n, size_t k, const float *restrict a,
                                const float *restrict b, float beta, float *restrict c) {
  enum { COLUMNS = 4 * PX_LANES };
  for (size_t j = 0; j < n; j += COLUMNS)
    for (size_t i = 0; i < m; i++) {
      const size_t width = n - j < COLUMNS ? n - j : COLUMNS;
      float part[COLUMNS] = { 0 };
      if (width == COLUMNS) {
        for (size_t l = 0; l < k; l++)
          for (size_t lane = 0; lane < COLUMNS; lane++)
            part[lane] += a[l * m + i] * b[l * n + j + lane];
      } else {
        for (size_t l = 0; l < k; l++)
          for (size_t lane = 0; lane < width; lane++)
            part[lane] += a[l * m + i] * b[l * n + j + lane];
      }
      float *out = c + i * n + j;
      for (size_t lane = 0; lane < width; lane++)
        out[lane] = part[lane] + (beta != 0 ? beta * out[lane] : 0);
    }
}

static bool skinny(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                   const float *a, const float *b, float beta, float *c) {
  if (!op_a && op_b && n <= SKINNY_MAX) skinny_nt(m, n, k, a, b, beta, c);
  else if (!op_a && !op_b && k <= SKINNY_MAX && k > 0 && beta == 0) skinny_nn(m, n, k, a, b, c);
  else if (op_a && !op_b && m <= SKINNY_MAX) skinny_tn(m, n, k, a, b, beta, c);
  else return false;
  return true;
}

void px_mat_one_thread(void) {
  /* The number of threads belongs to the calling thread. */
  static _Thread_local bool single;
  if (single) return;
  omp_set_num_threads(1);
  single = true;
}

static void onednn_mul(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                       const float *a, uint32_t lda, const float *b, uint32_t ldb, float beta,
                       float *c, uint32_t ldc) {
  px_mat_one_thread();
  const dnnl_status_t status =
    dnnl_sgemm(op_a ? 'T' : 'N', op_b ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
  /* It fails only for want of memory for its packing: slower is better than wrong. */
  if (status != dnnl_success) naive_mul(op_a, op_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

/* Whether our own kernels take a product. Large weights are faster in oneDNN, which cuts them for
 * the second cache too. It is the weights' size that decides, never the number of rows: chunks of a
 * batch are computed alike. */
static bool own_takes(enum px_mat_op op_a, uint32_t m, uint32_t n, uint32_t k) {
  const uint32_t large = 768;
  return chosen.products == PX_MAT_OWN && !(n >= large && (op_a ? m : k) >= large);
}

bool px_mat_packs(uint32_t n, uint32_t k) {
  return chosen.products == PX_MAT_OWN ? !own_takes(PX_MAT_N, 1, n, k)
                                       : chosen.products == PX_MAT_ONEDNN && n > SKINNY_MAX;
}

static struct px_gemm gemm_of(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n,
                              uint32_t k, const float *a, uint32_t lda, const float *b,
                              uint32_t ldb, float beta, float *c, uint32_t ldc) {
  return (struct px_gemm){ .m = m,
                           .n = n,
                           .k = k,
                           .a = a,
                           .a_row = op_a ? 1 : lda,
                           .a_step = op_a ? lda : 1,
                           .b = b,
                           .b_step = op_b ? 1 : ldb,
                           .b_col = op_b ? ldb : 1,
                           .c = c,
                           .c_row = ldc,
                           .beta = beta };
}

void px_mat_mul_ld(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                   const float *a, uint32_t lda, const float *b, uint32_t ldb, float beta, float *c,
                   uint32_t ldc) {
  if (own_takes(op_a, m, n, k)) {
    const struct px_gemm g = gemm_of(op_a, op_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    px_gemm(chosen.isa, &g);
  } else if (chosen.products == PX_MAT_NAIVE)
    naive_mul(op_a, op_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
  else if (chosen.products != PX_MAT_CBLAS)
    onednn_mul(op_a, op_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
  else
    chosen.cblas(CBLAS_ROW_MAJOR, op_a ? CBLAS_T : CBLAS_N, op_b ? CBLAS_T : CBLAS_N, (int)m,
                 (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void px_mat_mul(enum px_mat_op op_a, enum px_mat_op op_b, uint32_t m, uint32_t n, uint32_t k,
                const float *a, const float *b, float beta, float *c) {
  if (chosen.products != PX_MAT_NAIVE && skinny(op_a, op_b, m, n, k, a, b, beta, c)) return;
  px_mat_mul_ld(op_a, op_b, m, n, k, a, op_a ? m : k, b, op_b ? k : n, beta, c, n);
}

void px_mat_layer(uint32_t m, uint32_t n, uint32_t k, const float *x, const float *w,
                  const float *bias, bool relu, float *y) {
  if (own_takes(PX_MAT_N, m, n, k) && n > SKINNY_MAX) {
    struct px_gemm g = gemm_of(PX_MAT_N, PX_MAT_T, m, n, k, x, k, w, k, 0, y, n);
    g.bias = bias, g.relu = relu;
    px_gemm(chosen.isa, &g);
    return;
  }
  px_mat_mul(PX_MAT_N, PX_MAT_T, m, n, k, x, w, 0, y);
  if (relu) px_mat_bias_relu(m, n, bias, y);
  else px_mat_bias(m, n, bias, y);
}

void px_mat_layer_back(uint32_t m, uint32_t n, uint32_t k, const float *e, const float *w,
                       const float *behind, float scale, float *d, bool add, float *sum) {
  if (own_takes(PX_MAT_N, m, n, k)) {
    struct px_gemm g = gemm_of(PX_MAT_N, PX_MAT_N, m, n, k, e, k, w, n, 0, d, n);
    g.behind = behind, g.behind_row = n, g.scale = scale, g.sum = sum;
    if (sum && !add) memset(sum, 0, n * sizeof *sum);
    px_gemm(chosen.isa, &g);
    return;
  }
  px_mat_mul(PX_MAT_N, PX_MAT_N, m, n, k, e, w, 0, d);
  px_mat_relu_back(m, n, behind, scale, d, add, sum);
}

/* ---- what stands between two products */

PX_CLONES void px_mat_bias_relu(uint32_t m, uint32_t n, const float *restrict bias,
                                float *restrict y) {
  for (size_t i = 0; i < m; i++, y += n)
    for (size_t j = 0; j < n; j++) {
      const float v = y[j] + bias[j];
      y[j] = v > 0 ? v : 0 * v; /* 0 * v keeps a NaN, which training looks for */
    }
}

PX_CLONES void px_mat_bias(uint32_t m, uint32_t n, const float *restrict bias, float *restrict y) {
  for (size_t i = 0; i < m; i++, y += n)
    for (size_t j = 0; j < n; j++) y[j] += bias[j];
}

PX_CLONES void px_mat_relu_back(uint32_t m, uint32_t n, const float *restrict h, float scale,
                                float *restrict d, bool add, float *restrict sum) {
  if (sum && !add)
    for (size_t j = 0; j < n; j++) sum[j] = 0;
  for (size_t i = 0; i < m; i++, d += n, h += n) {
    for (size_t j = 0; j < n; j++) d[j] = h[j] > 0 ? scale * d[j] : 0;
    if (sum)
      for (size_t j = 0; j < n; j++) sum[j] += d[j];
  }
}

PX_CLONES void px_mat_col_sums(uint32_t m, uint32_t n, const float *restrict d, bool add,
                               float *restrict sum) {
  if (!add)
    for (size_t j = 0; j < n; j++) sum[j] = 0;
  for (size_t i = 0; i < m; i++, d += n)
    for (size_t j = 0; j < n; j++) sum[j] += d[j];
}

void px_mat_profile(char *out) {
  const dnnl_version_t *v = dnnl_version();
  /* Own products have a number, which changes when their bits do; they are the same on every
   * processor (gemm.h). */
  if (chosen.products == PX_MAT_OWN || chosen.products == PX_MAT_ONEDNN)
    snprintf(out, PX_MAT_PROFILE_MAX, "%sonednn %d.%d.%d isa %#x, glibc %s",
             chosen.products == PX_MAT_OWN ? "own products 1, " : "", v->major, v->minor, v->patch,
             (unsigned)dnnl_get_effective_cpu_isa(), gnu_get_libc_version());
  else
    snprintf(out, PX_MAT_PROFILE_MAX, "%s, glibc %s",
             chosen.products == PX_MAT_NAIVE ? "naive" : chosen.cblas_name, gnu_get_libc_version());
}
