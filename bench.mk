# The benchmarks have their own virtual environment, because the worker does not need pandas, polars and the other libraries.
# The Makefile includes this file and defines PYTHON and CHECK_PYTHON.

BENCH ?=

##@ Benchmarks

.PHONY: bench
bench: install .venv-bench/.installed ## Compare the worker with other libraries: ten minutes (BENCH=--quick: one or two)
	.venv-bench/bin/python -m benchmarks $(BENCH)

.venv-bench/.installed: benchmarks/requirements.txt requirements.txt $(PINS) | .venv/.installed
	$(call ENVIRONMENT,.venv-bench,benchmarks/requirements.txt)
