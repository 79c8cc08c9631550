/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: what is there after a storm, against what was promised.
 *
 *   check --quiet=HISTORY --storm=HISTORY --faults=FILE --asked=FILE --seed=N
 *
 * (histories of load; the log of nemesis; the audit of the workers' connections by chaosproxy)
 *
 * Waits until nothing is left to do, then asks the database and the API: what was acknowledged is
 * there, what was refused is not, an unknown request took effect at most once, no job is stuck,
 * nothing is published twice or half, every result has the bytes of the quiet run, and whatever was
 * asked on behalf of a job after its hold was lost was refused. When rows were committed is
 * compared where the database keeps it (track_commit_timestamp). Prints each finding, and last one
 * line:
 *
 *   faults=N jobs=N lost=N doubled=N stuck=N digests_equal=N/N max_recovery_s=X seed=N
 *
 * Ends with 0 if nothing was lost, doubled or stuck and all digests are equal (and there was
 * something to compare).
 */
#include <getopt.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/fault/lib/api.h"
#include "tests/fault/lib/digest.h"
#include "tests/fault/lib/history.h"
#include "tests/fault/lib/invariants.h"
#include "tests/fault/lib/proc.h"

enum { QUIET_MS = 60000, SQL_BYTES = 8192 };
static const char *const CLASS_NAMES[] = { "lost", "doubled", "stuck" };

static struct {
  PGconn *db;
  struct api api;
  long count[INVARIANT_CLASSES];
  long equal, compared;
  json_t *expected;
} c;

/* ---- the database */

static PGresult *query(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static PGresult *query(const char *fmt, ...) {
  char sql[SQL_BYTES];
  va_list args;
  va_start(args, fmt);
  vsnprintf(sql, sizeof sql, fmt, args);
  va_end(args);
  PGresult *rows = PQexec(c.db, sql);
  if (PQresultStatus(rows) == PGRES_TUPLES_OK || PQresultStatus(rows) == PGRES_COMMAND_OK)
    return rows;
  fprintf(stderr, "check: %s\n%s\n", PQerrorMessage(c.db), sql);
  exit(2);
}

static long number(const char *sql) {
  PGresult *rows = query("%s", sql);
  const long n = PQntuples(rows) ? strtol(PQgetvalue(rows, 0, 0), NULL, 10) : 0;
  PQclear(rows);
  return n;
}

/* The history as a table, so that the questions below are one statement each. */
static void put_history(const char *path) {
  json_t *lines = history_read(path), *line;
  size_t i;
  if (!lines) {
    fprintf(stderr, "check: %s cannot be read\n", path);
    exit(2);
  }
  json_array_foreach(lines, i, line) {
    char *text = json_dumps(line, JSON_COMPACT);
    const char *const values[] = { text };
    PGresult *r = PQexecParams(
      c.db,
      "insert into history select x->>'session', (x->>'variant')::int, x->>'op', "
      "split_part(x->>'op', '.', 1),"
      " x->>'outcome', x->>'id', x->'jobs', x->>'error' from (select $1::jsonb as x) as x",
      1, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) fprintf(stderr, "check: %s\n", PQerrorMessage(c.db));
    PQclear(r);
    free(text);
  }
  json_decref(lines);
}

/* ---- rules: each gives the rows that break it */

#define TOP "select j.* from jobs j where j.parent_id is null"
/* What was sent, per dataset and kind: taken for sure, and perhaps. A request has one op, and one
 * id, however often it was sent. */
#define SENT \
  "select d.id as dataset_id, k.kind, count(distinct (h.op, h.id)) filter (where h.outcome = " \
  "'acked') as acked," \
  " count(distinct h.op) filter (where h.outcome = 'unknown' and not exists (select from history " \
  "a where a.session = h.session" \
  " and a.op = h.op and a.outcome = 'acked')) as unknown" \
  " from history h join datasets d on d.name = h.session join (values ('pipeline', 'pipeline'), " \
  "('policy', 'train_policy')," \
  " ('export_true', 'export'), ('export_both', 'export'), ('evaluate', 'evaluate'), ('label', " \
  "'label'), ('upload', 'upload'))" \
  " as k (role, kind) on k.role = h.role and h.outcome in ('acked', 'unknown') group by 1, 2"

static const struct invariant OF_HISTORY[] = {
  { INVARIANT_LOST, "acknowledged dataset is not there",
    "select h.session, h.id from history h where role = 'dataset' and outcome = 'acked' and not "
    "exists (select from datasets d where d.id = h.id)" },
  { INVARIANT_LOST, "acknowledged job is not there",
    "select h.session, h.op, h.id from history h where outcome = 'acked' and id like 'job\\_%' and "
    "not exists (select from jobs j where j.id = h.id)" },
  { INVARIANT_LOST, "acknowledged upload's trajectories are not there",
    "select d.name, d.trajectories_n, count(*) from history h join datasets d on d.name = h.session"
    " where h.role = 'upload' and h.outcome = 'acked' and (h.op <> 'upload.2' or exists (select "
    "from jobs j where j.id = h.id and j.state = 'succeeded'))"
    " group by 1, 2 having d.trajectories_n < 12 * count(*)" },
  { INVARIANT_LOST, "job that was seen to succeed has not",
    "select h.session, r.value from history h, jsonb_each_text(h.jobs) r left join jobs j on j.id "
    "= r.value where j.state is distinct from 'succeeded'" },
  { INVARIANT_LOST, "job failed for no reason of its surroundings",
    "select j.id, j.kind, j.reason, j.error->>'detail' from jobs j left join jobs p on p.id = "
    "j.parent_id where j.state in ('failed', 'cancelled')"
    " and j.reason not in ('worker_lost', 'oom', 'child_crashed', 'unavailable', 'io_error', "
    "'timeout', 'internal', 'no_memory', 'dependency_failed')"
    /* what is left of a pipeline that failed is cancelled */
    " and not (j.state = 'cancelled' and p.state is not distinct from 'failed')" },
  { INVARIANT_LOST, "client saw something wrong",
    "select session, op, id, error from history where outcome = 'wrong'" },
  { INVARIANT_DOUBLED, "refused dataset is there",
    "select d.name from datasets d where d.name in (select session from history) and not exists "
    "(select from history h where h.session = d.name and h.role = 'dataset'"
    " and h.outcome in ('acked', 'unknown'))" },
  { INVARIANT_DOUBLED, "more jobs than were asked for",
    "select j.dataset_id, j.kind, count(*), coalesce(s.acked, 0), coalesce(s.unknown, 0) from (" TOP
    ") j join datasets d on d.id = j.dataset_id"
    " left join (" SENT ") s on s.dataset_id = j.dataset_id and s.kind = j.kind"
    " where j.kind not in ('label_shard', 'ingest', 'report') and d.name in (select session from "
    "history)"
    " group by 1, 2, 4, 5 having count(*) > coalesce(s.acked, 0) + coalesce(s.unknown, 0)" },
  { INVARIANT_DOUBLED, "more trajectories than were sent",
    "select d.name, d.trajectories_n, s.acked, s.unknown from datasets d left join (" SENT
    ") s on s.dataset_id = d.id and s.kind = 'upload'"
    " where d.name in (select session from history) and d.trajectories_n > 12 * (coalesce(s.acked, "
    "0) + coalesce(s.unknown, 0))" },
  { INVARIANT_DOUBLED, "row was committed after its hold was lost",
    "select r.what, r.job_id, r.epoch, pg_temp.committed(r.xmin), l.at from (select 'metric' as "
    "what, job_id, epoch, xmin from job_metrics"
    " union all select 'staged', job_id, epoch, xmin from label_segments union all select "
    "'checkpoint', job_id, epoch, xmin from job_checkpoints"
    " union all select 'model', job_id, epoch, xmin from models union all select 'set', job_id, "
    "epoch, xmin from label_sets"
    " union all select 'artifact', job_id, epoch, xmin from artifacts) r join lost l on l.job_id = "
    "r.job_id and l.epoch = r.epoch"
    " where pg_temp.committed(r.xmin) > l.committed" },
  { INVARIANT_DOUBLED, "write under a lost hold was taken",
    "select at_ms, application, statement, job, epoch, answer from stale where fate = 'taken'" },
  { INVARIANT_STUCK, "client waited in vain",
    "select session, op, id from history where outcome = 'stuck'" },
};

static void judge(const struct invariant *rule) {
  PGresult *rows = query("%s", rule->sql);
  for (int i = 0; i < PQntuples(rows); i++) {
    printf("%s: %s:", CLASS_NAMES[rule->class], rule->what);
    for (int k = 0; k < PQnfields(rows); k++)
      printf(" %s=%s", PQfname(rows, k), PQgetvalue(rows, i, k));
    putchar('\n');
  }
  c.count[rule->class] += PQntuples(rows);
  PQclear(rows);
}

/* Until nothing is left to do, or nothing has happened for a long time. */
static void wait_for_quiet(void) {
  int64_t changed = px_clock_ms();
  for (long last = -1; px_clock_ms() - changed < QUIET_MS; proc_sleep_ms(200)) {
    if (number("select count(*) from jobs where not job_is_final(state)") == 0) return;
    const long now = number("select count(*) from job_events");
    if (now != last) changed = px_clock_ms();
    last = now;
  }
}

/* ---- digests */

/* The first of a variant is what the others are compared with. */
static void compare(int variant, const char *role, const char *session, bool storm,
                    const char *digest) {
  char key[160];
  snprintf(key, sizeof key, "%d %s", variant, role);
  const char *expected = json_string_value(json_object_get(c.expected, key));
  if (!storm && !expected) {
    json_object_set_new(c.expected, key, json_string(digest));
    return;
  }
  c.compared++;
  if (expected && *digest && strcmp(expected, digest) == 0) c.equal++;
  else
    printf("differs: %s %s: %s and not %s\n", session, role, digest,
           expected ? expected : "(nothing of the kind)");
}

/* All that a finished session left: its dataset, its jobs, its pipeline's jobs. Ingest and shards
 * show in what is built on them. */
static void compare_sessions(bool storm) {
  PGresult *rows = query("select h.variant, h.session, 'dataset', 'dataset', d.id, "
                         "encode(sha256(string_agg(s.sha256, ''::bytea order by s.seq)), 'hex')"
                         " from history h join datasets d on d.id = h.id join segments s on "
                         "s.dataset_id = d.id where h.op = 'done' and h.storm = %d group by 1, 2, 5"
                         " union all select h.variant, h.session, r.key, j.kind, j.id, "
                         "j.result::text from history h, jsonb_each_text(h.jobs) r"
                         " join jobs j on j.id = r.value where h.op = 'done' and h.storm = %d and "
                         "j.kind not in ('ingest', 'pipeline')"
                         " union all select h.variant, h.session, 'pipeline/' || j.name, j.kind, "
                         "j.id, j.result::text from history h"
                         " join jobs j on j.parent_id = h.jobs->>'pipeline' where h.op = 'done' "
                         "and h.storm = %d and j.kind <> 'label_shard' order by 2, 3",
                         storm, storm, storm);
  for (int i = 0; i < PQntuples(rows); i++) {
    char digest[DIGEST_BYTES];
    const char *kind = PQgetvalue(rows, i, 3), *value = PQgetvalue(rows, i, 5);
    if (strcmp(kind, "dataset") == 0) snprintf(digest, sizeof digest, "%s", value);
    else digest_job(&c.api, kind, PQgetvalue(rows, i, 4), value, digest);
    compare((int)strtol(PQgetvalue(rows, i, 0), NULL, 10), PQgetvalue(rows, i, 2),
            PQgetvalue(rows, i, 1), storm, digest);
  }
  PQclear(rows);
}

/* ---- recovery: a killed worker's job is somebody else's, or known to be nobody's */

static long put_faults(const char *path) {
  FILE *f = fopen(path, "re");
  char line[256], kind[64];
  long long at;
  int pid;
  long n = 0;
  while (f && fgets(line, sizeof line, f))
    if (strstr(line, " hit") && sscanf(line, "%lld %63s %*u %d", &at, kind, &pid) == 3) {
      n++;
      PQclear(
        query("insert into faults values (to_timestamp(%lld / 1000.0), '%s', %d)", at, kind, pid));
    }
  if (f) fclose(f);
  return n;
}

static double recovery(double at_percent) {
  PGresult *rows = query("with held as (select f.at, e.job_id, e.no from faults f join lateral "
                         "(select * from job_events e where e.worker like '%%:' || f.pid || ':%%'"
                         " and e.at <= f.at and e.at > f.at - interval '10 min' order by e.no desc "
                         "limit 1) e on e.to_state = 'running' where f.kind = 'worker_kill'),"
                         " back as (select (select min(n.at) from job_events n where n.job_id = "
                         "held.job_id and n.no > held.no) - held.at as took from held)"
                         " select coalesce(extract(epoch from percentile_disc(%f) within group "
                         "(order by took)), 0), count(*) from back",
                         at_percent);
  const double s = strtod(PQgetvalue(rows, 0, 0), NULL);
  PQclear(rows);
  return s;
}

/* ---- stale writes: asked on behalf of a job after the hold was lost, by the clock that proxy and
 * database share */

/* A process of a job is named "px JOB EPOCH"; a supervisor names both in what it asks. A commit
 * counts where something was written before it. Whoever finds with job_lock that the hold is lost
 * rolls back. */
static const char STALE[] =
  "create function pg_temp.committed(row_of xid) returns timestamptz language sql as $$ select "
  "case when"
  " current_setting('track_commit_timestamp')::boolean then pg_xact_commit_timestamp(row_of) end "
  "$$;"
  "create temp view lost as select job_id, epoch, at, pg_temp.committed(xmin) as committed from "
  "job_events"
  " where from_state = 'running' and to_state <> 'succeeded';"
  "create temp table stale as with named as (select *, application like 'px job%' as own, "
  "statement = any ('{job_metrics_put,label_stage,"
  "label_adopt,label_drop_dead,label_publish,label_flip,model_publish,artifact_publish,checkpoint_"
  "advance,checkpoint_insert,checkpoint_trim,"
  "checkpoint_resumed,job_succeed,job_fail,job_give_back,job_heartbeat}') as writes, "
  "lead(statement) over (partition by conn order by no) as next,"
  " count(*) filter (where statement = 'begin') over (partition by conn order by no) as "
  "transaction from asked),"
  " held as (select *, case when own then split_part(application, ' ', 2) else p1 end as job, case "
  "when own then split_part(application, ' ', 3)"
  " else p2 end as epoch, bool_or(writes and answer ~ ' [1-9]') over (partition by conn, "
  "transaction) as wrote from named)"
  " select h.*, case when answer = 'none' or answer like 'cut %' then 'unanswered' when answer ~ "
  "'^[0-9A-Z]{5}$' or answer ~ ' 0$'"
  " or answer = 'ROLLBACK' or (statement = 'job_lock' and next = 'rollback') then 'refused' else "
  "'taken' end as fate from held h"
  " join lost l on l.job_id = h.job and l.epoch::text = h.epoch and h.at_ms > extract(epoch from "
  "l.at) * 1000"
  " where writes or (own and (statement = 'job_lock' or (statement = 'commit' and wrote)))";

static void put_asked(const char *path) {
  PQclear(query("create temp table asked (no bigint generated always as identity, at_ms bigint, "
                "conn bigint, application text, statement text,"
                " p1 text, p2 text, answer text)"));
  PGresult *copy =
    PQexec(c.db, "copy asked (at_ms, conn, application, statement, p1, p2, answer) from stdin");
  FILE *f = fopen(path, "re");
  char piece[65536];
  for (size_t n; f && (n = fread(piece, 1, sizeof piece, f)) > 0;)
    if (PQputCopyData(c.db, piece, (int)n) != 1) break;
  if (f) fclose(f);
  PQclear(copy);
  PQputCopyEnd(c.db, NULL);
  for (PGresult *r; (r = PQgetResult(c.db)) != NULL; PQclear(r))
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
      fprintf(stderr, "check: %s: %s\n", path, PQerrorMessage(c.db)), exit(2);
  PQclear(query("%s", STALE));
}

static void tell_stale(void) {
  printf("stale writes: tried=%ld refused=%ld (supervisors %ld, jobs' processes %ld), and without "
         "an answer, of which nothing is there: %ld\n",
         number("select count(*) from stale where fate <> 'unanswered'"),
         number("select count(*) from stale where fate = 'refused'"),
         number("select count(*) from stale where fate = 'refused' and not own"),
         number("select count(*) from stale where fate = 'refused' and own"),
         number("select count(*) from stale where fate = 'unanswered'"));
}

/* ---- commits and claims whose answer was cut off */

#define CUT_PUBLISH \
  "from asked a join jobs j on j.id = split_part(a.application, ' ', 2) where a.answer like 'cut " \
  "%' and a.statement = 'commit' and a.application like 'px job%'"
#define CUT_CLAIM "from asked a where a.answer like 'cut %' and a.statement = 'job_claim'"

static void tell_cuts(void) {
  printf("cut at the commit: transactions of jobs %ld, of whose jobs succeeded once %ld and failed "
         "in the end %ld; claims %ld, of which were adopted %ld;"
         " transactions of the server %ld\n",
         number("select count(*) " CUT_PUBLISH),
         number("select count(*) " CUT_PUBLISH
                " and j.state = 'succeeded' and (select count(*) from job_events e where e.job_id "
                "= j.id and e.to_state = 'succeeded') = 1"),
         number("select count(*) " CUT_PUBLISH " and j.state <> 'succeeded'"),
         number("select count(*) " CUT_CLAIM),
         number("select count(*) from asked where statement = 'job_adopt' and answer = 'UPDATE 1'"),
         number("select count(*) from faults where kind = 'submit_cut'"));
  printf("requests: acknowledged %ld, of which are there once %ld; without an answer %ld, of which "
         "took effect %ld\n",
         number("select count(distinct (session, op)) from history where outcome = 'acked' and op "
                "<> 'done' and id <> ''"),
         number("select count(distinct (session, op)) from history h where outcome = 'acked' and "
                "op <> 'done' and (exists (select from jobs j where j.id = h.id)"
                " or exists (select from datasets d where d.id = h.id))"),
         number("select count(distinct (session, op)) from history u where outcome = 'unknown' and "
                "not exists (select from history a where a.session = u.session"
                " and a.op = u.op and a.outcome = 'acked')"),
         number("select (select count(*) from jobs where parent_id is null and kind <> "
                "'label_shard' and id not in (select id from history where outcome = 'acked'))"
                " + (select count(*) from datasets where id not in (select id from history where "
                "outcome = 'acked'))"));
}

static void read_all(const char *quiet, const char *storm) {
  PQclear(query("create temp table history (session text, variant int, op text, role text, outcome "
                "text, id text, jobs jsonb, error text, storm int default 0);"
                "create temp table faults (at timestamptz, kind text, pid int)"));
  put_history(quiet);
  if (!storm) return;
  PQclear(query("alter table history alter storm set default 1"));
  put_history(storm);
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = { { "quiet", 1, NULL, 'q' },  { "storm", 1, NULL, 's' },
                                           { "faults", 1, NULL, 'f' }, { "seed", 1, NULL, 'r' },
                                           { "asked", 1, NULL, 'a' },  { NULL, 0, NULL, 0 } };
  const char *quiet = NULL, *storm = NULL, *faults = "", *asked = "", *seed = "0",
             *url = getenv("PROXACT_DB_URL");
  int option;
  while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
    if (option == 'q') quiet = optarg;
    else if (option == 's') storm = optarg;
    else if (option == 'f') faults = optarg;
    else if (option == 'r') seed = optarg;
    else if (option == 'a') asked = optarg;
    else return 2;
  }
  if (!quiet || !url || !api_from_env(&c.api))
    return fprintf(stderr, "usage: check --quiet=FILE [--storm=FILE ...]\n"), 2;
  c.db = PQconnectdb(url);
  c.expected = json_object();
  PQclear(query("set client_min_messages to warning; set timezone to 'UTC'"));
  read_all(quiet, storm);
  const long faults_n = put_faults(faults);
  wait_for_quiet();
  put_asked(asked);
  for (size_t i = 0; i < INVARIANTS_N; i++) judge(&INVARIANTS[i]);
  for (size_t i = 0; i < sizeof OF_HISTORY / sizeof *OF_HISTORY; i++) judge(&OF_HISTORY[i]);
  compare_sessions(false);
  compare_sessions(true);
  const long jobs = number("select count(*) from jobs j join datasets d on d.id = j.dataset_id "
                           "where d.name in (select session from history where storm = 1)");
  printf("jobs tried again by the client: %ld, given up after three lost leases: %ld, claims: %ld, "
         "median recovery: %.2f s\n",
         number("select count(*) from history where outcome = 'failed' and storm = 1"),
         number("select count(*) from jobs where state = 'failed' and lost_leases >= 3"),
         number("select count(*) from job_events where to_state = 'running'"), recovery(0.5));
  tell_stale();
  tell_cuts();
  printf("faults=%ld jobs=%ld lost=%ld doubled=%ld stuck=%ld digests_equal=%ld/%ld "
         "max_recovery_s=%.2f seed=%s\n",
         faults_n, jobs, c.count[INVARIANT_LOST], c.count[INVARIANT_DOUBLED],
         c.count[INVARIANT_STUCK], c.equal, c.compared, recovery(1), seed);
  const bool good = !c.count[INVARIANT_LOST] && !c.count[INVARIANT_DOUBLED] &&
                    !c.count[INVARIANT_STUCK] && c.equal == c.compared && c.compared > 0;
  json_decref(c.expected);
  PQfinish(c.db);
  return !good;
}
