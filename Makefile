# Everything happens inside this folder. Needed: make, and Python 3.11 or newer with venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test torture check bench mutants nightly

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed-check ## a virtual environment in .venv with everything, for development

demo: $(VENV)/.installed-demo ## see it run: a DAV server, a CRM, sample people, a tour
	@$(BIN)/crmsync demo

test: $(VENV)/.installed-test ## all tests; one of them: .venv/bin/pytest tests/test_demo.py
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

torture: $(VENV)/.installed-test ## thousands of kill points, simulated and real (minutes); ALL=1: more of them, and every fault of every server
	@$(BIN)/python -m tests.daemon.machine.run_torture $(if $(ALL),--all)
	@$(if $(ALL),CRMSYNC_TORTURE=full $(BIN)/python -m pytest -q tests/faults/test_faults.py)

check: $(VENV)/.installed-check ## format, lint, types and import rules, in seconds
	@$(BIN)/ruff format --check --quiet . || { echo "put it right with: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.installed-test ## what syncs cost, against the least that they could (CRMSYNC_BENCH=full: large ones too)
	@test -x $(BIN)/vdirsyncer || $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' \
		|| echo "vdirsyncer cannot be installed: the bench goes on without it" >&2
	@$(BIN)/python -m tests.bench

mutants: $(VENV)/.installed-mutants ## change the deciding part in 500 small ways: do its tests notice? (minutes)
	@$(BIN)/python -m tests.mutants

nightly: $(VENV)/.installed-test ## 100,000 steps of the state machine, in memory, over HTTP, on a Radicale; half an hour
	@$(BIN)/python -m tests.daemon.machine.nightly

# One stamp per set of packages, so that only the first run, and a changed pyproject.toml, installs anything. A larger
# set contains the smaller ones.
$(VENV)/.installed-demo: EXTRAS = demo
$(VENV)/.installed-test: EXTRAS = test
$(VENV)/.installed-check: EXTRAS = check,test
$(VENV)/.installed-mutants: EXTRAS = mutants,test
$(VENV)/.installed-demo: HOLDS = demo
$(VENV)/.installed-test: HOLDS = demo test
$(VENV)/.installed-check: HOLDS = demo test check
$(VENV)/.installed-mutants: HOLDS = demo test mutants
$(VENV)/.installed-%: pyproject.toml | $(VENV)/.made
	@echo "installing what “$*” needs into $(VENV) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@for set in $(HOLDS); do touch $(VENV)/.installed-$$set; done

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"$$($(PYTHON) --version) is too old, 3.11 is needed. Another one: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" \
		>&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
		"Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
