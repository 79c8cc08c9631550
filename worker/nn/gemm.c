/* Products: see gemm.h. A panel of B, as wide as a tile, is packed and stays in the first cache while all rows of A
 * pass by. */
#include "worker/nn/gemm.h"

#ifdef __x86_64__

#include <stdint.h>
#include <string.h>

#include "worker/nn/simd.h"

/* DEPTH rows of a panel are multiplied at a time: 32 KiB. */
enum { DEPTH = 256, ROWS_MAX = 14, COLS_MAX = 32 };

/* C(rows, a kernel's columns) = sum over k of A B. */
struct tile {
  size_t k;
  const float *a; size_t a_row, a_step;
  const float *b; /* packed: [k, columns] */
  float *c; size_t c_row;
  float keep;
  const float *bias;
  bool relu;
  const float *behind; size_t behind_row; float scale;
  float *sum;
};

struct kernel {
  size_t rows, cols;
  void (*run)(size_t rows, const struct tile *t); /* 1 <= rows <= the kernel's */
  void (*pack_turned)(size_t width, size_t k, const float *in, size_t in_row, float *out);
  void (*pack_straight)(size_t width, size_t k, const float *in, size_t in_row, float *out);
};

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
#define TILE(name) wide_##name
#define LANES 16
#define ROWS 14
#include "worker/nn/gemm_tile.h"
#undef TILE
#undef LANES
#undef ROWS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define TILE(name) narrow_##name
#define LANES 8
#define ROWS 6
#include "worker/nn/gemm_tile.h"
#pragma GCC pop_options

enum px_gemm_isa px_gemm_best(void) {
  if (__builtin_cpu_supports("x86-64-v4")) return PX_GEMM_AVX512;
  return __builtin_cpu_supports("x86-64-v3") ? PX_GEMM_AVX2 : PX_GEMM_NONE;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void copy_rows(size_t rows, size_t width, const float *from, size_t from_row, float *to, size_t to_row) {
  for (size_t r = 0; r < rows; r++) memcpy(to + r * to_row, from + r * from_row, width * sizeof *to);
}

/* A tile with fewer columns than registers have: it works on copies. */
static void run_narrow(const struct kernel *kernel, size_t rows, size_t width, struct tile t) {
  float c[ROWS_MAX * COLS_MAX] = { 0 }, behind[ROWS_MAX * COLS_MAX] = { 0 }, bias[COLS_MAX] = { 0 }, sum[COLS_MAX] = { 0 };
  const struct tile was = t;
  const size_t size = width * sizeof *c;
  t.c = c, t.c_row = kernel->cols;
  if (t.keep != 0) copy_rows(rows, width, was.c, was.c_row, c, t.c_row);
  if (t.behind) {
    copy_rows(rows, width, was.behind, was.behind_row, behind, t.c_row);
    t.behind = behind, t.behind_row = t.c_row;
  }
  if (t.bias) t.bias = memcpy(bias, was.bias, size);
  if (t.sum) t.sum = memcpy(sum, was.sum, size);
  kernel->run(rows, &t);
  copy_rows(rows, width, c, t.c_row, was.c, was.c_row);
  if (was.sum) memcpy(was.sum, sum, size);
}

/* A panel's place in B. */
struct panel { size_t l, k, j, n; };

static void pack(const struct kernel *kernel, const struct px_gemm *g, struct panel at, float *packed) {
  const float *from = g->b + at.l * g->b_step + at.j * g->b_col;
  if (at.n < kernel->cols) memset(packed, 0, kernel->cols * at.k * sizeof *packed);
  if (g->b_col == 1) kernel->pack_straight(at.n, at.k, from, g->b_step, packed);
  else kernel->pack_turned(at.n, at.k, from, g->b_col, packed);
}

/* C's columns of the panel (+)= A's columns of it times the panel. Tiles differ by one row at most. */
static void multiply(const struct kernel *kernel, const struct px_gemm *g, struct panel at, const float *packed) {
  const bool first = at.l == 0, last = at.l + at.k == g->k;
  struct tile t = { .k = at.k, .a_row = g->a_row, .a_step = g->a_step, .b = packed, .c_row = g->c_row,
                    .keep = first ? g->beta : 1, .bias = first && g->bias ? g->bias + at.j : NULL,
                    .relu = last && g->relu, .behind_row = g->behind_row, .scale = g->scale,
                    .sum = last && g->sum ? g->sum + at.j : NULL };
  size_t i = 0;
  for (size_t tiles = (g->m + kernel->rows - 1) / kernel->rows; tiles > 0; tiles--) {
    const size_t rows = (g->m - i) / tiles;
    t.a = g->a + i * g->a_row + at.l * g->a_step;
    t.c = g->c + i * g->c_row + at.j;
    t.behind = last && g->behind ? g->behind + i * g->behind_row + at.j : NULL;
    if (at.n == kernel->cols) kernel->run(rows, &t);
    else run_narrow(kernel, rows, at.n, t);
    i += rows;
  }
}

static void product(const struct kernel *kernel, const struct px_gemm *g) {
  float packed[DEPTH * COLS_MAX] __attribute__((aligned(64)));
  struct panel at = { 0 };
  for (at.j = 0; at.j < g->n; at.j += at.n) {
    at.n = least(kernel->cols, g->n - at.j);
    at.l = 0;
    do {
      at.k = least(DEPTH, g->k - at.l);
      pack(kernel, g, at, packed);
      multiply(kernel, g, at, packed);
      at.l += at.k;
    } while (at.l < g->k);
  }
}

/* C^T = B^T A^T, a kernel's columns of A at a time, for a C that is narrower: its few columns are the tile's rows. */
static void product_turned(const struct kernel *kernel, const struct px_gemm *g) {
  float c[COLS_MAX * COLS_MAX];
  struct px_gemm turned = { .m = g->n, .k = g->k, .a = g->b, .a_row = 1, .a_step = g->b_step, .b_step = g->a_step,
                            .b_col = 1, .c = c, .c_row = COLS_MAX, .beta = g->beta };
  for (size_t i = 0; i < g->m; i += turned.n) {
    turned.n = least(kernel->cols, g->m - i);
    turned.b = g->a + i;
    for (size_t r = 0; r < turned.n && g->beta != 0; r++)
      for (size_t j = 0; j < g->n; j++) c[j * COLS_MAX + r] = g->c[(i + r) * g->c_row + j];
    product(kernel, &turned);
    for (size_t r = 0; r < turned.n; r++)
      for (size_t j = 0; j < g->n; j++) g->c[(i + r) * g->c_row + j] = c[j * COLS_MAX + r];
  }
}

void px_gemm(enum px_gemm_isa isa, const struct px_gemm *g) {
  const struct kernel *kernel = isa == PX_GEMM_AVX512 ? &wide_kernel : &narrow_kernel;
  const bool plain = !g->bias && !g->relu && !g->behind && !g->sum;
  if (plain && g->a_row == 1 && g->b_col == 1 && g->n < kernel->cols && g->m > g->n) product_turned(kernel, g);
  else product(kernel, g);
}

#else

enum px_gemm_isa px_gemm_best(void) { return PX_GEMM_NONE; }
void px_gemm(enum px_gemm_isa isa, const struct px_gemm *g) { (void)isa, (void)g; }

#endif
