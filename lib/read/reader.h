/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers of upload formats share: a reading in progress with its
 * limits, columns (arrays read row by row), and room for one trajectory. Inner
 * header of lib/data: read.h is the outside. One reading belongs to one thread.
 */
#ifndef PX_READ_READER_H
#define PX_READ_READER_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/column.h"
#include "lib/read/precision.h"
#include "lib/read/read.h"

/* What a trajectory costs whatever its length, in bytes, against the limits on unpacked data. That
 * is little enough for a plain file of steps that are each a trajectory (9 bytes a step and
 * more). */
enum { PX_TRAJ_COST_BYTES = 256 };

struct px_actions_rows;
/* Borrows everything it points to. */
struct px_reader {
  const struct px_read_options *options; /* never NULL */
  const struct px_spaces *spaces;
  const struct px_traj_sink *sink;
  struct px_read_report *report;
  int fd;           /* the file, for readers that stream */
  bool no_integers; /* px_spaces_take_no_integers, which needs ranges that the helper has not */
  uint64_t file_bytes, logical_bytes;
  uint64_t nan_actions_n;          /* steps whose action was taken as a mark that there is none */
  uint64_t unrewarded_n;           /* trajectories without rewards */
  bool precision_noted;            /* one note on lost precision is enough */
  uint64_t cached_bytes;           /* of chunks kept unpacked: see h5.c */
  struct px_actions_rows *actions; /* actions_parts.h; NULL: trajectories are read */
};

/* px_read_<name>, one for each format: reads a whole file in memory, or r->fd from where it stands,
 * and sets report->layout. In the helper process, or in tests. */
#define PX_UPLOAD(NAME, name, ...) \
  enum px_status px_read_##name(struct px_reader *r, const void *bytes, size_t n, \
                                struct px_err *err) PX_MUST_CHECK;
#include "schema/uploads.def"
#undef PX_UPLOAD

/* False where there are none, or all are NAN. */
bool px_reader_has_rewards(const struct px_traj *traj);
/* Hands a trajectory on, and counts and charges it. Rewards that are all NAN are as none. */
enum px_status px_reader_put(struct px_reader *r, const struct px_traj *given,
                             struct px_err *err) PX_MUST_CHECK;
/* Adds a line to the report; those over its capacity are dropped. */
void px_reader_note(struct px_reader *r, const char *fmt, ...) PX_PRINTF(2, 3);
/* BAD_DATA at "trajectory n, step t, field", n being the next to be put. */
enum px_status px_reader_fail(const struct px_reader *r, uint64_t step, const char *field,
                              struct px_err *err, const char *fmt, ...) PX_PRINTF(5, 6);
/* BAD_DATA at `second` where a file has two arrays of one meaning. */
enum px_status px_reader_fail_twice(const char *first, const char *second, struct px_err *err);
/* An array cannot hold null: a row [A] of nothing but NaN is a step without an action. True for
 * one, which becomes zeros. */
bool px_reader_take_nan(struct px_reader *r, float *action);
/* The notes of what was counted; once, after the last trajectory. */
void px_reader_note_counts(struct px_reader *r);
/* BAD_DATA when options name keys; for layouts whose observations are one array. */
enum px_status px_reader_no_keys(const struct px_reader *r, struct px_err *err) PX_MUST_CHECK;
/* BAD_DATA when options name a split; for layouts that have none. */
enum px_status px_reader_no_split(const struct px_reader *r, struct px_err *err) PX_MUST_CHECK;
/* How much all arrays together may take, unpacked. */
uint64_t px_reader_max_bytes(const struct px_reader *r);
/* Counts an array about to be read against the limits, before anything of it is read. */
enum px_status px_reader_charge(struct px_reader *r, const char *name, uint64_t rows, uint64_t cols,
                                uint32_t bytes, struct px_err *err) PX_MUST_CHECK;

/* Before anything is read: the file's size, and its position at the beginning. */
enum px_status px_reader_measure(struct px_reader *r, int fd, struct px_err *err) PX_MUST_CHECK;
/* The readers do not know the file's name; it goes before what they say. */
void px_reader_name_file(const char *name, struct px_err *err);

/* px_dtype_to_float, with what float32 loses counted as in px_precision_see. */
void px_reader_convert(struct px_precision *precision, uint32_t col, struct px_array_dtype type,
                       void *src, size_t n, float *dst);
/* After the last row of an array: BAD_DATA at "name[col]" where float32 would make a staircase of a
 * column, or a note. */
enum px_status px_reader_check_precision(struct px_reader *r, const char *name,
                                         const struct px_precision *precision,
                                         struct px_err *err) PX_MUST_CHECK;
/* The same for n bytes of something else; `what` names it in the error. */
enum px_status px_reader_charge_bytes(struct px_reader *r, const char *name, const char *what,
                                      uint64_t n, struct px_err *err) PX_MUST_CHECK;

/* px_column_expect for actions, which moreover may have to be floats: see no_integers. */
enum px_status px_reader_expect_actions(const struct px_reader *r, const struct px_column *column,
                                        struct px_err *err) PX_MUST_CHECK;

/* The members of the flat layout (D4RL, npz), by name. */
struct px_flat_source {
  void *ctx;
  bool (*has)(void *ctx, const char *name);
  enum px_status (*open)(void *ctx, const char *name, struct px_column *out, struct px_err *err);
};
/* Reads the flat layout and splits it into episodes. */
enum px_status px_read_flat(struct px_reader *r, const struct px_flat_source *source,
                            struct px_err *err) PX_MUST_CHECK;

#endif
