#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The files of examples/, each as Documentation/unprivileged.rst says: by udev, kmod and PAM of Debian, for a user
who then drives a device, or may not.

    users.py [CASE...]"""

import contextlib
import grp
import os
import pwd
import shutil
import stat
import sys

from scenario import PciDevice, check, equal, failure_of, read, said, tap, write

EXAMPLES = "/opt/examples"
RULES = "/etc/udev/rules.d/60-vfio.rules"
LIMITS = "/etc/security/limits.d/vfio.conf"
MODPROBE = "/etc/modprobe.d/vfio.conf"
MIB = 1 << 20
# What Debian gives a user without further words, in KiB
USUAL_MEMLOCK = 8192
MEMBER, OTHER = "member", "other"


@contextlib.contextmanager
def example(name, path):
    """A file of examples/ in its place."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(f"{EXAMPLES}/{name}", path)
    try:
        yield
    finally:
        os.unlink(path)


@contextlib.contextmanager
def udev(rules=True):
    """udev, which has seen all devices, with the rules or without."""
    with example("60-vfio.rules", RULES) if rules else contextlib.nullcontext():
        said("/usr/lib/systemd/systemd-udevd", "--daemon")
        try:
            said("udevadm", "control", "--ping")
            said("udevadm", "trigger", "--action=add")
            said("udevadm", "settle")
            yield
        finally:
            said("udevadm", "control", "--exit")


def settled(device):
    """The node of a device, of which udev has heard."""
    said("udevadm", "settle")
    return device.node


@contextlib.contextmanager
def edu():
    """The device edu, which vfio-pci has, and its node."""
    device = PciDevice("edu0")
    device.give_to("vfio-pci")
    try:
        yield device, settled(device)
    finally:
        device.give_to(None)


def access(path):
    """The group of a node, and its mode."""
    status = os.stat(path)
    return grp.getgrgid(status.st_gid).gr_name, oct(stat.S_IMODE(status.st_mode))


def drive(user, node, size=MIB):
    """The last words of drive.py, run by a user who logged in."""
    command = f"exec /usr/bin/python3 -S /opt/drive.py {node} {size}"
    lines = said("/usr/bin/su", "-s", "/bin/sh", "-c", command, user).splitlines()
    check(lines, f"drive.py of {user} said nothing")
    return lines[-1]


def by_group():
    """Members of the group vfio drive a device; others may not open it."""
    with udev(), edu() as (device, node):
        equal(node, access(node), ("vfio", "0o660"))
        equal("/dev/iommu", access("/dev/iommu"), ("vfio", "0o660"))
        group = "/dev/vfio/" + os.path.basename(os.readlink(f"{device.path}/iommu_group"))
        equal(group, access(group), ("vfio", "0o660"))
        equal("a member", drive(MEMBER, node), "ok")
        equal("another", drive(OTHER, node), "open EACCES")


def without_rules():
    """Without the rules no user may open a device."""
    with udev(rules=False), edu() as (_, node):
        equal(node, access(node)[0], "root")
        equal("a member", drive(MEMBER, node), "open EACCES")


def plugged():
    """A device that comes later is the group's as well."""
    with udev():
        for _ in range(2):
            with edu() as (_, node):
                equal("a member", drive(MEMBER, node), "ok")


def memlock():
    """The limit of limits.d is what a member may have pinned, and Debian's own without it."""
    with udev(), edu() as (_, node):
        equal("the usual limit", drive(MEMBER, node, 2 * USUAL_MEMLOCK << 10), "IOAS_MAP ENOMEM")
        with example("limits-vfio.conf", LIMITS):
            equal("a member", drive(MEMBER, node, 2 * USUAL_MEMLOCK << 10), "ok")
            limit = said("/usr/bin/su", "-s", "/bin/sh", "-c", "ulimit -l", MEMBER).strip()
            check(read(LIMITS).endswith(f"\tmemlock\t{limit}"), f"the limit is {limit}")
            equal("another's limit", said("/usr/bin/su", "-s", "/bin/sh", "-c", "ulimit -l", OTHER).strip(),
                  str(USUAL_MEMLOCK))


def from_the_start():
    """vfio-pci takes the devices of modprobe.d before their own driver does, and a member opens them."""
    device = PciDevice("igb0")
    with udev(), example("modprobe-vfio.conf", MODPROBE):
        said("modprobe", "-r", "vfio-pci")
        said("modprobe", "igb")
        try:
            equal("the driver", device.driver, "vfio-pci")
            node = settled(device)
            equal(node, access(node), ("vfio", "0o660"))
            said("/usr/bin/su", "-s", "/bin/sh", "-c", f": <>{node}", MEMBER)
        finally:
            device.give_to(None)
            said("modprobe", "-r", "igb", "vfio-pci")


CASES = [by_group, without_rules, plugged, memlock, from_the_start]


def install():
    """The VM's modules as kmod wants them, the core under test in the place of the other."""
    tree = f"/lib/modules/{os.uname().release}"
    shutil.copytree("/modules", f"{tree}/updates", ignore=shutil.ignore_patterns("c", "rust", "depends"))
    shutil.copy(f"/modules/{os.environ['VFIO_CORE']}/vfio.ko", f"{tree}/updates")
    said("depmod")


def set_up():
    """Two users, and PAM as Debian has it for su, as far as limits go."""
    with open("/etc/group", "a", encoding="ascii") as f:
        f.write(f"vfio:x:900:{MEMBER}\nmember:x:1000:\nother:x:1001:\n")
    with open("/etc/passwd", "a", encoding="ascii") as f:
        f.write(f"{MEMBER}:x:1000:1000::/tmp:/bin/sh\n{OTHER}:x:1001:1001::/tmp:/bin/sh\n")
    os.makedirs("/etc/pam.d", exist_ok=True)
    write("/etc/pam.d/su", "auth sufficient pam_rootok.so\naccount sufficient pam_rootok.so\n"
                           "session required pam_limits.so\n")
    os.makedirs("/etc/security", exist_ok=True)
    write("/etc/security/limits.conf", f"*\t-\tmemlock\t{USUAL_MEMLOCK}\n")
    os.makedirs("/run/udev", exist_ok=True)
    install()
    check(pwd.getpwnam(MEMBER).pw_uid == 1000, "there is no user")


def run(case):
    """A case, with vfio-pci there."""
    said("modprobe", "vfio-pci")
    case()


def main():
    set_up()
    return tap([case for case in CASES if case.__name__ in sys.argv[1:]],
               lambda case: failure_of(lambda: run(case)))


if __name__ == "__main__":
    sys.exit(main())
