# SPDX-License-Identifier: GPL-2.0-only
"""Counts the instructions of the core's operations without a VM, in seconds.

    scripts/host/enter scripts/suite bench-quick [--cores c,rust] [--json FILE] [--profile OPERATION]
    scripts/host/enter scripts/suite bench-quick --check | --renew
    scripts/host/enter scripts/suite bench-quick --scaling [--table FILE]

A user-space program contains a core, vfio.o, and stubs of the kernel's functions (selftests/cost/quick/).  It counts
the instructions that the core executes.  The kernel's code outside of vfio.ko is not counted, as in the columns
"inside" of "bench".  The program must count the same in each round and in each run.

--check compares the counts of the Rust core with selftests/cost/quick/recorded.json, and fails if a count is more than
2 % above the recorded one.  It also fails if users of different devices acquire a common lock of the Rust core that
they do not in C.  --renew writes that file.  --profile prints how many instructions each function of the core
executes in an operation.

--scaling counts operations among 1 to 4,096 devices: in groups of their own, in one group, in one device set, and in
groups of one container.  It fails if a count of the Rust core grows faster than the logarithm of the number.  The
operations of LINEAR, which grow faster in C, may grow as fast as in C.  --table writes the counts into a file, between
its marks."""

import argparse
import bisect
import collections
import json
import os
import re
import subprocess

from suites import TOP, Failure, bench, rst, suite, vm
from suites.suite import Count, say, step

def memory(path, title):
    """The operations on the memory of an emulated device that a user reaches by a container or an iommufd."""
    return {
        f"pin_{path}": f"pin through {title}",
        f"unpin_{path}": f"unpin through {title}",
        f"pin_many_{path}": f"pin of 512 pages through {title}",
        f"dma_rw_{path}": f"dma_rw through {title}",
        f"dma_rw_many_{path}": f"dma_rw of 512 pages through {title}",
    }


# The name of an operation in operations.c -> the name in tables
OPERATIONS = {
    "load": "load of the module",
    "unload": "unload of the module",
    "open_close": "open+close",
    "open_bind_close": "open+BIND+close",
    "bind": "BIND",
    "bind_emulated": "BIND, emulated device",
    "close_bound": "close, bound",
    "close_bound_emulated": "close, bound, emulated device",
    **bench.REFUSED_BINDS,
    "bind_second": "BIND refused: bound by another file",
    **bench.REFUSED_BEFORE_BIND,
    **bench.INFO,
    "get_region_info_caps": "GET_REGION_INFO with a capability",
    "reset_refused": "RESET refused by the driver",
    "pread": "pread",
    "pwrite": "pwrite",
    "mmap": "mmap",
    "attach": "ATTACH",
    "replace": "ATTACH (replace)",
    "detach": "DETACH",
    "attach_pasid": "ATTACH, PASID",
    "replace_pasid": "ATTACH (replace), PASID",
    "detach_pasid": "DETACH, PASID",
    "logging_start": "DMA_LOGGING_START, 256 ranges",
    "logging_stop": "DMA_LOGGING_STOP",
    "logging_report": "DMA_LOGGING_REPORT",
    "fdinfo": "fdinfo of a bound file",
    "attach_emulated": "ATTACH, emulated device",
    "detach_emulated": "DETACH, emulated device",
    **memory("iommufd", "an iommufd"),
    "alloc": "alloc",
    "put": "put",
    "put_registered": "put after unregister",
    "register": "register, alone in its group",
    "unregister": "unregister, alone in its group",
    "register_emulated": "register, emulated device",
    "unregister_emulated": "unregister, emulated device",
    "group_open_close": "group open+close",
    "group_get_status": "group GET_STATUS",
    "container_open_close": "container open+close",
    "check_extension_none": "CHECK_EXTENSION, no IOMMU driver",
    "check_extension": "CHECK_EXTENSION before SET_IOMMU",
    "check_extension_set": "CHECK_EXTENSION after SET_IOMMU",
    "set_container": "SET_CONTAINER",
    "unset_container": "UNSET_CONTAINER",
    "set_iommu": "SET_IOMMU",
    "get_device_fd": "GET_DEVICE_FD",
    "get_device_fd_close": "GET_DEVICE_FD+close",
    "second_device_fd": "GET_DEVICE_FD, second fd",
    "second_device_close": "close of it",
    "get_device_fd_unknown": "GET_DEVICE_FD, unknown name",
    "set_container_iommufd": "SET_CONTAINER with an iommufd",
    "get_device_fd_iommufd": "GET_DEVICE_FD with an iommufd",
    **memory("container", "a container"),
    "kvm_add_device": "KVM file add",
    "kvm_del_device": "KVM file del",
    "kvm_add_group": "KVM file add, group",
    "kvm_del_group": "KVM file del, group",
    "own_device_id": "hot reset: id of an own device",
    "foreign_device_id": "hot reset: id of another's device",
    "set_open_count": "hot reset: open devices of the set",
    "find_in_set": "hot reset: search for a device in the set",
    "file_is_group": "hot reset: kind of a file",
    "file_has_dev": "hot reset: device of a group's file",
    "add_capabilities": "32 capabilities added",
    "shift_capabilities": "32 capabilities shifted",
    "virqfd_enable": "virqfd enable",
    "virqfd_disable": "virqfd disable",
    "virqfd_event": "virqfd event",
    "virqfd_flush_thread": "virqfd flush",
    "check_irqs": "SET_IRQS, check of the header",
    "next_state": "next state of a migration",
}

FOLDER = "selftests/cost/quick"
RECORDED = os.path.join(TOP, FOLDER, "recorded.json")
# How many times the recorded count ours may be.
LIMIT = 1.02

# Objects of the reference kernel that are linked as they are.
KERNEL_OBJECTS = [f"lib/{name}.o" for name in (
    "bitmap", "ctype", "find_bit", "hexdump", "idr", "interval_tree", "kasprintf", "kstrtox", "radix-tree", "rbtree",
    "refcount", "string", "uuid", "vsprintf", "xarray")]
RUST_OBJECTS = [f"rust/{name}.o" for name in ("bindings", "compiler_builtins", "core", "helpers/helpers", "kernel")]

# The address of the first symbol without a stub.  Nothing is mapped there.
MISSING = 0x70000000


def missing_symbols(objects):
    """The symbols that the objects need and do not define.  The linker script and stubs() define the others."""
    needed, defined = set(), set()
    for line in vm.output("nm", *objects).splitlines():
        match = re.match(r"[0-9a-f]* +(\w) (\S+)$", line)
        if match:
            (needed if match[1] == "U" else defined).add(match[2])
    return sorted(symbol for symbol in needed - defined if not symbol.startswith(("inside_", "missing_")))


def stubs(symbols):
    """Assembly that defines symbols: each is a page without memory, so that a use causes a fault.  See counter.c."""
    lines = [".globl missing_begin, missing_count, missing_names", f".set missing_begin, {MISSING}", ".section .rodata",
             f"missing_count: .quad {len(symbols)}", "missing_names:"]
    for i, symbol in enumerate(symbols):
        lines += [f".globl {symbol}", f".set {symbol}, {MISSING + i * 4096}", f".quad .Lname{i}"]
    lines += [f'.Lname{i}: .asciz "{symbol}"' for i, symbol in enumerate(symbols)]
    return "\n".join(lines) + "\n"


def build(core):
    """Builds the program that contains a core; returns its path."""
    kernel = vm.kernel_build("base")
    if core == "rust":
        module = os.path.splitext(vm.rust_module("base"))[0] + ".o"
    else:
        module = os.path.join(kernel, "drivers/vfio/vfio.o")
    folder = os.path.dirname(vm.small_module("base", FOLDER.removeprefix("selftests/"), "counter.o"))
    with open(os.path.join(TOP, FOLDER, "Kbuild"), encoding="ascii") as f:
        own = " ".join(re.findall(r"^always-y [:+]= (.*)$", f.read(), re.M)).split()
    objects = [module, *(os.path.join(folder, name) for name in own),
               *(os.path.join(kernel, path) for path in KERNEL_OBJECTS + RUST_OBJECTS * (core == "rust"))]
    program = os.path.join(folder, f"quick-{core}")
    with open(f"{program}.S", "w", encoding="ascii") as f:
        f.write(stubs(missing_symbols(objects)))
    vm.output("clang", "-c", f"{program}.S", "-o", f"{program}.o")
    vm.output("ld.lld", "-static", "-z", "max-page-size=4096", "-T", os.path.join(TOP, FOLDER, "quick.lds"),
              "-o", program, *objects, f"{program}.o")
    return program


def run(program, *arguments):
    """What the program prints."""
    result = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=300)
    if result.returncode:
        raise Failure(f"{os.path.basename(program)}: {(result.stdout.splitlines() or ['no output'])[-1]}"
                      f" (status {result.returncode})")
    return result.stdout


def measure(program):
    """operation -> instructions in the core."""
    printed = run(program)
    if run(program) != printed:
        raise Failure(f"{os.path.basename(program)}: two runs differ")
    counts = {}
    for line in printed.splitlines():
        name, *rounds = line.split()
        if len(set(rounds)) != 1:
            raise Failure(f"{os.path.basename(program)}: the rounds of {name} differ: {' '.join(rounds)}")
        counts[name] = int(rounds[0])
    if set(counts) != set(OPERATIONS):
        raise Failure(f"operations.c and bench_quick.py differ: {' '.join(set(counts) ^ set(OPERATIONS))}")
    return counts


# What devices have in common, and an operation, as scaling.c names them -> the name in tables
CROWDS = {
    "own": "own groups",
    "group": "one group",
    "set": "one set",
    "container": "one container",
    "ranges": "(ranges)",
}
SCALED = {
    "open": "open",
    "bind": "BIND",
    "fdinfo": "fdinfo of a bound file",
    "close": "close, bound",
    "group_open_close": "group open+close",
    "get_oldest": "GET_DEVICE_FD, oldest device",
    "close_oldest": "close of it",
    "get_newest": "GET_DEVICE_FD, newest device",
    "get_unknown": "GET_DEVICE_FD, unknown name",
    "unregister": "unregister",
    "register": "register",
    "get_device_fd": "GET_DEVICE_FD",
    "close_device": "close of it",
    "unset_container": "UNSET_CONTAINER",
    "set_container": "SET_CONTAINER",
    "combine": "vfio_combine_iova_ranges()",
}
# What is linear in the C core, and may be here
LINEAR = {("group", "get_oldest"), ("group", "get_unknown"), ("set", "close"), ("ranges", "combine")}
# A logarithm doubles from the first of these numbers to the second.
FROM, TO = 64, 4096


def scaling(program):
    """(crowd, operation) -> {number of devices: instructions}."""
    counts = {}
    for line in run(program, "-s").splitlines():
        name, number, count = line.split()
        crowd, _, operation = name.partition("_")
        counts.setdefault((crowd, operation), {})[int(number)] = int(count)
    if {crowd for crowd, _ in counts} != CROWDS.keys() or {operation for _, operation in counts} != SCALED.keys():
        raise Failure("scaling.c and bench_quick.py differ")
    return counts


def scaling_table(results):
    """A table in reStructuredText, with the counts as "C / Rust"."""
    numbers = sorted(next(iter(results["c"].values())))
    rows = []
    for key, counts in results["c"].items():
        crowd, operation = key
        rows.append([CROWDS[crowd], SCALED[operation],
                     *(f"{counts[n]} / {results['rust'][key][n]}" if n in counts else "" for n in numbers)])
    return rst.simple_table(["devices in", "operation", *map(str, numbers)], rows)


def check_scaling(results):
    """Verdicts on how the counts of the Rust core grow, and on the table in the documents; the exit status."""
    count = Count()
    count.verdict(rst.nearly(rst.written(rst.MEASUREMENTS, "bench-quick --scaling"), scaling_table(results)),
                  "the table in Documentation/measurements.rst has these counts "
                  "(make bench-scaling TABLE=Documentation/measurements.rst writes it)")
    for key, ours in results["rust"].items():
        crowd, operation = key
        c = results["c"][key]
        # vfio_combine_iova_ranges() is quadratic on both cores, and is called with fewer ranges.
        first, last = (FROM, TO) if TO in ours else sorted(ours)[-2:]
        growth, theirs = ours[last] / ours[first], c[last] / c[first]
        limit = 1.05 * (max(theirs, 2) if key in LINEAR else 2)
        count.verdict(growth <= limit, f"{CROWDS[crowd]}: {SCALED[operation]}: {first} to {last}: "
                                       f"{ours[first]} to {ours[last]}, times {growth:.2f}; in C "
                                       f"{c[first]} to {c[last]}, times {theirs:.2f}")
    return count.end()


def print_counts(results):
    both = len(results) == 2
    say(f"{'operation':40}" + "".join(f"{core:>9}" for core in results) + (f"{'Rust/C':>9}" if both else ""))
    for name, title in OPERATIONS.items():
        counts = [result[name] for result in results.values()]
        say(f"{title:40}" + "".join(f"{count:9}" for count in counts) +
            (f"{counts[1] / counts[0]:9.2f}" if both else ""))


def write_json(path, results):
    bench.write_json(path, {name: {core: result[name] for core, result in results.items()} for name in OPERATIONS})


# The operations whose locks are compared, of physical and of emulated devices: operations.c
SHARED = """open bind get_info get_irq_info get_region_info feature reset pread pwrite mmap attach detach fdinfo close
    same_device group_open group_get_status container_open set_container check_extension set_iommu get_device_fd
    device_close unset_container container_close set_iommufd iommufd_device_fd iommufd_device_close unset_iommufd
    group_close""".split()


def shared_locks(program):
    """operation -> the number of locks that two users acquire in it, each with a device of their own."""
    shared = {name: int(number) for name, number in (line.split() for line in run(program, "-l").splitlines())}
    if shared.keys() != {f"{kind}_{name}" for kind in ("physical", "emulated") for name in SHARED}:
        raise Failure("operations.c and bench_quick.py differ in the operations whose locks are compared")
    return shared


def check_locks(count, programs):
    """Verdicts on the locks of the Rust core: users of different devices share none that they do not share in C."""
    c, ours = shared_locks(programs["c"]), shared_locks(programs["rust"])
    for name, number in ours.items():
        if name.endswith("_same_device"):
            count.verdict(number > 0, f"locks: {name}: two files of one device share {number}")
            continue
        count.verdict(number <= c[name], f"locks: {name}: users of different devices share {number}, in C {c[name]}")


def check(results, programs):
    """Compares the counts with the recorded ones, and looks for shared locks; the exit status."""
    with open(RECORDED, encoding="ascii") as f:
        recorded = json.load(f)
    count, lower = Count(), False
    check_locks(count, programs)
    for name in OPERATIONS:
        ours, c = results["rust"][name], results["c"][name]
        was = recorded.get(name)
        if not was:
            count.verdict(False, f"{name}: {ours}, not recorded")
            continue
        count.verdict(ours <= LIMIT * was["rust"], f"{name}: {ours}, recorded {was['rust']}")
        lower = lower or ours * LIMIT < was["rust"]
        if c != was["c"]:
            say(f"# the C core: {c}, recorded {was['c']}: another compiler or kernel, or another operation")
    for name in recorded.keys() - OPERATIONS.keys():
        count.verdict(False, f"{name}: recorded, but not counted")
    if lower or count.failed:
        say("\n\"make bench-check RENEW=1\" records the new counts")
    return count.end()


def profile(program, operation):
    """Prints how many instructions each function of a core executes in an operation."""
    addresses, functions = {}, []
    for line in vm.output("nm", "--demangle", program).splitlines():
        match = re.match(r"([0-9a-f]+) [tTwW] (.*)$", line)
        if match and match[2] not in ("inside_begin", "inside_end"):
            functions.append((int(match[1], 16), match[2]))
    functions.sort()
    for line in run(program, "-v").splitlines():
        match = re.match(r"  0x([0-9a-f]+) (\d+)$", line)
        if match:
            addresses[int(match[1], 16)] = int(match[2])
        elif line == "round":
            addresses.clear()
        elif line.startswith(f"{operation} "):
            break
    counts = collections.Counter()
    for address, count in addresses.items():
        place = bisect.bisect_right(functions, address, key=lambda function: function[0]) - 1
        counts[functions[place][1]] += count
    for function, count in counts.most_common():
        say(f"{count:9}  {function}")
    say(f"{counts.total():9}  in all")


def main():
    parser = argparse.ArgumentParser(description="counts the instructions of both cores without a VM")
    parser.add_argument("--cores", default="c,rust", type=lambda s: s.split(","))
    parser.add_argument("--json", metavar="FILE", help="write the counts into this file")
    parser.add_argument("--check", action="store_true", help="compare with the recorded counts")
    parser.add_argument("--renew", action="store_true", help="record the counts")
    parser.add_argument("--scaling", action="store_true", help="count operations among many devices")
    parser.add_argument("--table", metavar="FILE", help="write the table of --scaling into this file")
    parser.add_argument("--profile", metavar="OPERATION", choices=OPERATIONS, help="print the counts of functions")
    options = parser.parse_args()
    if options.table and not options.scaling or options.json and options.scaling:
        raise Failure("--table is for --scaling, --json is not")
    if (options.check or options.renew or options.scaling) and options.cores != ["c", "rust"]:
        raise Failure("--check, --renew and --scaling are for both cores")
    programs = {}
    for core in options.cores:
        step(f"{suite.CORE_NAMES[core]} core: linking")
        programs[core] = build(core)
    if options.profile:
        for core, program in programs.items():
            say(f"{OPERATIONS[options.profile]}, {suite.CORE_NAMES[core]} core:")
            profile(program, options.profile)
        return 0
    if options.scaling:
        step("counting among 1 to 4,096 devices")
        results = {core: scaling(program) for core, program in programs.items()}
        if options.table:
            rst.replace(options.table, "bench-quick --scaling", scaling_table(results))
        return check_scaling(results)
    step("counting")
    results = {core: measure(program) for core, program in programs.items()}
    if options.json:
        write_json(options.json, results)
    if options.renew:
        write_json(RECORDED, results)
    if options.check:
        return check(results, programs)
    say("Instructions in the core per operation, without a VM\n")
    print_counts(results)
    return 0
