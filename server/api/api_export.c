/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/datasets/{dataset}/export: written to a file, segment by segment, then sent. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/files.h"
#include "lib/base/scratch.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"
#include "lib/transfer/transfer.h"
#include "server/api/api.h"
#include "server/api/labelled_segment.h"

struct plan {
  struct store_dataset *ds;
  enum px_write_format format;
  enum px_write_which which;
  bool about;
  struct labelled_segment_labels labels;
};

static enum px_status read_query(struct http_request *req, struct store *store, struct plan *plan,
                                 struct px_err *err) {
  const char *format = http_query(req, "format"), *which = http_query(req, "actions");
  enum px_status status = px_write_format_parse(format ? format : "hdf5", &plan->format, err);
  if (!status) status = px_write_which_parse(which ? which : "both", &plan->which, err);
  plan->about = true;
  if (!status && http_query(req, "about")) status = api_query_flag(req, "about", &plan->about, err);
  if (!status) status = api_dataset(req, &plan->ds, err);
  if (!status && plan->ds->trajectories_n == 0)
    status = px_fail(err, PX_E_CONFLICT, "the dataset is empty");
  if (!status)
    status =
      labelled_segment_labels(store, plan->ds, http_query(req, "label_set"), &plan->labels, err);
  if (!status && plan->which == PX_WRITE_PROXY && !plan->labels.id[0]) {
    status = px_fail(err, PX_E_CONFLICT, "the dataset has no proxy actions yet");
    px_fail_hint(err, "POST /v1/pipelines makes them.");
  }
  return status;
}

/* What the file will take. */
static uint64_t estimate(const struct plan *plan) {
  return px_write_size_factor(plan->format) * plan->ds->size_bytes;
}

struct writing {
  struct diskspace *room;
  struct diskspace_claim claim;
  uint64_t estimate_bytes, used_bytes;
  struct px_err err;
};

/* After each segment: its share of the estimate is used. */
static enum px_status watch_room(void *ctx, const char *phase, int64_t step, int64_t total,
                                 const struct px_metric *metrics, size_t metrics_n) {
  (void)phase, (void)metrics, (void)metrics_n;
  struct writing *w = ctx;
  const uint64_t used = w->estimate_bytes / (uint64_t)total * (uint64_t)step,
                 more = used - w->used_bytes;
  w->used_bytes = used;
  return diskspace_use(w->room, &w->claim, DISKSPACE_SPOOL, more, &w->err);
}

static enum px_status write_export(struct http_request *req, struct store *store,
                                   const struct plan *plan, const char *path, struct px_err *err) {
  const struct store_export what = { .segments_n = plan->ds->segments_n,
                                     .version = plan->ds->data_version,
                                     .format = plan->format,
                                     .which = plan->which,
                                     .about = plan->about,
                                     .label_set = plan->labels.id[0] ? plan->labels.id : NULL };
  struct writing w = { .room = service_diskspace(req->service), .estimate_bytes = estimate(plan) };
  const struct px_progress progress = { &w, watch_room };
  enum px_status status = service_claim(req->service, store, &w.claim, w.estimate_bytes, 0, err);
  if (!status) status = transfer_export(store, plan->ds, &what, path, &progress, err);
  if (status && w.err.message[0]) *err = w.err; /* the progress has no way to say why */
  diskspace_end(w.room, &w.claim);
  return status;
}

API_HANDLER(api_export) {
  struct plan plan;
  struct store *store = NULL;
  struct px_scratch scratch = { .fd = -1 };
  char path[PX_SCRATCH_PATH_MAX + 8];
  enum px_status status = api_store(req, &store, err);
  if (!status) status = read_query(req, store, &plan, err);
  if (!status) status = px_scratch_open(service_options(req->service)->spool_dir, &scratch, err);
  if (status) return status;
  snprintf(path, sizeof path, "%s/export", scratch.path);
  status = write_export(req, store, &plan, path, err);
  const int fd = status ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (!status && fd < 0) status = px_fail_errno(err, "opening the export");
  px_scratch_close(&scratch); /* the open file stays until it is sent */
  if (!status) status = files_size(fd, &reply->fd_bytes, err);
  if (status) {
    if (fd >= 0) close(fd);
    return status;
  }
  reply->fd = fd;
  reply->media_type = px_write_media_type(plan.format);
  api_reply_file_name(req, reply,
                      px_arena_fmt(req->arena, "%s%s", plan.ds->name,
                                   px_write_suffix(plan.format)));
  return PX_OK;
}
