# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests on Debian's own, unmodified kernels, and those of building against their headers.

    scripts/host/enter scripts/suite test-stock [--variants stock,set] [--cores c,rust] [--table FILE] [PATTERN...]
    scripts/host/enter scripts/suite test-stock --list [--variants ...]

selftests/plan.toml says which programs run where, on both cores.  What needs no VM is in
scripts/suites/kdir_tests.py and scripts/suites/set_tests.py; "kdir" and "install_set" choose all of it.  Last come a
table in reStructuredText of the kernels and "N passed, N failed"."""

import os
import re
import sys

from suites import TOP, kdir_tests, remembered, rst, set_tests, suite, variants, vm

INSTALL = os.path.join(TOP, "Documentation/install.rst")
HEAD = ["kernel", "compilers", "Rust metadata", "loaded", "C core", "ours"]


def found(build, file, pattern):
    """What a pattern finds in a file of a kernel's folder."""
    with open(os.path.join(build, file), encoding="utf-8") as f:
        return re.search(pattern, f.read(), re.M).group(1)


def cases(boots, name, core):
    """How many cases passed on a kernel and a core, of how many that were not skipped."""
    outcomes = [outcome for boot in boots if boot.kernel == name and boot.core == core
                for program in boot.results for outcome in program.cases.values()]
    ran = len(outcomes) - outcomes.count("skipped")
    return f"{outcomes.count('ok')} of {ran}" if ran else ""


def row(boots, name, entry):
    """A kernel, and what it was seen to do."""
    build = vm.kernel_build(name)
    version = found(build, "include/generated/utsversion.h", r"Debian (\S+)")
    gcc = found(build, ".config", r'CONFIG_CC_VERSION_TEXT=".*\bgcc.*? (\S+)"')
    rustc = found(build, ".config", r'CONFIG_RUSTC_VERSION_TEXT="rustc (\S+)')
    return [f"linux-image-{vm.release(name)} {version}", f"gcc {gcc}, rustc {rustc}", "made from linux-source",
            entry["loaded"], *(cases(boots, name, core) for core in ("c", "rust"))]


def available(name):
    """Is the series of a kernel still to be had?  One that was fetched is."""
    series = name.partition("-")[2]
    if not series or os.path.exists(os.path.join(os.environ["CACHE"], f"debian-{series}")):
        return True
    if vm.script("stock-kernel", "--releases", series):
        return True
    print(f"note: Debian has no kernel {series} any more: {name} is left out", file=sys.stderr)
    return False


def main():
    plan = {name: entry for name, entry in variants.read_plan("stock").items() if available(name)}
    parser = variants.arguments("runs the tests on Debian's own kernels")
    suite.table_argument(parser)

    def show(options, boots):
        rows = [row(boots, name, plan[name]) for name in options.variants]
        variants.say("\n" + "\n".join(rst.simple_table(HEAD, rows)))
        if options.table:
            # Kernels that were not asked for keep their rows.
            table = {tuple(old[:4]): old for old in rst.table_of(options.table, "test-stock")[1] + rows}
            rst.replace(options.table, "test-stock", rst.simple_table(HEAD, sorted(table.values(), reverse=True)))
        elif remembered.runs_all_cases(options) and any(r not in rst.table_of(INSTALL, "test-stock")[1] for r in rows):
            return f"the table in {os.path.relpath(INSTALL, TOP)} is stale: TABLE=... writes it"
        return None
    return variants.main(plan, parser, more=show,
                         host=lambda options: kdir_tests.run(options) + set_tests.host_cases(options))
