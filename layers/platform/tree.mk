# Macros for the Makefiles of the layer and of the functions: install wheels for Lambda on any build machine, remove
# unneeded files, compile .pyc files. platform.mk of the architecture sets MACHINE, and `sam build` sets ARTIFACTS_DIR.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.SILENT:

ifndef ARTIFACTS_DIR
$(error ARTIFACTS_DIR is not set: it is the folder to build into, and `sam build` sets it)
endif

# Byte code works only with one minor version of Python, which must be Lambda's. -I ignores PYTHONPATH and the
# working folder.
PYTHON  ?= python3.13
RUN     := $(PYTHON) -I
REQUIRE := import sys; sys.exit(sys.version_info[:2] != (3, 13) and f"Python 3.13 is needed, not {sys.version}: set PYTHON")
SLIM    := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))slim.py)

# Lambda's python3.13 runs on Amazon Linux 2023 with glibc 2.34, so wheels for every older glibc work. The list names
# each version because pip does not know that 2.28 implies 2.24. pip chooses the newest one that a project publishes.
GLIBC     := 34 33 32 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17
PLATFORMS := $(foreach minor,$(GLIBC),--platform manylinux_2_$(minor)_$(MACHINE)) --platform manylinux2014_$(MACHINE)

# $(call wheels,LOCK,FOLDER): install the wheels of a lock file for MACHINE, with exact versions and hashes, and without
# source distributions.
define wheels
$(RUN) -c '$(REQUIRE)'
test -z "$$(ls -A $(2) 2>/dev/null)" || { echo "$(2) is not empty" >&2; exit 1; }
$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile --target $(2) \
	--require-hashes --only-binary=:all: --implementation cp --python-version 3.13 $(PLATFORMS) --requirement $(1)
rm -rf $(2)/bin
find $(2) -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} +
find $(2) -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name RECORD \) -delete
endef

# $(call bytecode,FOLDER,IN_LAMBDA): compile each .py file to a .pyc file. Lambda's file systems are read-only, so a
# file without .pyc would be compiled again at every cold start. Python does not check whether a .pyc file is outdated
# (unchecked-hash), because a zip file has no exact times and deployed files never change. IN_LAMBDA is the path to
# which Lambda unpacks FOLDER; tracebacks contain it.
define bytecode
$(RUN) -m compileall -q -j 0 --invalidation-mode unchecked-hash -s $(1) -p $(2) $(1)
endef
