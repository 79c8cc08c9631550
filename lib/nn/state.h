/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the next training step depends on, as a list of named arrays: parameters,
 * target nets, optimiser moments, counters. Trainers list theirs once; saving,
 * loading and comparing a training then need to know nothing about it. Used by
 * every trainer for checkpoints, and by tests.
 *
 * The arrays belong to the trainer and must outlive the list. Since all random
 * numbers are functions of (seed, stream, step), a state and the number of the
 * next step give all that follows, bit for bit. Not thread safe.
 */
#ifndef PX_NN_STATE_H
#define PX_NN_STATE_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/nn/adam.h"
#include "lib/nn/mlp.h"

enum { PX_STATE_ITEMS_MAX = 96, PX_STATE_NAME_MAX = 40 };

struct px_state {
  size_t n;
  struct px_state_item {
    char name[PX_STATE_NAME_MAX];
    enum px_dtype dtype;
    size_t count; /* elements */
    void *data;
  } item[PX_STATE_ITEMS_MAX];
};

/* Appends an array. Names are "<of>.<what>", or `of` alone where what is NULL. */
void px_state_floats(struct px_state *state, const char *of, const char *what, float *data,
                     size_t n);
void px_state_doubles(struct px_state *state, const char *of, const char *what, double *data,
                      size_t n);
void px_state_whole(struct px_state *state, const char *of, const char *what, uint64_t *data,
                    size_t n);
/* <of>.params; <of>.m, .v and .steps. */
void px_state_net(struct px_state *state, const char *of, struct px_mlp *net);
void px_state_adam(struct px_state *state, const char *of, struct px_adam *adam);

/* Appends a safetensors file of one flat tensor per array. */
enum px_status px_state_write(const struct px_state *state, const struct px_safetensors_meta *meta,
                              size_t meta_n, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* Fills the arrays. BAD_DATA, with nothing changed, unless the file has exactly these arrays. */
enum px_status px_state_read(const struct px_state *state, const struct px_safetensors *st,
                             struct px_err *err) PX_MUST_CHECK;
/* True if every float is finite: a state worth keeping. */
bool px_state_finite(const struct px_state *state);

#endif
