/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which trajectories of a file its dataset has already, or the file itself twice. For lib/transfer
 * and datasets_append.c: what happens to them is the uploader's choice. One thread at a time.
 */
#ifndef PX_STORE_DUPLICATES_H
#define PX_STORE_DUPLICATES_H

#include "lib/base/fail.h"
#include "lib/data/traj_digest.h"
#include "lib/store/store.h"

/* What becomes of trajectories that the dataset has already, or that come before in the same file
 * (traj_digest.h): they are stored and told of; left out and told of; or all of the file is
 * refused. */
enum store_on_duplicate {
  STORE_DUPLICATE_ALLOW,
  STORE_DUPLICATE_SKIP,
  STORE_DUPLICATE_REFUSE,
  STORE_DUPLICATE_N
};

struct duplicates {
  enum store_on_duplicate policy;
  struct px_traj_digest_set stored; /* digests that the dataset has, with their numbers in it */
  struct px_traj_digest_set seen;   /* digests of this file, with their first numbers in it */
  uint64_t file_n;                  /* trajectories of this file looked at */
  /* of those: in the dataset; not there, but earlier in this file */
  uint64_t in_dataset_n, in_file_n;
  /* the first that is in the dataset: its number in the file, and there */
  uint64_t first, first_stored;
};
void duplicates_free(struct duplicates *d);
/* Forgets the file, but not what the dataset has. */
void duplicates_restart(struct duplicates *d);
/* The file's next trajectory; *is_one when it is a duplicate. */
enum px_status duplicates_look(struct duplicates *d, const struct px_traj_digest *digest,
                               bool *is_one, struct px_err *err) PX_MUST_CHECK;
/* Adds what the dataset has of the n digests. */
enum px_status duplicates_find(struct store *store, const char *dataset_id,
                               const struct px_traj_digest *digests, size_t n,
                               struct px_traj_digest_set *stored, struct px_err *err) PX_MUST_CHECK;
/* CONFLICT that names the first duplicate, if there is one. */
enum px_status duplicates_refuse(const struct duplicates *d, const char *name,
                                 struct px_err *err) PX_MUST_CHECK;
/* A line that tells of them; "" when there are none. */
void duplicates_note(const struct duplicates *d, char *out, size_t size);

#endif
