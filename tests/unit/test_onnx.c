/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files that are not made: what ONNX cannot carry, what is malformed, what does not fit. What
 * the files compute is tests/integration/test_onnx_peers.c's. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"
#include "lib/onnx/onnx.h"
#include "tests/support/allocations.h"
#include "tests/support/idm_world.h"
#include "tests/support/rl_world.h"

enum { FILE_BYTES_MAX = 4 << 20 };

/* Members of one file each; 0, or what refused them. */
static enum px_status write_onnx(const struct px_buf *saved, uint32_t n, struct px_buf *out,
                                 struct px_err *err) {
  struct px_safetensors *files[PX_ONNX_MEMBERS_MAX];
  for (uint32_t i = 0; i < n; i++)
    CU_OK(px_safetensors_parse(saved[i].data, saved[i].len, &files[i], err), *err);
  const enum px_status status =
    px_onnx_write((const struct px_safetensors *const *)files, n, out, err);
  for (uint32_t i = 0; i < n; i++) px_safetensors_free(files[i]);
  return status;
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

static struct px_buf member_file(const struct idm_spec *spec, uint32_t member) {
  struct px_dataset *ds = world_new(8);
  struct idm_metrics metrics;
  struct idm_model *model = world_trained(ds, spec, member, &metrics);
  const struct px_buf file = world_saved(model);
  idm_model_free(model);
  world_free(ds);
  return file;
}

/* The file with other metadata, and without the tensor `lacks` (which may be NULL). */
static struct px_buf changed(const struct px_buf *file, const char *key, const char *value,
                             const char *lacks) {
  struct px_safetensors *st;
  struct px_safetensors_tensor tensors[32];
  struct px_safetensors_meta meta[64];
  size_t tensors_n = 0, meta_n = 0;
  struct px_err err;
  struct px_buf out = PX_BUF(FILE_BYTES_MAX);
  CU_OK(px_safetensors_parse(file->data, file->len, &st, &err), err);
  for (size_t i = 0; i < px_safetensors_tensors_n(st); i++)
    if (!lacks || strcmp(px_safetensors_at(st, i)->name, lacks) != 0)
      tensors[tensors_n++] = *px_safetensors_at(st, i);
  for (; (meta[meta_n].key = px_safetensors_meta_at(st, meta_n, &meta[meta_n].value)); meta_n++)
    if (strcmp(meta[meta_n].key, key) == 0) meta[meta_n].value = value;
  CU_OK(px_safetensors_write(tensors, tensors_n, meta, meta_n, &out, &err), err);
  px_safetensors_free(st);
  return out;
}

/* Refused, leaving nothing in the buffer. */
static void refuses(const struct px_buf *saved, uint32_t n, enum px_status code, const char *says) {
  struct px_buf out = PX_BUF(FILE_BYTES_MAX);
  struct px_err err = { 0 };
  CU_ASSERT_EQUAL(write_onnx(saved, n, &out, &err), code);
  CU_ASSERT_PTR_NOT_NULL(strstr(err.message, says));
  if (!strstr(err.message, says)) printf("\n  said: %s\n", err.message);
  CU_ASSERT_EQUAL(out.len, 0);
  px_buf_free(&out);
}

static void models_without_an_onnx_form_are_named(void) {
  const struct idm_spec spec = world_spec(1, 10);
  struct px_buf policy = policy_file(), member = member_file(&spec, 0);
  struct px_buf net = changed(&policy, "format", "proxact-simulator-net-1", NULL),
                kind = changed(&policy, "kind", "flow", NULL),
                reference = changed(&member, "compat", "reference", NULL);
  refuses(&net, 1, PX_E_BAD_FIELD, "proxact-simulator-net-1");
  refuses(&kind, 1, PX_E_BAD_FIELD, "flow");
  refuses(&reference, 1, PX_E_BAD_FIELD, "compat reference");
  px_buf_free(&policy), px_buf_free(&member), px_buf_free(&net), px_buf_free(&kind);
  px_buf_free(&reference);
}

static void malformed_files_are_refused_by_what_is_wrong(void) {
  struct px_buf policy = policy_file(), transformer, layer, count, none;
  none = changed(&policy, "kind", "tanh", "obs_mean");
  layer = changed(&policy, "kind", "tanh", "actor.1.bias");
  transformer = changed(&policy, "kind", "transformer", NULL);
  count = changed(&policy, "obs_clip", "many", NULL);
  refuses(&none, 1, PX_E_BAD_DATA, "dimensions");
  refuses(&layer, 1, PX_E_BAD_DATA, "actor.1.bias");
  refuses(&transformer, 1, PX_E_BAD_DATA, "transformer_heads");
  refuses(&count, 1, PX_E_BAD_DATA, "obs_clip");
  px_buf_free(&policy), px_buf_free(&transformer), px_buf_free(&layer), px_buf_free(&count);
  px_buf_free(&none);
}

static void members_of_other_ensembles_are_refused(void) {
  struct idm_spec spec = world_spec(2, 10), other = spec;
  other.k = 2;
  struct px_buf pair[] = { member_file(&spec, 0), member_file(&other, 1) };
  refuses(pair, 2, PX_E_BAD_DATA, "k differs");
  struct px_buf policies[] = { policy_file(), policy_file() };
  refuses(policies, 2, PX_E_BAD_FIELD, "proxact.policy.v1");
  refuses(pair, 0, PX_E_BAD_DATA, "1 to 16");
  for (int i = 0; i < 2; i++) px_buf_free(&pair[i]), px_buf_free(&policies[i]);
}

static void equal_models_give_equal_bytes_and_a_bound_is_kept(void) {
  struct px_buf policy = policy_file(), a = PX_BUF(FILE_BYTES_MAX), b = PX_BUF(FILE_BYTES_MAX),
                small = PX_BUF(1000);
  struct px_err err;
  CU_OK(write_onnx(&policy, 1, &a, &err), err);
  CU_OK(write_onnx(&policy, 1, &b, &err), err);
  CU_ASSERT_EQUAL_FATAL(a.len, b.len);
  CU_ASSERT_EQUAL(memcmp(a.data, b.data, a.len), 0);
  CU_ASSERT_EQUAL(write_onnx(&policy, 1, &small, &err), PX_E_TOO_LARGE);
  CU_ASSERT_EQUAL(small.len, 0);
  px_buf_free(&policy), px_buf_free(&a), px_buf_free(&b), px_buf_free(&small);
}

#ifdef COUNTS_ALLOCATIONS
/* The n-th allocation fails, for every n. */
static void running_out_of_memory_is_said(void) {
  const struct idm_spec spec = world_spec(1, 10);
  const struct px_buf member = member_file(&spec, 0);
  struct px_safetensors *file;
  struct px_err err;
  CU_OK(px_safetensors_parse(member.data, member.len, &file, &err), err);
  const struct px_safetensors *one = file;
  enum px_status status = PX_E_NO_MEMORY;
  uint64_t n = 0;
  for (; status && n < 1000; n++) {
    struct px_buf out = PX_BUF(FILE_BYTES_MAX);
    allocations = 0, allocations_allowed = n;
    status = px_onnx_write(&one, 1, &out, &err);
    allocations_allowed = UINT64_MAX;
    if (status) CU_ASSERT_EQUAL(status, PX_E_NO_MEMORY);
    px_buf_free(&out);
  }
  CU_ASSERT_EQUAL(status, PX_OK);
  CU_ASSERT_TRUE(n > 2);
  px_safetensors_free(file);
  free(member.data);
}
#else
static void running_out_of_memory_is_said(void) {}
#endif

CU_MAIN("onnx", T(models_without_an_onnx_form_are_named),
        T(malformed_files_are_refused_by_what_is_wrong), T(members_of_other_ensembles_are_refused),
        T(equal_models_give_equal_bytes_and_a_bound_is_kept), T(running_out_of_memory_is_said))
