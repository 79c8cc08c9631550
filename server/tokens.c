/* Tokens that were found good: see tokens.h. */
#include "server/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"

enum { SLOTS = 1024, WAYS = 8, TRUST_MS = 5000 };

struct token { uint8_t digest[PX_SHA256_BYTES]; int64_t until_ms, filled_ms; double left; };

struct tokens {
  double rate_per_ms, burst;
  pthread_mutex_t lock;
  struct token slots[SLOTS];
};

struct tokens *tokens_new(int64_t rate_per_s, int64_t burst) {
  struct tokens *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->rate_per_ms = (double)rate_per_s / 1000;
  t->burst = (double)burst;
  pthread_mutex_init(&t->lock, NULL);
  return t;
}

void tokens_free(struct tokens *t) {
  if (!t) return;
  pthread_mutex_destroy(&t->lock);
  free(t);
}

/* The token's place: its own, or among the few that it may have the one that was trusted longest ago. */
static struct token *place_of(struct tokens *t, const uint8_t *digest) {
  const size_t first = ((size_t)digest[0] << 8 | digest[1]) % SLOTS;
  struct token *oldest = &t->slots[first];
  for (size_t i = 0; i < WAYS; i++) {
    struct token *token = &t->slots[(first + i) % SLOTS];
    if (px_same_secret(token->digest, digest, PX_SHA256_BYTES)) return token;
    if (token->until_ms < oldest->until_ms) oldest = token;
  }
  return oldest;
}

static bool spend(const struct tokens *t, struct token *token, int64_t now) {
  if (t->rate_per_ms <= 0) return true;
  token->left += t->rate_per_ms * (double)(now - token->filled_ms);
  token->filled_ms = now;
  if (token->left > t->burst) token->left = t->burst;
  if (token->left < 1) return false;
  token->left--;
  return true;
}

enum tokens_answer tokens_take(struct tokens *t, const uint8_t digest[PX_SHA256_BYTES]) {
  const int64_t now = px_clock_ms();
  enum tokens_answer answer = TOKENS_UNKNOWN;
  pthread_mutex_lock(&t->lock);
  struct token *token = place_of(t, digest);
  if (token->until_ms > now && px_same_secret(token->digest, digest, PX_SHA256_BYTES))
    answer = spend(t, token, now) ? TOKENS_GOOD : TOKENS_TOO_MANY;
  pthread_mutex_unlock(&t->lock);
  return answer;
}

void tokens_trust(struct tokens *t, const uint8_t digest[PX_SHA256_BYTES]) {
  const int64_t now = px_clock_ms();
  pthread_mutex_lock(&t->lock);
  struct token *token = place_of(t, digest);
  if (!px_same_secret(token->digest, digest, PX_SHA256_BYTES)) {
    *token = (struct token){ .filled_ms = now, .left = t->burst };
    memcpy(token->digest, digest, PX_SHA256_BYTES);
  }
  token->until_ms = now + TRUST_MS;
  pthread_mutex_unlock(&t->lock);
}
