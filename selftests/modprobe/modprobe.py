#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What kmod, and through it the kernel, makes of the installed core.  Runs in the VM of test-modprobe,
where /lib/modules is as an installation leaves it: the kernel's modules, and under updates/ ours, on our core.

    modprobe.py [CASE...]"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import sys

from scenario import Failed, check, equal, failure_of, opened, read, said, tap, write

CORE = os.environ["VFIO_CORE"]
RELEASE = os.uname().release
TREE = f"/lib/modules/{RELEASE}"
THEIRS = f"{TREE}/kernel/drivers/vfio/vfio.ko"
OURS = f"{TREE}/updates/vfio.ko"
WANTED = OURS if CORE == "rust" else THEIRS

# Those of the VFIO stack, each before those that it needs.
STACK = ["virtio_vfio_pci", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio", "iommufd", "irqbypass"]
CONFIG = "/etc/modprobe.d/test.conf"
PARAMETER = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
EDU, IGB = os.environ["EDU0"], os.environ["IGB0"]
CONTAINER = "/dev/vfio/vfio"
GET_API_VERSION, CHECK_EXTENSION, SET_IOMMU, SET_CONTAINER = (0x3b00 + n for n in (100, 101, 102, 104))
TYPE1V2 = 3


def data(path):
    with open(path, "rb") as f:
        return f.read()


def loaded():
    with open("/proc/modules", encoding="ascii") as f:
        names = {line.split()[0] for line in f}
    return [name for name in STACK if name in names]


def inserted(text):
    """The files of what modprobe says that it inserts, each once."""
    return list(dict.fromkeys(re.findall(r"^insmod (\S+)", text, re.M)))


def files(*names):
    """Modules by their files in the tree, that of the core by where the one lies that is wanted."""
    paths = {}
    for folder, _, inside in os.walk(f"{TREE}/kernel"):
        paths.update({name.removesuffix(".ko").replace("-", "_"): os.path.join(folder, name) for name in inside})
    paths["vfio"] = WANTED
    return [paths[name] for name in names]


def core_in_memory():
    """The file that the loaded core came from: the one with its build id, which the linker makes of a module's
    whole contents."""
    build_id = data("/sys/module/vfio/notes/.note.gnu.build-id")
    found = [path for path in (THEIRS, OURS) if os.path.exists(path) and build_id in data(path)]
    equal("files with the loaded core's build id", len(found), 1)
    return found[0]


def check_core(want):
    """The loaded core is that of the file, and the kernel's own marks agree."""
    equal("the loaded core", core_in_memory(), want)
    equal("its srcversion", read("/sys/module/vfio/srcversion"), said("modinfo", "-F", "srcversion", want).strip())
    equal("its taint", read("/sys/module/vfio/taint"), "O" if want == OURS else "")


def request(fd, number, argument):
    """An ioctl; its result, or a negative errno."""
    try:
        return fcntl.ioctl(fd, number, argument)
    except OSError as error:
        return -error.errno


class Pci:
    """A device of the VM, which is left without a driver."""

    def __init__(self, address):
        self.address = address
        self.path = f"/sys/bus/pci/devices/{address}"

    @property
    def driver(self):
        link = f"{self.path}/driver"
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None

    @property
    def group(self):
        return "/dev/vfio/" + os.path.basename(os.readlink(f"{self.path}/iommu_group"))

    def bind(self):
        write(f"{self.path}/driver_override", "vfio-pci\n")
        write("/sys/bus/pci/drivers_probe", self.address)

    def release(self):
        if self.driver:
            write(f"{self.path}/driver/unbind", self.address)
        write(f"{self.path}/driver_override", "\n")


@contextlib.contextmanager
def asked():
    """What the kernel asks modprobe for meanwhile, as a list of its arguments."""
    log, program = "/tmp/asked", "/tmp/modprobe"
    write(log, "")
    write(program, f'#!/bin/sh\necho "$*" >>{log}\nexec /sbin/modprobe "$@"\n')
    os.chmod(program, 0o755)
    before = read("/proc/sys/kernel/modprobe")
    write("/proc/sys/kernel/modprobe", program)
    requests = []
    try:
        yield requests
    finally:
        write("/proc/sys/kernel/modprobe", before)
        requests += read(log).splitlines()


@contextlib.contextmanager
def static_node():
    """The node as it is made at boot, of what kmod says of modules that are not loaded."""
    nodes = said("kmod", "static-nodes", "--format=tmpfiles").splitlines()
    kind, path, mode, _, _, _, numbers = [line.split() for line in nodes if CONTAINER in line][0]
    equal("the node", (kind, path, numbers), ("c!", CONTAINER, "10:196"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mknod(path, stat.S_IFCHR | int(mode, 8), os.makedev(*map(int, numbers.split(":"))))
    # As the rules of udev have it
    os.chmod(path, 0o666)
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def log_since():
    """A function that returns what the kernel logged in the meantime."""
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(fd, 0, os.SEEK_END)

    def lines():
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(os.read(fd, 8192).decode().partition(";")[2].splitlines()[0])
        os.close(fd)
        return found
    return lines


def loads():
    """modprobe vfio-pci: ours before the kernel's own, in the order of what needs what, with the softdep."""
    before = int(read("/proc/sys/kernel/tainted"))
    order = files("irqbypass", "iommufd", "vfio", "vfio_iommu_type1", "vfio_pci_core", "vfio_pci")
    equal("modprobe --show-depends", inserted(said("modprobe", "--show-depends", "vfio-pci")), order)
    equal("modprobe -v", inserted(said("modprobe", "-v", "vfio-pci")), order)
    equal("loaded", loaded(), STACK[1:])
    check_core(WANTED)
    out_of_tree = 1 << 12
    equal("the kernel's taint", int(read("/proc/sys/kernel/tainted")),
          before | out_of_tree if CORE == "rust" else before)
    # A second time there is nothing to do.
    equal("modprobe -v, again", said("modprobe", "-v", "vfio-pci"), "")


# semantics: 3.  The core by itself brings type1, and no more.
def softdep():
    """modprobe vfio"""
    equal("modprobe -v", inserted(said("modprobe", "-v", "vfio")), files("iommufd", "vfio", "vfio_iommu_type1"))
    check_core(WANTED)


# semantics: 13
def unloads():
    """modprobe -r takes away what came with a module, less what is used."""
    device = Pci(EDU)
    said("modprobe", "vfio-pci")
    said("modprobe", "-r", "vfio-pci")
    # What the softdep brought needs the core.
    equal("loaded", loaded(), ["vfio_iommu_type1", "vfio", "iommufd", "irqbypass"])
    said("modprobe", "-r", "vfio_iommu_type1")
    equal("loaded, without type1", loaded(), ["iommufd", "irqbypass"])
    said("modprobe", "vfio-pci")
    device.bind()
    with opened(device.group):
        device.release()
        said("modprobe", "-r", "vfio-pci")
        check("in use" in said("modprobe", "-r", "vfio", status=1), "no word of the use")
        check("vfio" in loaded(), "the core is gone")
    said("modprobe", "-r", "vfio")
    check("vfio" not in loaded(), "the core is still there")


# What modinfo says of ours in other words; see Documentation/differences-from-c.rst.
OTHER_WORDS = {"filename", "intree", "srcversion", "parm", "rust_vfio_version"}
# D16
OUR_PARAMETERS = {"max_bound_processes": "(uint)"}


# semantics: 2-5, 7.  The same fields as the kernel's own
def fields():
    """modinfo"""
    def of(module):
        found = {}
        for line in said("modinfo", module).splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name, set()).add(value.strip())
        return found
    ours, theirs = of("vfio"), of(THEIRS)
    equal("filename", ours["filename"], {WANTED})
    equal("what differs", {name for name in ours | theirs if ours.get(name) != theirs.get(name)},
          OTHER_WORDS if CORE == "rust" else set())
    equal("version", theirs["version"], {"0.3"})
    equal("alias", theirs["alias"], {"char-major-10-196", "devname:vfio/vfio"})
    for module in "vfio", THEIRS:
        lines = [line.partition(":") for line in said("modinfo", "-p", module).splitlines()]
        wanted = {"enable_unsafe_noiommu_mode": "(bool)"}
        if module == "vfio" and CORE == "rust":
            wanted |= OUR_PARAMETERS
        equal("parameters", {name: text.rsplit(" ", 1)[1] for name, _, text in lines}, wanted)


# semantics: 3, 4.  By anybody
def autoload():
    """Who opens the static node has the core, and type1 with it."""
    with static_node() as node:
        for _ in range(2):
            with asked() as requests:
                # As nobody, who may not load modules
                program = (f"import fcntl; f = open('{node}', 'r+b', buffering=0); "
                           f"print(*(fcntl.ioctl(f, n, {TYPE1V2}) for n in ({GET_API_VERSION}, {CHECK_EXTENSION})))")
                answers = said(sys.executable, "-S", "-c", program, user=65534, extra_groups=[])
            equal("version, type1", answers, "0 1\n")
            equal("asked for", requests, ["-q -- char-major-10-196"])
            check_core(WANTED)
            equal("loaded", loaded(), ["vfio_iommu_type1", "vfio", "iommufd"])
            said("modprobe", "-r", "vfio_iommu_type1", "vfio")
            # It is not the kernel's to remove.
            check(os.path.exists(node), "the node went with the module")


# semantics: 4
def not_loaded():
    """No module, no device: an administrator turned the alias off."""
    check(not os.path.exists(CONTAINER), "there is a node")
    with static_node() as node, asked() as requests:
        write(CONFIG, "blacklist vfio\n")
        try:
            with opened(node):
                raise Failed("the node opens")
        except OSError as error:
            equal("open", error.errno, errno.ENODEV)
    equal("asked for", requests, ["-q -- char-major-10-196"])
    equal("loaded", loaded(), [])


# semantics: 160, 161.  The core asks for no module: the softdep is what brings type1
def container():
    """A container when type1 is away, and when it is back."""
    device = Pci(EDU)
    said("modprobe", "vfio-pci")
    said("modprobe", "-r", "vfio_iommu_type1")
    device.bind()
    with opened(CONTAINER) as fd, opened(device.group) as group:
        with asked() as requests:
            equal("CHECK_EXTENSION", request(fd, CHECK_EXTENSION, TYPE1V2), 0)
            fcntl.ioctl(group, SET_CONTAINER, fd.to_bytes(4, sys.byteorder))
            equal("SET_IOMMU", request(fd, SET_IOMMU, TYPE1V2), -errno.ENODEV)
        equal("asked for", requests, [])
        said("modprobe", "vfio_iommu_type1")
        equal("CHECK_EXTENSION", request(fd, CHECK_EXTENSION, TYPE1V2), 1)
        equal("SET_IOMMU", request(fd, SET_IOMMU, TYPE1V2), 0)


def aliases():
    """The driver is found by the device's alias, with the prefix of VFIO's drivers, and by no other."""
    device = Pci(EDU)
    alias = read(f"{device.path}/modalias")
    check(not set(said("modprobe", "-R", alias, status=1).split()) & set(STACK), f"{alias} finds a driver of VFIO")
    alias = f"vfio_{alias}"
    equal(alias, said("modprobe", "-R", alias).split(), ["vfio_pci"])
    network = "vfio_pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"
    equal(network, sorted(said("modprobe", "-R", network).split()), ["vfio_pci", "virtio_vfio_pci"])
    said("modprobe", alias)
    check_core(WANTED)
    device.bind()
    equal("driver", device.driver, "vfio-pci")
    check(os.path.exists(device.group), "the device has no group's node")
    check(os.listdir("/dev/vfio/devices"), "the device has no node")


# semantics: 7
def options():
    """Options of modprobe.d, of either module."""
    device = Pci(EDU)
    write(CONFIG, "options vfio enable_unsafe_noiommu_mode=1\n"
                  "options vfio-pci ids=1234:11e8 disable_idle_d3=1\n")
    said("modprobe", "vfio-pci")
    check_core(WANTED)
    equal(PARAMETER, read(PARAMETER), "Y")
    equal("disable_idle_d3", read("/sys/module/vfio_pci/parameters/disable_idle_d3"), "Y")
    # Nobody but the option said that it is to have the device.
    equal("driver", device.driver, "vfio-pci")


# semantics: 8
def command_line():
    """Options of the kernel's command line, which modprobe reads."""
    write("/tmp/cmdline", "quiet vfio.enable_unsafe_noiommu_mode=1 vfio-pci.ids=1234:11e8\n")
    said("mount", "--bind", "/tmp/cmdline", "/proc/cmdline")
    try:
        said("modprobe", "vfio-pci")
    finally:
        said("umount", "/proc/cmdline")
    check_core(WANTED)
    equal(PARAMETER, read(PARAMETER), "Y")
    equal("driver", Pci(EDU).driver, "vfio-pci")


def unknown_option():
    """The kernel passes over an option that a module does not know, and says so."""
    write(CONFIG, "options vfio no_such_option=1\n")
    log = log_since()
    said("modprobe", "vfio")
    check_core(WANTED)
    check("vfio: unknown parameter 'no_such_option' ignored" in log(), "the kernel does not say so")


def before_others():
    """A softdep has vfio-pci loaded before a device's own driver, so that it gets the device."""
    device = Pci(IGB)
    write(CONFIG, "options vfio-pci ids=8086:10c9\nsoftdep igb pre: vfio-pci\n")
    said("modprobe", "igb")
    equal("driver", device.driver, "vfio-pci")
    check_core(WANTED)
    device.release()
    said("modprobe", "-r", "igb", "vfio-pci")


def other_release():
    """A core that was built for another release is refused, and the kernel says why."""
    path, other = "/tmp/other/vfio.ko", RELEASE[:-1] + "!"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    magic = f"vermagic={RELEASE} ".encode()
    contents = data(WANTED)
    equal("vermagic in the file", contents.count(magic), 1)
    with open(path, "wb") as f:
        f.write(contents.replace(magic, f"vermagic={other} ".encode()))
    said("modprobe", "iommufd")
    log = log_since()
    check("Exec format error" in said("modprobe", path, status=1), "no word of the file's format")
    check(any(re.match(rf"vfio: version magic '{re.escape(other)} .*' should be '{re.escape(RELEASE)} ", line)
              for line in log()), "the kernel does not say why")
    equal("loaded", loaded(), ["iommufd"])


def other_kernel():
    """What is installed for one kernel is not for another: that has its own modules, and the core among them."""
    other = f"/lib/modules/{RELEASE}-other"
    shutil.copytree(TREE, other)
    try:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(f"{other}/updates")
        said("depmod", f"{RELEASE}-other")
        shown = inserted(said("modprobe", "-S", f"{RELEASE}-other", "--show-depends", "vfio"))
        check(THEIRS.replace(TREE, other) in shown, f"modprobe -S would insert {shown}")
        equal("here", inserted(said("modprobe", "--show-depends", "vfio")),
              files("iommufd", "vfio", "vfio_iommu_type1"))
    finally:
        shutil.rmtree(other)


def uninstalled():
    """make uninstall gives the kernel's own core back, and make install ours, without a reboot."""
    def script(command):
        said("bash", "/opt/scripts/host/install-module", command,
             env={**os.environ, "HOME": "/tmp", "KDIR": "/opt/kernel", "MODULE": "/tmp/vfio.ko"})

    def unload():
        # As Documentation/install.rst says
        said("modprobe", "-r", "vfio-pci", "vfio_iommu_type1")
        check("vfio" not in loaded(), "the core is still there")

    shutil.copy(OURS, "/tmp/vfio.ko")
    said("modprobe", "vfio-pci")
    script("uninstall")
    try:
        check(not os.path.exists(os.path.dirname(OURS)), "updates/ is still there")
        # What is loaded stays.
        equal("taint", read("/sys/module/vfio/taint"), "O")
        unload()
        said("modprobe", "vfio-pci")
        check_core(THEIRS)
    finally:
        script("install")
    equal("taint", read("/sys/module/vfio/taint"), "")
    unload()
    said("modprobe", "vfio-pci")
    check_core(OURS)


CASES = [loads, softdep, unloads, fields, autoload, not_loaded, container, aliases, options, command_line,
         unknown_option, before_others, other_release, other_kernel, uninstalled]


def reset():
    """As after boot: no module, no option, no driver."""
    for address in EDU, IGB:
        Pci(address).release()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(CONFIG)
    for name in loaded():
        said("rmmod", name)
    equal("loaded", loaded(), [])


def skipped(case):
    """Why a case does not apply."""
    return "there is nothing of ours to uninstall" if case is uninstalled and CORE == "c" else None


def main():
    os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
    chosen = [case for case in CASES if not sys.argv[1:] or case.__name__ in sys.argv[1:]]
    return tap(chosen, lambda case: failure_of(case) + failure_of(reset), skipped)


if __name__ == "__main__":
    sys.exit(main())
