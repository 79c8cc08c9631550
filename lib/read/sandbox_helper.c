/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's side of the sandbox: lock up, parse, answer. See sandbox.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/subprocess.h"
#include "lib/data/spaces.h"
#include "lib/data/traj.h"
#include "lib/read/actions_parts.h"
#include "lib/read/h5.h"
#include "lib/read/read_safetensors.h"
#include "lib/read/reader.h"
#include "lib/read/sandbox.h"
#include "lib/read/sandbox_frame.h"

/* besides the mapped file: chunks, caches, one trajectory */
enum { MEMORY_BYTES_LOG2 = 31, CPU_S = 20, BYTES_PER_CPU_S = 1 << 20, OUT_BYTES = 32 << 10 };

uint32_t px_sandbox_cpu_s(uint64_t file_bytes) {
  const uint64_t more = file_bytes / BYTES_PER_CPU_S;
  return CPU_S + (more < UINT16_MAX ? (uint32_t)more : UINT16_MAX);
}

/* What was said but not sent yet: trajectories may be a few bytes each, and there may be
 * millions. */
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

static enum px_status send_trajectory(void *ctx, const struct px_traj *traj, struct px_err *err) {
  const struct px_spaces *spaces = ctx;
  const size_t T = traj->steps;
  const uint32_t flags =
    (traj->terminated ? PX_SANDBOX_TERMINATED : 0) | (traj->truncated ? PX_SANDBOX_TRUNCATED : 0) |
    (traj->has_final ? PX_SANDBOX_HAS_FINAL : 0) | (traj->actions ? PX_SANDBOX_HAS_ACTIONS : 0) |
    (traj->labelled ? PX_SANDBOX_HAS_MASK : 0) | (traj->rewards ? PX_SANDBOX_HAS_REWARDS : 0);
  const bool sent =
    write_frame(PX_SANDBOX_TRAJECTORY, traj->steps, flags) &&
    write_all(traj->observations, (T + traj->has_final) * spaces->obs_dim * sizeof(float)) &&
    (!traj->rewards || write_all(traj->rewards, T * sizeof(float))) &&
    (!traj->actions || write_all(traj->actions, T * spaces->act_dim * sizeof(float))) &&
    (!traj->labelled || write_all(traj->labelled, T));
  return sent ? PX_OK : px_fail(err, PX_E_IO, "the parent is gone");
}

static enum px_status send_run(void *ctx, const struct px_actions_run *run, struct px_err *err) {
  const struct px_spaces *spaces = ctx;
  struct px_sandbox_run head;
  memset(&head, 0, sizeof head);
  head.trajectory = run->trajectory;
  head.step = run->step;
  head.n = run->n;
  const bool sent = write_frame(PX_SANDBOX_ACTIONS, 0, 0) && write_all(&head, sizeof head) &&
                    write_all(run->actions, (size_t)run->n * spaces->act_dim * sizeof(float));
  return sent ? PX_OK : px_fail(err, PX_E_IO, "the parent is gone");
}

bool px_sandbox_lock(const struct px_sandbox_request *request) {
  const struct px_lockup limits = { .cpu_s = request->options.max_cpu_s
                                               ? request->options.max_cpu_s
                                               : px_sandbox_cpu_s(request->file_bytes),
                                    .memory_bytes =
                                      request->file_bytes + (1ull << MEMORY_BYTES_LOG2),
                                    .read_fd = PX_SANDBOX_FILE_FD,
                                    .write_fd = PX_SANDBOX_ANSWER_FD };
  return px_lockup(&limits);
}

static enum px_status (*const READERS[PX_FORMAT_N])(struct px_reader *r, const void *bytes,
                                                    size_t n, struct px_err *err) = {
#define PX_UPLOAD(NAME, name, ...) [PX_FORMAT_##NAME] = px_read_##name,
#include "schema/uploads.def"
#undef PX_UPLOAD
};

static bool serve(const struct px_sandbox_request *request, const void *bytes) {
  static struct px_read_report report;
  const struct px_traj_sink sink = { (void *)(uintptr_t)&request->spaces, send_trajectory };
  struct px_reader r = { .options = &request->options,
                         .spaces = &request->spaces,
                         .sink = &sink,
                         .report = &report,
                         .fd = PX_SANDBOX_FILE_FD,
                         .no_integers = px_spaces_take_no_integers(&request->spaces),
                         .file_bytes = request->file_bytes };
  const struct px_actions_sink runs = { sink.ctx, send_run };
  struct px_err err = { 0 };
  struct px_actions_rows rows = { .r = &r, .what = &request->actions, .sink = &runs };
  const enum px_status status = request->actions.wanted
                                  ? px_actions_dispatch(&rows, bytes, r.file_bytes, &err)
                                  : READERS[request->format](&r, bytes, r.file_bytes, &err);
  err.code = status;
  return (status ? write_frame(PX_SANDBOX_ERROR, 0, 0) && write_all(&err, sizeof err)
                 : write_frame(PX_SANDBOX_REPORT, 0, 0) && write_all(&report, sizeof report)) &&
         flush();
}

static int serve_request(void) {
  static struct px_sandbox_request request;
  /* written before we began */
  if (!px_subprocess_take(PX_SANDBOX_REQUEST_FD, &request, sizeof request)) return 2;
  void *bytes = mmap(NULL, request.file_bytes, PROT_READ, MAP_PRIVATE, PX_SANDBOX_FILE_FD, 0);
  if (bytes == MAP_FAILED) return 3;
  close(PX_SANDBOX_REQUEST_FD);
  if (!request.actions.wanted && request.format == PX_FORMAT_HDF5) px_h5_prepare();
  if (!px_sandbox_lock(&request)) return 4;
  const bool served = write_frame(PX_SANDBOX_READY, 0, 0) && flush() && serve(&request, bytes);
  _exit(served ? 0 : 5); /* exit handlers of libraries have no business here */
}

const struct px_subprocess_kind px_sandbox_helper = { "proxact-parse-helper",
                                                      "--proxact-parse-helper", serve_request,
                                                      true };
