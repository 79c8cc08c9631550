/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers on their way to clients, which may read as slowly as their pace allows. A large one lies
 * in an unnamed file of the spool folder and not in memory, so that memory grows with the requests
 * being worked on, not with those being read; all together have a bound, beyond which a request for
 * a large answer is told 503.
 *
 * Used by http.c and http_answer.c. Thread safe, but for one exchange, which belongs to one thread
 * at a time.
 */
#ifndef PX_SERVER_HTTP_HTTP_REPLIES_H
#define PX_SERVER_HTTP_HTTP_REPLIES_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct exchange;
struct replies {
  uint64_t max_bytes;
  _Atomic uint64_t bytes;  /* of all large answers */
  _Atomic uint64_t memory; /* of those among them for whose file there was no space */
};
/* UNAVAILABLE when those on their way reach the bound: asked before the work for a large answer
 * begins. */
enum px_status http_replies_room(const struct replies *replies, struct px_err *err) PX_MUST_CHECK;
/* Puts the answer where it stays until it is sent, and counts it. */
enum px_status http_replies_keep(struct exchange *x, struct px_err *err) PX_MUST_CHECK;
void http_replies_release(struct exchange *x);

#endif
