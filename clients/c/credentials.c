/* SPDX-License-Identifier: Apache-2.0 */
/* Where the address and the token are kept: see cli.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/c/cli.h"
#include "clients/c/request.h"
#include "lib/base/fail.h"

enum { FILE_PATH_MAX = 1024 };

/* The folder, made if asked for. */
static enum px_status folder(char *out, size_t n, bool make, struct px_err *err) {
  const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  int len;
  if (config && *config == '/') len = snprintf(out, n, "%s", config);
  else if (home && *home == '/') len = snprintf(out, n, "%s/.config", home);
  else
    return px_fail(err, PX_E_IO,
                   "there is no home folder: set HOME, or PROXACT_URL and PROXACT_TOKEN");
  if ((size_t)len + 16 >= n)
    return px_fail(err, PX_E_TOO_LARGE, "the home folder's path is too long");
  if (make && mkdir(out, 0700) != 0 && errno != EEXIST) return client_fail_file(err, "making", out);
  snprintf(out + len, n - (size_t)len, "/proxact");
  if (make && mkdir(out, 0700) != 0 && errno != EEXIST) return client_fail_file(err, "making", out);
  return PX_OK;
}

/* A line "name = value"; anything else is passed over. */
static void read_line(struct cli_credentials *out, char *line) {
  char *equals = strstr(line, " = ");
  if (!equals) return;
  *equals = '\0';
  char *value = equals + 3;
  value[strcspn(value, "\r\n")] = '\0';
  if (strcmp(line, "url") == 0) snprintf(out->url, sizeof out->url, "%s", value);
  if (strcmp(line, "token") == 0) snprintf(out->token, sizeof out->token, "%s", value);
}

enum px_status cli_credentials_load(struct cli_credentials *out, struct px_err *err) {
  *out = (struct cli_credentials){ 0 };
  char path[FILE_PATH_MAX + 32], line[600];
  const char *url = getenv("PROXACT_URL"), *token = getenv("PROXACT_TOKEN");
  if (!folder(path, FILE_PATH_MAX, false, NULL)) {
    const size_t len = strlen(path);
    snprintf(path + len, sizeof path - len, "/credentials");
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) read_line(out, line);
    if (f) fclose(f);
    explicit_bzero(line, sizeof line);
  }
  /* A stored token belongs to the stored address: it is never sent to another. */
  if (url && *url && strcmp(url, out->url) != 0) out->token[0] = '\0';
  if (url && *url) snprintf(out->url, sizeof out->url, "%s", url);
  if (token && *token) snprintf(out->token, sizeof out->token, "%s", token);
  if (*out->url) return PX_OK;
  px_fail(err, PX_E_UNAUTHORIZED, "no server is known");
  px_fail_hint(err, "Run 'proxact login --url URL', or set PROXACT_URL and PROXACT_TOKEN ('. "
                    "var/env' after 'make up').");
  return PX_E_UNAUTHORIZED;
}

enum px_status cli_credentials_save(const struct cli_credentials *credentials, char *path,
                                    size_t path_bytes, struct px_err *err) {
  char dir[FILE_PATH_MAX], next[FILE_PATH_MAX + 32];
  enum px_status status = folder(dir, sizeof dir, true, err);
  if (status) return status;
  snprintf(path, path_bytes, "%s/credentials", dir);
  snprintf(next, sizeof next, "%s/credentials.new", dir);
  /* Made anew with its mode, so that the token is at no moment in a file others can read. */
  if (unlink(next) != 0 && errno != ENOENT) return client_fail_file(err, "removing", next);
  const int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return client_fail_file(err, "opening", next);
  const int written = dprintf(fd, "url = %s\ntoken = %s\n", credentials->url, credentials->token);
  if (close(fd) != 0 || written < 0 || rename(next, path) != 0) {
    status = client_fail_file(err, "writing", path);
    unlink(next);
  }
  return status;
}
