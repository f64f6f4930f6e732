# SPDX-License-Identifier: GPL-2.0-only
"""Tests an installed core by kmod, on the host and in the VM, on both cores.

    scripts/host/enter scripts/suite test-modprobe [--cores c,rust] [CASE...]

The cases of the host check what the scripts install and where.  The cases of the VM check what modprobe and the
kernel do with such an installation; they are in selftests/modprobe/modprobe.py."""

import filecmp
import functools
import os
import re
import shutil
import subprocess
import tempfile

from suites import TOP, Failure, initramfs, suite, vm
from suites.suite import Boot, Program, cases_in, wanted

PROGRAM = os.path.join(TOP, "selftests/modprobe/modprobe.py")


@functools.cache
def module(kernel):
    """Ours, built once for all cases."""
    return vm.rust_module(kernel)


class Installation:
    """A folder with /lib/modules."""

    def __init__(self, folder, kernel):
        self.folder = folder
        self.kernel = kernel
        self.release = vm.release(kernel)
        self.modules = os.path.join(folder, "lib/modules", self.release)
        self.ours = os.path.join(self.modules, "updates/vfio.ko")
        self.theirs = os.path.join(self.modules, "kernel/drivers/vfio/vfio.ko")

    def install_kernel(self):
        """The reference kernel's modules, as its own makefile installs them."""
        build = vm.kernel_build(self.kernel)
        result = subprocess.run(["make", "-s", "-C", build, "LLVM=1", f"ARCH={vm.architecture(build)}",
                                 f"INSTALL_MOD_PATH={self.folder}", "modules_install"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode:
            raise Failure(f"the kernel's modules cannot be installed: {result.stdout}")
        return self

    def copy(self, name):
        """The same in another folder."""
        folder = f"{self.folder}-{name}"
        shutil.copytree(self.folder, folder, symlinks=True)
        return Installation(folder, self.kernel)

    def script(self, command, **environment):
        """make install or uninstall, on this folder; status and words."""
        result = subprocess.run([os.path.join(TOP, "scripts/host/install-module"), command],
                                env={**os.environ, "KDIR": vm.kernel_build(self.kernel),
                                     "INSTALL_MOD_PATH": self.folder, "MODULE": module(self.kernel),
                                     **environment},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return result.returncode, result.stdout

    def install(self, **environment):
        status, words = self.script("install", **environment)
        if status or "WARNING" in words:
            raise Failure(f"make install: status {status}: {words}")
        return self

    def refused(self, reason, **environment):
        """make install must fail, with these words, and install nothing."""
        status, words = self.script("install", **environment)
        assert status and reason in words, f"status {status}: {words}"
        assert not os.path.exists(os.path.dirname(self.ours))
        assert self.chosen() == self.theirs

    def build_folder(self, *settings):
        """What the script looks at of a kernel's build folder, with these settings besides."""
        folder = os.path.join(self.folder, "build")
        os.makedirs(os.path.join(folder, "include/config"))
        build = vm.kernel_build(self.kernel)
        for name in ".config", "include/config/kernel.release":
            shutil.copy(os.path.join(build, name), os.path.join(folder, name))
        with open(os.path.join(folder, ".config"), "a", encoding="ascii") as f:
            f.write("".join(f"{line}\n" for line in settings))
        return folder

    def chosen(self):
        """The file that modprobe would insert."""
        shown = subprocess.run(["modprobe", "-d", self.folder, "-S", self.release, "--show-depends", "vfio"],
                               capture_output=True, text=True, check=True).stdout
        return re.search(r"^insmod (\S+/vfio\.ko\S*)", shown, re.M).group(1)

    def modinfo(self):
        """Of ours: field -> value, the last if there are more."""
        said = subprocess.run(["modinfo", self.ours], capture_output=True, text=True, check=True).stdout
        return {name: value.strip() for name, _, value in (line.partition(":") for line in said.splitlines())}

    def depmod(self, *options):
        subprocess.run(["depmod", *options, "-b", self.folder, self.release], check=True)


def installs(tree):
    """make install builds, puts one file under updates/, and modprobe takes that."""
    if tree.kernel == "base":
        tree.install(KDIR="", MODULE="")
    else:
        tree.install()
    assert os.listdir(os.path.dirname(tree.ours)) == ["vfio.ko"]
    assert tree.chosen() == tree.ours
    # Once more, over what is there
    tree.install()
    assert os.listdir(os.path.dirname(tree.ours)) == ["vfio.ko"]


def project_version(tree):
    """modinfo tells the version of the project, of which debian/changelog is the one place, and that of the C
    core."""
    with open(os.path.join(TOP, "debian/changelog"), encoding="utf-8") as f:
        version = re.match(r"rust-vfio \((\S+)\)", f.readline()).group(1)
    info = tree.install().modinfo()
    assert info["rust_vfio_version"] == version, info
    assert info["version"] == "0.3", info


def uninstalls(tree):
    """make uninstall leaves the folder as it was before, to the byte."""
    before = tree.copy("before")
    tree.install()
    status, words = tree.script("uninstall")
    assert status == 0, words
    assert tree.chosen() == tree.theirs
    compared = [filecmp.dircmp(before.modules, tree.modules, ignore=[])]
    while compared:
        pair = compared.pop()
        assert not pair.left_only + pair.right_only + pair.funny_files, pair.report()
        _, differ, errors = filecmp.cmpfiles(pair.left, pair.right, pair.common_files, shallow=False)
        assert not differ + errors, differ
        compared += pair.subdirs.values()


def uninstalls_once(tree):
    """What is not there cannot be uninstalled."""
    status, words = tree.script("uninstall")
    assert status and "is not there" in words, words


def compressed(tree):
    """A kernel whose modules are compressed."""
    subprocess.run(["xz", "--check=crc32", tree.theirs], check=True)
    tree.depmod()
    assert tree.chosen() == f"{tree.theirs}.xz"
    tree.install()
    assert tree.chosen() == tree.ours


def other_order(tree):
    """depmod.d may say that the kernel's own modules go before updates/."""
    tree.install()
    config = os.path.join(tree.folder, "depmod.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write("search built-in updates\n")
    tree.depmod("-C", config)
    assert tree.chosen() == tree.theirs
    with open(config, "w", encoding="ascii") as f:
        f.write("search built-in updates\noverride vfio * updates\n")
    tree.depmod("-C", config)
    assert tree.chosen() == tree.ours


def other_configuration(tree):
    """A kernel of the same name, configured otherwise, is not the one that is installed."""
    tree.refused("was configured otherwise", KDIR=tree.build_folder("CONFIG_OTHER=y"))


def other_release(tree):
    """A module that was built for another release."""
    other = os.path.join(tree.folder, "vfio.ko")
    with open(module(tree.kernel), "rb") as f:
        contents = f.read()
    with open(other, "wb") as f:
        f.write(contents.replace(f"vermagic={tree.release} ".encode(),
                                 f"vermagic={tree.release[:-1]}! ".encode()))
    tree.refused(f"was built for the kernel {tree.release[:-1]}!", MODULE=other)


def signed(tree):
    """A kernel that signs its modules has ours signed with the same key."""
    # Whatever was installed, it has the same configuration.
    build = tree.build_folder("CONFIG_MODULE_SIG_ALL=y", 'CONFIG_MODULE_SIG_HASH="sha512"',
                              'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"')
    os.unlink(os.path.join(tree.modules, "build"))
    os.symlink(build, os.path.join(tree.modules, "build"))
    status, words = tree.script("install", KDIR=build)
    assert status == 0 and "not signed" in words, words
    assert "signer" not in tree.modinfo(), tree.modinfo()
    os.makedirs(os.path.join(build, "scripts"))
    os.makedirs(os.path.join(build, "certs"))
    key, certificate = (os.path.join(build, "certs", n) for n in ("signing_key.pem", "signing_key.x509"))
    source = vm.script("kernel-source")
    for command in (["clang", "-I", os.path.join(source, "tools/include/uapi"), "-lcrypto",
                     "-o", os.path.join(build, "scripts/sign-file"), os.path.join(source, "scripts/sign-file.c")],
                    ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=of this test",
                     "-keyout", key, "-out", key + ".crt"],
                    ["openssl", "x509", "-in", key + ".crt", "-outform", "DER", "-out", certificate]):
        subprocess.run(command, check=True, capture_output=True)
    tree.install(KDIR=build)
    info = tree.modinfo()
    assert info["signer"] == "of this test" and info["sig_hashalgo"] == "sha512", info


def no_kernel(tree):
    """Where the kernel itself is not installed, the script says so."""
    shutil.rmtree(tree.modules)
    status, words = tree.script("install")
    assert status == 0 and "is the kernel itself installed there?" in words, words
    assert os.path.exists(tree.ours)


HOST = [installs, project_version, uninstalls, uninstalls_once, compressed, other_order, other_configuration,
        other_release, signed, no_kernel]


def host_cases(options, kernel_tree):
    """What needs no VM: each case with an installation of its own."""
    program = Program("host", "install")
    for case in HOST:
        if wanted(case.__name__, options.patterns):
            suite.host_case(program, case.__name__, case, kernel_tree.copy(case.__name__))
    return [program] if program.cases else []


def vm_archive(tree):
    """What the VM holds beside what all have: an installation, kmod, Python, the script that uninstalls."""
    cpio = initramfs.Cpio()
    initramfs.write_python(cpio)
    initramfs.write_kmod(cpio)
    # Links lead out of the folder: to the kernel's build.
    cpio.tree(f"lib/modules/{tree.release}", tree.modules, lambda name: name != "build")
    for name in ("install-module", "lib.sh"):
        cpio.file(f"opt/scripts/host/{name}", os.path.join(TOP, "scripts/host", name))
    # It looks for the release and the configuration.
    for name in ".config", "include/config/kernel.release":
        cpio.file(f"opt/kernel/{name}", os.path.join(vm.kernel_build(tree.kernel), name))
    cpio.file("opt/modprobe.py", PROGRAM)
    cpio.file("opt/scenario.py", os.path.join(TOP, "selftests/lib/scenario.py"))
    return cpio.bytes()


def main():
    parser = suite.arguments("runs the tests of an installed core")
    options = suite.parse(parser)
    names = [n for n in cases_in(PROGRAM, "CASES") if wanted(n, options.patterns)]
    boots, host = [], []
    with tempfile.TemporaryDirectory(prefix="modprobe-") as folder:
        tree = Installation(os.path.join(folder, "c"), options.kernel).install_kernel()
        if "rust" in options.cores:
            host = host_cases(options, tree)
        archive = suite.archive(options) if names else b""
        for core in options.cores if names else []:
            installed = tree.copy("rust").install() if core == "rust" else tree
            job = f"PATH=/sbin:$PATH\nrun modprobe python3 -S /opt/modprobe.py {' '.join(names)}\n"
            boots.append(Boot(core, "modprobe", (job, [], []), kernel=options.kernel, programs=["modprobe"],
                              archive=archive + vm_archive(installed), memory=options.memory))
        return suite.run(options, boots, host)
