/* SPDX-License-Identifier: Apache-2.0 */
/* What a work has left: see db_diff.h. */
#include "tests/fault/lib/db_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "tests/fault/lib/digest.h"

/* Not job_events, job_metrics and workers, whose number depends on tries and on time, nor
 * api_tokens: a token whose maker died before it could show it is nobody's. */
static const char *const TABLES[] = {
  "datasets",  "segments",        "trajectories", "uploads",          "jobs",
  "job_deps",  "job_checkpoints", "models",       "label_segments",   "label_sets",
  "artifacts", "blobs",           "blob_chunks",  "idempotency_keys", "simulators"
};
enum { TABLES_N = sizeof TABLES / sizeof *TABLES };

static json_t *count_rows(struct testbed *s) {
  json_t *rows = json_object();
  for (size_t i = 0; i < TABLES_N; i++)
    json_object_set_new(rows, TABLES[i],
                        json_integer(
                          strtol(testbed_sql(s, "select count(*) from %s", TABLES[i]), NULL, 10)));
  return rows;
}

void found_begin(struct testbed *s, struct found_mark *mark) {
  snprintf(mark->at, sizeof mark->at, "%s", testbed_sql(s, "select clock_timestamp()"));
  mark->rows = count_rows(s);
}

/* The content of a blob as a digest. A model's does not count its lineage, a document's not its
 * ids. */
static void digest_blob(struct testbed *s, const char *blob, const char *kind,
                        char out[DIGEST_BYTES]) {
  const char *const values[] = { blob };
  PGresult *r = PQexecParams(
    s->db,
    "select string_agg(bytes, ''::bytea order by no) from blob_chunks where blob_id = $1::bigint",
    1, NULL, values, NULL, NULL, 1);
  const char *bytes = PQntuples(r) ? PQgetvalue(r, 0, 0) : "";
  const size_t n = PQntuples(r) ? (size_t)PQgetlength(r, 0, 0) : 0;
  json_t *document = strcmp(kind, "document") == 0 ? json_loadb(bytes, n, 0, NULL) : NULL;
  if (document) digest_json(document, out);
  else if (strcmp(kind, "model") == 0) digest_model(bytes, n, out);
  else digest_bytes(bytes, n, out);
  json_decref(document);
  PQclear(r);
}

/* Rows of texts: a kind of digest, what to digest, and what tells the row. The kinds: blob,
 * document, model (the id of a blob), json (a document), text (taken as it is). */
static const char *const QUESTIONS[] = {
  "select 'json', coalesce(result::text, ''), concat_ws(' ', kind, name, state, reason) from jobs "
  "where created_at > '%s' order by 3, 2",
  "select 'text', coalesce(encode(sha256(string_agg(s.sha256, ''::bytea order by s.seq)), 'hex'), "
  "''), concat_ws(' ', 'dataset', d.trajectories_n,"
  " d.label_set_id is not null) from datasets d left join segments s on s.dataset_id = d.id where "
  "d.created_at > '%s' group by d.id order by 3, 2",
  "select 'model', m.blob_id::text, concat_ws(' ', 'model', j.kind, j.name, m.algo) from models m "
  "join jobs j on j.id = m.job_id"
  " where m.created_at > '%s' order by 3",
  "select 'text', encode(sha256(convert_to(mjcf || layout::text, 'UTF8')), 'hex'), concat_ws(' ', "
  "'simulator', obs_dim, act_dim) from simulators where created_at > '%s' order by 3",
  "select 'text', encode(l.sha256, 'hex'), concat_ws(' ', 'labels', l.segments_n, l.steps_n, "
  "l.known_n) from label_sets l where l.created_at > '%s' order by 3",
  "select case when a.media_type = 'application/json' then 'document' else 'blob' end, "
  "a.blob_id::text, concat_ws(' ', 'artifact', j.kind, a.name)"
  " from artifacts a join jobs j on j.id = a.job_id where a.created_at > '%s' order by 3",
  "select 'text', count(*)::text, 'ends of ' || j.kind from job_events e join jobs j on j.id = "
  "e.job_id"
  " where j.created_at > '%s' and job_is_final(e.to_state) group by j.kind order by 3",
};

static void answer_question(struct testbed *s, const char *fmt, const char *at, json_t *out) {
  char sql[1024], digest[DIGEST_BYTES];
  const char *hole = strstr(fmt, "%s");
  snprintf(sql, sizeof sql, "%.*s%s%s", (int)(hole - fmt), fmt, at, hole + 2);
  PGresult *rows = PQexec(s->db, sql);
  if (PQresultStatus(rows) != PGRES_TUPLES_OK) testbed_fail(s, "%s", PQresultErrorMessage(rows));
  for (int i = 0; i < PQntuples(rows); i++) {
    const char *kind = PQgetvalue(rows, i, 0), *value = PQgetvalue(rows, i, 1);
    if (strcmp(kind, "json") == 0) {
      json_t *document = json_loads(value, 0, NULL);
      digest_json(document, digest);
      json_decref(document);
    } else if (strcmp(kind, "text") == 0) {
      snprintf(digest, sizeof digest, "%s", value);
    } else {
      digest_blob(s, value, kind, digest);
    }
    char text[400];
    snprintf(text, sizeof text, "%.300s: %s", PQgetvalue(rows, i, 2), digest);
    json_array_append_new(out, json_string(text));
  }
  PQclear(rows);
}

json_t *found_since(struct testbed *s, struct found_mark *mark) {
  json_t *found = json_array(), *before;
  struct px_err err;
  int removed;
  const char *table;
  testbed_sql(s, "update blobs set created_at = created_at - interval '2 days' where not attached");
  if (store_job_janitor(s->store, &removed, &err)) testbed_fail(s, "janitor: %s", err.message);
  json_t *rows = count_rows(s);
  json_object_foreach(mark->rows, table, before) {
    char text[96];
    const json_int_t fresh =
      json_integer_value(json_object_get(rows, table)) - json_integer_value(before);
    snprintf(text, sizeof text, "%s: %lld more", table, (long long)fresh);
    json_array_append_new(found, json_string(text));
  }
  for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++)
    answer_question(s, QUESTIONS[i], mark->at, found);
  json_decref(rows);
  json_decref(mark->rows);
  mark->rows = NULL;
  return found;
}

json_t *found_tries(struct testbed *s, const struct found_mark *mark) {
  return json_loads(
    testbed_sql(
      s,
      "select jsonb_build_object('claims', (select count(*) from job_events e join jobs j "
      "on j.id = e.job_id"
      " where j.created_at > '%s' and e.to_state = 'running'), 'attempts', "
      "coalesce(sum(attempt), 0),"
      " 'lost', coalesce(sum(lost_leases), 0)) from jobs where created_at > '%s'",
      mark->at, mark->at),
    0, NULL);
}

bool found_same(const json_t *expected, const json_t *found, char *why, size_t size) {
  if (json_equal(expected, found)) return true;
  const size_t n = json_array_size(expected), m = json_array_size(found);
  size_t i = 0;
  while (i < n && i < m && json_equal(json_array_get(expected, i), json_array_get(found, i))) i++;
  const char *a = json_string_value(json_array_get(expected, i)),
             *b = json_string_value(json_array_get(found, i));
  snprintf(why, size, "there is '%s' and not '%s'", b ? b : "nothing", a ? a : "nothing");
  return false;
}
