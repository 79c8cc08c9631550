/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of the fault tests: started with a log file, killed with their starter, found by their
 * parent. Used by nemesis and the tests. Functions that take a pid of 0 do nothing.
 */
#ifndef PX_FAULT_PROC_H
#define PX_FAULT_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts argv (NULL-terminated) with standard input from nowhere and all output appended to `log`;
 * `env` is "NAME=VALUE"s, NULL-terminated, beside this program's own (may be NULL). Ends with its
 * starter, whatever ends that. 0 if it cannot. */
pid_t proc_start(const char *const *argv, const char *const *env, const char *log);
/* Sends a signal and waits for the end; exit status, or minus the signal that ended it. */
int proc_end(pid_t pid, int signal);
/* The first child of a process, 0 if it has none. */
pid_t proc_child(pid_t parent);
/* The number in the first word of a pid file; 0 if there is none, or that process has ended. */
pid_t proc_from_file(const char *path);
bool proc_is_alive(pid_t pid);
/* Folder of the programs under test: PROXACT_BUILD, or the folder above tests/ that this program
 * lies in. */
const char *proc_build_dir(void);
void proc_sleep_ms(int ms);

#endif
