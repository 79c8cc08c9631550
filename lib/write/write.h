/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a dataset out for other programs, segment by segment, so that memory
 * stays bounded. Used by the export job. Upload order is kept.
 *
 * Which action a step carries: `true` the uploaded one; `proxy` the label set's,
 * also where the true one is known; `both` the true one, or else the proxy.
 * action_source says which it is (0 absent, 1 true, 2 proxy, 3 proxy from a simulator). How certain
 * a proxy action is (0 where there is none; discrete actions: labels.h):
 *   action_std        [N, A] standard deviation of the true action about it, in the action's units:
 *                     the total
 *   action_epistemic  [N, A] the part of it that more labels would take away
 *   action_score      [N] the mean of action_std over dims, each in halves of its range: small is
 *                     certain
 *   action_residual   [N] how far the simulator's best step ended from the next state (labels.h); 0
 *                     without a simulator
 *   action_verified   [N] u8: 1 where that is within the label job's threshold, so the label is the
 *                     simulator's and certified
 * Where the source is 0 the action is 0 (null in JSON lines). Where a trajectory has no rewards
 * they are NaN, null or empty; where none has any, arrays leave them out.
 * Discrete actions are class indices, int64 [N]; a number per step in JSON lines.
 *
 *   hdf5   D4RL's flat layout, packed with gzip and shuffle: observations, actions, rewards,
 *          terminals, timeouts, next_observations; and action_source u8, action_std,
 *          action_epistemic, action_score, action_residual, action_verified u8, next_known u8
 *   npz    the same arrays, stored (not compressed)
 *   jsonl  one trajectory a line: {"observations": [T + f], "rewards", "actions", "action_source",
 *          "action_std", "action_epistemic", "action_score", "action_residual", "action_verified"
 *          (null unless proxy; the last two are there where a simulator took part), "terminated",
 *          "truncated"}; has_final is said by the number of observations
 *   csv    a step a row: episode, step, obs_<i>, act_<j>, reward, terminated, truncated,
 *          action_source, action_std_<j>, action_epistemic_<j>, action_score, action_residual,
 *          action_verified; empty where there is none; a row of its own for the final state
 *   lerobot  a tar of a LeRobot folder, version 3.0, Parquet packed with zstd: observation.state,
 *          action (null where there is none), action.source, action.score, action.std,
 *          action.epistemic, action.residual, action.verified (null unless proxy), next.reward,
 *          next.done, next.terminated, next.truncated, next.observation.state (null but at a last
 *          frame whose next state is known), timestamp and the indices. A frame is a second long,
 *          as no clock is kept.
 *   safetensors  the layout of segment.h for the whole dataset, and action_source, action_std,
 *                action_epistemic,
 *          action_score, action_residual, action_verified; labelled and label_mask say where there
 *          is an action, whatever its source
 *
 * D4RL has no way to say that a final next state is unknown: next_observations
 * then repeats the state itself, next_known is 0 at that step (1 at all others),
 * and timeouts is 1 unless the episode terminated. A reader that knows
 * next_known gets the same trajectories back; others see a step that stays.
 * Our own readers take only actions with action_source 1 for true: proxies that
 * come back by an upload do not turn into truth. Equal content and
 * facts (px_write_about) give equal bytes.
 */
#ifndef PX_WRITE_WRITE_H
#define PX_WRITE_WRITE_H

#include "lib/base/fail.h"
#include "lib/base/subprocess.h"
#include "lib/data/spaces.h"

/* schema/exports.def */
enum px_write_format {
#define PX_EXPORT(NAME, ...) PX_WRITE_##NAME,
#include "schema/exports.def"
#undef PX_EXPORT
  PX_WRITE_FORMAT_N
};
enum px_write_which { PX_WRITE_TRUE, PX_WRITE_PROXY, PX_WRITE_BOTH, PX_WRITE_WHICH_N };
/* "hdf5" ... and "true" ...; BAD_FIELD for another word. */
enum px_status px_write_format_parse(const char *word, enum px_write_format *out,
                                     struct px_err *err) PX_MUST_CHECK;
enum px_status px_write_which_parse(const char *word, enum px_write_which *out,
                                    struct px_err *err) PX_MUST_CHECK;
const char *px_write_which_name(enum px_write_which which);
const char *px_write_media_type(enum px_write_format format);
/* What the file takes at most while it is made, as a multiple of the segments' bytes. */
uint32_t px_write_size_factor(enum px_write_format format);
const char *px_write_suffix(enum px_write_format format); /* ".hdf5" ... */

struct px_write;
/* Creates `path`, replacing what is there; unnamed temporary files live in the
 * same directory and take up to the size of the result. */
enum px_status px_write_new(enum px_write_format format, enum px_write_which which,
                            const struct px_spaces *spaces, const char *path, struct px_write **out,
                            struct px_err *err) PX_MUST_CHECK;
/* What the file says of itself; all borrowed until px_write_end. HDF5 has attributes of its root,
 * safetensors metadata, npz a member `metadata` (bytes of a JSON object), LeRobot's info.json a
 * member `proxact`. JSON lines and CSV have no place for it. */
struct px_write_fact {
  const char *name, *value; /* of at most 31 and PX_WRITE_FACT_BYTES bytes */
};
enum { PX_WRITE_FACTS_MAX = 16, PX_WRITE_FACT_BYTES = 32 << 10 };
void px_write_about(struct px_write *e, const struct px_write_fact *facts, size_t n);
/* Before the first segment: none of them has rewards, so the array is left out. */
void px_write_without_rewards(struct px_write *e);
/* Appends one dataset segment; labels may be NULL (nothing is labelled by proxy). */
enum px_status px_write_segment(struct px_write *e, const void *bytes, size_t n, const void *labels,
                                size_t labels_n, struct px_err *err) PX_MUST_CHECK;
/* Completes and syncs the file. BAD_DATA if there was no segment. */
enum px_status px_write_end(struct px_write *e, struct px_err *err) PX_MUST_CHECK;
/* Removes the file unless it was ended. */
void px_write_free(struct px_write *e);

/* For px_subprocess_main of a program that exports. */
extern const struct px_subprocess_kind px_write_hdf5_helper;

#endif
