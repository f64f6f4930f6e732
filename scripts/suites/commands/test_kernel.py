# SPDX-License-Identifier: GPL-2.0-only
"""Runs the kernel's own selftests on both cores, each case of which must come out equal.

    scripts/host/enter scripts/suite test-kernel [--cores c,rust] [--modes MODE,...] [--table FILE] [PATTERN...]

What runs on which devices stands in selftests/plan.toml.  Last come a table in
reStructuredText and "N passed, N failed"."""

import collections

from suites import Failure, kernel_tests, remembered, rst, suite
from suites.suite import say

# Columns of the table, and the outcomes that each counts.
COLUMNS = {"passed": ("ok",), "skipped": ("skipped",), "failed": ("failed", "known")}
HEADS = {"c": "C core", "rust": "ours"}


def sums(boots):
    """test -> (names of the devices, core -> outcome -> number)."""
    tests = {}
    for boot in boots:
        for program in boot.results:
            name, _, device = program.name.partition("@")
            devices, cores = tests.setdefault(name, ([], {}))
            if device not in devices and device != "none":
                devices.append(device)
            cores.setdefault(boot.core, collections.Counter()).update(program.cases.values())
    return tests


def on(devices):
    """The devices of a test: their name or their number, and whether it also ran with all of them at once."""
    single = [d for d in devices if d != "all"]
    alone = single[0] if len(single) == 1 else str(len(single) or "")
    return " + ".join(text for text in (alone, "all" if "all" in devices else "") if text)


def cells(options, cores):
    """core -> outcome -> number, as texts."""
    return [str(sum(cores.get(core, {}).get(o, 0) for o in outcomes) or "")
            for core in options.cores for outcomes in COLUMNS.values()]


def table(options, boots):
    """A table in reStructuredText of how many cases of each test came out how."""
    tests = sums(boots)
    rows = [["test", "devices"] + list(COLUMNS) * len(options.cores)]
    rows += [[name, on(devices)] + cells(options, cores) for name, (devices, cores) in tests.items()]
    total = {core: collections.Counter() for core in options.cores}
    for _, cores in tests.values():
        for core, counts in cores.items():
            total[core].update(counts)
    rows.append(["in all", ""] + cells(options, total))
    widths = rst.column_widths(rows)
    # Above its columns, the name of each core.
    spans = widths[:2] + [sum(widths[2:5]) + 4] * len(options.cores)
    rule = rst.line(["=" * w for w in widths], widths)
    return [rule, rst.line(["\\", ""] + [HEADS[c] for c in options.cores], spans),
            rst.line(["-" * w for w in spans], spans), rst.line(rows[0], widths), rule,
            *[rst.line(row, widths) for row in rows[1:]], rule]


def main():
    parser = suite.arguments("runs the kernel's own selftests")
    parser.add_argument("--modes", type=lambda s: s.split(","), help="instead of those in the table of tests")
    suite.table_argument(parser)
    options = suite.parse(parser)
    options.partial = bool(options.modes) or options.kernel != "base"
    if options.table and options.modes:
        raise Failure("--table is for all modes")
    boots = kernel_tests.Table(options.modes).boots(options, suite.archive(options))
    return suite.run(options, boots, more=lambda: show(options, boots))


def show(options, boots):
    lines = table(options, boots)
    say("\n" + "\n".join(lines))
    return rst.write_or_compare(options.table, "test-kernel", lines, remembered.is_whole(options))
