# SPDX-License-Identifier: GPL-2.0-only
"""Finds the reports of the kernel's debugging tools in a kernel log."""

import collections
import re

# What a report begins with.
REPORT = re.compile("|".join((
    r"\bBUG: ", r"\bWARNING: ", r"\bOops\b", r"\bKernel panic\b", r"\bINFO: task .* blocked for more than",
    r"possible circular locking", r"possible recursive locking", r"inconsistent lock state", r"lock held when",
    r"suspicious RCU usage", r"Invalid wait context", r"bad unlock balance", r"sleeping function called from invalid",
    r"scheduling while atomic", r"\bDEBUG_LOCKS_WARN_ON", r"refcount_t: ", r"list_(add|del) corruption",
    r"general protection fault", r"unable to handle (page fault|kernel)", r"\bKASAN: ", r"UBSAN: ", r"CFI failure at",
    r"kmemleak: \d+ new suspected", r"unreferenced object 0x", r"ODEBUG: ",
    r"kobject: .*(is not initialized|tried to init)",
    r"self-detected stall", r"detected stalls", r"soft lockup", r"hung_task", r"rust_kernel: panicked", r"panicked at",
    r"double fault", r"Bad page state", r"Slab .* (corrupt|Poison)", r"sysfs: cannot create duplicate",
)))

# Lines that look like reports and are none.
HARMLESS = re.compile("|".join((
    r"kmemleak: Kernel memory leak detector",
    r"kmemleak: Automatic memory scanning",
    r"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000",
    # the kernel's command line says what an oops shall do
    r"Command line: ", r"Unknown kernel command line", r"\boops=panic\b",
)))

MARK = re.compile(r"vfio-selftest: (.*)$")

Report = collections.namedtuple("Report", "test title excerpt")


def scan(log, core):
    """The reports in a log, each with the test that was running.

    A test that provokes a report on purpose writes "vfio-selftest: expect-warn begin" to /dev/kmsg
    before and "... end" after; with a core's name behind "begin" it counts on that core alone."""
    reports = []
    test, expected, quiet = "", False, 0
    lines = log.splitlines()
    for number, line in enumerate(lines):
        mark = MARK.search(line)
        if mark:
            word = mark.group(1).split()
            if word[:1] == ["begin"]:
                test = " ".join(word[1:])
            elif word[:1] == ["end"]:
                test, expected = "", False
            elif word[:2] == ["expect-warn", "begin"]:
                expected = len(word) == 2 or word[2] == core
            elif word[:2] == ["expect-warn", "end"]:
                expected = False
            quiet = 0
            continue
        if not REPORT.search(line) or HARMLESS.search(line) or expected:
            continue
        # One report holds several such lines: the excerpt shows them.
        if number < quiet:
            continue
        end = number + 1
        while end < len(lines) and end < number + 45 and not MARK.search(lines[end]):
            end += 1
        quiet = end
        reports.append(Report(test, line.strip(), lines[max(0, number - 1):end]))
    return reports
