# Everything a contributor or a CI job runs. `make help` lists it. Needs Python 3.11 or newer, git and make; nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes for pytest-xdist: `make test JOBS=2`.
JOBS ?= auto
# Further arguments for pytest: `make test ARGS="tests/unit -k timer"`.
ARGS ?=
# uv trusts the certificates that the system trusts, as pip and git do: behind a company's proxy that matters.
export UV_SYSTEM_CERTS ?= true
PYTEST := $(BIN)/python -m pytest
TYPED := src tests $(wildcard examples benchmarks)
# The part of the code whose every branch has to be seen by a test.
PURE := src/perdure/statechart/*,src/perdure/durable/turn.py,src/perdure/durable/plain_turn.py,src/perdure/durable/kept.py,src/perdure/durable/attempt_turn.py,src/perdure/durable/outbox.py,src/perdure/durable/family.py

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- installing --------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(STAMP) ## install everything into .venv (done by the other targets when needed)

# A `python3.12` on the path may be a shim with nothing behind it, so each candidate has to run before it is chosen.
$(STAMP): pyproject.toml uv.lock
	@if [ ! -x $(BIN)/python ]; then \
	  for candidate in $${PYTHON:-python3.13 python3.12 python3.11 python3}; do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      chosen=$$candidate; break; \
	    fi; \
	  done; \
	  if [ -z "$${chosen:-}" ]; then \
	    echo "make setup: no Python 3.11 or newer with venv and pip was found (tried: $${PYTHON:-python3.13 python3.12 python3.11 python3})." >&2; \
	    echo "Install one (Debian and Ubuntu: also python3-venv), or name it: make setup PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  echo "creating $(VENV) with $$("$$chosen" --version)"; \
	  "$$chosen" -m venv $(VENV); \
	fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	$(BIN)/uv sync --frozen --quiet --python $(BIN)/python
	@touch $@

# -- running -----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(STAMP) ## a parent and its persistent child, through a server that is killed and started again
	@$(BIN)/python examples/parent_child/demo.py

.PHONY: serve
serve: $(STAMP) ## a development server with the examples' machines, reloading them on change
	@$(BIN)/perdure dev examples $(ARGS)

# -- checking ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: $(STAMP) ## the tests, without the slow ones
	$(PYTEST) -n $(JOBS) --dist worksteal -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: $(STAMP) ## the slow tests: real processes, long simulations
	@$(PYTEST) -n $(JOBS) --dist worksteal -m slow $(ARGS) || { status=$$?; [ $$status -eq 5 ] && echo "there are no slow tests"; }

.PHONY: simulate
simulate: $(STAMP) ## random worlds that fail and die: 3000 of them, `SEEDS=a:b` others, `SEED=n` one with its story
	$(if $(SEED),,SEEDS=$${SEEDS:-1000:4000}) SEED=$(SEED) $(PYTEST) tests/simulation/test_random_worlds.py \
	  -n $(if $(SEED),0 -s -k promised,$(JOBS)) $(ARGS)

.PHONY: simulate-sqlite
simulate-sqlite: $(STAMP) ## whatever 300 random worlds ask of their store, asked of SQLite; `SEEDS=a:b` others
	SQLITE_SEEDS=$${SEEDS:-1000:1300} $(PYTEST) tests/simulation/test_sqlite_worlds.py -n $(JOBS) $(ARGS)

.PHONY: simulate-mutants
simulate-mutants: $(STAMP) ## eighteen bugs put in by hand, and after how many random worlds each is found
	@$(BIN)/python -m tests.simulation.mutants

.PHONY: torture
torture: $(STAMP) ## kill a server under load 200 times and check what its clients were told; `KILLS=n SEED=n`
	@$(BIN)/python -m tests.torture.torture --kills $${KILLS:-200} $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: coverage
coverage: $(STAMP) ## the tests with branch coverage; the pure engine has to be covered whole
	@rm -f .coverage .coverage.*
	$(PYTEST) -n $(JOBS) --dist worksteal -m "not slow" --cov --cov-report= $(ARGS)
	@echo "-- all of it"
	@$(BIN)/coverage report --skip-covered
	@echo "-- the pure engine and the turn: every branch"
	@$(BIN)/coverage report --include='$(PURE)' --fail-under=100 \
	  || { echo "cover the lines and branches above (see CONTRIBUTING.md, Tests)" >&2; exit 1; }

.PHONY: lint
lint: $(STAMP) ## formatting, lint and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory imports

.PHONY: imports
imports: $(STAMP) ## imports point down only
	@$(BIN)/lint-imports --no-cache   # a cache remembers what an import meant before a module of that name was there

.PHONY: types
types: $(STAMP) ## mypy, strict
	$(BIN)/mypy $(TYPED)

.PHONY: docs
docs: $(STAMP) ## the documentation site into site/; a wrong link is an error
	@UV_PROJECT_ENVIRONMENT=$(VENV)-docs $(BIN)/uv sync --frozen --quiet --no-dev --group docs --no-install-project --python $(BIN)/python
	@$(BIN)/python -m tests.documents.http_reference
	@$(VENV)-docs/bin/zensical build --strict

.PHONY: check
check: lint types coverage test-slow docs ## all that CI runs
	@echo "make check: all good"

.PHONY: format
format: $(STAMP) ## format the code and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: conformance
conformance: $(STAMP) ## the engine beside XState's recordings and the literal reference, topic by topic
	@$(BIN)/python -m tests.conformance.report

.PHONY: conformance-record
conformance-record: ## record the XState cases again (needs Node)
	@command -v npm >/dev/null || { echo "make conformance-record needs Node and npm" >&2; exit 1; }
	cd tests/conformance/xstate && npm install --silent --no-fund --no-audit --no-package-lock && npm run --silent record

# -- measuring ---------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: bench-engine bench-actors bench-store bench-http ## every benchmark

.PHONY: bench-engine
bench-engine: $(STAMP) ## the pure engine beside XState and other Python libraries (XState needs Node)
	@UV_PROJECT_ENVIRONMENT=$(VENV)-bench $(BIN)/uv sync --frozen --quiet --no-dev --extra server --group bench --python $(BIN)/python
	@if command -v npm >/dev/null; then cd benchmarks && npm install --silent --no-fund --no-audit --no-package-lock; fi
	@$(VENV)-bench/bin/python -m benchmarks.engine $(ARGS)

.PHONY: bench-actors
bench-actors: $(STAMP) ## 10,000 actors in memory, beside XState, xstate-statemachine and pykka (XState needs Node)
	@UV_PROJECT_ENVIRONMENT=$(VENV)-bench $(BIN)/uv sync --frozen --quiet --no-dev --extra server --group bench --python $(BIN)/python
	@if command -v npm >/dev/null; then cd benchmarks && npm install --silent --no-fund --no-audit --no-package-lock; fi
	@$(VENV)-bench/bin/python -m benchmarks.actors $(ARGS)

.PHONY: bench-store
bench-store: $(STAMP) ## commits per second of each store
	$(BIN)/python benchmarks/store_commits.py

.PHONY: bench-durable
bench-durable: $(STAMP) ## what durability costs, beside bare SQL and other libraries; `ARGS="--only a,b --million"`
	@UV_PROJECT_ENVIRONMENT=$(VENV)-bench $(BIN)/uv sync --frozen --quiet --no-dev --extra server --group bench --python $(BIN)/python
	@$(VENV)-bench/bin/python -m benchmarks.durable $(ARGS)

.PHONY: bench-http
bench-http: $(STAMP) ## events per second through a running server
	$(BIN)/python benchmarks/http_events.py

.PHONY: bench-install
bench-install: $(STAMP) ## what `pip install perdure` brings, and the time to the first durable result
	@$(BIN)/python -m benchmarks.install $(ARGS)

# -- cleaning and releasing --------------------------------------------------------------------------------------------

.PHONY: lock
lock: $(STAMP) ## resolve the dependencies again after a change of pyproject.toml
	$(BIN)/uv lock
	$(BIN)/uv sync --frozen --quiet --python $(BIN)/python

.PHONY: dist
dist: $(STAMP) ## build the wheel and the source archive into dist/
	$(BIN)/uv build

.PHONY: clean
clean: ## remove what the tools have left behind; keeps .venv
	rm -rf dist build site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## remove .venv too
	rm -rf $(VENV) $(VENV)-bench $(VENV)-docs
