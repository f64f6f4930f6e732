# SPDX-License-Identifier: GPL-2.0-only
"""Prints what the operations of the core cost, ours beside the C one, in guest instructions.

    scripts/host/enter scripts/suite bench [--cores c,rust] [--table FILE]"""

import argparse

from suites import Failure, bench, rst

# name in bench.c -> what a person calls it
OPERATIONS = {
    "getppid": "getppid (for comparison)",
    "null_open_close": "open+close /dev/null (for comparison)",
    "open_close": "open+close",
    "open_bind_close": "open+BIND+close",
    "bind": "BIND",
    "refused_get_info": "GET_INFO refused before BIND",
    "get_info": "GET_INFO",
    "get_region_info": "GET_REGION_INFO",
    "feature_probe": "FEATURE probe",
    "config_pread": "config pread",
    "attach": "ATTACH",
    "replace": "ATTACH (replace)",
    "detach": "DETACH",
    "fdinfo": "fdinfo of a bound file",
    "group_open_close": "group open+close",
    "group_get_status": "group GET_STATUS",
}


def table(results):
    """A table in reStructuredText of what both cores cost."""
    rows = []
    for name, title in OPERATIONS.items():
        (c, c_inside), (ours, ours_inside) = (bench.medians(results[core], name) for core in ("c", "rust"))
        if c_inside:
            rows.append([title, *map(str, (c, c_inside, ours, ours_inside)), f"{ours / c:.3f}",
                         f"{ours_inside / c_inside:.2f}"])
    return rst.simple_table(["operation", "C, whole", "inside", "Rust", "inside", "ratio", "inside"], rows)


def main():
    parser = argparse.ArgumentParser(description="measures the operations of both cores")
    parser.add_argument("--cores", default="c,rust", type=lambda s: s.split(","))
    parser.add_argument("--table", metavar="FILE", help="write the table into this file, between its marks")
    options = parser.parse_args()
    if options.table and options.cores != ["c", "rust"]:
        raise Failure("--table is for both cores")
    run = "bind_vfio $EDU0\nrun bench /opt/bench $EDU0\n"
    results = {core: bench.measure(core, "bench", run) for core in options.cores}
    both = len(results) == 2
    if options.table:
        rst.replace(options.table, "bench", table(results))
    print("Guest instructions per operation on edu under vfio-pci: the whole system call, and the part in vfio.ko\n")
    head = f"{'operation':40}" + "".join(f"{core + ' whole':>12}{'inside':>9}" for core in results)
    print(head + (f"{'Rust/C':>12}{'inside':>9}" if both else ""))
    for name, title in OPERATIONS.items():
        row, ratio = f"{title:40}", ""
        for core in results:
            whole, inside = bench.medians(results[core], name)
            row += f"{whole:12}{inside:9}"
        if both:
            (c, c_inside), (ours, ours_inside) = (bench.medians(results[core], name) for core in ("c", "rust"))
            ratio = f"{ours / c:12.3f}" + (f"{ours_inside / c_inside:9.2f}" if c_inside else f"{'':9}")
        print((row + ratio).rstrip())
    print(f"\n{'size of vfio.ko':40}" + "".join(f"{core:>12}" for core in results))
    for index, title in enumerate(("text", "data", "bss")):
        print(f"{title:40}" + "".join(f"{results[core][1][index]:12}" for core in results))
    return 0
