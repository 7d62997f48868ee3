# One way to do each thing. Everything works from a fresh clone with Python 3.11+ only.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.installed
EARSHOT := $(BIN)/earshot

.PHONY: help install run test lint bench integration docs clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Make .venv with all that running, linting and testing need

$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Earshot needs Python 3.11 or newer, this is {v.major}.{v.minor}: set PYTHON=python3.11 (or newer)")'
	@$(PYTHON) -m venv $(VENV) || { echo "no virtual environment can be made: on Debian, install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"

$(STAMP): pyproject.toml uv.lock $(UV)
	UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --frozen --quiet
	$(BIN)/python tools/build_web.py
	@echo "compiling the kernels (once) …"
	@$(BIN)/python -m earshot.engine.warm
	@touch $@

web: $(STAMP) ## Build the web app if its sources changed
	@$(BIN)/python tools/build_web.py
.PHONY: web

run: web ## Start Earshot with the web app on http://localhost:8000
	$(EARSHOT) up

test: web ## Run all tests that need no outside server
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install ## Check style, types and the rooms' borders
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

KILL_TESTS := tests/faults/test_kill_live.py tests/engine/test_kill.py
kill: install ## Kill engine and collector at random moments, 200 rounds
	EARSHOT_KILL_ROUNDS=200 $(BIN)/python -m pytest $(KILL_TESTS) -n 2 --dist loadfile
.PHONY: kill

bench: install ## Measure the embedded pipeline, rules and a burst; prints tables and JSON
	$(EARSHOT) bench pipeline --json
	$(EARSHOT) bench rules --json
	$(EARSHOT) bench burst --json

integration: web ## Kill at random moments, 20 rounds; run the tests against real servers
	EARSHOT_KILL_ROUNDS=20 $(BIN)/python -m pytest $(KILL_TESTS) -n 2 --dist loadfile
	@if grep -rqs 'mark\.service' tests; then \
		$(BIN)/python -m pytest -m service tests; \
	else \
		echo "no test needs an outside server yet: everything here is embedded"; \
	fi

docs: install ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clean: ## Remove what was built
	rm -rf $(VENV) site dist src/earshot/api/dist web/node_modules
