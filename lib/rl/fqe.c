/* SPDX-License-Identifier: Apache-2.0 */
/* Fitted Q evaluation: see fqe.h. */
#include "lib/rl/fqe.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"
#include "lib/nn/loss.h"

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

enum px_status fqe_new(struct px_arena *arena, const struct fqe_spec *spec, uint32_t obs_dim,
                       uint32_t act_dim, uint32_t act_count, struct fqe **out, struct px_err *err) {
  const uint32_t chunk = min_u32(spec->batch, PX_MLP_CHUNK), dims = act_count ? act_count : act_dim;
  struct fqe *f = px_arena_take(arena, 1, sizeof *f);
  if (!f) return px_fail(err, PX_E_NO_MEMORY, "no memory for fitted Q evaluation");
  f->spec = *spec;
  f->dims = dims;
  f->in = obs_dim + dims;
  f->reward_scale = 1;
  const struct px_mlp_shape shape = {
    .in = f->in, .out = 1, .hidden = spec->hidden, .layers = spec->layers
  };
  const struct rl_net_spec net = {
    .shape = shape, .seed = spec->seed, .lr = spec->lr, .rows = PX_MLP_CHUNK, .target = true
  };
  const enum px_status status = rl_net_init(arena, &f->critic, &net, err);
  if (status) return status;
  f->action = px_arena_floats(arena, spec->batch, dims);
  f->next = px_arena_floats(arena, spec->batch, dims);
  f->sa = px_arena_floats(arena, PX_MLP_CHUNK, f->in);
  f->q_target = px_arena_floats(arena, chunk, 1);
  f->dq = px_arena_floats(arena, chunk, 1);
  rl_batch_init(arena, &f->batch, spec->batch, obs_dim, act_dim);
  *out = f;
  return rl_arena_check(arena, "fitted Q evaluation", err);
}

/* f->sa = (s, a) by rows. */
static const float *join(struct fqe *f, const float *s, const float *action, uint32_t n) {
  const size_t o = f->in - f->dims, d = f->dims;
  for (size_t i = 0; i < n; i++) {
    memcpy(f->sa + i * f->in, s + i * o, o * sizeof *s);
    memcpy(f->sa + i * f->in + o, action + i * d, d * sizeof *action);
  }
  return f->sa;
}

double fqe_update(struct fqe *f) {
  const struct rl_batch *b = &f->batch;
  struct rl_net *c = &f->critic;
  double loss = 0;
  for (uint32_t row = 0, n; row < b->n; row += n) {
    n = min_u32(PX_MLP_CHUNK, b->n - row);
    const size_t o = (size_t)row * b->obs_dim, d = (size_t)row * f->dims;
    const float *next =
      px_mlp_forward(c->target, c->work, join(f, b->s2 + o, f->next + d, n), n, NULL);
    for (uint32_t i = 0; i < n; i++)
      f->q_target[i] = b->reward[row + i] / f->reward_scale +
                       (float)f->spec.gamma * b->not_done[row + i] * next[i];
    const float *sa = join(f, b->s + o, f->action + d, n),
                *q = px_mlp_forward(c->net, c->work, sa, n, NULL);
    loss += px_loss_mse(n, 1, q, f->q_target, NULL, 1.0 / b->n, f->dq);
    px_mlp_backward(c->net, c->work, sa, n, f->dq, c->grads, row > 0, NULL);
  }
  rl_net_step(c);
  rl_net_follow(c, (float)f->spec.tau);
  return loss;
}

/* ---- on a dataset */

/* An action in the dataset's units as the net takes it: one-hot, or mapped to [-1, 1]. */
static void encode(const struct px_spaces *spaces, const float *action, float *out) {
  if (spaces->act_count) {
    memset(out, 0, spaces->act_count * sizeof *out);
    out[(size_t)action[0]] = 1;
    return;
  }
  for (uint32_t j = 0; j < spaces->act_dim; j++) {
    const float low = spaces->act_low[j], high = spaces->act_high[j];
    out[j] = fminf(fmaxf((action[j] - 0.5F * (low + high)) / (0.5F * (high - low)), -1), 1);
  }
}

static void draw(struct fqe *f, const struct rl_data *data, const float *policy_actions,
                 uint64_t step) {
  struct rl_batch *b = &f->batch;
  const struct px_spaces *spaces = &data->ds->spaces;
  const size_t a = data->act_dim, d = f->dims;
  rl_batch_draw(b, data, f->spec.seed, step);
  for (size_t i = 0; i < b->n; i++) {
    if (spaces->act_count) encode(spaces, b->action + i, f->action + i * d);
    else memcpy(f->action + i * d, b->action + i * a, d * sizeof *f->action);
    /* A terminal transition may have no next row: any will do, as its value counts nothing. */
    const uint64_t next = data->row[b->index[i]] + 1;
    encode(spaces, policy_actions + (next < data->ds->obs_n ? next : next - 1) * a,
           f->next + i * d);
  }
}

static float root_mean_square(const float *x, uint32_t n) {
  double sum = 0;
  for (uint32_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  const double rms = sqrt(sum / n);
  return rms >= (double)FLT_MIN ? (float)rms : 1; /* rewards that are all 0 */
}

static struct fqe_result describe(const struct rl_data *data) {
  struct fqe_result r = { .transitions_n = data->n,
                          .reward_min = HUGE_VAL,
                          .reward_max = -HUGE_VAL };
  for (uint32_t i = 0; i < data->n; i++) {
    r.reward_min = fmin(r.reward_min, (double)data->reward[i]);
    r.reward_max = fmax(r.reward_max, (double)data->reward[i]);
    r.ends = r.ends || !(data->not_done[i] > 0);
  }
  return r;
}

struct fqe_bounds fqe_bounds(const struct fqe_result *r, double gamma) {
  const double steps = 1 / (1 - gamma); /* infinite for 1 */
  struct fqe_bounds b = { r->reward_min == 0 ? 0 : r->reward_min * steps,
                          r->reward_max == 0 ? 0 : r->reward_max * steps };
  if (r->ends) b = (struct fqe_bounds){ fmin(b.low, r->reward_min), fmax(b.high, r->reward_max) };
  return b;
}

static enum px_status diverged(double loss, uint64_t step, struct px_err *err) {
  px_fail(err, PX_E_NAN_LOSS, "the TD error is %g at update %" PRIu64 " of fitted Q evaluation",
          loss, step + 1);
  px_fail_hint(err, "Try a smaller lr or tau, or a gamma further below 1.");
  return PX_E_NAN_LOSS;
}

static enum px_status train(struct fqe *f, const struct rl_data *data, const float *policy_actions,
                            const struct px_progress *progress, struct px_checkpoint *checkpoint,
                            struct fqe_result *result, struct px_err *err) {
  enum { CLOCK_EVERY = 8, REPORT_MS = 500 };
  const uint64_t updates = f->spec.updates, tail = updates - (updates + 9) / 10;
  double tail_sum = 0;
  uint64_t step = 0;
  struct px_state list = { .n = 0 };
  rl_net_state(&f->critic, "critic", &list);
  px_state_doubles(&list, "tail", NULL, &tail_sum, 1);
  enum px_status status = px_checkpoint_resume(checkpoint, &list, &step, err);
  for (int64_t next = px_clock_ms() + REPORT_MS; !status && step < updates; step++) {
    draw(f, data, policy_actions, step);
    const double loss = fqe_update(f);
    if (!(loss < 1e15)) return diverged(loss, step, err);
    if (step >= tail) tail_sum += loss;
    if (step + 1 == updates || (step % CLOCK_EVERY == 0 && px_clock_ms() >= next)) {
      next = px_clock_ms() + REPORT_MS;
      const struct px_metric metrics[] = { { "td_rms", sqrt(loss) * (double)f->reward_scale } };
      status = px_progress_report(progress, "fqe", (int64_t)step + 1, (int64_t)updates, metrics, 1);
      if (status)
        return px_fail(err, status, "fitted Q evaluation stopped at update %" PRIu64, step + 1);
    }
    status = px_checkpoint_step(checkpoint, &list, step + 1, err);
  }
  result->td_rms = sqrt(tail_sum / (double)(updates - tail)) * (double)f->reward_scale;
  return status;
}

/* Q(s_0, pi(s_0)) of every trajectory, in units of reward. */
static void first_values(struct fqe *f, const struct rl_data *data, const float *policy_actions,
                         float *values) {
  const struct px_dataset *ds = data->ds;
  const uint32_t o = data->obs_dim;
  const struct px_normal normal = rl_normal(data);
  for (uint32_t i = 0; i < ds->traj_n; i++) {
    const uint64_t row = ds->obs_start[i];
    px_normalise(&normal, o, ds->observations + row * o, f->sa);
    encode(&ds->spaces, policy_actions + row * data->act_dim, f->sa + o);
    values[i] = *px_mlp_forward(f->critic.net, f->critic.work, f->sa, 1, NULL) * f->reward_scale;
  }
}

enum px_status fqe_run(const struct fqe_spec *spec, const struct px_actions_merged *u,
                       const float *policy_actions, const struct px_progress *progress,
                       struct px_checkpoint *checkpoint, float *values, struct fqe_result *result,
                       struct px_err *err) {
  const struct px_spaces *spaces = &u->ds->spaces;
  struct rl_data *data = NULL;
  struct px_arena *arena = NULL;
  struct fqe *f = NULL;
  enum px_status status = rl_data_all(u, &data, err);
  if (!status && !(arena = px_arena_new(RL_ARENA_BYTES_MAX)))
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for fitted Q evaluation");
  if (!status)
    status = fqe_new(arena, spec, spaces->obs_dim, spaces->act_dim, spaces->act_count, &f, err);
  if (!status) {
    f->reward_scale = root_mean_square(data->reward, data->n);
    *result = describe(data);
    status = train(f, data, policy_actions, progress, checkpoint, result, err);
  }
  if (!status) first_values(f, data, policy_actions, values);
  px_arena_free(arena);
  rl_data_free(data);
  return status;
}
