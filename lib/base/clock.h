/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Durations use the monotonic clock; leases use the database's clock and
 * never one of these. Thread safe. */
#ifndef PX_BASE_CLOCK_H
#define PX_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

int64_t px_clock_ms(void);      /* monotonic, milliseconds since an arbitrary start */
double px_clock_s(void);        /* the same in seconds */
int64_t px_clock_wall_ms(void); /* since 1970-01-01 UTC, for logs only */
/* A condition whose waits end by the monotonic clock; and a wait on it, with the lock held, of at
 * most so many ms. */
void px_clock_cond_init(pthread_cond_t *cond);
void px_clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms);
/* "2026-01-31T12:34:56.789Z" (RFC 3339) into text[25]. */
void px_clock_rfc3339(int64_t wall_ms, char text[25]);

#endif
