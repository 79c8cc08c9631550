# Proxact: one non-recursive makefile, in parts. `make help` explains the targets. Here are the settings and what people
# call; mk/build.mk has the programs, mk/tests.mk the tiers of tests and the linters, mk/bench.mk the benchmarks.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := help

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
CPPFLAGS := -std=c11 -D_GNU_SOURCE -DPX_VERSION='"$(VERSION)"' -I. -I$(B)/gen
CFLAGS := $(CPPFLAGS) $(OPTIMIZE) -g $(WARN) $(HARD) -ffp-contract=off -fno-math-errno $(san_$(SAN))
LDFLAGS := -pie -Wl,-z,relro,-z,now $(san_$(SAN))

PKGS := libmicrohttpd libpq hiredis jansson libcurl hdf5 libzip libzstd snappy zlib libcrypto libseccomp libprotobuf-c
# -isystem: other projects' headers do not answer to our warnings.
PKG_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS)))
lib_LIBS = $(shell pkg-config --libs libpq hiredis jansson hdf5 libzip libzstd snappy zlib libcrypto libseccomp libprotobuf-c) -lm -lpthread
server_LIBS = $(shell pkg-config --libs libmicrohttpd) -lmujoco -ldnnl -lgomp
worker_LIBS = -lmujoco -ldnnl -lgomp
client_LIBS = $(shell pkg-config --libs libcurl)

JOBS ?= $(shell nproc)

include mk/build.mk mk/tests.mk mk/bench.mk

.PHONY: help all deps demo up down samples openapi schema clean version
help: ## What each target does
	@echo "Proxact $(VERSION). Targets:"
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(filter Makefile mk/%,$(MAKEFILE_LIST))
	@echo "Variables: SAN=address|undefined|thread, PORT=, KEEP=1, RELEASE=1"

all: $(BINARIES) ## Build the server, the worker and the command line client

deps: ## Install the missing Debian packages for building
	@deploy/install-deps.sh build

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

samples: all ## Write the sample configurations in deploy/ anew
	$(B)/proxact-server config >deploy/proxact-server.conf
	$(B)/proxact-worker config >deploy/proxact-worker.conf

openapi: $(B)/tests/unit/test_openapi ## Write the job specs of schema/openapi.yaml anew from the tables in lib/flow
	@schema/openapi_specs.py $<

schema: ## Write schema/schema.sql anew from migrations/ and schema/functions/
	@tests/support/stack.sh sh -c 'schema/dump.sh > schema/schema.sql.new' && mv schema/schema.sql.new schema/schema.sql

clean: ## Remove what was built
	rm -rf build build-clang build-address build-undefined build-thread

version:
	@echo $(VERSION)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
