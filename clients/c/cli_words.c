/* SPDX-License-Identifier: Apache-2.0 */
/* Which words the API takes: see cli.h. */
#include <string.h>

#include "clients/c/cli.h"

const char CLI_ALGOS[] = "Algorithms to train (default: td3bc):"
#define PX_ALGO(name, ...) " " name
#include "schema/algos.def"
#undef PX_ALGO
  ;
const char CLI_ENVS[] = "Simulator:"
#define PX_ENV(name, ...) " " #name
#include "schema/envs.def"
#undef PX_ENV
  ;
const char CLI_UPLOADS[] = "Files end in"
#define PX_UPLOAD(NAME, name, ...) " ." #name
#include "schema/uploads.def"
#undef PX_UPLOAD
  ;
const char CLI_EXPORTS[] = "Format (default: hdf5):"
#define PX_EXPORT(NAME, name, ...) " " #name
#include "schema/exports.def"
#undef PX_EXPORT
  ;
const char CLI_DUPLICATES[] =
  "Trajectories that are there already (default: allow): allow skip refuse";
const char CLI_ACTIONS[] = "Which actions (default: both): true proxy both";
const char CLI_STATES[] = "Only in this state: blocked queued running succeeded failed cancelled";
const char CLI_WEIGHTS[] = "Format (default: safetensors): safetensors onnx";
const char CLI_LABELLERS[] = "Who labels (default: idm): idm simulator";
const char CLI_IDMS[] = "Profile of the inverse dynamics model (default: fast): fast paper";

const char *cli_option_words(const struct cli_option *option) {
  static const char *const LISTS[] = { CLI_ALGOS,      CLI_ENVS,      CLI_EXPORTS,
                                       CLI_DUPLICATES, CLI_ACTIONS,   CLI_STATES,
                                       CLI_WEIGHTS,    CLI_LABELLERS, CLI_IDMS };
  for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
    if (option->help == LISTS[i]) {
      const char *words = strrchr(option->help, ':') + 1;
      return words + strspn(words, " ");
    }
  return NULL;
}
