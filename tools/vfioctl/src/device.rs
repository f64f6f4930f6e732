// SPDX-License-Identifier: GPL-2.0-only

//! A device, as sysfs shows it.

use pci_ids::FromId;
use serde::Serialize;

use crate::address::Address;
use crate::sysfs::Sysfs;

/// What is known of a device without asking the device itself.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    pub address: Address,
    /// Its folder in sysfs, without links.
    pub folder: String,
    pub bus: Option<String>,
    pub name: Option<String>,
    /// Of PCI: class, vendor, device.
    pub class: Option<u32>,
    pub vendor: Option<u16>,
    pub device: Option<u16>,
    pub driver: Option<String>,
    /// Has a VFIO driver registered it?
    pub vfio: bool,
    #[serde(skip)]
    pub group: Option<u32>,
    /// What VFIO calls it (vfio0, noiommu-vfio0).
    pub vfio_name: Option<String>,
    /// Its own node, if the kernel makes one.
    pub node: Option<String>,
    pub reset_methods: Vec<String>,
    pub iommu: Option<String>,
}

fn number(sys: &Sysfs, path: &str) -> Option<u32> {
    let text = sys.read(path)?;
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

impl Device {
    /// The device of this address, if there is one.
    pub fn find(sys: &Sysfs, address: &Address) -> Option<Self> {
        Self::at(sys, &address.link()?)
    }

    /// The device that a link in sysfs leads to.
    pub fn at(sys: &Sysfs, link: &str) -> Option<Self> {
        let folder = sys.real(link)?;
        let address = Address::from(folder.rsplit('/').next()?.to_owned());
        let file = |name: &str| format!("{folder}/{name}");
        let vendor = number(sys, &file("vendor")).and_then(|n| n.try_into().ok());
        let device = number(sys, &file("device")).and_then(|n| n.try_into().ok());
        let driver = sys.link(&file("driver"));
        let vfio_name = sys.list(&file("vfio-dev")).into_iter().next();
        let node = vfio_name
            .as_ref()
            .filter(|name| sys.exists(&file(&format!("vfio-dev/{name}/dev"))))
            .map(|name| format!("/dev/vfio/devices/{name}"));
        // Kernels before 6.1 have no vfio-dev.
        let vfio = vfio_name.is_some() || driver.as_ref().is_some_and(|name| is_vfio_driver(name));
        let name = match address {
            Address::Pci(..) => pci_name(vendor, device),
            _ => sys.read(&file("mdev_type/name")),
        };
        Some(Self {
            bus: sys.link(&file("subsystem")),
            name,
            class: number(sys, &file("class")),
            vendor,
            device,
            driver,
            vfio,
            group: sys
                .link(&file("iommu_group"))
                .and_then(|id| id.parse().ok()),
            vfio_name,
            node,
            reset_methods: sys
                .read(&file("reset_method"))
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            iommu: sys.link(&file("iommu")),
            address,
            folder,
        })
    }

    /// Every device that has an IOMMU group, in the order of their addresses.
    pub fn all(sys: &Sysfs) -> Vec<Self> {
        let mut devices: Vec<Self> = sys
            .list("/sys/kernel/iommu_groups")
            .iter()
            .flat_map(|group| {
                let folder = format!("/sys/kernel/iommu_groups/{group}/devices");
                sys.list(&folder)
                    .into_iter()
                    .map(move |name| format!("{folder}/{name}"))
            })
            .filter_map(|link| Self::at(sys, &link))
            .collect();
        devices.sort_by(|a, b| a.address.cmp(&b.address));
        devices
    }

    /// Bridges stay with the host; VFIO's drivers take endpoints.
    pub fn is_bridge(&self) -> bool {
        self.address.is_pci() && self.class.is_some_and(|class| class >> 16 == 0x06)
    }

    /// Does a driver of the host have it that keeps VFIO from the group?
    pub fn blocks_group(&self) -> bool {
        !self.vfio
            && self
                .driver
                .as_ref()
                .is_some_and(|name| !MANAGES_NO_DMA.contains(&name.as_str()))
    }

    /// Vendor and device, which tell it from another one at the same address.
    pub fn ids(&self) -> String {
        format!(
            "{:04x}:{:04x}",
            self.vendor.unwrap_or(0),
            self.device.unwrap_or(0)
        )
    }
}

/// Drivers that do no DMA by way of the kernel (driver_managed_dma), and so do not stand in the way.
const MANAGES_NO_DMA: [&str; 2] = ["pcieport", "pci-stub"];

/// A driver that VFIO's own naming shows to be one.
pub fn is_vfio_driver(name: &str) -> bool {
    name.contains("vfio")
}

fn pci_name(vendor: Option<u16>, device: Option<u16>) -> Option<String> {
    let (vendor, device) = (vendor?, device?);
    let known = pci_ids::Vendor::from_id(vendor);
    match pci_ids::Device::from_vid_pid(vendor, device) {
        Some(found) => Some(format!("{} {}", found.vendor().name(), found.name())),
        None => Some(format!(
            "{} {vendor:04x}:{device:04x}",
            known.map_or("Unknown", |v| v.name())
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn bound() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:03.0", "0x020000", Some(7), Some("vfio-pci"));
        tree.vfio(&folder, "vfio0", "7")
            .file(&format!("{folder}/reset_method"), "flr bus\n")
            .link(
                &format!("{folder}/iommu"),
                "/sys/devices/virtual/iommu/dmar0",
            );
        let device = Device::find(&tree.sysfs(), &"00:03.0".parse().unwrap()).unwrap();
        assert_eq!(device.driver.as_deref(), Some("vfio-pci"));
        assert!(device.vfio && !device.is_bridge() && !device.blocks_group());
        assert_eq!(device.group, Some(7));
        assert_eq!(device.node.as_deref(), Some("/dev/vfio/devices/vfio0"));
        assert_eq!(device.reset_methods, ["flr", "bus"]);
        assert_eq!(device.iommu.as_deref(), Some("dmar0"));
        assert_eq!(device.bus.as_deref(), Some("pci"));
        assert!(device.name.unwrap().contains("82576"));
    }

    #[test]
    fn no_node() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:03.0", "0x020000", Some(7), Some("vfio-pci"));
        tree.folder(&format!("{folder}/vfio-dev/vfio0"));
        let device = Device::find(&tree.sysfs(), &"00:03.0".parse().unwrap()).unwrap();
        assert!(device.vfio);
        assert_eq!(device.node, None);
    }

    #[test]
    fn vanished() {
        let tree = Tree::new();
        tree.pci("0000:00:03.0", "0x020000", Some(7), None);
        // Its links are there still, and lead nowhere.
        tree.link(
            "/sys/bus/pci/devices/0000:00:04.0",
            "/sys/devices/pci0000:00/0000:00:04.0",
        )
        .link(
            "/sys/kernel/iommu_groups/7/devices/0000:00:04.0",
            "/sys/devices/pci0000:00/0000:00:04.0",
        );
        let sys = tree.sysfs();
        assert!(Device::find(&sys, &"00:04.0".parse().unwrap()).is_none());
        let all = Device::all(&sys);
        assert_eq!(all.len(), 1);
        assert!(sys.unseen().is_empty());
    }

    #[test]
    fn attributes_that_make_no_sense() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:03.0", "nonsense", Some(7), None);
        tree.file(&format!("{folder}/vendor"), "0xfffffffff\n")
            .file(&format!("{folder}/reset_method"), "");
        let device = Device::find(&tree.sysfs(), &"00:03.0".parse().unwrap()).unwrap();
        assert_eq!(
            (device.class, device.vendor, device.name.clone()),
            (None, None, None)
        );
        assert_eq!(device.ids(), "0000:10c9");
        assert!(device.reset_methods.is_empty());
    }

    #[test]
    fn bridges_and_blockers() {
        let tree = Tree::new();
        tree.pci("0000:00:1c.0", "0x060400", Some(7), Some("pcieport"));
        tree.pci("0000:01:00.0", "0x020000", Some(7), Some("igb"));
        let sys = tree.sysfs();
        let all = Device::all(&sys);
        let marks: Vec<_> = all
            .iter()
            .map(|d| (d.is_bridge(), d.blocks_group()))
            .collect();
        assert_eq!(marks, [(true, false), (false, true)]);
    }
}
