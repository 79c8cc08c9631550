/*
 * Training and labelling against PyTorch on the same core in the same run.
 *
 *   build/tests/bench/bench_learning OUT.csv [PART-OF-A-NAME]      (make bench-learning)
 *
 * Every work is measured in rounds, ours and torch's by turns, since machines
 * drift, in CPU seconds of the one thread that computes, so that neighbours on
 * the machine disturb little; the medians are reported, with the share of this core's float32 peak,
 * which is measured beside. QUICK=1 takes shorter rounds. tests/bench/bench_torch.py
 * is the peer, run as a child with one thread; without torch its column is 0.
 */
#include <errno.h>
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/rng.h"
#include "worker/nn/adam.h"
#include "worker/nn/loss.h"
#include "worker/nn/mat.h"
#include "worker/rl/rl.h"

static double cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak of one core: independent fused multiply-adds in registers */

#define PEAK(function, isa, vector, set1, fma, lanes)                                                     \
  __attribute__((target(isa))) static double function(void) {                                             \
    enum { CHAINS = 12, TIMES = 4000000 };                                                                \
    vector a0 = set1(0.1F), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, \
           a10 = a0, a11 = a0;                                                                            \
    const vector x = set1(0.999F), y = set1(1e-3F);                                                       \
    const double start = cpu_s();                                                                    \
    for (int i = 0; i < TIMES; i++) {                                                                     \
      a0 = fma(a0, x, y), a1 = fma(a1, x, y), a2 = fma(a2, x, y), a3 = fma(a3, x, y);                     \
      a4 = fma(a4, x, y), a5 = fma(a5, x, y), a6 = fma(a6, x, y), a7 = fma(a7, x, y);                     \
      a8 = fma(a8, x, y), a9 = fma(a9, x, y), a10 = fma(a10, x, y), a11 = fma(a11, x, y);                 \
      /* Each chain is kept apart, or the compiler would see that all are equal. */                       \
      __asm__ volatile("" : "+x"(a0), "+x"(a1), "+x"(a2), "+x"(a3), "+x"(a4), "+x"(a5), "+x"(a6), "+x"(a7)); \
      __asm__ volatile("" : "+x"(a8), "+x"(a9), "+x"(a10), "+x"(a11));                                    \
    }                                                                                                     \
    return (double)CHAINS * TIMES * 2 * lanes / (cpu_s() - start) / 1e9;                             \
  }

#ifdef __x86_64__
PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)

static double peak_gflops(void) {
  double best = 0;
  for (int i = 0; i < 3; i++) {
    const double wide = __builtin_cpu_supports("avx512f") ? peak_avx512() : 0;
    const double narrow = __builtin_cpu_supports("fma") ? peak_avx2() : 0;
    best = wide > best ? wide : best;
    best = narrow > best ? narrow : best;
  }
  return best;
}
#else
static double peak_gflops(void) { return 0; }
#endif

/* ---- works */

struct work {
  const char *name;           /* as bench_torch.py knows it */
  uint32_t obs_dim, act_dim, batch, hidden;
  double gflop;               /* of one unit */
  double units;               /* that one call of run makes */
  void *(*open)(const struct work *w);
  void (*run)(void *state);
  void (*close)(void *state);
};

static void *must(void *p) {
  if (!p) exit(1);
  return p;
}
static void must_ok(enum px_status status, const struct px_err *err) {
  if (!status) return;
  fprintf(stderr, "%s\n", err->message);
  exit(1);
}

/* Multiply-adds times two of a net's forward pass for one row; of its weights' gradients likewise. */
static double mlp_flops(double in, double hidden, double out) { return 2 * (in * hidden + hidden * hidden + hidden * out); }

struct rl_run {
  struct px_dataset ds;
  struct px_union u;
  struct rl_spec spec;
  struct rl_data *data;
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
  ds->observations = must(px_calloc(ds->obs_n, sizeof(float) * o));
  ds->rewards = must(px_calloc(ds->steps_n, sizeof(float)));
  ds->step_start = must(px_calloc(TRAJ_N + 1, sizeof(uint64_t)));
  ds->obs_start = must(px_calloc(TRAJ_N + 1, sizeof(uint64_t)));
  ds->terminated = must(px_calloc(TRAJ_N, 1));
  ds->has_final = must(px_calloc(TRAJ_N, 1));
  for (uint32_t i = 0; i <= TRAJ_N; i++) ds->step_start[i] = i * STEPS, ds->obs_start[i] = i * (STEPS + 1);
  for (uint32_t i = 0; i < TRAJ_N; i++) ds->has_final[i] = 1, ds->terminated[i] = i % 2;
  px_rng_normal(&rng, ds->observations, ds->obs_n * o);
  px_rng_normal(&rng, ds->rewards, ds->steps_n);
  r->u.ds = ds;
  r->u.actions = must(px_calloc(ds->steps_n, sizeof(float) * a));
  r->u.source = must(px_calloc(ds->steps_n, 1));
  r->u.score = must(px_calloc(ds->steps_n, sizeof(float)));
  for (uint64_t i = 0; i < ds->steps_n * a; i++) r->u.actions[i] = 2 * px_rng_float(&rng) - 1;
  memset(r->u.source, PX_SOURCE_TRUE, ds->steps_n);
}

/* What cql is measured with, whatever its defaults: the paper's sizes; every action in the gradient, or few (cql.h). */
enum { CQL_LAYERS = 3, CQL_ACTIONS = 10, CQL_FEW = 2 };
static uint32_t cql_backward(const struct work *w) { return strstr(w->name, "few") ? CQL_FEW : 0; }

/* A policy algorithm, by the name that the work's begins with. */
static void *rl_open(const struct work *w) {
  struct rl_run *r = must(px_calloc(1, sizeof *r));
  struct px_err err;
  char algo[sizeof r->spec.algo];
  snprintf(algo, sizeof algo, "%.*s", (int)strcspn(w->name, "_"), w->name);
  synthetic(r, w->obs_dim, w->act_dim);
  must_ok(rl_spec_defaults(algo, &r->spec, &err), &err);
  must_ok(rl_spec_set(&r->spec, "batch", w->batch, &err), &err);
  must_ok(rl_spec_set(&r->spec, "hidden", w->hidden, &err), &err);
  if (strcmp(algo, "cql") == 0) {
    must_ok(rl_spec_set(&r->spec, "layers", CQL_LAYERS, &err), &err);
    must_ok(rl_spec_set(&r->spec, "actions", CQL_ACTIONS, &err), &err);
    must_ok(rl_spec_set(&r->spec, "backward_actions", cql_backward(w), &err), &err);
  }
  must_ok(rl_data_new(&r->u, &r->spec, &r->data, &err), &err);
  must_ok(rl_algo_find(algo)->init(&r->spec, r->data, &r->state, &err), &err);
  return r;
}

static void rl_run(void *state) {
  struct rl_run *r = state;
  double losses[RL_LOSSES_MAX];
  rl_algo_find(r->spec.algo)->step(r->state, r->step++, losses);
}

static void rl_close(void *state) {
  struct rl_run *r = state;
  rl_algo_find(r->spec.algo)->free(r->state);
  rl_data_free(r->data);
  struct px_dataset *ds = &r->ds;
  free(ds->observations), free(ds->rewards), free(ds->step_start), free(ds->obs_start);
  free(ds->terminated), free(ds->has_final), free(r->u.actions), free(r->u.source), free(r->u.score), free(r);
}

/* Forward: pi', two Q', two Q; backward: weights and inner layers of two Q. Every other update
 * the actor's forward and backward, Q_1's forward and its inputs' gradient. */
static double td3bc_gflop(const struct work *w) {
  const double h = w->hidden, both = w->obs_dim + w->act_dim;
  const double actor = mlp_flops(w->obs_dim, h, w->act_dim), critic = mlp_flops(both, h, 1);
  const double inner_q = 2 * (h * h + h), inner_pi = 2 * (h * h + h * w->act_dim);
  const double always = actor + 4 * critic + 2 * (critic + inner_q);
  const double often = actor + 2 * critic + actor + inner_pi;
  return w->batch * (always + often / 2) / 1e9;
}

/* Forward: V of two states, two Q', two Q, pi; backward: weights and inner layers of V, two Q and pi. */
static double iql_gflop(const struct work *w) {
  const double h = w->hidden, both = w->obs_dim + w->act_dim;
  const double value = mlp_flops(w->obs_dim, h, 1), critic = mlp_flops(both, h, 1), actor = mlp_flops(w->obs_dim, h, w->act_dim);
  const double inner_q = 2 * (h * h + h), inner_pi = 2 * (h * h + h * w->act_dim);
  return w->batch * (2 * value + 4 * critic + actor + value + 2 * critic + actor + 3 * inner_q + inner_pi) / 1e9;
}

/* The operations that are executed. Critics' losses: forward, weights' and inner layers' gradients for every action of a
 * state, but the state's part of the first layer once; with few in the gradient, forward of all, and all three of those.
 * Beside it the actor's forward for s and s' and its gradients; two Q with their inputs' gradient for its loss; two Q'.
 * hopper, batch 256: 13.3 GFLOP (few: 6.1); with the first layer for every action 13.4, and 14.8 with the actor on
 * repeated states too, as the peer does it. */
static double cql_gflop(const struct work *w) {
  const double h = w->hidden, o = w->obs_dim, a = w->act_dim, asked = 1 + 3 * CQL_ACTIONS, few = 1 + cql_backward(w);
  const double between = 2 * h * h * (CQL_LAYERS - 1), inner_q = between + 2 * h, inner_pi = between + 4 * a * h;
  const double critic = 2 * (o + a) * h + inner_q, actor = 2 * o * h + inner_pi;
  const double state = 2 * o * h, action = 2 * a * h + inner_q;
  const double all = 2 * (state + asked * action) + asked * inner_q, drawn = 2 * (state + few * action) + few * inner_q;
  const double fan = few > 1 ? state + asked * action + drawn : all;
  return w->batch * (2 * fan + 3 * actor + inner_pi + 4 * critic + 2 * critic) / 1e9;
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

static void *idm_open(const struct work *w) {
  struct idm_run *r = must(px_calloc(1, sizeof *r));
  const struct px_mlp_shape shape = { .in = 2 * w->obs_dim, .out = w->act_dim, .hidden = w->hidden, .layers = 2, .dropout = 0.1F };
  struct px_rng rng = px_rng_at(1, px_rng_stream("bench", 1), 0);
  struct px_err err;
  r->batch = w->batch, r->in = shape.in, r->out = shape.out;
  for (int i = 0; i < 2; i++) {
    must_ok(px_mlp_new(&shape, &r->nets[i], &err), &err);
    must_ok(px_mlp_init(r->nets[i], PX_MLP_ORTHOGONAL, 1, (uint64_t)i), &err);
    must_ok(px_mlp_work_new(&shape, PX_MLP_CHUNK, &r->works[i]), &err);
    must_ok(px_adam_init(&r->adams[i], r->nets[i]->params_n, PX_ADAM_DEFAULTS(1e-4F)), &err);
    r->grads[i] = must(px_calloc(r->nets[i]->params_n, sizeof(float)));
    r->d[i] = must(px_calloc(PX_MLP_CHUNK, sizeof(float) * shape.out));
  }
  r->x = must(px_calloc(POOL, sizeof(float) * shape.in));
  r->action = must(px_calloc(POOL, sizeof(float) * shape.out));
  px_rng_normal(&rng, r->x, (size_t)POOL * shape.in);
  for (size_t i = 0; i < (size_t)POOL * shape.out; i++) r->action[i] = 1.9F * px_rng_float(&rng) - 0.95F;
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
    px_loss_squashed_nll(n, r->out, y[0], y[1], r->action + (first + row) * r->out, NULL, 1.0 / r->batch, r->d[0], r->d[1]);
    for (int i = 0; i < 2; i++) px_mlp_backward(r->nets[i], r->works[i], x, n, r->d[i], r->grads[i], row > 0, NULL);
  }
  for (int i = 0; i < 2; i++) px_adam_step(&r->adams[i], r->nets[i]->params, r->grads[i]);
  r->step++;
}

static void idm_label(void *state) {
  struct idm_run *r = state;
  for (uint32_t row = 0; row < r->batch; row += PX_MLP_CHUNK)
    for (int i = 0; i < 2; i++) px_mlp_forward(r->nets[i], r->works[i], r->x + (size_t)row * r->in, PX_MLP_CHUNK, NULL);
}

static double idm_train_gflop(const struct work *w) {
  const double h = w->hidden;
  return 2 * w->batch * (2 * mlp_flops(2 * w->obs_dim, h, w->act_dim) + 2 * (h * h + h * w->act_dim)) / 1e9;
}

/* ---- the peer */

struct peer { pid_t pid; FILE *to, *from; };

static bool peer_start(struct peer *p) {
  int in[2], out[2];
  if (pipe(in) || pipe(out)) return false;
  p->pid = fork();
  if (p->pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    close(in[1]), close(out[0]);
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    execl("/usr/bin/python3", "python3", "tests/bench/bench_torch.py", (char *)NULL);
    _exit(127);
  }
  close(in[0]), close(out[1]);
  p->to = fdopen(in[1], "w");
  p->from = fdopen(out[0], "r");
  char line[128];
  if (p->pid > 0 && p->to && p->from && fgets(line, sizeof line, p->from) && strncmp(line, "ready", 5) == 0) {
    printf("peer: torch %s", line + 6);
    return true;
  }
  printf("SKIP peer: python3-torch does not answer\n");
  return false;
}

/* Units per second over `seconds`; 0 if the peer fails. */
static double peer_rate(struct peer *p, const struct work *w, double seconds) {
  char line[128];
  fprintf(p->to, "%s %u %u %u %u %g\n", w->name, w->obs_dim, w->act_dim, w->batch, w->hidden, seconds);
  fflush(p->to);
  return fgets(line, sizeof line, p->from) ? strtod(line, NULL) : 0;
}

static void peer_stop(struct peer *p) {
  fclose(p->to);
  fclose(p->from);
  waitpid(p->pid, NULL, 0);
}

/* ---- measuring */

static double our_rate(const struct work *w, void *state, double seconds) {
  uint64_t n = 0;
  double took;
  const double start = cpu_s();
  do {
    w->run(state);
    n++;
  } while ((took = cpu_s() - start) < seconds);
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

static void measure(const struct work *w, struct peer *peer, int rounds, double seconds, FILE *csv) {
  double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], peaks[ROUNDS_MAX];
  void *state = w->open(w);
  our_rate(w, state, 0.2);
  for (int i = 0; i < rounds; i++) {
    peaks[i] = peak_gflops();
    ours[i] = our_rate(w, state, seconds);
    theirs[i] = peer ? peer_rate(peer, w, seconds) : 0;
  }
  w->close(state);
  const size_t n = (size_t)rounds;
  const double our = median(ours, n), their = median(theirs, n), peak = median(peaks, n), gflops = our * w->gflop;
  printf("%-28s %10.1f %10.1f %7.2fx %8.1f %8.1f %6.0f%%\n", w->name, our, their, their > 0 ? our / their : 0, gflops,
         peak, peak > 0 ? 100 * gflops / peak : 0);
  fprintf(csv, "%s,1,%.3f,%.3f,%.3f,%.3f,%.3f,%.4f\n", w->name, our, their, their > 0 ? our / their : 0, gflops, peak,
          peak > 0 ? gflops / peak : 0);
}

int main(int argc, char **argv) {
  struct work works[] = {
    { "td3bc_hopper", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "td3bc_halfcheetah", 17, 6, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "td3bc_hopper_5120", 11, 3, 5120, 256, 0, 1, rl_open, rl_run, rl_close },
    { "iql", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "cql", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "cql_few", 11, 3, 256, 256, 0, 1, rl_open, rl_run, rl_close },
    { "idm_train", 11, 3, 1024, 1024, 0, 1, idm_open, idm_train, idm_close },
    { "idm_label", 11, 3, 4096, 1024, 0, 4096, idm_open, idm_label, idm_close },
  };
  const char *quick_text = getenv("QUICK");
  const bool quick = quick_text && *quick_text && strcmp(quick_text, "0") != 0;
  char profile[PX_MAT_PROFILE_MAX];
  struct peer peer;
  FILE *csv = argc == 2 || argc == 3 ? fopen(argv[1], "w") : NULL;
  if (!csv) {
    fprintf(stderr, "usage: %s OUT.csv [PART-OF-A-NAME]\n", argv[0]);
    return 2;
  }
  px_mat_profile(profile);
  printf("ours: %s, one thread\n", profile);
  const bool has_peer = peer_start(&peer);
  printf("%-28s %10s %10s %8s %8s %8s %7s\n", "work", "ours/s", "torch/s", "ratio", "GFLOP/s", "peak", "share");
  fprintf(csv, "work,threads,ours_per_s,torch_per_s,ratio,gflops,peak_gflops,fraction\n");
  for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
    struct work *w = &works[i];
    if (argc == 3 && !strstr(w->name, argv[2])) continue;
    if (strncmp(w->name, "td3bc", 5) == 0) w->gflop = td3bc_gflop(w);
    else if (strcmp(w->name, "iql") == 0) w->gflop = iql_gflop(w);
    else if (strncmp(w->name, "cql", 3) == 0) w->gflop = cql_gflop(w);
    else if (w->run == idm_train) w->gflop = idm_train_gflop(w);
    else w->gflop = 2 * mlp_flops(2 * w->obs_dim, w->hidden, w->act_dim) / 1e9;
    measure(w, has_peer ? &peer : NULL, quick ? 3 : 7, quick ? 0.8 : 2.0, csv);
    fflush(stdout);
  }
  if (has_peer) peer_stop(&peer);
  return fclose(csv) ? 1 : 0;
}
