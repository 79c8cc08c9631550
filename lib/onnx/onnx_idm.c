/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ensembles of inverse dynamics models as graphs: see onnx.h. What a member computes, and how
 * their labels are averaged, is lib/idm/{model,label}.c's; lib/idm/window.h has the window's
 * numbers.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/vote.h"
#include "lib/onnx/onnx.h"
#include "lib/onnx/onnx_parts.h"

enum { PAST_MAX = 8, FUTURE_MAX = 4, PLACES_MAX = PAST_MAX + 2 + FUTURE_MAX, PREFIX_MAX = 24 };
enum { STATE_MEAN, STATE_STD, CHANGE_MEAN, CHANGE_STD, STATS_N };
/* Of a spread net's outputs: lib/nn/loss.h. */
static const float log_sigma_center = -1.5F, log_sigma_range = 3.5F;

struct ensemble {
  struct px_onnx *o;
  const struct px_safetensors *const *members;
  uint32_t n, obs_dim, act_dim, act_count, k, f;
  bool difference, squashed;
  const char *mean, *inverse;               /* [O] of states */
  const char *change_mean, *change_inverse; /* [O] */
  const char *residual, *constant, *which;  /* [2 O, O] and [O] f64, [O] bool; NULL: none */
  double weight[PX_ONNX_MEMBERS_MAX];       /* their sum is 1 */
};

/* ---- what members have in common */

/* Both have it with the same numbers, or neither has it. */
static bool same_tensor(const struct px_safetensors *a, const struct px_safetensors *b,
                        const char *name) {
  const struct px_safetensors_tensor *x = px_safetensors_find(a, name),
                                     *y = px_safetensors_find(b, name);
  return !x == !y && (!x || (x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0));
}

/* Likewise a word of the metadata. */
static bool same_word(const struct px_safetensors *a, const struct px_safetensors *b,
                      const char *key) {
  const char *x = px_safetensors_meta(a, key), *y = px_safetensors_meta(b, key);
  return !x == !y && (!x || strcmp(x, y) == 0);
}

/* What two members differ in that one ensemble's are alike in; NULL: nothing. */
static const char *difference_of(const struct px_safetensors *a, const struct px_safetensors *b) {
  static const char *const words[] = { "format", "obs_dim", "act_dim", "act_count",
                                       "k",      "f",       "inputs",  "head",
                                       "compat", "members", "voting",  "activation" },
                           *const tensors[] = { "norm", "residual", "act_low", "act_high" };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!same_word(a, b, words[i])) return words[i];
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
    if (!same_tensor(a, b, tensors[i])) return tensors[i];
  return NULL;
}

static void check_members(struct ensemble *e) {
  struct px_onnx *o = e->o;
  for (uint32_t i = 1; i < e->n && !o->status; i++) {
    const char *what = difference_of(e->members[0], e->members[i]);
    if (what)
      o->status = px_fail(o->err, PX_E_BAD_DATA,
                          "models 0 and %u are not members of one ensemble: %s differs", i, what);
  }
  if (!o->status && strcmp(px_onnx_word(o, "compat"), "reference") == 0) {
    o->status = px_fail_at(o->err, PX_E_BAD_FIELD, "format",
                           "a model with compat reference has no ONNX form here");
    px_fail_hint(o->err, "Train it with compat none, or take it as safetensors.");
  }
}

static void read_shape(struct ensemble *e) {
  struct px_onnx *o = e->o;
  e->obs_dim = px_onnx_count(o, "obs_dim", 1, PX_OBS_MAX);
  e->act_dim = px_onnx_count(o, "act_dim", 1, PX_ACT_MAX);
  if (*px_onnx_word(o, "act_count"))
    e->act_count = px_onnx_count(o, "act_count", 2, PX_ACT_COUNT_MAX);
  e->k = px_onnx_count(o, "k", 0, PAST_MAX);
  e->f = px_onnx_count(o, "f", 0, FUTURE_MAX);
  e->difference = strcmp(px_onnx_word(o, "inputs"), "difference") == 0;
  e->squashed = strcmp(px_onnx_word(o, "head"), "squashed") == 0;
}

/* Those of the members' probes, if they are of the same transitions (lib/idm/vote.h). */
static void weigh(struct ensemble *e) {
  const float *probes[PX_ONNX_MEMBERS_MAX];
  struct px_onnx *o = e->o;
  const char *of = px_onnx_word(o, "probes_of");
  const uint64_t dims[] = { px_onnx_rows(o, "probes"), e->act_dim };
  bool comparable = dims[0] > 0;
  for (uint32_t i = 0; i < e->n && comparable; i++) {
    o->file = e->members[i];
    comparable =
      strcmp(px_onnx_word(o, "probes_of"), of) == 0 && px_onnx_rows(o, "probes") == dims[0];
    probes[i] = comparable ? px_onnx_data(o, "probes", PX_DTYPE_F32, 2, dims) : NULL;
  }
  o->file = e->members[0];
  px_vote_weights(probes, e->n, comparable && !o->status ? dims[0] * dims[1] : 0, e->weight);
  for (uint32_t i = 0; i < e->n; i++) e->weight[i] /= e->n;
}

/* ---- the window */

static const char *put_scale(struct ensemble *e, const double *stats, uint32_t which) {
  const int64_t n = e->obs_dim;
  float *row;
  const char *name = px_graph_floats(e->o->graph, 1, &n, &row);
  for (uint32_t j = 0; row && j < e->obs_dim; j++) {
    const double value = stats[(size_t)which * e->obs_dim + j];
    row[j] = (float)(which % 2 == 0 ? value : value > 0 ? 1 / value : 0);
  }
  return name;
}

/* As in lib/idm/norm.h: the factor of its own change is not 0. */
static bool has_residual(const double *row, size_t obs_dim, size_t i) {
  return row[obs_dim + i] < 0 || row[obs_dim + i] > 0;
}

/* The rows of coordinates that have a residual, and which these are. */
static void put_residuals(struct ensemble *e) {
  struct px_graph *g = e->o->graph;
  const size_t o = e->obs_dim, row = 2 * o + 1;
  const uint64_t dims[] = { o, row };
  if (!px_onnx_rows(e->o, "residual")) return;
  const double *r = px_onnx_data(e->o, "residual", PX_DTYPE_F64, 2, dims);
  if (!r) return;
  bool any = false;
  for (size_t i = 0; i < o; i++) any |= has_residual(r + i * row, o, i);
  if (!any) return;
  float *has;
  const int64_t n = (int64_t)o;
  const char *flags = px_graph_floats(g, 1, &n, &has);
  for (size_t i = 0; has && i < o; i++) has[i] = has_residual(r + i * row, o, i);
  const int64_t shape[] = { n, 2 * n + 1 }, turned[] = { 1, 0 };
  const char *whole = px_graph_tensor(g, "residual", PX_DTYPE_F64, 2, shape, r);
  const char *columns =
    px_graph_node(g, "Transpose", &whole, 1,
                  &(struct px_graph_attr){ .name = "perm", .list = turned, .n = 2 }, 1);
  const int64_t zero = 0, last = 2 * n;
  const char *const slice[] = { columns, px_graph_whole(g, 1, &zero), px_graph_whole(g, 1, &last) };
  e->residual = px_graph_node(g, "Slice", slice, 3, NULL, 0);
  e->constant = px_graph_pick(g, columns, 0, last);
  e->which = px_graph_cast(g, flags, PX_DTYPE_BOOL);
}

static void read_norm(struct ensemble *e) {
  const uint64_t dims[] = { STATS_N, e->obs_dim };
  const double *stats = px_onnx_data(e->o, "norm", PX_DTYPE_F64, 2, dims);
  if (!stats) return;
  e->mean = put_scale(e, stats, STATE_MEAN);
  e->inverse = put_scale(e, stats, STATE_STD);
  if (!e->difference) return;
  e->change_mean = put_scale(e, stats, CHANGE_MEAN);
  e->change_inverse = put_scale(e, stats, CHANGE_STD);
  put_residuals(e);
}

static const char *state(const struct ensemble *e, const char *s) {
  struct px_graph *g = e->o->graph;
  return px_graph_binary(g, "Mul", px_graph_binary(g, "Sub", s, e->mean), e->inverse);
}

static const char *change(const struct ensemble *e, const char *from, const char *to) {
  struct px_graph *g = e->o->graph;
  const char *away = px_graph_binary(g, "Sub", px_graph_binary(g, "Sub", to, from), e->change_mean);
  const char *plain = px_graph_binary(g, "Mul", away, e->change_inverse);
  if (!e->residual) return plain;
  const char *from64 = px_graph_cast(g, from, PX_DTYPE_F64);
  const char *by = px_graph_binary(g, "Sub", px_graph_cast(g, to, PX_DTYPE_F64), from64);
  const char *both = px_graph_concat(g, (const char *const[]){ from64, by }, 2, 1);
  const char *sum =
    px_graph_binary(g, "Add", px_graph_binary(g, "MatMul", both, e->residual), e->constant);
  return px_graph_where(g, e->which, px_graph_cast(g, sum, PX_DTYPE_F32), plain);
}

/* The inputs [N, (k + 2 + f) O + f] of the nets. */
static const char *window(const struct ensemble *e) {
  struct px_graph *g = e->o->graph;
  const uint32_t places = e->k + 2 + e->f;
  const struct px_graph_door door = {
    "observations",
    "s_{t-k} .. s_{t+1+f}, as in the dataset; NaN beyond the episode's ends.",
    PX_DTYPE_F32,
    3,
    { PX_GRAPH_BATCH, places, e->obs_dim }
  };
  const char *given = px_graph_input(g, &door), *zero = px_graph_number(g, 0);
  const char *s[PLACES_MAX], *missing[PLACES_MAX], *x[PLACES_MAX + FUTURE_MAX];
  for (uint32_t i = 0; i < places; i++) {
    s[i] = px_graph_pick(g, given, 1, i);
    missing[i] = px_graph_unary(g, "IsNaN", s[i]);
    /* past the end the last state is repeated */
    if (i > e->k + 1) s[i] = px_graph_where(g, missing[i], s[i - 1], s[i]);
  }
  const char *now = state(e, s[e->k]);
  for (uint32_t i = 0; i < places; i++) {
    if (i == e->k) x[i] = now;
    else if (!e->difference) x[i] = state(e, s[i]);
    else if (i > e->k) x[i] = change(e, s[i - 1], s[i]);
    /* velocities are observed: what was before is left out, so it is 0 */
    else if (e->residual) x[i] = px_graph_binary(g, "Sub", now, now);
    else x[i] = change(e, s[i], s[i + 1]);
    if (i < e->k) x[i] = px_graph_where(g, missing[i], zero, x[i]);
  }
  const int64_t first = 0;
  for (uint32_t i = 0; i < e->f; i++) {
    const char *const inputs[] = { missing[e->k + 2 + i], px_graph_whole(g, 1, &first) };
    const char *mask = px_graph_node(g, "Gather", inputs, 2,
                                     &(struct px_graph_attr){ .name = "axis", .number = 1 }, 1);
    x[places + i] = px_graph_cast(g, mask, PX_DTYPE_F32);
  }
  return px_graph_concat(g, x, places + e->f, 1);
}

/* ---- members */

static bool has_gelus(const struct ensemble *e) {
  const char *word = px_onnx_word(e->o, "activation");
  return strcmp(word, "gelu") == 0 ||
         (strcmp(word, "mixed") == 0 && px_onnx_count(e->o, "member", 0, UINT32_MAX) % 2 == 0);
}

/* mu [N, A], or [N, classes]. */
static const char *mean_of(const struct ensemble *e, const char *x, uint32_t in) {
  const struct px_onnx_net net = { .name = "mu", .in = in, .gelu = has_gelus(e) };
  const char *mu = px_onnx_net(e->o, x, &net);
  if (!px_onnx_rows(e->o, "linear.bias")) return mu;
  const struct px_onnx_layer line = { .name = "linear", .in = in };
  return px_graph_binary(e->o->graph, "Add", mu, px_onnx_linear(e->o, x, &line));
}

static const char *vector(const struct ensemble *e, const char *name) {
  const uint64_t dims[] = { e->act_dim };
  const int64_t n = e->act_dim;
  char full[PREFIX_MAX + 16];
  snprintf(full, sizeof full, "%s%s", e->o->prefix, name);
  return px_graph_tensor(e->o->graph, full, PX_DTYPE_F32, 1, &n,
                         px_onnx_data(e->o, name, PX_DTYPE_F32, 1, dims));
}

/* The label in (-1, 1). */
static const char *label_of(const struct ensemble *e, const char *mu) {
  struct px_graph *g = e->o->graph;
  const char *m = e->squashed ? px_graph_unary(g, "Tanh", mu) : mu;
  return px_graph_binary(g, "Min", px_graph_binary(g, "Max", m, vector(e, "least")),
                         vector(e, "most"));
}

/* s^2 of a member whose label is m: [N, A], or [A] without a spread net. */
static const char *variance_of(const struct ensemble *e, const char *x, uint32_t in,
                               const char *m) {
  struct px_graph *g = e->o->graph;
  const char *s = vector(e, "spread");
  if (px_onnx_rows(e->o, "y.0.bias")) {
    const char *y = px_onnx_net(e->o, x, &(struct px_onnx_net){ .name = "y", .in = in });
    const char *range =
      px_graph_binary(g, "Mul", px_graph_unary(g, "Tanh", y), px_graph_number(g, log_sigma_range));
    const char *log = px_graph_binary(g, "Add", range, px_graph_number(g, log_sigma_center));
    s = px_graph_binary(g, "Mul", px_graph_unary(g, "Exp", log), s);
  }
  if (e->squashed) {
    /* 1 - m^2 as a product, which keeps its digits near the edges */
    const char *one = px_graph_number(g, 1);
    const char *slope = px_graph_binary(g, "Mul", px_graph_binary(g, "Sub", one, m),
                                        px_graph_binary(g, "Add", one, m));
    s = px_graph_binary(g, "Mul", s, slope);
  }
  return px_graph_binary(g, "Mul", s, s);
}

/* ---- the ensemble */

static const char *weighted(const struct ensemble *e, const char *const *each) {
  struct px_graph *g = e->o->graph;
  const char *sum = NULL;
  for (uint32_t i = 0; i < e->n; i++) {
    const char *part = px_graph_binary(g, "Mul", each[i], px_graph_number(g, (float)e->weight[i]));
    sum = i ? px_graph_binary(g, "Add", sum, part) : part;
  }
  return sum;
}

static void put_output(const struct ensemble *e, const char *value, const char *name,
                       const char *about, enum px_dtype dtype) {
  const struct px_graph_door door = {
    name, about, dtype, e->act_count ? 1 : 2, { PX_GRAPH_BATCH, e->act_dim }
  };
  px_graph_output(e->o->graph, value, &door);
}

static void put_deviations(const struct ensemble *e, const char *total, const char *epistemic) {
  put_output(e, total, "action_std", "Of the true action about it: the total.", PX_DTYPE_F32);
  put_output(e, epistemic, "action_epistemic", "The part that more labels would take away.",
             PX_DTYPE_F32);
}

/* A standard deviation in the dataset's units from a variance in (-1, 1). */
static const char *deviation(const struct ensemble *e, const char *variance, const char *half) {
  struct px_graph *g = e->o->graph;
  return px_graph_binary(g, "Mul", px_graph_unary(g, "Sqrt", variance), half);
}

static void put_continuous(const struct ensemble *e, const char *const *labels,
                           const char *const *variances) {
  struct px_onnx *o = e->o;
  struct px_graph *g = o->graph;
  const char *mean = weighted(e, labels), *squares[PX_ONNX_MEMBERS_MAX], *half;
  for (uint32_t i = 0; i < e->n; i++) {
    const char *off = px_graph_binary(g, "Sub", labels[i], mean);
    squares[i] = px_graph_binary(g, "Mul", off, off);
  }
  const float replicates = (float)px_onnx_count(o, "members", 1, PX_ONNX_MEMBERS_MAX) - 1;
  const char *epistemic =
    px_graph_binary(g, "Mul", weighted(e, squares), px_graph_number(g, replicates));
  /* max(whole - epistemic, 0) + epistemic */
  const char *total = px_graph_binary(g, "Max", weighted(e, variances), epistemic);
  const char *low = vector(e, "act_low"), *high = vector(e, "act_high");
  half = px_graph_binary(g, "Mul", px_graph_binary(g, "Sub", high, low), px_graph_number(g, 0.5F));
  const char *above =
    px_graph_binary(g, "Mul", half, px_graph_binary(g, "Add", mean, px_graph_number(g, 1)));
  const char *action = px_graph_binary(g, "Add", low, above);
  put_output(e, px_graph_binary(g, "Min", px_graph_binary(g, "Max", action, low), high), "actions",
             "In the dataset's units.", PX_DTYPE_F32);
  put_deviations(e, deviation(e, total, half), deviation(e, epistemic, half));
}

/* Of probabilities [N, classes] the entropy [N] as a share of the largest. */
static const char *entropy(const struct ensemble *e, const char *p) {
  struct px_graph *g = e->o->graph;
  const float least = 1e-38F; /* 0 log 0 is 0 */
  const char *log =
    px_graph_unary(g, "Log", px_graph_binary(g, "Max", p, px_graph_number(g, least)));
  const int64_t axis = 1;
  const char *const inputs[] = { px_graph_binary(g, "Mul", p, log), px_graph_whole(g, 1, &axis) };
  const char *sum = px_graph_node(g, "ReduceSum", inputs, 2,
                                  &(struct px_graph_attr){ .name = "keepdims", .number = 0 }, 1);
  const float scale = -1 / logf((float)e->act_count);
  return px_graph_binary(g, "Mul", sum, px_graph_number(g, scale));
}

static void put_discrete(const struct ensemble *e, const char *const *logits) {
  struct px_graph *g = e->o->graph;
  const char *p[PX_ONNX_MEMBERS_MAX], *each[PX_ONNX_MEMBERS_MAX];
  for (uint32_t i = 0; i < e->n; i++) {
    p[i] = px_graph_softmax(g, logits[i]);
    each[i] = entropy(e, p[i]);
  }
  const char *mean = weighted(e, p);
  const char *total = entropy(e, mean);
  const char *noise = px_graph_binary(g, "Min", weighted(e, each), total);
  const struct px_graph_attr attrs[] = { { .name = "axis", .number = 1 },
                                         { .name = "keepdims", .number = 0 } };
  put_output(e, px_graph_node(g, "ArgMax", &mean, 1, attrs, 2), "actions", "The action's index.",
             PX_DTYPE_I64);
  put_deviations(e, total, px_graph_binary(g, "Sub", total, noise));
}

static void put_members(struct ensemble *e, const char *x) {
  struct px_onnx *o = e->o;
  const uint32_t in = (e->k + 2 + e->f) * e->obs_dim + e->f;
  const char *labels[PX_ONNX_MEMBERS_MAX], *variances[PX_ONNX_MEMBERS_MAX];
  for (uint32_t i = 0; i < e->n; i++) {
    char prefix[PREFIX_MAX];
    snprintf(prefix, sizeof prefix, "member%u.", i);
    o->file = e->members[i];
    o->prefix = prefix;
    labels[i] = mean_of(e, x, in);
    if (e->act_count) continue;
    labels[i] = label_of(e, labels[i]);
    variances[i] = variance_of(e, x, in, labels[i]);
  }
  o->file = e->members[0];
  o->prefix = "";
  if (e->act_count) put_discrete(e, labels);
  else put_continuous(e, labels, variances);
}

void px_onnx_idm(struct px_onnx *o, const struct px_safetensors *const *members, uint32_t n) {
  struct ensemble e = { .o = o, .members = members, .n = n };
  check_members(&e);
  read_shape(&e);
  if (o->status) return;
  weigh(&e);
  read_norm(&e);
  put_members(&e, window(&e));
}
