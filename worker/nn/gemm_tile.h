/*
 * One tile of a product, and the packing of what it reads: included by gemm.c
 * once for each instruction set, with
 *   TILE(name)  the name for that set
 *   LANES       floats in a register
 *   ROWS        of a tile; a tile has two registers' columns, and its ROWS * 2 sums are registers too
 * Vectors are gcc's; multiply-adds are fused (see the Makefile).
 */

typedef float TILE(vec) __attribute__((vector_size(4 * LANES)));
typedef float TILE(vec_anywhere) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef int32_t TILE(mask) __attribute__((vector_size(4 * LANES)));

PX_INLINE TILE(vec) TILE(load)(const float *at) { return *(const TILE(vec_anywhere) *)at; }
PX_INLINE void TILE(store)(float *at, TILE(vec) x) { *(TILE(vec_anywhere) *)at = x; }
/* x where the mask's bits are set, elsewhere 0. */
PX_INLINE TILE(vec) TILE(where)(TILE(mask) mask, TILE(vec) x) { return (TILE(vec))(mask & (TILE(mask))x); }

#define EACH_SUM \
  _Pragma("GCC unroll 16") for (size_t r = 0; r < rows; r++) \
  _Pragma("GCC unroll 2") for (size_t v = 0; v < 2; v++)

/* `rows` is a constant in each call, or the sums would not be registers. */
PX_INLINE void TILE(sums)(size_t rows, bool fetch, const struct tile *t) {
  const TILE(vec) zero = { 0 };
  TILE(vec) s[ROWS][2];
  if (t->bias) EACH_SUM s[r][v] = TILE(load)(t->bias + v * LANES);
  else if (t->keep != 0) EACH_SUM s[r][v] = t->keep * TILE(load)(t->c + r * t->c_row + v * LANES);
  else EACH_SUM s[r][v] = zero;
  const size_t a_row = t->a_row, a_step = t->a_step;
  const float *a = t->a, *b = t->b;
  struct ahead ahead = t->ahead;
  for (size_t l = t->k; l > 0; l--, a += a_step, b += 2 * LANES) {
    const TILE(vec) left = TILE(load)(b), right = TILE(load)(b + LANES);
    if (fetch) {
      __builtin_prefetch(ahead.at);
      ahead.at += l % LINE != 1 ? ahead.step : ahead.turn;
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
      const TILE(vec) x = a[r * a_row] - zero; /* in all lanes; adding zero would change -0 */
      s[r][0] = x * left + s[r][0];
      s[r][1] = x * right + s[r][1];
    }
  }
  if (t->relu) EACH_SUM s[r][v] = TILE(where)(~(s[r][v] < zero), s[r][v]); /* keeps a NaN, which training looks for */
  if (t->behind) EACH_SUM
    s[r][v] = TILE(where)(TILE(load)(t->behind + r * t->behind_row + v * LANES) > zero, t->scale * s[r][v]);
  EACH_SUM TILE(store)(t->c + r * t->c_row + v * LANES, s[r][v]);
  if (!t->sum) return;
  TILE(vec) down[2] = { TILE(load)(t->sum), TILE(load)(t->sum + LANES) };
  EACH_SUM down[v] += s[r][v];
  TILE(store)(t->sum, down[0]);
  TILE(store)(t->sum + LANES, down[1]);
}
#undef EACH_SUM

#define CASE(n) \
  case n: \
    if (n > ROWS) break; \
    if (t->ahead.at) TILE(sums)(n <= ROWS ? n : 1, true, t); \
    else TILE(sums)(n <= ROWS ? n : 1, false, t); \
    break;

static void TILE(run)(size_t rows, const struct tile *t) {
  switch (rows) {
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
  }
}
#undef CASE

typedef float TILE(eight) __attribute__((vector_size(32)));
typedef float TILE(eight_anywhere) __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t TILE(order) __attribute__((vector_size(32)));

/* Lane l of the result is lane order[l] of a and b, one behind the other. */
PX_INLINE TILE(eight) TILE(mix)(TILE(eight) a, TILE(eight) b, TILE(order) order) {
#ifdef __clang__
  TILE(eight) mixed;
  for (int l = 0; l < 8; l++) mixed[l] = order[l] < 8 ? a[order[l]] : b[order[l] - 8];
  return mixed;
#else
  return __builtin_shuffle(a, b, order);
#endif
}

/* out[l][j] = in[j][l], 8 x 8: halves are exchanged, then quarters, then neighbours. */
PX_INLINE void TILE(turn)(const float *in, size_t in_row, float *out, size_t out_row) {
  const TILE(order) low4 = { 0, 1, 2, 3, 8, 9, 10, 11 }, high4 = { 4, 5, 6, 7, 12, 13, 14, 15 };
  const TILE(order) low2 = { 0, 1, 8, 9, 4, 5, 12, 13 }, high2 = { 2, 3, 10, 11, 6, 7, 14, 15 };
  const TILE(order) low1 = { 0, 8, 2, 10, 4, 12, 6, 14 }, high1 = { 1, 9, 3, 11, 5, 13, 7, 15 };
  TILE(eight) x[8], y[8];
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; i++) x[i] = *(const TILE(eight_anywhere) *)(in + i * in_row);
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; i++)
    y[i] = i & 4 ? TILE(mix)(x[i - 4], x[i], high4) : TILE(mix)(x[i], x[i + 4], low4);
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; i++)
    x[i] = i & 2 ? TILE(mix)(y[i - 2], y[i], high2) : TILE(mix)(y[i], y[i + 2], low2);
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; i++) {
    const TILE(eight) z = i & 1 ? TILE(mix)(x[i - 1], x[i], high1) : TILE(mix)(x[i], x[i + 1], low1);
    *(TILE(eight_anywhere) *)(out + i * out_row) = z;
  }
}

/* out[k][2 * LANES] = in[width][k]^T. What is no multiple of eight is done by a block that begins earlier. */
static void TILE(pack_turned)(size_t width, size_t k, const float *in, size_t in_row, float *out) {
  if (width < 8 || k < 8) {
    for (size_t l = 0; l < k; l++)
      for (size_t j = 0; j < width; j++) out[l * 2 * LANES + j] = in[j * in_row + l];
    return;
  }
  for (size_t j = 0; j < width; j += 8) {
    const size_t jj = j + 8 <= width ? j : width - 8;
    for (size_t l = 0; l < k; l += 8) {
      const size_t ll = l + 8 <= k ? l : k - 8;
      for (size_t i = 0; i < 8; i++) __builtin_prefetch(in + (jj + 8 + i) * in_row + ll); /* what comes next */
      TILE(turn)(in + jj * in_row + ll, in_row, out + ll * 2 * LANES + jj, 2 * LANES);
    }
  }
}

/* out[k][2 * LANES] = in[k][width]. */
static void TILE(pack_straight)(size_t width, size_t k, const float *in, size_t in_row, float *out) {
  for (size_t l = 0; l < k; l++, in += in_row, out += 2 * LANES) {
    if (width < 2 * LANES) {
      memcpy(out, in, width * sizeof *out);
      continue;
    }
    __builtin_prefetch(in + 2 * LANES); /* what comes next */
    __builtin_prefetch(in + 3 * LANES);
    TILE(store)(out, TILE(load)(in));
    TILE(store)(out + LANES, TILE(load)(in + LANES));
  }
}

static const struct kernel TILE(kernel) = { ROWS, 2 * LANES, TILE(run), TILE(pack_turned), TILE(pack_straight) };
