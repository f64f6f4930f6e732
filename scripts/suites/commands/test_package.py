# SPDX-License-Identifier: GPL-2.0-only
"""Tests the Debian packages of scripts/host/package.

    scripts/host/enter scripts/suite test-package --checks [PACKAGE...]
    scripts/host/enter scripts/suite test-package [PACKAGE...]

With --checks what needs no VM: autopkgtest's test of DKMS packages, and what a purge leaves, in a fresh Debian
root each.  Without, a root in which a package is installed, the kernel upgraded from Linux 7.2 to 7.3, and the
package removed, is looked at on the way, and booted in the VM with Debian's kernels."""

import fnmatch
import glob
import os
import re
import shutil
import tempfile

from suites import TOP, Failure, remembered, suite
from suites.debian_root import Cases, Root, deb, field, summary
from suites.vm import CACHE, release

OLD, NEW = "stock-7.2", "stock"


def same_files(before, after):
    """A purge must leave nothing, and give back what was there."""
    changed = [f"left: {p}" for p in sorted(after.keys() - before.keys())]
    changed += [f"gone: {p}" for p in sorted(before.keys() - after.keys())]
    changed += [f"changed: {p}" for p in sorted(before.keys() & after.keys()) if before[p] != after[p]]
    assert not changed, "\n".join(changed[:40])


def installed(root, name, kernel):
    """DKMS built it, modprobe takes it, the initramfs has it and no other."""
    version = field(f"{name}-dkms", "Version")
    status = root.run("dkms", "status", "-m", name, "-k", release(kernel))
    assert re.search(rf"^{name}/{re.escape(version)}, .*: installed", status, re.M), status
    info = root.modinfo(release(kernel))
    assert info["filename"].endswith("/updates/dkms/vfio.ko.xz"), info
    assert info["rust_vfio_version"] == version and info["version"] == "0.3", info
    assert info["signer"] == "DKMS module signing key", info
    assert root.initramfs(release(kernel)) == ["updates/dkms/vfio.ko.xz"], root.initramfs(release(kernel))


def removed(root, kernel):
    """The C core is back."""
    info = root.modinfo(release(kernel))
    assert info["filename"].endswith("/kernel/drivers/vfio/vfio.ko.xz"), info
    assert "rust_vfio_version" not in info, info
    assert root.initramfs(release(kernel)) == ["kernel/drivers/vfio/vfio.ko.xz"], root.initramfs(release(kernel))


def prepare(root, kernel):
    """A kernel of Debian's, and what the packages depend on, so that what they add is their own."""
    root.install_initramfs_tools()
    root.install_kernel(release(kernel))
    depends = sorted({d.strip() for name in LIVES for d in field(f"{name}-dkms", "Depends").split(",")})
    root.run("apt-get", "-y", "--no-install-recommends", "satisfy", ", ".join([*depends, "openssl", "kmod"]))


def check(name, folder):
    """A package by itself, on the newest kernel."""
    cases = Cases(f"{name}-dkms")
    root = Root(os.path.join(folder, name))
    before = {}

    def refused():
        """What cannot be built is no failure of apt, and the reason is told."""
        root.run("mv", "/usr/bin/rustc", "/usr/bin/rustc.away")
        words = root.install(deb(f"{name}-dkms"))
        root.run("mv", "/usr/bin/rustc.away", "/usr/bin/rustc")
        assert f"{name}: no module for Linux {release(NEW)}, which keeps its own VFIO in C:" in words, words
        assert "apt-get install rustc" in words, words
        removed(root, NEW)

    def autopkgtest():
        words = root.run("env", "AUTOPKGTEST_TMP=/tmp", "AUTOPKGTEST_ARTIFACTS=/tmp", "/usr/lib/dkms/dkms-autopkgtest",
                         deb(f"{name}-dkms"))
        assert f"I: PASS {name}/{field(f'{name}-dkms', 'Version')} {release(NEW)}" in words, words
        installed(root, name, NEW)

    def purge():
        root.run("apt-get", "-y", "purge", f"{name}-dkms")
        removed(root, NEW)
        same_files(before, root.files())

    def fresh():
        prepare(root, NEW)
        before.update(root.files())

    for case in fresh, refused, autopkgtest, purge:
        cases.run(case.__name__, case)
    return cases.program


def check_vfioctl(folder):
    """The package vfioctl, in a root without a kernel."""
    cases = Cases("vfioctl")
    root = Root(os.path.join(folder, "vfioctl"))
    before = {}

    def install():
        root.run("apt-get", "-qq", "update")
        root.install("bash-completion", "man-db")
        before.update(root.files())
        root.install(deb("vfioctl"))
        version = field("vfioctl", "Version")
        assert root.run("vfioctl", "--version") == f"vfioctl {version}\n", version

    def pages():
        """A man page for the program and for each command, with examples."""
        commands = re.findall(r"^  ([a-z]+) ", root.run("vfioctl", "help").partition("Commands:")[2], re.M)
        for name in ("vfioctl", *(f"vfioctl-{command}" for command in commands if command != "help")):
            page = root.run("env", "MANWIDTH=120", "man", "8", name)
            assert "--json" in page and "EXAMPLES" in page, page
        assert {"list", "bind", "why"} < set(commands), commands

    def completions():
        """Bash loads them by itself, and completes the commands."""
        words = root.run("bash", "-c", """
            . /usr/share/bash-completion/bash_completion
            _comp_load vfioctl
            COMP_WORDS=(vfioctl re) COMP_CWORD=1
            "$(complete -p vfioctl | sed -E 's/.*-F (\\S+).*/\\1/')" vfioctl re vfioctl
            echo "${COMPREPLY[@]}" """)
        assert words == "restore\n", words
        for name in "zsh/vendor-completions/_vfioctl", "fish/vendor_completions.d/vfioctl.fish":
            assert os.path.exists(root.path(f"/usr/share/{name}")), name

    def crates():
        """Each crate that it is linked with is named, with its licence."""
        lines = root.run("cat", "/usr/share/doc/vfioctl/crates").splitlines()
        assert any(re.fullmatch(r"clap v4\S+ MIT OR Apache-2.0 https://\S+", line) for line in lines), lines
        assert all(len(line.split()) > 3 for line in lines), lines

    def purge():
        root.run("apt-get", "-y", "purge", "vfioctl")
        same_files(before, root.files())

    for case in install, pages, completions, crates, purge:
        cases.run(case.__name__, case)
    return cases.program


def boot(root, core, kernel, title, name, programs):
    """The root on one of its kernels: which core it has, and what works with it."""
    folder = root.path("/opt/vm/selftests")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(suite.build_selftests(NEW)[0], folder)
    kind = "set" if name.endswith("-set") else "module"
    job = [f"run package_core@{title} /opt/vm/package-core {field(f'{name}-dkms', 'Version')} {kind}",
           "cd /opt/vm/selftests", *(f"run {p}@{title} ./{p}" for p in programs)]
    names = [f"{p}@{title}" for p in ("package_core", *programs)]
    return root.boot(release(kernel), kernel, core, title, "\n".join(job) + "\n", names,
                     ["package-core"])


def life(name, folder, programs, kernels):
    """A package from its installation to its purge, over an upgrade of the kernel."""
    cases, boots = Cases(name), []
    root = Root(os.path.join(folder, name))
    first, last = kernels[0], kernels[-1]
    before = {}

    def install():
        root.install(deb(f"{name}-dkms"))
        installed(root, name, first)

    def upgrade():
        root.install_kernel(release(last))
        installed(root, name, last)
        installed(root, name, first)

    def purge():
        root.run("apt-get", "-y", "purge", f"{name}-dkms")
        for kernel in kernels:
            removed(root, kernel)
        if not cases.program.cases.get("upgrade"):
            shutil.rmtree(root.path("/opt/vm"))
            same_files(before, root.files())
        assert not glob.glob(root.path(f"/var/lib/dkms/{name}*")) and \
            not glob.glob(root.path(f"/usr/src/{name}-0*")) and not os.path.exists(root.path(f"/var/cache/{name}"))

    def fresh():
        prepare(root, first)
        root.install(deb("vfioctl"))
        before.update(root.files())

    cases.run("fresh", fresh)
    cases.run("install", install)
    if first != last:
        cases.run("upgrade", upgrade)
    if cases.good:
        boots += [boot(root, "rust", kernel, f"{name}-{kernel}", name, programs) for kernel in kernels]
    cases.run("purge", purge)
    if cases.good:
        # Programs of what the kernel itself lacks have nothing to show on it.
        boots.append(boot(root, "c", last, f"{name}-{last}-purged", "rust-vfio",
                          programs if name == "rust-vfio" else []))
    return cases.program, boots


LIVES = {"rust-vfio": (["group_device", "container_type1"], [OLD, NEW]),
         "rust-vfio-set": (["bind_iommufd", "attach_detach"], [OLD, NEW])}


def main():
    parser = suite.arguments("runs the tests of the Debian packages")
    parser.add_argument("--checks", action="store_true", help="what needs no VM")
    options = suite.parse(parser)
    names = [name for name in [*LIVES, *(["vfioctl"] if options.checks else [])] if not options.patterns or
             any(fnmatch.fnmatchcase(name, pattern) for pattern in options.patterns)]
    host, boots = [], []
    os.makedirs(os.path.join(TOP, "build/logs"), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="package-", dir=CACHE) as folder:
        for name in names:
            if name == "vfioctl":
                host.append(check_vfioctl(folder))
            elif options.checks:
                host.append(check(name, folder))
            else:
                program, done = life(name, folder, *LIVES[name])
                host.append(program)
                boots += done
            shutil.copy(os.path.join(folder, f"{name}.log"), os.path.join(TOP, "build/logs", f"{name}.log"))
            shutil.rmtree(os.path.join(folder, name))
    if not host:
        raise Failure(f"no package matches {' '.join(options.patterns)}")
    return summary(host, boots, remembered.is_whole(options))
