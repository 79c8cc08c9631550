/* SPDX-License-Identifier: Apache-2.0 */
/* True and proxy actions together: see actions_merged.h. */
#include "lib/data/actions_merged.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/labels.h"

void px_actions_merged_free(struct px_actions_merged *u) {
  if (!u) return;
  free(u->actions);
  free(u->source);
  free(u->score);
  free(u->verified);
  free(u->added);
  free(u);
}

enum px_status px_actions_merged_new(const struct px_dataset *ds, struct px_actions_merged **out,
                                     struct px_err *err) {
  struct px_actions_merged *u = calloc(1, sizeof *u);
  size_t numbers;
  if (u && px_mem_mul(ds->steps_n, ds->spaces.act_dim, &numbers)) {
    u->ds = ds;
    u->actions = px_mem_calloc(numbers, sizeof *u->actions);
    u->source = px_mem_calloc(ds->steps_n, 1);
    u->score = px_mem_calloc(ds->steps_n, sizeof *u->score);
    u->verified = px_mem_calloc(ds->steps_n, 1);
    u->added = px_mem_calloc(ds->segments_n, 1);
  }
  if (!u || !u->actions || !u->source || !u->score || !u->verified || !u->added) {
    px_actions_merged_free(u);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for the actions of %" PRIu64 " steps",
                   ds->steps_n);
  }
  memcpy(u->actions, ds->actions, numbers * sizeof *u->actions); /* 0 where not labelled */
  for (uint64_t t = 0; t < ds->steps_n; t++) {
    u->source[t] = ds->labelled[t] ? PX_SOURCE_TRUE : PX_SOURCE_NONE;
    u->true_n += ds->labelled[t];
  }
  *out = u;
  return PX_OK;
}

void px_actions_merged_add_rows(struct px_actions_merged *u, uint64_t first,
                                const struct px_label_rows *rows) {
  const size_t dims = u->ds->spaces.act_dim;
  for (uint64_t t = 0; t < rows->steps_n; t++) {
    if (!rows->known[t] || u->source[first + t] != PX_SOURCE_NONE) continue;
    memcpy(u->actions + (first + t) * dims, rows->actions + t * dims, dims * sizeof(float));
    u->score[first + t] = rows->score[t];
    u->verified[first + t] = rows->origin && rows->verified[t];
    u->source[first + t] = PX_SOURCE_PROXY;
    u->proxy_n++;
  }
}

void px_actions_merged_leave_out(struct px_actions_merged *u, uint32_t traj) {
  const size_t dims = u->ds->spaces.act_dim;
  for (uint64_t step = u->ds->step_start[traj]; step < u->ds->step_start[traj + 1]; step++) {
    u->true_n -= u->source[step] == PX_SOURCE_TRUE;
    u->proxy_n -= u->source[step] == PX_SOURCE_PROXY;
    u->source[step] = PX_SOURCE_NONE;
    u->score[step] = 0;
    u->verified[step] = 0;
    memset(u->actions + step * dims, 0, dims * sizeof(float));
  }
}

enum px_status px_actions_merged_add(struct px_actions_merged *u, uint32_t segment,
                                     const void *bytes, size_t n, struct px_err *err) {
  const struct px_dataset *ds = u->ds;
  if (segment >= ds->segments_n || u->added[segment])
    return px_fail(err, PX_E_BAD_DATA,
                   "labels for segment %" PRIu32 " do not belong to this dataset, or came twice",
                   segment);
  const uint64_t first = ds->step_start[ds->segment_traj[segment]];
  const uint64_t steps = ds->step_start[ds->segment_traj[segment + 1]] - first;
  if (steps && n) { /* else the segment was taken out, before it was labelled or after */
    struct px_label_view view;
    const enum px_status status = px_label_open(bytes, n, &ds->spaces, steps, &view, err);
    if (status) return status;
    px_actions_merged_add_rows(u, first, &view.rows);
    px_label_close(&view);
  }
  u->added[segment] = 1;
  return PX_OK;
}

enum px_status px_actions_merged_from_labels(const struct px_dataset *ds,
                                             const struct px_label_bytes *labels, uint32_t labels_n,
                                             struct px_actions_merged **out, struct px_err *err) {
  if (labels_n != ds->segments_n)
    return px_fail(err, PX_E_BAD_DATA,
                   "%" PRIu32 " label segments for %" PRIu32 " dataset segments", labels_n,
                   ds->segments_n);
  struct px_actions_merged *u = NULL;
  enum px_status status = px_actions_merged_new(ds, &u, err);
  for (uint32_t i = 0; i < labels_n && !status; i++)
    status = px_actions_merged_add(u, i, labels[i].bytes, labels[i].n, err);
  if (status) px_actions_merged_free(u);
  else *out = u;
  return status;
}
