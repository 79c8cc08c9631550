/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens that were found good are believed for some seconds without asking the
 * database, and held to a rate: a token may send `burst` requests at once and
 * `rate_per_s` a second in the long run. Tokens that were refused are refused
 * again for a moment, and an address that tries ever new ones is held to a rate
 * of its own, so that guessing costs the database nothing. All of it is kept in
 * memory: each server counts for itself.
 *
 * Used by service.c. Thread safe.
 */
#ifndef PX_SERVER_APP_TOKEN_CACHE_H
#define PX_SERVER_APP_TOKEN_CACHE_H

#include <stdint.h>

#include "lib/base/digest.h"

struct token_cache;
/* rate_per_s 0: any number of requests. NULL when out of memory. */
struct token_cache *token_cache_new(int64_t rate_per_s, int64_t burst);
void token_cache_free(struct token_cache *tokens);

enum token_cache_answer {
  TOKENS_UNKNOWN,
  TOKENS_GOOD,
  TOKENS_TOO_MANY,
  TOKENS_BAD,
  TOKENS_TOO_MANY_UNKNOWN
};
/* One request with the token of this digest, from a client of this address (a hash of it). UNKNOWN:
 * ask the database, then trust or refuse it. BAD: it was refused a moment ago. */
enum token_cache_answer token_cache_take(struct token_cache *tokens,
                                         const uint8_t digest[PX_SHA256_BYTES], uint64_t address);
void token_cache_refuse(struct token_cache *tokens, const uint8_t digest[PX_SHA256_BYTES]);
/* GOOD or TOO_MANY: the request that it was looked up for is counted. */
enum token_cache_answer token_cache_trust(struct token_cache *tokens,
                                          const uint8_t digest[PX_SHA256_BYTES]);

#endif
