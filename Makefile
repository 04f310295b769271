# `make demo` and `make test` each do all their set-up on a fresh Debian 12 machine, as root.
MAKEFLAGS += --no-print-directory --no-builtin-rules
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup testing tools demo labs screenshot test lint mutants attack bench deb deb-test container container-test docs clean

# Options for pytest: make test PYTEST_ARGS="-x tests/unit"
PYTEST_ARGS ?= tests

help:
	@echo 'make demo    set up, then show one lab: off-path steering on a real MPTCP kernel (root)'
	@echo 'make labs    set up, then every lab and its negative controls; one table, build/labs.json (root)'
	@echo 'make test    set up, then lint and every test (root)'
	@echo 'make lint    ruff and mypy'
	@echo 'make screenshot  pictures of the live page, in build/ (root)'
	@echo 'make mutants set up, then try changes that must each make a test fail; prints those that none noticed'
	@echo 'make attack  set up, then every attack of docs/security.rst; one table (root)'
	@echo 'make bench   set up, then measure; writes build/bench.json (root)'
	@echo 'make docs    the book, in build/docs'
	@echo 'make deb     set up, then build/steering_VERSION_ARCH.deb; make deb-test tries it, and the page "15 minutes", in a fresh Debian root (root)'
	@echo 'make container  controller and relay as containers, where podman or docker builds; make container-test starts each (root)'
	@echo 'make clean   remove .venv, build/ and what labs left behind'

setup:
	@packaging/setup.sh lab

testing:
	@packaging/setup.sh test

tools:
	@packaging/setup.sh tools

demo: setup
	@.venv/bin/steering lab run off-path

# Each lab runs in namespaces and with an Open vSwitch of its own, two at a time.
labs: setup
	@.venv/bin/steering lab all --json build/labs.json

# Lint does not hide the tests: both always run, and either makes the whole fail.
test: testing
	@began=$$(date +%s); failed=0; \
	packaging/lint.sh || failed=1; \
	.venv/bin/python -m pytest $(PYTEST_ARGS) || failed=1; \
	echo "make test: $$(($$(date +%s) - began)) s in all, status $$failed"; \
	exit $$failed

# The live page over an engine of its own, in a browser without a window.
screenshot: testing
	@.venv/bin/python -m tests.browser.screenshots build

lint: tools
	@packaging/lint.sh

# Each mutant is tried in a copy of the tree; CI tries a seventh of them each day (tests/mutants).
mutants: tools
	@.venv/bin/python -m tests.mutants.trial

# Some of them are labs on real kernels; `python -m tests.attack.trial switch` tries one attacker alone.
attack: setup
	@.venv/bin/python -m tests.attack.trial

bench: setup
	@.venv/bin/steering bench

docs: tools
	@.venv/bin/python -m sphinx -q -W --keep-going -n -b html docs build/docs && echo build/docs/index.html

deb: tools
	@packaging/deb.sh

deb-test: deb
	@packaging/deb-test.sh

container:
	@builder=; for one in podman docker; do $$one info >/dev/null 2>&1 && builder=$$one && break; done; \
	form=; [ "$$builder" != podman ] || form='--format docker'; \
	[ -n "$$builder" ] || { echo 'steering: no podman, and no docker that runs: install one of them' >&2; exit 2; }; \
	for target in controller relay; do \
		$$builder build $$form -f packaging/Containerfile --target $$target -t steering-$$target . || exit 1; \
	done

container-test:
	@packaging/container-test.sh

clean:
	@if [ -x .venv/bin/steering ]; then .venv/bin/steering lab clean || echo 'labs were not cleaned' >&2; fi
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
