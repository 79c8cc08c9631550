/* SPDX-License-Identifier: Apache-2.0 */
/* When to keep a training's state, and how to go on from it: see checkpoint.h. */
#include "lib/nn/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/nn/mat.h"

double px_checkpoint_pause_s(int every_ms, double cost_s) {
  const double least_s = 5, aim = 0.01, most = 0.05;
  if (every_ms == 0) return 0;
  const double wanted_s = fmin(every_ms * 1e-3, fmax(least_s, cost_s * (1 - aim) / aim));
  return fmax(wanted_s, cost_s * (1 - most) / most);
}

/* ---- going on */

static enum px_status parse_step(const char *text, uint64_t *step, struct px_err *err) {
  char *end = NULL;
  errno = 0;
  const unsigned long long value = text ? strtoull(text, &end, 10) : 0;
  if (!text || end == text || *end || errno || !value)
    return px_fail(err, PX_E_BAD_DATA, "it does not say its step");
  *step = value;
  return PX_OK;
}

static enum px_status restore(const struct px_checkpoint *c, const struct px_state *state,
                              uint64_t *step, struct px_err *err) {
  struct px_safetensors *st = NULL;
  uint64_t found = 0;
  enum px_status status = px_safetensors_parse(c->from, c->from_n, &st, err);
  const char *format = status ? NULL : px_safetensors_meta(st, "format");
  if (!status && (!format || strcmp(format, PX_CHECKPOINT_FORMAT) != 0))
    status = px_fail(err, PX_E_BAD_DATA, "its format is %s, not %s", format ? format : "not given",
                     PX_CHECKPOINT_FORMAT);
  if (!status) status = parse_step(px_safetensors_meta(st, "step"), &found, err);
  if (!status) status = px_state_read(state, st, err);
  px_safetensors_free(st);
  if (!status) *step = found;
  return status;
}

enum px_status px_checkpoint_resume(struct px_checkpoint *c, const struct px_state *state,
                                    uint64_t *step, struct px_err *err) {
  uint64_t found = 0;
  struct px_err why;
  enum px_status status = PX_OK;
  if (c) {
    c->bytes.max = PX_CHECKPOINT_BYTES_MAX;
    const bool refused = c->from && restore(c, state, &found, &why);
    c->resumed_step = found;
    if (c->resumed) status = c->resumed(c->ctx, found, refused ? &why : NULL, err);
    c->from = NULL;
    c->next_s = px_clock_s() + px_checkpoint_pause_s(c->every_ms, 0);
  }
  if (!status) *step = found;
  return status;
}

/* ---- keeping */

static enum px_status write_state(struct px_checkpoint *c, const struct px_state *state,
                                  uint64_t step, struct px_err *err) {
  char number[24], profile[PX_MAT_PROFILE_MAX];
  snprintf(number, sizeof number, "%" PRIu64, step);
  px_mat_profile(profile);
  const struct px_safetensors_meta meta[] = { { "format", PX_CHECKPOINT_FORMAT },
                                              { "step", number },
                                              { "numeric_profile", profile } };
  c->bytes.len = 0;
  return px_state_write(state, meta, sizeof meta / sizeof *meta, &c->bytes, err);
}

static enum px_status keep(struct px_checkpoint *c, const struct px_state *state, uint64_t step,
                           struct px_err *err) {
  struct px_err why;
  enum px_status status = px_state_finite(state)
                            ? write_state(c, state, step, &why)
                            : px_fail(&why, PX_E_NAN_LOSS, "the state is not finite");
  if (!status) status = c->keep(c->ctx, step, c->bytes.data, c->bytes.len, &why);
  if (!status) {
    c->kept_step = step;
    c->kept_n++;
  } else if (status == PX_E_FENCED || status == PX_E_CANCELLED) {
    if (err) *err = why;
  } else {
    px_log(PX_LOG_WARN, "checkpoint_not_kept", "job", c->name, "step", PX_I((long long)step),
           "code", px_status_slug(status), "message", why.message, NULL);
    status = PX_OK; /* the training is worth more than this checkpoint */
  }
  return status;
}

enum px_status px_checkpoint_step(struct px_checkpoint *c, const struct px_state *state,
                                  uint64_t step, struct px_err *err) {
  if (!c) return PX_OK;
  const bool stop = c->stop && *c->stop;
  const double start_s = px_clock_s();
  if (!stop && start_s < c->next_s) return PX_OK;
  const enum px_status status = keep(c, state, step, err);
  const double end_s = px_clock_s();
  c->cost_s = end_s - start_s;
  c->spent_s += c->cost_s;
  c->next_s = end_s + px_checkpoint_pause_s(c->every_ms, c->cost_s);
  if (!status && stop)
    return px_fail(err, PX_E_WORKER_LOST, "stopped after step %" PRIu64 ", as asked", step);
  return status;
}

void px_checkpoint_free(struct px_checkpoint *c) { px_buf_free(&c->bytes); }
