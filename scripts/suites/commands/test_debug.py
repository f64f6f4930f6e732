# SPDX-License-Identifier: GPL-2.0-only
"""Runs the demo and the tests on the debug kernel, on our core, where any report fails.

    scripts/host/enter scripts/suite test-debug [PATTERN...]

First this kernel must refuse the module of the other kernel, and the debugging tools must report bugs that are
planted in Rust.  The pattern "planted" selects this part, and "demo" selects the demo."""

import argparse
import os
import re
import subprocess

from suites import TOP, klog, remembered, suite, vm
from suites.suite import Count

MEMORY = "2G"

# So many programs share a boot.  A boot that passed is remembered: a short one is lost sooner.
PROGRAMS = 12

# parameter, what the report must hold, name
BUGS = [
    (1, r"BUG: sleeping function called from invalid context", "sleep-in-atomic"),
    (2, r"unreferenced object|new suspected memory leaks", "leak"),
    (4, r"WARNING: possible circular locking dependency detected", "lock-inversion"),
    (3, r"BUG: KASAN: slab-use-after-free in .*planted_use_after_free", "use-after-free"),
]


# Why a kernel refuses the module of another: the size of struct module, which comes first, or the release.
REFUSED = re.compile(r"module vfio: .* section size must match the kernel's built struct module size|"
                     r"vfio: version magic '.*' should be '")


def planted():
    """The tools and the scanner must find each planted bug."""
    module = vm.small_module("debug", "planted", "planted.ko")
    # KASAN's bug comes last: its report taints the kernel, which switches lockdep off.
    job = "ins iommufd\nrun other_kernel insmod /opt/vfio.ko\n"
    job += "".join(f"run {name} insmod /opt/planted.ko bug={bug}\nrmmod planted\n" for bug, _, name in BUGS[:2])
    # Kmemleak reports into the kernel's log too.
    job += ("klog begin leak\nfor i in 1 2 3; do sleep 6; echo scan >/sys/kernel/debug/kmemleak; done\n"
            "echo '@@ leaks'; grep -c '^unreferenced' /sys/kernel/debug/kmemleak; klog end leak\n")
    job += "".join(f"run {name} insmod /opt/planted.ko bug={bug}\nrmmod planted\n" for bug, _, name in BUGS[2:])
    job += "run debug_tools sh -c '. /lib/guest.sh; debug_tools'\n"
    files = [("opt/planted.ko", module), ("opt/vfio.ko", vm.rust_module("base"))]
    archive = vm.base_archive("debug", None) + vm.job_archive(job, programs=files)
    result = vm.Machine(archive, core="c", kernel="debug", memory=MEMORY, oops="",
                        log=vm.console_log("debug-planted")).run()
    reports = klog.scan(result.console, "c")
    count = Count()
    count.verdict(result.status("other_kernel") and REFUSED.search(result.console),
                  "the module of another kernel is refused, with the reason")
    for _, pattern, name in BUGS:
        found = any(r.test == name and re.search(pattern, "\n".join(r.excerpt)) for r in reports)
        count.verdict(found, f"planted bug in Rust is reported: {name}")
    count.verdict("not ok 1 lockdep is on" in result.lines, "the check of lockdep sees that it is off")
    count.verdict("not ok 2 kmemleak finds nothing" in result.lines, "the check of kmemleak sees the leak")
    if count.failed:
        if result.reason:
            print(f"# {result.reason}")
        print("\n".join(result.console.splitlines()[-60:]))
        print("\n".join(result.lines[-20:]))
    return count.passed, count.failed, 0


def run(*command):
    """A command of scripts/suite, its output to the person; returns the status and (passed, failed, skipped) of its
    last line."""
    with subprocess.Popen([os.path.join(TOP, "scripts/suite"), *command], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "RUST_VFIO_INNER": "1"}) as process:
        last = None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = re.match(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", line) or last
    return process.returncode, [int(n or 0) for n in last.groups()] if last else [0, 0, 0]


def main():
    parser = argparse.ArgumentParser(description="runs the demo and the tests on the debug kernel")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    patterns = options.patterns
    total = [0, 0, 0]

    def add(counts, status=0):
        total[0] += counts[0]
        total[1] += counts[1] or (1 if status else 0)
        total[2] += counts[2]
    # The first part.
    first = not patterns and remembered.is_first()
    if first or "planted" in patterns:
        print("== planted bugs: tools and scanner are awake", flush=True)
        add(planted())
    if first or "demo" in patterns:
        print("\n== demo on the debug kernel", flush=True)
        status, _ = run("demo", "--kernel", "debug", "--memory", MEMORY)
        add([0 if status else 1, 1 if status else 0, 0])
    patterns = [p for p in patterns if p not in ("planted", "demo")]
    if patterns or not options.patterns:
        print("\n== selftests on the debug kernel", flush=True)
        status, counts = run("run-tests", "--kernel", "debug", "--cores", "rust", "--debug-tools", "--memory", MEMORY,
                             "--programs", str(PROGRAMS), *patterns)
        add(counts, status)
    print("\n== in all, on the debug kernel")
    return suite.last_line(*total, remembered.is_whole(options))
