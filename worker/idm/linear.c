/* Ridge regression: see linear.h. */
#include "worker/idm/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

enum px_status idm_gram_new(uint32_t in, uint32_t out, struct idm_gram **gram) {
  struct idm_gram *g = px_calloc(1, sizeof *g);
  if (!g) return PX_E_NO_MEMORY;
  const size_t rows = (size_t)in + 1;
  g->in = in;
  g->out = out;
  g->xx = px_calloc(rows * rows, sizeof *g->xx);
  g->xy = px_calloc(rows * out, sizeof *g->xy);
  g->yy = px_calloc(out, sizeof *g->yy);
  if (!g->xx || !g->xy || !g->yy) {
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
  free(gram);
}

void idm_gram_add(struct idm_gram *gram, uint32_t n, const float *x, const float *y) {
  const uint32_t in = gram->in, out = gram->out, rows = in + 1;
  for (uint32_t r = 0; r < n; r++, x += in, y += out) {
    for (uint32_t i = 0; i < rows; i++) {
      const double xi = i < in ? (double)x[i] : 1;
      double *restrict row = gram->xx + (size_t)i * rows, *restrict cross = gram->xy + (size_t)i * out;
      for (uint32_t j = i; j < in; j++) row[j] += xi * (double)x[j];
      row[in] += xi;
      for (uint32_t j = 0; j < out; j++) cross[j] += xi * (double)y[j];
    }
    for (uint32_t j = 0; j < out; j++) gram->yy[j] += (double)y[j] * (double)y[j];
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

/* In place: the upper triangle of a becomes U with U^T U = a. */
static bool cholesky(size_t n, double *a) {
  for (size_t k = 0; k < n; k++) {
    if (!(a[k * n + k] > 0)) return false;
    const double root = sqrt(a[k * n + k]);
    for (size_t j = k; j < n; j++) a[k * n + j] /= root;
    for (size_t i = k + 1; i < n; i++) {
      const double f = a[k * n + i];
      for (size_t j = i; j < n; j++) a[i * n + j] -= f * a[k * n + j];
    }
  }
  return true;
}

enum px_status idm_gram_solve(const struct idm_gram *gram, double lambda, double *w) {
  const size_t n = (size_t)gram->in + 1, out = gram->out;
  double *u = px_calloc(n * n, sizeof *u);
  if (!u) return PX_E_NO_MEMORY;
  memcpy(u, gram->xx, sizeof *u * n * n);
  for (size_t i = 0; i + 1 < n; i++) u[i * n + i] += lambda * gram->n;
  enum px_status status = cholesky(n, u) ? PX_OK : PX_E_NAN_LOSS;
  if (status) goto out;
  memcpy(w, gram->xy, sizeof *w * n * out);
  for (size_t i = 0; i < n; i++) { /* U^T v = X^T y */
    for (size_t j = 0; j < out; j++) w[i * out + j] /= u[i * n + i];
    for (size_t k = i + 1; k < n; k++)
      for (size_t j = 0; j < out; j++) w[k * out + j] -= u[i * n + k] * w[i * out + j];
  }
  for (size_t i = n; i-- > 0;) { /* U w = v */
    for (size_t k = i + 1; k < n; k++)
      for (size_t j = 0; j < out; j++) w[i * out + j] -= u[i * n + k] * w[k * out + j];
    for (size_t j = 0; j < out; j++) w[i * out + j] /= u[i * n + i];
  }
out:
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
