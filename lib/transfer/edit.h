/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of a dataset: true actions that come later, and segments taken out. Used by the server.
 *
 * As with an ingest, reading stores new segments to which nothing refers yet, and a commit puts
 * them in place in one short transaction. Memory is bounded by the actions given
 * (TRANSFER_EDIT_MAX_BYTES) and one segment. Thread safety as the store's.
 */
#ifndef PX_TRANSFER_EDIT_H
#define PX_TRANSFER_EDIT_H

#include "lib/base/fail.h"
#include "lib/read/actions.h"
#include "lib/store/datasets.h"
#include "lib/store/store.h"

enum { TRANSFER_EDIT_MAX_BYTES = 64 << 20 };

struct transfer_edit {
  struct store *store;
  const struct store_dataset *dataset; /* at the version that is edited */
  struct px_actions_file file;
  bool replace; /* also steps that have an action already; else CONFLICT names the first */
  /* Asked before so many bytes are stored; NULL: always. */
  enum px_status (*may_store)(void *ctx, uint64_t bytes, struct px_err *err);
  void *may_store_ctx;
};
struct transfer_edited {
  /* what got an action, and how many of the steps had one before */
  uint64_t trajectories_n, steps_n, replaced_n;
  int64_t version; /* the dataset's, after the commit */
};
/* BAD_DATA at "trajectory n, step t, actions[j]" for an action that the dataset cannot have, for a
 * step that is not there or comes twice, and for a file without any action; TOO_LARGE over the
 * limit. What *what points to must live until free. */
struct transfer_editing;
enum px_status transfer_edit_read(const struct transfer_edit *what, struct transfer_editing **out,
                                  struct px_err *err) PX_MUST_CHECK;
/* PRECONDITION_FAILED when the dataset has another version by now. */
enum px_status transfer_edit_commit(struct transfer_editing *editing, struct transfer_edited *out,
                                    struct px_err *err) PX_MUST_CHECK;
/* With a store, also removes from the database what was not committed. */
void transfer_edit_free(struct transfer_editing *editing, struct store *store);

/* Takes a segment out of the dataset at its version; *version is the one after it. NOT_FOUND if it
 * is not there, PRECONDITION_FAILED as above. */
enum px_status transfer_edit_take_out(struct store *store, const struct store_dataset *dataset,
                                      uint32_t seq, int64_t *version,
                                      struct px_err *err) PX_MUST_CHECK;

#endif
