# SPDX-License-Identifier: GPL-2.0-only
"""make install-set and uninstall-set on the modules of Debian's kernel, in a folder: what modprobe makes of it."""

import os
import re
import shutil
import subprocess
import tempfile

from suites import TOP, vm
from suites.suite import Program, host_case, wanted

# VFIO, what it stands on, and a driver of Debian's that is not in the set.
DEBIANS = ["drivers/vfio", "virt/lib/irqbypass.ko.xz", "drivers/gpu/drm/i915/kvmgt.ko.xz"]
SET = {"iommufd.ko", "mdev.ko", "vfio-pci-core.ko", "vfio-pci.ko", "vfio.ko", "vfio_iommu_type1.ko"}


class Installation:
    """A folder with Debian's modules under lib/modules."""

    def __init__(self, folder, build):
        self.folder = folder
        with open(os.path.join(build, "include/config/kernel.release"), encoding="ascii") as f:
            self.release = f.read().strip()
        packages = os.path.join(build, "packages")
        self.headers = os.path.join(packages, "usr/src", f"linux-headers-{self.release}")
        self.modules = os.path.join(folder, "lib/modules", self.release)
        theirs = os.path.join(packages, "usr/lib/modules", self.release)
        for name in DEBIANS:
            source, to = (os.path.join(where, "kernel", name) for where in (theirs, self.modules))
            os.makedirs(os.path.dirname(to), exist_ok=True)
            if os.path.isdir(source):
                shutil.copytree(source, to)
            else:
                shutil.copy(source, to)
        for name in "modules.order", "modules.builtin", "modules.builtin.modinfo":
            shutil.copy(os.path.join(theirs, name), self.modules)
        subprocess.run(["depmod", "-b", folder, self.release], check=True, stderr=subprocess.DEVNULL)

    def script(self, *command):
        """The script that make calls; its status and words."""
        result = subprocess.run([os.path.join(TOP, "scripts/host/install-module"), *command],
                                env={**os.environ, "KDIR": self.headers, "INSTALL_MOD_PATH": self.folder},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return result.returncode, result.stdout

    def must(self, *command):
        status, words = self.script(*command)
        assert status == 0, words
        return words

    def chosen(self, name):
        """The files that modprobe would insert for a module."""
        shown = subprocess.run(["modprobe", "-d", self.folder, "-S", self.release, "--show-depends", name],
                               capture_output=True, text=True, check=True).stdout
        return [os.path.relpath(path, self.modules) for path in re.findall(r"^insmod (\S+)", shown, re.M)]

    def core(self):
        """The file that modprobe would insert as vfio.ko; its softdep type1 comes after it."""
        return next(path for path in self.chosen("vfio") if os.path.basename(path).startswith("vfio.ko"))

    def files(self):
        """Every file and its contents."""
        contents = {}
        for folder, _, names in os.walk(self.modules):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    contents[os.path.join(folder, name)] = f.read()
        return contents


def set_is_chosen(tree):
    """modprobe takes every module of the set, and nothing of Debian's VFIO."""
    tree.must("install", "set")
    assert set(os.listdir(os.path.join(tree.modules, "updates/rust-vfio"))) == SET
    chosen = tree.chosen("vfio_pci")
    assert {"updates/rust-vfio/vfio.ko", "updates/rust-vfio/vfio-pci.ko", "updates/rust-vfio/iommufd.ko"} <= set(chosen)
    assert not [name for name in chosen if name.startswith("kernel/drivers/vfio")], chosen


def set_goes_again(tree):
    """make uninstall-set leaves the folder as it was before, to the byte."""
    before = tree.files()
    tree.must("install", "set")
    assert tree.files() != before
    tree.must("uninstall", "set")
    assert tree.files() == before
    assert tree.chosen("vfio_pci")[-1].startswith("kernel/drivers/vfio/pci/vfio-pci.ko")


def set_names_what_is_left_out(tree):
    """A driver of Debian's that stands on VFIO and is not in the set is named, and no other."""
    words = tree.must("install", "set")
    assert re.findall(r"note: (\S+) is not in the set", words) == ["kvmgt"], words


def set_or_module(tree):
    """The set and vfio.ko alone do not go together."""
    tree.must("install", "set")
    status, words = tree.script("install")
    assert status and "make uninstall-set first" in words, words
    tree.must("uninstall", "set")
    tree.must("install")
    assert tree.core() == "updates/vfio.ko"
    status, words = tree.script("install", "set")
    assert status and "make uninstall first" in words, words
    assert tree.core() == "updates/vfio.ko"


def set_is_not_for_all(tree):
    """A kernel that has iommufd is refused."""
    with open(os.path.join(tree.headers, ".config"), encoding="utf-8") as f:
        config = f.read()
    other = os.path.join(tree.folder, "headers")
    os.mkdir(other)
    with open(os.path.join(other, ".config"), "w", encoding="utf-8") as f:
        f.write(config.replace("# CONFIG_IOMMUFD is not set", "CONFIG_IOMMUFD=m"))
    tree.headers = other
    status, words = tree.script("install", "set")
    assert status and "it has iommufd" in words, words
    assert tree.core() == "kernel/drivers/vfio/vfio.ko.xz"


CASES = [set_is_chosen, set_goes_again, set_names_what_is_left_out, set_or_module, set_is_not_for_all]


def host_cases(options):
    """Each case with an installation of its own."""
    program = Program("host", "install_set")
    build = vm.kernel_build("stock")
    for case in CASES:
        if not wanted(f"install_set.{case.__name__}", options.patterns):
            continue
        with tempfile.TemporaryDirectory(prefix="set-") as folder:
            host_case(program, case.__name__, case, Installation(folder, build))
    return [program] if program.cases else []
