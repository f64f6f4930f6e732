# SPDX-License-Identifier: GPL-2.0-only
"""What scenarios in the test VM share: how they fail and are reported, and the devices that VFIO gives away.

A scenario is a coroutine, for it is a conversation with several parties at once."""

import asyncio
import contextlib
import os
import subprocess
import traceback

# No verdict depends on how fast the machine is: this finds what hangs.
COMMAND = 300


class Failed(Exception):
    """What did not hold."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(what, got, want):
    check(got == want, f"{what}: {got!r}, not {want!r}")


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def said(*command, status=0, **how):
    """What a command prints, errors and all; it must end with that status."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                            **how)
    check(result.returncode == status, f"{' '.join(command)}: status {result.returncode}: {result.stdout}")
    return result.stdout


async def in_time(awaitable, seconds, what):
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        raise Failed(f"{what}: nothing within {seconds} s") from None


class Device:
    """A device that VFIO can give away; a folder of sysfs."""

    def __init__(self, path):
        self.path = path

    @property
    def name(self):
        """The name of its node in /dev/vfio/devices."""
        return os.listdir(os.path.join(self.path, "vfio-dev"))[0]

    @property
    def node(self):
        return f"/dev/vfio/devices/{self.name}"


class PciDevice(Device):
    """A PCI device of the test VM, by the name of scripts/suites/machines.py."""

    def __init__(self, name):
        self.address = os.environ[name.upper()]
        super().__init__(f"/sys/bus/pci/devices/{self.address}")
        self.argument = f"host={self.address}"

    @property
    def driver(self):
        link = os.path.join(self.path, "driver")
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None

    def give_to(self, driver):
        """Binds a driver, or none."""
        if self.driver:
            write(f"{self.path}/driver/unbind", self.address)
        write(f"{self.path}/driver_override", f"{driver or ''}\n")
        if driver:
            write("/sys/bus/pci/drivers_probe", self.address)
        check(self.driver == driver, f"{self.address} has the driver {self.driver}, not {driver}")

    async def unbind(self):
        """Takes the driver's device away.  That may block for good, and so is done by a process of its own."""
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", f"echo {self.address} >{self.path}/driver/unbind")
        status = await in_time(process.wait(), COMMAND, "unbind")
        check(status == 0 and not self.driver, f"unbind came to status {status}, driver {self.driver}")

    async def __aenter__(self):
        self.give_to("vfio-pci")
        return self

    async def __aexit__(self, *_):
        if self.driver:
            await self.unbind()
        write(f"{self.path}/driver_override", "\n")


def failure_of(case):
    """What is wrong with a case, in lines."""
    try:
        case()
    except Failed as failure:
        return str(failure).splitlines()
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc().splitlines()
    return []


def attempt(scenario):
    """The same with a scenario, which is a coroutine."""
    return failure_of(lambda: asyncio.run(scenario()))


def tap(scenarios, trouble_of, skipped=None):
    """One case of TAP for each scenario; returns what the program shall end with.  TROUBLE_OF says in lines what
    is wrong with it, SKIPPED why one is left out."""
    print("TAP version 13")
    print(f"1..{len(scenarios)}", flush=True)
    failed = 0
    for number, scenario in enumerate(scenarios, 1):
        reason = skipped(scenario) if skipped else None
        if reason:
            print(f"ok {number} {scenario.__name__} # SKIP {reason}", flush=True)
            continue
        trouble = trouble_of(scenario)
        for line in trouble:
            print(f"# {line}")
        failed += bool(trouble)
        print(f"{'not ok' if trouble else 'ok'} {number} {scenario.__name__}", flush=True)
    return 1 if failed else 0
