// SPDX-License-Identifier: GPL-2.0-only

//! What the machine stands on: disks with mounted file systems, the way to the network, the console.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::device::Device;
use crate::sysfs::Sysfs;

/// Something that ends when the device's driver goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Use {
    /// mount, swap, block, route, console
    pub kind: &'static str,
    pub what: String,
}

impl Use {
    fn new(kind: &'static str, what: String) -> Self {
        Self { kind, what }
    }
}

/// The folders of a device and of its virtual functions, which go with its driver.
fn folders(sys: &Sysfs, device: &Device) -> Vec<String> {
    let mut folders = vec![device.folder.clone()];
    for name in sys.list(&device.folder) {
        if name.starts_with("virtfn") {
            folders.extend(sys.real(&format!("{}/{name}", device.folder)));
        }
    }
    folders
}

/// All such of a device and of its virtual functions, as far as files tell.  Nothing is opened.
pub fn by_machine(sys: &Sysfs, device: &Device) -> Vec<Use> {
    let mut uses = Vec::new();
    for folder in &folders(sys, device) {
        uses.extend(disks(sys, folder));
        uses.extend(network(sys, folder));
        uses.extend(consoles(sys, folder));
    }
    uses
}

/// The names in a class whose device is in a folder.
fn class_below(sys: &Sysfs, class: &str, folder: &str) -> BTreeSet<String> {
    let below = format!("{folder}/");
    sys.list(&format!("/sys/class/{class}"))
        .into_iter()
        .filter(|name| {
            sys.real(&format!("/sys/class/{class}/{name}"))
                .is_some_and(|real| real.starts_with(&below))
        })
        .collect()
}

/// Adds to a set what `more` says of each that is in it, until nothing new comes.
fn closure(start: BTreeSet<String>, more: impl Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let mut todo: Vec<String> = start.iter().cloned().collect();
    let mut all = start;
    while let Some(name) = todo.pop() {
        for found in more(&name) {
            if all.insert(found.clone()) {
                todo.push(found);
            }
        }
    }
    all
}

/// The block devices of a folder, with their partitions and with all that is made of them.
fn block_devices(sys: &Sysfs, folder: &str) -> BTreeSet<String> {
    let mut own = class_below(sys, "block", folder);
    // A disk that may be reached in several ways lies with its NVMe subsystem, and not with a controller.
    for subsystem in sys.list("/sys/class/nvme-subsystem") {
        let at = format!("/sys/class/nvme-subsystem/{subsystem}");
        let ours = sys.list(&at).iter().any(|name| {
            sys.real(&format!("{at}/{name}"))
                .is_some_and(|real| real.starts_with(&format!("{folder}/")))
        });
        if let (true, Some(real)) = (ours, sys.real(&at)) {
            own.extend(class_below(sys, "block", &real));
        }
    }
    closure(own, |name| {
        let at = format!("/sys/class/block/{name}");
        let mut found = sys.list(&format!("{at}/holders"));
        found.extend(
            sys.list(&at)
                .into_iter()
                .filter(|part| sys.exists(&format!("{at}/{part}/partition"))),
        );
        // Loop devices hold what they are made of without saying so.
        found.extend(sys.list("/sys/class/block").into_iter().filter(|other| {
            sys.read(&format!("/sys/class/block/{other}/loop/backing_file"))
                .is_some_and(|file| block_name(sys, &file).as_deref() == Some(name))
        }));
        found
    })
}

/// The kernel's name of what a path in /dev leads to.
fn block_name(sys: &Sysfs, path: &str) -> Option<String> {
    let real = sys.real(path).unwrap_or_else(|| path.to_owned());
    Some(real.strip_prefix("/dev/")?.to_owned())
}

/// What a device-mapper or RAID device is, for a reader.
fn describe_block(sys: &Sysfs, name: &str) -> String {
    let read = |file: &str| sys.read(&format!("/sys/class/block/{name}/{file}"));
    let uuid = read("dm/uuid").unwrap_or_default();
    let kind = match uuid.split('-').next() {
        Some("LVM") => "LVM",
        Some("CRYPT") => "encrypted",
        _ => "device mapper",
    };
    match (read("dm/name"), read("md/level")) {
        (Some(dm), _) => format!("{name} ({dm}, {kind})"),
        (None, Some(level)) => format!("{name} ({level})"),
        (None, None) => name.to_owned(),
    }
}

fn disks(sys: &Sysfs, folder: &str) -> Vec<Use> {
    let blocks = block_devices(sys, folder);
    if blocks.is_empty() {
        return Vec::new();
    }
    let mut uses = mounts(sys, &blocks);
    let swaps = sys.read("/proc/swaps").unwrap_or_default();
    for line in swaps.lines().skip(1) {
        if let Some(name) = line
            .split_whitespace()
            .next()
            .and_then(|path| block_name(sys, path))
        {
            if blocks.contains(&name) {
                uses.push(Use::new(
                    "swap",
                    format!("{} is swap", describe_block(sys, &name)),
                ));
            }
        }
    }
    for name in &blocks {
        let above = sys.list(&format!("/sys/class/block/{name}/holders"));
        if !above.is_empty() {
            let above: Vec<_> = above.iter().map(|a| describe_block(sys, a)).collect();
            uses.push(Use::new(
                "block",
                format!("{name} carries {}", above.join(", ")),
            ));
        }
    }
    uses
}

/// A disk that a mount in another name space, ZFS or something else has claimed for itself.  The kernel
/// alone knows, and tells whoever opens the disk: this is for those who are about to take it.
pub fn claimed_disk(sys: &Sysfs, device: &Device) -> Option<Use> {
    if !sys.is_live() {
        return None;
    }
    let disks = folders(sys, device)
        .into_iter()
        .flat_map(|folder| block_devices(sys, &folder));
    disks
        .into_iter()
        .find(|name| is_claimed(sys, name))
        .map(|name| {
            Use::new(
                "block",
                format!("{name} is claimed by a file system, or by what else uses disks"),
            )
        })
}

/// Does the kernel refuse to claim it once more?
fn is_claimed(sys: &Sysfs, name: &str) -> bool {
    use rustix::fs::{open, Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK | OFlags::CLOEXEC;
    matches!(
        open(sys.at(&format!("/dev/{name}")), flags, Mode::empty()),
        Err(rustix::io::Errno::BUSY)
    )
}

/// In mountinfo, blanks and the like are octal numbers.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, blank)| {
            text.replace(code, blank)
        })
}

fn mounts(sys: &Sysfs, blocks: &BTreeSet<String>) -> Vec<Use> {
    let numbers: BTreeMap<String, &String> = blocks
        .iter()
        .filter_map(|name| Some((sys.read(&format!("/sys/class/block/{name}/dev"))?, name)))
        .collect();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Those of this process may be fewer, in a sandbox.
    for path in ["/proc/self/mountinfo", "/proc/1/mountinfo"] {
        for line in sys.read(path).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let (Some(number), Some(point)) = (words.get(2), words.get(4)) else {
                continue;
            };
            let source = words
                .iter()
                .position(|w| *w == "-")
                .and_then(|at| words.get(at + 2));
            // A file system of several disks has a number of its own.
            let by_source = || blocks.get(&block_name(sys, &unescape(source?))?);
            if let Some(name) = numbers.get(*number).copied().or_else(by_source) {
                let points = found.entry(name.clone()).or_default();
                if !points.contains(&unescape(point)) {
                    points.push(unescape(point));
                }
            }
        }
    }
    let mut uses: Vec<Use> = found
        .into_iter()
        .map(|(name, points)| {
            Use::new(
                "mount",
                format!(
                    "{} is mounted at {}",
                    describe_block(sys, &name),
                    points.join(", ")
                ),
            )
        })
        .collect();
    // btrfs is mounted by one of its disks, and lists them all.
    for uuid in sys.list("/sys/fs/btrfs") {
        for name in sys.list(&format!("/sys/fs/btrfs/{uuid}/devices")) {
            if blocks.contains(&name)
                && !uses.iter().any(|u| u.what.starts_with(&format!("{name} ")))
            {
                uses.push(Use::new(
                    "mount",
                    format!("{name} is a disk of the mounted btrfs {uuid}"),
                ));
            }
        }
    }
    uses
}

/// The interfaces that default routes lead to.
fn default_routes(sys: &Sysfs) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in sys
        .read("/proc/net/route")
        .unwrap_or_default()
        .lines()
        .skip(1)
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let (Some(name), Some(&"00000000"), Some(&"00000000")) =
            (words.first(), words.get(1), words.get(7))
        {
            found.insert((*name).to_owned());
        }
    }
    let nowhere = "0".repeat(32);
    for line in sys.read("/proc/net/ipv6_route").unwrap_or_default().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags = words
            .get(8)
            .and_then(|w| u32::from_str_radix(w, 16).ok())
            .unwrap_or(0);
        // RTF_REJECT: the kernel's own, by way of lo.
        if words.first() == Some(&nowhere.as_str())
            && words.get(1) == Some(&"00")
            && flags & 0x200 == 0
        {
            found.extend(words.last().map(|name| (*name).to_owned()));
        }
    }
    if sys.is_live() {
        found.extend(crate::routes::defaults().unwrap_or_default());
    }
    found
}

fn network(sys: &Sysfs, folder: &str) -> Vec<Use> {
    let own = class_below(sys, "net", folder);
    if own.is_empty() {
        return Vec::new();
    }
    let defaults = default_routes(sys);
    own.into_iter()
        .filter_map(|name| {
            // Bonds, bridges and VLANs above it
            let all = closure(BTreeSet::from([name.clone()]), |name| {
                let at = format!("/sys/class/net/{name}");
                let mut above: Vec<String> = sys
                    .list(&at)
                    .iter()
                    .filter_map(|entry| Some(entry.strip_prefix("upper_")?.to_owned()))
                    .collect();
                above.extend(sys.link(&format!("{at}/master")));
                above
            });
            let by = all.intersection(&defaults).next()?;
            let under = if *by == name {
                String::new()
            } else {
                format!(", under {by}")
            };
            Some(Use::new(
                "route",
                format!("{name} is the way of a default route{under}"),
            ))
        })
        .collect()
}

fn consoles(sys: &Sysfs, folder: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    let frame_buffers = class_below(sys, "graphics", folder);
    let on_frame_buffer = sys.list("/sys/class/vtconsole").iter().any(|name| {
        let read = |file: &str| {
            sys.read(&format!("/sys/class/vtconsole/{name}/{file}"))
                .unwrap_or_default()
        };
        read("name").contains("frame buffer") && read("bind") == "1"
    });
    if sys.flag(&format!("{folder}/boot_vga")) {
        uses.push(Use::new(
            "console",
            "it is the console's GPU (boot_vga)".into(),
        ));
    } else if let (Some(name), true) = (frame_buffers.first(), on_frame_buffer) {
        uses.push(Use::new(
            "console",
            format!("the console is on its frame buffer {name}"),
        ));
    }
    let active = sys
        .read("/sys/class/tty/console/active")
        .unwrap_or_default();
    for name in class_below(sys, "tty", folder) {
        if active.split_whitespace().any(|console| console == name) {
            uses.push(Use::new("console", format!("{name} is a console")));
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::Tree;

    const ADDRESS: &str = "0000:00:03.0";

    fn uses(tree: &Tree) -> Vec<String> {
        let sys = tree.sysfs();
        let device = Device::find(&sys, &ADDRESS.parse().unwrap()).unwrap();
        by_machine(&sys, &device)
            .into_iter()
            .map(|u| format!("{}: {}", u.kind, u.what))
            .collect()
    }

    fn block(tree: &Tree, folder: &str, name: &str, number: &str) {
        tree.file(&format!("{folder}/dev"), &format!("{number}\n"))
            .folder(&format!("{folder}/holders"))
            .link(&format!("/sys/class/block/{name}"), folder)
            .file(&format!("/dev/{name}"), "");
    }

    /// A disk with a partition.
    fn disk() -> Tree {
        let tree = Tree::new();
        let folder = tree.pci(ADDRESS, "0x010802", Some(7), Some("nvme"));
        let at = format!("{folder}/nvme/nvme0/nvme0n1");
        block(&tree, &at, "nvme0n1", "259:0");
        block(&tree, &format!("{at}/nvme0n1p1"), "nvme0n1p1", "259:1");
        tree.file(&format!("{at}/nvme0n1p1/partition"), "1\n");
        tree
    }

    #[test]
    fn idle_disk() {
        let tree = disk();
        tree.file(
            "/proc/self/mountinfo",
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
        )
        .file("/proc/swaps", "Filename Type\n/dev/sda2 partition 1 0 -2\n");
        assert!(uses(&tree).is_empty());
    }

    #[test]
    fn mounted() {
        let tree = disk();
        tree.file(
            "/proc/self/mountinfo",
            "22 1 259:1 / /a\\040b rw shared:1 - ext4 /dev/root rw\nbroken\n",
        )
        .file(
            "/proc/1/mountinfo",
            "22 1 259:1 / / rw - ext4 /dev/root rw\n",
        );
        assert_eq!(uses(&tree), ["mount: nvme0n1p1 is mounted at /a b, /"]);
    }

    #[test]
    fn swap() {
        let tree = disk();
        tree.file(
            "/proc/swaps",
            "Filename Type\n/dev/disk/by-label/s partition 1 0 -2\n",
        )
        .link("/dev/disk/by-label/s", "/dev/nvme0n1p1");
        assert_eq!(uses(&tree), ["swap: nvme0n1p1 is swap"]);
    }

    #[test]
    fn mapper_on_nvme() {
        let tree = disk();
        let part = format!("/sys/devices/pci0000:00/{ADDRESS}/nvme/nvme0/nvme0n1/nvme0n1p1");
        for (name, number, title, uuid) in [
            ("dm-0", "253:0", "luks", "CRYPT-LUKS2-x"),
            ("dm-1", "253:1", "vg-root", "LVM-y"),
        ] {
            let at = format!("/sys/devices/virtual/block/{name}");
            block(&tree, &at, name, number);
            tree.file(&format!("{at}/dm/name"), title)
                .file(&format!("{at}/dm/uuid"), uuid);
        }
        tree.link(
            &format!("{part}/holders/dm-0"),
            "/sys/devices/virtual/block/dm-0",
        )
        .link(
            "/sys/devices/virtual/block/dm-0/holders/dm-1",
            "/sys/devices/virtual/block/dm-1",
        )
        .file(
            "/proc/self/mountinfo",
            "22 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw\n",
        );
        assert_eq!(
            uses(&tree),
            [
                "mount: dm-1 (vg-root, LVM) is mounted at /",
                "block: dm-0 carries dm-1 (vg-root, LVM)",
                "block: nvme0n1p1 carries dm-0 (luks, encrypted)"
            ]
        );
    }

    #[test]
    fn raid_and_loop() {
        let tree = disk();
        let part = format!("/sys/devices/pci0000:00/{ADDRESS}/nvme/nvme0/nvme0n1/nvme0n1p1");
        block(&tree, "/sys/devices/virtual/block/md0", "md0", "9:0");
        block(&tree, "/sys/devices/virtual/block/loop0", "loop0", "7:0");
        tree.link(
            &format!("{part}/holders/md0"),
            "/sys/devices/virtual/block/md0",
        )
        .file("/sys/devices/virtual/block/md0/md/level", "raid1\n")
        .file(
            "/sys/devices/virtual/block/loop0/loop/backing_file",
            "/dev/md0\n",
        )
        .file(
            "/proc/self/mountinfo",
            "22 1 7:0 / /mnt rw - ext4 /dev/loop0 rw\n",
        );
        assert_eq!(
            uses(&tree),
            [
                "mount: loop0 is mounted at /mnt",
                "block: nvme0n1p1 carries md0 (raid1)"
            ]
        );
    }

    #[test]
    fn several_paths_and_btrfs() {
        let tree = Tree::new();
        let folder = tree.pci(ADDRESS, "0x010802", Some(7), Some("nvme"));
        let subsystem = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
        tree.folder(&format!("{folder}/nvme/nvme0"))
            .link("/sys/class/nvme-subsystem/nvme-subsys0", subsystem)
            .link(
                &format!("{subsystem}/nvme0"),
                &format!("{folder}/nvme/nvme0"),
            );
        block(&tree, &format!("{subsystem}/nvme0n1"), "nvme0n1", "259:0");
        tree.link(
            "/sys/fs/btrfs/1-2/devices/nvme0n1",
            &format!("{subsystem}/nvme0n1"),
        )
        .file(
            "/proc/self/mountinfo",
            "22 1 0:33 / / rw - btrfs /dev/sda rw\n",
        );
        assert_eq!(
            uses(&tree),
            ["mount: nvme0n1 is a disk of the mounted btrfs 1-2"]
        );
    }

    fn nic() -> Tree {
        let tree = Tree::new();
        let folder = tree.pci(ADDRESS, "0x020000", Some(7), Some("igb"));
        tree.folder(&format!("{folder}/net/eth0"))
            .link("/sys/class/net/eth0", &format!("{folder}/net/eth0"));
        tree
    }

    #[test]
    fn default_route() {
        let tree = nic();
        tree.file(
            "/proc/net/route",
            "Iface Destination\neth0 0002000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
        );
        assert!(uses(&tree).is_empty());
        tree.file(
            "/proc/net/route",
            "Iface Destination\neth0 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n",
        );
        assert_eq!(uses(&tree), ["route: eth0 is the way of a default route"]);
    }

    #[test]
    fn default_route_of_ipv6() {
        let tree = nic();
        let zero = "0".repeat(32);
        let route = |name: &str, flags: &str| {
            format!("{zero} 00 {zero} 00 {zero} 00000400 1 0 {flags} {name}\n")
        };
        tree.file("/proc/net/ipv6_route", &route("lo", "00200200"));
        assert!(uses(&tree).is_empty());
        tree.file(
            "/proc/net/ipv6_route",
            &(route("lo", "00200200") + &route("eth0", "00000003")),
        );
        assert_eq!(uses(&tree), ["route: eth0 is the way of a default route"]);
    }

    #[test]
    fn bond_and_vlan_above() {
        let tree = nic();
        let virt = "/sys/devices/virtual/net";
        for name in ["bond0", "bond0.7"] {
            tree.folder(&format!("{virt}/{name}"))
                .link(&format!("/sys/class/net/{name}"), &format!("{virt}/{name}"));
        }
        tree.link(
            &format!("/sys/devices/pci0000:00/{ADDRESS}/net/eth0/master"),
            &format!("{virt}/bond0"),
        )
        .link(
            &format!("{virt}/bond0/upper_bond0.7"),
            &format!("{virt}/bond0.7"),
        )
        .file(
            "/proc/net/route",
            "Iface\nbond0.7 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n",
        );
        assert_eq!(
            uses(&tree),
            ["route: eth0 is the way of a default route, under bond0.7"]
        );
    }

    #[test]
    fn virtual_functions_go_too() {
        let tree = nic();
        let virt = tree.pci("0000:00:03.1", "0x020000", Some(8), Some("igbvf"));
        tree.folder(&format!("{virt}/net/eth1"))
            .link("/sys/class/net/eth1", &format!("{virt}/net/eth1"))
            .link(&format!("/sys/devices/pci0000:00/{ADDRESS}/virtfn0"), &virt)
            .file(
                "/proc/net/route",
                "Iface\neth1 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n",
            );
        assert_eq!(uses(&tree), ["route: eth1 is the way of a default route"]);
    }

    #[test]
    fn console() {
        let tree = Tree::new();
        let folder = tree.pci(ADDRESS, "0x030000", Some(7), None);
        assert!(uses(&tree).is_empty());
        tree.file(&format!("{folder}/boot_vga"), "1\n")
            .folder(&format!("{folder}/tty/ttyS4"))
            .link("/sys/class/tty/ttyS4", &format!("{folder}/tty/ttyS4"))
            .file("/sys/class/tty/console/active", "tty0 ttyS4\n");
        assert_eq!(
            uses(&tree),
            [
                "console: it is the console's GPU (boot_vga)",
                "console: ttyS4 is a console"
            ]
        );
    }

    #[test]
    fn frame_buffer() {
        let tree = Tree::new();
        let folder = tree.pci(ADDRESS, "0x038000", Some(7), Some("simpledrm"));
        tree.folder(&format!("{folder}/graphics/fb0"))
            .link("/sys/class/graphics/fb0", &format!("{folder}/graphics/fb0"))
            .file(
                "/sys/class/vtconsole/vtcon1/name",
                "(M) frame buffer device\n",
            )
            .file("/sys/class/vtconsole/vtcon1/bind", "0\n");
        assert!(uses(&tree).is_empty());
        tree.file("/sys/class/vtconsole/vtcon1/bind", "1\n");
        assert_eq!(
            uses(&tree),
            ["console: the console is on its frame buffer fb0"]
        );
    }
}
