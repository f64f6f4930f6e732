# SPDX-License-Identifier: GPL-2.0-only
"""Runs a demo program in the VM with our core and shows it live.

    scripts/host/enter scripts/suite demo [--core c|rust] [--kernel base|debug] [demo|demo_sva]"""

import argparse
import os

from suites import klog, vm
from suites.suite import make_selftests, step

# Programs: the machine, what it is, the modules that lie beside the program.
DEMOS = {
    "demo": ("default", "intel-iommu with interrupt remapping", ()),
    "demo_sva": ("sva", "intel-iommu that walks the page tables of processes, and a device with PASIDs",
                 ("sva_test.ko",)),
}


def main():
    parser = argparse.ArgumentParser(description="runs a demo")
    parser.add_argument("--core", choices=("c", "rust"), default="rust")
    parser.add_argument("--kernel", default="base")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("name", nargs="?", choices=DEMOS, default="demo")
    options = parser.parse_args()
    name = options.name
    machine, what, modules = DEMOS[name]
    module = vm.rust_module(options.kernel) if options.core == "rust" else None
    out, _ = make_selftests(options.kernel, "selftests", name, *modules)
    archive = vm.base_archive(options.kernel, module)
    # The demo inserts the rest itself.
    job = f"ins irqbypass\nrun {name} /opt/{name}\n"
    archive += vm.job_archive(job, machine, programs=[(f"opt/{n}", os.path.join(out, n)) for n in (name, *modules)])
    accel = vm.accelerator()
    step(f"VM: booting Linux {vm.release(options.kernel)} (QEMU q35, {what}, {accel})")
    print(flush=True)

    def show(line):
        if not line.startswith("@@ "):
            print(f"    {line}" if line else "", flush=True)
    log = vm.console_log(f"{options.kernel}-{options.core}-{name}")
    result = vm.Machine(archive, core=options.core, kernel=options.kernel, machine=machine, memory=options.memory,
                        on_line=show, log=log).run()
    reports = klog.scan(result.console, options.core)
    status = result.status(name)
    for report in reports:
        print("\nkernel report:")
        for line in report.excerpt:
            print(f"    {line}")
    step("VM: off")
    if result.reason:
        print("\n".join(result.console.splitlines()[-30:]))
        print(f"{name}: FAILED: {result.reason}")
        return 1
    if status or reports:
        print(f"{name}: FAILED ({'kernel reports' if reports else f'status {status}'}; kernel log: {log})")
        return 1
    print(f"{name}: PASSED")
    return 0
