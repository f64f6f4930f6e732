# SPDX-License-Identifier: GPL-2.0-only
"""Inner guests and the devices that they are given, for the scenarios.  Runs in the test VM.

In Python, because a scenario is a conversation with several parties at once: QEMU's monitor, the
inner guest's shell, the files of sysfs, one of which may block until QEMU has answered."""

import asyncio
import contextlib
import hashlib
import os
import re
import socket

from qemu.qmp import ConnectError, QMPClient

import klog
from scenario import COMMAND, Device, Failed, check, in_time, write

# No verdict depends on how fast the machine is: this finds what hangs.
BOOT = 600

# What QEMU says of these devices with any core; more than that is a failure.
KNOWN = re.compile("|".join((
    r"vfio: Cannot reset device \S+, no available reset mechanism",
    # mtty's INTx cannot be unmasked
    r"Failed to set up UNMASK eventfd signaling for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Inappropriate",
    # The group of a driver's last device leaves its container before QEMU takes it out, and with the last
    # group the mappings go, perhaps before QEMU takes them back.
    r"vfio: error disconnecting group \d+ from container",
    r"vfio_container_dma_unmap\(.*\) = -22 \(Invalid argument\)",
    # An iommufd in a container's place does not map what is no memory.
    r"vfio_container_dma_map\(.*\) = -14 \(Bad address\)",
    r"PCI peer-to-peer transactions on BARs are not supported",
)))

# What makes a terminal of a log: SeaBIOS clears the screen.
ESCAPES = re.compile(r"\x1b(\[[?0-9;]*[a-zA-Z]|c)")

CPU = {"kvm": "qemu64", "tcg": "max"}
QEMU = ["qemu-system-x86_64", "-L", "/usr/share/qemu", "-L", "/usr/share/seabios",
        "-m", "256M", "-smp", "1", "-machine", "q35", "-nodefaults", "-nographic", "-no-reboot",
        "-kernel", "/guest/bzImage", "-initrd", "/guest/initrd",
        "-append", "console=ttyS0 panic=-1 loglevel=5 nowatchdog no_timer_check lpj=4000000"]


class NotStarted(Failed):
    """QEMU ended before it served."""


class Mtty(Device):
    """A mediated device of the sample driver mtty: a card with two serial ports."""

    TYPE = "/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2"

    def __init__(self, uuid):
        super().__init__(f"/sys/bus/mdev/devices/{uuid}")
        self.uuid = uuid
        self.argument = f"sysfsdev={self.path}"

    async def __aenter__(self):
        write(f"{self.TYPE}/create", self.uuid)
        return self

    async def __aexit__(self, *_):
        write(f"{self.path}/remove", "1")


class Guest:
    """One inner guest, from the start of its QEMU to its end."""

    made = []     # all of this scenario, for the log
    by_group = False
    accel = "kvm"

    def __init__(self, *devices, arguments=(), fds=(), behind_port=False):
        """Devices are Device, or the arguments of one for -device."""
        self.fds = list(fds)
        self.arguments = [] if self.by_group else ["-object", "iommufd,id=iommufd0"]
        self.behind_port = behind_port
        for number, device in enumerate(devices):
            if behind_port:
                self.arguments += ["-device", f"pcie-root-port,id=rp{number},chassis={number},addr={number + 16:x}"]
                place = f"bus=rp{number}"
            else:
                place = f"addr={number + 4}"
            self.arguments += ["-device", f"vfio-pci,id=dev{number},{self.source(device)},{place}"]
        self.arguments += arguments
        self.address = [f"0000:{n + 1:02x}:00.0" if behind_port else f"0000:00:{n + 4:02x}.0"
                        for n in range(len(devices))]
        self.number = len(self.made)
        self.made.append(self)
        for path in (self.console, self.words):   # of the scenario before
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.process = self.qmp = self.reader = self.writer = None
        self.asked = ""
        self.said = []
        self.excused = None   # what QEMU must say

    def source(self, device):
        if isinstance(device, str):
            return device
        return device.argument + ("" if self.by_group else ",iommufd=iommufd0")

    @property
    def console(self):
        return f"/tmp/console{self.number}"

    @property
    def words(self):
        return f"/tmp/qemu{self.number}"

    async def __aenter__(self):
        """Starts QEMU; the guest need not have come up, see up()."""
        sockets = {name: socket.socketpair() for name in ("shell", "qmp")}
        fds = {name: theirs.fileno() for name, (_, theirs) in sockets.items()}
        command = QEMU + ["-accel", self.accel, "-cpu", CPU[self.accel],
                          "-serial", f"file:{self.console}",
                          "-chardev", f"socket,id=shell,fd={fds['shell']}", "-serial", "chardev:shell",
                          "-chardev", f"socket,id=qmp,fd={fds['qmp']}", "-qmp", "chardev:qmp",
                          *self.arguments]
        with open(self.words, "wb") as words:
            self.process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=words, stderr=words,
                pass_fds=[*fds.values(), *self.fds])
        for _, theirs in sockets.values():
            theirs.close()
        self.reader, self.writer = await asyncio.open_connection(sock=sockets["shell"][0])
        self.qmp = QMPClient(f"guest{self.number}")
        self.qmp.logger.disabled = True
        try:
            await in_time(self.qmp.connect(sockets["qmp"][0]), BOOT, "QEMU's monitor")
        except (ConnectError, Failed) as error:
            await self.kill()
            raise NotStarted(f"QEMU does not start ({type(error).__name__})") from None
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            await self.kill()
        self.writer.close()
        with contextlib.suppress(Exception):   # of a QEMU that is gone
            await self.qmp.disconnect()

    async def kill(self):
        """kill -9, at whatever QEMU is doing."""
        with contextlib.suppress(ProcessLookupError):   # it ended by itself
            self.process.kill()
        await in_time(self.process.wait(), COMMAND, "the end of a killed QEMU")

    async def refused(self, reason):
        """QEMU must not come to a start, and say a line that matches REASON."""
        try:
            async with self:
                pass
        except NotStarted:
            pass
        else:
            raise Failed("QEMU starts and should not")
        check(any(re.search(reason, line) for line in self.complaints()), f"QEMU does not say: {reason}")
        self.excused = re.compile(reason)

    async def up(self):
        """Waits for the guest's shell."""
        await self._answer("boot", BOOT)
        return self

    async def ask(self, command):
        """Has the guest run a command; its lines, if it succeeds."""
        self.start(command)
        return await self._answer(command, COMMAND)

    def start(self, command):
        """Has the guest run a command, without waiting for its end."""
        self.said.append(f"$ {command}")
        self._send(command)

    def _send(self, command):
        self.asked = command
        self.writer.write(f"{hashlib.md5(command.encode()).hexdigest()[:8]} {command}\n".encode())

    async def _answer(self, what, seconds):
        async def lines():
            got = []
            while line := await self._line():
                text = line.decode(errors="replace").rstrip()
                if text.startswith("@@ "):
                    check(text == "@@ 0", f"the guest fails at: {what}")
                    return got
                got.append(text)
                self.said.append(text)
            raise Failed(f"the guest ended: {what} ({await self._end()})")
        return await in_time(lines(), seconds, what)

    async def _line(self):
        """What the shell says next; nothing when QEMU is gone.  It asks again for what did not arrive whole."""
        try:
            while (line := await self.reader.readline()).strip() == b"@@ again":
                self.said.append(f"again: {self.asked}")
                self._send(self.asked)
            return line
        except ConnectionError:   # without having read all that it was sent
            return b""

    async def said_line(self, text):
        """Waits for a line of a command that goes on."""
        async def line():
            while (came := await self._line()).strip() != text.encode():
                check(came, f"the guest ended before it said {text}")
        await in_time(line(), COMMAND, text)

    async def _end(self):
        """How QEMU came to its end, and who wanted that: the guest, or nobody."""
        status = await in_time(self.process.wait(), COMMAND, "the end of QEMU")
        causes = [event["data"]["reason"] for event in self.qmp.events.clear() if event["event"] == "SHUTDOWN"]
        return f"QEMU's status {status}, shutdown by {' and '.join(causes) or 'nobody'}"

    async def expect(self, command, *expected):
        """The command must print these lines, no more and no other."""
        got = await self.ask(command)
        check(got == list(expected), f"{command}: said {got}, not {list(expected)}")

    async def edu(self, number=0):
        """edu does MMIO, both kinds of interrupts, and DMA in both directions."""
        await self.expect(f"edu {self.address[number]}",
                          "edu mmio ok", "edu intx ok", "edu msi ok", "edu dma ok")

    async def net(self, driver, number=0):
        """A NIC gets an address, answers come, and data are the same there and back."""
        said = "\n".join(await self.ask(f"net {self.address[number]} {driver}"))
        check("lease of 10.0.2.15 obtained" in said, "DHCP gave no address")
        check("echo of 262144 bytes" in said, "the echo lost data")

    async def nvme(self, number=0):
        """Writes to the disk and reads back; the sum of what was written."""
        return (await self.ask(f"nvme {self.address[number]}"))[-1].split()[0]

    async def off(self):
        """The guest powers off, and QEMU ends well."""
        async def silence():
            while await self._line():
                pass
        self.start("poweroff -f")
        await in_time(silence(), COMMAND, "power off")
        status = await in_time(self.process.wait(), COMMAND, "power off")
        check(status == 0, f"QEMU ended with status {status}")

    def reports(self):
        """What the guest's kernel says of bugs."""
        return [report.title for report in klog.scan("\n".join(lines_of(self.console)), "c")]

    def complaints(self):
        """What QEMU says and should not."""
        return [line for line in lines_of(self.words)
                if not KNOWN.search(line) and not (self.excused and self.excused.search(line))]

    def log(self):
        """What there is to read when a scenario failed."""
        for title, lines in (("shell", self.said), ("console", lines_of(self.console)), ("QEMU", lines_of(self.words))):
            yield from (f"guest {self.number} {title}: {line}" for line in lines[-60:])


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as f:
        return ESCAPES.sub("", f.read().replace("\r", "")).splitlines()
