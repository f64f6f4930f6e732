# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests of physical devices behind every IOMMU that QEMU emulates, on both cores.

    scripts/host/enter scripts/suite test-viommu [--machines amd,virtio] [--cores c,rust] [PATTERN...]

A program runs as PROGRAM@MACHINE.  Which IOMMU it is on it finds out itself: a case that wants
what this IOMMU does not have is skipped and says why."""


from suites import Failure, suite
from suites.machines import MACHINES, PC
from suites.suite import Boot, build_selftests, fresh_programs, other_machines, wanted

# The default are those of x86-64; arm64 has a kernel of its own.
X86 = ["intel-legacy", "intel-scalable", "intel-first-stage", "amd", "virtio", "noiommu"]

# Programs that use no device on PCI: no IOMMU makes a difference to them, another platform might.
EMULATED = {"debugfs_migration", "dma_logging", "emulated", "emulated_dma", "group_emulated", "group_kvm",
            "kvm_file", "mdev_displays", "mdev_samples", "mig_states", "nested", "nested_errors",
            "revoked_file"}


def machine_boots(options, name, boots):
    kind = MACHINES[name]
    kernel = kind.variant(options.kernel)
    out, programs = build_selftests(kernel)
    others, fresh = other_machines(), fresh_programs()
    if kind.iommu == "none":
        programs = [p for p in programs if others.get(p) == name]
    else:
        programs = [p for p in programs if p not in others]
    if kind.platform is PC:
        # On its usual machine they have run.
        programs = [p for p in programs if p not in EMULATED and p not in fresh]
    programs = [p for p in programs if wanted(p, options.patterns)]
    groups = [(name, [p for p in programs if p not in fresh])] + [(f"{name}-{p}", [p]) for p in programs if p in fresh]
    archive = suite.archive(options, kernel) if programs else None
    for core in options.cores:
        for title, together in groups:
            if not together:
                continue
            job = "ins_vfio\ncd /selftests\n" + "".join(f"run {p}@{name} ./{p}\n" for p in together)
            boots.append(Boot(core, title, (job, [], [("selftests", out)]), kernel=kernel, archive=archive,
                              machine=name, programs=[f"{p}@{name}" for p in together], memory=options.memory))


def main():
    parser = suite.arguments("runs the tests behind every IOMMU")
    parser.add_argument("--machines", default=",".join(X86), type=lambda s: s.split(","))
    options = suite.parse(parser)
    for name in options.machines:
        if name not in MACHINES:
            raise Failure(f"there is no machine {name}: {', '.join(MACHINES)}")
    boots = []
    for name in options.machines:
        machine_boots(options, name, boots)
    return suite.run(options, boots, more=lambda: suite.overview(options.cores, options.machines, boots))
