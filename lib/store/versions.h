/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of a dataset: edits of its data, each one transaction, and what there was before. What
 * an edit replaces stays as a revision, so that jobs keep the version they were submitted with.
 *
 * Every change gives the next version. Trajectories are numbered by their place in a version:
 * where a segment is taken out, those behind it move up. Segments keep their numbers.
 */
#ifndef PX_STORE_VERSIONS_H
#define PX_STORE_VERSIONS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/running_stats.h"
#include "lib/data/traj_digest.h"
#include "lib/store/blob.h"
#include "lib/store/store.h"

/* How many segments the dataset had at that version, those taken out included. NOT_FOUND unless
 * there was such a version. */
enum px_status store_versions_segments(struct store *store, const char *dataset_id, int64_t version,
                                       uint32_t *segments_n, struct px_err *err) PX_MUST_CHECK;

/* Where the trajectories of the present version are; from malloc, the caller's. */
struct store_segment_place {
  uint32_t seq, trajectories_n;
  uint64_t first_trajectory;
};
enum px_status store_versions_places(struct store *store, const char *dataset_id,
                                     struct store_segment_place **out, size_t *n,
                                     struct px_err *err) PX_MUST_CHECK;

/* A segment with other bytes, and a trajectory with other labels. */
struct store_revision {
  uint32_t seq;
  struct store_blob blob;
  uint64_t labelled_n; /* steps */
};
struct store_relabelled {
  uint64_t trajectory;
  uint32_t labelled_n;
  struct px_traj_digest digest;
};
/* An edit of a dataset that must still be at `version`; all borrowed. */
struct store_edit {
  const char *dataset_id;
  int64_t version;
  const struct store_revision *revisions; /* [revisions_n] */
  size_t revisions_n;
  const struct store_relabelled *trajectories; /* [trajectories_n] */
  size_t trajectories_n;
  const int64_t *classes; /* [classes_n] how many labelled steps more each discrete action has */
  uint32_t classes_n;
  const char *detail; /* JSON object for the list of versions */
};
/* Puts the revisions in place. PRECONDITION_FAILED when the dataset has another version. */
enum px_status store_versions_relabel(struct store *store, const struct store_edit *edit,
                                      int64_t *version, struct px_err *err) PX_MUST_CHECK;
/* Takes a segment out; of the edit, revisions and trajectories are not looked at. `obs` are the
 * statistics of its observations. NOT_FOUND if it is not there. */
enum px_status store_versions_take_out(struct store *store, const struct store_edit *edit,
                                       uint32_t seq, const struct px_running_stats *obs,
                                       uint32_t obs_dim, int64_t *version,
                                       struct px_err *err) PX_MUST_CHECK;
/* Removes the blobs of revisions that were not put in place, as far as the database allows. */
void store_versions_discard(struct store *store, const struct store_revision *revisions, size_t n);

/* API documents. before: 0 for the newest; NOT_FOUND never. */
enum px_status store_versions_list(struct store *store, const char *dataset_id, int64_t before,
                                   int limit, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
enum px_status store_versions_segment_list(struct store *store, const char *dataset_id,
                                           int64_t from, int limit, struct px_buf *out,
                                           struct px_err *err) PX_MUST_CHECK;
enum px_status store_versions_diff(struct store *store, const char *dataset_id, int64_t from,
                                   int64_t to, struct px_buf *out,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
