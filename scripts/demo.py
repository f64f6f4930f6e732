#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the demo program in the VM with our core and shows it live.  Inside the toolchain root:

    scripts/enter python3 scripts/demo.py [--core c|rust] [--kernel base|debug]"""

import argparse
import os

import klog
import vm
from suite import build_selftests, step


def main():
    parser = argparse.ArgumentParser(description="runs the demo")
    parser.add_argument("--core", choices=("c", "rust"), default="rust")
    parser.add_argument("--kernel", default="base")
    parser.add_argument("--memory", default="1G")
    options = parser.parse_args()
    module = vm.rust_module(options.kernel) if options.core == "rust" else None
    out, _ = build_selftests(options.kernel)
    archive = vm.base_archive(options.kernel, module)
    # The demo inserts the rest itself.
    job = "ins irqbypass\nrun demo /opt/demo\n"
    archive += vm.job_archive(job, programs=[("opt/demo", os.path.join(out, "demo"))])
    accel = vm.accelerator()
    step(f"VM: booting (QEMU q35, intel-iommu with interrupt remapping, {accel})")
    print(flush=True)

    def show(line):
        if not line.startswith("@@ "):
            print(f"    {line}" if line else "", flush=True)
    log = vm.console_log(f"{options.kernel}-{options.core}-demo")
    result = vm.Machine(archive, core=options.core, kernel=options.kernel, memory=options.memory, on_line=show,
                        log=log).run()
    reports = klog.scan(result.console, options.core)
    status = result.status("demo")
    for report in reports:
        print("\nkernel report:")
        for line in report.excerpt:
            print(f"    {line}")
    step("VM: off")
    if result.reason:
        print("\n".join(result.console.splitlines()[-30:]))
        print(f"demo: FAILED: {result.reason}")
        return 1
    if status or reports:
        print(f"demo: FAILED ({'kernel reports' if reports else f'status {status}'}; kernel log: {log})")
        return 1
    print("demo: PASSED")
    return 0


if __name__ == "__main__":
    vm.exit_with(main)
