/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of bench_learning.c: the peak of a core, PyTorch as a child, two processes
 * at a time, and where the time goes. Used by that program only. One thread;
 * whatever fails ends the program, or is left out and said.
 */
#ifndef PX_TESTS_BENCH_LEARNING_H
#define PX_TESTS_BENCH_LEARNING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct learning_work {
  const char *name; /* as bench_torch.py knows it */
  uint32_t obs_dim, act_dim, batch, hidden;
  double gflop; /* of one unit */
  double units; /* that one call of run makes */
  void *(*open)(const struct learning_work *w);
  void (*run)(void *state);
  void (*close)(void *state);
};

/* CPU seconds of the calling thread. */
double learning_cpu_s(void);
/* GFLOP/s; 0 where it is not known how. */
double learning_peak_gflops(void);

struct learning_peer {
  pid_t pid;
  FILE *to, *from;
};
bool learning_peer_start(struct learning_peer *p);
/* Units per CPU second over `seconds`; 0 if the peer fails. */
double learning_peer_rate(struct learning_peer *p, const struct learning_work *w, double seconds);
void learning_peer_stop(struct learning_peer *p);

/* Units per second of wall time of n processes at the same time, together. `state` is opened; each
 * works on a copy. */
double learning_rate_of(const struct learning_work *w, void *state, int n, double seconds);

/* Where the processor is, looked at on every tick of its clock (SIGPROF) between start and stop:
 * nothing is compiled into what is measured. Shares of the samples, by the names of functions;
 * oneDNN's kernels are code made at run time and lie in no file. */
enum learning_part {
  LEARNING_PRODUCTS,  /* matrix products, attention */
  LEARNING_LAYERS,    /* activations, biases, norms, dropout, losses; exp and tanh of libm */
  LEARNING_OPTIMISER, /* Adam, LAMB, averaged nets */
  LEARNING_BATCH,     /* draws, gathers, copies */
  LEARNING_REST,
  LEARNING_PARTS_N
};
extern const char *const learning_part_names[LEARNING_PARTS_N];
void learning_profile_start(void);
void learning_profile_stop(void);
/* Of the samples since the last call, which are forgotten; returns how many there were. */
uint32_t learning_profile_shares(double shares[LEARNING_PARTS_N]);

#endif
