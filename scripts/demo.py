#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the demo program in the VM with our core and shows it live.  Inside the toolchain root:

    scripts/enter python3 scripts/demo.py [--core c|rust] [--kernel base|debug]"""

import argparse
import importlib.machinery
import importlib.util
import os
import sys

import klog
import vm


def load(name):
    """A script of this folder as a module."""
    path = os.path.join(vm.TOP, "scripts", name)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), path)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(description="runs the demo")
    parser.add_argument("--core", choices=("c", "rust"), default="rust")
    parser.add_argument("--kernel", default="base")
    parser.add_argument("--memory", default="1G")
    options = parser.parse_args()
    run_tests = load("run-tests")
    module = vm.rust_module(options.kernel) if options.core == "rust" else None
    out, _ = run_tests.build_selftests(options.kernel)
    archive = vm.base_archive(options.kernel, module)
    # The demo inserts the rest itself.
    job = "ins irqbypass\nrun demo /opt/demo\n"
    archive += vm.job_archive(job, programs=[("opt/demo", os.path.join(out, "demo"))])
    accel = vm.accelerator()
    run_tests.step(f"VM: booting (QEMU q35, intel-iommu with interrupt remapping, {accel})")
    print(flush=True)

    def show(line):
        if not line.startswith("@@ "):
            print(f"    {line}" if line else "", flush=True)
    log = os.path.join(vm.TOP, "build", "logs", f"{options.kernel}-{options.core}-demo.console")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    result = vm.Machine(archive, core=options.core, kernel=options.kernel, memory=options.memory, on_line=show,
                        log=log).run()
    reports = klog.scan(result.console, options.core)
    status = result.status("demo")
    for report in reports:
        print("\nkernel report:")
        for line in report.excerpt:
            print(f"    {line}")
    run_tests.step("VM: off")
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
    try:
        sys.exit(main())
    except vm.Failure as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
