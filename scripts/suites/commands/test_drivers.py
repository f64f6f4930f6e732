# SPDX-License-Identifier: GPL-2.0-only
"""Loads every module of a kernel that uses vfio.ko, on both cores.

    scripts/host/enter scripts/suite test-drivers [--kernel drivers] [--cores c,rust] [PATTERN...]

The modules are the VFIO drivers, and the modules that depend on them; their symbols say which.  Before that, and
without a VM, the command checks that our vfio.ko exports what each takes from it, to the same modules and in the
same name space as the C core."""

import collections
import os
import re
import subprocess

from suites import TOP, Failure, initramfs, suite, vm
from suites.suite import Boot, Program, say, wanted

Export = collections.namedtuple("Export", "owner kind space")


def exports(path):
    """A Module.symvers: symbol -> Export."""
    with open(path, encoding="ascii") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    return {name: Export(os.path.basename(owner).replace("-", "_"), kind, space)
            for _, name, owner, kind, space in rows}


def imports(modules):
    """name -> the symbols that a module takes from elsewhere."""
    paths = {path: name for name, path in modules.items()}
    lines = subprocess.run(["llvm-nm", "--undefined-only", "--print-file-name", *paths],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {name: set() for name in modules}
    for path, symbol in re.findall(r"^(.+?): +[Uwv] (\S+)$", lines, re.M):
        found[paths[path]].add(symbol)
    return found


def users(depends, name):
    """The modules that depend on one, directly or not."""
    direct = {m for m, on in depends.items() if name in on}
    return direct.union(*(users(depends, m) for m in direct))


def by_name(path, symbols):
    """Those of the symbols that a module looks up by name when it runs (symbol_get()), as kvm does."""
    with open(path, "rb") as f:
        data = f.read()
    return {s for s in symbols if b"\0%s\0" % s.encode() in data}


def wishes(modules, theirs):
    """name -> what a module takes from vfio.ko, if it does."""
    core = {symbol for symbol, export in theirs.items() if export.owner == "vfio"}
    found = {name: symbols & core or by_name(modules[name], core)
             for name, symbols in imports(modules).items() if name != "vfio"}
    return {name: symbols for name, symbols in sorted(found.items()) if symbols}


def check_imports(taken, theirs, ours):
    """A case for each module: is there what it takes from vfio.ko, and is it the same?"""
    program = Program("host", "imports")
    say("\n# ---- host: what modules take from vfio.ko")
    for name, wants in taken.items():
        wrong = {s for s in wants if ours.get(s) != theirs[s]}
        for symbol in sorted(wrong):
            say(f"# {symbol}: {theirs[symbol]} of the C core, {ours.get(symbol, 'nothing')} of ours")
        program.cases[name] = "failed" if wrong else "ok"
        say(f"{'not ok' if wrong else 'ok'} - {name}: {len(wants)} symbols")
    return program


def main():
    parser = suite.arguments("loads every VFIO driver")
    parser.set_defaults(kernel="drivers")
    options = suite.parse(parser)
    build = vm.kernel_build(options.kernel)
    modules = initramfs.module_paths(build)
    depends = {name: initramfs.modinfo(path) for name, path in modules.items()}
    theirs = exports(os.path.join(build, "Module.symvers"))
    taken = {n: symbols for n, symbols in wishes(modules, theirs).items() if wanted(n, options.patterns)}
    # What lies with the VFIO drivers counts too, even if it takes nothing from the core.
    folder = os.path.join(build, "drivers/vfio/")
    names = users(depends, "vfio") | {n for n, path in modules.items() if path.startswith(folder)} - {"vfio"}
    names = sorted(n for n in names | set(taken) if wanted(n, options.patterns))
    if not names:
        raise Failure(f"no module matches {' '.join(options.patterns)}")

    host = []
    if "rust" in options.cores:
        ours = exports(os.path.join(os.path.dirname(vm.rust_module(options.kernel)), "Module.symvers"))
        host = [check_imports(taken, theirs, ours)]
    job = f"ins vfio\nLIMIT=3000 run load_drivers /load-drivers {' '.join(names)}\n"
    files = [("load-drivers", os.path.join(TOP, "scripts/guest/load-drivers"))]
    programs = ["load_drivers"]
    # A PC has a device for this one, and the usual kernel has not the driver.
    if "vfio_platform" in names:
        out, _ = suite.build_selftests(options.kernel)
        files.append(("platform", os.path.join(out, "platform")))
        job += "ins vfio_platform reset_required=0\nrun platform /platform\n"
        programs.append("platform")
    archive = suite.archive(options)
    boots = [Boot(core, "drivers", (job, files, []), kernel=options.kernel, programs=programs,
                  archive=archive, memory=options.memory) for core in options.cores]
    return suite.run(options, boots, host)
