# The name of this architecture in wheels. template.yaml runs make in this folder if its parameter Architecture is
# arm64, so only that parameter decides, for `sam build` and for `sam deploy`.
MACHINE := aarch64
include $(dir $(lastword $(MAKEFILE_LIST)))../tree.mk
