# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests that must fail, on cores with a mistake in them.

    scripts/host/enter scripts/suite test-mutants [--list] [--kernel base|debug] [PATTERN...]

A mutant is a patch to the core, selftests/mutants/NAME.patch.  Above it stand what the mistake is and, a line each,
the cases that must fail:

    Fails: PROGRAM FIXTURE.CASE

or, of a case that must not come to its end, "Hangs:".

The same cases pass on the core as it is, which is run first.  A patch that does not apply, a module that does not
build, and a case that passes are failures."""

import collections
import glob
import os
import re
import shutil

from suites import TOP, Failure, initramfs, remembered, suite, vm
from suites.suite import Count, Program, build_selftests, other_machines, say, step, wanted

FOLDER = os.path.join(TOP, "selftests", "mutants")
# What the module is built from; the project's version stands in debian/.
SOURCES = ["Kbuild", "debian", "include", "rust"]

# How long a case waits for what does not come with a mistake: long enough for all that comes, which the core as it
# is shows.
EVENT_MS = 10000

# Seconds without a word after which a case that must hang is taken for one that does.
HANG_S = 90

# A case of a program: as the program prints it, "fixture.case" or "fixture.variant.case".
Case = collections.namedtuple("Case", "program name")


class Mutant:
    """One mistake, and how it must show."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path).removesuffix(".patch")
        with open(path, encoding="utf-8") as f:
            head = f.read().split("\n--- ", 1)[0]
        # Each with what must come of it.
        self.cases = {Case(*match[1:]): {"Fails": "failed", "Hangs": "hung"}[match[0]]
                      for match in re.findall(r"^(Fails|Hangs): (\S+) (\S+)$", head, re.M)}
        text = [line for line in head.splitlines() if line and not re.match(r"[\w-]+: ", line)]
        self.what = text[0] if text else ""
        if not self.cases or not self.what:
            raise Failure(f"{path}: wants a line that says what it is, and a line 'Fails: PROGRAM FIXTURE.CASE'")


def copy_sources(tree):
    """A fresh copy of what the module is built from."""
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    for name in SOURCES:
        source = os.path.join(TOP, name)
        (shutil.copytree if os.path.isdir(source) else shutil.copy2)(source, os.path.join(tree, name))


def make_command(kernel, tree, out):
    """Builds the module of such a copy into OUT."""
    os.makedirs(out, exist_ok=True)
    return ["make", "-C", kernel, f"M={tree}", f"MO={out}", "LLVM=1", f"-j{os.environ.get('JOBS', '2')}", "modules"]


def guest_files(out, names):
    """Programs for the VM, and the modules that they load."""
    return [*((f"selftests/{n}", os.path.join(out, n)) for n in names),
            *((f"selftests/{os.path.basename(m)}", m) for m in glob.glob(os.path.join(out, "*.ko")))]


def make_module(kernel, mutant):
    """The module with the mistake in it; the output of what fails goes to the person."""
    tree = os.path.join(TOP, "build", "mutants", mutant.name)
    out = os.path.join(TOP, "build", "mutants", f"{mutant.name}-{os.path.basename(kernel)}")
    copy_sources(tree)
    # Without fuzz: a place that has changed is a place to look at.
    vm.output("env", "-C", tree, initramfs.BUSYBOX, "patch", "-p1", "-i", mutant.path,
              failure="its patch does not apply")
    vm.output(*make_command(kernel, tree, out), failure="it does not build")
    return os.path.join(out, "vfio.ko")


def run(options, module, cases, name, idle=1200):
    """Runs cases, and no others; returns what came of each and, if that was not all, why."""
    out, _ = build_selftests(options.kernel)
    archive = vm.base_archive(options.kernel, module, True)
    machines = other_machines()
    outcome, reasons = {}, []
    for machine in sorted({machines.get(case.program, "default") for case in cases}):
        chosen = [case for case in cases if machines.get(case.program, "default") == machine]
        names = list(dict.fromkeys(case.program for case in chosen))
        job = f"ins_vfio\ncd /selftests\nexport VFIO_EVENT_MS={EVENT_MS}\n"
        for program in names:
            picked = " ".join(f"-r {case.name}" for case in chosen if case.program == program)
            job += f"run {program} ./{program} {picked}\n"
        files = guest_files(out, names)
        result = vm.Machine(archive + vm.job_archive(job, machine, programs=files), core="rust",
                            kernel=options.kernel, machine=machine, memory=options.memory, idle=idle,
                            log=vm.console_log(f"{options.kernel}-mutant-{name}-{machine}")).run()
        if result.reason:
            reasons.append(result.reason)
        for program in names:
            outcome.update(cases_of(program, result))
    return outcome, "; ".join(reasons)


def cases_of(name, result):
    """What a program reported: case -> ok, failed, skipped; and the one that the VM hung in."""
    program = Program("rust", name)
    inside = False
    for line in result.lines:
        if line.startswith("@@ "):
            inside = line == f"@@ begin {name}"
        elif inside:
            program.lines.append(line)
    program.status = result.status(name)
    program.finish()
    begun = [line.split()[2] for line in program.lines if re.match(r"#\s+RUN\s+\S", line)]
    if result.reason.startswith("the VM printed nothing") and program.status is None and begun:
        program.cases.setdefault(begun[-1], "hung")
    # As the program calls them: with the first fixture's name, too, which may come before that of a variant.
    return {Case(name, full): outcome for case, outcome in program.cases.items() for full in (case, f"{name}.{case}")}


def try_mutant(options, kernel, mutant, count):
    step(f"{mutant.name}: {mutant.what}")
    try:
        module = make_module(kernel, mutant)
    except Failure as failure:
        count.verdict(False, f"{mutant.name}: {failure}")
        return
    idle = HANG_S if "hung" in mutant.cases.values() else 600
    outcome, reason = run(options, module, mutant.cases, mutant.name, idle)
    for case, must in mutant.cases.items():
        came = outcome.get(case, "not reported")
        count.verdict(came == must, f"{mutant.name}: {case.program} {case.name}: {came}"
                                    f"{': ' + reason if reason and came == 'not reported' else ''}")


def main():
    parser = suite.arguments("runs the tests that must fail, on cores with a mistake in them")
    parser.add_argument("--list", action="store_true", help="print the mutants, and what they are")
    options = suite.parse(parser)
    mutants = [Mutant(path) for path in sorted(glob.glob(os.path.join(FOLDER, "*.patch")))]
    mutants = [m for m in mutants if wanted(m.name, options.patterns)]
    if not mutants:
        raise Failure(f"no mutant matches {' '.join(options.patterns)}" if options.patterns else
                      f"there are no mutants in {FOLDER}")
    if options.list:
        for mutant in mutants:
            say(f"{mutant.name}: {mutant.what}")
        return 0
    kernel = vm.kernel_build(options.kernel)
    count = Count()
    cases = list(dict.fromkeys(case for mutant in mutants for case in mutant.cases))
    step(f"the core as it is: {len(cases)} cases")
    outcome, reason = run(options, vm.rust_module(options.kernel), cases, "none")
    for case in cases:
        came = outcome.get(case, f"not reported{': ' if reason else ''}{reason}")
        count.verdict(came == "ok", f"as it is: {case.program} {case.name}: {came}")
    for mutant in mutants:
        try_mutant(options, kernel, mutant, count)
    return count.end(remembered.is_whole(options))
