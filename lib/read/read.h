/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading uploads: one entry for every format, used by the server's ingest.
 *
 * The file is untrusted. It is parsed in a locked-down helper process (sandbox.h),
 * so main() of a program that reads must begin with px_subprocess_main. Trajectories come to the
 * sink one by one, in the order of the file; memory is bounded by one trajectory. Nothing here is
 * shared between threads: any number may read at the same time.
 *
 * Arrays are called here by their first name; names.def has others, which all readers take.
 *
 *   hdf5   D4RL: observations [N,O], rewards [N] or [N,1], terminals [N]; may have actions [N,A],
 *          timeouts [N], next_observations [N,O], action_mask [N] (1: labelled), action_source [N]
 *          (1: true, so labelled; 2, 3: proxies) and next_known [N] (0: that next observation is
 *          not real). Other members are ignored. A trajectory also ends, truncated, where a next
 *          observation is not the following row; a file where nearly all are so is refused. dones
 *          [N] ends trajectories too; without terminals, those that timeouts does not flag
 *          terminated.
 *          OGBench: qpos, qvel and, of the ends, terminals alone, which flags the row of the state
 *          after the last action.
 *          d3rlpy 1: as D4RL, and episode_terminals [N] flags every end; those not in terminals
 *          were truncated.
 *          Minari: episode_<i>/{observations [T+1,O], actions, rewards, terminations, truncations}
 *          robomimic: data/demo_<i>/{obs/<key>, next_obs/<key>, actions, rewards, dones}; options
 *          name one of its splits.
 *          d3rlpy 2: observations_<i>, actions_<i>, rewards_<i>, terminated_<i>
 *          The last three may have action_mask beside their actions: episode_<i>/action_mask,
 *          action_mask_<i>. Observations and actions in a group of several arrays (Dict, Tuple) are
 *          laid side by side: the keys asked for in that order, or all in sorted order. Numbered
 *          episodes are ordered by number.
 *   npz    the members of D4RL, with or without .npy version 2 headers, zip64, Fortran order, big
 *          endian
 *   jsonl  a trajectory a line: {"observations": [[..]..], "rewards": [..], "actions": [[..] or
 *          null..] or null, "terminated": bool, "truncated": bool}, or a flag for each step;
 *          observations has one row per reward, or one more (the final state)
 *   csv    a step a row, in columns that the header names: obs_0 .., reward, and act_0 .., episode,
 *          step, terminated, truncated or done, action_mask, action_source. An action whose cells
 *          are empty or NaN is unknown. A last row with an observation alone is the final state.
 *          Without episode a trajectory ends at a flag, or where step does not grow.
 *   safetensors  see read_safetensors.h
 *   lerobot  a tar or zip of a LeRobot folder, of version 2.0, 2.1 or 3.0: the observations are the
 *            features observation.* that are rows of numbers, side by side in the order of
 *            meta/info.json (or the keys asked for); action, next.reward, next.done,
 *            next.truncated. A frame whose action is null has none. Videos and images are left out.
 *            Parquet as in parquet.h.
 *
 * HDF5 may be packed with gzip, szip, scale-offset, shuffle and fletcher32, and with lzf where its
 * plugin is (h5.h). In arrays an action of nothing but NaN is a step without one, unless
 * action_mask or action_source says it has one. Numbers may be float16/32/64, in safetensors
 * bfloat16, or integers of 8 to 64 bits, and become float32. A column that would become a staircase
 * is refused by name, one that would become constant is noted (precision.h).
 * Discrete actions are [N] or [N,1] of any of these, in jsonl a number (or a list of one) for each
 * step. Integers for actions that are continuous with the usual range are refused: they may well be
 * classes nobody declared.
 */
#ifndef PX_READ_READ_H
#define PX_READ_READ_H

#include "lib/base/fail.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"

/* schema/uploads.def */
enum px_read_format {
#define PX_UPLOAD(NAME, ...) PX_FORMAT_##NAME,
#include "schema/uploads.def"
#undef PX_UPLOAD
  PX_FORMAT_N
};

/* "application/x-hdf5; charset=binary" ...; UNSUPPORTED_MEDIA for another type. Parameters and case
 * do not matter. */
enum px_status px_read_format_from_media_type(const char *type, enum px_read_format *out,
                                              struct px_err *err) PX_MUST_CHECK;
/* By a file name's ending or the bare word; UNSUPPORTED_MEDIA otherwise. */
enum px_status px_read_format_from_name(const char *name, enum px_read_format *out,
                                        struct px_err *err) PX_MUST_CHECK;
const char *px_read_format_name(enum px_read_format format); /* "hdf5" ... */
/* "application/x-hdf5" ... */
const char *px_read_format_media_type(enum px_read_format format);
/* Whether obs_keys mean something for it: its observations are several arrays. */
bool px_read_takes_keys(enum px_read_format format);
/* Whether a file of the format may have splits. */
bool px_read_takes_split(enum px_read_format format);
/* All media types, "application/x-hdf5, ...", for messages. */
enum { PX_READ_TYPES_MAX = 512 };
void px_read_media_types(char out[PX_READ_TYPES_MAX]);

enum {
  PX_READ_KEYS_MAX = 32,
  PX_READ_KEY_BYTES = 64,
  PX_READ_NOTES_MAX = 8,
  PX_READ_NOTE_BYTES = 256
};

/* All zero is the default. */
struct px_read_options {
  bool ignore_actions; /* take every step as unlabelled; actions are not even read */
  /* Dict observations: which keys, in this order; 0: all, sorted */
  uint32_t obs_keys_n;
  char obs_keys[PX_READ_KEYS_MAX][PX_READ_KEY_BYTES];
  char split[PX_READ_KEY_BYTES]; /* robomimic: only what mask/<split> lists; "" for all */
  uint64_t max_logical_bytes;    /* of all arrays that are read, unpacked; 0: 10 GiB */
  uint32_t max_ratio;            /* of those to the file's size, above 10 MB; 0: 100 */
  uint32_t max_cpu_s;            /* of the helper; 0: 20 and one more for each MiB of the file */
  uint32_t max_idle_s;           /* the helper may be silent so long; 0: 60 */
};

struct px_read_report {
  /* "d4rl", "ogbench", "minari", "robomimic", "d3rlpy", "npz", "jsonl", "csv", "safetensors",
   * "lerobot" */
  char layout[32];
  uint64_t trajectories_n, steps_n, labelled_n;
  uint32_t notes_n; /* what the reader decided and a person should know */
  char notes[PX_READ_NOTES_MAX][PX_READ_NOTE_BYTES];
};

/* Reads the regular file `fd` (borrowed; its position does not matter) and puts
 * every trajectory, checked with px_traj_check, into the sink. `name` is what
 * errors call the file. `options` may be NULL. BAD_DATA names the trajectory,
 * step and field in err->pointer; TOO_LARGE a limit; what the sink returned is
 * passed on. After a failure the sink has seen some trajectories: drop them. */
enum px_status px_read_file(int fd, enum px_read_format format, const char *name,
                            const struct px_read_options *options, const struct px_spaces *spaces,
                            const struct px_traj_sink *sink, struct px_read_report *report,
                            struct px_err *err) PX_MUST_CHECK;

#endif
