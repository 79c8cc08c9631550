/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upload format `safetensors`: the tensors of a segment (segment.h), of any
 * size, in one file; untrusted. More lenient than a segment, for files written
 * by hand in Python:
 *
 *   numbers     of any type that safetensors.h knows; length of integers; flags are 0 or 1
 *   rewards     [sum T] or [sum T, 1], and so are actions of one number. Integers as actions: see
 *               read.h
 *   truncated   may be absent: then what did not terminate was truncated
 *   has_final   may be absent when observations has sum T or sum T + n rows
 *   labelled    may be absent: all, if there are actions; with label_mask alone the mask decides
 *   names       may be others of names.def
 *   label_mask  without it and action_source an action of nothing but
 *               NaN is a step without one
 *   action_source [sum T] u8  if present (as our own export writes it), only steps with 1 (true)
 *                             are labelled
 *
 * Stateless; used by ingest.
 */
#ifndef PX_READ_READ_SAFETENSORS_H
#define PX_READ_READ_SAFETENSORS_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

/* Streams the trajectories of a file in memory (mapped, say) to `sink`, one at
 * a time, with memory for one trajectory. Errors name trajectory, step and field. */
enum px_status px_read_safetensors_bytes(const void *bytes, size_t n,
                                         const struct px_spaces *spaces,
                                         const struct px_traj_sink *sink,
                                         struct px_err *err) PX_MUST_CHECK;
/* The same for a file, which is mapped. */
enum px_status px_read_safetensors_file(const char *path, const struct px_spaces *spaces,
                                        const struct px_traj_sink *sink,
                                        struct px_err *err) PX_MUST_CHECK;

#endif
