/* SPDX-License-Identifier: Apache-2.0 */
/* Job kinds and their specs: see kinds.h. Bounds keep a single job within what
 * one worker can do; the learning code checks combinations again. */
#include "lib/flow/kinds.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/flow/algos.h"
#include "lib/flow/envs.h"
#include "lib/flow/idm.h"
#include "lib/flow/labellers.h"

#define END \
  { .name = NULL }
#define SEED_MAX 9007199254740991.0 /* 2^53 - 1: exact in every JSON reader */

const struct flow_field flow_kind_aliases[] = { FLOW_ALIAS_OF("ope", "assess"), END };

static const struct flow_field MASK[] = {
  { "protocol", FLOW_ENUM, 0, 0, "\"none\"", "none|coupled", NULL,
    "coupled hides the known actions of all but p% of the trajectories that have any, drawn from "
    "the bottom q% by return" },
  { "p", FLOW_NUMBER, 0.01, 100, "10", NULL, NULL,
    "Percent of the trajectories with known actions that keep them, at most q" },
  { "q", FLOW_NUMBER, 0.01, 100, "50", NULL, NULL,
    "Percent, lowest returns first, that they are drawn from" },
  { "seed", FLOW_INT, 0, SEED_MAX, "0", NULL, NULL, "Seed of the draw" },
  END
};

#define DATASET \
  { "dataset", FLOW_ID, 0, 0, "!", "ds_", NULL, "Dataset id, or its name" }
/* Filled in at submission, so that a job sees the same snapshot whenever it runs. */
#define SEGMENTS \
  { "segments", FLOW_INT, 1,    1e9, \
    NULL,       NULL,     NULL, "Snapshot: the first so many segments; all, if not given" }, \
  { \
    "dataset_version", FLOW_INT, 0, 1e15, NULL, NULL, NULL, \
      "The version of the dataset to work on; the present one, if not given" \
  }
#define MASKED \
  { "mask", FLOW_OBJECT, 0, 0, "{}", NULL, MASK, "Known actions to hide, to measure with" }

static const struct flow_field A_MODEL[] = {
  { "model", FLOW_ID, 0, 0, "!", "mdl_", NULL, "Model id" }, END
};
static const struct flow_field A_SEED[] = {
  { "seed", FLOW_INT, 0, SEED_MAX, "!", NULL, NULL, "A seed" }, END
};
static const struct flow_field A_POLICY[] = { { "policy", FLOW_CHOICE, 0, 0, "!", "algo",
                                                flow_algos,
                                                "Algorithm and its options, or just its name" },
                                              END };
static const struct flow_field A_BASELINE[] = {
  { "baseline", FLOW_ENUM, 0, 0, "!", "labelled_only|oracle", NULL,
    "labelled_only: the same algorithm on true actions alone, without proxies; oracle: with all "
    "true actions, the hidden ones too" },
  END
};
static const struct flow_field RUN[] = {
  { "variant", FLOW_ENUM, 0, 0, "!", "ss|labelled_only|oracle", NULL,
    "Which actions it learned from" },
  { "policy", FLOW_TEXT, 0, 64, "!", NULL, NULL, "Algorithm" },
  { "seed", FLOW_INT, 0, SEED_MAX, "!", NULL, NULL, "Seed" },
  { "model", FLOW_ID, 0, 0, "!", "mdl_", NULL, "The policy" },
  { "labels", FLOW_ENUM, 0, 0, NULL, "all|verified|confident|true_only", NULL,
    "Where the report chooses: the labels that this run learned from" },
  { "selection", FLOW_ID, 0, 0, NULL, "job_", NULL,
    "The evaluate job whose episodes choose between the labels" },
  { "evaluation", FLOW_ID, 0, 0, NULL, "job_", NULL, "Its evaluate job" },
  { "assessment", FLOW_ID, 0, 0, NULL, "job_", NULL, "Its ope job" },
  END
};
static const struct flow_field A_RUN[] = {
  { "run", FLOW_OBJECT, 0, 0, "!", NULL, RUN, "A trained policy and its evaluation" }, END
};

#define IDM \
  { \
    "idm", FLOW_CHOICE, 0, 0, "\"fast\"", "profile", flow_idm_profiles, \
      "The inverse dynamics model, or just its profile" \
  }
#define MODELS(initial_text, help_text) \
  { "models", FLOW_LIST, 1, 16, initial_text, NULL, A_MODEL, help_text }
#define LABELLER(initial_text) \
  { \
    "labeller", FLOW_CHOICE, 0, 0, initial_text, "kind", flow_labellers, \
      "Who labels, and its options, or just its name" \
  }
#define LABEL_SET(initial_text) \
  { "label_set", FLOW_ID, 0, 0, initial_text, "ls_", NULL, "Label set id" }
#define POLICY_FIELD \
  { \
    "policy", FLOW_CHOICE, 0, 0, "\"td3bc\"", "algo", flow_algos, \
      "Algorithm and its options, or just its name" \
  }
#define ENV(initial_text, help_text) \
  { "env", FLOW_ENUM, 0, 0, initial_text, FLOW_ENVS, NULL, help_text }
#define EPISODES \
  { "episodes", FLOW_INT, 1, 1000, "20", NULL, NULL, "Episodes rolled out" }
#define SENSITIVITY \
  { \
    "sensitivity", FLOW_BOOL, 0, 0, "false", NULL, NULL, \
      "Whether a policy also plays with its actions offset, scaled and made noisy, over at most " \
      "10 episodes each" \
  }
#define SEED_FIELD(help_text) \
  { "seed", FLOW_INT, 0, SEED_MAX, "0", NULL, NULL, help_text }

#define REHEARSAL(help_text) \
  { "rehearsal", FLOW_ID, 0, 0, NULL, "job_", NULL, help_text }

static const struct flow_field INGEST[] = {
  DATASET, { "upload", FLOW_ID, 0, 0, "!", "up_", NULL, "Upload id" }, END
};
static const struct flow_field TRAIN_IDM[] = { DATASET,
                                               SEGMENTS,
                                               MASKED,
                                               IDM,
                                               { "member", FLOW_INT, 0, 15, "0", NULL, NULL,
                                                 "Which member of the ensemble this job trains" },
                                               END };
#define RANGE_OF_SEGMENTS \
  { "label_job", FLOW_ID, 0, 0, "!", "job_", NULL, "Label job that publishes" }, \
    { "first", FLOW_INT, 0, 1e9, "!", NULL, NULL, "First segment" }, { \
    "count", FLOW_INT, 1, 1e9, "!", NULL, NULL, "Segments" \
  }
static const struct flow_field LABEL_SHARD[] = { DATASET, SEGMENTS, MODELS("!", "Ensemble members"),
                                                 RANGE_OF_SEGMENTS, END };
#define CHECK \
  { "check", FLOW_ID, 0, 0, NULL, "job_", NULL, "The check_simulator job that must have succeeded" }
/* A kind of its own, so that workers that know no simulators leave it alone. */
static const struct flow_field SIMULATE_SHARD[] = {
  DATASET,
  SEGMENTS,
  LABELLER("!"),
  MODELS(NULL, "Ensemble members whose labels the solver starts from"),
  CHECK,
  { "inverse", FLOW_ID, 0, 0, NULL, "mdl_", NULL, "The net that the solver starts from" },
  RANGE_OF_SEGMENTS,
  END
};
static const struct flow_field TRAIN_INVERSE[] = {
  DATASET,
  SEGMENTS,
  FLOW_SIMULATOR_FIELD,
  CHECK,
  { "net", FLOW_OBJECT, 0, 0, "{}", NULL, flow_labeller_inverse_fields, "The net's options" },
  SEED_FIELD("Seed of the simulated steps, the initial weights and the batches"),
  END
};
static const struct flow_field CHECK_SIMULATOR[] = {
  DATASET, SEGMENTS, MASKED, FLOW_SIMULATOR_FIELD, FLOW_THRESHOLD, FLOW_IDENTIFY, END
};
#define SHARDS \
  { \
    "shards", FLOW_INT, 1, 64, NULL, NULL, NULL, \
      "Parts that workers label at the same time; 8 or as many as there are segments" \
  }
static const struct flow_field LABEL[] = {
  DATASET,
  SEGMENTS,
  LABELLER("\"idm\""),
  MODELS(NULL, "Ensemble members; with a simulator they may be left out"),
  SHARDS,
  END
};
static const struct flow_field TRAIN_POLICY[] = {
  DATASET,
  SEGMENTS,
  MASKED,
  LABEL_SET(NULL),
  REHEARSAL("labels auto: the rehearse job that says what it stands for"),
  POLICY_FIELD,
  SEED_FIELD("Seed of initial weights and batches"),
  END
};
static const struct flow_field EVALUATE[] = {
  { "model", FLOW_ID, 0, 0, "!", "mdl_", NULL, "Policy id" },
  ENV("!", "Simulator to roll out in"),
  EPISODES,
  SEED_FIELD("Seed of the initial states"),
  { "target_return", FLOW_NUMBER, -1e9, 1e9, NULL, NULL, NULL,
    "dt: the return to aim at; the best of the trajectories it learned from, if not given" },
  { "gamma", FLOW_NUMBER, 0.0001, 1, "0.99", NULL, NULL, "Discount of discounted_return_mean" },
  SENSITIVITY,
  END
};
/* Fitted Q evaluation. A value spreads backwards over 1 / (1 - gamma) steps in about 1 / ((1 -
 * gamma) tau) updates, so tau is larger than where a policy is learned: 2,000 updates here. */
#define FQE_FIELDS \
  { \
    "updates", FLOW_INT, 1, 1000000, "10000", NULL, NULL, "Gradient steps of fitted Q evaluation" \
  }, \
    { "batch", FLOW_INT, 1, 8192, "256", NULL, NULL, "Transitions in a step" }, \
    { "hidden", FLOW_INT, 8, 2048, "256", NULL, NULL, "Units of each hidden layer" }, \
    { "layers", FLOW_INT, 1, 4, "2", NULL, NULL, "Hidden layers" }, \
    { "lr", FLOW_NUMBER, 1e-8, 1, "0.0003", NULL, NULL, "Adam's learning rate" }, \
    { "gamma", FLOW_NUMBER, 0, 0.9999, "0.99", NULL, NULL, "Discount" }, { \
    "tau", FLOW_NUMBER, 1e-6, 1, "0.05", NULL, NULL, "Share by which the target net follows" \
  }
const struct flow_field flow_kind_fqe_fields[] = { FQE_FIELDS, END };
static const struct flow_field OPE[] = { { "model", FLOW_ID, 0, 0, "!", "mdl_", NULL, "Policy id" },
                                         DATASET,
                                         SEGMENTS,
                                         MASKED,
                                         LABEL_SET(NULL),
                                         FQE_FIELDS,
                                         SEED_FIELD("Seed of initial weights and batches"),
                                         END };
static const struct flow_field REHEARSE[] = {
  DATASET, SEGMENTS, MASKED, IDM, SEED_FIELD("Seed of initial weights and batches"), END
};
static const struct flow_field REPORT[] = {
  DATASET,
  SEGMENTS,
  MASKED,
  LABEL_SET("!"),
  MODELS(NULL, "Ensemble members that gave the labels; none where a simulator gave all"),
  ENV(NULL, "Simulator of the evaluations"),
  REHEARSAL("The rehearse job that chose the labels"),
  { "runs", FLOW_LIST, 0, 1000, "[]", NULL, A_RUN, "Policies to compare" },
  END
};
static const char EXPORTS[] =
#define PX_EXPORT(NAME, name, ...) "|" #name
#include "schema/exports.def"
#undef PX_EXPORT
  ;
static const struct flow_field EXPORT[] = {
  DATASET,
  SEGMENTS,
  { "format", FLOW_ENUM, 0, 0, "\"hdf5\"", EXPORTS + 1, NULL, "File format" },
  { "actions", FLOW_ENUM, 0, 0, "\"both\"", "true|proxy|both", NULL,
    "Which actions are written; proxy: at every step; both: the true one, also where a mask hid "
    "it, or else the proxy" },
  { "about", FLOW_BOOL, 0, 0, "true", NULL, NULL,
    "Whether the file says which dataset, version and label set it is of; without, equal data give "
    "equal bytes" },
  LABEL_SET(NULL),
  END
};
static const struct flow_field PIPELINE[] = {
  DATASET,
  SEGMENTS,
  MASKED,
  IDM,
  LABELLER("\"idm\""),
  SHARDS,
  { "policies", FLOW_LIST, 0, 20, "[\"td3bc\"]", NULL, A_POLICY, "Algorithms to train" },
  { "seeds", FLOW_LIST, 1, 50, "[0]", NULL, A_SEED, "Each policy is trained once with each" },
  { "baselines", FLOW_LIST, 0, 2, "[]", NULL, A_BASELINE, "Comparisons trained beside" },
  ENV(NULL, "Simulator to roll out in; the dataset's, if not given"),
  EPISODES,
  SENSITIVITY,
  { "evaluation", FLOW_ENUM, 0, 0, "\"auto\"", "auto|evaluate|ope|both|none", flow_kind_aliases,
    "evaluate: roll the policies out; ope: off-policy evaluation, from data; auto: evaluate where "
    "there is a simulator, else ope" },
  FLOW_ALIAS_OF("evaluation", "judge"),
  { "ope", FLOW_OBJECT, 0, 0, "{}", NULL, flow_kind_fqe_fields,
    "Options of the off-policy evaluation" },
  FLOW_ALIAS_OF("ope", "assess"),
  END
};

/* Rows of the tables that specs take words from. */
enum {
  ALGOS_N = 0
#define PX_ALGO(...) +1
#include "schema/algos.def"
#undef PX_ALGO
  ,
  ENVS_N = 0
#define PX_ENV(...) +1
#include "schema/envs.def"
#undef PX_ENV
};

static const struct flow_kind_info KINDS[FLOW_KIND_N] = {
#define PX_KIND(NAME, name, revision, submittable, help) \
  [FLOW_##NAME] = { #name, NAME, revision, submittable, help },
#define PX_KIND_OF_JOBS PX_KIND
#include "schema/kinds.def"
#undef PX_KIND_OF_JOBS
#undef PX_KIND
};

const struct flow_kind_info *flow_kind_info(enum flow_kind kind) { return &KINDS[kind]; }

void flow_kind_names(bool submittable, const char *between, char out[FLOW_KIND_NAMES_MAX]) {
  size_t used = 0;
  out[0] = '\0';
  for (int i = 0; i < FLOW_KIND_N; i++) {
    if (submittable && !KINDS[i].submittable) continue;
    used += (size_t)snprintf(out + used, FLOW_KIND_NAMES_MAX - used, "%s%s", used ? between : "",
                             KINDS[i].name);
    assert(used < FLOW_KIND_NAMES_MAX);
  }
}

const char *flow_kind_present_name(const char *name) {
  for (const struct flow_field *alias = flow_kind_aliases; alias->name; alias++)
    if (strcmp(alias->name, name) == 0) return alias->words;
  return name;
}

void flow_kind_stored_names(enum flow_kind kind, char out[FLOW_KIND_NAMES_MAX]) {
  size_t used = (size_t)snprintf(out, FLOW_KIND_NAMES_MAX, "%s", KINDS[kind].name);
  for (const struct flow_field *alias = flow_kind_aliases; alias->name; alias++) {
    if (strcmp(alias->words, KINDS[kind].name) != 0) continue;
    used += (size_t)snprintf(out + used, FLOW_KIND_NAMES_MAX - used, ",%s", alias->name);
    assert(used < FLOW_KIND_NAMES_MAX);
  }
}

enum px_status flow_kind_from(const char *name, enum flow_kind *out, struct px_err *err) {
  const char *present = flow_kind_present_name(name);
  for (int i = 0; i < FLOW_KIND_N; i++) {
    if (strcmp(KINDS[i].name, present) != 0) continue;
    *out = (enum flow_kind)i;
    return PX_OK;
  }
  px_fail_at(err, PX_E_BAD_FIELD, "/kind", "there is no job kind '%.64s'", name);
  char names[FLOW_KIND_NAMES_MAX];
  flow_kind_names(true, ", ", names);
  px_fail_hint(err, "Kinds: %s.", names);
  return PX_E_BAD_FIELD;
}
