/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of upload formats share: see reader.h. */
#include "lib/read/reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/column.h"
#include "lib/read/decode.h"

enum { DEFAULT_RATIO = 100 };
static const uint64_t DEFAULT_LOGICAL_BYTES = 10ull << 30;

uint64_t px_reader_max_bytes(const struct px_reader *r) {
  return r->options->max_logical_bytes ? r->options->max_logical_bytes : DEFAULT_LOGICAL_BYTES;
}

enum px_status px_reader_charge_bytes(struct px_reader *r, const char *name, const char *what,
                                      uint64_t n, struct px_err *err) {
  const uint64_t max = px_reader_max_bytes(r);
  const uint64_t ratio = r->options->max_ratio ? r->options->max_ratio : DEFAULT_RATIO;
  size_t size;
  if (!px_mem_add(n, r->logical_bytes, &size) || size > max)
    return px_fail_at(err, PX_E_TOO_LARGE, name,
                      "with %s the arrays unpack to more than %" PRIu64 " bytes", what, max);
  if (size > PX_DECODE_FREE_BYTES && size / ratio > r->file_bytes)
    return px_fail_at(err, PX_E_TOO_LARGE, name,
                      "with %s the arrays unpack to more than %" PRIu64 " times the file's %" PRIu64
                      " bytes",
                      what, ratio, r->file_bytes);
  r->logical_bytes = size;
  return PX_OK;
}

enum px_status px_reader_charge(struct px_reader *r, const char *name, uint64_t rows, uint64_t cols,
                                uint32_t bytes, struct px_err *err) {
  if (cols > PX_OBS_MAX)
    return px_fail_at(err, PX_E_BAD_DATA, name,
                      "'%s' has %" PRIu64 " columns; at most %d are accepted", name, cols,
                      PX_OBS_MAX);
  char what[256];
  size_t size;
  snprintf(what, sizeof what, "'%.180s' [%" PRIu64 ", %" PRIu64 "]", name, rows, cols);
  if (!px_mem_mul(rows, cols, &size) || !px_mem_mul(size, bytes, &size)) size = SIZE_MAX;
  return px_reader_charge_bytes(r, name, what, size, err);
}

/* A file may hold millions of trajectories in a few bytes each. */
static enum px_status charge_trajectory(struct px_reader *r, struct px_err *err) {
  char place[48], what[96];
  snprintf(place, sizeof place, "trajectory %" PRIu64, r->report->trajectories_n);
  snprintf(what, sizeof what, "%s, each counting as %d bytes,", place, PX_TRAJ_COST_BYTES);
  return px_reader_charge_bytes(r, place, what, PX_TRAJ_COST_BYTES, err);
}

bool px_reader_has_rewards(const struct px_traj *traj) {
  for (uint32_t t = 0; traj->rewards && t < traj->steps; t++)
    if (!isnan(traj->rewards[t])) return true;
  return false;
}

enum px_status px_reader_put(struct px_reader *r, const struct px_traj *given, struct px_err *err) {
  struct px_traj unrewarded = *given;
  const struct px_traj *traj = given;
  if (!px_reader_has_rewards(given)) {
    unrewarded.rewards = NULL;
    traj = &unrewarded;
    r->unrewarded_n++;
  }
  enum px_status status = charge_trajectory(r, err);
  if (!status) status = r->sink->put(r->sink->ctx, traj, err);
  if (!status) {
    r->report->trajectories_n++;
    r->report->steps_n += traj->steps;
    if (traj->actions)
      for (uint32_t t = 0; t < traj->steps; t++)
        r->report->labelled_n += !traj->labelled || traj->labelled[t];
  }
  return status;
}

void px_reader_note(struct px_reader *r, const char *fmt, ...) {
  if (r->report->notes_n == PX_READ_NOTES_MAX) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(r->report->notes[r->report->notes_n++], PX_READ_NOTE_BYTES, fmt, args);
  va_end(args);
}

enum px_status px_reader_fail(const struct px_reader *r, uint64_t step, const char *field,
                              struct px_err *err, const char *fmt, ...) {
  char place[160];
  snprintf(place, sizeof place, "trajectory %" PRIu64 ", step %" PRIu64 ", %s",
           r->report->trajectories_n, step, field);
  va_list args;
  va_start(args, fmt);
  const enum px_status status = px_fail_place(err, PX_E_BAD_DATA, place, fmt, args);
  va_end(args);
  return status;
}

enum px_status px_reader_fail_twice(const char *first, const char *second, struct px_err *err) {
  (void)px_fail_at(err, PX_E_BAD_DATA, second, "'%s' and '%s' mean the same, and both are there",
                   first, second);
  px_fail_hint(err, "Leave one of them out.");
  return PX_E_BAD_DATA;
}

bool px_reader_take_nan(struct px_reader *r, float *action) {
  const uint32_t A = r->spaces->act_dim;
  for (uint32_t j = 0; j < A; j++)
    if (!isnan(action[j])) return false;
  memset(action, 0, A * sizeof *action);
  r->nan_actions_n++;
  return true;
}

void px_reader_note_counts(struct px_reader *r) {
  if (r->unrewarded_n)
    px_reader_note(r,
                   "%" PRIu64 " of the %" PRIu64
                   " trajectories have no rewards: what needs returns is refused while they are in "
                   "the dataset",
                   r->unrewarded_n, r->report->trajectories_n);
  if (r->nan_actions_n)
    px_reader_note(r,
                   "at %" PRIu64
                   " steps all numbers of the action are NaN: these steps are unlabelled",
                   r->nan_actions_n);
}

enum px_status px_reader_no_split(const struct px_reader *r, struct px_err *err) {
  if (!*r->options->split) return PX_OK;
  (void)px_fail_at(err, PX_E_BAD_DATA, "split", "this file has no splits: its layout is %s's",
                   r->report->layout);
  px_fail_hint(err, "Leave split out, or send a robomimic file with mask/%s.", r->options->split);
  return PX_E_BAD_DATA;
}

enum px_status px_reader_no_keys(const struct px_reader *r, struct px_err *err) {
  if (!r->options->obs_keys_n) return PX_OK;
  px_fail_at(err, PX_E_BAD_DATA, "obs_keys",
             "obs_keys choose among several arrays of observations, but here the observations are "
             "one array");
  px_fail_hint(
    err, "Leave obs_keys out, or send a file whose observations are groups (Minari, robomimic).");
  return PX_E_BAD_DATA;
}

enum { WIDE_N = 256 };

void px_reader_convert(struct px_precision *precision, uint32_t col, struct px_array_dtype type,
                       void *src, size_t n, float *dst) {
  double wide[WIDE_N];
  px_dtype_to_float(type, src, n, dst);
  for (size_t at = 0, some; precision->columns && at < n; at += some) {
    some = n - at < WIDE_N ? n - at : WIDE_N;
    px_dtype_to_double(type, (const char *)src + at * type.bytes, some, wide);
    px_precision_see(precision, col, wide, some);
  }
}

enum px_status px_reader_check_precision(struct px_reader *r, const char *name,
                                         const struct px_precision *precision, struct px_err *err) {
  uint32_t col = 0;
  const enum px_precision_loss loss = px_precision_judge(precision, &col);
  if (loss == PX_PRECISION_REFUSED) return px_precision_fail(precision, name, col, err);
  if (loss == PX_PRECISION_NOTED && !r->precision_noted) {
    r->precision_noted = true;
    px_reader_note(r,
                   "%.80s[%u] changes by less than the precision of float32, in which numbers are "
                   "kept, near %g: most of its "
                   "changes are lost; subtract its first value if they matter",
                   name, col, precision->columns[col].largest);
  }
  return PX_OK;
}

enum px_status px_reader_expect_actions(const struct px_reader *r, const struct px_column *column,
                                        struct px_err *err) {
  const enum px_status status =
    px_column_expect(column, r->spaces->act_dim, "the dataset declares actions of", err);
  if (status || !column->integers || !r->no_integers) return status;
  (void)px_fail_at(err, PX_E_BAD_DATA, column->name,
                   "'%s' holds integers, but the dataset declares continuous actions "
                   "from -1 to 1",
                   column->name);
  px_fail_hint(err, "%s", px_spaces_discrete_hint);
  return PX_E_BAD_DATA;
}

enum px_status px_reader_measure(struct px_reader *r, int fd, struct px_err *err) {
  struct stat st;
  if (fstat(fd, &st)) return px_fail_errno(err, "cannot inspect the upload");
  if (!S_ISREG(st.st_mode)) return px_fail(err, PX_E_INTERNAL, "not a regular file");
  if (!st.st_size) return px_fail(err, PX_E_BAD_DATA, "it is empty");
  r->file_bytes = (uint64_t)st.st_size;
  if (lseek(fd, 0, SEEK_SET) < 0) return px_fail_errno(err, "cannot read the upload");
  return PX_OK;
}

void px_reader_name_file(const char *name, struct px_err *err) {
  char message[sizeof err->message];
  memcpy(message, err->message, sizeof message);
  snprintf(err->message, sizeof err->message, "%.100s: %.400s", name, message);
  px_text_clean(err->message);
}
