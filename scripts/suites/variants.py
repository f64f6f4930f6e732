# SPDX-License-Identifier: GPL-2.0-only
"""The tests on other kernels than the reference, on both cores: what the suites test-variants and test-stock
share.  A program runs as PROGRAM@KERNEL.  selftests/plan.toml says which run where.  What is missing a program
finds out itself: a case that wants it is skipped and says so."""

import asyncio
import fnmatch
import re

from suites import Failure, guest_tests, kernel_tests, klog, remembered, suite, user_tests, vm
from suites.suite import Boot, Program, boot_groups, build_drivers, build_selftests, say, step, wanted


def read_plan(name):
    """The plan of one suite; an entry that is "like" another has what it does not say itself from that."""
    plan = suite.plan()[name]
    return {kernel: {**plan.get(entry.get("like"), {}), **entry} for kernel, entry in plan.items()}


def chosen(name, entry, programs):
    """The programs that run on the kernel NAME."""
    for pattern in entry["programs"]:
        if not fnmatch.filter(programs, pattern):
            raise Failure(f"{name}: there is no program {pattern}")
    left_out = [p for reason in entry.get("left_out", {}).values() for p in reason]
    return [p for p in programs if any(fnmatch.fnmatch(p, w) for w in entry["programs"]) and
            not any(fnmatch.fnmatch(p, w) for w in left_out)]


def kernel_boots(options, name, entry):
    # The same user space serves each configuration of the reference kernel; what a module is built for comes
    # first.
    out, programs = build_selftests(options.user_space or name)
    trees = [("selftests", build_drivers(name))] if options.user_space else []
    trees.append(("selftests", out))
    programs = [p for p in chosen(name, entry, programs) if wanted(p, options.patterns)]
    archive = suite.archive(options, name)
    boots = []
    for title, machine, together in boot_groups(programs):
        job = "ins_vfio\ncd /selftests\n" + "".join(f"run {p}@{name} ./{p}\n" for p in together)
        boots += [Boot(core, f"{name}-{title}", (job, [], trees), kernel=name, archive=archive,
                       machine=machine, programs=[f"{p}@{name}" for p in together], memory=options.memory)
                  for core in options.cores]
    return boots + clients(options, name, entry, archive)


def clients(options, name, entry, archive):
    """Boots of the kernel's own selftests, of guests that QEMU gives devices, and of unprivileged users."""
    boots = []
    if "kernel_tests" in entry:
        boots += kernel_tests.Table(entry["kernel_tests"], name).boots(options, archive)
    if "guest" in entry:
        modes = [m for m in entry["guest"]["modes"] if wanted(f"guest_{m}", options.patterns)]
        boots += guest_tests.boots(options, archive, modes, entry["guest"]["scenarios"], name) if modes else []
    if entry.get("users"):
        boots += user_tests.boots(options, archive, name)
    return boots


def planted(name, bugs):
    """Bugs planted in Rust that this kernel has to stop, each in a VM of its own, for the module stays stuck."""
    program = Program("host", f"planted@{name}")
    module = vm.small_module(name, "planted", "planted.ko") if bugs else ""
    for case, bug in bugs.items():
        job = f"run {case} insmod /opt/planted.ko bug={bug['number']}\n"
        archive = vm.base_archive(name, None) + vm.job_archive(job, programs=[("opt/planted.ko", module)])
        result = vm.Machine(archive, core="c", kernel=name, oops="", log=vm.console_log(f"{name}-{case}")).run()
        found = any(r.test == case and re.search(bug["report"], "\n".join(r.excerpt))
                    for r in klog.scan(result.console, "c"))
        program.cases[case] = "ok" if found else "failed"
        say(f"{'ok' if found else 'not ok'} - planted bug is reported on {name}: {case}")
        if not found:
            say("\n".join(result.console.splitlines()[-40:]))
    return program


def overview(options, plan, boots):
    suite.overview(options.cores, options.variants, boots)
    say("\nLeft out:")
    for name in options.variants:
        for reason, patterns in plan[name].get("left_out", {}).items():
            say(f"  {name}: {' '.join(patterns)}: {reason}")


def arguments(description):
    parser = suite.arguments(description)
    parser.add_argument("--variants", default="", type=lambda s: s.replace(",", " ").split())
    parser.add_argument("--list", action="store_true", help="prints the names of the kernels")
    return parser


def main(plan, parser, user_space=None, host=lambda options: [], more=lambda options, boots: None):
    """The programs of USER_SPACE, a kernel's build, or those that are built for each kernel; and HOST's, which
    need no VM.  MORE adds to the summary."""
    options = suite.parse(parser)
    options.user_space = user_space
    options.variants = options.variants or list(plan)
    for name in options.variants:
        if name not in plan:
            raise Failure(f"there is no kernel {name}: {', '.join(plan)}")
    if options.list:
        say(" ".join(options.variants))
        return 0
    programs = host(options) if remembered.is_first() else []
    options.partial = options.variants != list(plan)
    done = []
    for name in options.variants:
        boots = suite.share(kernel_boots(options, name, plan[name]))
        if boots:
            step(f"kernel {name}: {len(boots)} boots, {vm.accelerator()}")
            asyncio.run(suite.run_all(boots, options.vms))
        for boot in boots:
            # Its initramfs, which would add up.
            boot.machine = None
        done += boots
        if wanted("planted", options.patterns):
            programs.append(planted(name, plan[name].get("planted", {})))
    if not done and not any(program.cases for program in programs):
        raise Failure(f"no test matches {' '.join(options.patterns)}")

    def say_more():
        overview(options, plan, done)
        return more(options, done)
    return suite.summary(options, done, programs, say_more)
