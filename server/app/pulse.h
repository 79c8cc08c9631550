/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether database and Redis answer: a thread of its own asks the database twice a second and Redis
 * once, so that nobody else has to wait to find out. While the database is silent, requests that
 * need it are refused at once, and those that wait for it already give up.
 *
 * Used by service.c. Owns a connection to each. Thread safe.
 */
#ifndef PX_SERVER_APP_PULSE_H
#define PX_SERVER_APP_PULSE_H

#include <stdatomic.h>

#include "lib/base/fail.h"
#include "lib/base/status.h"

struct pulse;
/* Looks at Redis before it returns; until the first look at the database that counts as there.
 * Borrows the URLs. */
enum px_status pulse_start(const char *db_url, const char *redis_url, struct pulse **out,
                           struct px_err *err) PX_MUST_CHECK;
void pulse_stop(struct pulse *pulse);
/* True from two seconds without an answer on, and until the next one. Lives as long as the
 * pulse. */
const atomic_bool *pulse_silent(const struct pulse *pulse);
bool pulse_redis_up(const struct pulse *pulse);

#endif
