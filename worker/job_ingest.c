/* ingest: reads an uploaded file into segments, all of it or nothing. */
#include <stdlib.h>
#include <unistd.h>

#include "lib/store/transfer.h"
#include "worker/scratch.h"
#include "worker/snapshot.h"

enum { SUMMARY_MAX = 1 << 16 };

static enum px_status write_chunk(void *ctx, const void *bytes, size_t n, struct px_err *err) {
  const int fd = *(const int *)ctx;
  for (const char *at = bytes; n > 0;) {
    const ssize_t done = write(fd, at, n);
    if (done < 0) return px_fail_errno(err, "writing the upload to a temporary file");
    at += done;
    n -= (size_t)done;
  }
  return PX_OK;
}

/* Readers need a file they can map; it has no name and goes with its descriptor. */
static enum px_status fetch(struct job *job, int64_t blob, int *out, struct px_err *err) {
  char path[SCRATCH_PATH_MAX];
  int fd;
  enum px_status status = scratch_file(path, &fd, err);
  if (status) return status;
  unlink(path);
  status = store_blob_get(job->store, blob, write_chunk, &fd, err);
  if (status)
    close(fd);
  else
    *out = fd;
  return status;
}

static enum px_status ingest(struct job *job, const struct store_upload *upload, const json_t *given, struct px_err *err) {
  const struct px_read_options options = { .ignore_actions = json_is_true(json_object_get(given, "ignore_actions")) };
  struct store_file file = { .fd = -1, .name = upload->file_name, .options = &options };
  struct px_buf summary = PX_BUF(SUMMARY_MAX);
  struct store_dataset *dataset = malloc(sizeof *dataset);
  enum px_status status = dataset ? store_dataset_get(job->store, upload->dataset_id, dataset, err)
                                  : px_fail(err, PX_E_NO_MEMORY, "ingest");
  if (!status) status = px_format_from_name(upload->format, &file.format, err);
  if (!status) status = fetch(job, upload->blob_id, &file.fd, err);
  if (!status) status = store_ingest_file(job->store, dataset, &file, &job->hold, &job->progress, &summary, err);
  if (file.fd >= 0) close(file.fd);
  free(dataset);
  px_buf_free(&summary);
  return status;
}

enum px_status job_ingest(struct job *job, struct px_err *err) {
  struct px_buf options = PX_BUF(1 << 16);
  struct store_upload upload;
  enum px_status status = store_upload_get(job->store, spec_text(job->spec, "upload"), &upload, &options, err);
  if (!status) {
    json_t *given = json_loads(options.data, 0, NULL);
    status = ingest(job, &upload, given, err);
    json_decref(given);
  }
  px_buf_free(&options);
  return status;
}
