/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping: see stop.h. */
#include "lib/base/stop.h"

#include "lib/base/fail.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

enum px_status px_stop_setup(int *fd, struct px_err *err) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  struct sigaction ignore = { .sa_handler = SIG_IGN };
  if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
    return px_fail_errno(err, "setting up signals");
  const int made = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (made < 0) return px_fail_errno(err, "signalfd");
  *fd = made;
  return PX_OK;
}

bool px_stop_wait(int fd, int timeout_ms) {
  struct pollfd p = { .fd = fd, .events = POLLIN };
  const int n = poll(&p, 1, timeout_ms);
  return n > 0 || (n < 0 && errno != EINTR);
}
