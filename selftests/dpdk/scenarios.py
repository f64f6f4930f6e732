# SPDX-License-Identifier: GPL-2.0-only
"""DPDK drives NICs through the core under test: by their groups, with a container of type1 or without an
IOMMU.

    scenarios.py type1|noiommu SCENARIO...

Two NICs are back to back, and testpmd sends on the one what it gets on the other."""

import contextlib
import json
import os
import re
import subprocess
import sys

from scenario import PciDevice, attempt, check, tap, write
from testpmd import Testpmd, proc_info

NOIOMMU = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
# Pages of 2 MiB: enough for two testpmds.
HUGE_PAGES = 256
# So many that every ring has gone round more than ten times.
PACKETS = 10000


class Nic(PciDevice):
    """A NIC of the test VM; its group has nobody else."""

    @property
    def group(self):
        number = os.path.basename(os.readlink(f"{self.path}/iommu_group"))
        return f"/dev/vfio/{'noiommu-' if Testpmd.mode == 'noiommu' else ''}{number}"

    def is_free(self):
        """Nobody has its group."""
        with open(self.group, "r+b", buffering=0):
            pass


@contextlib.asynccontextmanager
async def nics(*names):
    """NICs on vfio-pci.  Afterwards nobody has them, and the driver lets them go at once."""
    async with contextlib.AsyncExitStack() as stack:
        devices = [await stack.enter_async_context(Nic(name)) for name in names]
        yield devices
        for device in devices:
            device.is_free()
    check(module_users("vfio_pci") == 0, "vfio-pci is still in use")


# In the order of their addresses, as testpmd numbers its ports.
E1000E = "e1000e0", "e1000e1"
IGB_VIRTIO = "virtionet0", "igb0"


def module_users(name):
    with open(f"/sys/module/{name}/refcnt", encoding="ascii") as f:
        return int(f.read())


async def forwards(devices, prefix="one"):
    """A testpmd does its work from start to end."""
    async with Testpmd(*devices, prefix=prefix) as testpmd:
        testpmd.check_mode()
        await testpmd.start()
        await testpmd.forward(PACKETS)
        await testpmd.stop()
        await testpmd.quit()


# semantics: 125, 147, 148, 150, 155, 161, 163
async def e1000e():
    """Again and again: what one has given back, the next gets."""
    async with nics(*E1000E) as devices:
        for _ in range(2):
            await forwards(devices)


async def igb_virtio():
    async with nics(*IGB_VIRTIO) as devices:
        for _ in range(2):
            await forwards(devices)


async def set_link(device, up):
    """Has QEMU plug or pull a NIC's cable."""
    request = json.dumps({"execute": "set_link", "arguments": {"name": device, "up": up}})
    with open("/dev/ttyS1", "r+b", buffering=0) as port:
        port.write(request.encode() + b"\n")
        check(b"return" in port.readline(), f"QEMU does not do: {request}")


# semantics: 49, 120
async def link():
    """A cable pulled is an interrupt, and so is one plugged; no packet is lost that was not in it."""
    for names in E1000E, IGB_VIRTIO:
        async with nics(*names) as devices, Testpmd(*devices) as testpmd:
            await testpmd.wait_links(True, True)
            for number, name in enumerate(names):
                await set_link(name, False)
                await testpmd.wait_links(number == 1, number == 0)
                await set_link(name, True)
                await testpmd.wait_links(True, True)
            await testpmd.start()
            await testpmd.forward(PACKETS)
            await testpmd.stop()
            await testpmd.quit()


# semantics: 144, 151, 194
async def secondary():
    """Other processes share the first one's devices: it hands them its open files.  They come and go, well or
    not, and it goes on."""
    for names in E1000E, IGB_VIRTIO:
        async with nics(*names) as devices, Testpmd(*devices) as first:
            await first.start()
            await first.forward(PACKETS)
            said = await proc_info(devices)
            check(len(said) == 2 and min(said) >= PACKETS, f"dpdk-proc-info says that the ports got {said} packets")
            for end in "quit", "kill":
                async with Testpmd(*devices, secondary=True) as second:
                    for group in (device.group for device in devices):
                        # A group can be opened once: it is the first one's file.
                        check(group in second.files(), f"the second process does not have {group}")
                    check(await second.links() == [True, True], "the second process sees no links")
                    await getattr(second, end)()
                await first.forward(PACKETS)
            await first.stop()
            await first.quit()


async def refused(devices, prefix):
    """A testpmd that shares nothing with the others gets no device."""
    async with Testpmd(*devices, prefix=prefix) as testpmd:
        check(await testpmd.links() == [], "a device is shared with a recipient")
        for device in devices:
            check(re.search(rf"{device.group}: Device or resource busy", testpmd.said),
                  f"testpmd does not say that {device.group} is busy")
        await testpmd.quit()


# semantics: 144
async def two_primaries():
    """Who has the devices keeps them, and does not notice that another wanted them."""
    async with nics(*E1000E) as devices, Testpmd(*devices) as first:
        await first.start()
        await first.forward(PACKETS)
        await refused(devices, "two")
        await first.forward(PACKETS)
        await first.stop()
        await first.quit()
        await forwards(devices, "two")


# semantics: 126, 155, 165, 197
async def kill():
    """Killed amid DMA; the next has the devices at once, and they are as new."""
    for names in E1000E, IGB_VIRTIO:
        async with nics(*names) as devices:
            async with Testpmd(*devices) as testpmd:
                await testpmd.start()
                await testpmd.forward(PACKETS)
                await testpmd.kill()
            await forwards(devices)


# semantics: 144, 152
async def orphan():
    """The first process is killed while a second has its files: these keep the devices."""
    async with nics(*E1000E) as devices:
        async with Testpmd(*devices) as first:
            await first.start()
            async with Testpmd(*devices, secondary=True) as second:
                await first.forward(PACKETS)
                # It would end when the first does.
                second.freeze()
                await first.kill()
                await refused(devices, "two")
                await second.kill()
        await forwards(devices, "two")


# semantics: 86, 126, 200
async def unbind():
    """vfio-pci loses a NIC amid DMA: testpmd is asked for it, gives it back, and the unbinding returns."""
    async with nics(*E1000E) as devices:
        async with Testpmd(*devices, arguments=["--hot-plug"]) as testpmd:
            await testpmd.start()
            await testpmd.forward(PACKETS)
            await devices[1].unbind()
            await testpmd.wait_detached()
            check(len(await testpmd.links()) == 1, "testpmd has kept the port")
            await testpmd.quit()
        devices[1].give_to("vfio-pci")
        await forwards(devices)


SCENARIOS = [e1000e, igb_virtio, link, secondary, two_primaries, kill, orphan, unbind]


def faults():
    """What the IOMMU has refused so far, as the kernel's log says it."""
    said = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if re.search(r"DMAR: .*\bfault\b", line)]


def trouble_of(scenario):
    """What is wrong with a scenario, and what the testpmds said then."""
    Testpmd.made = []
    before = faults()
    trouble = attempt(scenario)
    trouble += [f"DMA went astray: {line}" for line in faults()[len(before):]]
    return trouble and trouble + [line for testpmd in Testpmd.made for line in testpmd.log()]


def prepare():
    """What DPDK's manual wants of a machine, and this one lacks."""
    # It loads no drivers from a folder that others may write to.
    os.chmod("/", 0o755)
    write("/proc/sys/vm/nr_hugepages", str(HUGE_PAGES))
    os.makedirs("/dev/hugepages", exist_ok=True)
    subprocess.run(["mount", "-t", "hugetlbfs", "hugetlbfs", "/dev/hugepages"], check=True)
    # A second process maps memory where the first has it.
    write("/proc/sys/kernel/randomize_va_space", "0")
    os.makedirs("/var", exist_ok=True)
    os.symlink("/run", "/var/run")
    if Testpmd.mode == "noiommu":
        write(NOIOMMU, "Y")


def main():
    Testpmd.mode, names = sys.argv[1], sys.argv[2:]
    prepare()
    return tap([s for s in SCENARIOS if s.__name__ in names], trouble_of)


if __name__ == "__main__":
    sys.exit(main())
