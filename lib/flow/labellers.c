/* SPDX-License-Identifier: Apache-2.0 */
/* Labellers and their options: see labellers.h. */
#include "lib/flow/labellers.h"

#include <string.h>

#define END \
  { .name = NULL }
#define SEED_MAX 9007199254740991.0 /* 2^53 - 1: exact in every JSON reader */

static const struct flow_field IDM[] = { END };
const struct flow_field flow_labeller_inverse_fields[] = {
  { "pairs", FLOW_INT, 100, 4000000, "400000", NULL, NULL, "Simulated steps that it learns from" },
  { "steps", FLOW_INT, 1, 1000000, "9000", NULL, NULL, "Gradient steps" },
  { "batch", FLOW_INT, 1, 8192, "512", NULL, NULL, "Simulated steps in a gradient step" },
  { "hidden", FLOW_INT, 8, 2048, "256", NULL, NULL, "Units of each hidden layer" },
  { "layers", FLOW_INT, 1, 4, "3", NULL, NULL, "Hidden layers" },
  { "lr", FLOW_NUMBER, 1e-8, 1, "0.002", NULL, NULL, "Adam's learning rate, which falls to 0" },
  END
};
const struct flow_field flow_labeller_simulator_fields[] = {
  FLOW_SIMULATOR_FIELD,
  { "solve", FLOW_BOOL, 0, 0, "true", NULL, NULL,
    "Whether the action is solved for; false: the answers of a net that inverts the simulator are "
    "the labels, and the simulator judges them" },
  { "net", FLOW_OBJECT, 0, 0, NULL, NULL, flow_labeller_inverse_fields,
    "A net that inverts the simulator, trained before anything is labelled on steps that it "
    "simulates, without any action of the data. The solver starts from its answers, or where there "
    "are inverse dynamics models goes there next. None, if not given, unless solve is false" },
  { "restarts", FLOW_INT, 0, 64, "8", NULL, NULL,
    "Random starts of the solver where the residual stays above the threshold" },
  FLOW_THRESHOLD,
  FLOW_IDENTIFY,
  { "seed", FLOW_INT, 0, SEED_MAX, "0", NULL, NULL, "Seed of the random starts and of the net" },
  { "fallback", FLOW_ENUM, 0, 0, NULL, "idm|none", NULL,
    "idm: labels of inverse dynamics models stand where the simulator's are not verified and "
    "expected to be worse; none: "
    "the simulator's stand everywhere. idm, if not given, where a pipeline has true actions or a "
    "job names models" },
  END
};

const struct flow_field flow_labellers[] = {
  { "idm", FLOW_OBJECT, 0, 0, "{}", NULL, IDM, "The inverse dynamics models label" },
  { "simulator", FLOW_OBJECT, 0, 0, NULL, NULL, flow_labeller_simulator_fields,
    "A simulator labels: the action whose simulated step ends at the next state, with a "
    "certificate for each" },
  END
};

static const char *word(const json_t *spec, const char *name) {
  return json_string_value(json_object_get(json_object_get(spec, "labeller"), name));
}

bool flow_labeller_is_simulator(const json_t *spec) {
  const char *kind = word(spec, "kind");
  return kind && strcmp(kind, "simulator") == 0;
}

bool flow_labeller_solves(const json_t *spec) {
  return flow_labeller_is_simulator(spec) &&
         !json_is_false(json_object_get(json_object_get(spec, "labeller"), "solve"));
}

bool flow_labeller_uses_idm(const json_t *spec) {
  const char *fallback = word(spec, "fallback");
  return !flow_labeller_is_simulator(spec) || (fallback && strcmp(fallback, "idm") == 0);
}
