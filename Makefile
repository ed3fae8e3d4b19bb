# SPDX-License-Identifier: Apache-2.0
# What a person can do here; `make help` lists it. Everything installs what it lacks first, once.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help build run install uninstall test test-unit interop bench bench-quick bench-datapath bench-interleaved bench-joins bench-layers test-kernel fuzz lint format clean abi debian-run debian-test debian-interop bpf bpf-objects wire tests

# A real source to put the proxy in front of (default: the built-in test camera), and where to listen.
URL ?=
LISTEN ?=
export URL LISTEN

# Where `make install` puts the proxy; DESTDIR is where a package is put together.
PREFIX ?= /usr/local
DESTDIR ?=
HOUSE = $(DESTDIR)$(PREFIX)/lib/rtsp-fanout
UNIT = $(DESTDIR)$(PREFIX)/lib/systemd/system/rtsp-fanout.service
SHIPPED = package.json README.md LICENSE bpf/LICENSE docs bin/rtsp-fanout bin/proxyctl dist/src $(wildcard dist/bpf)

SOURCES := $(shell find src tools test -name '*.ts')
TESTS := $(patsubst %.ts,dist/%.js,$(sort $(filter %.test.ts,$(SOURCES))))
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,dist/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
BPF_FLAGS = -O2 -g -target bpf -mcpu=v3 -Wall -Werror -Ibpf -I/usr/include/$$(uname -m)-linux-gnu
NODE_MODULES := node_modules/.package-lock.json

help: ## list what make can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make run [URL=rtsp://host/path] [LISTEN=[host:]port]'
	@echo '  make install [PREFIX=/usr/local] [DESTDIR=]'
	@echo '  make test-unit [ONLY=part-of-a-file-name]'
	@echo "  make interop [INTEROP='words of a cell, such as: mpv tls']"

build: dist/.built bpf ## install what is missing and compile everything into dist/

run: build ## start the proxy: in front of URL, or of a test camera of its own
	@exec node dist/tools/run/main.js

# Whole before it takes the place of the one that is there, which a running proxy may start again at any moment.
install: build ## the proxy and a unit for systemd, below PREFIX; in place of what is installed there
	@rm -rf '$(HOUSE).new' '$(HOUSE).old'
	@mkdir -p '$(HOUSE).new' '$(DESTDIR)$(PREFIX)/bin' '$(dir $(UNIT))'
	@packages=$$(npm ls --omit=dev --all --parseable --loglevel=error) && \
	cp -r --parents $(SHIPPED) $$(echo "$$packages" | sed -n 's|^$(realpath .)/||p') '$(HOUSE).new'
	@chmod -R u=rwX,go=rX '$(HOUSE).new'
	@[ ! -e '$(HOUSE)' ] || mv '$(HOUSE)' '$(HOUSE).old'
	@mv '$(HOUSE).new' '$(HOUSE)'
	@rm -rf '$(HOUSE).old'
	@ln -sf ../lib/rtsp-fanout/bin/rtsp-fanout ../lib/rtsp-fanout/bin/proxyctl '$(DESTDIR)$(PREFIX)/bin/'
	@sed 's|/usr/local/|$(PREFIX)/|' packaging/rtsp-fanout.service >'$(UNIT)'
	@echo 'installed: $(DESTDIR)$(PREFIX)/bin/rtsp-fanout and proxyctl, $(UNIT)'

uninstall: ## remove what install has put below PREFIX
	@rm -rf '$(HOUSE)' '$(UNIT)' '$(DESTDIR)$(PREFIX)/bin/rtsp-fanout' '$(DESTDIR)$(PREFIX)/bin/proxyctl'

test: debian-test build wire ## install what is missing and run every test
	@$(MAKE) tests ONLY=

test-unit: build ## only the tests that need neither root nor other programs
	@$(MAKE) tests ONLY='$(or $(ONLY),test/unit/)'

fuzz: debian-test build ## mutated input into the parsers and the kernel programs, FUZZ_SECONDS (30) each
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),30) $(MAKE) tests ONLY=test/fuzz/

interop: debian-interop build ## real servers and players through the proxy, every transport, into docs/interop.md (root, 4 minutes)
	@node dist/tools/interop/main.js $(if $(INTEROP),--only '$(INTEROP)')

bench: debian-test build wire ## the whole suite, beside what others use (root, a quiet machine, 20 minutes) into docs/benchmarks.md
	@node dist/tools/bench/suite.js $(if $(ONLY),--only $(ONLY))

bench-quick: debian-test build wire ## the same, small and short: shows that everything works (2 minutes) into build/bench
	@node dist/tools/bench/suite.js --quick $(if $(ONLY),--only $(ONLY))

bench-datapath: debian-test build wire ## measure the datapath (root, a quiet machine, half an hour) into docs/benchmarks.md
	@node dist/tools/bench/datapath.js

bench-interleaved: debian-test build ## what interleaved viewers cost, against plain C (a quiet machine, 1 minute)
	@node dist/tools/bench/interleaved.js

bench-joins: debian-test build ## 500 joins per second on one core (root, two cores, a quiet machine, 2 minutes)
	@node dist/tools/bench/joins.js

bench-layers: debian-test build wire ## layered streams on narrow links (root, a quiet machine, 18 minutes)
	@node dist/tools/bench/layers.js

test-kernel: debian-test build bpf wire ## the kernel tests on Debian 12's own kernel, in an emulator (20 minutes, nothing beside it)
	@tools/kernel-vm/run.sh $(filter dist/test/bpf/%,$(TESTS)) $(filter dist/test/vm/%,$(TESTS))

lint: build ## the house rules: formatting, import directions, file lengths, documents
	@node_modules/.bin/prettier --check --log-level warn src tools test
	@$(MAKE) tests ONLY=test/lint/

format: $(NODE_MODULES) ## reformat all TypeScript
	@node_modules/.bin/prettier --write --log-level warn src tools test

# What uses the twin may not compile before it is written: the compiler's complaints do not matter here.
abi: $(NODE_MODULES) bpf ## after a change of bpf/fanout_abi.h: write its TypeScript twin anew
	@node_modules/.bin/tsc -p . >/dev/null || true
	@node dist/tools/abi/generate.js dist/bpf/command.bpf.o >dist/abi.gen.ts
	@mv dist/abi.gen.ts src/control/kernel/abi.gen.ts

clean: ## remove everything that was built or installed into this folder
	rm -rf dist build node_modules .tap

# ---- what the above are made of ----

tests:
	@node dist/tools/test/main.js $(if $(ONLY),$(foreach test,$(TESTS),$(if $(findstring $(ONLY),$(test)),$(test))),$(TESTS))

# What cannot be installed is told here, and whatever needs it does without or says so.
debian-run:
	@[ "$$(id -u)" -ne 0 ] || tools/setup/packages.sh tools/setup/packages-run.txt || true
debian-test:
	@tools/setup/packages.sh tools/setup/packages-run.txt tools/setup/packages-test.txt || true
debian-interop:
	@tools/setup/packages.sh tools/setup/packages-run.txt tools/setup/packages-test.txt tools/setup/packages-interop.txt || true

$(NODE_MODULES): package.json package-lock.json
	@command -v npm >/dev/null || { echo 'setup: Node 20 or newer with npm is needed first' >&2; exit 1; }
	@echo 'setup: npm packages'
	@npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

dist/.built: $(NODE_MODULES) tsconfig.json $(SOURCES)
	@echo 'build: TypeScript'
	@node_modules/.bin/tsc -p .
	@touch $@

# Made in a second make: only then the packages that debian-run installs can be looked for.
bpf: debian-run
	@if command -v clang >/dev/null && [ -e /usr/include/bpf/bpf_helpers.h ]; then $(MAKE) bpf-objects; \
	else echo 'build: no clang or no libbpf-dev here, so no kernel engine; the user-space engine works without'; fi

bpf-objects: $(BPF_OBJECTS)
	@:

dist/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	@echo 'build: $<'
	@mkdir -p dist/bpf
	@clang $(BPF_FLAGS) -c $< -o $@

# Measuring tools of the tests.
wire:
	@if command -v clang >/dev/null && command -v gcc >/dev/null && command -v bpftool >/dev/null; then \
	$(MAKE) --silent -C tools/wire; else echo 'build: no measuring tools (they need clang, gcc and bpftool)'; fi
	@if command -v gcc >/dev/null && [ -e /usr/include/wels/codec_api.h ]; then $(MAKE) --silent -C tools/svc; \
	else echo 'build: no decoder of layered H.264 (it needs gcc and libopenh264-dev)'; fi
