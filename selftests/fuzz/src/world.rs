// SPDX-License-Identifier: GPL-2.0-only
//! The devices that are fuzzed, and the state of the system that a sequence must leave as it found it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Result};

use crate::program::Want;
use crate::random::Random;

/// A device, by its directory in sysfs.
pub struct Device {
    pub path: PathBuf,
    /// The name that GET_DEVICE_FD takes.
    pub name: String,
    pub group: usize,
    /// A mediated device, by its UUID; otherwise a PCI function.
    pub mdev: bool,
    /// No other device of its group had a host driver before the first sequence.
    pub viable: bool,
    /// It has its driver.
    pub present: bool,
}

/// A parameter of a module that a sequence can change.
struct Parameter {
    path: &'static str,
    values: &'static [&'static str],
    /// Its value before the first sequence.
    before: String,
}

const NOIOMMU_PREFIX: &str = "noiommu-";
/// A name that no group has.
const NO_GROUP: &str = "none";

pub struct World {
    pub devices: Vec<Device>,
    /// The names of the groups' nodes.
    pub groups: Vec<String>,
    parameters: Vec<Parameter>,
    /// What was written to files of sysfs, as statements of a C program, until somebody takes them.
    pub statements: Vec<String>,
    before: String,
    /// The nodes before the first sequence.
    nodes: Vec<String>,
}

const MDEVS: [&str; 2] = [
    "3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0dfa01",
    "3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0dfa02",
];
const NOIOMMU: &str = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
const MTTY: &str = "/sys/devices/virtual/mtty/mtty";

/// The name of the node of a device's group.
fn group_of(path: &Path, mdev: bool) -> Option<String> {
    let group = path.join("iommu_group");
    let link = fs::read_link(&group).ok()?;
    let number = link.file_name()?.to_str()?;
    // VFIO makes the groups of devices without an IOMMU, and those of emulated devices.  Both have this name.
    let name = fs::read_to_string(group.join("name")).unwrap_or_default();
    let prefix = match name.trim() {
        "vfio-noiommu" if !mdev => NOIOMMU_PREFIX,
        _ => "",
    };
    Some(format!("{prefix}{number}"))
}

/// Tells whether a device of the same group has a driver that is not VFIO's.
fn has_host_driver(path: &Path) -> bool {
    let devices = fs::read_dir(path.join("iommu_group/devices"));
    devices.into_iter().flatten().flatten().any(|device| {
        let driver = fs::read_link(device.path().join("driver")).unwrap_or_default();
        let name = driver.file_name().unwrap_or_default().to_string_lossy();
        !name.is_empty() && !name.contains("vfio")
    })
}

/// The parameters of the modules that are there, and the values that a sequence gives them.
fn parameters() -> Vec<Parameter> {
    const ALL: [(&str, &[&str]); 3] = [
        (NOIOMMU, &["N", "Y"]),
        (
            "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
            &["0", "1", "3", "65535"],
        ),
        (
            "/sys/module/vfio_iommu_type1/parameters/disable_hugepages",
            &["N", "Y"],
        ),
    ];
    ALL.iter()
        .filter_map(|&(path, values)| {
            let before = fs::read_to_string(path).ok()?.trim().to_owned();
            Some(Parameter {
                path,
                values,
                before,
            })
        })
        .collect()
}

impl World {
    /// Gives the PCI functions at `addresses` to vfio-pci, and makes mediated devices.  Without an IOMMU VFIO is
    /// allowed to do without it.
    pub fn new(addresses: &[String], has_iommu: bool) -> Result<Self> {
        let mut world = Self {
            devices: Vec::new(),
            groups: Vec::new(),
            parameters: Vec::new(),
            statements: Vec::new(),
            before: String::new(),
            nodes: Vec::new(),
        };
        if !has_iommu {
            world.write(NOIOMMU, "Y")?;
        }
        for address in addresses {
            let path = PathBuf::from(format!("/sys/bus/pci/devices/{address}"));
            let _ = world.write(path.join("driver/unbind"), address);
            world.write(path.join("driver_override"), "vfio-pci")?;
            world.write("/sys/bus/pci/drivers_probe", address)?;
            world.add(path, address.clone(), false)?;
        }
        if Path::new(MTTY).exists() {
            for uuid in MDEVS {
                world.write(format!("{MTTY}/mdev_supported_types/mtty-2/create"), uuid)?;
                world.add(
                    PathBuf::from(format!("/sys/bus/mdev/devices/{uuid}")),
                    uuid.to_owned(),
                    true,
                )?;
            }
        }
        for device in &mut world.devices {
            device.viable = device.mdev || !has_host_driver(&device.path);
        }
        world.parameters = parameters();
        world.nodes = world.all_nodes();
        world.before = world.state();
        Ok(world)
    }

    /// Writes to a file of sysfs, in one call.
    fn write(&mut self, path: impl AsRef<Path>, text: &str) -> std::io::Result<()> {
        let path = path.as_ref();
        let result = fs::write(path, text);
        let want = Want::This(errno(&result));
        self.statements
            .push(format!("WRITE({want}, {path:?}, {text:?});"));
        result
    }

    fn add(&mut self, path: PathBuf, name: String, mdev: bool) -> Result<()> {
        let Some(group) = group_of(&path, mdev) else {
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
            viable: true,
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

    pub fn is_noiommu(&self, group: usize) -> bool {
        self.groups[group].starts_with(NOIOMMU_PREFIX)
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
        let (file, text) = match mdev {
            true => (path.join("remove"), "1".to_owned()),
            false => (path.join("driver/unbind"), name.clone()),
        };
        let result = self.write(file, &text);
        self.look(device);
        errno(&result)
    }

    /// Tells whether a device is a PCI function that is alone in its slot.  Of several functions, those that come
    /// back can be in another group than before.
    pub fn can_be_unplugged(&self, device: usize) -> bool {
        let Device { name, mdev, .. } = &self.devices[device];
        let slot = &name[..name.len() - 1];
        let functions = fs::read_dir("/sys/bus/pci/devices").into_iter().flatten();
        let in_slot = functions
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(slot));
        !mdev && in_slot.count() == 1
    }

    /// Removes a PCI function from its bus.
    pub fn unplug(&mut self, device: usize) -> i64 {
        let result = self.write(self.devices[device].path.join("remove"), "1");
        self.look(device);
        errno(&result)
    }

    /// Looks whether a device has its driver, and what its group is called.
    fn look(&mut self, device: usize) {
        let Device { path, group, .. } = &self.devices[device];
        let (present, group) = (path.join("vfio-dev").exists(), *group);
        self.devices[device].present = present;
        // The name of a group without devices can be another's next.
        let mut members = self.devices.iter().filter(|other| other.group == group);
        self.groups[group] = members
            .find_map(|other| group_of(&other.path, other.mdev))
            .unwrap_or_else(|| NO_GROUP.to_owned());
    }

    /// Gives a parameter of a module a value.
    pub fn set_parameter(&mut self, random: &mut Random) -> Option<i64> {
        if self.parameters.is_empty() {
            return None;
        }
        let parameter = &self.parameters[random.below(self.parameters.len())];
        let (path, value) = (parameter.path, random.of(parameter.values));
        Some(errno(&self.write(path, value)))
    }

    pub fn restore(&mut self, device: usize) -> i64 {
        let Device {
            path, name, mdev, ..
        } = &self.devices[device];
        let (mdev, name, is_there) = (*mdev, name.clone(), path.exists());
        let result = match mdev {
            true => self.write(format!("{MTTY}/mdev_supported_types/mtty-2/create"), &name),
            false => {
                if !is_there {
                    // All functions that were unplugged come back, without a driver.
                    let _ = self.write("/sys/bus/pci/rescan", "1");
                    self.override_drivers();
                }
                self.write("/sys/bus/pci/drivers_probe", &name)
            }
        };
        self.look(device);
        errno(&result)
    }

    fn override_drivers(&mut self) {
        for device in 0..self.devices.len() {
            let Device { path, mdev, .. } = &self.devices[device];
            let file = path.join("driver_override");
            if !mdev && file.exists() {
                let _ = self.write(file, "vfio-pci");
            }
        }
    }

    /// Restores all devices.  Tells what is not as it was before the sequence, and the state.
    pub fn reset(&mut self) -> (Option<String>, String) {
        for parameter in &self.parameters {
            let _ = fs::write(parameter.path, &parameter.before);
        }
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
                // A function that was unplugged comes back in a group of another number.
                .map(|name| match name.bytes().all(|c| c.is_ascii_digit()) {
                    true => "group".to_owned(),
                    false => name,
                })
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
        for parameter in &self.parameters {
            let value = fs::read_to_string(parameter.path).unwrap_or_default();
            state += &format!("{}: {}\n", parameter.path, value.trim());
        }
        state
    }
}

fn errno(result: &std::io::Result<()>) -> i64 {
    match result {
        Ok(()) => 0,
        Err(e) => -i64::from(e.raw_os_error().unwrap_or(libc::EIO)),
    }
}
