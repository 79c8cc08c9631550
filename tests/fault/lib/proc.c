/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the fault tests: see proc.h. */
#include "tests/fault/lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t proc_start(const char *const *argv, const char *const *env, const char *log) {
  const pid_t starter = getpid(), pid = fork();
  if (pid != 0) return pid > 0 ? pid : 0;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != starter) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  const int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(127);
  for (; env && *env; env++) putenv((char *)*env);
  execv(argv[0], (char *const *)argv);
  _exit(127);
}

int proc_end(pid_t pid, int signal) {
  int how = 0;
  if (pid <= 0) return 0;
  kill(pid, signal);
  while (waitpid(pid, &how, 0) < 0)
    if (errno != EINTR) return 0;
  return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static bool read_line(const char *path, char *text, int size) {
  FILE *f = fopen(path, "re");
  if (!f) return false;
  const bool any = fgets(text, size, f) != NULL;
  fclose(f);
  return any;
}

pid_t proc_child(pid_t parent) {
  char path[64], text[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
  return parent > 0 && read_line(path, text, sizeof text) ? (pid_t)strtol(text, NULL, 10) : 0;
}

bool proc_is_alive(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (pid <= 0 || !read_line(path, text, sizeof text)) return false;
  const char *state = strrchr(text, ')'); /* the name before it may hold anything */
  return state && state[1] && state[2] != 'Z';
}

pid_t proc_from_file(const char *path) {
  char text[128];
  const pid_t pid = read_line(path, text, sizeof text) ? (pid_t)strtol(text, NULL, 10) : 0;
  return proc_is_alive(pid) ? pid : 0;
}

const char *proc_build_dir(void) {
  static char path[4096];
  const char *given = getenv("PROXACT_BUILD");
  if (given && *given) return given;
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return "build";
  path[n] = '\0';
  char *tests = strstr(path, "/tests/");
  for (char *next = tests; next; next = strstr(next + 1, "/tests/")) tests = next;
  if (tests) *tests = '\0';
  return path;
}

void proc_sleep_ms(int ms) {
  nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}
