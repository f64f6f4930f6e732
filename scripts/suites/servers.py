# SPDX-License-Identifier: GPL-2.0-only
"""Processes beside QEMU that are devices of its, by the vfio-user protocol (selftests/device)."""

import asyncio
import os
import signal
import socket

# Seconds that one may take to notice that QEMU is gone: a hang, not a measure.
END = 60


def path(device, folder):
    return os.path.join(folder, f"{device.id}.sock")


def properties(device, folder):
    """QEMU's arguments for a device that is served, to be said in JSON: a socket's address cannot otherwise."""
    driver, *words = device.args.split(",")
    values = dict(w.split("=", 1) for w in words)
    values = {name: {"on": True, "off": False}.get(value, value) for name, value in values.items()}
    return {"driver": driver, "id": device.id, **values,
            "socket": {"type": "unix", "path": path(device, folder)}}


class Servers:
    """The processes, from before QEMU's start to after its end."""

    def __init__(self, program, devices, folder):
        self.program = program
        self.devices = devices
        self.folder = folder
        self.processes = {}

    def _said(self, device):
        return os.path.join(self.folder, f"{device.id}.said")

    async def __aenter__(self):
        for device in self.devices:
            # It listens already, so that QEMU need not wait for the process.
            with socket.socket(socket.AF_UNIX) as listener, open(self._said(device), "wb") as said:
                listener.bind(path(device, self.folder))
                listener.listen(1)
                self.processes[device] = await asyncio.create_subprocess_exec(
                    "setpriv", "--pdeathsig", "KILL", self.program, *device.features.split(),
                    stdin=listener, stdout=said, stderr=said)
        return self

    async def __aexit__(self, *_):
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def complaints(self):
        """After QEMU's end: what they have to say, if they do not all end well and in silence."""
        found = []
        for device, process in self.processes.items():
            # It would wait for the next.
            again = "again" in device.features.split()
            if again and process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), END)
                status = f"status {process.returncode}"
            except asyncio.TimeoutError:
                status = "it does not end"
            with open(self._said(device), encoding="utf-8", errors="replace") as f:
                said = f.read().strip()
            if process.returncode != (-signal.SIGTERM if again else 0) or said:
                found.append(f"the device {device.id}: {status}{': ' if said else ''}{said}")
        return "; ".join(found)
