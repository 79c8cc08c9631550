/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that were looked up: who is believed, and how many unknown ones an address may try. */
#include <string.h>

#include "lib/base/digest.h"
#include "server/app/token_cache.h"
#include "tests/support/cu.h"

enum { MANY = 200 };

static const uint8_t *digest_of(int n) {
  static uint8_t digest[PX_SHA256_BYTES];
  px_digest_sha256(&n, sizeof n, digest);
  return digest;
}

static void a_good_token_is_believed_and_held_to_its_rate(void) {
  struct token_cache *t = token_cache_new(1, 3);
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_UNKNOWN);
  /* the first of three at once */
  CU_ASSERT_EQUAL(token_cache_trust(t, digest_of(1)), TOKENS_GOOD);
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_GOOD);
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_GOOD);
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_TOO_MANY);
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(2), 0), TOKENS_UNKNOWN);
  token_cache_free(t);
}

static void without_a_rate_any_number_is_let_through(void) {
  struct token_cache *t = token_cache_new(0, 1);
  CU_ASSERT_EQUAL(token_cache_trust(t, digest_of(1)), TOKENS_GOOD);
  for (int i = 0; i < MANY; i++) CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_GOOD);
  token_cache_free(t);
}

static void a_refused_token_is_refused_again_without_another_look(void) {
  struct token_cache *t = token_cache_new(0, 1);
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_UNKNOWN);
  token_cache_refuse(t, digest_of(1));
  for (int i = 0; i < MANY; i++) CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_BAD);
  CU_ASSERT_EQUAL(token_cache_trust(t, digest_of(1)), TOKENS_GOOD); /* made meanwhile */
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(1), 0), TOKENS_GOOD);
  token_cache_free(t);
}

static void an_address_may_try_few_unknown_tokens(void) {
  struct token_cache *t = token_cache_new(0, 1);
  int looked_up = 0;
  token_cache_trust(t, digest_of(-1));
  for (int i = 0; i < MANY; i++)
    looked_up += token_cache_take(t, digest_of(i), 7) == TOKENS_UNKNOWN;
  CU_ASSERT_TRUE(looked_up >= 20 && looked_up < MANY);
  /* a known one goes on from there */
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(-1), 7), TOKENS_GOOD);
  /* another address has tries of its own */
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(MANY), 8), TOKENS_UNKNOWN);
  token_cache_free(t);
}

static void refused_tokens_do_not_push_out_good_ones(void) {
  struct token_cache *t = token_cache_new(0, 1);
  token_cache_trust(t, digest_of(-1));
  for (int i = 0; i < 100 * MANY; i++) token_cache_refuse(t, digest_of(i));
  CU_ASSERT_EQUAL(token_cache_take(t, digest_of(-1), 0), TOKENS_GOOD);
  token_cache_free(t);
}

CU_MAIN("tokens", T(a_good_token_is_believed_and_held_to_its_rate),
        T(without_a_rate_any_number_is_let_through),
        T(a_refused_token_is_refused_again_without_another_look),
        T(an_address_may_try_few_unknown_tokens), T(refused_tokens_do_not_push_out_good_ones))
