/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbered episodes in HDF5: where each layout keeps what, which episodes a file has, and under
 * which name a member of one is there. Inner header of lib/read, for read_episodes.c and
 * read_hdf5.c; one reading belongs to one thread. Sources: Minari's, robomimic's and d3rlpy's
 * dataset documentation.
 */
#ifndef PX_READ_EPISODES_H
#define PX_READ_EPISODES_H

#include "lib/base/fail.h"
#include "lib/read/h5.h"
#include "lib/read/names.h"

enum px_episodes_layout {
  PX_EPISODES_MINARI,
  PX_EPISODES_ROBOMIMIC,
  PX_EPISODES_D3RLPY,
  PX_EPISODES_LAYOUTS_N
};
/* Whether a member of that name at the file's root speaks for the layout. */
bool px_episodes_recognises(enum px_episodes_layout layout, const char *name);

enum { PX_EPISODES_PATH_BYTES = 128 };

/* A member: the word that the layout has for it, and the array whose other names are taken too. No
 * word: the layout has no such thing. */
struct px_episodes_place {
  const char *word;
  enum px_name array;
};
struct px_episodes_form {
  const char *name, *group, *stem; /* episodes are <group>/<stem><i> */
  /* of a member: <before><i>/<word>, or without before <word>_<i> */
  const char *before;
  struct px_episodes_place observations, next, actions, rewards, terminated, truncated;
  /* robomimic: cloning needs no ends, so files may lack them; and success may be flagged before the
   * last step. */
  bool loose_end;
  const char *splits; /* the group of lists of episodes; NULL for none */
  bool one_flag;      /* d3rlpy: terminated is of the whole trajectory */
};
extern const struct px_episodes_place px_episodes_mask; /* action_mask, in every layout */

struct px_episodes_number {
  uint64_t value;
  int digits;
}; /* digits: "demo_007" keeps its zeros */

struct px_episodes {
  struct px_reader *r;
  hid_t file;
  const struct px_episodes_form *form;
  struct px_episodes_number *all; /* [n], owned, in order */
  size_t n, cap;
};
/* Lists the episodes of the file, or those of the split that the options name. BAD_DATA where there
 * is none. Whatever happens, close. */
enum px_status px_episodes_open(struct px_episodes *e, struct px_reader *r, hid_t file,
                                enum px_episodes_layout layout, struct px_err *err) PX_MUST_CHECK;
void px_episodes_close(struct px_episodes *e);
/* Where the member of that episode is, by whichever name; its own name where it is not there. */
enum px_status px_episodes_find(const struct px_episodes *e, const struct px_episodes_place *place,
                                struct px_episodes_number number, char path[PX_EPISODES_PATH_BYTES],
                                enum px_h5_kind *kind, struct px_err *err) PX_MUST_CHECK;

#endif
