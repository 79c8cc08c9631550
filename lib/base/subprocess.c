/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#if PX_SANITIZED
enum { SHARED_MEMORY = 0 };
#else
enum { SHARED_MEMORY = CLONE_VM | CLONE_VFORK };
#endif

enum {
  HIGH_FD = 16,
  STACK_BYTES = 64 << 10,
  EXIT_NOT_STARTED = 127,
  NAMESPACES = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS
};

int px_subprocess_main(const struct px_subprocess_kind *const *kinds, int argc, char **argv) {
  for (; argc == 2 && *kinds; kinds++)
    if (!strcmp(argv[1], (*kinds)->argument)) return (*kinds)->main();
  return -1;
}

struct plan {
  const struct px_subprocess_kind *kind;
  int fds[PX_SUBPROCESS_FDS_MAX], in, out; /* in, out: /dev/null */
  size_t n;
  int failed; /* errno of a child that could not become the helper */
};

/* The child, which shares its parent's memory until it executes: nothing but system calls. */
static int become(void *arg) {
  struct plan *plan = arg;
  char *const argv[] = { (char *)plan->kind->name, (char *)plan->kind->argument, NULL };
  /* No plugins for the HDF5 library; no threads for a BLAS the program may be linked with. */
  char *const envp[] = { (char *)"HDF5_PLUGIN_PRELOAD=::", (char *)"OPENBLAS_NUM_THREADS=1",
                         (char *)"OMP_NUM_THREADS=1", NULL };
  /* those of the C library refuse, and stay */
  for (int signal_n = 1; signal_n < NSIG; signal_n++) signal(signal_n, SIG_DFL);
  /* One that computes would not notice that nobody listens: it ends with the thread that started
   * it. */
  bool good = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
  good = good && dup2(plan->in, 0) == 0 && dup2(plan->out, 1) == 1 && dup2(plan->out, 2) == 2;
  for (size_t i = 0; i < plan->n && good; i++)
    good = dup2(plan->fds[i], PX_SUBPROCESS_FD + (int)i) >= 0;
  sigset_t none;
  sigemptyset(&none);
  if (good && close_range((unsigned)PX_SUBPROCESS_FD + (unsigned)plan->n, ~0U, 0) == 0 &&
      sigprocmask(SIG_SETMASK, &none, NULL) == 0)
    execve("/proc/self/exe", argv, envp);
  plan->failed = errno;
  _exit(EXIT_NOT_STARTED);
}

/* The pid, or -1 with errno. All signals are held back, so that no handler runs in the child on the
 * parent's memory. */
static pid_t start(struct plan *plan, int namespaces) {
  sigset_t all, before;
  char *stack = malloc(STACK_BYTES);
  if (!stack) return -1;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  plan->failed = 0;
  pid_t pid = clone(become, stack + STACK_BYTES, SHARED_MEMORY | SIGCHLD | namespaces, plan);
  int why = errno;
  if (pid > 0 && plan->failed) {
    px_subprocess_end(pid);
    pid = -1;
    why = plan->failed;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  free(stack);
  errno = why;
  return pid;
}

/* In namespaces of its own, or, where that is not allowed, without; that is said once. */
static pid_t start_apart(struct plan *plan) {
  static atomic_bool said;
  const bool may = SHARED_MEMORY != 0;
  const pid_t pid = may ? start(plan, NAMESPACES) : -1;
  if (pid >= 0 || (may && errno == ENOMEM)) return pid;
  char why[128];
  if (may && !atomic_exchange(&said, true))
    px_log(PX_LOG_WARN, "helper_without_namespaces", "why", strerror_r(errno, why, sizeof why),
           NULL);
  return start(plan, 0);
}

/* A copy whose number collides with none that the helper uses. */
static int high(int fd) { return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD); }

static int open_null(int flags) {
  const int fd = open("/dev/null", flags | O_CLOEXEC), copy = high(fd);
  if (fd >= 0) close(fd);
  return copy;
}

enum px_status px_subprocess_start(const struct px_subprocess_kind *kind, const int *fds, size_t n,
                                   pid_t *pid, struct px_err *err) {
  struct plan plan = { .kind = kind,
                       .fds = { -1, -1, -1 },
                       .n = n,
                       .in = open_null(O_RDONLY),
                       .out = open_null(O_WRONLY) };
  enum px_status status =
    plan.in < 0 || plan.out < 0 ? px_fail_errno(err, "opening /dev/null") : PX_OK;
  for (size_t i = 0; i < n && !status; i++)
    if ((plan.fds[i] = high(fds[i])) < 0)
      status = px_fail_errno(err, "no descriptor for the %s", kind->name);
  if (!status) {
    const pid_t started = kind->apart ? start_apart(&plan) : start(&plan, 0);
    if (started < 0) status = px_fail_errno(err, "cannot start the %s", kind->name);
    else *pid = started;
  }
  for (size_t i = 0; i < n; i++)
    if (plan.fds[i] >= 0) close(plan.fds[i]);
  if (plan.in >= 0) close(plan.in);
  if (plan.out >= 0) close(plan.out);
  return status;
}

int px_subprocess_end(pid_t pid) {
  int ended = 0;
  if (pid <= 0) return 0; /* kill(0) would be all of us */
  kill(pid, SIGKILL);
  while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) continue;
  return ended;
}

bool px_subprocess_take(int fd, void *dst, size_t n) {
  for (char *at = dst; n > 0;) {
    const ssize_t got = read(fd, at, n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    n -= (size_t)got;
  }
  return true;
}

bool px_subprocess_hear(int fd, void *dst, size_t n, int idle_ms, bool *silent) {
  *silent = false;
  for (char *at = dst; n > 0;) {
    struct pollfd p = { fd, POLLIN, 0 };
    const int polled = poll(&p, 1, idle_ms);
    if (polled < 0 && errno == EINTR) continue;
    *silent = polled == 0;
    const ssize_t got = polled > 0 ? read(fd, at, n) : -1;
    if (got < 0 && polled > 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    n -= (size_t)got;
  }
  return true;
}

bool px_subprocess_tell(int fd, const void *bytes, size_t n, int idle_ms, bool *silent) {
  for (const char *at = bytes; n > 0;) {
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    const int ready = poll(&room, 1, idle_ms);
    if (ready < 0 && errno == EINTR) continue;
    *silent = ready == 0;
    if (ready <= 0) return false;
    const ssize_t sent = send(fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent <= 0) return false;
    at += sent;
    n -= (size_t)sent;
  }
  return true;
}
