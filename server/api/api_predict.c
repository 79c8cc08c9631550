/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/models/{model}:predict: actions of policies and inverse dynamics models. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/labels.h"
#include "lib/idm/predict.h"
#include "lib/rl/rl.h"
#include "lib/store/models.h"
#include "server/api/api.h"
#include "server/api/predict_body.h"
#include "server/app/predictors.h"

/* ---- the body, as it comes in */

struct received {
  bool safetensors; /* or JSON; the answer is of the same kind */
  struct px_buf bytes;
};

static bool is_type(const char *given, const char *type) {
  const size_t n = given ? strcspn(given, "; ") : 0;
  return n == strlen(type) && strncasecmp(given, type, n) == 0;
}

static enum px_status predict_begin(struct http_request *req, struct px_err *err) {
  const char *type = http_header(req, "Content-Type"),
             *encoding = http_header(req, "Content-Encoding");
  const uint64_t bytes = http_body_bytes(req);
  const bool safetensors = is_type(type, "application/x-safetensors");
  if (encoding && strcasecmp(encoding, "identity") != 0)
    return px_fail(err, PX_E_UNSUPPORTED_MEDIA, "this route takes no Content-Encoding");
  if (!safetensors && !is_type(type, "application/json")) {
    px_fail(err, PX_E_UNSUPPORTED_MEDIA,
            "the body must be application/json or application/x-safetensors");
    px_fail_hint(err, "With curl: --json '{\"observations\": [[...]]}'.");
    return PX_E_UNSUPPORTED_MEDIA;
  }
  if (bytes != UINT64_MAX && bytes > PREDICT_BODY_BYTES_MAX)
    return px_fail(err, PX_E_TOO_LARGE, "the body has %llu bytes; at most %d are read",
                   (unsigned long long)bytes, PREDICT_BODY_BYTES_MAX);
  struct received *r = px_mem_calloc(1, sizeof *r);
  if (!r) return px_fail(err, PX_E_NO_MEMORY, "no memory for a body");
  r->safetensors = safetensors;
  r->bytes = PX_BUF(PREDICT_BODY_BYTES_MAX);
  req->stream = r;
  return PX_OK;
}

static enum px_status predict_feed(struct http_request *req, const void *bytes, size_t n,
                                   struct px_err *err) {
  struct received *r = req->stream;
  const enum px_status status = px_buf_put(&r->bytes, bytes, n);
  return status ? px_fail(err, status, "the body has more than %d bytes", PREDICT_BODY_BYTES_MAX)
                : PX_OK;
}

static void predict_free(void *stream, bool done) {
  (void)done;
  struct received *r = stream;
  if (!r) return;
  px_buf_free(&r->bytes);
  free(r);
}

const struct http_stream API_PREDICT_STREAM = { predict_begin, predict_feed, NULL,
                                                NULL,          predict_free, false };

/* ---- predictions */

static enum px_status answer(const struct received *r, const struct predict_answer *a,
                             struct http_reply *reply, struct px_err *err) {
  if (r->safetensors) reply->media_type = "application/x-safetensors";
  return r->safetensors ? predict_body_put_safetensors(a, &reply->body, err)
                        : predict_body_put_json(a, &reply->body, err);
}

static enum px_status act(struct rl_policy *policy, const char *id, const struct received *r,
                          const struct predict_body *body, struct http_reply *reply,
                          struct px_err *err) {
  const uint32_t rows = body->n * body->length, dims = rl_policy_act_dim(policy);
  const bool discrete = rl_policy_act_count(policy) > 0;
  float *actions = px_mem_calloc((size_t)rows * dims, sizeof *actions);
  if (!actions) return px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  rl_policy_act(policy, body->observations, rows, actions);
  const struct predict_column column = { "actions", actions, discrete ? 0 : dims, discrete };
  const struct predict_answer a = { id, body->rank, body->n, body->length, &column, 1 };
  const enum px_status status = answer(r, &a, reply, err);
  free(actions);
  return status;
}

/* [T + 1, O] is one stretch of consecutive observations, [N, T + 1, O] are N of them. */
static enum px_status label(const struct predictor *p, const char *id, const struct received *r,
                            const struct predict_body *body, struct http_reply *reply,
                            struct px_err *err) {
  const struct idm_stretches given = { body->rank == 3 ? body->n : 1,
                                       body->rank == 3 ? body->length : body->n,
                                       body->observations };
  struct px_spaces spaces;
  struct idm_labels *l;
  if (given.length < 2)
    return px_fail_at(err, PX_E_BAD_FIELD, "/observations",
                      "an action leads from one observation to the next: give two or more");
  idm_predict_spaces(p->models[0], &spaces);
  enum px_status status = idm_predict(p->work, &spaces, &given, &l, err);
  if (status) return status;
  const uint32_t width = spaces.act_count ? 0 : spaces.act_dim;
  float *total = px_mem_calloc(l->steps_n * spaces.act_dim, sizeof *total);
  if (total) px_label_totals(&spaces, l->std, l->epistemic, l->steps_n, total);
  const struct predict_column columns[] = { { "actions", l->actions, width, spaces.act_count > 0 },
                                            { "action_std", total, width, false },
                                            { "action_epistemic", l->epistemic, width, false },
                                            { "action_score", l->score, 0, false } };
  const struct predict_answer a = { id, body->rank, given.n, given.length - 1, columns, 4 };
  status =
    total ? answer(r, &a, reply, err) : px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  free(total);
  idm_labels_free(l);
  return status;
}

static enum px_status read_body(const struct received *r, uint32_t obs_dim,
                                struct predict_body *body, struct px_err *err) {
  return r->safetensors ? predict_body_safetensors(r->bytes.data, r->bytes.len, obs_dim, body, err)
                        : predict_body_json(r->bytes.data, r->bytes.len, obs_dim, body, err);
}

API_HANDLER(api_model_predict) {
  struct received *r = req->stream;
  struct predictors *all = service_predictors(req->service);
  struct store *store = NULL;
  struct store_members members;
  struct predictor *p = NULL;
  struct predict_body body = { .observations = NULL };
  const char *id = req->params[0];
  if (!r->bytes.len) return px_fail(err, PX_E_BAD_REQUEST, "the body is empty");
  enum px_status status = api_check_id(id, "mdl_", "model", err);
  if (!status) status = api_store(req, &store, err);
  if (!status) status = store_model_members(store, id, &members, err);
  if (!status) status = predictors_take(all, store, &members, &p, err);
  if (status) return status;
  const uint32_t obs_dim =
    p->policy ? rl_policy_obs_dim(p->policy) : idm_model_obs_dim(p->models[0]);
  status = read_body(r, obs_dim, &body, err);
  if (!status)
    status =
      p->policy ? act(p->policy, id, r, &body, reply, err) : label(p, id, r, &body, reply, err);
  predictors_give_back(all, p);
  free(body.observations);
  return status;
}
