# SPDX-License-Identifier: GPL-2.0-only
"""What all suites of tests share: boots that run programs, their TAP, the summary of both cores side by side."""

import argparse
import asyncio
import fcntl
import fnmatch
import functools
import os
import re
import subprocess
import sys
import time
import tomllib

from suites import TOP, Failure, klog, remembered, tap, vm
from suites.vm import Machine

START = float(os.environ.get("RUST_VFIO_T0", time.time()))
CORE_NAMES = {"c": "C", "rust": "Rust", "host": "host"}


def say(text=""):
    print(text, flush=True)


def step(text):
    seconds = int(time.time() - START)
    print(f"[{seconds // 60}:{seconds % 60:02}] {text}", file=sys.stderr, flush=True)


class Program:
    """The TAP of one program on one core."""

    def __init__(self, core, name, exempt=None):
        self.core = core
        self.name = name
        self.strict = exempt is not None
        self.exempt = [e for e in exempt or () if name in e.programs]
        self.lines = []
        self.status = None   # of the process
        self.cases = {}      # name -> ok, failed, skipped, known (a known failure)
        self.skipped = []    # pairs of a case, as the program names it, and the reason
        self.trouble = ""    # what is wrong beyond its cases
        self.surprises = []  # cases that do not come out as a list of exceptions has them

    def finish(self, lost=""):
        """Reads the TAP; a program without a plan, or that stopped short of it, has failed."""
        result = tap.parse(self.lines)
        self.skipped = result.skipped
        for case, outcome in result.cases:
            name = case.removeprefix(f"{self.name.partition('@')[0]}.") or f"case {len(self.cases) + 1}"
            while name in self.cases:
                name += "'"
            self.cases[name] = outcome
        if lost:
            self.trouble = lost
        elif self.status == 4 and not self.cases or result.skip_all:
            self.cases["(all)"] = "skipped"
        elif result.plan is None:
            self.trouble = f"printed no TAP plan (status {self.status})"
        elif len(self.cases) != result.plan:
            self.trouble = f"planned {result.plan} cases and reported {len(self.cases)} (status {self.status})"
        elif result.errors:
            self.trouble = "; ".join(result.errors)
        elif self.status not in (0, 4) and "failed" not in self.cases.values():
            self.trouble = f"ended with status {self.status}"
        self._compare(lost)
        if self.trouble:
            self.cases["(program)"] = "failed"

    def _compare(self, lost):
        """Its cases with the exceptions that are known of it."""
        listed = set()
        for entry in self.exempt:
            for pattern in entry.cases:
                cases = fnmatch.filter(self.cases, pattern)
                listed.update(cases)
                for case in cases:
                    if self.cases[case] != entry.result:
                        self.surprises.append(f"{case}: {self.cases[case]}, listed as {entry.result}")
                    elif entry.result == "failed":
                        self.cases[case] = "known"
                if not cases and not lost:
                    self.surprises.append(f"{pattern}: not reported, listed as {entry.result}")
        if self.strict:
            self.surprises += [f"{c}: skipped, not listed" for c, outcome in self.cases.items()
                               if outcome == "skipped" and c not in listed]

    def show(self):
        say(f"\n# ---- {CORE_NAMES[self.core]}: {self.name}")
        for line in self.lines:
            if line:
                say(line)
        if self.trouble:
            say(f"# {self.name} {self.trouble}")


# How often a VM that does not come to its first program is booted.
BOOTS = 3


class Boot:
    """One VM with the programs that run in it.  With a list of exceptions (kernel_tests.Exempt) all else must
    pass, and come out the same on both cores."""

    # pylint: disable-next=redefined-outer-name
    def __init__(self, core, name, job, *, kernel, programs, archive, machine="default", memory="1G", arguments="",
                 accel=None, timeout=3 * 3600, exempt=None):
        self.core = core
        self.name = name
        self.kernel = kernel
        self.expected = programs
        self.exempt = exempt
        self.results = []
        self.reports = []
        self.reason = ""
        self.machine = Machine(archive + vm.job_archive(job[0], machine, programs=job[1], trees=job[2]), core=core,
                               kernel=kernel, machine=machine, memory=memory, arguments=arguments,
                               accel=accel, on_line=self.on_line,
                               log=vm.console_log(f"{kernel}-{core}-{name}"), timeout=timeout)
        self.current = None

    def on_line(self, line):
        if line.startswith("@@ begin "):
            self.current = Program(self.core, line.removeprefix("@@ begin "), self.exempt)
        elif line.startswith("@@ end ") and self.current:
            self.current.status = int(line.split()[-1])
            self._finish()
        elif self.current:
            self.current.lines.append(line)

    def _finish(self, lost=""):
        program, self.current = self.current, None
        program.finish(lost)
        program.show()
        self.results.append(program)

    def recall(self):
        """Shows what is remembered of a boot that passed; False if nothing is."""
        known = remembered.load(self.machine) if remembered.resumes() else None
        if not known:
            return False
        step(f"{CORE_NAMES[self.core]} core, {self.name}: passed on {known['time']} at {known['commit']}")
        for name, status, lines in known["programs"]:
            self.current = Program(self.core, name, self.exempt)
            self.current.status, self.current.lines = status, lines
            self._finish()
        return True

    def passed(self):
        """Has all gone well?"""
        good = ("ok", "skipped", "known")
        return not self.reason and not self.reports and not any(p.surprises for p in self.results) and \
            all(outcome in good for p in self.results for outcome in p.cases.values())

    async def run(self, semaphore):
        if self.recall():
            return
        async with semaphore:
            step(f"{CORE_NAMES[self.core]} core, {self.name}: booting, {len(self.expected)} programs")
            for _ in range(BOOTS):
                result = await self.machine.run_async()
                if result.lines or not result.reason:
                    break
                # Emulated machines stop in the middle of a boot, rarely, when the host is busy.
                say(f"# {CORE_NAMES[self.core]} core, {self.name}: did not come up: {result.reason}")
            self.reason = result.reason
            if self.current:
                self._finish(result.reason or "did not end")
            seen = {p.name for p in self.results}
            for name in self.expected:
                if name not in seen:
                    self.current = Program(self.core, name)
                    self._finish(f"did not run: {result.reason or 'the VM ended before'}")
            self.reports = klog.scan(result.console, self.core)
            if self.passed():
                remembered.store(self.machine, [(p.name, p.status, p.lines) for p in self.results])
            if self.reason:
                say(f"\n# {CORE_NAMES[self.core]} core, {self.name}: {self.reason}; the end of the kernel's log:")
                for line in result.console.splitlines()[-40:]:
                    say(f"#   {line}")
            for report in self.reports:
                say(f"\n# {CORE_NAMES[self.core]} core, {self.name}: kernel report"
                    f"{' during ' + report.test if report.test else ''}:")
                for line in report.excerpt:
                    say(f"#   {line}")


def make_selftests(kernel, name, *targets):
    """Builds our programs, or other targets, against a kernel's headers; returns their folder and the command."""
    build = vm.kernel_build(kernel)
    source = os.path.realpath(os.path.join(build, "source"))
    out = os.path.join(TOP, "build", f"{name}-{os.path.basename(build)}")
    os.makedirs(out, exist_ok=True)
    make = ["make", "-s", "-C", os.path.join(TOP, "selftests"), f"OUTPUT={out}", f"KSRC={source}",
            f"KHDR_INCLUDES=-isystem {build}/usr/include"]
    if vm.architecture(build) == "arm64":
        make += ["ARCH=arm64", "LLVM=1"]
    with open(out + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        vm.output(*make, f"-j{os.environ.get('JOBS', '2')}", *(os.path.join(out, t) for t in targets),
                  failure="the selftests do not build")
    return out, make


def build_selftests(kernel):
    """Builds our programs; returns their folder and the names that lib.mk would run."""
    out, make = make_selftests(kernel, "selftests")
    listed = subprocess.run([*make, "emit_tests"], capture_output=True, text=True, check=True).stdout
    return out, re.findall(r"^[^:\s]*:(\S+)$", listed, re.M)


@functools.cache
def plan():
    """The plan of the suites."""
    with open(os.path.join(TOP, "selftests/plan.toml"), "rb") as f:
        return tomllib.load(f)


def fresh_programs():
    """Programs that get a VM of their own."""
    return [name for names in plan()["fresh-vm"].values() for name in names]


def other_machines():
    """Programs that run on another machine: program -> machine."""
    return {name: machine for machine, names in plan()["machines"].items() for name in names}


def cases_in(path, name):
    """The names in the list NAME of a program in Python, which runs in the VM."""
    with open(path, encoding="ascii") as f:
        return re.findall(r"\w+", re.search(rf"^{name} = \[(.*?)\]", f.read(), re.M | re.S).group(1))


def scenarios(options, path, modes):
    """The scenarios of a program in Python that were asked for; they and the modes must be known."""
    names = [n for n in cases_in(path, "SCENARIOS") if wanted(n, options.patterns)]
    if not names:
        raise Failure(f"no scenario matches {' '.join(options.patterns)}")
    for mode in options.modes:
        if mode not in modes:
            raise Failure(f"--modes {mode}: {', '.join(modes)}")
    return names


def build_drivers(kernel):
    """Only the modules that some programs bring along, for those programs of another kernel."""
    return make_selftests(kernel, "drivers", "soft_iommu.ko")[0]


def boot_groups(names, most=None):
    """Programs by the boots that they share: its title, its machine, the programs.  MOST limits how many programs of
    the usual VM share a boot."""
    fresh, machines = fresh_programs(), other_machines()
    usual = [n for n in names if n not in fresh and n not in machines]
    most = most or len(usual) or 1
    groups = [(f"selftests{f'-{i // most + 1}' if len(usual) > most else ''}", "default", usual[i:i + most])
              for i in range(0, len(usual), most)]
    groups += [(n, machines.get(n, "default"), [n]) for n in names if n in fresh]
    groups += [(m, m, [n for n in names if machines.get(n) == m and n not in fresh])
               for m in sorted(set(machines.values()))]
    return [group for group in groups if group[2]]


def wanted(name, patterns):
    return not patterns or any(fnmatch.fnmatch(name, p) or p in name for p in patterns)


def summary(options, boots, host, more=None):
    """The table, what `more()` prints, and the last line; returns the exit status.  `more()` may return a text that
    says what is wrong."""
    table, counts, findings = {}, {"ok": 0, "failed": 0, "skipped": 0, "known": 0}, []
    equal = {p.name for boot in boots for p in boot.results if p.strict}
    for boot in boots:
        for program in boot.results:
            findings += [f"{program.name}: {s} ({CORE_NAMES[program.core]})" for s in program.surprises]
            for case, outcome in program.cases.items():
                name = program.name if len(boots) < 2 or program.name != "debug_tools" else \
                    f"{program.name}@{boot.name}"
                table.setdefault((name, case), {})[boot.core] = outcome
                counts[outcome] += 1
        # The kernel's log of each boot counts as a test.
        counts["failed" if boot.reports else "ok"] += 1
        table.setdefault((boot.name, "(kernel log)"), {})[boot.core] = "failed" if boot.reports else "ok"
    for (program, case), row in table.items():
        if len(options.cores) < 2:
            continue
        c, rust = row.get("c"), row.get("rust")
        lost = any(case_name == "(program)" and prog == program for prog, case_name in table)
        if (c is None) != (rust is None) and case != "(program)" and not lost:
            findings.append(f"{program}: {case}: reported on one core alone")
        if c == "ok" and rust == "skipped":
            findings.append(f"{program}: {case}: passes on C and is skipped on Rust")
        if program in equal and None not in (c, rust) and c != rust:
            findings.append(f"{program}: {case}: {c} on C, {rust} on Rust: must be equal")
    for program in host:
        for outcome in program.cases.values():
            counts[outcome] += 1
    counts["failed"] += len(findings)

    if table:
        say("\n" + "=" * 72)
        width = min(100, max(len(f"{p}: {c}") for p, c in table))
        say(f"{'test':{width}}  " + "  ".join(f"{CORE_NAMES[c]:8}" for c in options.cores))
        for (program, case), row in table.items():
            name = f"{program}: {case}"
            say(f"{name:{width}}  " + "  ".join(f"{row.get(c, '-'):8}" for c in options.cores).rstrip())
    reasons = [f"{program.name}: {entry.result}, as is known: {', '.join(entry.cases)}: {entry.reason}"
               for boot in boots for program in boot.results for entry in program.exempt]
    if reasons:
        say("\n" + "\n".join(dict.fromkeys(reasons)))
    for finding in findings:
        say(f"failed: {finding}")
    wrong = more and more()
    if wrong:
        say(f"failed: {wrong}")
        counts["failed"] += 1
    junit(boots, host)
    seconds = int(time.time() - START)
    say(f"\n{seconds // 60} min {seconds % 60} s; kernel logs in build/logs" +
        (f"; {counts['known']} known failures, not counted" if counts["known"] else ""))
    return last_line(counts["ok"], counts["failed"], counts["skipped"], remembered.is_whole(options))


def last_line(passed, failed, skipped, whole=False):
    """What every suite ends with; its exit status.  WHOLE: all of the suite has run."""
    remembered.record(passed, failed, skipped, whole)
    say(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


class Count:
    """Results, a line each."""

    def __init__(self):
        self.passed = self.failed = 0

    def verdict(self, good, text):
        if good:
            self.passed += 1
        else:
            self.failed += 1
        say(f"{'ok' if good else 'not ok'} - {text}")

    def end(self, whole=False):
        """The last line; the suite's exit status."""
        remembered.record(self.passed, self.failed, 0, whole)
        say(f"\n{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def host_case(program, name, case, *given):
    """Runs a case that needs no VM.  An assertion fails it, and a command that fails."""
    try:
        case(*given)
        program.cases[name] = "ok"
    except (AssertionError, Failure, subprocess.SubprocessError) as error:
        say(f"# {name}: {type(error).__name__}: {error}")
        program.cases[name] = "failed"
    say(f"{'ok' if program.cases[name] == 'ok' else 'not ok'} - {program.name}.{name}")


def junit(boots, host):
    """Writes the results for tools that read JUnit, by the name of the suite."""
    name = sys.argv[0].split()[-1]
    places = [(f"{boot.core}.{boot.kernel}.{boot.name}",
               [*((program.name, list(program.cases.items())) for program in boot.results),
                ("(kernel log)", "failed" if boot.reports else "ok")]) for boot in boots]
    places += [(f"host.{program.name}", list(program.cases.items())) for program in host]
    os.makedirs(os.path.join(TOP, "build/junit"), exist_ok=True)
    tap.write_junit(os.path.join(TOP, f"build/junit/{name}.xml"), places)


def overview(cores, places, boots):
    """Of programs that ran as PROGRAM@PLACE: how many cases passed where, on each core; what was skipped, and why."""
    passed, reasons = {}, {}
    for boot in boots:
        for result in boot.results:
            outcomes = list(result.cases.values())
            failed = outcomes.count("failed")
            program, _, place = result.name.partition("@")
            row = passed.setdefault(program, {})
            row[place, boot.core] = f"{outcomes.count('ok')}{f'-{failed}' if failed else ''}"
            for skipped in result.skipped:
                reasons.setdefault(skipped, set()).add(place)
    say("\nCases that passed: " + " / ".join(CORE_NAMES[c] for c in cores) + "; -N: N failed")
    say(f"{'':20}" + "".join(f"{p:18}" for p in places).rstrip())
    for name, row in passed.items():
        cells = [" / ".join(row.get((p, c), ".") for c in cores) for p in places]
        say(f"{name:20}" + "".join(f"{cell:18}" for cell in cells).rstrip())
    if reasons:
        say("\nSkipped:")
    for (case, reason), names in reasons.items():
        say(f"  {case}: {reason} ({', '.join(p for p in places if p in names)})")


async def run_all(boots, jobs):
    semaphore = asyncio.Semaphore(jobs)
    await asyncio.gather(*(boot.run(semaphore) for boot in boots))


def arguments(description):
    """The options that every suite has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--kernel", default="base")
    parser.add_argument("--cores", default="c,rust", type=lambda s: s.split(","))
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--vms", type=int, default=2, help="VMs side by side")
    parser.add_argument("patterns", nargs="*")
    return parser


def modes_argument(parser, modes, what):
    """The option of suites that run in several modes, all if none is said."""
    parser.add_argument("--modes", default=",".join(modes), type=lambda s: s.split(","),
                        help=f"{what}: {', '.join(modes)}")


def table_argument(parser):
    """The option of suites that write their numbers into a document."""
    parser.add_argument("--table", metavar="FILE", help="write the numbers into this file, between their marks")


def parse(parser):
    options = parser.parse_args()
    options.patterns = [p for p in options.patterns if p]
    if getattr(options, "table", None) and (options.patterns or options.cores != ["c", "rust"]):
        raise Failure("--table is for all tests on both cores")
    return options


def archive(options, kernel=None):
    """The initramfs of a suite's boots, less their jobs."""
    kernel = kernel or options.kernel
    vm.kernel_build(kernel)
    module = vm.rust_module(kernel) if "rust" in options.cores else None
    return vm.base_archive(kernel, module, True)


def share(boots):
    """The boots, or other things, of PART=K/N.  Those of one name, which are compared, stay together."""
    which, parts = remembered.part()
    names = list(dict.fromkeys(boot.name for boot in boots))[which - 1::parts]
    return [boot for boot in boots if boot.name in names]


def run(options, boots, host=(), more=None):
    """Runs the boots and sums up; returns the exit status."""
    if not boots and not host:
        raise Failure(f"no test matches {' '.join(options.patterns)}")
    boots, host = share(boots), host if remembered.is_first() else ()
    if boots:
        step(f"{len(boots)} boots, {vm.accelerator()}")
        asyncio.run(run_all(boots, options.vms))
    return summary(options, boots, host, more)
