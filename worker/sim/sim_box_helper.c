/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's side of a box: lock up, open the model, label what comes. See sim_box.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/sim/mjcf.h"
#include "lib/sim/physics.h"
#include "worker/sim/sim_box_frame.h"

static bool send_bytes(const void *bytes, size_t n) {
  for (const char *at = bytes; n;) {
    struct iovec part = { (void *)(uintptr_t)at, n };
    const ssize_t put = writev(SIM_BOX_TALK_FD, &part, 1);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += put;
    n -= (size_t)put;
  }
  return true;
}

static bool say_frame(enum sim_box_kind kind, int64_t step, int64_t total) {
  const struct sim_box_frame frame = { .kind = kind, .step = step, .total = total };
  return send_bytes(&frame, sizeof frame);
}

static bool say_error(enum px_status status, struct px_err *err) {
  err->code = status;
  return say_frame(SIM_BOX_ERROR, 0, 0) && send_bytes(err, sizeof *err);
}

/* A parent that has gone wants nothing more. */
static enum px_status report(void *ctx, const char *phase, int64_t step, int64_t total,
                             const struct px_metric *metrics, size_t metrics_n) {
  (void)ctx, (void)phase, (void)metrics, (void)metrics_n;
  return say_frame(SIM_BOX_PROGRESS, step, total) ? PX_OK : PX_E_CANCELLED;
}
static const struct px_progress PROGRESS = { NULL, report };

/* n items of `size` bytes that the parent sends; NULL when it has gone. */
static void *receive_items(size_t n, size_t size) {
  void *room = px_mem_calloc(n ? n : 1, size);
  if (!room) _exit(PX_LOCKUP_EXIT_MEMORY);
  if (px_subprocess_take(SIM_BOX_TALK_FD, room, n * size)) return room;
  free(room);
  return NULL;
}

/* What a call takes along; freed by call_free. */
struct taken {
  struct px_dataset ds;
  double *std;
  float *starts[SIM_STARTS_MAX];
};

static void taken_free(struct taken *t) {
  free(t->std);
  for (int k = 0; k < SIM_STARTS_MAX; k++) free(t->starts[k]);
  free(t->ds.step_start);
  free(t->ds.obs_start);
  free(t->ds.has_final);
  free(t->ds.observations);
  free(t->ds.actions);
  free(t->ds.labelled);
}

static bool take_call(const struct sim_box_call *call, struct taken *t) {
  const size_t O = call->spaces.obs_dim, A = call->spaces.act_dim;
  struct px_dataset *ds = &t->ds;
  ds->spaces = call->spaces;
  ds->traj_n = call->traj_n, ds->steps_n = call->steps_n, ds->obs_n = call->obs_n;
  if (!(t->std = receive_items(O, sizeof *t->std)) ||
      !(ds->step_start = receive_items(call->traj_n + (size_t)1, sizeof *ds->step_start)) ||
      !(ds->obs_start = receive_items(call->traj_n + (size_t)1, sizeof *ds->obs_start)) ||
      !(ds->has_final = receive_items(call->traj_n, 1)) ||
      !(ds->observations = receive_items(call->obs_n, O * sizeof(float))))
    return false;
  if (call->work == SIM_BOX_PAIRS) return true;
  if (call->work != SIM_BOX_LABEL)
    return (ds->actions = receive_items(call->steps_n, A * sizeof(float))) &&
           (ds->labelled = receive_items(call->steps_n, 1));
  for (uint32_t k = 0; k < call->starts_n; k++)
    if (!(t->starts[k] = receive_items(call->steps_n, A * sizeof(float)))) return false;
  return true;
}

static bool say_labels(const struct sim_labels *l) {
  const size_t n = l->steps_n, wide = n * l->act_dim * sizeof(float);
  const struct sim_box_counts counts = { l->known_n, l->verified_n, l->unstable_n,
                                         l->simulations_n };
  return say_frame(SIM_BOX_DONE, 0, 0) && send_bytes(l->actions, wide) &&
         send_bytes(l->std, wide) && send_bytes(l->epistemic, wide) &&
         send_bytes(l->score, n * sizeof(float)) && send_bytes(l->known, n) &&
         send_bytes(l->residual, n * sizeof(float)) && send_bytes(l->verified, n) &&
         send_bytes(&counts, sizeof counts);
}

static bool check(struct sim *sim, const struct sim_options *options, const struct taken *t,
                  struct px_err *err) {
  static struct sim_fit fit;
  const enum px_status status = sim_check(sim, options, &t->ds, &PROGRESS, &fit, err);
  return status ? say_error(status, err)
                : say_frame(SIM_BOX_DONE, 0, 0) && send_bytes(&fit, sizeof fit);
}

static bool label(struct sim *sim, const struct sim_box_call *call, const struct taken *t,
                  struct px_err *err) {
  struct sim_labels *labels = NULL;
  const struct sim_starts starts = { call->starts_n, { t->starts[0], t->starts[1] } };
  const enum px_status status =
    sim_label(sim, &call->options, &t->ds, 0, t->ds.traj_n, &starts, &PROGRESS, &labels, err);
  const bool said = status ? say_error(status, err) : say_labels(labels);
  sim_labels_free(labels);
  return said;
}

static bool identify(struct sim *sim, const struct sim_box_call *call, const struct taken *t,
                     struct px_err *err) {
  static struct sim_identified found;
  const enum px_status status =
    sim_identify(sim, &call->options, &t->ds, call->delay_max, &PROGRESS, &found, err);
  return status ? say_error(status, err)
                : say_frame(SIM_BOX_DONE, 0, 0) && send_bytes(&found, sizeof found);
}

static bool adjust(struct sim *sim, const struct sim_box_call *call, struct px_err *err) {
  const enum px_status status = sim_identify_adjust(sim, &call->adjustment, err);
  return status ? say_error(status, err) : say_frame(SIM_BOX_DONE, 0, 0);
}

static bool say_part(const struct sim_pairs *p) {
  const size_t n = p->n, wide = 2 * (size_t)p->obs_dim, dims = p->act_dim;
  return say_frame(SIM_BOX_PART, 0, 0) && send_bytes(p->x, n * wide * sizeof(float)) &&
         send_bytes(p->u, n * dims * sizeof(float));
}

static bool pairs(struct sim *sim, const struct sim_box_call *call, const struct taken *t,
                  struct px_err *err) {
  static struct sim_box_range range;
  struct sim_pairs *part = sim_pairs_new(&call->spaces, SIM_BOX_PAIRS_PART);
  if (!part) return say_error(px_fail(err, PX_E_NO_MEMORY, "no memory to simulate steps"), err);
  bool good = true, failed = false;
  for (uint32_t from = 0; from < call->pairs_n && good && !failed; from += SIM_BOX_PAIRS_PART) {
    if (call->pairs_n - from < part->n) part->n = call->pairs_n - from;
    const enum px_status status = sim_pairs_part(sim, &call->options, &t->ds, call->seed, from,
                                                 call->pairs_n, &PROGRESS, part, err);
    failed = status != PX_OK;
    good = failed ? say_error(status, err) : say_part(part);
  }
  memcpy(range.low, part->low, sizeof range.low);
  memcpy(range.high, part->high, sizeof range.high);
  range.delay = part->delay;
  sim_pairs_free(part);
  return good && (failed || (say_frame(SIM_BOX_DONE, 0, 0) && send_bytes(&range, sizeof range)));
}

static bool answer(struct sim *sim, const struct sim_box_call *call, const struct taken *t,
                   struct px_err *err) {
  switch (call->work) {
    case SIM_BOX_CHECK: return check(sim, &call->options, t, err);
    case SIM_BOX_IDENTIFY: return identify(sim, call, t, err);
    case SIM_BOX_PAIRS: return pairs(sim, call, t, err);
    default: return label(sim, call, t, err);
  }
}

/* One call; false when the parent has gone. */
static bool serve(struct sim *sim) {
  static struct sim_box_call call;
  static struct taken t;
  struct px_err err = { .code = PX_OK };
  if (!px_subprocess_take(SIM_BOX_TALK_FD, &call, sizeof call)) return false;
  if (call.work == SIM_BOX_ADJUST) return adjust(sim, &call, &err);
  t = (struct taken){ .std = NULL };
  bool good = take_call(&call, &t);
  call.options.std = t.std;
  if (good) good = answer(sim, &call, &t, &err);
  taken_free(&t);
  return good;
}

/* The text without threads, which a locked-up process cannot start. */
static bool take_model(struct sim_box_hello *hello) {
  char *text =
    hello->layout.mjcf_n <= PX_MJCF_BYTES_MAX ? receive_items(hello->layout.mjcf_n, 1) : NULL;
  if (!text) return false;
  hello->layout.mjcf = px_mjcf_without_threads(text, hello->layout.mjcf_n, &hello->layout.mjcf_n);
  return hello->layout.mjcf != NULL;
}

static int simulate(void) {
  static struct sim_box_hello hello;
  struct sim *sim = NULL;
  struct px_err err = { .code = PX_OK };
  if (!px_subprocess_take(SIM_BOX_TALK_FD, &hello, sizeof hello) || !take_model(&hello)) return 2;
  px_physics_tell_memory();
  const struct px_lockup limits = { .cpu_s = SIM_BOX_CPU_S,
                                    .memory_bytes = SIM_BOX_MEMORY_BYTES + hello.data_bytes_max,
                                    .read_fd = SIM_BOX_TALK_FD,
                                    .write_fd = SIM_BOX_TALK_FD };
  if (!px_lockup(&limits)) return 4;
  if (!say_frame(SIM_BOX_READY, 0, 0)) return 5;
  const enum px_status status = sim_open(&hello.layout, &sim, &err);
  bool good = status ? say_error(status, &err) && false : say_frame(SIM_BOX_READY, 0, 0);
  while (good) good = serve(sim);
  _exit(0); /* the parent has gone, or wants no more */
}

const struct px_subprocess_kind sim_box_helper = { "proxact-simulator", "--proxact-simulator",
                                                   simulate, true };
