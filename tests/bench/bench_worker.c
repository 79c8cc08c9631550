/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker's labelling consists of, step by step in one process and one
 * thread: loading the dataset from PostgreSQL, idm_label, and the bare matrix
 * products of the same shapes, by turns. The latter two by processor time, which
 * a busy machine disturbs less. Run by tests/bench/service_label.sh.
 *
 *   PROXACT_DB_URL=... bench_worker DATASET MODEL[,MODEL...] REPEATS
 *
 * Prints a line per step: what, unit and the numbers measured, between tabs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/mem.h"
#include "lib/data/dataset.h"
#include "lib/idm/model.h"
#include "lib/nn/mat.h"
#include "lib/store/datasets.h"
#include "lib/store/models.h"
#include "lib/store/store.h"
#include "tests/bench/bench.h"

enum { REPEATS_MAX = 20, LABEL_TRAJ_MAX = 300, ROWS = 512 };

static struct store *store;
static struct store_dataset about;
static struct idm_model *models[IDM_MEMBERS_MAX];
static uint32_t models_n;

static enum px_status take(void *ctx, uint32_t seq, const void *bytes, size_t n,
                           struct px_err *err) {
  (void)seq;
  return px_dataset_builder_segment(ctx, bytes, n, err);
}

static struct px_dataset *load(void) {
  struct px_err err;
  struct px_dataset *ds;
  struct px_dataset_builder *builder = px_dataset_builder_new(&about.spaces);
  if (!builder) exit(1);
  bench_must(store_dataset_segment_read(store,
                                        &(struct store_segment_range){
                                          about.id, 0, about.segments_n, STORE_VERSION_NOW },
                                        take, builder, &err),
             &err);
  bench_must(px_dataset_builder_end(builder, &ds, &err), &err);
  return ds;
}

static void load_models(char *ids) {
  for (char *rest = NULL, *id = strtok_r(ids, ",", &rest); id && models_n < IDM_MEMBERS_MAX;
       id = strtok_r(NULL, ",", &rest)) {
    struct px_buf bytes = PX_BUF(IDM_MODEL_BYTES_MAX);
    struct px_err err;
    bench_must(store_model_read(store, id, &bytes, &err), &err);
    bench_must(idm_model_load(bytes.data, bytes.len, &models[models_n++], &err), &err);
    px_buf_free(&bytes);
  }
}

static float *room(size_t rows, size_t width) {
  float *x = px_mem_calloc(rows * width, sizeof *x);
  if (!x) exit(1);
  for (size_t i = 0; i < rows * width; i++) x[i] = 0.5F;
  return x;
}

/* A forward pass's products and nothing between them. */
static void multiply(const struct px_mlp *net, const float *x, float *const h[2]) {
  const float *in = x;
  for (uint32_t l = 0; l <= net->shape.layers; l++) {
    const struct px_mlp_layer layer = px_mlp_layer(net, l);
    px_mat_mul(PX_MAT_N, PX_MAT_T, ROWS, layer.out, layer.in, in, net->params + layer.weight, 0,
               h[l % 2]);
    in = h[l % 2];
  }
}

static double products(uint64_t transitions) {
  const struct px_mlp_shape *shape = &models[0]->mu->shape;
  float *x = room(ROWS, shape->in),
        *h[2] = { room(ROWS, shape->hidden), room(ROWS, shape->hidden) };
  const double start = bench_cpu_s();
  for (uint64_t done = 0; done < transitions; done += ROWS)
    for (uint32_t i = 0; i < models_n; i++) {
      multiply(models[i]->mu, x, h);
      multiply(models[i]->sigma, x, h);
    }
  const double seconds = bench_cpu_s() - start;
  free(x);
  free(h[0]);
  free(h[1]);
  return seconds;
}

static void print(const char *what, const char *unit, const double *x, int n) {
  printf("%s\t%s\t", what, unit);
  for (int i = 0; i < n; i++) printf("%s%g", i ? " " : "", x[i]);
  printf("\n");
}

int main(int argc, char **argv) {
  const char *url = getenv("PROXACT_DB_URL");
  const int repeats = argc == 4 ? (int)strtol(argv[3], NULL, 10) : 0;
  if (!url || repeats < 1 || repeats > REPEATS_MAX) {
    fprintf(stderr, "usage: PROXACT_DB_URL=... bench_worker DATASET MODEL[,MODEL...] REPEATS\n");
    return 2;
  }
  struct px_err err;
  bench_must(store_open(url, "bench_worker", &store, &err), &err);
  bench_must(store_dataset_get(store, argv[1], &about, &err), &err);
  load_models(argv[2]);
  double loaded[REPEATS_MAX], labelled[REPEATS_MAX], multiplied[REPEATS_MAX];
  px_dataset_free(load()); /* warm-up */
  for (int i = 0; i < repeats; i++) {
    double start = px_clock_s();
    struct px_dataset *ds = load();
    loaded[i] = (double)about.size_bytes / 1e6 / (px_clock_s() - start);
    const uint32_t trajs = ds->traj_n < LABEL_TRAJ_MAX ? ds->traj_n : LABEL_TRAJ_MAX;
    const double steps = (double)ds->step_start[trajs];
    const struct px_progress silent = { NULL, NULL };
    struct idm_labels *labels;
    start = bench_cpu_s();
    bench_must(idm_label(models, models_n, ds, 0, trajs, &silent, &labels, &err), &err);
    labelled[i] = steps / (bench_cpu_s() - start);
    multiplied[i] = steps / products(ds->step_start[trajs]);
    idm_labels_free(labels);
    px_dataset_free(ds);
  }
  print("dataset from PostgreSQL into a worker", "MB/s", loaded, repeats);
  print("labelling: idm_label alone", "transitions/cpu-s", labelled, repeats);
  print("labelling: its matrix products alone", "transitions/cpu-s", multiplied, repeats);
  for (uint32_t i = 0; i < models_n; i++) idm_model_free(models[i]);
  store_close(store);
  return 0;
}
