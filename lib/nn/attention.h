/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Causal multi-head attention (Vaswani et al. 2017, arXiv 1706.03762) over
 * sequences of different lengths that lie one after another: nothing is padded.
 * Used by the transformer. Nothing is owned; thread safe.
 *
 *   out_i = sum_{j <= i} p_ij v_j,  p_i = softmax_j(q_i k_j / sqrt(head width))
 *
 * for each head, which has its own columns of q, k and v. Only some tokens need
 * ask: those whose output is wanted.
 *
 * The products are small (some sixty tokens), so they are computed here, by
 * blocks of four rows and as far as a row may look; a library would spend half
 * of its work beyond that and as much again on its calls.
 */
#ifndef PX_NN_ATTENTION_H
#define PX_NN_ATTENTION_H

#include <stdint.h>

#include "lib/nn/dropout.h"

/* Sequences: tokens start[i] .. start[i + 1] - 1 are the i-th's. Tokens ask[r], in ascending order,
 * are those whose output is wanted; ask NULL: all of them, and asks_n is start[n]. */
struct px_sequences {
  uint32_t n;
  const uint32_t *start; /* [n + 1] */
  uint32_t asks_n;
  const uint32_t *ask; /* [asks_n] */
};

/* width = heads * a multiple of PX_LANES. */
struct px_attention {
  uint32_t width, heads, tokens_max;
};

/* Numbers that one head's probabilities of one asking token take: tokens_max, rounded up to whole
 * vectors. */
uint32_t px_attention_stride(const struct px_attention *shape);
/* Floats of scratch that both passes need. */
size_t px_attention_scratch_n(const struct px_attention *shape);

/* q [asks_n, width]; kv [tokens, 2 width]: k, then v -> out [asks_n, width]. probs [heads, asks_n,
 * stride] is kept for the backward pass. drop (NULL: none) acts on probabilities: row row0 + token,
 * unit head * stride + the token seen. */
void px_attention_forward(const struct px_attention *shape, const struct px_sequences *seqs,
                          const float *q, const float *kv, const struct px_dropout *drop,
                          uint32_t row0, float *scratch, float *probs, float *out);
/* From dout = dL/dout: dq and dkv, shaped like q and kv, are written. */
void px_attention_backward(const struct px_attention *shape, const struct px_sequences *seqs,
                           const float *q, const float *kv, const struct px_dropout *drop,
                           const float *probs, const float *dout, float *scratch, float *dq,
                           float *dkv);

#endif
