/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of this machine and of a process: see limits.h; proc(5),
 * Documentation/admin-guide/cgroup-v2.rst of Linux. */
#include "worker/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/mem.h"

/* Libraries reserve address space that they never touch. */
enum { RESERVED_MB = 2048 };

/* The number after `key` in a file of lines "key number"; with key NULL its first number. -1
 * without one, such as "max". */
static int64_t number_in(const char *path, const char *key) {
  FILE *f = fopen(path, "re");
  char line[256];
  int64_t found = -1;
  if (!f) return -1;
  while (found < 0 && fgets(line, sizeof line, f)) {
    const size_t n = key ? strlen(key) : 0;
    const char *at = line + n;
    if (key && (strncmp(line, key, n) != 0 || (*at != ' ' && *at != ':'))) continue;
    if (key && *at == ':') at++;
    char *end;
    const long long value = strtoll(at, &end, 10);
    if (end != at) found = value;
    if (!key) break;
  }
  fclose(f);
  return found;
}

/* The folder of this process's cgroup, of version 2 or of version 1's memory controller. */
static void cgroup_folder(bool old, char out[512]) {
  FILE *f = fopen("/proc/self/cgroup", "re");
  char line[400];
  *out = '\0';
  while (f && fgets(line, sizeof line, f)) {
    const char *path = strrchr(line, ':');
    line[strcspn(line, "\n")] = '\0';
    if (old ? strstr(line, ":memory:") != NULL : strncmp(line, "0::", 3) == 0)
      (void)snprintf(out, 512, "/sys/fs/cgroup%s%.380s", old ? "/memory" : "",
                     path ? path + 1 : "");
  }
  if (f) fclose(f);
}

/* A file of the cgroup as this process names it, or as a container shows its own: at the root. */
static int64_t cgroup_number(bool old, const char *file, const char *key) {
  char folder[512], path[600];
  cgroup_folder(old, folder);
  (void)snprintf(path, sizeof path, "%s/%s", folder, file);
  const int64_t own = *folder ? number_in(path, key) : -1;
  if (own >= 0) return own;
  (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", old ? "/memory" : "", file);
  return number_in(path, key);
}

int64_t limits_memory(int64_t memory_mb) {
  if (memory_mb > 0) return memory_mb << 20;
  int64_t least = number_in("/proc/meminfo", "MemTotal") * 1024;
  const int64_t bounds[] = { cgroup_number(false, "memory.max", NULL),
                             cgroup_number(true, "memory.limit_in_bytes", NULL) };
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
    if (bounds[i] > 0 && (least <= 0 || bounds[i] < least)) least = bounds[i];
  return least > 0 ? least : 0;
}

int64_t limits_resident(pid_t pid) {
  char path[64], line[128];
  (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  FILE *f = fopen(path, "re");
  if (!f) return 0;
  char *end = line;
  const bool any = fgets(line, sizeof line, f) != NULL;
  fclose(f);
  if (!any) return 0;
  strtoll(line, &end, 10);
  const int64_t resident = strtoll(end, &end, 10), shared = strtoll(end, &end, 10);
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

/* Of the processes that one thread started; theirs have none. */
static int64_t resident_of_children(pid_t pid, const char *thread) {
  char path[400];
  int64_t sum = 0;
  int child;
  (void)snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
  FILE *f = fopen(path, "re");
  while (f && fscanf(f, "%d", &child) == 1) sum += limits_resident(child);
  if (f) fclose(f);
  return sum;
}

int64_t limits_resident_all(pid_t pid) {
  char path[64];
  int64_t sum = limits_resident(pid);
  (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *threads = opendir(path);
  for (struct dirent *entry; threads && (entry = readdir(threads));)
    if (*entry->d_name != '.') sum += resident_of_children(pid, entry->d_name);
  if (threads) closedir(threads);
  return sum;
}

int64_t limits_oom_kills(void) {
  const int64_t seen[] = { cgroup_number(false, "memory.events", "oom_kill"),
                           cgroup_number(true, "memory.oom_control", "oom_kill"),
                           number_in("/proc/vmstat", "oom_kill") };
  int64_t sum = 0;
  for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) sum += seen[i] > 0 ? seen[i] : 0;
  return sum;
}

void limits_apply(int64_t memory_mb) {
  static const char FIRST[] = "900";
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    const ssize_t done = write(fd, FIRST, sizeof FIRST - 1);
    (void)done; /* it was higher, or there is no /proc: nothing is lost */
    close(fd);
  }
  if (memory_mb <= 0 || PX_SANITIZED) return;
  const rlim_t bytes = (rlim_t)(memory_mb + RESERVED_MB) << 20;
  const struct rlimit limit = { bytes, bytes };
  (void)setrlimit(RLIMIT_AS, &limit);
}
