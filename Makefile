# make run    the demo, from nothing        make test   everything that CI checks
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RIVAL := .venv-bench
RIVAL_LOCK := tests/benchmarks/requirements.lock

.PHONY: help run test lint bench lock clean
help:  ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY)  ## Start the demo; ARGS="--port 8500" for its options
	@$(BIN)/keyhook demo $(ARGS)

test: $(READY) lint  ## Run every check and test; ARGS="-k name" for some
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

lint: $(READY)  ## Style, types and the import law
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) $(RIVAL)/.ready  ## Measure; ARGS="latency" for one alone
	@$(BIN)/python -m tests.benchmarks $(ARGS)

lock:  ## Choose newer versions of what we depend on (needs uv)
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra test \
	  --generate-hashes --no-header --no-emit-index-url --no-annotate pyproject.toml \
	  --output-file requirements.lock
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --group bench \
	  --constraint requirements.lock \
	  --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  --output-file $(RIVAL_LOCK)

clean:  ## Remove what make has made
	@rm -rf .venv $(RIVAL) build dist test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Keyhook needs Python 3.11 or newer; say which: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "Python cannot make a virtual environment (on Debian: apt install python3-venv)"; exit 1; }
	@echo "Installing what Keyhook needs into .venv (a minute or so) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)

# Whom we are measured against, apart from everything of ours.
$(RIVAL)/.ready: $(RIVAL_LOCK)
	@$(PYTHON) -m venv $(RIVAL)
	@echo "Installing what is only measured into $(RIVAL) ..."
	@$(RIVAL)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(RIVAL_LOCK)
	@touch $@
