/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch as a child with one thread: see learning.h. */
#include "tests/bench/learning/learning.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool learning_peer_start(struct learning_peer *p) {
  int in[2], out[2];
  if (pipe(in) || pipe(out)) return false;
  p->pid = fork();
  if (p->pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    close(in[1]), close(out[0]);
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    /* A library that is told which processor it is on may leave half of it unused: the peer chooses
     * for itself. */
    unsetenv("OPENBLAS_CORETYPE");
    unsetenv("OPENBLAS_L2_SIZE");
    execl("/usr/bin/python3", "python3", "tests/bench/bench_torch.py", (char *)NULL);
    _exit(127);
  }
  close(in[0]), close(out[1]);
  p->to = fdopen(in[1], "w");
  p->from = fdopen(out[0], "r");
  char line[128];
  if (p->pid > 0 && p->to && p->from && fgets(line, sizeof line, p->from) &&
      strncmp(line, "ready", 5) == 0) {
    printf("peer: torch %s", line + 6);
    return true;
  }
  printf("SKIP peer: python3-torch does not answer\n");
  return false;
}

double learning_peer_rate(struct learning_peer *p, const struct learning_work *w, double seconds) {
  char line[128];
  fprintf(p->to, "%s %u %u %u %u %g\n", w->name, w->obs_dim, w->act_dim, w->batch, w->hidden,
          seconds);
  fflush(p->to);
  return fgets(line, sizeof line, p->from) ? strtod(line, NULL) : 0;
}

void learning_peer_stop(struct learning_peer *p) {
  fclose(p->to);
  fclose(p->from);
  waitpid(p->pid, NULL, 0);
}
