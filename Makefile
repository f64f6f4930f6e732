# SPDX-License-Identifier: GPL-2.0-only
# vfio.ko in Rust.  "make help" lists what there is.  The module's own makefile is Kbuild.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# Seconds since the epoch, for the times that the steps print.
export RUST_VFIO_T0 ?= $(shell date +%s)
export KDIR KERNEL_SOURCE ACCEL V LLVM MIRROR

S := scripts
ENTER := RUST_VFIO_BIND=$(RUST_VFIO_BIND) $(S)/enter
CORES ?= c,rust
CORE ?= rust
KERNEL ?= base
VMS ?= 2
# A tree of one's own serves the module alone: what boots, boots the reference kernel.
VM_ENTER := env -u KDIR $(S)/enter

.PHONY: all module
all: module

module:
	@if [ -z "$$KDIR" ]; then $(S)/prepare $(KERNEL); fi
	@$(S)/build-module $(KERNEL)

.PHONY: demo test test-debug shell bench
demo:
	@echo "demo: toolchain root, kernel, module, VM; at first 10 to 25 minutes, later seconds" >&2
	@$(S)/prepare base
	@$(VM_ENTER) python3 $(S)/demo.py --core $(CORE)

test:
	@$(S)/prepare base
	@$(VM_ENTER) $(S)/run-tests --cores $(CORES) --vms $(VMS) $(TESTS)

test-debug:
	@$(S)/prepare base debug
	@$(VM_ENTER) $(S)/test-debug $(TESTS)

shell:
	@$(S)/prepare $(KERNEL)
	@$(VM_ENTER) $(S)/run-shell --core $(CORE) --kernel $(KERNEL)

bench:
	@$(S)/prepare base
	@$(VM_ENTER) $(S)/bench.py

# In a packager's hands: DESTDIR by the name that the kernel uses, INSTALL_MOD_PATH.
.PHONY: install uninstall
install uninstall:
	@$(S)/install-module $@

.PHONY: fmt fmt-check clippy check-unsafe checkpatch check-doc check
fmt fmt-check clippy check-unsafe checkpatch check-doc:
	@$(S)/prepare $(if $(filter clippy,$@),base) 2>/dev/null || $(S)/prepare
	@$(S)/check $@

check:
	@$(S)/prepare base
	@$(S)/check all

.PHONY: clean distclean
clean:
	@rm -rf build

distclean: clean
	@$(S)/clean-cache

.PHONY: help
help:
	@cat $(S)/help.txt
