/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: what users do, all kinds of jobs on small datasets, over HTTP, and an honest history of it.
 *
 *   load --history=FILE [--prefix=NAME] [--sessions=N | --seconds=N] [--parallel=N] [--variants=N]
 *
 * A session makes a dataset of its own from three uploads (labelled, action-free, and one through
 * an ingest job), then submits a pipeline, a policy, exports, a labelling and an evaluation, and
 * follows them to their end. Session i is of variant i modulo `variants`: sessions of a variant ask
 * for the same things, so their results must be the same bytes.
 *
 * Every other session sends an Idempotency-Key, and sends a request without an answer again until
 * it has one. The others never do: such a session ends, and another of the same variant begins on a
 * fresh dataset, so what became of the unknown request can be told from the database. A job that
 * failed for a reason of the surroundings (a lost worker, an outage) is submitted again, as a user
 * would.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "tests/fault/lib/api.h"
#include "tests/fault/lib/history.h"
#include "tests/fault/lib/proc.h"
#include "tests/fault/lib/synthetic.h"

enum {
  PARTS = 3,
  RESUBMITS = 12,
  PATIENCE_MS = 800000,
  UPLOAD_MAX = 1 << 22,
  PAUSE_MS = 200,
  NAME_BYTES = 64,
  ID_BYTES = 48
};

static struct {
  struct api api;
  const char *prefix;
  int sessions, seconds, parallel, variants;
  int64_t until_ms;
  atomic_int next, failed;
} load = { .prefix = "load", .sessions = 4, .parallel = 2, .variants = 4 };

struct session {
  char name[NAME_BYTES], dataset[ID_BYTES];
  int variant;
  bool keys;    /* it sends an Idempotency-Key */
  json_t *jobs; /* role -> id of the job that succeeded */
};

/* Patience begins when the storm is over: before, all that a client may expect is that nothing is
 * lost. */
static int64_t patience_end(void) {
  const int64_t now = px_clock_ms();
  return (now > load.until_ms ? now : load.until_ms) + PATIENCE_MS;
}

static const char *const ACKED = "acked", *const REFUSED = "refused", *const UNKNOWN = "unknown";

/* ---- requests */

static void note(const struct session *s, const char *op, const char *outcome, int http,
                 const char *id, const char *detail) {
  history_put(json_pack("{s:s, s:i, s:s, s:s, s:i, s:s, s:s?}", "session", s->name, "variant",
                        s->variant, "op", op, "outcome", outcome, "http", http, "id", id, "error",
                        detail));
}

/* Sends a request once, and again only while it was surely not taken, or has a key. The outcome; id
 * gets the answer's "id", if any. */
static const char *ask(const struct session *s, const char *op, const char *path, const char *type,
                       const void *body, size_t n, char id[ID_BYTES]) {
  const int64_t until = patience_end();
  char headers[160] = "";
  if (s->keys) snprintf(headers, sizeof headers, "Idempotency-Key: \"%s-%s\"\r\n", s->name, op);
  for (;;) {
    struct api_answer answer = { 0 };
    const enum api_outcome outcome =
      api_call(&load.api, "POST", path, headers, type, body, n, &answer);
    json_t *json = outcome == API_ANSWERED && answer.body.data
                     ? json_loadb(answer.body.data, answer.body.len, 0, NULL)
                     : NULL;
    const char *given = json_string_value(json_object_get(json, "id"));
    const char *told = outcome == API_UNKNOWN || answer.http == 504   ? UNKNOWN
                       : outcome == API_ANSWERED && answer.http < 300 ? ACKED
                                                                      : REFUSED;
    snprintf(id, ID_BYTES, "%s", given ? given : "");
    note(s, op, told, answer.http, id, json_string_value(json_object_get(json, "detail")));
    json_decref(json);
    px_buf_free(&answer.body);
    const bool untaken = told == REFUSED && (answer.http == 0 || (answer.http == 409 && s->keys) ||
                                             answer.http == 429 || answer.http >= 500);
    if (px_clock_ms() > until || !(untaken || (told == UNKNOWN && s->keys))) return told;
    proc_sleep_ms(PAUSE_MS);
  }
}

static const char *ask_json(const struct session *s, const char *op, const char *path, json_t *body,
                            char id[ID_BYTES]) {
  char *text = json_dumps(body, JSON_COMPACT);
  json_decref(body);
  const char *told = ask(s, op, path, NULL, text, strlen(text), id);
  free(text);
  return told;
}

/* The job's last document, once it has ended; NULL when it has not in all that time. */
static json_t *await_end(const char *id) {
  const int64_t until = patience_end();
  char path[128];
  snprintf(path, sizeof path, "/v1/jobs/%s?wait=2s", id);
  while (px_clock_ms() < until) {
    json_t *document = api_get(&load.api, path, 1000);
    if (json_is_string(json_object_get(document, "finished_at"))) return document;
    json_decref(document);
    proc_sleep_ms(20);
  }
  return NULL;
}

/* Reasons that lie in the surroundings: trying again may help. */
static bool is_soft(const json_t *job) {
  static const char *const SOFT[] = { "worker_lost", "oom",     "child_crashed", "unavailable",
                                      "io_error",    "timeout", "internal",      "no_memory" };
  const char *reason = json_string_value(json_object_get(job, "reason"));
  const char *cause = json_string_value(json_object_get(json_object_get(job, "error"), "cause"));
  if (reason && strcmp(reason, "dependency_failed") == 0) reason = cause;
  for (size_t i = 0; reason && i < sizeof SOFT / sizeof *SOFT; i++)
    if (strcmp(reason, SOFT[i]) == 0) return true;
  return false;
}

enum end { END_OK, END_UNKNOWN, END_WRONG };

/* Follows a job; END_UNKNOWN stands for "submit it again". */
static enum end follow(struct session *s, const char *op, const char *role, const char *id) {
  json_t *document = await_end(id);
  const char *state = json_string_value(json_object_get(document, "state"));
  enum end end = END_WRONG;
  if (state && strcmp(state, "succeeded") == 0) {
    json_object_set_new(s->jobs, role, json_string(id));
    end = END_OK;
  } else {
    if (is_soft(document)) end = END_UNKNOWN;
    char *text = json_dumps(json_object_get(document, "error"), JSON_COMPACT | JSON_ENCODE_ANY);
    history_put(json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "session", s->name, "variant",
                          s->variant, "op", op, "outcome",
                          !document          ? "stuck"
                          : end == END_WRONG ? "wrong"
                                             : "failed",
                          "id", id, "error", text ? text : ""));
    free(text);
  }
  json_decref(document);
  return end;
}

/* ---- a session */

static json_t *idm_spec(const struct session *s) {
  return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "members", 2, "steps", 150,
                   "validate_every", 50, "hidden", 16, "layers", 1, "batch", 64, "seed",
                   s->variant);
}

static json_t *policy_spec(const char *algo, int updates) {
  return json_pack("{s:s, s:i, s:i, s:i}", "algo", algo, "updates", updates, "hidden", 16, "batch",
                   32);
}

static json_t *job_body(const char *kind, json_t *spec) {
  return json_pack("{s:s, s:o}", "kind", kind, "spec", spec);
}

static json_t *pipeline_body(const struct session *s) {
  return json_pack("{s:s, s:o, s:i, s:i, s:[o,o], s:[i], s:[s]}", "dataset", s->dataset, "idm",
                   idm_spec(s), "shards", 3, "episodes", 2, "policies",
                   policy_spec("td3bc", 200 + 1500 * (s->variant % 2)), policy_spec("bc", 200),
                   "seeds", s->variant, "baselines", "labelled_only");
}

static const char *export_format(const struct session *s) {
  return (const char *const[]){ "jsonl", "npz", "hdf5", "safetensors" }[s->variant % 4];
}

/* Ids of what the pipeline left, out of its document. */
static bool read_pipeline(const struct session *s, json_t **models, char label_set[ID_BYTES]) {
  char path[128];
  snprintf(path, sizeof path, "/v1/jobs/%s",
           json_string_value(json_object_get(s->jobs, "pipeline")));
  json_t *document = api_get(&load.api, path, PATIENCE_MS), *child;
  size_t i;
  *models = json_array();
  *label_set = '\0';
  json_array_foreach(json_object_get(document, "children"), i, child) {
    const char *kind = json_string_value(json_object_get(child, "kind")),
               *id = json_string_value(json_object_get(child, "id"));
    char result[ID_BYTES];
    if (strcmp(kind, "train_idm") == 0) {
      snprintf(result, sizeof result, "mdl_%s", id + 4);
      json_array_append_new(*models, json_string(result));
    }
    if (strcmp(kind, "label") == 0) snprintf(label_set, ID_BYTES, "ls_%s", id + 4);
  }
  json_decref(document);
  return *label_set;
}

static json_t *body_for(const struct session *s, const char *role) {
  if (strcmp(role, "pipeline") == 0) return pipeline_body(s);
  if (strcmp(role, "policy") == 0)
    return job_body("train_policy", json_pack("{s:s, s:o, s:i}", "dataset", s->dataset, "policy",
                                              policy_spec("bc", 300), "seed", s->variant));
  if (strcmp(role, "export_true") == 0)
    return job_body("export", json_pack("{s:s, s:s, s:b, s:s}", "dataset", s->dataset, "format",
                                        export_format(s), "about", 0, "actions", "true"));
  if (strcmp(role, "evaluate") == 0) {
    char model[ID_BYTES];
    snprintf(model, sizeof model, "mdl_%s",
             json_string_value(json_object_get(s->jobs, "policy")) + 4);
    return job_body("evaluate", json_pack("{s:s, s:s, s:i, s:i}", "model", model, "env", "hopper",
                                          "episodes", 3, "seed", s->variant));
  }
  json_t *models;
  char label_set[ID_BYTES];
  if (!read_pipeline(s, &models, label_set)) return json_decref(models), NULL;
  if (strcmp(role, "label") == 0)
    return job_body("label", json_pack("{s:s, s:o, s:i}", "dataset", s->dataset, "models", models,
                                       "shards", 2));
  json_decref(models);
  return job_body("export", json_pack("{s:s, s:s, s:b, s:s, s:s}", "dataset", s->dataset, "format",
                                      export_format(s), "about", 0, "actions", "both", "label_set",
                                      label_set));
}

/* Submits; id is "" for one that was never taken. */
static enum end submit(struct session *s, const char *role, int attempt, char op[NAME_BYTES],
                       char id[ID_BYTES]) {
  json_t *body = body_for(s, role);
  if (!body) return END_UNKNOWN;
  snprintf(op, NAME_BYTES, "%s.%d", role, attempt);
  const char *told =
    ask_json(s, op, strcmp(role, "pipeline") == 0 ? "/v1/pipelines" : "/v1/jobs", body, id);
  return told == ACKED ? END_OK : told == UNKNOWN ? END_UNKNOWN : END_WRONG;
}

/* Submits all of these, then follows each, and again those that failed for no fault of their
 * own. */
static enum end run_roles(struct session *s, const char *const *roles, int n) {
  char op[8][NAME_BYTES], id[8][ID_BYTES];
  for (int i = 0; i < n; i++) {
    const enum end end = submit(s, roles[i], 0, op[i], id[i]);
    if (end) return end;
  }
  for (int i = 0; i < n; i++)
    for (int attempt = 1;; attempt++) {
      enum end end = follow(s, op[i], roles[i], id[i]);
      if (end == END_OK) break;
      if (end == END_WRONG || attempt > RESUBMITS) return END_WRONG;
      end = submit(s, roles[i], attempt, op[i], id[i]);
      if (end) return end;
    }
  return END_OK;
}

static enum end make_dataset(struct session *s) {
  const char *told = ask_json(s, "dataset.0", "/v1/datasets",
                              json_pack("{s:s, s:i, s:i, s:s}", "name", s->name, "obs_dim",
                                        MADE_UP_O, "act_dim", MADE_UP_A, "env", "hopper"),
                              s->dataset);
  if (told != ACKED) return told == UNKNOWN ? END_UNKNOWN : END_WRONG;
  for (int part = 0; part < PARTS; part++) {
    char path[192], op[NAME_BYTES], id[ID_BYTES];
    struct px_buf body = PX_BUF(UPLOAD_MAX);
    const bool async = part == 2;
    snprintf(path, sizeof path, "/v1/datasets/%s/trajectories?format=jsonl%s", s->dataset,
             async ? "&async=true" : "");
    snprintf(op, sizeof op, "upload.%d", part);
    told = synthetic_part(s->variant, part, part != 1, &body)
             ? ask(s, op, path, "application/jsonl", body.data, body.len, id)
             : REFUSED;
    px_buf_free(&body);
    if (told != ACKED) return told == UNKNOWN ? END_UNKNOWN : END_WRONG;
    if (async) {
      const enum end end = follow(s, op, "ingest", id);
      /* the file would have to be sent again: a fresh dataset is simpler */
      if (end) return end;
    }
  }
  return END_OK;
}

static enum end run_session(struct session *s) {
  static const char *const FIRST[] = { "pipeline", "policy", "export_true" }, *const THEN[] = {
    "export_both", "evaluate", "label"
  };
  enum end end = make_dataset(s);
  if (!end) end = run_roles(s, FIRST, 3);
  if (!end) end = run_roles(s, THEN, 3);
  if (!end)
    history_put(json_pack("{s:s, s:i, s:s, s:s, s:s, s:O}", "session", s->name, "variant",
                          s->variant, "op", "done", "outcome", ACKED, "id", s->dataset, "jobs",
                          s->jobs));
  return end;
}

static void *load_main(void *arg) {
  (void)arg;
  for (;;) {
    const int i = atomic_fetch_add(&load.next, 1);
    if (load.seconds ? px_clock_ms() >= load.until_ms : i >= load.sessions) return NULL;
    enum end end = END_UNKNOWN;
    const int64_t until = patience_end();
    for (int attempt = 0; end == END_UNKNOWN && px_clock_ms() < until; attempt++) {
      if (attempt) proc_sleep_ms(PAUSE_MS);
      struct session s = { .variant = i % load.variants,
                           .keys = i / load.variants % 2,
                           .jobs = json_object() };
      snprintf(s.name, sizeof s.name, "%s-%d-%d", load.prefix, i, attempt);
      end = run_session(&s);
      json_decref(s.jobs);
    }
    if (end) atomic_fetch_add(&load.failed, 1);
  }
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = {
    { "history", 1, NULL, 'h' }, { "prefix", 1, NULL, 'p' },   { "sessions", 1, NULL, 'n' },
    { "seconds", 1, NULL, 's' }, { "parallel", 1, NULL, 'j' }, { "variants", 1, NULL, 'v' },
    { NULL, 0, NULL, 0 }
  };
  const char *history = NULL;
  int c;
  while ((c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
    if (c == 'h') history = optarg;
    else if (c == 'p') load.prefix = optarg;
    else if (c == 'n') load.sessions = (int)strtol(optarg, NULL, 10);
    else if (c == 's') load.seconds = (int)strtol(optarg, NULL, 10);
    else if (c == 'j') load.parallel = (int)strtol(optarg, NULL, 10);
    else if (c == 'v') load.variants = (int)strtol(optarg, NULL, 10);
    else return 2;
  }
  if (!history || load.parallel < 1 || load.parallel > 64 || load.variants < 1 ||
      !api_from_env(&load.api) || !history_open(history))
    return fprintf(stderr,
                   "usage: load --history=FILE [...], with PROXACT_URL and PROXACT_TOKEN\n"),
           2;
  load.until_ms = px_clock_ms() + load.seconds * 1000LL;
  pthread_t threads[64];
  int n = 0;
  while (n < load.parallel && pthread_create(&threads[n], NULL, load_main, NULL) == 0) n++;
  for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
  history_close();
  const int failed = atomic_load(&load.failed);
  printf("load: sessions=%d failed=%d\n",
         load.seconds ? atomic_load(&load.next) - load.parallel : load.sessions, failed);
  return failed > 0;
}
