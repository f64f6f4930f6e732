# SPDX-License-Identifier: GPL-2.0-only
"""Guests inside of the test VM, to which QEMU gives devices: makes boots of selftests/guest/scenarios.py."""

import os

from suites import TOP, Failure, initramfs, vm
from suites.suite import Boot

SOURCE = os.path.join(TOP, "selftests/guest")
SCENARIOS = os.path.join(SOURCE, "scenarios.py")
# The drivers of the devices that the inner guest is given.
MODULES = ["e1000e", "igb", "virtio_net", "nvme"]
# The VM's modules beside those of the tests.  A disk may take its time, see inner.sh.
NEEDED = ["mtty", "nvme_core io_timeout=255 admin_timeout=255", "nvme", "kvm_amd"]
# How QEMU opens devices
MODES = ["iommufd", "compat", "legacy"]
# In seconds, all scenarios: only for what hangs.
LIMIT = 3300


def _build(kernel):
    """The inner guest's program and driver; their files."""
    out = os.path.join(TOP, "build", f"guest-{os.path.basename(kernel)}")
    os.makedirs(out, exist_ok=True)
    program = os.path.join(out, "serial")
    for command in (["clang", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program,
                     os.path.join(SOURCE, "serial.c")],
                    ["make", "-C", kernel, f"M={SOURCE}/driver", f"MO={out}", "LLVM=1", "modules"]):
        vm.output(*command, failure="the inner guest's programs do not build")
    return [program, os.path.join(out, "guest_edu.ko")]


def _archive():
    """What the VM holds beside what all have: Python, QEMU, the inner guest."""
    # The inner guest's kernel is never the one under scrutiny: it may be the fast one.
    kernel = vm.kernel_build("base")
    inner = initramfs.Cpio()
    initramfs.write_inner(inner, kernel, _build(kernel), MODULES)
    cpio = initramfs.Cpio()
    initramfs.write_python(cpio)
    initramfs.write_qemu(cpio)
    cpio.file("guest/bzImage", os.path.join(kernel, "arch/x86/boot/bzImage"))
    cpio.data("guest/initrd", inner.bytes())
    for name in ("inner.py", "scenarios.py"):
        cpio.file(f"guest/{name}", os.path.join(SOURCE, name))
    cpio.file("guest/scenario.py", os.path.join(TOP, "selftests/lib/scenario.py"))
    cpio.file("guest/klog.py", os.path.join(TOP, "scripts/suites/klog.py"))
    cpio.tree("guest/qemu", "/usr/lib/python3/dist-packages/qemu")
    return cpio.bytes()


def boots(options, archive, modes, names, kernel=None, memory="2G"):
    """A boot of the VM for each mode and core, with the scenarios NAMES; on another KERNEL than the suite's one,
    the program's name says so."""
    for mode in modes:
        if mode not in MODES:
            raise Failure(f"there is no mode {mode}: {', '.join(MODES)}")
    archive += _archive()
    # TCG emulates AMD's virtualisation, so that KVM works inside; a real processor's may be another.
    accel = "kvm" if vm.accelerator() == "tcg" else "$([ -e /dev/kvm ] && echo kvm || echo tcg)"
    made = []
    for mode in modes:
        program = f"guest_{mode}" + (f"@{kernel}" if kernel else "")
        job = ("ins_vfio\n" + "".join(f"ins {m}\n" for m in NEEDED) +
               f"LIMIT={LIMIT} run {program} python3 -S /guest/scenarios.py {mode} {accel} {' '.join(names)}\n")
        made += [Boot(core, f"guest_{mode}", (job, [], []), kernel=kernel or options.kernel, programs=[program],
                      archive=archive, machine="guest", memory=memory) for core in options.cores]
    return made
