/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading actions that come later: true actions for steps of trajectories that are in a dataset
 * already. The file is untrusted and parsed in the helper process, as read.h's files are.
 *
 *   npz    actions [K, A] (discrete: [K] or [K, 1]); trajectory [K], the number of each row's
 *          trajectory, and step [K], its step; action_mask [K] (0: the row has no action)
 *   jsonl  an object a line: {"trajectory": n, "step": t, "actions": [[..] or null, ..],
 *          "action_mask": [..]}; the actions are of the steps from t on (0 if it is left out)
 *   json   one such object, which may have line breaks
 *
 * An action that is null, or NaN throughout, is none: its step is left as it is. Where the caller
 * names a trajectory the file need not; without `step` it then has one row for each of its steps.
 * Numbers of trajectories in npz are below 2^24, since columns are read as float32.
 * Nothing is shared between threads.
 */
#ifndef PX_READ_ACTIONS_H
#define PX_READ_ACTIONS_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"

/* Steps that follow each other; borrowed for the time of the call. */
struct px_actions_run {
  uint64_t trajectory;
  uint32_t step, n;     /* the first, and how many: step + n <= PX_STEPS_MAX */
  const float *actions; /* [n, A]; not checked against the spaces yet */
};
struct px_actions_sink {
  void *ctx;
  enum px_status (*put)(void *ctx, const struct px_actions_run *run, struct px_err *err);
};

enum px_actions_format { PX_ACTIONS_NPZ, PX_ACTIONS_JSONL, PX_ACTIONS_JSON, PX_ACTIONS_FORMATS_N };
/* By the media type, or if that is none of them by the file name's ending; NULL: not given.
 * UNSUPPORTED_MEDIA otherwise. */
enum px_status px_actions_format(const char *media_type, const char *file_name,
                                 enum px_actions_format *out, struct px_err *err) PX_MUST_CHECK;

struct px_actions_file {
  int fd;           /* regular file, borrowed */
  const char *name; /* in errors */
  enum px_actions_format format;
  uint32_t steps;      /* of the trajectory that the caller names; 0: it names none */
  uint64_t trajectory; /* its number */
  uint64_t max_bytes;  /* of what the file unpacks to; 0: 10 GiB */
};
/* BAD_DATA names the line or row, TOO_LARGE a limit; what the sink returned is passed on. */
enum px_status px_actions_read(const struct px_actions_file *file, const struct px_spaces *spaces,
                               const struct px_actions_sink *sink,
                               struct px_err *err) PX_MUST_CHECK;

#endif
