/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was found out a moment ago and is asked again and again: a short text by
 * key, good as long as its stamp is (a version, a stretch of time). A fixed
 * number of places; two keys that share one push each other out.
 *
 * Used by service.c and api_datasets.c. Thread safe.
 */
#ifndef PX_SERVER_APP_CACHE_H
#define PX_SERVER_APP_CACHE_H

#include <stdint.h>

#include "lib/base/buf.h"

enum { RECENT_TEXT_MAX = 4096 };
struct cache;
struct cache *cache_new(void); /* NULL when out of memory */
void cache_free(struct cache *recent);
/* Appends the text; false when it is not known for this stamp. */
bool cache_get(struct cache *recent, const char *key, int64_t stamp, struct px_buf *text);
/* A longer text than RECENT_TEXT_MAX - 1 is not kept. */
void cache_put(struct cache *recent, const char *key, int64_t stamp, const char *text);

#endif
