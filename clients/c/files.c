/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the machine that the client runs on: see request.h. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "clients/c/request.h"
#include "lib/base/fail.h"

static const char *file_hint(int why) {
  switch (why) {
    case ENOENT:
    case ENOTDIR:
      return "Is the path right? A name without a leading / is looked for in the folder you are "
             "in.";
    case EACCES:
    case EPERM: return "Your user may not do that; 'ls -l' shows who may.";
    case EROFS: return "Name a folder that can be written to.";
    case EISDIR: return "That is a folder; name a file.";
    case ENOSPC:
    case EDQUOT:
      return "The disk of this machine is full: free some space, or name a place on another one.";
    default: return "The file is on the machine you are at, not on the server: check its disk.";
  }
}

enum px_status client_fail_file(struct px_err *err, const char *doing, const char *file) {
  const int why = errno;
  const enum px_status status = px_fail_errno(err, "%s %s", doing, file);
  px_fail_hint(err, "%s", file_hint(why));
  return status;
}

enum px_status client_open_file(const char *file, FILE **out, int64_t *size, struct px_err *err) {
  struct stat st;
  FILE *f = fopen(file, "rbe");
  if (!f) return client_fail_file(err, "opening", file);
  enum px_status status = PX_OK;
  if (fstat(fileno(f), &st) != 0) {
    status = client_fail_file(err, "reading", file);
  } else if (S_ISDIR(st.st_mode)) {
    errno = EISDIR;
    status = client_fail_file(err, "opening", file);
  } else if (!S_ISREG(st.st_mode)) {
    status = px_fail(err, PX_E_BAD_FIELD, "%s is no ordinary file", file);
    px_fail_hint(err, "After a cut it has to be read again: write it to a file first.");
  }
  if (status) fclose(f);
  else *out = f, *size = st.st_size;
  return status;
}
