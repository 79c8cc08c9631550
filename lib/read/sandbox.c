/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side of the sandbox: start the helper, check what it says. See sandbox.h. */
#include "lib/read/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/subprocess.h"
#include "lib/base/text.h"
#include "lib/data/traj.h"
#include "lib/read/reader.h"
#include "lib/read/sandbox_frame.h"
#include "lib/read/traj_buffer.h"

enum { PIPE_BYTES = 1 << 20, IN_BYTES = 32 << 10, DEFAULT_IDLE_S = 60 };

struct helper {
  pid_t pid;
  int answer; /* read end */
  int idle_ms;
  bool ready, timed_out;
  int trouble; /* errno of what failed on this side: no fault of the file */
  char *in;    /* [IN_BYTES] what was read ahead: in_n bytes, of which in_at are taken */
  size_t in_at, in_n;
  const struct px_actions_sink *runs; /* NULL: trajectories are asked for */
};

static enum px_status start(struct helper *h, int fd, const struct px_sandbox_request *request,
                            struct px_err *err) {
  int ask[2] = { -1, -1 }, answer[2] = { -1, -1 };
  enum px_status status = PX_OK;
  h->answer = -1;
  if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC)) {
    status = px_fail_errno(err, "no pipe to the parse helper");
    goto out;
  }
  fcntl(answer[0], F_SETPIPE_SZ, PIPE_BYTES); /* faster where allowed; the default works */
  if (write(ask[1], request, sizeof *request) != (ssize_t)sizeof *request) {
    status = px_fail_errno(err, "no pipe to the parse helper");
    goto out;
  }
  status = px_subprocess_start(&px_sandbox_helper, (const int[]){ fd, ask[0], answer[1] }, 3,
                               &h->pid, err);
  if (status) goto out;
  h->answer = answer[0];
  answer[0] = -1;
out:
  for (int i = 0; i < 2; i++) {
    if (ask[i] >= 0) close(ask[i]);
    if (answer[i] >= 0) close(answer[i]);
  }
  return status;
}

/* What there is, at most n bytes; 0 when the helper is silent or gone. */
static size_t hear(struct helper *h, void *dst, size_t n) {
  for (;;) {
    struct pollfd p = { h->answer, POLLIN, 0 };
    const int polled = poll(&p, 1, h->idle_ms);
    if (polled < 0 && errno == EINTR) continue;
    h->timed_out = polled == 0;
    const ssize_t got = polled > 0 ? read(h->answer, dst, n) : polled;
    if (got < 0 && polled > 0 && errno == EINTR) continue;
    if (got < 0) h->trouble = errno;
    return got > 0 ? (size_t)got : 0;
  }
}

/* Exactly n bytes; false when the helper is silent or gone. Much goes to its place at once, little
 * through the buffer. */
static bool receive(struct helper *h, void *dst, size_t n) {
  for (char *at = dst; n;) {
    size_t got = h->in_n - h->in_at;
    if (got) {
      if (got > n) got = n;
      memcpy(at, h->in + h->in_at, got);
      h->in_at += got;
    } else if (n >= IN_BYTES) {
      got = hear(h, at, n);
      if (!got) return false;
    } else {
      h->in_at = 0;
      h->in_n = hear(h, h->in, IN_BYTES);
      if (!h->in_n) return false;
      continue;
    }
    at += got;
    n -= got;
  }
  return true;
}

/* Why a helper that did not finish ended; it has been waited for. */
static enum px_status explain(const struct helper *h, int ended, struct px_err *err) {
  errno = h->trouble;
  if (h->trouble) return px_fail_errno(err, "reading what the parse helper says");
  if (h->timed_out)
    return px_fail(err, PX_E_BAD_DATA, "parsing it made no progress for %d s", h->idle_ms / 1000);
  if (!h->ready)
    return px_fail(err, PX_E_INTERNAL, "the parse helper could not lock itself up (%s %d)",
                   WIFSIGNALED(ended) ? "signal" : "step",
                   WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
  int code;
  const int signal = px_lockup_signal(ended, &code);
  if (!signal) return px_fail(err, PX_E_BAD_DATA, "its parser broke off (%d)", code);
  if (signal == SIGSYS)
    return px_fail(err, PX_E_BAD_DATA,
                   "its parser was refused a system call: the file is malformed");
  if (signal == SIGXCPU) return px_fail(err, PX_E_BAD_DATA, "parsing it ran out of time");
  if (signal == SIGKILL) return px_fail(err, PX_E_BAD_DATA, "parsing it ran out of time or memory");
  return px_fail(err, PX_E_BAD_DATA, "its parser died of signal %d (%s): the file is malformed",
                 signal, strsignal(signal));
}

/* Text from the helper: ended, and fit to be shown. */
static void clean(char *text, size_t size) {
  text[size - 1] = '\0';
  px_text_clean(text);
}

static enum px_status take_trajectory(struct helper *h, struct px_reader *r,
                                      struct px_traj_buffer *room,
                                      const struct px_sandbox_frame *frame, bool *lost,
                                      struct px_err *err) {
  const size_t T = frame->steps, O = r->spaces->obs_dim, A = r->spaces->act_dim;
  if (!T || T > PX_STEPS_MAX || frame->flags >= PX_SANDBOX_FLAGS_END)
    return px_fail(err, PX_E_BAD_DATA, "its parser answered nonsense: the file is malformed");
  const enum px_status status = px_traj_buffer_steps(room, T, err);
  if (status) return status;
  const bool final = frame->flags & PX_SANDBOX_HAS_FINAL,
             actions = frame->flags & PX_SANDBOX_HAS_ACTIONS;
  const bool mask = frame->flags & PX_SANDBOX_HAS_MASK,
             rewards = frame->flags & PX_SANDBOX_HAS_REWARDS;
  if (!receive(h, room->observations, (T + final) * O * sizeof(float)) ||
      (rewards && !receive(h, room->rewards, T * sizeof(float))) ||
      (actions && !receive(h, room->actions, T * A * sizeof(float))) ||
      (mask && !receive(h, room->labelled, T))) {
    *lost = true;
    return PX_OK;
  }
  for (size_t t = 0; mask && t < T; t++) room->labelled[t] = room->labelled[t] != 0;
  const struct px_traj traj = {
    .steps = frame->steps,
    .observations = room->observations,
    .actions = actions ? room->actions : NULL,
    .labelled = actions && mask ? room->labelled : NULL,
    .rewards = rewards ? room->rewards : NULL,
    .terminated = frame->flags & PX_SANDBOX_TERMINATED,
    .truncated = frame->flags & PX_SANDBOX_TRUNCATED,
    .has_final = final,
  };
  return px_reader_put(r, &traj, err);
}

static enum px_status take_run(struct helper *h, struct px_reader *r, float **room, bool *lost,
                               struct px_err *err) {
  struct px_sandbox_run said;
  *lost = !receive(h, &said, sizeof said);
  if (*lost) return PX_OK;
  const size_t bytes = (size_t)PX_ACTIONS_RUN_MAX * r->spaces->act_dim * sizeof(float);
  if (!h->runs || !said.n || said.n > PX_ACTIONS_RUN_MAX || said.step >= PX_STEPS_MAX)
    return px_fail(err, PX_E_BAD_DATA, "its parser answered nonsense: the file is malformed");
  if (!*room && !(*room = malloc(bytes)))
    return px_fail(err, PX_E_NO_MEMORY, "no memory for actions");
  *lost = !receive(h, *room, (size_t)said.n * r->spaces->act_dim * sizeof(float));
  const struct px_actions_run run = { said.trajectory, said.step, said.n, *room };
  return *lost ? PX_OK : h->runs->put(h->runs->ctx, &run, err);
}

static enum px_status take_error(struct helper *h, bool *lost, struct px_err *err) {
  struct px_err said;
  if (!receive(h, &said, sizeof said)) {
    *lost = true;
    return PX_OK;
  }
  clean(said.message, sizeof said.message);
  clean(said.pointer, sizeof said.pointer);
  clean(said.hint, sizeof said.hint);
  /* A helper that was taken over must not pass its trouble off as ours. */
  const bool known = said.code == PX_E_TOO_LARGE || said.code == PX_E_NO_MEMORY;
  const enum px_status status =
    px_fail_at(err, known ? said.code : PX_E_BAD_DATA, said.pointer, "%s", said.message);
  if (*said.hint) px_fail_hint(err, "%s", said.hint);
  return status;
}

static bool take_report(struct helper *h, struct px_reader *r) {
  struct px_read_report *said = calloc(1, sizeof *said);
  if (!said) h->trouble = ENOMEM;
  const bool taken = said && receive(h, said, sizeof *said) && said->notes_n <= PX_READ_NOTES_MAX;
  if (taken) {
    clean(said->layout, sizeof said->layout);
    memcpy(r->report->layout, said->layout, sizeof said->layout);
    r->report->notes_n = said->notes_n;
    for (uint32_t i = 0; i < said->notes_n; i++) {
      clean(said->notes[i], sizeof said->notes[i]);
      memcpy(r->report->notes[i], said->notes[i], sizeof said->notes[i]);
    }
  }
  free(said);
  return taken;
}

/* Frames until the last; *lost when the helper ended before. */
static enum px_status converse(struct helper *h, struct px_reader *r, bool *lost,
                               struct px_err *err) {
  struct px_traj_buffer room;
  float *actions = NULL;
  px_traj_buffer_init(&room, r->spaces);
  enum px_status status = PX_OK;
  for (bool done = false; !done && !*lost && !status;) {
    struct px_sandbox_frame frame;
    if (!receive(h, &frame, sizeof frame)) *lost = true;
    else if (!h->ready) *lost = !(h->ready = frame.kind == PX_SANDBOX_READY);
    else if (frame.kind == PX_SANDBOX_TRAJECTORY)
      status = take_trajectory(h, r, &room, &frame, lost, err);
    else if (frame.kind == PX_SANDBOX_ACTIONS) status = take_run(h, r, &actions, lost, err);
    else if (frame.kind == PX_SANDBOX_ERROR) status = take_error(h, lost, err);
    else if (frame.kind == PX_SANDBOX_REPORT) *lost = !(done = take_report(h, r));
    else
      status = px_fail(err, PX_E_BAD_DATA, "its parser answered nonsense: the file is malformed");
  }
  px_traj_buffer_free(&room);
  free(actions);
  return status;
}

static enum px_status run_helper(struct px_reader *r, int fd, struct px_sandbox_request *request,
                                 const struct px_actions_sink *runs, struct px_err *err) {
  request->spaces = *r->spaces;
  request->file_bytes = r->file_bytes;
  request->options = *r->options;
  struct helper h = { .runs = runs,
                      .idle_ms = 1000 * (int)(r->options->max_idle_s ? r->options->max_idle_s
                                                                     : DEFAULT_IDLE_S) };
  if (!(h.in = malloc(IN_BYTES)))
    return px_fail(err, PX_E_NO_MEMORY, "no memory to hear the parse helper");
  enum px_status status = start(&h, fd, request, err);
  bool lost = false;
  if (!status) status = converse(&h, r, &lost, err);
  free(h.in);
  if (h.answer < 0) return status;
  close(h.answer);
  /* it may still run: silent, talking nonsense, or not wanted any more */
  const int ended = px_subprocess_end(h.pid);
  return status || !lost ? status : explain(&h, ended, err);
}

enum px_status px_sandbox_read(struct px_reader *r, int fd, enum px_read_format format,
                               struct px_err *err) {
  struct px_sandbox_request request;
  memset(&request, 0, sizeof request); /* what lies between its fields is sent too */
  request.format = format;
  return run_helper(r, fd, &request, NULL, err);
}

enum px_status px_sandbox_actions(struct px_reader *r, int fd,
                                  const struct px_actions_reading *what,
                                  const struct px_actions_sink *sink, struct px_err *err) {
  struct px_sandbox_request request;
  memset(&request, 0, sizeof request);
  request.actions.wanted = true;
  request.actions.format = what->format;
  request.actions.steps = what->steps;
  request.actions.trajectory = what->trajectory;
  return run_helper(r, fd, &request, sink, err);
}
