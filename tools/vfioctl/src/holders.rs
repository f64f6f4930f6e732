// SPDX-License-Identifier: GPL-2.0-only

//! Who has devices open: what the core in Rust tells in debugfs and fdinfo, and what the links in /proc/PID/fd
//! show on either core.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};

use serde::Serialize;

use crate::core::Core;
use crate::device::Device;
use crate::group::Group;
use crate::sysfs::Sysfs;

/// A process that has a device, or the file of its group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holder {
    pub pid: u32,
    pub name: String,
    /// cdev, group (a device's file by its group), group-file (of the group itself), or what else the core says of
    /// references of the driver: dma-buf, driver, unknown.
    pub access: String,
    /// Does the file keep the device?  None: the core does not tell.
    pub bound: Option<bool>,
    pub pasids: Option<String>,
    pub process_pasids: Option<String>,
    /// A virtual machine that is held, too.
    pub machine: bool,
    /// The process's descriptors; none if somebody else has them, or a mapping or KVM keeps the file.
    pub fds: Vec<u32>,
}

impl Holder {
    /// Is the device in use by it, or may it be?
    pub fn uses(&self) -> bool {
        self.bound != Some(false)
    }

    /// For a reader.
    pub fn describe(&self) -> String {
        let bound = match self.bound {
            _ if self.access == "group-file" => "",
            Some(true) => ", bound",
            Some(false) => ", not bound",
            None => ", bound or not: unknown",
        };
        let pasids = |what, list: &Option<String>| {
            list.as_ref()
                .map(|l| format!(", {what} {l}"))
                .unwrap_or_default()
        };
        format!(
            "{} ({}) by {}{bound}{}{}{}{}",
            self.name,
            self.pid,
            match self.access.as_str() {
                "group-file" => "the group's file",
                "dma-buf" => "a dma-buf",
                other => other,
            },
            pasids("PASIDs", &self.pasids),
            pasids("processes' PASIDs", &self.process_pasids),
            if self.machine {
                ", with a virtual machine"
            } else {
                ""
            },
            if self.fds.is_empty() {
                ", no descriptor left"
            } else {
                ""
            },
        )
    }
}

/// What the open files in /proc show.
#[derive(Default)]
pub struct Files {
    /// By a device's folder in sysfs.
    devices: BTreeMap<String, Vec<Holder>>,
    /// By what VFIO calls a device: files that do not say more.
    names: BTreeMap<String, Vec<Holder>>,
    /// By the name of a group's node.
    groups: BTreeMap<String, Vec<Holder>>,
    /// Were there processes whose files may not be looked at?
    pub partial: bool,
}

/// What a link in /proc/PID/fd leads to.
enum Kind<'a> {
    Node(&'a str),
    ByGroup,
    Group(&'a str),
}

fn kind(link: &str) -> Option<Kind<'_>> {
    if link == "anon_inode:[vfio-device]" {
        return Some(Kind::ByGroup);
    }
    // In a container the folder may have another name before it.
    let (folder, name) = link.trim_end_matches(" (deleted)").rsplit_once('/')?;
    if folder.ends_with("/vfio/devices") {
        return Some(Kind::Node(name));
    }
    let number = name.strip_prefix("noiommu-").unwrap_or(name);
    (folder.ends_with("/vfio") && number.parse::<u32>().is_ok()).then_some(Kind::Group(name))
}

impl Files {
    /// Of all processes that may be looked at.
    pub fn read(sys: &Sysfs) -> Self {
        let mut files = Self::default();
        for pid in sys
            .list("/proc")
            .iter()
            .filter_map(|name| name.parse().ok())
        {
            files.add_process(sys, pid);
        }
        if files.partial {
            sys.not_seen("the open files of other users' processes");
        }
        files
    }

    fn add_process(&mut self, sys: &Sysfs, pid: u32) {
        let folder = format!("/proc/{pid}/fd");
        let is_denied = |error: &Error| error.kind() == ErrorKind::PermissionDenied;
        let fds = sys.entries(&folder);
        self.partial |= fds.as_ref().is_err_and(is_denied);
        for fd in fds.unwrap_or_default() {
            let link = sys.link_text(&format!("{folder}/{fd}"));
            self.partial |= link.as_ref().is_err_and(is_denied);
            let Ok(link) = link else { continue };
            if let (Some(kind), Ok(fd)) = (kind(&link), fd.parse()) {
                self.add_file(sys, pid, fd, &kind);
            }
        }
    }

    fn add_file(&mut self, sys: &Sysfs, pid: u32, fd: u32, kind: &Kind<'_>) {
        let info = sys
            .read(&format!("/proc/{pid}/fdinfo/{fd}"))
            .unwrap_or_default();
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| *field == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        let by_group = matches!(kind, Kind::ByGroup);
        let mut holder = Holder {
            pid,
            name: sys.read(&format!("/proc/{pid}/comm")).unwrap_or_default(),
            access: field("vfio-access")
                .unwrap_or_else(|| if by_group { "group" } else { "cdev" }.into()),
            // A device's file by its group has access as long as it is open, on either core.
            bound: field("vfio-bound")
                .map(|value| value == "yes")
                .or(by_group.then_some(true)),
            pasids: field("vfio-pasids"),
            process_pasids: field("vfio-process-pasids"),
            machine: field("vfio-kvm-machine").is_some(),
            fds: Vec::new(),
        };
        let list = match (field("vfio-device-syspath"), kind) {
            (_, Kind::Group(name)) => {
                holder.access = "group-file".into();
                self.groups.entry((*name).to_owned()).or_default()
            }
            (Some(folder), _) => self.devices.entry(folder).or_default(),
            (None, Kind::Node(name)) => self.names.entry((*name).to_owned()).or_default(),
            // Its device is gone.
            (None, Kind::ByGroup) => return,
        };
        let known = list.iter_mut().find(|other| {
            Holder {
                fds: Vec::new(),
                ..(**other).clone()
            } == holder
        });
        match known {
            Some(known) => known.fds.push(fd),
            None => list.push(Holder {
                fds: vec![fd],
                ..holder
            }),
        }
    }

    /// Those of a device, with what the core adds; not those of its group's file.
    pub fn of_device(&self, sys: &Sysfs, core: Core, device: &Device) -> Vec<Holder> {
        let mut holders = self
            .devices
            .get(&device.folder)
            .cloned()
            .unwrap_or_default();
        if let Some(name) = &device.vfio_name {
            holders.extend(self.names.get(name).into_iter().flatten().cloned());
        }
        if core == Core::Rust && device.vfio {
            let path = format!("/sys/kernel/debug/vfio/{}/holders", device.address);
            let told = sys.read(&path).unwrap_or_default();
            for one in told.lines().filter_map(told_by_core) {
                // Of a process that can be looked at, the files themselves say more.
                if !holders
                    .iter()
                    .any(|h| (h.pid, &h.access, h.bound) == (one.pid, &one.access, one.bound))
                {
                    holders.push(one);
                }
            }
        }
        holders.sort_by_key(|h| h.pid);
        holders
    }

    /// Those who have the group's own file open.
    pub fn of_group(&self, group: &Group) -> Vec<Holder> {
        let name = group.node.as_ref().and_then(|node| node.rsplit('/').next());
        name.and_then(|name| self.groups.get(name))
            .cloned()
            .unwrap_or_default()
    }
}

/// A line of debugfs: fields, and at the end a name that may hold anything.
fn told_by_core(line: &str) -> Option<Holder> {
    let (fields, name) = line.split_once("comm=")?;
    let field = |name: &str| {
        fields
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    };
    Some(Holder {
        pid: field("pid")?.parse().ok()?,
        name: name.to_owned(),
        access: field("access")?.to_owned(),
        bound: Some(field("bound")? == "yes"),
        machine: field("machine") == Some("yes"),
        ..Holder::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::tree::Tree;

    const FOLDER: &str = "/sys/devices/pci0000:00/0000:00:04.0";

    fn machine() -> (Tree, Device) {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:04.0", "0x00ff00", Some(7), Some("vfio-pci"));
        tree.vfio(&folder, "vfio0", "7");
        let device = Device::find(&tree.sysfs(), &"00:04.0".parse().unwrap()).unwrap();
        assert_eq!(device.folder, FOLDER);
        (tree, device)
    }

    fn holders(tree: &Tree, device: &Device, core: Core) -> Vec<Holder> {
        let sys = tree.sysfs();
        Files::read(&sys).of_device(&sys, core, device)
    }

    #[test]
    fn on_our_core() {
        let (tree, device) = machine();
        let info = format!(
            "pos:\t0\nvfio-device-syspath: {FOLDER}\nvfio-type: physical\nvfio-access: cdev\nvfio-bound: yes\n\
             vfio-kvm-machine: held\nvfio-pasids: 1-3,7\nvfio-process-pasids: 12\n"
        );
        tree.process(812, "qemu", 5, "/dev/vfio/devices/vfio0", &info)
            .process(812, "qemu", 9, "/dev/vfio/devices/vfio0", &info)
            .process(812, "qemu", 1, "/dev/null", "");
        let all = holders(&tree, &device, Core::Rust);
        let [qemu] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!(
            (
                qemu.pid,
                qemu.name.as_str(),
                qemu.access.as_str(),
                qemu.bound
            ),
            (812, "qemu", "cdev", Some(true))
        );
        assert_eq!(qemu.pasids.as_deref(), Some("1-3,7"));
        assert_eq!(qemu.process_pasids.as_deref(), Some("12"));
        assert!(qemu.machine && qemu.uses());
        let mut fds = qemu.fds.clone();
        fds.sort_unstable();
        assert_eq!(fds, [5, 9]);
    }

    #[test]
    fn told_by_debugfs_alone() {
        let (tree, device) = machine();
        tree.process(
            812,
            "qemu",
            5,
            "/dev/vfio/devices/vfio0",
            &format!("vfio-device-syspath: {FOLDER}\nvfio-access: cdev\nvfio-bound: yes\n"),
        )
        .file(
            "/sys/kernel/debug/vfio/0000:00:04.0/holders",
            "pid=812 access=cdev bound=yes kvm-devices=0 machine=no comm=qemu\n\
                   pid=840 access=cdev bound=no kvm-devices=0 machine=no comm=a comm=b pid=1\n\
                   pid=9 access=dma-buf bound=yes refs=2 total=2 comm=x\nnonsense\n",
        );
        let all = holders(&tree, &device, Core::Rust);
        let seen: Vec<_> = all
            .iter()
            .map(|h| (h.pid, h.name.as_str(), h.access.as_str(), h.uses()))
            .collect();
        assert_eq!(
            seen,
            [
                (9, "x", "dma-buf", true),
                (812, "qemu", "cdev", true),
                (840, "a comm=b pid=1", "cdev", false)
            ]
        );
        // The C core has no such file; whatever lies there is not asked.
        assert_eq!(holders(&tree, &device, Core::C).len(), 1);
    }

    #[test]
    fn on_the_c_core() {
        let (tree, device) = machine();
        tree.process(
            812,
            "qemu",
            5,
            "/srv/dev/vfio/devices/vfio0 (deleted)",
            &format!("vfio-device-syspath: {FOLDER}\n"),
        )
        .process(
            813,
            "dpdk",
            6,
            "anon_inode:[vfio-device]",
            &format!("vfio-device-syspath: {FOLDER}\n"),
        )
        .process(814, "old", 7, "/dev/vfio/devices/vfio0", "pos: 0\n")
        .process(815, "other", 8, "anon_inode:[vfio-device]", "pos: 0\n")
        .process(816, "another", 8, "/dev/vfio/devices/vfio1", "pos: 0\n");
        let all = holders(&tree, &device, Core::C);
        let seen: Vec<_> = all
            .iter()
            .map(|h| (h.pid, h.access.as_str(), h.bound))
            .collect();
        assert_eq!(
            seen,
            [
                (812, "cdev", None),
                (813, "group", Some(true)),
                (814, "cdev", None)
            ]
        );
        assert!(all.iter().all(Holder::uses));
    }

    #[test]
    fn the_groups_file() {
        let (tree, device) = machine();
        tree.process(812, "qemu", 5, "/dev/vfio/7", "")
            .process(813, "x", 5, "/dev/vfio/vfio", "")
            .process(814, "y", 5, "/dev/vfio/8", "")
            .folder("/proc/815");
        let sys = tree.sysfs();
        let files = Files::read(&sys);
        let group = Group::of(&sys, &device).unwrap();
        let pids: Vec<_> = files.of_group(&group).iter().map(|h| h.pid).collect();
        assert_eq!(pids, [812]);
        assert!(files.of_device(&sys, Core::C, &device).is_empty());
        assert!(!files.partial);
    }
}
