/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The amortised inverse: a net that answers (s, s' - s) with the action, trained on transitions
 * that the simulator made itself. They start from the data's own states and take actions drawn at
 * random, so no label is used, and what the data's policies used to do has no part in the answer.
 * It gives the solver a start, and is a labeller of its own where speed matters more than the last
 * error.
 *
 * Ownership: a net belongs to the caller; pairs, dataset and spec are borrowed. One thread trains;
 * a trained net may be applied by several. The same pairs and spec give the same bytes, however
 * often a training was cut off.
 */
#ifndef PX_SIM_NET_H
#define PX_SIM_NET_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/nn/checkpoint.h"
#include "worker/sim/pairs.h"

struct sim_net_spec {
  uint32_t pairs;          /* simulated transitions */
  uint32_t steps, batch;   /* of Adam, its rate falling to 0 by half a cosine */
  uint32_t hidden, layers; /* GELU */
  double lr;
  uint64_t seed;
};
enum { SIM_NET_BATCH_MAX = 8192 };
#define SIM_NET_BYTES_MAX ((size_t)256 << 20)
/* 400,000 pairs, 9,000 steps of 512, 3 layers of 256, 2e-3, seed 0. */
struct sim_net_spec sim_net_spec_default(void);

struct sim_net;
void sim_net_free(struct sim_net *net);

/* Trains a net on pairs of these spaces, as many as the spec says. BAD_FIELD for a spec out of
 * bounds; NAN_LOSS. *loss: mean squared error of the last hundred batches, u units. Phase "train".
 * checkpoint may be NULL. */
enum px_status sim_net_train(const struct sim_pairs *pairs, const struct px_spaces *spaces,
                             const struct sim_net_spec *spec, const struct px_progress *progress,
                             struct px_checkpoint *checkpoint, struct sim_net **out, double *loss,
                             struct px_err *err) PX_MUST_CHECK;

/* actions [steps of the range, A] in the dataset's units, inside its range: what sim_label takes
 * as a start. 0 where the next state is unknown. With a delay, that of the layout, a row holds
 * the action that drives a later step, as in labels. */
enum px_status sim_net_apply(const struct sim_net *net, const struct px_dataset *ds,
                             uint32_t traj_from, uint32_t traj_to, float *actions,
                             struct px_err *err) PX_MUST_CHECK;

/* As safetensors, appended; and back. BAD_DATA when the bytes are not such a net. */
enum px_status sim_net_save(struct sim_net *net, struct px_buf *out,
                            struct px_err *err) PX_MUST_CHECK;
enum px_status sim_net_load(const void *bytes, size_t n, struct sim_net **out,
                            struct px_err *err) PX_MUST_CHECK;

#endif
