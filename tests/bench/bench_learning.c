/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training and labelling against PyTorch on the same core in the same run.
 *
 *   build/tests/bench/bench_learning OUT.csv [PART-OF-A-NAME]      (make bench-learning)
 *
 * Every work is measured in rounds, ours and torch's by turns, since machines
 * drift, in CPU seconds of the one thread that computes, so that neighbours on
 * the machine disturb little; the medians are reported, with the share of this
 * core's float32 peak, which is measured beside. Two works are also run by two
 * processes at a time, in wall time. QUICK=1 takes shorter rounds;
 * PRODUCTS=onednn|cblas leaves products to that library. tests/bench/bench_torch.py
 * is the peer, run as a child with one thread; without torch its column is 0. At the
 * end stands which kinds of functions ours spent its time in. learning/ has the parts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/nn/adam.h"
#include "lib/nn/loss.h"
#include "lib/nn/mat.h"
#include "lib/rl/rl.h"
#include "tests/bench/bench.h"
#include "tests/bench/learning/learning.h"

/* ---- works */

static void *must(void *p) {
  if (!p) exit(1);
  return p;
}
/* Multiply-adds times two of a net's forward pass for one row; of its weights' gradients
 * likewise. */
static double mlp_flops(double in, double hidden, double out) {
  return 2 * (in * hidden + hidden * hidden + hidden * out);
}

struct rl_run {
  struct px_dataset ds;
  struct px_actions_merged u;
  struct rl_spec spec;
  struct rl_data *data;
  struct px_arena *arena; /* holds state */
  void *state;
  uint64_t step;
};

enum { TRAJ_N = 100, STEPS = 1000 };

static void synthetic(struct rl_run *r, uint32_t o, uint32_t a) {
  struct px_dataset *ds = &r->ds;
  struct px_rng rng = px_rng_at(1, px_rng_stream("bench", 0), 0);
  ds->spaces.obs_dim = o, ds->spaces.act_dim = a;
  for (uint32_t j = 0; j < a; j++) ds->spaces.act_low[j] = -1, ds->spaces.act_high[j] = 1;
  ds->traj_n = TRAJ_N, ds->steps_n = TRAJ_N * STEPS, ds->obs_n = TRAJ_N * (STEPS + 1);
  ds->observations = must(px_mem_calloc(ds->obs_n, sizeof(float) * o));
  ds->rewards = must(px_mem_calloc(ds->steps_n, sizeof(float)));
  ds->step_start = must(px_mem_calloc(TRAJ_N + 1, sizeof(uint64_t)));
  ds->obs_start = must(px_mem_calloc(TRAJ_N + 1, sizeof(uint64_t)));
  ds->terminated = must(px_mem_calloc(TRAJ_N, 1));
  ds->has_final = must(px_mem_calloc(TRAJ_N, 1));
  for (uint32_t i = 0; i <= TRAJ_N; i++)
    ds->step_start[i] = i * STEPS, ds->obs_start[i] = i * (STEPS + 1);
  for (uint32_t i = 0; i < TRAJ_N; i++) ds->has_final[i] = 1, ds->terminated[i] = i % 2;
  px_rng_normal(&rng, ds->observations, ds->obs_n * o);
  px_rng_normal(&rng, ds->rewards, ds->steps_n);
  r->u.ds = ds;
  r->u.actions = must(px_mem_calloc(ds->steps_n, sizeof(float) * a));
  r->u.source = must(px_mem_calloc(ds->steps_n, 1));
  r->u.score = must(px_mem_calloc(ds->steps_n, sizeof(float)));
  for (uint64_t i = 0; i < ds->steps_n * a; i++) r->u.actions[i] = 2 * px_rng_float(&rng) - 1;
  memset(r->u.source, PX_SOURCE_TRUE, ds->steps_n);
}

/* What cql is measured with, whatever its defaults: the paper's sizes; every action in the
 * gradient, or few (cql.h). */
enum { CQL_LAYERS = 3, CQL_ACTIONS = 10, CQL_FEW = 2 };
static uint32_t cql_backward(const struct learning_work *w) {
  return strstr(w->name, "few") ? CQL_FEW : 0;
}
/* And dt: the reduced profile. */
enum { DT_LAYERS = 3, DT_HEADS = 1, DT_CONTEXT = 20 };

/* A policy algorithm, by the name that the work's begins with. */
static void *rl_open(const struct learning_work *w) {
  struct rl_run *r = must(px_mem_calloc(1, sizeof *r));
  struct px_err err;
  char algo[sizeof r->spec.algo];
  snprintf(algo, sizeof algo, "%.*s", (int)strcspn(w->name, "_"), w->name);
  synthetic(r, w->obs_dim, w->act_dim);
  bench_must(rl_spec_defaults(algo, &r->spec, &err), &err);
  bench_must(rl_spec_set(&r->spec, "batch", w->batch, &err), &err);
  bench_must(rl_spec_set(&r->spec, "hidden", w->hidden, &err), &err);
  if (strcmp(algo, "cql") == 0) {
    bench_must(rl_spec_set(&r->spec, "layers", CQL_LAYERS, &err), &err);
    bench_must(rl_spec_set(&r->spec, "n_action_samples", CQL_ACTIONS, &err), &err);
    bench_must(rl_spec_set(&r->spec, "backward_actions", cql_backward(w), &err), &err);
  }
  if (strcmp(algo, "dt") == 0) {
    bench_must(rl_spec_set(&r->spec, "layers", DT_LAYERS, &err), &err);
    bench_must(rl_spec_set(&r->spec, "heads", DT_HEADS, &err), &err);
    bench_must(rl_spec_set(&r->spec, "context", DT_CONTEXT, &err), &err);
    bench_must(rl_spec_set(&r->spec, "dropout", 0.1, &err), &err);
  }
  bench_must(rl_data_new(&r->u, &r->spec, &r->data, &err), &err);
  r->arena = must(px_arena_new(RL_ARENA_BYTES_MAX));
  bench_must(rl_algo_find(algo)->init(r->arena, &r->spec, r->data, &r->state, &err), &err);
  return r;
}

static void rl_run(void *state) {
  struct rl_run *r = state;
  double losses[RL_LOSSES_MAX];
  rl_algo_find(r->spec.algo)->step(r->state, r->step++, losses);
}

static void rl_close(void *state) {
  struct rl_run *r = state;
  px_arena_free(r->arena);
  rl_data_free(r->data);
  struct px_dataset *ds = &r->ds;
  free(ds->observations), free(ds->rewards), free(ds->step_start), free(ds->obs_start);
  free(ds->terminated), free(ds->has_final), free(r->u.actions), free(r->u.source),
    free(r->u.score), free(r);
}

/* Forward: pi', two Q', two Q; backward: weights and inner layers of two Q. Every other update
 * the actor's forward and backward, Q_1's forward and its inputs' gradient. */
static double td3bc_gflop(const struct learning_work *w) {
  const double h = w->hidden, both = w->obs_dim + w->act_dim;
  const double actor = mlp_flops(w->obs_dim, h, w->act_dim), critic = mlp_flops(both, h, 1);
  const double inner_q = 2 * (h * h + h), inner_pi = 2 * (h * h + h * w->act_dim);
  const double always = actor + 4 * critic + 2 * (critic + inner_q);
  const double often = actor + 2 * critic + actor + inner_pi;
  return w->batch * (always + often / 2) / 1e9;
}

/* Forward: V of two states, two Q', two Q, pi; backward: weights and inner layers of V, two Q and
 * pi. */
static double iql_gflop(const struct learning_work *w) {
  const double h = w->hidden, both = w->obs_dim + w->act_dim;
  const double value = mlp_flops(w->obs_dim, h, 1), critic = mlp_flops(both, h, 1);
  const double actor = mlp_flops(w->obs_dim, h, w->act_dim);
  const double inner_q = 2 * (h * h + h), inner_pi = 2 * (h * h + h * w->act_dim);
  return w->batch *
         (2 * value + 4 * critic + actor + value + 2 * critic + actor + 3 * inner_q + inner_pi) /
         1e9;
}

/* The operations that are executed. Critics' losses: forward, weights' and inner layers' gradients
 * for every action of a state, but the state's part of the first layer once; with few in the
 * gradient, forward of all, and all three of those. Beside it the actor's forward for s and s' and
 * its gradients; two Q with their inputs' gradient for its loss; two Q'. hopper, batch 256: 13.3
 * GFLOP (few: 6.1); with the first layer for every action 13.4, and 14.8 with the actor on repeated
 * states too, as the peer does it. */
static double cql_gflop(const struct learning_work *w) {
  const double h = w->hidden, o = w->obs_dim, a = w->act_dim, asked = 1 + 3 * CQL_ACTIONS,
               few = 1 + cql_backward(w);
  const double between = 2 * h * h * (CQL_LAYERS - 1), inner_q = between + 2 * h,
               inner_pi = between + 4 * a * h;
  const double critic = 2 * (o + a) * h + inner_q, actor = 2 * o * h + inner_pi;
  const double state = 2 * o * h, action = 2 * a * h + inner_q;
  const double all = 2 * (state + asked * action) + asked * inner_q,
               drawn = 2 * (state + few * action) + few * inner_q;
  const double fan = few > 1 ? state + asked * action + drawn : all;
  return w->batch * (2 * fan + 3 * actor + inner_pi + 4 * critic + 2 * critic) / 1e9;
}

/* The operations that are executed: attention as far as a token may look, and the last layer's
 * queries, and all behind them, for state tokens alone. A stretch that meets its trajectory's end
 * is shorter. Gradients are twice the forward pass. hopper, batch 64, width 64: 3.0 GFLOP. */
static double dt_gflop(const struct learning_work *w) {
  const double h = w->hidden, steps = DT_CONTEXT * (1 - (DT_CONTEXT - 1) / (2.0 * STEPS)),
               tokens = 3 * steps;
  const double looks = 2 * 2 * h * (tokens + 1) / 2, whole = 2 * 12 * h * h + looks;
  const double last = tokens * 2 * 2 * h * h + steps * (2 * 10 * h * h + looks);
  const double ends =
    steps * 2 * h * (w->obs_dim + w->act_dim) * 2 / 3 + steps * 2 * h * 2 * w->act_dim;
  return 3 * w->batch * ((DT_LAYERS - 1) * tokens * whole + last + ends) / 1e9;
}

/* Two nets, mu and y, on windows of two states; the squashed likelihood; Adam. */
struct idm_run {
  struct px_mlp *nets[2];
  struct px_mlp_work *works[2];
  struct px_adam adams[2];
  float *grads[2], *x, *action, *d[2];
  uint32_t batch, in, out;
  uint64_t step;
};

enum { POOL = 8192 };

static void *idm_open(const struct learning_work *w) {
  struct idm_run *r = must(px_mem_calloc(1, sizeof *r));
  const struct px_mlp_shape shape = {
    .in = 2 * w->obs_dim, .out = w->act_dim, .hidden = w->hidden, .layers = 2, .dropout = 0.1F
  };
  struct px_rng rng = px_rng_at(1, px_rng_stream("bench", 1), 0);
  struct px_err err;
  r->batch = w->batch, r->in = shape.in, r->out = shape.out;
  for (int i = 0; i < 2; i++) {
    bench_must(px_mlp_new(&shape, &r->nets[i], &err), &err);
    bench_must(px_mlp_init(r->nets[i], PX_MLP_ORTHOGONAL, 1, (uint64_t)i), &err);
    bench_must(px_mlp_work_new(&shape, PX_MLP_CHUNK, &r->works[i]), &err);
    bench_must(px_adam_init(&r->adams[i], r->nets[i]->params_n, PX_ADAM_DEFAULTS(1e-4F)), &err);
    r->grads[i] = must(px_mem_calloc(r->nets[i]->params_n, sizeof(float)));
    r->d[i] = must(px_mem_calloc(PX_MLP_CHUNK, sizeof(float) * shape.out));
  }
  r->x = must(px_mem_calloc(POOL, sizeof(float) * shape.in));
  r->action = must(px_mem_calloc(POOL, sizeof(float) * shape.out));
  px_rng_normal(&rng, r->x, (size_t)POOL * shape.in);
  for (size_t i = 0; i < (size_t)POOL * shape.out; i++)
    r->action[i] = 1.9F * px_rng_float(&rng) - 0.95F;
  return r;
}

static void idm_close(void *state) {
  struct idm_run *r = state;
  for (int i = 0; i < 2; i++) {
    px_mlp_free(r->nets[i]);
    px_mlp_work_free(r->works[i]);
    px_adam_free(&r->adams[i]);
    free(r->grads[i]), free(r->d[i]);
  }
  free(r->x), free(r->action), free(r);
}

static void idm_train(void *state) {
  struct idm_run *r = state;
  const size_t first = r->step * r->batch % (POOL - r->batch + 1);
  for (uint32_t row = 0; row < r->batch; row += PX_MLP_CHUNK) {
    const uint32_t n = r->batch - row < PX_MLP_CHUNK ? r->batch - row : PX_MLP_CHUNK;
    const float *x = r->x + (first + row) * r->in, *y[2];
    for (uint64_t i = 0; i < 2; i++) {
      const struct px_mlp_drop drop = { i, r->step, row };
      y[i] = px_mlp_forward(r->nets[i], r->works[i], x, n, &drop);
    }
    px_loss_squashed_nll(n, r->out, y[0], y[1], r->action + (first + row) * r->out, NULL,
                         1.0 / r->batch, r->d[0], r->d[1]);
    for (int i = 0; i < 2; i++)
      px_mlp_backward(r->nets[i], r->works[i], x, n, r->d[i], r->grads[i], row > 0, NULL);
  }
  for (int i = 0; i < 2; i++) px_adam_step(&r->adams[i], r->nets[i]->params, r->grads[i]);
  r->step++;
}

static void idm_label(void *state) {
  struct idm_run *r = state;
  for (uint32_t row = 0; row < r->batch; row += PX_MLP_CHUNK)
    for (int i = 0; i < 2; i++)
      px_mlp_forward(r->nets[i], r->works[i], r->x + (size_t)row * r->in, PX_MLP_CHUNK, NULL);
}

static double idm_train_gflop(const struct learning_work *w) {
  const double h = w->hidden;
  return 2 * w->batch *
         (2 * mlp_flops(2 * w->obs_dim, h, w->act_dim) + 2 * (h * h + h * w->act_dim)) / 1e9;
}

/* ---- measuring */

static double our_rate(const struct learning_work *w, void *state, double seconds) {
  uint64_t n = 0;
  double took;
  const double start = learning_cpu_s();
  do {
    w->run(state);
    n++;
  } while ((took = learning_cpu_s() - start) < seconds);
  return (double)n * w->units / took;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
  qsort(values, n, sizeof *values, by_value);
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

enum { ROUNDS_MAX = 9 };

struct row {
  uint32_t samples;
  double shares[LEARNING_PARTS_N];
};

static void put_row(FILE *csv, const struct learning_work *w, int threads, double our, double their,
                    double peak) {
  const double gflops = our * w->gflop, ratio = their > 0 ? our / their : 0,
               share = peak > 0 ? gflops / peak : 0;
  char name[64];
  snprintf(name, sizeof name, "%s%s", w->name, threads > 1 ? ", 2 processes" : "");
  printf("%-28s %10.1f %10.1f %7.2fx %8.1f %8.1f %6.0f%%\n", name, our, their, ratio, gflops, peak,
         100 * share);
  fprintf(csv, "%s,%d,%.3f,%.3f,%.3f,%.3f,%.3f,%.4f\n", w->name, threads, our, their, ratio, gflops,
          peak, share);
  fflush(stdout);
}

/* In wall time, so this says something on a machine that is idle otherwise; the last column is of
 * two cores' peak. */
static void measure_pair(const struct learning_work *w, void *state, int rounds, double peak,
                         FILE *csv) {
  double one[ROUNDS_MAX], two[ROUNDS_MAX];
  for (int i = 0; i < rounds; i++) {
    one[i] = learning_rate_of(w, state, 1, 1);
    two[i] = learning_rate_of(w, state, 2, 1);
  }
  const double alone = median(one, (size_t)rounds), both = median(two, (size_t)rounds);
  put_row(csv, w, 2, both, 0, 2 * peak);
  printf("  two processes at a time: %.2f times one (%.1f/s), wall time\n", both / alone, alone);
}

static void measure(const struct learning_work *w, struct learning_peer *peer, int rounds,
                    double seconds, FILE *csv, struct row *row) {
  double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], peaks[ROUNDS_MAX];
  void *state = w->open(w);
  our_rate(w, state, 0.2);
  for (int i = 0; i < rounds; i++) {
    peaks[i] = learning_peak_gflops();
    learning_profile_start();
    ours[i] = our_rate(w, state, seconds);
    learning_profile_stop();
    theirs[i] = peer ? learning_peer_rate(peer, w, seconds) : 0;
  }
  row->samples = learning_profile_shares(row->shares);
  const double peak = median(peaks, (size_t)rounds);
  put_row(csv, w, 1, median(ours, (size_t)rounds), median(theirs, (size_t)rounds), peak);
  if (strcmp(w->name, "td3bc_hopper") == 0 || strcmp(w->name, "idm_train") == 0)
    measure_pair(w, state, rounds > 3 ? 5 : 1, peak, csv);
  w->close(state);
}

static void print_shares(const char *name, const struct row *row) {
  if (!row->samples) return;
  printf("%-28s", name);
  for (int i = 0; i < LEARNING_PARTS_N; i++) printf(" %14.1f%%", 100 * row->shares[i]);
  printf("  (%u samples)\n", row->samples);
}

int main(int argc, char **argv) {
  struct learning_work works[] = {
    { "td3bc_hopper", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "td3bc_halfcheetah", 17, 6, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "td3bc_hopper_5120", 11, 3, 5120, 256, 0, 1, rl_open, rl_run, rl_close },
    { "iql", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "cql", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "cql_few", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "dt", 11, 3, 64, 64, 0, 1, rl_open, rl_run, rl_close },
    { "idm_train", 11, 3, 1024, 1024, 0, 1, idm_open, idm_train, idm_close },
    { "idm_label", 11, 3, 4096, 1024, 0, 4096, idm_open, idm_label, idm_close },
  };
  struct row rows[sizeof works / sizeof *works] = { 0 };
  const char *quick_text = getenv("QUICK");
  const bool quick = quick_text && *quick_text && strcmp(quick_text, "0") != 0;
  char profile[PX_MAT_PROFILE_MAX];
  struct learning_peer peer;
  struct px_err err;
  FILE *csv = argc == 2 || argc == 3 ? fopen(argv[1], "w") : NULL;
  if (!csv) {
    fprintf(stderr, "usage: %s OUT.csv [PART-OF-A-NAME]\n", argv[0]);
    return 2;
  }
  const char *products = getenv("PRODUCTS");
  if (products)
    bench_must(px_mat_choose(strcmp(products, "onednn") == 0 ? PX_MAT_ONEDNN : PX_MAT_CBLAS, &err),
               &err);
  px_mat_profile(profile);
  printf("ours: %s, one thread\n", profile);
  const bool has_peer = learning_peer_start(&peer);
  printf("%-28s %10s %10s %8s %8s %8s %7s\n", "work", "ours/s", "torch/s", "ratio", "GFLOP/s",
         "peak", "share");
  fprintf(csv, "work,threads,ours_per_s,torch_per_s,ratio,gflops,peak_gflops,fraction\n");
  for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
    struct learning_work *w = &works[i];
    if (argc == 3 && !strstr(w->name, argv[2])) continue;
    if (strncmp(w->name, "td3bc", 5) == 0) w->gflop = td3bc_gflop(w);
    else if (strcmp(w->name, "iql") == 0) w->gflop = iql_gflop(w);
    else if (strncmp(w->name, "cql", 3) == 0) w->gflop = cql_gflop(w);
    else if (strncmp(w->name, "dt", 2) == 0) w->gflop = dt_gflop(w);
    else if (w->run == idm_train) w->gflop = idm_train_gflop(w);
    else w->gflop = 2 * mlp_flops(2 * w->obs_dim, w->hidden, w->act_dim) / 1e9;
    measure(w, has_peer ? &peer : NULL, quick ? 3 : 7, quick ? 0.5 : 2.0, csv, &rows[i]);
  }
  if (has_peer) learning_peer_stop(&peer);
  printf("%-28s", "where the time of ours goes");
  for (int i = 0; i < LEARNING_PARTS_N; i++) printf(" %15s", learning_part_names[i]);
  printf("\n");
  for (size_t i = 0; i < sizeof works / sizeof *works; i++) print_shares(works[i].name, &rows[i]);
  return fclose(csv) ? 1 : 0;
}
