/* JSON when there is no memory: see json.h. */
#include "lib/base/json.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"

static __thread bool lacking;

/*
 * jansson cannot be told to stop, so a parse leaves it by a jump from the allocation that fails. What it had by then would
 * be lost: therefore it builds in an arena, and what it built is copied.
 */
struct parse { struct px_arena *arena; jmp_buf stop; };
static __thread struct parse *parsing;

static void *take(size_t n) {
  void *bytes = parsing ? px_arena_take(parsing->arena, n, 1) : malloc(n);
  if (bytes) return bytes;
  lacking = true;
  if (parsing) longjmp(parsing->stop, 1);
  return NULL;
}

static void give(void *bytes) {
  if (!parsing) free(bytes);
}

/* Before main: whatever jansson frees later has been taken here. */
__attribute__((constructor)) static void set_up(void) { json_set_alloc_funcs(take, give); }

static json_t *build(struct parse *parse, const char *text, size_t n, size_t flags, json_error_t *why) {
  json_t *volatile built = NULL;
  parsing = parse;
  if (setjmp(parse->stop) == 0) built = json_loadb(text, n, flags, why);
  parsing = NULL;
  return built;
}

json_t *px_json_parse(const char *text, size_t n, size_t flags, json_error_t *why) {
  const bool lacked = lacking;
  struct parse parse = { .arena = px_arena_new(SIZE_MAX) };
  lacking = !parse.arena;
  json_t *built = lacking ? NULL : build(&parse, text, n, flags, why);
  json_t *copy = built ? json_deep_copy(built) : NULL; /* and `built` is never given back: it goes with the arena */
  px_arena_free(parse.arena);
  if (lacking) {
    if (why) snprintf(why->text, sizeof why->text, "no memory");
    json_decref(copy);
    copy = NULL;
  }
  lacking = lacking || lacked;
  return copy;
}

bool px_json_lacking(void) { return lacking; }
void px_json_forget(void) { lacking = false; }
