// SPDX-License-Identifier: GPL-2.0-only
//! A client of the rust-vmm crates that lets a device work in its own address space: the example of
//! Documentation/sva.rst.

use std::fs::{read_dir, write, File, OpenOptions};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{ensure, Context, Result};
use vfio_client::space::space;
use vfio_client::sva::Bond;
use vfio_client::sysfs::vfio_pci;
use vfio_client::tap::{self, Test};
use vfio_client::{ensure_eq, ensure_errno};
use vfio_ioctls::VfioDevice;

/// The module that makes Linux believe in QEMU's IOMMU, which lies beside the program.
struct SvaTestModule;

impl SvaTestModule {
    fn new() -> Result<Self> {
        if !Path::new("/sys/module/sva_test").exists() {
            let status = Command::new("insmod").arg("./sva_test.ko").status()?;
            ensure!(status.success(), "no sva_test.ko");
        }
        write("/sys/module/sva_test/parameters/capable", "Y").context("not capable")?;
        Ok(Self)
    }
}

impl Drop for SvaTestModule {
    fn drop(&mut self) {
        // What stays is in use, which the next test that needs it gone will see.
        let _ = Command::new("rmmod").arg("sva_test").status();
    }
}

/// The file of a device on vfio-pci.
fn open(device: &Path) -> Result<File> {
    let entry = read_dir(device.join("vfio-dev"))?
        .next()
        .context("no node")??;
    let node = Path::new("/dev/vfio/devices").join(entry.file_name());
    Ok(OpenOptions::new().read(true).write(true).open(node)?)
}

/// Bound as long as the value lives, each time with the PASID that the address space has.
fn bond() -> Result<()> {
    let device = vfio_pci("SVA0")?;
    let _module = SvaTestModule::new()?;
    let file = open(&device)?;
    let _device = VfioDevice::new_from_fd(file.try_clone()?, space()?, true)?;
    if std::env::var("VFIO_CORE").is_ok_and(|core| core == "c") {
        ensure_errno!(Bond::new(&file), ENOTTY);
        return Ok(());
    }
    let bond = Bond::new(&file)?;
    let pasid = bond.pasid;
    ensure!(pasid > 0, "the PASID of requests without one");
    ensure_errno!(Bond::new(&file), EEXIST);
    drop(bond);
    ensure_eq!(Bond::new(&file)?.pasid, pasid);
    Ok(())
}

const TESTS: &[Test] = &[("bond", bond)];

fn main() -> ExitCode {
    tap::run(TESTS)
}
