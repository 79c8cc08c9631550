/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a CSV upload, and its cells: see csv_header.h. */
#include "lib/read/csv_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/data/spaces.h"
#include "lib/read/names.h"

enum { COLUMNS_MAX = 8192, ALSO_MAX = 5, TOLD_MAX = 6 };

/* What columns are called: as here, as the arrays of names.def, and in other ways. Those with an
 * index are called obs_0, obs.0 or obs[0]. */
static const struct {
  const char *word;
  enum px_name array;
  const char *also[ALSO_MAX];
} ROLES[PX_CSV_ROLES_N] = {
  [PX_CSV_EPISODE] = { "episode", PX_NAMES_N, { "episode_index", "episode_id", "trajectory" } },
  [PX_CSV_STEP] = { "step", PX_NAMES_N, { "frame_index", "timestep" } },
  [PX_CSV_OBSERVATION] = { "obs", PX_NAME_OBSERVATIONS, { "observation.state" } },
  [PX_CSV_ACTION] = { "act", PX_NAME_ACTIONS, { NULL } },
  [PX_CSV_REWARD] = { "reward", PX_NAME_REWARDS, { "next.reward" } },
  [PX_CSV_TERMINATED] = { "terminated", PX_NAME_TERMINALS, { "next.terminated" } },
  [PX_CSV_TRUNCATED] = { "truncated", PX_NAME_TIMEOUTS, { "next.truncated" } },
  [PX_CSV_DONE] = { "done", PX_NAME_DONES, { "next.done" } },
  [PX_CSV_MASK] = { "action_mask", PX_NAME_ACTION_MASK, { NULL } },
  [PX_CSV_SOURCE] = { "action_source", PX_NAME_ACTION_SOURCE, { NULL } },
  [PX_CSV_UNCERTAINTY] = { "action_std",
                           PX_NAMES_N,
                           { "action_epistemic", "action_score", "action_residual",
                             "action_verified" } },
};

/* The i-th name of the role; NULL after the last. */
static const char *name_at(enum px_csv_role role, unsigned i) {
  if (i == 0) return ROLES[role].word;
  unsigned k = 0;
  if (ROLES[role].array != PX_NAMES_N)
    for (; px_names_at(ROLES[role].array, k); k++)
      if (k == i - 1) return px_names_at(ROLES[role].array, k);
  return i - 1 - k < ALSO_MAX ? ROLES[role].also[i - 1 - k] : NULL;
}

/* Whether `name` is `base`, or base with an index: *index then. */
static bool is_indexed(const char *name, const char *base, uint32_t *index, bool *indexed) {
  const size_t n = strlen(base);
  if (strncasecmp(name, base, n) != 0) return false;
  *index = 0;
  *indexed = name[n] != '\0';
  if (!*indexed) return true;
  const bool bracket = name[n] == '[';
  if (!bracket && name[n] != '_' && name[n] != '.') return false;
  const char *digits = name + n + 1;
  const size_t digits_n = strspn(digits, "0123456789");
  if (!digits_n || digits_n > 5 || strcmp(digits + digits_n, bracket ? "]" : "") != 0) return false;
  *index = (uint32_t)strtoul(digits, NULL, 10);
  return true;
}

static struct px_csv_column column_of(const char *name) {
  for (int role = PX_CSV_EPISODE; role < PX_CSV_ROLES_N; role++)
    for (unsigned i = 0; name_at((enum px_csv_role)role, i); i++) {
      struct px_csv_column c = { (enum px_csv_role)role, 0 };
      bool indexed;
      const bool vector = role == PX_CSV_OBSERVATION || role == PX_CSV_ACTION;
      if (is_indexed(name, name_at((enum px_csv_role)role, i), &c.index, &indexed) &&
          (vector || role == PX_CSV_UNCERTAINTY || !indexed))
        return c;
    }
  return (struct px_csv_column){ PX_CSV_IGNORED, 0 };
}

static enum px_status fail_quote(uint64_t line, struct px_err *err) {
  char place[48];
  snprintf(place, sizeof place, "line %" PRIu64, line);
  (void)px_fail_at(err, PX_E_BAD_DATA, place, "%s: a quoted cell does not end where it should",
                   place);
  px_fail_hint(err, "A quote within a quoted cell is doubled; no cell holds the end of a line.");
  return PX_E_BAD_DATA;
}

enum px_status px_csv_header_next_cell(char separator, uint64_t line, char **at,
                                       struct px_csv_cell *out, struct px_err *err) {
  char *p = *at, *begin = p, *end;
  if (*p != '"') {
    end = strchr(p, separator);
    if (!end) end = p + strlen(p);
    *at = *end ? end + 1 : NULL;
    while (begin < end && *begin == ' ') begin++;
    while (end > begin && end[-1] == ' ') end--;
  } else {
    char *to = begin = ++p;
    for (; *p && (*p != '"' || p[1] == '"'); p++) *to++ = *p == '"' ? *p++ : *p;
    if (*p != '"' || (p[1] && p[1] != separator)) return fail_quote(line, err);
    *at = p[1] ? p + 2 : NULL;
    end = to;
  }
  *end = '\0';
  *out = (struct px_csv_cell){ begin, (size_t)(end - begin) };
  return PX_OK;
}

/* Each index from 0 up to what the dataset declares, once. */
static enum px_status check_indices(const struct px_csv_header *h, enum px_csv_role role,
                                    uint32_t dims, struct px_err *err) {
  uint8_t *seen = px_mem_calloc(dims, 1);
  if (!seen) return px_fail(err, PX_E_NO_MEMORY, "no memory for the header");
  enum px_status status = PX_OK;
  const char *what = ROLES[role].word;
  for (uint32_t i = 0; i < h->n && !status; i++) {
    const uint32_t index = h->columns[i].index;
    if (h->columns[i].role != role) continue;
    if (index >= dims)
      status = px_fail_at(err, PX_E_BAD_DATA, "header",
                          "the header names %s_%u, but the dataset declares %u: %s_0 to %s_%u",
                          what, index, dims, what, what, dims - 1);
    else if (seen[index]++)
      status =
        px_fail_at(err, PX_E_BAD_DATA, "header", "the header names %s_%u twice", what, index);
  }
  for (uint32_t j = 0; j < dims && !status; j++)
    if (!seen[j])
      status =
        px_fail_at(err, PX_E_BAD_DATA, "header",
                   "there is no column %s_%u; the dataset declares %u of them", what, j, dims);
  free(seen);
  return status;
}

static enum px_status check_header(const struct px_reader *r, const struct px_csv_header *h,
                                   struct px_err *err) {
  const struct px_spaces *spaces = r->spaces;
  enum px_status status = check_indices(h, PX_CSV_OBSERVATION, spaces->obs_dim, err);
  if (!status && h->has[PX_CSV_ACTION])
    status = check_indices(h, PX_CSV_ACTION, spaces->act_dim, err);
  if (status) return status;
  if (!h->has[PX_CSV_EPISODE] && !h->has[PX_CSV_STEP] && !h->has[PX_CSV_TERMINATED] &&
      !h->has[PX_CSV_TRUNCATED] && !h->has[PX_CSV_DONE]) {
    (void)px_fail_at(err, PX_E_BAD_DATA, "header", "no column says where a trajectory ends");
    px_fail_hint(err, "Add a column episode, or step, or terminated and truncated.");
    return PX_E_BAD_DATA;
  }
  return PX_OK;
}

/* The separator that the header has most of. */
static char find_separator(const char *header) {
  static const char SEPARATORS[] = ",;\t";
  size_t n[3] = { 0 }, best = 0;
  for (const char *p = header; *p; p++)
    for (size_t i = 0; i < 3; i++) n[i] += *p == SEPARATORS[i];
  for (size_t i = 1; i < 3; i++)
    if (n[i] > n[best]) best = i;
  return SEPARATORS[best];
}

enum px_status px_csv_header_read(struct px_reader *r, char *line, struct px_csv_header *h,
                                  struct px_err *err) {
  char told[160] = "";
  uint32_t ignored_n = 0;
  h->separator = find_separator(line);
  h->columns = px_mem_calloc(COLUMNS_MAX, sizeof *h->columns);
  if (!h->columns) return px_fail(err, PX_E_NO_MEMORY, "no memory for the header");
  for (char *at = line; at;) {
    struct px_csv_cell cell;
    const enum px_status status = px_csv_header_next_cell(h->separator, 1, &at, &cell, err);
    if (status) return status;
    if (h->n == COLUMNS_MAX)
      return px_fail_at(err, PX_E_BAD_DATA, "header", "there are more than %d columns",
                        COLUMNS_MAX);
    const struct px_csv_column column = column_of(cell.text);
    const bool vector = column.role == PX_CSV_OBSERVATION || column.role == PX_CSV_ACTION;
    if (column.role && column.role != PX_CSV_UNCERTAINTY && !vector && h->has[column.role])
      return px_fail_at(err, PX_E_BAD_DATA, "header", "two columns mean '%s'; one is '%.40s'",
                        ROLES[column.role].word, cell.text);
    h->has[column.role] = true;
    h->columns[h->n++] = column;
    if (column.role == PX_CSV_IGNORED && ignored_n++ < TOLD_MAX)
      snprintf(told + strlen(told), sizeof told - strlen(told), "%s%.24s", *told ? ", " : "",
               cell.text);
  }
  if (ignored_n)
    px_reader_note(r, "%u columns mean nothing here and were left out: %s%s", ignored_n, told,
                   ignored_n > TOLD_MAX ? ", ..." : "");
  if (h->has[PX_CSV_DONE] && !h->has[PX_CSV_TERMINATED])
    px_reader_note(r,
                   "there is no 'terminated': where 'done' is 1%s trajectories count as "
                   "terminated, even if it was a time limit",
                   h->has[PX_CSV_TRUNCATED] ? " and 'truncated' is 0," : "");
  if (r->options->ignore_actions) h->has[PX_CSV_ACTION] = false;
  return check_header(r, h, err);
}

void px_csv_header_free(struct px_csv_header *header) {
  free(header->columns);
  *header = (struct px_csv_header){ 0 };
}

const char *px_csv_header_name(enum px_csv_role role) { return ROLES[role].word; }
