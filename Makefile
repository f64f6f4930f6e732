# SPDX-License-Identifier: GPL-2.0-only
# vfio.ko in Rust.  "make help" lists what there is.  The module's own makefile is Kbuild.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# Seconds since the epoch, for the times that the steps print.
export RUST_VFIO_T0 ?= $(shell date +%s)
# Those that are set: make would export the others as empty, to a make that a recipe starts, too.
$(foreach name,KDIR KERNEL_SOURCE ACCEL V LLVM MIRROR JOBS INSTALL_MOD_PATH MODULE PART RESUME,\
	$(if $(filter undefined,$(origin $(name))),,$(eval export $(name))))

# A shell that expanded to nothing would have the reference kernel built in its place.
ifneq ($(filter command environment,$(firstword $(origin KDIR))),)
ifeq ($(strip $(KDIR)),)
$(error KDIR= is empty: name a kernel build folder (/lib/modules/$$(uname -r)/build), or leave it out for the reference kernel)
endif
endif

S := scripts
H := $(S)/host
CORES ?= c,rust
CORE ?= rust
KERNEL ?= base
MACHINE ?= default
# Debian's own, with the modules that it left out; or the reference kernel.
DEMO_KERNEL ?= set
DEMO_set := on Debian's newest kernel as it is shipped, with iommufd and VFIO built as modules; at first 5 to 10 minutes
DEMO_reference := on the kernel of the tests, which is compiled; at first 15 to 30 minutes
$(if $(DEMO_$(DEMO_KERNEL)),,$(error DEMO_KERNEL=$(DEMO_KERNEL): set, or reference))
# A VM waits part of its time: one more than processors.
VMS ?= $(shell echo $$(($$(nproc) + 1)))
MODES ?= iommufd,compat,legacy
# A tree of one's own serves the module alone: what boots, boots the reference kernel.
SUITE := env -u KDIR $(H)/enter $(S)/suite
# Without them the other tests can run still.
CRATES := { for crate in client device host model; do $(H)/build-crate $$crate --fetch; done; } || true

.PHONY: all module
all: module

module:
	@if [ -z "$$KDIR" ]; then $(H)/prepare $(KERNEL); fi
	@$(H)/build-module $(KERNEL)

# One a line: many hands add to them.
SUITES := \
	test \
	test-debug \
	test-mutants \
	test-mutations \
	test-costs \
	test-kernel \
	test-viommu \
	test-arm64 \
	test-variants \
	test-stock \
	test-drivers \
	test-guest \
	test-dpdk \
	test-modprobe \
	test-package \
	test-install \
	test-vfioctl

.PHONY: demo demo-sva $(SUITES) test-all results shell fuzz bench bench-quick bench-check bench-scaling
demo:
	@echo "demo: $(DEMO_$(DEMO_KERNEL)); later seconds" >&2
	@$(H)/prepare $(DEMO_KERNEL:reference=base)
	@$(SUITE) demo --core $(CORE) --kernel $(DEMO_KERNEL:reference=base)

demo-sva:
	@$(H)/prepare base
	@$(CRATES)
	@$(SUITE) demo --core $(CORE) demo_sva

test:
	@$(H)/prepare base
	@$(CRATES)
	@set -f; $(SUITE) run-tests --cores $(CORES) --vms $(VMS) $(if $(TABLE),--table $(TABLE)) \
		$(if $(POINTS),--points $(POINTS)) $(TESTS)

test-viommu:
	@$(H)/prepare base
	@set -f; $(SUITE) test-viommu --cores $(CORES) --vms $(VMS) $(TESTS)

test-arm64:
	@$(H)/prepare arm64
	@set -f; $(SUITE) test-viommu --machines arm64 --cores $(CORES) --vms $(VMS) $(TESTS)

test-variants:
	@set -f; variants=$$($(SUITE) test-variants --list --variants "$(VARIANTS)") && \
		$(H)/prepare base $$variants && \
		$(SUITE) test-variants --variants "$$variants" --cores $(CORES) --vms $(VMS) $(TESTS)

test-stock:
	@set -f; kernels=$$($(SUITE) test-stock --list --variants "$(VARIANTS)") && \
		$(H)/prepare $$kernels && \
		$(SUITE) test-stock --variants "$$kernels" --cores $(CORES) --vms $(VMS) \
			$(if $(TABLE),--table $(TABLE)) $(TESTS)

test-debug:
	@$(H)/prepare base debug
	@$(CRATES)
	@set -f; $(SUITE) test-debug $(TESTS)

test-mutants:
	@$(H)/prepare base
	@$(CRATES)
	@set -f; $(SUITE) test-mutants $(TESTS)

test-mutations:
	@$(H)/prepare base
	@$(CRATES)
	@$(H)/build-crate mutate --fetch
	@set -f; $(SUITE) test-mutations $(if $(NUMBER),--number $(NUMBER)) $(if $(SEED),--seed $(SEED)) \
		$(if $(TABLE),--table $(TABLE)) $(TESTS)

test-costs:
	@$(H)/prepare base
	@set -f; $(SUITE) test-costs --cores $(CORES) $(TESTS)

test-kernel:
	@$(H)/prepare base
	@set -f; $(SUITE) test-kernel --cores $(CORES) --vms $(VMS) $(if $(TABLE),--table $(TABLE)) $(TESTS)

test-guest:
	@$(H)/prepare base
	@set -f; $(SUITE) test-guest --cores $(CORES) --vms $(VMS) --modes $(MODES) $(TESTS)

test-drivers:
	@$(H)/prepare drivers
	@set -f; $(SUITE) test-drivers --cores $(CORES) --vms $(VMS) $(TESTS)

test-dpdk:
	@$(H)/prepare base
	@$(H)/dpdk >/dev/null
	@set -f; $(SUITE) test-dpdk --cores $(CORES) --vms $(VMS) $(TESTS)

test-modprobe:
	@$(H)/prepare base
	@set -f; $(SUITE) test-modprobe --cores $(CORES) --vms $(VMS) $(TESTS)

.PHONY: package
package:
	@$(H)/prepare stock stock-7.2
	@$(H)/package-root minimal >/dev/null
	@$(H)/package
	@$(H)/piuparts
	@set -f; $(SUITE) test-package --checks $(TESTS)

test-package:
	@$(H)/prepare stock stock-7.2
	@$(H)/package-root minimal >/dev/null
	@$(H)/package
	@set -f; $(SUITE) test-package $(TESTS)

test-install:
	@$(H)/prepare stock
	@$(H)/package-root minimal >/dev/null
	@$(H)/package
	@$(SUITE) test-install $(TESTS)

test-vfioctl:
	@$(H)/prepare base stock
	@$(H)/build-crate vfioctl --fetch
	@$(H)/build-crate device --fetch
	@set -f; $(SUITE) test-vfioctl --cores $(CORES) --vms $(VMS) $(TESTS)

.PHONY: vfioctl
vfioctl:
	@$(H)/build-crate vfioctl

# Each, even if one before it fails.
test-all:
	@failed=0; for suite in $(SUITES); do \
		$(MAKE) $$suite || failed=1; \
	done; $(SUITE) results $(SUITES:test=run-tests); exit $$failed

results:
	@$(SUITE) results $(SUITES:test=run-tests)

shell:
	@$(H)/prepare $(KERNEL)
	@$(SUITE) vm shell --core $(CORE) --kernel $(KERNEL) --machine $(MACHINE)

fuzz:
	@$(H)/prepare base $(filter-out base,$(KERNEL))
	@$(H)/build-crate fuzz --fetch
	@$(SUITE) fuzz --cores $(CORES) --kernel $(KERNEL) $(if $(MACHINES),--machines $(MACHINES)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(CORPUS),--corpus $(CORPUS)) \
		$(if $(REPLAY),--replay $(REPLAY)) $(if $(LEAVE_OUT),--leave-out $(LEAVE_OUT))

bench:
	@$(H)/prepare base
	@$(SUITE) bench --cores $(CORES) $(if $(JSON),--json $(JSON)) $(if $(TABLE),--table $(TABLE))

bench-quick:
	@$(H)/prepare base
	@$(SUITE) bench-quick --cores $(CORES) $(if $(JSON),--json $(JSON)) $(if $(PROFILE),--profile $(PROFILE))

bench-check:
	@$(H)/prepare base
	@$(SUITE) bench-quick $(if $(RENEW),--renew,--check)

bench-scaling:
	@$(H)/prepare base
	@$(SUITE) bench-quick --scaling $(if $(TABLE),--table $(TABLE))

# What check-tables compares.
.PHONY: tables
tables:
	@$(H)/prepare base
	@$(SUITE) tables

.PHONY: set install uninstall install-set uninstall-set
set:
	@$(H)/build-set

install uninstall:
	@$(H)/install-module $@

install-set uninstall-set:
	@$(H)/install-module $(@:-set=) set

# The longest first.
CHECKS := check-compile-fail check-crates check-patch check-variants check-rustdoc clippy check-vfioctl check-layout \
	fmt-check check-unsafe check-layers check-exports check-series check-uapi check-semantics check-doc \
	check-tables check-mutants check-shell check-python check-descriptions check-version

.PHONY: fmt $(CHECKS) check
fmt $(CHECKS):
	@env -u MAKEFLAGS $(S)/checks/check $@
# Side by side, for most of them use one processor.  Each, even if one before it fails.
check:
	@$(MAKE) -k -j$${JOBS:-$$(nproc)} -O $(CHECKS)

.PHONY: semantics-table
semantics-table:
	@$(H)/enter python3 $(S)/checks/check-semantics --write

.PHONY: clean distclean
clean:
	@rm -rf build

distclean: clean
	@$(H)/clean-cache

.PHONY: help
help:
	@sed -n 's/^# help: \{0,1\}//p' Makefile

# help: vfio.ko in Rust.  All but KDIR= works as root on Debian and makes what it needs first.
# help:
# help:   make                 build vfio.ko against the reference kernel and print its path
# help:   make KDIR=TREE       ... against a kernel tree of your own, with your own tools (LLVM=1)
# help:   make demo            a PCI device's whole life on the Rust core, in a VM, step by step, on
# help:                        Debian's own kernel          DEMO_KERNEL=reference: on that of the tests
# help:   make demo-sva        a process and a device share addresses, likewise
# help:   make test            the tests, on the C core and on ours, side by side
# help:                          TESTS='PATTERN...'  some of them     CORES=c,rust  which cores
# help:                          TABLE=Documentation/measurements.rst  renew the numbers there
# help:                          POINTS=Documentation/measurements.rst  with TESTS='fail_nth*': of failing allocations
# help:   make test-viommu     the tests of PCI devices behind each IOMMU: VT-d in three modes, AMD,
# help:                          virtio, none                    TESTS=, CORES= as above
# help:   make test-arm64      the tests on arm64, behind an SMMUv3 (a kernel more: 10 to 40 minutes)
# help:   make test-variants   the tests on Linux 7.2, on kernels without groups, containers, iommufd,
# help:                          KVM ... and with CFI or MODVERSIONS (a kernel more for each)
# help:                          VARIANTS='linux-7.2 cfi'  some of them
# help:   make test-stock      the tests on Debian's own, unmodified kernels, built by gcc
# help:                          VARIANTS='stock set'  some of them: with vfio.ko alone, with iommufd too
# help:                          TABLE=Documentation/install.rst  renew the rows of these kernels there
# help:   make test-debug      demo and tests on a kernel with KASAN, lockdep and kmemleak
# help:   make test-mutants    cores with a mistake in them, on which the tests must fail
# help:                          TESTS='PATTERN...'  some mutants
# help:   make test-mutations  mutants that a tool makes by rules: do the tests notice?
# help:                          NUMBER=130 SEED=1  how many, and which    TESTS='drop-check rust/file'
# help:   make test-costs      what operations cost, in guest instructions, ours against C, has bounds
# help:                          TESTS='PATTERN...'  some operations
# help:   make test-kernel     the kernel's own selftests, which must come out equal on both cores
# help:                          TESTS=, CORES=    as above
# help:                          TABLE=Documentation/measurements.rst  renew the table there
# help:   make test-guest      QEMU in the VM gives its devices to a guest of its own, on both cores
# help:                          TESTS='PATTERN...'  some scenarios
# help:                          MODES=iommufd,compat,legacy   by the device's node, by its group with
# help:                          an iommufd, by its group with a container
# help:   make test-dpdk       DPDK's testpmd drives NICs by their groups, with an IOMMU and without
# help:                          TESTS=, CORES=    as above
# help:   make test-modprobe   installed under updates/: modprobe, aliases, autoload, going back
# help:                          TESTS='PATTERN...'  some cases
# help:   make test-vfioctl    the program vfioctl on devices of the VM, on both cores
# help:                          TESTS='PATTERN...'  some scenarios
# help:   make test-drivers    each VFIO driver that builds for x86-64 is loaded on both cores (a kernel
# help:                          more: 15 to 40 minutes)             TESTS=, CORES= as above
# help:   make package         Debian packages for DKMS, in build/package: built, checked by lintian, installed
# help:                          and purged in a fresh Debian root        TESTS=rust-vfio-set  one of them
# help:   make test-package    ... a kernel upgraded under them, booted in the VM with Debian's kernels
# help:   make test-install    the commands of Documentation/install.rst, in a Debian root and in the VM
# help:   make fuzz            random sequences of calls on both cores, which must do the same
# help:                          SECONDS=60 SEED=  how long, from which seed    KERNEL=debug
# help:                          MACHINES=default,noiommu  with an IOMMU, without
# help:                          REPLAY=SEED LEAVE_OUT=N+N  one sequence, call by call
# help:   make test-all        all of the tests
# help:   make results         when each suite ran last, on which commit, and how it ended
# help:                          Any suite: PART=3/8  a part of its boots    RESUME=1  boots that have
# help:                          passed with these very programs and modules are not run again
# help:   make shell           a shell in the VM        CORE=rust|c  KERNEL=base|debug
# help:                          MACHINE=amd, virtio, arm64 ... (scripts/suites/machines.py)
# help:   make bench           guest instructions of each operation, ours and C
# help:                          JSON=FILE  write the counts
# help:                          TABLE=Documentation/measurements.rst  renew the table there
# help:   make bench-quick     the instructions in vfio.ko of each operation, ours and C, without a VM, in seconds
# help:                          JSON=FILE  write the counts       PROFILE=OPERATION  the counts of functions
# help:   make bench-check     ... and fail if a count of ours is more than 2 % above the recorded one
# help:                          RENEW=1  record the counts
# help:   make bench-scaling   ... among 1 to 4,096 devices, and fail if a count grows faster than a logarithm
# help:                          TABLE=Documentation/measurements.rst  renew the table there
# help:   make tables          write the tables of the documents that can be had of the source
# help:
# help:   make check           all of the following checks
# help:   make fmt, fmt-check  rustfmt with the kernel's settings
# help:   make clippy          clippy with the kernel's settings
# help:   make check-variants  ... against kernels without groups and without iommufd
# help:   make check-unsafe    unsafe lines per file; none outside of rust/kapi, rust/shared and rust/abi
# help:   make check-layers    imports of rust/ go down only, and in no circle
# help:   make check-compile-fail   what the types must exclude does not compile
# help:   make check-layout    Rust's view of C structures, also for other configurations
# help:   make check-exports   exported symbols and their prototypes, against the C core's
# help:   make check-series    kernels that the module is not for are refused
# help:   make check-uapi    our ioctl, feature and extension numbers are none of the kernel's
# help:   make check-patch     the kernel's checkpatch.pl on our C
# help:   make check-mutants   the patches of make test-mutants apply
# help:   make check-tables    the tables that make tables writes are not stale
# help:   make check-semantics each statement of behaviour.rst has a test, or a reason for none
# help:   make semantics-table   ... and the table of both, Documentation/semantics-tests.rst
# help:   make check-doc       README and Documentation are valid reStructuredText
# help:   make check-shell     shellcheck on the scripts in shell
# help:   make check-python    pylint on the scripts in Python
# help:   make check-vfioctl   clippy on the program vfioctl, and its tests that need no VM
# help:
# help:   make install         vfio.ko to INSTALL_MOD_PATH/lib/modules/RELEASE/updates, and depmod;
# help:   make uninstall         both want KDIR= or INSTALL_MOD_PATH=; MODULE=FILE is not built
# help:   make vfioctl         the program that shows, binds and diagnoses devices; prints its folder
# help:   make set KDIR=HEADERS   iommufd and VFIO's modules with device nodes, for a kernel that was built
# help:                        without; make install-set, uninstall-set
# help:   make clean           what was built in the checkout
# help:   make distclean       ... and the cache (toolchain root, kernels)
# help:
# help:   V=1          show commands              JOBS=N        jobs of a build
# help:   ACCEL=kvm|tcg  the VM's accelerator      VMS=N         VMs side by side (processors + 1)
# help:   KERNEL_SOURCE=TARBALL|FOLDER             instead of Debian's kernel source
# help:   MIRROR=URL   Debian's mirror             XDG_CACHE_HOME  where the cache lies
