# Every target does its own set-up: Python 3.11+, pip and make are all a new machine needs.
.PHONY: setup demo test test-all judges prove prove-all mutants cover lint bench sim docs reference screens lock clean

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.ready
# More than cores: most tests wait for a program or a server, and the slow ones are many.
WORKERS ?= 4

setup: $(STAMP)

# pip installs into the venv from outside, so a Python without ensurepip serves as well.
$(STAMP): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "bulkpatch needs Python 3.11 or newer (python3 on the PATH, or PYTHON=…)"; exit 1; }
	$(PYTHON) -m venv --clear --without-pip .venv
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	$(BIN)/bulkpatch demo

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# Quick tier: what CI runs of the proofs. prove-all adds the sweeps of thousands.
prove: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --prove -m "proves and not long"

prove-all: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --prove -m proves

# Breaks the product on purpose, once a mutant, and sees the tests of the broken guarantee fail.
mutants: setup
	$(BIN)/python tests/mutants/run.py --workers $(WORKERS)

test-all: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m ""

# Servers that others wrote are installed first (apt-get as root, npm, PyPI); the tests skip what could not be had.
judges: setup
	tests/judges/install.sh
	$(BIN)/python -m pytest tests/judges -m ""

cover: setup
	$(BIN)/python -m pytest tests/core -n $(WORKERS) --dist worksteal -q --cov=bulkpatch.core --cov-branch --cov-fail-under=100

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/scale.py
	$(PYTHON) -m venv --without-pip benchmarks/.venv
	$(PYTHON) -m pip --python benchmarks/.venv/bin/python install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/fast.py --peers $(CURDIR)/benchmarks/.venv/bin/python --plot benchmarks/cost.svg

# Whole runs under virtual time, one a seed: make sim SEED=123 replays one; RUNS=1000 tells that many from SEED on.
SEED ?= 0
RUNS ?= 1
sim: setup
	$(BIN)/python tests/simulation/simulate.py --seed $(SEED) --runs $(RUNS) --workers $(WORKERS)

# The site, in site/: no warning, no address but its own. The reference is written by the program first.
# The pictures of docs/, from a real terminal (tmux) and a real browser (Chromium).
screens: setup
	$(BIN)/python docs/picture.py

docs: reference
	$(BIN)/zensical build --clean --strict

reference: setup
	$(BIN)/python docs/reference.py

lock:
	uv pip compile --universal --generate-hashes --no-strip-extras --no-header --python-version 3.11 pyproject.toml -o requirements.txt
	uv pip compile --universal --generate-hashes --no-strip-extras --no-header --python-version 3.11 pyproject.toml --group dev -o requirements-dev.txt

clean:
	rm -rf .venv site .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
