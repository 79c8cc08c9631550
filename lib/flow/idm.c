/* SPDX-License-Identifier: Apache-2.0 */
/* Options of inverse dynamics models: see idm.h. Bounds keep a training within
 * what one worker can do. */
#include "lib/flow/idm.h"

#include "lib/base/fail.h"

#include <stdio.h>
#include <string.h>

#define WHOLE(name, low, high, initial, help) \
  { name, FLOW_INT, low, high, initial, NULL, NULL, help }
#define NUMBER(name, low, high, initial, help) \
  { name, FLOW_NUMBER, low, high, initial, NULL, NULL, help }
#define WORD(name, initial, words, help) \
  { name, FLOW_ENUM, 0, 0, initial, words, NULL, help }
#define FLAG(name, initial, help) \
  { name, FLOW_BOOL, 0, 0, initial, NULL, NULL, help }
#define SEED_MAX 9007199254740991.0 /* 2^53 - 1: exact in every JSON reader */

#define INPUTS(initial) \
  WORD("inputs", initial, "states|difference", \
       "states: the window as it is; difference: beside s_t, standardised changes of state in " \
       "place of states")
#define MEAN(head, loss) \
  WORD("head", head, "squashed|gaussian|deterministic|softmax", \
       "squashed: tanh of a Gaussian; gaussian: clipped to the range; deterministic: the mean " \
       "alone; softmax: for " \
       "discrete actions, whose default it is"), \
    WORD("mean_loss", loss, "squared|nll|beta_nll", \
         "What trains the mean action; head softmax takes nll, and has it as default"), \
    WORD("compat", "\"none\"", "none|reference", \
         "reference: what the paper's public code does where it differs")
#define WINDOW \
  WHOLE("k", 0, 8, "1", "Past transitions in the window"), \
    WHOLE("f", 0, 4, "0", "Future observations in the window")
#define FEATURES(shift_max, residuals) \
  NUMBER("shift_max", 0, 1, shift_max, \
         "inputs difference: a number of s_t is left out where more than this share of the " \
         "unlabelled transitions has it " \
         "outside the labelled ones' 0.5 to 99.5%; its change stays"), \
    FLAG("residuals", residuals, \
         "inputs difference: whether the change of a coordinate that integrates another is what " \
         "the others leave of it; " \
         "where there is such a one, changes before s_t are left out")
#define NETS(hidden, layers, dropout, activation, linear) \
  WHOLE("hidden", 8, 2048, hidden, "Units of each hidden layer"), \
    WHOLE("layers", 1, 4, layers, "Hidden layers"), \
    NUMBER("dropout", 0, 0.9, dropout, "Share of the last hidden layer that is dropped"), \
    WORD("activation", activation, "relu|gelu|mixed", \
         "Of the mean's hidden units; mixed: GELUs in members 0, 2, ..., ReLUs in the others"), \
    FLAG("spectral_norm", "false", \
         "Whether hidden weights are divided by their largest singular value"), \
    FLAG("linear", linear, "Whether the ridge solution is a skip path beside the net")
#define MEMBERS(initial, voting) \
  WHOLE("members", 1, 16, initial, "Ensemble members; each validates on its own fold"), \
    WORD("voting", voting, "equal|agreement", \
         "How members count in a label. equal: alike; agreement: less if a member lies far from " \
         "the others where nothing " \
         "is labelled")
#define STEPS(steps, batch, lr, cosine) \
  WHOLE("steps", 1, 1000000, steps, "Most optimiser steps"), \
    WHOLE("batch", 1, 8192, batch, "Transitions in a step"), \
    NUMBER("lr", 1e-8, 1, lr, "Adam's learning rate"), \
    FLAG("cosine", cosine, "Whether the learning rate falls to 0 along half a cosine"), \
    NUMBER("weight_decay", 0, 1, "0", "L2 penalty, added to the gradient"), \
    NUMBER("beta", 0, 1, "0.5", "Exponent of beta_nll")
#define VALIDATION(every, patience) \
  WHOLE("validate_every", 1, 100000, every, "Steps between validations"), \
    WHOLE("patience", 0, 10000, patience, \
          "Validations without a better one before it stops; 0: never")
#define SELF_TRAINING \
  WHOLE("rounds", 0, 10, "0", "Rounds of self-training, each a training of its own"), \
    NUMBER("add_percent", 0.01, 100, "10", \
           "Percent of the unlabelled transitions, most certain first, that a round adds")
#define SEED WHOLE("seed", 0, SEED_MAX, "0", "Seed of initial weights, folds and batches")
#define END \
  { .name = NULL }

/* Measured on eight datasets (tests/bench/bench_labels.c). */
static const struct flow_field FAST[] = { INPUTS("\"difference\""),
                                          MEAN("\"gaussian\"", "\"squared\""),
                                          WINDOW,
                                          FEATURES("0.4", "true"),
                                          NETS("256", "3", "0", "\"mixed\"", "true"),
                                          MEMBERS("5", "\"agreement\""),
                                          STEPS("2000", "256", "0.003", "true"),
                                          VALIDATION("100", "15"),
                                          SELF_TRAINING,
                                          SEED,
                                          END };

/* SS-ORL, appendix. */
static const struct flow_field PAPER[] = { INPUTS("\"states\""),
                                           MEAN("\"squashed\"", "\"nll\""),
                                           WINDOW,
                                           FEATURES("1", "false"),
                                           NETS("1024", "2", "0.1", "\"relu\"", "false"),
                                           MEMBERS("1", "\"equal\""),
                                           STEPS("100000", "1024", "0.0001", "false"),
                                           VALIDATION("1000", "0"),
                                           SELF_TRAINING,
                                           SEED,
                                           END };

#define PROFILE(name, initial, options, help) \
  { name, FLOW_OBJECT, 0, 0, initial, NULL, options, help }
const struct flow_field flow_idm_profiles[] = {
  PROFILE("fast", "\"fast\"", FAST, "What labels best per second of one core"),
  PROFILE("paper", NULL, PAPER, "SS-ORL's recipe (arXiv 2210.06518), for comparison"), END
};

enum px_status flow_idm_check_pairs(const struct flow_idm_pairs *p, const char *pointer,
                                    struct px_err *err) {
  const bool constant = strcmp(p->head, "deterministic") == 0,
             reference = strcmp(p->compat, "reference") == 0;
  const struct {
    bool wrong;
    const char *name, *message, *hint;
  } pairs[] = {
    { constant && strcmp(p->mean_loss, "squared") != 0, "mean_loss",
      "head deterministic has no likelihood to train by",
      "Set mean_loss to squared, or choose head gaussian." },
    { strcmp(p->head, "softmax") == 0 && strcmp(p->mean_loss, "nll") != 0, "mean_loss",
      "head softmax is trained by its likelihood", "Set mean_loss to nll." },
    { constant && p->rounds > 0, "rounds",
      "head deterministic is as certain of each transition as of all others",
      "Set rounds to 0, or choose head gaussian." },
    { reference && strcmp(p->inputs, "states") != 0, "inputs",
      "compat reference is defined for inputs states", "Set profile to paper, or compat to none." },
    { reference && strcmp(p->head, "squashed") != 0, "head",
      "compat reference is defined for head squashed", "Set profile to paper, or compat to none." },
    { reference && p->f > 0, "f", "compat reference has no future observations",
      "Set f to 0, or compat to none." },
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    if (!pairs[i].wrong) continue;
    char at[96];
    snprintf(at, sizeof at, "%s/%s", pointer, pairs[i].name);
    px_fail_at(err, PX_E_BAD_FIELD, at, "%s", pairs[i].message);
    px_fail_hint(err, "%s", pairs[i].hint);
    return PX_E_BAD_FIELD;
  }
  return PX_OK;
}
