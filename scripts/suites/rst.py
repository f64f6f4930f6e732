# SPDX-License-Identifier: GPL-2.0-only
"""Tables in reStructuredText that suites write into the documents, between two marks."""

import os
import re

from suites import TOP, Failure

MEASUREMENTS = os.path.join(TOP, "Documentation/measurements.rst")


def line(texts, widths):
    return "  ".join(f"{text:{width}}" for text, width in zip(texts, widths)).rstrip()


def column_widths(rows):
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def simple_table(head, rows):
    """The lines of a simple table."""
    widths = column_widths([head, *rows])
    rule = line(["=" * width for width in widths], widths)
    return [rule, line(head, widths), rule, *[line(row, widths) for row in rows], rule]


def between(path, suite):
    """A document before the marks that name a suite, between them, and after them."""
    begin, end = (f".. {mark}: written by scripts/suite {suite}\n" for mark in ("begin", "end"))
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise Failure(f"{path} lacks the lines '{begin.strip()}' and '{end.strip()}'")
    return before + begin, rest[:-len(end + after)], end + after


def written(path, suite):
    """The lines between the marks."""
    return between(path, suite)[1].strip().splitlines()


def nearly(found, wanted):
    """Whether the numbers of two tables differ by a hundredth at most."""
    numbers, others = ([re.findall(r"\d+", line) for line in lines] for lines in (found, wanted))
    return [len(line) for line in numbers] == [len(line) for line in others] and \
        all(abs(int(a) - int(b)) * 100 <= int(b) for x, y in zip(numbers, others) for a, b in zip(x, y))


def replace(path, suite, lines):
    """Replaces what stands between the marks that name a suite."""
    before, _, after = between(path, suite)
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + "\n" + "\n".join(lines) + "\n\n" + after)


def write_or_compare(path, suite, lines, whole):
    """Writes a table that a suite made into the document PATH.  Without PATH, returns an error if the run was WHOLE and
    the table in measurements.rst is another."""
    if path:
        replace(path, suite, lines)
    elif whole and lines != written(MEASUREMENTS, suite):
        return f"the table of {suite} in {os.path.relpath(MEASUREMENTS, TOP)} is stale: TABLE=... writes it"
    return None


def table_of(path, suite):
    """The head of the simple table between the marks, and its rows."""
    table = written(path, suite)
    if not table:
        return [], []
    starts = [m.start() for m in re.finditer("=+", table[0])]
    cuts = list(zip(starts, [*starts[1:], None]))
    head, *rows = [[row[start:end].strip() for start, end in cuts] for row in (table[1], *table[3:-1])]
    return head, rows
