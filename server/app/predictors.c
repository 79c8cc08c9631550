/* SPDX-License-Identifier: Apache-2.0 */
/* Models in memory: see predictors.h. */
#include "server/app/predictors.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/store/blob.h"

/* What a loaded model takes beside its file twice over: activations of a chunk of rows. */
enum { SCRATCH_BYTES = 8 << 20 };

struct entry {
  struct predictor predictor; /* first, so that one is found from the other */
  struct entry *next;         /* the list is from the most to the least recently used */
  struct store_members members;
  uint64_t bytes;
  int takers; /* that have it or wait for it */
  bool loaded;
  pthread_mutex_t busy;
};

struct predictors {
  pthread_mutex_t lock; /* of the list, and of each entry's takers */
  struct entry *first;
  uint64_t bytes, bytes_max;
};

struct predictors *predictors_new(uint64_t bytes_max) {
  struct predictors *p = px_mem_calloc(1, sizeof *p);
  if (!p) return NULL;
  pthread_mutex_init(&p->lock, NULL);
  p->bytes_max = bytes_max;
  return p;
}

static void entry_free(struct entry *e) {
  rl_policy_free(e->predictor.policy);
  idm_label_work_free(e->predictor.work);
  for (uint32_t i = 0; i < e->predictor.models_n; i++) idm_model_free(e->predictor.models[i]);
  pthread_mutex_destroy(&e->busy);
  free(e);
}

void predictors_free(struct predictors *p) {
  if (!p) return;
  for (struct entry *e = p->first, *next; e; e = next) {
    next = e->next;
    entry_free(e);
  }
  pthread_mutex_destroy(&p->lock);
  free(p);
}

/* ---- the list; its lock is held */

static bool same_members(const struct store_members *a, const struct store_members *b) {
  bool same = a->n == b->n;
  for (uint32_t i = 0; i < a->n && same; i++) same = strcmp(a->at[i].id, b->at[i].id) == 0;
  return same;
}

static void unlink_entry(struct predictors *p, struct entry *e) {
  struct entry **at = &p->first;
  while (*at != e) at = &(*at)->next;
  *at = e->next;
  p->bytes -= e->bytes;
}

static void put_first(struct predictors *p, struct entry *e) {
  e->next = p->first;
  p->first = e;
  p->bytes += e->bytes;
}

/* Frees those that nobody has, the least recently used first, until the rest is within bounds. */
static void shrink(struct predictors *p) {
  while (p->bytes > p->bytes_max) {
    struct entry *oldest = NULL;
    for (struct entry *e = p->first; e; e = e->next)
      if (!e->takers) oldest = e;
    if (!oldest) return;
    unlink_entry(p, oldest);
    entry_free(oldest);
  }
}

static struct entry *find(struct predictors *p, const struct store_members *members) {
  struct entry *e = p->first;
  while (e && !same_members(&e->members, members)) e = e->next;
  if (e) {
    unlink_entry(p, e);
    put_first(p, e);
    return e;
  }
  if (!(e = px_mem_calloc(1, sizeof *e))) return NULL;
  pthread_mutex_init(&e->busy, NULL);
  e->members = *members;
  e->bytes = SCRATCH_BYTES;
  for (uint32_t i = 0; i < members->n; i++) e->bytes += 2 * members->at[i].size_bytes;
  put_first(p, e);
  return e;
}

/* ---- loading; the entry is the caller's */

static enum px_status load_file(struct entry *e, const struct px_buf *file, struct px_err *err) {
  struct px_safetensors *st;
  enum px_status status = px_safetensors_parse(file->data, file->len, &st, err);
  if (status) return status;
  const char *format = px_safetensors_meta(st, "format");
  if (format && strcmp(format, "proxact.policy.v1") == 0 && e->members.n == 1) {
    status = rl_policy_load(file->data, file->len, &e->predictor.policy, err);
  } else if (format && strcmp(format, "proxact-idm-1") == 0) {
    status =
      idm_model_load(file->data, file->len, &e->predictor.models[e->predictor.models_n], err);
    e->predictor.models_n += !status;
  } else {
    status = px_fail_at(err, PX_E_BAD_FIELD, "model", "a model of format '%.64s' does not predict",
                        format ? format : "");
    px_fail_hint(err, "Policies and inverse dynamics models do.");
  }
  px_safetensors_free(st);
  return status;
}

static enum px_status load(struct entry *e, struct store *store, struct px_err *err) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < e->members.n; i++) total += e->members.at[i].size_bytes;
  if (total > PREDICTORS_MODEL_BYTES_MAX)
    return px_fail(err, PX_E_TOO_LARGE, "the model has %llu bytes; up to %llu are loaded here",
                   (unsigned long long)total, (unsigned long long)PREDICTORS_MODEL_BYTES_MAX);
  enum px_status status = PX_OK;
  for (uint32_t i = e->predictor.models_n; i < e->members.n && !status; i++) {
    struct px_buf file = PX_BUF(PREDICTORS_MODEL_BYTES_MAX);
    status = store_blob_read(store, e->members.at[i].blob, &file, err);
    if (!status) status = load_file(e, &file, err);
    px_buf_free(&file);
  }
  if (!status && e->predictor.models_n)
    status =
      idm_label_work_new(e->predictor.models, e->predictor.models_n, &e->predictor.work, err);
  e->loaded = !status;
  return status;
}

/* ---- the door */

enum px_status predictors_take(struct predictors *p, struct store *store,
                               const struct store_members *members, struct predictor **out,
                               struct px_err *err) {
  pthread_mutex_lock(&p->lock);
  struct entry *e = find(p, members);
  if (e) e->takers++;
  shrink(p);
  pthread_mutex_unlock(&p->lock);
  if (!e) return px_fail(err, PX_E_NO_MEMORY, "no memory for a model");
  pthread_mutex_lock(&e->busy);
  const enum px_status status = e->loaded ? PX_OK : load(e, store, err);
  if (status) predictors_give_back(p, &e->predictor);
  else *out = &e->predictor;
  return status;
}

void predictors_give_back(struct predictors *p, struct predictor *predictor) {
  struct entry *e = (struct entry *)predictor;
  const bool loaded = e->loaded;
  pthread_mutex_unlock(&e->busy);
  pthread_mutex_lock(&p->lock);
  if (--e->takers == 0 && !loaded) {
    unlink_entry(p, e);
    entry_free(e);
  }
  shrink(p);
  pthread_mutex_unlock(&p->lock);
}

struct predictors_load predictors_load(struct predictors *p) {
  pthread_mutex_lock(&p->lock);
  struct predictors_load load = { .bytes = p->bytes };
  for (const struct entry *e = p->first; e; e = e->next) load.models++;
  pthread_mutex_unlock(&p->lock);
  return load;
}
