/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real worker processes for tests, and a small dataset they can learn from.
 * Everything fails the running test on error.
 */
#ifndef PX_TESTS_SUPPORT_WORKERS_H
#define PX_TESTS_SUPPORT_WORKERS_H

#include <sys/types.h>

#include "lib/base/digest.h"
#include "lib/flow/plan.h"
#include "lib/store/store.h"
#include "tests/support/db.h"

/* Starts the worker built beside this program, with short leases and the given
 * further options (NULL-terminated; may be NULL). */
pid_t workers_start(const char *const *options);
/* Sends the signal and waits for the end; the exit status, or minus the signal. */
int workers_end(pid_t worker, int signal);
/* Kills those still running: what a failed test left behind. */
void workers_end_all(void);
/* The process running `worker`'s job, or 0 while there is none. */
pid_t workers_child(pid_t worker);

/* A dataset of made-up trajectories whose actions are a smooth function of the
 * change of state, all labelled; `flip` > 0 changes the actions of those whose
 * return is in the upper half. Rewards are about 1, times reward_scale. Returns its id, in a static
 * buffer. */
const char *workers_dataset(struct store *store, const char *name, int trajectories, int flip,
                            float reward_scale);

/* The same with more to choose. */
struct workers_world {
  int trajectories, flip;
  float reward_scale;
  bool discrete;                        /* classes 0 and 1, and cartpole's four observations */
  bool (*known)(int trajectory, int t); /* which steps have their action; NULL: all */
  bool without_final;                   /* the last action's next state was not recorded */
  /* episodes of hopper under random actions, of its env, instead */
  bool hopper;
  bool stretched; /* all states twice as large, which no simulator's law gives */
};
enum { WORKERS_STEPS = 40 }; /* of each trajectory */
const char *workers_dataset_of(struct store *store, const char *name,
                               const struct workers_world *world);

/* Plans and submits; id of the first job (the pipeline's). `spec` is JSON text. */
void workers_submit(struct store *store, const char *dataset, enum flow_kind kind, const char *spec,
                    char id[STORE_ID_MAX]);
/* The result of a job that succeeded; the caller's. */
json_t *workers_result(struct store *store, const char *job);
/* Waits until `sql` gives `expected`, at most `timeout_s`; fails the test otherwise. */
void workers_await(const char *expected, double timeout_s, const char *sql, ...) PX_PRINTF(3, 4);

/* The program's store, without jobs and datasets; workers have ended. */
struct store *workers_store(const char *application);
/* A digest over the tensors of the model that a job published: its metadata names dataset and
 * job. */
void workers_model_digest(struct store *store, const char *job, char hex[PX_SHA256_HEX]);

#endif
