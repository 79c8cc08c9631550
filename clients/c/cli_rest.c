/* SPDX-License-Identifier: Apache-2.0 */
/* What commands have in common that ask for something, print it or remove it: see cli.h. */
#include <stdlib.h>
#include <string.h>

#include "clients/c/cli.h"
#include "clients/c/text.h"
#include "lib/base/fail.h"
#include "lib/base/json.h"

enum { PAGE_MAX = 1000 };

bool cli_wants_json(const struct cli *cli) { return cli_option(cli, "json") != NULL; }

void cli_print_json(const json_t *json) {
  char *text = px_json_dumps(json, JSON_INDENT(2) | JSON_ENCODE_ANY);
  puts(text ? text : "null");
  free(text);
}

enum px_status cli_items(const json_t *answer, const json_t **items, struct px_err *err) {
  const json_t *list = json_is_array(answer) ? answer : json_object_get(answer, "items");
  if (!json_is_array(list)) return px_fail(err, PX_E_BAD_DATA, "the server's answer holds no list");
  *items = list;
  return PX_OK;
}

enum px_status cli_download(struct cli *cli, const char *path, const char *file,
                            struct px_err *err) {
  struct text_meter meter = text_meter_start(file);
  const enum px_status status =
    client_download(cli->client, path, file, text_meter_show, &meter, err);
  text_meter_end(&meter);
  if (!status && strcmp(file, "-") != 0) fprintf(stderr, "wrote %s\n", file);
  return status;
}

enum px_status cli_delete(struct cli *cli, const char *pattern, struct px_err *err) {
  char path[CLI_PATH_MAX];
  enum px_status status = cli_connect(cli, err);
  if (!status) status = client_path(path, sizeof path, err, pattern, cli->args[0], NULL);
  if (!status) status = client_delete(cli->client, path, err);
  if (!status && !cli_wants_json(cli)) puts("removed");
  return status;
}

enum px_status cli_put_query(const struct cli *cli, char *path, size_t n, const char *option,
                             const char *parameter, struct px_err *err) {
  const char *value = cli_option(cli, option);
  const size_t used = strlen(path);
  if (!value) return PX_OK;
  return client_path(path + used, n - used, err, strchr(path, '?') ? "&{}={}" : "?{}={}", parameter,
                     *value ? value : "true", NULL);
}

enum px_status cli_spec(const struct cli *cli, json_t **out, struct px_err *err) {
  const char *spec = cli_option(cli, "spec");
  json_error_t where;
  json_t *body =
    px_json_parse(spec ? spec : "{}", spec ? strlen(spec) : 2, JSON_REJECT_DUPLICATES, &where);
  if (!json_is_object(body)) {
    json_decref(body);
    return px_fail_at(err, PX_E_BAD_FIELD, "spec", "--spec takes a JSON object: %s",
                      *where.text ? where.text : "not an object");
  }
  *out = body;
  return PX_OK;
}

static enum px_status path_of_arguments(const struct cli *cli, const char *pattern, char *path,
                                        size_t n, struct px_err *err) {
  return client_path(path, n, err, pattern, cli->args_n > 0 ? cli->args[0] : "",
                     cli->args_n > 1 ? cli->args[1] : "", NULL);
}

enum px_status cli_show(struct cli *cli, const char *pattern, struct px_err *err) {
  return cli_show_labelled(cli, pattern, err);
}

enum px_status cli_show_labelled(struct cli *cli, const char *pattern, struct px_err *err) {
  json_t *answer = NULL;
  char path[CLI_PATH_MAX];
  enum px_status status = cli_connect(cli, err);
  if (!status) status = path_of_arguments(cli, pattern, path, sizeof path, err);
  if (!status) status = cli_put_query(cli, path, sizeof path, "labels", "label_set", err);
  if (!status) status = client_get(cli->client, path, NULL, &answer, NULL, err);
  if (!status) cli_print_json(answer);
  text_warnings(stderr, json_object_get(answer, "result"));
  json_decref(answer);
  return status;
}

/* The page's path: what it begins with, how many are wanted, and the cursor of the page before. */
static enum px_status page_path(const struct cli_listing *listing, const char *base,
                                long long wanted, const json_t *next, char *path,
                                struct px_err *err) {
  char number[32], cursor[64];
  snprintf(path, CLI_PATH_MAX, "%s", base);
  if (!listing->cursor) return PX_OK;
  snprintf(number, sizeof number, "%lld", wanted < PAGE_MAX ? wanted : PAGE_MAX);
  size_t used = strlen(path);
  enum px_status status = client_path(path + used, CLI_PATH_MAX - used, err,
                                      strchr(path, '?') ? "&limit={}" : "?limit={}", number, NULL);
  if (status || !next || json_is_null(next)) return status;
  if (json_is_string(next)) snprintf(cursor, sizeof cursor, "%s", json_string_value(next));
  else snprintf(cursor, sizeof cursor, "%lld", (long long)json_integer_value(next));
  used = strlen(path);
  return client_path(path + used, CLI_PATH_MAX - used, err, "&{}={}", listing->cursor, cursor,
                     NULL);
}

/* All pages until enough is there, from the option that is named like the cursor on. *out is the
 * first page, with the items of all and the last `next`. */
static enum px_status get_pages(struct cli *cli, const struct cli_listing *listing,
                                const char *base, long long limit, json_t **out,
                                struct px_err *err) {
  char path[CLI_PATH_MAX];
  const char *first = listing->cursor ? cli_option(cli, listing->cursor) : NULL;
  json_t *all = NULL, *start = json_string(first ? first : ""), *next = first ? start : NULL;
  enum px_status status = PX_OK;
  do {
    json_t *page = NULL, *items = json_object_get(all, "items");
    const json_t *found = NULL;
    status = page_path(listing, base, limit - (long long)json_array_size(items), next, path, err);
    if (!status) status = client_get(cli->client, path, NULL, &page, NULL, err);
    if (!status) status = cli_items(page, &found, err);
    if (status) {
      json_decref(page);
      break;
    }
    if (!all) all = json_incref(page);
    else if (json_array_extend(items, json_object_get(page, "items")) != 0 ||
             json_object_set(all, "next", json_object_get(page, "next")) != 0)
      status = px_fail(err, PX_E_NO_MEMORY, "list");
    json_decref(page);
    next = json_object_get(all, "next");
  } while (!status && listing->cursor && next && !json_is_null(next) &&
           (long long)json_array_size(json_object_get(all, "items")) < limit);
  json_decref(start);
  if (status) json_decref(all);
  else *out = all;
  return status;
}

enum px_status cli_list(struct cli *cli, const struct cli_listing *listing, struct px_err *err) {
  char base[CLI_PATH_MAX];
  json_t *answer = NULL;
  long long limit = 100;
  const json_t *items = NULL;
  enum px_status status =
    listing->cursor ? cli_option_int(cli, "limit", 1, 1000000, &limit, err) : PX_OK;
  if (!status) status = cli_connect(cli, err);
  if (!status) status = path_of_arguments(cli, listing->pattern, base, sizeof base, err);
  for (const char *const *name = listing->filters; name && *name && !status; name++)
    status = cli_put_query(cli, base, sizeof base, *name, *name, err);
  if (!status) status = get_pages(cli, listing, base, limit, &answer, err);
  if (!status) status = cli_items(answer, &items, err);
  if (!status && cli_wants_json(cli)) cli_print_json(answer);
  else if (!status) {
    text_table(stdout, items, listing->columns, listing->columns_n);
    if (listing->cursor && !json_is_null(json_object_get(answer, "next")) && limit == 100 &&
        !cli_option(cli, "limit"))
      fprintf(stderr, "there are more: --limit N shows them\n");
  }
  json_decref(answer);
  return status;
}
