/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as ONNX: from the safetensors files that jobs publish, one file that any ONNX runtime acts
 * with. What it is given are observations as in the dataset, and what it gives are actions in the
 * dataset's units: normalisation, clipping and scaling are in the graph. Used by the server's
 * downloads. Nothing is owned; thread safe.
 *
 * A policy of kind tanh or argmax:
 *   observations [N, O]  ->  actions [N, A]; discrete: int64 [N], the class index
 *
 * A policy of kind transformer acts on the last T steps of N episodes, T up to its context and
 * alike for all N, as clients/python does:
 *   returns_to_go [N, T] in the rewards' units, observations [N, T, O], past_actions [N, T, A] in
 *   the dataset's units (discrete: int64 [N, T]), timesteps int64 [N, T] from an episode's 0 on
 *                       ->  actions, the newest step's: [N, A]; discrete: int64 [N]
 * The newest step's action is what is asked for: its row of past_actions is not looked at. An
 * action that is not known is NaN; discrete: -1.
 *
 * Inverse dynamics models, the members of one ensemble:
 *   observations [N, W, O]: s_{t-k} .. s_{t+1+f}, so W = k + 2 + f. A state before the episode's
 *   start, or after its last one, is NaN; s_t and s_{t+1} must be known.
 *                       ->  actions [N, A]; action_std [N, A], the total, and action_epistemic
 *                           [N, A], as in exports (write.h). Discrete: actions int64 [N], the
 *                           others [N], as in lib/data/labels.h
 *
 * Float32, but for what is said. The file's metadata are the model's metadata_props.
 */
#ifndef PX_ONNX_ONNX_H
#define PX_ONNX_ONNX_H

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/data/safetensors.h"

/* Of the files that one is made of, together; it is then about as large itself. */
#define PX_ONNX_BYTES_MAX ((size_t)256 << 20)
enum { PX_ONNX_MEMBERS_MAX = 16 };

/* Appends the ONNX file of one policy, or of an ensemble's members in their order. BAD_DATA for a
 * malformed file; BAD_FIELD at "format" for a model that is not carried over, which is named: nets
 * that invert a simulator, and inverse dynamics models with compat reference. TOO_LARGE over out's
 * maximum. */
enum px_status px_onnx_write(const struct px_safetensors *const *files, uint32_t n,
                             struct px_buf *out, struct px_err *err) PX_MUST_CHECK;

#endif
