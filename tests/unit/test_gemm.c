/* SPDX-License-Identifier: Apache-2.0 */
/* Our own products: every element is one chain of fused multiply-adds, so a loop of them gives the
 * same bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/nn/gemm.h"
#include "tests/support/cu.h"

static float *normals(struct px_rng *rng, size_t n) {
  float *x = px_mem_calloc(n, sizeof *x);
  CU_ASSERT_PTR_NOT_NULL_FATAL(x);
  px_rng_normal(rng, x, n);
  return x;
}

/* What g says, by loops. C and sum are g's own. */
static void gemm_by_loops(const struct px_gemm *g) {
  for (size_t i = 0; i < g->m; i++)
    for (size_t j = 0; j < g->n; j++) {
      float *c = g->c + i * g->c_row + j, x = g->bias        ? g->bias[j]
                                              : g->beta != 0 ? g->beta * *c
                                                             : 0;
      for (size_t l = 0; l < g->k; l++)
        x = fmaf(g->a[i * g->a_row + l * g->a_step], g->b[l * g->b_step + j * g->b_col], x);
      if (g->relu && x < 0) x = 0;
      if (g->behind) x = g->behind[i * g->behind_row + j] > 0 ? g->scale * x : 0;
      *c = x;
      if (g->sum) g->sum[j] += x;
    }
}

/* Numbers of one product, each array with an odd beginning and rows longer than needed. */
enum { GEMM_MAX = 640, GEMM_ROW = GEMM_MAX + 3 };
static struct { float *a, *b, *c, *expected, *behind, *sum, *expected_sum, *bias; } world;

static void check_gemm(struct px_gemm g, enum px_gemm_isa isa) {
  const size_t size = (size_t)g.m * g.c_row;
  struct px_gemm loops = g;
  struct px_rng rng = px_rng_at(g.m, g.n, g.k);
  px_rng_normal(&rng, world.expected, size + 1);
  memcpy(world.c, world.expected, (size + 1) * sizeof *world.c);
  px_rng_normal(&rng, world.expected_sum, g.n + 1);
  memcpy(world.sum, world.expected_sum, (g.n + 1) * sizeof *world.sum);
  g.c = world.c + 1, loops.c = world.expected + 1;
  if (g.sum) g.sum = world.sum + 1, loops.sum = world.expected_sum + 1;
  px_gemm(isa, &g);
  gemm_by_loops(&loops);
  /* Beyond the result too: what lies between rows stays. */
  const bool same = memcmp(world.c, world.expected, (size + 1) * sizeof *world.c) == 0 &&
                    memcmp(world.sum, world.expected_sum, (g.n + 1) * sizeof *world.sum) == 0;
  if (!same) printf("%zu x %zu x %zu, isa %d\n", g.m, g.n, g.k, (int)isa);
  CU_ASSERT_TRUE(same);
}

/* All transpositions, and all that can be done on the way. */
static void check_gemm_sizes(size_t m, size_t n, size_t k) {
  for (unsigned how = 0; how < 4 * 5; how++) {
    const bool a_turned = how & 1, b_turned = how & 2;
    struct px_gemm g = { .m = m,
                         .n = n,
                         .k = k,
                         .a = world.a + 1,
                         .a_row = a_turned ? 1 : k + how % 3,
                         .a_step = a_turned ? m + how % 3 : 1,
                         .b = world.b + 1,
                         .b_step = b_turned ? 1 : n + how % 2,
                         .b_col = b_turned ? k + how % 2 : 1,
                         .c_row = n + how % 4 };
    if (how / 4 == 1) g.beta = 1;
    else if (how / 4 == 2) g.beta = -0.5F;
    else if (how / 4 == 3) g.bias = world.bias + 1, g.relu = true;
    else if (how / 4 == 4)
      g.behind = world.behind + 1, g.behind_row = n + how % 3, g.scale = 1.25F, g.sum = world.sum;
    for (enum px_gemm_isa isa = PX_GEMM_AVX2; isa <= px_gemm_best(); isa++) check_gemm(g, isa);
  }
}

static void own_products_are_chains_of_fused_multiply_adds_on_every_instruction_set(void) {
  if (px_gemm_best() == PX_GEMM_NONE) {
    printf("SKIP own products: this processor has no AVX2\n");
    return;
  }
  static const size_t large[][3] = { { 29, 64, 256 }, { 43, 33, 257 },  { 15, 515, 300 },
                                     { 70, 14, 512 }, { 31, 97, 640 },  { 64, 3, 521 },
                                     { 1, 512, 64 },  { 512, 7, 64 },   { 28, 256, 1 },
                                     { 6, 48, 0 },    { 460, 40, 290 }, { 226, 259, 581 } };
  static const size_t primes[] = { 2,  3,  5,  7,  11, 13, 17, 19, 23, 29,
                                   31, 37, 41, 43, 47, 53, 59, 61, 67 };
  enum { N = sizeof primes / sizeof *primes };
  struct px_rng rng = px_rng_at(11, 12, 0);
  float **arrays[] = { &world.a, &world.b, &world.c, &world.expected, &world.behind };
  for (size_t i = 0; i < 5; i++) *arrays[i] = normals(&rng, (size_t)GEMM_MAX * GEMM_ROW);
  world.sum = normals(&rng, GEMM_ROW), world.expected_sum = normals(&rng, GEMM_ROW),
  world.bias = normals(&rng, GEMM_ROW);
  for (size_t i = 1; i <= 70; i++) {
    check_gemm_sizes(i, 71 - i, primes[i % N]);
    check_gemm_sizes(primes[i % N], i, primes[i * 7 % N]);
    check_gemm_sizes(primes[i * 5 % N], primes[i * 3 % N], i);
  }
  for (size_t i = 0; i < sizeof large / sizeof *large; i++)
    check_gemm_sizes(large[i][0], large[i][1], large[i][2]);
  for (size_t i = 0; i < 5; i++) free(*arrays[i]);
  free(world.sum), free(world.expected_sum), free(world.bias);
}

CU_MAIN("gemm", T(own_products_are_chains_of_fused_multiply_adds_on_every_instruction_set))
