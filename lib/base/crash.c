/* SPDX-License-Identifier: Apache-2.0 */
/* Crash points: see crash.h. */
#include "lib/base/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 128 };

bool px_crash_armed;
static const char *context = "", *trace, *file;
static char at[NAME_BYTES];
static atomic_long left;

void px_crash_setup(const char *name) {
  const char *given = getenv("PROXACT_CRASH_AT"), *colon = given ? strchr(given, ':') : NULL;
  context = name;
  trace = getenv("PROXACT_CRASH_TRACE");
  if (colon && colon - given < NAME_BYTES) {
    memcpy(at, given, (size_t)(colon - given));
    char *end;
    left = strtol(colon + 1, &end, 10);
    file = *end == ':' ? end + 1 : NULL;
  }
  px_crash_armed = trace || file;
}

void px_crash_context(const char *name) { context = name; }

/* One write, so that lines of many processes do not mix. */
static void append(const char *path, const char *line) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (write(fd, line, strlen(line)) < 0)
    fprintf(stderr, "crash trace: %s cannot be written\n", path);
  close(fd);
}

void px_crash_point(const char *step, const char *when) {
  char name[NAME_BYTES + 2];
  snprintf(name, sizeof name, "%s/%s.%s\n", context, step, when);
  if (trace) append(trace, name);
  name[strcspn(name, "\n")] = '\0';
  if (!file || strcmp(name, at) != 0 || atomic_fetch_sub(&left, 1) != 1) return;
  if (open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) kill(getpid(), SIGKILL);
}
