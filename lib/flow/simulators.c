/* SPDX-License-Identifier: Apache-2.0 */
/* Users' simulators: see simulators.h. */
#include "lib/flow/simulators.h"

#include "lib/base/fail.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END \
  { .name = NULL }
#define SCALE_MAX 1e9
#define SCALE_LEAST 1e-6
#define FLOAT32_DIGITS 16777216.0 /* 2^24: more than this beside 1 leaves nothing of the 1 */
static const struct flow_field A_BOUND[] = {
  { "bound", FLOW_NUMBER, -1e12, 1e12, "!", NULL, NULL, "A bound" }, END
};
#define OF(words) \
  { "of", FLOW_TEXT, 1, 64, "!", NULL, NULL, words }
#define LINEAR \
  { "scale",    FLOW_NUMBER, \
    -SCALE_MAX, SCALE_MAX, \
    "1",        NULL, \
    NULL,       "Factor to the dataset's units; at least 1e-6, or at most -1e-6" }, \
  { \
    "offset", FLOW_NUMBER, -SCALE_MAX, SCALE_MAX, "0", NULL, NULL, \
      "Added after it; at most 2^24 times scale" \
  }
static const struct flow_field OBSERVATION[] = {
  OF("qpos or qvel, whole, from:to or one index: qpos[1:], qvel[0:3], qpos[2]"),
  { "clip", FLOW_LIST, 2, 2, NULL, NULL, A_BOUND,
    "Lowest and highest recorded value; the simulator's own state goes on beyond" },
  LINEAR,
  END
};
static const struct flow_field ACTION[] = { OF("ctrl, likewise"), LINEAR, END };
static const struct flow_field AN_OBSERVATION[] = {
  { "observation", FLOW_OBJECT, 0, 0, "!", NULL, OBSERVATION, "A part, or just what it is of" }, END
};
static const struct flow_field AN_ACTION[] = {
  { "action", FLOW_OBJECT, 0, 0, "!", NULL, ACTION, "A part, or just what it is of" }, END
};

const struct flow_field flow_simulator_fields[] = {
  { "name", FLOW_TEXT, 1, 200, "!", NULL, NULL, "A name of your choice; unique" },
  { "observations", FLOW_LIST, 1, 64, "!", NULL, AN_OBSERVATION,
    "Parts of the simulator's state that make an observation, in order" },
  { "actions", FLOW_LIST, 1, 64, "[\"ctrl\"]", NULL, AN_ACTION,
    "Controls that an action drives, in order; others stay 0" },
  { "frame_skip", FLOW_INT, 1, 100, "1", NULL, NULL, "Physics steps for each step of the data" },
  { "time_step", FLOW_NUMBER, 1e-5, 0.1, NULL, NULL, NULL,
    "Seconds of a physics step; the model's own, if not given" },
  { "delay", FLOW_INT, 0, 16, "0", NULL, NULL, "Steps from an action to the step that it drives" },
  END
};

const struct flow_bind flow_simulator_bind[] = {
  FLOW_BIND(struct flow_sim_layout, FLOW_BIND_U32, frame_skip),
  FLOW_BIND(struct flow_sim_layout, FLOW_BIND_U32, delay),
  FLOW_BIND(struct flow_sim_layout, FLOW_BIND_F64, time_step), FLOW_BIND_END
};
const struct flow_bind flow_simulator_term_bind[] = {
  FLOW_BIND(struct flow_sim_term, FLOW_BIND_F64, scale),
  FLOW_BIND(struct flow_sim_term, FLOW_BIND_F64, offset), FLOW_BIND_END
};

static const char *const NAMES[] = {
  [FLOW_SIM_QPOS] = "qpos", [FLOW_SIM_QVEL] = "qvel", [FLOW_SIM_CTRL] = "ctrl"
};

struct slice {
  enum flow_sim_source source;
  uint32_t from, to;
};

/* A whole number at *at, which moves behind it; false without one. */
static bool take_number(const char **at, uint32_t *out) {
  if (!isdigit((unsigned char)**at)) return false;
  char *end;
  const unsigned long value = strtoul(*at, &end, 10);
  if (end - *at > 6) return false;
  *at = end;
  *out = (uint32_t)value;
  return true;
}

/* "qpos", "qpos[3]", "qpos[1:]", "qpos[1:4]", "qpos[:4]". */
static bool parse(const char *text, const struct flow_sim_model *model, struct slice *out) {
  const uint32_t sizes[] = { model->nq, model->nv, model->nu };
  size_t s = 0;
  while (s < 3 && strncmp(text, NAMES[s], 4) != 0) s++;
  if (s == 3) return false;
  *out = (struct slice){ (enum flow_sim_source)s, 0, sizes[s] };
  const char *at = text + 4;
  if (!*at) return true;
  if (*at++ != '[') return false;
  const bool from = take_number(&at, &out->from);
  if (from && *at == ']') {
    out->to = out->from + 1;
    return at[1] == '\0';
  }
  if (*at++ != ':') return false;
  (void)take_number(&at, &out->to);
  return strcmp(at, "]") == 0;
}

static enum px_status bad(const char *at, const char *text, const struct flow_sim_model *m,
                          bool action, struct px_err *err) {
  px_fail_at(err, PX_E_BAD_FIELD, at,
             "'%.64s' is no part of the model, which has %u positions (qpos), %u velocities (qvel) "
             "and %u controls (ctrl)",
             text, m->nq, m->nv, m->nu);
  px_fail_hint(err, action ? "Such as ctrl, ctrl[0:3] or ctrl[2]."
                           : "Such as qpos[1:], qvel or qpos[2].");
  return PX_E_BAD_FIELD;
}

/* Data and labels are float32: what is lost in them nobody can solve for. */
static enum px_status check_linear(const struct flow_sim_term *term, const char *at,
                                   const char *text, struct px_err *err) {
  char place[64];
  snprintf(place, sizeof place, "%s/%s", at, fabs(term->scale) < SCALE_LEAST ? "scale" : "offset");
  if (fabs(term->scale) < SCALE_LEAST)
    return px_fail_at(
      err, PX_E_BAD_FIELD, place,
      "a scale of %g leaves nothing of %.64s: %g to %g are possible, or negative so", term->scale,
      text, SCALE_LEAST, SCALE_MAX);
  if (fabs(term->offset) <= FLOAT32_DIGITS * fabs(term->scale)) return PX_OK;
  return px_fail_at(
    err, PX_E_BAD_FIELD, place,
    "an offset of %g with a scale of %g leaves nothing of %.64s in float32: at most "
    "%g is possible",
    term->offset, term->scale, text, FLOAT32_DIGITS * fabs(term->scale));
}

/* Adds the terms of one part to the n that there are, each number of the state once. */
static enum px_status add_part(const json_t *part, const char *at,
                               const struct flow_sim_model *model, bool action,
                               struct flow_sim_term *terms, uint32_t most, uint32_t *n,
                               struct px_err *err) {
  const char *text = json_string_value(json_object_get(part, "of"));
  const json_t *clip = json_object_get(part, "clip");
  struct slice slice;
  if (!parse(text, model, &slice) || (slice.source == FLOW_SIM_CTRL) != action)
    return bad(at, text, model, action, err);
  const uint32_t sizes[] = { model->nq, model->nv, model->nu };
  if (slice.from >= slice.to || slice.to > sizes[slice.source])
    return bad(at, text, model, action, err);
  struct flow_sim_term term = { .source = slice.source,
                                .clip_low = -INFINITY,
                                .clip_high = INFINITY };
  enum px_status status =
    flow_bind(action ? ACTION : OBSERVATION, flow_simulator_term_bind, part, &term, err);
  if (!status) status = check_linear(&term, at, text, err);
  if (status) return status;
  if (clip) {
    term.clip_low = json_number_value(json_array_get(clip, 0));
    term.clip_high = json_number_value(json_array_get(clip, 1));
    if (!(term.clip_low < term.clip_high))
      return px_fail_at(err, PX_E_BAD_FIELD, at, "clip goes from %g to %g, which is no range",
                        term.clip_low, term.clip_high);
  }
  for (term.index = slice.from; term.index < slice.to; term.index++) {
    for (uint32_t k = 0; k < *n; k++)
      if (terms[k].source == term.source && terms[k].index == term.index)
        return px_fail_at(err, PX_E_BAD_FIELD, at, "%s[%u] is there twice", NAMES[term.source],
                          term.index);
    if (*n == most) return px_fail_at(err, PX_E_BAD_FIELD, at, "more than %u dimensions", most);
    terms[(*n)++] = term;
  }
  return PX_OK;
}

static enum px_status add_parts(const json_t *checked, const char *list,
                                const struct flow_sim_model *model, struct flow_sim_term *terms,
                                uint32_t most, uint32_t *n, struct px_err *err) {
  size_t i;
  json_t *part;
  enum px_status status = PX_OK;
  json_array_foreach(json_object_get(checked, list), i, part) {
    char at[48];
    snprintf(at, sizeof at, "/%s/%zu", list, i);
    if (!status)
      status = add_part(part, at, model, strcmp(list, "actions") == 0, terms, most, n, err);
  }
  return status;
}

enum px_status flow_simulator_layout(const json_t *checked, const struct flow_sim_model *model,
                                     struct flow_sim_layout *out, struct px_err *err) {
  memset(out, 0, sizeof *out);
  enum px_status status = flow_bind(flow_simulator_fields, flow_simulator_bind, checked, out, err);
  if (!status)
    status =
      add_parts(checked, "observations", model, out->obs, FLOW_SIM_OBS_MAX, &out->obs_dim, err);
  if (!status)
    status = add_parts(checked, "actions", model, out->act, FLOW_SIM_ACT_MAX, &out->act_dim, err);
  return status;
}
