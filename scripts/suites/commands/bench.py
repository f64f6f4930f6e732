# SPDX-License-Identifier: GPL-2.0-only
"""Prints what the operations of the core cost, ours beside the C one, in guest instructions.

    scripts/host/enter scripts/suite bench [--cores c,rust] [--json FILE] [--table FILE]

Each program of PROGRAMS runs in a VM of its own, once for each core.  "whole" is the whole system call, "inside" the
part in vfio.ko.  The part inside is not known of the load and unload of vfio.ko, which move the module;
"bench-quick" counts it."""

import argparse
import collections
import math

from suites import Failure, bench, rst, vm
from suites.suite import say, step

EDU = "bind_vfio $EDU0\n"
KVM = "ins kvm_amd\n"
FOLDER = "/sys/bus/pci/devices/$EDU0"

# The commands that run a program, and its operations: name -> what a person calls it; a module that they want, by its
# folder and file; whether the part inside vfio.ko is counted
Program = collections.namedtuple("Program", "run operations module inside", defaults=(None, True))

# program of selftests/cost
PROGRAMS = {
    "bench_device": Program(EDU + KVM + f"run bench_device /opt/bench_device {FOLDER}\n", {
        "getppid": "getppid (for comparison)",
        "null_open_close": "open+close /dev/null (for comparison)",
        "open_close": "open+close",
        "open_bind_close": "open+BIND+close",
        "bind": "BIND",
        "close_bound": "close, bound",
        **bench.REFUSED_BINDS,
        "bind_group": "BIND refused: the group's file is open",
        "bind_second": "BIND refused: bound by another file",
        **bench.REFUSED_BEFORE_BIND,
        **bench.INFO,
        "reset": "RESET that the device lacks",
        "config_pread": "pread, config, 4 bytes",
        "config_pwrite": "pwrite, config, 4 bytes",
        "bar_pread": "pread, BAR, 4 bytes",
        "bar_pread_page": "pread, BAR, 4 KiB",
        "bar_pwrite_page": "pwrite, BAR, 4 KiB",
        "mmap": "mmap of a BAR's page",
        "first_touch": "first touch of it",
        "munmap": "munmap of it",
        "attach": "ATTACH",
        "replace": "ATTACH (replace)",
        "detach": "DETACH",
        "attach_many": "ATTACH, 10,000 mappings",
        "detach_many": "DETACH, 10,000 mappings",
        "fdinfo": "fdinfo of a bound file",
        "kvm_add": "KVM file add",
        "kvm_del": "KVM file del",
    }),
    "bench_emulated": Program("ins mtty\nrun bench_emulated /opt/bench_emulated\n", {
        "create": "mdev create",
        "remove": "mdev remove",
        "emulated_open_close": "open+close, mdev",
        "emulated_bind": "BIND, mdev",
        "emulated_close_bound": "close, bound, mdev",
        "emulated_get_info": "GET_INFO, mdev",
        "emulated_attach": "ATTACH, mdev",
        "emulated_replace": "ATTACH (replace), mdev",
        "emulated_detach": "DETACH, mdev",
        "emulated_pread": "pread, 4 bytes, mdev",
    }),
    "bench_group": Program(EDU + KVM + f"run bench_group /opt/bench_group {FOLDER} $EDU0\n", {
        "group_open_close": "group open+close",
        "group_get_status": "group GET_STATUS",
        "container_open_close": "container open+close",
        "check_extension": "CHECK_EXTENSION before SET_IOMMU",
        "check_extension_set": "CHECK_EXTENSION after SET_IOMMU",
        "set_container": "SET_CONTAINER",
        "unset_container": "UNSET_CONTAINER",
        "set_iommu": "SET_IOMMU",
        "get_device_fd": "GET_DEVICE_FD",
        "device_close": "close of it",
        "second_device_fd": "GET_DEVICE_FD, second fd",
        "second_device_close": "close of it",
        "unknown_device": "GET_DEVICE_FD, unknown name",
        "set_iommufd": "SET_CONTAINER with an iommufd",
        "iommufd_device_fd": "GET_DEVICE_FD with an iommufd",
        "iommufd_device_close": "close of it",
        "kvm_add_group": "KVM file add, group",
        "kvm_del_group": "KVM file del, group",
    }),
    "bench_null": Program("insmod /opt/vfio-null.ko\nrun bench_null /opt/bench_null\n", {
        "alloc": "alloc",
        "put": "put",
        "register": "register",
        "unregister": "unregister",
        "put_registered": "put after unregister",
        "null_open": "open, null device",
        "null_close": "close, null device",
        "null_bind": "BIND, null device",
        "null_close_bound": "close, bound, null device",
        "null_attach": "ATTACH, null device",
        "null_replace": "ATTACH (replace), null device",
        "null_detach": "DETACH, null device",
        "null_attach_pasid": "ATTACH, PASID",
        "null_replace_pasid": "ATTACH (replace), PASID",
        "null_detach_pasid": "DETACH, PASID",
        "null_get_info": "GET_INFO, null device",
        "null_region": "GET_REGION_INFO, null device",
        "null_region_caps": "GET_REGION_INFO with a capability",
        "null_reset": "RESET, null device",
        "null_pread": "pread, 4 bytes, null device",
        "null_pwrite": "pwrite, 4 KiB, null device",
        "null_mmap": "mmap, null device",
        "logging_start": "DMA_LOGGING_START, 256 ranges",
        "logging_stop": "DMA_LOGGING_STOP",
        "logging_report": "DMA_LOGGING_REPORT",
        "pin": "pin",
        "unpin": "unpin",
        "pin_many": "pin of 512 pages",
        "unpin_many": "unpin of 512 pages",
        "dma_read": "dma_rw of a page",
        "dma_write_many": "dma_rw of 512 pages",
        "virqfd_enable": "virqfd enable",
        "virqfd_disable": "virqfd disable",
        "virqfd_event": "virqfd event",
        "capabilities": "32 capabilities",
    }, module=("cost/null", "vfio-null.ko")),
    "bench_load": Program("rmmod vfio_pci vfio_pci_core vfio_iommu_type1\n"
                          "run bench_load /opt/bench_load /modules/$VFIO_CORE/vfio.ko\n", {
        "load": "load of vfio.ko",
        "unload": "unload of vfio.ko",
    }, inside=False),
}
OPERATIONS = {name: title for program in PROGRAMS.values() for name, title in program.operations.items()}
# Those of which the part inside is not counted
WHOLE = {name for program in PROGRAMS.values() if not program.inside for name in program.operations}


def measure(core):
    """(operation -> (whole, inside), the sizes of the module)."""
    counts, sizes = {}, ()
    for name, program in PROGRAMS.items():
        step(f"{core}: {name}")
        module = program.module
        programs = [(f"opt/{module[1]}", vm.small_module("base", *module))] if module else []
        result = bench.measure(core, name, program.run, programs=programs)
        missing = set(program.operations) ^ set(result[0])
        if missing:
            raise Failure(f"{name}.c and commands/bench.py differ: {' '.join(sorted(missing))}")
        for operation in program.operations:
            whole, inside = bench.medians(result, operation)
            counts[operation] = whole, 0 if operation in WHOLE else inside
        sizes = result[1]
    return counts, sizes


def ratios(results, name):
    """ours to C: whole, inside; None for what is not in vfio.ko."""
    (c, c_inside), (ours, ours_inside) = (results[core][0][name] for core in ("c", "rust"))
    return ours / c, ours_inside / c_inside if c_inside else None


def mean(values):
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def means(results):
    """Geometric means of what is in vfio.ko: whole, inside."""
    both = [ratios(results, name) for name in OPERATIONS]
    both = [pair for pair in both if pair[1]]
    return mean([whole for whole, _ in both]), mean([inside for _, inside in both])


def table(results):
    """A table in reStructuredText of what both cores cost."""
    rows = []
    for name, title in OPERATIONS.items():
        (c, c_inside), (ours, ours_inside) = (results[core][0][name] for core in ("c", "rust"))
        whole, inside = ratios(results, name)
        if c_inside:
            rows.append([title, *map(str, (c, c_inside, ours, ours_inside)), f"{whole:.3f}", f"{inside:.2f}"])
        elif name in WHOLE:
            rows.append([title, str(c), "", str(ours), "", f"{whole:.3f}", ""])
    whole, inside = means(results)
    rows.append(["geometric mean", "", "", "", "", f"{whole:.3f}", f"{inside:.2f}"])
    return rst.simple_table(["operation", "C, whole", "inside", "Rust", "inside", "ratio", "inside"], rows)


def main():
    parser = argparse.ArgumentParser(description="measures the operations of both cores")
    parser.add_argument("--cores", default="c,rust", type=lambda s: s.split(","))
    parser.add_argument("--json", metavar="FILE", help="write the counts into this file")
    parser.add_argument("--table", metavar="FILE", help="write the table into this file, between its marks")
    options = parser.parse_args()
    if options.table and options.cores != ["c", "rust"]:
        raise Failure("--table is for both cores")
    results = {core: measure(core) for core in options.cores}
    both = len(results) == 2
    for name in OPERATIONS if both else ():
        if results["rust"][0][name][1] and not results["c"][0][name][1]:
            raise Failure(f"{name}: vfio.ko takes part, and that of C does not")
    if options.json:
        bench.write_json(options.json, {
            name: {core: dict(zip(("whole", "inside"), result[0][name])) for core, result in results.items()}
            for name in OPERATIONS})
    if options.table:
        rst.replace(options.table, "bench", table(results))
    say("Guest instructions per operation: the whole system call, and the part in vfio.ko\n")
    head = f"{'operation':42}" + "".join(f"{core + ' whole':>12}{'inside':>9}" for core in results)
    say(head + (f"{'Rust/C':>12}{'inside':>9}" if both else ""))
    for name, title in OPERATIONS.items():
        row, ratio = f"{title:42}", ""
        for core in results:
            whole, inside = results[core][0][name]
            row += f"{whole:12}{inside:9}"
        if both:
            whole, inside = ratios(results, name)
            ratio = f"{whole:12.3f}" + (f"{inside:9.2f}" if inside else "")
        say(row + ratio)
    if both:
        whole, inside = means(results)
        say(f"{'geometric mean':42}{'':42}{whole:12.3f}{inside:9.2f}")
    say(f"\n{'size of vfio.ko':42}" + "".join(f"{core:>12}" for core in results))
    for index, title in enumerate(("text", "data", "bss")):
        say(f"{title:42}" + "".join(f"{results[core][1][index]:12}" for core in results))
    return 0
