/* SPDX-License-Identifier: Apache-2.0 */
/* Redis as a hint: wake-ups arrive, and nothing ever waits longer than it was told to. */
#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/redis/queue.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/support/cu.h"

/* How much later than asked a busy machine may end a wait; what should end at once is given many
 * times that. */
enum { SLACK_MS = 5000, LONG_MS = 60000 };

static const char *redis_url(void) {
  const char *url = getenv("PROXACT_REDIS_URL");
  if (url && *url) return url;
  printf("SKIP queue: PROXACT_REDIS_URL is not set (make check-integration sets it)\n");
  exit(0);
}

static struct queue *open_url(const char *url) {
  struct px_err err;
  struct queue *q;
  CU_OK(queue_open(url, &q, &err), err);
  return q;
}

/* A Redis of this test's own, to stop and to kill. */
struct own {
  pid_t pid;
  char folder[64], url[128];
};
static struct own own_start(void) {
  struct own own;
  signal(SIGPIPE, SIG_IGN); /* as px_stop_setup does in the programs */
  snprintf(own.folder, sizeof own.folder, "/tmp/px-redis-XXXXXX");
  CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(own.folder));
  char socket[96];
  snprintf(socket, sizeof socket, "%s/s", own.folder);
  snprintf(own.url, sizeof own.url, "unix://%s?db=2", socket);
  fflush(stdout);
  if ((own.pid = fork()) == 0) {
    if (!freopen("/dev/null", "w", stdout)) _exit(126);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
           "--dir", own.folder, (char *)NULL);
    _exit(127);
  }
  const int64_t until = px_clock_ms() + LONG_MS;
  while (access(socket, F_OK) != 0 && px_clock_ms() < until) usleep(2000);
  CU_ASSERT_FATAL(access(socket, F_OK) == 0);
  return own;
}
static void own_end(struct own *own) {
  kill(own->pid, SIGCONT);
  kill(own->pid, SIGKILL);
  waitpid(own->pid, NULL, 0);
  char socket[96];
  snprintf(socket, sizeof socket, "%s/s", own->folder);
  unlink(socket);
  rmdir(own->folder);
}

/* A single hint may be lost; the next ones arrive. */
static bool woken_in_the_end(struct queue *q) {
  const int64_t until = px_clock_ms() + LONG_MS;
  while (px_clock_ms() < until) {
    queue_wake(q, 1);
    if (queue_wait(q, 200, -1)) return true;
  }
  return false;
}

/* On a busy machine an answer may be slow, and Redis is then left alone for a while: what was told
 * meanwhile is lost. */
static void await_up(struct queue *q) {
  for (const int64_t until = px_clock_ms() + LONG_MS; !queue_up(q) && px_clock_ms() < until;)
    (void)poll(NULL, 0, 20);
}

static void a_wake_up_ends_a_wait_and_each_is_taken_once(void) {
  struct queue *a = open_url(redis_url()), *b = open_url(redis_url());
  bool both = false, up = false;
  for (int tries = 0; tries < 20 && !both && !up; tries++) {
    while (queue_wait(a, 50, -1)) continue; /* one of two that were told may have been lost */
    await_up(a), await_up(b);
    queue_wake(a, 2);
    const bool first = queue_wait(b, 1000, -1), second = queue_wait(a, 1000, -1);
    both = first && second;
    up = queue_up(a) && queue_up(b);
  }
  CU_ASSERT_TRUE(both);
  const int64_t start = px_clock_ms();
  CU_ASSERT_FALSE(queue_wait(b, 100, -1));
  CU_ASSERT(px_clock_ms() - start >= 90 && px_clock_ms() - start < 100 + SLACK_MS);
  await_up(b);
  CU_ASSERT_TRUE(queue_up(b));
  queue_close(a);
  queue_close(b);
}

struct waker {
  struct queue *queue;
  atomic_bool heard;
};

/* A single hint may be lost: it goes on until one is heard. */
static void *wake_later(void *arg) {
  struct waker *waker = arg;
  while (!waker->heard) {
    usleep(50000);
    queue_wake(waker->queue, 1);
  }
  return NULL;
}

static void a_sleeping_waiter_is_woken(void) {
  struct queue *waiter = open_url(redis_url());
  struct waker waker = { .queue = open_url(redis_url()) };
  pthread_t thread;
  const int64_t start = px_clock_ms();
  CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, wake_later, &waker), 0);
  CU_ASSERT_TRUE(queue_wait(waiter, LONG_MS, -1));
  CU_ASSERT(px_clock_ms() - start < LONG_MS / 2);
  waker.heard = true;
  pthread_join(thread, NULL);
  queue_close(waiter);
  queue_close(waker.queue);
}

/* Redis of its own: what is published reaches the listeners of all databases of one. */
static void a_change_reaches_every_listener(void) {
  struct own own = own_start();
  struct queue *listener[2] = { open_url(own.url), open_url(own.url) }, *teller = open_url(own.url);
  bool heard[2] = { false, false };
  for (int i = 0; i < 2; i++) {
    await_up(listener[i]);
    CU_ASSERT_FALSE(queue_wait_changed(listener[i], 100, -1)); /* subscribes */
  }
  for (const int64_t until = px_clock_ms() + LONG_MS;
       !(heard[0] && heard[1]) && px_clock_ms() < until;) {
    await_up(teller);
    queue_changed(teller, "job_x");
    for (int i = 0; i < 2; i++) heard[i] |= queue_wait_changed(listener[i], 1000, -1);
  }
  CU_ASSERT_TRUE(heard[0] && heard[1]);
  for (int i = 0; i < 2; i++) /* one that was told twice is heard twice */
    while (queue_wait_changed(listener[i], 50, -1)) continue;
  CU_ASSERT_TRUE(woken_in_the_end(listener[0])); /* a listener may speak as well */
  for (int i = 0; i < 2; i++) queue_close(listener[i]);
  queue_close(teller);
  own_end(&own);
}

static void a_stop_ends_a_wait_at_once(void) {
  struct queue *q = open_url(redis_url()), *none = open_url("");
  int ends[2];
  CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
  CU_ASSERT_EQUAL(write(ends[1], "x", 1), 1);
  const int64_t start = px_clock_ms();
  CU_ASSERT_FALSE(queue_wait(q, LONG_MS, ends[0]));
  CU_ASSERT_FALSE(queue_wait_changed(q, LONG_MS, ends[0]));
  CU_ASSERT_FALSE(queue_wait(none, LONG_MS, ends[0]));
  CU_ASSERT(px_clock_ms() - start < SLACK_MS);
  CU_ASSERT_TRUE(queue_up(q)); /* a stop is no failure of Redis */
  close(ends[0]);
  close(ends[1]);
  queue_close(q);
  queue_close(none);
}

static void progress_is_kept_for_a_while(void) {
  struct queue *q = open_url(redis_url());
  struct px_buf json = PX_BUF(100);
  CU_ASSERT_FALSE(queue_progress_get(q, "job_p", &json));
  for (const int64_t until = px_clock_ms() + LONG_MS; px_clock_ms() < until;) {
    await_up(q);
    queue_progress(q, "job_p", "{\"step\": 1, \"note\": \"with spaces\"}");
    if (queue_progress_get(q, "job_p", &json)) break;
  }
  CU_ASSERT_STRING_EQUAL(json.data, "{\"step\": 1, \"note\": \"with spaces\"}");
  px_buf_free(&json);
  queue_close(q);
}

static void without_redis_every_wait_is_a_bounded_sleep(void) {
  struct queue *q[] = { open_url(""), open_url("unix:///nonexistent/redis.sock"),
                        open_url("redis://127.0.0.1:1/0") };
  for (int i = 0; i < 3; i++) {
    int64_t start = px_clock_ms();
    CU_ASSERT_FALSE(queue_wait(q[i], 100, -1));
    CU_ASSERT(px_clock_ms() - start >= 95 && px_clock_ms() - start < 100 + SLACK_MS);
    CU_ASSERT_FALSE(queue_up(q[i]));
    start = px_clock_ms();
    CU_ASSERT_FALSE(queue_wait_changed(q[i], 60000, -1)); /* at most a second */
    CU_ASSERT(px_clock_ms() - start < 1000 + SLACK_MS);
    start = px_clock_ms();
    for (int k = 0; k < 1000; k++) queue_wake(q[i], 1);
    CU_ASSERT(px_clock_ms() - start < SLACK_MS);
    queue_close(q[i]);
  }
}

static void a_hanging_redis_costs_little_and_is_left_alone_for_a_second(void) {
  struct own own = own_start();
  struct queue *q = open_url(own.url);
  CU_ASSERT_TRUE(woken_in_the_end(q));
  CU_ASSERT_EQUAL_FATAL(kill(own.pid, SIGSTOP), 0);
  int64_t start = px_clock_ms();
  queue_wake(q, 1);
  CU_ASSERT(px_clock_ms() - start < 100 + SLACK_MS / 2);
  CU_ASSERT_FALSE(queue_up(q));
  start = px_clock_ms();
  /* the breaker is open: nothing is tried */
  for (int i = 0; i < 100; i++) queue_progress(q, "job_x", "{}");
  CU_ASSERT(px_clock_ms() - start < SLACK_MS / 2);
  CU_ASSERT_FALSE(queue_wait(q, 50, -1));
  CU_ASSERT_EQUAL_FATAL(kill(own.pid, SIGCONT), 0);
  CU_ASSERT_TRUE(woken_in_the_end(q));
  queue_close(q);
  own_end(&own);
}

static void a_wait_that_redis_abandons_stays_bounded(void) {
  static const int SIGNALS[] = { SIGSTOP, SIGKILL };
  for (int i = 0; i < 2; i++) {
    struct own own = own_start();
    struct queue *q = open_url(own.url);
    CU_ASSERT_FALSE(queue_wait(q, 20, -1));
    CU_ASSERT_FALSE(queue_wait_changed(q, 20, -1));
    CU_ASSERT_EQUAL_FATAL(kill(own.pid, SIGNALS[i]), 0);
    int64_t start = px_clock_ms();
    CU_ASSERT_FALSE(queue_wait(q, 300, -1));
    CU_ASSERT(px_clock_ms() - start < 300 + SLACK_MS);
    start = px_clock_ms();
    CU_ASSERT_FALSE(queue_wait_changed(q, 300, -1));
    CU_ASSERT(px_clock_ms() - start < 300 + SLACK_MS);
    queue_close(q);
    own_end(&own);
  }
}

static void unread_wake_ups_stay_few_and_a_flush_is_survived(void) {
  struct own own = own_start();
  struct queue *q = open_url(own.url);
  for (int i = 0; i < 5; i++) {
    await_up(q);
    queue_wake(q, 900);
  }
  int n = 0;
  for (int quiet = 0; quiet < 3;) {
    const bool woken = queue_wait(q, 100, -1);
    n += woken;
    quiet = woken ? 0 : quiet + 1;
  }
  CU_ASSERT(n <= 1000 && n > 900); /* of 4500; a hint may be lost on a busy machine */
  queue_wake(q, 10);
  char command[160];
  snprintf(command, sizeof command, "%s/s", own.folder);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stdout)) _exit(126);
    execlp("redis-cli", "redis-cli", "-s", command, "flushall", (char *)NULL);
    _exit(127);
  }
  int status;
  CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
  CU_ASSERT_EQUAL(status, 0);
  CU_ASSERT_FALSE(queue_wait(q, 20, -1));
  CU_ASSERT_TRUE(woken_in_the_end(q));
  queue_close(q);
  own_end(&own);
}

/* It takes connections, as a stopped process does, and never says a word. */
static int silent_listener(char url[64]) {
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t n = sizeof at;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 64) == 0);
  CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&at, &n), 0);
  snprintf(url, 64, "redis://127.0.0.1:%d/1", ntohs(at.sin_port));
  return fd;
}

static void a_redis_that_is_away_is_tried_once_per_pause_and_counted(void) {
  char url[64];
  const int fd = silent_listener(url);
  struct queue_counts before, after;
  struct queue *q = open_url(url);
  queue_counts(&before);
  const int64_t start = px_clock_ms();
  for (int i = 0; i < 1500; i++) {
    queue_wake(q, 1);
    CU_ASSERT_FALSE(queue_wait(q, 1, -1));
  }
  const int most = 1 + (int)((px_clock_ms() - start) / 1000);
  queue_counts(&after);
  int tries = 0;
  for (int at; (at = accept(fd, NULL, NULL)) >= 0; tries++) close(at);
  CU_ASSERT(tries >= 1 && tries <= most);
  CU_ASSERT_EQUAL((int)(after.failures - before.failures), tries);
  CU_ASSERT_EQUAL((int)(after.skipped - before.skipped), 3000 - tries);
  CU_ASSERT_EQUAL(after.open - before.open, 1);
  queue_close(q);
  queue_counts(&after);
  CU_ASSERT_EQUAL(after.open, before.open);
  close(fd);
}

static void addresses_that_are_none_are_refused(void) {
  static const char *const BAD[] = { "http://x",
                                     "redis://",
                                     "unix://",
                                     "redis://h:0/1",
                                     "redis://h:99999",
                                     "x",
                                     "redis://a,b",
                                     "redis+sentinel://a:1,b:2",
                                     "redis+sentinel://a:1,/m",
                                     "redis+sentinel://a/",
                                     "redis+sentinel:///m" };
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    struct px_err err;
    struct queue *q;
    CU_ASSERT_EQUAL(queue_open(BAD[i], &q, &err), PX_E_BAD_FIELD);
  }
}

CU_MAIN("queue", T(a_wake_up_ends_a_wait_and_each_is_taken_once), T(a_sleeping_waiter_is_woken),
        T(a_change_reaches_every_listener), T(a_stop_ends_a_wait_at_once),
        T(progress_is_kept_for_a_while), T(without_redis_every_wait_is_a_bounded_sleep),
        T(a_hanging_redis_costs_little_and_is_left_alone_for_a_second),
        T(a_wait_that_redis_abandons_stays_bounded),
        T(unread_wake_ups_stay_few_and_a_flush_is_survived),
        T(a_redis_that_is_away_is_tried_once_per_pause_and_counted),
        T(addresses_that_are_none_are_refused))
