/* Simulators that label: see simulator.h. */
#include "worker/simulator.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "worker/env/physics.h"

struct simulator {
  struct sim *sim;
  char profile[128];
};

enum px_status simulator_open(struct job *job, const char *name, struct simulator **out, struct px_err *err) {
  (void)job;
  struct simulator *s = px_calloc(1, sizeof *s);
  struct sim_layout *layout = px_calloc(1, sizeof *layout); /* tens of kilobytes: not for the stack */
  enum px_status status = s && layout ? sim_layout_builtin(name, layout, err)
                                      : px_fail(err, PX_E_NO_MEMORY, "no memory for a simulator");
  if (!status) status = sim_open(layout, &s->sim, err);
  free(layout);
  if (status) {
    simulator_close(s);
    return status;
  }
  snprintf(s->profile, sizeof s->profile, "MuJoCo %s, %s", px_physics_version(), name);
  *out = s;
  return PX_OK;
}

void simulator_close(struct simulator *s) {
  if (!s) return;
  sim_close(s->sim);
  free(s);
}

const char *simulator_profile(const struct simulator *s) { return s->profile; }

enum px_status simulator_check(struct simulator *s, const struct sim_options *options, const struct px_dataset *ds,
                               const struct px_progress *progress, struct sim_fit *out, struct px_err *err) {
  return sim_check(s->sim, options, ds, progress, out, err);
}

enum px_status simulator_label(struct simulator *s, const struct sim_options *options, const struct px_dataset *ds,
                               uint32_t traj_from, uint32_t traj_to, const float *start, const struct px_progress *progress,
                               struct sim_labels **out, struct px_err *err) {
  return sim_label(s->sim, options, ds, traj_from, traj_to, start, progress, out, err);
}
