/* SPDX-License-Identifier: Apache-2.0 */
/* Which words the API takes: see cli.h. */
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
