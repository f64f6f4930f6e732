# SPDX-License-Identifier: GPL-2.0-only
"""Writes the tables and pictures of the documents that can be had of the source.

    scripts/host/enter scripts/suite tables            writes them, the tables between their marks
    scripts/host/enter scripts/suite tables --check    fails if one is not what would be written

The tables are the list of files, and sizes; the pictures are the layers, and the chart of what bench-scaling counted.
The sizes of the modules are those of the reference kernel, which must have been built."""

import argparse
import glob
import json
import operator
import os
import re
import subprocess
import textwrap
from xml.sax.saxutils import escape

import pygal
import pygal.style

from suites import TOP, Failure, rst, vm
from suites.bench import sections
from suites.commands import bench, bench_quick

OVERVIEW = os.path.join(TOP, "Documentation/overview.rst")
CHART = os.path.join(TOP, "Documentation/scaling.svg")
FIGURE = os.path.join(TOP, "Documentation/layers.svg")
README = os.path.join(TOP, "README.rst")
ROOT = os.path.join(TOP, "rust/vfio.rs")
LAYER = re.compile(r"^//! \| (\[`.+[])]) \| (.*) \|$", re.M)


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def layers():
    """The modules of each layer and what it is, from the top down; the crate root's map has them."""
    rows = [(re.findall(r"`(\w+)`", names), words) for names, words in LAYER.findall(text_of(ROOT))]
    if not rows:
        raise Failure(f"{ROOT} has no map")
    return list(reversed(rows))


def unsafe_modules():
    """The modules that may have unsafe code, which the picture shows in another colour: the crate root denies it in
    all others."""
    declared = re.findall(r"^((?:#\[.+\]\n)*)(?:pub\(crate\) )?mod (\w+);", text_of(ROOT), re.M)
    return {module for attributes, module in declared if "deny(unsafe_code)" not in attributes}


def marked(words):
    """Text of rustdoc in reStructuredText."""
    return words.replace("`", "``")


def layer_list():
    """The layers from the top down, and the modules with unsafe code."""
    lines, unsafe = [], unsafe_modules()
    for modules, words in layers():
        lines.append(", ".join(f"``{module}``" for module in modules))
        lines += textwrap.wrap(marked(words[0].upper() + words[1:]) + ".", 110, initial_indent="  ",
                               subsequent_indent="  ", break_on_hyphens=False)
    names = ", ".join(f"``{module}``" for modules, _ in layers() for module in modules if module in unsafe)
    return [*lines, "", *textwrap.wrap(f"The Rust modules that may have ``unsafe`` code: {names}.", 110)]


def files_of(module):
    """The files of a module of the crate root: its own first, then its folder's."""
    base = os.path.join(TOP, "rust", module)
    return [base + ".rs", *sorted(glob.glob(f"{base}/**/*.rs", recursive=True))]


def head(path):
    """The first sentence of what a file says of itself."""
    words = []
    for line in text_of(path).splitlines():
        if line.startswith("//!") and line != "//!":
            words.append(line.removeprefix("//!").strip())
        elif words:
            break
    # Not one of the full stops in "group.c".
    sentence = re.match(r"(.+?)\.(\s|$)", " ".join(words))
    if not sentence:
        raise Failure(f"{path}: no sentence in its head")
    # Links of rustdoc.
    return re.sub(r"\[`([^`]+)`\](\([^)]*\))?", r"`\1`", sentence.group(1))


def file_list():
    """Which file does what, by the heads of the files, from the top layer down."""
    paths = [ROOT, *(path for modules, _ in layers() for module in modules for path in files_of(module))]
    missing = set(glob.glob(f"{TOP}/rust/**/*.rs", recursive=True)) - set(paths) - \
        {os.path.join(TOP, "rust/layout_offsets.rs")}
    if missing:
        raise Failure(f"no layer has {', '.join(sorted(missing))}")
    rows = [(f"``{os.path.relpath(path, TOP)}``", marked(head(path))) for path in paths]
    left = max(len(name) for name, _ in rows)
    rule = rst.line(["=" * left, "=" * (108 - left)], [left, 0])
    lines = [rule]
    for name, words in rows:
        first, *more = textwrap.wrap(words, 108 - left, break_on_hyphens=False, break_long_words=False)
        lines += [rst.line([name, first], [left, 0]), *(" " * (left + 2) + line for line in more)]
    return [*lines, rule]


def counts():
    """File -> its lines of Rust, those with unsafe; by scripts/checks/check-unsafe."""
    listed = subprocess.run([os.path.join(TOP, "scripts/checks/check-unsafe")], capture_output=True, text=True,
                            check=True)
    return {name: (int(lines), int(unsafe)) for lines, unsafe, name in
            re.findall(r"^ *(\d+) +(\d+)  (rust/\S+\.rs)$", listed.stdout, re.M)}


def size_of_source():
    folders = {}
    for path, (lines, unsafe) in counts().items():
        parts = path.removesuffix(".rs").split("/")
        folder = f"``rust/{parts[1]}/``" if os.path.isdir(os.path.join(TOP, "rust", parts[1])) else "other files"
        total = folders.setdefault(folder, [0, 0])
        total[0] += lines
        total[1] += unsafe
    rows = sorted(folders.items(), key=lambda row: (row[0] == "other files", row[0]))
    rows.append(("in all", [sum(n) for n in zip(*folders.values())]))
    c_lines = 0
    for path in glob.glob(f"{TOP}/rust/**/*.c", recursive=True):
        bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", text_of(path), flags=re.S)
        c_lines += len([line for line in bare.splitlines() if line.strip()])
    rows.append(("C: ``rust/**/*.c``", [c_lines, None]))
    return rst.simple_table(["folder", "lines", "unsafe", "%"], [
        [name, str(lines)] + (["", ""] if unsafe is None else [str(unsafe), f"{100 * unsafe / lines:.1f}"])
        for name, (lines, unsafe) in rows])


def size_of_modules():
    rows = [["Rust", *map(str, sections(vm.rust_module("base"))[1:])],
            ["C", *map(str, sections(os.path.join(vm.kernel_build("base"), "drivers/vfio/vfio.ko"))[1:])]]
    return rst.simple_table(["core", "text", "data", "bss"], rows)


# A part of the module; the Rust modules of its functions; the names of its exported functions, in C.  The first part
# that matches counts.
PARTS = [
    ("processes bound to devices (SVA)", r"sva|file::processes|kapi::(iommu_sva|mmu_notifier)|uapi::sva", None),
    ("containers", r"container|file::container|kapi::miscdevice|shared::vfio::iommu_driver|abi::container",
     "vfio_(un)?register_iommu_driver"),
    ("groups", r"group|file::group|abi::group", "vfio_file|vfio_group"),
    ("emulated devices' DMA", r"pages|kapi::buffer|abi::pages", "vfio_(un)?pin|vfio_dma_rw|vfio_access_unmap"),
    ("iommufd", r"iommufd|kapi::iommufd|abi::iommufd", "vfio_iommufd"),
    ("virqfds", r"virqfd|kapi::eventfd|abi::virqfd", "vfio_virqfd"),
    ("migration, DMA logging", r"migration|file::(migration|logging)|ranges|kapi::interval_tree",
     "vfio_mig|vfio_combine"),
    ("introspection", r"device::(holders|driver_refs|debugfs)|file::fdinfo|refusal|tally|kapi::(debugfs|sched)|"
                      r"shared::(trace|vfio::debugfs)", None),
    ("files of devices", r"file|uapi|info_cap|irqs|kapi::(file|uaccess)", "vfio_info|vfio_helper|vfio_set_irqs"),
    ("devices: registration, open", r"device|minors|shared|kapi::(cdev|class|kvm|list)|abi",
     "_?vfio_(alloc|register|unregister|assign|device)"),
    ("load and unload", r"Vfio|kapi::lock|[a-z]+_nodes?|cleanup_queue", "(init|cleanup)_module"),
]


def part_of(function):
    """The part of the module that a function of Rust or C belongs to."""
    path = re.search(r"vfio::((?:[a-z_]+::)*[a-zA-Z_]+)", function)
    if path:
        return next((part for part, rust, _ in PARTS if re.match(f"(?:{rust})(?![a-z_])", path[1])), "other functions")
    if function.startswith(("rust_do_trace", "trace_", "perf_trace", "__traceiter", "__probestub", "__bpf_trace")):
        return "trace events, in C"
    return next((part for part, _, exported in PARTS if exported and re.match(exported, function)), "other functions")


def size_of_parts():
    """The text of the module by what it is for."""
    module, parts = vm.rust_module("base"), {}
    for size, function in re.findall(r"^[0-9a-f]+ ([0-9a-f]+) [tT] (.+)$", vm.output("nm", "-S", "--demangle", module),
                                     re.M):
        total = parts.setdefault(part_of(function), [0, 0])
        total[0] += int(size, 16)
        total[1] += 1
    rows = sorted(parts.items(), key=lambda row: (row[0] == "other functions", -row[1][0]))
    found = {name: int(size, 16) for name, size in
             re.findall(r"\] (\S+)\s+PROGBITS\s+[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)", vm.output("readelf", "-SW", module))}
    unwinding = sum(size for name, size in found.items() if name.startswith(".orc"))
    functions = sum(size for size, _ in parts.values())
    rest = sections(module)[1] - unwinding - functions
    rows += [("tables for stack unwinding (ORC)", [unwinding, None]), ("constants, symbols, padding", [rest, None])]
    return rst.simple_table(["part", "bytes", "functions"],
                            [[name, str(size), str(number or "")] for name, (size, number) in rows])


def figure():
    """The layers as a picture, the top layer first."""
    rows, unsafe = layers(), unsafe_modules()
    width, height, gap = 860, 52, 6
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{len(rows) * (height + gap)}" '
             'font-family="sans-serif" font-size="14">', "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
             "<!-- written by scripts/suite tables, from rust/vfio.rs -->"]
    for number, (modules, words) in enumerate(rows):
        y = number * (height + gap)
        colour = "#f6dfc8" if unsafe & set(modules) else "#d5e8d4"
        lines += [f'<rect x="1" y="{y + 1}" width="{width - 2}" height="{height}" rx="4" fill="{colour}" '
                  'stroke="#555"/>',
                  f'<text x="14" y="{y + 22}" font-weight="bold">{", ".join(modules)}</text>',
                  f'<text x="14" y="{y + 42}">{escape(words.replace("`", ""))}</text>']
    return [*lines, "</svg>"]


# The rows of the table of "bench-quick --scaling" that the chart shows
CHARTED = [("own groups", "register"), ("own groups", "unregister"), ("one group", "GET_DEVICE_FD, unknown name"),
           ("own groups", "open"), ("own groups", "BIND")]


def chart():
    """How the costs of operations depend on the number of devices, as a picture: solid lines for Rust, dotted for C."""
    columns, rows = rst.table_of(rst.MEASUREMENTS, "bench-quick --scaling")
    cells_of = {(crowd, operation): cells for crowd, operation, *cells in rows}
    colours = ["#1b6ca8", "#c8553d", "#2e933c", "#8d5a97", "#6b6b6b"]
    picture = pygal.Line(
        width=860, height=420, logarithmic=True, js=[], show_legend=True, legend_at_bottom=True,
        legend_at_bottom_columns=2, truncate_legend=-1, print_values=False, include_x_axis=False,
        x_title="devices", y_title="instructions in vfio.ko", y_labels=[10, 100, 1000, 10000, 100000],
        style=pygal.style.CleanStyle(colors=[colour for colour in colours for _ in range(2)], font_family="sans-serif"))
    picture.uuid = "scaling"
    picture.x_labels = columns[2:]
    for crowd, operation in CHARTED:
        for core, style in enumerate(({"dasharray": "2, 6", "width": 2}, {"width": 2})):
            picture.add(f"{operation}, {'C' if core == 0 else 'Rust'}",
                        [int(cell.split(" / ")[core]) for cell in cells_of[crowd, operation]],
                        stroke_style=style, dots_size=3)
    # The comments hold the date.
    drawn = re.sub("<!--.*?-->", "", picture.render(is_unicode=True, disable_xml_declaration=True))
    start, rest = drawn.split(">", 1)
    return [f"{start}><!-- SPDX-License-Identifier: GPL-2.0-only -->", *rest.splitlines()]


# Operations of a kind, by their names in the table of "bench"
COSTS = [
    ("reads and writes on an open device", r"pread, |pwrite, "),
    ("``GET_INFO``, ``GET_IRQ_INFO``, ``GET_REGION_INFO`` on an open device", r"GET_(INFO|IRQ_INFO|REGION_INFO)(, |$)"),
    ("ATTACH, a second ATTACH, DETACH; PCI device", r"(ATTACH|DETACH)( \(replace\)|, 10,000 mappings)?$"),
    ("the same; emulated device", r"(ATTACH|DETACH).*(mdev|null device)"),
    ("the same; a PASID", r"(ATTACH|DETACH).*PASID"),
    ("open and close of a device's node", r"open\+close$"),
    ("BIND and close; PCI device", r"BIND$|close, bound$"),
    ("BIND and close; emulated device", r"BIND, |close, bound, "),
    ("refused BIND", "BIND refused"),
    ("groups and containers", r"group |container |CHECK_EXT|(UN)?SET_|GET_DEVICE_FD|close of it"),
    ("registration and unregistration of a device", "alloc|put|register|unregister"),
    ("pin, unpin, ``vfio_dma_rw()``", "pin|unpin|dma_rw"),
    ("DMA logging", "DMA_LOGGING"),
    ("interrupt signalled by user space (virqfd)", "virqfd event"),
    ("all operations, geometric mean", "geometric mean"),
]


# Those that the README has
MAIN_COSTS = [COSTS[0], COSTS[2], COSTS[6], COSTS[-1]]


def costs(kinds):
    """How many times as many instructions as in C the operations of each kind take: the smallest and the largest
    number."""
    rows = rst.table_of(rst.MEASUREMENTS, "bench")[1]

    def span(numbers):
        numbers = sorted(numbers, key=float)
        return numbers[0] if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"

    lines = []
    for kind, pattern in kinds:
        found = [row for row in rows if re.match(f"(?:{pattern})", row[0]) and row[6]]
        if not found:
            raise Failure(f"no operation is one of: {kind}")
        lines.append([kind, *(span([row[column] for row in found]) for column in (5, 6))])
    return rst.simple_table(["operations", "whole call", "inside ``vfio.ko``"], lines)


# What is written where (without a mark: a file by itself), by which function, and what counts as the same.
OUTPUTS = [(OVERVIEW, "tables layers", layer_list, operator.eq),
           (OVERVIEW, "tables files", file_list, operator.eq),
           (rst.MEASUREMENTS, "tables source", size_of_source, operator.eq),
           # Modules hold the paths of their sources.
           (rst.MEASUREMENTS, "tables modules", size_of_modules, rst.nearly),
           (rst.MEASUREMENTS, "tables parts", size_of_parts, rst.nearly),
           (rst.MEASUREMENTS, "tables costs", lambda: costs(COSTS), operator.eq),
           (README, "tables main-costs", lambda: costs(MAIN_COSTS), operator.eq),
           (FIGURE, None, figure, operator.eq),
           (CHART, None, chart, operator.eq)]


def stale_costs():
    """The rows of the table of "bench" whose part inside vfio.ko is not what bench-quick has recorded.  An operation of
    both is the same if the C core costs the same."""
    with open(bench_quick.RECORDED, encoding="ascii") as f:
        recorded = json.load(f)
    named = {title: name for name, title in bench.OPERATIONS.items() if name in recorded}
    _, rows = rst.table_of(rst.MEASUREMENTS, "bench")
    same = [(title, int(ours), recorded[named[title]]["rust"]) for title, _, c, _, ours, *_ in rows
            if title in named and c == str(recorded[named[title]]["c"])]
    if len(same) < 20:
        raise Failure(f"the table of \"bench\" has {len(same)} operations of bench-quick alone")
    return [f"{title}: {ours}, recorded {was}" for title, ours, was in same if abs(ours - was) > 0.02 * was]


def written(path, mark):
    if mark:
        return rst.written(path, mark)
    return text_of(path).splitlines() if os.path.exists(path) else []


def write(path, mark, lines):
    if mark:
        rst.replace(path, mark, lines)
        return
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description="writes the tables that can be had of the source")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    stale = 0
    for row in stale_costs() if options.check else ():
        print(f"{os.path.relpath(rst.MEASUREMENTS, TOP)}: 'bench' is stale: {row}: make bench TABLE=...")
        stale += 1
    for path, mark, lines, same in OUTPUTS:
        if not options.check:
            write(path, mark, lines())
        elif not same(written(path, mark), lines()):
            print(f"{os.path.relpath(path, TOP)}{f': {mark!r}' if mark else ''} is stale: make tables")
            stale += 1
    return 1 if stale else 0
