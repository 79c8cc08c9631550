/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out a moment ago: see cache.h. */
#include "server/app/cache.h"

#include "lib/base/buf.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 256, KEY_MAX = 48 };

struct slot {
  char key[KEY_MAX], text[RECENT_TEXT_MAX];
  int64_t stamp;
};
struct cache {
  pthread_mutex_t lock;
  struct slot slots[SLOTS];
};

struct cache *cache_new(void) {
  struct cache *r = calloc(1, sizeof *r);
  if (r) pthread_mutex_init(&r->lock, NULL);
  return r;
}

void cache_free(struct cache *r) {
  if (!r) return;
  pthread_mutex_destroy(&r->lock);
  free(r);
}

static struct slot *slot_of(struct cache *r, const char *key) {
  uint32_t hash = 2166136261U; /* FNV-1a */
  for (const char *c = key; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619U;
  return &r->slots[hash % SLOTS];
}

bool cache_get(struct cache *r, const char *key, int64_t stamp, struct px_buf *text) {
  struct slot *slot = slot_of(r, key);
  pthread_mutex_lock(&r->lock);
  const bool known =
    slot->stamp == stamp && strcmp(slot->key, key) == 0 && px_buf_puts(text, slot->text) == PX_OK;
  pthread_mutex_unlock(&r->lock);
  return known;
}

void cache_put(struct cache *r, const char *key, int64_t stamp, const char *text) {
  if (strlen(key) >= KEY_MAX || strlen(text) >= RECENT_TEXT_MAX) return;
  struct slot *slot = slot_of(r, key);
  pthread_mutex_lock(&r->lock);
  snprintf(slot->key, sizeof slot->key, "%s", key);
  snprintf(slot->text, sizeof slot->text, "%s", text);
  slot->stamp = stamp;
  pthread_mutex_unlock(&r->lock);
}
