# What the wheels of this architecture are called. template.yaml runs make in this folder when its
# parameter Architecture is x86_64: the parameter alone decides, for `sam build` and `sam deploy` alike.
MACHINE := x86_64
include $(dir $(lastword $(MAKEFILE_LIST)))../tree.mk
