# SPDX-License-Identifier: GPL-2.0-only
"""DPDK's processes, for the scenarios: testpmd, which is asked by its prompt, and what it says of its ports.
Runs in the test VM."""

import asyncio
import contextlib
import os
import re
import signal

from scenario import COMMAND, check, in_time

PROMPT = "testpmd> "
ESCAPES = re.compile(r"\x1b\[[0-9;]*[a-zA-Z]")

# How EAL gets at memory, by what it says when it starts.
MODES = {
    "type1": (r"Using IOMMU type 1 \(Type 1\)", r"Selected IOVA mode 'VA'"),
    "noiommu": (r"Using IOMMU type 8 \(No-IOMMU\)", r"Selected IOVA mode 'PA'"),
}

# The packets of a burst, the least that testpmd begins with on each port.
BURST = 32


def eal(devices, prefix):
    """EAL's arguments: the devices, and the name that processes have in common which share memory."""
    arguments = [a for device in devices for a in ("-a", device.address)] + ["--file-prefix", prefix]
    return arguments + (["--iova-mode=pa"] if Testpmd.mode == "noiommu" else [])


class Testpmd:
    """One testpmd, from its start to its end, on a terminal, for that is how it says things at once."""

    made = []        # all of this scenario, for the log
    mode = "type1"

    def __init__(self, *devices, prefix="one", secondary=False, arguments=()):
        self.devices = devices
        self.command = ["dpdk-testpmd", "-l", "0,1", *eal(devices, prefix)]
        if secondary:
            self.command.append("--proc-type=secondary")
        # The default of a process is to take memory for hundreds of thousands of packets.
        self.command += ["--", "--interactive", "--total-num-mbufs=8192", *arguments]
        self.number = len(self.made)
        self.made.append(self)
        self.process = self.reader = self.terminal = None
        self.said = ""

    async def __aenter__(self):
        """Starts it; it has found its ports, or none, when it asks what to do."""
        self.terminal, theirs = os.openpty()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        finally:
            os.close(theirs)
        self.reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.reader), os.fdopen(os.dup(self.terminal), "rb", 0))
        try:
            await self._answer("its start")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        await self.kill()
        os.close(self.terminal)

    def freeze(self):
        """Lets it do nothing any more, not even end."""
        self.process.send_signal(signal.SIGSTOP)

    async def kill(self):
        """kill -9, at whatever it is doing, if it still does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await in_time(self.process.wait(), COMMAND, "the end of a killed testpmd")

    async def _answer(self, what):
        """All that comes before it asks again."""
        async def answer():
            start = len(self.said)
            while (end := self.said.find(PROMPT, start)) < 0:
                check(await self._hear(), f"testpmd ended: {what}")
            return self.said[start:end]
        return await in_time(answer(), COMMAND, what)

    async def _hear(self):
        """Some of what it says; False at its end."""
        try:
            data = await self.reader.read(1 << 16)
        except OSError:   # which is how a terminal ends
            data = b""
        self.said += ESCAPES.sub("", data.decode(errors="replace").replace("\r", ""))
        return bool(data)

    async def ask(self, command):
        os.write(self.terminal, command.encode() + b"\n")
        return await self._answer(command)

    def check_mode(self):
        for line in MODES[self.mode]:
            check(re.search(line, self.said), f"testpmd does not say: {line}")

    async def links(self):
        """Which of its ports have a link, as the last interrupt of each has told."""
        said = await self.ask("show port summary all")
        return [state == "up" for state in re.findall(r"^\d+ .* (up|down) +\S.*$", said, re.M)]

    async def wait_links(self, *expected):
        async def wait():
            while await self.links() != list(expected):
                await asyncio.sleep(0.1)
        await in_time(wait(), COMMAND, f"links {expected}")

    async def start(self):
        """Sends a burst from each port.  What a port gets, the other one sends: that goes on for good."""
        await self.wait_links(True, True)
        await self.ask("start tx_first 1")

    async def received(self):
        """Packets of each port, since it forwards."""
        said = await self.ask("show fwd stats all")
        return [int(n) for n in re.findall(r"statistics for port \d+ .*\n +RX-packets: (\d+)", said)]

    async def forward(self, packets):
        """Waits until each port got so many packets more."""
        before = await self.received()

        async def wait():
            while any(now < old + packets for now, old in zip(await self.received(), before, strict=True)):
                await asyncio.sleep(0.1)
        check(len(before) == 2, f"it forwards for {len(before)} ports")
        await in_time(wait(), COMMAND, f"{packets} packets")

    def _works(self):
        """Its worker does not sleep: it polls the ports."""
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/stat", encoding="ascii") as f:
                name, rest = f.read().rsplit(")", 1)
            if name.endswith("(dpdk-worker1"):
                return rest.split()[0] == "R"
        return False

    async def wait_detached(self):
        """Waits until it has given up a device and forwards for the others again.  It does both in a thread of
        its own: a worker that is started after "quit" has stopped them all never ends."""
        async def wait():
            while "Now total ports is" not in self.said or not self._works():
                await asyncio.sleep(0.1)
                await self.links()
        await in_time(wait(), COMMAND, "a device detached")

    async def stop(self):
        """Ends the forwarding, which must not have lost a packet: with so few in flight, no ring overflows."""
        await self.ask("stop")
        said = await self.ask("show port stats all")
        counts = [dict((name, int(value)) for name, value in re.findall(r"([RT]X-\w+): +(\d+)", port))
                  for port in re.split(r"NIC statistics for port \d+", said)[1:]]
        check(len(counts) == 2, f"it has {len(counts)} ports")
        for this, other in (counts, counts[::-1]):
            lost = {name: this[name] for name in ("RX-missed", "RX-errors", "RX-nombuf", "TX-errors") if this[name]}
            check(not lost, f"the ports lost packets: {lost}")
            in_flight = this["TX-packets"] - other["RX-packets"]
            check(0 <= in_flight <= 2 * BURST, f"{in_flight} packets more were sent than received")
        dropped = re.findall(r"[RT]X-dropped: (\d+)", self.said)
        check(dropped and not any(map(int, dropped)), "testpmd dropped packets")

    async def quit(self):
        """It gives all back and ends well."""
        os.write(self.terminal, b"quit\n")

        async def end():
            while await self._hear():
                pass
            return await self.process.wait()
        status = await in_time(end(), COMMAND, "quit")
        check(status == 0, f"testpmd ended with status {status}")

    def files(self):
        """What it has open, by name."""
        folder = f"/proc/{self.process.pid}/fd"
        return [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]

    def log(self):
        """What there is to read when a scenario failed."""
        yield f"testpmd {self.number}: {' '.join(self.command)}"
        yield from (f"testpmd {self.number}: {line}" for line in self.said.splitlines()[-80:] if line)


async def proc_info(devices, prefix="one"):
    """What a process that comes and goes says of the ports: packets received, port by port."""
    command = ["dpdk-proc-info", *eal(devices, prefix), "--", "-p", "0x3", "--stats"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        said = (await in_time(process.communicate(), COMMAND, "dpdk-proc-info"))[0].decode(errors="replace")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    check(process.returncode == 0, f"dpdk-proc-info ended with status {process.returncode}: {said}")
    return [int(n) for n in re.findall(r"NIC statistics for port \d+ [^:]*RX-packets: +(\d+)", said)]
