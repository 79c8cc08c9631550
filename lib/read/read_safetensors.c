/* SPDX-License-Identifier: Apache-2.0 */
/* Reading uploads in safetensors: see read_safetensors.h. */
#include "lib/read/read_safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/column.h"
#include "lib/read/names.h"
#include "lib/read/reader.h"

enum column {
  LENGTH,
  OBSERVATIONS,
  ACTIONS,
  REWARDS,
  TERMINATED,
  TRUNCATED,
  HAS_FINAL,
  LABELLED,
  LABEL_MASK,
  ACTION_SOURCE,
  COLUMNS_N
};
/* name: in a segment; also: the array it is in any format, whose other names are taken too. */
static const struct {
  const char *name;
  bool needed;
  enum px_name also;
} COLUMNS[COLUMNS_N] = {
  [LENGTH] = { "length", true, PX_NAMES_N },
  [OBSERVATIONS] = { "observations", true, PX_NAME_OBSERVATIONS },
  [ACTIONS] = { "actions", false, PX_NAME_ACTIONS },
  [REWARDS] = { "rewards", false, PX_NAME_REWARDS },
  [TERMINATED] = { "terminated", true, PX_NAME_TERMINALS },
  [TRUNCATED] = { "truncated", false, PX_NAME_TIMEOUTS },
  [HAS_FINAL] = { "has_final", false, PX_NAMES_N },
  [LABELLED] = { "labelled", false, PX_NAMES_N },
  [LABEL_MASK] = { "label_mask", false, PX_NAME_ACTION_MASK },
  [ACTION_SOURCE] = { "action_source", false, PX_NAME_ACTION_SOURCE },
};
static const struct px_array_dtype NUMBERS[PX_DTYPE_N] = {
  [PX_DTYPE_F16] = { PX_DTYPE_FLOAT, 2, false }, [PX_DTYPE_BF16] = { PX_DTYPE_BFLOAT, 2, false },
  [PX_DTYPE_F32] = { PX_DTYPE_FLOAT, 4, false }, [PX_DTYPE_F64] = { PX_DTYPE_FLOAT, 8, false },
  [PX_DTYPE_I8] = { PX_DTYPE_INT, 1, false },    [PX_DTYPE_U8] = { PX_DTYPE_UINT, 1, false },
  [PX_DTYPE_I16] = { PX_DTYPE_INT, 2, false },   [PX_DTYPE_U16] = { PX_DTYPE_UINT, 2, false },
  [PX_DTYPE_I32] = { PX_DTYPE_INT, 4, false },   [PX_DTYPE_U32] = { PX_DTYPE_UINT, 4, false },
  [PX_DTYPE_I64] = { PX_DTYPE_INT, 8, false },   [PX_DTYPE_U64] = { PX_DTYPE_UINT, 8, false },
  [PX_DTYPE_BOOL] = { PX_DTYPE_UINT, 1, false },
};

struct upload {
  struct px_reader *r;
  const struct px_spaces *spaces;
  const struct px_safetensors_tensor *col[COLUMNS_N]; /* NULL where absent */
  uint64_t traj_n, steps_n, obs_n;
  bool all_final; /* when has_final is absent */
  /* One trajectory: copies where the file's own floats cannot be handed on. */
  struct px_buf observations, actions, rewards, labelled;
  struct px_precision lost[COLUMNS_N]; /* of observations, actions and rewards */
};

/* The i-th name of a column; NULL after the last. */
static const char *name_at(enum column c, unsigned i) {
  if (COLUMNS[c].also != PX_NAMES_N) return px_names_at(COLUMNS[c].also, i);
  return i == 0 ? COLUMNS[c].name : NULL;
}

static const char *name_of(const struct upload *u, enum column c) {
  return u->col[c] ? u->col[c]->name : COLUMNS[c].name;
}

static enum px_status bad_column(const struct upload *u, struct px_err *err, enum column c,
                                 const char *what) {
  return px_fail_at(err, PX_E_BAD_DATA, name_of(u, c), "safetensors: '%s' %s", name_of(u, c), what);
}

static bool holds_integers(const struct px_safetensors_tensor *t) {
  return NUMBERS[t->dtype].kind == PX_DTYPE_INT || NUMBERS[t->dtype].kind == PX_DTYPE_UINT;
}

/* rows, or rows x width; a width of 1 may be left out. */
static enum px_status check_shape(const struct upload *u, enum column c, uint64_t rows,
                                  uint64_t width, struct px_err *err) {
  const struct px_safetensors_tensor *t = u->col[c];
  if (!t) return PX_OK;
  const bool flat = t->rank == 1 && width == 1, matrix = t->rank == 2 && t->dims[1] == width;
  if ((flat || matrix) && t->dims[0] == rows) return PX_OK;
  char what[128];
  snprintf(what, sizeof what, "must have %" PRIu64 " rows of %" PRIu64, rows, width);
  return bad_column(u, err, c, what);
}

/* Not const, but it is written to only where bytes have to be swapped. */
static void *number_place(const struct px_safetensors_tensor *t, uint64_t i) {
  return (char *)(uintptr_t)t->data + i * NUMBERS[t->dtype].bytes;
}

static float number_at(const struct px_safetensors_tensor *t, uint64_t i) {
  float number;
  px_dtype_to_float(NUMBERS[t->dtype], number_place(t, i), 1, &number);
  return number;
}

static bool flag_at(const struct px_safetensors_tensor *t, uint64_t i) {
  return number_at(t, i) == 1;
}

static enum px_status check_lengths(struct upload *u, struct px_err *err) {
  for (uint64_t i = 0; i < u->traj_n; i++) {
    const float steps = number_at(u->col[LENGTH], i); /* exact as far as steps are allowed */
    char place[64];
    snprintf(place, sizeof place, "trajectory %" PRIu64 ", length", i);
    if (!(steps >= 1 && steps <= PX_STEPS_MAX))
      return px_fail_at(err, PX_E_BAD_DATA, place, "%s is not between 1 and %d", place,
                        PX_STEPS_MAX);
    u->steps_n += (uint64_t)steps;
  }
  return PX_OK;
}

/* How many observations there must be, by has_final or, without it, by what there is. */
static uint64_t expected_obs(struct upload *u) {
  if (!u->col[HAS_FINAL]) {
    u->all_final =
      u->col[OBSERVATIONS]->rank > 0 && u->col[OBSERVATIONS]->dims[0] == u->steps_n + u->traj_n;
    return u->steps_n + (u->all_final ? u->traj_n : 0);
  }
  uint64_t finals = 0;
  for (uint64_t i = 0; i < u->traj_n; i++) finals += flag_at(u->col[HAS_FINAL], i);
  return u->steps_n + finals;
}

static enum px_status check_flags(const struct upload *u, enum column c, uint64_t n, int most,
                                  struct px_err *err) {
  for (uint64_t i = 0; u->col[c] && i < n; i++) {
    const float flag = number_at(u->col[c], i);
    if (flag == 0 || flag == 1 || (flag == 2 && most > 1) || (flag == 3 && most > 1)) continue;
    char what[96];
    snprintf(what, sizeof what, "is %g in row %" PRIu64 "; it must be %s", (double)flag, i,
             most > 1 ? "0, 1, 2 or 3" : "0 or 1");
    return bad_column(u, err, c, what);
  }
  return PX_OK;
}

/* What our own export says of proxies. */
static const char *const CERTAINTY[] = { "action_std", "action_epistemic", "action_score",
                                         "action_residual", "action_verified" };

/* A misspelt name must not be lost silently. */
static enum px_status check_names(const struct px_safetensors *st, struct px_err *err) {
  for (size_t i = 0; i < px_safetensors_tensors_n(st); i++) {
    const char *name = px_safetensors_at(st, i)->name;
    bool known = false;
    for (size_t k = 0; k < sizeof CERTAINTY / sizeof *CERTAINTY; k++)
      known = known || strcmp(name, CERTAINTY[k]) == 0;
    for (enum column c = 0; c < COLUMNS_N; c++)
      for (unsigned k = 0; name_at(c, k); k++) known = known || strcmp(name, name_at(c, k)) == 0;
    if (known) continue;
    (void)px_fail(err, PX_E_BAD_DATA, "safetensors: there is no meaning for a tensor '%.64s'",
                  name);
    px_fail_hint(err,
                 "Known are observations, actions, rewards, action_mask and action_source (a row "
                 "for each step), and length, "
                 "terminated, truncated, has_final and labelled (a number for each trajectory).");
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

static enum px_status find_column(struct upload *u, const struct px_safetensors *st, enum column c,
                                  struct px_err *err) {
  u->col[c] = NULL;
  for (unsigned i = 0; name_at(c, i); i++) {
    const struct px_safetensors_tensor *found = px_safetensors_find(st, name_at(c, i));
    if (found && u->col[c]) return px_reader_fail_twice(u->col[c]->name, found->name, err);
    if (found) u->col[c] = found;
  }
  if (!u->col[c] && COLUMNS[c].needed) return bad_column(u, err, c, "is missing");
  return PX_OK;
}

static enum px_status find_columns(struct upload *u, const struct px_safetensors *st,
                                   struct px_err *err) {
  enum px_status status = check_names(st, err);
  for (enum column c = 0; c < COLUMNS_N && !status; c++) {
    const bool unwanted = c == ACTIONS || c == LABELLED || c == LABEL_MASK || c == ACTION_SOURCE;
    if (!unwanted || !u->r->options->ignore_actions) status = find_column(u, st, c, err);
  }
  if (status) return status;
  if (!holds_integers(u->col[LENGTH])) return bad_column(u, err, LENGTH, "must hold integers");
  if (!u->col[ACTIONS]) return PX_OK;
  struct px_column actions = { .name = "actions",
                               .cols = u->spaces->act_dim,
                               .integers = holds_integers(u->col[ACTIONS]) };
  return px_reader_expect_actions(u->r, &actions, err); /* the shape is looked at later */
}

static enum px_status check_columns(struct upload *u, struct px_err *err) {
  const struct px_safetensors_tensor *length = u->col[LENGTH];
  u->traj_n = length->rank == 1 ? length->dims[0] : 0;
  if (u->traj_n < 1) return bad_column(u, err, LENGTH, "must be one number per trajectory");
  enum px_status status = check_lengths(u, err);
  for (enum column c = TERMINATED; c <= LABELLED && !status; c++) {
    status = check_shape(u, c, u->traj_n, 1, err);
    if (!status) status = check_flags(u, c, u->traj_n, 1, err);
  }
  if (status) return status;
  u->obs_n = expected_obs(u);
  status = check_shape(u, OBSERVATIONS, u->obs_n, u->spaces->obs_dim, err);
  if (!status) status = check_shape(u, ACTIONS, u->steps_n, u->spaces->act_dim, err);
  if (!status) status = check_shape(u, REWARDS, u->steps_n, 1, err);
  if (!status) status = check_shape(u, LABEL_MASK, u->steps_n, 1, err);
  if (!status) status = check_flags(u, LABEL_MASK, u->steps_n, 1, err);
  if (!status) status = check_shape(u, ACTION_SOURCE, u->steps_n, 1, err);
  if (!status) status = check_flags(u, ACTION_SOURCE, u->steps_n, 3, err);
  if (!status && !u->col[ACTIONS] && (u->col[LABEL_MASK] || u->col[LABELLED])) {
    for (uint64_t i = 0; u->col[LABELLED] && i < u->traj_n; i++)
      if (flag_at(u->col[LABELLED], i))
        return bad_column(u, err, LABELLED, "is set, but there are no actions");
    for (uint64_t i = 0; u->col[LABEL_MASK] && i < u->steps_n; i++)
      if (flag_at(u->col[LABEL_MASK], i))
        return bad_column(u, err, LABEL_MASK, "is set, but there are no actions");
  }
  return status;
}

/* n numbers from `first` on, converted. */
static enum px_status copy_floats(struct upload *u, enum column c, uint64_t first, uint64_t n,
                                  struct px_buf *copy) {
  const struct px_safetensors_tensor *t = u->col[c];
  copy->len = 0;
  const enum px_status status = px_buf_room(copy, n * sizeof(float));
  if (!status)
    px_reader_convert(&u->lost[c], PX_PRECISION_ROWS, NUMBERS[t->dtype], number_place(t, first), n,
                      (float *)(void *)copy->data);
  return status;
}

/* The same, but the file's own numbers if they can be read in place. */
static enum px_status floats_at(struct upload *u, enum column c, uint64_t first, uint64_t n,
                                struct px_buf *copy, const float **out) {
  const struct px_safetensors_tensor *t = u->col[c];
  const bool in_place = t->dtype == PX_DTYPE_F32 && px_safetensors_aligned(t);
  const enum px_status status = in_place ? PX_OK : copy_floats(u, c, first, n, copy);
  if (!status) *out = in_place ? (const float *)t->data + first : (const float *)(void *)copy->data;
  return status;
}

/* Whether the step has an action; one that it has not becomes zeros. */
static bool take_label(struct upload *u, uint64_t step, float *action) {
  const struct px_safetensors_tensor *mask = u->col[LABEL_MASK], *source = u->col[ACTION_SOURCE];
  if (!mask && !source) return !px_reader_take_nan(u->r, action);
  const bool known = (!mask || flag_at(mask, step)) && (!source || flag_at(source, step));
  if (!known) memset(action, 0, u->spaces->act_dim * sizeof *action);
  return known;
}

/* Which steps of trajectory i are labelled: sets actions to NULL or labelled to a mask where that
 * says it. */
static enum px_status labels_of(struct upload *u, uint64_t i, uint64_t step, struct px_traj *traj) {
  traj->actions = NULL;
  if (!u->col[ACTIONS] || (u->col[LABELLED] && !flag_at(u->col[LABELLED], i))) return PX_OK;
  const uint64_t dims = u->spaces->act_dim;
  enum px_status status = copy_floats(u, ACTIONS, step * dims, traj->steps * dims, &u->actions);
  u->labelled.len = 0;
  if (!status) status = px_buf_room(&u->labelled, traj->steps);
  if (status) return status;
  float *actions = (float *)(void *)u->actions.data;
  uint8_t *known = (uint8_t *)u->labelled.data;
  for (uint32_t t = 0; t < traj->steps; t++) known[t] = take_label(u, step + t, actions + t * dims);
  traj->actions = actions;
  if (u->col[LABEL_MASK] || u->col[ACTION_SOURCE] || memchr(known, 0, traj->steps))
    traj->labelled = known;
  return PX_OK;
}

static enum px_status put_all(struct upload *u, struct px_err *err) {
  uint64_t step = 0, obs = 0;
  for (uint64_t i = 0; i < u->traj_n; i++) {
    struct px_traj traj = { .steps = (uint32_t)number_at(u->col[LENGTH], i),
                            .terminated = flag_at(u->col[TERMINATED], i) };
    traj.truncated = u->col[TRUNCATED] ? flag_at(u->col[TRUNCATED], i) : !traj.terminated;
    traj.has_final = u->col[HAS_FINAL] ? flag_at(u->col[HAS_FINAL], i) : u->all_final;
    const uint64_t dims = u->spaces->obs_dim, rows = traj.steps + (uint64_t)traj.has_final;
    enum px_status status =
      floats_at(u, OBSERVATIONS, obs * dims, rows * dims, &u->observations, &traj.observations);
    if (!status && u->col[REWARDS])
      status = floats_at(u, REWARDS, step, traj.steps, &u->rewards, &traj.rewards);
    if (!status) status = labels_of(u, i, step, &traj);
    if (status) return px_fail(err, status, "trajectory %" PRIu64 " is too large to be read", i);
    if (!px_reader_has_rewards(&traj)) traj.rewards = NULL;
    status = px_traj_check(u->spaces, &traj, i, err);
    if (!status) status = px_reader_put(u->r, &traj, err);
    if (status) return status;
    step += traj.steps;
    obs += rows;
  }
  enum px_status status = PX_OK;
  for (enum column c = OBSERVATIONS; c <= REWARDS && !status; c++)
    status = px_reader_check_precision(u->r, COLUMNS[c].name, &u->lost[c], err);
  if (!status) px_reader_note_counts(u->r);
  return status;
}

static enum px_status watch_precision(struct upload *u, struct px_err *err) {
  const uint32_t widths[COLUMNS_N] = {
    [OBSERVATIONS] = u->spaces->obs_dim, [ACTIONS] = u->spaces->act_dim, [REWARDS] = 1
  };
  for (enum column c = OBSERVATIONS; c <= REWARDS; c++)
    if (u->col[c] && px_precision_matters(NUMBERS[u->col[c]->dtype]) &&
        px_precision_init(&u->lost[c], widths[c]))
      return px_fail(err, PX_E_NO_MEMORY, "no memory to read it");
  return PX_OK;
}

enum px_status px_read_safetensors_bytes(const void *bytes, size_t n,
                                         const struct px_spaces *spaces,
                                         const struct px_traj_sink *sink, struct px_err *err) {
  static const struct px_read_options defaults;
  struct px_read_report unread = { 0 };
  struct px_reader r = { .options = &defaults,
                         .spaces = spaces,
                         .sink = sink,
                         .report = &unread,
                         .file_bytes = n,
                         .no_integers = px_spaces_take_no_integers(spaces) };
  return px_read_safetensors(&r, bytes, n, err);
}

enum px_status px_read_safetensors(struct px_reader *r, const void *bytes, size_t n,
                                   struct px_err *err) {
  const size_t most = (PX_STEPS_MAX + 1ull) * PX_OBS_MAX * sizeof(float);
  struct upload u = { .r = r,
                      .spaces = r->spaces,
                      .observations = PX_BUF(most),
                      .actions = PX_BUF(most),
                      .rewards = PX_BUF(most),
                      .labelled = PX_BUF(most) };
  struct px_safetensors *st = NULL;
  memcpy(r->report->layout, "safetensors", sizeof "safetensors");
  enum px_status status = px_safetensors_parse(bytes, n, &st, err);
  if (!status) status = find_columns(&u, st, err);
  if (!status) status = check_columns(&u, err);
  if (!status) status = watch_precision(&u, err);
  if (!status) status = put_all(&u, err);
  px_buf_free(&u.observations);
  px_buf_free(&u.actions);
  px_buf_free(&u.rewards);
  px_buf_free(&u.labelled);
  for (enum column c = 0; c < COLUMNS_N; c++) px_precision_free(&u.lost[c]);
  px_safetensors_free(st);
  return status;
}

enum px_status px_read_safetensors_file(const char *path, const struct px_spaces *spaces,
                                        const struct px_traj_sink *sink, struct px_err *err) {
  enum px_status status;
  struct stat info;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return px_fail_errno(err, "opening %s", path);
  void *bytes = MAP_FAILED;
  if (fstat(fd, &info) != 0) {
    status = px_fail_errno(err, "looking at %s", path);
  } else if (info.st_size == 0) {
    status = px_fail(err, PX_E_BAD_DATA, "the file is empty");
  } else {
    bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) status = px_fail_errno(err, "mapping %s", path);
    else status = px_read_safetensors_bytes(bytes, (size_t)info.st_size, spaces, sink, err);
  }
  if (bytes != MAP_FAILED) munmap(bytes, (size_t)info.st_size);
  close(fd);
  return status;
}
