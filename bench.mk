# The benchmarks, in a virtual environment of their own: pandas, polars and the rest are no part of the worker.
# Included by the Makefile, whose variables PYTHON and CHECK_PYTHON it uses.

BENCH ?=

##@ Measuring

.PHONY: bench
bench: install .venv-bench/.installed ## Measure the worker beside other ways: some minutes (BENCH=--quick: one or two)
	.venv-bench/bin/python -m benchmarks $(BENCH)

.venv-bench/.installed: benchmarks/requirements.txt requirements.txt src/requirements.txt layers/pyarrow/requirements.txt
	@$(CHECK_PYTHON)
	@echo "Setting up .venv-bench: the first time takes a minute or two"
	$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@
