/* From a file on disk to segments in a dataset: see transfer.h. */
#include "lib/store/transfer.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"

enum { BESIDE_BYTES = 8 << 20, /* smaller files are not worth a second connection */
       QUEUE_MAX = 3, QUEUE_BYTES = 16 << 20 }; /* a larger segment waits until it is alone */

struct store_ingesting {
  struct store_ingest what;
  struct store_append *append;
  struct store_ingested result;
  bool beside;                   /* a second thread stores */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct px_segment *queue[QUEUE_MAX]; /* in order; copies */
  size_t queue_n, copied_bytes;  /* copied_bytes: of all copies, with the one that is being stored */
  bool parsed;                   /* nothing more will be put in */
  enum px_status failed;         /* of the second thread, with err */
  struct px_err err;
};

/* A segment that outlives the builder's call, in one piece of memory. */
static struct px_segment *copy_segment(const struct px_segment *from, uint32_t dims) {
  size_t rows_bytes, moments_bytes, all;
  if (!px_mul(from->traj_n, sizeof *from->rows, &rows_bytes) || !px_mul(dims, 2 * sizeof(double), &moments_bytes) ||
      !px_add(rows_bytes, moments_bytes, &all) || !px_add(all, from->size, &all) || !px_add(all, sizeof *from, &all))
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

/* One trajectory may make a segment of PX_SEGMENT_MAX_BYTES: there are never several copies of such. */
static bool has_room(const struct store_ingesting *in, size_t bytes) {
  return in->copied_bytes == 0 || (in->queue_n < QUEUE_MAX && in->copied_bytes + bytes <= QUEUE_BYTES);
}

static enum px_status put_beside(struct store_ingesting *in, const struct px_segment *segment, struct px_err *err) {
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
  enum px_status status = in->beside ? put_beside(in, segment, err)
                                     : store_append_segment(in->append, in->what.store, segment, err);
  if (!status) status = px_progress_report(in->what.progress, "store", in->result.segments_n, 0, NULL, 0);
  return status;
}

static enum px_status read_all(struct store_ingesting *in, struct px_err *err) {
  const struct store_ingest *what = &in->what;
  struct px_segment_builder *builder =
    px_segment_builder_new(&what->dataset->spaces, (struct px_segment_sink){ in, put_segment });
  if (!builder) return px_fail(err, PX_E_NO_MEMORY, "segments");
  const struct px_traj_sink sink = px_segment_builder_traj_sink(builder);
  enum px_status status = px_read_file(what->fd, what->format, what->name, what->options, &what->dataset->spaces, &sink,
                                       &in->result.report, err);
  if (!status) status = px_segment_builder_end(builder, err);
  px_segment_builder_free(builder);
  if (!status && in->result.trajectories_n == 0) status = px_fail(err, PX_E_BAD_DATA, "%s holds no trajectory", what->name);
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

json_t *store_ingested_json(const struct store_ingested *found) {
  json_t *notes = json_array();
  for (uint32_t i = 0; notes && i < found->report.notes_n; i++)
    json_array_append_new(notes, json_string(found->report.notes[i]));
  return json_pack("{s:s s:I s:I s:I s:I s:I s:o}", "layout", found->report.layout, "trajectories",
                   (json_int_t)found->trajectories_n, "steps", (json_int_t)found->steps_n, "labelled_steps",
                   (json_int_t)found->labelled_n, "segments", (json_int_t)found->segments_n, "size_bytes",
                   (json_int_t)found->size_bytes, "notes", notes);
}

enum px_status store_ingest_read(const struct store_ingest *what, struct store_ingesting **out, struct px_err *err) {
  struct store_ingesting *in = calloc(1, sizeof *in);
  if (!in) return px_fail(err, PX_E_NO_MEMORY, "reading %s", what->name);
  in->what = *what;
  pthread_mutex_init(&in->lock, NULL);
  pthread_cond_init(&in->changed, NULL);
  enum px_status status = store_append_begin(what->dataset->id, what->dataset->spaces.obs_dim, &in->append, err);
  if (!status && what->beside_url && what->bytes >= BESIDE_BYTES)
    in->beside = pthread_create(&in->thread, NULL, store_main, in) == 0;
  if (!status) status = read_all(in, err);
  if (in->beside) status = join(in, status, err);
  if (status) store_ingest_free(in, what->store);
  else *out = in;
  return status;
}

enum px_status store_ingest_commit(struct store_ingesting *in, struct store_ingested *out, struct px_err *err) {
  json_t *result = in->what.hold ? store_ingested_json(&in->result) : NULL;
  char *text = result ? json_dumps(result, JSON_COMPACT) : NULL;
  json_decref(result);
  const enum px_status status = in->what.hold && !text
                                  ? px_fail(err, PX_E_NO_MEMORY, "reporting what was read")
                                  : store_append_commit(in->append, in->what.store, in->what.hold, text, err);
  free(text);
  if (status) return status;
  *out = in->result;
  out->version = store_append_version(in->append);
  return PX_OK;
}

void store_ingest_free(struct store_ingesting *in, struct store *store) {
  if (!in) return;
  if (store) store_append_discard(in->append, store);
  store_append_free(in->append);
  pthread_cond_destroy(&in->changed);
  pthread_mutex_destroy(&in->lock);
  free(in);
}

enum px_status store_ingest_file(const struct store_ingest *what, struct store_ingested *out, struct px_err *err) {
  struct store_ingesting *in = NULL;
  enum px_status status = store_ingest_read(what, &in, err);
  if (status) return status;
  status = store_ingest_commit(in, out, err);
  store_ingest_free(in, status ? what->store : NULL);
  return status;
}

/* ---- how readers are told, kept beside an upload until its job runs */

char *store_options_json(const struct px_read_options *options) {
  json_t *keys = json_array();
  for (uint32_t i = 0; keys && i < options->obs_keys_n; i++) json_array_append_new(keys, json_string(options->obs_keys[i]));
  json_t *json = json_pack("{s:b s:o}", "ignore_actions", options->ignore_actions, "obs_keys", keys);
  char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
  json_decref(json);
  return text;
}

void store_options_parse(const char *text, struct px_read_options *options) {
  json_t *json = text ? px_json_parse(text, strlen(text), 0, NULL) : NULL, *key;
  *options = (struct px_read_options){ .ignore_actions = json_is_true(json_object_get(json, "ignore_actions")) };
  size_t i;
  json_array_foreach(json_object_get(json, "obs_keys"), i, key)
    if (i < PX_READ_KEYS_MAX && json_is_string(key))
      snprintf(options->obs_keys[options->obs_keys_n++], PX_READ_KEY_BYTES, "%s", json_string_value(key));
  json_decref(json);
}
