# Every target is listed by `make help`. Two are all a newcomer needs: `make run` and `make test`.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.13
PY     := .venv/bin/python
SAM    := .venv-sam/bin/sam
EVENT  ?=
WORKER ?=
MINUTES ?= 10

ifneq ($(words $(CURDIR)),1)
$(error make can't work in a folder whose path has a space: "$(CURDIR)". Clone it elsewhere)
endif

define CHECK_PYTHON
command -v $(PYTHON) >/dev/null || { echo "Python 3.13 is needed: no '$(PYTHON)' on PATH. Set PYTHON=/path/to/python3.13"; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || { echo "Python 3.13 is needed, and '$(PYTHON)' is another. Set PYTHON=/path/to/python3.13"; exit 1; }
endef

export SAM_CLI_TELEMETRY := 0
export PYTHONPATH := src:.

##@ Start here

.PHONY: run
run: install ## Compute real metrics with the real handler: no AWS account, no Docker (EVENT=events/x.json for one)
	$(PY) -m local $(if $(EVENT),"$(EVENT)")

.PHONY: serve
serve: install ## Keep the local cloud up, with its data, and print the environment that leads to it (WORKER=1: the function too)
	$(PY) -m local --serve $(if $(WORKER),--worker)

.PHONY: test
test: install browser ## Run the whole test suite, on all cores
	$(PY) -m pytest --numprocesses auto --dist loadfile

.PHONY: fuzz
fuzz: install .venv-fuzz/.installed ## Try inputs that are anything at all, for MINUTES (10): findings go to out/fuzz
	.venv-fuzz/bin/python -m tests.fuzz --minutes $(MINUTES)

##@ Set-up

.PHONY: install
install: .venv/.installed .venv-sam/.installed ## Make the two virtual environments (.venv, and .venv-sam for the SAM CLI)

# The constraints are the locked versions of what is deployed, without the hashes that pip would then want of everything.
.venv/.installed: requirements.txt src/requirements.txt src/requirements.lock layers/pyarrow/requirements.txt layers/pyarrow/requirements.lock
	@$(CHECK_PYTHON)
	@echo "Setting up .venv: the first time takes about a minute"
	$(PYTHON) -m venv --clear .venv
	sed -n 's/^\([a-z0-9-]*==[^ ]*\).*/\1/p' src/requirements.lock layers/pyarrow/requirements.lock > .venv/locked.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -c .venv/locked.txt
	@touch $@

.venv-sam/.installed: requirements-sam.txt
	@$(CHECK_PYTHON)
	@echo "Setting up .venv-sam for the SAM CLI: half a minute"
	$(PYTHON) -m venv --clear .venv-sam
	.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-sam.txt
	@touch $@

.PHONY: browser
browser: install ## Have a Chromium for the tests that look at a page: root with apt-get gets one, others are told
	@$(PY) -m tests.chromium >/dev/null && exit; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "No Chromium: the tests that look at a page are skipped. Install one, or set CHROME=/path/to/it"; \
	elif [ ! -e .venv/.browser-tried ]; then \
	  echo "Installing Chromium for the tests that look at a page: about half a minute"; \
	  touch .venv/.browser-tried; \
	  timeout 300 sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium' >/dev/null 2>&1 </dev/null \
	    || echo "That did not work: the tests that look at a page are skipped (again with: rm .venv/.browser-tried)"; \
	fi

.venv-fuzz/.installed: tests/fuzz/requirements.txt requirements.txt src/requirements.txt layers/pyarrow/requirements.txt
	@$(CHECK_PYTHON)
	@echo "Setting up .venv-fuzz: the first time takes a minute or two"
	$(PYTHON) -m venv --clear .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt
	@touch $@

include packaging.mk
include bench.mk

##@ Checks

.PHONY: check
check: lint typecheck validate scan asyncapi ## What CI runs beside the tests: lint, formatting, types, template, contracts

.PHONY: fmt
fmt: install ## Format the code and mend what ruff can mend
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: lint
lint: install ## ruff: rules and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: typecheck
typecheck: install ## mypy, strict
	$(PY) -m mypy

.PHONY: contracts
contracts: install ## Write the schemas and examples in docs/contracts anew, from the models and from what is answered
	$(PY) -m ops.contracts
	$(PY) -m tests.contract.examples > /dev/null

# Without node a stranger's check goes on; in CI (which sets CI) it must not.
ASYNCAPI := ops/contracts/asyncapi

.PHONY: asyncapi
asyncapi: ## Hold docs/contracts/asyncapi.yaml against AsyncAPI's own parser (node 20 or later, and npm)
	@if command -v npm >/dev/null; then \
	  $(MAKE) -s $(ASYNCAPI)/node_modules/.installed && node $(ASYNCAPI)/check.mjs docs/contracts/asyncapi.yaml; \
	else \
	  echo "asyncapi: left out, as there is no npm here. With node 20 or later installed, 'make asyncapi' checks the document"; \
	  [ -z "$${CI:-}" ]; \
	fi

$(ASYNCAPI)/node_modules/.installed: $(ASYNCAPI)/package.json $(ASYNCAPI)/package-lock.json
	@echo "Setting up AsyncAPI's parser in $(@D): half a minute"
	npm ci --prefix $(ASYNCAPI) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: test-cov
test-cov: install browser ## The test suite, with line and branch coverage
	$(PY) -m pytest --cov --cov-report=term-missing

.PHONY: plots
plots: install ## Draw the plots of docs/grammar.md again, after a change of its expressions
	$(PY) docs/plots.py

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf .venv .venv-sam .venv-bench .venv-checks .venv-fuzz .aws-sam build out .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov $(ASYNCAPI)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
