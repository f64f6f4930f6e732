# SPDX-License-Identifier: GPL-2.0-only
"""make KDIR=TREE on trees that are made of the headers of a stock kernel: what builds, what is refused and what
is said then, what is left behind.  Needs no VM: the host's part of scripts/suite test-stock.

A tree is a folder of links, in which a case has what it changes as files of its own.  The scripts run in a copy
of the checkout, with a cache of their own, so that what they leave is seen.  Compiling the kernel's crates takes
minutes; where a case needs them, `make prepare` is a stand-in that hands out those of the kernel's own tree."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from suites import TOP, Failure, vm
from suites.suite import Program, host_case, step, wanted
from suites.vm import CACHE

PLACES = ["/usr/sbin", "/usr/bin"]
GIVEN = ["KDIR", "KERNEL_SOURCE", "LLVM", "RUSTC", "BINDGEN", "RUST_LIB_SRC", "V", "XDG_CACHE_HOME",
         "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"]
# A limit for what hangs.
LIMIT = 600


def linked(source, folder):
    """A folder of links to what SOURCE holds."""
    os.makedirs(folder)
    for name in os.listdir(source):
        os.symlink(os.path.join(source, name), os.path.join(folder, name))


class Tree:
    """A kernel tree: links to the files of another, and files of its own."""

    def __init__(self, source, folder):
        self.folder = folder
        linked(source, folder)

    def own(self, name):
        """Where a file may be put: not a link, nor in a folder that is one."""
        path = self.folder
        *folders, last = name.split("/")
        for folder in folders:
            path = os.path.join(path, folder)
            if os.path.islink(path):
                source = os.path.realpath(path)
                os.unlink(path)
                linked(source, path)
            os.makedirs(path, exist_ok=True)
        path = os.path.join(path, last)
        if os.path.lexists(path):
            os.unlink(path)
        return path

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        with open(self.own(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self

    def edit(self, name, old, new):
        """Puts NEW for all that the expression OLD matches."""
        text, count = re.subn(old, new, self.read(name), flags=re.M)
        if not count:
            raise Failure(f"{name} of the stock kernel holds no {old}")
        return self.write(name, text)

    def remove(self, name):
        self.own(name)
        return self

    def set(self, name, value):
        """An option of the configuration; None is off."""
        line = f"# {name} is not set" if value is None else f"{name}={value}"
        return self.edit(".config", rf"^(# )?{name}(=.*| is not set)$", line)

    def add(self, *lines):
        return self.write(".config", self.read(".config") + "".join(f"{line}\n" for line in lines))

    def built_by_clang(self):
        with_version = vm.output("clang-19", "--version").splitlines()[0]
        numbers = [int(n) for n in re.search(r"version (\d+)\.(\d+)\.(\d+)", with_version).groups()]
        self.set("CONFIG_CC_VERSION_TEXT", f'"{with_version}"').set("CONFIG_CC_IS_GCC", None)
        return self.set("CONFIG_CLANG_VERSION", numbers[0] * 10000 + numbers[1] * 100 + numbers[2]).add(
            "CONFIG_CC_IS_CLANG=y")


class Bench:
    """What a case works with: folders of its own, trees, tools, and the scripts."""

    def __init__(self, folder, stock):
        self.folder = folder
        self.stock = stock
        # The tree that rust-metadata made, and Debian's headers, which it links to.
        self.made = os.path.dirname(os.path.realpath(os.path.join(stock, "Makefile")))
        self.headers_folder = os.path.dirname(os.path.realpath(os.path.join(stock, ".config")))
        self.top = os.path.join(folder, "checkout")
        for name in ("Makefile", "Kbuild"):
            os.makedirs(self.top, exist_ok=True)
            shutil.copy(os.path.join(TOP, name), self.top)
        for name in ("rust", "include", "scripts", "debian"):
            shutil.copytree(os.path.join(TOP, name), os.path.join(self.top, name),
                            ignore=shutil.ignore_patterns("target", "__pycache__"))
        # The source is not changed, and therefore shared.
        self.cache = os.path.join(folder, "cache")
        os.mkdir(self.cache)
        for source in glob.glob(os.path.join(CACHE, "linux-[0-9]*")) + \
                glob.glob(os.path.join(CACHE, "linux-source-*")):
            if os.path.isdir(source):
                os.symlink(source, os.path.join(self.cache, os.path.basename(source)))
        self.tools = os.path.join(folder, "tools")
        os.mkdir(self.tools)
        self.path = [self.tools, *PLACES]

    # Trees

    def headers(self):
        """Debian's headers, which lack the metadata."""
        common = f"{self.headers_folder.rpartition('-')[0]}-common"
        os.symlink(common, os.path.join(self.folder, os.path.basename(common)))
        return Tree(self.headers_folder, os.path.join(self.folder, "headers"))

    def headers_with_metadata(self):
        """... as a distribution would ship them: crates, macros, the target, and nothing else of a build."""
        tree = self.headers()
        shutil.copy(os.path.join(self.made, "scripts/target.json"), tree.own("scripts/target.json"))
        for name in os.listdir(os.path.join(self.made, "rust")):
            if name.endswith((".rmeta", ".so")):
                os.symlink(os.path.join(self.made, "rust", name), tree.own(f"rust/{name}"))
        with open(os.path.join(self.made, "Makefile"), encoding="utf-8") as f:
            return tree.write("Makefile", f.read().replace(self.made, tree.folder))

    # Tools

    def tool(self, name, text):
        """A program that is found before the machine's own of that name."""
        path = os.path.join(self.tools, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)

    def hide(self, *names):
        """Has the scripts find all programs but these."""
        there = os.path.join(self.folder, "path")
        if self.path[-1] != there:
            os.mkdir(there)
            for name, place in {name: place for place in PLACES for name in os.listdir(place)}.items():
                os.symlink(os.path.join(place, name), os.path.join(there, name))
            self.path = [self.tools, there]
        for name in names:
            os.unlink(os.path.join(there, name))

    def rustc(self, version=None, sysroot=None):
        """A rustc that says something else of itself."""
        said = "".join(f"'{argument}') echo '{answer}'; exit ;;\n"
                       for argument, answer in (("--version", version), ("--print sysroot", sysroot)) if answer)
        self.tool("rustc", f'case "$*" in\n{said}esac\nexec /usr/bin/rustc "$@"')

    def show_make(self):
        """A make that only notes its arguments."""
        self.tool("make", f"printf '%s\\n' \"$@\" >{self.folder}/arguments; exit 1")

    def make_arguments(self, tree, **environment):
        """What make is told of compilers and architecture when the module is built."""
        status, words = self.build(tree, **environment)
        assert status and os.path.exists(f"{self.folder}/arguments"), f"status {status}: {words}"
        with open(f"{self.folder}/arguments", encoding="utf-8") as f:
            arguments = f.read().splitlines()
        os.unlink(f"{self.folder}/arguments")
        shutil.rmtree(os.path.join(self.top, "build"))
        return {a for a in arguments if re.match("(HOSTCC|CC|CROSS_COMPILE|LLVM|ARCH|RUSTC|BINDGEN)=", a)}

    def stand_in(self, configure=False, prepare=""):
        """`make prepare` hands out what was made for the stock kernel.  The configuration is read by the kernel's
        own makefile if the case is about that."""
        self.tool("make", f"""
make() {{ /usr/bin/make "$@"; }}
for last; do case $last in O=*) out=${{last#O=}} ;; esac; done
give() {{ [ -e "$out/$2" ] || {{ mkdir -p "$(dirname "$out/$2")" && ln -s "$1/$2" "$out/$2"; }}; }}
echo "$last" >>{self.folder}/targets
case $last in
olddefconfig) {'make "$@"' if configure else ':'} ;;
prepare)
	{prepare}
	{'for argument; do shift; [ "$argument" = prepare ] || set -- "$@" "$argument"; done; make "$@" syncconfig'
    if configure else ''}
	for folder in rust scripts/target.json; do give {self.made} $folder; done
	for folder in include arch/x86/include; do give {self.headers_folder} $folder/generated; done ;;
*) make "$@" ;;
esac""")

    def targets(self):
        """What make was called for since."""
        path = os.path.join(self.folder, "targets")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            found = f.read().split()
        os.unlink(path)
        return found

    # The scripts

    def environment(self, tree, environment):
        inherited = {name: value for name, value in os.environ.items() if name not in GIVEN}
        given = {"PATH": ":".join(self.path), "RUST_VFIO_CACHE": self.cache, "JOBS": "2",
                 "KDIR": getattr(tree, "folder", tree), **environment}
        return {name: value for name, value in {**inherited, **given}.items() if value is not None}

    def run(self, command, tree=None, **environment):
        """Status and words of a command in the copy of the checkout; None takes a variable away."""
        result = subprocess.run(command, env=self.environment(tree, environment), cwd=self.top, timeout=LIMIT,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return result.returncode, result.stdout

    def build(self, tree, **environment):
        return self.run([os.path.join(self.top, "scripts/host/build-module")], tree, **environment)

    def metadata(self, tree, **environment):
        return self.run([os.path.join(self.top, "scripts/host/rust-metadata")], tree, **environment)

    def start_metadata(self, tree):
        """rust-metadata, in a process group of its own, which an interrupt ends: in the background of a shell it is
        ignored."""
        return subprocess.Popen(["env", "--default-signal=INT", os.path.join(self.top, "scripts/host/rust-metadata")],
                                env=self.environment(tree, {}),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def left(self):
        """What the scripts have put into the cache, less what a later run does not look at."""
        return [name for name in os.listdir(self.cache) if not os.path.islink(os.path.join(self.cache, name)) and
                not name.endswith((".lock", ".log"))]

    def nothing_left(self):
        assert not self.left(), self.left()
        assert not glob.glob(os.path.join(self.top, "build/*")), "something was built"

    def refused(self, tree, *reasons, command=None, **environment):
        """The build must fail, with these words, and leave nothing."""
        status, words = self.run(command, tree, **environment) if command else self.build(tree, **environment)
        assert status, f"was not refused: {words}"
        for reason in reasons:
            assert reason in words, f"status {status}, not {reason!r}: {words}"
        self.nothing_left()
        return words

    def metadata_refused(self, tree, *reasons, **environment):
        """The same, of a tree whose metadata are made; it was they that were refused."""
        words = self.refused(tree, *reasons, **environment)
        assert "modules" not in self.targets()
        return words

    def missing(self, tree, *packages, **environment):
        """The build must fail because exactly these packages are missing, which are named at once."""
        words = self.refused(tree, **environment)
        named = re.findall(r"^error: (.*?)(?:: (.*))?$", words, re.M)
        assert named == [("not installed, and needed for this kernel", " ".join(packages))], words


# What is built

def said_module(words):
    """The module whose path was printed last."""
    module = words.splitlines()[-1]
    assert module.endswith("/vfio.ko"), words
    return module


def rust_branches(module):
    """Whether the module's Rust code has static branches; that in C always has."""
    code = os.path.join(os.path.dirname(module), "rust/vfio.o")
    return " __jump_table " in vm.output("readelf", "-SW", code)


def fits_kernel(bench, module):
    """Whether the stock kernel would load a module: its symbols, and what it says of the kernel."""
    with open(os.path.join(bench.headers_folder, "Module.symvers"), encoding="utf-8") as f:
        exported = {line.split("\t")[1] for line in f}
    wanted_of_kernel = set(re.findall(r" U (\S+)$", vm.output("nm", "-u", module), re.M))
    assert any(name.startswith("_R") for name in wanted_of_kernel), "needs nothing of the kernel's crates"
    assert wanted_of_kernel <= exported, wanted_of_kernel - exported
    theirs, = glob.glob(os.path.join(bench.stock, "**/vfio.ko"), recursive=True)
    assert magic(module) == magic(theirs), (magic(module), magic(theirs))
    compilers = vm.output("readelf", "-p", ".comment", module)
    assert "GCC: (Debian 14" in compilers and "clang" not in compilers, compilers


def magic(module):
    return vm.output("modinfo", "-F", "vermagic", module).strip()


def shipped(bench):
    """Headers that ship the metadata build the module, by the kernel's own gcc, and HOME need not be set."""
    tree = bench.headers_with_metadata()
    assert os.listdir(os.path.join(tree.folder, "rust")) and not os.path.exists(f"{tree.folder}/rust/kernel")
    # No cache is needed, so none need be found.
    status, words = bench.run(["make", f"KDIR={os.path.relpath(tree.folder, bench.top)}"], None, HOME=None,
                              RUST_VFIO_CACHE=None, CACHE=None)
    assert status == 0, words
    module = said_module(words)
    fits_kernel(bench, module)
    assert not rust_branches(module), "static branches without the file that they want"
    assert not bench.left(), bench.left()


def made(bench):
    """Headers without metadata build the module with those that are made, and these are kept."""
    bench.stand_in()
    tree = bench.headers()
    status, words = bench.build(tree)
    assert status == 0, words
    module = said_module(words)
    fits_kernel(bench, module)
    assert rust_branches(module), "no static branch"
    assert [name.rpartition("-")[0] for name in bench.left()] == [f"headers-{release(bench)}"], bench.left()
    assert bench.targets() == ["olddefconfig", "prepare", "modules"]
    status, words = bench.build(tree)
    assert status == 0 and said_module(words) == module, words
    assert bench.targets() == ["modules"]


def release(bench):
    return vm.output("cat", os.path.join(bench.headers_folder, "include/config/kernel.release")).strip()


# What is refused of KDIR

def empty(bench):
    """KDIR= names no tree, and does not stand for the reference kernel."""
    for command, environment in ((["make", "KDIR="], {}), (["make", "KDIR= "], {}), (["make"], {"KDIR": ""}),
                                 (["make", "install", "KDIR="], {})):
        bench.refused(None, "KDIR= is empty", command=command, **environment)


def no_folder(bench):
    """A folder that is not there."""
    bench.refused("/nowhere", "KDIR=/nowhere cannot serve: there is no such folder")
    bench.refused("nowhere", "there is no such folder", command=["make", "KDIR=nowhere"])


def no_headers(bench):
    """The build link of a kernel whose headers are not installed names their package."""
    build = os.path.join(bench.folder, "lib/modules/7.3.4+deb13-amd64/build")
    package = "apt-get install linux-headers-7.3.4+deb13-amd64\n"
    bench.refused(build, package)
    os.makedirs(os.path.dirname(build))
    os.symlink("/usr/src/linux-headers-7.3.4+deb13-amd64", build)
    bench.refused(build, package)
    bench.refused(f"{build}/", package)


def no_makefile(bench):
    """A folder that is no build folder."""
    bench.refused(bench.headers().remove("Makefile"), "no kernel build folder (no Makefile)")


def not_configured(bench):
    """A tree without a configuration, or with one that was not processed."""
    tree = bench.headers().remove("include/config/auto.conf")
    bench.refused(tree, "its configuration was not processed")
    bench.refused(tree.remove(".config"), "it is not configured (no .config)")


def other_architecture(bench):
    """An architecture on which nobody tried this."""
    bench.refused(bench.headers_with_metadata().edit(".config", "^# Linux/x86 ", "# Linux/riscv "),
                  "rust-vfio was tried on x86-64 and arm64 alone")


def set_other_architecture(bench):
    """An architecture on which nobody tried the module set."""
    bench.refused(bench.headers_with_metadata().edit(".config", "^# Linux/x86 ", "# Linux/arm64 "),
                  "the module set was tried on x86-64 alone",
                  command=[os.path.join(bench.top, "scripts/host/build-set")])


def without_rust(bench):
    """CONFIG_RUST and CONFIG_MODULES must be on."""
    tree = bench.headers().set("CONFIG_RUST", None)
    bench.refused(tree, "CONFIG_RUST is off")
    bench.refused(tree.set("CONFIG_MODULES", None), "CONFIG_MODULES is off")


def without_vfio(bench):
    """CONFIG_VFIO must be a module: built in, it cannot be replaced, and without it nothing needs us."""
    tree = bench.headers()
    bench.refused(tree.set("CONFIG_VFIO", "y"), "CONFIG_VFIO=y builds the C core into the kernel")
    bench.refused(tree.set("CONFIG_VFIO", None), "CONFIG_VFIO is off")


def versions(bench):
    """MODVERSIONS by genksyms has no versions for Rust, and by gendwarfksyms wants the source of VFIO."""
    tree = bench.headers().set("CONFIG_MODVERSIONS", "y")
    bench.refused(tree, "enable CONFIG_GENDWARFKSYMS")
    bench.refused(tree.add("CONFIG_GENDWARFKSYMS=y"), "headers that it lacks (drivers/vfio/vfio.h)")


def no_symbols(bench):
    """A tree whose modules were not built does not know what the kernel exports."""
    bench.refused(bench.headers().remove("Module.symvers"), "it lacks Module.symvers")


# Compilers

TOOLS = ["make", "flex", "bison", "bc", "perl", "python3", "xz", "pahole"]
GCC = ["x86_64-linux-gnu-gcc-14", "gcc-14", "x86_64-linux-gnu-gcc", "gcc"]


def without_tools(bench):
    """All that is missing is named at once, as packages, each once; of a tree with metadata less is asked."""
    bench.hide(*TOOLS, *GCC, "rustc", "bindgen")
    # In the namespace of this command alone.
    hidden = 'for f in include lib/rustlib; do busybox mount -t tmpfs tmpfs /usr/$f; done && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-euc", hidden, "sh",
               os.path.join(bench.top, "scripts/host/build-module")]
    bench.missing(bench.headers(), "gcc-14", "rustc", "bindgen", "make", "flex", "bison", "bc", "perl", "python3",
                  "xz-utils", "pahole", "libelf-dev", "libssl-dev", "rust-src", command=command)


def without_tools_for_metadata(bench):
    """A tree that has metadata needs less."""
    bench.hide(*TOOLS, *GCC, "rustc", "bindgen")
    bench.missing(bench.headers_with_metadata(), "gcc-14", "rustc", "bindgen", "make")


def without_rust_source(bench):
    """The library's source, of which libcore is made, is a package of its own."""
    bench.rustc(sysroot=bench.folder)
    bench.missing(bench.headers(), "rust-src")
    bench.stand_in()
    library = f"{vm.output('rustc', '--print', 'sysroot').strip()}/lib/rustlib/src/rust/library"
    status, words = bench.metadata(bench.headers_folder, RUST_LIB_SRC=library)
    assert status == 0, words


def other_rustc(bench):
    """Another rustc cannot read the metadata, and is told with both versions."""
    bench.rustc(version="rustc 1.86.0 (05f9846f8 2025-03-31)")
    for tree in bench.headers(), bench.made:
        bench.refused(tree, "it was built with another rustc", "rustc 1.85", "rustc 1.86.0 (05f9846f8 2025-03-31)")


def rustc_of_metadata(bench):
    """Metadata that another rustc made, whatever the configuration says."""
    tree = bench.headers_with_metadata()
    crate = tree.own("rust/libkernel.rmeta")
    with open(os.path.join(bench.made, "rust/libkernel.rmeta"), "rb") as f:
        contents = f.read()
    version = re.match(rb"rustc (\S+)", vm.output("rustc", "--version").encode()).group(1)
    assert version in contents[:64]
    with open(crate, "wb") as f:
        f.write(contents.replace(version, version[::-1], 1))
    bench.refused(tree, "it was built with another rustc (libkernel.rmeta)", f"rustc {version[::-1].decode()}",
                  f"rustc {version.decode()}")
    with open(crate, "wb") as f:
        f.write(b"no metadata")
    bench.refused(tree, "another rustc (libkernel.rmeta)", "does not say")


def rustc_of_made(bench):
    """The same of metadata that were made just now."""
    bench.stand_in(prepare=f'mkdir -p "$out/rust"; ln -s {bench.made}/rust/* "$out/rust"; '
                   'ln -sf /etc/hostname "$out/rust/libcore.rmeta"')
    bench.metadata_refused(bench.headers(), "it was built with another rustc (libcore.rmeta)", "does not say")


def part_of_metadata(bench):
    """A tree that has some of the metadata has all of them made."""
    bench.stand_in()
    tree = bench.headers_with_metadata().remove("rust/libcore.rmeta").write("scripts/target.json", "theirs")
    status, words = bench.metadata(tree)
    assert status == 0 and os.path.exists(os.path.join(words.splitlines()[-1], "rust/libcore.rmeta")), words
    assert tree.read("scripts/target.json") == "theirs", "the tree was written to"


def gcc(bench):
    """The tree's gcc, by the name that its configuration has, without the triplet, or as the machine's gcc."""
    bench.show_make()
    bench.hide()
    tree = bench.headers_with_metadata()
    arguments = bench.make_arguments(tree)
    assert arguments == {"CC=x86_64-linux-gnu-gcc-14", "HOSTCC=x86_64-linux-gnu-gcc-14",
                         "CROSS_COMPILE=x86_64-linux-gnu-", "ARCH=x86"}, arguments
    bench.hide("x86_64-linux-gnu-gcc-14")
    arguments = bench.make_arguments(tree)
    assert arguments == {"CC=gcc-14", "HOSTCC=gcc-14", "ARCH=x86"}, arguments
    bench.hide("gcc-14")
    # One that tells all of its version
    bench.tool("gcc", 'case $1 in -dumpversion) echo 14.2.0 ;; *) exec /usr/bin/gcc "$@" ;; esac')
    arguments = bench.make_arguments(tree)
    assert arguments == {"CC=gcc", "HOSTCC=gcc", "ARCH=x86"}, arguments
    # A cross compiler makes no programs for this machine.
    bench.tool("gcc", "case $1 in -dumpversion) echo 14 ;; *) echo riscv64-linux-gnu ;; esac")
    arguments = bench.make_arguments(tree)
    assert arguments == {"CC=gcc", "ARCH=x86"}, arguments
    for version in "13", "15.1.0", "140":
        bench.tool("gcc", f"echo {version}")
        bench.missing(tree, "gcc-14")


def clang(bench):
    """The tree's clang, by LLVM=, as the machine's clang, or by the name with its version."""
    bench.show_make()
    bench.hide()
    tree = bench.headers_with_metadata().built_by_clang()
    major = re.search(r"version (\d+)", tree.read(".config")).group(1)
    assert bench.make_arguments(tree) == {"LLVM=1", "ARCH=x86"}
    assert bench.make_arguments(tree, LLVM=f"-{major}") == {f"LLVM=-{major}", "ARCH=x86"}
    assert bench.make_arguments(tree, LLVM="/usr/bin/") == {"LLVM=/usr/bin/", "ARCH=x86"}
    bench.hide("ld.lld", "llvm-objcopy")
    bench.missing(tree, "lld", "llvm")
    # The machine's own is another.
    bench.tool("clang", "echo Debian clang version 99.1.0")
    assert bench.make_arguments(tree) == {f"LLVM=-{major}", "ARCH=x86"}
    bench.refused(tree, "it was built with another clang", f"clang version {major}.", "clang version 99.1.0", LLVM="1")
    bench.hide(f"ld.lld-{major}")
    bench.missing(tree, f"lld-{major}")
    bench.hide(f"clang-{major}")
    bench.missing(tree, f"clang-{major}", f"lld-{major}", f"llvm-{major}")
    bench.tool("clang", f"echo Debian clang version {major}.99.0")
    bench.refused(tree, "it was built with another clang", f"clang version {major}.99.0")


def no_home(bench):
    """A user whom the machine does not know, and who has no HOME, gets as far as others."""
    status, words = bench.run(["setpriv", "--reuid", "4711", "--regid", "4711", "--clear-groups",
                               "scripts/host/build-module"], "/nowhere", HOME=None, RUST_VFIO_CACHE=None, CACHE=None)
    assert status and "KDIR=/nowhere cannot serve: there is no such folder" in words, f"status {status}: {words}"


# Metadata that are made

def other_configuration(bench):
    """Headers that were generated for another configuration than they have."""
    bench.stand_in(configure=True)
    tree = bench.headers()
    bench.metadata_refused(tree.set("CONFIG_SUSPEND", None), ".config comes out otherwise", "CONFIG_SUSPEND")


def other_option(bench):
    """The same, with an option that no other depends on."""
    bench.stand_in(configure=True)
    tree = bench.headers().set("CONFIG_VFIO_PCI_VGA", None)
    bench.metadata_refused(tree, "include/generated/autoconf.h comes out otherwise", "CONFIG_VFIO_PCI_VGA")


def other_header(bench):
    """A generated header that comes out otherwise, and one that cannot be compared."""
    bench.stand_in()
    tree = bench.headers()
    for name in ("include/generated/autoconf.h", "include/generated/bounds.h",
                 "include/generated/uapi/linux/version.h", "arch/x86/include/generated/asm/orc_hash.h"):
        text = tree.read(name)
        bench.metadata_refused(tree.write(name, f"{text}#define OTHER 1\n"), f"{name} comes out otherwise",
                               "#define OTHER 1")
        tree.write(name, text)
    bench.metadata_refused(tree.remove("include/generated/autoconf.h"), "it lacks include/generated/autoconf.h")


def other_symbols(bench):
    """A symbol of Rust too few, or one too many, in what the kernel exports."""
    bench.stand_in()
    tree = bench.headers()
    symbols = tree.read("Module.symvers")
    names = re.findall(r"^0x\w+\t(_R\w+)\tvmlinux\t", symbols, re.M)
    name = names[len(names) // 2]
    line = re.search(rf"^0x\w+\t{name}\t.*\n", symbols, re.M).group(0)
    for text, other in ((symbols.replace(line, ""), name),
                        (symbols + line.replace(name, f"{name}_other"), f"{name}_other"),
                        (symbols.replace(name, f"{name}_other"), f"{name}_other")):
        words = bench.metadata_refused(tree.write("Module.symvers", text), "the kernel exports other symbols of Rust")
        assert other in words, words


def other_helper(bench):
    """The same of helpers, which Rust calls by names of C."""
    bench.stand_in()
    tree = bench.headers().edit("Module.symvers", r"\trust_helper_mutex_lock\t", "\trust_helper_mutex_other\t")
    words = bench.metadata_refused(tree, "the kernel exports other symbols of Rust", "2 of them")
    assert "rust_helper_mutex_lock" in words and "rust_helper_mutex_other" in words, words


def other_version(bench):
    """What was made for one version of Debian's package is not taken for another of the same release."""
    bench.stand_in()
    tree = bench.headers()
    status, words = bench.metadata(tree)
    assert status == 0, words
    first = bench.left()
    tree.edit("include/generated/utsversion.h", r" Debian \S+ ", " Debian 0.1-1 ")
    bench.tool("apt-get", "echo E: there is none; exit 100")
    status, words = bench.build(tree)
    assert status and re.search(r"\nE: there is none\nerror: linux-source-\S+ 0\.1-1 could not be", words), words
    assert words.endswith("or give KERNEL_SOURCE=TARBALL or FOLDER\n"), words
    assert bench.left() == first


def other_distribution(bench):
    """Where the source is not known, the words say what can be given, and what is given is taken."""
    bench.stand_in()
    tree = bench.headers().edit("include/generated/utsversion.h", " Debian ", " Other ")
    tree.remove("include/generated/compile.h")
    bench.metadata_refused(tree, "it lacks the metadata of the kernel's crates", "give KERNEL_SOURCE=")
    status, words = bench.metadata(tree, KERNEL_SOURCE=os.path.realpath(os.path.join(bench.stock, "source")))
    assert status == 0, words


def failed(bench):
    """Crates that do not build leave nothing, and the end of what make said is shown."""
    bench.stand_in(prepare=f"give {bench.made} rust; echo the compiler broke; exit 2")
    bench.metadata_refused(bench.headers(), "the compiler broke", "the kernel's crates do not build")


def group_lives(group):
    """Whether a process group has processes; one that cleans up may outlive the first."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def interrupted(bench):
    """What was interrupted is made again, whether it could clean up or not."""
    there = os.path.join(bench.folder, "there")
    tree = bench.headers()
    for number in signal.SIGTERM, signal.SIGINT, signal.SIGKILL:
        bench.stand_in(prepare=f"for folder in rust scripts/target.json; do give {bench.made} $folder; done; "
                       f"touch {there}; sleep {LIMIT}")
        with bench.start_metadata(tree) as process:
            until = time.monotonic() + LIMIT
            while not os.path.exists(there):
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.1)
            os.killpg(process.pid, number)
            assert process.wait(LIMIT) != 0
            while group_lives(process.pid):
                assert time.monotonic() < until
                time.sleep(0.1)
        os.unlink(there)
        assert [name for name in bench.left() if not name.endswith(".partial")] == []
        assert number == signal.SIGKILL or not bench.left(), bench.left()
    bench.targets()
    bench.stand_in()
    status, words = bench.metadata(tree)
    assert status == 0 and "removing what an interrupted run left" in words, words
    assert bench.targets() == ["olddefconfig", "prepare"]
    assert bench.left() == [os.path.basename(words.splitlines()[-1])], bench.left()


CASES = [empty, no_folder, no_headers, no_makefile, not_configured, other_architecture, set_other_architecture,
         without_rust, without_vfio, versions, no_symbols, without_tools, without_tools_for_metadata,
         without_rust_source, other_rustc, rustc_of_metadata, rustc_of_made, part_of_metadata, gcc, clang, no_home,
         other_configuration, other_option, other_header, other_symbols, other_helper, other_version,
         other_distribution, failed, interrupted, shipped, made]


def run(options):
    """The cases that are asked for, each on a bench of its own, with the headers of the first of the kernels."""
    program = Program("host", "kdir")
    cases = [case for case in CASES if wanted(f"kdir.{case.__name__}", options.patterns)]
    if not cases or "rust" not in options.cores:
        return []
    # The kernel with the module set is made of the stock kernel, whose headers these are.
    stock = vm.kernel_build(options.variants[0].replace("set", "stock"))
    os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
    for case in cases:
        step(f"kdir.{case.__name__}")
        # On the disk, not in memory: the crates are large.
        with tempfile.TemporaryDirectory(prefix="kdir-", dir=os.path.join(TOP, "build")) as folder:
            # For a user who is not root.
            os.chmod(folder, 0o755)
            host_case(program, case.__name__, case, Bench(folder, stock))
    return [program]
