# What the layer's and the function's Makefile share: wheels for Lambda, whatever machine builds; a slim tree; .pyc.
# MACHINE comes from platform.mk of the architecture, ARTIFACTS_DIR from `sam build`.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.SILENT:

ifndef ARTIFACTS_DIR
$(error ARTIFACTS_DIR is not set: it is the folder to build into, and `sam build` sets it)
endif

# Byte code is of one minor version, and that must be Lambda's. -I: neither PYTHONPATH nor the working folder matters.
PYTHON  ?= python3.13
RUN     := $(PYTHON) -I
REQUIRE := import sys; sys.exit(sys.version_info[:2] != (3, 13) and f"Python 3.13 is needed, not {sys.version}: set PYTHON")
SLIM    := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))slim.py)

# Lambda's python3.13 runs on Amazon Linux 2023, whose glibc is 2.34: every older platform will do. pip takes the
# list as it is (it does not know that 2.28 implies 2.24), and the newest that a project publishes wins.
GLIBC     := 34 33 32 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17
PLATFORMS := $(foreach minor,$(GLIBC),--platform manylinux_2_$(minor)_$(MACHINE)) --platform manylinux2014_$(MACHINE)

# $(call wheels,LOCK,FOLDER): install the wheels of a lock file for MACHINE: exact versions with hashes, no source distributions.
define wheels
$(RUN) -c '$(REQUIRE)'
test -z "$$(ls -A $(2) 2>/dev/null)" || { echo "$(2) is not empty" >&2; exit 1; }
$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile --target $(2) \
	--require-hashes --only-binary=:all: --implementation cp --python-version 3.13 $(PLATFORMS) --requirement $(1)
rm -rf $(2)/bin
find $(2) -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} +
find $(2) -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name RECORD \) -delete
endef

# $(call bytecode,FOLDER,IN_LAMBDA): .pyc beside each .py. Lambda's file systems are read-only, so what is not shipped
# is compiled again at every cold start. Unchecked: a zip keeps no exact times, and nothing changes a deployed file.
# IN_LAMBDA is where Lambda unpacks FOLDER: tracebacks name that path.
define bytecode
$(RUN) -m compileall -q -j 0 --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1)
endef
