/* SPDX-License-Identifier: Apache-2.0 */
/* Models that are kept loaded: by whom they are used, how many they are, and when they go. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/store/jobs.h"
#include "lib/store/models.h"
#include "lib/store/results.h"
#include "server/app/predictors.h"
#include "tests/support/db.h"
#include "tests/support/idm_world.h"
#include "tests/support/rl_world.h"

enum { FILE_BYTES_MAX = 4 << 20, TAKES = 50 };
/* More than one small model takes, and less than two. */
enum { ONE = 12 << 20 };

static char dataset[STORE_ID_MAX];
static struct store *fresh(void) {
  struct store *store = db_test_open("predictors");
  db_sql("truncate datasets, jobs, blobs cascade");
  snprintf(dataset, sizeof dataset, "%s",
           db_sql("insert into datasets (name, obs_dim, act_dim, act_low, act_high)"
                  " values ('d', 1, 1, '{-1}', '{1}') returning id"));
  return store;
}

static struct store_members publish(struct store *store, const char *kind, const char *role,
                                    const struct px_buf *file) {
  struct px_err err;
  struct store_members members;
  char job[STORE_ID_MAX], id[STORE_ID_MAX];
  db_submit(store, kind, NULL, job);
  const struct store_lease hold = db_claim(store, kind);
  CU_OK(store_model_publish(store, &hold, dataset, role, "test", file->data, file->len, "{}", &err),
        err);
  store_result_id("mdl", job, id);
  CU_OK(store_model_members(store, id, &members, &err), err);
  return members;
}

static struct px_buf policy_file(void) {
  struct rl_world w;
  struct rl_policy *policy;
  struct rl_metrics metrics;
  struct px_err err;
  struct px_buf file = PX_BUF(FILE_BYTES_MAX);
  rl_world_open(&w);
  const struct rl_spec spec = rl_world_spec("bc", 5);
  CU_OK(rl_train(&spec, &w.u, NULL, NULL, &policy, &metrics, &err), err);
  CU_OK(rl_policy_save(policy, NULL, 0, &file, &err), err);
  rl_policy_free(policy);
  rl_world_close(&w);
  return file;
}

static struct px_buf idm_file(void) {
  struct px_dataset *ds = world_new(8);
  struct idm_metrics metrics;
  const struct idm_spec spec = world_spec(1, 10);
  struct idm_model *model = world_trained(ds, &spec, 0, &metrics);
  const struct px_buf file = world_saved(model);
  idm_model_free(model);
  world_free(ds);
  return file;
}

/* Takes it and gives it back; whom the model was, to compare. */
static const struct predictor *use(struct predictors *p, struct store *store,
                                   const struct store_members *members) {
  struct predictor *taken;
  struct px_err err;
  CU_OK(predictors_take(p, store, members, &taken, &err), err);
  CU_ASSERT_EQUAL(!taken->policy, taken->models_n == 1);
  predictors_give_back(p, taken);
  return taken;
}

static void a_model_is_loaded_once_and_the_least_recently_used_goes(void) {
  struct store *store = fresh();
  struct px_buf policy = policy_file(), idm = idm_file();
  const struct store_members a = publish(store, "train_policy", "policy", &policy),
                             b = publish(store, "train_idm", "idm", &idm);
  struct predictors *p = predictors_new(ONE);
  const struct predictor *first = use(p, store, &a);
  CU_ASSERT_PTR_EQUAL(use(p, store, &a), first);
  CU_ASSERT_EQUAL(predictors_load(p).models, 1);
  (void)use(p, store, &b);
  CU_ASSERT_EQUAL(predictors_load(p).models, 1);
  CU_ASSERT_TRUE(predictors_load(p).bytes <= ONE);
  /* what is taken stays, whatever the bound */
  struct predictor *held;
  struct px_err err;
  CU_OK(predictors_take(p, store, &a, &held, &err), err);
  (void)use(p, store, &b);
  CU_ASSERT_EQUAL(rl_policy_obs_dim(held->policy), O);
  predictors_give_back(p, held);
  CU_ASSERT_TRUE(predictors_load(p).bytes <= ONE);
  predictors_free(p);
  p = predictors_new(0);
  (void)use(p, store, &a);
  CU_ASSERT_EQUAL(predictors_load(p).models, 0);
  predictors_free(p);
  px_buf_free(&policy), px_buf_free(&idm);
  store_close(store);
}

static void what_does_not_predict_is_refused_and_not_kept(void) {
  struct store *store = fresh();
  struct px_safetensors_meta meta = { "format", "proxact-simulator-net-1" };
  const float zero = 0;
  struct px_safetensors_tensor tensor = {
    .name = "zero", .dtype = PX_DTYPE_F32, .rank = 1, .dims = { 1 }, .data = &zero
  };
  struct px_buf net = PX_BUF(FILE_BYTES_MAX), broken = PX_BUF(FILE_BYTES_MAX);
  struct px_err err;
  CU_OK(px_safetensors_write(&tensor, 1, &meta, 1, &net, &err), err);
  CU_ASSERT_EQUAL(px_buf_puts(&broken, "no safetensors"), PX_OK);
  const struct store_members a = publish(store, "train_inverse", "inverse", &net),
                             b = publish(store, "train_policy", "policy", &broken);
  struct predictors *p = predictors_new(ONE);
  struct predictor *taken;
  CU_ASSERT_EQUAL(predictors_take(p, store, &a, &taken, &err), PX_E_BAD_FIELD);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "proxact-simulator-net-1"));
  CU_ASSERT_EQUAL(predictors_take(p, store, &b, &taken, &err), PX_E_BAD_DATA);
  CU_ASSERT_EQUAL(predictors_load(p).models, 0);
  CU_ASSERT_EQUAL(predictors_load(p).bytes, 0);
  predictors_free(p);
  px_buf_free(&net), px_buf_free(&broken);
  store_close(store);
}

struct user {
  struct predictors *p;
  const struct store_members *members[2];
  int *inside; /* [2] whoever has the model; two at once would be a fault */
  int failures;
};

/* A store of its own, as each thread of the server has. */
static void *use_often(void *arg) {
  struct user *user = arg;
  struct store *store = NULL;
  struct px_err err;
  if (store_open(db_test_url(), "predictors", &store, &err)) user->failures++;
  for (int i = 0; i < TAKES && store; i++) {
    struct predictor *taken;
    if (predictors_take(user->p, store, user->members[i % 2], &taken, &err)) {
      user->failures++;
      continue;
    }
    user->failures += user->inside[i % 2]++ != 0;
    user->failures += --user->inside[i % 2] != 0;
    predictors_give_back(user->p, taken);
  }
  store_close(store);
  return NULL;
}

static void one_request_at_a_time_has_a_model(void) {
  struct store *store = fresh();
  struct px_buf policy = policy_file(), idm = idm_file();
  const struct store_members a = publish(store, "train_policy", "policy", &policy),
                             b = publish(store, "train_idm", "idm", &idm);
  struct predictors *p = predictors_new(ONE);
  int inside[2] = { 0 };
  struct user users[4];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    users[i] = (struct user){ .p = p, .members = { &a, &b }, .inside = inside };
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, use_often, &users[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(users[i].failures, 0);
  }
  CU_ASSERT_TRUE(predictors_load(p).bytes <= ONE);
  predictors_free(p);
  px_buf_free(&policy), px_buf_free(&idm);
  store_close(store);
}

CU_MAIN("predictors", T(a_model_is_loaded_once_and_the_least_recently_used_goes),
        T(what_does_not_predict_is_refused_and_not_kept), T(one_request_at_a_time_has_a_model))
