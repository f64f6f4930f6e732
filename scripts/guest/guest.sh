# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=busybox
# Functions for the VM's jobs; sourced by init.

# ins NAME [PARAMETERS]: inserts a module after those that it depends on, with the parameters
# that the machine needs (/parameters) and those given.
ins() {
	local name=$1 file=/modules/$1.ko dep
	shift
	[ "$name" = vfio ] && file=/modules/$VFIO_CORE/vfio.ko
	[ -e "/sys/module/$name/initstate" ] && return 0
	[ -e "$file" ] || { echo "@@ no module $name"; return 1; }
	# shellcheck disable=SC2013 # they are words
	for dep in $(sed -n "s/^$name://p" /modules/depends); do
		ins "$dep" || return 1
	done
	# shellcheck disable=SC2046
	insmod "$file" $(sed -n "s/^$name //p" /parameters) "$@"
}

# The stack that the tests and the demo start from; a kernel may be without iommufd or type1.
ins_vfio() {
	local name
	for name in iommufd vfio vfio_iommu_type1 vfio_pci_core; do
		case $name in iommufd|vfio_iommu_type1) [ -e "/modules/$name.ko" ] || continue ;; esac
		ins "$name" || return 1
	done
	ins vfio_pci "$@"
}

# Kernel log: a line that the host can see on the console too.
klog() { echo "vfio-selftest: $*" >/dev/kmsg; }

# run NAME COMMAND...: one test program between two marks, its time limited by $LIMIT seconds, which only what
# hangs may reach: the limits of single cases are lower (selftests/lib/test.h).
run() {
	local name=$1 rc
	shift
	klog "begin $name"
	echo "@@ begin $name"
	timeout -s KILL "${LIMIT:-1800}" "$@"
	rc=$?
	# What a killed program did not end.
	echo
	echo "@@ end $name $rc"
	klog "end $name $rc"
	return $rc
}

# bind_vfio ADDRESS: gives a device to vfio-pci.
bind_vfio() {
	local dev=/sys/bus/pci/devices/$1
	[ -e "$dev/driver" ] && echo "$1" >"$dev/driver/unbind"
	echo vfio-pci >"$dev/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(basename "$(readlink "$dev/driver")")" = vfio-pci ]
}

# debug_tools: TAP on the kernel's debugging tools at the end of a run.  Lockdep switches itself
# off with its first report, so that it says nothing more: it must still be on.
debug_tools() {
	local leaks=/sys/kernel/debug/kmemleak
	echo "TAP version 13"
	echo 1..2
	if grep -q '^ debug_locks: *1' /proc/lockdep_stats; then echo ok 1 lockdep is on; else
		grep debug_locks /proc/lockdep_stats
		echo not ok 1 lockdep is on
	fi
	# An object must be five seconds old to count as leaked, and its contents unchanged between
	# two scans.
	sleep 6
	echo scan >$leaks
	sleep 6
	echo scan >$leaks
	cat $leaks >/tmp/leaks
	if [ ! -s /tmp/leaks ]; then echo ok 2 kmemleak finds nothing; else
		sed 's/^/# /' /tmp/leaks
		echo not ok 2 kmemleak finds nothing
	fi
}

# run_tests [NAME...]: the programs by lib.mk's run_tests.  There is no compiler: make must find
# everything newer than its sources.
run_tests() {
	local names=
	touch /selftests/lib/*.o
	find /selftests -type f -not -name '*.o' -exec touch {} +
	for name in "$@"; do names="$names /selftests/$name"; done
	echo "1..$#"
	make -C /src/selftests OUTPUT=/selftests KSRC=/ksrc TEST_GEN_PROGS="$names" run_tests
}
