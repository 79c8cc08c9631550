/*
 * What was found out a moment ago and is asked again and again: a short text by
 * key, good as long as its stamp is (a version, a stretch of time). A fixed
 * number of places; two keys that share one push each other out.
 *
 * Used by service.c and api_datasets.c. Thread safe.
 */
#ifndef PX_SERVER_RECENT_H
#define PX_SERVER_RECENT_H

#include <stdint.h>

#include "lib/base/mem.h"

enum { RECENT_TEXT_MAX = 1024 };
struct recent;
struct recent *recent_new(void); /* NULL when out of memory */
void recent_free(struct recent *recent);
/* Appends the text; false when it is not known for this stamp. */
bool recent_get(struct recent *recent, const char *key, int64_t stamp, struct px_buf *text);
/* A longer text than RECENT_TEXT_MAX - 1 is not kept. */
void recent_put(struct recent *recent, const char *key, int64_t stamp, const char *text);

#endif
