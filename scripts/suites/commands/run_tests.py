# SPDX-License-Identifier: GPL-2.0-only
"""Builds the tests and runs them on both cores, the C vfio.ko of the reference kernel and ours.

    scripts/host/enter scripts/suite run-tests [--kernel base|debug] [--cores c,rust] [PATTERN...]

Prints the TAP of each program, a summary side by side, and last "N passed, N failed"."""

import os
import re
import subprocess

from suites import TOP, Failure, kernel_tests, remembered, rst, suite, vm
from suites.suite import Boot, Program, boot_groups, build_selftests, say, step, wanted

# Programs in Rust, selftests/client/.
CLIENTS = ["client", "client_group", "client_noiommu", "client_nvme", "client_sva"]


def kselftest_tree():
    """What `make -C selftests run_tests` wants of the kernel's tree, and our sources, for the guest."""
    source = os.path.join(vm.script("kernel-source"), "tools/testing/selftests")
    names = ["lib.mk", "kselftest.h", "kselftest_harness.h", "kselftest_module.h"]
    files = [(f"ksrc/tools/testing/selftests/{n}", os.path.join(source, n)) for n in names]
    for folder, _, inside in os.walk(os.path.join(source, "kselftest")):
        where = os.path.relpath(folder, source)
        files += [(f"ksrc/tools/testing/selftests/{where}/{n}", os.path.join(folder, n)) for n in inside]
    ours = os.path.join(TOP, "selftests")
    rooms = vm.output("make", "-s", "-C", ours, f"KSRC={vm.script('kernel-source')}", "rooms").split()
    for folder in (ours, *(os.path.join(ours, name) for name in ["lib", *rooms])):
        where = os.path.relpath(folder, TOP)
        files += [(f"src/{where}/{n}", os.path.join(folder, n)) for n in sorted(os.listdir(folder))
                  if os.path.isfile(os.path.join(folder, n))]
    return files


def build_client():
    """The folder of the client's programs; None if it does not build, so that they fail and all others run."""
    try:
        return vm.script("build-crate", "client")
    except Failure as failure:
        say(f"# the client on the rust-vmm crates does not build: {failure}")
        return None


def selftest_boots(options, archive, boots):
    out, names = build_selftests(options.kernel)
    names = [n for n in names + CLIENTS if wanted(n, options.patterns)]
    client = build_client() if set(names) & set(CLIENTS) else None
    trees = [("selftests", out)]
    for core in options.cores:
        for title, machine, programs in boot_groups(names, options.programs):
            job = "ins_vfio\ncd /selftests\n" + "".join(f"run {n} ./{n}\n" for n in programs)
            expected = list(programs)
            files = [(f"selftests/{n}", os.path.join(client, n)) for n in programs if client and n in CLIENTS]
            if title in ("selftests", "selftests-1") and wanted("run_tests", options.patterns):
                # The programs are kselftests: lib.mk's own way to run them works too.
                job += "cd /\nrun run_tests sh -c '. /lib/guest.sh; run_tests access_gate'\n"
                expected.append("run_tests")
                files += kselftest_tree()
            if options.debug_tools:
                job += "run debug_tools sh -c '. /lib/guest.sh; debug_tools'\n"
                expected.append("debug_tools")
            boots.append(Boot(core, title, (job, files, trees), kernel=options.kernel, programs=expected,
                              archive=archive, machine=machine, memory=options.memory))


def crate_tests(crate, title):
    """The tests of a crate that compiles files of the module for the host."""
    step(f"host tests: {title}")
    result = subprocess.run([os.path.join(TOP, "scripts/host/build-crate"), crate, "--cargo", "test"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    program = Program(crate, "host")
    for name, outcome in re.findall(r"^test (.+?) \.\.\. (ok|FAILED|ignored)", result.stdout, re.M):
        program.cases[name] = {"ok": "ok", "FAILED": "failed", "ignored": "skipped"}[outcome]
    say(f"\n# ---- {crate}: {title}")
    for name, outcome in program.cases.items():
        say(f"{'not ok' if outcome == 'failed' else 'ok'} - {name}")
    if result.returncode or not program.cases:
        say(result.stdout)
        if "failed" not in program.cases.values():
            program.cases["(program)"] = "failed"
    return program


def host_tests(options):
    """The tests that need no kernel."""
    crates = {"host": "the pure parts", "model": "models of the state machines"}
    return [crate_tests(crate, title) for crate, title in crates.items() if wanted(crate, options.patterns)]


def table(boots, host):
    """Cases by core, less those of the kernel's own tests, which have a table of their own."""
    rows = []
    for core, title in (("c", "C core"), ("rust", "ours"), ("host", "on the host")):
        programs = [p for boot in boots for p in boot.results if boot.exempt is None and p.core == core]
        outcomes = [outcome for program in [*programs, *(p for p in host if core == "host")]
                    for outcome in program.cases.values()]
        rows.append([title, *(str(outcomes.count(outcome)) for outcome in ("ok", "skipped", "failed"))])
    return rst.simple_table(["own tests", "passed", "skipped", "failed"], rows)


def points_of(program):
    """Case -> of each sequence of calls, how many allocations were made to fail."""
    points, case = {}, ""
    for line in program.lines:
        if match := re.match(r"#  RUN\s+(\S+) \.\.\.", line):
            case = match[1].removeprefix("global.").removeprefix(f"{program.name}.")
        elif match := re.match(r"# failing allocations: (\d+),", line):
            points.setdefault(case, []).append(match[1])
    return points


def points_table(boots):
    """How many allocations each case has made to fail, by core.  A case that makes several sequences of calls has
    several numbers."""
    cases = {}
    for program in (p for boot in boots for p in boot.results):
        for case, points in points_of(program).items():
            cases.setdefault(f"{program.name}: {case}", {})[program.core] = "+".join(points)
    rows = [[name, *(points.get(core, "") for core in ("c", "rust"))] for name, points in cases.items()]
    return rst.simple_table(["failing allocations", "C core", "ours"], rows) if rows else []


def main():
    parser = suite.arguments("runs the tests")
    suite.table_argument(parser)
    parser.add_argument("--points", metavar="FILE", help="write the numbers of failing allocations into this file")
    parser.add_argument("--debug-tools", action="store_true", help="assert that the debugging tools saw nothing")
    parser.add_argument("--no-kernel-tests", action="store_true", help="leave the kernel's own selftests out")
    parser.add_argument("--programs", type=int, metavar="N", help="at most N programs of the usual VM share a boot")
    options = suite.parse(parser)
    archive = suite.archive(options)
    boots = []
    selftest_boots(options, archive, boots)
    if not options.no_kernel_tests:
        boots += kernel_tests.Table().short_boots(options, archive)
    host = host_tests(options) if options.kernel == "base" else []

    def document():
        """Shows how many allocations failed.  Writes the table, or says if the one in the documents is not that of a
        whole run."""
        points = points_table(boots)
        if points:
            say("\n" + "\n".join(points))
        if options.points:
            rst.replace(options.points, "run-tests --points", points)
        return rst.write_or_compare(options.table, "run-tests", table(boots, host),
                                    options.kernel == "base" and remembered.is_whole(options))

    return suite.run(options, boots, host, document)
