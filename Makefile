# The developer's menu. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
# uv of the machine if there is one, else one of our own in .uv/. The shell looks, not make: make expands a whole
# recipe before its first line runs, and that line may be the one that installs uv.
UV = $$(command -v uv || echo .uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export PYTHONUNBUFFERED := 1
# Where it is set, each start of a service compiles all that it imports: 1.8 s of CPU instead of 0.9.
unexport PYTHONDONTWRITEBYTECODE
ASSETS := services/incidents/sentryml_incidents/web/static/vendor/idiomorph.min.js
MEMBERS := libs/client libs/common libs/statistics libs/lifecycle services/ingest services/drift services/incidents services/notifier services/tap deploy/local
RUN := .venv/bin/
PORT_BASE ?=
FINE_PANE_SECONDS ?=
# Tests wait, too: on two cores, two more workers use that time.
WORKERS ?= 4
STACK_OPTIONS = $(if $(PORT_BASE),--port-base $(PORT_BASE)) $(if $(FINE_PANE_SECONDS),--fine-pane-seconds $(FINE_PANE_SECONDS))

.DEFAULT_GOAL := help
.PHONY: help install up down status demo test test-unit screenshots chaos chaos-notifier test-alerts test-model-servers bench-drift bench-incidents bench-client bench-ingest bench-noise bench-real bench-ui check check-types check-rules format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

install: .venv/installed $(ASSETS) ## Install everything: requirements.lock into .venv, what pages load from npm

.venv/installed: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SentryML needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	@command -v uv >/dev/null || [ -x .uv/bin/uv ] || deploy/install-uv $(PYTHON)
	@echo "Installing into .venv (a minute the first time)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python .venv/bin/python --no-deps $(addprefix -e ,$(MEMBERS))
	@touch $@

$(ASSETS): services/incidents/package-lock.json deploy/install-assets deploy/npm-install | .venv/installed
	@deploy/install-assets "$(UV)" $(PYTHON)

up: install ## Start everything on this machine: Kafka, PostgreSQL, all services (PORT_BASE=, FINE_PANE_SECONDS=)
	@$(RUN)sentryml-local up $(STACK_OPTIONS)

down: install ## Stop it; data are kept
	@$(RUN)sentryml-local down

status: install ## Say what runs, and where
	@$(RUN)sentryml-local status

demo: install ## Watch a real model drift, from start to Slack (ONCE=1: end by itself)
	@$(RUN)python -m sentryml_local.demo $(if $(ONCE),--once) $(if $(PORT_BASE),--port-base $(PORT_BASE))

test: install ## All tests, against real Kafka, PostgreSQL and Chromium (WORKERS=4)
	@$(RUN)python -m tests.support.chromium
	@SENTRYML_TEST_DURATIONS=test-durations.txt $(RUN)python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-unit: install ## The tests that need no server
	@$(RUN)python -m pytest tests/unit tests/contracts tests/test_repository.py

screenshots: install ## Every page as a picture: light, dark, phone, wall; in screenshots/ (DOCS=1: also those of the README)
	@$(RUN)python -m tests.support.chromium
	@$(RUN)python -m tests.browser.screenshots $(if $(DOCS),--docs) $(if $(PORT_BASE),--port-base $(PORT_BASE))

chaos: install ## Kill and freeze everything at random; is each event counted once? (KILLS=30 SEED= VARIANT=)
	@$(RUN)python -m tests.chaos $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) $(if $(VARIANT),--variant $(VARIANT))

chaos-notifier: install ## Kill notifiers at each step while Slack fails in every way; is every alert delivered? (SHORT=1 SEED= INCIDENTS= KILLS=)
	@$(RUN)python -m tests.chaos.notifier $(if $(SHORT),--short) $(if $(SEED),--seed $(SEED)) $(if $(INCIDENTS),--incidents $(INCIDENTS)) $(if $(KILLS),--kills $(KILLS))

# What the examples of docs/model-servers.md run in; nothing else needs it.
.venv-model-servers/installed: tests/model_servers/requirements.lock
	@echo "Installing model servers into .venv-model-servers"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-model-servers
	@$(UV) pip install --quiet --python .venv-model-servers/bin/python --require-hashes -r $<
	@touch $@

test-model-servers: install .venv-model-servers/installed ## The examples for Ray Serve and BentoML in their servers, against a real ingest
	@$(RUN)python -m pytest -n 0 tests/model_servers/examples.py

test-alerts: install ## Do alerts fire when something is down? Every rule, then each part stopped beside a real Prometheus; an incident in a real Alertmanager
	@tools=$$(deploy/install-prometheus) && $(RUN)python -m tests.chaos.alerts --tools "$$tools"

# What benchmarks run beside us; nothing else needs it.
.venv-rivals/installed: bench/rivals/requirements.lock
	@echo "Installing the rivals into .venv-rivals"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-rivals
	@$(UV) pip install --quiet --python .venv-rivals/bin/python --require-hashes -r $<
	@touch $@

bench-drift: install .venv-rivals/installed ## What drift costs, beside rivals run in the same minute
	@$(RUN)python -m bench.drift

bench-incidents: install ## What incidents cost, beside rivals run in the same minute
	@$(RUN)python -m bench.incidents

bench-ingest: install ## What the gateway costs, in turns with a bare one and one as tutorials write it (ROUNDS=)
	@$(RUN)python -m bench.ingest $(if $(ROUNDS),--rounds $(ROUNDS))

bench-client: install .venv-rivals/installed ## What a call of the Python client costs, in turns with those of PostHog and Scouter
	@$(RUN)python -m bench.client

bench-ui: install ## What pages cost with 10,000 drifting models, beside the API's answers
	@$(RUN)python -m bench.ui

bench-noise: install ## False incidents without drift, and how soon real ones open, simulated (MODEL_MONTHS=200 SEED=)
	@$(RUN)python -m bench.noise $(if $(MODEL_MONTHS),--model-months $(MODEL_MONTHS)) $(if $(SEED),--seed $(SEED))

bench-real: install ## Five real streams of a year: false incidents, and what is found, beside rivals' rules (PROCESSES=)
	@$(RUN)python -m bench.real $(if $(PROCESSES),--processes $(PROCESSES))

check: install ## Format, lint, types, imports, house rules, generated files
	@$(RUN)ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(RUN)ruff check --quiet .
	@$(MAKE) --no-print-directory --output-sync -j2 check-types check-rules

check-types: ## Types and imports
	@$(RUN)mypy
	@$(RUN)lint-imports --no-cache

# The second line compiles all tests: of the workers of `make test`, each would compile all.
check-rules: ## House rules, generated files
	@$(RUN)python -m pytest -q tests/test_repository.py tests/unit/test_compose.py
	@$(RUN)python -m pytest -q --collect-only tests >/dev/null

format: install ## Format the code
	@$(RUN)ruff format --quiet . && $(RUN)ruff check --quiet --fix .

lock: ## Resolve the dependencies again, into requirements.lock
	@deploy/lock

clean: ## Remove what was installed and all local data
	@[ ! -x $(RUN)sentryml-local ] || $(RUN)sentryml-local down
	@rm -rf .venv .venv-rivals .venv-model-servers .uv .node .prometheus services/incidents/node_modules $(dir $(ASSETS)) tests/browser/node_modules tests/browser/chromium/node_modules screenshots test-durations.txt .sentryml .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
