/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of predictions: observations in, actions out, each as JSON or as safetensors. Used by
 * api_predict.c. Nothing is shared between threads.
 */
#ifndef PX_SERVER_API_PREDICT_BODY_H
#define PX_SERVER_API_PREDICT_BODY_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"

enum { PREDICT_BODY_BYTES_MAX = 8 << 20, PREDICT_BODY_ROWS_MAX = 65536 };

/* observations [n, O], or [n, length, O]; the caller frees them. */
struct predict_body {
  uint32_t rank; /* 2 or 3 */
  uint32_t n, length, obs_dim;
  float *observations;
};
/* JSON {"observations": [[...], ...]} or safetensors with the float32 tensor observations, of
 * obs_dim columns. BAD_FIELD at the place of what is wrong: an unknown name, another number of
 * columns, a number that is not finite. TOO_LARGE over PREDICT_BODY_ROWS_MAX rows. */
enum px_status predict_body_json(const char *text, size_t n, uint32_t obs_dim,
                                 struct predict_body *out, struct px_err *err) PX_MUST_CHECK;
enum px_status predict_body_safetensors(const void *bytes, size_t n, uint32_t obs_dim,
                                        struct predict_body *out, struct px_err *err) PX_MUST_CHECK;

/* A column of the answer: [n, width], or [n, length, width]; width 0 leaves the last dimension out.
 * Borrowed. */
struct predict_column {
  const char *name;
  const float *rows;
  uint32_t width;
  bool whole; /* whole numbers: int64 in safetensors */
};
struct predict_answer {
  const char *model;
  uint32_t rank, n, length; /* length: of what is answered, for rank 3 */
  const struct predict_column *columns;
  size_t columns_n;
};
enum px_status predict_body_put_json(const struct predict_answer *answer, struct px_buf *out,
                                     struct px_err *err) PX_MUST_CHECK;
enum px_status predict_body_put_safetensors(const struct predict_answer *answer, struct px_buf *out,
                                            struct px_err *err) PX_MUST_CHECK;

#endif
