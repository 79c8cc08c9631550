/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: see metrics.h. */
#include "server/app/metrics.h"

#include "lib/base/buf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROUTES_MAX = 64, CLASSES = 6, BUCKETS = 8 };

static const double BOUNDS_S[BUCKETS] = { 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60 };

static struct {
  /* by route and first digit of the status */
  _Atomic uint64_t requests[ROUTES_MAX + 1][CLASSES];
  _Atomic uint64_t buckets[BUCKETS + 1], micros, received, sent;
  _Atomic uint64_t upload_bytes, upload_steps, uploads, upload_micros;
} counters;

void metrics_request(int route, int status, double seconds, uint64_t received_bytes,
                     uint64_t sent_bytes) {
  const int at = route >= 0 && route < ROUTES_MAX ? route : ROUTES_MAX;
  const int class = status >= 100 && status < 600 ? status / 100 : 0;
  counters.requests[at][class]++;
  int bucket = 0;
  while (bucket < BUCKETS && seconds > BOUNDS_S[bucket]) bucket++;
  counters.buckets[bucket]++;
  counters.micros += (uint64_t)(seconds * 1e6);
  counters.received += received_bytes;
  counters.sent += sent_bytes;
}

void metrics_uploaded(uint64_t bytes, uint64_t steps, double seconds) {
  counters.uploads++;
  counters.upload_bytes += bytes;
  counters.upload_steps += steps;
  counters.upload_micros += (uint64_t)(seconds * 1e6);
}

static enum px_status print_requests(const struct http_route *routes, struct px_buf *out) {
  enum px_status status = px_buf_puts(out, "# HELP proxact_http_requests_total Requests answered.\n"
                                           "# TYPE proxact_http_requests_total counter\n");
  for (int r = 0; !status && r <= ROUTES_MAX; r++)
    for (int c = 0; !status && c < CLASSES; c++) {
      const uint64_t n = counters.requests[r][c];
      if (n == 0) continue;
      status = px_buf_fmt(out, "proxact_http_requests_total{operation=\"%s\",class=\"%s\"} %llu\n",
                          r == ROUTES_MAX ? "none" : routes[r].operation,
                          (const char *const[]){ "cut", "1xx", "2xx", "3xx", "4xx", "5xx" }[c],
                          (unsigned long long)n);
    }
  return status;
}

static enum px_status print_times(struct px_buf *out) {
  enum px_status status =
    px_buf_puts(out, "# HELP proxact_http_request_seconds Time from request line to last byte.\n"
                     "# TYPE proxact_http_request_seconds histogram\n");
  uint64_t sum = 0;
  for (int b = 0; !status && b < BUCKETS; b++) {
    sum += counters.buckets[b];
    status = px_buf_fmt(out, "proxact_http_request_seconds_bucket{le=\"%g\"} %llu\n", BOUNDS_S[b],
                        (unsigned long long)sum);
  }
  sum += counters.buckets[BUCKETS];
  return status
           ? status
           : px_buf_fmt(
               out,
               "proxact_http_request_seconds_bucket{le=\"+Inf\"} %llu\n"
               "proxact_http_request_seconds_sum %.6f\nproxact_http_request_seconds_count %llu\n",
               (unsigned long long)sum, (double)counters.micros / 1e6, (unsigned long long)sum);
}

static enum px_status print_one(struct px_buf *out, const char *name, const char *type,
                                const char *help, double value) {
  return px_buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name,
                    value);
}

static double resident_bytes(void) {
  long pages = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "re");
  if (!f) return 0;
  if (fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
  fclose(f);
  return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

enum px_status metrics_print(const struct http_route *routes, int in_flight, struct px_buf *out) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  const struct {
    const char *name, *type, *help;
    double value;
  } rows[] = {
    { "proxact_http_received_bytes_total", "counter", "Bytes of request bodies.",
      (double)counters.received },
    { "proxact_http_sent_bytes_total", "counter", "Bytes of response bodies.",
      (double)counters.sent },
    { "proxact_http_in_flight", "gauge", "Requests not answered yet.", in_flight },
    { "proxact_uploads_total", "counter", "Uploads stored.", (double)counters.uploads },
    { "proxact_upload_bytes_total", "counter", "Decoded bytes of stored uploads.",
      (double)counters.upload_bytes },
    { "proxact_upload_steps_total", "counter", "Transitions stored.",
      (double)counters.upload_steps },
    { "proxact_upload_seconds_total", "counter", "Time from the last byte received to the commit.",
      (double)counters.upload_micros / 1e6 },
    { "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes() },
    { "process_max_resident_memory_bytes", "gauge", "Peak resident memory.",
      (double)usage.ru_maxrss * 1024 },
    { "process_cpu_seconds_total", "counter", "Processor time.", cpu },
  };
  enum px_status status = print_requests(routes, out);
  if (!status) status = print_times(out);
  for (size_t i = 0; !status && i < sizeof rows / sizeof *rows; i++)
    status = print_one(out, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
  return status;
}
