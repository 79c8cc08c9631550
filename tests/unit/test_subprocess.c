/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to a helper process, and how long one that is silent is waited for:
 * lib/base/subprocess.h. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/subprocess.h"
#include "tests/support/cu.h"

enum { MUCH = 4 << 20, SHORT_MS = 50, LONG_MS = 20000 };
static char sent[MUCH], got[MUCH];

static void open_talk(int talk[2]) {
  CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
}

static void one_that_takes_nothing_is_given_up(void) {
  int talk[2];
  bool silent = false;
  open_talk(talk);
  /* more than a socket holds */
  CU_ASSERT_FALSE(px_subprocess_tell(talk[0], sent, MUCH, SHORT_MS, &silent));
  CU_ASSERT_TRUE(silent);
  close(talk[0]), close(talk[1]);
}

static void one_that_has_gone_is_not_called_silent(void) {
  int talk[2];
  bool silent = true;
  open_talk(talk);
  close(talk[1]);
  CU_ASSERT_FALSE(px_subprocess_tell(talk[0], sent, MUCH, LONG_MS, &silent));
  CU_ASSERT_FALSE(silent);
  CU_ASSERT_FALSE(px_subprocess_hear(talk[0], got, 1, LONG_MS, &silent));
  CU_ASSERT_FALSE(silent);
  close(talk[0]);
}

static void one_that_says_nothing_is_given_up(void) {
  int talk[2];
  bool silent = false;
  open_talk(talk);
  CU_ASSERT_FALSE(px_subprocess_hear(talk[0], got, 1, SHORT_MS, &silent));
  CU_ASSERT_TRUE(silent);
  close(talk[0]), close(talk[1]);
}

static void *take_all(void *arg) {
  return px_subprocess_take(*(const int *)arg, got, MUCH) ? arg : NULL;
}

static void all_bytes_arrive_in_order(void) {
  int talk[2];
  bool silent = true;
  pthread_t reader;
  void *took = NULL;
  for (int i = 0; i < MUCH; i++) sent[i] = (char)(i * 31 + i / 4096);
  open_talk(talk);
  CU_ASSERT_EQUAL_FATAL(pthread_create(&reader, NULL, take_all, &talk[1]), 0);
  CU_ASSERT_TRUE(px_subprocess_tell(talk[0], sent, MUCH, LONG_MS, &silent));
  CU_ASSERT_FALSE(silent);
  pthread_join(reader, &took);
  CU_ASSERT_PTR_NOT_NULL(took);
  CU_ASSERT_EQUAL(memcmp(sent, got, MUCH), 0);
  close(talk[0]), close(talk[1]);
}

int main(int argc, char **argv) {
  static const struct cu_test tests[] = { T(one_that_takes_nothing_is_given_up),
                                          T(one_that_has_gone_is_not_called_silent),
                                          T(one_that_says_nothing_is_given_up),
                                          T(all_bytes_arrive_in_order) };
  return cu_run("subprocess", tests, sizeof tests / sizeof *tests, argc, argv);
}
