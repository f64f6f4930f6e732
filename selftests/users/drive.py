#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Drives the device edu from an unprivileged process: binds its file to an iommufd, maps memory, has the device
copy a pattern through its own buffer, and compares.

    drive.py NODE BYTES

BYTES is how much memory is mapped.  The last line is "ok", or the call that failed and its errno's name."""

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
import time

BIND_IOMMUFD, ATTACH, REGION_INFO = 0x3b76, 0x3b77, 0x3b6c
IOAS_ALLOC, IOAS_MAP = 0x3b81, 0x3b85
FIXED_IOVA, WRITEABLE, READABLE = 1, 2, 4
BAR0, CONFIG = 0, 7
COMMAND, MEMORY, MASTER = 4, 2, 4
# edu: the registers of its DMA engine, its buffer, and the engine's commands
SOURCE, TARGET, COUNT, ENGINE = 0x80, 0x88, 0x90, 0x98
BUFFER = 0x40000
START, TO_MEMORY = 1, 3
IOVA = 0x100000
PATTERN = bytes(range(256))


class Call(Exception):
    """A call that failed."""


def attempt(name, function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        raise Call(f"{name} {errno.errorcode[error.errno]}") from None


def request(name, fd, number, layout, *values):
    """An ioctl with a structure; what the kernel made of it."""
    argument = bytearray(struct.pack(layout, struct.calcsize(layout), *values))
    attempt(name, fcntl.ioctl, fd, number, argument)
    return struct.unpack(layout, argument)


class Edu:
    def __init__(self, device):
        self.device = device
        self.registers, self.config = (request("GET_REGION_INFO", device, REGION_INFO, "IIIIQQ", 0, index, 0, 0, 0)[5]
                                       for index in (BAR0, CONFIG))
        command, = struct.unpack("H", os.pread(device, 2, self.config + COMMAND))
        attempt("pwrite", os.pwrite, device, struct.pack("H", command | MEMORY | MASTER), self.config + COMMAND)

    def write(self, register, value):
        os.pwrite(self.device, struct.pack("I", value), self.registers + register)

    def copy(self, source, target, engine):
        self.write(SOURCE, source)
        self.write(TARGET, target)
        self.write(COUNT, len(PATTERN))
        self.write(ENGINE, engine)
        while struct.unpack("I", os.pread(self.device, 4, self.registers + ENGINE))[0] & START:
            time.sleep(0.01)


def drive(node, size):
    device = attempt("open", os.open, node, os.O_RDWR)
    iommufd = attempt("open", os.open, "/dev/iommu", os.O_RDWR)
    request("BIND_IOMMUFD", device, BIND_IOMMUFD, "IIiI", 0, iommufd, 0)
    _, _, ioas = request("IOAS_ALLOC", iommufd, IOAS_ALLOC, "III", 0, 0)
    request("ATTACH_IOMMUFD_PT", device, ATTACH, "III", 0, ioas)
    memory = mmap.mmap(-1, size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    request("IOAS_MAP", iommufd, IOAS_MAP, "IIIIQQQ", FIXED_IOVA | WRITEABLE | READABLE, ioas, 0, address, size, IOVA)
    memory[:len(PATTERN)] = PATTERN
    edu = Edu(device)
    edu.copy(IOVA, BUFFER, START)
    edu.copy(BUFFER, IOVA + mmap.PAGESIZE, TO_MEMORY)
    copied = memory[mmap.PAGESIZE:mmap.PAGESIZE + len(PATTERN)]
    return "ok" if copied == PATTERN else "other bytes came back"


def main():
    try:
        print(drive(sys.argv[1], int(sys.argv[2])))
    except Call as failure:
        print(failure)


if __name__ == "__main__":
    main()
