# SPDX-License-Identifier: GPL-2.0-only
"""Shows when each suite ran last, on which commit, and how it ended.

    scripts/host/enter scripts/suite results [NAME...]

A suite without a row, or with "never", has not run whole with this cache."""

import argparse

from suites import remembered, rst
from suites.suite import say

HEAD = ["suite", "ran whole", "commit", "passed", "failed", "skipped"]


def row(name, entry):
    if not entry:
        return [name, "never", "", "", "", ""]
    return [name, entry["time"], entry["commit"], *(str(entry[n]) for n in ("passed", "failed", "skipped"))]


def main():
    parser = argparse.ArgumentParser(description="shows when each suite ran last")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    suites = remembered.read_suites()
    names = options.names or sorted(suites)
    say("\n".join(rst.simple_table(HEAD, [row(name, suites.get(name, {}).get("whole")) for name in names])))
    return 0
