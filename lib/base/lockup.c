/* SPDX-License-Identifier: Apache-2.0 */
/* Locking a helper up: see lockup.h. */
#include "lib/base/lockup.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"

static bool limit(int resource, rlim_t soft, rlim_t hard) {
  const struct rlimit l = { soft, hard };
  return !setrlimit(resource, &l);
}

static bool limit_resources(const struct px_lockup *l) {
  const rlim_t cpu = l->cpu_s, memory = l->memory_bytes;
  return limit(RLIMIT_CPU, cpu, cpu + 5) && limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_FSIZE, 0, 0) &&
         limit(RLIMIT_NOFILE, 0, 0) && limit(RLIMIT_NPROC, 0, 0) &&
         (PX_SANITIZED || limit(RLIMIT_AS, memory, memory));
}

/* No file can be reached any more. Kernels without Landlock leave that to seccomp. */
static bool close_file_system(void) {
  const struct landlock_ruleset_attr all = { .handled_access_fs =
                                               (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
  const int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
  if (rules < 0) return errno == ENOSYS || errno == EOPNOTSUPP;
  const bool closed = !syscall(SYS_landlock_restrict_self, rules, 0);
  close(rules);
  return closed;
}

static bool allow_memory(scmp_filter_ctx filter) {
  const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  return !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, not_executable,
                           SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)) &&
         !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable);
}

/* Only on its own descriptors, and only at itself. */
static bool allow_narrowly(scmp_filter_ctx filter, const struct px_lockup *l) {
  const struct scmp_arg_cmp itself = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
  return !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1,
                           SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)l->write_fd)) &&
         !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1,
                           SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)l->read_fd)) &&
         !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, itself,
                           SCMP_A2(SCMP_CMP_EQ, SIGABRT));
}

/* What computing, answering and dying take; anything else kills the process.
 * Only to open is merely refused: the HDF5 library makes sure that no file has
 * the name of an image in memory, and MuJoCo asks how many processors there are. */
static bool close_system_calls(const struct px_lockup *l) {
  static const int allowed[] = {
    SCMP_SYS(munmap),       SCMP_SYS(mremap),       SCMP_SYS(brk),
    SCMP_SYS(madvise),      SCMP_SYS(futex),        SCMP_SYS(exit),
    SCMP_SYS(exit_group),   SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),       SCMP_SYS(gettid),       SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday), SCMP_SYS(time),         SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo), /* glibc's qsort asks how much memory there is */
  };
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  bool good = filter && !seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) &&
              allow_memory(filter) && allow_narrowly(filter, l);
  good = good && !seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(open), 0) &&
         !seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0) &&
         !seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(sched_getaffinity), 0);
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed && good; i++)
    good = !seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
  good = good && !seccomp_load(filter);
  if (filter) seccomp_release(filter);
  return good;
}

static void end_by(int signal_n) { _exit(PX_LOCKUP_EXIT_SIGNAL + signal_n); }

/* The first process of a namespace does not die of these without a handler. Faults (SIGSEGV) end it
 * all the same. */
static bool die_of_signals(void) {
  return signal(SIGABRT, end_by) != SIG_ERR && signal(SIGXCPU, end_by) != SIG_ERR &&
         signal(SIGSYS, end_by) != SIG_ERR;
}

bool px_lockup(const struct px_lockup *limits) {
  return die_of_signals() && !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) &&
         !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && close_file_system() &&
         limit_resources(limits) && (PX_SANITIZED || close_system_calls(limits));
}

int px_lockup_signal(int ended, int *code) {
  *code = WIFSIGNALED(ended) ? PX_LOCKUP_EXIT_SIGNAL + WTERMSIG(ended) : WEXITSTATUS(ended);
  return *code > PX_LOCKUP_EXIT_SIGNAL ? *code - PX_LOCKUP_EXIT_SIGNAL : 0;
}

void px_lockup_why(int ended, char out[PX_LOCKUP_WHY]) {
  int code;
  const int signal_n = px_lockup_signal(ended, &code);
  if (!signal_n && code == PX_LOCKUP_EXIT_MEMORY) snprintf(out, PX_LOCKUP_WHY, "ran out of memory");
  else if (!signal_n) snprintf(out, PX_LOCKUP_WHY, "broke off (%d)", code);
  else if (signal_n == SIGSYS)
    snprintf(out, PX_LOCKUP_WHY, "asked for a system call that is refused");
  else if (signal_n == SIGXCPU) snprintf(out, PX_LOCKUP_WHY, "ran out of time");
  else if (signal_n == SIGKILL) snprintf(out, PX_LOCKUP_WHY, "ran out of time or memory");
  else snprintf(out, PX_LOCKUP_WHY, "died of signal %d (%s)", signal_n, strsignal(signal_n));
}
