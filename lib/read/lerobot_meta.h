/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a LeRobot folder says of itself: meta/info.json and the list of its episodes, of the
 * versions 2.0, 2.1 and 3.0. Inner header of lib/read, for read_lerobot.c. It belongs to one
 * thread.
 * Source: LeRobot's documentation, "LeRobotDataset v3.0" and "Porting datasets from v2.1 to v3.0".
 */
#ifndef PX_READ_LEROBOT_META_H
#define PX_READ_LEROBOT_META_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fail.h"
#include "lib/read/archive.h"
#include "lib/read/reader.h"

enum { PX_LEROBOT_NAME_BYTES = 128, PX_LEROBOT_PATH_BYTES = 512, PX_LEROBOT_OBSERVED_MAX = 64 };

/* A feature of info.json that is read: a column of so many numbers a frame. */
struct px_lerobot_feature {
  char name[PX_LEROBOT_NAME_BYTES];
  uint32_t width; /* 0: there is none */
};

/* Those that go by name; the last three are what an export writes. */
enum px_lerobot_named {
  PX_LEROBOT_ACTION,     /* action */
  PX_LEROBOT_REWARD,     /* next.reward */
  PX_LEROBOT_DONE,       /* next.done */
  PX_LEROBOT_TRUNCATED,  /* next.truncated */
  PX_LEROBOT_TERMINATED, /* next.terminated: what next.done would say, without truncations */
  PX_LEROBOT_SOURCE,     /* action.source: 1 where the action is true */
  PX_LEROBOT_FINAL,      /* next.observation.state: of the last frame it is read */
  PX_LEROBOT_NAMED_N
};

struct px_lerobot_episode {
  uint64_t index;
  uint32_t length, chunk, file; /* length: frames; the others place its data in version 3 */
};

struct px_lerobot_meta {
  char root[PX_LEROBOT_PATH_BYTES]; /* what stands before "meta/info.json": "" or "name/" */
  char data_path[PX_LEROBOT_PATH_BYTES];
  uint32_t version; /* 2 or 3 */
  uint64_t chunks_size,
    declared_n; /* declared_n: episodes, as info.json counts them, or UINT64_MAX */
  struct px_lerobot_feature
    observed[PX_LEROBOT_OBSERVED_MAX]; /* in the order of info.json, or asked for */
  uint32_t observed_n;
  struct px_lerobot_feature named[PX_LEROBOT_NAMED_N];
  struct px_lerobot_episode *episodes; /* [episodes_n], in the order of their data; owned */
  size_t episodes_n, episodes_cap;
};

/* Reads both, and notes what is left out. BAD_DATA names the file. Whatever happens,
 * px_lerobot_meta_free. */
enum px_status px_lerobot_meta_read(struct px_reader *r, struct px_archive *archive,
                                    struct px_lerobot_meta *out, struct px_err *err) PX_MUST_CHECK;
void px_lerobot_meta_free(struct px_lerobot_meta *meta);
/* The name of the file that has an episode's frames. BAD_DATA where data_path is malformed. */
enum px_status px_lerobot_meta_path(const struct px_lerobot_meta *meta,
                                    const struct px_lerobot_episode *episode,
                                    char out[PX_LEROBOT_PATH_BYTES],
                                    struct px_err *err) PX_MUST_CHECK;

#endif
