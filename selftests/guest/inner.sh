# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=busybox
# Functions of the inner guest's shell.  Those that test print what is wrong and fail.

# A device is its address on the inner guest's bus; the folder of it.
pci() { echo "/sys/bus/pci/devices/$1"; }

# there PATH: waits for a file; whoever asked has a limit.
there() {
	until [ -e "$1" ]; do sleep 0.1; done
}

# edu ADDRESS [TEST...]: tests of guest_edu.
edu() {
	local dev test result failed=0
	dev=$(pci "$1")/edu
	shift
	ins guest_edu
	[ $# != 0 ] || set -- mmio intx msi dma
	for test; do
		result=$(cat "$dev/$test")
		echo "edu $test $result"
		[ "$result" = ok ] || failed=1
	done
	return $failed
}

# interface ADDRESS: the name of a network device.
interface() {
	find "$(pci "$1")/" -maxdepth 3 -path '*/net/*' ! -path '*/net/*/*' | sed 's|.*/||'
}

# The addresses of QEMU's user network, and of the service that sends back what it gets.
GATEWAY=10.0.2.2
ECHO=10.0.2.100

# pings INTERFACE SIZE: ping itself is content with one answer.
pings() {
	ping -c 3 -W 60 -I "$1" -s "$2" $GATEWAY >/tmp/pings
	cat /tmp/pings
	grep -q '3 packets received, 0% packet loss' /tmp/pings
}

# net ADDRESS DRIVER: an address by DHCP, answers to pings, data there and back.  Then the NIC receives no more:
# QEMU's e1000e goes on with the ring of this guest after a reset, in the memory of the next.
net() {
	local nic
	ins "$2" || return 1
	nic=$(interface "$1")
	[ "$nic" ] || { echo "the driver $2 made no interface"; return 1; }
	ip link set "$nic" up
	udhcpc -i "$nic" -n -q -t 30 -T 2 -s /lib/udhcpc.sh || return 1
	pings "$nic" 56 && pings "$nic" 1400 || return 1
	dd if=/dev/urandom of=/tmp/sent bs=64k count=4 status=none
	nc $ECHO 7 </tmp/sent | head -c 262144 >/tmp/came
	cmp /tmp/sent /tmp/came && echo "echo of $(wc -c </tmp/came) bytes" && ip link set "$nic" down
}

# nvme ADDRESS: writes to the disk past the cache and reads back; prints the sum of the data.
nvme() {
	local disk
	# Seconds, for a machine that has other things to do.
	ins nvme_core io_timeout=255 admin_timeout=255
	ins nvme
	until disk=$(find "$(pci "$1")/" -maxdepth 4 -name 'nvme*n1' | grep .); do sleep 0.1; done
	disk=/dev/$(basename "$disk")
	there "$disk"
	dd if=/dev/urandom of=/tmp/data bs=1M count=2 status=none
	dd if=/tmp/data of="$disk" bs=64k seek=16 oflag=direct conv=fsync status=none || return 1
	dd if="$disk" of=/tmp/back bs=64k skip=16 count=32 iflag=direct status=none || return 1
	cmp /tmp/data /tmp/back && sha256sum </tmp/data
}

# stream REGISTERS: has a serial port send without end; stream_goes_on: it comes back even now,
# and all of it did so far.
stream() {
	: >/tmp/stream
	serial stream "$1" >>/tmp/stream 2>&1 &
	streamer=$!
	stream_goes_on
}

stream_goes_on() {
	local count
	count=$(wc -l </tmp/stream)
	while [ "$(wc -l </tmp/stream)" -le $((count + 4)) ]; do
		kill -0 "$streamer" || { tail -n 1 /tmp/stream; return 1; }
		sleep 0.1
	done
}

# ttys ADDRESS: the terminals of a serial card.
ttys() {
	find "$(pci "$1")/" -name 'ttyS*' | sed 's|.*/|/dev/|' | sort
}
