# SPDX-License-Identifier: GPL-2.0-only
"""Compares what operations cost, in guest instructions, with bounds.

    scripts/host/enter scripts/suite test-costs [--cores c,rust] [PATTERN...]

The operations are those whose cost must not grow, and calls that are refused.  One VM per core runs
selftests/cost/costs.c by scripts/suites/bench.py.  Each bound is a ratio of two counts of this run: ours to the
C core's, or ours among many devices to ours among few.  No time is looked at.  Inside vfio.ko a call costs the
same in each round, which is checked, and in each run; of the whole call the median counts, without the
interrupts of the timer.

The memory of devices and files has bounds, too (selftests/cost/memory.c).

Patterns choose bounds, by the names of their operations; "memory" those of memory."""

import collections
import os

from suites import Failure, bench, klog, remembered, suite, vm
from suites.suite import Count, say, step, wanted

# name in costs.c -> what a person calls it
OPERATIONS = {
    "unregister_1": "unregister, alone in its group",
    "unregister_2": "unregister, one of 2 in a group",
    "unregister_many": "unregister, one of 1,024 in a group",
    "unregister_set": "... and of 1,024 in a set",
    "register_1": "register, alone in its group",
    "register_2": "register, one of 2 in a group",
    "register_many": "register, one of 1,024 in a group",
    "register_set": "... and of 1,024 in a set",
    "unknown_2": "GET_DEVICE_FD, unknown name, 2 devices",
    "unknown_many": "GET_DEVICE_FD, unknown name, 1,024 devices",
    "unknown_match": "... whose driver looks at names",
    "bind": "BIND (for comparison)",
    **bench.REFUSED_BINDS,
    "fdinfo": "fdinfo of a bound file, no PASIDs",
}

# How many times @of, on another core or of another operation, ours may cost.
Bound = collections.namedtuple("Bound", "name core of times whole", defaults=[False])


def to_c(name, times, whole=False):
    """Of the same operation on the C core."""
    return Bound(name, "c", name, times, whole)


def to_ours(name, of, times):
    return Bound(name, "rust", of, times)


# Beside each bound the ratio when it was set, and before: on a core with the mistake that the bound is for.
BOUNDS = [
    # The device leaves three trees, the sets (by key), its group's devices (by age) and the group's members (by
    # address), each of 1,024: ten steps of some fifteen instructions.  Before, its group was scanned.
    to_ours("unregister_many", "unregister_1", 2),        # 1.33, before 22.53
    to_ours("unregister_many", "unregister_2", 2),        # 1.74, before 29.02
    to_c("unregister_many", 9),                           # 7.38, before 126.56
    # One tree less: there is one set.
    to_ours("unregister_set", "unregister_2", 2),         # 1.38, before 28.66
    to_c("unregister_set", 9),                            # 6.05, before 129.27
    # The same trees; the C core scans the group, too.
    to_ours("register_many", "register_2", 2),            # 1.56, before 7.48
    to_c("register_many", 1),                             # 0.31, before 1.34
    to_ours("register_set", "register_2", 2),             # 1.32, before 7.20
    to_c("register_set", 1),                              # 0.26, before 1.30
    # Linear on both, for the drivers decide what a name is.  Before, a reference and a lock were taken for each
    # name.  Of the whole call, the walk through the tree is not inside.
    to_c("unknown_many", 1),                              # 0.86, before 2.81
    to_c("unknown_many", 1.75, whole=True),               # 1.61, before 5.63
    # With a driver that looks at names, as vfio-pci does.
    to_c("unknown_match", 1.15),                          # 1.06, before 4.37
    to_c("unknown_match", 1.6, whole=True),               # 1.45, before 3.77
    # Who is refused for an argument takes no lock and no reference that is only for the log.
    to_c("bind_short", 3),                                # 2.48, before 5.11
    to_c("bind_short", 1.3, whole=True),                  # 1.18, before 1.45
    to_c("bind_no_file", 2.75),                           # 2.49, before 3.02
    to_c("bind_no_file", 1.75, whole=True),               # 1.65, before 1.82
    to_c("bind_other_file", 2.75),                        # 2.49, before 3.02
    to_c("bind_other_file", 1.7, whole=True),             # 1.62, before 1.78
    to_c("bind_again", 1.25),                             # 1.10, before 1.43
    to_c("bind_again", 1.16, whole=True),                 # 1.12, before 1.19
    # Four lines more than the C core's one.  Before, PASIDs were asked for 1,024 times, under the set's lock.
    to_c("fdinfo", 15),                                   # 12.50, before 638.33
    to_c("fdinfo", 2.2, whole=True),                      # 1.93, before 50.77
]


# What takes memory -> what a person calls it, and how many times of what the C core takes ours may take.  Beside each
# the ratio when it was set; 1.1 is wanted of all.  A run differs from another by up to ten bytes, for free objects
# that the allocator keeps at hand count as well.
MEMORY = {
    "device": ("a registered device", 1.2),                        # 1.16
    "open_file": ("an open device file", 1.35),                    # 1.23
    "bind": ("an open device file that is bound, besides", 1.1),   # 0.99
    "container": ("an open container", 1.55),                      # 1.43
}


def drivers_and(program):
    """The drivers of the devices, and the commands that insert them and run a program."""
    out, _ = suite.build_selftests("base")
    drivers = [(f"opt/{name}.ko", os.path.join(out, f"{name}.ko")) for name in ("soft_iommu", "vfio_bare")]
    return drivers, "".join(f"insmod /{path}\n" for path, _ in drivers) + f"run {program} /opt/{program}\n"


def counts_of(core):
    drivers, run = drivers_and("costs")
    # Without another IOMMU the one of software is offered devices.
    return bench.measure(core, "costs", run, machine="noiommu", programs=drivers)


def memory_of(core):
    """What takes memory -> bytes."""
    drivers, run = drivers_and("memory")
    program, _ = bench.build("memory")
    archive = vm.base_archive("base", vm.rust_module("base") if core == "rust" else None)
    archive += vm.job_archive(f"ins_vfio\n{run}", "noiommu", programs=[("opt/memory", program), *drivers])
    result = vm.Machine(archive, core=core, machine="noiommu", cpus=1, log=vm.console_log(f"base-{core}-memory")).run()
    found = {line.split()[1]: int(line.split()[2]) for line in result.lines if line.startswith("memory ")}
    if result.reason or result.status("memory") or klog.scan(result.console, core) or set(found) != set(MEMORY):
        raise Failure(f"memory on {core}: {result.reason or ' '.join(result.lines[-3:])}")
    return found


def compare_memory(options, count):
    found = {core: memory_of(core) for core in options.cores}
    say("\nBytes of memory (slab)\n")
    for name, (title, _) in MEMORY.items():
        say(f"{title:44}" + "".join(f"{core:>8} {found[core][name]:8}" for core in found))
    say()
    for name, (title, times) in MEMORY.items() if len(found) == 2 else ():
        ratio = found["rust"][name] / found["c"][name]
        count.verdict(ratio <= times, f"memory of {title}: {found['rust'][name]} bytes, {ratio:.2f} times the C "
                                      f"core's, at most {times}")


def print_counts(results):
    head = f"{'operation':44}" + "".join(f"{core + ' whole':>12}{'inside':>9}" for core in results)
    say(head + (f"{'Rust/C':>12}{'inside':>9}" if len(results) == 2 else ""))
    for name, title in OPERATIONS.items():
        row, counts = f"{title:44}", {}
        for core, result in results.items():
            counts[core] = bench.medians(result, name)
            row += f"{counts[core][0]:12}{counts[core][1]:9}"
        if len(results) == 2:
            row += "".join(f"{ours / c:{width}.2f}" for ours, c, width in zip(counts["rust"], counts["c"], (12, 9)))
        say(row)


def main():
    options = suite.parse(suite.arguments("compares what operations cost with bounds"))
    bounds = [b for b in BOUNDS if wanted(b.name, options.patterns)]
    with_memory = wanted("memory", options.patterns)
    if not bounds and not with_memory:
        raise Failure(f"no bound matches {' '.join(options.patterns)}")
    count = Count()
    if bounds:
        compare_counts(options, bounds, count)
    if with_memory:
        compare_memory(options, count)
    return count.end(remembered.is_whole(options))


def compare_counts(options, bounds, count):
    results = {}
    for core in options.cores:
        step(f"{suite.CORE_NAMES[core]} core: {len(OPERATIONS)} operations")
        results[core] = counts_of(core)
    say("Guest instructions: the whole system call, and the part in vfio.ko\n")
    print_counts(results)
    say()
    for core, result in results.items():
        for name, (_, rounds) in result[0].items():
            if wanted(name, options.patterns):
                count.verdict(len(set(rounds)) == 1, f"{name}, {suite.CORE_NAMES[core]}: the same in each round, "
                                                     f"{min(rounds)} to {max(rounds)}")
    for bound in bounds:
        if "rust" not in results or bound.core not in results:
            continue
        part = 0 if bound.whole else 1
        ours = bench.medians(results["rust"], bound.name)[part]
        base = bench.medians(results[bound.core], bound.of)[part]
        than = "the C core's" if bound.core == "c" else bound.of
        count.verdict(ours <= bound.times * base, f"{bound.name}{', the whole call' if bound.whole else ''}: {ours} is "
                                                  f"{ours / base:.2f} times {than} {base}, at most {bound.times}")
