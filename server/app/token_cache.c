/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that were looked up: see token_cache.h. */
#include "server/app/token_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/secret.h"

enum {
  SLOTS = 1024,
  WAYS = 8,
  TRUST_MS = 5000,
  REFUSED_MS = 2000,
  ADDRESSES = 1024,
  UNKNOWN_BURST = 20
};
#define UNKNOWN_PER_MS 0.01 /* ten a second */

/* What may still be spent, and when it was last filled up. */
struct bucket {
  double left;
  int64_t filled_ms;
};
/* good: it was, at the last look; until_ms: how long that is believed. */
struct token {
  uint8_t digest[PX_SHA256_BYTES];
  bool good;
  int64_t until_ms;
  struct bucket requests;
};

struct token_cache {
  double rate_per_ms, burst;
  pthread_mutex_t lock;
  struct token slots[SLOTS];
  /* by the address's hash: those that share one share its rate */
  struct bucket unknown[ADDRESSES];
};

struct token_cache *token_cache_new(int64_t rate_per_s, int64_t burst) {
  struct token_cache *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->rate_per_ms = (double)rate_per_s / 1000;
  t->burst = (double)burst;
  for (size_t i = 0; i < ADDRESSES; i++) t->unknown[i].left = UNKNOWN_BURST;
  pthread_mutex_init(&t->lock, NULL);
  return t;
}

void token_cache_free(struct token_cache *t) {
  if (!t) return;
  pthread_mutex_destroy(&t->lock);
  free(t);
}

static bool is_of(const struct token *token, const uint8_t *digest) {
  return px_secret_equal(token->digest, digest, PX_SHA256_BYTES);
}

/* The token's place: its own, or among the few that it may have the one that was looked at longest
 * ago; of these a refused one before a good one. */
static struct token *place_of(struct token_cache *t, const uint8_t *digest) {
  const size_t first = ((size_t)digest[0] << 8 | digest[1]) % SLOTS;
  struct token *oldest = &t->slots[first];
  for (size_t i = 0; i < WAYS; i++) {
    struct token *token = &t->slots[(first + i) % SLOTS];
    if (is_of(token, digest)) return token;
    if (token->good != oldest->good ? !token->good : token->until_ms < oldest->until_ms)
      oldest = token;
  }
  return oldest;
}

static bool spend(struct bucket *bucket, double rate_per_ms, double burst, int64_t now) {
  bucket->left += rate_per_ms * (double)(now - bucket->filled_ms);
  bucket->filled_ms = now;
  if (bucket->left > burst) bucket->left = burst;
  if (bucket->left < 1) return false;
  bucket->left--;
  return true;
}

/* A request with a good token. The lock is held. */
static enum token_cache_answer count(const struct token_cache *t, struct token *token,
                                     int64_t now) {
  const bool free_of_rate = t->rate_per_ms <= 0;
  return free_of_rate || spend(&token->requests, t->rate_per_ms, t->burst, now) ? TOKENS_GOOD
                                                                                : TOKENS_TOO_MANY;
}

enum token_cache_answer token_cache_take(struct token_cache *t,
                                         const uint8_t digest[PX_SHA256_BYTES], uint64_t address) {
  const int64_t now = px_clock_ms();
  enum token_cache_answer answer = TOKENS_UNKNOWN;
  pthread_mutex_lock(&t->lock);
  struct token *token = place_of(t, digest);
  const bool known = is_of(token, digest);
  if (known && token->until_ms > now) answer = token->good ? count(t, token, now) : TOKENS_BAD;
  else if (!(known && token->good) &&
           !spend(&t->unknown[address % ADDRESSES], UNKNOWN_PER_MS, UNKNOWN_BURST, now))
    answer = TOKENS_TOO_MANY_UNKNOWN;
  pthread_mutex_unlock(&t->lock);
  return answer;
}

/* The token's slot, after it was looked up. The lock is held. */
static struct token *remember(struct token_cache *t, const uint8_t *digest, bool good,
                              int64_t now) {
  struct token *token = place_of(t, digest);
  if (!is_of(token, digest)) {
    *token = (struct token){ .requests = { t->burst, now } };
    memcpy(token->digest, digest, PX_SHA256_BYTES);
  }
  token->good = good;
  token->until_ms = now + (good ? TRUST_MS : REFUSED_MS);
  return token;
}

enum token_cache_answer token_cache_trust(struct token_cache *t,
                                          const uint8_t digest[PX_SHA256_BYTES]) {
  const int64_t now = px_clock_ms();
  pthread_mutex_lock(&t->lock);
  const enum token_cache_answer answer = count(t, remember(t, digest, true, now), now);
  pthread_mutex_unlock(&t->lock);
  return answer;
}

void token_cache_refuse(struct token_cache *t, const uint8_t digest[PX_SHA256_BYTES]) {
  pthread_mutex_lock(&t->lock);
  remember(t, digest, false, px_clock_ms());
  pthread_mutex_unlock(&t->lock);
}
