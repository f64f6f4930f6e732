# SPDX-License-Identifier: GPL-2.0-only
"""Boots the test VM: kernels, modules and initramfs of a boot, QEMU from its start to its end."""

import asyncio
import dataclasses
import fcntl
import functools
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time

from qemu.qmp import ExecuteError, QMPClient

from suites import TOP, Failure, initramfs, servers
from suites.machines import IOMMUS, MACHINES, PC

CACHE = os.environ.get("CACHE", "")


@dataclasses.dataclass
class Result:
    """How a boot went."""
    lines: list          # what the job printed
    console: str         # the kernel's log
    reason: str = ""     # why it did not come to its end; empty if it did

    def status(self, name):
        """The exit status of `run NAME` in the job, or None."""
        for line in self.lines:
            if line.startswith(f"@@ end {name} "):
                return int(line.split()[-1])
        return None


def script(*command):
    """A script of scripts/host, its output, its complaints to the person."""
    result = subprocess.run([os.path.join(TOP, "scripts/host", command[0]), *command[1:]], stdout=subprocess.PIPE,
                            text=True, check=False)
    if result.returncode:
        raise Failure(f"{command[0]} failed")
    return result.stdout.strip()


def output(*command, failure=None):
    """Runs a command and returns what it prints, which the person sees if it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        sys.stderr.write(result.stdout)
        raise Failure(failure or f"{command[0]} failed")
    return result.stdout


def console_log(name):
    """Where the kernel's log of a boot goes."""
    folder = os.path.join(TOP, "build", "logs")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{name}.console")


def kernel_build(variant):
    return script("kernel-build", variant)


def rust_module(variant):
    return script("build-module", variant)


@functools.cache
def release(variant):
    """What uname -r says on a kernel."""
    with open(os.path.join(kernel_build(variant), "include/config/kernel.release"), encoding="ascii") as f:
        return f.read().strip()


def architecture(kernel):
    """What make calls the architecture of a kernel build."""
    with open(os.path.join(kernel, ".config"), encoding="utf-8") as f:
        return "arm64" if "CONFIG_ARM64=y\n" in f else "x86_64"


def has_option(variant, name):
    """Is an option, "CONFIG_NAME", on in a kernel?"""
    with open(os.path.join(kernel_build(variant), ".config"), encoding="utf-8") as f:
        return any(line.startswith(f"{name}=") for line in f)


def compiler(kernel):
    """What make is told of the compiler of a kernel build; one that gcc built knows it by itself."""
    with open(os.path.join(kernel, ".config"), encoding="utf-8") as f:
        return ["LLVM=1"] if "CONFIG_CC_IS_CLANG=y\n" in f else []


def small_module(variant, folder, name):
    """A module of selftests/FOLDER, built against a kernel; returns its path."""
    kernel = kernel_build(variant)
    out = os.path.join(TOP, "build", f"{folder}-{os.path.basename(kernel)}")
    os.makedirs(out, exist_ok=True)
    with open(out + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        output("make", "-C", kernel, f"M={TOP}/selftests/{folder}", f"MO={out}", *compiler(kernel),
               f"ARCH={architecture(kernel)}", "modules", failure=f"selftests/{folder} does not build")
    return os.path.join(out, name)


def base_archive(variant, module, tests=False):
    """The initramfs that all boots share, less the job."""
    cpio = initramfs.Cpio()
    kernel = kernel_build(variant)
    initramfs.write_base(cpio, kernel, module, script("busybox", architecture(kernel)))
    if tests:
        # The tests' own driver, which either core loads.
        cpio.file("modules/vfio_testdrv.ko", small_module(variant, "testdrv", "vfio-testdrv.ko"))
    return cpio.bytes()


def job_archive(job, machine="default", programs=(), trees=(), interactive=False):
    """The part of the initramfs that belongs to one boot."""
    cpio = initramfs.Cpio()
    cpio.text("job", job)
    kind = MACHINES[machine]
    cpio.text("devices", "".join(f"export {d.id.upper()}={d.address}\n" for d in kind.devices))
    cpio.text("parameters", "".join(f"{module} {given}\n" for module, given in kind.parameters.items()))
    if interactive:
        cpio.text("interactive", "")
    for path, source in programs:
        if initramfs.is_program(source):
            cpio.program(path, source)
        else:
            cpio.file(path, source)
    for path, source in trees:
        cpio.tree(path, source)
    return cpio.bytes()


# KVM counts only with hardware under it: /dev/kvm alone may belong to a host on which stock
# guests hang.  So: the modules of hardware virtualisation, and a guest that really came up.
def accelerator(platform=PC):
    """kvm or tcg; ACCEL= in the environment overrides.  Another platform than the host's is emulated."""
    if platform is not PC:
        return "tcg"
    wish = os.environ.get("ACCEL")
    if wish:
        if wish not in ("kvm", "tcg"):
            raise Failure(f"ACCEL={wish}: kvm or tcg")
        return wish
    if not (os.access("/dev/kvm", os.R_OK | os.W_OK) and
            any(os.path.exists(f"/sys/module/{m}") for m in ("kvm_intel", "kvm_amd"))):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        known = os.path.join(CACHE, f"kvm-{f.read().strip()}")
    with open(known + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(known):
            archive = base_archive("base", None) + job_archive("echo up\n")
            machine = Machine(archive, core="c", accel="kvm", timeout=60)
            came_up = not machine.run().reason
            with open(known, "w", encoding="ascii") as f:
                f.write("kvm" if came_up else "tcg")
    with open(known, encoding="ascii") as f:
        return f.read()


# Seconds without a sign after which a boot is taken for dead.
BOOT_IDLE = 180


class Machine:
    """One VM, from its start to its end."""

    def __init__(self, archive, *, core, kernel="base", machine="default", memory="1G", cpus=2, arguments="",
                 accel=None, timeout=1800, idle=1200, on_line=None, log=None, extra=(), oops="panic", cpu=None):
        self.archive = archive
        self.core = core
        self.kind = MACHINES[machine]
        self.kernel = self.kind.variant(kernel)
        self.memory = memory
        self.cpus = cpus
        self.arguments = arguments
        self.accel = accel
        self.timeout = timeout
        self.idle = idle
        self.on_line = on_line
        self.log = log
        self.extra = [*self.kind.backends, *extra]
        self.oops = oops
        self.cpu = cpu or IOMMUS[self.kind.iommu].cpu or self.kind.platform.cpu
        self.qmp = None
        self.folder = None
        self.events = []
        self.event_came = None
        self.last_sign = 0.0

    def command(self, folder, console, interactive):
        platform, iommu = self.kind.platform, IOMMUS[self.kind.iommu]
        kernel_args = [f"core={self.core}", platform.kernel, "panic=-1", iommu.kernel, self.kind.kernel,
                       f"oops={self.oops}" if self.oops else "", self.arguments]
        if interactive:
            kernel_args.append(f"quiet TERM={os.environ.get('TERM', 'linux')}")
        command = [platform.qemu, "-accel", self.accel or accelerator(platform), "-cpu", self.cpu,
                   "-m", self.memory, "-smp", str(self.cpus), "-machine", platform.machine,
                   "-nodefaults", "-nographic", "-no-reboot",
                   "-kernel", os.path.join(kernel_build(self.kernel), platform.image),
                   "-initrd", os.path.join(folder, "initrd"),
                   "-append", " ".join(a for a in kernel_args if a)]
        if interactive:
            command += ["-chardev", "stdio,mux=on,signal=off,id=console"]
        else:
            command += ["-chardev", f"file,id=console,path={console}"]
        command += [*platform.ports, *iommu.qemu]
        if self._served():
            # The processes that serve devices share the guest's memory with QEMU.
            command += ["-object", f"memory-backend-memfd,id=ram,size={self.memory},share=on",
                        "-machine", "memory-backend=ram"]
        for device in self.kind.devices:
            command += ["-device", json.dumps(servers.properties(device, folder)) if device.features else
                        f"{device.args},id={device.id}"]
        return command + self.extra

    def run(self, interactive=False):
        return asyncio.run(self.run_async(interactive))

    async def run_async(self, interactive=False):
        """Boots, serves the guest, returns a Result."""
        self.event_came = asyncio.Event()
        try:
            program = self._device_program()
        except Failure as failure:
            # So that what runs on this machine fails, and all else runs.
            return Result([], "", f"there is no program for the devices: {failure}")
        with tempfile.TemporaryDirectory(prefix="vm-") as folder:
            # Another run may write a log of the same name: it gets that name when it is whole.
            console = f"{self.log}.{os.getpid()}" if self.log else os.path.join(folder, "console")
            with open(os.path.join(folder, "initrd"), "wb") as f:
                f.write(self.archive)
            self.folder = folder
            command = self.command(folder, console, interactive)
            channels = {}
            for name in ("qmp", "requests", "output"):
                ours, theirs = socket.socketpair()
                channels[name] = ours, theirs
                command += ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
            command += ["-mon", "qmp,mode=control"]
            if os.environ.get("V"):
                print("+", shlex.join(command), file=sys.stderr)
            async with servers.Servers(program, self._served(), folder) as beside:
                result = await self._run_qemu(command, channels, console, interactive)
                result.reason = "; ".join(filter(None, (result.reason, await beside.complaints())))
            return result

    def _served(self):
        """The devices that are not QEMU's own."""
        return [device for device in self.kind.devices if device.features]

    def _device_program(self):
        return os.path.join(script("build-crate", "device"), "vfio-device") if self._served() else None

    async def _run_qemu(self, command, channels, console, interactive):
        # No VM outlives the script, however that ends.
        qemu = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", *command,
            pass_fds=[theirs.fileno() for _, theirs in channels.values()],
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=None if interactive else subprocess.PIPE,
            stderr=None if interactive else subprocess.STDOUT)
        for _, theirs in channels.values():
            theirs.close()
        try:
            return await self._serve(qemu, {n: ours for n, (ours, _) in channels.items()}, console, interactive)
        finally:
            if qemu.returncode is None:
                qemu.kill()
                await qemu.wait()
            if self.log and os.path.exists(console):
                os.replace(console, self.log)

    async def _serve(self, qemu, sockets, console, interactive):
        lines = []
        self.last_sign = time.monotonic()
        tasks = [asyncio.create_task(self._requests(sockets["qmp"], sockets["requests"])),
                 asyncio.create_task(self._output(sockets["output"], lines))]
        complaint = asyncio.create_task(qemu.stdout.read()) if qemu.stdout else None
        reason = ""
        ended = asyncio.create_task(qemu.wait())
        start = time.monotonic()
        size = 0
        while not ended.done():
            await asyncio.wait([ended], timeout=1)
            for task in tasks:
                if task.done() and task.exception() and not ended.done():
                    raise task.exception()
            now = time.monotonic()
            if interactive:
                continue
            if os.path.exists(console) and os.path.getsize(console) != size:
                size = os.path.getsize(console)
                self.last_sign = now
            if now - start > self.timeout:
                reason = f"the VM did not end within {self.timeout} s: ended by the watchdog"
            # Until the guest's init speaks, the kernel boots, which is seconds of work.
            idle = self.idle if lines else min(self.idle, BOOT_IDLE)
            if not reason and now - self.last_sign > idle:
                reason = f"the VM printed nothing for {idle} s: ended by the watchdog"
            if reason:
                qemu.kill()
                await ended
        # What is still in the sockets.
        await asyncio.wait(tasks[1:], timeout=10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        text = ""
        if os.path.exists(console) and not interactive:
            with open(console, encoding="utf-8", errors="replace") as f:
                text = f.read().replace("\r", "")
        if not reason and not interactive:
            said = (await complaint).decode(errors="replace").strip()
            if qemu.returncode:
                reason = f"QEMU ended with status {qemu.returncode}: {said}"
            elif "@@ done" not in lines:
                reason = "the VM ended before its job did"
                if "Kernel panic" in text:
                    reason += " (kernel panic)"
        return Result([line for line in lines if line != "@@ done"], text, reason)

    async def _output(self, sock, lines):
        reader, _ = await asyncio.open_connection(sock=sock, limit=1 << 24)
        while line := await reader.readline():
            self.last_sign = time.monotonic()
            text = line.decode(errors="replace").rstrip("\r\n")
            lines.append(text)
            if self.on_line:
                self.on_line(text)

    async def _requests(self, qmp_socket, sock):
        """Answers the guest: one line of JSON a request, one a reply."""
        self.qmp = QMPClient("vm")
        self.qmp.logger.disabled = True
        await self.qmp.connect(qmp_socket)
        listener = asyncio.create_task(self._events())
        try:
            reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 20)
            while line := await reader.readline():
                self.last_sign = time.monotonic()
                line = line.decode(errors="replace").strip()
                if not line:
                    continue
                reply = await self._answer(line)
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        finally:
            listener.cancel()
            try:
                await self.qmp.disconnect()
            except Exception:  # pylint: disable=broad-except
                pass  # QEMU is gone: there is nothing to take leave of

    async def _events(self):
        async for event in self.qmp.events:
            self.events.append(event)
            self.event_came.set()

    async def _answer(self, line):
        try:
            request = json.loads(line)
            name, arguments = request["execute"], request.get("arguments", {})
        except (ValueError, KeyError, TypeError) as error:
            return {"error": {"class": "GenericError", "desc": f"not a request: {error}"}}
        if name == "x-wait-event":
            return await self._wait_event(arguments)
        if name == "x-plug":
            # {"id": ID}: a device that is served is plugged in as it was when the machine started.
            device = next((d for d in self._served() if d.id == arguments.get("id")), None)
            if not device:
                return {"error": {"class": "DeviceNotFound", "desc": f"no device {arguments}"}}
            name, arguments = "device_add", servers.properties(device, self.folder)
        try:
            return {"return": await self.qmp.execute(name, arguments)}
        except ExecuteError as error:
            return {"error": {"class": error.error_class, "desc": str(error)}}

    async def _wait_event(self, arguments):
        """{"event": NAME, "data": {...}, "timeout": S}: takes the first event so called whose data hold the
        given members, among those that nobody has taken yet."""
        deadline = time.monotonic() + arguments.get("timeout", 300)
        while True:
            for event in self.events:
                data = event.get("data", {})
                if event["event"] == arguments.get("event") and \
                        all(data.get(k) == v for k, v in arguments.get("data", {}).items()):
                    self.events.remove(event)
                    return {"return": data}
            self.event_came.clear()
            try:
                await asyncio.wait_for(self.event_came.wait(), deadline - time.monotonic())
            except asyncio.TimeoutError:
                return {"error": {"class": "GenericError", "desc": f"no event {arguments.get('event')}"}}
