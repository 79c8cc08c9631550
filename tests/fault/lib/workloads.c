/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of work: see workloads.h. */
#include "tests/fault/lib/workloads.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/store/jobs.h"
#include "tests/fault/lib/synthetic.h"

enum { TEXT = 1024, ID = 48, PART_MAX = 1 << 20 };
#define PATCH_TYPE "application/offset+octet-stream"
#define TUS "Tus-Resumable: 1.0.0\r\n"

/* ---- requests */

/* A name that no other work has given. */
static const char *name_of(const struct testbed *s, const char *what) {
  static char name[ID];
  snprintf(name, sizeof name, "%s-%d", what, s->serial);
  return name;
}

/* With a key, so that it may be sent again. The id in the answer, if any, goes to `id`. */
static void post(struct testbed *s, const char *path, const char *type, const void *body, size_t n,
                 char id[ID]) {
  char headers[TEXT];
  snprintf(headers, sizeof headers, "Idempotency-Key: \"%.200s-%d-%d\"\r\n", s->folder, s->serial,
           ++s->posts);
  testbed_ask(
    s, &(struct testbed_request){
         .method = "POST", .path = path, .headers = headers, .type = type, .body = body, .n = n });
  const char *given = json_string_value(json_object_get(s->answer, "id"));
  snprintf(id, ID, "%s", given ? given : "");
}

static void post_json(struct testbed *s, const char *path, char id[ID], const char *fmt, ...)
  PX_PRINTF(4, 5);
static void post_json(struct testbed *s, const char *path, char id[ID], const char *fmt, ...) {
  char body[TEXT];
  va_list args;
  va_start(args, fmt);
  vsnprintf(body, sizeof body, fmt, args);
  va_end(args);
  post(s, path, NULL, body, strlen(body), id);
}

static void make_dataset(struct testbed *s, const char *what, char id[ID]) {
  post_json(s, "/v1/datasets", id,
            "{\"name\": \"%s\", \"obs_dim\": %d, \"act_dim\": %d, \"env\": \"hopper\"}",
            name_of(s, what), MADE_UP_O, MADE_UP_A);
}

static void upload(struct testbed *s, const char *dataset, int part, const char *options,
                   char id[ID]) {
  struct px_buf body = PX_BUF(PART_MAX);
  char path[TEXT];
  snprintf(path, sizeof path, "/v1/datasets/%s/trajectories?format=jsonl&filename=part-%d%s",
           dataset, part, options);
  if (synthetic_part(1, part, part != 1, &body))
    post(s, path, "application/jsonl", body.data, body.len, id);
  px_buf_free(&body);
}

static void await_state(struct testbed *s, const char *job, const char *state) {
  testbed_await(s, state, "select state from jobs where id = '%s'", job);
}

/* Submits and waits for the end. */
#define RUN_JOB(s, kind, ...) \
  do { \
    char job[ID]; \
    post_json((s), "/v1/jobs", job, "{\"kind\": \"" kind "\", \"spec\": {" __VA_ARGS__); \
    if (!(s)->worker.wanted) testbed_worker(s); \
    await_state((s), job, "succeeded"); \
  } while (0)

#define NET "\"hidden\": 16, \"layers\": 1, \"batch\": 32"
#define IDM "\"idm\": {\"steps\": 8, \"validate_every\": 4, " NET "}"
#define POLICY(updates) \
  "\"policy\": {\"algo\": \"td3bc\", \"updates\": " updates ", \"hidden\": 16, \"batch\": 32}"

/* ---- one for each kind of job */

static void ingest(struct testbed *s, const struct workloads_base *g) {
  char dataset[ID], job[ID];
  (void)g;
  make_dataset(s, "ingest", dataset);
  upload(s, dataset, 0, "&async=true", job);
  testbed_worker(s);
  await_state(s, job, "succeeded");
}

static void train_idm(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(s, "train_idm", "\"dataset\": \"%s\", \"member\": 1, " IDM "}}", g->dataset);
}

static void label(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(s, "label", "\"dataset\": \"%s\", \"models\": [\"%s\"], \"shards\": 1}}", g->dataset,
          g->idm);
}

static void train_policy(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(s, "train_policy",
          "\"dataset\": \"%s\", \"label_set\": \"%s\", \"seed\": 3, " POLICY("8") "}}", g->dataset,
          g->label_set);
}

static void evaluate(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(s, "evaluate", "\"model\": \"%s\", \"env\": \"hopper\", \"episodes\": 2}}", g->policy);
}

static void ope(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(s, "ope", "\"dataset\": \"%s\", \"model\": \"%s\", \"updates\": 6, " NET "}}", g->dataset,
          g->policy);
}

static void report(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(s, "report",
          "\"dataset\": \"%s\", \"label_set\": \"%s\", \"models\": [\"%s\"], \"runs\": []}}",
          g->dataset, g->label_set, g->idm);
}

static void export(struct testbed *s, const struct workloads_base *g) {
  RUN_JOB(
    s, "export",
    "\"dataset\": \"%s\", \"format\": \"hdf5\", \"actions\": \"both\", \"label_set\": \"%s\"}}",
    g->dataset, g->label_set);
}

/* The made-up states are no hopper's. */
static void check_simulator(struct testbed *s, const struct workloads_base *g) {
  char job[ID];
  post_json(
    s, "/v1/jobs", job,
    "{\"kind\": \"check_simulator\", \"spec\": {\"dataset\": \"%s\", \"simulator\": \"hopper\", "
    "\"identify\": false}}",
    g->dataset);
  testbed_worker(s);
  await_state(s, job, "failed");
}

/* Without any true action nothing is checked: a net is trained, and its answers label. */
static void simulate(struct testbed *s, const struct workloads_base *g) {
  char dataset[ID], id[ID];
  (void)g;
  make_dataset(s, "simulate", dataset);
  upload(s, dataset, 1, "", id);
  RUN_JOB(s, "label",
          "\"dataset\": \"%s\", \"shards\": 1, \"labeller\": {\"kind\": \"simulator\", \"solve\": "
          "false, \"restarts\": 0, \"net\": {\"pairs\": 200, \"steps\": 10, \"batch\": 32, "
          "\"hidden\": 16, \"layers\": 1}}}}",
          dataset);
}

static void pipeline(struct testbed *s, const struct workloads_base *g) {
  char job[ID];
  post_json(s, "/v1/pipelines", job,
            "{\"dataset\": \"%s\", \"shards\": 1, \"episodes\": 1, \"evaluation\": \"both\", " IDM
            ","
            " \"ope\": {\"updates\": 5, " NET
            "}, \"policies\": [{\"algo\": \"bc\", \"updates\": 5, \"hidden\": 16, \"batch\": 32}]}",
            g->dataset);
  testbed_worker(s);
  await_state(s, job, "succeeded");
}

/* ---- what the server does by itself */

/* Without a key: whoever got no answer looks whether it was done. */
static void post_bare(struct testbed *s, const char *path, const char *type, const void *body,
                      size_t n, const char *seen) {
  testbed_ask(s,
              &(struct testbed_request){
                .method = "POST", .path = path, .type = type, .body = body, .n = n, .seen = seen });
}

static void datasets(struct testbed *s, const struct workloads_base *g) {
  char kept[ID], gone[ID], body[TEXT], seen[TEXT], path[TEXT];
  (void)g;
  make_dataset(s, "kept", kept);
  upload(s, kept, 0, "", gone);
  snprintf(body, sizeof body, "{\"name\": \"%s\", \"obs_dim\": 2, \"act_dim\": 1}",
           name_of(s, "bare"));
  snprintf(seen, sizeof seen, "select exists (select from datasets where name = '%s')",
           name_of(s, "bare"));
  post_bare(s, "/v1/datasets", NULL, body, strlen(body), seen);
  make_dataset(s, "gone", gone);
  upload(s, gone, 0, "", body);
  snprintf(path, sizeof path, "/v1/datasets/%s", gone);
  testbed_ask(s, &(struct testbed_request){ .method = "DELETE", .path = path, .also = 404 });
}

static void simulators(struct testbed *s, const struct workloads_base *g) {
  static const char MODEL[] =
    "{\"name\": \"%s\", \"observations\": [\"qpos\", \"qvel\"], \"mjcf\": "
    "\"<mujoco><worldbody><body><joint name='j'/><geom size='.1'/></body>"
    "</worldbody><actuator><motor joint='j'/></actuator></mujoco>\"}";
  char gone[ID], body[TEXT], seen[TEXT], path[TEXT];
  (void)g;
  post_json(s, "/v1/simulators", gone, MODEL, name_of(s, "gone"));
  snprintf(body, sizeof body, MODEL, name_of(s, "bare"));
  snprintf(seen, sizeof seen, "select exists (select from simulators where name = '%s')",
           name_of(s, "bare"));
  post_bare(s, "/v1/simulators", NULL, body, strlen(body), seen);
  snprintf(path, sizeof path, "/v1/simulators/%s", gone);
  testbed_ask(s, &(struct testbed_request){ .method = "DELETE", .path = path, .also = 404 });
}

static void upload_bare(struct testbed *s, const struct workloads_base *g) {
  char dataset[ID], path[TEXT], seen[TEXT];
  struct px_buf body = PX_BUF(PART_MAX);
  (void)g;
  make_dataset(s, "bare-upload", dataset);
  if (!synthetic_part(1, 2, true, &body)) testbed_fail(s, "no memory");
  snprintf(path, sizeof path, "/v1/datasets/%s/trajectories?format=jsonl", dataset);
  snprintf(seen, sizeof seen, "select trajectories_n > 0 from datasets where id = '%s'", dataset);
  post_bare(s, path, "application/jsonl", body.data, body.len, seen);
  snprintf(path, sizeof path, "/v1/datasets/%s/trajectories?format=jsonl&async=true", dataset);
  snprintf(seen, sizeof seen, "select exists (select from uploads where dataset_id = '%s')",
           dataset);
  post_bare(s, path, "application/jsonl", body.data, body.len, seen);
  px_buf_free(&body);
  testbed_worker(s);
  testbed_await(s, "24", "select trajectories_n from datasets where id = '%s'", dataset);
}

/* Adds what is missing, a third of the file at a time, asking for the offset before each. */
static void send_parts(struct testbed *s, const char *path, const char *bytes, size_t n,
                       size_t until) {
  char headers[TEXT];
  for (size_t at = 0; at < until && testbed_tick(s);) {
    testbed_ask(s, &(struct testbed_request){ .method = "GET", .path = path, .headers = TUS });
    at = (size_t)json_integer_value(json_object_get(s->answer, "received_bytes"));
    if (at >= until || *s->why) return;
    snprintf(headers, sizeof headers, TUS "Upload-Offset: %zu\r\n", at);
    const size_t part = n - at < n / 3 + 1 ? n - at : n / 3 + 1;
    testbed_ask(s, &(struct testbed_request){ .method = "PATCH",
                                              .path = path,
                                              .headers = headers,
                                              .type = PATCH_TYPE,
                                              .body = bytes + at,
                                              .n = part,
                                              .also = 409 });
  }
}

/* With a key, or without (what: NULL): then whoever got no answer looks whether an upload has
 * begun. */
static void tus_create(struct testbed *s, const char *what, const char *dataset, size_t n,
                       char path[TEXT]) {
  char headers[TEXT], name[2 * ID], key[TEXT] = "", seen[TEXT];
  px_text_base64((const uint8_t *)dataset, strlen(dataset), name);
  if (what) snprintf(key, sizeof key, "Idempotency-Key: \"%s\"\r\n", name_of(s, what));
  snprintf(headers, sizeof headers,
           TUS "Upload-Length: %zu\r\nUpload-Metadata: dataset %s,format anNvbmw=\r\n%s", n, name,
           key);
  snprintf(seen, sizeof seen, "select exists (select from uploads where dataset_id = '%s')",
           dataset);
  testbed_ask(s, &(struct testbed_request){ .method = "POST",
                                            .path = "/v1/uploads",
                                            .headers = headers,
                                            .seen = what ? NULL : seen });
  if (what) snprintf(path, TEXT, "%s", s->location);
  else
    snprintf(path, TEXT, "/v1/uploads/%s",
             testbed_sql(s, "select id from uploads where dataset_id = '%s'", dataset));
}

static void tus(struct testbed *s, const struct workloads_base *g) {
  char dataset[ID], path[TEXT];
  struct px_buf body = PX_BUF(PART_MAX);
  (void)g;
  make_dataset(s, "tus", dataset);
  if (!synthetic_part(1, 0, true, &body)) testbed_fail(s, "no memory");
  tus_create(s, NULL, dataset, body.len, path);
  send_parts(s, path, body.data, body.len, 1);
  testbed_ask(s, &(struct testbed_request){
                   .method = "DELETE", .path = path, .headers = TUS, .also = 404 });
  tus_create(s, "tus-kept", dataset, body.len, path);
  send_parts(s, path, body.data, body.len, body.len);
  px_buf_free(&body);
  testbed_worker(s);
  testbed_await(s, "12", "select trajectories_n from datasets where id = '%s'", dataset);
  testbed_await(s, "0",
                "select count(*) from jobs where dataset_id = '%s' and not job_is_final(state)",
                dataset);
}

static void cancel(struct testbed *s, const char *job) {
  char path[TEXT], seen[TEXT];
  snprintf(path, sizeof path, "/v1/jobs/%s:cancel", job);
  snprintf(seen, sizeof seen,
           "select cancel_requested or state = 'cancelled' from jobs where id = '%s'", job);
  testbed_ask(s, &(struct testbed_request){ .method = "POST", .path = path, .seen = seen });
}

/* A key keeps the repeat from starting a second job, as long as the first has not ended: there is
 * no worker. */
static void submit_bare(struct testbed *s, const struct workloads_base *g) {
  char body[TEXT], path[TEXT], job[ID];
  snprintf(body, sizeof body,
           "{\"kind\": \"evaluate\", \"spec\": {\"model\": \"%s\", \"env\": \"hopper\"}}",
           g->policy);
  snprintf(path, sizeof path, "/v1/jobs?dedupe_key=%s", name_of(s, "bare"));
  for (int i = 0; i < 2; i++) post_bare(s, path, NULL, body, strlen(body), NULL);
  const char *id = json_string_value(json_object_get(s->answer, "id"));
  snprintf(job, sizeof job, "%s", id ? id : "");
  cancel(s, job);
}

static void post_policy(struct testbed *s, const struct workloads_base *g, int updates,
                        char job[ID]) {
  post_json(s, "/v1/jobs", job,
            "{\"kind\": \"train_policy\", \"spec\": {\"dataset\": \"%s\", \"seed\": 3, " POLICY(
              "%d") "}}",
            g->dataset, updates);
  testbed_worker(s);
  testbed_await(s, "t", "select step > 0 and state = 'running' from jobs where id = '%s'", job);
}

/* ---- what a worker does beside and after its job */

static void cancel_running(struct testbed *s, const struct workloads_base *g) {
  char job[ID];
  post_policy(s, g, 1000000, job); /* surely more than it comes to */
  cancel(s, job);
  await_state(s, job, "cancelled");
}

static void bad_input(struct testbed *s, const struct workloads_base *g) {
  static const char BODY[] = "{\"observations\": [[1, 2]], \"rewards\": []}\n";
  char dataset[ID], path[TEXT], job[ID];
  (void)g;
  make_dataset(s, "bad", dataset);
  snprintf(path, sizeof path, "/v1/datasets/%s/trajectories?format=jsonl&async=true", dataset);
  post(s, path, "application/jsonl", BODY, sizeof BODY - 1, job);
  testbed_worker(s);
  await_state(s, job, "failed");
}

static void drain(struct testbed *s, const struct workloads_base *g) {
  char job[ID];
  post_policy(s, g, 1000, job); /* and still at work when it is told to drain */
  testbed_drain(s);
  await_state(s, job, "succeeded");
}

/* A job whose worker is gone for good. */
static void reap(struct testbed *s, const struct workloads_base *g) {
  static const char *const KIND = "evaluate";
  char job[ID];
  struct store_job *claimed = NULL;
  struct px_err err;
  post_json(
    s, "/v1/jobs", job,
    "{\"kind\": \"evaluate\", \"spec\": {\"model\": \"%s\", \"env\": \"hopper\", \"episodes\": 1}}",
    g->policy);
  if (!*s->why && store_job_claim(s->store, "gone", &KIND, 1, 1, 0, &claimed, &err))
    testbed_fail(s, "%s", err.message);
  store_job_free(claimed);
  testbed_await(s, "t", "select lease_expires_at < clock_timestamp() from jobs where id = '%s'",
                job);
  testbed_worker(s);
  await_state(s, job, "succeeded");
}

static void janitor(struct testbed *s, const struct workloads_base *g) {
  testbed_sql(s,
              "insert into blobs (size_bytes, sha256, created_at) values (0, sha256(''), "
              "clock_timestamp() - interval '2 days');"
              "insert into idempotency_keys (key, fingerprint, status, head, body, created_at)"
              " values ('old', sha256(''), 200, '{}', '', clock_timestamp() - interval '2 days');"
              "insert into workers (id, host, pid, version, last_seen_at) values ('old', 'h', 1, "
              "'v', clock_timestamp() - interval '2 days');"
              "with b as (insert into blobs (size_bytes) values (0) returning id) insert into "
              "uploads (dataset_id, file_name, format,"
              " blob_id, size_bytes, expires_at) select '%s', 'old', 'jsonl', id, 1, "
              "clock_timestamp() - interval '1 s' from b",
              g->dataset);
  testbed_worker(s);
  testbed_await(
    s, "0",
    "select (select count(*) from blobs where not attached) + (select count(*) from "
    "idempotency_keys where key = 'old')"
    " + (select count(*) from workers where id = 'old') + (select count(*) from uploads "
    "where file_name = 'old')");
}

/* ---- the programs that set a service up */

static void migrate(struct testbed *s, const struct workloads_base *g) {
  static const char SCHEMA[] =
    "select md5(string_agg(c.relname || a.attname || format_type(a.atttypid, a.atttypmod), ',' "
    "order by c.relname, a.attnum))"
    " from pg_class c join pg_attribute a on a.attrelid = c.oid where c.relnamespace = "
    "'public'::regnamespace and a.attnum > 0"
    " and not a.attisdropped";
  char name[ID], url[700], ours[64], theirs[64] = "", said[200];
  (void)g;
  snprintf(name, sizeof name, "empty_%d_%d", (int)getpid(), s->serial);
  snprintf(ours, sizeof ours, "%s", testbed_sql(s, SCHEMA));
  testbed_sql(s, "create database %s template template0", name);
  const char *slash = strchr(s->db_url, '@'), *options = strchr(s->db_url, '?');
  snprintf(url, sizeof url, "PROXACT_DB_URL=%.*s/%s%s", (int)(slash + 1 - s->db_url), s->db_url,
           name, options);
  testbed_run(s, (const char *const[]){ "proxact-server", "migrate", NULL },
              (const char *const[]){ url, NULL }, said, sizeof said);
  PGconn *other = PQconnectdb(url + strlen("PROXACT_DB_URL="));
  PGresult *row = PQexec(other, SCHEMA);
  if (PQntuples(row)) snprintf(theirs, sizeof theirs, "%s", PQgetvalue(row, 0, 0));
  PQclear(row);
  PQfinish(other);
  if (strcmp(ours, theirs) != 0) testbed_fail(s, "the schema is another one");
  testbed_sql(s, "drop database %s with (force)", name);
}

static void token(struct testbed *s, const struct workloads_base *g) {
  char url[600], said[100], was[100];
  (void)g;
  snprintf(url, sizeof url, "PROXACT_DB_URL=%s", s->db_url);
  testbed_run(s, (const char *const[]){ "proxact-server", "token", "create", "crash", NULL },
              (const char *const[]){ url, NULL }, said, sizeof said);
  snprintf(was, sizeof was, "%.95s", s->api.token);
  snprintf(s->api.token, sizeof s->api.token, "%.95s", said);
  testbed_ask(s, &(struct testbed_request){ .method = "GET", .path = "/v1/datasets" });
  snprintf(s->api.token, sizeof s->api.token, "%.95s", was);
}

const struct work WORKLOADS[] = {
  { "migrate", migrate, false, false },
  { "token", token, false, false },
  { "datasets", datasets, false, false },
  { "simulators", simulators, false, false },
  { "upload_bare", upload_bare, false, false },
  { "tus", tus, false, false },
  { "submit_bare", submit_bare, false, false },
  { "ingest", ingest, false, false },
  { "train_idm", train_idm, false, false },
  { "label", label, false, false },
  { "check_simulator", check_simulator, false, false },
  { "simulate", simulate, false, true },
  { "train_policy", train_policy, false, false },
  { "evaluate", evaluate, false, false },
  { "ope", ope, false, false },
  { "report", report, false, false },
  { "export", export, false, false },
  { "pipeline", pipeline, false, true },
  { "cancel", cancel_running, false, false },
  { "bad_input", bad_input, false, false },
  { "drain", drain, true, true },
  { "reap", reap, true, true },
  { "janitor", janitor, true, true },
};
const size_t WORKLOADS_N = sizeof WORKLOADS / sizeof *WORKLOADS;

static void read_result(struct testbed *s, const char *kind, const char *prefix, char out[48]) {
  snprintf(out, 48, "%.4s_%s", prefix,
           testbed_sql(s,
                       "select substr(id, 5) from jobs where kind = '%s' and state = 'succeeded'",
                       kind));
}

bool workloads_prepare(struct testbed *s, struct workloads_base *g) {
  char id[ID];
  testbed_begin(s, "PROXACT_CRASH_TRACE=/dev/null");
  make_dataset(s, "base", g->dataset);
  for (int part = 0; part < 3; part++) upload(s, g->dataset, part, "", id);
  RUN_JOB(s, "train_idm", "\"dataset\": \"%s\", " IDM "}}", g->dataset);
  read_result(s, "train_idm", "mdl", g->idm);
  label(s, g);
  read_result(s, "label", "ls", g->label_set);
  train_policy(s, g);
  read_result(s, "train_policy", "mdl", g->policy);
  testbed_end(s);
  return !*s->why;
}
