/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which life of the database a session is in. Only db.c includes this.
 */
#ifndef PX_STORE_INCARNATION_H
#define PX_STORE_INCARNATION_H

#include "lib/base/fail.h"
#include "lib/store/store.h"

/* Begins another incarnation of the database if it is in another place than before. UNAVAILABLE on
 * a standby, and on a primary that a failover has left behind, as far as this process knows. */
enum px_status store_incarnation_settle(struct store *store, struct px_err *err) PX_MUST_CHECK;

#endif
