# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of this project. The work is done by scripts/ and cli/Makefile.

# What `make demo` runs in the machine, on a terminal and without one.
DEMO_UI := tagscope run --ui mmap
DEMO_TEXT := tagscope run mmap

MAKEFLAGS += --no-print-directory
.SUFFIXES:
.PHONY: help demo site check check-quick check-long check-series check-kselftest check-mutants bench lint deps have-deps tagscope-host tagscope-arm64 install clean

help:
	@echo 'make demo           from nothing to the guided tour in the machine'
	@echo 'make check          build and pass all tests (up to 45 minutes from nothing)'
	@echo 'make check-quick    only the tests that need neither a kernel nor the machine'
	@echo 'make check-long     what takes hours: all workloads on the debug kernel, failures injected, stress, mutants'
	@echo "make check-kselftest the kernel's own selftests of MTE and mm, compared with vanilla"
	@echo 'make check-mutants  kernels broken on purpose: each is noticed (hours the first time)'
	@echo 'make bench          instructions per page, against vanilla'
	@echo 'make check-series   every patch by itself: applies, style, builds on and off (hours)'
	@echo 'make lint           only the checks of scripts and sources'
	@echo 'make deps           install the packages that are missing (says which, and asks)'
	@echo 'make tagscope-host  build tagscope for this machine, into build/host'
	@echo 'make tagscope-arm64 build tagscope for the machine, into build/arm64'
	@echo 'make install        tagscope of this machine, man page, completion, lessons, documents: PREFIX (/usr/local), DESTDIR'
	@echo '                    (packages of tagscope and of the kernel: scripts/package --help)'
	@echo 'make site           the lessons as pages and handouts for a course, into build/site'
	@echo 'make clean          remove build/ (the cache stays: TAGSCOPE_CACHE)'
	@echo
	@echo 'A command in the machine: scripts/vm -- COMMAND; kernels: scripts/kernel --help'

demo:
	@DEMO_UI='$(DEMO_UI)' DEMO_TEXT='$(DEMO_TEXT)' scripts/demo

check: have-deps
	@scripts/check

check-quick:
	@scripts/check --quick

check-long: have-deps
	@TAGSCOPE_TESTS='$(CURDIR)/scripts/tests-long' scripts/check

check-kselftest: have-deps
	@scripts/kselftest

# The scenarios have to be in the machine.
check-mutants: have-deps tagscope-arm64
	@scripts/mutants

bench: have-deps
	@scripts/bench

check-series: have-deps
	@scripts/kernel check

lint:
	@scripts/check --results lint

deps:
	@scripts/install-deps

# Without a terminal there is nobody to ask.
have-deps:
	@scripts/install-deps --check 2>/dev/null || \
		if [ -t 0 ]; then scripts/install-deps; else scripts/install-deps --yes; fi

tagscope-host:
	@$(MAKE) -C cli O='$(CURDIR)/build' host

tagscope-arm64:
	@$(MAKE) -C cli O='$(CURDIR)/build' arm64

site:
	@scripts/site

# What is installed as tagscope. The documents keep their folders: they have links.
TAGSCOPE := build/host/tagscope
PREFIX := /usr/local
doc := $(PREFIX)/share/doc/tagscope
install: tagscope-host
	install -D -m 755 '$(TAGSCOPE)' '$(DESTDIR)$(PREFIX)/bin/tagscope'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man1' docs/tagscope.1
	install -D -m 644 -t '$(DESTDIR)$(doc)' README.md
	install -D -m 644 -t '$(DESTDIR)$(doc)/docs' docs/*.md docs/ui.txt
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/tagscope/lessons' docs/lessons/*.md docs/lessons/*.rec
	install -d '$(DESTDIR)$(PREFIX)/share/bash-completion/completions'
	build/host/tagscope completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tagscope'

clean:
	rm -rf build
