# Two commands for a fresh machine that has Python 3.11 or newer, and nothing else:
#   make run    set everything up and run the main job
#   make test   set everything up and pass the tests
# make check adds the linter and the type checker, make clean takes everything away again.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test check clean

help:
	@sed -n '2,4s/^# *//p' Makefile

run: $(VENV)/.run
	$(BIN)/packing critical -n 5 -d 2

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old or missing: Python 3.11 or newer is needed, try make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of requirements, so that the second run installs nothing.
$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.test $(VENV)/.run
