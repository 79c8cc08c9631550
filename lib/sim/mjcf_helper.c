/* SPDX-License-Identifier: Apache-2.0 */
/* The helper that compiles a model and takes a few steps: see mjcf.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/sim/mjcf_frame.h"
#include "lib/sim/physics.h"

static const double TIME_STEP_MIN = 1e-5, TIME_STEP_MAX = 0.1;

struct trial {
  const mjModel *model;
  mjData *data;
  uint32_t steps;
};

static double cpu_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void take_steps(void *ctx) {
  struct trial *t = ctx;
  for (uint32_t i = 0; i < t->steps && !px_physics_warning(t->data); i++)
    mj_step(t->model, t->data);
}

static enum px_status check_size(const mjModel *m, struct px_err *err) {
  if (m->nq > PX_MJCF_DOF_MAX || m->nv > PX_MJCF_DOF_MAX || m->nu > PX_MJCF_DOF_MAX)
    return px_fail(
      err, PX_E_BAD_FIELD,
      "the model has %d positions, %d velocities and %d controls; %d of each are possible", m->nq,
      m->nv, m->nu, PX_MJCF_DOF_MAX);
  if (m->nv == 0 || m->nu == 0)
    return px_fail(err, PX_E_BAD_FIELD, "the model has %s", m->nv ? "no actuator" : "no joint");
  if (!(m->opt.timestep >= TIME_STEP_MIN && m->opt.timestep <= TIME_STEP_MAX))
    return px_fail(err, PX_E_BAD_FIELD, "a physics step of %g s: %g to %g are possible",
                   m->opt.timestep, TIME_STEP_MIN, TIME_STEP_MAX);
  return PX_OK;
}

/* From the model's own start, without control: it must not go astray, nor take too long. */
static enum px_status try_steps(mjModel *m, mjData *d, uint32_t frame_skip, double *step_s,
                                struct px_err *err) {
  struct trial trial = { m, d, PX_MJCF_STEPS * frame_skip };
  const double began_s = cpu_s();
  enum px_status status = px_physics_guard(take_steps, &trial, err);
  *step_s = (cpu_s() - began_s) / trial.steps;
  if (status) return status;
  if (px_physics_warning(d))
    return px_fail(err, PX_E_BAD_FIELD, "the model goes astray by itself: %s",
                   px_physics_warning(d));
  if (*step_s * frame_skip <= PX_MJCF_STEP_S) return PX_OK;
  return px_fail(
    err, PX_E_BAD_FIELD,
    "a step of the data, %u physics steps, takes %.3g s of processor time; %g are possible",
    frame_skip, *step_s * frame_skip, PX_MJCF_STEP_S);
}

static enum px_status try_model(const struct px_mjcf_request *request, const char *text,
                                struct px_mjcf_answer *answer) {
  mjModel *m = NULL;
  mjData *d = NULL;
  size_t n;
  struct px_err *err = &answer->err;
  char *apart = px_mjcf_without_threads(text, request->bytes, &n);
  if (!apart) return px_fail(err, PX_E_NO_MEMORY, "compiling a model");
  enum px_status status = px_physics_load(apart, n, &m, &d, err);
  if (!status && request->time_step > 0) m->opt.timestep = request->time_step;
  if (!status) status = check_size(m, err);
  if (!status) status = try_steps(m, d, request->frame_skip, &answer->model.step_s, err);
  if (status) return status;
  answer->model.nq = (uint32_t)m->nq, answer->model.nv = (uint32_t)m->nv,
  answer->model.nu = (uint32_t)m->nu;
  answer->model.nbody = (uint32_t)m->nbody;
  answer->model.time_step = m->opt.timestep;
  return PX_OK; /* the process ends: nothing is freed */
}

static bool send_bytes(const void *bytes, size_t n) {
  struct iovec all = { (void *)(uintptr_t)bytes, n };
  return writev(PX_MJCF_TALK_FD, &all, 1) == (ssize_t)n;
}

static int check_model(void) {
  static struct px_mjcf_answer answer;
  static const char ready = PX_MJCF_READY;
  struct px_mjcf_request request;
  if (!px_subprocess_take(PX_MJCF_TALK_FD, &request, sizeof request) ||
      request.bytes > PX_MJCF_BYTES_MAX)
    return 2;
  char *text = malloc(request.bytes + 1);
  if (!text || !px_subprocess_take(PX_MJCF_TALK_FD, text, request.bytes)) return 3;
  px_physics_tell_memory();
  const struct px_lockup limits = { .cpu_s = PX_MJCF_CPU_S,
                                    .memory_bytes = PX_MJCF_MEMORY_BYTES,
                                    .read_fd = PX_MJCF_TALK_FD,
                                    .write_fd = PX_MJCF_TALK_FD };
  if (!px_lockup(&limits)) return 4;
  if (!send_bytes(&ready, 1)) return 5;
  answer.err.code = try_model(&request, text, &answer);
  /* exit handlers of libraries have no business here */
  _exit(send_bytes(&answer, sizeof answer) ? 0 : 6);
}

const struct px_subprocess_kind px_mjcf_helper = { "proxact-model-helper", "--proxact-model-helper",
                                                   check_model, true };
