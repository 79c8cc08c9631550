/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library that makes one call fail: see failing.h. Loaded in front of a program under test with
 * LD_PRELOAD; it links nothing of the project. The real functions are the next ones in order, which
 * under AddressSanitizer are its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/fault/lib/failing.h"

static struct failing *shared;
static enum failing_part part;
static __thread bool inside; /* of this library: what it calls does not count */

/* ---- which part this process is */

static enum failing_part part_of(const char *words, size_t n) {
  const char *name = strrchr(words, '/'), *second = words + strlen(words) + 1;
  name = name ? name + 1 : words;
  const bool more = second < words + n;
  if (strcmp(name, "proxact-server") == 0 && more && strcmp(second, "serve") == 0)
    return FAILING_SERVER;
  if (strcmp(name, "proxact-worker") == 0)
    return more && strcmp(second, "child") == 0 ? FAILING_CHILD : FAILING_SUPERVISOR;
  return strcmp(name, "proxact") == 0 ? FAILING_CLIENT : FAILING_NONE;
}

static void __attribute__((constructor)) begin(void) {
  char words[4096] = "";
  void *frames[2];
  inside = true;
  backtrace(frames, 2); /* its first call loads a library */
  const char *path = getenv("PX_FAILING");
  const int self = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC),
            fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  const ssize_t n = self >= 0 ? read(self, words, sizeof words - 1) : 0;
  void *map =
    fd >= 0 ? mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (self >= 0) close(self);
  if (fd >= 0) close(fd);
  if (n > 0) part = part_of(words, (size_t)n);
  if (map != MAP_FAILED) shared = map;
  inside = false;
}

/* ---- the one that fails */

static void describe(const char *call) {
  void *frames[FAILING_FRAMES + 2];
  const int n = backtrace(frames, FAILING_FRAMES + 2);
  snprintf(shared->call, sizeof shared->call, "%s", call);
  shared->frames_n = 0;
  for (int i = 2; i < n; i++) {
    Dl_info about = { 0 };
    const bool known = dladdr(frames[i], &about) && about.dli_fname;
    const char *file = known ? strrchr(about.dli_fname, '/') : NULL;
    snprintf(shared->where[shared->frames_n], sizeof shared->where[0], "%s+%#lx",
             file    ? file + 1
             : known ? about.dli_fname
                     : "?",
             (unsigned long)((char *)frames[i] - (char *)about.dli_fbase));
    shared->frames[shared->frames_n++] = frames[i];
  }
}

/* FNV-1a over the name's and the callers' addresses, which do not change while the process
 * lives. */
static uint64_t place_of(const char *call) {
  uintptr_t parts[FAILING_FRAMES + 3] = { (uintptr_t)call };
  const int n = backtrace((void **)(parts + 1), FAILING_FRAMES + 2);
  uint64_t digest = 0xcbf29ce484222325u;
  for (int i = 0; i <= n; i++) digest = (digest ^ parts[i]) * 0x100000001b3u;
  return digest;
}

static bool fails(const char *call) {
  if (!shared || inside || part == FAILING_NONE || atomic_load(&shared->part) != part) return false;
  const long number = atomic_fetch_add(&shared->count, 1) + 1;
  if (atomic_load(&shared->noting) && number <= FAILING_NOTED) {
    inside = true;
    shared->place[number - 1] = place_of(call);
    inside = false;
  }
  if (number != atomic_load(&shared->at)) return false;
  inside = true;
  describe(call);
  atomic_store(&shared->fired, 1);
  inside = false;
  return true;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) { \
    const bool was = inside; \
    inside = true; \
    real = (type(*)(__VA_ARGS__))(uintptr_t)dlsym(RTLD_NEXT, name); \
    inside = was; \
  }

/* ---- memory */

void *malloc(size_t n) {
  REAL(void *, "malloc", size_t)
  return fails("malloc") ? errno = ENOMEM, NULL : real(n);
}

void *realloc(void *p, size_t n) {
  REAL(void *, "realloc", void *, size_t)
  return fails("realloc") ? errno = ENOMEM, NULL : real(p, n);
}

/* dlsym itself may ask for memory before it has found calloc. */
void *calloc(size_t n, size_t size) {
  static char early[4096] __attribute__((aligned(64)));
  static size_t used;
  static bool looking;
  static void *(*real)(size_t, size_t);
  if (!real && looking) {
    void *p = early + used;
    used += (n * size + 63) & ~(size_t)63;
    return used <= sizeof early ? p : NULL;
  }
  if (!real) {
    looking = true;
    real = (void *(*)(size_t, size_t))(uintptr_t)dlsym(RTLD_NEXT, "calloc");
    looking = false;
  }
  return fails("calloc") ? errno = ENOMEM, NULL : real(n, size);
}

void *aligned_alloc(size_t align, size_t n) {
  REAL(void *, "aligned_alloc", size_t, size_t)
  return fails("aligned_alloc") ? errno = ENOMEM, NULL : real(align, n);
}

int posix_memalign(void **p, size_t align, size_t n) {
  REAL(int, "posix_memalign", void **, size_t, size_t)
  return fails("posix_memalign") ? ENOMEM : real(p, align, n);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset) {
  REAL(void *, "mmap", void *, size_t, int, int, int, off_t)
  return fails("mmap") ? errno = ENOMEM, MAP_FAILED : real(at, n, prot, flags, fd, offset);
}

/* ---- files and sockets: FAIL(error) for the same signature */

#define CALL(type, name, why, parameters, ...) \
  type name parameters { \
    REAL(type, #name, SIGNATURE parameters) \
    return fails(#name) ? errno = (why), (type)-1 : real(__VA_ARGS__); \
  }
#define SIGNATURE(...) __VA_ARGS__

/* Eight bytes are an eventfd's: a wake-up between threads, which cannot fail. */
ssize_t read(int fd, void *p, size_t n) {
  REAL(ssize_t, "read", int, void *, size_t)
  return n != 8 && fails("read") ? errno = EIO, -1 : real(fd, p, n);
}
ssize_t write(int fd, const void *p, size_t n) {
  REAL(ssize_t, "write", int, const void *, size_t)
  return n != 8 && fails("write") ? errno = ENOSPC, -1 : real(fd, p, n);
}
CALL(ssize_t, pread, EIO, (int fd, void *p, size_t n, off_t at), fd, p, n, at)
CALL(ssize_t, pwrite, ENOSPC, (int fd, const void *p, size_t n, off_t at), fd, p, n, at)
CALL(int, connect, ECONNREFUSED, (int fd, const struct sockaddr *to, socklen_t n), fd, to, n)
CALL(int, socket, EMFILE, (int family, int type, int protocol), family, type, protocol)
CALL(int, accept4, EMFILE, (int fd, struct sockaddr *from, socklen_t *n, int flags), fd, from, n,
     flags)
CALL(int, fsync, EIO, (int fd), fd)
CALL(int, fdatasync, EIO, (int fd), fd)
CALL(int, ftruncate, ENOSPC, (int fd, off_t n), fd, n)
CALL(off_t, lseek, EIO, (int fd, off_t at, int whence), fd, at, whence)
CALL(int, fstat, EIO, (int fd, struct stat *st), fd, st)
CALL(int, statvfs, EIO, (const char *path, struct statvfs *v), path, v)
CALL(int, pipe2, EMFILE, (int fds[2], int flags), fds, flags)
CALL(int, mkostemp, ENOSPC, (char *path, int flags), path, flags)
CALL(int, memfd_create, EMFILE, (const char *name, unsigned flags), name, flags)
CALL(pid_t, fork, EAGAIN, (void))
CALL(ssize_t, getrandom, ENOSYS, (void *p, size_t n, unsigned flags), p, n, flags)

/* A connection that is reset is so for both directions, and stays so. */
static int reset(int fd) {
  shutdown(fd, SHUT_RDWR);
  return ECONNRESET;
}
CALL(ssize_t, send, reset(fd), (int fd, const void *p, size_t n, int flags), fd, p, n, flags)
CALL(ssize_t, recv, reset(fd), (int fd, void *p, size_t n, int flags), fd, p, n, flags)
CALL(ssize_t, sendmsg, reset(fd), (int fd, const struct msghdr *m, int flags), fd, m, flags)
CALL(ssize_t, writev, reset(fd), (int fd, const struct iovec *v, int n), fd, v, n)

char *mkdtemp(char *path) {
  REAL(char *, "mkdtemp", char *)
  return fails("mkdtemp") ? errno = ENOSPC, NULL : real(path);
}

FILE *fopen(const char *path, const char *mode) {
  REAL(FILE *, "fopen", const char *, const char *)
  return fails("fopen") ? errno = EMFILE, NULL : real(path, mode);
}

/* O_TMPFILE has the bit of O_DIRECTORY too. */
static int makes_a_file(int flags) { return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE; }

int open(const char *path, int flags, ...) {
  REAL(int, "open", const char *, int, ...)
  va_list args;
  va_start(args, flags);
  const mode_t mode = makes_a_file(flags) ? va_arg(args, mode_t) : 0;
  va_end(args);
  return fails("open") ? errno = EMFILE, -1 : real(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
  REAL(int, "openat", int, const char *, int, ...)
  va_list args;
  va_start(args, flags);
  const mode_t mode = makes_a_file(flags) ? va_arg(args, mode_t) : 0;
  va_end(args);
  return fails("openat") ? errno = EMFILE, -1 : real(at, path, flags, mode);
}

/* ---- processes and threads */

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  REAL(int, "posix_spawn", pid_t *, const char *, const posix_spawn_file_actions_t *,
       const posix_spawnattr_t *, char *const[], char *const[])
  return fails("posix_spawn") ? EAGAIN : real(pid, path, actions, attributes, argv, envp);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *),
                   void *arg) {
  REAL(int, "pthread_create", pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)
  return fails("pthread_create") ? EAGAIN : real(thread, attributes, main, arg);
}
