/* SPDX-License-Identifier: Apache-2.0 */
/* Label quality: see quality.h. */
#include "lib/idm/quality.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/data/spaces.h"

const double idm_quality_interval_levels[IDM_INTERVALS_N] = { 0.5, 0.8, 0.95 };
/* Half widths of those central intervals of a standard normal variable. */
static const double half_widths[IDM_INTERVALS_N] = { 0.674489750196082, 1.281551565544600,
                                                     1.959963984540054 };
/* a baseline gives none, and its likelihood must stay finite */
static const double least_spread = 1e-3;

struct sums {
  uint64_t n;
  double *squared, *truth, *truth2; /* [A] */
  double nll;
  uint64_t covered[IDM_INTERVALS_N];
  /* Of discrete actions: squared and truth are then [act_count], right labels and steps of each
   * class. */
  double score_right, score_wrong;
};

struct idm_quality {
  const struct px_dataset *truth, *masked;
  bool by_return;       /* all have returns; otherwise nothing is inside or outside of them */
  double low, high;     /* returns of the labelled trajectories */
  double slack;         /* and how much of them is rounding */
  struct sums parts[2]; /* inside, outside */
  double *cells;
};

/* Cells of each kind of sum: one for a dim, or for a class. */
static size_t cells_of(const struct px_dataset *ds) {
  return ds->spaces.act_count ? ds->spaces.act_count : ds->spaces.act_dim;
}

enum px_status idm_quality_new(const struct px_dataset *truth, const struct px_dataset *masked,
                               struct idm_quality **out, struct px_err *err) {
  if (truth->traj_n != masked->traj_n || truth->steps_n != masked->steps_n ||
      truth->spaces.act_dim != masked->spaces.act_dim ||
      truth->spaces.act_count != masked->spaces.act_count)
    return px_fail(err, PX_E_BAD_DATA,
                   "the dataset that was labelled is not the one with the truth");
  const size_t dims = cells_of(truth);
  struct idm_quality *q = px_mem_calloc(1, sizeof *q);
  double *cells = px_mem_calloc(6 * dims, sizeof *cells);
  if (!q || !cells) {
    free(q);
    free(cells);
    return px_fail(err, PX_E_NO_MEMORY, "no memory to judge labels");
  }
  *q = (struct idm_quality){
    .truth = truth,
    .masked = masked,
    .by_return = px_dataset_has_returns(truth),
    .low = HUGE_VAL,
    .high = -HUGE_VAL,
    .cells = cells,
  };
  for (int i = 0; i < 2; i++, cells += 3 * dims) {
    q->parts[i].squared = cells;
    q->parts[i].truth = cells + dims;
    q->parts[i].truth2 = cells + 2 * dims;
  }
  for (uint32_t traj = 0; traj < masked->traj_n; traj++) {
    bool labelled = false;
    for (uint64_t i = masked->step_start[traj]; i < masked->step_start[traj + 1]; i++)
      labelled |= masked->labelled[i];
    if (!labelled) continue;
    q->low = fmin(q->low, px_dataset_return(masked, traj));
    q->high = fmax(q->high, px_dataset_return(masked, traj));
    q->slack = fmax(q->slack, px_dataset_return_slack(masked, traj));
  }
  *out = q;
  return PX_OK;
}

void idm_quality_free(struct idm_quality *q) {
  if (!q) return;
  free(q->cells);
  free(q);
}

static void add_step(const struct idm_quality *q, struct sums *sums, const float *truth,
                     const float *action, const float *std, const float *epistemic) {
  const struct px_spaces *spaces = &q->truth->spaces;
  for (uint32_t j = 0; j < spaces->act_dim; j++) {
    const double unit = 2 / ((double)spaces->act_high[j] - (double)spaces->act_low[j]);
    const double a = unit * ((double)truth[j] - (double)spaces->act_low[j]) - 1;
    const double off = unit * ((double)action[j] - (double)truth[j]);
    const double spread = fmax(unit * hypot((double)std[j], (double)epistemic[j]), least_spread),
                 z = off / spread;
    sums->squared[j] += off * off;
    sums->truth[j] += a;
    sums->truth2[j] += a * a;
    sums->nll += z * z / 2 + log(spread) + 0.918938533204672742;
    for (int i = 0; i < IDM_INTERVALS_N; i++) sums->covered[i] += fabs(z) <= half_widths[i];
  }
  sums->n++;
}

static void add_class(struct sums *sums, float truth, float action, float std, float epistemic) {
  const bool right = action == truth;
  sums->truth[(size_t)truth]++;
  sums->squared[(size_t)truth] += right;
  *(right ? &sums->score_right : &sums->score_wrong) += (double)std + (double)epistemic;
  sums->n++;
}

bool idm_quality_is_inside(const struct idm_quality *q, uint32_t traj) {
  if (!q->by_return) return true;
  const double ret = px_dataset_return(q->truth, traj),
               slack = fmax(q->slack, px_dataset_return_slack(q->truth, traj));
  return ret >= q->low - slack && ret <= q->high + slack;
}

void idm_quality_add(struct idm_quality *q, uint32_t traj_from, uint32_t traj_to,
                     const float *actions, const float *std, const float *epistemic,
                     const uint8_t *known) {
  const uint64_t first = q->truth->step_start[traj_from], dims = q->truth->spaces.act_dim;
  for (uint32_t traj = traj_from; traj < traj_to; traj++) {
    struct sums *sums = &q->parts[!idm_quality_is_inside(q, traj)];
    for (uint64_t step = q->truth->step_start[traj]; step < q->truth->step_start[traj + 1];
         step++) {
      const uint64_t row = step - first;
      if (!q->truth->labelled[step] || q->masked->labelled[step] || !known[row]) continue;
      if (q->truth->spaces.act_count)
        add_class(sums, q->truth->actions[step], actions[row], std[row], epistemic[row]);
      else
        add_step(q, sums, q->truth->actions + step * dims, actions + row * dims, std + row * dims,
                 epistemic + row * dims);
    }
  }
}

/* The sums of both halves, or of one. */
static double total(const struct idm_quality *q, enum idm_quality_part part, size_t cell) {
  const size_t half = 3 * cells_of(q->truth);
  return (part == IDM_OUTSIDE ? 0 : q->cells[cell]) +
         (part == IDM_INSIDE ? 0 : q->cells[half + cell]);
}

/* Squared error and squared distance from the mean in dim j. */
static void deviations(const struct idm_quality *q, enum idm_quality_part part, uint64_t n,
                       uint32_t j, double *error, double *about_mean) {
  const size_t dims = q->truth->spaces.act_dim;
  const double sum = total(q, part, dims + j);
  *error = total(q, part, j);
  const double squares = total(q, part, 2 * dims + j);
  *about_mean = squares - sum * sum / (double)n;
  if (*about_mean < 1e-10 * squares) *about_mean = 0; /* rounding: they do not differ */
}

static void class_figures(const struct idm_quality *q, enum idm_quality_part part,
                          struct idm_quality_figures *out) {
  double right = 0, certain[2] = { 0 };
  for (size_t j = 0; j < q->truth->spaces.act_count; j++) right += total(q, part, j);
  for (int i = 0; i < 2; i++) {
    if (part != IDM_ALL && i != (int)part - (int)IDM_INSIDE) continue;
    certain[0] += q->parts[i].score_right;
    certain[1] += q->parts[i].score_wrong;
  }
  const double wrong = (double)out->n - right;
  out->accuracy = right / (double)out->n;
  out->score_right = right > 0 ? certain[0] / right : 0;
  out->score_wrong = wrong > 0 ? certain[1] / wrong : 0;
}

void idm_quality_recall(const struct idm_quality *q, double *recall) {
  const uint32_t classes = q->truth->spaces.act_count;
  for (uint32_t j = 0; j < classes; j++) {
    const double n = total(q, IDM_ALL, classes + j);
    recall[j] = n > 0 ? total(q, IDM_ALL, j) / n : (double)NAN;
  }
}

void idm_quality_figures(const struct idm_quality *q, enum idm_quality_part part,
                         struct idm_quality_figures *out) {
  const uint32_t dims = q->truth->spaces.act_dim;
  double error = 0, about_mean = 0;
  *out = (struct idm_quality_figures){ 0 };
  if (part != IDM_ALL && !q->by_return) return;
  for (int i = 0; i < 2; i++) {
    if (part != IDM_ALL && i != (int)part - (int)IDM_INSIDE) continue;
    out->n += q->parts[i].n;
    out->nll += q->parts[i].nll;
    for (int level = 0; level < IDM_INTERVALS_N; level++)
      out->coverage[level] += (double)q->parts[i].covered[level];
  }
  if (out->n == 0) return;
  if (q->truth->spaces.act_count) {
    class_figures(q, part, out);
    return;
  }
  for (uint32_t j = 0; j < dims; j++) {
    double e, m;
    deviations(q, part, out->n, j, &e, &m);
    error += e;
    about_mean += m;
  }
  out->mse = error / (double)out->n / dims;
  out->r2 = about_mean > 0 ? 1 - error / about_mean : (double)NAN;
  out->nll /= (double)out->n;
  for (int level = 0; level < IDM_INTERVALS_N; level++)
    out->coverage[level] /= (double)out->n * dims;
}

void idm_quality_r2_dims(const struct idm_quality *q, double *r2) {
  const uint64_t n = q->parts[0].n + q->parts[1].n;
  for (uint32_t j = 0; j < q->truth->spaces.act_dim; j++) {
    double error = 0, about_mean = 0;
    if (n) deviations(q, IDM_ALL, n, j, &error, &about_mean);
    r2[j] = about_mean > 0 ? 1 - error / about_mean : (double)NAN;
  }
}
