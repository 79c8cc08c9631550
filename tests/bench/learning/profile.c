/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time goes: see learning.h. */
#include "tests/bench/learning/learning.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

const char *const learning_part_names[] = { "products", "layers, losses", "optimiser", "batch",
                                            "rest" };

enum { SAMPLES_MAX = 1 << 16, TICK_US = 1000 };
static struct {
  const uint8_t *image; /* this program's file */
  const Elf64_Sym *symbols;
  size_t symbols_n;
  const char *names;
  uintptr_t base; /* where its address 0 lies in memory */
  uintptr_t at[SAMPLES_MAX];
  volatile uint32_t n;
} profile;
static char handler_stack[65536];

static void sample(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
#ifdef __x86_64__
  const ucontext_t *at = context;
  if (profile.n < SAMPLES_MAX) profile.at[profile.n++] = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
#else
  (void)context;
#endif
}

/* Functions by the beginnings of their names; the first that fits. What the compiler inlined counts
 * as its caller. */
static const struct {
  const char *prefix;
  enum learning_part part;
} functions[] = {
  { "wide_", LEARNING_PRODUCTS },
  { "narrow_", LEARNING_PRODUCTS },
  { "product", LEARNING_PRODUCTS },
  { "run_narrow", LEARNING_PRODUCTS },
  { "multiply", LEARNING_PRODUCTS },
  { "px_gemm", LEARNING_PRODUCTS },
  { "skinny_", LEARNING_PRODUCTS },
  { "px_mat_mul", LEARNING_PRODUCTS },
  { "px_attention", LEARNING_PRODUCTS },
  { "px_mat_", LEARNING_LAYERS },
  { "px_mlp_", LEARNING_LAYERS },
  { "px_loss_", LEARNING_LAYERS },
  { "px_layer_norm", LEARNING_LAYERS },
  { "px_gelu", LEARNING_LAYERS },
  { "px_fan_", LEARNING_LAYERS },
  { "px_transformer_", LEARNING_LAYERS },
  { "drop_units", LEARNING_LAYERS },
  { "px_adam_", LEARNING_OPTIMISER },
  { "update.", LEARNING_OPTIMISER },
  { "px_adam_polyak", LEARNING_OPTIMISER },
  { "px_lamb_", LEARNING_OPTIMISER },
  { "direction", LEARNING_OPTIMISER },
  { "rl_batch_", LEARNING_BATCH },
  { "rl_net_join", LEARNING_BATCH },
  { "px_rng_", LEARNING_BATCH },
  { "dt_batch_", LEARNING_BATCH },
  { "head_forward", LEARNING_PRODUCTS },
  { "head_backward", LEARNING_PRODUCTS },
  { "add_branch", LEARNING_LAYERS },
  { "branch_back", LEARNING_LAYERS },
  { "add_embeddings", LEARNING_LAYERS },
  { "embeddings_", LEARNING_LAYERS },
  { "sum_of_squares", LEARNING_OPTIMISER },
};

/* The functions of shared objects, by the beginnings of the files' names. */
static const struct {
  const char *prefix;
  enum learning_part part;
} objects[] = {
  { "libdnnl", LEARNING_PRODUCTS },
  { "libgomp", LEARNING_PRODUCTS },
  { "libm.", LEARNING_LAYERS },
  { "libc.", LEARNING_BATCH },
};

static enum learning_part own_part(uintptr_t address) {
  for (size_t i = 0; i < profile.symbols_n; i++) {
    const Elf64_Sym *s = &profile.symbols[i];
    if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || address < s->st_value ||
        address >= s->st_value + s->st_size)
      continue;
    for (size_t j = 0; j < sizeof functions / sizeof *functions; j++)
      if (strncmp(profile.names + s->st_name, functions[j].prefix, strlen(functions[j].prefix)) ==
          0)
        return functions[j].part;
  }
  return LEARNING_REST;
}

static enum learning_part part_of(uintptr_t address) {
  Dl_info info;
  /* in no file: made by oneDNN */
  if (!dladdr((const void *)address, &info)) return LEARNING_PRODUCTS;
  if ((uintptr_t)info.dli_fbase == profile.base) return own_part(address - profile.base);
  const char *slash = strrchr(info.dli_fname, '/'), *file = slash ? slash + 1 : info.dli_fname;
  for (size_t j = 0; j < sizeof objects / sizeof *objects; j++)
    if (strncmp(file, objects[j].prefix, strlen(objects[j].prefix)) == 0) return objects[j].part;
  return LEARNING_REST;
}

/* The program's symbols, which are in its file only. */
static void find_symbols(void) {
  struct stat st;
  Dl_info here;
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) || !dladdr(learning_part_names, &here)) exit(1);
  profile.image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (profile.image == MAP_FAILED) exit(1);
  profile.base = (uintptr_t)here.dli_fbase;
  const Elf64_Ehdr *elf = (const void *)profile.image;
  const Elf64_Shdr *sections = (const void *)(profile.image + elf->e_shoff);
  for (size_t i = 0; i < elf->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    profile.symbols = (const void *)(profile.image + sections[i].sh_offset);
    profile.symbols_n = sections[i].sh_size / sizeof *profile.symbols;
    profile.names = (const char *)profile.image + sections[sections[i].sh_link].sh_offset;
  }
}

static void set_timer(suseconds_t us) {
  const struct itimerval every = { { 0, us }, { 0, us } };
  setitimer(ITIMER_PROF, &every, NULL);
}

void learning_profile_start(void) {
  if (!profile.image) find_symbols();
  /* On a stack of its own: oneDNN's kernels keep data where a handler's frame would be written. */
  const stack_t stack = { .ss_sp = handler_stack, .ss_size = sizeof handler_stack };
  sigaltstack(&stack, NULL);
  struct sigaction action = { .sa_sigaction = sample,
                              .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
  sigaction(SIGPROF, &action, NULL);
  set_timer(TICK_US);
}

void learning_profile_stop(void) { set_timer(0); }

uint32_t learning_profile_shares(double shares[LEARNING_PARTS_N]) {
  const uint32_t n = profile.n;
  for (int i = 0; i < LEARNING_PARTS_N; i++) shares[i] = 0;
  for (uint32_t i = 0; i < n; i++) shares[part_of(profile.at[i])] += 1.0 / n;
  profile.n = 0;
  return n;
}
