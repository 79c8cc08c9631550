/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge regression by its dual form: see dual.h. */
#include "lib/idm/dual.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/idm/gram.h"
#include "lib/nn/simd.h"

enum px_status idm_dual_new(uint32_t n, uint32_t out, struct idm_dual **dual) {
  struct idm_dual *d = px_mem_calloc(1, sizeof *d);
  if (!d) return PX_E_NO_MEMORY;
  d->n = n;
  d->out = out;
  d->k = px_mem_calloc((size_t)n * n, sizeof *d->k);
  d->u = px_mem_calloc((size_t)n * n, sizeof *d->u);
  d->y = px_mem_calloc((size_t)n * out, sizeof *d->y);
  d->weight = px_mem_calloc((size_t)n * out, sizeof *d->weight);
  d->mean = px_mem_calloc(n, sizeof *d->mean);
  d->y_mean = px_mem_calloc(out, sizeof *d->y_mean);
  if (!d->k || !d->u || !d->y || !d->weight || !d->mean || !d->y_mean) {
    idm_dual_free(d);
    return PX_E_NO_MEMORY;
  }
  *dual = d;
  return PX_OK;
}

void idm_dual_free(struct idm_dual *dual) {
  if (!dual) return;
  free(dual->k);
  free(dual->u);
  free(dual->y);
  free(dual->weight);
  free(dual->mean);
  free(dual->y_mean);
  free(dual);
}

/* ---- products */

enum { LANES = 4, TALL = 2, WIDE = 4 };
typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef float narrow __attribute__((vector_size(4 * LANES)));

static inline __attribute__((always_inline)) lanes load(const float *x) {
  narrow v;
  memcpy(&v, x, sizeof v);
  return __builtin_convertvector(v, lanes);
}

/* out[r, c] = a[r] b[c] of TALL and WIDE rows, in float64. A row's sums are LANES ones, so their
 * order is the same on every processor. */
PX_CLONES static void tile(size_t in, const float *const a[TALL], const float *const b[WIDE],
                           double out[TALL][WIDE]) {
  lanes sum[TALL][WIDE] = { { { 0 } } };
  size_t p = 0;
  for (; p + LANES <= in; p += LANES) {
    const lanes first = load(a[0] + p), second = load(a[1] + p);
    for (int c = 0; c < WIDE; c++) {
      const lanes other = load(b[c] + p);
      sum[0][c] += first * other;
      sum[1][c] += second * other;
    }
  }
  for (int r = 0; r < TALL; r++)
    for (int c = 0; c < WIDE; c++) {
      out[r][c] = 0;
      for (int l = 0; l < LANES; l++) out[r][c] += sum[r][c][l];
      for (size_t q = p; q < in; q++) out[r][c] += (double)a[r][q] * (double)b[c][q];
    }
}

void idm_dual_products(struct idm_dual *dual, uint32_t in, uint32_t i, uint32_t a_n, const float *a,
                       uint32_t j, uint32_t b_n, const float *b) {
  const size_t n = dual->n;
  for (uint32_t row = 0; row < a_n; row += TALL)
    for (uint32_t col = 0; col < b_n; col += WIDE) {
      const float *left[TALL], *right[WIDE];
      double out[TALL][WIDE];
      for (uint32_t r = 0; r < TALL; r++)
        left[r] = a + (size_t)(row + r < a_n ? row + r : row) * in;
      for (uint32_t c = 0; c < WIDE; c++)
        right[c] = b + (size_t)(col + c < b_n ? col + c : col) * in;
      tile(in, left, right, out);
      for (uint32_t r = 0; r < TALL && row + r < a_n; r++)
        for (uint32_t c = 0; c < WIDE && col + c < b_n; c++)
          dual->k[(i + row + r) * n + j + col + c] = dual->k[(j + col + c) * n + i + row + r] =
            out[r][c];
    }
}

/* ---- solutions */

static void measure_means(struct idm_dual *d, const uint32_t *rows, uint32_t m) {
  d->mean_mean = 0;
  for (uint32_t i = 0; i < d->n; i++) {
    const double *k = d->k + (size_t)i * d->n;
    double sum = 0;
    for (uint32_t c = 0; c < m; c++) sum += k[rows[c]];
    d->mean[i] = sum / m;
  }
  for (uint32_t c = 0; c < m; c++) d->mean_mean += d->mean[rows[c]] / m;
  memset(d->y_mean, 0, d->out * sizeof *d->y_mean);
  for (uint32_t c = 0; c < m; c++)
    for (uint32_t j = 0; j < d->out; j++) d->y_mean[j] += d->y[(size_t)rows[c] * d->out + j] / m;
}

enum px_status idm_dual_solve(struct idm_dual *d, const uint32_t *rows, uint32_t m, double lambda) {
  measure_means(d, rows, m);
  for (size_t r = 0; r < m; r++) {
    const double *k = d->k + (size_t)rows[r] * d->n, off = d->mean_mean - d->mean[rows[r]];
    for (size_t c = r; c < m; c++) d->u[r * m + c] = k[rows[c]] - d->mean[rows[c]] + off;
    d->u[r * m + r] += lambda * m;
    for (size_t j = 0; j < d->out; j++)
      d->weight[r * d->out + j] = d->y[(size_t)rows[r] * d->out + j] - d->y_mean[j];
  }
  if (!idm_gram_cholesky(m, d->u)) return PX_E_NAN_LOSS;
  idm_gram_cholesky_solve(m, d->out, d->u, d->weight);
  return PX_OK;
}

double idm_dual_error(const struct idm_dual *d, const uint32_t *rows, uint32_t m,
                      const uint32_t *held, uint32_t held_n) {
  double error = 0;
  for (uint32_t h = 0; h < held_n; h++) {
    const double *k = d->k + (size_t)held[h] * d->n, off = d->mean_mean - d->mean[held[h]];
    for (uint32_t j = 0; j < d->out; j++) {
      double rest = d->y_mean[j] - d->y[(size_t)held[h] * d->out + j];
      for (size_t c = 0; c < m; c++)
        rest += (k[rows[c]] - d->mean[rows[c]] + off) * d->weight[c * d->out + j];
      error += rest * rest;
    }
  }
  return error;
}

/* The weights' sum is 0, as that of the centred Y: so the mean input's prediction is sum weight_i
 * (mean product with i). */
void idm_dual_bias(const struct idm_dual *d, const uint32_t *rows, uint32_t m, double *bias) {
  memcpy(bias, d->y_mean, d->out * sizeof *bias);
  for (size_t c = 0; c < m; c++)
    for (uint32_t j = 0; j < d->out; j++) bias[j] -= d->mean[rows[c]] * d->weight[c * d->out + j];
}
