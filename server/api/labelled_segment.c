/* SPDX-License-Identifier: Apache-2.0 */
/* Segments beside their labels: see labelled_segment.h. */
#include "server/api/labelled_segment.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/store/datasets.h"
#include "lib/store/labels.h"
#include "lib/store/store.h"

enum px_status labelled_segment_labels(struct store *store, const struct store_dataset *ds,
                                       const char *asked, struct labelled_segment_labels *out,
                                       struct px_err *err) {
  const char *id = asked ? asked : ds->label_set;
  struct labelled_segment_labels found = { .id = "" };
  if (!*id) {
    *out = found;
    return PX_OK;
  }
  struct px_buf text = PX_BUF(1 << 20);
  enum px_status status = store_label_set_document(store, id, &text, err);
  json_t *document = status ? NULL : px_json_parse(text.data, text.len, 0, NULL);
  const char *dataset = json_string_value(json_object_get(document, "dataset_id"));
  if (!status && (!dataset || strcmp(dataset, ds->id) != 0))
    status = px_fail_at(err, PX_E_NOT_FOUND, "label_set", "the dataset has no label set %.64s", id);
  if (!status) {
    snprintf(found.id, sizeof found.id, "%s", id);
    found.segments_n = (uint32_t)json_integer_value(json_object_get(document, "segments"));
    *out = found;
  }
  json_decref(document);
  px_buf_free(&text);
  return status;
}

static enum px_status keep(void *ctx, uint32_t seq, const void *bytes, size_t n,
                           struct px_err *err) {
  (void)seq;
  struct px_buf *buf = ctx;
  return px_buf_put(buf, bytes, n) ? px_fail(err, PX_E_NO_MEMORY, "a segment of %zu bytes", n)
                                   : PX_OK;
}

enum px_status labelled_segment_read(struct store *store, const struct store_dataset *ds,
                                     const struct labelled_segment_labels *labels, uint32_t seq,
                                     struct labelled_segment_pair *pair, struct px_err *err) {
  pair->segment.len = pair->labels.len = 0;
  enum px_status status =
    store_dataset_segment_read(store,
                               &(struct store_segment_range){ ds->id, seq, 1, STORE_VERSION_NOW },
                               keep, &pair->segment, err);
  if (!status && labels->id[0] && seq < labels->segments_n)
    status = store_label_read(store, labels->id, seq, 1, keep, &pair->labels, err);
  if (!status && pair->segment.len == 0)
    status = px_fail(err, PX_E_INTERNAL, "segment %u of %s is missing", seq, ds->id);
  return status;
}

void labelled_segment_pair_free(struct labelled_segment_pair *pair) {
  px_buf_free(&pair->segment);
  px_buf_free(&pair->labels);
}
