# SPDX-License-Identifier: GPL-2.0-only
"""Tables in reStructuredText that suites write into the documents, between two marks."""

from vm import Failure


def line(texts, widths):
    return "  ".join(f"{text:{width}}" for text, width in zip(texts, widths)).rstrip()


def column_widths(rows):
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def simple_table(head, rows):
    """The lines of a simple table."""
    widths = column_widths([head, *rows])
    rule = line(["=" * width for width in widths], widths)
    return [rule, line(head, widths), rule, *[line(row, widths) for row in rows], rule]


def replace(path, suite, lines):
    """Replaces what stands between the marks that name a suite."""
    begin, end = (f".. {mark}: written by scripts/{suite} --table\n" for mark in ("begin", "end"))
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise Failure(f"{path} lacks the lines '{begin.strip()}' and '{end.strip()}'")
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after)
