# SPDX-License-Identifier: GPL-2.0-only
"""Drives NICs in the test VM by DPDK's testpmd, behind an IOMMU and without, on both cores.

    scripts/host/enter scripts/suite test-dpdk [--cores c,rust] [--modes type1,noiommu] [SCENARIO...]

The scenarios, and what each shows, are in selftests/dpdk/scenarios.py."""

import os

from suites import TOP, initramfs, suite, vm
from suites.suite import Boot

SOURCE = os.path.join(TOP, "selftests/dpdk")
# How DPDK reaches memory, and the machine for that.
MACHINES = {"type1": "nics", "noiommu": "nics-noiommu"}
# In seconds, all scenarios: only for what hangs.
LIMIT = 3300


def dpdk_archive():
    """What the test VM holds beside what all have: Python, DPDK, the scenarios."""
    cpio = initramfs.Cpio()
    initramfs.write_python(cpio)
    initramfs.write_dpdk(cpio, vm.script("dpdk"))
    for name in ("testpmd.py", "scenarios.py"):
        cpio.file(f"dpdk/{name}", os.path.join(SOURCE, name))
    cpio.file("dpdk/scenario.py", os.path.join(TOP, "selftests/lib/scenario.py"))
    return cpio.bytes()


def main():
    parser = suite.arguments("runs DPDK in the test VM")
    suite.modes_argument(parser, MACHINES, "how DPDK reaches memory")
    parser.set_defaults(memory="2G")
    options = suite.parse(parser)
    names = suite.scenarios(options, os.path.join(SOURCE, "scenarios.py"), MACHINES)
    archive = suite.archive(options) + dpdk_archive()
    boots = []
    for mode in options.modes:
        program = f"dpdk_{mode}"
        job = f"ins_vfio\nLIMIT={LIMIT} run {program} python3 -S /dpdk/scenarios.py {mode} {' '.join(names)}\n"
        boots += [Boot(core, program, (job, [], []), kernel=options.kernel, programs=[program], archive=archive,
                       machine=MACHINES[mode], memory=options.memory) for core in options.cores]
    return suite.run(options, boots)
