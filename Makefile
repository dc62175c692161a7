# make run and make test need Python 3.11+ and make, and nothing else: they set up what they use in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/run
STAMP := $(VENV)/ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test test-layer test-long lint bench docs clean

help:
	@echo "make run        backtest on the built-in sample market (stratoquant run)"
	@echo "make test       the tests"
	@echo "make test-layer L=l12_regression_slope_short   the tests of one layer, in seconds"
	@echo "make test-long  the tests that take minutes, too"
	@echo "make lint       style, types, import contracts, wiring"
	@echo "make bench      the figures of docs/figures.md"
	@echo "make docs       the pages of the layers anew, and the site, into site/"
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

run: $(RUN)
	@$(BIN)/stratoquant run

test: $(STAMP)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long"

test-layer: $(STAMP)
	@$(BIN)/python -P -c 'import sys; sys.path.insert(0, "."); from tests.layer_tests import main; sys.exit(main("$(L)"))'

test-long: $(STAMP)
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
	@$(BIN)/mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
