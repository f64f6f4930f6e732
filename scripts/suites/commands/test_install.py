# SPDX-License-Identifier: GPL-2.0-only
"""Runs the commands of Documentation/install.rst, taken from its text.

    scripts/host/enter scripts/suite test-install

They run in a Debian root in which a kernel of backports is installed, and, what concerns modules that are loaded,
in the VM that boots this root.  A command that is not run fails the test, and so does one whose output is not
what the text says of it."""

import os
import re
import shutil
import tempfile

from docutils import nodes
from docutils.core import publish_doctree

from suites import TOP, Failure, remembered, suite
from suites.debian_root import Cases, Root, deb, summary
from suites.suite import Program, say
from suites.vm import CACHE

TEXT = os.path.join(TOP, "Documentation/install.rst")
CHECKOUT = "/root/rust-vfio"
COMMAND = re.compile(r"(sudo|apt-get|cat|depmod|dpkg-reconfigure|dracut|grep|kmod|ls|make|modinfo|modprobe|"
                     r"mokutil|uname|update-initramfs) \S")
# What a command must print, as an expression.
PRINTS = {
    "modinfo -n vfio": r"/updates/(dkms/|rust-vfio/)?vfio\.ko",
    "cat /sys/module/vfio/taint": r"^OE$",
    "ls /dev/iommu": r"\A/dev/iommu\Z",
    "ls /dev/vfio/devices": r"\Avfio0\Z",
    "modprobe --show-depends vfio-pci": r"^insmod \S+/updates/(rust-vfio/)?vfio\.ko",
    "cat /sys/module/vfio/srcversion; modinfo -F srcversion vfio": r"^([0-9A-F]{23,24})\n\1$",
    "modinfo -F rust_vfio_version vfio": r"^[0-9]+\.[0-9]+\.[0-9]+$",
    "modinfo -F signer vfio": r"^A key of this test$",
    "lsinitramfs /boot/initrd.img-$(uname -r) | grep vfio.ko": r"\A\S+/updates/vfio\.ko\Z",
    "lsinitrd | grep vfio.ko": r"\A.* \S+/updates/vfio\.ko\S*\Z",
    "uname -r": r"^7\.",
    "grep -E 'RUST=|IOMMUFD|VFIO' /boot/config-$(uname -r)": r"^CONFIG_RUST=y$",
}
# What the kernel or a package says, and lines for files: the suite that shows them.
QUOTED = {
    "rust-vfio: no module for Linux": "test-package --checks: refused",
    "vfio_pci: module uses symbol": "test-stock: install_set",
    "vfio_pci_core: Unknown symbol": "test-stock: install_set",
    "override vfio * updates": "test-modprobe",
    "options vfio-pci ids=": "test-modprobe",
    "vfio: version magic": "test-modprobe",
}
# Commands in a sentence: a suite of that name, or what it is a part of.
ELSEWHERE = {
    "make package": "the suite itself",
    "make test-stock": "the suite itself",
    "make test-install": "the suite itself",
    "make test-modprobe": "the suite itself",
    "make shell": "the VM of the tests, with a terminal",
    "make KDIR=... KERNEL_SOURCE=TARBALL": "test-stock: kdir.made",
    "mokutil --import key.x509": "wants firmware with Secure Boot, and its console",
    "kmod static-nodes": "test-modprobe",
}


class Text:
    """The commands of a document: those of its literal blocks by their sections, and those in its sentences."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            tree = publish_doctree(f.read(), settings_overrides={"report_level": 4})
        self.blocks = {}
        for block in tree.findall(nodes.literal_block):
            section = block.parent
            while not isinstance(section, nodes.section):
                section = section.parent
            lines = [re.sub(r"\s{2,}# .*", "", line) for line in block.astext().splitlines()]
            if not any(lines[0].startswith(start) for start in QUOTED):
                self.blocks.setdefault(section[0].astext(), []).append(lines)
        inline = (" ".join(word.astext().split()) for word in tree.findall(nodes.literal))
        self.sentences = {word for word in inline if COMMAND.match(word)}
        # Those that were not run yet
        self.inline = set(self.sentences)
        self.used = set()

    def take(self, section, number=0):
        """The commands of one of a section's blocks, which are run now."""
        lines = self.blocks[section][number]
        self.used.add((section, number))
        # A sentence may name a command without its arguments.
        self.inline -= {word for word in self.inline if any(f"{line} ".startswith(f"{word} ") for line in lines)}
        return lines

    def sentence(self, command):
        """A command in a sentence, which is run now."""
        if command not in self.sentences:
            raise Failure(f"{TEXT} no longer says: {command}")
        self.inline.discard(command)
        return command

    def unused(self):
        return [f"{section}: {lines[0]}" for section, blocks in self.blocks.items()
                for number, lines in enumerate(blocks) if (section, number) not in self.used] + \
            [word for word in sorted(self.inline)
             if word not in ELSEWHERE and not re.fullmatch(r"make (un)?install(-set)?( KDIR=)?", word)]


class Machine:
    """A root in which the commands run as a user types them: in a checkout, by a kernel that is installed."""

    def __init__(self, folder):
        self.root = Root(folder)
        self.release = ""
        self.boots = []

    def fresh(self):
        self.root.write("/etc/apt/apt.conf.d/90yes", 'APT::Get::Assume-Yes "true";\n')
        self.root.install_initramfs_tools()
        self.root.install("sudo", "openssl", deb("vfioctl"))
        checkout = self.root.path(CHECKOUT)
        shutil.copytree(TOP, checkout, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        os.makedirs(f"{checkout}/build")
        os.symlink("/packages", f"{checkout}/build/package")

    def kernel_is_installed(self):
        """From now on it is the one that runs, for those that ask by the name of the running kernel."""
        self.release, = os.listdir(self.root.path("/usr/lib/modules"))
        self.root.write("/usr/local/bin/uname", f'#!/bin/sh\n[ "$*" != -r ] || exec echo {self.release}\n'
                        'exec /usr/bin/uname "$@"\n', 0o755)
        self.root.write("/usr/local/sbin/modinfo", f'#!/bin/sh\nexec /usr/sbin/modinfo -k {self.release} "$@"\n', 0o755)

    def shell(self, command, status=0):
        return self.root.run("env", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                             "bash", "-ec", f"cd {CHECKOUT}\n{command}", status=status)

    def run(self, commands):
        """Commands of the text; what the last one said."""
        words = ""
        for command in commands:
            words = self.shell(command)
            wanted = PRINTS.get(command, "")
            assert re.search(wanted, words.strip(), re.M), f"{command}: {wanted} is not in\n{words}"
        return words

    def boot(self, name, commands):
        """Commands of the text on the machine that runs; each is a case."""
        title = f"install_{name}"
        self.root.write("/opt/vm/commands", "".join(f"{PRINTS.get(c, '')}\t{c}\n" for c in commands))
        entry = self.root.boot(self.release, "stock", "rust", title, f"run {title} /opt/vm/install-commands\n",
                               [title], ["install-commands"])
        self.boots.append(entry)

    def version(self, folder):
        """The core that modprobe would take is ours, and lies there."""
        info = self.root.modinfo(self.release)
        assert f"/updates/{folder}vfio.ko" in info["filename"] and "rust_vfio_version" in info, info

    def gone(self):
        info = self.root.modinfo(self.release)
        assert "/kernel/drivers/vfio/vfio.ko" in info["filename"] and "rust_vfio_version" not in info, info


class Story:
    """What a user does with one machine, in this order.  The methods are the cases."""

    def __init__(self, text, machine):
        self.text = text
        self.machine = machine

    def kernel(self):
        """The kernel of backports."""
        self.machine.fresh()
        self.machine.run(self.text.take("By package")[1:2])
        self.machine.kernel_is_installed()
        self.machine.run([self.text.sentence("uname -r"),
                          self.text.sentence("grep -E 'RUST=|IOMMUFD|VFIO' /boot/config-$(uname -r)")])

    def groups(self):
        """vfio.ko alone.  The first make names what is missing, in words that can be pasted."""
        lines = self.text.take("Debian's kernel, groups and containers")
        install = next(n for n, line in enumerate(lines) if "make install" in line)
        self.machine.run(lines[:install - 1])
        words = self.machine.shell(lines[install - 1], status=2)
        missing = re.search(r"apt-get install [a-z0-9 .+:-]+", words)
        assert missing, words
        self.machine.shell(missing.group())
        self.machine.run(lines[install - 1:install + 1])
        self.machine.version("")
        self.initramfs()
        self.machine.boot("groups", [*lines[install + 1:], *self.text.take("What modprobe takes, and why"),
                                     *self.text.take("What modprobe takes, and why", 1),
                                     self.text.sentence("modinfo vfio"), self.text.sentence("modprobe -r vfio-pci")])
        self.signed()

    def initramfs(self):
        self.machine.run(self.text.take("Early binding: the initramfs"))

    def signed(self):
        """With a key of one's own; the paths are made to be those of the text."""
        self.machine.shell(
            "openssl req -new -x509 -newkey rsa:2048 -nodes -days 1 -keyout key.pem -outform DER -out key.x509 "
            "-subj '/CN=A key of this test/'\n"
            "mkdir -p /path/to\nln -s /lib/modules/$(uname -r)/build /path/to/KDIR")
        self.machine.run(self.text.take("Signatures, lockdown, Secure Boot"))

    def going_back(self):
        """KDIR is any build folder of that kernel."""
        self.machine.shell("ln -s /lib/modules/$(uname -r)/build /path/to/build")
        lines = self.text.take("Going back")
        self.machine.run([line for line in lines if "modprobe" not in line])
        self.machine.gone()
        self.machine.shell("rm /path/to/build")
        self.machine.boot("going_back", [line for line in lines if "modprobe" in line])

    def headers_with_metadata(self):
        """What make has made of the metadata is put to the headers, and the cache is empty again."""
        self.machine.shell("""
            build=$(realpath /lib/modules/$(uname -r)/build)
            made=$(dirname "$(find ~/.cache/rust-vfio/headers-*/rust/libkernel.rmeta)")
            cp -rL --remove-destination "$made" $build/rust.new
            rm -rf $build/rust && mv $build/rust.new $build/rust
            [ -e $build/scripts/target.json ] || cp "$made"/../scripts/target.json $build/scripts/
            rm -rf ~/.cache/rust-vfio build/[!p]*""")
        self.machine.run(self.text.take("A kernel whose headers have Rust metadata"))
        self.machine.version("")
        assert not os.path.exists(self.machine.root.path("/root/.cache/rust-vfio")), "make made metadata"

    def own_kernel(self):
        """A build folder at the path of the text."""
        self.machine.shell("make uninstall KDIR=/lib/modules/$(uname -r)/build; rm -rf build/[!p]*\n"
                           "cp -a $(realpath /lib/modules/$(uname -r)/build) /path/to/build")
        self.machine.run(self.text.take("A kernel of your own"))
        self.machine.version("")
        self.machine.shell("make uninstall KDIR=/path/to/build")

    def module_set(self):
        lines = self.text.take("Debian's kernel, with iommufd and device nodes")
        self.machine.run(lines[:2])
        self.machine.version("rust-vfio/")
        self.machine.shell("update-initramfs -u")
        self.machine.boot("set", lines[2:])
        back = self.text.sentence("sudo make uninstall-set KDIR=...")
        self.machine.shell(back.replace("...", "/lib/modules/$(uname -r)/build"))
        self.machine.gone()

    def package(self):
        lines = self.text.take("By package")
        self.machine.run(lines[2:3])
        self.machine.version("dkms/")
        self.machine.boot("package", lines[3:])
        self.machine.run([self.text.sentence("dpkg-reconfigure rust-vfio-dkms")])
        self.machine.version("dkms/")
        self.machine.run([self.text.sentence("apt-get purge rust-vfio-dkms")])
        self.machine.gone()

    def dracut(self):
        """dracut in the place of initramfs-tools."""
        self.machine.shell("apt-get install dracut")
        self.machine.shell("make install KDIR=/lib/modules/$(uname -r)/build")
        self.machine.run(self.text.take("Early binding: the initramfs", 1))
        # Without make, as the text has it.
        self.machine.shell("rm /lib/modules/$(uname -r)/updates/vfio.ko")
        self.machine.shell(self.text.sentence("depmod RELEASE").replace("RELEASE", "$(uname -r)"))
        self.machine.gone()


CASES = ["kernel", "groups", "going_back", "module_set", "headers_with_metadata", "own_kernel", "package", "dracut"]


def main():
    parser = suite.arguments("runs the commands of Documentation/install.rst")
    options = suite.parse(parser)
    if options.patterns:
        raise Failure("the commands stand on each other: all are run")
    text = Text(TEXT)
    cases = Cases("install")
    os.makedirs(os.path.join(TOP, "build/logs"), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="install-", dir=CACHE) as folder:
        machine = Machine(os.path.join(folder, "machine"))
        story = Story(text, machine)
        try:
            for name in CASES:
                cases.run(name, getattr(story, name))
        finally:
            shutil.copy(os.path.join(folder, "machine.log"), os.path.join(TOP, "build/logs/install.log"))
    every = Program("host", "install_every_command")
    for line in text.unused() if cases.good else []:
        say(f"# not run: {line}")
        every.cases[line] = "failed"
    every.cases.setdefault("(all)", "failed" if every.cases else "ok")
    return summary([cases.program, every], machine.boots, remembered.is_whole(options))
