/* SPDX-License-Identifier: Apache-2.0 */
/* From a file on disk to segments in a dataset: see transfer.h. */
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/traj.h"
#include "lib/data/traj_digest.h"
#include "lib/store/append.h"
#include "lib/store/store.h"
#include "lib/transfer/transfer.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/store/duplicates.h"

enum { REREADS_MAX = 8 }; /* of a file whose dataset others fill meanwhile */
enum {
  BESIDE_BYTES = 8 << 20, /* smaller files are not worth a second connection */
  QUEUE_MAX = 3,
  QUEUE_BYTES = 16 << 20
}; /* a larger segment waits until it is alone */

struct store_ingesting {
  struct store_ingest what;
  struct store_append *append;
  struct store_ingested result;
  struct px_traj_sink builder;
  struct duplicates duplicates;
  struct px_lint *lint; /* of the file as it is read */
  char *findings;       /* JSON text for the append; NULL: nothing was found */
  bool outdated;        /* the commit found duplicates that reading had not left out */
  bool beside;          /* a second thread stores */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct px_segment *queue[QUEUE_MAX]; /* in order; copies */
  /* copied_bytes: of all copies, with the one that is being stored */
  size_t queue_n, copied_bytes;
  bool parsed;           /* nothing more will be put in */
  enum px_status failed; /* of the second thread, with err */
  struct px_err err;
};

/* A segment that outlives the builder's call, in one piece of memory. */
static struct px_segment *copy_segment(const struct px_segment *from, uint32_t dims) {
  size_t rows_bytes, moments_bytes, all;
  if (!px_mem_mul(from->traj_n, sizeof *from->rows, &rows_bytes) ||
      !px_mem_mul(dims, 2 * sizeof(double), &moments_bytes) ||
      !px_mem_add(rows_bytes, moments_bytes, &all) || !px_mem_add(all, from->size, &all) ||
      !px_mem_add(all, sizeof *from, &all))
    return NULL;
  struct px_segment *copy = malloc(all);
  if (!copy) return NULL;
  *copy = *from;
  /* Widest alignment first: doubles, rows, bytes. */
  double *moments = (double *)(void *)(copy + 1);
  memcpy(moments, from->obs.mean, dims * sizeof(double));
  memcpy(moments + dims, from->obs.m2, dims * sizeof(double));
  struct px_segment_row *rows = (struct px_segment_row *)(void *)(moments + 2 * (size_t)dims);
  memcpy(rows, from->rows, rows_bytes);
  char *bytes = (char *)rows + rows_bytes;
  memcpy(bytes, from->bytes, from->size);
  copy->obs.mean = moments;
  copy->obs.m2 = moments + dims;
  copy->rows = rows;
  copy->bytes = bytes;
  return copy;
}

static void *store_main(void *arg) {
  struct store_ingesting *in = arg;
  struct store *store = NULL;
  struct px_err err = { 0 };
  enum px_status status = store_new(in->what.beside_url, "px ingest", &store, &err);
  if (!status) store_set_patience(store, store_patience(in->what.store));
  pthread_mutex_lock(&in->lock);
  while (!status) {
    while (in->queue_n == 0 && !in->parsed) pthread_cond_wait(&in->changed, &in->lock);
    if (in->queue_n == 0) break;
    struct px_segment *copy = in->queue[0];
    memmove(in->queue, in->queue + 1, --in->queue_n * sizeof *in->queue);
    pthread_mutex_unlock(&in->lock);
    status = store_append_segment(in->append, store, copy, &err);
    const size_t bytes = copy->size;
    free(copy);
    pthread_mutex_lock(&in->lock);
    in->copied_bytes -= bytes;
    pthread_cond_signal(&in->changed);
  }
  if (status) {
    in->failed = status;
    in->err = err;
    pthread_cond_signal(&in->changed);
  }
  pthread_mutex_unlock(&in->lock);
  store_close(store);
  return NULL;
}

/* One trajectory may make a segment of PX_SEGMENT_MAX_BYTES: there are never several copies of
 * such. */
static bool has_room(const struct store_ingesting *in, size_t bytes) {
  return in->copied_bytes == 0 ||
         (in->queue_n < QUEUE_MAX && in->copied_bytes + bytes <= QUEUE_BYTES);
}

static enum px_status put_beside(struct store_ingesting *in, const struct px_segment *segment,
                                 struct px_err *err) {
  pthread_mutex_lock(&in->lock);
  while (!has_room(in, segment->size) && !in->failed) pthread_cond_wait(&in->changed, &in->lock);
  enum px_status status = in->failed;
  struct px_segment *copy = status ? NULL : copy_segment(segment, in->what.dataset->spaces.obs_dim);
  if (status) {
    if (err) *err = in->err;
  } else if (!copy) {
    status = px_fail(err, PX_E_NO_MEMORY, "a segment of %zu bytes", segment->size);
  } else {
    in->queue[in->queue_n++] = copy;
    in->copied_bytes += copy->size;
    pthread_cond_signal(&in->changed);
  }
  pthread_mutex_unlock(&in->lock);
  return status;
}

static enum px_status put_segment(void *ctx, const struct px_segment *segment, struct px_err *err) {
  struct store_ingesting *in = ctx;
  in->result.segments_n++;
  in->result.trajectories_n += segment->traj_n;
  in->result.steps_n += segment->steps_n;
  in->result.labelled_n += segment->labelled_n;
  in->result.size_bytes += segment->size;
  enum px_status status =
    in->what.may_store ? in->what.may_store(in->what.may_store_ctx, segment->size, err) : PX_OK;
  if (!status && in->beside) status = put_beside(in, segment, err);
  else if (!status) status = store_append_segment(in->append, in->what.store, segment, err);
  if (!status)
    status = px_progress_report(in->what.progress, "store", in->result.segments_n, 0, NULL, 0);
  return status;
}

/* Before the builder: every trajectory is looked up by its digest. */
static enum px_status look_and_put(void *ctx, const struct px_traj *traj, struct px_err *err) {
  struct store_ingesting *in = ctx;
  struct px_traj_digest digest;
  bool duplicate;
  enum px_status status = px_traj_digest(&in->what.dataset->spaces, traj, &digest, err);
  if (!status) status = duplicates_look(&in->duplicates, &digest, &duplicate, err);
  if (status || (duplicate && in->what.on_duplicate == STORE_DUPLICATE_SKIP)) return status;
  status = store_append_digest(in->append, &digest, err);
  if (status) return status;
  px_lint_put(in->lint, traj);
  return in->builder.put(in->builder.ctx, traj, err);
}

static json_t *findings_json(const struct store_ingested *found) {
  json_t *list = json_array();
  for (uint32_t i = 0; list && i < found->findings_n; i++) {
    const struct px_lint_finding *f = &found->findings[i];
    json_t *item =
      json_pack("{s:s s:s s:o s:o s:s s:o s:s s:s}", "code", px_lint_name(f->code), "severity",
                px_lint_severity(f->code), "trajectory",
                f->trajectory < 0 ? json_null() : json_integer(f->trajectory), "step",
                f->step < 0 ? json_null() : json_integer(f->step), "field", f->field, "figure",
                px_json_number(f->figure), "message", f->message, "hint", px_lint_hint(f->code));
    if (json_array_append_new(list, item) == 0) continue;
    json_decref(list);
    return NULL;
  }
  return list;
}

/* Hands the append what lint has found. */
static enum px_status keep_findings(struct store_ingesting *in, struct px_err *err) {
  in->result.findings_n = px_lint_findings(in->lint, in->result.findings);
  if (!in->result.findings_n) return PX_OK;
  json_t *list = findings_json(&in->result);
  free(in->findings);
  in->findings = list ? px_json_dumps(list, JSON_COMPACT) : NULL;
  json_decref(list);
  if (!in->findings) return px_fail(err, PX_E_NO_MEMORY, "keeping what was found in the upload");
  store_append_lint(in->append, in->what.name, in->findings);
  return PX_OK;
}

static enum px_status read_all(struct store_ingesting *in, struct px_err *err) {
  const struct store_ingest *what = &in->what;
  struct px_segment_builder *builder =
    px_segment_builder_new(&what->dataset->spaces, (struct px_segment_sink){ in, put_segment });
  if (!builder) return px_fail(err, PX_E_NO_MEMORY, "segments");
  in->builder = px_segment_builder_traj_sink(builder);
  const struct px_traj_sink sink = { in, look_and_put };
  enum px_status status = px_lint_new(&what->dataset->spaces, &in->lint, err);
  if (!status)
    status = px_read_file(what->fd, what->format, what->name, what->options, &what->dataset->spaces,
                          &sink, &in->result.report, err);
  if (!status) status = px_segment_builder_end(builder, err);
  px_segment_builder_free(builder);
  if (!status && in->duplicates.file_n == 0)
    status = px_fail(err, PX_E_BAD_DATA, "%s holds no trajectory", what->name);
  if (!status) status = keep_findings(in, err);
  px_lint_free(in->lint);
  in->lint = NULL;
  return status;
}

/* Waits for the second thread; what it could not store fails the whole. */
static enum px_status join(struct store_ingesting *in, enum px_status status, struct px_err *err) {
  pthread_mutex_lock(&in->lock);
  in->parsed = true;
  /* After a failure what is still queued need not be stored. */
  for (; status && in->queue_n > 0; in->queue_n--) free(in->queue[in->queue_n - 1]);
  pthread_cond_signal(&in->changed);
  pthread_mutex_unlock(&in->lock);
  pthread_join(in->thread, NULL);
  for (; in->queue_n > 0; in->queue_n--) free(in->queue[in->queue_n - 1]);
  if (status || !in->failed) return status;
  if (err) *err = in->err;
  return in->failed;
}

json_t *transfer_ingested_json(const struct store_ingested *found) {
  json_t *notes = json_array(), *findings = findings_json(found);
  for (uint32_t i = 0; notes && i < found->report.notes_n; i++)
    json_array_append_new(notes, json_string(found->report.notes[i]));
  if (notes && *found->duplicates_note)
    json_array_append_new(notes, json_string(found->duplicates_note));
  return json_pack("{s:s s:I s:I s:I s:I s:I s:I s:o s:o}", "layout", found->report.layout,
                   "trajectories", (json_int_t)found->trajectories_n, "steps",
                   (json_int_t)found->steps_n, "labelled_steps", (json_int_t)found->labelled_n,
                   "segments", (json_int_t)found->segments_n, "size_bytes",
                   (json_int_t)found->size_bytes, "duplicates", (json_int_t)found->duplicates_n,
                   "notes", notes, "findings", findings);
}

static void tell_duplicates(struct store_ingesting *in) {
  in->result.duplicates_n = in->duplicates.in_dataset_n + in->duplicates.in_file_n;
  duplicates_note(&in->duplicates, in->result.duplicates_note, sizeof in->result.duplicates_note);
}

/* The digests that are about to be stored, counted against what the dataset has now. */
static enum px_status recount(struct store_ingesting *in, const struct px_traj_digest_set *stored,
                              struct px_err *err) {
  size_t n;
  const struct px_traj_digest *digests = store_append_digests(in->append, &n);
  struct duplicates now = { .policy = in->what.on_duplicate, .stored = *stored };
  enum px_status status = PX_OK;
  for (size_t i = 0; i < n && !status; i++)
    status = duplicates_look(&now, &digests[i], &(bool){ false }, err);
  px_traj_digest_set_free(&now.seen);
  now.seen = in->duplicates.seen;
  now.stored = in->duplicates.stored;
  if (!status) in->duplicates = now;
  return status;
}

/* Asked with the dataset locked: what the dataset has of this file now. */
static enum px_status decide(void *ctx, const struct px_traj_digest_set *stored, char **result_json,
                             struct px_err *err) {
  struct store_ingesting *in = ctx;
  enum px_status status = PX_OK;
  if (in->what.on_duplicate == STORE_DUPLICATE_SKIP) {
    for (size_t i = 0; i < stored->cap && !status; i++)
      if (stored->slots[i].used)
        status = px_traj_digest_set_put(&in->duplicates.stored, &stored->slots[i].digest,
                                        stored->slots[i].number, err);
    in->outdated = stored->n > 0;
    if (in->outdated && !status)
      status = px_fail(err, PX_E_CONFLICT,
                       "other uploads brought the same trajectories again and again meanwhile");
  } else {
    status = recount(in, stored, err);
    if (!status && in->what.on_duplicate == STORE_DUPLICATE_REFUSE)
      status = duplicates_refuse(&in->duplicates, in->what.name, err);
  }
  if (status) return status;
  tell_duplicates(in);
  json_t *result = in->what.hold ? transfer_ingested_json(&in->result) : NULL;
  *result_json = result ? px_json_dumps(result, JSON_COMPACT) : NULL;
  json_decref(result);
  return in->what.hold && !*result_json ? px_fail(err, PX_E_NO_MEMORY, "reporting what was read")
                                        : PX_OK;
}

/* Reads the file, leaving out the duplicates that are known, into segments of a new append. */
static enum px_status read_segments(struct store_ingesting *in, struct px_err *err) {
  const struct store_ingest *what = &in->what;
  duplicates_restart(&in->duplicates);
  in->result = (struct store_ingested){ 0 };
  in->parsed = in->beside = false;
  enum px_status status =
    store_append_begin(what->dataset->id, what->dataset->spaces.obs_dim, &in->append, err);
  if (status) return status;
  store_append_decides(in->append, decide, in);
  store_append_source(in->append, what->source && *what->source ? what->source : NULL);
  if (what->beside_url && what->bytes >= BESIDE_BYTES)
    in->beside = pthread_create(&in->thread, NULL, store_main, in) == 0;
  status = read_all(in, err);
  return in->beside ? join(in, status, err) : status;
}

static enum px_status put_digest(void *ctx, const struct px_traj *traj, struct px_err *err) {
  struct store_ingesting *in = ctx;
  struct px_traj_digest digest;
  const enum px_status status = px_traj_digest(&in->what.dataset->spaces, traj, &digest, err);
  return status ? status : store_append_digest(in->append, &digest, err);
}

/* Reads the file for its digests alone, and finds out what the dataset has of them. */
static enum px_status find_stored(struct store_ingesting *in, struct px_err *err) {
  const struct store_ingest *what = &in->what;
  const struct px_traj_sink sink = { in, put_digest };
  size_t n;
  enum px_status status =
    store_append_begin(what->dataset->id, what->dataset->spaces.obs_dim, &in->append, err);
  if (!status)
    status = px_read_file(what->fd, what->format, what->name, what->options, &what->dataset->spaces,
                          &sink, &in->result.report, err);
  const struct px_traj_digest *digests = status ? NULL : store_append_digests(in->append, &n);
  if (!status)
    status =
      duplicates_find(what->store, what->dataset->id, digests, n, &in->duplicates.stored, err);
  for (size_t i = 0; !status && i < n; i++)
    status = duplicates_look(&in->duplicates, &digests[i], &(bool){ false }, err);
  if (!status && what->on_duplicate == STORE_DUPLICATE_REFUSE)
    status = duplicates_refuse(&in->duplicates, what->name, err);
  store_append_free(in->append);
  in->append = NULL;
  return status;
}

enum px_status transfer_ingest_read(const struct store_ingest *what, struct store_ingesting **out,
                                    struct px_err *err) {
  struct store_ingesting *in = calloc(1, sizeof *in);
  if (!in) return px_fail(err, PX_E_NO_MEMORY, "reading %s", what->name);
  in->what = *what;
  in->duplicates.policy = what->on_duplicate;
  pthread_mutex_init(&in->lock, NULL);
  pthread_cond_init(&in->changed, NULL);
  enum px_status status =
    what->on_duplicate == STORE_DUPLICATE_ALLOW ? PX_OK : find_stored(in, err);
  if (!status) status = read_segments(in, err);
  if (status) transfer_ingest_free(in, what->store);
  else *out = in;
  return status;
}

enum px_status transfer_ingest_commit(struct store_ingesting *in, struct store_ingested *out,
                                      struct px_err *err) {
  enum px_status status;
  for (int rereads = 0;; rereads++) {
    in->outdated = false;
    status = store_append_commit(in->append, in->what.store, in->what.hold, NULL, err);
    if (!in->outdated || rereads == REREADS_MAX) break;
    store_append_discard(in->append, in->what.store);
    store_append_free(in->append);
    in->append = NULL;
    status = read_segments(in, err);
    if (status) break;
  }
  if (status) return status;
  *out = in->result;
  out->version = store_append_version(in->append);
  return PX_OK;
}

void transfer_ingest_free(struct store_ingesting *in, struct store *store) {
  if (!in) return;
  if (store) store_append_discard(in->append, store);
  store_append_free(in->append);
  duplicates_free(&in->duplicates);
  free(in->findings);
  pthread_cond_destroy(&in->changed);
  pthread_mutex_destroy(&in->lock);
  free(in);
}

enum px_status transfer_ingest_file(const struct store_ingest *what, struct store_ingested *out,
                                    struct px_err *err) {
  struct store_ingesting *in = NULL;
  enum px_status status = transfer_ingest_read(what, &in, err);
  if (status) return status;
  status = transfer_ingest_commit(in, out, err);
  transfer_ingest_free(in, status ? what->store : NULL);
  return status;
}

/* ---- how readers are told, kept beside an upload until its job runs */

static const char *const ON_DUPLICATE[STORE_DUPLICATE_N] = { "allow", "skip", "refuse" };

bool transfer_on_duplicate_parse(const char *word, enum store_on_duplicate *out) {
  for (int i = 0; i < STORE_DUPLICATE_N; i++)
    if (strcmp(word, ON_DUPLICATE[i]) == 0) {
      *out = (enum store_on_duplicate)i;
      return true;
    }
  return false;
}

char *transfer_options_json(const struct transfer_options *options) {
  const struct px_read_options *read = &options->read;
  json_t *keys = json_array();
  for (uint32_t i = 0; keys && i < read->obs_keys_n; i++)
    json_array_append_new(keys, json_string(read->obs_keys[i]));
  json_t *json = json_pack("{s:b s:o s:s s:s s:s}", "ignore_actions", read->ignore_actions,
                           "obs_keys", keys, "split", read->split, "on_duplicate",
                           ON_DUPLICATE[options->on_duplicate], "source", options->source);
  char *text = json ? px_json_dumps(json, JSON_COMPACT) : NULL;
  json_decref(json);
  return text;
}

static void take_text(const json_t *json, const char *name, char *out, size_t size) {
  const char *text = json_string_value(json_object_get(json, name));
  if (text) snprintf(out, size, "%s", text);
}

void transfer_options_parse(const char *text, struct transfer_options *out) {
  json_t *json = text ? px_json_parse(text, strlen(text), 0, NULL) : NULL, *key;
  struct px_read_options *read = &out->read;
  memset(out, 0, sizeof *out);
  read->ignore_actions = json_is_true(json_object_get(json, "ignore_actions"));
  const char *word = json_string_value(json_object_get(json, "on_duplicate"));
  if (!word || !transfer_on_duplicate_parse(word, &out->on_duplicate))
    out->on_duplicate = STORE_DUPLICATE_ALLOW;
  take_text(json, "split", read->split, sizeof read->split);
  take_text(json, "source", out->source, sizeof out->source);
  size_t i;
  json_array_foreach(json_object_get(json, "obs_keys"), i,
                     key) if (i < PX_READ_KEYS_MAX && json_is_string(key))
    snprintf(read->obs_keys[read->obs_keys_n++], PX_READ_KEY_BYTES, "%s", json_string_value(key));
  json_decref(json);
}
