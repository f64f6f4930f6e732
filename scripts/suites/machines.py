# SPDX-License-Identifier: GPL-2.0-only
"""What the VMs are made of: devices, IOMMUs, platforms, and the machines that put them together."""

import collections
import dataclasses

# id, where it sits (guest address), QEMU's arguments.  The guest finds the addresses in its
# environment under the id in capitals: EDU0=0000:00:04.0.  A device with features is not QEMU's: it is
# served by a process beside QEMU, the program in selftests/device, which knows what the words mean.
Device = collections.namedtuple("Device", "id address args features", defaults=("",))

EDU = "edu,dma_mask=18446744073709551615"
# As a device on PCI of today, which does DMA through the IOMMU
VIRTIO_NET = "virtio-net-pci,disable-legacy=on,iommu_platform=on,romfile="

# A port whose bus can be reset: QEMU's link never tells that it is up, and of a slow one that does not plug
# Linux does not want to know.
PORT = "pcie-root-port,hotplug=off,x-speed=2_5"

# One set for everything: plain devices, two groups of two functions, a device that can be
# unplugged, a device with MSI-X.
DEVICES = [
    Device("testdev0", "0000:00:03.0", "iommu-testdev,addr=3.0"),
    Device("edu0", "0000:00:04.0", f"{EDU},addr=4.0"),
    # a group of two devices without a host driver
    Device("pair0", "0000:00:05.0", f"{EDU},addr=5.0,multifunction=on"),
    Device("pair1", "0000:00:05.1", f"{EDU},addr=5.1"),
    # a group of which one device has a host driver
    Device("mixed0", "0000:00:06.0",
           "virtio-rng-pci,addr=6.0,multifunction=on,disable-legacy=on,iommu_platform=on"),
    Device("mixed1", "0000:00:06.1", f"{EDU},addr=6.1"),
    # behind root ports
    Device("rp1", "0000:00:07.0", "pcie-root-port,addr=7.0,chassis=1,slot=1"),
    Device("hot0", "0000:01:00.0", f"{EDU},bus=rp1"),
    Device("rp2", "0000:00:08.0", "pcie-root-port,addr=8.0,chassis=2,slot=2"),
    Device("igb0", "0000:02:00.0", "igb,bus=rp2"),
    Device("testdev1", "0000:00:09.0", "iommu-testdev,addr=9.0"),
]

# For an IOMMU that does not confine a device's interrupts (no interrupt remapping): without
# these, iommufd and the container refuse the device.
UNSAFE_INTERRUPTS = {"iommufd": "allow_unsafe_interrupts=1", "vfio_iommu_type1": "allow_unsafe_interrupts=1"}


@dataclasses.dataclass(frozen=True)
class Iommu:
    """An IOMMU that QEMU emulates."""
    qemu: tuple = ()          # arguments
    kernel: str = ""          # arguments
    cpu: str = ""             # if it takes another than the platform's
    parameters: dict = dataclasses.field(default_factory=dict)   # of modules, when the guest inserts them


@dataclasses.dataclass(frozen=True)
class Platform:
    """A kind of computer: QEMU's program and arguments, the kernel for it."""
    qemu: str
    machine: str
    cpu: str
    ports: tuple              # QEMU's arguments for the chardevs console, requests (ttyS1), output (ttyS2)
    image: str                # in the kernel's build folder
    kernel: str               # arguments
    variant: str = ""         # the kernel's build, if there is but one


PC = Platform(
    qemu="qemu-system-x86_64", machine="q35,kernel-irqchip=split",
    # Without five-level page tables: an interrupt while the kernel identifies its boot processor finds
    # them "off", and KASAN reports a wild access that there was not.
    cpu="max,la57=off",
    ports=("-device", "isa-serial,chardev=console,index=0", "-device", "isa-serial,chardev=requests,index=1",
           "-device", "isa-serial,chardev=output,index=2,irq=5"),
    image="arch/x86/boot/bzImage", kernel="console=ttyS0 no_timer_check")

ARM = Platform(
    qemu="qemu-system-aarch64", machine="virt,gic-version=3",
    # The architecture's own hash for signed pointers is slow to emulate.
    cpu="max,pauth-impdef=on",
    # One card with four ports, of which the middle ones are connected: ttyS1 and ttyS2, as on a PC.
    ports=("-serial", "chardev:console", "-device", "pci-serial-4x,addr=1e.0,chardev2=requests,chardev3=output"),
    # A root port that sleeps does not tell of a device in its slot.
    image="arch/arm64/boot/Image", kernel="console=ttyAMA0 pcie_port_pm=off", variant="arm64")

IOMMUS = {
    "none": Iommu(),
    # Linux is ready for scalable mode (sm_on) and takes it where the IOMMU has it: legacy mode here.
    "intel-legacy": Iommu(("-device", "intel-iommu,intremap=on"), "intel_iommu=on,sm_on"),
    "intel-scalable": Iommu(("-device", "intel-iommu,intremap=on,scalable-mode=on"), "intel_iommu=on,sm_on"),
    # First-stage tables, those of the processor
    "intel-first-stage": Iommu(("-device", "intel-iommu,intremap=on,scalable-mode=on,fsts=on"),
                               "intel_iommu=on,sm_on"),
    "amd": Iommu(("-device", "amd-iommu,intremap=on,dma-remap=on"), cpu="EPYC", parameters=UNSAFE_INTERRUPTS),
    "virtio": Iommu(("-device", "virtio-iommu-pci,addr=1d.0"), parameters=UNSAFE_INTERRUPTS),
    # Page tables for PASIDs, device TLBs.  Caching mode tells QEMU what Linux maps, and QEMU the processes
    # that serve devices.
    "intel-pasid": Iommu(("-device", "intel-iommu,intremap=on,scalable-mode=on,pasid-bits=20,device-iotlb=on,"
                          "caching-mode=on"), "intel_iommu=on,sm_on"),
    # ... and what a process's own page tables need.
    "intel-sva": Iommu(("-device", "intel-iommu,intremap=on,scalable-mode=on,pasid-bits=20,device-iotlb=on,"
                        "caching-mode=on,fsts=on,svm=on"), "intel_iommu=on,sm_on"),
    # of the machine itself
    "smmuv3": Iommu(("-machine", "iommu=smmuv3")),
}


# What is given to a guest inside of the guest (scripts/suite test-guest).
GUEST_DEVICES = [
    Device("edu0", "0000:00:04.0", f"{EDU},addr=4.0"),
    Device("e1000e0", "0000:00:05.0", "e1000e,netdev=net0,romfile=,addr=5.0"),
    Device("virtionet0", "0000:00:06.0", f"{VIRTIO_NET},netdev=net1,addr=6.0"),
    Device("rp1", "0000:00:07.0", "pcie-root-port,addr=7.0,chassis=1,slot=1"),
    Device("igb0", "0000:01:00.0", "igb,netdev=net2,romfile=,bus=rp1"),
    Device("nvme0", "0000:00:08.0", "nvme,drive=disk0,serial=guest,addr=8.0"),
    # a group of two devices
    Device("pair0", "0000:00:09.0", f"{EDU},addr=9.0,multifunction=on"),
    Device("pair1", "0000:00:09.1", f"{EDU},addr=9.1"),
]

# A network of QEMU's own for each NIC: DHCP, a gateway that answers, and a port that sends back what it
# gets.  IPv6 would send advertisements that nobody asked for.  And a disk in a file that nobody else sees.
NETWORK = "ipv6=off,restrict=on,guestfwd=tcp:10.0.2.100:7-cmd:cat"
GUEST_BACKENDS = (*(a for n in range(3) for a in ("-netdev", f"user,id=net{n},{NETWORK}")),
                  "-drive", "if=none,id=disk0,driver=null-co,read-zeroes=on,size=64M,snapshot=on")

SVA = "ats pri pasid msix"
SVA_DEVICES = [
    Device("sva0", "0000:00:03.0", "vfio-user-pci,addr=3.0", SVA),
    Device("sva1", "0000:00:04.0", "vfio-user-pci,addr=4.0", SVA),
    # a group of two: functions that could be isolated from one another (without that, they would not
    # get PASIDs), and are not (SVA_PAIR)
    Device("svapair0", "0000:00:05.0", "vfio-user-pci,addr=5.0,multifunction=on", f"{SVA} acs"),
    Device("svapair1", "0000:00:05.1", "vfio-user-pci,addr=5.1", f"{SVA} acs"),
    Device("edu0", "0000:00:06.0", f"{EDU},addr=6.0"),
    # no page requests at all; such that Linux leaves off; no device TLB
    Device("nopri0", "0000:00:07.0", "vfio-user-pci,addr=7.0", "ats pasid msix"),
    Device("prioff0", "0000:00:08.0", "vfio-user-pci,addr=8.0", "ats pri-without-pasid pasid msix"),
    Device("noats0", "0000:00:09.0", "vfio-user-pci,addr=9.0", "pasid msix"),
    Device("rp1", "0000:00:0a.0", "pcie-root-port,addr=a.0,chassis=1,slot=1"),
    # It can be unplugged and plugged again: QEMU 11.1 aborts when a device of a server with MSI-X is.
    Device("svahot0", "0000:01:00.0", "vfio-user-pci,bus=rp1", "ats pri pasid again"),
    # one bus, two groups: they are reset together
    Device("rp2", "0000:00:0b.0", f"{PORT},addr=b.0,chassis=2,slot=2"),
    Device("svabus0", "0000:02:00.0", "vfio-user-pci,bus=rp2,addr=0.0,multifunction=on", f"{SVA} acs"),
    Device("svabus1", "0000:02:00.1", "vfio-user-pci,bus=rp2,addr=0.1", f"{SVA} acs"),
    # a third like the first two
    Device("sva2", "0000:00:0c.0", "vfio-user-pci,addr=c.0", SVA),
]
# Requests that functions make of one another go through the IOMMU, as those with PASIDs must; completions
# do not.
SVA_PAIR = "pci=config_acs=01xx@0000:00:05.0;01xx@0000:00:05.1"


# Two pairs of NICs, each back to back on a hub of its own: what one sends, the other gets (scripts/suite
# test-dpdk).
NICS = [
    Device("e1000e0", "0000:00:03.0", "e1000e,netdev=net0,romfile=,addr=3.0"),
    Device("e1000e1", "0000:00:04.0", "e1000e,netdev=net1,romfile=,addr=4.0"),
    Device("rp1", "0000:00:05.0", "pcie-root-port,addr=5.0,chassis=1,slot=1"),
    Device("igb0", "0000:01:00.0", "igb,netdev=net2,romfile=,bus=rp1"),
    Device("virtionet0", "0000:00:06.0", f"{VIRTIO_NET},netdev=net3,addr=6.0"),
]
NICS_BACKENDS = tuple(a for n in range(4) for a in ("-netdev", f"hubport,id=net{n},hubid={n // 2}"))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A machine that tests can ask for."""
    iommu: str
    devices: list = dataclasses.field(default_factory=lambda: DEVICES)
    platform: Platform = PC
    backends: tuple = ()      # QEMU's arguments: what the devices stand on
    kernel: str = ""          # arguments

    @property
    def parameters(self):
        return IOMMUS[self.iommu].parameters

    def variant(self, wish):
        """The build of the kernel that boots, where WISH is what the person asked for."""
        return self.platform.variant or wish


MACHINES = {
    "default": Kind("intel-legacy"),
    # A disk, which a client drives by itself
    "nvme": Kind("intel-legacy", [
        Device("nvme0", "0000:00:03.0", "nvme,addr=3.0,serial=rust-vfio"),
    ]),
    # Two devices that are reset together: a bridge of conventional PCI has no link that must come up again
    "bridge": Kind("intel-legacy", [
        Device("bridge0", "0000:00:03.0", "pcie-pci-bridge,addr=3.0"),
        Device("behind0", "0000:01:01.0", f"{EDU},bus=bridge0,addr=1.0,multifunction=on"),
        Device("behind1", "0000:01:01.1", f"{EDU},bus=bridge0,addr=1.1"),
    ]),
    # What PCI Express has besides: resets of a function and of a bus, errors, power states, memory that
    # one device shows to another.
    "pcie": Kind("intel-legacy", [
        Device("testdev0", "0000:00:03.0", "iommu-testdev,addr=3.0"),
        Device("edu0", "0000:00:04.0", f"{EDU},addr=4.0"),
        Device("rp1", "0000:00:05.0", f"{PORT},addr=5.0,chassis=1,slot=1"),
        Device("igb0", "0000:01:00.0", "igb,bus=rp1"),
        Device("rp2", "0000:00:06.0", f"{PORT},addr=6.0,chassis=2,slot=2"),
        Device("nvme0", "0000:02:00.0", "nvme,bus=rp2,serial=rust-vfio"),
        # one bus, two groups
        Device("rp3", "0000:00:07.0", f"{PORT},addr=7.0,chassis=3,slot=3"),
        Device("pair0", "0000:03:00.0", "igb,bus=rp3,addr=0.0,multifunction=on,x-pcie-ari-nextfn-1=on"),
        Device("pair1", "0000:03:00.1", "igb,bus=rp3,addr=0.1"),
        # reports errors
        Device("rp4", "0000:00:08.0", f"{PORT},addr=8.0,chassis=4,slot=4"),
        Device("rng0", "0000:04:00.0", "virtio-rng-pci,bus=rp4,aer=on"),
        # memory for a BAR
        Device("rp5", "0000:00:09.0", f"{PORT},addr=9.0,chassis=5,slot=5"),
        Device("shm0", "0000:05:00.0", "ivshmem-plain,bus=rp5,memdev=shm"),
        # A port that sleeps does not tell of errors.
    ], backends=("-object", "memory-backend-ram,id=shm,size=1M,share=on"), kernel="pcie_port_pm=off"),
    # A root port that cannot keep apart what is behind it, nor itself from that: one group
    "port": Kind("intel-legacy", [
        Device("rp1", "0000:00:03.0", f"{PORT},addr=3.0,chassis=1,slot=1"),
        Device("edu0", "0000:01:00.0", f"{EDU},bus=rp1"),
    ], kernel="pci=config_acs=00000@0000:00:03.0"),
    "noiommu": Kind("none", [
        Device("testdev0", "0000:00:03.0", "iommu-testdev,addr=3.0"),
        Device("edu0", "0000:00:04.0", f"{EDU},addr=4.0"),
        Device("edu1", "0000:00:05.0", f"{EDU},addr=5.0"),
    ]),
    # Physical functions that have virtual ones, of three makes.  Those of virtio are devices of their own to
    # QEMU, which come into being with the others; one hub connects all three.
    "sriov": Kind("intel-legacy", [
        Device("rp1", "0000:00:03.0", "pcie-root-port,addr=3.0,chassis=1,slot=1"),
        Device("igb0", "0000:01:00.0", "igb,bus=rp1"),
        Device("rp2", "0000:00:04.0", "pcie-root-port,addr=4.0,chassis=2,slot=2"),
        Device("subsystem", "", "nvme-subsys"),
        Device("nvme0", "0000:02:00.0", "nvme,bus=rp2,serial=rust-vfio,subsys=subsystem,sriov_max_vfs=2,"
               "sriov_vq_flexible=4,sriov_vi_flexible=2"),
        Device("rp3", "0000:00:05.0", "pcie-root-port,addr=5.0,chassis=3,slot=3"),
        *(Device(f"virtio{n}", f"0000:03:00.{n}",
                 f"{VIRTIO_NET},netdev=port{n},bus=rp3,addr=0.{n},sriov-pf=virtio0") for n in (2, 1)),
        Device("virtio0", "0000:03:00.0", f"{VIRTIO_NET},netdev=port0,bus=rp3"),
    ], backends=tuple(a for n in range(3) for a in ("-netdev", f"hubport,hubid=0,id=port{n}"))),
    # The kernel's own selftests: many kinds of devices, each in a group of its own
    "kernel": Kind("intel-legacy", [
        Device("testdev0", "0000:00:03.0", "iommu-testdev,addr=3.0"),
        Device("edu0", "0000:00:04.0", f"{EDU},addr=4.0"),
        Device("nvme0", "0000:00:05.0", "nvme,serial=nvme0,addr=5.0"),
        Device("e1000e0", "0000:00:06.0", "e1000e,addr=6.0"),
        Device("pcitest0", "0000:00:07.0", "pci-testdev,addr=7.0"),
        Device("xhci0", "0000:00:08.0", "qemu-xhci,addr=8.0"),
        Device("rp1", "0000:00:09.0", "pcie-root-port,addr=9.0,chassis=1,slot=1"),
        Device("igb0", "0000:01:00.0", "igb,bus=rp1"),
        Device("rp2", "0000:00:0a.0", "pcie-root-port,addr=a.0,chassis=2,slot=2"),
        Device("virtnet0", "0000:02:00.0", "virtio-net-pci,bus=rp2,disable-legacy=on,iommu_platform=on"),
    ]),
    # The same devices behind each IOMMU
    "intel-legacy": Kind("intel-legacy"),
    "intel-scalable": Kind("intel-scalable"),
    "intel-first-stage": Kind("intel-first-stage"),
    "amd": Kind("amd"),
    "virtio": Kind("virtio"),
    "arm64": Kind("smmuv3", platform=ARM),
    # PASIDs, without first-stage page tables: no process's page table can be used
    "pasid": Kind("intel-pasid", [
        Device("sva0", "0000:00:03.0", "vfio-user-pci,addr=3.0", SVA),
        Device("sva1", "0000:00:04.0", "vfio-user-pci,addr=4.0", SVA),
        Device("edu0", "0000:00:06.0", f"{EDU},addr=6.0"),
    ]),
    # What shared virtual addressing wants of a machine, and devices that lack something of it
    "sva": Kind("intel-sva", SVA_DEVICES, kernel=SVA_PAIR),
    # What is given to a guest inside of the guest (scripts/suite test-guest)
    "guest": Kind("intel-legacy", GUEST_DEVICES, backends=GUEST_BACKENDS),
    # What DPDK drives
    "nics": Kind("intel-legacy", NICS, backends=NICS_BACKENDS),
    "nics-noiommu": Kind("none", NICS, backends=NICS_BACKENDS),
}
