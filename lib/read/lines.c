/* SPDX-License-Identifier: Apache-2.0 */
/* Text files, line by line: see lines.h. */
#include "lib/read/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"

enum { READ_BYTES = 1 << 20 };

struct lines {
  struct px_buf buf;
  size_t searched; /* of buf, for the end of a line */
  uint64_t number; /* of the last line given */
  px_lines_take take;
  void *ctx;
};

static enum px_status emit_line(struct lines *l, char *line, size_t n, struct px_err *err) {
  static const char MARK[] = "\xef\xbb\xbf";
  l->number++;
  if (strlen(line) != n)
    return px_fail(err, PX_E_BAD_DATA, "line %" PRIu64 " holds a NUL byte", l->number);
  if (n && line[n - 1] == '\r') line[--n] = '\0';
  const size_t mark = l->number == 1 && !strncmp(line, MARK, 3) ? 3 : 0;
  return l->take(l->ctx, l->number, line + mark, n - mark, err);
}

/* Takes all complete lines off the buffer; at the end of the file also the last. */
static enum px_status emit_lines(struct lines *l, bool last, struct px_err *err) {
  struct px_buf *buf = &l->buf;
  size_t begin = 0;
  enum px_status status = PX_OK;
  for (char *nl; !status && (nl = memchr(buf->data + l->searched, '\n', buf->len - l->searched));
       l->searched = begin) {
    *nl = '\0';
    status = emit_line(l, buf->data + begin, (size_t)(nl - (buf->data + begin)), err);
    begin = (size_t)(nl - buf->data) + 1;
  }
  if (last && !status && begin < buf->len) {
    status = emit_line(l, buf->data + begin, buf->len - begin, err);
    begin = buf->len;
  }
  memmove(buf->data, buf->data + begin, buf->len - begin);
  buf->len -= begin;
  l->searched = buf->len;
  return status;
}

static enum px_status read_all(struct lines *l, int fd, uint64_t max_bytes, struct px_err *err) {
  uint64_t total = 0;
  for (;;) {
    enum px_status status = px_buf_room(&l->buf, READ_BYTES);
    if (status == PX_E_TOO_LARGE)
      return px_fail(err, status, "line %" PRIu64 " is longer than %d MiB", l->number + 1,
                     PX_LINES_MAX_BYTES >> 20);
    if (status) return px_fail(err, status, "no memory for line %" PRIu64, l->number + 1);
    const ssize_t got = read(fd, l->buf.data + l->buf.len, READ_BYTES);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return px_fail_errno(err, "cannot read the upload");
    l->buf.len += (size_t)got;
    l->buf.data[l->buf.len] = '\0';
    total += (uint64_t)got;
    if (total > max_bytes)
      return px_fail(err, PX_E_TOO_LARGE, "there are more than %" PRIu64 " bytes in it", max_bytes);
    status = emit_lines(l, got == 0, err);
    if (status || got == 0) return status;
  }
}

enum px_status px_lines_read(int fd, uint64_t max_bytes, px_lines_take take, void *ctx,
                             struct px_err *err) {
  struct lines l = { .buf = PX_BUF(PX_LINES_MAX_BYTES + READ_BYTES), .take = take, .ctx = ctx };
  const enum px_status status = read_all(&l, fd, max_bytes, err);
  px_buf_free(&l.buf);
  return status;
}
