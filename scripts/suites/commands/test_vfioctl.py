# SPDX-License-Identifier: GPL-2.0-only
"""Runs vfioctl in the test VM, on the sysfs of real devices, on both cores.

    scripts/host/enter scripts/suite test-vfioctl [--cores c,rust] [--modes default,guest,pasid,noiommu] [SCENARIO...]

The scenarios, and what each shows, are in selftests/vfioctl/vfioctl.py.  The crate's own tests, on machines that
are made up of files, come first (host)."""

import glob
import lzma
import os
import re
import subprocess

from suites import TOP, initramfs, suite, vm
from suites.suite import Boot, Program, say

SOURCE = os.path.join(TOP, "selftests/vfioctl")
# In seconds, all scenarios: only for what hangs.
LIMIT = 1800
# Machines, and the modules that their scenarios want beside VFIO's.
MACHINES = {
    "default": ["virtio_rng", "igb", "mtty"],
    "guest": ["nvme", "e1000e", "igb"],
    "pasid": [],
    "noiommu": [],
}
# The reference kernel has no file system for disks, no device mapper, no bonds.  Debian's has.
KERNELS = {"guest": "stock"}
DISTRIBUTION = ["nls_cp437", "msdos", "dm_mod", "bonding"]


def host_tests():
    """The crate's tests, each a case."""
    program = Program("host", "vfioctl")
    result = subprocess.run([os.path.join(TOP, "scripts/host/build-crate"), "vfioctl", "--cargo", "test", "--lib"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    # Quiet, it names those that failed alone.
    failed = re.findall(r"^---- (\S+) stdout ----$", result.stdout, re.M)
    sums = re.search(r"(\d+) passed; (\d+) failed", result.stdout)
    if result.returncode:
        say(result.stdout)
    if not sums:
        program.cases["(program)"] = "failed"
        return program
    program.cases.update({f"case {n + 1}": "ok" for n in range(int(sums.group(1)))})
    program.cases.update(dict.fromkeys(failed, "failed"))
    return program


def module_of(build, name):
    """A module of Debian's kernel, and what it depends on; None if it is built in."""
    pattern = f"{build}/packages/usr/lib/modules/*/kernel/**/{re.sub('[-_]', '[-_]', name)}.ko*"
    for path in glob.glob(pattern, recursive=True):
        with (lzma.open if path.endswith(".xz") else open)(path, "rb") as f:
            return f.read(), initramfs.modinfo(path)
    return None


def distribution(cpio, build):
    """Debian's modules, named in the order in which they are inserted."""
    done = []

    def add(name):
        name = name.replace("-", "_")
        found = module_of(build, name) if name and name not in done else None
        if found:
            for needed in found[1]:
                add(needed)
            cpio.data(f"distribution-modules/{len(done):02}-{name}.ko", found[0])
            done.append(name)
    for wanted in DISTRIBUTION:
        add(wanted)


def archive(kernel):
    """What the VM holds beside what all have: Python, the program under test, what makes file systems."""
    cpio = initramfs.Cpio()
    initramfs.write_python(cpio)
    cpio.file("bin/vfioctl", os.path.join(vm.script("build-crate", "vfioctl"), "vfioctl"))
    cpio.tree("vfioctl/man", os.path.join(TOP, "build/vfioctl/share/man/man8"))
    cpio.program("bin/mkfs.fat", os.path.join(vm.script("debian-package", "dosfstools"), "usr/sbin/mkfs.fat"))
    for name in ("vfio.py", "vfioctl.py"):
        cpio.file(f"vfioctl/{name}", os.path.join(SOURCE, name))
    cpio.file("vfioctl/scenario.py", os.path.join(TOP, "selftests/lib/scenario.py"))
    if kernel in KERNELS.values():
        distribution(cpio, vm.kernel_build(kernel))
    return cpio.bytes()


def places():
    """Where scenarios run that do not run on the usual machine."""
    with open(os.path.join(SOURCE, "vfioctl.py"), encoding="ascii") as f:
        listed = re.search(r"^PLACES = \{(.*?)\}", f.read(), re.M | re.S).group(1)
    return dict(re.findall(r'(\w+): "(\w+)"', listed))


def main():
    parser = suite.arguments("runs vfioctl in the test VM")
    suite.modes_argument(parser, MACHINES, "machines")
    options = suite.parse(parser)
    names = suite.scenarios(options, os.path.join(SOURCE, "vfioctl.py"), MACHINES)
    where = places()
    boots, archives = [], {}
    for machine in options.modes:
        chosen = [name for name in names if where.get(name, "default") == machine]
        if not chosen:
            continue
        kernel = KERNELS.get(machine, options.kernel)
        if kernel not in archives:
            archives[kernel] = suite.archive(options, kernel) + archive(kernel)
        program = f"vfioctl_{machine}"
        job = "ins_vfio\n" + "".join(f"ins {name}\n" for name in MACHINES[machine])
        if machine in KERNELS:
            job += ("for file in /distribution-modules/*.ko; do case $file in\n*bonding*) insmod $file max_bonds=0 ;;\n"
                    "*) insmod $file ;;\nesac; done\n")
        job += f"LIMIT={LIMIT} run {program} python3 -S /vfioctl/vfioctl.py {machine} {' '.join(chosen)}\n"
        boots += [Boot(core, program, (job, [], []), kernel=kernel, programs=[program], archive=archives[kernel],
                       machine=machine, memory=options.memory) for core in options.cores]
    host = [] if options.patterns else [host_tests()]
    return suite.run(options, boots, host)
