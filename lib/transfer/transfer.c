/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a dataset out: see transfer.h. */
#include "lib/transfer/transfer.h"

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/datasets.h"
#include "lib/store/labels.h"
#include "lib/store/store.h"
#include "lib/transfer/about.h"

enum { SEGMENT_BYTES_MAX = 512 << 20 };

static enum px_status keep_bytes(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                 struct px_err *err) {
  const enum px_status status = px_buf_put(ctx, bytes, n);
  return status ? px_fail(err, status, "segment %u is too large", seq) : PX_OK;
}

/* One segment and its labels, if the label set covers it. */
static enum px_status export_one(struct store *store, const struct store_dataset *dataset,
                                 const struct store_export *what, uint32_t seq,
                                 struct px_write *out, struct px_err *err) {
  struct px_buf segment = PX_BUF(SEGMENT_BYTES_MAX), labels = PX_BUF(SEGMENT_BYTES_MAX);
  enum px_status status =
    store_dataset_segment_read(store,
                               &(struct store_segment_range){ dataset->id, seq, 1, what->version },
                               keep_bytes, &segment, err);
  if (!status && segment.len && what->label_set) {
    status = store_label_read(store, what->label_set, seq, 1, keep_bytes, &labels, err);
    /* uploaded after the label set was published */
    if (status == PX_E_NOT_FOUND) status = PX_OK;
  }
  if (!status && segment.len)
    status = px_write_segment(out, segment.data, segment.len, labels.data, labels.len, err);
  px_buf_free(&labels);
  px_buf_free(&segment);
  return status;
}

enum px_status transfer_export(struct store *store, const struct store_dataset *dataset,
                               const struct store_export *what, const char *path,
                               const struct px_progress *progress, struct px_err *err) {
  struct px_write *out = NULL;
  struct about about;
  enum px_status status = about_export(dataset, what, &about, err);
  if (!status) status = px_write_new(what->format, what->which, &dataset->spaces, path, &out, err);
  bool rewards = true;
  if (!status)
    status = store_dataset_has_rewards(store, dataset->id, what->segments_n, &rewards, err);
  if (!rewards) px_write_without_rewards(out);
  if (!status && what->about) px_write_about(out, about.facts, about.n);
  for (uint32_t seq = 0; !status && seq < what->segments_n; seq++) {
    status = export_one(store, dataset, what, seq, out, err);
    if (!status) status = px_progress_report(progress, "write", seq + 1, what->segments_n, NULL, 0);
  }
  if (!status) status = px_write_end(out, err);
  px_write_free(out);
  about_free(&about);
  return status;
}
