/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers behind actions.h, which run in the helper process. Inner header of lib/read. One
 * reading belongs to one thread.
 */
#ifndef PX_READ_ACTIONS_PARTS_H
#define PX_READ_ACTIONS_PARTS_H

#include "lib/read/actions.h"
#include "lib/read/reader.h"

/* What a reading of actions needs beside its px_reader. */
struct px_actions_reading {
  bool wanted;
  enum px_actions_format format;
  uint32_t steps;
  uint64_t trajectory;
};

enum { PX_ACTIONS_RUN_MAX = 4096 }; /* steps of a run */

/* Collects the rows of a file into runs. `r->actions` points at it. */
struct px_actions_rows {
  struct px_reader *r;
  const struct px_actions_reading *what;
  const struct px_actions_sink *sink;
  struct px_actions_run run; /* what is open: run.n rows in `actions` */
  float *actions;            /* [cap, A] */
  size_t cap;
};
void px_actions_rows_free(struct px_actions_rows *rows);
/* The action of one step. */
enum px_status px_actions_rows_put(struct px_actions_rows *rows, uint64_t trajectory, uint64_t step,
                                   const float *action, struct px_err *err) PX_MUST_CHECK;
/* Hands on what is open. */
enum px_status px_actions_rows_end(struct px_actions_rows *rows, struct px_err *err) PX_MUST_CHECK;
/* BAD_DATA unless n rows without `step` are all of the trajectory that the caller names. */
enum px_status px_actions_rows_whole(const struct px_actions_rows *rows, uint64_t n,
                                     struct px_err *err) PX_MUST_CHECK;

enum px_status px_actions_flat(struct px_actions_rows *rows, const struct px_flat_source *source,
                               struct px_err *err) PX_MUST_CHECK;
/* JSON lines from r->fd; or one object, which is the n bytes. */
enum px_status px_actions_lines(struct px_actions_rows *rows, struct px_err *err) PX_MUST_CHECK;
enum px_status px_actions_object(struct px_actions_rows *rows, const void *bytes, size_t n,
                                 struct px_err *err) PX_MUST_CHECK;
/* Of a whole file that is mapped and at r->fd. Whatever happens, free the rows. */
enum px_status px_actions_dispatch(struct px_actions_rows *rows, const void *bytes, size_t n,
                                   struct px_err *err) PX_MUST_CHECK;

#endif
