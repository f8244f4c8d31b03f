# Everything a developer runs. Needs Python 3.11 or newer and make; the rest goes into .venv on first use.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Folders with Python in them; those that don't exist yet are left out.
CODE := $(wildcard src tests bench tools)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help check test kill days fuzz demo bench docs format clean

help:  ## Print this list
	@awk -F ':.*## ' '/^[.a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.venv: $(STAMP)  ## Make the virtual environment, or bring it up to pyproject.toml

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pyopenadr needs Python 3.11 or newer; say which with: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --editable '.[vtn,dev]'
	@touch $@

check: $(STAMP)  ## Formatting, lint and types, without changing a file
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo 'formatting differs: run make format'; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/mypy --no-error-summary $(CODE)

test: check  ## The checks, then every test
	@$(BIN)/python -m pytest -q -n 2 tests

kill: $(STAMP)  ## Kill a VEN 200 times, and workers under load on each database engine; takes 15 minutes
	@PYOPENADR_VEN_KILLS=200 $(BIN)/python -m pytest -q -s tests/faults/test_ven_kill.py
	@PYOPENADR_KILLS=200 $(BIN)/python -m pytest -q -s tests/faults/test_worker_kill.py

days: $(STAMP)  ## Live a day for each message and each fault that it can meet; takes ten minutes
	@PYOPENADR_WHOLE_DAYS=1 $(BIN)/python -m pytest -q -n 2 tests/faults/test_every_message_lost.py

fuzz: $(STAMP)  ## Feed nonsense, led by coverage, to all that reads from outside; FUZZ_SECONDS (600) in all
	@$(BIN)/python -m tests.fuzz

demo: $(STAMP)  ## A server and a client live a whole event before your eyes
	@$(BIN)/pyopenadr demo

bench: $(STAMP)  ## Measure, side by side with openleadr and with the floor of the stack
	@$(BIN)/python -m bench

docs: $(STAMP)  ## Write the generated reference pages anew, and build the site into site/
	@$(BIN)/python tools/reference.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo 'open site/index.html'

format: $(STAMP)  ## Format the code and mend what lint can mend
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

clean:  ## Remove the environment, caches and builds
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz htmlcov .coverage
	@find src tests $(wildcard bench tools) -name __pycache__ -type d -prune -exec rm -rf {} +
