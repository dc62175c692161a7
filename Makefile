# make run and make test need Python 3.11+ and make, and nothing else: they set up what they use in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/run
STAMP := $(VENV)/ready
PINETS := tests/pine/node_modules/.package-lock.json
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test test-layer test-long lint bench docs audit clean

help:
	@echo "make run        backtest on the built-in sample market (stratoquant run)"
	@echo "make test       the tests"
	@echo "make test-layer L=l12_regression_slope_short   the tests of one layer, in seconds"
	@echo "make test-long  the tests that take minutes, too"
	@echo "make lint       style, types, import contracts, wiring"
	@echo "make bench      the figures of docs/figures.md, kept in benchmarks/history.jsonl"
	@echo "make docs       the pages of layers and dependencies anew, and the site, into site/"
	@echo "make audit      the locked packages against the database of known vulnerabilities; needs the network and pip-audit"
	@echo "make clean      remove the environment and the caches"

# What a run needs, and nothing else.
$(RUN): requirements.lock requirements-build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
		echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Setting up $(VENV) from the lock file (once)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --require-hashes -r requirements.lock -r requirements-build.lock
	@command -v npm >/dev/null || $(BIN)/python -m pip install --require-hashes -r requirements-node.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# And what the tests need.
$(STAMP): $(RUN) requirements-dev.lock
	@echo "Adding what the tests need (once)"
	@$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r requirements-dev.lock
	@touch $@

# PineTS, the second runtime of the Pine scripts. Where npm cannot fetch it, its tests are skipped and say so.
$(PINETS): tests/pine/package.json tests/pine/package-lock.json $(STAMP)
	-@npm=$$(command -v npm || echo "$(CURDIR)/$(BIN)/npm"); cd tests/pine && \
		PATH="$$PATH:$(CURDIR)/$(BIN)" "$$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error --silent && \
		touch node_modules/.package-lock.json

run: $(RUN)
	@$(BIN)/stratoquant run

test: $(STAMP) $(PINETS)
	@$(BIN)/python -m pytest -n 3 --dist loadfile -m "not long"

test-layer: $(STAMP)
	@$(BIN)/python -P -c 'import sys; sys.path.insert(0, "."); from tests.layer_tests import main; sys.exit(main("$(L)"))'

test-long: $(STAMP) $(PINETS)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -P -m drivers.wiring_check

bench: $(STAMP)
	@$(BIN)/python -m benchmarks

docs: $(STAMP)
	@$(BIN)/python -P -m drivers.report.layer_pages >/dev/null
	@$(BIN)/python -P docs/dependencies.py
	@$(BIN)/mkdocs build --quiet --strict

# OSV by name, and --strict: asked for packages that it does not find, pip-audit says that nothing is wrong with them.
audit:
	@command -v pip-audit >/dev/null || { echo "make audit needs pip-audit; install it with: pipx install pip-audit" >&2; exit 2; }
	@for lock in requirements*.lock; do \
		found=$$(pip-audit --vulnerability-service osv --strict --require-hashes --disable-pip --progress-spinner off \
			--requirement $$lock 2>&1) && { echo "$$lock: $$found"; continue; }; \
		case "$$found" in \
			*ConnectionError*|*Timeout*) echo "$$lock: the database cannot be reached, so nothing was audited" >&2; exit 3;; \
			*) echo "$$lock: $$found" >&2; exit 1;; \
		esac; \
	done

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
