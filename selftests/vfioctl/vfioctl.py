# SPDX-License-Identifier: GPL-2.0-only
"""vfioctl against the real sysfs, in the VM of scripts/suite test-vfioctl, on both cores.

    vfioctl.py MACHINE SCENARIO...

What a scenario changes it takes back; each ends with a look at the drivers, which must be as before."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import vfio
from scenario import PciDevice, attempt, check, equal, opened, read, said, tap, write

CORE = os.environ["VFIO_CORE"]
PROGRAM = "/bin/vfioctl"
NOBODY = 65534
NOIOMMU = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
DISK = "/dev/nvme0n1"
STATE = "/run/vfioctl/state.json"
UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
MTTY = "/sys/devices/virtual/mtty/mtty"


def call(*words, user=None):
    """The program; its status, output, complaints."""
    result = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False, user=user,
                            extra_groups=[] if user else None)
    return result.returncode, result.stdout, result.stderr


def quiet(*words):
    """It succeeds, and says nothing."""
    equal(" ".join(words), call(*words), (0, "", ""))


def told(*words, status=0, user=None):
    """Its JSON."""
    got, out, err = call("--json", *words, user=user)
    check(got == status, f"{' '.join(words)}: status {got}: {out} {err}")
    return json.loads(out)


def refused(reason, *words, user=None):
    """It fails with one line that has these words."""
    status, out, err = call(*words, user=user)
    check(status == 1 and not out and len(err.splitlines()) == 1 and reason in err,
          f"{' '.join(words)}: status {status}, output {out!r}, error {err!r}; wanted: {reason}")


class Pci(PciDevice):
    """A device, and what vfioctl says of it."""

    @property
    def override(self):
        return read(f"{self.path}/driver_override")

    @property
    def group(self):
        return os.path.basename(os.readlink(f"{self.path}/iommu_group"))

    @property
    def group_node(self):
        return f"/dev/vfio/{self.group}"

    @property
    def listed(self):
        devices = told("list", self.address)["devices"]
        equal("addresses", [d["address"] for d in devices], [self.address])
        return devices[0]

    def interface(self):
        return os.listdir(f"{self.path}/net")[0]


def snapshot():
    """Drivers and overrides of all devices, and what is noted."""
    devices = [Pci.__new__(Pci) for _ in os.listdir("/sys/bus/pci/devices")]
    for device, address in zip(devices, sorted(os.listdir("/sys/bus/pci/devices"))):
        device.address, device.path = address, f"/sys/bus/pci/devices/{address}"
    try:
        state = json.loads(read(STATE))
    except FileNotFoundError:
        state = {}
    return [(d.address, d.driver, d.override) for d in devices], state


@contextlib.contextmanager
def bound_by_vfioctl(*devices):
    """Given to VFIO by the program, and given back by it."""
    quiet("bind", *(d.address for d in devices))
    try:
        yield devices
    finally:
        status, _, err = call("restore", *(d.address for d in devices))
        check(status == 0, f"restore: {err}")


@contextlib.contextmanager
def only(device):
    """On vfio-pci without the rest of its group."""
    before = device.driver
    device.give_to("vfio-pci")
    try:
        yield
    finally:
        device.give_to(None)
        if before:
            write("/sys/bus/pci/drivers_probe", device.address)


def reasons(device, kind, status=1):
    return [r for r in told("why", device.address, status=status)["reasons"] if r["kind"] == kind]


def findings(status=0):
    """Of doctor, by name: the worst verdict."""
    order = ["ok", "warn", "fail"]
    found = {}
    for finding in told("doctor", status=status)["findings"]:
        worst = max(found.get(finding["name"], "ok"), finding["verdict"], key=order.index)
        found[finding["name"]] = worst
        check((finding["verdict"] == "ok") != ("do" in finding), f"what to do: {finding}")
    return found


# ---- the usual machine

async def list_bound():
    edu = Pci("edu0")
    equal("before", [d for d in told("list")["devices"] if d["address"] == edu.address], [])
    with bound_by_vfioctl(edu):
        told_all = told("list")
        equal("core", told_all["core"], CORE)
        equal("unseen", told_all["unseen"], [])
        device = edu.listed
        equal("driver", (device["driver"], device["vfio"]), ("vfio-pci", True))
        equal("group", (str(device["group"]["id"]), device["group"]["node"]), (edu.group, edu.group_node))
        equal("others", device["group"]["others"], [])
        equal("node", device["node"], edu.node)
        check(os.path.exists(device["node"]) and os.path.exists(device["group"]["node"]), "there is no such node")
        equal("IOMMU", device["iommu"], os.path.basename(os.readlink(f"{edu.path}/iommu")))
        methods = f"{edu.path}/reset_method"
        equal("reset", device["reset_methods"], read(methods).split() if os.path.exists(methods) else [])
        equal("holders", device["holders"], [])
        check(edu.address in [d["address"] for d in told_all["devices"]], "list lacks it")
        status, out, err = call("list")
        check(status == 0 and not err and edu.address in out and "\x1b" not in out, f"list: {out} {err}")


async def list_holder():
    """Who has it open, and what for: on our core whether it is bound, on the C core that this is unknown."""
    edu = Pci("edu0")
    with bound_by_vfioctl(edu):
        with opened(edu.node) as unbound:
            [holder] = edu.listed["holders"]
            equal("bound", holder["bound"], False if CORE == "rust" else None)
            equal("pid", holder["pid"], os.getpid())
            equal("fds", holder["fds"], [unbound])
        with vfio.bound(edu.node):
            [holder] = edu.listed["holders"]
            equal("name", holder["name"], read("/proc/self/comm"))
            equal("access", holder["access"], "cdev")
            equal("bound", holder["bound"], True if CORE == "rust" else None)
            equal("complete", edu.listed["holders_complete"], CORE == "rust")
        with opened(edu.group_node):
            device = edu.listed
            equal("holders", device["holders"], [])
            equal("of the group", [(h["pid"], h["access"]) for h in device["group"]["holders"]],
                  [(os.getpid(), "group-file")])
        equal("afterwards", edu.listed["holders"], [])


async def list_siblings():
    """A bound device, and who shares its group with a driver of the host."""
    mixed, host = Pci("mixed1"), Pci("mixed0")
    with only(mixed):
        devices = {d["address"]: d for d in told("list")["devices"]}
        check({mixed.address, host.address} <= set(devices), f"list has {set(devices)}")
        [other] = devices[mixed.address]["group"]["others"]
        equal("the sibling", other, {"address": host.address, "driver": host.driver, "bridge": False})
        equal("driver", devices[host.address]["driver"], "virtio-pci")
        check(not devices[host.address]["vfio"], "the host's is taken for VFIO's")


async def list_all():
    """Everything that has a group, bridges too."""
    found = {d["address"] for d in told("list", "--all")["devices"]}
    groups = "/sys/kernel/iommu_groups"
    equal("devices", found, {d for g in os.listdir(groups) for d in os.listdir(f"{groups}/{g}/devices")})
    status, out, err = call("list", "00:1e.7", Pci("edu0").address)
    check(status == 1 and "no such device" in err and Pci("edu0").address in out, f"list: {status} {out} {err}")


async def mediated():
    write(f"{MTTY}/mdev_supported_types/mtty-1/create", UUID)
    try:
        [device] = told("list", UUID)["devices"]
        check(device["vfio"] and device["bus"] == "mdev" and device["node"], f"not VFIO's: {device}")
        check(UUID in [d["address"] for d in told("list")["devices"]], "list lacks it")
        with vfio.bound(device["node"]):
            [holder] = told("list", UUID)["devices"][0]["holders"]
            equal("pid", holder["pid"], os.getpid())
        refused("not on the PCI bus", "bind", UUID)
    finally:
        write(f"/sys/bus/mdev/devices/{UUID}/remove", "1")


async def bind_group():
    """One address takes the group, and one gives it back."""
    pair = Pci("pair0"), Pci("pair1")
    quiet("bind", pair[0].address)
    equal("drivers", [d.driver for d in pair], ["vfio-pci"] * 2)
    # Once more is no error, and changes nothing.
    quiet("bind", pair[1].address)
    quiet("restore", pair[1].address)
    equal("drivers", [d.driver for d in pair], [None] * 2)
    refused("does not know its driver", "restore", pair[0].address)


async def restore_igb():
    igb = Pci("igb0")
    equal("driver", igb.driver, "igb")
    with bound_by_vfioctl(igb):
        equal("driver", igb.driver, "vfio-pci")
        equal("noted", json.loads(read(STATE))[igb.address]["driver"], "igb")
    equal("driver", igb.driver, "igb")
    check(igb.interface(), "it has no interface again")


async def restore_all():
    igb, edu = Pci("igb0"), Pci("edu0")
    quiet("bind", igb.address, edu.address)
    quiet("unbind", igb.address)
    equal("unbound", (igb.driver, igb.override), (None, "(null)"))
    quiet("restore", "--all")
    equal("drivers", (igb.driver, edu.driver), ("igb", None))


async def dry_run():
    """Nothing changes, and what is printed, done by a shell, is what bind does."""
    pair, igb = (Pci("pair0"), Pci("pair1")), Pci("igb0")
    before = snapshot()
    status, script, err = call("bind", "--dry-run", pair[0].address, igb.address)
    equal("dry run", (status, err), (0, ""))
    report = told("bind", "-n", pair[0].address, igb.address)
    check(report["dry_run"] and len(report["actions"]) == len(script.splitlines()), f"{report} {script}")
    equal("the tree", snapshot(), before)
    subprocess.run(["sh", "-e"], input=script, text=True, check=True)
    equal("drivers", [d.driver for d in (*pair, igb)], ["vfio-pci"] * 3)
    for device in *pair, igb:
        device.give_to(None)
    write("/sys/bus/pci/drivers_probe", igb.address)


async def rollback():
    """The second device of a group does not take the driver: the first one is what it was."""
    host, edu = Pci("mixed0"), Pci("mixed1")
    host.give_to(None)
    before = snapshot()
    try:
        refused("nothing was changed", "bind", "--driver", "virtio-pci", edu.address)
        equal("the tree", snapshot(), before)
    finally:
        write("/sys/bus/pci/drivers_probe", host.address)
    equal("driver", host.driver, "virtio-pci")


def examples(page):
    """The commands that a man page has under EXAMPLES."""
    text = read(f"/vfioctl/man/{page}.8").partition(".SH EXAMPLES\n")[2]
    return [line.replace("\\-", "-") for line in re.findall(r"^\.TP\n\\fB(.+)\\fR$", text, re.M)]


async def man_pages():
    """Every example of the man pages works, page by page; of what they change nothing is left."""
    done = []
    for page in "", "-list", "-bind", "-unbind", "-restore", "-why", "-doctor":
        for line in examples(f"vfioctl{page}"):
            program, *words = line.split()
            status, out, err = call(*words)
            # These two tell by it what they found.
            check(program == "vfioctl" and status in ((0, 1) if words[0] in ("why", "doctor") else (0,)) and not err,
                  f"{line}: {status} {out} {err}")
            done.append(words[0])
    equal("commands", set(done), {"list", "bind", "unbind", "restore", "why", "doctor"})
    equal("pages", sorted(os.listdir("/vfioctl/man")),
          sorted(f"vfioctl{page}.8" for page in ("", *(f"-{word}" for word in set(done)))))


async def in_use():
    """What somebody has open is not taken; what he has closed is."""
    edu = Pci("edu0")
    with bound_by_vfioctl(edu):
        for path in edu.node, edu.group_node:
            with (vfio.bound if path == edu.node else opened)(path):
                refused(f"({os.getpid()})", "unbind", edu.address)
                refused(f"({os.getpid()})", "restore", edu.address)
                equal("driver", edu.driver, "vfio-pci")
        quiet("unbind", edu.address)
        equal("driver", edu.driver, None)


async def loads_driver():
    """The driver's module is loaded if it is missing."""
    release = f"/lib/modules/{os.uname().release}"
    os.makedirs(release)
    for name in "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio", "iommufd", "irqbypass":
        path = f"/modules/{CORE}/vfio.ko" if name == "vfio" else f"/modules/{name}.ko"
        os.symlink(path, f"{release}/{name}.ko")
    subprocess.run(["depmod"], check=True)
    subprocess.run(["rmmod", "vfio_pci"], check=True)
    equal("doctor", findings()["vfio-pci"], "warn")
    edu = Pci("edu0")
    equal("actions", told("bind", "-n", edu.address)["actions"][0], {"modprobe": "vfio-pci"})
    with bound_by_vfioctl(edu):
        equal("driver", edu.driver, "vfio-pci")
    refused("no driver nonsense", "bind", "--driver", "nonsense", edu.address)


async def why_free():
    edu = Pci("edu0")
    [driver] = reasons(edu, "driver")
    check(f"vfioctl bind {edu.address}" in driver["do"], f"{driver}")
    with bound_by_vfioctl(edu):
        # Other scenarios may have left refusals in the log.
        found = [r["kind"] for r in json.loads(call("--json", "why", edu.address)[1])["reasons"]]
        equal("reasons", [kind for kind in found if kind != "refused"], [])
    pair = Pci("pair0")
    with bound_by_vfioctl(pair):
        equal("why", call("why", pair.address), (0, "", ""))


async def why_sibling():
    mixed, host = Pci("mixed1"), Pci("mixed0")
    with only(mixed):
        [reason] = reasons(mixed, "sibling")
        check(host.address in reason["what"] and "virtio-pci" in reason["what"], f"{reason}")
        check(f"vfioctl bind {mixed.address}" in reason["do"], f"{reason}")
        status, out, err = call("why", mixed.address)
        equal("lines", (status, len(out.splitlines()), err), (1, 1, ""))
    # What it says to do helps.
    with bound_by_vfioctl(mixed):
        equal("why", call("why", mixed.address), (0, "", ""))
    equal("driver", host.driver, "virtio-pci")


async def why_holder():
    edu = Pci("edu0")
    with bound_by_vfioctl(edu):
        with vfio.bound(edu.node):
            [reason] = reasons(edu, "holder")
            equal("pid", reason["holder"]["pid"], os.getpid())
        with opened(edu.group_node):
            [reason] = reasons(edu, "group-file")
            equal("pid", reason["holder"]["pid"], os.getpid())


async def why_refused():
    """Our core writes why it refused a bind; the C core does not, and nothing is made up."""
    edu = Pci("edu0")
    with bound_by_vfioctl(edu):
        with opened(edu.group_node), opened(edu.node) as fd, opened("/dev/iommu") as iommufd:
            try:
                vfio.bind(fd, iommufd)
                check(False, "the bind was not refused")
            except OSError:
                pass
            found = reasons(edu, "refused")
        if CORE == "c":
            equal("refusals", found, [])
            return
        [refusal] = [r["refusal"] for r in found if r["refusal"]["pid"] == os.getpid()]
        equal("refusal", (refusal["call"], refusal["reason"], refusal["errno"]),
              ("bind", "the group's file is open", -16))


async def unprivileged():
    """Who is nobody sees what he can, is told what he could not, and changes nothing."""
    edu = Pci("edu0")
    with bound_by_vfioctl(edu), vfio.bound(edu.node):
        listed = told("list", edu.address, user=NOBODY)
        equal("driver", listed["devices"][0]["driver"], "vfio-pci")
        equal("unseen", [what for what in listed["unseen"] if "/proc" in what], [])
        check("the open files of other users' processes" in listed["unseen"], f"unseen: {listed['unseen']}")
        check(not listed["devices"][0]["holders_complete"], "it takes the holders for complete")
        status, out, err = call("list", edu.address, user=NOBODY)
        check(status == 0 and edu.address in out and "run it as root" in err, f"list: {status} {out} {err}")
        kinds = [r["kind"] for r in told("why", edu.address, status=1, user=NOBODY)["reasons"]]
        equal("nodes that he may not open", kinds.count("permission"), 2)
        before = snapshot()
        refused("run it as root", "bind", Pci("pair0").address, user=NOBODY)
        refused("run it as root", "restore", edu.address, user=NOBODY)
        equal("the tree", snapshot(), before)
        check(told("bind", "-n", Pci("pair0").address, user=NOBODY)["actions"], "no dry run")
        told("doctor", user=NOBODY)


async def usage():
    edu = Pci("edu0")
    for words in [], ["list", "nonsense"], ["bind"], ["bind", "00:20.0"], ["restore"], ["why"], ["frob"]:
        equal(f"status of {words}", call(*words)[0], 2)
    equal("short", told("list", edu.address.removeprefix("0000:"))["devices"][0]["address"], edu.address)
    refused("no such device", "why", "00:1e.7")
    refused("is a bridge", "bind", Pci("rp1").address)
    # Nobody reads on: no error, and no panic.
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([PROGRAM, "list", "--all", "-v"], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        equal("what it says", process.stderr.read(), b"")
    equal("status", process.returncode, 0)


async def colours():
    """A terminal gets them, unless NO_COLOR is set; a pipe does not."""
    def on_terminal(**environment):
        ours, theirs = os.openpty()
        try:
            subprocess.run([PROGRAM, "doctor"], stdout=theirs, env={**os.environ, **environment}, check=True)
            return os.read(ours, 1 << 16)
        finally:
            os.close(ours)
            os.close(theirs)
    check(b"\x1b[" in on_terminal(TERM="xterm"), "no colours on a terminal")
    check(b"\x1b[" not in on_terminal(TERM="xterm", NO_COLOR="1"), "colours in spite of NO_COLOR")
    check("\x1b" not in call("doctor")[1], "colours in a pipe")


async def stalled():
    """While an unbinding waits for a user of the device, list, why and doctor come to their ends."""
    edu = Pci("edu0")
    with bound_by_vfioctl(edu):
        node = edu.node
        with contextlib.ExitStack() as files:
            files.enter_context(vfio.bound(node))
            # pylint: disable-next=consider-using-with
            waiting = subprocess.Popen(["sh", "-c", f"echo {edu.address} >{edu.path}/driver/unbind"])
            while os.path.exists(node):
                await asyncio.sleep(0.1)
            told("list", "--all")
            call("why", edu.address)
            findings()
            equal("unbind", waiting.poll(), None)
        equal("unbind", waiting.wait(), 0)


async def races():
    """Devices that come and go meanwhile are no errors."""
    edu = Pci("edu0")
    script = (f"while :; do echo vfio-pci >{edu.path}/driver_override; echo {edu.address} >/sys/bus/pci/drivers_probe; "
              f"echo {edu.address} >{edu.path}/driver/unbind; done")
    with subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(20):
                told("list", "--all")
                status, _, err = call("why", edu.address)
                check(status in (0, 1) and not err, f"why: {status} {err}")
        finally:
            process.send_signal(signal.SIGKILL)
    edu.give_to(None)


async def doctor():
    """What a machine with an IOMMU has, and a configuration that makes no sense."""
    found = findings()
    for name in "iommu", "interrupt-remapping", "core", "vfio-pci", "type1", "iommufd", "nodes", "unsafe", "modprobe":
        equal(name, found[name], "ok")
    [core] = [f["what"] for f in told("doctor")["findings"] if f["name"] == "core"]
    check(("Rust" in core) == (CORE == "rust"), core)
    os.makedirs("/etc/modprobe.d", exist_ok=True)
    write("/etc/modprobe.d/test.conf", "options vfio-pci ids=1234:ffff,8086:10c9\nblacklist vfio-pci\n")
    try:
        found = findings()
        equal("verdicts", (found["ids"], found["modprobe"]), ("warn", "warn"))
        texts = [f["what"] for f in told("doctor")["findings"] if f["name"] == "ids"]
        equal("ids", [("claims nothing" in t, Pci("igb0").address in t) for t in texts], [(True, False), (False, True)])
    finally:
        os.unlink("/etc/modprobe.d/test.conf")


# ---- a machine with a disk and NICs

async def mounted_disk():
    nvme = Pci("nvme0")
    said("mkfs.fat", DISK)
    before = snapshot()
    with vfio.mounted(DISK, "/mnt/disk"):
        refused("nvme0n1 is mounted at /mnt/disk", "bind", nvme.address)
        [reason] = reasons(nvme, "machine")
        check("/mnt/disk" in reason["what"], f"{reason}")
        equal("the tree", snapshot(), before)
    with bound_by_vfioctl(nvme):
        equal("driver", nvme.driver, "vfio-pci")
    equal("driver", nvme.driver, "nvme")
    equal("the tree", snapshot(), before)


async def swap():
    said("mkswap", DISK)
    said("swapon", DISK)
    try:
        refused("nvme0n1 is swap", "bind", Pci("nvme0").address)
    finally:
        said("swapoff", DISK)


async def mounted_elsewhere():
    """A mount that only another name space has is known to the kernel."""
    said("mkfs.fat", DISK)
    os.makedirs("/mnt/apart", exist_ok=True)
    process = vfio.mount_apart(DISK, "/mnt/apart")
    try:
        check("nvme" not in read("/proc/self/mountinfo"), "this name space has the mount")
        refused("claimed", "bind", Pci("nvme0").address)
        # It takes an open of the disk to know, and why opens nothing.
        equal("why", reasons(Pci("nvme0"), "machine"), [])
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


async def mapper():
    """A volume of LVM's kind on the disk, idle and mounted."""
    nvme = Pci("nvme0")
    with vfio.mapped(DISK, "volume") as node:
        name = os.path.basename(node)
        refused(f"nvme0n1 carries {name} (volume, LVM)", "bind", nvme.address)
        said("mkfs.fat", node)
        with vfio.mounted(node, "/mnt/disk"):
            refused(f"{name} (volume, LVM) is mounted at /mnt/disk", "bind", nvme.address)
    with bound_by_vfioctl(nvme):
        equal("driver", nvme.driver, "vfio-pci")


async def default_route():
    nic = Pci("e1000e0")
    interface = nic.interface()
    before = snapshot()
    with vfio.default_route(interface):
        refused(f"{interface} is the way of a default route", "bind", nic.address)
        equal("the tree", snapshot(), before)
    with vfio.default_route(interface, "table", "77"):
        refused(f"{interface} is the way of a default route", "bind", nic.address)
    with bound_by_vfioctl(nic):
        equal("driver", nic.driver, "vfio-pci")
    equal("driver", nic.driver, "e1000e")


async def bond():
    nic = Pci("e1000e0")
    interface = nic.interface()
    with vfio.bond_of(interface) as above, vfio.default_route(above):
        refused(f"{interface} is the way of a default route, under bond0", "bind", nic.address)


async def force():
    """Whoever insists gets it, and gets it back."""
    nic = Pci("e1000e0")
    interface = nic.interface()
    said("ip", "link", "set", interface, "up")
    said("ip", "route", "add", "default", "dev", interface)
    quiet("bind", "--force", nic.address)
    equal("driver", nic.driver, "vfio-pci")
    quiet("restore", nic.address)
    equal("driver", nic.driver, "e1000e")


# ---- a machine with PASIDs

async def list_pasids():
    device = Pci("sva0")
    with bound_by_vfioctl(device), vfio.bound(device.node) as (fd, iommufd, devid):
        vfio.attach_pasids(fd, iommufd, devid, [1, 2, 3, 7])
        [holder] = device.listed["holders"]
        equal("PASIDs", holder["pasids"], "1-3,7" if CORE == "rust" else None)


# ---- a machine without an IOMMU

async def without_iommu():
    edu = Pci("edu0")
    found = findings(status=1)
    equal("doctor", (found["iommu"], found["unsafe"]), ("fail", "ok"))
    check(reasons(edu, "no-iommu"), "why does not say that there is no IOMMU")
    refused("has no IOMMU", "bind", edu.address)
    equal("list", told("list", "--all")["devices"], [])


async def noiommu():
    edu = Pci("edu0")
    write(NOIOMMU, "1")
    try:
        equal("doctor", findings(status=1)["unsafe"], "warn")
        with bound_by_vfioctl(edu):
            [device] = told("list")["devices"]
            equal("group", device["group"]["name"], "vfio-noiommu")
            check(device["group"]["node"].startswith("/dev/vfio/noiommu-"), f"node {device['group']['node']}")
            equal("doctor", findings(status=1)["iommu"], "fail")
            with opened(device["group"]["node"]):
                [holder] = told("list")["devices"][0]["group"]["holders"]
                equal("pid", holder["pid"], os.getpid())
    finally:
        write(NOIOMMU, "0")


SCENARIOS = [list_bound, list_holder, list_siblings, list_all, mediated, bind_group, restore_igb, restore_all,
             dry_run, rollback, man_pages, in_use, why_free, why_sibling, why_holder, why_refused, unprivileged,
             usage, colours, stalled, races, doctor, loads_driver, mounted_disk, swap, mounted_elsewhere, mapper,
             default_route, bond, force, list_pasids, without_iommu, noiommu]
# Where each of them runs; the usual machine if it is not here.
PLACES = {mounted_disk: "guest", swap: "guest", mounted_elsewhere: "guest", mapper: "guest", default_route: "guest",
          bond: "guest", force: "guest", list_pasids: "pasid", without_iommu: "noiommu", noiommu: "noiommu"}


def trouble_of(scenario):
    before = snapshot()
    trouble = attempt(scenario)
    after = snapshot()
    if after != before:
        changes = [f"{a} before, {b} after" for a, b in zip(before[0] + [before[1]], after[0] + [after[1]]) if a != b]
        trouble.append(f"it leaves other drivers than there were: {'; '.join(changes)}")
    return trouble


def main():
    machine, names = sys.argv[1], sys.argv[2:]
    return tap([s for s in SCENARIOS if s.__name__ in names and PLACES.get(s, "default") == machine], trouble_of)


if __name__ == "__main__":
    sys.exit(main())
