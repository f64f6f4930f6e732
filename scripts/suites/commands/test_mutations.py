# SPDX-License-Identifier: GPL-2.0-only
"""Runs tests on mutants that a tool makes by rules, and asks whether the tests notice.

    scripts/host/enter scripts/suite test-mutations [--number N] [--seed S] [--list] [PATTERN...]

The program in selftests/mutate finds all places where one line of the module can be changed by a rule: a check is
dropped, an errno is another one, an undo is left out, a reference is leaked, a lock is released early, a number is
one off.  N of them are drawn, of each rule alike.  A pattern chooses by "RULE FILE:LINE".

Each mutant is built, and the programs of selftests/plan.toml for its file run until one fails.  The outcome is one of:

    caught            a case fails or hangs, the kernel reports something, or the module does not load
    does not compile  a type excludes the mistake
    survives          nothing has noticed: a failure, unless selftests/equivalent.toml says why it cannot be noticed

The outcome of a mutant is remembered in the cache, by the sources and the change; with RESUME=1 it is not run again.
The last line counts mutants: "N passed, N failed"."""

import collections
import glob
import hashlib
import json
import os
import random
import subprocess

import tomllib

from suites import TOP, Failure, klog, remembered, rst, suite, vm
from suites.commands.test_mutants import EVENT_MS, SOURCES, cases_of, copy_sources, guest_files, make_command
from suites.suite import Count, build_selftests, say, step, wanted

TREE = os.path.join(TOP, "build/mutations/tree")
# Not code that runs: the names of C, and constants that the C compiler compares.
LEFT_OUT = ("rust/bindings.rs", "rust/layout_offsets.rs", "rust/abi/layout.rs")

# Seconds that a program may take, and without a word after which a VM is taken for one that hangs.  All programs
# take less than a tenth of it alone.  What hangs must do so twice.
LIMIT_S = 300
HANG_S = 400

Outcome = collections.namedtuple("Outcome", "what how")


class Mutant:
    """One change of a source."""

    def __init__(self, found):
        self.file = os.path.relpath(found["file"], TOP)
        self.rule, self.line, self.start, self.end = (found[n] for n in ("rule", "line", "start", "end"))
        self.before, self.after = found["before"], found["after"]
        self.name = f"{self.rule} {self.file}:{self.line}"
        self.what = f"{' '.join(self.before.split())[:60]} -> {' '.join(self.after.split())[:70]}"

    def apply(self):
        """Changes the copy of the sources; the function that it returns undoes that."""
        path = os.path.join(TREE, self.file)
        with open(path, "rb") as f:
            text = f.read()
        with open(path, "wb") as f:
            f.write(text[:self.start] + self.after.encode() + text[self.end:])

        def undo():
            with open(path, "wb") as f:
                f.write(text)
        return undo

    def key(self, made_of):
        text = f"{made_of} {self.file} {self.start} {self.end} {self.after}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def find():
    """All mutants of the module."""
    files = sorted(f for f in glob.glob(f"{TOP}/rust/**/*.rs", recursive=True)
                   if os.path.relpath(f, TOP) not in LEFT_OUT)
    program = os.path.join(vm.script("build-crate", "mutate"), "mutate")
    listed = subprocess.run([program, *files], capture_output=True, text=True, check=True).stdout
    return [Mutant(json.loads(line)) for line in listed.splitlines()]


def draw(mutants, number, seed):
    """NUMBER of them: a rule with few places gives all of them, the others share what is left."""
    by_rule = {}
    for mutant in mutants:
        by_rule.setdefault(mutant.rule, []).append(mutant)
    drawn, left = [], number
    for place, found in enumerate(sorted(by_rule.values(), key=len)):
        share = min(len(found), left // (len(by_rule) - place))
        drawn += random.Random(f"{seed} {found[0].rule}").sample(found, share)
        left -= share
    return sorted(drawn, key=lambda m: (m.file, m.start))


def sources():
    """A hash of all that the module is built from."""
    made_of = hashlib.sha256()
    for name in SOURCES:
        path = os.path.join(TOP, name)
        files = sorted(glob.glob(f"{path}/**", recursive=True)) if os.path.isdir(path) else [path]
        for file in files:
            if os.path.isfile(file):
                with open(file, "rb") as f:
                    made_of.update(file.encode() + f.read())
    return made_of.hexdigest()


def build(kernel):
    """The module of the changed sources; None if a compiler refuses it."""
    out = os.path.join(TOP, "build/mutations", os.path.basename(kernel))
    made = subprocess.run(make_command(kernel, TREE, out), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                          check=False)
    return os.path.join(out, "vfio.ko") if made.returncode == 0 else None


def programs_for(file):
    """The machines, and the programs on each, that must notice a mutant of a file."""
    plan = suite.plan()["mutations"]
    own = next(names for start, names in plan.items() if file.startswith(start))
    machine, machines = "default", {}
    for name in own:
        if name.startswith("@"):
            machine = name[1:]
        else:
            machines.setdefault(machine, []).append(name)
    usual = machines.setdefault("default", [])
    usual += [name for name in plan["rust/"] if name not in usual]
    return machines


def run(options, out, module, file):
    """Runs the programs in OUT until one notices; the Outcome."""
    outcome = run_once(options, out, module, file)
    return run_once(options, out, module, file) if "watchdog" in outcome.how else outcome


def boot(options, machine, job, files, archive):
    """Boots until the job has begun, which a busy host can prevent."""
    for _ in range(suite.BOOTS):
        result = vm.Machine(archive + vm.job_archive(job, machine, programs=files), core="rust", kernel=options.kernel,
                            machine=machine, memory=options.memory, idle=HANG_S,
                            log=vm.console_log(f"{options.kernel}-mutation-{machine}")).run()
        if result.lines:
            break
    return result


def run_once(options, out, module, file):
    archive = vm.base_archive(options.kernel, module, True)
    for machine, names in programs_for(file).items():
        job = f"echo job\nins_vfio || exit\ncd /selftests\nexport VFIO_EVENT_MS={EVENT_MS} LIMIT={LIMIT_S}\n"
        job += f"for p in {' '.join(names)}; do run $p ./$p; case $? in 0|4) ;; *) break ;; esac; done\n"
        files = guest_files(out, names)
        result = boot(options, machine, job, files, archive)
        for name in names:
            if result.status(name) not in (0, 4, None):
                failed = [case.name for case, came in cases_of(name, result).items() if came == "failed"]
                return Outcome("caught", f"{name}: {failed[0].removeprefix(name + '.') if failed else 'ends early'}")
        if result.reason:
            begun = [line.split()[2] for line in result.lines if line.startswith("@@ begin ")]
            return Outcome("caught", f"{begun[-1] if begun else 'load'}: {result.reason.splitlines()[0][:60]}")
        reports = klog.scan(result.console, "rust")
        if reports:
            return Outcome("caught", f"{reports[0].test or 'load'}: {reports[0].excerpt[0][-60:]}")
        if result.status(names[0]) is None:
            return Outcome("caught", "the module does not load")
    return Outcome("survives", "")


def equivalents():
    """The mutants that nothing can notice: by rule, file and the code that is changed, the reason."""
    path = os.path.join(TOP, "selftests/equivalent.toml")
    if not os.path.exists(path):
        return {}
    with open(path, "rb") as f:
        return {(e["rule"], e["file"], e["before"]): e["reason"] for e in tomllib.load(f)["mutant"]}


class Known:
    """The outcomes that are remembered."""

    def __init__(self):
        self.path = os.path.join(remembered.FOLDER, "mutations.json")
        self.outcomes = remembered.read(self.path) or {}

    def get(self, key):
        return Outcome(*self.outcomes[key]) if remembered.resumes() and key in self.outcomes else None

    def put(self, key, outcome):
        self.outcomes[key] = list(outcome)
        remembered.write(self.path, self.outcomes)


def main():
    parser = suite.arguments("runs tests on mutants that a tool makes by rules")
    suite.table_argument(parser)
    parser.add_argument("--number", type=int, default=130, help="how many mutants")
    parser.add_argument("--seed", default="1", help="which of all that there are")
    parser.add_argument("--list", action="store_true", help="print the mutants")
    options = suite.parse(parser)
    everything = find()
    mutants = draw(everything, options.number, options.seed)
    mutants = [m for m in mutants if wanted(m.name, options.patterns)]
    mutants = suite.share(mutants)
    if not mutants:
        raise Failure(f"no mutant matches {' '.join(options.patterns)}")
    if options.list:
        for mutant in mutants:
            say(f"{mutant.name}: {mutant.what}")
        return 0
    step(f"{len(mutants)} of {len(everything)} mutants")
    known, made_of, kernel = Known(), sources(), vm.kernel_build(options.kernel)
    copy_sources(TREE)
    out, _ = build_selftests(options.kernel)
    count, outcomes, reasons = Count(), {}, equivalents()
    for mutant in mutants:
        key = mutant.key(made_of)
        outcome = known.get(key)
        if not outcome:
            undo = mutant.apply()
            module = build(kernel)
            outcome = run(options, out, module, mutant.file) if module else Outcome("does not compile", "")
            undo()
            known.put(key, outcome)
        reason = reasons.get((mutant.rule, mutant.file, mutant.before))
        if outcome.what == "survives" and reason:
            outcome = Outcome("equivalent", reason)
        outcomes[mutant] = outcome
        count.verdict(outcome.what != "survives",
                      f"{mutant.name}: {mutant.what}: {outcome.what} {outcome.how}".rstrip())
    rows = table(outcomes)
    say("\n" + "\n".join(rows))
    if options.table:
        rst.replace(options.table, "test-mutations", rows)
    return count.end(remembered.is_whole(options))


def table(outcomes):
    """How many mutants of each rule came out how."""
    kinds = ["caught", "does not compile", "equivalent", "survives"]
    rows = []
    for rule in sorted({mutant.rule for mutant in outcomes}):
        came = [outcome.what for mutant, outcome in outcomes.items() if mutant.rule == rule]
        rows.append([rule, *(str(came.count(kind)) for kind in kinds)])
    rows.append(["all", *(str(sum(outcome.what == kind for outcome in outcomes.values())) for kind in kinds)])
    return rst.simple_table(["rule", *kinds], rows)
