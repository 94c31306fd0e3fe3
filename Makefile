# Each target makes what it needs: `make demo` and `make test` work in a fresh clone.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
FREE = .venv-3.12
FREE_PIP = $(FREE)/bin/python -m pip --disable-pip-version-check

# One thread for each of the test processes: more only get into each other's way.
TEST_ENV = OMP_NUM_THREADS=1 MPLBACKEND=Agg

.PHONY: help demo test torch-free lint types layers audit docs build check clean

help:
	@echo "make demo    score three fields of simulated tissue and compare with the truth"
	@echo "make test    run the tests and the examples in the docstrings"
	@echo "make torch-free PYTHON=python3.12"
	@echo "             the tests that need no PyTorch, on the newer scverse generation"
	@echo "make lint    ruff: faults and format      make types   mypy, strict"
	@echo "make layers  the import contract          make docs    this manual, with its tutorials"
	@echo "make audit   known vulnerabilities of the pinned versions, where advisories can be asked"
	@echo "make build   the wheel, and a look inside make check   all of it, as CI does"
	@echo "make clean   remove .venv and what was built"

demo: $(VENV)/.installed-test
	$(BIN)/nimbus demo

test: $(VENV)/.installed-test
	$(TEST_ENV) $(BIN)/python -m pytest -n 2

torch-free: $(FREE)/.installed
	$(TEST_ENV) $(FREE)/bin/python -m pytest -n 2

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

layers: $(VENV)/.installed-test
	$(BIN)/lint-imports

audit: $(VENV)/bin/python
	$(BIN)/python .ci/audit.py constraints.txt constraints-3.12.txt

docs: $(VENV)/.installed-docs
	PYTHONWARNINGS=ignore::DeprecationWarning OMP_NUM_THREADS=2 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

build: $(VENV)/.installed-test
	rm -rf dist
	$(PIP) wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/python .ci/check_wheel.py dist

check:
	.ci/run

clean:
	rm -rf $(VENV) $(FREE) dist docs/_build docs/api/generated docs/tutorials
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nimbus needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# The stamps say that what they need is installed; they are older than a changed file's.
$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV): some minutes, about 2.5 GB"
	$(PIP) install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-test
	$(PIP) install --quiet --constraint constraints.txt --editable ".[test,docs]"
	touch $@

$(FREE)/.installed: pyproject.toml constraints-3.12.txt .ci/requirements.py
	$(PYTHON) -m venv $(FREE)
	$(FREE)/bin/python .ci/requirements.py --extra test --without torch > $(FREE)/requirements.txt
	@echo "installing into $(FREE): some minutes"
	$(FREE_PIP) install --quiet --constraint constraints-3.12.txt --requirement $(FREE)/requirements.txt
	$(FREE_PIP) install --quiet --no-deps --editable .
	touch $@
