# SPDX-License-Identifier: GPL-2.0-only
# Functions for the VM's jobs; sourced by init.

# ins NAME [PARAMETERS]: inserts a module after those that it depends on.
ins() {
	local name=$1 file=/modules/$1.ko dep
	shift
	[ "$name" = vfio ] && file=/modules/$VFIO_CORE/vfio.ko
	grep -q "^$name " /proc/modules && return 0
	[ -e "$file" ] || { echo "@@ no module $name"; return 1; }
	for dep in $(sed -n "s/^$name://p" /modules/depends); do
		ins "$dep" || return 1
	done
	insmod "$file" "$@"
}

# The stack that the tests and the demo start from.
ins_vfio() {
	ins iommufd &&
	ins vfio &&
	{ [ "$VFIO_CORE" = rust ] || ins vfio_iommu_type1; } &&
	ins vfio_pci_core &&
	ins vfio_pci "$@"
}

# Kernel log: a line that the host can see on the console too.
klog() { echo "vfio-selftest: $*" >/dev/kmsg; }

# run NAME COMMAND...: one test program between two marks, its time limited by $LIMIT seconds.
run() {
	local name=$1 rc
	shift
	klog "begin $name"
	echo "@@ begin $name"
	timeout -s KILL "${LIMIT:-600}" "$@"
	rc=$?
	# What a killed program did not end.
	echo
	echo "@@ end $name $rc"
	klog "end $name $rc"
	return $rc
}
