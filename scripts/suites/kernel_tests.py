# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own selftests: reads its part of selftests/plan.toml and makes boots of it."""

import collections
import os

from suites import TOP, Failure, vm
from suites.suite import Boot, plan, wanted

# A program on certain devices: its name in the results, its file, the line of the guest's job.
Run = collections.namedtuple("Run", "name program job")

# Cases (patterns) of a program on certain devices that do not pass: "failed" or "skipped", and why.
Exempt = collections.namedtuple("Exempt", "programs cases result reason")


class Table:
    """The tests, each in MODES instead of the table's; on another KERNEL than the suite's one, the names of the
    programs say so."""

    def __init__(self, modes=None, kernel=None):
        self.data = plan()["kernel-tests"]
        self.modes = modes or self.data["modes"]
        self.kernel = kernel
        self.place = f"@{kernel}" if kernel else ""
        self.exempt = [Exempt([_title(e["program"], d) + self.place for d in e["with"]], e["cases"], e["result"],
                              e["reason"]) for e in self.data["exception"]]

    def boots(self, options, archive):
        """The boots of the whole suite, less what no pattern asks for."""
        kernel = self.kernel or options.kernel
        made = []
        for name, boot in self.data["boot"].items():
            tests = [test for test in boot["test"] if _serves(kernel, test.get("needs", boot.get("needs")))]
            runs = [r for test in tests for r in self._runs(test, boot.get("devices", []), self.modes)]
            made += self._boots(options, archive, f"kernel-{name}", boot, runs)
        return made

    def short_boots(self, options, archive):
        """The selection that is part of `make test`."""
        short = self.data["short"]
        boot = {**self.data["boot"][short["boot"]], **short}
        runs = [r for test in boot["test"] if _name(test) in short["programs"] and "with" not in test
                for r in self._runs(test, short["devices"], short["modes"])]
        return self._boots(options, archive, "kernel", boot, runs)

    def _boots(self, options, archive, title, boot, runs):
        runs = [r for r in runs if wanted(r.name, options.patterns)]
        if not runs:
            return []
        folder = vm.script("kernel-selftests")
        files = [(f"opt/{p}", os.path.join(folder, p)) for p in sorted({r.program for r in runs})]
        files.append(("opt/by-status", os.path.join(TOP, "scripts/guest/by-status")))
        job = f"LIMIT=3600\nins_vfio {boot.get('vfio_pci', '')}\n"
        job += "".join(f"ins {m}\n" for m in boot.get("modules", []))
        job += f"echo {boot.get('hugepages', 0)} >/proc/sys/vm/nr_hugepages\n"
        job += "".join(f"bind_vfio ${d.upper()}\n" for d in boot.get("devices", []))
        job += "".join(r.job for r in runs)
        return [Boot(core, title, (job, files, []), kernel=self.kernel or options.kernel,
                     programs=[r.name for r in runs], archive=archive, machine=boot["machine"],
                     memory=boot.get("memory", options.memory), arguments=boot.get("arguments", ""),
                     accel=boot.get("accel"), timeout=4 * 3600, exempt=self.exempt)
                for core in options.cores]

    def _runs(self, test, devices, modes):
        """A test of the table, once for each set of devices."""
        together = test.get("with", "each")
        if together not in ("each", "all", "none"):
            raise Failure(f"selftests/plan.toml: {_name(test)}: with = \"{together}\"")
        sets = {"each": [(d, [d]) for d in devices], "all": [("all", devices)], "none": [("none", [])]}[together]
        variants = [v.format(mode=m) for m in modes for v in test.get("variants", [])]
        for label, members in sets:
            addresses = " ".join(f"${d.upper()}" for d in members)
            if "arguments" in test:
                command = f"/opt/by-status '{' '.join(modes)}' /opt/{test['program']} {test['arguments']}"
            else:
                command = f"/opt/{test['program']} {' '.join(f'-v {v}' for v in variants)}"
            name = _title(_name(test), label) + self.place
            yield Run(name, test["program"], f"run {name} {command} {addresses}\n")


def _serves(kernel, needs):
    """Does a kernel have the option that a test needs, if it needs one?"""
    return not needs or vm.has_option(kernel, needs)


def _name(test):
    return os.path.basename(test["program"])


def _title(name, label):
    """What a program is called in the results: with a device's name, or "all" or "none"."""
    return f"{name}@{label}"
