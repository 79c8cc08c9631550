/* SPDX-License-Identifier: Apache-2.0 */
/* See packed.h. oneDNN's primitives:
 * https://oneapi-src.github.io/oneDNN/v2.6/dev_guide_matmul.html */
#include "lib/nn/packed.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/nn/mat.h"

struct px_packed {
  uint32_t rows, n, k;
  const float *w;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t matmul;
  dnnl_memory_t x, weights, y, scratch; /* x and y have no memory of their own */
};

void px_packed_free(struct px_packed *p) {
  if (!p) return;
  dnnl_memory_t const memory[] = { p->x, p->weights, p->y, p->scratch };
  for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
    if (memory[i]) dnnl_memory_destroy(memory[i]);
  if (p->matmul) dnnl_primitive_destroy(p->matmul);
  if (p->stream) dnnl_stream_destroy(p->stream);
  if (p->engine) dnnl_engine_destroy(p->engine);
  free(p);
}

static bool describe(dnnl_memory_desc_t *md, int64_t rows, int64_t cols, dnnl_format_tag_t tag) {
  const dnnl_dims_t dims = { rows, cols };
  return dnnl_memory_desc_init_by_tag(md, 2, dims, dnnl_f32, tag) == dnnl_success;
}

/* The product's description, with the layout of the weights left to oneDNN and its scratch memory
 * to us. */
static bool choose(const struct px_packed *p, const dnnl_memory_desc_t *x,
                   const dnnl_memory_desc_t *y, dnnl_primitive_desc_t *out) {
  dnnl_memory_desc_t any;
  dnnl_matmul_desc_t product;
  dnnl_primitive_attr_t attr = NULL;
  const bool done =
    describe(&any, p->k, p->n, dnnl_format_tag_any) &&
    dnnl_primitive_attr_create(&attr) == dnnl_success &&
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success &&
    dnnl_matmul_desc_init(&product, x, &any, NULL, y) == dnnl_success &&
    dnnl_primitive_desc_create(out, &product, attr, p->engine, NULL) == dnnl_success;
  if (attr) dnnl_primitive_attr_destroy(attr);
  return done;
}

/* p->weights = W^T in the layout `to`. */
static bool reorder(struct px_packed *p, const dnnl_memory_desc_t *to) {
  dnnl_memory_desc_t from;
  dnnl_memory_t plain = NULL;
  dnnl_primitive_desc_t desc = NULL;
  dnnl_primitive_t primitive = NULL;
  bool done =
    describe(&from, p->k, p->n, dnnl_ba) &&
    dnnl_memory_create(&plain, &from, p->engine, (void *)(uintptr_t)p->w) == dnnl_success &&
    dnnl_memory_create(&p->weights, to, p->engine, DNNL_MEMORY_ALLOCATE) == dnnl_success &&
    dnnl_reorder_primitive_desc_create(&desc, &from, p->engine, to, p->engine, NULL) ==
      dnnl_success &&
    dnnl_primitive_create(&primitive, desc) == dnnl_success;
  if (done) {
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, plain }, { DNNL_ARG_TO, p->weights } };
    done = dnnl_primitive_execute(primitive, p->stream, 2, args) == dnnl_success;
  }
  if (primitive) dnnl_primitive_destroy(primitive);
  if (desc) dnnl_primitive_desc_destroy(desc);
  if (plain) dnnl_memory_destroy(plain);
  return done;
}

static bool build(struct px_packed *p) {
  dnnl_memory_desc_t x, y;
  dnnl_primitive_desc_t desc = NULL;
  bool done =
    dnnl_engine_create(&p->engine, dnnl_cpu, 0) == dnnl_success &&
    dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) == dnnl_success &&
    describe(&x, p->rows, p->k, dnnl_ab) && describe(&y, p->rows, p->n, dnnl_ab) &&
    choose(p, &x, &y, &desc);
  done =
    done && dnnl_primitive_create(&p->matmul, desc) == dnnl_success &&
    dnnl_memory_create(&p->x, &x, p->engine, DNNL_MEMORY_NONE) == dnnl_success &&
    dnnl_memory_create(&p->y, &y, p->engine, DNNL_MEMORY_NONE) == dnnl_success &&
    dnnl_memory_create(&p->scratch, dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0),
                       p->engine, DNNL_MEMORY_ALLOCATE) == dnnl_success &&
    reorder(p, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0));
  if (desc) dnnl_primitive_desc_destroy(desc);
  return done;
}

enum px_status px_packed_new(uint32_t rows, uint32_t n, uint32_t k, const float *w,
                             struct px_packed **out) {
  struct px_packed *p = px_mem_calloc(1, sizeof *p);
  if (!p) return PX_E_NO_MEMORY;
  p->rows = rows, p->n = n, p->k = k, p->w = w;
  px_mat_one_thread();
  if (!build(p)) {
    px_packed_free(p);
    return PX_E_NO_MEMORY;
  }
  *out = p;
  return PX_OK;
}

void px_packed_mul(const struct px_packed *p, const float *x, float *y) {
  px_mat_one_thread();
  const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, p->x },
                                   { DNNL_ARG_WEIGHTS, p->weights },
                                   { DNNL_ARG_DST, p->y },
                                   { DNNL_ARG_SCRATCHPAD, p->scratch } };
  /* oneDNN does not write to its source. */
  const bool done = dnnl_memory_set_data_handle(p->x, (void *)(uintptr_t)x) == dnnl_success &&
                    dnnl_memory_set_data_handle(p->y, y) == dnnl_success &&
                    dnnl_primitive_execute(p->matmul, p->stream, 4, args) == dnnl_success;
  if (!done) px_mat_mul_naive(PX_MAT_N, PX_MAT_T, p->rows, p->n, p->k, x, p->w, 0, y);
}
