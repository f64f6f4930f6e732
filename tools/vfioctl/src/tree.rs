// SPDX-License-Identifier: GPL-2.0-only

//! A made-up machine in a temporary folder, for tests.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::sysfs::Sysfs;

pub struct Tree(TempDir);

impl Tree {
    /// An empty machine.
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn sysfs(&self) -> Sysfs {
        Sysfs::new(Some(self.root()))
    }

    fn place(&self, path: &str) -> std::path::PathBuf {
        let place = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    pub fn file(&self, path: &str, text: &str) -> &Self {
        fs::write(self.place(path), text).unwrap();
        self
    }

    pub fn folder(&self, path: &str) -> &Self {
        fs::create_dir_all(self.place(path)).unwrap();
        self
    }

    /// A link to a path of the machine, which may be missing.
    pub fn link(&self, path: &str, target: &str) -> &Self {
        let place = self.place(path);
        let _ = fs::remove_file(&place);
        let up = "../".repeat(path.trim_matches('/').split('/').count() - 1);
        symlink(format!("{up}{}", target.trim_start_matches('/')), place).unwrap();
        self
    }

    /// A link with exactly that text, as in /proc/PID/fd.
    pub fn raw_link(&self, path: &str, text: &str) -> &Self {
        symlink(text, self.place(path)).unwrap();
        self
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.place(path)).unwrap()
    }

    /// A PCI device at the root, in a group, with a driver or none.  Returns its folder.
    pub fn pci(
        &self,
        address: &str,
        class: &str,
        group: Option<u32>,
        driver: Option<&str>,
    ) -> String {
        let folder = format!("/sys/devices/pci0000:00/{address}");
        self.file(&format!("{folder}/class"), &format!("{class}\n"))
            .file(&format!("{folder}/vendor"), "0x8086\n")
            .file(&format!("{folder}/device"), "0x10c9\n")
            .file(
                &format!("{folder}/modalias"),
                "pci:v00008086d000010C9sv00000000sd00000000bc02sc00i00\n",
            )
            .file(&format!("{folder}/driver_override"), "(null)\n")
            .link(&format!("/sys/bus/pci/devices/{address}"), &folder)
            .link(&format!("{folder}/subsystem"), "/sys/bus/pci")
            .file("/sys/bus/pci/drivers_probe", "");
        if let Some(group) = group {
            self.folder(&format!("/sys/kernel/iommu_groups/{group}/devices"))
                .link(
                    &format!("{folder}/iommu_group"),
                    &format!("/sys/kernel/iommu_groups/{group}"),
                )
                .link(
                    &format!("/sys/kernel/iommu_groups/{group}/devices/{address}"),
                    &folder,
                );
        }
        if let Some(driver) = driver {
            self.file(&format!("/sys/bus/pci/drivers/{driver}/unbind"), "")
                .file(&format!("/sys/bus/pci/drivers/{driver}/bind"), "")
                .link(
                    &format!("{folder}/driver"),
                    &format!("/sys/bus/pci/drivers/{driver}"),
                );
        }
        folder
    }

    /// What vfio-pci makes of a device.
    pub fn vfio(&self, folder: &str, name: &str, group: &str) -> &Self {
        self.file(&format!("{folder}/vfio-dev/{name}/dev"), "511:0\n")
            .file(&format!("/sys/class/vfio/{group}/dev"), "510:0\n")
    }

    /// A process with a name and an open file.
    pub fn process(&self, pid: u32, name: &str, fd: u32, link: &str, info: &str) -> &Self {
        self.file(&format!("/proc/{pid}/comm"), &format!("{name}\n"))
            .raw_link(&format!("/proc/{pid}/fd/{fd}"), link)
            .file(&format!("/proc/{pid}/fdinfo/{fd}"), info)
    }
}
