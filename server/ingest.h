/*
 * From a file on disk to segments in a dataset, all or nothing. Used by the
 * upload handler; runs on a thread of the work pool. While this thread parses,
 * another one stores the segments of a large file on a connection of its own.
 */
#ifndef PX_SERVER_INGEST_H
#define PX_SERVER_INGEST_H

#include "lib/data/read.h"
#include "lib/store/datasets.h"
#include "server/service.h"

struct ingest_job {
  struct service *service;
  struct store *store;               /* this thread's */
  const struct store_dataset *dataset;
  int fd;
  uint64_t bytes;
  enum px_format format;
  const char *name;                  /* in errors */
  const struct px_read_options *options;
};
struct ingest_result {
  struct px_read_report report;
  uint32_t segments_n;
  uint64_t trajectories_n, steps_n, labelled_n, size_bytes;
};
/* The dataset gets everything or, on failure, nothing. */
enum px_status ingest_run(const struct ingest_job *job, struct ingest_result *out, struct px_err *err) PX_MUST_CHECK;

#endif
