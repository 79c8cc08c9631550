/* Reading uploads in safetensors: see read_safetensors.h. */
#include "lib/data/read_safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/data/reading.h"
#include "lib/data/safetensors.h"

enum column {
  LENGTH, OBSERVATIONS, ACTIONS, REWARDS, TERMINATED, TRUNCATED, HAS_FINAL, LABELLED, LABEL_MASK, ACTION_SOURCE, COLUMNS_N
};
enum kind { FLOATS, COUNTS, FLAGS };
static const struct { const char *name; enum kind kind; bool needed; } COLUMNS[COLUMNS_N] = {
  [LENGTH] = { "length", COUNTS, true },          [OBSERVATIONS] = { "observations", FLOATS, true },
  [ACTIONS] = { "actions", FLOATS, false },       [REWARDS] = { "rewards", FLOATS, true },
  [TERMINATED] = { "terminated", FLAGS, true },   [TRUNCATED] = { "truncated", FLAGS, false },
  [HAS_FINAL] = { "has_final", FLAGS, false },    [LABELLED] = { "labelled", FLAGS, false },
  [LABEL_MASK] = { "label_mask", FLAGS, false },  [ACTION_SOURCE] = { "action_source", FLAGS, false },
};

struct upload {
  struct px_reading *r;
  const struct px_spaces *spaces;
  const struct px_st_tensor *col[COLUMNS_N]; /* NULL where absent */
  uint64_t traj_n, steps_n, obs_n;
  bool all_final;                            /* when has_final is absent */
  /* One trajectory: copies where the file's own floats cannot be handed on. */
  struct px_buf observations, actions, rewards, labelled;
  struct px_precision observed, rewarded;
};

static enum px_status bad_column(struct px_err *err, enum column c, const char *what) {
  return px_fail_at(err, PX_E_BAD_DATA, COLUMNS[c].name, "safetensors: '%s' %s", COLUMNS[c].name, what);
}

static bool right_kind(enum kind kind, enum px_dtype d) {
  switch (kind) {
    case FLOATS: return d == PX_DTYPE_F32 || d == PX_DTYPE_F64;
    case COUNTS: return d == PX_DTYPE_I64 || d == PX_DTYPE_I32;
    default: return d == PX_DTYPE_U8 || d == PX_DTYPE_BOOL;
  }
}

/* rows, or rows x width; a width of 1 may be left out. */
static enum px_status check_shape(const struct upload *u, enum column c, uint64_t rows, uint64_t width, struct px_err *err) {
  const struct px_st_tensor *t = u->col[c];
  if (!t) return PX_OK;
  const bool flat = t->rank == 1 && width == 1, matrix = t->rank == 2 && t->dims[1] == width;
  if ((flat || matrix) && t->dims[0] == rows) return PX_OK;
  char what[128];
  snprintf(what, sizeof what, "must have %" PRIu64 " rows of %" PRIu64, rows, width);
  return bad_column(err, c, what);
}

static uint8_t flag_at(const struct px_st_tensor *t, uint64_t i) { return ((const uint8_t *)t->data)[i]; }

static int64_t integer_at(const struct px_st_tensor *t, uint64_t i) {
  int64_t wide;
  int32_t narrow;
  if (t->dtype == PX_DTYPE_I64) {
    memcpy(&wide, (const char *)t->data + i * sizeof wide, sizeof wide);
    return wide;
  }
  if (t->dtype != PX_DTYPE_I32) return flag_at(t, i);
  memcpy(&narrow, (const char *)t->data + i * sizeof narrow, sizeof narrow);
  return narrow;
}

static uint64_t count_at(const struct px_st_tensor *t, uint64_t i) {
  const int64_t n = integer_at(t, i);
  return n < 0 ? UINT64_MAX : (uint64_t)n;
}

static enum px_status check_lengths(struct upload *u, struct px_err *err) {
  for (uint64_t i = 0; i < u->traj_n; i++) {
    const uint64_t steps = count_at(u->col[LENGTH], i);
    char place[64];
    snprintf(place, sizeof place, "trajectory %" PRIu64 ", length", i);
    if (steps < 1 || steps > PX_STEPS_MAX)
      return px_fail_at(err, PX_E_BAD_DATA, place, "%s is not between 1 and %d", place, PX_STEPS_MAX);
    u->steps_n += steps;
  }
  return PX_OK;
}

/* How many observations there must be, by has_final or, without it, by what there is. */
static uint64_t expected_obs(struct upload *u) {
  if (!u->col[HAS_FINAL]) {
    u->all_final = u->col[OBSERVATIONS]->rank > 0 && u->col[OBSERVATIONS]->dims[0] == u->steps_n + u->traj_n;
    return u->steps_n + (u->all_final ? u->traj_n : 0);
  }
  uint64_t finals = 0;
  for (uint64_t i = 0; i < u->traj_n; i++) finals += flag_at(u->col[HAS_FINAL], i);
  return u->steps_n + finals;
}

static enum px_status check_flags(const struct upload *u, enum column c, uint64_t n, uint8_t most, struct px_err *err) {
  for (uint64_t i = 0; u->col[c] && i < n; i++)
    if (flag_at(u->col[c], i) > most) return bad_column(err, c, "has values other than its flags");
  return PX_OK;
}

static enum px_status find_columns(struct upload *u, const struct px_st *st, struct px_err *err) {
  for (size_t i = 0; i < px_st_tensors_n(st); i++) { /* a misspelt name must not be lost silently */
    const char *name = px_st_at(st, i)->name;
    bool known = strcmp(name, "action_std") == 0 || strcmp(name, "action_epistemic") == 0 || strcmp(name, "action_score") == 0;
    for (enum column c = 0; c < COLUMNS_N; c++) known = known || strcmp(name, COLUMNS[c].name) == 0;
    if (!known) return px_fail(err, PX_E_BAD_DATA, "safetensors: there is no meaning for a tensor '%.64s'", name);
  }
  for (enum column c = 0; c < COLUMNS_N; c++) {
    u->col[c] = px_st_find(st, COLUMNS[c].name);
    if (!u->col[c] && COLUMNS[c].needed) return bad_column(err, c, "is missing");
    const bool classes = c == ACTIONS && u->col[c] && u->col[c]->dtype != PX_DTYPE_F32 && u->col[c]->dtype != PX_DTYPE_F64;
    if (!u->col[c] || right_kind(COLUMNS[c].kind, u->col[c]->dtype) || (classes && u->spaces->act_count)) continue;
    (void)bad_column(err, c, "has a type that is not read here (numbers F32 or F64, length I64 or I32, flags U8 or BOOL)");
    if (classes) px_err_hint(err, "%s", px_spaces_discrete_hint);
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

static enum px_status check_columns(struct upload *u, struct px_err *err) {
  const struct px_st_tensor *length = u->col[LENGTH];
  u->traj_n = length->rank == 1 ? length->dims[0] : 0;
  if (u->traj_n < 1) return bad_column(err, LENGTH, "must be one number per trajectory");
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
  if (!status) status = check_flags(u, ACTION_SOURCE, u->steps_n, 2, err);
  if (!status && !u->col[ACTIONS] && (u->col[LABEL_MASK] || u->col[LABELLED])) {
    for (uint64_t i = 0; u->col[LABELLED] && i < u->traj_n; i++)
      if (flag_at(u->col[LABELLED], i)) return bad_column(err, LABELLED, "is set, but there are no actions");
    for (uint64_t i = 0; u->col[LABEL_MASK] && i < u->steps_n; i++)
      if (flag_at(u->col[LABEL_MASK], i)) return bad_column(err, LABEL_MASK, "is set, but there are no actions");
  }
  return status;
}

/* n numbers from `first` on: the file's own if they can be read in place, else
 * a converted copy. precision: NULL where nothing can be lost. */
static enum px_status floats_at(const struct px_st_tensor *t, uint64_t first, uint64_t n, struct px_buf *copy,
                                struct px_precision *precision, const float **out) {
  if (t->dtype == PX_DTYPE_F32 && px_st_aligned(t)) {
    *out = (const float *)t->data + first;
    return PX_OK;
  }
  copy->len = 0;
  const enum px_status status = px_buf_room(copy, n * sizeof(float));
  if (status) return status;
  float *numbers = (float *)(void *)copy->data;
  if (t->dtype == PX_DTYPE_F32) {
    memcpy(numbers, (const char *)t->data + first * sizeof(float), n * sizeof(float));
  } else if (t->dtype == PX_DTYPE_F64) {
    for (uint64_t i = 0; i < n; i++) {
      double wide;
      memcpy(&wide, (const char *)t->data + (first + i) * sizeof wide, sizeof wide);
      numbers[i] = (float)wide; /* infinite if too large, which px_traj_check refuses */
      if (precision) px_precision_see(precision, PX_PRECISION_ROWS, &wide, 1);
    }
  } else { /* classes */
    for (uint64_t i = 0; i < n; i++) numbers[i] = (float)integer_at(t, first + i);
  }
  *out = numbers;
  return PX_OK;
}

/* Which steps of trajectory i are labelled: sets actions to NULL or labelled to a mask where that says it. */
static enum px_status labels_of(struct upload *u, uint64_t i, uint64_t step, struct px_traj *traj) {
  traj->actions = NULL;
  if (!u->col[ACTIONS] || (u->col[LABELLED] && !flag_at(u->col[LABELLED], i))) return PX_OK;
  const uint64_t dims = u->spaces->act_dim;
  enum px_status status = floats_at(u->col[ACTIONS], step * dims, traj->steps * dims, &u->actions, NULL, &traj->actions);
  if (status || (!u->col[LABEL_MASK] && !u->col[ACTION_SOURCE])) return status;
  u->labelled.len = 0;
  status = px_buf_room(&u->labelled, traj->steps);
  if (status) return status;
  uint8_t *known = (uint8_t *)u->labelled.data;
  for (uint32_t t = 0; t < traj->steps; t++)
    known[t] = (!u->col[LABEL_MASK] || flag_at(u->col[LABEL_MASK], step + t)) &&
               (!u->col[ACTION_SOURCE] || flag_at(u->col[ACTION_SOURCE], step + t) == 1);
  traj->labelled = known;
  return PX_OK;
}

static enum px_status put_all(struct upload *u, const struct px_traj_sink *sink, struct px_err *err) {
  uint64_t step = 0, obs = 0;
  for (uint64_t i = 0; i < u->traj_n; i++) {
    struct px_traj traj = { .steps = (uint32_t)count_at(u->col[LENGTH], i), .terminated = flag_at(u->col[TERMINATED], i) };
    traj.truncated = u->col[TRUNCATED] ? flag_at(u->col[TRUNCATED], i) : !traj.terminated;
    traj.has_final = u->col[HAS_FINAL] ? flag_at(u->col[HAS_FINAL], i) : u->all_final;
    const uint64_t dims = u->spaces->obs_dim, rows = traj.steps + (uint64_t)traj.has_final;
    enum px_status status =
      floats_at(u->col[OBSERVATIONS], obs * dims, rows * dims, &u->observations, &u->observed, &traj.observations);
    if (!status) status = floats_at(u->col[REWARDS], step, traj.steps, &u->rewards, &u->rewarded, &traj.rewards);
    if (!status) status = labels_of(u, i, step, &traj);
    if (status) return px_fail(err, status, "trajectory %" PRIu64 " is too large to be read", i);
    status = px_traj_check(u->spaces, &traj, i, err);
    if (!status) status = sink->put(sink->ctx, &traj, err);
    if (status) return status;
    step += traj.steps;
    obs += rows;
  }
  const enum px_status status = px_reading_check_precision(u->r, COLUMNS[OBSERVATIONS].name, &u->observed, err);
  return status ? status : px_reading_check_precision(u->r, COLUMNS[REWARDS].name, &u->rewarded, err);
}

enum px_status px_read_safetensors(const void *bytes, size_t n, const struct px_spaces *spaces,
                                   const struct px_traj_sink *sink, struct px_err *err) {
  struct px_read_report unread = { 0 };
  struct px_reading r = { .spaces = spaces, .report = &unread };
  return px_read_safetensors_noting(&r, bytes, n, sink, err);
}

enum px_status px_read_safetensors_noting(struct px_reading *r, const void *bytes, size_t n, const struct px_traj_sink *sink,
                                          struct px_err *err) {
  const struct px_spaces *spaces = r->spaces;
  const size_t most = (PX_STEPS_MAX + 1ull) * PX_OBS_MAX * sizeof(float);
  struct upload u = { .r = r, .spaces = spaces, .observations = PX_BUF(most), .actions = PX_BUF(most), .rewards = PX_BUF(most),
                      .labelled = PX_BUF(most) };
  struct px_st *st = NULL;
  enum px_status status = px_st_parse(bytes, n, &st, err);
  if (!status) status = find_columns(&u, st, err);
  if (!status) status = check_columns(&u, err);
  if (!status && (px_precision_init(&u.observed, spaces->obs_dim) || px_precision_init(&u.rewarded, 1)))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to read it");
  if (!status) status = put_all(&u, sink, err);
  px_buf_free(&u.observations);
  px_buf_free(&u.actions);
  px_buf_free(&u.rewards);
  px_buf_free(&u.labelled);
  px_precision_free(&u.observed);
  px_precision_free(&u.rewarded);
  px_st_free(st);
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
    else status = px_read_safetensors(bytes, (size_t)info.st_size, spaces, sink, err);
  }
  if (bytes != MAP_FAILED) munmap(bytes, (size_t)info.st_size);
  close(fd);
  return status;
}
