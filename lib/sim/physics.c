/* SPDX-License-Identifier: Apache-2.0 */
/* See physics.h. */
#include "lib/sim/physics.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/lockup.h"
#include "lib/base/mem.h"

static _Thread_local jmp_buf *guard;
static _Thread_local char guard_text[300];

static void on_error(const char *text) {
  snprintf(guard_text, sizeof guard_text, "%s", text);
  if (guard) longjmp(*guard, 1);
}
/* Its default prints and writes a log file into the working folder. Warnings are counted in
 * mjData. */
static void on_warning(const char *text) { (void)text; }

enum { WORDS_MAX = 300 };

/* Its messages have several lines, and some end with one. */
static void join_lines(const char *text, char out[WORDS_MAX]) {
  size_t n = 0;
  while (*text && n + 3 < WORDS_MAX) {
    const size_t breaks = strspn(text, "\r\n");
    text += breaks;
    if (!breaks) out[n++] = *text++;
    else if (*text && n) out[n++] = ';', out[n++] = ' ';
  }
  out[n] = '\0';
}

/* An allocation that failed, in MuJoCo's words. */
static bool lacks_memory(const char *text) {
  return strstr(text, "allocate memory") || strstr(text, "could not create mjData");
}

static enum px_status stopped(const char *text, enum px_status code, const char *what,
                              struct px_err *err) {
  char words[WORDS_MAX];
  join_lines(text, words);
  return px_fail(err, lacks_memory(text) ? PX_E_NO_MEMORY : code, "%s: %s", what, words);
}

enum px_status px_physics_guard(void (*run)(void *ctx), void *ctx, struct px_err *err) {
  jmp_buf here;
  if (setjmp(here)) {
    guard = NULL;
    return stopped(guard_text, PX_E_INTERNAL, "MuJoCo stopped", err);
  }
  guard = &here;
  run(ctx);
  guard = NULL;
  return PX_OK;
}

struct load {
  const char *mjcf;
  size_t n;
  mjVFS *files;
  mjModel *model;
  mjData *data;
  char error[300];
};

static void load(void *ctx) {
  struct load *l = ctx;
  mj_defaultVFS(l->files);
  if (mj_makeEmptyFileVFS(l->files, "model.xml", (int)l->n) == 0) {
    memcpy(l->files->filedata[0], l->mjcf, l->n);
    l->model = mj_loadXML("model.xml", l->files, l->error, sizeof l->error);
  }
  mj_deleteVFS(l->files);
  if (l->model) l->data = mj_makeData(l->model);
}

enum px_status px_physics_load(const char *mjcf, size_t n, mjModel **model, mjData **data,
                               struct px_err *err) {
  mju_user_error = on_error;
  mju_user_warning = on_warning;
  if (n > INT32_MAX) return px_fail(err, PX_E_BAD_DATA, "a model of %zu bytes is too large", n);
  /* MuJoCo reads XML from a file or from its own table of files in memory, which is megabytes:
   * not for the stack. */
  struct load l = { .mjcf = mjcf, .n = n, .files = px_mem_calloc(1, sizeof *l.files) };
  if (!l.files) return px_fail(err, PX_E_NO_MEMORY, "no memory to load a model");
  enum px_status status = px_physics_guard(load, &l, err);
  free(l.files);
  if (!status && !l.model)
    status = stopped(l.error, PX_E_BAD_DATA, "MuJoCo does not load the model", err);
  if (!status && !l.data) status = px_fail(err, PX_E_NO_MEMORY, "no memory for the model's state");
  if (status) {
    if (l.model) mj_deleteModel(l.model);
    return status;
  }
  *model = l.model;
  *data = l.data;
  return PX_OK;
}

const char *px_physics_version(void) { return mj_versionString(); }

const char *px_physics_warning(const mjData *data) {
  for (int i = 0; i < mjNWARNING; i++)
    if (data->warning[i].number > 0) return mju_warningText(i, data->warning[i].lastinfo);
  return NULL;
}

/* ---- memory that its compiler, which is C++, does not get */

static void *(*current_exception)(void); /* __cxa_current_exception_type */
static const void *out_of_memory[2];     /* std::bad_alloc, std::length_error: type_info */

/* The C++ library would write a message, which a locked-up process may not. */
static void on_exception(void) {
  const void *thrown = current_exception();
  const bool memory = thrown && (thrown == out_of_memory[0] || thrown == out_of_memory[1]);
  _exit(memory ? PX_LOCKUP_EXIT_MEMORY : PX_LOCKUP_EXIT_SIGNAL + SIGABRT);
}

void px_physics_tell_memory(void) {
  void (*(*set_terminate)(void (*)(void)))(void);
  void *const setter = dlsym(RTLD_DEFAULT, "_ZSt13set_terminatePFvvE");
  void *const current = dlsym(RTLD_DEFAULT, "__cxa_current_exception_type");
  out_of_memory[0] = dlsym(RTLD_DEFAULT, "_ZTISt9bad_alloc");
  out_of_memory[1] = dlsym(RTLD_DEFAULT, "_ZTISt12length_error");
  if (!setter || !current) return;
  memcpy(&set_terminate, &setter, sizeof setter);
  memcpy(&current_exception, &current, sizeof current);
  set_terminate(on_exception);
}
