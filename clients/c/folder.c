/* SPDX-License-Identifier: Apache-2.0 */
/* Folders to upload: see folder.h. */
#include "clients/c/folder.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

bool folder_is(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The folder's own name, without what leads to it; "folder" where it has none ("." or "/"). */
static void name_of(const char *path, char name[FOLDER_NAME_MAX]) {
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/') end--;
  size_t begin = end;
  while (begin && path[begin - 1] != '/') begin--;
  const int n = (int)(end - begin < FOLDER_NAME_MAX - 8 ? end - begin : FOLDER_NAME_MAX - 8);
  snprintf(name, FOLDER_NAME_MAX, "%.*s", n, path + begin);
  if (!*name || *name == '.') snprintf(name, FOLDER_NAME_MAX, "folder");
}

static enum px_status run_tar(const char *path, const char *tar, struct px_err *err) {
  char *const argv[] = { "tar",
                         "-c",
                         "--dereference",
                         "--exclude=videos",
                         "-f",
                         (char *)(uintptr_t)tar,
                         "-C",
                         (char *)(uintptr_t)path,
                         ".",
                         NULL };
  pid_t pid;
  int status = 0;
  errno = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
  if (errno) return px_fail_errno(err, "starting tar, to pack the folder %.200s", path);
  if (waitpid(pid, &status, 0) != pid) return px_fail_errno(err, "waiting for tar");
  return WIFEXITED(status) && !WEXITSTATUS(status)
           ? PX_OK
           : px_fail(err, PX_E_IO, "tar could not pack the folder %.200s", path);
}

enum px_status folder_pack(const char *path, struct folder *out, struct px_err *err) {
  char name[FOLDER_NAME_MAX];
  name_of(path, name);
  enum px_status status = px_scratch_open(px_scratch_home(), &out->scratch, err);
  if (status) return status;
  snprintf(out->path, sizeof out->path, "%s/%s.tar", out->scratch.path, name);
  status = run_tar(path, out->path, err);
  if (status) folder_release(out);
  return status;
}

void folder_release(struct folder *folder) { px_scratch_close(&folder->scratch); }
