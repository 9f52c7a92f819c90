# Everything one does with Merkato from a shell. `make` alone lists the targets.
# Needs python3 (3.11 or newer, with venv), make and a package index; all else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install install-dev up up_build down logs test test-slow check fix diagrams bench lock clean

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z_-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## install Merkato and exactly the locked packages into .venv

install-dev: $(VENV)/.installed-dev ## the same, with what tests and checks need

up: $(VENV)/.installed ## start the shop and stay in the foreground (PORT=8080 for another port)
	@exec $(BIN)/merkato up $(if $(PORT),--port $(PORT))

up_build: deploy/.env ## build the image and start the shop in containers (docs/containers.md)
	@$(COMPOSE) up --build --detach

down: ## stop a running shop, in containers or not; its data stay
	@if $(IN_CONTAINERS); then $(COMPOSE) down; \
	else $(MAKE) --no-print-directory install && $(BIN)/merkato down; fi

logs: ## follow the logs of the shop and its engines, in containers or not
	@if $(IN_CONTAINERS); then $(COMPOSE) logs --follow; \
	else $(MAKE) --no-print-directory install && $(BIN)/merkato logs --follow; fi

test: check ## check, then run every test (ARGS="-k cart" for some); what was skipped is printed with its reason
	@$(BIN)/python -m pytest $(ARGS)

test-slow: $(VENV)/.installed-dev ## the tests that take minutes: a hundred rounds, long outages, every crash point
	@$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/.installed-dev ## lint, format, types and the dependency rule; changes nothing
	@status=0; for tool in "ruff check ." "ruff format --check ." mypy "lint-imports --no-logo"; do \
	  $(BIN)/$$tool || status=1; done; exit $$status

fix: $(VENV)/.installed-dev ## format, repair what can be repaired, write the generated pages anew
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/python docs/generate.py
	@$(BIN)/python tests/contract/test_access.py

diagrams: $(VENV)/.installed-dev ## draw the diagrams of the pages anew (needs npm and Chromium), then make fix
	@$(BIN)/python docs/diagrams.py

bench: $(VENV)/.installed-dev ## measure confirmed orders per second (ARGS="--seconds 20")
	@$(BIN)/python bench/orders.py $(ARGS)

lock: $(VENV)/.installed-dev ## resolve the dependencies of pyproject.toml anew into the lock files
	@$(BIN)/uv $(LOCK) --group build --output-file requirements.lock
	@$(BIN)/uv $(LOCK) --group build --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove .venv and caches; the shop's data (.merkato) stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

COMPOSE = docker compose --file deploy/compose.yaml
# Whether containers of ours run; without an engine, or without deploy/.env, none do.
IN_CONTAINERS = [ -n "$$($(COMPOSE) ps --quiet 2>/dev/null)" ]

deploy/.env:
	@sed "s/^POSTGRES_PASSWORD=$$/&$$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')/" deploy/.env.example > $@
	@chmod 600 $@
	@echo "Made deploy/.env with a password of its own; its other lines are yours to change."

LOCK = pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
       --generate-hashes --no-annotate --no-header --no-emit-index-url

# uv installs in seconds; where it cannot (no wheel for this platform, an index only pip knows), pip does.
# --no-build-isolation: the build backend is in the lock as well, so nothing without a hash is fetched.
define install_locked
	@echo "Installing the packages of $(1) into $(VENV) …"
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock 2>$(VENV)/uv.log || true
	@{ $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) 2>>$(VENV)/uv.log \
	   || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
endef

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(call install_locked,requirements.lock)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(call install_locked,requirements-dev.lock)
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Merkato needs Python 3.11 or newer, and there is no $(PYTHON) here." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Merkato needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
