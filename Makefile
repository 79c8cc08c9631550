# Proxact: one non-recursive makefile. `make help` explains the targets.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

VERSION := 0.1.0
# SAN=address|undefined|thread builds with that sanitizer into its own folder
# ("address" includes undefined), CC=clang into another; RELEASE=1 drops -Werror.
SAN ?=
CC := gcc
clang := $(findstring clang,$(CC))
B := build$(if $(clang),-clang)$(if $(SAN),-$(SAN))
OPTIMIZE := -O3
# V=1 shows whole commands, -s none.
Q := $(if $(V),,@)
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo '  $(1)')

san_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
san_undefined := -fsanitize=undefined -fno-sanitize-recover=undefined
san_thread := -fsanitize=thread

# -Wno-psabi: functions on vectors are always inlined, so how a call would pass one does not matter.
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-sign-conversion -Wno-psabi \
        $(if $(clang),-Wno-unknown-pragmas -Wno-missing-field-initializers) $(if $(RELEASE),,-Werror)
HARD := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
# -march is the portable x86-64 baseline; kernels that gain from more choose at
# run time (function multiversioning). -ffp-contract=off keeps results equal
# between compilers; never -ffast-math: NaN checks are part of training.
CFLAGS := -std=c11 -D_GNU_SOURCE -DPX_VERSION='"$(VERSION)"' $(OPTIMIZE) -g -I. -I$(B)/gen $(WARN) $(HARD) -ffp-contract=off -fno-math-errno $(san_$(SAN))
LDFLAGS := -pie -Wl,-z,relro,-z,now $(san_$(SAN))

PKGS := libmicrohttpd libpq hiredis jansson libcurl hdf5 libzip libzstd zlib libcrypto libseccomp
# -isystem: other projects' headers do not answer to our warnings.
PKG_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS)))
lib_LIBS = $(shell pkg-config --libs libpq hiredis jansson hdf5 libzip libzstd zlib libcrypto libseccomp) -lm -lpthread
server_LIBS = $(shell pkg-config --libs libmicrohttpd) -lmujoco
worker_LIBS = -lmujoco -ldnnl -lgomp
client_LIBS = $(shell pkg-config --libs libcurl)

sources = $(sort $(wildcard $(addsuffix /*.c,$(1))))
objects = $(patsubst %.c,$(B)/%.o,$(1))
LIB_C := $(call sources,lib/base lib/data lib/read lib/write lib/sim lib/flow lib/store lib/redis lib/transfer)
SERVER_C := $(call sources,server/http server/app server/api)
WORKER_C := $(filter-out worker/main.c,$(call sources,worker worker/jobs worker/nn worker/idm worker/rl worker/rl/algo worker/env worker/sim))
CLIENT_C := $(filter-out clients/c/main.c,$(call sources,clients/c))
SUPPORT_C := $(call sources,tests/support tests/fault/lib)
# A test is one CUnit program per file; it links everything.
TESTS_C := $(call sources,tests/unit tests/golden tests/integration)
BENCH_C := $(call sources,tests/bench)
FUZZ_C := $(call sources,tests/fuzz)
# The tools of the storm (chaosproxy, nemesis, load, check), and tests of faults (test_*).
FAULT_C := $(call sources,tests/fault tests/fault/tools)

# What scripts start is what was built here, with its sanitizer.
export PROXACT_BUILD = $(CURDIR)/$(B)
BINARIES := $(B)/proxact-server $(B)/proxact-worker $(B)/proxact
FUZZERS := $(patsubst %.c,$(B)/%,$(FUZZ_C))
PRELOAD := $(patsubst tests/fault/preload/%.c,$(B)/tests/fault/%.so,$(call sources,tests/fault/preload))
FAULT := $(patsubst %.c,$(B)/%,$(FAULT_C)) $(PRELOAD)
tests_in = $(patsubst %.c,$(B)/%,$(filter tests/$(1)/%,$(TESTS_C)))

.PHONY: help all deps demo up down test tests check check-golden check-integration check-e2e check-fault check-torture check-sanitizers sanitized check-valgrind check-image check-arch samples \
        bench-learning bench-labels bench-pipeline bench-returns bench-demo bench-promise bench-checkpoint bench-env bench-simulator bench-service bench-recovery bench-jobs bench-load fuzz \
        schema openapi clean version
JOBS ?= $(shell nproc)

help: ## What each target does
	@echo "Proxact $(VERSION). Targets:"
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "Variables: SAN=address|undefined|thread, PORT=, KEEP=1, RELEASE=1"

all: $(BINARIES) ## Build the server, the worker and the command line client

deps: ## Install the missing Debian packages for building
	@deploy/install-deps.sh build

$(B)/proxact-server: $(call objects,server/main.c) $(B)/libserver.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(server_LIBS) $(lib_LIBS)
$(B)/proxact-worker: $(call objects,worker/main.c) $(B)/libworker.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(worker_LIBS) $(lib_LIBS)
$(B)/proxact: $(call objects,clients/c/main.c) $(B)/libclient.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(client_LIBS) $(lib_LIBS)

$(B)/libproxact.a: $(call objects,$(LIB_C))
$(B)/libserver.a: $(call objects,$(SERVER_C))
$(B)/libworker.a: $(call objects,$(WORKER_C))
$(B)/libclient.a: $(call objects,$(CLIENT_C))
$(B)/libsupport.a: $(call objects,$(SUPPORT_C))
%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

# SQL goes into the programs as text: see schema/embed.sh. The folders are named too, for a file that was renamed.
$(B)/gen/schema/queries.def: $(sort $(wildcard schema/queries/*.sql)) schema/embed.sh schema/queries
	@mkdir -p $(@D)
	schema/embed.sh queries $(filter %.sql,$^) > $@
$(B)/gen/schema/migrations.def: $(sort $(wildcard migrations/*.sql)) schema/embed.sh migrations
	@mkdir -p $(@D)
	schema/embed.sh migrations $(filter %.sql,$^) > $@
$(B)/gen/schema/functions.def: $(sort $(wildcard schema/functions/*.sql)) schema/embed.sh schema/functions
	@mkdir -p $(@D)
	schema/embed.sh functions $(filter %.sql,$^) > $@
$(call objects,$(call sources,lib/store)): | $(addprefix $(B)/gen/schema/,queries.def migrations.def functions.def)

# The description of the API goes into the server as it is (.incbin, which -MMD does not see).
$(B)/server/api/api_meta.o: schema/openapi.yaml

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

# Kernels that are as fast as their multiply-adds (see worker/nn/simd.h).
$(addprefix $(B)/worker/nn/,attention.o gelu.o gemm.o layer_norm.o): CFLAGS += -ffp-contract=fast

# The MJCF files are part of this object (.incbin), which -MMD cannot see.
$(B)/worker/env/mjcf.o: $(wildcard worker/env/mjcf/*.xml)

$(B)/tests/%: $(B)/tests/%.o $(B)/libsupport.a $(B)/libserver.a $(B)/libworker.a $(B)/libclient.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(server_LIBS) $(worker_LIBS) $(client_LIBS) $(lib_LIBS) -lcunit
$(B)/tests/bench/bench_learning: $(call objects,$(call sources,tests/bench/learning))

# Loaded in front of programs under test, which may have a sanitizer: it has none.
$(PRELOAD): $(B)/tests/fault/%.so: tests/fault/preload/%.c tests/fault/lib/failing.h
	@mkdir -p $(@D)
	$(call say,ld $@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g -I. $(WARN) -fPIC -shared -o $@ $<

check: $(call tests_in,unit) $(FUZZERS) ## Unit and architecture tests, and a few thousand hostile inputs: seconds
	@tests/support/run.sh $^ $(ARCH)

# Unit tests of lib/.
LIB_UNITS := base dataset decode export flow labels precision read_exports read_flat read_hdf5 read_hdf5_hostile read_jsonl \
             read_npz read_safetensors safetensors sandbox scratch segment
.PHONY: check-lib check-clang objects
check-lib: $(addprefix $(B)/tests/unit/test_,$(LIB_UNITS))
	@tests/support/run.sh $^

objects: $(call objects,$(LIB_C) $(SERVER_C) $(WORKER_C) $(CLIENT_C) $(SUPPORT_C) $(TESTS_C) $(FUZZ_C) $(FAULT_C) \
           server/main.c worker/main.c clients/c/main.c)

# All of it compiles, quickly; what is run is lib/, which reads what strangers send. `make CC=clang check` runs the rest.
check-clang: ## A second compiler: everything compiles with clang, and lib's unit tests pass
	@$(MAKE) --no-print-directory -s -j$(JOBS) CC=clang OPTIMIZE=-O1 objects
	+@$(MAKE) --no-print-directory CC=clang OPTIMIZE=-O1 check-lib

.PHONY: format lint
format: ## Lays out all C files by .clang-format
	@find lib server worker clients tests -name '*.[ch]' -print0 | xargs -0 -P$(JOBS) -n 40 clang-format -i

LINT := $(wildcard tests/lint/*.sh)
lint: ## Static analysis of C files and shell scripts
	@tests/support/run.sh $(LINT)

ARCH := $(wildcard tests/arch/*.sh tests/arch/*.py)
check-arch: ## The architecture tests alone
	@tests/support/run.sh $(ARCH)

FUZZ_RUNS ?= 1000000
FUZZ_SEED ?= 1
fuzz: $(FUZZERS) ## Hostile inputs for every parser: FUZZ_RUNS= FUZZ_SEED=
	@for f in $^; do echo "$$f" && "$$f" --runs $(FUZZ_RUNS) --seed $(FUZZ_SEED) || exit 1; done

.PHONY: check-crash check-mutants
CRASH_ARGS ?=
check-crash: all $(B)/tests/fault/tools/crash ## Dies at every crash point of every kind of work, and compares: minutes; SEED= CRASH_ARGS=--only=WORK
	@tests/support/stack.sh $(B)/tests/fault/tools/crash --seed=$(or $(SEED),1) $(CRASH_ARGS)

MUTANTS ?=
check-mutants: ## Takes one safeguard out at a time and shows that a test notices: half an hour; MUTANTS="word ..."
	@CC="$(CC)" tests/fault/mutants.sh $(MUTANTS)

check-golden: $(call tests_in,golden) ## Models against vectors of an independent implementation
	@tests/support/run.sh $^

check-integration: $(call tests_in,integration) ## Tests that need PostgreSQL and Redis, on a private throw-away stack
	@tests/support/stack.sh tests/support/run.sh $^ $(wildcard tests/integration/*.sh)

check-e2e: all ## The whole service, through its own programs, curl and jq
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/support/run.sh $(wildcard tests/e2e/*.sh)

fault_tests = $(filter $(B)/tests/fault/test_%,$(FAULT))
check-fault: all $(FAULT) ## Real processes killed, cut off and starved: minutes (make soak has the long storm)
	$(if $(fault_tests),@tests/support/stack.sh tests/support/run.sh $(fault_tests))
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/support/run.sh $(wildcard tests/fault/test_*.sh)

SECONDS ?= 600
SEED ?= 1
WORKERS ?= 3
soak: all $(FAULT) ## A storm of faults over real work, judged in its last line: SECONDS= SEED= WORKERS=
	@PROXACT_BUILD=$(CURDIR)/$(B) WORKERS=$(WORKERS) tests/fault/storm.sh $$(($(SECONDS) * 1000 / 340)) $(SEED)

.PHONY: drill
drill: all $(FAULT) ## Restores of backups and rolling upgrades, at length: some minutes
	@tests/fault/test_backup.sh 40
	@tests/fault/test_upgrade.sh 8

check-image: ## The Dockerfile's steps in a debootstrap root: root, some minutes
	@deploy/prove-image.sh

test: ## Install what tests need, build, run every tier
	@deploy/install-deps.sh test
	@$(MAKE) --no-print-directory -s -j$(JOBS) all tests
	+@tests/support/all.sh check lint check-clang check-golden check-integration check-e2e check-fault

tests: $(patsubst %.c,$(B)/%,$(TESTS_C)) $(FUZZERS) $(FAULT)

CALLS ?= places
check-torture: ## One call of each place in every flow fails once, under ASan: CALLS=places (N: so many of a flow, 0: all) SEED= FLOWS=
	@$(MAKE) --no-print-directory -s -j$(JOBS) SAN=address all tests
	@PROXACT_BUILD=$(CURDIR)/build-address CALLS=$(CALLS) SEED=$(SEED) FLOWS="$(FLOWS)" tests/fault/test_torture.sh

# One program at a time is what sanitizers' reports and slower code are best read from.
check-sanitizers: ## The whole suite under ASan+UBSan, under TSan, and lib's unit tests under valgrind: an hour
	@$(MAKE) --no-print-directory -s -j$(JOBS) SAN=address all tests
	+@$(MAKE) --no-print-directory SAN=address sanitized
	@$(MAKE) --no-print-directory -s -j$(JOBS) SAN=thread all tests
	+@$(MAKE) --no-print-directory SAN=thread sanitized
	@$(MAKE) --no-print-directory check-valgrind
# What asks for too much memory on purpose is told NULL, as malloc would; some tests preload a library of their own.
sanitized: export ASAN_OPTIONS := allocator_may_return_null=1:verify_asan_link_order=0
sanitized: export TSAN_OPTIONS := allocator_may_return_null=1:suppressions=$(CURDIR)/tests/fault/races-of-others.txt
sanitized: export PX_TEST_LIMIT_S := 7200
sanitized: export LSAN_OPTIONS := suppressions=$(CURDIR)/tests/fault/leaks-of-others.txt:print_suppressions=0
sanitized:
	+@tests/support/all.sh check check-golden check-integration check-e2e check-fault

# Those of lib/ that stay in one process: the sandbox refuses what valgrind does.
VALGRIND_UNITS := base decode flow labels read_jsonl read_safetensors safetensors scratch segment
check-valgrind: $(addprefix $(B)/tests/unit/test_,$(VALGRIND_UNITS)) ## Unit tests of lib/ under valgrind
	@tests/support/valgrind.sh $^

samples: all ## Write the sample configurations in deploy/ anew
	$(B)/proxact-server config >deploy/proxact-server.conf
	$(B)/proxact-worker config >deploy/proxact-worker.conf

demo: ## From upload to policy on a real dataset, in minutes
	@deploy/install-deps.sh build
	@echo "building (the first time takes a minute)"
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@deploy/demo.sh

up: ## Start the service and keep it: PORT=, WORKERS=
	@deploy/install-deps.sh build
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@PORT=$(PORT) deploy/up.sh

down: ## Stop what `make up` started; the data stays
	@deploy/down.sh

bench-learning: $(B)/tests/bench/bench_learning ## Training and labelling against PyTorch (QUICK=1: under a minute)
	@mkdir -p $(B)/bench
	$< $(B)/bench/learning.csv

bench-labels: $(B)/tests/bench/bench_labels ## Label quality on the datasets of PROXACT_DATA, beside the yardsticks
	@mkdir -p $(B)/bench
	$< $(B)/bench/labels.csv

PROXACT_DATA ?= ../shared/data
bench-pipeline: all ## The whole service on hopper-medium-expert of PROXACT_DATA, three masks: a quarter of an hour
	@tests/bench/bench_pipeline.sh $(PROXACT_DATA)/hopper-medium-expert.hdf5 11 3 hopper

bench-returns: $(B)/tests/bench/bench_policy ## Every algorithm on the datasets of PROXACT_DATA, all labels: hours; ALGOS= SEEDS=
	@tests/bench/bench_returns.sh $(PROXACT_DATA)

bench-demo: all ## The demo's pipeline with labels of the IDM and of the simulator, four network seeds: SEEDS="[0, 1, 2, 3]"
	@tests/bench/bench_demo.sh

bench-promise: $(B)/tests/bench/bench_promise ## What proxy labels are worth: six data sets, three masks, four seeds; hours, goes on where it was
	@tests/bench/bench_promise.sh $(PROXACT_DATA)

bench-checkpoint: all $(B)/tests/bench/bench_checkpoint ## What checkpoints cost, and what a crash loses: CHECKPOINT_S=60
	@tests/support/stack.sh $(B)/tests/bench/bench_checkpoint

bench-env: $(B)/tests/bench/bench_env ## Environment steps per second on one core
	@mkdir -p $(B)/bench
	$< $(B)/bench/env.csv

bench-simulator: $(B)/tests/bench/bench_simulator ## Labels from the simulator on the datasets of PROXACT_DATA: their error, labels a CPU second
	@mkdir -p $(B)/bench
	$< $(B)/bench/simulator.csv

bench-service: all $(B)/tests/bench/bench_worker ## Uploads, labelling, recovery of the whole service (QUICK=1: shorter)
	@mkdir -p $(B)/bench
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/bench/bench_service.sh $(B)/bench/service.csv

bench-recovery: all ## Workers, PostgreSQL and Redis killed: how long until jobs go on (QUICK=1: shorter)
	@mkdir -p $(B)/bench
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/bench/bench_service.sh $(B)/bench/recovery.csv recovery

bench-jobs: all $(B)/tests/bench/bench_jobs $(B)/tests/bench/bench_store $(FAULT) ## Jobs a second quiet and in a storm, wake-ups with Redis and without: SECONDS= SEED=
	@mkdir -p $(B)/bench
	@PROXACT_BUILD=$(CURDIR)/$(B) tests/bench/bench_jobs.sh $(B)/bench/jobs.csv $(if $(filter file,$(origin SECONDS)),30,$(SECONDS)) $(SEED)

bench-load: all $(B)/tests/bench/bench_load ## Idle and polling clients, uploads and long polls at once, beside nginx: CLIENTS= RATE= SECONDS_EACH=
	@mkdir -p $(B)/bench
	@tests/bench/bench_load.sh $(B)/bench/load.csv

openapi: $(B)/tests/unit/test_openapi ## Write the job specs of schema/openapi.yaml anew from the tables in lib/flow
	@schema/openapi_specs.py $<

schema: ## Write schema/schema.sql anew from migrations/ and schema/functions/
	@tests/support/stack.sh sh -c 'schema/dump.sh > schema/schema.sql.new' && mv schema/schema.sql.new schema/schema.sql

clean: ## Remove what was built
	rm -rf build build-clang build-address build-undefined build-thread

version:
	@echo $(VERSION)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
