# One command per need. Without arguments, `make` lists them.
#
#   VENV=/some/venv   use that environment as it is, instead of making .venv
#   PYTHON=python3.12 the interpreter that .venv is made from

PYTHON  ?= python3
PROFILE ?= quick
WORKERS ?= 2
N       ?= 3

ifdef VENV
ENV   := $(VENV)
READY :=
else
ENV   := .venv
READY := .venv/.installed
endif

BIN := $(ENV)/bin
export FBU_HOME ?= $(CURDIR)/.fbu

BOOK := --profile $(PROFILE) --workers $(WORKERS)
BOOK += $(if $(ONLY),--only $(ONLY)) $(if $(DRY),--dry-run) $(if $(SOURCE),--source $(SOURCE))
BOOK += $(if $(DATA_ROOT),--data-root $(DATA_ROOT)) $(if $(SEEDS),--seeds $(SEEDS))

COVERAGE ?= 90
UNCOLLECTED  = $(shell find tests -name '*.py' ! -name 'test_*' ! -name conftest.py)
# To import it is to do what it is for, which takes seconds.
UNCOLLECTED += fbu/book/warm.py
TESTERS  ?= 2
PYTEST    = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTERS)
UNIT      = $(PYTEST) --dist worksteal --doctest-modules $(UNCOLLECTED:%=--ignore=%) fbu tests

# First, so that no process is left alone with them.
LONGEST   = notebooks/papers notebooks/test_source_real.py

.DEFAULT_GOAL := help
.PHONY: help book test coverage lint bench verify-ledger clean

help:
	@echo "make book           train what the notebooks ask for, run them and build the pages"
	@echo "                    [PROFILE=quick|demo|full|paper] [ONLY=clef] [DRY=1] [WORKERS=2]"
	@echo "                    [SOURCE=twin|real|open] [DATA_ROOT=folder] [SEEDS=3]"
	@echo "make test           unit tests, doctests and notebooks"
	@echo "make coverage       unit tests and doctests, failing under $(COVERAGE) % of lines [COVERAGE=90]"
	@echo "make lint           ruff and mypy"
	@echo "make bench          speed and memory against straightforward code"
	@echo "make verify-ledger  run N random rows of the reference results again [N=3]"
	@echo "make clean          delete pages and test leftovers; keeps .venv and the trained runs in .fbu"

book: $(READY)
	@echo "book: profile $(PROFILE), environment $(ENV), runs kept in $(FBU_HOME)"
	@$(BIN)/python -m fbu.book build $(BOOK)

# Two calls, because unit tests keep their own working folder and notebooks share the one of the book. Trained first, so
# that no notebook waits for another's training. Cells of a notebook depend on each other, hence loadscope; nbval
# compares the marked cells only. Of the unit tests, whoever is done first takes what the other has not begun.
test: $(READY)
	@echo "test 1/2: unit tests and doctests, environment $(ENV)"
	@$(UNIT)
	@echo "test 2/2: notebooks, quick profile, against their stored outputs"
	@$(BIN)/python -m fbu.book train --workers $(WORKERS)
	@$(PYTEST) --dist loadscope --nbval-lax $(LONGEST) notebooks

# Apart from `test`, because counting lines nearly doubles the time.
coverage: $(READY)
	@echo "coverage: unit tests and doctests, environment $(ENV)"
	@$(UNIT) --cov=fbu --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE)

lint: $(READY)
	@echo "lint: ruff and mypy, environment $(ENV)"
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy

bench: $(READY)
	@echo "bench: losses, renderer, input path and training step, environment $(ENV)"
	@$(BIN)/python -m benchmarks

verify-ledger: $(READY)
	@echo "verify-ledger: $(N) random rows of the reference results are trained again, environment $(ENV)"
	@$(BIN)/fbu ledger verify -n $(N)

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .coverage*

# The stamp is younger than pyproject.toml only after a whole installation, so an interrupted one is repeated.
.venv/.installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; name a Python >= 3.11, e.g. make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$($(PYTHON) --version) is too old; name a Python >= 3.11, e.g. make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: $(PYTHON) lacks its venv module; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "installing into .venv (PyTorch is the large part; a few minutes, once)"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[book,test]"
	@touch $@
