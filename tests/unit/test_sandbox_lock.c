/* SPDX-License-Identifier: Apache-2.0 */
/* What code that has taken over the parse helper can still do: each forbidden thing is tried from
 * within. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/mem.h"
#include "lib/read/sandbox_frame.h"
#include "tests/support/cu.h"
#include "tests/support/uploads.h"

/* --- within: a helper of this program's own, which locks itself up as the parser does and then
 * tries one thing --- */

struct order {
  int attempt;
  pid_t parent;
};
enum { TRIED = 40, REFUSED }; /* exit status: it could be done; it failed with an errno */

static long call(long result) { return result < 0 ? -errno : result; }

static long open_file(pid_t parent) {
  (void)parent;
  return call(open("/etc/passwd", O_RDONLY));
}
static long make_file(pid_t parent) {
  (void)parent;
  return call(open("/tmp/px-sandbox-test", O_WRONLY | O_CREAT, 0600));
}
static long make_socket(pid_t parent) {
  (void)parent;
  return call(socket(AF_INET, SOCK_STREAM, 0));
}
static long make_process(pid_t parent) {
  (void)parent;
  return call(syscall(SYS_fork));
}
static long run_program(pid_t parent) {
  (void)parent;
  char *const argv[] = { (char *)"true", NULL };
  return call(execve("/bin/true", argv, argv + 1));
}
static long signal_parent(pid_t parent) { return call(kill(parent, 0)); }
static long abort_parent(pid_t parent) {
  return call(syscall(SYS_tgkill, parent, parent, SIGABRT));
}
static long abort_thread_of_parent(pid_t parent) {
  return call(syscall(SYS_tkill, parent, SIGABRT));
}
static long end_itself(pid_t parent) {
  (void)parent;
  return call(syscall(SYS_tgkill, getpid(), gettid(), SIGTERM));
}
static long queue_signal(pid_t parent) {
  siginfo_t info = { .si_signo = SIGABRT, .si_code = SI_QUEUE };
  return call(syscall(SYS_rt_sigqueueinfo, parent, SIGABRT, &info));
}
static long hold_parent(pid_t parent) { return call(syscall(SYS_pidfd_open, parent, 0)); }
static long trace_parent(pid_t parent) {
  return call(syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, parent, 0, 0));
}
static long read_parent(pid_t parent) {
  char byte;
  const struct iovec here = { &byte, 1 }, there = { &byte, 1 };
  return call(process_vm_readv(parent, &here, 1, &there, 1, 0));
}
static long make_code(pid_t parent) {
  (void)parent;
  return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
           ? -errno
           : 0;
}
static long write_file(pid_t parent) {
  (void)parent;
  return call(write(PX_SANDBOX_FILE_FD, "x", 1));
}
static long map_file(pid_t parent) {
  (void)parent;
  return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, PX_SANDBOX_FILE_FD, 0) == MAP_FAILED
           ? -errno
           : 0;
}
static long read_elsewhere(pid_t parent) {
  (void)parent;
  char byte;
  return call(read(PX_SANDBOX_REQUEST_FD, &byte, 1));
}
static long leave_namespace(pid_t parent) {
  (void)parent;
  return call(unshare(CLONE_NEWUSER));
}
static long raise_limit(pid_t parent) {
  (void)parent;
  const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
  return call(setrlimit(RLIMIT_CPU, &none));
}
static long ring(pid_t parent) {
  (void)parent;
  struct io_uring_params p = { 0 };
  return call(syscall(SYS_io_uring_setup, 1, &p));
}
static long make_memory_file(pid_t parent) {
  (void)parent;
  return call(memfd_create("x", 0));
}
static long be_dumpable(pid_t parent) {
  (void)parent;
  return call(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static long take_much_memory(pid_t parent) {
  (void)parent;
  return mmap(NULL, 3ull << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
             MAP_FAILED
           ? -errno
           : 0;
}
static long give_up(pid_t parent) {
  (void)parent;
  abort();
}
static long fault(pid_t parent) {
  (void)parent;
  volatile char *closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *closed = 1;
  return 0;
}
static long spin(pid_t parent) {
  (void)parent;
  volatile unsigned turns = 1;
  while (turns) turns |= 1;
  return 0;
}

/* Ended: by a signal, or with the exit status that stands for one. */
enum end { KILLED, ERRNO, ABORTED, FAULTED, OUT_OF_TIME };
static const struct {
  const char *what;
  long (*try)(pid_t parent);
  enum end end;
} ATTEMPTS[] = {
  { "open a file", open_file, ERRNO },
  { "make a file", make_file, ERRNO },
  { "make a socket", make_socket, KILLED },
  { "make a process", make_process, KILLED },
  { "run a program", run_program, KILLED },
  { "signal the parent", signal_parent, KILLED },
  { "abort the parent", abort_parent, KILLED },
  { "abort a thread of the parent", abort_thread_of_parent, KILLED },
  { "queue a signal to the parent", queue_signal, KILLED },
  { "end itself by another signal", end_itself, KILLED },
  { "hold the parent by a descriptor", hold_parent, KILLED },
  { "trace the parent", trace_parent, KILLED },
  { "read the parent's memory", read_parent, KILLED },
  { "make code", make_code, KILLED },
  { "write to the upload", write_file, KILLED },
  { "map the upload to write", map_file, KILLED },
  { "read from another descriptor", read_elsewhere, KILLED },
  { "make another namespace", leave_namespace, KILLED },
  { "raise a limit", raise_limit, KILLED },
  { "make a ring of system calls", ring, KILLED },
  { "make a file in memory", make_memory_file, KILLED },
  { "be dumpable again", be_dumpable, KILLED },
  { "take much memory", take_much_memory, ERRNO },
  { "abort", give_up, ABORTED },
  { "write where nothing is", fault, FAULTED },
  { "compute without end", spin, OUT_OF_TIME },
};
enum { ATTEMPTS_N = sizeof ATTEMPTS / sizeof *ATTEMPTS, SPIN = ATTEMPTS_N - 1 };

static int probe(void) {
  struct order order;
  const struct px_sandbox_request request = { .file_bytes = 4096, .options = { .max_cpu_s = 1 } };
  if (!px_subprocess_take(PX_SANDBOX_REQUEST_FD, &order, sizeof order) ||
      !px_sandbox_lock(&request))
    return 3;
  _exit(ATTEMPTS[order.attempt].try(order.parent) < 0 ? REFUSED : TRIED);
}
static const struct px_subprocess_kind PROBE = { "probe", "--probe", probe, true };

/* --- outside --- */

static int attempt(int i) {
  int ask[2], answer[2];
  pid_t pid;
  struct px_err err;
  const struct order order = { i, getpid() };
  const int file = uploads_text("an upload");
  CU_ASSERT_FATAL(pipe2(ask, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
  CU_ASSERT_EQUAL(write(ask[1], &order, sizeof order), (ssize_t)sizeof order);
  CU_OK(px_subprocess_start(&PROBE, (const int[]){ file, ask[0], answer[1] }, 3, &pid, &err), err);
  const int all[] = { ask[0], ask[1], answer[1], file };
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) close(all[k]);
  char byte; /* its end closes the pipe */
  CU_ASSERT_EQUAL(read(answer[0], &byte, 1), 0);
  int ended = 0;
  while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) continue;
  close(answer[0]);
  return ended;
}

static bool ended_as(int ended, enum end end) {
  switch (end) {
    case KILLED: return WIFSIGNALED(ended) && WTERMSIG(ended) == SIGSYS;
    case ERRNO: return WIFEXITED(ended) && WEXITSTATUS(ended) == REFUSED;
    case ABORTED: return WIFEXITED(ended) && WEXITSTATUS(ended) == PX_LOCKUP_EXIT_SIGNAL + SIGABRT;
    case FAULTED: return WIFSIGNALED(ended) && WTERMSIG(ended) == SIGSEGV;
    case OUT_OF_TIME:
      return WIFEXITED(ended) && WEXITSTATUS(ended) == PX_LOCKUP_EXIT_SIGNAL + SIGXCPU;
  }
  return false;
}

static void what_is_forbidden_cannot_be_done_from_within(void) {
  if (PX_SANITIZED) {
    printf("\nSKIP lock: a sanitizer cannot live under the list of system calls, so this is not "
           "allowed here\n");
    return;
  }
  for (int i = 0; i < ATTEMPTS_N; i++) {
    const int ended = attempt(i);
    CU_ASSERT(ended_as(ended, ATTEMPTS[i].end));
    if (!ended_as(ended, ATTEMPTS[i].end))
      printf("\n  to %s: wait status %x\n", ATTEMPTS[i].what, (unsigned)ended);
  }
}

/* A process that starts a helper, tells its pid and is killed. */
static void start_and_die(int tell) {
  int ask[2];
  pid_t pid;
  const struct order order = { SPIN, getpid() };
  const bool good =
    pipe2(ask, O_CLOEXEC) == 0 && write(ask[1], &order, sizeof order) == (ssize_t)sizeof order &&
    !px_subprocess_start(&PROBE, (const int[]){ ask[0], ask[0], ask[1] }, 3, &pid, NULL) &&
    write(tell, &pid, sizeof pid) == (ssize_t)sizeof pid;
  if (good) raise(SIGKILL);
  _exit(1);
}

static void a_helper_that_computes_ends_with_the_process_that_started_it(void) {
  int tell[2], ended = 0;
  pid_t pid = 0;
  CU_ASSERT_FATAL(pipe2(tell, O_CLOEXEC) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  const pid_t between = fork();
  if (between == 0) start_and_die(tell[1]);
  CU_ASSERT_EQUAL(waitpid(between, &ended, 0), between);
  CU_ASSERT_EQUAL_FATAL(read(tell[0], &pid, sizeof pid), (ssize_t)sizeof pid);
  CU_ASSERT_EQUAL(waitpid(pid, &ended, 0), pid);
  CU_ASSERT(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
  prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  close(tell[0]);
  close(tell[1]);
}

/* Whether this machine gives namespaces to this user. */
static bool gives_namespaces(void) {
  const pid_t pid = fork();
  if (pid == 0)
    _exit(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS) ? 1
                                                                                            : 0);
  int ended = 1;
  waitpid(pid, &ended, 0);
  return ended == 0;
}

static void the_helper_is_in_namespaces_of_its_own(void) {
  static const char *const NAMES[] = { "user", "pid", "net", "ipc", "mnt" };
  if (PX_SANITIZED || !gives_namespaces()) {
    printf("\nSKIP namespaces: they are not allowed here\n");
    return;
  }
  int ask[2];
  pid_t pid;
  struct px_err err;
  CU_ASSERT_EQUAL_FATAL(pipe2(ask, O_CLOEXEC), 0);
  /* it waits for its order */
  CU_OK(px_subprocess_start(&PROBE, (const int[]){ ask[0], ask[0], ask[1] }, 3, &pid, &err), err);
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
    char path[64], ours[64] = "", its[64] = "";
    snprintf(path, sizeof path, "/proc/self/ns/%s", NAMES[i]);
    CU_ASSERT(readlink(path, ours, sizeof ours - 1) > 0);
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, NAMES[i]);
    CU_ASSERT(readlink(path, its, sizeof its - 1) > 0);
    CU_ASSERT_STRING_NOT_EQUAL(ours, its);
  }
  close(ask[0]);
  close(ask[1]);
  px_subprocess_end(pid);
}

/* As in a container: a filter that this process can never lose refuses namespaces. */
static bool refuse_namespaces(void) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  const bool good = filter &&
                    !seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)) &&
                    !seccomp_load(filter);
  seccomp_release(filter);
  return good;
}

static int read_without_namespaces(int log) {
  dup2(log, 2);
  if (!refuse_namespaces()) return 2;
  for (int i = 0; i < 2; i++) {
    struct trajs list = { .spaces = trajs_spaces(1, 1) };
    struct px_err err;
    const int fd =
      uploads_text("{\"observations\": [[1]], \"rewards\": [1], \"terminated\": true}\n");
    if (uploads_read(fd, PX_FORMAT_JSONL, NULL, &list, NULL, &err) || list.n != 1) return 3;
    trajs_free(&list);
  }
  return 0;
}

static void where_namespaces_are_refused_uploads_are_read_and_the_log_says_so_once(void) {
  int log[2], ended = -1;
  char text[4096];
  CU_ASSERT_EQUAL_FATAL(pipe2(log, O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) _exit(read_without_namespaces(log[1]));
  close(log[1]);
  size_t n = 0;
  for (ssize_t got; n < sizeof text - 1 && (got = read(log[0], text + n, sizeof text - 1 - n)) > 0;)
    n += (size_t)got;
  text[n] = '\0';
  close(log[0]);
  waitpid(pid, &ended, 0);
  CU_ASSERT_EQUAL(ended, 0);
  const char *said = strstr(text, "helper_without_namespaces");
  CU_ASSERT_EQUAL(said != NULL, !PX_SANITIZED);
  if (said) CU_ASSERT_PTR_NULL(strstr(said + 1, "helper_without_namespaces"));
}

int main(int argc, char **argv) {
  static const struct cu_test tests[] = {
    T(what_is_forbidden_cannot_be_done_from_within), T(the_helper_is_in_namespaces_of_its_own),
    T(a_helper_that_computes_ends_with_the_process_that_started_it),
    T(where_namespaces_are_refused_uploads_are_read_and_the_log_says_so_once)
  };
  if (argc == 2 && strcmp(argv[1], PROBE.argument) == 0) return probe();
  return cu_run("sandbox_lock", tests, sizeof tests / sizeof *tests, argc, argv);
}
