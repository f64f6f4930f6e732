# SPDX-License-Identifier: GPL-2.0-only
"""Counts the guest instructions of a program's operations.

QEMU counts instructions (icount) and the guest's time stamp counter shows them: the figures do not
depend on the machine.  A plugin counts those that lie in vfio.ko.  What is printed is the median of
the rounds, which leaves timer interrupts out."""

import json
import os
import re
import statistics
import sys

from suites import TOP, Failure, klog, vm

# Operations that several programs count: name -> the name in tables
REFUSED_BINDS = {
    "bind_short": "BIND refused: short argsz",
    "bind_no_file": "BIND refused: fd that is not open",
    "bind_other_file": "BIND refused: fd of another kind",
    "bind_again": "BIND refused: bound already",
}
REFUSED_BEFORE_BIND = {
    "refused_get_info": "GET_INFO refused before BIND",
    "refused_pread": "pread refused before BIND",
    "refused_pwrite": "pwrite refused before BIND",
    "refused_mmap": "mmap refused before BIND",
}
INFO = {
    "get_info": "GET_INFO",
    "get_irq_info": "GET_IRQ_INFO",
    "get_region_info": "GET_REGION_INFO",
    "feature_probe": "FEATURE probe",
}


def build(name):
    """A program of the guest, and QEMU's plugin."""
    kernel = vm.kernel_build("base")
    out = os.path.join(TOP, "build", "bench")
    os.makedirs(out, exist_ok=True)
    vm.output("gcc", "-O2", "-Wall", "-Werror", "-static", "-D_GNU_SOURCE", "-isystem", f"{kernel}/usr/include",
              os.path.join(TOP, "selftests/cost", f"{name}.c"), "-o", f"{out}/{name}")
    vm.output("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
              os.path.join(TOP, "scripts/suites/count-plugin.c"), "-o", f"{out}/count-plugin.so")
    return f"{out}/{name}", f"{out}/count-plugin.so"


def sections(module):
    """Sizes of a module: its code that stays, code, data, bss."""
    listed = vm.output("readelf", "-SW", module)
    stays = 0
    for name, size, flags in re.findall(r"\] (\S+)\s+\S+\s+[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) \w+\s+([A-Z]*)", listed):
        if "A" in flags and "X" in flags and not name.startswith((".init", ".exit")):
            stays += (int(size, 16) + 63) & ~63
    text, data, bss = vm.output("size", module).splitlines()[1].split()[:3]
    return stays, int(text), int(data), int(bss)


def measure(core, name, run, *, machine="default", programs=()):
    """Runs a program of build() by the lines RUN; operation -> (whole, inside vfio.ko), a list of rounds each, and
    the sizes of the module."""
    program, plugin = build(name)
    rust = vm.rust_module("base") if core == "rust" else None
    module = rust or os.path.join(vm.kernel_build("base"), "drivers/vfio/vfio.ko")
    sizes = sections(module)
    counts_file = os.path.join(TOP, "build", "bench", f"{name}-{core}")
    job = f"ins_vfio\ngrep '^vfio ' /proc/modules\n{run}"
    archive = vm.base_archive("base", rust)
    archive += vm.job_archive(job, machine, programs=[(f"opt/{name}", program), *programs])
    result = vm.Machine(
        archive, core=core, machine=machine, cpus=1, accel="tcg", cpu="max,la57=off,-rdrand,-rdseed",
        log=vm.console_log(f"base-{core}-{name}"),
        arguments="norandmaps nokaslr random.trust_cpu=off",
        extra=["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm",
               "-plugin", f"{plugin},out={counts_file}"]).run()
    if result.reason or result.status(name) or klog.scan(result.console, core):
        print("\n".join(result.console.splitlines()[-20:] + result.lines), file=sys.stderr)
        raise Failure(f"{name} on {core}: {result.reason or 'failed'}")
    base = next(int(line.split()[5], 16) for line in result.lines if line.startswith("vfio "))
    pages = range(base, base + sizes[0] + 4095 & ~4095, 4096)
    inside = count_inside(counts_file, pages)
    figures = {}
    for line in result.lines:
        match = re.match(r"(\w+) (\d+)((?: \d+)+)$", line)
        if match:
            rounds = [int(w) for w in match[3].split()]
            figures[match[1]] = rounds, inside[int(match[2])][-len(rounds):]
    return figures, sizes[1:]


def count_inside(path, pages):
    """operation's number -> instructions in these pages, for each round."""
    counts, before = {}, {}
    with open(path, encoding="ascii") as f:
        for line in f:
            mark, *rest = line.split()
            total = 0
            for item in rest:
                page, _, count = item.partition(":")
                if int(page, 16) in pages:
                    total += int(count)
            number, end = divmod(int(mark), 2)
            if end:
                counts.setdefault(number, []).append(total - before[number])
            else:
                before[number] = total
    return counts


def medians(result, name):
    """What an operation costs: (whole, inside vfio.ko)."""
    return tuple(statistics.median_low(rounds) for rounds in result[0][name])


def write_json(path, rows):
    """Writes operation -> counts with one line for each operation, so that a diff shows the operations that changed."""
    lines = [f'  "{name}": {json.dumps(row)}' for name, row in rows.items()]
    with open(path, "w", encoding="ascii") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")
