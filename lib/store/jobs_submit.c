/* SPDX-License-Identifier: Apache-2.0 */
/* Submitting and cancelling jobs: see jobs.h. */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/flow/kinds.h"
#include "lib/store/db.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "lib/store/submitter.h"

void store_job_new_id(char id[STORE_ID_MAX]) { store_new_id("job", id); }

struct submission {
  const struct store_job_draft *drafts;
  size_t n;
  char existing[STORE_ID_MAX];
  struct submitter submitter;
};

static bool in_submission(const struct submission *s, const char *id) {
  for (size_t i = 0; i < s->n; i++)
    if (strcmp(s->drafts[i].id, id) == 0) return true;
  return false;
}

/* The older jobs that the drafts need, locked. */
static enum px_status lock_older(struct store *store, const struct submission *s, PGresult **out,
                                 struct px_err *err) {
  struct px_buf ids = PX_BUF(1 << 22);
  enum px_status status = PX_OK;
  for (size_t i = 0; i < s->n; i++)
    for (size_t k = 0; k < s->drafts[i].needs_n && !status; k++)
      if (!in_submission(s, s->drafts[i].needs[k]))
        status = db_array_text(&ids, s->drafts[i].needs[k]);
  if (!status) status = db_array_end(&ids);
  if (status) {
    status = px_fail(err, status, "the jobs need too many others");
  } else {
    struct db_params p = DB_PARAMS;
    db_text(&p, ids.data);
    status = db_run(store, SQL_job_lock_needs, &p, DB_TEXT, out, err);
  }
  px_buf_free(&ids);
  return status;
}

/* Whether the draft has to wait, and whether all it needs exists. */
static enum px_status is_blocked(const struct submission *s, const struct store_job_draft *draft,
                                 const PGresult *older, bool *blocked, struct px_err *err) {
  *blocked = false;
  for (size_t k = 0; k < draft->needs_n; k++) {
    const char *need = draft->needs[k];
    if (in_submission(s, need)) {
      *blocked = true;
      continue;
    }
    int row = 0;
    while (row < PQntuples(older) && strcmp(db_get(older, row, "id"), need) != 0) row++;
    if (row == PQntuples(older))
      return px_fail(err, PX_E_NOT_FOUND, "there is no job %s, which '%s' needs", need,
                     draft->name);
    const char *state = db_get(older, row, "state");
    if (strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0)
      return px_fail(err, PX_E_DEPENDENCY_FAILED, "%s %s, which '%s' needs, is %s",
                     db_get(older, row, "kind"), need, draft->name, state);
    if (db_get_bool(older, row, "removed"))
      return px_fail(err, PX_E_NOT_FOUND, "what %s %s left, and '%s' needs, was removed",
                     db_get(older, row, "kind"), need, draft->name);
    if (strcmp(state, "succeeded") != 0) *blocked = true;
  }
  if (strcmp(draft->kind, "pipeline") == 0 && !*blocked)
    return px_fail(err, PX_E_BAD_FIELD, "a pipeline needs at least one unfinished job");
  return PX_OK;
}

/* *inserted is false when an unfinished job has the draft's dedupe key. */
static enum px_status insert_draft(struct store *store, const struct submission *s,
                                   const struct store_job_draft *d, bool blocked, bool *inserted,
                                   struct px_err *err) {
  enum flow_kind kind;
  const enum px_status known = flow_kind_from(d->kind, &kind, err);
  if (known) return known;
  struct db_params p = DB_PARAMS;
  db_text(&p, d->id);
  db_text(&p, d->kind);
  db_text(&p, d->name ? d->name : "");
  db_text(&p, blocked ? "blocked" : "ready");
  db_text(&p, d->spec_json);
  db_text(&p, d->dataset_id);
  db_text(&p, d->parent_id);
  db_text(&p, d->dedupe_key);
  db_int(&p, d->priority);
  db_int(&p, d->memory_bytes);
  db_int(&p, d->limit_s);
  db_text(&p, submitter_id(&s->submitter));
  db_int(&p, flow_kind_info(kind)->revision);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_job_insert, &p, DB_TEXT, &row, err);
  if (status) return status;
  *inserted = PQntuples(row) == 1;
  PQclear(row);
  return PX_OK;
}

static enum px_status find_duplicate(struct store *store, const char *key, char id[STORE_ID_MAX],
                                     struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, key);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_job_dedupe_find, &p, DB_TEXT, &row, err);
  if (status) return status;
  if (PQntuples(row)) db_get_text(row, 0, "id", id, STORE_ID_MAX);
  PQclear(row);
  return PX_OK;
}

/* Inserts the draft, or finds the unfinished job with its key; should that end in between, the key
 * is free again. */
static enum px_status insert_or_find(struct store *store, struct submission *s,
                                     const struct store_job_draft *d, bool blocked,
                                     struct px_err *err) {
  bool inserted = false;
  enum px_status status = PX_OK;
  while (!status && !inserted && !*s->existing) {
    status = insert_draft(store, s, d, blocked, &inserted, err);
    if (!status && !inserted) status = find_duplicate(store, d->dedupe_key, s->existing, err);
  }
  return status;
}

static enum px_status insert_needs(struct store *store, const struct store_job_draft *d,
                                   struct px_err *err) {
  if (!d->needs_n) return PX_OK;
  struct px_buf needs = PX_BUF(1 << 20);
  enum px_status status = PX_OK;
  for (size_t k = 0; k < d->needs_n && !status; k++) status = db_array_text(&needs, d->needs[k]);
  if (!status) status = db_array_end(&needs);
  if (status) {
    status = px_fail(err, status, "job '%s' needs too many others", d->name);
  } else {
    struct db_params p = DB_PARAMS;
    db_text(&p, d->id);
    db_text(&p, needs.data);
    status = db_run(store, SQL_job_dep_insert, &p, DB_TEXT, NULL, err);
  }
  px_buf_free(&needs);
  return status;
}

/* Whether a commit whose answer was lost took the submission: all of its jobs are there, or none
 * is. */
static enum px_status is_submitted(struct store *store, const struct submission *s, bool *already,
                                   struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, s->drafts[0].id);
  PGresult *row;
  const enum px_status status = db_run(store, SQL_job_lock, &p, DB_TEXT, &row, err);
  if (status) return status;
  *already = PQntuples(row) > 0;
  PQclear(row);
  return PX_OK;
}

static enum px_status submit_work(struct store *store, void *ctx, struct px_err *err) {
  struct submission *s = ctx;
  s->existing[0] = '\0'; /* it may run again */
  bool already = false;
  enum px_status status = db_unsettled(store) ? is_submitted(store, s, &already, err) : PX_OK;
  if (status || already) return status;
  PGresult *older = NULL;
  status = submitter_lock(store, &s->submitter, err);
  if (!status) status = lock_older(store, s, &older, err);
  /* Parents first, whatever the order of the drafts; and so the one with the key before any
   * other. */
  for (int children = 0; children < 2; children++)
    for (size_t i = 0; i < s->n && !status && !*s->existing; i++) {
      bool blocked;
      if ((s->drafts[i].parent_id != NULL) != children) continue;
      status = is_blocked(s, &s->drafts[i], older, &blocked, err);
      if (!status) status = insert_or_find(store, s, &s->drafts[i], blocked, err);
    }
  for (size_t i = 0; i < s->n && !status && !*s->existing; i++)
    status = insert_needs(store, &s->drafts[i], err);
  if (!status && !*s->existing) status = submitter_check(store, &s->submitter, s->n, err);
  PQclear(older);
  return status;
}

enum px_status store_jobs_submit_once(struct store *store, const struct store_job_draft *drafts,
                                      size_t n, char existing[STORE_ID_MAX], struct px_err *err) {
  struct submission s = { drafts, n, "", { .id = "" } };
  for (size_t i = 1; i < n; i++)
    if (drafts[i].dedupe_key)
      return px_fail(err, PX_E_INTERNAL,
                     "only the first job of a submission may have a dedupe key");
  const enum px_status status = db_transaction(store, "submit", submit_work, &s, err);
  if (!status) memcpy(existing, s.existing, STORE_ID_MAX);
  return status;
}

enum px_status store_jobs_submit(struct store *store, const struct store_job_draft *drafts,
                                 size_t n, struct px_err *err) {
  char existing[STORE_ID_MAX];
  enum px_status status = store_jobs_submit_once(store, drafts, n, existing, err);
  if (!status && *existing) {
    status = px_fail(err, PX_E_CONFLICT, "the same job is not finished yet");
    px_fail_hint(err, "%s", existing);
  }
  return status;
}

/* --- cancelling --- */

static enum px_status cancel_one(struct store *store, const char *id, const char *state,
                                 struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  return db_run(store, strcmp(state, "running") == 0 ? SQL_job_ask_cancel : SQL_job_cancel, &p,
                DB_TEXT, NULL, err);
}

/* The end of one child may already have ended the next, so each is looked at anew. */
static enum px_status cancel_children(struct store *store, const char *id, struct px_err *err) {
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *children;
  enum px_status status = db_run(store, SQL_job_open_children, &p, DB_TEXT, &children, err);
  if (status) return status;
  for (int i = 0; i < PQntuples(children) && !status; i++) {
    struct db_params child = DB_PARAMS;
    db_text(&child, db_get(children, i, "id"));
    PGresult *row;
    status = db_run(store, SQL_job_lock, &child, DB_TEXT, &row, err);
    if (status) break;
    const char *state = db_get(row, 0, "state");
    if (strcmp(state, "blocked") == 0 || strcmp(state, "ready") == 0 ||
        strcmp(state, "running") == 0)
      status = cancel_one(store, db_get(children, i, "id"), state, err);
    PQclear(row);
  }
  PQclear(children);
  return status;
}

static enum px_status cancel_work(struct store *store, void *ctx, struct px_err *err) {
  const char *id = ctx;
  struct db_params p = DB_PARAMS;
  db_text(&p, id);
  PGresult *row;
  enum px_status status = db_one(store, SQL_job_lock, &p, &row, err, "there is no job %s", id);
  if (status) return status;
  char state[16];
  db_get_text(row, 0, "state", state, sizeof state);
  const bool pipeline = strcmp(db_get(row, 0, "kind"), "pipeline") == 0;
  PQclear(row);
  if (db_unsettled(store) && strcmp(state, "cancelled") == 0) return PX_OK;
  if (strcmp(state, "blocked") != 0 && strcmp(state, "ready") != 0 && strcmp(state, "running") != 0)
    return px_fail(err, PX_E_CONFLICT, "job %s is already %s", id, state);
  status = cancel_one(store, id, state, err);
  return status || !pipeline ? status : cancel_children(store, id, err);
}

enum px_status store_job_cancel(struct store *store, const char *id, struct px_err *err) {
  char copy[STORE_ID_MAX];
  snprintf(copy, sizeof copy, "%s", id);
  return db_transaction(store, "cancel", cancel_work, copy, err);
}
