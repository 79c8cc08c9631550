/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered episodes: see episodes.h. One table says where each layout keeps what. */
#include "lib/read/episodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

enum { EPISODES_MAX = 10000000 };

static const struct px_episodes_form FORMS[PX_EPISODES_LAYOUTS_N] = {
  [PX_EPISODES_MINARI] = { .name = "minari",
                           .group = "",
                           .stem = "episode_",
                           .before = "episode_",
                           .observations = { "observations", PX_NAME_OBSERVATIONS },
                           .actions = { "actions", PX_NAME_ACTIONS },
                           .rewards = { "rewards", PX_NAME_REWARDS },
                           .terminated = { "terminations", PX_NAME_TERMINALS },
                           .truncated = { "truncations", PX_NAME_TIMEOUTS } },
  [PX_EPISODES_ROBOMIMIC] = { .name = "robomimic",
                              .group = "data",
                              .stem = "demo_",
                              .before = "data/demo_",
                              .observations = { "obs", PX_NAME_OBSERVATIONS },
                              .next = { "next_obs", PX_NAME_NEXT_OBSERVATIONS },
                              .actions = { "actions", PX_NAME_ACTIONS },
                              .rewards = { "rewards", PX_NAME_REWARDS },
                              .terminated = { "dones", PX_NAME_DONES },
                              .loose_end = true,
                              .splits = "mask" },
  [PX_EPISODES_D3RLPY] = { .name = "d3rlpy",
                           .group = "",
                           .stem = "observations_",
                           .observations = { "observations", PX_NAME_OBSERVATIONS },
                           .actions = { "actions", PX_NAME_ACTIONS },
                           .rewards = { "rewards", PX_NAME_REWARDS },
                           .terminated = { "terminated", PX_NAME_TERMINALS },
                           .one_flag = true },
};
const struct px_episodes_place px_episodes_mask = { "action_mask", PX_NAME_ACTION_MASK };

/* The number after the stem; false when the name is another. */
static bool parse_number(const char *name, const char *stem, struct px_episodes_number *out) {
  const size_t n = strlen(stem);
  if (strncmp(name, stem, n)) return false;
  const char *p = name + n;
  *out = (struct px_episodes_number){ 0 };
  for (; *p >= '0' && *p <= '9' && out->digits < 18; p++, out->digits++)
    out->value = out->value * 10 + (uint64_t)(*p - '0');
  return out->digits && !*p;
}

bool px_episodes_recognises(enum px_episodes_layout layout, const char *name) {
  struct px_episodes_number number;
  return *FORMS[layout].group ? !strcmp(name, FORMS[layout].group)
                              : parse_number(name, FORMS[layout].stem, &number);
}

static enum px_status add_number(void *ctx, const char *name) {
  struct px_episodes *list = ctx;
  struct px_episodes_number number;
  if (!parse_number(name, list->form->stem, &number)) return PX_OK;
  if (list->n == list->cap) {
    const size_t cap = list->cap ? list->cap * 2 : 1024;
    struct px_episodes_number *all =
      cap > EPISODES_MAX ? NULL : px_mem_realloc(list->all, cap, sizeof *all);
    if (!all) return PX_E_TOO_LARGE;
    list->all = all;
    list->cap = cap;
  }
  list->all[list->n++] = number;
  return PX_OK;
}

static int by_value(const void *a, const void *b) {
  const struct px_episodes_number *x = a, *y = b;
  return x->value != y->value ? (x->value > y->value) - (x->value < y->value)
                              : x->digits - y->digits;
}

static void path_of(const struct px_episodes_form *layout, const char *word,
                    struct px_episodes_number number, char path[PX_EPISODES_PATH_BYTES]) {
  if (layout->before)
    snprintf(path, PX_EPISODES_PATH_BYTES, "%s%0*" PRIu64 "/%s", layout->before, number.digits,
             number.value, word);
  else snprintf(path, PX_EPISODES_PATH_BYTES, "%s_%0*" PRIu64, word, number.digits, number.value);
}

enum px_status px_episodes_find(const struct px_episodes *e, const struct px_episodes_place *place,
                                struct px_episodes_number number, char path[PX_EPISODES_PATH_BYTES],
                                enum px_h5_kind *kind, struct px_err *err) {
  char other[PX_EPISODES_PATH_BYTES];
  enum px_h5_kind found;
  const char *word;
  *kind = PX_H5_NONE;
  if (!place->word) return PX_OK;
  path_of(e->form, place->word, number, path);
  enum px_status status = px_h5_kind(e->file, path, kind, err);
  for (unsigned i = 0; !status && (word = px_names_at(place->array, i)); i++) {
    if (strcmp(word, place->word) == 0) continue;
    path_of(e->form, word, number, other);
    status = px_h5_kind(e->file, other, &found, err);
    if (status || found == PX_H5_NONE) continue;
    if (*kind != PX_H5_NONE) return px_reader_fail_twice(path, other, err);
    memcpy(path, other, PX_EPISODES_PATH_BYTES);
    *kind = found;
  }
  return status;
}

/* robomimic's filter keys: mask/<split> lists the demonstrations that are kept. */
static enum px_status keep_split(struct px_episodes *e, struct px_err *err) {
  const char *split = e->r->options->split;
  struct px_episodes named = { .form = e->form };
  const size_t all_n = e->n;
  char path[PX_EPISODES_PATH_BYTES];
  enum px_h5_kind kind;
  if (!*split) return PX_OK;
  if (!e->form->splits) return px_reader_no_split(e->r, err);
  snprintf(path, sizeof path, "%s/%s", e->form->splits, split);
  enum px_status status = px_h5_kind(e->file, path, &kind, err);
  if (!status && kind != PX_H5_DATASET)
    status = px_fail_at(err, PX_E_BAD_DATA, path, "there is no split '%s' in the file", path);
  if (!status) status = px_h5_texts(e->r, e->file, path, add_number, &named, err);
  if (!status && named.n) qsort(named.all, named.n, sizeof *named.all, by_value);
  e->n = 0;
  for (size_t i = 0, k = 0; i < all_n && !status; i++) {
    while (k < named.n && by_value(&named.all[k], &e->all[i]) < 0) k++;
    if (k < named.n && by_value(&named.all[k], &e->all[i]) == 0) e->all[e->n++] = e->all[i];
  }
  if (!status && (e->n == 0 || e->n < named.n))
    status = px_fail_at(err, PX_E_BAD_DATA, path,
                        "'%s' names %zu demonstrations, of which %zu are in the file", path,
                        named.n, e->n);
  if (!status)
    px_reader_note(e->r, "the split '%s': %zu of %zu demonstrations", split, e->n, all_n);
  free(named.all);
  return status;
}

enum px_status px_episodes_open(struct px_episodes *e, struct px_reader *r, hid_t file,
                                enum px_episodes_layout layout, struct px_err *err) {
  *e = (struct px_episodes){ .r = r, .file = file, .form = &FORMS[layout] };
  const char *group = e->form->group;
  snprintf(r->report->layout, sizeof r->report->layout, "%s", e->form->name);
  enum px_h5_kind kind;
  enum px_status status = px_h5_kind(file, group, &kind, err);
  if (!status && kind != PX_H5_GROUP)
    status = px_fail_at(err, PX_E_BAD_DATA, group, "'%s' is not a group", group);
  if (!status) status = px_h5_names(file, group, add_number, e, err);
  if (!status && !e->n)
    status = px_fail(err, PX_E_BAD_DATA, "there is no '%s%s%s<i>' in it", group, *group ? "/" : "",
                     e->form->stem);
  if (status) return status;
  qsort(e->all, e->n, sizeof *e->all, by_value);
  return keep_split(e, err);
}

void px_episodes_close(struct px_episodes *e) { free(e->all); }
