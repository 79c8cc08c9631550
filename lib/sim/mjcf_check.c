/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side of checking a model: see mjcf.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sim/mjcf_frame.h"

enum { IDLE_MS = 60000 };

static enum px_status refuse(struct px_err *err, const char *why) {
  px_fail_at(err, PX_E_BAD_FIELD, "/mjcf", "the model could not be compiled and stepped: %s", why);
  px_fail_hint(
    err,
    "A model may take %d s of processor time and %llu MiB of memory to compile and take %d steps.",
    PX_MJCF_CPU_S, PX_MJCF_MEMORY_BYTES >> 20, PX_MJCF_STEPS);
  return PX_E_BAD_FIELD;
}

/* Why there is no answer; the helper has been waited for. */
static enum px_status explain(int ended, bool ready, bool silent, struct px_err *err) {
  char why[PX_LOCKUP_WHY];
  px_lockup_why(ended, why);
  if (!ready)
    return px_fail(err, PX_E_INTERNAL, "the model helper could not lock itself up: it %s", why);
  if (silent) snprintf(why, sizeof why, "made no progress for %d s", IDLE_MS / 1000);
  char it[PX_LOCKUP_WHY + 4];
  snprintf(it, sizeof it, "it %s", why);
  return refuse(err, it);
}

/* What a process that may have been taken over says is bounded and fit to be shown. */
static enum px_status check_answer(struct px_mjcf_answer *a, struct px_mjcf_model *out,
                                   struct px_err *err) {
  a->err.message[sizeof a->err.message - 1] = '\0';
  px_text_clean(a->err.message);
  if (a->err.code == PX_E_NO_MEMORY) {
    char it[sizeof a->err.message + 32];
    snprintf(it, sizeof it, "it ran out of memory (%s)", a->err.message);
    return refuse(err, it);
  }
  if (a->err.code) return px_fail_at(err, PX_E_BAD_FIELD, "/mjcf", "%s", a->err.message);
  const struct px_mjcf_model *m = &a->model;
  const bool sane = m->nq <= PX_MJCF_DOF_MAX && m->nv <= PX_MJCF_DOF_MAX &&
                    m->nu <= PX_MJCF_DOF_MAX && m->nbody <= 1 << 20 && m->time_step > 0 &&
                    m->time_step < 1 && m->step_s >= 0 && m->step_s < 1e6;
  if (!sane)
    return px_fail_at(err, PX_E_BAD_FIELD, "/mjcf", "compiling the model answered nonsense");
  *out = *m;
  return PX_OK;
}

static enum px_status converse(int talk, const struct px_mjcf_request *request, const char *text,
                               pid_t pid, struct px_mjcf_model *out, struct px_err *err) {
  struct px_mjcf_answer *answer = px_mem_calloc(1, sizeof *answer);
  if (!answer) {
    px_subprocess_end(pid);
    return px_fail(err, PX_E_NO_MEMORY, "checking a model");
  }
  char ready = 0;
  bool silent = false;
  const bool heard = px_subprocess_tell(talk, request, sizeof *request, IDLE_MS, &silent) &&
                     px_subprocess_tell(talk, text, request->bytes, IDLE_MS, &silent) &&
                     px_subprocess_hear(talk, &ready, 1, IDLE_MS, &silent) &&
                     ready == PX_MJCF_READY &&
                     px_subprocess_hear(talk, answer, sizeof *answer, IDLE_MS, &silent);
  const int ended = px_subprocess_end(pid);
  const enum px_status status =
    heard ? check_answer(answer, out, err) : explain(ended, ready == PX_MJCF_READY, silent, err);
  free(answer);
  return status;
}

enum px_status px_mjcf_check(const char *text, size_t n, double time_step, uint32_t frame_skip,
                             struct px_mjcf_model *out, struct px_err *err) {
  enum px_status status = px_mjcf_scan(text, n, err);
  if (status) return status;
  const struct px_mjcf_request request = { .bytes = (uint32_t)n,
                                           .frame_skip = frame_skip,
                                           .time_step = time_step };
  int talk[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk))
    return px_fail_errno(err, "no way to talk to the model helper");
  pid_t pid;
  status = px_subprocess_start(&px_mjcf_helper, (const int[]){ talk[1] }, 1, &pid, err);
  close(talk[1]);
  if (!status) status = converse(talk[0], &request, text, pid, out, err);
  close(talk[0]);
  return status;
}
