# SPDX-License-Identifier: GPL-2.0-only
"""What is remembered of past runs, in the cache: boots that passed, and when each suite ran.

A boot is known by everything that it is made of: the archive with the modules, the programs and the job, the kernel,
and the machine.  If RESUME=1 is in the environment, a boot that passed before is not run again: its results are
shown.  With PART=K/N only every Nth boot runs, from the Kth on, on all cores; RESUME=1 then puts the parts together."""

import dataclasses
import hashlib
import json
import os
import re
import sys
import time

from suites import Failure, vm

FOLDER = os.path.join(vm.CACHE, "results")
SUITES = os.path.join(FOLDER, "suites.json")

BOTH = ["c", "rust"]

# So many boots are remembered, the latest.
BOOTS = 2000


def part():
    """K and N of PART=K/N; 1 and 1 if all boots run."""
    text = os.environ.get("PART", "") or "1/1"
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise Failure(f"PART={text}: want K/N, such as 3/8")
    return int(match[1]), int(match[2])


def is_first():
    """Does this run have the first part, to which belongs what needs no boot of its own?"""
    return part()[0] == 1


def resumes():
    return bool(os.environ.get("RESUME"))


def runs_all_cases(options):
    """Does this run have all cases, on both cores, of the kernels and modes that it is for?"""
    return not options.patterns and part()[1] == 1 and getattr(options, "cores", BOTH) == BOTH


def is_whole(options):
    """Does this run cover the suite?"""
    return runs_all_cases(options) and not getattr(options, "partial", False)


def key(machine):
    """What tells a boot from every other one."""
    made_of = hashlib.sha256(machine.archive)
    parts = [machine.core, os.path.basename(vm.kernel_build(machine.kernel)), dataclasses.astuple(machine.kind),
             machine.memory, machine.cpus, machine.arguments, machine.accel or vm.accelerator(machine.kind.platform),
             machine.extra, machine.cpu]
    made_of.update(repr(parts).encode())
    return made_of.hexdigest()[:32]


def _path(machine):
    return os.path.join(FOLDER, f"boot-{key(machine)}.json")


def store(machine, programs):
    """Remembers the lines of the programs of a boot that passed: (name, status, lines) of each."""
    write(_path(machine), {"commit": _commit(), "time": _now(), "programs": programs})
    known = sorted((os.path.join(FOLDER, n) for n in os.listdir(FOLDER) if n.startswith("boot-")), key=os.path.getmtime)
    for path in known[:-BOOTS]:
        os.remove(path)


def load(machine):
    """What is remembered of a boot, or None."""
    return read(_path(machine))


def record(passed, failed, skipped, whole):
    """Remembers how a suite ended."""
    name = sys.argv[0].split()[-1]
    if not vm.CACHE or os.environ.get("RUST_VFIO_INNER"):
        return
    suites = read_suites()
    entry = {"commit": _commit(), "time": _now(), "passed": passed, "failed": failed, "skipped": skipped}
    suites.setdefault(name, {})["whole" if whole else "part"] = entry
    write(SUITES, suites)


def read_suites():
    """How each suite ended the last time: name -> {"whole": entry, "part": entry}."""
    return read(SUITES) or {}


def read(path):
    """What write() has written, or None."""
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def write(path, data):
    """Writes a file of the folder.  Several runs may share the cache: the file has its name when it is whole."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as f:
        json.dump(data, f)
    os.replace(f"{path}.{os.getpid()}", path)


def _commit():
    return os.environ.get("RUST_VFIO_COMMIT") or "unknown"


def _now():
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())
