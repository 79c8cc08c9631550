/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends to datasets, for tests of the store: trajectories made up from a seed, with their sums
 * beside them. A failure fails the running test. One thread; what is returned belongs to the
 * caller.
 */
#ifndef PX_TESTS_SUPPORT_APPENDS_H
#define PX_TESTS_SUPPORT_APPENDS_H

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/data/segment.h"
#include "lib/store/append.h"
#include "lib/store/store.h"

enum { APPENDS_OBS = 3, APPENDS_ACT = 2 };
extern const struct px_spaces appends_spaces;

/* A store without datasets, jobs and blobs. */
struct store *appends_store(void);
/* A document of JSON; the text is freed. */
json_t *appends_parsed(struct px_buf *text);
/* What the dataset shows. */
json_t *appends_document(struct store *store, const char *id, int64_t *version);
double appends_number(const json_t *doc, const char *name);

/* What was appended, in sums. */
struct appends_sums {
  double sum[APPENDS_OBS], sum2[APPENDS_OBS], returns[400];
  int lengths[400];
  int n;
  uint64_t obs_n, steps_n, labelled_n, labelled_steps_n;
};

/* A sink of segments: two connections take turns. */
struct appends_target {
  struct store_append *append;
  struct store *store[2];
  int turn;
};
enum px_status appends_to_store(void *ctx, const struct px_segment *segment, struct px_err *err);

/* Stores n trajectories on two connections in turn; committing is left to the caller. */
struct store_append *appends_prepare(struct store *a, struct store *b, const char *id,
                                     uint64_t seed, int n, struct appends_sums *p);
/* The same, committed. */
void appends_run(struct store *a, struct store *b, const char *id, uint64_t seed, int n,
                 struct appends_sums *p);

#endif
