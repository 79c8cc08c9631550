/* SPDX-License-Identifier: Apache-2.0 */
/* Trajectories: pages, and one of them as JSON with true and proxy actions. */
#include <stdarg.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/data/labels.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "server/api/api.h"
#include "server/api/labelled_segment.h"

enum { JSON_MAX_NUMBERS = 4000000 };

API_HANDLER(api_trajectory_list) {
  int64_t from = 0, limit = 0;
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "from", 0, INT64_MAX, 0, &from, err);
  if (!status) status = api_query_int(req, "limit", 1, 1000, 100, &limit, err);
  if (!status) status = api_dataset(req, &ds, err);
  if (!status) status = api_store(req, &store, err);
  const struct store_trajectory_page page = { http_query(req, "source"), from, (int)limit };
  return status ? status : store_dataset_trajectory_list(store, ds->id, &page, &reply->body, err);
}

API_HANDLER(api_dataset_lint) {
  int64_t limit;
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  enum px_status status = api_query_int(req, "limit", 1, 1000, 200, &limit, err);
  if (!status) status = api_dataset(req, &ds, err);
  if (!status) status = api_store(req, &store, err);
  return status ? status
                : store_dataset_lint(store, ds->id, UINT32_MAX, (int)limit, &reply->body, err);
}

/* A trajectory on its way out: what has been written of it leaves memory now and then. */
struct page {
  struct http_request *req;
  struct http_reply *reply;
  struct px_err *err;
};

static enum px_status append_text(struct page *page, const char *fmt, ...) PX_PRINTF(2, 3);
static enum px_status append_text(struct page *page, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  const enum px_status status = px_buf_vfmt(&page->reply->body, fmt, args);
  va_end(args);
  return status ? px_fail(page->err, PX_E_NO_MEMORY, "trajectory")
                : http_reply_spill(page->req, page->reply, page->err);
}

/* [1,2.5] or, without numbers, null. */
static enum px_status put_row(struct page *out, const float *row, uint32_t n) {
  if (!row) return append_text(out, "null");
  enum px_status status = append_text(out, "[");
  for (uint32_t j = 0; !status && j < n; j++)
    status = append_text(out, "%s%.9g", j ? "," : "", (double)row[j]);
  return status ? status : append_text(out, "]");
}

/* Discrete actions (dims 0) are a number, not a row of one. */
static enum px_status put_rows(struct page *out, const char *name, const float *rows,
                               const uint8_t *present, uint64_t n, uint32_t dims) {
  enum px_status status = append_text(out, ",\"%s\":[", name);
  for (uint64_t i = 0; !status && i < n; i++) {
    if (i) status = append_text(out, ",");
    const bool there = rows && (!present || present[i]);
    if (!status && there && !dims) status = append_text(out, "%.9g", (double)rows[i]);
    else if (!status) status = put_row(out, there ? rows + i * dims : NULL, dims);
  }
  return status ? status : append_text(out, "]");
}

/* Whose action a step has: the true one, the simulator's, the model's. `origin` is NULL where no
 * simulator took part. */
static enum px_status put_source(struct page *out, const struct px_traj *t, const uint8_t *known,
                                 const uint8_t *origin) {
  enum px_status status = append_text(out, ",\"action_source\":[");
  for (uint32_t i = 0; !status && i < t->steps; i++) {
    const bool is_true = t->actions && (!t->labelled || t->labelled[i]);
    const char *proxy = origin && origin[i] == PX_ORIGIN_SIMULATOR ? "simulator" : "proxy";
    status = append_text(out, "%s\"%s\"", i ? "," : "",
                         is_true             ? "true"
                         : known && known[i] ? proxy
                                             : "absent");
  }
  return status ? status : append_text(out, "]");
}

/* What a simulator says of its labels, where one took part. */
static enum px_status put_verified(struct page *out, const struct px_label_rows *labels,
                                   uint64_t first, uint32_t steps) {
  if (!labels->origin) return PX_OK;
  const uint8_t *known = labels->known + first;
  enum px_status status =
    put_rows(out, "proxy_residual", labels->residual + first, known, steps, 0);
  if (!status) status = append_text(out, ",\"proxy_verified\":[");
  for (uint32_t i = 0; !status && i < steps; i++)
    status = append_text(out, "%s%s", i ? "," : "",
                         !known[i]                     ? "null"
                         : labels->verified[first + i] ? "true"
                                                       : "false");
  return status ? status : append_text(out, "]");
}

struct place {
  int64_t n;
  const char *source; /* JSON */
  uint64_t first_step, first_obs;
};

static enum px_status put_trajectory(struct page *out, const struct px_traj *t,
                                     const struct px_spaces *spaces, const struct place *place,
                                     const struct px_label_rows *labels) {
  const uint64_t s = place->first_step;
  const uint32_t A = spaces->act_dim, width = spaces->act_count ? 0 : A;
  float *total = labels ? px_mem_calloc((size_t)t->steps * A, sizeof *total) : NULL;
  if (labels && !total) return px_fail(out->err, PX_E_NO_MEMORY, "trajectory");
  if (labels)
    px_label_totals(spaces, labels->std + s * A, labels->epistemic + s * A, t->steps, total);
  const uint8_t *known = labels ? labels->known + s : NULL;
  enum px_status status =
    append_text(out,
                "{\"n\":%lld,\"source\":%s,\"steps\":%u,\"terminated\":%s,\"truncated\":%s,"
                "\"has_final\":%s",
                (long long)place->n, place->source, t->steps, t->terminated ? "true" : "false",
                t->truncated ? "true" : "false", t->has_final ? "true" : "false");
  if (!status)
    status = put_rows(out, "observations", t->observations, NULL,
                      t->steps + (t->has_final ? 1U : 0U), spaces->obs_dim);
  if (!status) status = put_rows(out, "actions", t->actions, t->labelled, t->steps, width);
  if (!status)
    status = put_rows(out, "proxy_actions", labels ? labels->actions + s * A : NULL, known,
                      t->steps, width);
  if (!status) status = put_rows(out, "proxy_std", total, known, t->steps, width);
  if (!status)
    status = put_rows(out, "proxy_epistemic", labels ? labels->epistemic + s * A : NULL, known,
                      t->steps, width);
  if (!status)
    status = put_rows(out, "proxy_score", labels ? labels->score + s : NULL, known, t->steps, 0);
  free(total);
  if (!status && labels) status = put_verified(out, labels, s, t->steps);
  if (!status)
    status = put_source(out, t, known, labels && labels->origin ? labels->origin + s : NULL);
  if (!status) status = append_text(out, ",\"rewards\":");
  if (!status) status = t->rewards ? put_row(out, t->rewards, t->steps) : append_text(out, "null");
  return status ? status : append_text(out, "}\n");
}

/* null where nothing was said; from malloc. */
static char *source_json(const char *source) {
  json_t *value = *source ? json_string(source) : json_null();
  char *text = value ? px_json_dumps(value, JSON_ENCODE_ANY) : NULL;
  json_decref(value);
  return text;
}

static enum px_status reply_trajectory(struct page *page, const struct store_dataset *ds,
                                       const struct labelled_segment_pair *pair, int64_t n,
                                       const struct store_place *at) {
  struct px_err *err = page->err;
  const uint32_t index = at->index;
  char *source = source_json(at->source);
  struct px_segment_view view = { 0 };
  struct px_label_view labels = { 0 };
  enum px_status status =
    px_segment_open(pair->segment.data, pair->segment.len, &ds->spaces, &view, err);
  if (!status && index >= view.traj_n)
    status = px_fail(err, PX_E_INTERNAL, "segment without trajectory %u", index);
  if (!status && pair->labels.len)
    status =
      px_label_open(pair->labels.data, pair->labels.len, &ds->spaces, view.steps_n, &labels, err);
  struct place place = { .n = n, .source = source };
  if (!status && !source) status = px_fail(err, PX_E_NO_MEMORY, "trajectory");
  for (uint32_t i = 0; !status && i < index; i++) {
    place.first_step += (uint64_t)view.length[i];
    place.first_obs += (uint64_t)view.length[i] + view.has_final[i];
  }
  if (!status) {
    const struct px_traj t =
      px_segment_traj(&view, index, place.first_step, place.first_obs, &ds->spaces);
    if ((uint64_t)t.steps * (ds->spaces.obs_dim + 4 * ds->spaces.act_dim + 1) > JSON_MAX_NUMBERS) {
      status =
        px_fail(err, PX_E_TOO_LARGE, "the trajectory has more than %d numbers", JSON_MAX_NUMBERS);
      px_fail_hint(err, "GET .../export gives it in a binary format.");
    } else {
      status =
        put_trajectory(page, &t, &ds->spaces, &place, pair->labels.len ? &labels.rows : NULL);
    }
  }
  free(source);
  px_label_close(&labels);
  px_segment_close(&view);
  return status;
}

API_HANDLER(api_trajectory_get) {
  struct store_dataset *ds = NULL;
  struct store *store = NULL;
  struct labelled_segment_labels labels;
  struct labelled_segment_pair pair = SNAPSHOT_PAIR;
  struct store_place at;
  int64_t n = 0;
  enum px_status status = api_path_number(req, "trajectory", &n, err);
  if (!status) status = api_dataset(req, &ds, err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_dataset_trajectory_find(store, ds->id, n, &at, err);
  if (!status)
    status = labelled_segment_labels(store, ds, http_query(req, "label_set"), &labels, err);
  if (!status) status = labelled_segment_read(store, ds, &labels, at.seq, &pair, err);
  if (!status) status = reply_trajectory(&(struct page){ req, reply, err }, ds, &pair, n, &at);
  labelled_segment_pair_free(&pair);
  return status;
}
