/* SPDX-License-Identifier: Apache-2.0 */
/* Which transitions a spec uses, and batches of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/data/actions_merged.h"
#include "lib/data/dataset.h"
#include "lib/data/running_stats.h"
#include "lib/rl/rl.h"
#include "lib/rl/rl_returns.h"

/* What of a spec is asked for every step. */
struct choice {
  bool true_only, below, verified, weigh;
  double max_score, temperature, floor, top_percent, true_share;
};

/* What of a trajectory is learned from. */
enum part { NOTHING, USABLE, TRUE_PART };

static struct choice choice_of(const struct rl_spec *spec) {
  return (struct choice){ .true_only = rl_says(spec, "labels", "true_only"),
                          .below = rl_says(spec, "labels", "proxy_below"),
                          .verified = rl_says(spec, "labels", "verified"),
                          .max_score = rl_option(spec, "max_score"),
                          .weigh = rl_says(spec, "weighting", "exp"),
                          .temperature = rl_option(spec, "weight_temperature"),
                          .floor = rl_option(spec, "weight_floor"),
                          .top_percent = rl_option(spec, "top_percent"),
                          .true_share = rl_option(spec, "true_share") };
}

static int by_value(const void *left, const void *right) {
  const float a = *(const float *)left, b = *(const float *)right;
  return (a > b) - (a < b);
}

/* `confident`: the bound that the half of the proxies with the lowest scores keeps; ties at the
 * bound are in. */
static enum px_status find_median_score(const struct px_actions_merged *u, struct choice *choice,
                                        struct px_err *err) {
  float *scores = px_mem_calloc(u->proxy_n + 1, sizeof *scores);
  if (!scores) return px_fail(err, PX_E_NO_MEMORY, "no memory to sort the labels' scores");
  uint64_t n = 0;
  for (uint64_t i = 0; i < u->ds->steps_n && n < u->proxy_n; i++)
    if (u->source[i] == PX_SOURCE_PROXY) scores[n++] = u->score[i];
  qsort(scores, n, sizeof *scores, by_value);
  choice->below = true;
  choice->max_score = n ? nextafter((double)scores[(n - 1) / 2], INFINITY) : 0;
  free(scores);
  return PX_OK;
}

struct ranked {
  double value;
  uint32_t traj;
};

/* Highest return first; equal ones in the order of the dataset. */
static int by_return(const void *left, const void *right) {
  const struct ranked *a = left, *b = right;
  if (a->value != b->value) return a->value < b->value ? 1 : -1;
  return a->traj < b->traj ? -1 : a->traj > b->traj;
}

static bool step_used(const struct px_actions_merged *u, const struct choice *choice, uint32_t traj,
                      uint64_t t) {
  const struct px_dataset *ds = u->ds;
  const uint64_t step = ds->step_start[traj] + t;
  const bool last = step + 1 == ds->step_start[traj + 1];
  if (!px_dataset_next_known(ds, traj, t) && !(last && ds->terminated[traj])) return false;
  if (u->source[step] == PX_SOURCE_TRUE) return true;
  if (u->source[step] != PX_SOURCE_PROXY || choice->true_only) return false;
  if (choice->verified && !u->verified[step]) return false;
  return !choice->below || (double)u->score[step] < choice->max_score;
}

static uint64_t steps_used(const struct px_actions_merged *u, const struct choice *choice,
                           uint32_t traj) {
  const uint64_t steps = u->ds->step_start[traj + 1] - u->ds->step_start[traj];
  uint64_t n = 0;
  for (uint64_t t = 0; t < steps; t++) n += step_used(u, choice, traj, t);
  return n;
}

/* The same, with true actions only. */
static struct choice true_part(const struct choice *choice) {
  struct choice of = *choice;
  of.true_only = true;
  return of;
}

/* ranked: the trajectories that have usable transitions, best return first; where some have none,
 * in the order of the dataset. Gives their number. */
static uint32_t rank_usable(const struct px_actions_merged *u, const struct choice *choice,
                            struct ranked *ranked) {
  const bool by_returns = px_dataset_has_returns(u->ds);
  uint32_t n = 0;
  for (uint32_t i = 0; i < u->ds->traj_n; i++)
    if (steps_used(u, choice, i))
      ranked[n++] = (struct ranked){ by_returns ? px_dataset_return(u->ds, i) : 0, i };
  qsort(ranked, n, sizeof *ranked, by_return);
  return n;
}

/* Chooses the top_percent of n ranked trajectories, at least one. Gives their transitions'
 * number. */
static uint64_t choose_best(const struct px_actions_merged *u, const struct choice *choice,
                            const struct ranked *ranked, uint32_t n, enum part part,
                            uint8_t *chosen, struct rl_data *d) {
  const uint32_t wanted = (uint32_t)ceil(n * choice->top_percent / 100 - 1e-9);
  uint64_t total = 0;
  for (uint32_t i = 0; i < wanted; i++) {
    chosen[ranked[i].traj] = (uint8_t)part;
    d->return_min = px_dataset_has_returns(u->ds) ? ranked[i].value : (double)NAN;
    total += steps_used(u, choice, ranked[i].traj);
  }
  return total;
}

/* Whether what was chosen can be learned from by itself: it has true actions, or most of its
 * proxies are verified by a simulator and no share of true ones is asked for. */
static bool chose_well(const struct px_actions_merged *u, const struct choice *choice,
                       const uint8_t *chosen) {
  const struct choice truth = true_part(choice);
  struct choice verified = *choice;
  verified.verified = true;
  uint64_t all = 0, certain = 0;
  for (uint32_t i = 0; i < u->ds->traj_n; i++) {
    if (chosen[i] && steps_used(u, &truth, i)) return true;
    all += chosen[i] ? steps_used(u, choice, i) : 0;
    certain += chosen[i] ? steps_used(u, &verified, i) : 0;
  }
  return choice->true_share <= 0 && 2 * certain > all;
}

/* chosen[traj_n] enum part: the top_percent of the trajectories that have usable transitions, true
 * and proxy ranked together. Where these have neither true actions nor verified proxies, the true
 * ones of the top_percent of those that have some come too. Gives their transitions' number, and
 * d their returns' range. */
static enum px_status choose(const struct px_actions_merged *u, const struct choice *choice,
                             uint8_t *chosen, uint64_t *n, struct rl_data *d, struct px_err *err) {
  const uint32_t traj_n = u->ds->traj_n;
  const struct choice truth = true_part(choice);
  struct ranked *ranked = px_mem_calloc(traj_n, sizeof *ranked);
  if (!ranked) return px_fail(err, PX_E_NO_MEMORY, "no memory to rank %u trajectories", traj_n);
  const uint32_t usable_n = rank_usable(u, choice, ranked);
  const bool by_returns = px_dataset_has_returns(u->ds);
  for (uint32_t i = 0; by_returns && i < usable_n; i++)
    d->return_slack = fmax(d->return_slack, px_dataset_return_slack(u->ds, ranked[i].traj));
  d->returns_equal =
    by_returns && usable_n > 1 && ranked[0].value - ranked[usable_n - 1].value <= d->return_slack;
  d->return_max = !by_returns ? (double)NAN : usable_n ? ranked[0].value : 0;
  *n = choose_best(u, choice, ranked, usable_n, USABLE, chosen, d);
  if (!chose_well(u, choice, chosen))
    *n += choose_best(u, &truth, ranked, rank_usable(u, &truth, ranked), TRUE_PART, chosen, d);
  free(ranked);
  return PX_OK;
}

static float weight_of(const struct px_actions_merged *u, const struct choice *choice,
                       uint64_t step) {
  if (!choice->weigh || u->source[step] == PX_SOURCE_TRUE) return 1;
  return (float)fmax(exp(-(double)u->score[step] / choice->temperature), choice->floor);
}

static void add_transition(struct rl_data *d, const struct px_actions_merged *u,
                           const struct choice *choice, uint32_t traj, uint64_t t) {
  const struct px_dataset *ds = u->ds;
  const uint64_t step = ds->step_start[traj] + t;
  const uint32_t i = d->n++, a = d->act_dim;
  d->row[i] = ds->obs_start[traj] + t;
  d->reward[i] = ds->rewards[step];
  d->not_done[i] = step + 1 == ds->step_start[traj + 1] && ds->terminated[traj] ? 0 : 1;
  d->weight[i] = weight_of(u, choice, step);
  d->source[i] = u->source[step];
  if (d->act_count) d->action[i] = u->actions[step];
  for (uint32_t j = 0; j < a && !d->act_count; j++) {
    const float low = ds->spaces.act_low[j], high = ds->spaces.act_high[j];
    const float scaled = (u->actions[step * a + j] - 0.5F * (low + high)) / (0.5F * (high - low));
    d->action[(size_t)i * a + j] = fminf(fmaxf(scaled, -1), 1);
  }
  if (u->source[step] == PX_SOURCE_TRUE) d->true_n++;
  else d->proxy_n++;
}

/* Where batches are to hold more true actions than come by themselves: d->by_source. */
static enum px_status sort_by_source(struct rl_data *d, double true_share, struct px_err *err) {
  d->true_share = (double)d->true_n / d->n;
  if (d->true_n == 0 || d->proxy_n == 0 || true_share <= d->true_share) return PX_OK;
  d->true_share = true_share;
  d->by_source = px_mem_calloc(d->n, sizeof *d->by_source);
  if (!d->by_source) return px_fail(err, PX_E_NO_MEMORY, "no memory for %u transitions", d->n);
  for (uint32_t i = 0, true_n = 0, proxy_n = d->true_n; i < d->n; i++)
    d->by_source[d->source[i] == PX_SOURCE_TRUE ? true_n++ : proxy_n++] = i;
  return PX_OK;
}

/* How much oftener the transition is drawn than by chance alone. */
static double draw_ratio(const struct rl_data *d, uint32_t i) {
  if (!d->by_source) return 1;
  return d->source[i] == PX_SOURCE_TRUE ? d->true_share * d->n / d->true_n
                                        : (1 - d->true_share) * d->n / d->proxy_n;
}

/* Of mean 1 in batches. */
static void normalise_weights(struct rl_data *d) {
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < d->n; i++) {
    const double weight = (double)d->weight[i] * draw_ratio(d, i);
    sum += weight, squares += weight * weight;
  }
  d->effective_n = sum * sum / squares;
  for (uint32_t i = 0; i < d->n; i++) d->weight[i] = (float)((double)d->weight[i] * d->n / sum);
}

/* Widens low and high [O] to the states that the transitions begin and end with. */
static void measure_extremes(const struct rl_data *d, float *low, float *high) {
  const uint32_t dims = d->obs_dim;
  for (uint32_t i = 0; i < d->n; i++)
    for (uint32_t next = 0; next < (d->not_done[i] > 0 ? 2 : 1); next++) {
      const float *s = d->ds->observations + (d->row[i] + next) * dims;
      for (uint32_t j = 0; j < dims; j++) {
        low[j] = s[j] < low[j] ? s[j] : low[j];
        high[j] = s[j] > high[j] ? s[j] : high[j];
      }
    }
}

static enum px_status statistics(struct rl_data *d, struct px_err *err) {
  const uint32_t dims = d->obs_dim;
  double *stats = px_mem_calloc(dims, 2 * sizeof *stats);
  float *low = px_mem_calloc(dims, 2 * sizeof *low);
  if (!stats || !low) {
    free(stats);
    free(low);
    return px_fail(err, PX_E_NO_MEMORY, "no memory for statistics");
  }
  px_dataset_obs_stats(d->ds, stats, stats + dims);
  for (uint32_t j = 0; j < dims; j++) low[j] = HUGE_VALF, low[dims + j] = -HUGE_VALF;
  measure_extremes(d, low, low + dims);
  for (uint32_t j = 0; j < dims; j++) {
    const double least = (double)low[j], most = (double)low[dims + j], std = stats[dims + j];
    const bool moves = px_running_stats_scale(std, hypot(stats[j], std)) > 0 &&
                       px_running_stats_scale(most - least, fmax(fabs(least), fabs(most))) > 0;
    d->mean[j] = (float)stats[j];
    d->scale[j] = moves ? (float)std : HUGE_VALF;
    d->inv_scale[j] = 1 / d->scale[j];
  }
  free(stats);
  free(low);
  return PX_OK;
}

static enum px_status take_memory(struct rl_data *d, uint64_t n, struct px_err *err) {
  d->row = px_mem_calloc(n, sizeof *d->row);
  d->action = px_mem_calloc(n, sizeof(float) * d->act_dim);
  d->reward = px_mem_calloc(n, sizeof(float));
  d->not_done = px_mem_calloc(n, sizeof(float));
  d->weight = px_mem_calloc(n, sizeof(float));
  d->source = px_mem_calloc(n, sizeof *d->source);
  d->mean = px_mem_calloc(d->obs_dim, sizeof(float));
  d->scale = px_mem_calloc(d->obs_dim, sizeof(float));
  d->inv_scale = px_mem_calloc(d->obs_dim, sizeof(float));
  if (d->row && d->action && d->reward && d->not_done && d->weight && d->source && d->mean &&
      d->scale && d->inv_scale)
    return PX_OK;
  return px_fail(err, PX_E_NO_MEMORY, "no memory for %llu transitions", (unsigned long long)n);
}

static enum px_status nothing_usable(const struct px_actions_merged *u, const struct choice *choice,
                                     struct px_err *err) {
  px_fail(err, PX_E_NO_LABELS, "no transition has an action that this training may use");
  if (choice->verified && u->proxy_n)
    px_fail_hint(err,
                 "There is no true action, and labels verified takes none of the %llu proxies that "
                 "the simulator did not "
                 "verify: compare its model and layout with the data, raise the labeller's "
                 "threshold, or give labels prefer_verified or all.",
                 (unsigned long long)u->proxy_n);
  return PX_E_NO_LABELS;
}

static enum px_status data_new(const struct px_actions_merged *u, const struct choice *choice,
                               struct rl_data **out, struct px_err *err) {
  const struct px_dataset *ds = u->ds;
  const struct choice truth = true_part(choice);
  enum px_status status;
  uint64_t n = 0;
  struct rl_data *d = px_mem_calloc(1, sizeof *d);
  uint8_t *chosen = px_mem_calloc(ds->traj_n ? ds->traj_n : 1, 1);
  if (!d || !chosen) {
    status = px_fail(err, PX_E_NO_MEMORY, "no memory for transitions");
    goto out;
  }
  d->ds = ds;
  d->obs_dim = ds->spaces.obs_dim;
  d->act_dim = ds->spaces.act_dim;
  d->act_count = ds->spaces.act_count;
  if ((status = choose(u, choice, chosen, &n, d, err))) goto out;
  if (n == 0 || n > UINT32_MAX) {
    status = n ? px_fail(err, PX_E_TOO_LARGE, "%llu transitions are more than a training takes",
                         (unsigned long long)n)
               : nothing_usable(u, choice, err);
    goto out;
  }
  if ((status = take_memory(d, n, err))) goto out;
  for (uint32_t i = 0; i < ds->traj_n; i++)
    for (uint64_t t = 0; chosen[i] && t < ds->step_start[i + 1] - ds->step_start[i]; t++)
      if (step_used(u, chosen[i] == TRUE_PART ? &truth : choice, i, t))
        add_transition(d, u, choice, i, t);
  if ((status = sort_by_source(d, choice->true_share, err))) goto out;
  normalise_weights(d);
  status = statistics(d, err);
out:
  free(chosen);
  if (status) rl_data_free(d);
  else *out = d;
  return status;
}

enum px_status rl_data_new(const struct px_actions_merged *u, const struct rl_spec *spec,
                           struct rl_data **out, struct px_err *err) {
  struct choice choice = choice_of(spec);
  const enum px_status status =
    rl_says(spec, "labels", "confident") ? find_median_score(u, &choice, err) : PX_OK;
  return status ? status : data_new(u, &choice, out, err);
}

enum px_status rl_data_all(const struct px_actions_merged *u, struct rl_data **out,
                           struct px_err *err) {
  const struct choice everything = { .top_percent = 100 };
  return data_new(u, &everything, out, err);
}

void rl_data_free(struct rl_data *d) {
  if (!d) return;
  free(d->row);
  free(d->action);
  free(d->reward);
  free(d->not_done);
  free(d->weight);
  free(d->source);
  free(d->by_source);
  free(d->mean);
  free(d->scale);
  free(d->inv_scale);
  free(d);
}

float rl_reward_scale(const struct rl_spec *spec, const struct rl_data *d) {
  const double range = d->return_max - d->return_min, usual = 30;
  if (rl_says(spec, "rewards", "values")) {
    const double rms = rl_returns_rms(d, rl_option(spec, "gamma"));
    return rms > 0 ? (float)(usual / rms) : 1;
  }
  return rl_says(spec, "rewards", "return_range") && range > d->return_slack ? (float)(1000 / range)
                                                                             : 1;
}

enum px_status rl_arena_check(const struct px_arena *arena, const char *algo, struct px_err *err) {
  if (!px_arena_ran_out(arena)) return PX_OK;
  return px_fail(err, PX_E_NO_MEMORY, "no memory for a training of %s", algo);
}

void rl_batch_init(struct px_arena *arena, struct rl_batch *b, uint32_t n, uint32_t obs_dim,
                   uint32_t act_dim) {
  *b = (struct rl_batch){ .n = n, .obs_dim = obs_dim, .act_dim = act_dim };
  b->index = px_arena_take(arena, n, sizeof *b->index);
  b->rows = px_arena_take(arena, n, sizeof *b->rows);
  b->s = px_arena_floats(arena, n, obs_dim);
  b->s2 = px_arena_floats(arena, n, obs_dim);
  b->action = px_arena_floats(arena, n, act_dim);
  b->reward = px_arena_floats(arena, n, 1);
  b->not_done = px_arena_floats(arena, n, 1);
  b->weight = px_arena_floats(arena, n, 1);
}

void rl_batch_want_next(struct px_arena *arena, struct rl_batch *b) {
  b->next_action = px_arena_floats(arena, b->n, b->act_dim);
  b->next_weight = px_arena_floats(arena, b->n, 1);
}

/* Transitions lie in the order of their trajectories: the one after is the next step if it starts
 * where this one ends. A trajectory without final state is followed by another's first row, but
 * then it ended there. */
static void draw_next(struct rl_batch *b, const struct rl_data *d) {
  const size_t a = d->act_dim;
  for (size_t i = 0; i < b->n; i++) {
    const uint32_t at = b->index[i];
    const bool follows = d->not_done[at] > 0 && at + 1 < d->n && d->row[at + 1] == d->row[at] + 1;
    b->next_weight[i] = follows ? d->weight[at + 1] : 0;
    for (size_t j = 0; j < a; j++)
      b->next_action[i * a + j] = follows ? d->action[(at + 1) * a + j] : 0;
  }
}

uint32_t rl_data_draw(const struct rl_data *d, struct px_rng *rng, uint32_t place,
                      uint32_t places) {
  if (!d->by_source) return px_rng_below(rng, d->n);
  if (place + 1e-9 < d->true_share * places) return d->by_source[px_rng_below(rng, d->true_n)];
  return d->by_source[d->true_n + px_rng_below(rng, d->proxy_n)];
}

void rl_batch_draw(struct rl_batch *b, const struct rl_data *d, uint64_t seed, uint64_t step) {
  struct px_rng rng = px_rng_at(seed, px_rng_stream("batch", step), 0);
  /* The rows lie anywhere in memory: ask for all of them before the first is needed. */
  for (uint32_t i = 0; i < b->n; i++) {
    const uint32_t at = b->index[i] = rl_data_draw(d, &rng, i, b->n);
    const float *s = d->ds->observations + d->row[at] * d->obs_dim;
    __builtin_prefetch(s);
    __builtin_prefetch(s + 2 * d->obs_dim - 1);
  }
  for (uint32_t i = 0; i < b->n; i++) {
    const uint32_t at = b->index[i];
    b->rows[i] = d->row[at];
    b->reward[i] = d->reward[at];
    b->not_done[i] = d->not_done[at];
    b->weight[i] = d->weight[at];
    memcpy(b->action + (size_t)i * d->act_dim, d->action + (size_t)at * d->act_dim,
           sizeof(float) * d->act_dim);
  }
  const struct px_normal normal = rl_normal(d);
  px_gather(b->n, d->obs_dim, d->ds->observations, b->rows, &normal, b->s, d->obs_dim);
  /* A terminal transition may have no next row: any row does, for its value is multiplied by 0. */
  for (uint32_t i = 0; i < b->n; i++) b->rows[i] += b->rows[i] + 1 < d->ds->obs_n;
  px_gather(b->n, d->obs_dim, d->ds->observations, b->rows, &normal, b->s2, d->obs_dim);
  if (b->next_action) draw_next(b, d);
}
