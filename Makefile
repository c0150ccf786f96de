# Mainstay: `make setup`, then `.venv/bin/mainstay --help`; `make test` needs nothing before it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: setup demo test check format bench openapi lock clean

setup: $(READY)

# Made anew only when what it is made of has changed. Every file that is installed has its hash in the lock file,
# the build backend included, so that nothing is built in an environment fetched on the side.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Mainstay needs Python 3.11 or later with its venv module (Debian: apt-get install python3-venv)." >&2; \
	  echo "Here $(PYTHON) is: $$($(PYTHON) --version 2>&1). Another one: make setup PYTHON=python3.12" >&2; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/mainstay demo $(ARGS)

# PostgreSQL is found or fetched; HAPI FHIR needs Java and Maven. With CI=true what is missing fails the run.
test: setup
	@command -v java >/dev/null && command -v mvn >/dev/null || { \
	  echo "Java 17 (JDK) and Maven start the real FHIR server that some tests run against; one is missing here:" >&2; \
	  echo "  Debian: apt-get install default-jdk-headless maven" >&2; \
	  echo "Without CI=true those tests are skipped, and say so." >&2; }
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

# Lock files hold versions and hashes, and no address: where packages come from is the machine's business.
# requirements.lock is for working on Mainstay, requirements-service.lock the part of it that runs in an image.
COMPILE := .cache/pip-tools/bin/pip-compile --quiet --allow-unsafe --generate-hashes --strip-extras \
  --no-emit-find-links --no-emit-index-url --no-emit-trusted-host --extra=build

# openapi.yaml, made from the routes; a test fails when it is stale.
openapi: setup
	$(BIN)/python -m service.openapi

lock:
	$(PYTHON) -m venv .cache/pip-tools
	.cache/pip-tools/bin/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(COMPILE) --extra=dev --output-file=requirements.lock $(ARGS) pyproject.toml
	$(COMPILE) --constraint=requirements.lock --output-file=requirements-service.lock pyproject.toml

clean:
	rm -rf $(VENV) .cache build *.egg-info
