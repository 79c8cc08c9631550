/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 uploads: which layout it is, and D4RL's. See read.h and read_episodes.c. */
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/read/column.h"
#include "lib/read/h5.h"
#include "lib/read/names.h"
#include "lib/read/read_episodes.h"

struct members {
  bool flat, layouts[PX_EPISODES_LAYOUTS_N];
};

/* What the names at the root say. */
static enum px_status recognise_member(void *ctx, const char *name) {
  struct members *found = ctx;
  if (px_names_has(PX_NAME_OBSERVATIONS, name, strlen(name))) found->flat = true;
  for (int i = 0; i < PX_EPISODES_LAYOUTS_N; i++)
    if (px_episodes_recognises((enum px_episodes_layout)i, name)) found->layouts[i] = true;
  return PX_OK;
}

struct d4rl {
  struct px_reader *r;
  hid_t file;
};

static bool d4rl_has(void *ctx, const char *name) {
  const struct d4rl *d = ctx;
  enum px_h5_kind kind;
  /* A link elsewhere counts as there, so that opening it says why not. */
  return px_h5_kind(d->file, name, &kind, NULL) || kind != PX_H5_NONE;
}

static enum px_status d4rl_open(void *ctx, const char *name, struct px_column *out,
                                struct px_err *err) {
  const struct d4rl *d = ctx;
  return px_h5_column(d->r, d->file, name, out, err);
}

static enum px_status read_layout(struct px_reader *r, hid_t file, struct px_err *err) {
  struct members found = { 0 };
  const enum px_status status = px_h5_names(file, "", recognise_member, &found, err);
  if (status) return status;
  if (found.flat) {
    struct d4rl d = { r, file };
    const struct px_flat_source source = { &d, d4rl_has, d4rl_open };
    snprintf(r->report->layout, sizeof r->report->layout, "%s",
             d4rl_has(&d, "episode_terminals") ? "d3rlpy" : "d4rl");
    return px_read_flat(r, &source, err);
  }
  for (int i = 0; i < PX_EPISODES_LAYOUTS_N; i++)
    if (found.layouts[i]) return px_read_episodes(r, file, (enum px_episodes_layout)i, err);
  return px_fail(
    err, PX_E_BAD_DATA,
    "this HDF5 file has no layout that is known: there is neither 'observations' (D4RL), "
    "'episode_<i>' (Minari), 'data/demo_<i>' (robomimic) nor 'observations_<i>' (d3rlpy)");
}

enum px_status px_read_hdf5(struct px_reader *r, const void *bytes, size_t n, struct px_err *err) {
  hid_t file;
  enum px_status status = px_h5_open(bytes, n, &file, err);
  if (status) return status;
  status = read_layout(r, file, err);
  if (!status) px_reader_note_counts(r);
  H5Fclose(file);
  return status;
}
