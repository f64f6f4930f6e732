# SPDX-License-Identifier: GPL-2.0-only
"""The files of examples/ for unprivileged users, in the VM: makes boots of selftests/users/users.py."""

import os

from suites import TOP, initramfs, vm
from suites.suite import Boot, cases_in, wanted

SOURCE = os.path.join(TOP, "selftests/users")


def _archive():
    """What the VM holds beside what all have: Python, kmod, udev, su, the examples."""
    cpio = initramfs.Cpio()
    initramfs.write_python(cpio)
    initramfs.write_kmod(cpio)
    initramfs.write_udev(cpio, vm.script("debian-package", "--needs-but", "systemd", "udev"))
    initramfs.write_su(cpio)
    for name in ("users.py", "drive.py"):
        cpio.file(f"opt/{name}", os.path.join(SOURCE, name))
    cpio.file("opt/scenario.py", os.path.join(TOP, "selftests/lib/scenario.py"))
    cpio.tree("opt/examples", os.path.join(TOP, "examples"))
    return cpio.bytes()


def boots(options, archive, kernel):
    """A boot for each core, of a kernel that has what udev asks for."""
    cases = [c for c in cases_in(os.path.join(SOURCE, "users.py"), "CASES") if wanted(f"users.{c}", options.patterns)]
    program = f"users@{kernel}"
    job = f"PATH=/sbin:$PATH\nrun {program} python3 -S /opt/users.py {' '.join(cases)}\n"
    return [Boot(core, "users", (job, [], []), kernel=kernel, programs=[program], archive=archive + _archive(),
                 memory=options.memory) for core in options.cores] if cases else []
