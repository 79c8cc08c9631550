/* The helper's side of the sandbox: lock up, parse, answer. See sandbox.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/data/h5.h"
#include "lib/data/helper.h"
#include "lib/data/read_safetensors.h"
#include "lib/data/reading.h"
#include "lib/data/sandbox.h"
#include "lib/data/sandbox_frame.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { MEMORY_BYTES_LOG2 = 31,                              /* besides the mapped file: chunks, caches, one trajectory */
       CPU_S = 20, BYTES_PER_CPU_S = 1 << 20, OUT_BYTES = 32 << 10 };

uint32_t px_sandbox_cpu_s(uint64_t file_bytes) {
  const uint64_t more = file_bytes / BYTES_PER_CPU_S;
  return CPU_S + (more < UINT16_MAX ? (uint32_t)more : UINT16_MAX);
}

/* What was said but not sent yet: trajectories may be a few bytes each, and there may be millions. */
static char out[OUT_BYTES];
static size_t out_n;

static bool send_parts(struct iovec *parts, int n) {
  while (n) {
    const ssize_t put = writev(PX_SANDBOX_ANSWER_FD, parts, n);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    size_t sent = (size_t)put;
    for (; n && sent >= parts->iov_len; parts++, n--) sent -= parts->iov_len;
    if (n) parts->iov_base = (char *)parts->iov_base + sent, parts->iov_len -= sent;
  }
  return true;
}

static bool flush(void) {
  struct iovec said = { out, out_n };
  const int n = out_n > 0;
  out_n = 0;
  return send_parts(&said, n);
}

/* Much goes out from where it lies, behind what was said before. */
static bool write_all(const void *bytes, size_t n) {
  if (n > OUT_BYTES - out_n) {
    struct iovec parts[2] = { { out, out_n }, { (void *)(uintptr_t)bytes, n } };
    const int first = out_n == 0;
    out_n = 0;
    return send_parts(parts + first, 2 - first);
  }
  if (n) memcpy(out + out_n, bytes, n);
  out_n += n;
  return true;
}

static bool write_frame(enum px_sandbox_kind kind, uint32_t steps, uint32_t flags) {
  const struct px_sandbox_frame frame = { kind, steps, flags };
  return write_all(&frame, sizeof frame);
}

static enum px_status put(void *ctx, const struct px_traj *traj, struct px_err *err) {
  const struct px_spaces *spaces = ctx;
  const size_t T = traj->steps;
  const uint32_t flags = (traj->terminated ? PX_SANDBOX_TERMINATED : 0) | (traj->truncated ? PX_SANDBOX_TRUNCATED : 0) |
                         (traj->has_final ? PX_SANDBOX_HAS_FINAL : 0) | (traj->actions ? PX_SANDBOX_HAS_ACTIONS : 0) |
                         (traj->labelled ? PX_SANDBOX_HAS_MASK : 0);
  const bool sent = write_frame(PX_SANDBOX_TRAJECTORY, traj->steps, flags) &&
                    write_all(traj->observations, (T + traj->has_final) * spaces->obs_dim * sizeof(float)) &&
                    write_all(traj->rewards, T * sizeof(float)) &&
                    (!traj->actions || write_all(traj->actions, T * spaces->act_dim * sizeof(float))) &&
                    (!traj->labelled || write_all(traj->labelled, T));
  return sent ? PX_OK : px_fail(err, PX_E_IO, "the parent is gone");
}

static bool limit(int resource, rlim_t soft, rlim_t hard) {
  const struct rlimit l = { soft, hard };
  return !setrlimit(resource, &l);
}

static bool limit_resources(const struct px_sandbox_request *request) {
  const rlim_t cpu = request->options.max_cpu_s ? request->options.max_cpu_s : px_sandbox_cpu_s(request->file_bytes);
  const rlim_t memory = request->file_bytes + (1ull << MEMORY_BYTES_LOG2);
  return limit(RLIMIT_CPU, cpu, cpu + 5) && limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_FSIZE, 0, 0) &&
         limit(RLIMIT_NOFILE, 0, 0) && limit(RLIMIT_NPROC, 0, 0) && (SANITIZED || limit(RLIMIT_AS, memory, memory));
}

/* No file can be reached any more. Kernels without Landlock leave that to seccomp. */
static bool close_file_system(void) {
  const struct landlock_ruleset_attr all = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
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
static bool allow_narrowly(scmp_filter_ctx filter) {
  const struct scmp_arg_cmp itself = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
  return !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, SCMP_A0(SCMP_CMP_EQ, PX_SANDBOX_ANSWER_FD)) &&
         !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, PX_SANDBOX_FILE_FD)) &&
         !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, itself, SCMP_A2(SCMP_CMP_EQ, SIGABRT));
}

/* What computing, answering and dying take; anything else kills the process.
 * Only to open is merely refused: the HDF5 library makes sure that no file has
 * the name of an image in memory. */
static bool close_system_calls(void) {
  static const int allowed[] = {
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo), /* glibc's qsort asks how much memory there is */
  };
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  bool good = filter && !seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) && allow_memory(filter) && allow_narrowly(filter);
  good = good && !seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(open), 0) &&
         !seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0);
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed && good; i++)
    good = !seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
  good = good && !seccomp_load(filter);
  if (filter) seccomp_release(filter);
  return good;
}

static void end_by(int signal_n) { _exit(PX_SANDBOX_EXIT_SIGNAL + signal_n); }

/* The first process of a namespace does not die of these without a handler. Faults (SIGSEGV) end it all the same. */
static bool die_of_signals(void) {
  return signal(SIGABRT, end_by) != SIG_ERR && signal(SIGXCPU, end_by) != SIG_ERR && signal(SIGSYS, end_by) != SIG_ERR;
}

bool px_sandbox_lock(const struct px_sandbox_request *request) {
  return die_of_signals() && !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
         close_file_system() && limit_resources(request) && (SANITIZED || close_system_calls());
}

/* JSON lines are read as a stream, the others out of the mapped file. */
static enum px_status parse(struct px_reading *r, enum px_format format, const void *bytes, struct px_err *err) {
  switch (format) {
    case PX_FORMAT_HDF5: return px_read_hdf5(r, bytes, r->file_bytes, err);
    case PX_FORMAT_NPZ: return px_read_npz(r, bytes, r->file_bytes, err);
    case PX_FORMAT_JSONL: return px_read_jsonl(r, PX_SANDBOX_FILE_FD, err);
    default: break;
  }
  memcpy(r->report->layout, "safetensors", sizeof "safetensors");
  return px_read_safetensors_noting(r, bytes, r->file_bytes, err);
}

static bool serve(const struct px_sandbox_request *request, const void *bytes) {
  static struct px_read_report report;
  const struct px_traj_sink sink = { (void *)(uintptr_t)&request->spaces, put };
  struct px_reading r = { .options = &request->options, .spaces = &request->spaces, .sink = &sink, .report = &report,
                          .no_integers = px_spaces_take_no_integers(&request->spaces), .file_bytes = request->file_bytes };
  struct px_err err = { 0 };
  const enum px_status status = parse(&r, (enum px_format)request->format, bytes, &err);
  err.code = status;
  return (status ? write_frame(PX_SANDBOX_ERROR, 0, 0) && write_all(&err, sizeof err)
                 : write_frame(PX_SANDBOX_REPORT, 0, 0) && write_all(&report, sizeof report)) && flush();
}

static int serve_request(void) {
  static struct px_sandbox_request request;
  if (!px_helper_take(PX_SANDBOX_REQUEST_FD, &request, sizeof request)) return 2; /* written before we began */
  void *bytes = mmap(NULL, request.file_bytes, PROT_READ, MAP_PRIVATE, PX_SANDBOX_FILE_FD, 0);
  if (bytes == MAP_FAILED) return 3;
  close(PX_SANDBOX_REQUEST_FD);
  if (request.format == PX_FORMAT_HDF5) px_h5_prepare();
  if (!px_sandbox_lock(&request)) return 4;
  const bool served = write_frame(PX_SANDBOX_READY, 0, 0) && flush() && serve(&request, bytes);
  _exit(served ? 0 : 5); /* exit handlers of libraries have no business here */
}

const struct px_helper_kind px_helper_parse = { "proxact-parse-helper", "--proxact-parse-helper", serve_request, true };
