/* SPDX-License-Identifier: Apache-2.0 */
/* ingest: reads an uploaded file into segments, all of it or nothing. */
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/crash.h"
#include "lib/base/fail.h"
#include "lib/base/scratch.h"
#include "lib/store/blob.h"
#include "lib/store/datasets.h"
#include "lib/store/uploads.h"
#include "lib/transfer/transfer.h"
#include "worker/jobs/job_inputs.h"
#include "worker/jobs/job_spec.h"

static enum px_status write_chunk(void *ctx, const void *bytes, size_t n, struct px_err *err) {
  const int fd = *(const int *)ctx;
  PX_CRASH_POINT("spool_write", "before");
  for (const char *at = bytes; n > 0;) {
    const ssize_t done = write(fd, at, n);
    if (done < 0) return px_fail_errno(err, "writing the upload to a temporary file");
    at += done;
    n -= (size_t)done;
  }
  PX_CRASH_POINT("spool_write", "after");
  return PX_OK;
}

/* Readers need a file they can map; it has no name and goes with its descriptor. */
static enum px_status fetch(struct job *job, int64_t blob, int *out, struct px_err *err) {
  int fd;
  enum px_status status = px_scratch_file(px_scratch_home(), &fd, err);
  if (status) return status;
  status = store_blob_get(job->store, blob, write_chunk, &fd, err);
  if (status) close(fd);
  else *out = fd;
  return status;
}

static enum px_status ingest(struct job *job, const struct store_upload *upload,
                             const struct transfer_options *options, struct px_err *err) {
  struct store_dataset *dataset = malloc(sizeof *dataset);
  struct store_ingested *found = malloc(sizeof *found);
  struct store_ingest what = { .store = job->store,
                               .dataset = dataset,
                               .fd = -1,
                               .name = upload->file_name,
                               .options = &options->read,
                               .on_duplicate = options->on_duplicate,
                               .source = options->source,
                               .hold = &job->hold,
                               .progress = &job->progress };
  enum px_status status = dataset && found
                            ? store_dataset_get(job->store, upload->dataset_id, dataset, err)
                            : px_fail(err, PX_E_NO_MEMORY, "ingest");
  if (!status) status = px_read_format_from_name(upload->format, &what.format, err);
  if (!status) status = fetch(job, upload->blob_id, &what.fd, err);
  if (!status) status = transfer_ingest_file(&what, found, err);
  if (what.fd >= 0) close(what.fd);
  free(found);
  free(dataset);
  return status;
}

enum px_status job_ingest(struct job *job, struct px_err *err) {
  struct px_buf text = PX_BUF(1 << 16);
  struct store_upload upload;
  struct transfer_options *options = malloc(sizeof *options);
  enum px_status status =
    options ? store_upload_get(job->store, job_spec_text(job->spec, "upload"), &upload, &text, err)
            : px_fail(err, PX_E_NO_MEMORY, "ingest");
  if (!status) {
    transfer_options_parse(text.data, options);
    status = ingest(job, &upload, options, err);
  }
  free(options);
  px_buf_free(&text);
  return status;
}
