/*
 * Whole files in and out of a dataset: reading an upload into segments and
 * writing segments out. Used by the server (direct uploads and downloads) and
 * by the worker (jobs ingest and export), so that both do the same.
 *
 * Memory is bounded by a few segments. Thread safety as the store's.
 */
#ifndef PX_STORE_TRANSFER_H
#define PX_STORE_TRANSFER_H

#include "lib/base/progress.h"
#include "lib/data/export.h"
#include "lib/data/read.h"
#include "lib/store/datasets.h"
#include "lib/store/jobs.h"

struct store_file {
  int fd;                 /* regular file, borrowed */
  enum px_format format;
  const char *name;       /* used in errors */
  const struct px_read_options *options; /* or NULL */
};

/* Reads the file and appends all its trajectories to the dataset in one
 * transaction, or none. `summary` gets a JSON object: layout, trajectories,
 * steps, labelled_steps, segments, notes[]. With a hold the same transaction ends that ingest job with the summary as
 * its result. Errors as px_read_file's and store_append_commit's. */
enum px_status store_ingest_file(struct store *store, const struct store_dataset *dataset, const struct store_file *file,
                                 const struct store_hold *hold, const struct px_progress *progress, struct px_buf *summary,
                                 struct px_err *err) PX_MUST_CHECK;

struct store_export {
  uint32_t segments_n;          /* snapshot */
  enum px_export_format format;
  enum px_export_which which;
  const char *label_set;        /* NULL: no proxy actions; segments it does not cover have none */
};
/* Writes the snapshot to `path`, replacing what is there. */
enum px_status store_export_file(struct store *store, const struct store_dataset *dataset, const struct store_export *what,
                                 const char *path, const struct px_progress *progress, struct px_err *err) PX_MUST_CHECK;

#endif
