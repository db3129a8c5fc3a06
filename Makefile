# Needs make and Python 3.11 with venv and pip; uses uv where there is one.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(if $(shell command -v uv),uv pip install --python $(BIN)/python,$(BIN)/pip install)
# Resolves for every Python from 3.11 on and every platform, with the hashes of all files of a release.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --custom-compile-command "make lock" $(UPGRADE)
PROGRAMS := tests/data/openapi_programs/requirements
.PHONY: up test covered fast check format types imports broker integration bench chaos fuzz churn hostile restored lock schemas settings metrics upgrade digests
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "stacks-feed needs Python 3.11 or later, $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing); try: make PYTHON=python3.11" >&2; exit 2; }
	@echo "setting up .venv with $$($(PYTHON) --version); a minute or two, once" >&2
	$(PYTHON) -m venv .venv
	$(INSTALL) --require-hashes --requirement constraints.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@
up: .venv/ready ; $(BIN)/stacks-feed up
test: .venv/ready ; $(BIN)/coverage erase && $(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
covered:                             # a gate of `check`, where Java is: without a broker much of eventlog/kafka is skipped
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report
	$(BIN)/coverage report --include="*/core/*,schemas/*" --fail-under=100
fast: .venv/ready ; $(BIN)/pytest -m "not broker and not slow"
check: format types imports test covered
format: .venv/ready ; $(BIN)/ruff format --check . && $(BIN)/ruff check .
types: .venv/ready ; $(BIN)/mypy
imports: .venv/ready ; $(BIN)/lint-imports --no-logo
broker: .venv/ready ; deploy/with-broker $(BIN)/pytest -m broker
integration: .venv/ready             # the services as processes on a broker, then docker-compose.yml on a Docker engine
	deploy/with-broker $(BIN)/pytest tests/integration/test_whole_system.py
	$(BIN)/pytest tests/containers
schemas: .venv/ready ; $(BIN)/python -m app.schemas_export && $(BIN)/python -m app.api
settings: .venv/ready ; $(BIN)/python -m app.settings_doc
metrics: .venv/ready ; $(BIN)/python -m app.metrics_doc
bench: .venv/ready ; $(BIN)/python -m benchmarks
chaos: .venv/ready ; $(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),2) --log $(or $(LOG),kafka)
fuzz: .venv/ready ; $(BIN)/python -m tests.fuzz --seed $(or $(SEED),1) --count $(or $(COUNT),100000)
churn: .venv/ready ; $(BIN)/python -m tests.churn --seed $(or $(SEED),1) --seconds $(or $(SECONDS),60) --clients $(or $(CLIENTS),300)
hostile: .venv/ready ; $(BIN)/python -m tests.hostile --seed $(or $(SEED),1) --minutes $(or $(MINUTES),2)
restored: .venv/ready ; $(BIN)/python -m tests.restored --minutes $(or $(MINUTES),2)
# What is installed, with hashes. `lock` keeps the versions that fit pyproject.toml, `upgrade` takes the newest.
lock: .venv/ready
	$(COMPILE) --all-extras --group build pyproject.toml --output-file constraints.txt
	$(COMPILE) --extra parquet --constraint constraints.txt pyproject.toml --output-file requirements.txt
	$(COMPILE) --group build --constraint constraints.txt --output-file requirements-build.txt
	$(COMPILE) $(PROGRAMS).in --output-file $(PROGRAMS).txt
upgrade: UPGRADE = --upgrade
upgrade: lock
digests: ; deploy/pin-images     # of the images in Dockerfile and docker-compose.yml; asks their registries
