#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Guests inside of the test VM: QEMU gives them devices through the core under test, and what the
guests do with those is the verdict.

    scenarios.py iommufd|compat|legacy kvm|tcg SCENARIO...

"iommufd" opens the devices' own nodes, "legacy" their groups with a container, "compat" the groups with an
iommufd in a container's place.  The guests run by KVM or are emulated."""

import contextlib
import hashlib
import os
import sys
import time

from inner import Guest, Mtty
from scenario import COMMAND, PciDevice, attempt, check, in_time, tap


async def edu():
    async with PciDevice("edu0") as device, Guest(device) as guest:
        await guest.up()
        await guest.edu()
        await guest.off()


async def nic(name, driver):
    async with PciDevice(name) as device, Guest(device) as guest:
        await guest.up()
        await guest.net(driver)
        await guest.off()


async def e1000e():
    await nic("e1000e0", "e1000e")


async def virtio_net():
    await nic("virtionet0", "virtio_net")


async def igb():
    await nic("igb0", "igb")


def disk_sum(device):
    """What the VM's own driver reads of the disk, where the guest's nvme() wrote."""
    device.give_to("nvme")
    disk = f"/dev/{os.listdir(f'{device.path}/nvme')[0]}n1"
    while not os.path.exists(disk):
        time.sleep(0.1)   # the driver looks for its disks in the background
    with open(disk, "rb") as f:
        f.seek(1 << 20)
        return hashlib.sha256(f.read(2 << 20)).hexdigest()


async def nvme():
    device = PciDevice("nvme0")
    async with device, Guest(device) as guest:
        await guest.up()
        written = await guest.nvme()
        await guest.off()
    # The device is there for others again, with the guest's data.
    check(disk_sum(device) == written, "the VM reads other data than the guest wrote")
    device.give_to(None)


async def fds():
    """QEMU is given open files, and opens none itself."""
    async with PciDevice("edu0") as device:
        iommufd = os.open("/dev/iommu", os.O_RDWR)
        cdev = os.open(device.node, os.O_RDWR)
        try:
            guest = Guest(f"fd={cdev},iommufd=iommufd1", fds=[iommufd, cdev],
                          arguments=["-object", f"iommufd,id=iommufd1,fd={iommufd}"])
            async with guest:
                await guest.up()
                await guest.edu()
                await guest.off()
        finally:
            os.close(cdev)
            os.close(iommufd)


async def unbind():
    """The driver loses the device under the running guest: the guest is asked to give it back."""
    device = PciDevice("edu0")
    async with device, Guest(device, behind_port=True) as guest:
        await guest.up()
        await guest.edu()
        node = device.node
        with guest.qmp.listener("DEVICE_DELETED") as deleted:
            await device.unbind()
            check(not os.path.exists(node), f"{node} is still there")
            while (await in_time(deleted.get(), COMMAND, "DEVICE_DELETED"))["data"].get("device") != "dev0":
                pass
        await guest.expect(f"[ -e $(pci {guest.address[0]}) ] || echo gone", "gone")
        # The device serves others while that guest still runs.
        device.give_to("vfio-pci")
        async with Guest(device) as other:
            await other.up()
            await other.edu()
            await other.off()
        await guest.off()


async def kill():
    """QEMU is killed in the midst of DMA and interrupts, and the device is used again at once."""
    async with PciDevice("edu0") as device:
        async with Guest(device) as guest:
            await guest.up()
            await guest.edu()
            guest.start(f"while edu {guest.address[0]} dma; do echo again; done")
            await guest.said_line("again")
            await guest.kill()
            async with Guest(device) as other:
                await other.up()
                await other.edu()
                await other.off()


async def three():
    """Three devices of three groups, one IOMMU file."""
    async with PciDevice("edu0") as a, PciDevice("e1000e0") as b, PciDevice("nvme0") as c:
        async with Guest(a, b, c) as guest:
            await guest.up()
            await guest.nvme(2)
            await guest.net("e1000e", 1)
            await guest.edu(0)
            await guest.off()


async def pair():
    """Both devices of a group, in one guest; apart, the second QEMU is refused, and the first does not
    notice."""
    async with PciDevice("pair0") as a, PciDevice("pair1") as b:
        async with Guest(a, b) as guest:
            await guest.up()
            await guest.edu(0)
            await guest.edu(1)
            await guest.off()
        async with Guest(a) as guest:
            await guest.up()
            await Guest(b).refused("/dev/vfio/[0-9]+': Device or resource busy" if Guest.by_group else
                                   "bind device .*: Operation not permitted")
            await guest.edu()
            await guest.off()


FIRST, SECOND = (f"83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}" for n in (1, 2))


async def serial_echo(guest, tty, rounds=40):
    said = await guest.ask(f"serial echo {tty} {rounds}")
    check(said[-1] == f"{rounds * 8} bytes came back", f"{tty}: {said[-1]}")


async def mtty():
    """A card with two serial ports, by the guest's own driver."""
    async with Mtty(FIRST) as device, Guest(device) as guest:
        await guest.up()
        ttys = await guest.ask(f"ttys {guest.address[0]}")
        check(len(ttys) == 2, f"the guest sees the ports {ttys}")
        for tty in ttys:
            await serial_echo(guest, tty)
        await guest.off()


async def migrate(source, target):
    """Live: the guest runs until QEMU finds that little enough is left."""
    path = "/tmp/migration"
    await target.qmp.execute("migrate-incoming", {"uri": f"unix:{path}"})
    for guest in (source, target):
        await guest.qmp.execute("migrate-set-capabilities",
                                {"capabilities": [{"capability": "events", "state": True}]})
    # mtty does not say what it dirties: QEMU takes all memory for dirty until the end, and
    # must be content with that.
    await source.qmp.execute("migrate-set-parameters", {"downtime-limit": 2000000, "max-bandwidth": 1 << 40})
    with source.qmp.listener("MIGRATION") as events, target.qmp.listener("RESUME") as resumed:
        await source.qmp.execute("migrate", {"uri": f"unix:{path}"})
        while (status := (await in_time(events.get(), COMMAND, "migration"))["data"]["status"]) != "completed":
            check(status != "failed", "the migration failed")
        await in_time(resumed.get(), COMMAND, "the migrated guest")


async def mtty_migration():
    """The state of one card goes to another, while one of its ports sends and receives, with bytes in it
    that nobody has read."""
    on = "enable-migration=on"
    async with Mtty(FIRST) as first, Mtty(SECOND) as second:
        first.argument += f",{on}"
        second.argument += f",{on}"
        async with Guest(first) as source, Guest(second, arguments=["-incoming", "defer"]) as target:
            await source.up()
            ttys = await source.ask(f"ttys {source.address[0]}")
            # One port is open, and idle; the other is busy.
            await source.expect(f"exec 4<>{ttys[0]}")
            await source.expect(f"stream $(pci {source.address[0]})/resource1")
            await migrate(source, target)
            await source.kill()
            await target.expect("stream_goes_on")
            await target.expect("kill $streamer")
            for tty in ttys:
                await serial_echo(target, tty)
            await target.off()


SCENARIOS = [edu, e1000e, virtio_net, igb, nvme, fds, unbind, kill, three, pair, mtty, mtty_migration]
# QEMU takes no file of a group.
IOMMUFD_ONLY = {fds}


def trouble_of(scenario):
    """What is wrong with a scenario, and what the guests said then."""
    Guest.made = []
    trouble = attempt(scenario)
    for guest in Guest.made:
        trouble += [f"guest {guest.number}'s kernel reports: {r}" for r in guest.reports()]
        trouble += [f"guest {guest.number}'s QEMU complains: {c}" for c in guest.complaints()]
    return trouble and trouble + [line for guest in Guest.made for line in guest.log()]


def main():
    mode, accel, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    Guest.by_group = mode != "iommufd"
    if mode == "compat":
        # QEMU does not know that there is another container.
        os.makedirs("/dev/vfio", exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/dev/vfio/vfio")
        os.symlink("/dev/iommu", "/dev/vfio/vfio")
    Guest.accel = accel
    chosen = [s for s in SCENARIOS if s.__name__ in names]
    return tap(chosen, trouble_of, lambda scenario: "only with iommufd" if Guest.by_group and
               scenario in IOMMUFD_ONLY else None)


if __name__ == "__main__":
    sys.exit(main())
