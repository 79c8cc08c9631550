/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torture: every allocation and every call to the system that a flow makes fails once, one after
 * another.
 *
 *   torture [--seed=N] [--calls=N|places] [--flows=PREFIX]   inside tests/support/stack.sh; needs
 *                                                            failing.so and the upload files
 *                                                            (PX_UPLOADS), see test_torture.sh
 *
 * A flow (flows.h) is run undisturbed, to count its calls and to see what it gives; then again and
 * again, each time with another call failing (--calls: at most so many a flow, drawn by the seed;
 * 0: all; places: one of those that have the same callers, drawn by the seed). Each time
 *   - nothing of the service may end: the server and the supervisor stay the processes they were;
 *   - a client gets the same answer as ever, or a problem of class 5xx, or none;
 *   - what was acknowledged has happened, what was refused has not;
 *   - the job succeeds in the end, with the same bytes;
 *   - the same flow, undisturbed, succeeds right after;
 * and at the end of a flow the database is as its laws say (invariants.h). Under SAN=address,
 * sanitizers' findings count too, leaks among them. The last line sums up; the status is 0 when
 * there was nothing to find.
 */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/fault/lib/flows.h"
#include "tests/fault/lib/invariants.h"
#include "tests/fault/lib/proc.h"

static struct { long flows, calls, fired, tolerated, refused, cut, again, findings; } sum;

static void found(const struct torture *t, const struct flow *flow, long at, const char *fmt, ...)
  __attribute__((format(printf, 4, 5)));
static void found(const struct torture *t, const struct flow *flow, long at, const char *fmt, ...) {
  char text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  sum.findings++;
  printf("FOUND %s call %ld: %s\n  %s\n", flow->name, at, text, fault_inject_where(t->failing));
  fflush(stdout);
}

enum { EVERY_PLACE = -1 };

/* What an undisturbed run does. */
struct expected {
  struct flow_end end;
  long effect, calls;
};

static long effect_of(struct torture *t, const struct flow *flow) {
  return flow->effect ? torture_number(t, flow->effect) : 0;
}

static struct flow_end run(struct torture *t, const struct flow *flow, long at, long *effect) {
  flow->prepare ? flow->prepare(t, flow) : (void)0;
  if (flow->cold) torture_cut_connections(t);
  const long before = effect_of(t, flow);
  fault_inject_arm(t->failing, flow->part, at);
  struct flow_end end = flow->run(t, flow);
  fault_inject_disarm(t->failing);
  *effect = effect_of(t, flow) - before;
  return end;
}

static bool learn(struct torture *t, const struct flow *flow, struct expected *out) {
  /* The first opens connections and fills caches: the second is what all others are like. */
  for (int i = 0; i < 2; i++) {
    out->end = run(t, flow, 0, &out->effect);
    out->calls = atomic_load(&t->failing->count);
    if (out->end.how != FLOW_DONE) {
      found(t, flow, 0, "undisturbed: %s", out->end.text);
      return false;
    }
  }
  return true;
}

static void judge(struct torture *t, const struct flow *flow, long at,
                  const struct expected *expected, const struct flow_end *end, long effect) {
  const bool same = strcmp(end->digest, expected->end.digest) == 0;
  if (end->how == FLOW_WRONG) found(t, flow, at, "%s", end->text);
  if (end->how == FLOW_DONE && !same)
    found(t, flow, at, "it succeeded with another result: %s", end->text);
  if (end->how == FLOW_DONE && effect != expected->effect)
    found(t, flow, at, "acknowledged, but the effect is %ld and not %ld", effect, expected->effect);
  if (end->how == FLOW_REFUSED && effect != 0)
    found(t, flow, at, "refused, but it has an effect of %ld: %s", effect, end->text);
  if (end->how == FLOW_CUT && effect != 0 && effect != expected->effect)
    found(t, flow, at, "half an effect, %ld: %s", effect, end->text);
  sum.tolerated += end->how == FLOW_DONE;
  sum.refused += end->how == FLOW_REFUSED;
  sum.cut += end->how == FLOW_CUT;
}

/* A process that has ended is started again, so that the rest can go on. */
static void see_who_lives(struct torture *t, const struct flow *flow, long at) {
  if (!proc_is_alive(t->server))
    found(t, flow, at, "the server ended with %d", torture_start_server(t));
  if (!proc_is_alive(t->worker))
    found(t, flow, at, "the worker ended with %d", torture_start_worker(t));
}

static void inject_fault(struct torture *t, const struct flow *flow, long at,
                         const struct expected *expected) {
  long effect;
  const struct flow_end end = run(t, flow, at, &effect);
  const bool fired = atomic_load(&t->failing->fired);
  sum.calls++;
  sum.fired += fired;
  judge(t, flow, at, expected, &end, effect);
  see_who_lives(t, flow, at);
  if (!fired || end.how == FLOW_DONE) return;
  /* Nothing may be left that keeps the next one from succeeding. */
  const struct flow_end next = run(t, flow, 0, &effect);
  sum.again++;
  if (next.how != FLOW_DONE || strcmp(next.digest, expected->end.digest) != 0) {
    atomic_store(&t->failing->fired, 1);
    found(t, flow, at, "afterwards, undisturbed: %s", next.text);
  }
}

static void keep_the_law(struct torture *t, const struct flow *flow) {
  for (size_t i = 0; i < INVARIANTS_N; i++) {
    /* jobs are waited for one by one; some are never meant to run */
    if (INVARIANTS[i].class == INVARIANT_STUCK) continue;
    PGresult *rows = torture_query(t, INVARIANTS[i].sql);
    for (int k = 0; k < PQntuples(rows); k++)
      found(t, flow, 0, "%s: %s", INVARIANTS[i].what, PQgetvalue(rows, k, 0));
    PQclear(rows);
  }
}

static long *choose(struct torture *t, const struct flow *flow, uint64_t seed, long calls, long of,
                    long *n) {
  if (calls == EVERY_PLACE) return fault_inject_places(t->failing, seed, flow->name, of, n);
  *n = calls ? calls : of;
  return fault_inject_sample(seed, flow->name, of, n);
}

static void torture_flow(struct torture *t, const struct flow *flow, uint64_t seed, long calls) {
  struct expected expected;
  const int64_t begun = px_clock_ms();
  const long found_before = sum.findings, refused = sum.refused, cut = sum.cut, fired = sum.fired;
  fault_inject_note(t->failing, calls == EVERY_PLACE);
  if (!learn(t, flow, &expected)) return;
  fault_inject_note(t->failing, false);
  long n = 0;
  long *sample = choose(t, flow, seed, calls, expected.calls, &n);
  if (!sample) found(t, flow, 0, "its %ld calls are too many to choose from", expected.calls);
  for (long i = 0; i < n; i++) inject_fault(t, flow, sample[i], &expected);
  free(sample);
  keep_the_law(t, flow);
  sum.flows++;
  printf("%-28s %6ld calls, %5ld tried, %5ld failed: %5ld told the client, %4ld cut it off; %ld "
         "found, %.1f s\n",
         flow->name, expected.calls, n, sum.fired - fired, sum.refused - refused, sum.cut - cut,
         sum.findings - found_before, (double)(px_clock_ms() - begun) / 1000);
  fflush(stdout);
}

int main(int argc, char **argv) {
  static const struct option OPTIONS[] = { { "seed", 1, NULL, 's' },
                                           { "calls", 1, NULL, 'c' },
                                           { "flows", 1, NULL, 'f' },
                                           { NULL, 0, NULL, 0 } };
  uint64_t seed = 1;
  long calls = 0;
  const char *only = "";
  int c;
  while ((c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
    if (c == 's') seed = strtoull(optarg, NULL, 10);
    else if (c == 'c')
      calls = strcmp(optarg, "places") == 0 ? EVERY_PLACE : strtol(optarg, NULL, 10);
    else if (c == 'f') only = optarg;
    else return 2;
  }
  struct torture t;
  signal(SIGPIPE, SIG_IGN);
  if (!torture_begin(&t))
    return fprintf(stderr, "torture: the service could not be made ready\n"), torture_end(&t), 2;
  for (size_t i = 0; i < FLOWS_N; i++)
    if (strncmp(FLOWS[i].name, only, strlen(only)) == 0) torture_flow(&t, &FLOWS[i], seed, calls);
  const int ended_badly = torture_end(&t);
  sum.findings += ended_badly;
  printf("torture: flows=%ld calls=%ld failed=%ld tolerated=%ld told=%ld cut=%ld "
         "undisturbed_after=%ld found=%ld seed=%llu\n",
         sum.flows, sum.calls, sum.fired, sum.tolerated, sum.refused, sum.cut, sum.again,
         sum.findings, (unsigned long long)seed);
  return sum.findings > 0 || sum.fired == 0;
}
