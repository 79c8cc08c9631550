/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all commands: see cli.h. */
#include "clients/c/cli.h"

const struct cli_command *const CLI_TABLES[] = {
  CLI_ACCOUNT, CLI_DATASETS,   CLI_EDITS,  CLI_UPLOAD, CLI_PIPELINE, CLI_JOBS,
  CLI_RESULTS, CLI_SIMULATORS, CLI_SERVER, CLI_SHELL,  NULL
};
