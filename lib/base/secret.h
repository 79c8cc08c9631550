/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes and the comparison of secrets. Thread safe.
 */
#ifndef PX_BASE_SECRET_H
#define PX_BASE_SECRET_H

#include "lib/base/status.h"

/* Cryptographically strong; IO when the system has none. */
enum px_status px_secret_random(void *bytes, size_t n) PX_MUST_CHECK;
/* Compares in a time that does not depend on where they differ. */
bool px_secret_equal(const void *a, const void *b, size_t n);

#endif
