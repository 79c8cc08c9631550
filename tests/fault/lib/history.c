/* SPDX-License-Identifier: Apache-2.0 */
/* The client's history: see history.h. */
#include "tests/fault/lib/history.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"

static FILE *file;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool history_open(const char *path) {
  file = fopen(path, "ae");
  return file != NULL;
}

void history_put(json_t *line) {
  json_object_set_new(line, "t_ms", json_integer(px_clock_wall_ms()));
  char *text = json_dumps(line, JSON_COMPACT);
  pthread_mutex_lock(&lock);
  fprintf(file, "%s\n", text);
  fflush(file);
  pthread_mutex_unlock(&lock);
  free(text);
  json_decref(line);
}

void history_close(void) {
  if (file) fclose(file);
  file = NULL;
}

json_t *history_read(const char *path) {
  FILE *f = fopen(path, "re");
  if (!f) return NULL;
  json_t *lines = json_array();
  for (json_t *line; (line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)) != NULL;)
    json_array_append_new(lines, line);
  fclose(f);
  return lines;
}
