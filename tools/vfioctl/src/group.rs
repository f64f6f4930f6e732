// SPDX-License-Identifier: GPL-2.0-only

//! A group: the devices that an IOMMU cannot keep apart, and that VFIO therefore gives away together.

use serde::Serialize;

use crate::device::Device;
use crate::sysfs::Sysfs;

/// A group and who is in it.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    pub id: u32,
    /// What made it, if that was not an IOMMU: vfio-noiommu, vfio-emulated.
    pub name: Option<String>,
    /// Its node, if VFIO has made one.
    pub node: Option<String>,
    #[serde(skip)]
    pub members: Vec<Device>,
}

impl Group {
    /// The group of that number.
    pub fn read(sys: &Sysfs, id: u32) -> Self {
        let folder = format!("/sys/kernel/iommu_groups/{id}");
        let mut members: Vec<Device> = sys
            .list(&format!("{folder}/devices"))
            .iter()
            .filter_map(|name| Device::at(sys, &format!("{folder}/devices/{name}")))
            .collect();
        members.sort_by(|a, b| a.address.cmp(&b.address));
        Self {
            id,
            name: sys.read(&format!("{folder}/name")),
            node: [format!("{id}"), format!("noiommu-{id}")]
                .iter()
                .find(|name| sys.exists(&format!("/sys/class/vfio/{name}")))
                .map(|name| format!("/dev/vfio/{name}")),
            members,
        }
    }

    /// Of a device, if it has one.
    pub fn of(sys: &Sysfs, device: &Device) -> Option<Self> {
        device.group.map(|id| Self::read(sys, id))
    }

    /// Do its devices reach memory past any IOMMU?
    pub fn is_noiommu(&self) -> bool {
        self.name.as_deref() == Some("vfio-noiommu")
    }

    /// Those that a VFIO driver can have.
    pub fn endpoints(&self) -> impl Iterator<Item = &Device> {
        self.members
            .iter()
            .filter(|d| d.address.is_pci() && !d.is_bridge())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn with_a_bridge() {
        let tree = Tree::new();
        tree.pci("0000:00:1c.0", "0x060400", Some(7), Some("pcieport"));
        let folder = tree.pci("0000:01:00.0", "0x020000", Some(7), Some("vfio-pci"));
        tree.pci("0000:01:00.1", "0x020000", Some(7), Some("igb"));
        tree.vfio(&folder, "vfio0", "7");
        let group = Group::read(&tree.sysfs(), 7);
        assert_eq!(group.members.len(), 3);
        assert_eq!(group.endpoints().count(), 2);
        assert_eq!(group.node.as_deref(), Some("/dev/vfio/7"));
        assert!(!group.is_noiommu());
    }

    #[test]
    fn without_an_iommu() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:04.0", "0x020000", Some(0), Some("vfio-pci"));
        tree.vfio(&folder, "noiommu-vfio0", "noiommu-0")
            .file("/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
        let group = Group::read(&tree.sysfs(), 0);
        assert!(group.is_noiommu());
        assert_eq!(group.node.as_deref(), Some("/dev/vfio/noiommu-0"));
    }

    #[test]
    fn gone() {
        let group = Group::read(&Tree::new().sysfs(), 3);
        assert!(group.members.is_empty() && group.node.is_none());
    }
}
