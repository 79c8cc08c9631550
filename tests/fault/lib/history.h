/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client knows of what it asked for: one JSON object a line, appended as it happens.
 *
 *   {"t_ms": 1700000000000, "session": "storm-3-1", "variant": 1, "op": "upload.0", "outcome":
 *   "acked", "http": 201, "id": "job_..."} {"t_ms": ..., "session": "storm-3-1", "variant": 1,
 *   "op": "done", "outcome": "acked", "jobs": {"pipeline": "job_...", ...}}
 *
 * outcome: acked (answered 2xx), refused (answered with another status, or not sent at all),
 * unknown (no answer). A request is sent at most once under one op. Written by load (any thread),
 * read by check.
 */
#ifndef PX_FAULT_HISTORY_H
#define PX_FAULT_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

bool history_open(const char *path);
/* Adds the time and writes the line whole; takes the object over. */
void history_put(json_t *line);
void history_close(void);
/* All lines of a file as an array; NULL when it cannot be read. */
json_t *history_read(const char *path);

#endif
