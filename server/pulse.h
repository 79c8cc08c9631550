/*
 * Whether the database answers: a thread of its own asks it twice a second, so that
 * nobody else has to wait to find out. While it is silent, requests that need it
 * are refused at once, and those that wait for it already give up.
 *
 * Used by service.c. Owns a connection to the database. Thread safe.
 */
#ifndef PX_SERVER_PULSE_H
#define PX_SERVER_PULSE_H

#include <stdatomic.h>

#include "lib/base/status.h"

struct pulse;
/* The first look is at once; until its answer the database counts as there. Borrows db_url. */
enum px_status pulse_start(const char *db_url, struct pulse **out, struct px_err *err) PX_MUST_CHECK;
void pulse_stop(struct pulse *pulse);
/* True from two seconds without an answer on, and until the next one. Lives as long as the pulse. */
const atomic_bool *pulse_silent(const struct pulse *pulse);

#endif
