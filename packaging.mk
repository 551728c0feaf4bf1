# Targets that build, check, deploy and operate the worker. The Makefile includes this file and defines SAM, PY and EVENT.
# The parameters of a deployment are in samconfig.toml.

ARCH   ?=
CONFIG ?= dev

# SAM runs the Makefiles of function and layer in other folders, so the path of the interpreter is absolute.
SAM_BUILD = PYTHON="$(abspath $(PY))" $(SAM) build --config-env $(CONFIG)

##@ Packaging

.PHONY: build
build: install .venv-sam/.installed ## Build layer and functions into .aws-sam/ (ARCH=arm64 or x86_64; default: samconfig.toml)
	$(SAM_BUILD) $(if $(ARCH),--parameter-overrides Architecture=$(ARCH))

.PHONY: wheel
wheel: develop ## Build sdist and wheel in build/dist, install the wheel elsewhere, and use `metrics` there
	rm -rf build/dist
	.venv/bin/uv build --quiet --python $(PY) --out-dir build/dist
	$(PY) -m pytest --quiet tests/infrastructure/check_wheel.py

.PHONY: lock
lock: install ## Update the lock files of the deployed packages after a change of a pinned version
	for folder in src layers/pyarrow; do \
	  (cd $$folder && "$(CURDIR)/.venv/bin/uv" pip compile --quiet --universal --python-version 3.13 --generate-hashes \
	    --no-emit-index-url --custom-compile-command "make lock" requirements.txt --output-file requirements.lock) || exit 1; \
	done

.PHONY: validate
validate: .venv-sam/.installed ## Check template.yaml with the rules of SAM and cfn-lint (no AWS account needed)
	$(SAM) validate --lint --config-env $(CONFIG)

# checkov also checks the translated stack, because SAM creates further resources. cfn-lint does not: its serverless rules
# require a destination for an event source mapping (ES1001), which AWS does not support for queues.
.PHONY: scan
scan: develop .venv-checks/.installed ## Check both templates against good practice, offline: cfn-lint's serverless rules and checkov
	.venv-checks/bin/cfn-lint --include-checks I --append-rules cfn_lint_serverless.rules -- template.yaml monitoring.yaml
	@mkdir -p build
	$(PY) -m tests.infrastructure.translated > build/translated.json
	.venv-checks/bin/checkov --framework cloudformation --skip-download --quiet --compact \
	  --file template.yaml monitoring.yaml build/translated.json

.venv-checks/.installed: requirements-checks.txt | .venv/.installed
	$(call ENVIRONMENT,.venv-checks,requirements-checks.txt)

.PHONY: invoke
invoke: install .venv-sam/.installed ## Invoke the built function in Lambda's image, using the local cloud (needs Docker; EVENT=events/x.json)
	@$(PY) -m metrics_tools.local_cloud.sam_invoke --check
	$(MAKE) build
	$(PY) -m metrics_tools.local_cloud.sam_invoke $(or $(EVENT),events/run.json) $(SAM)

.PHONY: tag
tag: ## Tag the commit with the version of metrics_worker (its changelog entry must have a date)
	@version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/metrics_worker/__init__.py); \
	git diff --quiet HEAD || { echo "Commit your changes first: a release is a commit"; exit 1; }; \
	grep -Eq "^## $$version - [0-9]{4}-[0-9]{2}-[0-9]{2}$$" CHANGELOG.md || { echo "CHANGELOG.md has no dated entry for $$version"; exit 1; }; \
	git tag --annotate "v$$version" --message "metrics-worker $$version" && echo "Tagged v$$version. Publish it with: git push origin v$$version"

.PHONY: deploy
deploy: install .venv-sam/.installed ## Build and deploy to AWS (CONFIG=dev or prod, from samconfig.toml)
	$(if $(ARCH),$(error Set Architecture in samconfig.toml: a deployment and its build must agree))
	$(SAM_BUILD)
	$(SAM) deploy --config-env $(CONFIG)
