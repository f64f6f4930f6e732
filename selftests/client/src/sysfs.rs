// SPDX-License-Identifier: GPL-2.0-only
//! Devices in sysfs: find them, give them to vfio-pci, make mediated ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::tap::Skip;

fn write(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("writing {value} to {}", path.display()))
}

/// The driver that a device sits on.
fn driver(device: &Path) -> Option<String> {
    let link = fs::read_link(device.join("driver")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

/// A PCI device on vfio-pci, by the name that the environment has its address under.
pub fn vfio_pci(name: &str) -> Result<PathBuf> {
    let address = std::env::var(name).map_err(|_| Skip(format!("no device {name}")))?;
    let device = Path::new("/sys/bus/pci/devices").join(&address);
    if driver(&device).as_deref() != Some("vfio-pci") {
        if driver(&device).is_some() {
            write(&device.join("driver/unbind"), &address)?;
        }
        write(&device.join("driver_override"), "vfio-pci")?;
        write(Path::new("/sys/bus/pci/drivers_probe"), &address)?;
    }
    ensure!(
        driver(&device).as_deref() == Some("vfio-pci"),
        "{name} does not go to vfio-pci"
    );
    Ok(device)
}

/// Takes a device off vfio-pci.
pub fn unbind(device: &Path) -> Result<()> {
    let address = device
        .file_name()
        .and_then(|a| a.to_str())
        .context("a path of a device")?;
    write(&device.join("driver_override"), "none")?;
    write(&device.join("driver/unbind"), address)
}

/// Modules of a test, which go with the value unless they were there before.
pub struct Modules(Vec<&'static str>);

impl Modules {
    /// Inserts them by the guest's own means, those that others need first.
    pub fn new(names: &[&'static str]) -> Result<Self> {
        let mut modules = Self(Vec::new());
        for name in names {
            if Path::new("/sys/module").join(name).exists() {
                continue;
            }
            let script = format!(". /lib/guest.sh; ins {name}");
            if !Command::new("sh")
                .arg("-c")
                .arg(&script)
                .status()?
                .success()
            {
                return Err(Skip(format!("no module {name}")).into());
            }
            modules.0.push(name);
        }
        Ok(modules)
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        for name in self.0.iter().rev() {
            // What stays is in use, which the next test that needs it gone will see.
            let _ = Command::new("rmmod").arg(name).status();
        }
    }
}

/// How many references a module has.
pub fn module_users(name: &str) -> Result<u32> {
    let path = format!("/sys/module/{name}/refcnt");
    let text = fs::read_to_string(&path).context(path)?;
    Ok(text.trim().parse()?)
}

/// A mediated device; it goes with the value.
pub struct Mdev(PathBuf);

impl Mdev {
    /// One of a type, `parent` being the device that it is made of.
    pub fn new(parent: &str, kind: &str, uuid: &str) -> Result<Self> {
        let create = Path::new(parent)
            .join("mdev_supported_types")
            .join(kind)
            .join("create");
        write(&create, uuid)?;
        Ok(Self(Path::new("/sys/bus/mdev/devices").join(uuid)))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mdev {
    fn drop(&mut self) {
        // What a failure leaves, the next create finds: that says it.
        let _ = fs::write(self.0.join("remove"), "1");
    }
}
