# SPDX-License-Identifier: GPL-2.0-only
"""Boots the test VM, for a program or a shell.

    scripts/host/enter scripts/suite vm run [--core c|rust] [--kernel base|debug] PROGRAM [ARGS]
    scripts/host/enter scripts/suite vm shell [--core c|rust] [--kernel base|debug]"""

import argparse
import os
import shlex
import sys

from suites import Failure
from suites.machines import MACHINES
from suites.vm import Machine, base_archive, job_archive, rust_module


def machine_for(options, job, on_line=None, log=None, **contents):
    """The machine that the command line asks for, with what job_archive() takes."""
    kernel = MACHINES[options.machine].variant(options.kernel)
    module = rust_module(kernel) if options.core == "rust" else None
    archive = base_archive(kernel, module, True) + job_archive(job, options.machine, **contents)
    return Machine(archive, core=options.core, kernel=kernel, machine=options.machine, memory=options.memory,
                   arguments=options.append, on_line=on_line, log=log)


def command_run(options):
    name = os.path.basename(options.program)
    job = (f"{'' if options.bare else 'ins_vfio'}\nrun {shlex.quote(name)} "
           f"{shlex.join([f'/opt/{name}', *options.args])}\n")
    files = [(f"opt/{name}", options.program)]
    files += [(f"opt/{os.path.basename(f)}", f) for f in options.file]

    def show(line):
        if not line.startswith("@@ "):
            print(line, flush=True)
    result = machine_for(options, job, programs=files, on_line=show, log=options.log).run()
    if options.console or result.reason:
        sys.stderr.write(result.console)
    if result.reason:
        raise Failure(result.reason)
    return result.status(name)


def command_shell(options):
    job = 'ins_vfio\ncat /devices\necho "The $VFIO_CORE core is loaded; poweroff -f leaves (or Ctrl-A X)."\n' \
          "setsid cttyhack sh\n"
    trees = [(f"opt/{os.path.basename(d)}", d) for d in options.tree]
    machine_for(options, job, trees=trees, interactive=True).run(interactive=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description="boots the test VM")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "shell"):
        sub = commands.add_parser(name)
        sub.add_argument("--core", choices=("c", "rust"), default="c")
        sub.add_argument("--kernel", default="base", help="the kernel build's name")
        sub.add_argument("--machine", choices=sorted(MACHINES), default="default")
        sub.add_argument("--memory", default="1G")
        sub.add_argument("--append", default="", help="more kernel arguments")
        if name == "run":
            sub.add_argument("--bare", action="store_true", help="insert no modules")
            sub.add_argument("--console", action="store_true", help="show the kernel's log")
            sub.add_argument("--log", help="write the kernel's log here")
            sub.add_argument("--file", action="append", default=[], help="another file for /opt")
            sub.add_argument("program")
            sub.add_argument("args", nargs=argparse.REMAINDER)
        else:
            sub.add_argument("--tree", action="append", default=[], help="a folder to put into /opt")
    options = parser.parse_args()
    return command_run(options) if options.command == "run" else command_shell(options)
