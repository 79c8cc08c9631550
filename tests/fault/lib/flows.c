/* SPDX-License-Identifier: Apache-2.0 */
/* The flows: see flows.h. */
#include "tests/fault/lib/flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "tests/fault/lib/proc.h"

/* Into the dataset "sink", as "good.jsonl". */
#define TUS_FOR(bytes) \
  "Tus-Resumable: 1.0.0\r\nUpload-Length: " bytes \
  "\r\nUpload-Metadata: dataset c2luaw==,filename Z29vZC5qc29ubA==\r\n"
enum { TEXT_BYTES = 4096, FILE_MAX = 1 << 20, JOB_MS = 600000, CLIENT_WORDS = 16 };

/* ---- words: %D the dataset, %N a fresh number, %Z the size of the body, %J the present job; of
 * jobs that succeeded on it, the 20 digits of their ids: %I inverse dynamics, %L label set, %P
 * policy, %E export. */

static void words(const struct torture *t, const char *from, char out[TEXT_BYTES]) {
  size_t n = 0;
  for (; *from && n + TORTURE_ID + 1 < TEXT_BYTES; from++) {
    if (*from != '%') {
      out[n++] = *from;
      continue;
    }
    const char which = *++from;
    const char *word = which == 'D'   ? t->dataset
                       : which == 'J' ? t->job
                       : which == 'I' ? t->idm + 4
                       : which == 'L' ? t->label + 4
                       : which == 'P' ? t->policy + 4
                       : which == 'E' ? t->export + 4
                                      : NULL;
    const long number = which == 'Z' ? t->body_bytes : t->fresh;
    n += (size_t)(word ? snprintf(out + n, TEXT_BYTES - n, "%s", word)
                       : snprintf(out + n, TEXT_BYTES - n, "%ld", number));
  }
  out[n] = '\0';
}

/* The bytes of an upload file (@NAME), or the text. */
static bool body_of(const struct torture *t, const char *from, struct px_buf *out) {
  char text[TEXT_BYTES];
  if (*from != '@') return words(t, from, text), px_buf_puts(out, text) == PX_OK;
  const char *folder = getenv("PX_UPLOADS");
  snprintf(text, sizeof text, "%s/%s", folder ? folder : ".", from + 1);
  FILE *f = fopen(text, "re");
  static char bytes[FILE_MAX];
  const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
  if (f) fclose(f);
  return n && px_buf_put(out, bytes, n) == PX_OK;
}

/* ---- one request */

static struct flow_end wrong(const char *what, int http, const struct px_buf *body) {
  struct flow_end end = { .how = FLOW_WRONG };
  snprintf(end.text, sizeof end.text, "%s: %d %.400s", what, http, body->data ? body->data : "");
  return end;
}

static struct flow_end read_answer(const struct flow *flow, const struct api_answer *answer,
                                   json_t *json) {
  struct flow_end end = { .how = FLOW_DONE };
  snprintf(end.text, sizeof end.text, "%d %.400s", answer->http,
           answer->body.data ? answer->body.data : "");
  if (answer->http < 300) {
    if (!flow->volatile_answer && json) digest_json(json, end.digest);
    else if (!flow->volatile_answer) digest_bytes(answer->body.data, answer->body.len, end.digest);
    return end;
  }
  const bool problem = json_integer_value(json_object_get(json, "status")) == answer->http &&
                       json_object_get(json, "code") && json_object_get(json, "request_id");
  if (answer->http < 500)
    return wrong("it is told that it did something wrong", answer->http, &answer->body);
  if (!problem) return wrong("this is no problem document", answer->http, &answer->body);
  end.how = answer->http == 504 ? FLOW_CUT : FLOW_REFUSED;
  return end;
}

static struct flow_end request(struct torture *t, const struct flow *flow, json_t **document) {
  char path[TEXT_BYTES], headers[TEXT_BYTES] = "";
  struct px_buf body = PX_BUF(FILE_MAX);
  struct api_answer answer = { 0 };
  struct flow_end end = { .how = FLOW_CUT, .text = "no answer" };
  if (flow->body && !body_of(t, flow->body, &body)) return wrong("there is no such file", 0, &body);
  t->body_bytes = (long)body.len;
  words(t, flow->path, path);
  if (flow->headers) words(t, flow->headers, headers);
  const int64_t until = px_clock_ms() + t->api.timeout_ms;
  if (api_call(&t->api, flow->method, path, headers, flow->type, body.data, body.len, &answer) ==
      API_ANSWERED) {
    json_t *json = answer.body.data ? json_loadb(answer.body.data, answer.body.len, 0, NULL) : NULL;
    end = read_answer(flow, &answer, json);
    if (document) *document = json;
    else json_decref(json);
  } else if (px_clock_ms() >= until) {
    end = (struct flow_end){ .how = FLOW_WRONG,
                             .text = "neither an answer nor an end of the connection" };
  }
  px_buf_free(&answer.body);
  px_buf_free(&body);
  return end;
}

static void fresh(struct torture *t, const struct flow *flow) {
  (void)flow;
  t->fresh++;
}

static struct flow_end run_request(struct torture *t, const struct flow *flow) {
  return request(t, flow, NULL);
}

/* ---- one job, from its submission to its end */

static struct flow_end end_of_job(struct torture *t) {
  struct flow_end end = { .how = FLOW_WRONG, .text = "it does not end" };
  char sql[256];
  snprintf(sql, sizeof sql,
           "select state, kind, result, concat(reason, ' ', error) from jobs where id = '%s' and "
           "job_is_final(state)",
           t->job);
  for (const int64_t until = px_clock_ms() + JOB_MS; px_clock_ms() < until; proc_sleep_ms(10)) {
    PGresult *rows = torture_query(t, sql);
    const bool ended = PQntuples(rows) == 1;
    if (ended) {
      snprintf(end.text, sizeof end.text, "%s %.400s", PQgetvalue(rows, 0, 0),
               PQgetvalue(rows, 0, 3));
      fault_inject_disarm(t->failing); /* what is asked now is no part of it */
      digest_job(&t->api, PQgetvalue(rows, 0, 1), t->job, PQgetvalue(rows, 0, 2), end.digest);
      if (strcmp(PQgetvalue(rows, 0, 0), "succeeded") == 0) end.how = FLOW_DONE;
    }
    PQclear(rows);
    if (ended) return end;
  }
  return end;
}

static struct flow_end run_job(struct torture *t, const struct flow *flow) {
  json_t *document = NULL;
  struct flow_end end = request(t, flow, &document);
  const char *id = json_string_value(json_object_get(document, "id"));
  snprintf(t->job, sizeof t->job, "%s", id ? id : "");
  json_decref(document);
  return end.how == FLOW_DONE ? end_of_job(t) : end;
}

/* A job to look at, to cancel, to run again: nobody claims it. */
static void make_waiting(struct torture *t, const struct flow *flow) {
  char sql[512];
  (void)flow;
  snprintf(sql, sizeof sql,
           "insert into jobs (id, kind, name, dataset_id, spec, state, run_after) values "
           "(new_id('job'), 'export', 'waits', '%s',"
           " '{\"dataset\":\"%s\",\"format\":\"jsonl\",\"actions\":\"true\"}', 'ready', "
           "clock_timestamp() + interval '1 hour') returning id",
           t->dataset, t->dataset);
  PGresult *rows = torture_query(t, sql);
  snprintf(t->job, sizeof t->job, "%s", PQgetvalue(rows, 0, 0));
  PQclear(rows);
}

static void make_cancelled(struct torture *t, const struct flow *flow) {
  char sql[256];
  make_waiting(t, flow);
  snprintf(sql, sizeof sql,
           "update jobs set state = 'cancelled', reason = 'cancelled' where id = '%s'", t->job);
  PQclear(torture_query(t, sql));
}

static void make_dataset(struct torture *t, const struct flow *flow) {
  char sql[256];
  fresh(t, flow);
  snprintf(sql, sizeof sql,
           "insert into datasets (id, name, obs_dim, act_dim, act_low, act_high) values "
           "(new_id('ds'), 'd-%ld', 3, 2, '{-1,-1}', '{1,1}')",
           t->fresh);
  PQclear(torture_query(t, sql));
}

/* An upload in parts that nothing came for yet; t->job is its id. */
static void make_upload(struct torture *t, const struct flow *flow) {
  (void)flow;
  static const struct flow CREATE = {
    .method = "POST", .path = "/v1/uploads", .headers = TUS_FOR("18012"), .type = NULL
  };
  struct flow_end end = request(t, &CREATE, NULL);
  PGresult *rows = torture_query(t, "select id from uploads order by created_at desc limit 1");
  if (end.how == FLOW_DONE) snprintf(t->job, sizeof t->job, "%s", PQgetvalue(rows, 0, 0));
  PQclear(rows);
}

/* ---- one run of the command line client */

static struct flow_end run_client(struct torture *t, const struct flow *flow) {
  char program[TEXT_BYTES], preload[TEXT_BYTES], log[TEXT_BYTES], text[TEXT_BYTES],
    *argv[CLIENT_WORDS] = { program }, *rest;
  snprintf(program, sizeof program, "%s/proxact", proc_build_dir());
  snprintf(preload, sizeof preload, "LD_PRELOAD=%s/tests/fault/failing.so", proc_build_dir());
  snprintf(log, sizeof log, "%s/log/torture-client.log", getenv("PROXACT_VAR"));
  words(t, flow->body, text);
  char file[TEXT_BYTES];
  snprintf(file, sizeof file, "%s/good.jsonl", getenv("PX_UPLOADS"));
  int n = 1;
  for (char *word = strtok_r(text, " ", &rest); word && n + 1 < CLIENT_WORDS;
       word = strtok_r(NULL, " ", &rest))
    argv[n++] = strcmp(word, "@FILE") == 0 ? file : word;
  remove(log);
  const char *const env[] = { preload, getenv("PX_TORTURE_ASAN"), NULL };
  const pid_t pid = proc_start((const char *const *)argv, env, log);
  int how = 0;
  while (waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
  struct flow_end end = { .how = WIFEXITED(how) && WEXITSTATUS(how) == 0 ? FLOW_DONE : FLOW_CUT };
  FILE *f = fopen(log, "re");
  const size_t said = f ? fread(end.text, 1, sizeof end.text - 1, f) : 0;
  if (f) fclose(f);
  end.text[said] = '\0';
  if (!WIFEXITED(how) || strstr(end.text, "Sanitizer") ||
      (WEXITSTATUS(how) && !strstr(end.text, "proxact")))
    end.how = FLOW_WRONG;
  return end;
}

/* ---- the table */

#define SERVER(name, method, path) name, FAILING_SERVER, false, method, path
#define JSON_OF(text) NULL, NULL, text
#define NO_BODY NULL, NULL, NULL
#define JOB(name, part, spec) \
  { name, part, false, "POST", "/v1/jobs", JSON_OF(spec), NULL, false, fresh, run_job }
#define UPLOADED "select coalesce(sum(trajectories_n), 0) from datasets"
#define PART "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
#define TUS TUS_FOR("%Z")

const struct flow FIRST_UPLOAD = { SERVER("first upload", "POST",
                                          "/v1/datasets/base/trajectories?format=jsonl"),
                                   NULL,
                                   "application/jsonl",
                                   "@partly.jsonl",
                                   NULL,
                                   true,
                                   NULL,
                                   run_request };

const struct flow FLOWS[] = {
  { SERVER("get version", "GET", "/version"), NO_BODY, NULL, false, NULL, run_request },
  { SERVER("get readyz", "GET", "/readyz"), NO_BODY, NULL, true, NULL, run_request },
  { SERVER("get openapi", "GET", "/openapi.json"), NO_BODY, NULL, false, NULL, run_request },
  { SERVER("get metrics", "GET", "/metrics"), NO_BODY, NULL, true, NULL, run_request },
  { SERVER("get datasets", "GET", "/v1/datasets?limit=5"), NO_BODY, NULL, true, NULL, run_request },
  { SERVER("get dataset", "GET", "/v1/datasets/base"), NO_BODY, NULL, false, NULL, run_request },
  { SERVER("get trajectories", "GET", "/v1/datasets/base/trajectories?limit=5"), NO_BODY, NULL,
    false, NULL, run_request },
  { SERVER("get trajectory", "GET", "/v1/datasets/base/trajectories/7?label_set=ls_%L"), NO_BODY,
    NULL, false, NULL, run_request },
  { SERVER("get jobs", "GET", "/v1/jobs?limit=3&dataset=base"), NO_BODY, NULL, true, NULL,
    run_request },
  { SERVER("get job", "GET", "/v1/jobs/job_%I"), NO_BODY, NULL, false, NULL, run_request },
  { SERVER("get events", "GET", "/v1/jobs/job_%I/events"), NO_BODY, NULL, false, NULL,
    run_request },
  { SERVER("get curves", "GET", "/v1/jobs/job_%P/metrics"), NO_BODY, NULL, false, NULL,
    run_request },
  { SERVER("get artifacts", "GET", "/v1/jobs/job_%E/artifacts"), NO_BODY, NULL, false, NULL,
    run_request },
  { SERVER("get label sets", "GET", "/v1/label_sets?limit=2"), NO_BODY, NULL, true, NULL,
    run_request },
  { SERVER("get label set", "GET", "/v1/label_sets/ls_%L"), NO_BODY, NULL, false, NULL,
    run_request },
  { SERVER("get models", "GET", "/v1/models?limit=2"), NO_BODY, NULL, true, NULL, run_request },
  { SERVER("get model", "GET", "/v1/models/mdl_%I"), NO_BODY, NULL, false, NULL, run_request },
  { SERVER("get weights", "GET", "/v1/models/mdl_%P/weights"), NO_BODY, NULL, false, NULL,
    run_request },
  { SERVER("get workers", "GET", "/v1/workers"), NO_BODY, NULL, true, NULL, run_request },
  { SERVER("export jsonl", "GET",
           "/v1/datasets/base/export?format=jsonl&actions=both&label_set=ls_%L"),
    NO_BODY, NULL, false, NULL, run_request },
  { SERVER("export npz", "GET", "/v1/datasets/base/export?format=npz&actions=true"), NO_BODY, NULL,
    true, NULL, run_request },
  { SERVER("export hdf5", "GET", "/v1/datasets/base/export?format=hdf5&actions=true"), NO_BODY,
    NULL, true, NULL, run_request },
  { SERVER("export safetensors", "GET", "/v1/datasets/base/export?format=safetensors&actions=true"),
    NO_BODY, NULL, false, NULL, run_request },
  { "cold get job", FAILING_SERVER, true, "GET", "/v1/jobs/job_%I", NO_BODY, NULL, false, NULL,
    run_request },
  { "cold create dataset", FAILING_SERVER, true, "POST", "/v1/datasets",
    JSON_OF("{\"name\":\"cold-%N\",\"obs_dim\":3,\"act_dim\":2}"), "select count(*) from datasets",
    true, fresh, run_request },
  { SERVER("create dataset", "POST", "/v1/datasets"),
    JSON_OF("{\"name\":\"t-%N\",\"obs_dim\":3,\"act_dim\":2}"), "select count(*) from datasets",
    true, fresh, run_request },
  { SERVER("create dataset, with key", "POST", "/v1/datasets"), "Idempotency-Key: k-%N\r\n", NULL,
    "{\"name\":\"k-%N\",\"obs_dim\":3,\"act_dim\":2}", "select count(*) from datasets", true, fresh,
    run_request },
  { SERVER("delete dataset", "DELETE", "/v1/datasets/d-%N"), NO_BODY,
    "select -count(*) from datasets", true, make_dataset, run_request },
  { SERVER("upload jsonl", "POST", "/v1/datasets/sink/trajectories?format=jsonl"), NULL,
    "application/jsonl", "@good.jsonl", UPLOADED, true, NULL, run_request },
  { SERVER("upload jsonl, with key", "POST", "/v1/datasets/sink/trajectories?format=jsonl"),
    "Idempotency-Key: u-%N\r\n", "application/jsonl", "@good.jsonl", UPLOADED, true, fresh,
    run_request },
  { SERVER("upload gzip", "POST", "/v1/datasets/sink/trajectories?format=jsonl"),
    "Content-Encoding: gzip\r\n", "application/jsonl", "@good.jsonl.gz", UPLOADED, true, NULL,
    run_request },
  { SERVER("upload npz", "POST", "/v1/datasets/sink/trajectories?format=npz"), NULL,
    "application/x-npz", "@good.npz", UPLOADED, true, NULL, run_request },
  { SERVER("upload hdf5", "POST", "/v1/datasets/sink/trajectories?format=hdf5"), NULL,
    "application/x-hdf5", "@good.hdf5", UPLOADED, true, NULL, run_request },
  { SERVER("upload safetensors", "POST", "/v1/datasets/sink/trajectories?format=safetensors"), NULL,
    "application/x-safetensors", "@good.safetensors", UPLOADED, true, NULL, run_request },
  { SERVER("upload for a job", "POST", "/v1/datasets/sink/trajectories?format=jsonl&async=true"),
    NULL, "application/jsonl", "@good.jsonl", "select count(*) from uploads", true, NULL,
    run_request },
  { SERVER("upload in parts", "POST", "/v1/uploads"), TUS, "application/offset+octet-stream",
    "@good.jsonl", "select coalesce(sum(received_bytes), 0) from uploads", true, NULL,
    run_request },
  { SERVER("create upload", "POST", "/v1/uploads"), TUS_FOR("18012"), NULL, NULL,
    "select count(*) from uploads", true, NULL, run_request },
  { SERVER("append to upload", "PATCH", "/v1/uploads/%J"), PART, "application/offset+octet-stream",
    "@good.jsonl", "select coalesce(sum(received_bytes), 0) from uploads", true, make_upload,
    run_request },
  { SERVER("get upload", "GET", "/v1/uploads/%J"), NO_BODY, NULL, true, make_upload, run_request },
  { SERVER("delete upload", "DELETE", "/v1/uploads/%J"), "Tus-Resumable: 1.0.0\r\n", NULL, NULL,
    "select -count(*) from uploads", true, make_upload, run_request },
  { SERVER("create job", "POST", "/v1/jobs"),
    JSON_OF("{\"kind\":\"export\",\"spec\":{\"dataset\":\"%D\",\"format\":\"jsonl\",\"actions\":"
            "\"true\"}}"),
    "select count(*) from jobs", true, NULL, run_request },
  { SERVER("plan pipeline", "POST", "/v1/pipelines?dry_run=true"),
    JSON_OF("{\"dataset\":\"%D\",\"policies\":[\"bc\",\"td3bc\"],\"seeds\":[1,2]}"), NULL, true,
    NULL, run_request },
  { SERVER("cancel job", "POST", "/v1/jobs/%J:cancel"), NO_BODY,
    "select count(*) from jobs where state = 'cancelled'", true, make_waiting, run_request },
  { SERVER("retry job", "POST", "/v1/jobs/%J:retry"), NO_BODY, "select count(*) from jobs", true,
    make_cancelled, run_request },
  JOB("job train_idm", FAILING_CHILD,
      "{\"kind\":\"train_idm\",\"spec\":{\"dataset\":\"%D\",\"idm\":{\"steps\":40,\"validate_"
      "every\":20,\"hidden\":8,\"layers\":1,\"batch\":16}}}"),
  JOB("job label", FAILING_CHILD,
      "{\"kind\":\"label\",\"spec\":{\"dataset\":\"%D\",\"models\":[\"mdl_%I\"],\"shards\":1}}"),
  JOB("job train_policy", FAILING_CHILD,
      "{\"kind\":\"train_policy\",\"spec\":{\"dataset\":\"%D\",\"policy\":{\"algo\":\"td3bc\","
      "\"updates\":30,\"hidden\":8,\"batch\":16},\"seed\":1}}"),
  JOB(
    "job export", FAILING_CHILD,
    "{\"kind\":\"export\",\"spec\":{\"dataset\":\"%D\",\"format\":\"hdf5\",\"actions\":\"true\"}}"),
  JOB("job, seen by its worker", FAILING_SUPERVISOR,
      "{\"kind\":\"export\",\"spec\":{\"dataset\":\"%D\",\"format\":\"jsonl\",\"actions\":\"true\"}"
      "}"),
  { "job ingest", FAILING_CHILD, false, "POST",
    "/v1/datasets/sink/trajectories?format=jsonl&async=true", NULL, "application/jsonl",
    "@good.jsonl", UPLOADED, true, NULL, run_job },
  { "client list", FAILING_CLIENT, false, NULL, NULL, NULL, NULL, "datasets list", NULL, true, NULL,
    run_client },
  { "client create", FAILING_CLIENT, false, NULL, NULL, NULL, NULL,
    "datasets create c-%N --obs 3 --act 2", "select count(*) from datasets", true, fresh,
    run_client },
  { "client upload", FAILING_CLIENT, false, NULL, NULL, NULL, NULL, "upload sink @FILE", UPLOADED,
    true, NULL, run_client },
};
const size_t FLOWS_N = sizeof FLOWS / sizeof *FLOWS;
