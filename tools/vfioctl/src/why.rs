// SPDX-License-Identifier: GPL-2.0-only

//! Who or what is in the way of using a device by VFIO.

use serde::Serialize;

use crate::access;
use crate::address::Address;
use crate::core::Core;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::group::Group;
use crate::holders::{Files, Holder};
use crate::in_use;
use crate::klog::{self, Refusal, Whose};
use crate::sysfs::Sysfs;

/// Something in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// bridge, no-iommu, driver, sibling, machine, holder, group-file, no-node, permission, memlock, refused
    pub kind: &'static str,
    pub what: String,
    #[serde(rename = "do")]
    pub remedy: String,
    /// Who, if it is a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// What the kernel's log has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

impl Reason {
    fn new(kind: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            remedy: remedy.into(),
            holder: None,
            refusal: None,
        }
    }
}

/// All that is in the way.
pub fn reasons(sys: &Sysfs, address: &Address) -> Result<Vec<Reason>> {
    let device = Device::find(sys, address).ok_or_else(|| Error::NoDevice(address.clone()))?;
    let core = Core::loaded(sys);
    let group = Group::of(sys, &device);
    let mut found = Vec::new();
    if device.is_bridge() {
        found.push(Reason::new(
            "bridge",
            "it is a bridge, which VFIO does not take",
            "name a device behind it",
        ));
        return Ok(found);
    }
    if group.is_none() {
        found.push(Reason::new(
            "no-iommu",
            "no IOMMU confines it: it has no IOMMU group",
            "see vfioctl doctor",
        ));
    }
    if !device.vfio {
        let what = match &device.driver {
            Some(driver) => format!("the host's driver {driver} has it"),
            None => "no driver has it".to_owned(),
        };
        let remedy = if device.address.is_pci() {
            format!("vfioctl bind {address}")
        } else {
            "load its parent's VFIO driver".into()
        };
        found.push(Reason::new("driver", what, remedy));
        for used in in_use::by_machine(sys, &device) {
            found.push(Reason::new(
                "machine",
                used.what,
                "unmount it, or move to another device, first",
            ));
        }
    }
    if let Some(group) = &group {
        siblings(sys, &device, group, &mut found);
    }
    holders(sys, core, &device, group.as_ref(), &mut found);
    if device.vfio {
        nodes(sys, &device, group.as_ref(), &mut found);
    }
    if let Some(limit) = access::memlock_limit().filter(|_| sys.is_live()) {
        found.push(Reason::new(
            "memlock",
            format!(
                "this user may pin {} KiB of memory, and mappings for DMA are pinned",
                limit >> 10
            ),
            "raise it: ulimit -l, LimitMEMLOCK=, or limits.conf(5)",
        ));
    }
    refused(sys, core, &device, group.as_ref(), &mut found);
    Ok(found)
}

/// Drivers of the host in the group keep all of it.
fn siblings(sys: &Sysfs, device: &Device, group: &Group, found: &mut Vec<Reason>) {
    for sibling in group
        .members
        .iter()
        .filter(|d| d.address != device.address && d.blocks_group())
    {
        let driver = sibling.driver.as_deref().unwrap_or_default();
        let mut what = format!(
            "{}, in the same group {}, has the host's driver {driver}",
            sibling.address, group.id
        );
        let used = in_use::by_machine(sys, sibling);
        if let Some(used) = used.first() {
            what = format!("{what}, and {}", used.what);
        }
        let remedy = if sibling.is_bridge() || !sibling.address.is_pci() {
            format!("unbind {} from {driver} by hand", sibling.address)
        } else {
            format!("vfioctl bind {} takes the whole group", device.address)
        };
        found.push(Reason::new("sibling", what, remedy));
    }
}

fn holders(
    sys: &Sysfs,
    core: Core,
    device: &Device,
    group: Option<&Group>,
    found: &mut Vec<Reason>,
) {
    let files = Files::read(sys);
    let mut add = |kind, holder: Holder, of: &str, consequence: &str| {
        let what = format!("{} has {of} open: {consequence}", holder.describe());
        let remedy = format!("end it, or have it close the file (kill {})", holder.pid);
        found.push(Reason {
            holder: Some(holder),
            ..Reason::new(kind, what, remedy)
        });
    };
    for holder in files
        .of_device(sys, core, device)
        .into_iter()
        .filter(Holder::uses)
    {
        let consequence = if holder.access == "group" {
            "another open of it shares its container alone, and a bind of its own file is refused"
        } else {
            "another bind is refused, and so is an open of the group"
        };
        add("holder", holder, "the device", consequence);
    }
    let Some(group) = group else { return };
    for holder in files.of_group(group) {
        add(
            "group-file",
            holder,
            "the group",
            "a bind of the device's own file is refused, and so is another open of the group",
        );
    }
    for sibling in group.members.iter().filter(|d| d.address != device.address) {
        for holder in files
            .of_device(sys, core, sibling)
            .into_iter()
            .filter(Holder::uses)
        {
            let of = format!("{} of the same group", sibling.address);
            add("holder", holder, &of, "the group's DMA is its own, so that only the same iommufd or container can have the device");
        }
    }
}

/// Nodes that are missing, or that this user may not open.
fn nodes(sys: &Sysfs, device: &Device, group: Option<&Group>, found: &mut Vec<Reason>) {
    if device.node.is_none() {
        found.push(Reason::new(
            "no-node",
            "the kernel makes no node of its own for it (CONFIG_VFIO_DEVICE_CDEV)",
            "use the group's node, or a kernel that has the option",
        ));
    }
    let group_node = group.and_then(|group| group.node.as_ref());
    for node in device.node.iter().chain(group_node) {
        match access::may_open(sys, node) {
            Some(true) => {}
            Some(false) => found.push(Reason::new(
                "permission",
                format!("this user may not open {node}"),
                "give it to a group of users by a udev rule, or be root",
            )),
            None => found.push(Reason::new(
                "no-node",
                format!("{node} is not there, though the kernel has the device"),
                "mount devtmpfs on /dev; in a container, pass the node in",
            )),
        }
    }
}

/// What the log says: of each call the last refusal for each reason.
fn refused(
    sys: &Sysfs,
    core: Core,
    device: &Device,
    group: Option<&Group>,
    found: &mut Vec<Reason>,
) {
    if core != Core::Rust {
        return;
    }
    let Some(log) = klog::text(sys) else { return };
    let mut last: Vec<Refusal> = Vec::new();
    for refusal in klog::refusals(&log) {
        let ours = match &refusal.whose {
            Whose::Device(name) => *name == device.address.to_string(),
            Whose::Group(id) => group.is_some_and(|group| group.id == *id),
        };
        if ours {
            last.retain(|known| (&known.call, &known.reason) != (&refusal.call, &refusal.reason));
            last.push(refusal);
        }
    }
    for refusal in last {
        let of = match refusal.whose {
            Whose::Device(_) => "",
            Whose::Group(_) => " of the group",
        };
        let what = format!(
            "the kernel refused {}{of} by {} ({}), {} s after its start: {} ({})",
            refusal.call,
            refusal.process,
            refusal.pid,
            refusal.seconds,
            refusal.reason,
            refusal.errno
        );
        let remedy = remedy(&refusal.reason);
        found.push(Reason {
            refusal: Some(refusal),
            ..Reason::new("refused", what, remedy)
        });
    }
}

/// What helps against the reasons of the core (`rust/refusal.rs`).
const REMEDIES: &[(&str, &str)] = &[
    (
        "the group's file is open",
        "use the group, or end who has it; it may be over by now",
    ),
    (
        "a device of the group is bound",
        "use the device's own file, or end who has it bound; it may be over by now",
    ),
    (
        "another file is bound",
        "end who has it bound; it may be over by now",
    ),
    ("this file is bound already", "bind a file once"),
    (
        "the driver takes no token",
        "leave the token away: it is for virtual functions",
    ),
    (
        "the driver refuses the token, or that there is none",
        "give the token that was set for the physical function",
    ),
    ("the driver is being unloaded", "bind the device anew"),
    (
        "the group has neither container nor iommufd",
        "set a container with VFIO_GROUP_SET_CONTAINER first",
    ),
    (
        "the container has no IOMMU driver",
        "modprobe vfio_iommu_type1; VFIO_SET_IOMMU before devices are opened",
    ),
    (
        "it is open with another container or iommufd",
        "use the container or iommufd with which it is open",
    ),
    ("no IOMMU, which needs CAP_SYS_RAWIO", WITHOUT_IOMMU),
    (
        "no IOMMU, which needs CAP_SYS_RAWIO and an iommufd without compat IOAS",
        WITHOUT_IOMMU,
    ),
    (
        "the driver or iommufd refuses",
        "look for interrupt remapping in vfioctl doctor, and for a driver of the host in the group",
    ),
];
const WITHOUT_IOMMU: &str = "switch the IOMMU on (vfioctl doctor), or be root and know what you do";

/// What helps against a reason of the core.
fn remedy(reason: &str) -> &'static str {
    REMEDIES.iter().find(|(known, _)| *known == reason).map_or(
        "Documentation/introspection.rst explains the reasons",
        |(_, remedy)| remedy,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::tree::Tree;

    fn kinds(tree: &Tree, address: &str) -> Vec<&'static str> {
        reasons(&tree.sysfs(), &address.parse().unwrap())
            .unwrap()
            .iter()
            .map(|r| r.kind)
            .collect()
    }

    /// A bound device with its nodes.
    fn bound() -> (Tree, String) {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:04.0", "0x00ff00", Some(7), Some("vfio-pci"));
        tree.vfio(&folder, "vfio0", "7")
            .file("/dev/vfio/devices/vfio0", "")
            .file("/dev/vfio/7", "");
        (tree, folder)
    }

    #[test]
    fn nothing() {
        let (tree, _) = bound();
        assert!(kinds(&tree, "00:04.0").is_empty());
    }

    #[test]
    fn not_bound_and_without_iommu() {
        let tree = Tree::new();
        tree.pci("0000:00:04.0", "0x020000", None, Some("igb"));
        assert_eq!(kinds(&tree, "00:04.0"), ["no-iommu", "driver"]);
        assert!(matches!(
            reasons(&tree.sysfs(), &"00:05.0".parse().unwrap()),
            Err(Error::NoDevice(_))
        ));
    }

    #[test]
    fn a_siblings_driver() {
        let (tree, _) = bound();
        tree.pci("0000:00:04.1", "0x020000", Some(7), Some("igb"));
        tree.pci("0000:00:1c.0", "0x060400", Some(7), Some("pcieport"));
        let found = reasons(&tree.sysfs(), &"00:04.0".parse().unwrap()).unwrap();
        let [one] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(one.kind, "sibling");
        assert!(
            one.what.contains("0000:00:04.1")
                && one.what.contains("igb")
                && one.remedy.contains("bind 0000:00:04.0")
        );
        assert_eq!(kinds(&tree, "00:1c.0"), ["bridge"]);
    }

    #[test]
    fn holders_of_device_group_and_sibling() {
        let (tree, folder) = bound();
        let other = tree.pci("0000:00:04.1", "0x020000", Some(7), Some("vfio-pci"));
        tree.vfio(&other, "vfio1", "7")
            .process(
                1,
                "a",
                3,
                "/dev/vfio/devices/vfio0",
                &format!("vfio-device-syspath: {folder}\nvfio-bound: yes\n"),
            )
            .process(
                2,
                "b",
                3,
                "/dev/vfio/devices/vfio0",
                &format!("vfio-device-syspath: {folder}\nvfio-bound: no\n"),
            )
            .process(3, "c", 3, "/dev/vfio/7", "")
            .process(
                4,
                "d",
                3,
                "anon_inode:[vfio-device]",
                &format!("vfio-device-syspath: {other}\n"),
            );
        let found = reasons(&tree.sysfs(), &"00:04.0".parse().unwrap()).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|r| (r.kind, r.holder.as_ref().map(|h| h.pid)))
            .collect();
        assert_eq!(
            seen,
            [
                ("holder", Some(1)),
                ("group-file", Some(3)),
                ("holder", Some(4))
            ]
        );
    }

    #[test]
    fn missing_nodes() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:04.0", "0x00ff00", Some(7), Some("vfio-pci"));
        tree.folder(&format!("{folder}/vfio-dev/vfio0"))
            .file("/sys/class/vfio/7/dev", "");
        assert_eq!(kinds(&tree, "00:04.0"), ["no-node", "no-node"]);
    }

    /// A remedy whose reason the core never gives would never be shown.
    #[test]
    fn remedies_are_for_reasons_of_the_core() {
        let core = include_str!("../../../rust/refusal.rs");
        for (reason, _) in REMEDIES {
            assert!(core.contains(&format!("\"{reason}\"")), "{reason}");
        }
    }

    #[test]
    fn refusals_of_the_log() {
        let (tree, _) = bound();
        let line = |micros: u32, who: &str, reason: &str| {
            format!(
                "6,1,{micros},-;{who}: {} by \"q\" (8) refused: {reason} (-16)\n",
                if who.contains("group") {
                    "open"
                } else {
                    "bind"
                }
            )
        };
        tree.file("/sys/module/vfio/initstate", "live\n")
            .file("/sys/module/vfio/parameters/max_bound_processes", "1\n")
            .file(
                "/dev/kmsg",
                &[
                    line(
                        1_000_000,
                        "vfio-pci 0000:00:04.0",
                        "the group's file is open",
                    ),
                    line(2_000_000, "vfio-pci 0000:00:04.1", "another file is bound"),
                    line(3_000_000, "vfio: group 7", "a device of the group is bound"),
                    line(4_000_000, "vfio: group 8", "a device of the group is bound"),
                    line(
                        5_000_000,
                        "vfio-pci 0000:00:04.0",
                        "the group's file is open",
                    ),
                ]
                .concat(),
            );
        let found = reasons(&tree.sysfs(), &"00:04.0".parse().unwrap()).unwrap();
        let seen: Vec<_> = found
            .iter()
            .filter_map(|r| r.refusal.as_ref())
            .map(|r| (r.seconds, r.reason.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (3, "a device of the group is bound"),
                (5, "the group's file is open")
            ]
        );
    }
}
