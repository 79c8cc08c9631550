/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of a dataset: see edit.h. */
#include "lib/transfer/edit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/running_stats.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/data/traj_digest.h"
#include "lib/read/actions.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/versions.h"

/* Steps of one trajectory that follow each other; their actions are in one array. */
struct piece {
  uint64_t trajectory, at; /* at: of the first action in the array, in steps */
  uint32_t step, n;
};

struct transfer_editing {
  struct transfer_edit what;
  struct px_buf pieces, actions;       /* struct piece; float [steps, A] */
  struct px_buf revisions, relabelled; /* as struct store_edit has them */
  struct store_segment_place *places;  /* [places_n] */
  size_t places_n;
  int64_t classes[PX_ACT_COUNT_MAX];
  struct transfer_edited result;
};

static const struct piece *pieces(const struct transfer_editing *e, size_t *n) {
  *n = e->pieces.len / sizeof(struct piece);
  return (const struct piece *)(const void *)e->pieces.data;
}

static enum px_status put_run(void *ctx, const struct px_actions_run *run, struct px_err *err) {
  struct transfer_editing *e = ctx;
  const size_t width = e->what.dataset->spaces.act_dim * sizeof(float);
  const struct piece piece = { run->trajectory, e->actions.len / width, run->step, run->n };
  enum px_status status = px_buf_put(&e->pieces, &piece, sizeof piece);
  if (!status) status = px_buf_put(&e->actions, run->actions, run->n * width);
  if (!status) return PX_OK;
  (void)px_fail(err, status, "there are more actions than an edit takes (%d MiB)",
                TRANSFER_EDIT_MAX_BYTES >> 20);
  px_fail_hint(err, "Send them in several edits.");
  return status;
}

static int in_order(const void *a, const void *b) {
  const struct piece *x = a, *y = b;
  if (x->trajectory != y->trajectory) return x->trajectory < y->trajectory ? -1 : 1;
  return x->step < y->step ? -1 : x->step > y->step;
}

static enum px_status fail_step(uint64_t trajectory, uint64_t step, enum px_status status,
                                const char *what, struct px_err *err) {
  char place[64];
  snprintf(place, sizeof place, "trajectory %" PRIu64 ", step %" PRIu64, trajectory, step);
  return px_fail_at(err, status, place, "%s %s", place, what);
}

/* Sorts the pieces; no step may come twice. */
static enum px_status sort_pieces(struct transfer_editing *e, struct px_err *err) {
  size_t n;
  const struct piece *list = pieces(e, &n);
  if (!n)
    return px_fail(err, PX_E_BAD_DATA, "%s holds no action: all are null, NaN or masked",
                   e->what.file.name);
  qsort(e->pieces.data, n, sizeof *list, in_order);
  for (size_t i = 1; i < n; i++)
    if (list[i].trajectory == list[i - 1].trajectory &&
        list[i].step < list[i - 1].step + list[i - 1].n)
      return fail_step(list[i].trajectory, list[i].step, PX_E_BAD_DATA, "comes twice", err);
  return PX_OK;
}

/* ---- one segment with its new actions */

struct rewriting {
  struct transfer_editing *e;
  const struct store_segment_place *place;
  const struct piece *piece, *end; /* of this segment on */
};

/* Room for one trajectory's actions, and which of them are known. */
struct labels {
  float *actions;
  uint8_t *known;
};

static enum px_status copy_labels(const struct px_traj *traj, uint32_t act_dim, struct labels *out,
                                  struct px_err *err) {
  const size_t width = act_dim * sizeof(float);
  out->actions = px_mem_calloc(traj->steps, width);
  out->known = px_mem_calloc(traj->steps, 1);
  if (!out->actions || !out->known)
    return px_fail(err, PX_E_NO_MEMORY, "no memory for a trajectory's actions");
  if (!traj->actions) return PX_OK;
  memcpy(out->actions, traj->actions, traj->steps * width);
  if (traj->labelled) memcpy(out->known, traj->labelled, traj->steps);
  else memset(out->known, 1, traj->steps);
  return PX_OK;
}

static enum px_status apply(struct transfer_editing *e, const struct piece *piece, uint32_t steps,
                            struct labels *labels, struct px_err *err) {
  const struct px_spaces *spaces = &e->what.dataset->spaces;
  const float *from = (const float *)(const void *)e->actions.data + piece->at * spaces->act_dim;
  if ((uint64_t)piece->step + piece->n > steps) {
    char what[64];
    snprintf(what, sizeof what, "is not there: it has %" PRIu32 " steps", steps);
    return fail_step(piece->trajectory, piece->step < steps ? steps : piece->step, PX_E_BAD_DATA,
                     what, err);
  }
  for (uint32_t i = 0; i < piece->n; i++) {
    const uint32_t t = piece->step + i;
    float *action = labels->actions + (size_t)t * spaces->act_dim;
    if (labels->known[t] && !e->what.replace) {
      (void)fail_step(piece->trajectory, t, PX_E_CONFLICT, "has a true action already", err);
      px_fail_hint(err, "Leave it out, or say replace=true.");
      return PX_E_CONFLICT;
    }
    if (spaces->act_count && labels->known[t]) e->classes[(size_t)action[0]]--;
    e->result.replaced_n += labels->known[t];
    memcpy(action, from + (size_t)i * spaces->act_dim, spaces->act_dim * sizeof *action);
    labels->known[t] = 1;
  }
  e->result.steps_n += piece->n;
  return PX_OK;
}

/* After px_traj_check: whole numbers within the bounds. */
static void count_classes(struct transfer_editing *e, const struct piece *first,
                          const struct piece *end, const struct labels *labels) {
  if (!e->what.dataset->spaces.act_count) return;
  for (const struct piece *p = first; p < end; p++)
    for (uint32_t t = p->step; t < p->step + p->n; t++) e->classes[(size_t)labels->actions[t]]++;
}

static enum px_status keep_index(struct transfer_editing *e, uint64_t number,
                                 const struct px_traj *traj, struct px_err *err) {
  struct store_relabelled row = { .trajectory = number };
  for (uint32_t t = 0; t < traj->steps; t++) row.labelled_n += traj->labelled[t];
  enum px_status status = px_traj_digest(&e->what.dataset->spaces, traj, &row.digest, err);
  if (!status && px_buf_put(&e->relabelled, &row, sizeof row))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for the index of an edit");
  e->result.trajectories_n++;
  return status;
}

/* A trajectory with the pieces of it. */
static enum px_status relabel(struct rewriting *w, uint64_t number, struct px_traj *traj,
                              struct labels *labels, struct px_err *err) {
  struct transfer_editing *e = w->e;
  const struct px_spaces *spaces = &e->what.dataset->spaces;
  const struct piece *first = w->piece;
  enum px_status status = copy_labels(traj, spaces->act_dim, labels, err);
  for (; !status && w->piece < w->end && w->piece->trajectory == number; w->piece++)
    status = apply(e, w->piece, traj->steps, labels, err);
  if (status) return status;
  traj->actions = labels->actions;
  traj->labelled = labels->known;
  status = px_traj_check(spaces, traj, number, err);
  if (status) return status;
  count_classes(e, first, w->piece, labels);
  return keep_index(e, number, traj, err);
}

static enum px_status put_revision(void *ctx, const struct px_segment *segment,
                                   struct px_err *err) {
  const struct rewriting *w = ctx;
  struct transfer_editing *e = w->e;
  struct store_revision revision = { .seq = w->place->seq, .labelled_n = segment->labelled_n };
  enum px_status status =
    e->what.may_store ? e->what.may_store(e->what.may_store_ctx, segment->size, err) : PX_OK;
  if (!status)
    status = store_blob_put(e->what.store, segment->bytes, segment->size, segment->digest,
                            &revision.blob, err);
  if (!status && px_buf_put(&e->revisions, &revision, sizeof revision))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for the list of segments");
  return status;
}

static enum px_status rewrite(struct rewriting *w, const struct px_segment_view *view,
                              struct px_err *err) {
  const struct px_spaces *spaces = &w->e->what.dataset->spaces;
  struct px_segment_builder *builder =
    px_segment_builder_new(spaces, (struct px_segment_sink){ w, put_revision });
  if (!builder) return px_fail(err, PX_E_NO_MEMORY, "no memory for a segment");
  px_segment_builder_keep_whole(builder);
  const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
  enum px_status status = PX_OK;
  uint64_t step = 0, obs = 0;
  for (uint32_t i = 0; i < view->traj_n && !status; i++) {
    const uint64_t number = w->place->first_trajectory + i;
    struct px_traj traj = px_segment_traj(view, i, step, obs, spaces);
    struct labels labels = { NULL, NULL };
    step += traj.steps;
    obs += traj.steps + traj.has_final;
    if (w->piece < w->end && w->piece->trajectory == number)
      status = relabel(w, number, &traj, &labels, err);
    if (!status) status = sink.put(sink.ctx, &traj, err);
    free(labels.actions);
    free(labels.known);
  }
  if (!status) status = px_segment_builder_end(builder, err);
  px_segment_builder_free(builder);
  return status;
}

static enum px_status take_segment(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                   struct px_err *err) {
  struct rewriting *w = ctx;
  struct px_segment_view view;
  if (!n) return px_fail(err, PX_E_PRECONDITION_FAILED, "segment %u has been taken out", seq);
  enum px_status status = px_segment_open(bytes, n, &w->e->what.dataset->spaces, &view, err);
  if (status) return status;
  if (view.traj_n != w->place->trajectories_n)
    status = px_fail(err, PX_E_PRECONDITION_FAILED, "the dataset has changed");
  if (!status) status = rewrite(w, &view, err);
  px_segment_close(&view);
  return status;
}

/* The segment of a trajectory; NULL when there is none. */
static const struct store_segment_place *find_place(const struct transfer_editing *e,
                                                    uint64_t trajectory) {
  size_t low = 0, high = e->places_n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const struct store_segment_place *p = &e->places[middle];
    if (trajectory >= p->first_trajectory + p->trajectories_n) low = middle + 1;
    else high = middle;
  }
  return low < e->places_n && trajectory >= e->places[low].first_trajectory ? &e->places[low]
                                                                            : NULL;
}

static enum px_status rewrite_all(struct transfer_editing *e, struct px_err *err) {
  const struct store_dataset *ds = e->what.dataset;
  size_t n;
  const struct piece *list = pieces(e, &n), *end = list + n;
  enum px_status status = PX_OK;
  while (list < end && !status) {
    struct rewriting w = { e, find_place(e, list->trajectory), list, end };
    if (!w.place)
      return px_fail_at(err, PX_E_BAD_DATA, "trajectory",
                        "there is no trajectory %" PRIu64 "; the dataset has %" PRIu64,
                        list->trajectory, ds->trajectories_n);
    const struct store_segment_range range = { ds->id, w.place->seq, 1, ds->version };
    status = store_dataset_segment_read(e->what.store, &range, take_segment, &w, err);
    list = w.piece;
  }
  return status;
}

enum px_status transfer_edit_read(const struct transfer_edit *what, struct transfer_editing **out,
                                  struct px_err *err) {
  struct transfer_editing *e = calloc(1, sizeof *e);
  if (!e) return px_fail(err, PX_E_NO_MEMORY, "no memory for an edit");
  e->what = *what;
  e->pieces = e->actions = e->revisions = e->relabelled = PX_BUF(TRANSFER_EDIT_MAX_BYTES);
  const struct px_actions_sink sink = { e, put_run };
  enum px_status status = px_actions_read(&what->file, &what->dataset->spaces, &sink, err);
  if (!status) status = sort_pieces(e, err);
  if (!status)
    status = store_versions_places(what->store, what->dataset->id, &e->places, &e->places_n, err);
  if (!status) status = rewrite_all(e, err);
  if (status) transfer_edit_free(e, what->store);
  else *out = e;
  return status;
}

enum px_status transfer_edit_commit(struct transfer_editing *e, struct transfer_edited *out,
                                    struct px_err *err) {
  char detail[160];
  snprintf(detail, sizeof detail,
           "{\"trajectories\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"replaced\":%" PRIu64
           ",\"segments\":%zu}",
           e->result.trajectories_n, e->result.steps_n, e->result.replaced_n,
           e->revisions.len / sizeof(struct store_revision));
  const struct store_edit edit = {
    .dataset_id = e->what.dataset->id,
    .version = e->what.dataset->version,
    .revisions = (const struct store_revision *)(const void *)e->revisions.data,
    .revisions_n = e->revisions.len / sizeof(struct store_revision),
    .trajectories = (const struct store_relabelled *)(const void *)e->relabelled.data,
    .trajectories_n = e->relabelled.len / sizeof(struct store_relabelled),
    .classes = e->classes,
    .classes_n = e->what.dataset->spaces.act_count,
    .detail = detail,
  };
  const enum px_status status =
    store_versions_relabel(e->what.store, &edit, &e->result.version, err);
  if (!status) *out = e->result;
  return status;
}

void transfer_edit_free(struct transfer_editing *e, struct store *store) {
  if (!e) return;
  if (store)
    store_versions_discard(store, (const struct store_revision *)(const void *)e->revisions.data,
                           e->revisions.len / sizeof(struct store_revision));
  px_buf_free(&e->pieces);
  px_buf_free(&e->actions);
  px_buf_free(&e->revisions);
  px_buf_free(&e->relabelled);
  free(e->places);
  free(e);
}

/* ---- a segment less */

struct removal {
  const struct store_dataset *dataset;
  struct px_running_stats obs;
  double *scratch; /* [2 O] */
  int64_t classes[PX_ACT_COUNT_MAX];
  uint64_t trajectories_n, steps_n;
  bool gone;
};

static enum px_status look_at(void *ctx, uint32_t seq, const void *bytes, size_t n,
                              struct px_err *err) {
  (void)seq;
  struct removal *r = ctx;
  const struct px_spaces *spaces = &r->dataset->spaces;
  struct px_segment_view view;
  r->gone = !n;
  if (!n) return PX_OK;
  const enum px_status status = px_segment_open(bytes, n, spaces, &view, err);
  if (status) return status;
  px_running_stats_add(&r->obs, view.observations, view.obs_n, spaces->obs_dim, r->scratch);
  r->trajectories_n = view.traj_n;
  r->steps_n = view.steps_n;
  uint64_t step = 0;
  for (uint32_t i = 0; i < view.traj_n && spaces->act_count && view.actions; i++)
    for (const uint64_t after = step + (uint64_t)view.length[i]; step < after; step++)
      if (view.label_mask ? view.label_mask[step] : view.labelled[i])
        r->classes[(size_t)view.actions[step]]--;
  px_segment_close(&view);
  return PX_OK;
}

static enum px_status take_out(struct store *store, struct removal *r, uint32_t seq,
                               int64_t *version, struct px_err *err) {
  const struct store_dataset *ds = r->dataset;
  const struct store_segment_range range = { ds->id, seq, 1, ds->version };
  enum px_status status = store_dataset_segment_read(store, &range, look_at, r, err);
  if (status == PX_E_NOT_FOUND || (!status && r->gone))
    return px_fail(err, PX_E_NOT_FOUND, "dataset %s has no segment %u", ds->id, seq);
  if (status) return status;
  char detail[128];
  snprintf(detail, sizeof detail,
           "{\"segment\":%u,\"trajectories\":%" PRIu64 ",\"steps\":%" PRIu64 "}", seq,
           r->trajectories_n, r->steps_n);
  const struct store_edit edit = { .dataset_id = ds->id,
                                   .version = ds->version,
                                   .classes = r->classes,
                                   .classes_n = ds->spaces.act_count,
                                   .detail = detail };
  return store_versions_take_out(store, &edit, seq, &r->obs, ds->spaces.obs_dim, version, err);
}

enum px_status transfer_edit_take_out(struct store *store, const struct store_dataset *dataset,
                                      uint32_t seq, int64_t *version, struct px_err *err) {
  const size_t dims = dataset->spaces.obs_dim;
  double *numbers = px_mem_calloc(4 * dims, sizeof *numbers);
  struct removal *r = px_mem_calloc(1, sizeof *r);
  enum px_status status =
    numbers && r ? PX_OK : px_fail(err, PX_E_NO_MEMORY, "taking a segment out");
  if (!status) {
    r->dataset = dataset;
    r->obs.mean = numbers;
    r->obs.m2 = numbers + dims;
    r->scratch = numbers + 2 * dims;
    status = take_out(store, r, seq, version, err);
  }
  free(r);
  free(numbers);
  return status;
}
