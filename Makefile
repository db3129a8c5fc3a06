# Needs make and Python 3.11 with venv and pip; uses uv where there is one.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(if $(shell command -v uv),uv pip install --python $(BIN)/python,$(BIN)/pip install)
# Resolves for every Python from 3.11 on and every platform, with the hashes of all files of a release.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --custom-compile-command "make lock" $(UPGRADE)
PROGRAMS := tests/data/openapi_programs/requirements
.DEFAULT_GOAL := help
.PHONY: help up unit fast test covered fix check format types imports broker integration bench chaos churn fuzz hostile restored schemas settings metrics lock upgrade digests
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "stacks-feed needs Python 3.11 or later, $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing); try: make PYTHON=python3.11" >&2; exit 2; }
	@echo "setting up .venv with $$($(PYTHON) --version); a minute or two, once" >&2
	$(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes --requirement constraints.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@
help:                                ## list these targets
	@sed -n 's/^\([a-z]*\): *[^#=]*## */\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'
up: .venv/ready                      ## run everything on this machine, against a simulator
	$(BIN)/stacks-feed up

unit: .venv/ready                    ## tests of one module at a time
	$(BIN)/pytest --numprocesses auto tests/unit
fast: .venv/ready                    ## all tests but the slow ones and those that need a broker
	$(BIN)/pytest --numprocesses auto -m "not broker and not slow"
test: .venv/ready                    ## all tests; those that cannot run here are skipped and say why
	$(BIN)/coverage erase && $(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
# Where Java is; without a broker much of eventlog/kafka is skipped.
covered: .venv/ready                 ## hold what `make test` reached to the limits of coverage
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report
	$(BIN)/coverage report --include="*/core/*,schemas/*" --fail-under=100
check: format types imports test covered  ## the gate: format, types, imports, tests, coverage

fix: .venv/ready                     ## format, sort imports and mend what ruff can mend
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
format: .venv/ready                  ## check format and lint
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
types: .venv/ready                   ## check types
	$(BIN)/mypy
imports: .venv/ready                 ## check which package may import which
	$(BIN)/lint-imports --no-logo

broker: .venv/ready                  ## all tests that need a broker, on Redpanda in Docker, else on Apache Kafka
	deploy/with-broker $(BIN)/pytest -m broker
integration: .venv/ready             ## the services as processes on a broker, then docker-compose.yml
	deploy/with-broker $(BIN)/pytest tests/integration/test_whole_system.py
	$(BIN)/pytest tests/containers

# Long runs; docs/reliability.md says what each has found.
chaos: .venv/ready                   ## kill and cut everything, then derive all again (SEED, MINUTES, LOG)
	$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),2) --log $(or $(LOG),kafka)
churn: .venv/ready                   ## many clients that come and go (SEED, SECONDS, CLIENTS)
	$(BIN)/python -m tests.churn --seed $(or $(SEED),1) --seconds $(or $(SECONDS),60) --clients $(or $(CLIENTS),300)
fuzz: .venv/ready                    ## malformed requests and frames (SEED, COUNT)
	$(BIN)/python -m tests.fuzz --seed $(or $(SEED),1) --count $(or $(COUNT),100000)
hostile: .venv/ready                 ## upstreams that answer anything (SEED, MINUTES)
	$(BIN)/python -m tests.hostile --seed $(or $(SEED),1) --minutes $(or $(MINUTES),2)
restored: .venv/ready                ## kill everything, restore an old copy, compare all clients (MINUTES)
	$(BIN)/python -m tests.restored --minutes $(or $(MINUTES),2)
bench: .venv/ready                   ## measure everything beside its peers, on a quiet machine
	$(BIN)/python -m benchmarks

schemas: .venv/ready                 ## write schemas/json, openapi.json and asyncapi.json
	$(BIN)/python -m app.schemas_export && $(BIN)/python -m app.api
settings: .venv/ready                ## write docs/settings.md
	$(BIN)/python -m app.settings_doc
metrics: .venv/ready                 ## write docs/metrics.md
	$(BIN)/python -m app.metrics_doc

# What is installed, with hashes.
lock: .venv/ready                    ## write the lock files, keeping versions that fit pyproject.toml
	$(COMPILE) --all-extras --group build pyproject.toml --output-file constraints.txt
	$(COMPILE) --extra parquet --constraint constraints.txt pyproject.toml --output-file requirements.txt
	$(COMPILE) --group build --constraint constraints.txt --output-file requirements-build.txt
	$(COMPILE) $(PROGRAMS).in --output-file $(PROGRAMS).txt
upgrade: UPGRADE = --upgrade
upgrade: lock                        ## write the lock files with the newest versions
digests:                             ## pin the images of Dockerfile and docker-compose.yml; asks their registries
	deploy/pin-images
