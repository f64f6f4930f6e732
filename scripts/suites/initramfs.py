# SPDX-License-Identifier: GPL-2.0-only
"""Writes the VM's initramfs: a cpio archive of files, made by the kernel's gen_init_cpio, without traces of the
user, the time or the folder that it was made in."""

import functools
import os
import re
import subprocess
import tempfile

from suites import TOP

# What the guest's own tools need beside busybox: `make -C selftests run_tests` works in it.
TOOLS = ["/bin/bash", "/usr/bin/make"]
BUSYBOX = "/usr/bin/busybox"


@functools.cache
def gen_init_cpio():
    """The kernel's program, of the reference kernel's source."""
    source = subprocess.run([os.path.join(TOP, "scripts/host/kernel-source")], stdout=subprocess.PIPE, text=True,
                            check=True)
    program = os.path.join(TOP, "build/gen_init_cpio")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(program)) as folder:
        made = os.path.join(folder, "gen_init_cpio")
        subprocess.run(["gcc", "-O2", "-o", made, f"{source.stdout.strip()}/usr/gen_init_cpio.c"], check=True)
        # Others may run the one that is there.
        os.rename(made, program)
    return program


class Cpio:
    """What an archive holds; parents of a path are made as they are needed."""

    def __init__(self):
        self.lines = []
        self.texts = []  # contents that are in no file
        self.paths = set()

    def _add(self, kind, path, *fields):
        """Whether it is not there yet."""
        path = path.strip("/")
        if path in self.paths:
            return False
        parent = os.path.dirname(path)
        if parent:
            self.directory(parent)
        self.paths.add(path)
        words = [kind, f"/{path}", *fields, "0", "0"]
        if any(re.search(r"\s", word) for word in words):
            raise ValueError(f"{path}: gen_init_cpio takes no blanks in names")
        self.lines.append(" ".join(words))
        return True

    def directory(self, path, mode=0o755):
        self._add("dir", path, f"{mode:o}")

    def symlink(self, path, target):
        self._add("slink", path, target, "777")

    def text(self, path, text, mode=0o644):
        self.data(path, text.encode(), mode)

    def data(self, path, data, mode=0o644):
        if self._add("file", path, f"@{len(self.texts)}", f"{mode:o}"):
            self.texts.append(data)

    def file(self, path, source, mode=None):
        if mode is None:
            mode = 0o755 if os.stat(source).st_mode & 0o111 else 0o644
        self._add("file", path, os.path.abspath(source), f"{mode:o}")

    def program(self, path, source):
        """A program with the libraries it is linked to."""
        self.file(path, source, 0o755)
        for library in libraries(source):
            self.file(library, library)

    def tree(self, path, source, wanted=lambda name: True):
        """A folder; programs in it bring their libraries."""
        for folder, names, files in os.walk(source):
            names.sort()
            where = os.path.join(path, os.path.relpath(folder, source)) if folder != source else path
            for name in sorted(files):
                full = os.path.join(folder, name)
                if not wanted(os.path.relpath(full, source)):
                    continue
                inside = os.path.join(where, name)
                if os.path.islink(full):
                    self.symlink(inside, os.readlink(full))
                elif is_program(full):
                    self.program(inside, full)
                else:
                    self.file(inside, full)

    def bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            for number, data in enumerate(self.texts):
                with open(f"{folder}/@{number}", "wb") as f:
                    f.write(data)
            listed = "".join(line + "\n" for line in self.lines)
            return subprocess.run([gen_init_cpio(), "-t", "0", "-"], input=listed.encode(), cwd=folder,
                                  stdout=subprocess.PIPE, check=True).stdout


def is_program(path):
    with open(path, "rb") as f:
        head = f.read(18)
    # ELF, of type executable or shared object
    return head[:4] == b"\x7fELF" and head[16:17] in (b"\x02", b"\x03") and os.access(path, os.X_OK)


def libraries(*programs, folder=""):
    """The shared libraries and the loader of programs, by the names they look for them; some may be in a
    folder."""
    result = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False,
                            env={**os.environ, "LD_LIBRARY_PATH": folder})
    found = re.findall(r"^\s+(?:\S+ => )?(/\S+) \(", result.stdout, re.M)
    return sorted(set(found))


def module_paths(build):
    """The in-tree modules of a kernel build: name -> file."""
    paths = {}
    with open(os.path.join(build, "modules.order"), encoding="ascii") as f:
        for line in f:
            path = os.path.join(build, line.strip().removesuffix(".o") + ".ko")
            name = os.path.basename(path).removesuffix(".ko").replace("-", "_")
            paths[name] = path
    return paths


def modinfo(path):
    """The modules that a module depends on."""
    said = subprocess.run(["modinfo", "-F", "depends", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in said.strip().replace("-", "_").split(",") if name]


def write_busybox(cpio, busybox):
    cpio.file("bin/busybox", busybox)
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            cpio.symlink(f"bin/{applet}", "busybox")


def write_base(cpio, build, rust_module, busybox):
    """The part that every boot shares: tools, init, modules of both cores."""
    for path in ("dev", "proc", "sys", "tmp", "run", "root", "etc", "mnt"):
        cpio.directory(path)
    write_busybox(cpio, busybox)
    cpio.file("init", os.path.join(TOP, "scripts/guest/init"), 0o755)
    cpio.file("lib/guest.sh", os.path.join(TOP, "scripts/guest/guest.sh"))
    # The root's own tools serve its own architecture.
    for tool in TOOLS if busybox == BUSYBOX else []:
        cpio.program(f"bin/{os.path.basename(tool)}", os.path.realpath(tool))
    # Names that scripts spell out.  No /usr/bin/timeout: busybox's lacks what the kselftest runner wants of it.
    for name in ("env", "bash"):
        cpio.symlink(f"usr/bin/{name}", f"/bin/{name}")
    cpio.text("etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    cpio.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")

    depends = []
    modules = module_paths(build)
    for name, path in sorted(modules.items()):
        where = "modules/c" if name == "vfio" else "modules"
        cpio.file(f"{where}/{name}.ko", path)
        depends.append(f"{name}:{' '.join(modinfo(path))}")
    if rust_module:
        cpio.file("modules/rust/vfio.ko", rust_module)
    cpio.text("modules/depends", "\n".join(depends) + "\n")
    # Modules that the kernel's own are replaced by a set of others for.
    distribution = os.path.join(build, "distribution")
    if os.path.isdir(distribution):
        cpio.tree("distribution", distribution)


def write_python(cpio):
    """Python with its library, for programs that busybox's shell would make unreadable."""
    python = os.path.realpath("/usr/bin/python3")
    cpio.program("usr/bin/python3", python)
    library = os.path.join("/usr/lib", os.path.basename(python))
    # Compiled files as well: an emulated processor compiles for long.
    unused = ("test/", "pydoc_data/", "_pyrepl/", "sitecustomize.py")
    cpio.tree(library, library, lambda name: not name.startswith(unused))
    modules = os.path.join(library, "lib-dynload")
    for needed in libraries(*(os.path.join(modules, name) for name in sorted(os.listdir(modules)))):
        cpio.file(needed, needed)


KMOD = ["modprobe", "modinfo", "depmod", "insmod", "rmmod", "lsmod"]


def write_kmod(cpio):
    """kmod: busybox's knows no softdeps, and the kernel asks /sbin/modprobe."""
    cpio.program("sbin/kmod", os.path.realpath("/usr/bin/kmod"))
    for name in KMOD:
        cpio.symlink(f"sbin/{name}", "kmod")


LIBRARIES = "usr/lib/x86_64-linux-gnu"


def write_udev(cpio, folder):
    """udev without any rules, from the folder of Debian's package."""
    own = os.path.join(folder, LIBRARIES, "systemd")
    program = os.path.join(folder, "usr/bin/udevadm")
    cpio.file("usr/bin/udevadm", program)
    cpio.symlink("usr/lib/systemd/systemd-udevd", "../../bin/udevadm")
    for library in libraries(program, folder=own):
        cpio.file(library.replace(own, f"/{LIBRARIES}"), library)


def write_su(cpio):
    """su, with what it takes to set limits."""
    cpio.program("usr/bin/su", "/usr/bin/su")
    for name in ("pam_limits.so", "pam_rootok.so"):
        cpio.program(f"{LIBRARIES}/security/{name}", f"/{LIBRARIES}/security/{name}")


# What QEMU needs of its own to boot a kernel on q35 without a display.
FIRMWARE = ["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/kvmvapic.bin", "/usr/share/qemu/linuxboot_dma.bin"]


def write_qemu(cpio):
    """QEMU, for a guest inside of the guest."""
    cpio.program("bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64")
    for path in FIRMWARE:
        cpio.file(path, os.path.realpath(path))


def write_dpdk(cpio, folder):
    """DPDK's programs and drivers, from the folder that scripts/host/dpdk made."""
    where = "usr/lib/x86_64-linux-gnu"
    own = os.path.join(folder, where)
    programs = [os.path.join(folder, "usr/bin", name) for name in ("dpdk-proc-info", "dpdk-testpmd")]
    for path in programs:
        cpio.file(f"bin/{os.path.basename(path)}", path)
    # With its symbolic links: a driver that is loaded by two names must be one file, or it registers twice
    # and EAL panics.
    cpio.tree(where, own)
    parts = [os.path.join(at, name) for at, _, names in os.walk(own) for name in names if ".so" in name]
    # The C library loads one by itself, to end a thread.
    for library in [*libraries(*programs, *sorted(parts), folder=own), "/lib/x86_64-linux-gnu/libgcc_s.so.1"]:
        if not library.startswith(own):
            cpio.file(library, library)


def write_inner(cpio, build, programs, modules):
    """The inner guest's whole initramfs: its shell on a serial port, and the modules named, with
    those that they need."""
    for path in ("dev", "proc", "sys", "tmp", "root", "etc"):
        cpio.directory(path)
    write_busybox(cpio, BUSYBOX)
    guest = os.path.join(TOP, "selftests/guest")
    cpio.file("init", os.path.join(guest, "init"), 0o755)
    cpio.file("lib/inner.sh", os.path.join(guest, "inner.sh"))
    cpio.file("lib/udhcpc.sh", os.path.join(guest, "udhcpc.sh"), 0o755)
    cpio.file("lib/guest.sh", os.path.join(TOP, "scripts/guest/guest.sh"))
    for path in programs:
        folder = "modules" if path.endswith(".ko") else "bin"
        cpio.file(os.path.join(folder, os.path.basename(path)), path)
    paths = module_paths(build)
    depends, todo = {}, list(modules)
    while todo:
        name = todo.pop()
        if name not in depends:
            depends[name] = modinfo(paths[name])
            cpio.file(f"modules/{name}.ko", paths[name])
            todo += depends[name]
    cpio.text("parameters", "")
    cpio.text("modules/depends", "".join(f"{n}:{' '.join(d)}\n" for n, d in sorted(depends.items())))
