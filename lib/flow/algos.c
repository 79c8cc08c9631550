/* SPDX-License-Identifier: Apache-2.0 */
/* Algorithms and their options: see algos.h. Bounds keep a training within what
 * one worker can do. A default is what pays per second of one core, measured
 * (docs/experiments.md), unless the paper's own is named. */
#include "lib/flow/algos.h"

#include <string.h>

#define END \
  { .name = NULL }
#define WHOLE(name, low, high, initial, help) \
  { name, FLOW_INT, low, high, initial, NULL, NULL, help }
#define NUMBER(name, low, high, initial, help) \
  { name, FLOW_NUMBER, low, high, initial, NULL, NULL, help }
#define FLAG(name, initial, help) \
  { name, FLOW_BOOL, 0, 0, initial, NULL, NULL, help }
#define WORD(name, initial, words, help) \
  { name, FLOW_ENUM, 0, 0, initial, words, NULL, help }

/* ---- options of all algorithms */

#define NAME \
  { \
    "name", FLOW_TEXT, 0, 40, NULL, NULL, NULL, \
      "What the report calls it; the algorithm, if not given" \
  }
#define TRAINING(updates, batch) \
  NAME, WHOLE("updates", 1, 10000000, updates, "Gradient steps"), \
    WHOLE("batch", 1, 8192, batch, "Transitions in a step")
#define NETS(hidden, layers) \
  WHOLE("hidden", 8, 2048, hidden, "Units of each hidden layer"), \
    WHOLE("layers", 1, 4, layers, "Hidden layers")
#define LR(initial) NUMBER("lr", 1e-8, 1, initial, "Adam's learning rate")
/* The actor's last iterate is as good as chance has it from one update to the next; its average
 * over the last 1 / (1 - ema) updates is steadier. */
#define EMA(initial) \
  NUMBER("ema", 0, 0.9999, initial, \
         "Decay of the average of the actor's weights that is published; 0: the last weights")
#define LAYER_NORM(initial) \
  FLAG("layer_norm", initial, "Layer norms in the critics; then hidden is a multiple of 16")
#define PRETRAIN(share) \
  NUMBER("pretrain", 0, 1, share, \
         "Share of the updates, the first ones, in which critics learn recorded returns and the " \
         "actor only imitates")
/* Which transitions are learned from, and how much each counts. */
#define TRANSITIONS(top_percent) \
  NUMBER("top_percent", 0.01, 100, top_percent, \
         "Percent of the trajectories learned from, best returns first"), \
    NUMBER("true_share", 0, 1, "0", \
           "Least share of each batch drawn from transitions with true actions; 0: as they come"), \
    WORD( \
      "labels", "\"auto\"", "all|true_only|proxy_below|verified|confident|auto|prefer_verified", \
      "Which actions are learned from. verified: true ones and the proxies that a simulator " \
      "verified. prefer_verified: the same, but all where that leaves none. confident: true ones " \
      "and the half of the proxies with the lowest scores. auto: all; a pipeline tries all, " \
      "verified or confident, and true_only"), \
    NUMBER("max_score", 0, 1000000, "0.1", \
           "proxy_below: proxy actions whose uncertainty score is below it"), \
    WORD("weighting", "\"none\"", "none|exp", \
         "exp: a proxy transition weighs exp(-score / weight_temperature)"), \
    NUMBER("weight_temperature", 1e-6, 1000000, "0.1", \
           "exp: how slowly the weight falls with the score"), \
    NUMBER("weight_floor", 0, 1, "0.05", "exp: least weight")
#define GAMMA NUMBER("gamma", 0, 1, "0.99", "Discount")
#define REWARDS(initial) \
  WORD("rewards", initial, "raw|return_range|values", \
       "return_range: scaled so that the returns' range is 1000; values: so that recorded values " \
       "are about 30")
/* A value spreads back over 1 / (1 - gamma) steps in about 1 / ((1 - gamma) tau) updates: 20,000
 * with the papers' 0.005, who train for a million. */
#define TAU(initial) \
  NUMBER("tau", 0, 1, initial, "Share by which the target nets follow (papers: 0.005)")

/* ---- each algorithm */

static const struct flow_field TD3BC[] = {
  TRAINING("50000", "256"),
  NETS("256", "2"),
  LR("0.0003"),
  EMA("0"),
  GAMMA,
  TAU("0.05"),
  LAYER_NORM("false"),
  NUMBER("alpha", 0, 1000, "2.5", "Weight of the value beside imitation"),
  NUMBER("policy_noise", 0, 10, "0.2", "Standard deviation of the target action's noise"),
  NUMBER("noise_clip", 0, 10, "0.5", "Bound of that noise"),
  WHOLE("policy_freq", 1, 100, "2", "Critic steps between actor steps"),
  FLOW_ALIAS_OF("policy_freq", "policy_every"),
  TRANSITIONS("100"),
  END
};

/* The paper's: 3 layers, 10 actions, all of them in the gradient. */
static const struct flow_field CQL[] = {
  TRAINING("20000", "256"),
  NETS("256", "2"),
  NUMBER("lr", 1e-8, 1, "0.0003", "Adam's learning rate, critics"),
  EMA("0"),
  GAMMA,
  TAU("0.005"),
  NUMBER("conservative_weight", 0, 1000, "5", "Weight of the conservative term"),
  FLOW_ALIAS_OF("conservative_weight", "cql_weight"),
  NUMBER("cql_temperature", 1e-3, 1000, "1", "Temperature of its log-sum-exp"),
  WHOLE("n_action_samples", 1, 64, "4",
        "Continuous: actions sampled for it per state, from each of: uniform, pi(s), pi(s')"),
  FLOW_ALIAS_OF("n_action_samples", "actions"),
  WHOLE(
    "backward_actions", 0, 192, "1",
    "Continuous: of these, how many the gradient goes through, drawn by their share in it; 0: all"),
  NUMBER("actor_lr", 1e-8, 1, "0.0001", "Continuous: Adam's learning rate, actor"),
  NUMBER("temperature_lr", 1e-8, 1, "0.0003",
         "Continuous: Adam's learning rate, entropy temperature"),
  NUMBER("target_entropy", -10, 10, "-1",
         "Continuous: entropy that the actor is held to, per action dimension"),
  FLAG("backup_entropy", "false", "Continuous: whether the targets' values count the entropy"),
  WHOLE("bc_updates", 0, 10000000, "0",
        "Continuous: first updates in which the actor only imitates"),
  TRANSITIONS("100"),
  END
};

static const struct flow_field BC[] = {
  TRAINING("20000", "256"), NETS("256", "2"), LR("0.0003"), EMA("0.999"), TRANSITIONS("100"), END
};
static const struct flow_field BC10[] = {
  TRAINING("20000", "256"), NETS("256", "2"), LR("0.0003"), EMA("0.999"), TRANSITIONS("10"), END
};

static const struct flow_field IQL[] = {
  TRAINING("50000", "256"),
  NETS("256", "2"),
  LR("0.0003"),
  EMA("0"),
  GAMMA,
  TAU("0.05"),
  LAYER_NORM("false"),
  NUMBER("expectile", 0.01, 0.99, "0.7",
         "Which expectile of the actions' values a state's value is; 0.5: the mean"),
  NUMBER("beta", 0, 1000, "3",
         "How sharply the actor prefers good actions: it clones with weight exp(beta advantage)"),
  NUMBER("weight_max", 1, 1000000, "100", "Bound of that weight"),
  WORD("actor", "\"gaussian\"", "gaussian|deterministic",
       "Continuous: trained by likelihood or by squared error; discrete actions: by cross entropy"),
  WORD("values", "\"actions\"", "actions|states",
       "states: without critics, the advantage is r + gamma V(s') - V(s), which needs no action"),
  REWARDS("\"return_range\""),
  TRANSITIONS("100"),
  END
};

static const struct flow_field AWAC[] = {
  TRAINING("50000", "256"),
  NETS("256", "2"),
  LR("0.0003"),
  EMA("0"),
  GAMMA,
  TAU("0.05"),
  LAYER_NORM("false"),
  NUMBER("lambda", 1e-6, 1000000, "1",
         "Temperature: the actor clones with weight exp(advantage / lambda)"),
  NUMBER("weight_max", 1, 1000000, "100", "Bound of that weight"),
  REWARDS("\"raw\""),
  TRANSITIONS("100"),
  END
};

static const struct flow_field DT[] = {
  NAME,
  WHOLE("updates", 1, 10000000, "10000", "Gradient steps"),
  WHOLE("batch", 1, 8192, "64", "Stretches of trajectories in a step"),
  WHOLE("context", 1, 128, "20", "Steps of a stretch, and how far back the policy looks"),
  WHOLE("hidden", 16, 1024, "64", "Width; a multiple of 16 for each head (paper: 512)"),
  WHOLE("layers", 1, 12, "3", "Layers (paper: 4)"),
  WHOLE("heads", 1, 16, "1", "Attention heads (paper: 4)"),
  NUMBER("dropout", 0, 0.9, "0.1",
         "Share of attention and of each layer's additions that is dropped in training"),
  NUMBER("lr", 1e-8, 1, "0.001", "LAMB's learning rate (paper: 0.0001)"),
  EMA("0"),
  NUMBER("weight_decay", 0, 1, "0.001", "Pull of the weights towards 0"),
  WHOLE("warmup", 0, 1000000, "1000",
        "Updates in which the learning rate grows to its value (paper: 10000)"),
  NUMBER("clip", 0, 1000000, "0.25", "Bound of the gradient's norm; 0: none"),
  NUMBER("temperature", 0, 100, "0.1", "Continuous: weight of the policy's entropy"),
  NUMBER("return_scale", 1e-9, 1000000, "0.001",
         "What returns are multiplied by before they become tokens"),
  TRANSITIONS("100"),
  END
};

static const struct flow_field REBRAC[] = {
  TRAINING("10000", "256"),
  NETS("256", "2"),
  LR("0.001"),
  EMA("0.99"),
  GAMMA,
  TAU("0.05"),
  NUMBER("actor_bc_coef", 0, 1000, "0.3",
         "Weight of imitation beside the value, which is scaled to about 1; the paper chooses one "
         "per dataset, 0.0005 to 1"),
  FLOW_ALIAS_OF("actor_bc_coef", "actor_bc"),
  NUMBER("critic_bc_coef", 0, 1000, "0.01",
         "How much a target action's distance from the data's costs; the paper chooses one per "
         "dataset, 0 to 1"),
  FLOW_ALIAS_OF("critic_bc_coef", "critic_bc"),
  LAYER_NORM("true"),
  PRETRAIN("0.25"),
  REWARDS("\"values\""),
  NUMBER("policy_noise", 0, 10, "0.2", "Standard deviation of the target action's noise"),
  NUMBER("noise_clip", 0, 10, "0.5", "Bound of that noise"),
  WHOLE("policy_freq", 1, 100, "2", "Critic steps between actor steps"),
  FLOW_ALIAS_OF("policy_freq", "policy_every"),
  TRANSITIONS("50"),
  END
};

const struct flow_field flow_algos[] = {
#define PX_ALGO(name, options, code, learns, help) \
  { name, FLOW_OBJECT, 0, 0, NULL, learns, options, help },
#include "schema/algos.def"
#undef PX_ALGO
  END
};

static const struct flow_field *find(const char *algo) {
  for (const struct flow_field *one = flow_algos; one->name; one++)
    if (strcmp(one->name, algo) == 0) return one;
  return NULL;
}

const struct flow_field *flow_algo_options(const char *algo) {
  const struct flow_field *one = find(algo);
  return one ? one->sub : NULL;
}

bool flow_algo_learns(const char *algo, bool discrete) {
  const struct flow_field *one = find(algo);
  return one && strstr(one->words, discrete ? "discrete" : "continuous");
}

bool flow_algo_learns_unrewarded(const char *algo) {
  const struct flow_field *one = find(algo);
  return one && strstr(one->words, "unrewarded");
}

bool flow_algo_option_fits(const char *algo, const char *option, bool discrete) {
  const struct flow_field *field = flow_algo_options(algo);
  while (field && field->name && strcmp(field->name, option) != 0) field++;
  return field && field->name && field->type != FLOW_ALIAS &&
         !(discrete && strncmp(field->help, "Continuous", 10) == 0);
}
