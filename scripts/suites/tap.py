# SPDX-License-Identifier: GPL-2.0-only
"""TAP of programs: read by the kernel's own parser (tools/testing/kunit), and written as JUnit by the same."""

import collections
import functools
import importlib
import io
import os
import re
import sys

from suites import vm

# The number of cases that was planned, or None; whether all are skipped; pairs of a case and its outcome; those of a
# skipped case and the reason; what is wrong with the lines.
Result = collections.namedtuple("Result", "plan skip_all cases skipped errors")
PLAN = re.compile(r"^1\.\.(\d+)(.*)$")
HEADER = re.compile(r"^K?TAP version \d+$")


@functools.cache
def kunit(name):
    """A module of the kernel's tool."""
    folder = os.path.join(vm.script("kernel-source"), "tools/testing/kunit")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"kunit_{name}")


def parse(lines):
    """The parser does not look at results beyond the plan, so it is not shown the plan."""
    plan, skip_all, rest = None, False, []
    for line in lines:
        match = PLAN.match(line)
        if match:
            plan = int(match.group(1))
            skip_all = plan == 0 and "skip" in match.group(2).lower()
        elif not HEADER.match(line):
            rest.append(line)
    parser = kunit("parser")
    said = io.StringIO()
    test = parser.parse_run_tests(["TAP version 13", *rest], kunit("printer").Printer(output=said))
    status = parser.TestStatus
    outcomes = {status.SUCCESS: "ok", status.SKIPPED: "skipped", status.FAILURE: "failed"}
    cases = [(sub.name.strip(), outcomes[sub.status]) for sub in test.subtests if sub.status in outcomes]
    skipped = [(sub.name.strip(), sub.skip_reason) for sub in test.subtests if sub.status == status.SKIPPED]
    errors = re.findall(r"\[ERROR\] Test: [^:]*: (.*)$", said.getvalue(), re.M)
    return Result(plan, skip_all, cases, skipped, errors)


def write_junit(path, suites):
    """Suites are pairs of a name and of cases, or of suites; a case is a pair of a name and its outcome."""
    parser = kunit("parser")
    status = {"ok": parser.TestStatus.SUCCESS, "failed": parser.TestStatus.FAILURE}

    def node(name, inside):
        test = parser.Test()
        test.name = name
        if isinstance(inside, str):
            test.status = status.get(inside, parser.TestStatus.SKIPPED)
        else:
            test.subtests = [node(*pair) for pair in inside]
        parser.bubble_up_test_results(test)
        return test
    kunit("junit").write_junit_result(node(os.path.basename(path).removesuffix(".xml"), suites), path)
