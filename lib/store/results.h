/*
 * What jobs leave: models, artifacts, label segments and label sets. Every
 * function that writes takes the hold, passes the fence and, where it ends the
 * job, does so in the same transaction: a result is visible if and only if its
 * job succeeded.
 */
#ifndef PX_STORE_RESULTS_H
#define PX_STORE_RESULTS_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/blob.h"
#include "lib/store/jobs.h"

/* "job_x" -> "mdl_x" or "ls_x". */
void store_result_id(const char *prefix, const char *job_id, char out[STORE_ID_MAX]);

/* Publishes a model and ends its job with metrics as the result. */
enum px_status store_model_publish(struct store *store, const struct store_lease *hold, const char *dataset_id,
                                   const char *role, const char *algo, const void *bytes, size_t n,
                                   const char *metrics_json, struct px_err *err) PX_MUST_CHECK;
enum px_status store_model_document(struct store *store, const char *id, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
/* A page of a list, newest first. dataset: an id, or NULL for all; before: the `next` of the page before, or NULL. */
struct store_page { const char *dataset, *before; int limit; };
enum px_status store_model_list(struct store *store, const struct store_page *page, const char *role, struct px_buf *out,
                                struct px_err *err) PX_MUST_CHECK;
/* The weights (safetensors) into out. */
enum px_status store_model_read(struct store *store, const char *id, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;

/* One label segment on its way to the store; all borrowed. */
struct store_label_segment {
  const char *label_job; /* that will publish it */
  uint32_t seq;
  const void *bytes;
  size_t n;
  uint64_t steps_n, known_n;
  double score_sum;
  const char *profile;   /* what the bits depend on */
  bool simulated;        /* a simulator took part: the rest counts */
  uint64_t verified_n, simulated_n;
  double residual_sum;
};
/* Stages one under the shard's hold. Writing the same (segment, epoch) again is harmless. */
enum px_status store_label_stage(struct store *store, const struct store_lease *shard,
                                 const struct store_label_segment *segment, struct px_err *err) PX_MUST_CHECK;
/* Takes over what earlier attempts of the shard have staged under the same profile: staged[seq - first] = 1 for those
 * of first .. first + count - 1. */
enum px_status store_label_adopt(struct store *store, const struct store_lease *shard, const char *label_job,
                                 const char *profile, uint32_t first, uint32_t count, uint8_t *staged, struct px_err *err)
  PX_MUST_CHECK;
/* One transaction: fence, check that segments 0..segments_n-1 are all there from
 * shards that succeeded, with the steps of the dataset's segments; digest; insert the label set; drop
 * dead-epoch rows; flip the dataset's current label set; end the job with
 * `result_json`. CONFLICT names a missing segment. */
enum px_status store_label_publish(struct store *store, const struct store_lease *hold, const char *dataset_id,
                                   uint32_t segments_n, const char *result_json, struct px_err *err) PX_MUST_CHECK;
enum px_status store_label_set_document(struct store *store, const char *id, struct px_buf *out, struct px_err *err)
  PX_MUST_CHECK;
enum px_status store_label_set_list(struct store *store, const struct store_page *page, struct px_buf *out,
                                    struct px_err *err) PX_MUST_CHECK;
/* What a model, a label set or a job is, or will be when it has ended. */
struct store_about {
  char role[24]; /* idm, policy, labels; of a job its kind */
  char state[16], algo[32], dataset[STORE_ID_MAX];
  uint32_t obs_dim, act_dim, act_count, segments_n;
};
/* NOT_FOUND when there is none, or it was removed. */
enum px_status store_result_about(struct store *store, const char *id, struct store_about *out, struct px_err *err) PX_MUST_CHECK;
typedef enum px_status (*store_label_sink)(void *ctx, uint32_t seq, const void *bytes, size_t n, struct px_err *err);
/* Label segments first .. first + count - 1 of a published set, in order. The
 * sink may use the same store. NOT_FOUND unless the set has them all, BAD_DATA
 * naming a segment whose bytes do not have the digest recorded with it. */
enum px_status store_label_read(struct store *store, const char *label_set, uint32_t first, uint32_t count,
                                store_label_sink sink, void *ctx, struct px_err *err) PX_MUST_CHECK;

/* Removes a model; the job that made it stays. CONFLICT while an unfinished job needs it. */
enum px_status store_model_delete(struct store *store, const char *id, struct px_err *err) PX_MUST_CHECK;

/* Publishes files and ends the job. */
struct store_artifact { const char *name, *media_type; struct store_blob blob; };
enum px_status store_artifacts_publish(struct store *store, const struct store_lease *hold,
                                       const struct store_artifact *artifacts, size_t n, const char *result_json,
                                       struct px_err *err) PX_MUST_CHECK;
enum px_status store_artifact_list(struct store *store, const char *job, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;
enum px_status store_artifact_find(struct store *store, const char *job, const char *name, char media_type[128],
                                   struct store_blob *out, struct px_err *err) PX_MUST_CHECK;
/* A finished job's result as JSON text (reports read their evaluations). */
enum px_status store_job_result(struct store *store, const char *job, struct px_buf *out, struct px_err *err) PX_MUST_CHECK;

#endif
