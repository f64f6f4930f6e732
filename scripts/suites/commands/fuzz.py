# SPDX-License-Identifier: GPL-2.0-only
"""Fuzzes both cores with the same sequences of system calls, and compares what they do.

    scripts/host/enter scripts/suite fuzz [--seconds N] [--seed S] [--kernel base|debug] [--machines default,noiommu]
    scripts/host/enter scripts/suite fuzz --replay SEED [--machines default|noiommu]

A seed is a sequence of operations (selftests/fuzz/).  Each core runs the same sequences in a VM of its own: those
of a fixed corpus, and for N seconds those of the seeds from S on.  This is done on each machine: one with an IOMMU,
and one without.  A sequence passes if both cores give the same results and leave the system as it was.  If one does
not, the operations that do not matter are left out one after the other, and what remains is shown, also as a C
program, which compares its results with those of the first core.

--replay runs one sequence and shows each call, on each core, and makes the program.

The program of one sequence of the corpus is made and run in each run of the suite: both cores must give the results
that it wants.

Last come a line for each operation, with the share of its tries that succeeded, and "N passed, N failed": these are
sequences."""

import asyncio
import collections
import os
import re
import time

from suites import TOP, Failure, klog, suite, vm
from suites.suite import CORE_NAMES, Count, say, step

# The arguments on each machine: its devices, as the guest names them.
MACHINES = {
    "default": "$EDU0 $PAIR0 $PAIR1 $MIXED1",
    "noiommu": "--noiommu $EDU0 $EDU1",
}
MODULES = """ins_vfio
for module in ccp irqbypass kvm kvm_amd mtty; do [ ! -e /modules/$module.ko ] || ins $module; done
"""

# Where the C programs are.
FOLDER = os.path.join(TOP, "build", "fuzz", "programs")

# Seconds without a sequence after which an operation is taken for one that hangs.
IDLE_S = 240

# Boots in which operations are left out of a sequence.
ROUNDS = 12

# Operations of which a share of the calls, in percent, must succeed: others build on them.
SUCCESSES = {
    "default": {"bind": 33, "attach": 33, "ioas_map": 33, "map_dma": 33, "set_iommu": 33, "get_device_fd": 33},
    # Most devices have no page tables here.
    "noiommu": {"bind": 33, "ioas_map": 33, "set_iommu": 33, "get_device_fd": 33},
}
# Of fewer calls a share says nothing.
TRIES = 500

# What a core made of a sequence: the digest of its results, its calls until then, and what it left behind.
Outcome = collections.namedtuple("Outcome", "digest calls left")


class Run:
    """The fuzzer in the VM of one core."""

    def __init__(self, fuzzer, core, arguments):
        self.core = core
        self.title = f"{CORE_NAMES[core]} core" + (f", {fuzzer.machine}" if fuzzer.machine != "default" else "")
        self.outcomes = {}
        self.candidates = {}
        self.shares = {}
        self.rules = {}
        self.lines = []
        self.statements = []
        self.machine = fuzzer.vm(core, "fuzz", fuzzer.program, f"{arguments} {MACHINES[fuzzer.machine]}",
                                 on_line=self.on_line, timeout=24 * 3600, idle=IDLE_S)
        self.result = None

    def on_line(self, line):
        if match := re.match(r"sequence (\d+) (\w+) (\d+) (.*)$", line):
            self.outcomes[int(match[1])] = Outcome(match[2], int(match[3]), match[4])
        elif match := re.match(r"candidate (\S+) (\w+) (.*)$", line):
            self.candidates[match[1]] = match[2]
        elif line.startswith("statement "):
            self.statements.append(line.removeprefix("statement "))
        elif match := re.match(r"share (\w+) (\d+) (\d+)$", line):
            self.shares[match[1]] = int(match[2]), int(match[3])
        elif match := re.match(r"rule (\w+ \S+) (\d+)$", line):
            self.rules[match[1]] = int(match[2])
        else:
            self.lines.append(line)
            if os.environ.get("V"):
                say(f"{self.title}: {line}")

    async def run(self):
        self.result = await self.machine.run_async()

    def complaints(self):
        """What is wrong beyond the sequences."""
        reports = klog.scan(self.result.console, self.core)
        found = [self.result.reason] if self.result.reason else []
        if not self.result.reason and self.result.status("fuzz") != 0:
            found.append(f"the fuzzer ended with status {self.result.status('fuzz')}: {' '.join(self.lines[-3:])}")
        return found + ["kernel report: " + " / ".join(report.excerpt[:3]) for report in reports]


class Fuzzer:
    """What all boots on one machine are made of."""

    def __init__(self, options, machine, program, archive):
        self.options = options
        self.machine = machine
        self.program = program
        self.archive = archive

    def vm(self, core, name, program, arguments="", **more):
        """A VM that runs a program, under a name."""
        job = f"{MODULES}run {name} /opt/{name} {arguments}\n"
        archive = self.archive + vm.job_archive(job, programs=[(f"opt/{name}", program)])
        return vm.Machine(archive, core=core, kernel=self.options.kernel, machine=self.machine, cpus=1,
                          memory=self.options.memory,
                          log=vm.console_log(f"{self.options.kernel}-{core}-{name}-{self.machine}"), **more)

    def run(self, arguments, cores=None):
        """Runs the fuzzer on each core; core -> its Run."""
        runs = [Run(self, core, f"--length {self.options.length} {arguments}") for core in cores or self.options.cores]
        side_by_side(r.run() for r in runs)
        return {r.core: r for r in runs}


def side_by_side(coroutines):
    """Their results."""
    async def all_of_them():
        return await asyncio.gather(*coroutines)

    return asyncio.run(all_of_them())


def skip(left_out):
    """The argument that leaves operations out."""
    return f" --left-out {'+'.join(map(str, left_out))}" if left_out else ""


def differ(runs, seed):
    """Do the cores differ in a sequence that both have run?"""
    return len({r.outcomes[seed].digest for r in runs.values()}) > 1


def shrink(fuzzer, seed):
    """The operations of a sequence that make no difference, left out."""
    step(f"sequence {seed}: leaving out what makes no difference")
    length = fuzzer.options.length
    left_out, size = [], max(1, length // 4)
    for _ in range(ROUNDS):
        rest = [n for n in range(length) if n not in left_out]
        chunks = [rest[i:i + size] for i in range(0, len(rest), size)]
        names = {"+".join(map(str, left_out + chunk)): chunk for chunk in chunks}
        runs = fuzzer.run(f"--seed {seed} --left-out {','.join(names)}")
        good = [name for name in names if len({r.candidates.get(name) for r in runs.values()}) > 1]
        if not good:
            if size == 1:
                break
            size = max(1, size // 2)
            continue
        # All chunks that alone can be left out, if they can be together; else the first.
        together = left_out + [n for name in good for n in names[name]]
        runs = fuzzer.run(f"--seed {seed}{skip(together)}")
        digests = {d for r in runs.values() for d in r.candidates.values()}
        left_out = together if len(digests) > 1 else left_out + names[good[0]]
    return left_out


def replay(fuzzer, seed, left_out=()):
    """Shows each call of a sequence, on each core."""
    runs = fuzzer.run(f"--seed {seed} --sequences 1 --verbose --as-c{skip(left_out)}")
    texts = {core: [line for line in r.lines if not line.startswith("@@")] for core, r in runs.items()}
    first, *others = texts.values()
    if others and others[0] != first:
        # Calls to which a rule applies may differ: what counts are the results behind them.
        at = next((i for i, (a, b) in enumerate(zip(first, others[0])) if a != b and not a.startswith("  [")),
                  min(len(first), len(others[0])))
        for line in first[:at]:
            say(f"  {line}")
        for core, text in texts.items():
            for line in text[at:at + 3]:
                say(f"{CORE_NAMES[core]:5} {line}")
    else:
        say("\n".join(first))
    for r in runs.values():
        for complaint in r.complaints():
            say(f"# {r.title}: {complaint}")
    source, program = make_program(fuzzer, next(iter(runs.values())), seed, left_out)
    if left_out:
        with open(source, encoding="ascii") as file:
            say(file.read())
    say(f"# As a C program: {os.path.relpath(source, TOP)}")
    for core, (_, lines) in run_program(fuzzer, program).items():
        say(f"#   {CORE_NAMES[core]:5} {'; '.join(lines) or 'has the same results'}")


PROGRAM = """// SPDX-License-Identifier: GPL-2.0-only
// Sequence {seed} of make fuzz on machine {machine}{left_out}.  The results are those of the {core} core.
#include "replay.h"

int main(int argc, char **argv)
{{
	BEGIN();
	{statements}
	return END();
}}
"""


def make_program(fuzzer, run, seed, left_out=()):
    """Makes the C program of a sequence, from a run of it with --as-c.  Returns the source and the program."""
    os.makedirs(FOLDER, exist_ok=True)
    source = os.path.join(FOLDER, f"sequence-{seed}-{fuzzer.machine}.c")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM.format(seed=seed, machine=fuzzer.machine, core=CORE_NAMES[run.core],
                                  left_out=", without what makes no difference" if left_out else "",
                                  statements="\n\t".join(run.statements)))
    program = source.removesuffix(".c")
    vm.output("gcc", "-O1", "-Wall", "-Werror", "-Wno-unused-function", "-static", "-pthread", "-D_GNU_SOURCE",
              "-I", os.path.join(TOP, "selftests/fuzz"), source, "-o", program)
    return source, program


def run_program(fuzzer, program):
    """Runs the C program of a sequence on each core; core -> whether all results are as it wants them, and what it
    says."""
    cores = fuzzer.options.cores
    results = side_by_side(fuzzer.vm(core, "replay", program).run_async() for core in cores)
    return {core: (result.status("replay") == 0, [line for line in result.lines if re.match(r"line \d+: ", line)])
            for core, result in zip(cores, results)}


def main():
    parser = suite.arguments("fuzzes both cores with the same sequences of system calls")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()) << 20, help="the first seed; otherwise a new one")
    parser.add_argument("--corpus", type=int, default=200, help="the seeds from 1 to this one come first")
    parser.add_argument("--length", type=int, default=300, help="operations of a sequence")
    parser.add_argument("--replay", type=int, metavar="SEED", help="show each call of one sequence")
    parser.add_argument("--leave-out", type=lambda s: [int(n) for n in s.split("+")], default=[],
                        help="operations to leave out of it")
    parser.add_argument("--shrink", type=int, default=3, help="how many sequences that differ are shrunk")
    parser.add_argument("--machines", type=lambda s: s.replace(",", " ").split(), default=list(MACHINES))
    options = suite.parse(parser)
    for machine in options.machines:
        if machine not in MACHINES:
            raise Failure(f"there is no machine {machine}: {', '.join(MACHINES)}")
    program = os.path.join(vm.script("build-crate", "fuzz"), "vfio-fuzz")
    archive = suite.archive(options)
    if options.replay is not None:
        replay(Fuzzer(options, options.machines[0], program, archive), options.replay, options.leave_out)
        return 0
    count = Count()
    for machine in options.machines:
        step(f"fuzzing machine {machine} for {options.seconds} s from seed {options.seed}")
        fuzz(Fuzzer(options, machine, program, archive), count)
    return count.end()


def fuzz(fuzzer, count):
    """Runs the corpus and the seeds after it on one machine."""
    options = fuzzer.options
    runs = fuzzer.run(f"--corpus {options.corpus} --seed {options.seed} --seconds {options.seconds}")
    for r in runs.values():
        for complaint in r.complaints():
            count.verdict(False, f"{r.title}: {complaint}")
        for seed, outcome in r.outcomes.items():
            if outcome.left:
                count.verdict(False, f"{r.title}, sequence {seed}: {outcome.left}")
    common = set.intersection(*(set(r.outcomes) for r in runs.values()))
    if not common:
        raise Failure("no sequence has run on all cores")
    different = sorted(seed for seed in common if differ(runs, seed))
    count.passed += len(common) - len(different)
    show_shares(runs)
    for r in runs.values():
        for name, least in SUCCESSES[fuzzer.machine].items():
            tries, successes = r.shares.get(name, (0, 0))
            if tries >= TRIES and 100 * successes < least * tries:
                count.verdict(False, f"{r.title}: {name}: fewer than {least} % of {tries} calls succeed")
    [run] = fuzzer.run("--seed 1 --sequences 1 --as-c", options.cores[:1]).values()
    _, program = make_program(fuzzer, run, 1)
    for core, (is_good, lines) in run_program(fuzzer, program).items():
        count.verdict(is_good, f"{runs[core].title}: the C program of sequence 1 has the results of the fuzzer"
                      f"{''.join(f'; {line}' for line in lines[:5])}")
    if different:
        say(f"the cores differ in sequences {' '.join(map(str, different[:30]))}")
    for seed in different[:options.shrink]:
        left_out = shrink(fuzzer, seed)
        count.verdict(False, f"sequence {seed}: the cores differ.  make fuzz MACHINES={fuzzer.machine} REPLAY={seed} "
                      f"LEAVE_OUT={'+'.join(map(str, sorted(left_out)))}")
        replay(fuzzer, seed, left_out)
    count.failed += len(different[options.shrink:])


def show_shares(runs):
    """How often each operation was tried, and what share of the tries succeeded."""
    for r in runs.values():
        calls = max((outcome.calls for outcome in r.outcomes.values()), default=0)
        say(f"{r.title}: {len(r.outcomes)} sequences, {calls} calls; rules: " +
            (", ".join(f"{name} {times}" for name, times in r.rules.items()) or "none"))
    shares = list(runs.values())[-1].shares
    for name, (tries, successes) in sorted(shares.items()):
        say(f"  {name:20} {tries:8}  {100 * successes // max(1, tries):3} %")
