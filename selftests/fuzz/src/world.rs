// SPDX-License-Identifier: GPL-2.0-only
//! The devices that are fuzzed, and the state of the system that a sequence must leave as it found it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

/// A device, by its directory in sysfs.
pub struct Device {
    pub path: PathBuf,
    /// The name that GET_DEVICE_FD takes.
    pub name: String,
    pub group: usize,
    /// A mediated device, by its UUID; otherwise a PCI function.
    pub mdev: bool,
    /// It has its driver.
    pub present: bool,
}

pub struct World {
    pub devices: Vec<Device>,
    /// The numbers of the groups.
    pub groups: Vec<String>,
    before: String,
    /// The nodes before the first sequence.
    nodes: Vec<String>,
}

const MDEVS: [&str; 2] = [
    "3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0dfa01",
    "3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0dfa02",
];
const MTTY: &str = "/sys/devices/virtual/mtty/mtty";

/// Writes to a file of sysfs, in one call.
fn write(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, text).with_context(|| format!("{} < {text}", path.display()))
}

fn group_of(path: &Path) -> Option<String> {
    let link = fs::read_link(path.join("iommu_group")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

impl World {
    /// Gives the PCI functions at `addresses` to vfio-pci, and makes mediated devices.
    pub fn new(addresses: &[String]) -> Result<Self> {
        let mut world = Self {
            devices: Vec::new(),
            groups: Vec::new(),
            before: String::new(),
            nodes: Vec::new(),
        };
        for address in addresses {
            let path = PathBuf::from(format!("/sys/bus/pci/devices/{address}"));
            let _ = fs::write(path.join("driver/unbind"), address);
            write(path.join("driver_override"), "vfio-pci")?;
            write("/sys/bus/pci/drivers_probe", address)?;
            world.add(path, address.clone(), false)?;
        }
        if Path::new(MTTY).exists() {
            for uuid in MDEVS {
                write(format!("{MTTY}/mdev_supported_types/mtty-2/create"), uuid)?;
                world.add(
                    PathBuf::from(format!("/sys/bus/mdev/devices/{uuid}")),
                    uuid.to_owned(),
                    true,
                )?;
            }
        }
        world.nodes = world.all_nodes();
        world.before = world.state();
        Ok(world)
    }

    fn add(&mut self, path: PathBuf, name: String, mdev: bool) -> Result<()> {
        let Some(group) = group_of(&path) else {
            bail!("{name} has no group")
        };
        let index = self
            .groups
            .iter()
            .position(|g| *g == group)
            .unwrap_or_else(|| {
                self.groups.push(group);
                self.groups.len() - 1
            });
        self.devices.push(Device {
            path,
            name,
            group: index,
            mdev,
            present: true,
        });
        Ok(())
    }

    /// The node of a device, or a name that does not exist.
    pub fn node(&self, device: usize) -> String {
        let name = self.devices.get(device).and_then(|device| {
            let entry = fs::read_dir(device.path.join("vfio-dev"))
                .ok()?
                .next()?
                .ok()?;
            entry.file_name().into_string().ok()
        });
        format!("/dev/vfio/devices/{}", name.as_deref().unwrap_or("vfio99"))
    }

    fn all_nodes(&self) -> Vec<String> {
        (0..self.devices.len())
            .map(|device| self.node(device))
            .collect()
    }

    /// Takes the driver away from a device, or removes the mediated device.
    pub fn remove(&mut self, device: usize) -> i64 {
        let Device {
            path, name, mdev, ..
        } = &self.devices[device];
        let result = match mdev {
            true => fs::write(path.join("remove"), "1"),
            false => fs::write(path.join("driver/unbind"), name),
        };
        self.devices[device].present &= result.is_err();
        errno(result)
    }

    pub fn restore(&mut self, device: usize) -> i64 {
        let Device { name, mdev, .. } = &self.devices[device];
        let result = match mdev {
            true => fs::write(format!("{MTTY}/mdev_supported_types/mtty-2/create"), name),
            false => fs::write("/sys/bus/pci/drivers_probe", name),
        };
        self.devices[device].present |= result.is_ok();
        // A mediated device gets a new group.
        let Device { path, group, .. } = &self.devices[device];
        if let Some(number) = group_of(path) {
            self.groups[*group] = number;
        }
        errno(result)
    }

    /// Restores all devices.  Tells what is not as it was before the sequence, and the state.
    pub fn reset(&mut self) -> (Option<String>, String) {
        for device in 0..self.devices.len() {
            if !self.devices[device].present {
                self.restore(device);
            }
        }
        // Devices that came back in another order have each other's numbers.
        if self.all_nodes() != self.nodes {
            for device in 0..self.devices.len() {
                self.remove(device);
            }
            for device in 0..self.devices.len() {
                self.restore(device);
            }
        }
        let now = self.state();
        let left = (now != self.before).then(|| {
            let changed = |a: &str, b: &str| {
                a.lines()
                    .filter(|line| !b.lines().any(|l| l == *line))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            format!(
                "{} became {}",
                changed(&self.before, &now),
                changed(&now, &self.before)
            )
        });
        (left, now)
    }

    /// What sysfs and the nodes show.
    fn state(&self) -> String {
        let mut state = String::new();
        for folder in [
            "/dev/vfio",
            "/dev/vfio/devices",
            "/sys/class/vfio-dev",
            "/sys/class/vfio",
        ] {
            let mut names: Vec<_> = fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            state += &format!("{folder}: {}\n", names.join(" "));
        }
        for module in [
            "vfio",
            "iommufd",
            "vfio_iommu_type1",
            "vfio_pci",
            "vfio_pci_core",
            "mtty",
            "kvm",
        ] {
            let users =
                fs::read_to_string(format!("/sys/module/{module}/refcnt")).unwrap_or_default();
            state += &format!("{module}: {}\n", users.trim());
        }
        state
    }
}

fn errno(result: std::io::Result<()>) -> i64 {
    result.map_or_else(|e| -(e.raw_os_error().unwrap_or(libc::EIO) as i64), |()| 0)
}
