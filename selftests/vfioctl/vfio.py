# SPDX-License-Identifier: GPL-2.0-only
"""What the scenarios do to VFIO, the device mapper and the network beside the program under test."""

import contextlib
import ctypes
import fcntl
import os
import signal
import struct

from scenario import opened, said

BIND_IOMMUFD, ATTACH = 0x3b76, 0x3b77
IOAS_ALLOC, HWPT_ALLOC = 0x3b81, 0x3b89
ATTACH_PASID = HWPT_ALLOC_PASID = 1
HWPT_FLAG_PASID = 1 << 3


def bind(fd, iommufd):
    """BIND of a device's file; the device's id."""
    argument = bytearray(struct.pack("=IIiI", 16, 0, iommufd, 0))
    fcntl.ioctl(fd, BIND_IOMMUFD, argument)
    return struct.unpack("=IIiI", argument)[3]


@contextlib.contextmanager
def bound(node):
    """This process has a device bound by its node; gives both descriptors and the device's id."""
    with opened(node) as fd, opened("/dev/iommu") as iommufd:
        yield fd, iommufd, bind(fd, iommufd)


def attach_pasids(fd, iommufd, devid, pasids):
    """A page table for each of some PASIDs of a bound device."""
    argument = bytearray(struct.pack("=III", 12, 0, 0))
    fcntl.ioctl(iommufd, IOAS_ALLOC, argument)
    ioas = struct.unpack("=III", argument)[2]
    hwpt = bytearray(struct.pack("=IIIIIIIIQII", 48, HWPT_FLAG_PASID, devid, ioas, 0, 0, 0, 0, 0, 0, 0))
    fcntl.ioctl(iommufd, HWPT_ALLOC, hwpt)
    table = struct.unpack("=IIIIIIIIQII", hwpt)[4]
    # Devices with PASIDs want a table of this kind for all else, too.
    fcntl.ioctl(fd, ATTACH, bytearray(struct.pack("=III", 12, 0, table)))
    for pasid in pasids:
        fcntl.ioctl(fd, ATTACH, bytearray(struct.pack("=IIII", 16, ATTACH_PASID, table, pasid)))


@contextlib.contextmanager
def mounted(device, where):
    os.makedirs(where, exist_ok=True)
    said("mount", "-t", "msdos", device, where)
    try:
        yield
    finally:
        said("umount", where)


DM_CREATE, DM_REMOVE, DM_SUSPEND, DM_LOAD = (0xc138fd00 + n for n in (3, 4, 6, 9))


def mapper_request(fd, number, name, tail=b"", targets=0, flags=0):
    """An ioctl of the device mapper."""
    size = 312 + len(tail)
    head = struct.pack("=IIIIIIiIIIQ128s129s7s", 4, 0, 0, size, 312, targets, 0, flags, 0, 0, 0,
                       name.encode(), f"LVM-{name}".encode() if number == DM_CREATE else b"", b"")
    fcntl.ioctl(fd, number, bytearray(head + tail))


@contextlib.contextmanager
def mapped(device, name):
    """A device of the device mapper that is another one, as LVM would make it; gives its node."""
    with open(f"/sys/class/block/{os.path.basename(device)}/size", encoding="ascii") as f:
        sectors = int(f.read())
    before = set(os.listdir("/sys/class/block"))
    parameters = f"{device} 0\0".encode()
    parameters += b"\0" * (-len(parameters) % 8)
    target = struct.pack("=QQiI16s", 0, sectors, 0, 40 + len(parameters), b"linear") + parameters
    with opened("/dev/mapper/control") as fd:
        mapper_request(fd, DM_CREATE, name)
        try:
            mapper_request(fd, DM_LOAD, name, target, 1)
            mapper_request(fd, DM_SUSPEND, name)
            yield f"/dev/{(set(os.listdir('/sys/class/block')) - before).pop()}"
        finally:
            mapper_request(fd, DM_REMOVE, name)


@contextlib.contextmanager
def default_route(interface, *more):
    said("ip", "link", "set", interface, "up")
    said("ip", "route", "add", "default", "dev", interface, *more)
    try:
        yield
    finally:
        said("ip", "route", "del", "default", "dev", interface, *more)


@contextlib.contextmanager
def bond_of(interface):
    """A bond with one interface."""
    masters = "/sys/class/net/bonding_masters"
    said("sh", "-c", f"echo +bond0 >{masters}")
    try:
        said("ip", "link", "set", interface, "down")
        said("sh", "-c", f"echo +{interface} >/sys/class/net/bond0/bonding/slaves")
        yield "bond0"
    finally:
        said("sh", "-c", f"echo -bond0 >{masters}")


def mount_apart(device, where):
    """A mount that only a process in a mount name space of its own has; ends with that process, which is
    returned once it has mounted."""
    libc = ctypes.CDLL(None, use_errno=True)
    ready, tell = os.pipe()
    process = os.fork()
    if not process:
        try:
            # CLONE_NEWNS, then MS_REC | MS_PRIVATE
            if libc.unshare(0x00020000) or libc.mount(None, b"/", None, 0x44000, None) or \
                    libc.mount(device.encode(), where.encode(), b"msdos", 0, None):
                os._exit(1)
            os.write(tell, b"x")
            os.close(tell)
            signal.pause()
        finally:
            os._exit(1)
    os.close(tell)
    with os.fdopen(ready, "rb") as f:
        if f.read(1) != b"x":
            raise OSError("the other name space has no mount")
    return process
