/* Profiles, bounds and words of the specification: see idm.h. */
#include <math.h>
#include <string.h>

#include "worker/idm/idm.h"

void idm_spec_default(enum idm_profile profile, struct idm_spec *spec) {
  /* Measured on eight datasets (tests/bench/bench_labels.c). */
  static const struct idm_spec fast = {
    .profile = IDM_FAST, .inputs = IDM_DIFFERENCE, .head = IDM_GAUSSIAN, .mean_loss = IDM_SQUARED,
    .k = 1, .f = 0, .hidden = 256, .layers = 3, .members = 5, .steps = 3000, .batch = 256,
    .validate_every = 100, .patience = 15, .lr = 1e-3, .beta = 0.5, .cosine = true, .linear = true,
  };
  /* SS-ORL, appendix; its validation share and the kept iterate: see train.c. */
  static const struct idm_spec paper = {
    .profile = IDM_PAPER, .inputs = IDM_STATES, .head = IDM_SQUASHED, .mean_loss = IDM_NLL,
    .k = 1, .f = 0, .hidden = 1024, .layers = 2, .members = 1, .steps = 100000, .batch = 1024,
    .validate_every = 1000, .patience = 0, .lr = 1e-4, .dropout = 0.1, .beta = 0.5,
  };
  *spec = profile == IDM_PAPER ? paper : fast;
}

struct bound { const char *pointer; double value, low, high; };

enum px_status idm_spec_check(const struct idm_spec *spec, struct px_err *err) {
  const struct bound bounds[] = {
    { "/k", spec->k, 0, IDM_K_MAX },
    { "/f", spec->f, 0, IDM_F_MAX },
    { "/hidden", spec->hidden, 8, IDM_HIDDEN_MAX },
    { "/layers", spec->layers, 1, IDM_LAYERS_MAX },
    { "/members", spec->members, 1, IDM_MEMBERS_MAX },
    { "/steps", spec->steps, 1, 1e6 },
    { "/batch", spec->batch, 1, IDM_BATCH_MAX },
    { "/validate_every", spec->validate_every, 1, 1e5 },
    { "/patience", spec->patience, 0, 1e4 },
    { "/lr", spec->lr, 1e-8, 1 },
    { "/dropout", spec->dropout, 0, 0.9 },
    { "/weight_decay", spec->weight_decay, 0, 1 },
    { "/beta", spec->beta, 0, 1 },
  };
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
    if (!(bounds[i].value >= bounds[i].low && bounds[i].value <= bounds[i].high))
      return px_fail_at(err, PX_E_BAD_FIELD, bounds[i].pointer, "%g is not between %g and %g", bounds[i].value,
                        bounds[i].low, bounds[i].high);
  if (spec->head == IDM_DETERMINISTIC && spec->mean_loss != IDM_SQUARED) {
    px_fail_at(err, PX_E_BAD_FIELD, "/mean_loss", "head deterministic has no likelihood to train by");
    px_err_hint(err, "Set mean_loss to squared, or choose head gaussian.");
    return PX_E_BAD_FIELD;
  }
  return PX_OK;
}

static const char *const profiles[] = { "fast", "paper" };
static const char *const inputs[] = { "states", "difference" };
static const char *const heads[] = { "squashed", "gaussian", "deterministic" };
static const char *const mean_losses[] = { "squared", "nll", "beta_nll" };

static int find(const char *const *words, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (strcmp(words[i], name) == 0) return i;
  return -1;
}

const char *idm_profile_name(enum idm_profile v) { return profiles[v]; }
const char *idm_inputs_name(enum idm_inputs v) { return inputs[v]; }
const char *idm_head_name(enum idm_head v) { return heads[v]; }
const char *idm_mean_loss_name(enum idm_mean_loss v) { return mean_losses[v]; }

bool idm_profile_from(const char *name, enum idm_profile *out) {
  const int i = find(profiles, 2, name);
  if (i >= 0) *out = (enum idm_profile)i;
  return i >= 0;
}

bool idm_inputs_from(const char *name, enum idm_inputs *out) {
  const int i = find(inputs, 2, name);
  if (i >= 0) *out = (enum idm_inputs)i;
  return i >= 0;
}

bool idm_head_from(const char *name, enum idm_head *out) {
  const int i = find(heads, 3, name);
  if (i >= 0) *out = (enum idm_head)i;
  return i >= 0;
}

bool idm_mean_loss_from(const char *name, enum idm_mean_loss *out) {
  const int i = find(mean_losses, 3, name);
  if (i >= 0) *out = (enum idm_mean_loss)i;
  return i >= 0;
}
