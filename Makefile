# `make run` and `make test` are all the set-up there is: both make .venv/ from the hash-pinned lock file.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.locked
WORKERS ?= 6

.PHONY: run test test-pythons check lint bench matrix killmatrix storefaults appends soak mutants clients lock clean

run: $(STAMP)
	@$(VENV)/bin/peakctl demo

test: $(STAMP)
	$(VENV)/bin/pytest -n $(WORKERS) --dist worksteal

# The whole suite on every Python we support that is installed here, each in a .venv of its own.
test-pythons:
	@for version in 3.11 3.12 3.13; do \
		if command -v python$$version >/dev/null && python$$version -c '' 2>/dev/null; then \
			$(MAKE) PYTHON=python$$version VENV=.venv-$$version test || exit 1; \
		else echo "python$$version is not installed here"; fi; \
	done

check: lint test

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP)
	$(VENV)/bin/python -m tests.benchmarks

# Every operation under every fault, running on and killed; about six minutes. Prints the matrix.
matrix: $(STAMP)
	$(VENV)/bin/python -m tests.faults.matrix

# Every cause of a kill, under every condition of the engine and of the venue. Prints verdicts and times.
killmatrix: $(STAMP)
	$(VENV)/bin/python -m tests.faults.kill_matrix

# SIGKILL at every journal append of a whole session, at three points each.
appends: $(STAMP)
	$(VENV)/bin/python -m tests.faults.appends

# The store's files cut at every byte, flipped, swapped and taken away: nothing is lost, or refused by name.
storefaults: $(STAMP)
	$(VENV)/bin/python -m tests.faults.store_faults

# Ten times the recorded market with faults from a seed.
SOAK_SECONDS ?= 1800
soak: $(STAMP)
	$(VENV)/bin/python -m tests.soak --seconds $(SOAK_SECONDS)

# Each comparison of the limits, inverted and shifted: a test must notice.
mutants: $(STAMP)
	$(VENV)/bin/python -m tests.mutants

# Two more clients on the local exchange, in an environment of their own; needs Python 3.12 or newer.
clients: $(STAMP)
	$(VENV)/bin/python tests/engine/sandbox/clients/other_clients.py

$(STAMP): requirements.lock pyproject.toml
	@command -v ssh-keygen >/dev/null || { echo "ssh-keygen: not found: install OpenSSH's client (Debian: openssh-client)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON): needs Python 3.11 or newer: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Needs `uv` on PATH; everything else here needs only Python and make.
lock:
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
