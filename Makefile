# `make help` lists the targets. A newcomer needs only `make run` and `make test`.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.13
PY     := .venv/bin/python
SAM    := .venv-sam/bin/sam
EVENT  ?=
WORKER ?=
MINUTES ?= 10
# Many tests wait for a process or a timeout, so one process more than there are cores.
TEST_PROCESSES ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))

ifneq ($(words $(CURDIR)),1)
$(error make does not work in a folder whose path contains a space: "$(CURDIR)". Clone the repository to a different folder)
endif

define CHECK_PYTHON
command -v $(PYTHON) >/dev/null || { echo "Python 3.13 is required, but '$(PYTHON)' is not on the PATH. Set PYTHON=/path/to/python3.13"; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || { echo "Python 3.13 is required, but '$(PYTHON)' is a different version. Set PYTHON=/path/to/python3.13"; exit 1; }
endef

# Install the packages $(2) in the virtual environment $(1). uv takes a fourth of pip's time; pip is for machines on which only
# pip is configured for their package index.
INSTALL = .venv/bin/uv pip install --quiet --python $(1)/bin/python $(2) || $(PY) -m pip --python $(1)/bin/python install --quiet --disable-pip-version-check $(2)

# Create the virtual environment $(1) with the packages of the requirements file $(2). Recipes whose target is a file call it.
# It has no pip of its own, whose installation would take longer than that of the packages: uv, or the pip of .venv, installs them.
define ENVIRONMENT
@$(CHECK_PYTHON)
@echo "Installing $(1) with the packages of $(2)"
$(PYTHON) -m venv --clear --without-pip $(1)
@$(call INSTALL,$(1),-r $(2))
@touch $@
endef

# .venv is used by hundreds of processes, so the bytecode files of what they import are written at the installation. Of the
# excluded packages they import few modules or none. The checks import a fifth of their packages, once, so in the other
# environments the import writes the bytecode files of what it needs.
COMPILE = $(PY) -m compileall -q -j 0 -x '/(moto|fontTools|pip|mypy|mypyc|lexers|styles|f2py|tests?)/' .venv/lib
export UV_LINK_MODE := copy

export SAM_CLI_TELEMETRY := 0
export PYTHONPATH := src:.
# The tests start some hundred processes. Without bytecode files, each of them would compile src/ again.
unexport PYTHONDONTWRITEBYTECODE

##@ Start here

# The shell expands EVENT, because make would not quote a formula with quotation marks.
.PHONY: run
run: install ## Compute the sample metrics in a local cloud, without AWS account or Docker (EVENT=events/x.json or a formula for one)
	$(PY) -m metrics_tools.local_cloud $${EVENT:+"$$EVENT"}

.PHONY: serve
serve: install ## Run the local cloud until it is stopped, and print the environment for using it (WORKER=1: with the function)
	$(PY) -m metrics_tools.local_cloud --serve $(if $(WORKER),--worker)

.PHONY: test
test: develop browser ## Run the whole test suite, on all cores
	$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: fuzz
fuzz: install .venv-fuzz/.installed ## Test the worker with arbitrary inputs for MINUTES (10); findings are written to out/fuzz
	.venv-fuzz/bin/python -m tests.fuzz --minutes $(MINUTES)

##@ Set-up

.PHONY: install
install: .venv/.project .venv/.emulator ## Install in .venv what `make run` and the command line `metrics` need (0.55 GB)

.PHONY: develop
develop: install .venv/.developed ## Install also what the tests and checks need (1.10 GB)

# The constraints are the locked versions of the deployed packages, without hashes: with them, pip would require a hash for
# every package.
PINS := requirements-install.txt requirements-run.txt requirements-lambda.txt requirements-tools.txt src/requirements.txt layers/pyarrow/requirements.txt

.venv/.installed: $(PINS) src/requirements.lock layers/pyarrow/requirements.lock
	@$(CHECK_PYTHON)
	@echo "Installing .venv for the local run and the command line"
	$(PYTHON) -m venv --clear .venv
	sed -n 's/^\([a-z0-9-]*==[^ ]*\).*/\1/p' src/requirements.lock layers/pyarrow/requirements.lock > .venv/locked.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-install.txt
	@$(call INSTALL,.venv,-r requirements-run.txt -c .venv/locked.txt)
	@$(COMPILE)
	@touch $@

.venv/.developed: requirements.txt .venv/.installed
	@echo "Installing the libraries of the tests and checks in .venv"
	@$(call INSTALL,.venv,-r requirements.txt -c .venv/locked.txt)
	@$(COMPILE)
	@touch $@

# Lambda's emulator is a program in the SAM CLI, which needs none of the SAM CLI's libraries.
.venv/.emulator: requirements-sam.txt .venv/.installed
	@$(call INSTALL,.venv,--no-deps --upgrade --target .venv/aws-sam-cli -r requirements-sam.txt)
	@touch $@

# The project itself is installed as editable, and only pyproject.toml changes that.
.venv/.project: pyproject.toml | .venv/.installed
	@$(call INSTALL,.venv,--no-deps --editable .)
	@touch $@

.venv-sam/.installed: requirements-sam.txt | .venv/.installed
	$(call ENVIRONMENT,.venv-sam,requirements-sam.txt)

.PHONY: browser
browser: develop ## Install Chromium for the browser tests, if the user is root and apt-get exists
	@$(PY) -m tests.chromium >/dev/null && exit; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Chromium not found, so the browser tests are skipped. Install it, or set CHROME=/path/to/chromium"; \
	elif [ ! -e .venv/.browser-tried ]; then \
	  echo "Installing Chromium for the browser tests: about half a minute"; \
	  touch .venv/.browser-tried; \
	  timeout 300 sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium' >/dev/null 2>&1 </dev/null \
	    || echo "Chromium could not be installed, so the browser tests are skipped. To try again: rm .venv/.browser-tried"; \
	fi

.venv-fuzz/.installed: tests/fuzz/requirements.txt requirements.txt $(PINS) | .venv/.installed
	$(call ENVIRONMENT,.venv-fuzz,tests/fuzz/requirements.txt)

include packaging.mk
include bench.mk

##@ Checks

# The checks use one core each, so two of them run at a time. GNU make 3.81 (macOS) cannot keep their output apart.
.PHONY: check
check: develop ## Run all checks of CI except the tests: lint, formatting, types, template, contracts, wheel
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) scan typecheck validate wheel asyncapi lint

.PHONY: fmt
fmt: develop ## Format the code and apply ruff's automatic fixes
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: lint
lint: develop ## Check rules and formatting with ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: typecheck
typecheck: develop ## Check types with mypy in strict mode
	$(PY) -m mypy

.PHONY: contracts
contracts: develop ## Generate the schemas and examples in docs/contracts from the models and the worker's answers
	$(PY) -m metrics_tools.contracts
	$(PY) -m tests.contract.examples > /dev/null

# Zensical checks the links to pages and headings; tests/docs checks all links in the repository, those to other files included.
# `make check` does not build the site; CI has a job for it, which runs beside the tests.
.PHONY: docs
docs: .venv-docs/.installed ## Build the docs site in build/site, with search and checked links (DOCS_REPOSITORY_URL for links to code)
	.venv-docs/bin/python docs/site_source.py build/docs
	.venv-docs/bin/zensical build --strict --clean
	@echo "To read and search the site, open build/site/index.html in a browser"

.venv-docs/.installed: requirements-docs.txt | .venv/.installed
	$(call ENVIRONMENT,.venv-docs,requirements-docs.txt)

# If npm is missing, this check is skipped, except in CI (which sets the variable CI), where it fails.
ASYNCAPI := src/metrics_tools/contracts/asyncapi

.PHONY: asyncapi
asyncapi: ## Check docs/contracts/asyncapi.yaml with AsyncAPI's own parser (needs node 20 or later, and npm)
	@if command -v npm >/dev/null; then \
	  $(MAKE) -s $(ASYNCAPI)/node_modules/.installed && node $(ASYNCAPI)/check.mjs docs/contracts/asyncapi.yaml; \
	else \
	  echo "asyncapi: skipped, because npm was not found. Install node 20 or later and run 'make asyncapi' to check the document"; \
	  [ -z "$${CI:-}" ]; \
	fi

$(ASYNCAPI)/node_modules/.installed: $(ASYNCAPI)/package.json $(ASYNCAPI)/package-lock.json
	@echo "Installing AsyncAPI's parser in $(@D): half a minute"
	npm ci --prefix $(ASYNCAPI) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: test-cov
test-cov: develop browser ## Run the test suite with line and branch coverage
	$(PY) -m pytest --cov --cov-report=term-missing

.PHONY: plots
plots: develop ## Redraw the plots of docs/grammar.md after a change of its expressions
	$(PY) -m docs.plots

.PHONY: clean
clean: ## Remove everything that the other targets created
	rm -rf .cache .venv .venv-docs .venv-sam .venv-bench .venv-checks .venv-fuzz .aws-sam build out .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov $(ASYNCAPI)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
