/* SPDX-License-Identifier: Apache-2.0 */
/* Dataset snapshots in memory: see dataset.h. */
#include "lib/data/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/running_stats.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"

/* Arrays grow by half; large ones grow by remapping pages (glibc's realloc), so
 * that nothing is copied twice. */
struct px_dataset_builder {
  struct px_dataset *ds;
  uint64_t steps_cap, obs_cap;
  uint32_t traj_cap, segments_cap;
};

void px_dataset_free(struct px_dataset *ds) {
  if (!ds) return;
  free(ds->observations);
  free(ds->actions);
  free(ds->labelled);
  free(ds->rewards);
  free(ds->step_start);
  free(ds->obs_start);
  free(ds->terminated);
  free(ds->truncated);
  free(ds->has_final);
  free(ds->segment_traj);
  free(ds);
}

void px_dataset_builder_free(struct px_dataset_builder *b) {
  if (!b) return;
  px_dataset_free(b->ds);
  free(b);
}

/* Resizes the array at *p to n * width elements of `size`. */
static bool resize(void *p, uint64_t n, size_t width, size_t size) {
  void *old;
  size_t bytes;
  memcpy(&old, p, sizeof old);
  void *now = px_mem_mul(n, width, &bytes) ? px_mem_realloc(old, bytes, size) : NULL;
  if (now) memcpy(p, &now, sizeof now);
  return now != NULL;
}

/* Nothing takes a little too, so that there is an array. */
static bool size_steps(struct px_dataset *ds, uint64_t n) {
  n += n == 0;
  return resize(&ds->actions, n, ds->spaces.act_dim, sizeof *ds->actions) &&
         resize(&ds->labelled, n, 1, sizeof *ds->labelled) &&
         resize(&ds->rewards, n, 1, sizeof *ds->rewards);
}
static bool size_obs(struct px_dataset *ds, uint64_t n) {
  return resize(&ds->observations, n + (n == 0), ds->spaces.obs_dim, sizeof *ds->observations);
}
static bool size_traj(struct px_dataset *ds, uint64_t n) {
  n += n == 0;
  return resize(&ds->step_start, n + 1, 1, sizeof *ds->step_start) &&
         resize(&ds->obs_start, n + 1, 1, sizeof *ds->obs_start) &&
         resize(&ds->terminated, n, 1, 1) && resize(&ds->truncated, n, 1, 1) &&
         resize(&ds->has_final, n, 1, 1);
}

static uint64_t grown(uint64_t cap, uint64_t need) {
  return need > cap + cap / 2 ? need : cap + cap / 2;
}

static bool make_room(struct px_dataset_builder *b, const struct px_segment_view *v) {
  struct px_dataset *ds = b->ds;
  const uint64_t steps = ds->steps_n + v->steps_n, obs = ds->obs_n + v->obs_n,
                 traj = ds->traj_n + (uint64_t)v->traj_n;
  if (steps > b->steps_cap) {
    const uint64_t cap = grown(b->steps_cap, steps);
    if (!size_steps(ds, cap)) return false;
    b->steps_cap = cap;
  }
  if (obs > b->obs_cap) {
    const uint64_t cap = grown(b->obs_cap, obs);
    if (!size_obs(ds, cap)) return false;
    b->obs_cap = cap;
  }
  if (traj > b->traj_cap) {
    const uint64_t cap = grown(b->traj_cap, traj);
    if (cap >= UINT32_MAX || !size_traj(ds, cap)) return false;
    b->traj_cap = (uint32_t)cap;
  }
  if (ds->segments_n + 1 > b->segments_cap) {
    const uint64_t cap = grown(b->segments_cap, ds->segments_n + 16ull);
    if (cap >= UINT32_MAX || !resize(&ds->segment_traj, cap + 1, 1, sizeof *ds->segment_traj))
      return false;
    b->segments_cap = (uint32_t)cap;
  }
  return true;
}

struct px_dataset_builder *px_dataset_builder_new(const struct px_spaces *spaces) {
  struct px_dataset_builder *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->ds = calloc(1, sizeof *b->ds);
  if (b->ds) b->ds->spaces = *spaces;
  if (!b->ds || !size_traj(b->ds, 1) ||
      !resize(&b->ds->segment_traj, 1, 1, sizeof *b->ds->segment_traj)) {
    px_dataset_builder_free(b);
    return NULL;
  }
  b->traj_cap = 1;
  b->ds->step_start[0] = b->ds->obs_start[0] = 0;
  b->ds->segment_traj[0] = 0;
  return b;
}

static void append(struct px_dataset *ds, const struct px_segment_view *v) {
  const size_t o = ds->spaces.obs_dim, a = ds->spaces.act_dim;
  if (!v->traj_n) {
    ds->segment_traj[++ds->segments_n] = ds->traj_n;
    return;
  }
  memcpy(ds->observations + ds->obs_n * o, v->observations, v->obs_n * o * sizeof(float));
  if (v->rewards) memcpy(ds->rewards + ds->steps_n, v->rewards, v->steps_n * sizeof(float));
  else ds->unrewarded_n += v->traj_n;
  for (uint64_t t = 0; !v->rewards && t < v->steps_n; t++) ds->rewards[ds->steps_n + t] = NAN;
  if (v->actions) memcpy(ds->actions + ds->steps_n * a, v->actions, v->steps_n * a * sizeof(float));
  else memset(ds->actions + ds->steps_n * a, 0, v->steps_n * a * sizeof(float));
  if (v->label_mask) memcpy(ds->labelled + ds->steps_n, v->label_mask, v->steps_n);
  memcpy(ds->terminated + ds->traj_n, v->terminated, v->traj_n);
  memcpy(ds->truncated + ds->traj_n, v->truncated, v->traj_n);
  memcpy(ds->has_final + ds->traj_n, v->has_final, v->traj_n);
  for (uint32_t i = 0; i < v->traj_n; i++) {
    const uint64_t steps = (uint64_t)v->length[i];
    if (!v->label_mask) memset(ds->labelled + ds->steps_n, v->labelled[i], steps);
    ds->steps_n += steps;
    ds->obs_n += steps + v->has_final[i];
    ds->traj_n++;
    ds->step_start[ds->traj_n] = ds->steps_n;
    ds->obs_start[ds->traj_n] = ds->obs_n;
  }
  ds->segment_traj[++ds->segments_n] = ds->traj_n;
}

enum px_status px_dataset_builder_segment(struct px_dataset_builder *b, const void *bytes, size_t n,
                                          struct px_err *err) {
  struct px_segment_view view = { 0 };
  enum px_status status = n ? px_segment_open(bytes, n, &b->ds->spaces, &view, err) : PX_OK;
  if (status) return status;
  if (make_room(b, &view)) append(b->ds, &view);
  else
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a dataset of more than %" PRIu64 " steps",
                     b->ds->steps_n);
  px_segment_close(&view);
  return status;
}

enum px_status px_dataset_builder_end(struct px_dataset_builder *b, struct px_dataset **out,
                                      struct px_err *err) {
  struct px_dataset *ds = b->ds;
  if (!size_steps(ds, ds->steps_n) || !size_obs(ds, ds->obs_n) || !size_traj(ds, ds->traj_n))
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the dataset");
  b->ds = NULL;
  px_dataset_builder_free(b);
  *out = ds;
  return PX_OK;
}

uint32_t px_dataset_traj_of_step(const struct px_dataset *ds, uint64_t step) {
  uint32_t low = 0, high = ds->traj_n; /* step_start[low] <= step < step_start[high] */
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (ds->step_start[middle] <= step) low = middle;
    else high = middle;
  }
  return low;
}

double px_dataset_return(const struct px_dataset *ds, uint32_t traj) {
  double sum = 0;
  for (uint64_t t = ds->step_start[traj]; t < ds->step_start[traj + 1]; t++)
    sum += (double)ds->rewards[t];
  return sum;
}

double px_dataset_return_slack(const struct px_dataset *ds, uint32_t traj) {
  double sum = 0;
  for (uint64_t t = ds->step_start[traj]; t < ds->step_start[traj + 1]; t++)
    sum += fabs((double)ds->rewards[t]);
  return 1e-5 * sum;
}

void px_dataset_obs_stats(const struct px_dataset *ds, double *mean, double *std) {
  const uint32_t dims = ds->spaces.obs_dim;
  double scratch[2 * PX_OBS_MAX];
  struct px_running_stats m = { 0, mean, std };
  memset(mean, 0, dims * sizeof *mean);
  memset(std, 0, dims * sizeof *std);
  px_running_stats_add(&m, ds->observations, ds->obs_n, dims, scratch);
  for (uint32_t j = 0; j < dims; j++) std[j] = m.n ? sqrt(std[j] / (double)m.n) : 0;
}

void px_dataset_hide(struct px_dataset *ds, const uint8_t *keep) {
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    if (keep[i]) continue;
    const uint64_t first = ds->step_start[i], steps = ds->step_start[i + 1] - first;
    memset(ds->labelled + first, 0, steps);
    memset(ds->actions + first * ds->spaces.act_dim, 0, steps * ds->spaces.act_dim * sizeof(float));
  }
}
