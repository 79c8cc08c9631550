/* SPDX-License-Identifier: Apache-2.0 */
/* proxact-server: serve, migrate, restored, token, config. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/config.h"
#include "lib/base/crash.h"
#include "lib/base/digest.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"
#include "lib/base/scratch.h"
#include "lib/base/stop.h"
#include "lib/base/subprocess.h"
#include "lib/flow/names.h"
#include "lib/read/sandbox.h"
#include "lib/sim/mjcf.h"
#include "lib/store/store.h"
#include "lib/write/write.h"
#include "server/api/api.h"
#include "server/app/hooks.h"
#include "server/http/listen.h"

static const struct px_option OPTIONS[] = {
  { "listen", PX_OPT_TEXT, "127.0.0.1:8080", 0, 0, false,
    "Address and port; port 0 takes a free one" },
  { "db_url", PX_OPT_TEXT, "postgresql:///proxact", 0, 0, true, "PostgreSQL, as a libpq URI" },
  { "redis_url", PX_OPT_TEXT, "", 0, 0, true,
    "Redis (redis://HOST:PORT/DB, unix://PATH or redis+sentinel://HOST:PORT,HOST:PORT/MASTER); "
    "empty: none" },
  { "threads", PX_OPT_INT, "16", 1, 64, false,
    "HTTP threads; each has a connection to the database and takes 126 connections of clients" },
  { "work_threads", PX_OPT_INT, "4", 1, 64, false,
    "Threads for each kind of long request (reading uploads, storing their bytes, submissions, "
    "exports, predictions); one token has at most all but one" },
  { "rate_per_s", PX_OPT_INT, "500", 0, 1000000, false,
    "Requests a second that a token may send in the long run; 0: any number" },
  { "rate_burst", PX_OPT_INT, "1000", 1, 1000000, false, "Requests that a token may send at once" },
  { "jobs_per_token", PX_OPT_INT, "10000", 0, 1LL << 40, false,
    "Unfinished jobs that a token may have, those of its pipelines included; 0: any number" },
  { "simulators_per_token", PX_OPT_INT, "100", 0, 1000000, false,
    "Simulators that a token may have posted and not deleted; 0: any number" },
  { "simulator_bytes_per_token", PX_OPT_INT, "16777216", 0, 1LL << 40, false,
    "Bytes of their models and layouts together; 0: any number" },
  { "db_wait_ms", PX_OPT_INT, "5000", 0, 600000, false,
    "How long a long request waits for a database that does not answer" },
  { "spool_dir", PX_OPT_TEXT, "/var/tmp", 0, 0, false,
    "Folder for uploads on their way; needs room for the largest, twice" },
  { "max_upload_bytes", PX_OPT_INT, "10737418240", 1, 1LL << 50, false,
    "Largest upload, received and decoded" },
  { "predict_cache_bytes", PX_OPT_INT, "268435456", 0, 1LL << 40, false,
    "About the memory of models that are kept loaded for predictions; the least recently used go" },
  { "upload_expires_s", PX_OPT_INT, "86400", 1, 31536000, false,
    "Seconds after its last part when an unfinished upload is dropped" },
  { "free_floor_bytes", PX_OPT_INT, "0", 0, 1LL << 50, false,
    "Uploads and exports are refused when less would be left free; 0: 1 GiB, or 5% of a smaller "
    "volume" },
  { "db_volume", PX_OPT_TEXT, "", 0, 0, false,
    "Folder on the database's volume, if it can be seen from here, to watch its free space too; "
    "empty: the database's own, if it is here; none" },
  { "idle_s", PX_OPT_INT, "60", 1, 3600, false,
    "Seconds after which a silent connection is closed" },
  { "body_s", PX_OPT_INT, "30", 1, 3600, false, "Seconds over which min_rate_bytes is averaged" },
  { "min_rate_bytes", PX_OPT_INT, "1024", 0, 1LL << 30, false,
    "Bytes a second of a body or an answer below which a client's connection is closed; 0: any "
    "pace will do" },
  { "replies_max_bytes", PX_OPT_INT, "17179869184", 1, 1LL << 50, false,
    "Large answers on their way to clients, all together, which lie in spool_dir; beyond it "
    "requests for more are told 503" },
  { "unauth_connections", PX_OPT_INT, "0", 0, 8064, false,
    "Connections on which no valid token has been shown yet, at most; beyond it the oldest is "
    "closed; 0: half of all" },
  { "unauth_per_address", PX_OPT_INT, "256", 0, 8064, false,
    "The same from one address (IPv6: one /64), beyond which its own oldest is closed; 0: no such "
    "limit" },
  { "drain_listen_ms", PX_OPT_INT, "200", 0, 600000, false,
    "How long new connections are taken after SIGTERM, while /readyz says 503: longer than a "
    "balancer's pause between two looks" },
  { "drain_s", PX_OPT_INT, "25", 0, 3600, false,
    "Seconds that requests in progress get after SIGTERM" },
  { "token_file", PX_OPT_TEXT, "", 0, 0, false,
    "File with a token to accept from the start; empty: none" },
  { "log_level", PX_OPT_INT, "1", 0, 3, false, "0 debug, 1 info, 2 warnings, 3 errors" },
  { "log_json", PX_OPT_FLAG, "false", 0, 0, false, "Log lines as JSON" },
};
enum { OPTIONS_N = sizeof OPTIONS / sizeof *OPTIONS, TOKEN_LINE_MAX = 256, TOKEN_NAME_MAX = 200 };

static void print_help(void) {
  fputs("proxact-server " PX_VERSION ": the HTTP API\n\n"
        "  proxact-server serve               answer requests until SIGTERM\n"
        "  proxact-server migrate             bring the database's schema up to date\n"
        "  proxact-server restored            after a restore from a backup: nothing from before "
        "it can write any more\n"
        "  proxact-server token create NAME   make a token and print it; it is not shown again\n"
        "  proxact-server config              print a sample configuration\n\n"
        "Options, also as NAME = VALUE in --config FILE and as PROXACT_NAME in the environment;\n"
        "db_url and redis_url also from the file that PROXACT_DB_URL_FILE or "
        "PROXACT_REDIS_URL_FILE names:\n",
        stdout);
  px_config_help(OPTIONS, OPTIONS_N, stdout);
}

static enum px_status migrate(const struct px_config *config, struct px_err *err) {
  struct store *store = NULL;
  struct store_migrated done;
  enum px_status status =
    store_open(px_config_text(config, "db_url"), "proxact-migrate", &store, err);
  if (!status) status = store_migrate(store, &done, err);
  if (!status)
    printf("the schema is up to date; %d migration%s applied, %d file%s of functions changed\n",
           done.migrations, done.migrations == 1 ? "" : "s", done.functions,
           done.functions == 1 ? "" : "s");
  store_close(store);
  return status;
}

static enum px_status restored(const struct px_config *config, struct px_err *err) {
  struct store *store = NULL;
  int given_back = 0;
  enum px_status status =
    store_open(px_config_text(config, "db_url"), "proxact-restored", &store, err);
  if (!status) status = store_check_schema(store, err);
  if (!status) status = store_restored(store, &given_back, err);
  if (!status)
    printf("another incarnation has begun; %d running job%s given back\n", given_back,
           given_back == 1 ? "" : "s");
  store_close(store);
  return status;
}

static enum px_status token(const struct px_config *config, struct px_err *err) {
  const char *verb = px_config_arg(config, 1), *name = px_config_arg(config, 2);
  if (!verb || strcmp(verb, "create") != 0 || !name || !*name)
    return px_fail(err, PX_E_BAD_FIELD, "expected: token create NAME");
  const char *fault = flow_name_fault(name, TOKEN_NAME_MAX);
  if (fault)
    return px_fail(err, PX_E_BAD_FIELD, "NAME must be a text of 1 to %d characters, %s",
                   TOKEN_NAME_MAX, fault);
  struct store *store = NULL;
  char text[SERVICE_TOKEN_MAX];
  enum px_status status =
    store_open(px_config_text(config, "db_url"), "proxact-token", &store, err);
  if (!status) status = store_check_schema(store, err);
  if (!status) status = service_token_create(store, name, text, err);
  if (!status) printf("%s\n", text);
  store_close(store);
  return status;
}

/* A token by file, for machines that are set up without a person. */
static enum px_status accept_token_file(struct store *store, const char *path, struct px_err *err) {
  if (!*path) return PX_OK;
  char line[TOKEN_LINE_MAX];
  FILE *f = fopen(path, "re");
  if (!f) return px_fail_errno(err, "opening the token file %s", path);
  const bool got = fgets(line, sizeof line, f) != NULL;
  fclose(f);
  const size_t n = got ? strcspn(line, " \t\r\n") : 0;
  if (n < 32)
    return px_fail(err, PX_E_BAD_FIELD, "the token in %s is shorter than 32 characters", path);
  uint8_t digest[PX_SHA256_BYTES];
  px_digest_sha256(line, n, digest);
  const enum px_status status = store_token_check(store, digest, err);
  return status == PX_E_UNAUTHORIZED ? store_token_create(store, "token_file", digest, err)
                                     : status;
}

/* A folder on the database's volume; "" if none can be seen. */
static enum px_status find_db_folder(struct store *store, const char *given, char folder[PATH_MAX],
                                     struct px_err *err) {
  struct stat st;
  snprintf(folder, PATH_MAX, "%s", strcmp(given, "none") == 0 ? "" : given);
  if (*given) return PX_OK;
  const enum px_status status = store_data_folder(store, folder, PATH_MAX, err);
  if (!status && stat(folder, &st) != 0) folder[0] = '\0';
  return status;
}

/* The database is there, has this build's schema, and nobody from outside gets in without a
 * token. */
static enum px_status check_start(const struct px_config *config, const struct listen_address *at,
                                  char folder[PATH_MAX], struct px_err *err) {
  struct store *store = NULL;
  bool any = false;
  enum px_status status =
    store_open(px_config_text(config, "db_url"), "proxact-server", &store, err);
  if (!status) status = store_check_schema(store, err);
  if (!status) store_warn_of_functions(store);
  if (!status) status = accept_token_file(store, px_config_text(config, "token_file"), err);
  if (!status) status = store_token_any(store, &any, err);
  if (!status && !any && !at->loopback) {
    status = px_fail(err, PX_E_UNAUTHORIZED,
                     "%s can be reached from outside, and there is no token yet", at->text);
    px_fail_hint(err, "Make one first: proxact-server token create NAME");
  }
  if (!status) status = find_db_folder(store, px_config_text(config, "db_volume"), folder, err);
  store_close(store);
  return status;
}

/* The usual 1024 are fewer than the connections that all threads may have. */
static void raise_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) px_log(PX_LOG_WARN, "descriptor_limit_kept", NULL);
}

/* True when every request was answered in time. */
static bool drain(struct http *http, struct service *service, const struct px_config *config) {
  px_log(PX_LOG_INFO, "draining", "in_flight", PX_I(http_in_flight(http)), NULL);
  http_drain(http, (int)px_config_int(config, "drain_listen_ms"));
  service_end_waits(service);
  return http_drained(http, px_config_int(config, "drain_s") * 1000);
}

static struct service_options service_options_of(const struct px_config *config,
                                                 const char *db_folder) {
  return (struct service_options){
    .db_url = px_config_text(config, "db_url"),
    .redis_url = px_config_text(config, "redis_url"),
    .spool_dir = px_config_text(config, "spool_dir"),
    .max_upload_bytes = (uint64_t)px_config_int(config, "max_upload_bytes"),
    .predict_cache_bytes = (uint64_t)px_config_int(config, "predict_cache_bytes"),
    .upload_expires_s = px_config_int(config, "upload_expires_s"),
    .rate_per_s = px_config_int(config, "rate_per_s"),
    .rate_burst = px_config_int(config, "rate_burst"),
    .jobs_per_token = px_config_int(config, "jobs_per_token"),
    .simulators_per_token = px_config_int(config, "simulators_per_token"),
    .simulator_bytes_per_token = px_config_int(config, "simulator_bytes_per_token"),
    .work_threads = (int)px_config_int(config, "work_threads"),
    .db_wait_ms = (int)px_config_int(config, "db_wait_ms"),
    .room = { .spool_dir = px_config_text(config, "spool_dir"),
              .db_volume = db_folder,
              .floor_bytes = (uint64_t)px_config_int(config, "free_floor_bytes") }
  };
}

static struct http_options http_options_of(const struct px_config *config, int listen_fd,
                                           uint64_t max_upload_bytes, struct service *service) {
  return (
    struct http_options){ .listen_fd = listen_fd,
                          .threads = (int)px_config_int(config, "threads"),
                          .idle_s = (int)px_config_int(config, "idle_s"),
                          .body_s = (int)px_config_int(config, "body_s"),
                          .min_rate_bytes = (uint64_t)px_config_int(config, "min_rate_bytes"),
                          .replies_max_bytes = (uint64_t)px_config_int(config, "replies_max_bytes"),
                          .unauth_connections = (int)px_config_int(config, "unauth_connections"),
                          .unauth_per_address = (int)px_config_int(config, "unauth_per_address"),
                          .max_upload_bytes = max_upload_bytes,
                          .service = service,
                          .hooks = &hooks_service,
                          .routes = API_ROUTES,
                          .routes_n = API_ROUTES_N };
}

static enum px_status serve(const struct px_config *config, struct px_err *err) {
  struct listen_address at = { .fd = -1 };
  struct service *service = NULL;
  struct http *http = NULL;
  int stop_fd, spool_fd = -1;
  char db_folder[PATH_MAX] = "";
  enum px_status status = px_stop_setup(&stop_fd, err);
  if (status) return status;
  raise_descriptors();
  status = listen_open(px_config_text(config, "listen"), &at, err);
  if (!status) status = check_start(config, &at, db_folder, err);
  const struct service_options options = service_options_of(config, db_folder);
  px_scratch_sweep(options.spool_dir); /* of servers that were killed */
  if (!status) status = service_new(&options, &service, err);
  if (!status) status = service_spool(service, &spool_fd, err);
  if (spool_fd >= 0) close(spool_fd);
  const struct http_options http_options =
    http_options_of(config, at.fd, options.max_upload_bytes, service);
  if (!status) status = http_start(&http_options, &http, err);
  if (!status) {
    px_log(PX_LOG_INFO, "listening", "address", at.text, "version", PX_VERSION, "db_volume",
           *db_folder ? db_folder : "none", NULL);
    while (!px_stop_wait(stop_fd, -1)) continue;
    if (!drain(http, service, config)) {
      px_log(PX_LOG_WARN, "requests_cut", "in_flight", PX_I(http_in_flight(http)), NULL);
      _exit(1); /* a thread still works for a connection: nothing can be freed under it */
    }
    http_stop(http);
    px_log(PX_LOG_INFO, "stopped", NULL);
  } else if (at.fd >= 0) {
    close(at.fd);
  }
  service_free(service);
  close(stop_fd);
  return status;
}

static enum px_status run(const struct px_config *config, struct px_err *err) {
  const char *command = px_config_arg(config, 0);
  px_log_setup("server", (enum px_log_level)px_config_int(config, "log_level"),
               px_config_flag(config, "log_json"));
  if (strcmp(command, "serve") == 0) return serve(config, err);
  if (strcmp(command, "migrate") == 0) return migrate(config, err);
  if (strcmp(command, "restored") == 0) return restored(config, err);
  if (strcmp(command, "token") == 0) return token(config, err);
  return px_fail(err, PX_E_BAD_FIELD, "there is no command '%.64s'; --help lists them", command);
}

static const struct px_subprocess_kind *const HELPERS[] = { &px_sandbox_helper,
                                                            &px_write_hdf5_helper, &px_mjcf_helper,
                                                            NULL };

int main(int argc, char **argv) {
  const int helper = px_subprocess_main(HELPERS, argc, argv);
  if (helper >= 0) return helper;
  px_crash_setup("server");
  const char *first = argc > 1 ? argv[1] : "--help";
  if (strcmp(first, "--help") == 0 || strcmp(first, "help") == 0) {
    print_help();
    return argc > 1 ? 0 : 2;
  }
  if (strcmp(first, "--version") == 0) {
    puts("proxact-server " PX_VERSION);
    return 0;
  }
  if (strcmp(first, "config") == 0) {
    px_config_sample(OPTIONS, OPTIONS_N, stdout);
    return 0;
  }
  struct px_config *config = NULL;
  struct px_err err = { 0 };
  enum px_status status = px_config_read(OPTIONS, OPTIONS_N, argc, argv, &config, &err);
  if (!status && !px_config_arg(config, 0))
    status = px_fail(&err, PX_E_BAD_FIELD, "a command is missing; --help lists them");
  if (!status) status = run(config, &err);
  px_config_free(config);
  if (!status) return 0;
  fprintf(stderr, "proxact-server: %s\n", err.message);
  fprintf(stderr, "  hint: %s\n", err.hint[0] ? err.hint : px_status_hint(status));
  return 1;
}
