/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary files: none is left by a process, however it ends. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/scratch.h"
#include "tests/support/cu.h"

static char home[64];

static int entries(void) {
  DIR *dir = opendir(home);
  int n = 0;
  while (dir && readdir(dir)) n++;
  if (dir) closedir(dir);
  return n - 2;
}

static void make_home(void) {
  snprintf(home, sizeof home, "/tmp/proxact-unit-XXXXXX");
  CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(home));
}

static bool put_file(const struct px_scratch *scratch, const char *name) {
  char path[PX_SCRATCH_PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/%s", scratch->path, name);
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool good = fd >= 0 && write(fd, "x", 1) == 1;
  if (fd >= 0) close(fd);
  return good;
}

static void an_unnamed_file_is_seen_by_nobody(void) {
  make_home();
  struct px_err err;
  int fd;
  CU_OK(px_scratch_file(home, &fd, &err), err);
  CU_ASSERT_EQUAL(write(fd, "abc", 3), 3);
  CU_ASSERT_EQUAL(entries(), 0);
  close(fd);
  CU_ASSERT_EQUAL(px_scratch_file("/nowhere", &fd, &err), PX_E_IO);
  rmdir(home);
}

static void closing_removes_the_folder_and_what_is_in_it(void) {
  make_home();
  struct px_err err;
  struct px_scratch scratch;
  CU_OK(px_scratch_open(home, &scratch, &err), err);
  CU_ASSERT_TRUE(put_file(&scratch, "a"));
  CU_ASSERT_TRUE(put_file(&scratch, "b"));
  CU_ASSERT_EQUAL(entries(), 1);
  px_scratch_close(&scratch);
  px_scratch_close(&scratch); /* again: nothing */
  CU_ASSERT_EQUAL(entries(), 0);
  CU_ASSERT_EQUAL(px_scratch_open("/nowhere", &scratch, &err), PX_E_IO);
  rmdir(home);
}

/* A process that makes a folder with a file in it, says so, and waits to be killed. */
static pid_t start_owner(void) {
  int ready[2];
  char byte;
  CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    struct px_scratch scratch;
    if (px_scratch_open(home, &scratch, NULL) || !put_file(&scratch, "a") ||
        write(ready[1], "r", 1) != 1)
      _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  return pid;
}

static void a_sweep_removes_what_the_dead_left_and_nothing_else(void) {
  make_home();
  struct px_scratch mine;
  struct px_err err;
  CU_OK(px_scratch_open(home, &mine, &err), err);
  const pid_t killed = start_owner(), lives = start_owner();
  char other[PX_SCRATCH_PATH_MAX];
  snprintf(other, sizeof other, "%s/somebody-elses", home);
  CU_ASSERT_EQUAL(mkdir(other, 0700), 0);
  CU_ASSERT_EQUAL(px_scratch_sweep(home), 0);
  CU_ASSERT_EQUAL(entries(), 4);
  kill(killed, SIGKILL);
  waitpid(killed, NULL, 0);
  CU_ASSERT_EQUAL(px_scratch_sweep(home), 1);
  CU_ASSERT_EQUAL(entries(), 3);
  CU_ASSERT_TRUE(put_file(&mine, "still here"));
  kill(lives, SIGKILL);
  waitpid(lives, NULL, 0);
  px_scratch_close(&mine);
  CU_ASSERT_EQUAL(px_scratch_sweep(home), 1);
  CU_ASSERT_EQUAL(px_scratch_sweep("/nowhere"), 0);
  rmdir(other);
  CU_ASSERT_EQUAL(entries(), 0);
  rmdir(home);
}

/* A name that leads elsewhere is not followed. */
static void a_sweep_follows_no_link(void) {
  make_home();
  char target[PX_SCRATCH_PATH_MAX], link[PX_SCRATCH_PATH_MAX];
  snprintf(target, sizeof target, "%s/precious", home);
  snprintf(link, sizeof link, "%s/proxact-scratch-link", home);
  CU_ASSERT_EQUAL(mkdir(target, 0700), 0);
  CU_ASSERT_EQUAL(symlink(target, link), 0);
  CU_ASSERT_EQUAL(px_scratch_sweep(home), 0);
  CU_ASSERT_EQUAL(entries(), 2);
  unlink(link);
  rmdir(target);
  rmdir(home);
}

CU_MAIN("scratch", T(an_unnamed_file_is_seen_by_nobody),
        T(closing_removes_the_folder_and_what_is_in_it),
        T(a_sweep_removes_what_the_dead_left_and_nothing_else), T(a_sweep_follows_no_link))
