/* Whole files in and out of a dataset: see transfer.h. */
#include "lib/store/transfer.h"

#include <jansson.h>
#include <stdlib.h>

#include "lib/store/results.h"

enum { SEGMENT_BYTES_MAX = 512 << 20 };

struct storing {
  struct store *store;
  struct store_append *append;
  const struct px_progress *progress;
  int64_t segments_n;
};

static enum px_status store_segment(void *ctx, const struct px_segment *segment, struct px_err *err) {
  struct storing *s = ctx;
  const enum px_status status = store_append_segment(s->append, s->store, segment, err);
  return status ? status : px_progress_report(s->progress, "store", ++s->segments_n, 0, NULL, 0);
}

static enum px_status read_into(struct storing *s, const struct store_dataset *dataset, const struct store_file *file,
                                struct px_read_report *report, struct px_err *err) {
  struct px_segment_builder *builder = px_segment_builder_new(&dataset->spaces, (struct px_segment_sink){ s, store_segment });
  if (!builder) return px_fail(err, PX_E_NO_MEMORY, "reading %s", file->name);
  const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
  enum px_status status = px_read_file(file->fd, file->format, file->name, file->options, &dataset->spaces, &sink, report, err);
  if (!status) status = px_segment_builder_end(builder, err);
  px_segment_builder_free(builder);
  return status;
}

static enum px_status summarise(const struct px_read_report *report, int64_t segments_n, struct px_buf *out,
                                struct px_err *err) {
  json_t *notes = json_array();
  for (uint32_t i = 0; i < report->notes_n; i++) json_array_append_new(notes, json_string(report->notes[i]));
  json_t *document = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "layout", report->layout, "trajectories",
                               (json_int_t)report->trajectories_n, "steps", (json_int_t)report->steps_n, "labelled_steps",
                               (json_int_t)report->labelled_n, "segments", (json_int_t)segments_n, "notes", notes);
  char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
  json_decref(document);
  const enum px_status status = text ? px_buf_puts(out, text) : PX_E_NO_MEMORY;
  free(text);
  return status ? px_fail(err, status, "reporting what was read") : PX_OK;
}

enum px_status store_ingest_file(struct store *store, const struct store_dataset *dataset, const struct store_file *file,
                                 const struct store_hold *hold, const struct px_progress *progress, struct px_buf *summary,
                                 struct px_err *err) {
  struct storing s = { .store = store, .progress = progress };
  struct px_read_report *report = calloc(1, sizeof *report);
  if (!report) return px_fail(err, PX_E_NO_MEMORY, "reading %s", file->name);
  enum px_status status = store_append_begin(dataset->id, dataset->spaces.obs_dim, &s.append, err);
  if (!status) status = read_into(&s, dataset, file, report, err);
  if (!status && s.segments_n == 0) status = px_fail(err, PX_E_BAD_DATA, "%s holds no trajectory", file->name);
  if (!status) status = summarise(report, s.segments_n, summary, err);
  if (!status) status = store_append_commit(s.append, store, hold, summary->data, err);
  store_append_free(s.append);
  free(report);
  return status;
}

static enum px_status keep_bytes(void *ctx, uint32_t seq, const void *bytes, size_t n, struct px_err *err) {
  const enum px_status status = px_buf_put(ctx, bytes, n);
  return status ? px_fail(err, status, "segment %u is too large", seq) : PX_OK;
}

/* One segment and its labels, if the label set covers it. */
static enum px_status export_one(struct store *store, const struct store_dataset *dataset, const struct store_export *what,
                                 uint32_t seq, struct px_export *out, struct px_err *err) {
  struct px_buf segment = PX_BUF(SEGMENT_BYTES_MAX), labels = PX_BUF(SEGMENT_BYTES_MAX);
  enum px_status status = store_segment_read(store, dataset->id, seq, 1, keep_bytes, &segment, err);
  if (!status && what->label_set) {
    status = store_label_read(store, what->label_set, seq, 1, keep_bytes, &labels, err);
    if (status == PX_E_NOT_FOUND) status = PX_OK; /* uploaded after the label set was published */
  }
  if (!status) status = px_export_segment(out, segment.data, segment.len, labels.data, labels.len, err);
  px_buf_free(&labels);
  px_buf_free(&segment);
  return status;
}

enum px_status store_export_file(struct store *store, const struct store_dataset *dataset, const struct store_export *what,
                                 const char *path, const struct px_progress *progress, struct px_err *err) {
  struct px_export *out = NULL;
  enum px_status status = px_export_new(what->format, what->which, &dataset->spaces, path, &out, err);
  for (uint32_t seq = 0; !status && seq < what->segments_n; seq++) {
    status = export_one(store, dataset, what, seq, out, err);
    if (!status) status = px_progress_report(progress, "write", seq + 1, what->segments_n, NULL, 0);
  }
  if (!status) status = px_export_end(out, err);
  px_export_free(out);
  return status;
}
