/* SPDX-License-Identifier: Apache-2.0 */
/* D4RL HDF5 (write.h), written by a helper process: HDF5 1.10 calls exit() where it finds no memory
 * for an id, and a server with exports under way must not end with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/write/write_hdf5_frame.h"

struct hdf5 {
  pid_t pid; /* 0: it has been waited for */
  int talk;
};

/* A disk may be as slow as it likes. */
static bool send_bytes(struct hdf5 *h, const void *bytes, size_t n) {
  bool silent;
  return px_subprocess_tell(h->talk, bytes, n, -1, &silent);
}

/* What the helper says at its end, or else what its end says. */
static enum px_status hear(struct hdf5 *h, struct px_err *err) {
  struct px_err said;
  const bool heard = px_subprocess_take(h->talk, &said, sizeof said);
  const int ended = px_subprocess_end(h->pid);
  h->pid = 0;
  if (heard) return said.code ? px_fail(err, said.code, "%s", said.message) : PX_OK;
  return px_fail(err, PX_E_NO_MEMORY,
                 "the HDF5 library ended its process (%s %d), as it does when memory is short",
                 WIFSIGNALED(ended) ? "signal" : "status",
                 WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
}

static void hdf5_free(void *writer) {
  struct hdf5 *h = writer;
  if (!h) return;
  if (h->pid) px_subprocess_end(h->pid);
  if (h->talk >= 0) close(h->talk);
  free(h);
}

static enum px_status hdf5_open(const char *path, void **writer, struct px_err *err) {
  int talk[2] = { -1, -1 };
  struct hdf5 *h = calloc(1, sizeof *h);
  if (!h) return px_fail(err, PX_E_NO_MEMORY, "no memory for an export");
  h->talk = -1;
  enum px_status status = PX_OK;
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) status = px_fail_errno(err, "creating the export");
  else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk))
    status = px_fail_errno(err, "no way to talk to the HDF5 writer");
  if (!status)
    status =
      px_subprocess_start(&px_write_hdf5_helper, (const int[]){ file, talk[1] }, 2, &h->pid, err);
  if (file >= 0) close(file);
  if (talk[1] >= 0) close(talk[1]);
  h->talk = talk[0];
  if (status && file >= 0) unlink(path);
  if (status) hdf5_free(h);
  else *writer = h;
  return status;
}

static enum px_status hdf5_put(void *writer, const struct px_write_rows *rows,
                               const struct px_write_columns *columns, struct px_err *err) {
  (void)rows;
  struct hdf5 *h = writer;
  for (uint32_t i = 0; i < columns->n; i++) {
    const struct px_write_column *c = &columns->column[i];
    struct px_write_hdf5_frame frame = {
      .column = i, .dtype = c->dtype, .width = c->width, .rows = c->rows
    };
    snprintf(frame.name, sizeof frame.name, "%s", c->name);
    if (!send_bytes(h, &frame, sizeof frame) ||
        !send_bytes(h, c->data, px_write_hdf5_bytes(&frame)))
      return hear(h, err);
  }
  return PX_OK;
}

static enum px_status hdf5_end(void *writer, const struct px_write_facts *facts,
                               struct px_err *err) {
  for (size_t i = 0; i < facts->n; i++) {
    const struct px_write_fact *fact = &facts->fact[i];
    struct px_write_hdf5_frame frame = { .column = PX_WRITE_HDF5_FACT,
                                         .dtype = PX_DTYPE_U8,
                                         .rows = strlen(fact->value) };
    snprintf(frame.name, sizeof frame.name, "%s", fact->name);
    if (!send_bytes(writer, &frame, sizeof frame) ||
        !send_bytes(writer, fact->value, px_write_hdf5_bytes(&frame)))
      return hear(writer, err);
  }
  const struct px_write_hdf5_frame complete = { .name = "" };
  (void)!send_bytes(writer, &complete, sizeof complete); /* a helper that has gone is heard of */
  return hear(writer, err);
}

const struct px_write_writer px_write_hdf5 = { px_write_columns_d4rl, hdf5_open, hdf5_put, hdf5_end,
                                               hdf5_free };
