/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are carried out once, however often they are sent: the answer is
 * stored under the client's Idempotency-Key in the same transaction as what the
 * request did (draft-ietf-httpapi-idempotency-key-header-07).
 *
 * store_idempotency_begin locks the key for this connection, so that a second request
 * with it is told to wait; the lock goes with the connection. Two that should
 * both get in all the same (the connection was lost) end at the primary key:
 * only one of them commits. Used by server/app/idempotency.c. Thread safety as the store's.
 */
#ifndef PX_STORE_IDEMPOTENCY_H
#define PX_STORE_IDEMPOTENCY_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/store.h"

enum { STORE_ONCE_KEY_MAX = 256 }; /* with its NUL */

struct store_idempotency {
  char key[STORE_ONCE_KEY_MAX];
  uint8_t fingerprint[32];
};
struct store_answer {
  int status;
  struct px_buf head; /* JSON text, the caller's matter */
  struct px_buf body;
};

/* *found: the request was carried out before, and *out is its answer; nothing
 * is locked then. KEY_REUSED when that was another request, KEY_IN_USE while one
 * with this key is being carried out. Otherwise the key is this connection's
 * until store_idempotency_end. */
enum px_status store_idempotency_begin(struct store *store, const struct store_idempotency *once,
                                       struct store_answer *out, bool *found,
                                       struct px_err *err) PX_MUST_CHECK;
/* Runs work, whose calls to the store all become one transaction, and stores the
 * answer it gives in that transaction. After a deadlock all of it runs again,
 * with the answer's buffers emptied. */
typedef enum px_status (*store_once_work)(void *ctx, struct store_answer *answer,
                                          struct px_err *err);
enum px_status store_idempotency_run(struct store *store, const struct store_idempotency *once,
                                     store_once_work work, void *ctx, struct store_answer *answer,
                                     struct px_err *err) PX_MUST_CHECK;
void store_idempotency_end(struct store *store, const struct store_idempotency *once);

#endif
