# How sources become objects, libraries and programs. The Makefile has the settings.

sources = $(sort $(wildcard $(addsuffix /*.c,$(1))))
objects = $(patsubst %.c,$(B)/%.o,$(1))
LIB_C := $(call sources,lib/base lib/data lib/read lib/write lib/onnx lib/sim lib/flow lib/nn lib/idm lib/rl lib/rl/algo lib/store lib/redis lib/transfer)
SERVER_C := $(call sources,server/http server/app server/api)
WORKER_C := $(filter-out worker/main.c,$(call sources,worker worker/jobs worker/env worker/sim))
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

$(B)/proxact-server: $(call objects,server/main.c) $(B)/libserver.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(server_LIBS) $(lib_LIBS)
$(B)/proxact-worker: $(call objects,worker/main.c) $(B)/libworker.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(worker_LIBS) $(lib_LIBS)
$(B)/proxact: $(call objects,clients/c/main.c) $(B)/libclient.a $(B)/libproxact.a
	$(call say,ld $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(client_LIBS) $(lib_LIBS)

$(B)/libproxact.a: $(call objects,$(LIB_C)) $(B)/gen/onnx/onnx.pb-c.o
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

# ONNX's own schema as structs of C.
ONNX_SCHEMA := /usr/include/onnx/onnx.proto
$(B)/gen/onnx/onnx.pb-c.c $(B)/gen/onnx/onnx.pb-c.h &: $(ONNX_SCHEMA)
	@mkdir -p $(@D)
	protoc-c --proto_path=$(dir $(ONNX_SCHEMA)) --c_out=$(@D) $(ONNX_SCHEMA)
$(B)/gen/onnx/onnx.pb-c.o: $(B)/gen/onnx/onnx.pb-c.c
	$(Q)$(CC) $(CFLAGS) -w -c -o $@ $<
$(call objects,lib/onnx/graph.c): $(B)/gen/onnx/onnx.pb-c.h

# The description of the API goes into the server as it is (.incbin, which -MMD does not see).
$(B)/server/api/api_meta.o: schema/openapi.yaml

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

# Kernels that are as fast as their multiply-adds (see lib/nn/simd.h).
$(addprefix $(B)/lib/nn/,attention.o gelu.o gemm.o layer_norm.o): CFLAGS += -ffp-contract=fast

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
