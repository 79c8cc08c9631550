/* SPDX-License-Identifier: Apache-2.0 */
/* Products: see gemm.h. A panel of B, as wide as a tile, is packed and stays in the first cache
 * while rows of A pass by. An A too large for the second cache passes by in blocks, each under
 * several panels, and while a tile is computed, what the next one reads is fetched. */
#include "lib/nn/gemm.h"

#ifdef __x86_64__

#include <stdint.h>
#include <string.h>

#include "lib/nn/simd.h"

/* DEPTH rows of a panel are multiplied at a time: 32 KiB. A block is TILES tiles of A's rows, 224
 * KiB, and PANELS panels: 256 KiB. Neither is cut if A has at most UNCUT numbers. */
enum {
  DEPTH = 256,
  TILES = 16,
  PANELS = 8,
  UNCUT = 1 << 17,
  ROWS_MAX = 14,
  COLS_MAX = 32,
  LINE = 16
};

/* Cache lines that the next tile reads, one for each of this tile's k: `step` numbers apart, every
 * 16th time `turn`. NULL: it reads what is near. */
struct ahead {
  const float *at;
  ptrdiff_t step, turn;
};

/* C(rows, a kernel's columns) = sum over k of A B. */
struct tile {
  size_t k;
  const float *a;
  size_t a_row, a_step;
  struct ahead ahead;
  const float *b; /* packed: [k, columns] */
  float *c;
  size_t c_row;
  float keep;
  const float *bias;
  bool relu;
  const float *behind;
  size_t behind_row;
  float scale;
  float *sum;
};

struct kernel {
  size_t rows, cols;
  void (*run)(size_t rows, const struct tile *t); /* 1 <= rows <= the kernel's */
  void (*pack_turned)(size_t width, size_t k, const float *in, size_t in_row, float *out);
  void (*pack_straight)(size_t width, size_t k, const float *in, size_t in_row, float *out);
};

/* Checked, tiles of full height take minutes to compile. Fewer rows give the same bits. clang knows
 * none of these pragmas: it compiles them for the baseline, and they are not used
 * (px_gemm_best). */
#if PX_SANITIZED || defined(__clang__)
#define UP_TO(rows) 3
#else
#define UP_TO(rows) rows
#endif

/* A loop over k that does not begin a cache line of instructions costs some 2%. */
#pragma GCC push_options
#pragma GCC optimize("align-loops=64")
#pragma GCC target("arch=x86-64-v4")
#define TILE(name) wide_##name
#define LANES 16
#define ROWS UP_TO(14)
#include "lib/nn/gemm_tile.inc"
#undef TILE
#undef LANES
#undef ROWS
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC optimize("align-loops=64")
#pragma GCC target("arch=x86-64-v3")
#define TILE(name) narrow_##name
#define LANES 8
#define ROWS UP_TO(6)
#include "lib/nn/gemm_tile.inc"
#pragma GCC pop_options

enum px_gemm_isa px_gemm_best(void) {
#ifdef __clang__
  return PX_GEMM_NONE;
#else
  if (__builtin_cpu_supports("x86-64-v4")) return PX_GEMM_AVX512;
  return __builtin_cpu_supports("x86-64-v3") ? PX_GEMM_AVX2 : PX_GEMM_NONE;
#endif
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void copy_rows(size_t rows, size_t width, const float *from, size_t from_row, float *to,
                      size_t to_row) {
  for (size_t r = 0; r < rows; r++)
    memcpy(to + r * to_row, from + r * from_row, width * sizeof *to);
}

/* A tile with fewer columns than registers have: it works on copies. */
static void run_narrow(const struct kernel *kernel, size_t rows, size_t width, struct tile t) {
  float c[ROWS_MAX * COLS_MAX] = { 0 }, behind[ROWS_MAX * COLS_MAX] = { 0 }, bias[COLS_MAX] = { 0 },
                     sum[COLS_MAX] = { 0 };
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
struct panel {
  size_t l, k, j, n;
};
/* Rows of A, all of them or a block. */
struct block {
  size_t i, m;
};

static const float *begin_of(const struct px_gemm *g, struct panel at) {
  return g->b + at.l * g->b_step + at.j * g->b_col;
}

static void pack(const struct kernel *kernel, const struct px_gemm *g, struct panel at,
                 float *packed) {
  if (at.n < kernel->cols) memset(packed, 0, kernel->cols * at.k * sizeof *packed);
  if (g->b_col == 1) kernel->pack_straight(at.n, at.k, begin_of(g, at), g->b_step, packed);
  else kernel->pack_turned(at.n, at.k, begin_of(g, at), g->b_col, packed);
}

/* Rows of A that lie in lines of their own are fetched for the next tile. If A lies turned,
 * neighbours share lines, and the first tiles fetch the next panel of B. */
static struct ahead ahead_of(const struct kernel *kernel, const struct px_gemm *g,
                             const float *rows, size_t tile, const float *next_panel) {
  const ptrdiff_t row = (ptrdiff_t)g->a_row, step = (ptrdiff_t)g->b_step;
  if (g->a_row != 1) return (struct ahead){ rows, row, LINE - (LINE - 1) * row };
  if (g->b_col == 1 && tile < kernel->cols / LINE)
    return (struct ahead){ next_panel + tile * LINE, step, step };
  return (struct ahead){ NULL, 0, 0 };
}

/* C's rows of the block and columns of the panel (+)= A's times the panel, before `next`, if
 * anything is to be fetched. Tiles differ by one row at most. */
static void multiply(const struct kernel *kernel, const struct px_gemm *g, struct block block,
                     struct panel at, const float *packed, const float *next) {
  const bool first = at.l == 0, last = at.l + at.k == g->k;
  struct tile t = { .k = at.k,
                    .a_row = g->a_row,
                    .a_step = g->a_step,
                    .b = packed,
                    .c_row = g->c_row,
                    .keep = first ? g->beta : 1,
                    .bias = first && g->bias ? g->bias + at.j : NULL,
                    .relu = last && g->relu,
                    .behind_row = g->behind_row,
                    .scale = g->scale,
                    .sum = last && g->sum ? g->sum + at.j : NULL };
  const float *const a = g->a + block.i * g->a_row + at.l * g->a_step;
  const size_t tiles = (block.m + kernel->rows - 1) / kernel->rows;
  size_t done = 0;
  for (size_t tile = 0; tile < tiles; tile++) {
    const size_t rows = (block.m - done) / (tiles - tile), i = block.i + done;
    t.a = a + done * g->a_row;
    done += rows;
    if (next) t.ahead = ahead_of(kernel, g, tile + 1 < tiles ? a + done * g->a_row : a, tile, next);
    t.c = g->c + i * g->c_row + at.j;
    t.behind = last && g->behind ? g->behind + i * g->behind_row + at.j : NULL;
    if (at.n == kernel->cols) kernel->run(rows, &t);
    else run_narrow(kernel, rows, at.n, t);
  }
}

static void product(const struct kernel *kernel, const struct px_gemm *g) {
  float packed[PANELS * DEPTH * COLS_MAX] __attribute__((aligned(64)));
  const bool cut = g->m * g->k > UNCUT;
  const size_t rows = cut ? TILES * kernel->rows : g->m,
               cols = cut ? PANELS * kernel->cols : kernel->cols;
  for (size_t j = 0; j < g->n; j += cols) {
    const size_t end = least(g->n, j + cols);
    size_t l = 0;
    do {
      const size_t k = least(DEPTH, g->k - l);
      for (size_t i = 0; i < g->m; i += rows) {
        /* More blocks will ask for these panels only if there are more: else one place, in the
         * first cache, does. */
        const size_t apart = g->m > rows ? k * kernel->cols : 0;
        float *panel = packed;
        for (struct panel at = { l, k, j, 0 }; at.j < end; at.j += kernel->cols, panel += apart) {
          at.n = least(kernel->cols, end - at.j);
          const bool through = at.j + kernel->cols >= end;
          const struct panel next = { through ? l + k : l, 0, through ? j : at.j + kernel->cols,
                                      0 };
          if (i == 0) pack(kernel, g, at, panel);
          multiply(kernel, g, (struct block){ i, least(rows, g->m - i) }, at, panel,
                   cut ? begin_of(g, next) : NULL);
        }
      }
      l += k;
    } while (l < g->k);
  }
}

/* C^T = B^T A^T, a kernel's columns of A at a time, for a C that is narrower: its few columns are
 * the tile's rows. */
static void product_turned(const struct kernel *kernel, const struct px_gemm *g) {
  float c[COLS_MAX * COLS_MAX];
  struct px_gemm turned = { .m = g->n,
                            .k = g->k,
                            .a = g->b,
                            .a_row = 1,
                            .a_step = g->b_step,
                            .b_step = g->a_step,
                            .b_col = 1,
                            .c = c,
                            .c_row = COLS_MAX,
                            .beta = g->beta };
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
  if (plain && g->a_row == 1 && g->b_col == 1 && g->n < kernel->cols && g->m > g->n)
    product_turned(kernel, g);
  else product(kernel, g);
}

#else

enum px_gemm_isa px_gemm_best(void) { return PX_GEMM_NONE; }
void px_gemm(enum px_gemm_isa isa, const struct px_gemm *g) { (void)isa, (void)g; }

#endif
