# What the wheels of this architecture are called. template.yaml runs make in this folder when its
# parameter Architecture is arm64: the parameter alone decides, for `sam build` and `sam deploy` alike.
MACHINE := aarch64
include $(dir $(lastword $(MAKEFILE_LIST)))../tree.mk
