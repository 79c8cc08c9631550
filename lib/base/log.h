/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs: one line per event on standard error, key=value or JSON.
 *
 *   px_log(PX_LOG_INFO, "job_claimed", "job", id, "attempt", PX_I(attempt), NULL);
 *
 * Keys and values alternate as strings and end with NULL; PX_I and PX_F print a
 * number into a temporary. Never put a secret into one. Thread safe: a line is
 * one write.
 */
#ifndef PX_BASE_LOG_H
#define PX_BASE_LOG_H

#include "lib/base/fail.h"
#include "lib/base/status.h"

enum px_log_level { PX_LOG_DEBUG, PX_LOG_INFO, PX_LOG_WARN, PX_LOG_ERROR };

struct px_log_number {
  char text[32];
};
#define PX_I(value) (px_log_int((long long)(value)).text)
#define PX_F(value) (px_log_float((double)(value)).text)
struct px_log_number px_log_int(long long value);
struct px_log_number px_log_float(double value);

/* `component` must outlive the process ("server", "worker"). */
void px_log_setup(const char *component, enum px_log_level least, bool json);
void px_log(enum px_log_level level, const char *event, ...) __attribute__((sentinel));
/* The error's code, message and hint, once, where it is handled. */
void px_log_err(const char *event, const struct px_err *err, const char *key, const char *value);

#endif
