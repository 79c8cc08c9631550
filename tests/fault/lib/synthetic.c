/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up trajectories: see synthetic.h. */
#include "tests/fault/lib/synthetic.h"

#include "lib/base/buf.h"
#include "lib/base/rng.h"

enum { STEPS = 30, O = MADE_UP_O, A = MADE_UP_A };

static bool put_row(struct px_buf *out, const float *x, int n, const char *after) {
  bool ok = px_buf_puts(out, "[") == PX_OK;
  for (int i = 0; i < n && ok; i++)
    ok = px_buf_fmt(out, "%s%.5f", i ? "," : "", (double)x[i]) == PX_OK;
  return ok && px_buf_fmt(out, "]%s", after) == PX_OK;
}

/* Upright and nearly at rest, as a hopper begins; the state follows the action. */
static bool put_trajectory(struct px_buf *out, struct px_rng *rng, bool labelled) {
  float obs[(STEPS + 1) * O], act[STEPS * A];
  for (int i = 0; i < O; i++) obs[i] = 0.1f * px_rng_float(rng) + (i == 0 ? 1.2f : 0);
  for (int t = 0; t < STEPS; t++) {
    for (int j = 0; j < A; j++) act[t * A + j] = 1.8f * px_rng_float(rng) - 0.9f;
    for (int i = 0; i < O; i++)
      obs[(t + 1) * O + i] =
        0.9f * obs[t * O + i] + 0.2f * act[t * A + i % A] + 0.01f * px_rng_float(rng);
  }
  bool ok = px_buf_puts(out, "{\"observations\":[") == PX_OK;
  for (int t = 0; t <= STEPS && ok; t++) ok = put_row(out, obs + t * O, O, t < STEPS ? "," : "]");
  ok = ok && px_buf_puts(out, ",\"rewards\":[") == PX_OK;
  for (int t = 0; t < STEPS && ok; t++)
    ok = px_buf_fmt(out, "%s%.5f", t ? "," : "", (double)px_rng_float(rng)) == PX_OK;
  ok = ok && px_buf_puts(out, labelled ? "],\"actions\":[" : "],\"actions\":null") == PX_OK;
  for (int t = 0; t < STEPS && ok && labelled; t++)
    ok = put_row(out, act + t * A, A, t + 1 < STEPS ? "," : "]");
  return ok && px_buf_puts(out, ",\"terminated\":false,\"truncated\":true}\n") == PX_OK;
}

bool synthetic_part(int variant, int part, bool labelled, struct px_buf *out) {
  struct px_rng rng = px_rng_at((uint64_t)variant, px_rng_stream("part", (uint64_t)part), 0);
  bool ok = true;
  for (int i = 0; i < MADE_UP_TRAJECTORIES && ok; i++) ok = put_trajectory(out, &rng, labelled);
  return ok;
}
