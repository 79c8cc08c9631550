/* SPDX-License-Identifier: Apache-2.0 */
/* proxact-worker: runs jobs. See supervisor.h and child.h. */
#include <stdio.h>
#include <string.h>

#include "lib/base/crash.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/base/stop.h"
#include "lib/base/subprocess.h"
#include "lib/read/sandbox.h"
#include "lib/write/write.h"
#include "worker/child.h"
#include "worker/sim/sim_box.h"
#include "worker/supervisor.h"

static const struct px_option OPTIONS[] = {
  { "db_url", PX_OPT_TEXT, "postgresql:///proxact", 0, 0, true, "PostgreSQL connection URI" },
  { "redis_url", PX_OPT_TEXT, "", 0, 0, true,
    "Redis: redis://HOST:PORT, unix:///PATH or redis+sentinel://HOST:PORT,HOST:PORT/MASTER; empty: "
    "poll the database only" },
  { "lease_ms", PX_OPT_INT, "30000", 200, 3600000, false,
    "How long a job stays with a worker that says nothing" },
  { "heartbeat_ms", PX_OPT_INT, "5000", 50, 600000, false,
    "Time between heartbeats; at most half a lease" },
  { "reap_ms", PX_OPT_INT, "2000", 50, 600000, false, "Time between looks for lost leases" },
  { "poll_ms", PX_OPT_INT, "1000", 10, 60000, false,
    "Longest wait for a wake-up before the database is asked" },
  { "drain_ms", PX_OPT_INT, "10000", 0, 3600000, false,
    "How long a running job may go on after SIGTERM" },
  { "stall_ms", PX_OPT_INT, "600000", 1000, 86400000, false,
    "A job without progress for so long is stopped and tried again" },
  { "checkpoint_ms", PX_OPT_INT, "30000", 0, 3600000, false,
    "Longest time between two checkpoints of a training; 0: every step" },
  { "db_wait_ms", PX_OPT_INT, "300000", 0, 86400000, false,
    "How long a running job waits for a database that does not answer before it fails" },
  { "memory_mb", PX_OPT_INT, "0", 0, 1 << 24, false,
    "Memory that a job's process may take; one that takes more is ended. 0: what the machine or "
    "the container has" },
  { "keep_jobs_days", PX_OPT_INT, "0", 0, 36500, false,
    "Finished jobs older than this are removed, unless they left a model or a label set, or "
    "another job needs them; 0: kept" },
  { "keep_jobs", PX_OPT_INT, "0", 0, 1LL << 40, false,
    "Of finished jobs only so many are kept, the newest, with the same exceptions; 0: any number" },
  { "keep_metrics_days", PX_OPT_INT, "0", 0, 36500, false,
    "Curves of jobs that ended longer ago are removed; 0: kept" },
  { "keep_events_days", PX_OPT_INT, "0", 0, 36500, false,
    "Events of jobs that ended longer ago are removed, but the first and the last; 0: kept" },
  { "keep_artifacts_days", PX_OPT_INT, "0", 0, 36500, false,
    "Files of jobs that ended longer ago are removed, such as exports and reports; 0: kept" },
  { "health_file", PX_OPT_TEXT, "", 0, 0, false,
    "File touched after each heartbeat that reached the database; empty: none" },
  { "log_json", PX_OPT_FLAG, "false", 0, 0, false, "Log as JSON" },
};
enum { OPTIONS_N = sizeof OPTIONS / sizeof *OPTIONS, EXIT_USAGE = 2 };

static int fail(const struct px_err *err) {
  fprintf(stderr, "proxact-worker: %s\n", err->message);
  const char *hint = *err->hint ? err->hint : px_status_hint(err->code);
  fprintf(stderr, "  hint: %s\n", hint);
  return err->code == PX_E_BAD_FIELD ? EXIT_USAGE : 1;
}

static void help(void) {
  puts(
    "Usage: proxact-worker [OPTIONS]\n"
    "Claims jobs and runs them, one at a time. Start as many as there are cores, on any number of\n"
    "machines, with the same two URLs. SIGTERM drains.\n\n"
    "       proxact-worker config     prints a sample configuration\n"
    "       proxact-worker --version\n\n"
    "Options (file, then environment PROXACT_NAME, then flag):");
  px_config_help(OPTIONS, OPTIONS_N, stdout);
}

static const struct px_subprocess_kind *const HELPERS[] = { &px_sandbox_helper,
                                                            &px_write_hdf5_helper, &sim_box_helper,
                                                            NULL };

int main(int argc, char **argv) {
  const int helper = px_subprocess_main(HELPERS, argc, argv);
  if (helper >= 0) return helper;
  px_crash_setup("worker");
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) return help(), 0;
    if (strcmp(argv[i], "--version") == 0) return puts("proxact-worker " PX_VERSION), 0;
  }
  struct px_config *config = NULL;
  struct px_err err;
  if (px_config_read(OPTIONS, OPTIONS_N, argc, argv, &config, &err)) return fail(&err);
  px_log_setup("worker", PX_LOG_INFO, px_config_flag(config, "log_json"));
  const char *verb = px_config_arg(config, 0);
  int rc = 0, stop_fd = -1;
  if (verb && strcmp(verb, "child") == 0) rc = child_main();
  else if (verb && strcmp(verb, "config") == 0) px_config_sample(OPTIONS, OPTIONS_N, stdout);
  else if (verb &&
           px_fail(&err, PX_E_BAD_FIELD, "there is no command '%s'; --help lists them", verb))
    rc = fail(&err);
  else if (px_stop_setup(&stop_fd, &err) || supervisor_run(config, stop_fd, &err)) rc = fail(&err);
  px_config_free(config);
  return rc;
}
