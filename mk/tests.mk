# The tiers of tests, `make test` with all of them, and what looks at sources: format and lint.

.PHONY: check check-lib check-clang check-arch check-golden check-integration check-e2e check-fault check-crash check-mutants \
        check-image check-torture check-sanitizers sanitized check-valgrind format lint lint-flags fuzz soak drill objects test tests

check: $(call tests_in,unit) $(FUZZERS) ## Unit and architecture tests, and a few thousand hostile inputs: seconds
	@tests/support/run.sh $^ tests/python/unit.sh $(ARCH)

# Unit tests of lib/.
LIB_UNITS := base dataset decode export flow flow_layout flow_plan flow_refused labels precision read_csv read_exports read_flat \
             read_hdf5 read_hdf5_hostile read_jsonl read_names read_npz read_rewards read_safetensors safetensors sandbox scratch segment
check-lib: $(addprefix $(B)/tests/unit/test_,$(LIB_UNITS))
	@tests/support/run.sh $^

objects: $(call objects,$(LIB_C) $(SERVER_C) $(WORKER_C) $(CLIENT_C) $(SUPPORT_C) $(TESTS_C) $(FUZZ_C) $(FAULT_C) $(BENCH_C) $(call sources,tests/bench/learning) \
           server/main.c worker/main.c clients/c/main.c)

# All of it compiles, quickly; what is run is lib/, which reads what strangers send. `make CC=clang check` runs the rest.
check-clang: ## A second compiler: everything compiles with clang, and lib's unit tests pass
	@$(MAKE) --no-print-directory -s -j$(JOBS) CC=clang OPTIMIZE=-O1 objects
	+@$(MAKE) --no-print-directory CC=clang OPTIMIZE=-O1 check-lib

format: ## Lays out all C files by .clang-format
	@find lib server worker clients tests -name '*.[ch]' -print0 | xargs -0 -P$(JOBS) -n 40 clang-format -i

LINT := $(wildcard tests/lint/*.sh)
lint: $(addprefix $(B)/gen/schema/,queries.def migrations.def functions.def) $(B)/gen/onnx/onnx.pb-c.h ## Static analysis: shellcheck, cppcheck, clang-tidy, gcc -fanalyzer; FULL=1: clang's analyzer too
	@FULL=$(FULL) tests/support/run.sh $(LINT)
# What a linter has to know to read a C file, as words of a shell.
lint-flags:
	@:$(info $(CPPFLAGS) $(PKG_CFLAGS))

ARCH := $(wildcard tests/arch/*.sh tests/arch/*.py)
check-arch: ## The architecture tests alone
	@tests/support/run.sh $(ARCH)

FUZZ_RUNS ?= 1000000
FUZZ_SEED ?= 1
fuzz: $(FUZZERS) ## Hostile inputs for every parser: FUZZ_RUNS= FUZZ_SEED=
	@for f in $^; do echo "$$f" && "$$f" --runs $(FUZZ_RUNS) --seed $(FUZZ_SEED) || exit 1; done

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
VALGRIND_UNITS := base decode flow flow_layout flow_plan flow_refused labels read_jsonl read_safetensors safetensors scratch segment
check-valgrind: $(addprefix $(B)/tests/unit/test_,$(VALGRIND_UNITS)) ## Unit tests of lib/ under valgrind
	@tests/support/valgrind.sh $^
