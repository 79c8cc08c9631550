/* SPDX-License-Identifier: Apache-2.0 */
/* The service about itself: health, metrics, version, its own description. */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"
#include "lib/redis/queue.h"
#include "lib/store/jobs.h"
#include "lib/store/store.h"
#include "server/api/api.h"
#include "server/app/metrics.h"

/* schema/openapi.yaml as it is: JSON is YAML. */
__asm__(".section .rodata\n"
        "openapi_begin: .incbin \"schema/openapi.yaml\"\n"
        "openapi_end: .byte 0\n"
        ".previous\n");
extern const char openapi_begin[] __attribute__((visibility("hidden")));
extern const char openapi_end[] __attribute__((visibility("hidden")));

API_HANDLER(api_openapi) {
  (void)req, (void)err;
  reply->still = openapi_begin;
  // cppcheck-suppress comparePointers
  reply->still_n = (size_t)(openapi_end - openapi_begin);
  return PX_OK;
}

API_HANDLER(api_index) {
  (void)req, (void)err;
  static const char PAGE[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Proxact</title>"
    "<h1>Proxact " PX_VERSION
    "</h1><p>Proxy action labels for trajectories, and policies learned from them.</p>"
    "<ul><li><a href=\"/openapi.json\">/openapi.json</a> describes every route</li>"
    "<li><a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>, <a "
    "href=\"/version\">/version</a></li>"
    "<li>/v1/datasets, /v1/jobs, /v1/pipelines, /v1/models, /v1/label_sets, /v1/workers and "
    "/metrics need the header "
    "<code>Authorization: Bearer $PROXACT_TOKEN</code></li></ul>\n";
  reply->still = PAGE;
  reply->still_n = sizeof PAGE - 1;
  reply->media_type = "text/html; charset=utf-8";
  return PX_OK;
}

API_HANDLER(api_healthz) {
  (void)req;
  return http_reply_json(reply, json_pack("{s:s}", "status", "ok"), err);
}

API_HANDLER(api_version) {
  (void)req;
  return http_reply_json(reply, json_pack("{s:s s:s}", "name", "proxact", "version", PX_VERSION),
                         err);
}

/* Ready: the database answers and has this build's schema. Redis is only a
 * convenience, so its absence is told but does not count; nor does a full
 * volume, with which all but uploads goes on. */
API_HANDLER(api_readyz) {
  struct store *store = NULL;
  if (http_draining(req)) return px_fail(err, PX_E_UNAVAILABLE, "the server is about to end");
  enum px_status status = api_store(req, &store, err);
  if (!status) status = store_ping(store, err);
  if (!status) status = store_check_schema(store, err);
  if (status)
    return status == PX_E_UNAVAILABLE ? status
                                      : px_fail(err, PX_E_UNAVAILABLE, "the database is not ready");
  struct diskspace_volume volumes[DISKSPACE_PLACES_N];
  const int n = diskspace_look(service_diskspace(req->service), volumes);
  bool low = false;
  for (int i = 0; i < n; i++) low = low || volumes[i].low;
  return http_reply_json(reply,
                         json_pack("{s:s s:s s:s}", "status", "ok", "redis",
                                   service_queue_up(req->service) ? "up" : "down", "space",
                                   low ? "low" : "ok"),
                         err);
}

static enum px_status put_volumes(struct diskspace *room, struct px_buf *out) {
  struct diskspace_volume volumes[DISKSPACE_PLACES_N];
  const int n = diskspace_look(room, volumes);
  enum px_status status =
    px_buf_puts(out, "# HELP proxact_volume_free_bytes Free space where uploads go.\n"
                     "# TYPE proxact_volume_free_bytes gauge\n");
  for (int i = 0; i < n && !status; i++)
    status = px_buf_fmt(out, "proxact_volume_free_bytes{volume=\"%s\"} %llu\n", volumes[i].name,
                        (unsigned long long)volumes[i].free_bytes);
  if (!status)
    status = px_buf_puts(out, "# HELP proxact_volume_floor_bytes Below this uploads are refused.\n"
                              "# TYPE proxact_volume_floor_bytes gauge\n");
  for (int i = 0; i < n && !status; i++)
    status = px_buf_fmt(out, "proxact_volume_floor_bytes{volume=\"%s\"} %llu\n", volumes[i].name,
                        (unsigned long long)volumes[i].floor_bytes);
  if (!status)
    status = px_buf_puts(
      out, "# HELP proxact_volume_promised_bytes What requests under way may still write there.\n"
           "# TYPE proxact_volume_promised_bytes gauge\n");
  for (int i = 0; i < n && !status; i++)
    status = px_buf_fmt(out, "proxact_volume_promised_bytes{volume=\"%s\"} %llu\n", volumes[i].name,
                        (unsigned long long)volumes[i].promised_bytes);
  return status;
}

/* Redis is only asked for hints: a breaker that is open costs nobody anything but a wake-up. */
static enum px_status put_redis(struct px_buf *out) {
  struct queue_counts counts;
  queue_counts(&counts);
  return px_buf_fmt(
    out,
    "# HELP proxact_redis_breaker_open Connections (of 3) over which Redis is left alone, because "
    "it failed.\n"
    "# TYPE proxact_redis_breaker_open gauge\nproxact_redis_breaker_open %d\n"
    "# HELP proxact_redis_failures_total Times that Redis could not be reached, or did not answer "
    "as it should.\n"
    "# TYPE proxact_redis_failures_total counter\nproxact_redis_failures_total %llu\n"
    "# HELP proxact_redis_skipped_total Calls that were not tried while a breaker was open.\n"
    "# TYPE proxact_redis_skipped_total counter\nproxact_redis_skipped_total %llu\n",
    counts.open, (unsigned long long)counts.failures, (unsigned long long)counts.skipped);
}

static enum px_status put_lanes(struct service *service, struct px_buf *out) {
  static const char *const NAME[HTTP_LANES_N] = { [HTTP_READ] = "read",
                                                  [HTTP_STORE] = "store",
                                                  [HTTP_SUBMIT] = "submit",
                                                  [HTTP_SEND] = "send",
                                                  [HTTP_PREDICT] = "predict" };
  enum px_status status =
    px_buf_puts(out, "# HELP proxact_work_requests Long requests, by their lane of the work pool.\n"
                     "# TYPE proxact_work_requests gauge\n");
  for (int i = 0; i < HTTP_LANES_N && !status; i++) {
    const struct workpool_load load = service_load(service, i);
    status = px_buf_fmt(out,
                        "proxact_work_requests{lane=\"%s\",state=\"waiting\"} %d\n"
                        "proxact_work_requests{lane=\"%s\",state=\"running\"} %d\n",
                        NAME[i], load.waiting, NAME[i], load.running);
  }
  return status;
}

static enum px_status put_jobs(const json_t *counts, struct px_buf *out) {
  size_t i;
  json_t *row;
  enum px_status status =
    px_buf_puts(out, "# HELP proxact_jobs Jobs by kind and state.\n# TYPE proxact_jobs gauge\n");
  json_array_foreach(counts, i, row) if (!status) status =
    px_buf_fmt(out, "proxact_jobs{kind=\"%s\",state=\"%s\"} %lld\n",
               json_string_value(json_object_get(row, "kind")),
               json_string_value(json_object_get(row, "state")),
               (long long)json_integer_value(json_object_get(row, "n")));
  return status;
}

API_HANDLER(api_metrics) {
  struct store *store = NULL;
  struct px_buf text = PX_BUF(1 << 20);
  enum px_status status =
    metrics_print(http_routes(req), http_requests_in_flight(req), &reply->body);
  if (!status) status = put_volumes(service_diskspace(req->service), &reply->body);
  if (!status) status = put_lanes(req->service, &reply->body);
  if (!status) status = put_redis(&reply->body);
  if (status) return px_fail(err, status, "metrics");
  /* Without the database the server's own numbers are still worth having. */
  struct px_err unused;
  json_t *counts = NULL;
  if (!api_store(req, &store, &unused) && !store_job_counts(store, &text, &unused))
    counts = px_json_parse(text.data, text.len, 0, NULL);
  status = put_jobs(counts, &reply->body);
  json_decref(counts);
  px_buf_free(&text);
  reply->media_type = "text/plain; version=0.0.4; charset=utf-8";
  return status ? px_fail(err, status, "metrics") : PX_OK;
}
