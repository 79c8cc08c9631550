/* SPDX-License-Identifier: Apache-2.0 */
/* The amortised inverse: see net.h. */
#include "worker/sim/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/nn/adam.h"
#include "lib/nn/gather.h"
#include "lib/nn/loss.h"
#include "lib/nn/mlp.h"

static const float CLIP = 10; /* standard deviations of an input */
enum { LOSSES = 100 };

enum { SHAPE_OBS, SHAPE_ACT, SHAPE_HIDDEN, SHAPE_LAYERS, SHAPE_DELAY, SHAPE_N };

struct sim_net {
  uint64_t shape[SHAPE_N];
  struct px_mlp *mlp;
  float *mean, *inv_std; /* [2 O] */
  double *range;         /* [4 A]: middle, half, low and high of sim.h's u */
};

struct sim_net_spec sim_net_spec_default(void) {
  return (struct sim_net_spec){
    .pairs = 400000, .steps = 9000, .batch = 512, .hidden = 256, .layers = 3, .lr = 2e-3
  };
}

void sim_net_free(struct sim_net *net) {
  if (!net) return;
  px_mlp_free(net->mlp);
  free(net->mean);
  free(net->inv_std);
  free(net->range);
  free(net);
}

static enum px_status net_new(const uint64_t shape[SHAPE_N], struct sim_net **out,
                              struct px_err *err) {
  struct sim_net *net = px_mem_calloc(1, sizeof *net);
  const size_t in = 2 * (size_t)shape[SHAPE_OBS], dims = (size_t)shape[SHAPE_ACT];
  const struct px_mlp_shape mlp = { .in = (uint32_t)in,
                                    .out = (uint32_t)dims,
                                    .gelu = true,
                                    .hidden = (uint32_t)shape[SHAPE_HIDDEN],
                                    .layers = (uint32_t)shape[SHAPE_LAYERS] };
  if (!net) return px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  memcpy(net->shape, shape, sizeof net->shape);
  enum px_status status = px_mlp_new(&mlp, &net->mlp, err);
  net->mean = px_mem_calloc(in, sizeof *net->mean);
  net->inv_std = px_mem_calloc(in, sizeof *net->inv_std);
  net->range = px_mem_calloc(4 * dims, sizeof *net->range);
  if (!status && !(net->mean && net->inv_std && net->range))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for a net");
  if (status) sim_net_free(net);
  else *out = net;
  return status;
}

/* ---- training */

struct training {
  const struct sim_net_spec *spec;
  const struct sim_pairs *pairs;
  struct sim_net *net;
  struct px_mlp_work *work;
  struct px_adam adam;
  float *bx, *bu, *dy; /* a chunk of a batch */
  float *grads;
  double losses[LOSSES]; /* of the latest batches */
};

static struct px_normal normal_of(const struct sim_net *net) {
  return (struct px_normal){ .mean = net->mean, .inv_std = net->inv_std, .clip = CLIP };
}

static void measure(struct training *t) {
  const uint32_t in = t->net->mlp->shape.in, n = t->pairs->n;
  const float *x = t->pairs->x;
  for (uint32_t d = 0; d < in; d++) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i * in + d];
    const double mean = sum / n;
    for (size_t i = 0; i < n; i++)
      squares += ((double)x[i * in + d] - mean) * ((double)x[i * in + d] - mean);
    const double std = sqrt(squares / n);
    t->net->mean[d] = (float)mean;
    t->net->inv_std[d] = std > 1e-9 ? (float)(1 / std) : 0;
  }
}

static bool training_new(struct training *t, const struct px_mlp_shape *shape, size_t params_n) {
  t->bx = px_mem_calloc((size_t)PX_MLP_CHUNK * shape->in, sizeof *t->bx);
  t->bu = px_mem_calloc((size_t)PX_MLP_CHUNK * shape->out, sizeof *t->bu);
  t->dy = px_mem_calloc((size_t)PX_MLP_CHUNK * shape->out, sizeof *t->dy);
  t->grads = px_mem_calloc(params_n, sizeof *t->grads);
  return t->bx && t->bu && t->dy && t->grads &&
         px_mlp_work_new(shape, PX_MLP_CHUNK, &t->work) == PX_OK &&
         px_adam_init(&t->adam, params_n, PX_ADAM_DEFAULTS((float)t->spec->lr)) == PX_OK;
}

static void training_free(struct training *t) {
  free(t->bx);
  free(t->bu);
  free(t->dy);
  free(t->grads);
  px_mlp_work_free(t->work);
  px_adam_free(&t->adam);
}

static double train_step(struct training *t, uint64_t step) {
  const uint32_t in = t->net->mlp->shape.in, dims = t->net->mlp->shape.out, batch = t->spec->batch;
  struct px_rng rng = px_rng_at(t->spec->seed, px_rng_stream("sim_batch", step), 0);
  const struct px_normal normal = normal_of(t->net);
  double loss = 0;
  for (uint32_t row = 0; row < batch; row += PX_MLP_CHUNK) {
    const uint32_t n = batch - row < PX_MLP_CHUNK ? batch - row : PX_MLP_CHUNK;
    for (uint32_t i = 0; i < n; i++) {
      const size_t pair = px_rng_below(&rng, t->pairs->n);
      px_normalise(&normal, in, t->pairs->x + pair * in, t->bx + (size_t)i * in);
      memcpy(t->bu + (size_t)i * dims, t->pairs->u + pair * dims, sizeof(float) * dims);
    }
    const float *y = px_mlp_forward(t->net->mlp, t->work, t->bx, n, NULL);
    loss += px_loss_mse(n, dims, y, t->bu, NULL, 1.0 / batch / dims, t->dy);
    px_mlp_backward(t->net->mlp, t->work, t->bx, n, t->dy, t->grads, row > 0, NULL);
  }
  t->adam.options.lr = (float)(t->spec->lr * 0.5 * (1 + cos(M_PI * (double)step / t->spec->steps)));
  px_adam_step(&t->adam, t->net->mlp->params, t->grads);
  return loss;
}

static enum px_status train(struct training *t, const struct px_progress *progress,
                            struct px_checkpoint *checkpoint, struct px_err *err) {
  struct px_state state = { 0 };
  uint64_t step = 0;
  double reported_s = 0;
  enum px_status status =
    px_mlp_init(t->net->mlp, PX_MLP_UNIFORM, t->spec->seed, px_rng_stream("init", 0));
  px_state_net(&state, "net", t->net->mlp);
  px_state_adam(&state, "adam", &t->adam);
  px_state_doubles(&state, "losses", NULL, t->losses, LOSSES);
  if (!status && checkpoint) status = px_checkpoint_resume(checkpoint, &state, &step, err);
  while (step < t->spec->steps && !status) {
    const double loss = t->losses[step % LOSSES] = train_step(t, step);
    step++;
    if (!isfinite(loss))
      return px_fail(err, PX_E_NAN_LOSS, "the loss is no number at step %llu",
                     (unsigned long long)step);
    if (px_clock_s() - reported_s > 0.5) {
      const struct px_metric metric = { "loss", loss };
      reported_s = px_clock_s();
      status = px_progress_report(progress, "train", (int64_t)step, t->spec->steps, &metric, 1);
    }
    if (!status) status = px_checkpoint_step(checkpoint, &state, step, err);
  }
  return status;
}

static enum px_status check_spec(const struct sim_net_spec *s, const struct sim_pairs *pairs,
                                 struct px_err *err) {
  if (s->pairs != pairs->n || s->steps < 1 || s->batch < 1 || s->batch > SIM_NET_BATCH_MAX ||
      !(s->lr > 0 && s->lr <= 1))
    return px_fail(err, PX_E_BAD_FIELD,
                   "as many pairs as there are, batches of 1 to %d, at least a step, a rate above 0"
                   " to 1",
                   SIM_NET_BATCH_MAX);
  return PX_OK;
}

/* What the net answers in, for who applies it without the simulator. */
static void take_range(struct sim_net *net, const struct sim_pairs *pairs,
                       const struct px_spaces *spaces) {
  const size_t dims = pairs->act_dim;
  for (size_t j = 0; j < dims; j++) {
    const double low = (double)spaces->act_low[j], high = (double)spaces->act_high[j];
    net->range[j] = (low + high) / 2;
    net->range[dims + j] = (high - low) / 2;
    net->range[2 * dims + j] = pairs->low[j];
    net->range[3 * dims + j] = pairs->high[j];
  }
}

enum px_status sim_net_train(const struct sim_pairs *pairs, const struct px_spaces *spaces,
                             const struct sim_net_spec *spec, const struct px_progress *progress,
                             struct px_checkpoint *checkpoint, struct sim_net **out, double *loss,
                             struct px_err *err) {
  const uint64_t shape[SHAPE_N] = { pairs->obs_dim, pairs->act_dim, spec->hidden, spec->layers,
                                    pairs->delay };
  struct training t = { .spec = spec, .pairs = pairs };
  enum px_status status = check_spec(spec, pairs, err);
  if (!status) status = net_new(shape, &t.net, err);
  if (status) return status;
  take_range(t.net, pairs, spaces);
  if (!training_new(&t, &t.net->mlp->shape, t.net->mlp->params_n))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to train a net");
  if (!status) {
    measure(&t);
    status = train(&t, progress, checkpoint, err);
  }
  if (status) {
    sim_net_free(t.net);
  } else {
    const uint32_t n = spec->steps < LOSSES ? spec->steps : LOSSES;
    *loss = 0;
    for (uint32_t i = 0; i < n; i++) *loss += t.losses[i] / n;
    *out = t.net;
  }
  training_free(&t);
  return status;
}

/* ---- applying */

struct applying {
  const struct sim_net *net;
  struct px_mlp_work *work;
  float *x;       /* [PX_MLP_CHUNK, 2 O] */
  uint64_t *rows; /* [PX_MLP_CHUNK] where the answers go */
  uint32_t n;
  float *actions;
};

static void predict_batch(struct applying *a) {
  const uint32_t dims = a->net->mlp->shape.out;
  const double *middle = a->net->range, *half = middle + dims, *low = half + dims,
               *high = low + dims;
  const float *y = px_mlp_forward(a->net->mlp, a->work, a->x, a->n, NULL);
  for (uint32_t i = 0; i < a->n; i++)
    for (uint32_t j = 0; j < dims; j++)
      a->actions[a->rows[i] * dims + j] =
        (float)(middle[j] + half[j] * fmin(fmax((double)y[(size_t)i * dims + j], low[j]), high[j]));
  a->n = 0;
}

static void apply(struct applying *a, const struct px_dataset *ds, uint32_t from, uint32_t to) {
  const uint32_t obs = ds->spaces.obs_dim;
  const uint64_t delay = a->net->shape[SHAPE_DELAY];
  const struct px_normal normal = normal_of(a->net);
  float row[2 * SIM_OBS_MAX];
  for (uint32_t traj = from; traj < to; traj++) {
    const uint64_t steps = ds->step_start[traj + 1] - ds->step_start[traj];
    for (uint64_t t = delay; t < steps && px_dataset_next_known(ds, traj, t); t++) {
      const float *s = ds->observations + (ds->obs_start[traj] + t) * obs;
      for (uint32_t d = 0; d < obs; d++) {
        row[d] = s[d];
        row[obs + d] = s[obs + d] - s[d];
      }
      px_normalise(&normal, 2 * obs, row, a->x + (size_t)a->n * 2 * obs);
      a->rows[a->n++] = ds->step_start[traj] + t - delay - ds->step_start[from];
      if (a->n == PX_MLP_CHUNK) predict_batch(a);
    }
  }
  if (a->n) predict_batch(a);
}

enum px_status sim_net_apply(const struct sim_net *net, const struct px_dataset *ds, uint32_t from,
                             uint32_t to, float *actions, struct px_err *err) {
  if (ds->spaces.obs_dim != net->shape[SHAPE_OBS] || ds->spaces.act_dim != net->shape[SHAPE_ACT])
    return px_fail(err, PX_E_BAD_FIELD,
                   "the net was trained for %u observation dims and %u action dims",
                   (unsigned)net->shape[SHAPE_OBS], (unsigned)net->shape[SHAPE_ACT]);
  if (from > to || to > ds->traj_n)
    return px_fail(err, PX_E_BAD_FIELD, "trajectories %u to %u of %u", from, to, ds->traj_n);
  struct applying a = { .net = net, .actions = actions };
  a.x = px_mem_calloc((size_t)PX_MLP_CHUNK * net->mlp->shape.in, sizeof *a.x);
  a.rows = px_mem_calloc(PX_MLP_CHUNK, sizeof *a.rows);
  enum px_status status = PX_OK;
  if (!a.x || !a.rows || px_mlp_work_new(&net->mlp->shape, PX_MLP_CHUNK, &a.work))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory to apply a net");
  if (!status) {
    memset(actions, 0,
           sizeof *actions * (ds->step_start[to] - ds->step_start[from]) * ds->spaces.act_dim);
    apply(&a, ds, from, to);
  }
  free(a.x);
  free(a.rows);
  px_mlp_work_free(a.work);
  return status;
}

/* ---- storing */

static void list(struct sim_net *net, struct px_state *state) {
  const size_t in = net->mlp->shape.in, dims = net->mlp->shape.out;
  px_state_whole(state, "shape", NULL, net->shape, SHAPE_N);
  px_state_floats(state, "mean", NULL, net->mean, in);
  px_state_floats(state, "inv_std", NULL, net->inv_std, in);
  px_state_doubles(state, "range", NULL, net->range, 4 * dims);
  px_state_net(state, "net", net->mlp);
}

enum px_status sim_net_save(struct sim_net *net, struct px_buf *out, struct px_err *err) {
  struct px_state state = { 0 };
  const struct px_safetensors_meta meta = { "format", "proxact-simulator-net-1" };
  list(net, &state);
  return px_state_write(&state, &meta, 1, out, err);
}

static enum px_status load(const struct px_safetensors *st, struct sim_net **out,
                           struct px_err *err) {
  const uint64_t one = SHAPE_N;
  const void *data;
  uint64_t shape[SHAPE_N];
  const char *format = px_safetensors_meta(st, "format");
  if (!format || strcmp(format, "proxact-simulator-net-1") != 0)
    return px_fail(err, PX_E_BAD_DATA, "this is no net of a simulator");
  enum px_status status = px_safetensors_take(st, "shape", PX_DTYPE_I64, 1, &one, &data, err);
  if (status) return status;
  memcpy(shape, data, sizeof shape);
  if (!shape[SHAPE_OBS] || shape[SHAPE_OBS] > SIM_OBS_MAX || !shape[SHAPE_ACT] ||
      shape[SHAPE_ACT] > SIM_ACT_MAX || shape[SHAPE_HIDDEN] > 4096 ||
      shape[SHAPE_LAYERS] > PX_MLP_HIDDEN_LAYERS_MAX || shape[SHAPE_DELAY] > SIM_DELAY_MAX)
    return px_fail(err, PX_E_BAD_DATA, "the net's shape is out of bounds");
  struct sim_net *net = NULL;
  struct px_state state = { 0 };
  if (net_new(shape, &net, err)) return PX_E_BAD_DATA;
  list(net, &state);
  status = px_state_read(&state, st, err);
  if (status) sim_net_free(net);
  else *out = net;
  return status;
}

enum px_status sim_net_load(const void *bytes, size_t n, struct sim_net **out, struct px_err *err) {
  struct px_safetensors *st = NULL;
  enum px_status status = px_safetensors_parse(bytes, n, &st, err);
  if (!status) status = load(st, out, err);
  px_safetensors_free(st);
  return status;
}
