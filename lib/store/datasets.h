/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datasets, their segments and trajectories. Documents are JSON text made by
 * PostgreSQL (schema/queries): the API passes them on as they are.
 */
#ifndef PX_STORE_DATASETS_H
#define PX_STORE_DATASETS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/segment.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/data/traj_digest.h"
#include "lib/store/blob.h"
#include "lib/store/store.h"

/* Fills id. CONFLICT when the name is taken. env: NULL or "" for none. */
enum px_status store_dataset_create(struct store *store, const char *name,
                                    const struct px_spaces *spaces, const char *env,
                                    char id[STORE_ID_MAX], struct px_err *err) PX_MUST_CHECK;
/* version: the one that it must still have, PRECONDITION_FAILED otherwise; 0: any. CONFLICT while a
 * job works on it. */
enum px_status store_dataset_delete(struct store *store, const char *id, int64_t version,
                                    struct px_err *err) PX_MUST_CHECK;

enum { STORE_DATASET_NAME_MAX = 200 }; /* characters, each up to 4 bytes */
struct store_dataset {
  char id[STORE_ID_MAX], name[4 * STORE_DATASET_NAME_MAX + 1], env[64], label_set[STORE_ID_MAX];
  struct px_spaces spaces;
  uint32_t segments_n;
  uint64_t trajectories_n, steps_n, labelled_steps_n, size_bytes;
  int64_t version;
  int64_t data_version; /* at which its data last changed */
};
/* By id or by name. NOT_FOUND otherwise. */
enum px_status store_dataset_get(struct store *store, const char *id_or_name,
                                 struct store_dataset *out, struct px_err *err) PX_MUST_CHECK;

/* API documents into out (JSON text), and the ETag's version. */
enum px_status store_dataset_document(struct store *store, const char *id, struct px_buf *out,
                                      int64_t *version, struct px_err *err) PX_MUST_CHECK;
/* How returns and lengths are spread, as JSON, in that state of the data (store_dataset_state); -1:
 * not known. Its percentiles are most of a document's cost: whoever keeps them gives them back, and
 * gets those of now. */
struct store_spread {
  int64_t state;
  char json[16 << 10];
};
/* A number that grows with every change of the data, whatever build makes it. */
static inline int64_t store_dataset_state(const struct store_dataset *ds) {
  return ds->segments_n + ds->data_version;
}
enum px_status store_dataset_show(struct store *store, const char *id, struct store_spread *spread,
                                  struct px_buf *out, int64_t *version,
                                  struct px_err *err) PX_MUST_CHECK;
enum px_status store_dataset_list(struct store *store, const char *after, int limit,
                                  struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* {warnings, infos, items}: what lint found in the uploads of the first segments_n segments,
 * warnings first, `limit` of it. */
enum px_status store_dataset_lint(struct store *store, const char *id, uint32_t segments_n,
                                  int limit, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* source: NULL for all. */
struct store_trajectory_page {
  const char *source;
  int64_t from;
  int limit;
};
enum px_status store_dataset_trajectory_list(struct store *store, const char *id,
                                             const struct store_trajectory_page *page,
                                             struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* Where an upload came from, in the uploader's words: at most 100 characters. */
enum { STORE_SOURCE_MAX = 100, STORE_SOURCE_BYTES = 4 * STORE_SOURCE_MAX + 1 };
/* Where trajectory n is: its segment, its index within the segment, and its steps. */
struct store_place {
  uint32_t seq, index, length;
  char source[STORE_SOURCE_BYTES]; /* "" for none */
};
enum px_status store_dataset_trajectory_find(struct store *store, const char *id, int64_t n,
                                             struct store_place *out,
                                             struct px_err *err) PX_MUST_CHECK;

/* Segments first .. first + count - 1 as they were at a version of the dataset. */
struct store_segment_range {
  const char *dataset_id;
  uint32_t first, count;
  int64_t version; /* STORE_VERSION_NOW: as they are */
};
#define STORE_VERSION_NOW INT64_MAX
/* Their bytes, in order; none (NULL, 0) for one that had been taken out. The sink may use the same
 * store. NOT_FOUND unless the dataset has them all, BAD_DATA naming a segment whose bytes do not
 * have the digest recorded with it. */
typedef enum px_status (*store_segment_sink)(void *ctx, uint32_t seq, const void *bytes, size_t n,
                                             struct px_err *err);
enum px_status store_dataset_segment_read(struct store *store,
                                          const struct store_segment_range *range,
                                          store_segment_sink sink, void *ctx,
                                          struct px_err *err) PX_MUST_CHECK;
/* Whether any trajectory of the first segments_n segments has rewards. */
enum px_status store_dataset_has_rewards(struct store *store, const char *dataset_id,
                                         uint32_t segments_n, bool *out,
                                         struct px_err *err) PX_MUST_CHECK;
enum store_labelled { STORE_LABELLED_NONE, STORE_LABELLED_PARTLY, STORE_LABELLED_ALL };
/* Of each trajectory: its return, NAN where there are no rewards, and how much of it has true
 * actions. */
struct store_returns {
  double *returns;   /* [n] */
  uint8_t *labelled; /* [n] enum store_labelled */
  uint32_t n, cap;
};
void store_dataset_returns_free(struct store_returns *r);
/* Of the first segments_n segments at that version (or STORE_VERSION_NOW). What an edit has changed
 * since is read from the segments themselves. The caller frees *out, whatever the outcome. */
enum px_status store_dataset_returns(struct store *store, const struct store_dataset *ds,
                                     uint32_t segments_n, int64_t version,
                                     struct store_returns *out, struct px_err *err) PX_MUST_CHECK;

enum { STORE_SOURCES_MAX = 20, STORE_SOURCE_NONE = 255 };
/* What the trajectories of a snapshot came from: the first so many that are met. */
struct store_sources {
  uint32_t n;
  char name[STORE_SOURCES_MAX][STORE_SOURCE_BYTES];
  uint8_t *of; /* [traj_n] which, or STORE_SOURCE_NONE; owned */
  uint32_t traj_n;
};
/* n is 0 where nothing is known; the caller frees `of`. */
enum px_status store_dataset_sources(struct store *store, const struct store_segment_range *range,
                                     struct store_sources *out, struct px_err *err) PX_MUST_CHECK;

#endif
