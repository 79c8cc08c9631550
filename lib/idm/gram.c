/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge regression: see gram.h. */
#include "lib/idm/gram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nn/simd.h"

enum { FOUR = 4 }; /* rows taken at a time: a sum is read and written once for all */

enum px_status idm_gram_new(uint32_t in, uint32_t out, struct idm_gram **gram) {
  struct idm_gram *g = px_mem_calloc(1, sizeof *g);
  if (!g) return PX_E_NO_MEMORY;
  const size_t rows = (size_t)in + 1;
  g->in = in;
  g->out = out;
  g->xx = px_mem_calloc(rows * rows, sizeof *g->xx);
  g->xy = px_mem_calloc(rows * out, sizeof *g->xy);
  g->yy = px_mem_calloc(out, sizeof *g->yy);
  g->four = px_mem_calloc(FOUR * (rows + out), sizeof *g->four);
  if (!g->xx || !g->xy || !g->yy || !g->four) {
    idm_gram_free(g);
    return PX_E_NO_MEMORY;
  }
  *gram = g;
  return PX_OK;
}

void idm_gram_free(struct idm_gram *gram) {
  if (!gram) return;
  free(gram->xx);
  free(gram->xy);
  free(gram->yy);
  free(gram->four);
  free(gram);
}

/* Row i of the products: sum over the four rows, one after the other, so that their number changes
 * no bit. */
PX_CLONES static void add_four(size_t i, size_t rows, size_t out, const double *restrict x,
                               const double *restrict y, double *restrict xx, double *restrict xy) {
  const double a = x[i], b = x[rows + i], c = x[2 * rows + i], d = x[3 * rows + i];
  for (size_t j = i; j < rows; j++)
    xx[j] = xx[j] + a * x[j] + b * x[rows + j] + c * x[2 * rows + j] + d * x[3 * rows + j];
  for (size_t j = 0; j < out; j++)
    xy[j] = xy[j] + a * y[j] + b * y[out + j] + c * y[2 * out + j] + d * y[3 * out + j];
}

void idm_gram_add(struct idm_gram *gram, uint32_t n, const float *x, const float *y) {
  const size_t in = gram->in, out = gram->out, rows = in + 1;
  double *four_x = gram->four, *four_y = four_x + FOUR * rows;
  for (uint32_t r = 0; r < n; r += FOUR) {
    for (uint32_t k = 0; k < FOUR; k++) { /* rows past the end are 0, which adds nothing */
      const bool there = r + k < n;
      for (size_t i = 0; i < in; i++)
        four_x[k * rows + i] = there ? (double)x[(r + k) * in + i] : 0;
      four_x[k * rows + in] = there;
      for (size_t j = 0; j < out; j++)
        four_y[k * out + j] = there ? (double)y[(r + k) * out + j] : 0;
      for (size_t j = 0; j < out; j++) gram->yy[j] += four_y[k * out + j] * four_y[k * out + j];
    }
    for (size_t i = 0; i < rows; i++)
      add_four(i, rows, out, four_x, four_y, gram->xx + i * rows, gram->xy + i * out);
  }
  gram->n += n;
}

void idm_gram_combine(struct idm_gram *a, const struct idm_gram *b, double sign) {
  const size_t rows = (size_t)a->in + 1;
  for (size_t i = 0; i < rows * rows; i++) a->xx[i] += sign * b->xx[i];
  for (size_t i = 0; i < rows * a->out; i++) a->xy[i] += sign * b->xy[i];
  for (size_t i = 0; i < a->out; i++) a->yy[i] += sign * b->yy[i];
  a->n += sign * b->n;
}

/* row -= the rows [from, to) of a, each times its own number in column i; from column i on, one row
 * after the other. */
PX_CLONES static void subtract_rows(size_t n, const double *restrict a, size_t from, size_t to,
                                    size_t i, double *restrict row) {
  size_t k = from;
  for (; k + FOUR <= to; k += FOUR) {
    const double *p = a + k * n, *q = p + n, *r = q + n, *s = r + n, fp = p[i], fq = q[i],
                 fr = r[i], fs = s[i];
    for (size_t j = i; j < n; j++) row[j] = row[j] - fp * p[j] - fq * q[j] - fr * r[j] - fs * s[j];
  }
  for (; k < to; k++) {
    const double *p = a + k * n, f = p[i];
    for (size_t j = i; j < n; j++) row[j] -= f * p[j];
  }
}

bool idm_gram_cholesky(size_t n, double *a) {
  enum { BLOCK = 48 }; /* rows that stay in the cache while all below are updated */
  for (size_t from = 0, to; from < n; from = to) {
    to = from + BLOCK < n ? from + BLOCK : n;
    for (size_t k = from; k < to; k++) {
      subtract_rows(n, a, from, k, k, a + k * n);
      if (!(a[k * n + k] > 0)) return false;
      const double root = sqrt(a[k * n + k]);
      for (size_t j = k; j < n; j++) a[k * n + j] /= root;
    }
    for (size_t i = to; i < n; i++) subtract_rows(n, a, from, to, i, a + i * n);
  }
  return true;
}

void idm_gram_cholesky_solve(size_t n, size_t out, const double *u, double *w) {
  for (size_t i = 0; i < n; i++) { /* U^T v = w */
    for (size_t j = 0; j < out; j++) w[i * out + j] /= u[i * n + i];
    for (size_t k = i + 1; k < n; k++)
      for (size_t j = 0; j < out; j++) w[k * out + j] -= u[i * n + k] * w[i * out + j];
  }
  for (size_t i = n; i-- > 0;) { /* U w = v */
    for (size_t k = i + 1; k < n; k++)
      for (size_t j = 0; j < out; j++) w[i * out + j] -= u[i * n + k] * w[k * out + j];
    for (size_t j = 0; j < out; j++) w[i * out + j] /= u[i * n + i];
  }
}

enum px_status idm_gram_solve(const struct idm_gram *gram, double lambda, double *w) {
  const size_t n = (size_t)gram->in + 1, out = gram->out;
  double *u = px_mem_calloc(n * n, sizeof *u);
  if (!u) return PX_E_NO_MEMORY;
  memcpy(u, gram->xx, sizeof *u * n * n);
  for (size_t i = 0; i + 1 < n; i++) u[i * n + i] += lambda * gram->n;
  const enum px_status status = idm_gram_cholesky(n, u) ? PX_OK : PX_E_NAN_LOSS;
  if (!status) {
    memcpy(w, gram->xy, sizeof *w * n * out);
    idm_gram_cholesky_solve(n, out, u, w);
  }
  free(u);
  return status;
}

/* y'y - 2 w'X'y + w'X'X w */
double idm_gram_error(const struct idm_gram *gram, const double *w) {
  const size_t n = (size_t)gram->in + 1, out = gram->out;
  double error = 0;
  for (size_t j = 0; j < out; j++) error += gram->yy[j];
  for (size_t i = 0; i < n * out; i++) error -= 2 * w[i] * gram->xy[i];
  for (size_t i = 0; i < n; i++)
    for (size_t k = i; k < n; k++) {
      double product = 0;
      for (size_t j = 0; j < out; j++) product += w[i * out + j] * w[k * out + j];
      error += (k == i ? 1 : 2) * gram->xx[i * n + k] * product;
    }
  return error;
}
