/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side of a box: see sim_box.h. */
#include "worker/sim/sim_box.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"
#include "lib/sim/mjcf.h"
#include "worker/sim/sim_box_frame.h"

enum { IDLE_MS = 300000 };

struct sim_box {
  pid_t pid; /* 0: it has been waited for */
  int talk;
  bool locked, silent;
};

void sim_box_close(struct sim_box *b) {
  if (!b) return;
  px_subprocess_end(b->pid);
  if (b->talk >= 0) close(b->talk);
  free(b);
}

static enum px_status gave_up(const char *why, struct px_err *err) {
  px_fail(err, PX_E_BAD_DATA, "the simulator did not get through the data: it %s", why);
  px_fail_hint(err, "Its process may take %llu MiB of memory beside the data.",
               SIM_BOX_MEMORY_BYTES >> 20);
  return PX_E_BAD_DATA;
}

/* Why it did not go on; it is ended. */
static enum px_status lost(struct sim_box *b, struct px_err *err) {
  char why[PX_LOCKUP_WHY];
  const int ended = px_subprocess_end(b->pid);
  b->pid = 0;
  px_lockup_why(ended, why);
  if (!b->locked)
    return px_fail(err, PX_E_INTERNAL, "the simulator's process could not lock itself up: it %s",
                   why);
  if (b->silent) snprintf(why, sizeof why, "made no progress for %d s", IDLE_MS / 1000);
  return gave_up(why, err);
}

static bool hear(struct sim_box *b, void *dst, size_t n) {
  return px_subprocess_hear(b->talk, dst, n, IDLE_MS, &b->silent);
}

static bool send_bytes(struct sim_box *b, const void *bytes, size_t n) {
  return px_subprocess_tell(b->talk, bytes, n, IDLE_MS, &b->silent);
}

/* What it says went wrong; a process that may have been taken over does not pass its trouble off as
 * ours. */
static enum px_status hear_error(struct sim_box *b, struct px_err *err) {
  static const enum px_status KNOWN[] = { PX_E_BAD_FIELD, PX_E_NO_LABELS };
  struct px_err said;
  enum px_status code = PX_E_BAD_DATA;
  if (!hear(b, &said, sizeof said)) return lost(b, err);
  said.message[sizeof said.message - 1] = said.pointer[sizeof said.pointer - 1] =
    said.hint[sizeof said.hint - 1] = '\0';
  px_text_clean(said.message);
  px_text_clean(said.pointer);
  px_text_clean(said.hint);
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
    if (said.code == KNOWN[i]) code = said.code;
  if (said.code == PX_E_NO_MEMORY) { /* of its own bound, not of this machine's */
    char why[sizeof said.message + 32];
    snprintf(why, sizeof why, "ran out of memory (%s)", said.message);
    return gave_up(why, err);
  }
  px_fail_at(err, code, said.pointer, "%s", said.message);
  if (*said.hint) px_fail_hint(err, "%s", said.hint);
  return code;
}

static enum px_status nonsense(struct px_err *err) {
  return px_fail(err, PX_E_BAD_DATA, "the simulator's process answered nonsense");
}

/* Frames until the one wanted, telling progress. */
static enum px_status await(struct sim_box *b, enum sim_box_kind wanted, const char *phase,
                            const struct px_progress *progress, struct px_err *err) {
  for (;;) {
    struct sim_box_frame frame;
    if (!hear(b, &frame, sizeof frame)) return lost(b, err);
    if (frame.kind == (uint32_t)wanted) return PX_OK;
    if (frame.kind == SIM_BOX_ERROR) return hear_error(b, err);
    if (frame.kind != SIM_BOX_PROGRESS) return nonsense(err);
    const enum px_status status =
      px_progress_report(progress, phase, frame.step, frame.total, NULL, 0);
    if (status) return status;
  }
}

static enum px_status start(struct sim_box *b, struct px_err *err) {
  int talk[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk))
    return px_fail_errno(err, "no way to talk to a simulator");
  const enum px_status status =
    px_subprocess_start(&sim_box_helper, (const int[]){ talk[1] }, 1, &b->pid, err);
  close(talk[1]);
  b->talk = talk[0];
  return status;
}

/* Of a call with all of it, as the helper holds it; labels are half a dozen numbers a step and
 * dimension. */
static uint64_t bytes_of(const struct px_dataset *ds) {
  return 4 * (ds->obs_n * ds->spaces.obs_dim + ds->steps_n * (8ull * ds->spaces.act_dim + 8)) +
         16ull * ds->traj_n;
}

enum px_status sim_box_open(const struct sim_layout *layout, const struct px_dataset *ds,
                            struct sim_box **out, struct px_err *err) {
  enum px_status status = px_mjcf_scan(layout->mjcf, layout->mjcf_n, err);
  if (status) return status;
  struct sim_box *b = px_mem_calloc(1, sizeof *b);
  struct sim_box_hello *hello = px_mem_calloc(1, sizeof *hello);
  if (b) b->talk = -1;
  status = b && hello ? start(b, err) : px_fail(err, PX_E_NO_MEMORY, "no memory for a simulator");
  if (!status) {
    hello->layout = *layout;
    hello->layout.mjcf = NULL;
    hello->data_bytes_max = bytes_of(ds);
    if (!send_bytes(b, hello, sizeof *hello) || !send_bytes(b, layout->mjcf, layout->mjcf_n))
      status = lost(b, err);
  }
  if (!status) status = await(b, SIM_BOX_READY, "open", NULL, err);
  if (!status) b->locked = true;
  if (!status) status = await(b, SIM_BOX_READY, "open", NULL, err);
  free(hello);
  if (status) sim_box_close(b);
  else *out = b;
  return status;
}

/* ---- what a call takes along */

/* Starts of the range's trajectories, counted from its first one. */
static bool tell_starts(struct sim_box *b, const uint64_t *starts, uint32_t from, uint32_t to) {
  bool good = true;
  for (uint32_t i = from; i <= to && good; i++) {
    const uint64_t start = starts[i] - starts[from];
    good = send_bytes(b, &start, sizeof start);
  }
  return good;
}

static bool tell_call(struct sim_box *b, struct sim_box_call *call,
                      const struct sim_options *options, const struct px_dataset *ds, uint32_t from,
                      uint32_t to) {
  const size_t O = ds->spaces.obs_dim;
  call->traj_n = to - from;
  call->steps_n = ds->step_start[to] - ds->step_start[from];
  call->obs_n = ds->obs_start[to] - ds->obs_start[from];
  call->spaces = ds->spaces;
  call->options = *options;
  call->options.std = NULL;
  call->options.traj_base += from;
  return send_bytes(b, call, sizeof *call) && send_bytes(b, options->std, O * sizeof(double)) &&
         tell_starts(b, ds->step_start, from, to) && tell_starts(b, ds->obs_start, from, to) &&
         send_bytes(b, ds->has_final + from, call->traj_n) &&
         send_bytes(b, ds->observations + ds->obs_start[from] * O, call->obs_n * O * sizeof(float));
}

/* ---- check, identify, adjust */

/* A call that takes labelled steps along, until it is done. */
static enum px_status with_actions(struct sim_box *b, struct sim_box_call *call,
                                   const struct sim_options *options, const struct px_dataset *ds,
                                   const char *phase, const struct px_progress *progress,
                                   struct px_err *err) {
  const bool told = tell_call(b, call, options, ds, 0, ds->traj_n) &&
                    send_bytes(b, ds->actions, ds->steps_n * ds->spaces.act_dim * sizeof(float)) &&
                    send_bytes(b, ds->labelled, ds->steps_n);
  return told ? await(b, SIM_BOX_DONE, phase, progress, err) : lost(b, err);
}

enum px_status sim_box_identify(struct sim_box *b, const struct sim_options *options,
                                const struct px_dataset *ds, uint32_t delay_max,
                                const struct px_progress *progress, struct sim_identified *out,
                                struct px_err *err) {
  struct sim_box_call *call = px_mem_calloc(1, sizeof *call);
  if (!call) return px_fail(err, PX_E_NO_MEMORY, "no memory to identify a model");
  call->work = SIM_BOX_IDENTIFY;
  call->delay_max = delay_max;
  enum px_status status = with_actions(b, call, options, ds, "identify", progress, err);
  free(call);
  if (!status && !hear(b, out, sizeof *out)) status = lost(b, err);
  if (status) return status;
  bool sane = out->adjustment.delay <= SIM_DELAY_MAX && !isnan(out->median_before) &&
              !isnan(out->median_after);
  for (int i = 0; i < SIM_FACTORS_N && sane; i++) {
    const double factor = out->adjustment.factor[i];
    sane = factor >= SIM_FACTOR_LEAST && factor <= SIM_FACTOR_MOST && isfinite(out->std[i]);
  }
  return sane ? PX_OK : nonsense(err);
}

enum px_status sim_box_adjust(struct sim_box *b, const struct sim_adjustment *adjustment,
                              struct px_err *err) {
  struct sim_box_call *call = px_mem_calloc(1, sizeof *call);
  if (!call) return px_fail(err, PX_E_NO_MEMORY, "no memory to adjust a model");
  call->work = SIM_BOX_ADJUST;
  call->adjustment = *adjustment;
  const bool told = send_bytes(b, call, sizeof *call);
  free(call);
  return told ? await(b, SIM_BOX_DONE, "adjust", NULL, err) : lost(b, err);
}

enum px_status sim_box_check(struct sim_box *b, const struct sim_options *options,
                             const struct px_dataset *ds, const struct px_progress *progress,
                             struct sim_fit *out, struct px_err *err) {
  struct sim_box_call *call = px_mem_calloc(1, sizeof *call);
  if (!call) return px_fail(err, PX_E_NO_MEMORY, "no memory to check a simulator");
  call->work = SIM_BOX_CHECK;
  enum px_status status = with_actions(b, call, options, ds, "check", progress, err);
  free(call);
  if (!status && !hear(b, out, sizeof *out)) status = lost(b, err);
  if (status) return status;
  bool sane = out->obs_dim == ds->spaces.obs_dim && out->steps_n <= SIM_CHECK_STEPS &&
              out->unstable_n <= out->steps_n && isfinite(out->within) && !isnan(out->median);
  for (uint32_t i = 0; i < out->obs_dim && sane; i++)
    sane = isfinite(out->rms[i]) && out->rms[i] >= 0;
  return sane ? PX_OK : nonsense(err);
}

/* ---- label */

/* Their numbers are checked where a label segment is written (px_label_write). */
static bool hear_labels(struct sim_box *b, struct sim_labels *l) {
  const size_t n = l->steps_n, wide = n * l->act_dim * sizeof(float);
  struct sim_box_counts counts;
  if (!hear(b, l->actions, wide) || !hear(b, l->std, wide) || !hear(b, l->epistemic, wide) ||
      !hear(b, l->score, n * sizeof(float)) || !hear(b, l->known, n) ||
      !hear(b, l->residual, n * sizeof(float)) || !hear(b, l->verified, n) ||
      !hear(b, &counts, sizeof counts))
    return false;
  l->known_n = counts.known_n, l->verified_n = counts.verified_n;
  l->unstable_n = counts.unstable_n, l->simulations_n = counts.simulations_n;
  for (size_t t = 0; t < n; t++)
    l->known[t] = l->known[t] != 0, l->verified[t] = l->known[t] && l->verified[t];
  return true;
}

enum px_status sim_box_label(struct sim_box *b, const struct sim_options *options,
                             const struct px_dataset *ds, uint32_t traj_from, uint32_t traj_to,
                             const struct sim_starts *starts, const struct px_progress *progress,
                             struct sim_labels **out, struct px_err *err) {
  struct sim_box_call *call = px_mem_calloc(1, sizeof *call);
  struct sim_labels *labels = sim_labels_new(ds, traj_from, traj_to);
  enum px_status status = PX_OK;
  if (!call || !labels) {
    status =
      px_fail(err, PX_E_NO_MEMORY, "no memory to label %u trajectories", traj_to - traj_from);
    goto out;
  }
  call->work = SIM_BOX_LABEL;
  call->starts_n = starts ? starts->n : 0;
  const size_t wide = labels->steps_n * labels->act_dim * sizeof(float);
  bool told = tell_call(b, call, options, ds, traj_from, traj_to);
  for (uint32_t k = 0; k < call->starts_n && told; k++)
    told = send_bytes(b, starts->actions[k], wide);
  status = told ? await(b, SIM_BOX_DONE, "label", progress, err) : lost(b, err);
  if (!status && !hear_labels(b, labels)) status = lost(b, err);
out:
  free(call);
  if (status) sim_labels_free(labels);
  else *out = labels;
  return status;
}

/* ---- pairs */

/* Numbers that a net may learn from; the helper may have been taken over. */
static bool sane_pairs(const struct sim_pairs *p) {
  bool sane = p->delay <= SIM_DELAY_MAX;
  for (uint32_t j = 0; j < p->act_dim && sane; j++)
    sane = p->low[j] >= -1 && p->high[j] <= 1 && p->low[j] < p->high[j];
  for (size_t i = 0; i < (size_t)p->n * 2 * p->obs_dim && sane; i++) sane = isfinite(p->x[i]);
  for (size_t i = 0; i < (size_t)p->n * p->act_dim && sane; i++) sane = fabsf(p->u[i]) <= 1;
  return sane;
}

static enum px_status hear_pairs(struct sim_box *b, const struct px_progress *progress,
                                 struct sim_pairs *p, struct px_err *err) {
  struct sim_box_range range;
  enum px_status status = PX_OK;
  for (uint32_t from = 0; from < p->n && !status; from += SIM_BOX_PAIRS_PART) {
    const size_t n = p->n - from < SIM_BOX_PAIRS_PART ? p->n - from : SIM_BOX_PAIRS_PART;
    const size_t wide = 2 * (size_t)p->obs_dim, dims = p->act_dim;
    status = await(b, SIM_BOX_PART, "simulate", progress, err);
    if (!status && (!hear(b, p->x + from * wide, n * wide * sizeof(float)) ||
                    !hear(b, p->u + from * dims, n * dims * sizeof(float))))
      status = lost(b, err);
  }
  if (!status) status = await(b, SIM_BOX_DONE, "simulate", progress, err);
  if (status) return status;
  if (!hear(b, &range, sizeof range)) return lost(b, err);
  p->delay = range.delay;
  memcpy(p->low, range.low, sizeof p->low);
  memcpy(p->high, range.high, sizeof p->high);
  return sane_pairs(p) ? PX_OK : nonsense(err);
}

enum px_status sim_box_pairs(struct sim_box *b, const struct sim_options *options,
                             const struct px_dataset *ds, uint64_t seed, uint32_t n,
                             const struct px_progress *progress, struct sim_pairs **out,
                             struct px_err *err) {
  if (n < 1 || n > SIM_PAIRS_MAX)
    return px_fail(err, PX_E_BAD_FIELD, "%u pairs, not 1 to %d", n, SIM_PAIRS_MAX);
  struct sim_box_call *call = px_mem_calloc(1, sizeof *call);
  struct sim_pairs *pairs = sim_pairs_new(&ds->spaces, n);
  enum px_status status =
    call && pairs ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "no memory for %u simulated steps", n);
  if (!status) {
    call->work = SIM_BOX_PAIRS;
    call->pairs_n = n;
    call->seed = seed;
    status = tell_call(b, call, options, ds, 0, ds->traj_n) ? hear_pairs(b, progress, pairs, err)
                                                            : lost(b, err);
  }
  free(call);
  if (status) sim_pairs_free(pairs);
  else *out = pairs;
  return status;
}
