# SPDX-License-Identifier: GPL-2.0-only
"""Fresh Debian roots with Debian's kernels: commands are run in them, and they are booted in the VM."""

import asyncio
import glob
import hashlib
import os
import re
import shutil
import subprocess

from suites import TOP, Failure, suite, vm
from suites.machines import MACHINES

# What apt and man-db leave, and what belongs to the package dkms: its key.
OTHERS = re.compile(r"^/(var/(log|lib/apt|lib/dpkg|cache/(apt|debconf|ldconfig|man))|packages|etc/ld\.so\.cache|"
                    r"etc/resolv\.conf|var/lib/dkms/mok\.(key|pub)$)")
DEBS = os.path.join(TOP, "build/package")
MOUNTED = ("/proc", "/sys", "/dev", "/run", "/tmp")


def deb(package):
    """The file of a package that scripts/host/package has built, as it is named in a root."""
    files = glob.glob(os.path.join(DEBS, f"{package}_*.deb"))
    if len(files) != 1:
        raise Failure(f"{DEBS} has {len(files)} packages {package}: make package first")
    return f"/packages/{os.path.basename(files[0])}"


def field(package, key):
    return vm.output("dpkg-deb", "--field", os.path.join(DEBS, os.path.basename(deb(package))), key).strip()


def digest(path):
    if os.path.islink(path) or not os.path.isfile(path):
        return ""
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Root:
    """The smallest Debian root.  Kernels are named by their releases (uname -r)."""

    def __init__(self, folder):
        self.folder = folder
        vm.output("cp", "-a", "--reflink=auto", vm.script("package-root", "minimal"), folder)

    def run(self, *command, status=0):
        """What a command in the root says; it must end with that status, or with any if that is None."""
        result = subprocess.run([os.path.join(TOP, "scripts/host/in-root"), self.folder, *command],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                check=False)
        with open(self.folder + ".log", "a", encoding="utf-8") as f:
            f.write(f"$ {' '.join(command)}\n{result.stdout}")
        assert status in (result.returncode, None), \
            f"{' '.join(command)}: status {result.returncode}\n{result.stdout[-3000:]}"
        return result.stdout

    def path(self, name):
        return os.path.join(self.folder, name.lstrip("/"))

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def install(self, *packages):
        return self.run("apt-get", "-y", "--no-install-recommends", "install", *packages)

    def install_initramfs_tools(self):
        """An initramfs with vfio-pci, and with what mounts the root in the VM."""
        self.run("apt-get", "-qq", "update")
        self.install("initramfs-tools", "zstd")
        self.write("/etc/initramfs-tools/conf.d/vm", "MODULES=list\n")
        with open(self.path("/etc/initramfs-tools/modules"), "a", encoding="ascii") as f:
            f.write("vfio_pci\nvirtio_pci\n9p\n9pnet_virtio\n")
        # Debian's initramfs mounts the root as this script says (boot=folder).
        self.write("/etc/initramfs-tools/scripts/folder",
                   "mountroot() {\n\tmodprobe -a virtio_pci 9pnet_virtio 9p\n"
                   "\tmount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000 root \"$rootmnt\"\n}\n")

    def install_kernel(self, release):
        """By apt, as a user would: kernel and headers from backports."""
        return self.run("apt-get", "-y", "--no-install-recommends", "-t", "trixie-backports", "install",
                        f"linux-image-{release}", f"linux-headers-{release}", "libelf-dev")

    def files(self):
        """What there is: path -> contents of modules, else no more than that it is there."""
        found = {}
        for folder, names, files in os.walk(self.folder):
            where = folder.removeprefix(self.folder)
            names[:] = [n for n in names if not OTHERS.match(f"{where}/{n}") and f"{where}/{n}" not in MOUNTED]
            for name in (*names, *files):
                path = f"{where}/{name}"
                if not OTHERS.match(path):
                    found[path] = digest(self.path(path)) if path.startswith("/usr/lib/modules/") else ""
        return found

    def modinfo(self, release):
        """Of the core that modprobe would take: field -> value."""
        said = self.run("modinfo", "-k", release, "vfio")
        return {name: value.strip() for name, _, value in (line.partition(":") for line in said.splitlines())}

    def initramfs(self, release):
        """The files of vfio.ko in a kernel's initramfs."""
        return re.findall(rf"{re.escape(release)}/(\S*/vfio\.ko\S*)",
                          self.run("lsinitramfs", f"/boot/initrd.img-{release}"))

    def boot(self, release, kernel, core, title, job, programs, files=()):
        """Boots one of its kernels by its own initramfs.  The job runs in /opt/vm, where the files are copied to.
        KERNEL is the one of the cache that is nearest to it."""
        folder = self.path("/opt/vm")
        os.makedirs(folder, exist_ok=True)
        for source in ("guest.sh", "package-init", *files):
            shutil.copy(os.path.join(TOP, "scripts/guest", source), folder)
        self.write("/opt/vm/devices", "".join(f"export {d.id.upper()}={d.address}\n"
                                              for d in MACHINES["default"].devices))
        self.write("/opt/vm/job", job)
        entry = suite.Boot(core, title, ("", [], []), kernel=kernel, programs=programs, archive=b"",
                     arguments="boot=folder root=folder ro init=/opt/vm/package-init")
        with open(self.path(f"/boot/initrd.img-{release}"), "rb") as f:
            entry.machine.archive = f.read()
        entry.machine.extra += ["-kernel", self.path(f"/boot/vmlinuz-{release}"), "-fsdev",
                                f"local,id=root,path={self.folder},security_model=none,readonly=on", "-device",
                                "virtio-9p-pci,fsdev=root,mount_tag=root,addr=1c.0"]
        asyncio.run(entry.run(asyncio.Semaphore(1)))
        return entry


class Cases:
    """Cases each of which stands on those before it."""

    def __init__(self, name):
        self.program = suite.Program("host", name)

    def run(self, name, case):
        """A case, which has failed as well if one before it has."""
        if self.good:
            suite.step(f"{self.program.name}: {name}")
            suite.host_case(self.program, name, case)
        else:
            self.program.cases[name] = "failed"
            suite.say(f"not ok - {self.program.name}.{name}")

    @property
    def good(self):
        return "failed" not in self.program.cases.values()


def summary(host, boots, whole=False):
    """The last line of a suite; its exit status.  WHOLE: all of the suite has run."""
    outcomes = [outcome for program in [*host, *(p for entry in boots for p in entry.results)]
                for outcome in program.cases.values()]
    outcomes += ["failed" if entry.reports or entry.reason else "ok" for entry in boots]
    suite.junit(boots, host)
    suite.say("\nlogs in build/logs")
    return suite.last_line(*(outcomes.count(outcome) for outcome in ("ok", "failed", "skipped")), whole)
