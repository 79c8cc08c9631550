/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files in and out of a dataset: reading an upload into segments
 * (ingest.c) and writing segments out (transfer.c). Used by the server (direct
 * uploads and downloads) and by the worker (jobs ingest and export), so that
 * both do the same.
 *
 * Memory is bounded by a few segments. Thread safety as the store's.
 */
#ifndef PX_TRANSFER_TRANSFER_H
#define PX_TRANSFER_TRANSFER_H

#include <jansson.h>

#include "lib/base/fail.h"
#include "lib/base/progress.h"
#include "lib/read/lint.h"
#include "lib/read/read.h"
#include "lib/store/datasets.h"
#include "lib/store/duplicates.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/write/write.h"

/* "allow", "skip", "refuse"; false for another word. */
bool transfer_on_duplicate_parse(const char *word, enum store_on_duplicate *out);

struct store_ingest {
  struct store *store;
  /* where a second connection stores the segments of a large file while this thread parses;
   * NULL: no second one */
  const char *beside_url;
  const struct store_dataset *dataset;
  int fd;         /* regular file, borrowed */
  uint64_t bytes; /* its size */
  enum px_read_format format;
  const char *name;                      /* in errors */
  const struct px_read_options *options; /* or NULL */
  enum store_on_duplicate on_duplicate;
  const char *source; /* NULL or "": not said */
  /* NULL, or the ingest job that ends in the same transaction */
  const struct store_lease *hold;
  const struct px_progress *progress; /* or NULL; phase "store", in segments */
  /* Asked before so many bytes are stored; a failure ends the ingest. NULL: always. */
  enum px_status (*may_store)(void *ctx, uint64_t bytes, struct px_err *err);
  void *may_store_ctx;
};
struct store_ingested {
  struct px_read_report report;
  uint32_t segments_n;
  uint64_t trajectories_n, steps_n, labelled_n, size_bytes;
  int64_t version;       /* the dataset's, after it */
  uint64_t duplicates_n; /* trajectories of the file that were there already */
  uint32_t findings_n;   /* what is probably a mistake in the file */
  struct px_lint_finding findings[PX_LINT_FINDINGS_MAX];
  char duplicates_note[2 * PX_READ_NOTE_BYTES]; /* tells of them; "" when there are none */
};
/* In two steps: read stores the file's segments, to which nothing refers yet;
 * commit appends them to the dataset in one short transaction, all or none.
 * What *what points to must live until free, which also removes the segments from
 * the database again when `store` is not NULL: after a failure. Errors as
 * px_read_file's and store_append_commit's. */
struct store_ingesting;
enum px_status transfer_ingest_read(const struct store_ingest *what, struct store_ingesting **out,
                                    struct px_err *err) PX_MUST_CHECK;
enum px_status transfer_ingest_commit(struct store_ingesting *in, struct store_ingested *out,
                                      struct px_err *err) PX_MUST_CHECK;
void transfer_ingest_free(struct store_ingesting *in, struct store *store);
/* Both. */
enum px_status transfer_ingest_file(const struct store_ingest *what, struct store_ingested *out,
                                    struct px_err *err) PX_MUST_CHECK;
/* {layout, trajectories, steps, labelled_steps, segments, size_bytes, duplicates, notes[],
 * findings[]}: what
 * the API answers and what an ingest job's result is. Owned by the caller; NULL when out of
 * memory. */
json_t *transfer_ingested_json(const struct store_ingested *found);

/* What an uploader says of a file. */
struct transfer_options {
  struct px_read_options read;
  enum store_on_duplicate on_duplicate;
  char source[STORE_SOURCE_BYTES]; /* "": not said */
};
/* As JSON text, for uploads that wait for their job. The text is from malloc (NULL when out of
 * memory); what does not parse is the default. */
char *transfer_options_json(const struct transfer_options *options);
void transfer_options_parse(const char *text, struct transfer_options *out);

struct store_export {
  uint32_t segments_n; /* snapshot */
  int64_t version;     /* of the dataset, or STORE_VERSION_NOW */
  enum px_write_format format;
  enum px_write_which which;
  bool about; /* the file says which data it is (about.h); without, equal data give equal bytes */
  /* NULL: no proxy actions; segments it does not cover have none */
  const char *label_set;
};
/* Writes the snapshot to `path`, replacing what is there. */
enum px_status transfer_export(struct store *store, const struct store_dataset *dataset,
                               const struct store_export *what, const char *path,
                               const struct px_progress *progress,
                               struct px_err *err) PX_MUST_CHECK;

#endif
