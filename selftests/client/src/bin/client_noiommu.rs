// SPDX-License-Identifier: GPL-2.0-only
//! A client of the rust-vmm crates, on devices that are behind no IOMMU.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{ensure, Context, Result};
use vfio_client::device::{arrives, events, DmaProbe, Edu};
use vfio_client::space::{space, Ram, Space};
use vfio_client::sysfs::{unbind, vfio_pci};
use vfio_client::tap::{self, Skip, Test};
use vfio_client::{ensure_eq, ensure_errno};
use vfio_ioctls::{VfioContainer, VfioDevice};

const PARAMETER: &str = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
const IOVA: u64 = 0x1000_0000;

/// A device on vfio-pci, which it can be on only while the administrator allows it.
struct Bare(PathBuf);

impl Bare {
    fn new(name: &str) -> Result<Self> {
        fs::write(PARAMETER, "Y").map_err(|_| Skip("a kernel without VFIO_NOIOMMU".to_owned()))?;
        Ok(Self(vfio_pci(name)?))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = unbind(&self.0);
        let _ = fs::write(PARAMETER, "N");
    }
}

/// semantics: 24, 107, 122.  Another name, and for the rest a device like others.
fn device() -> Result<()> {
    let bare = Bare::new("EDU0")?;
    let node = fs::read_dir(bare.0.join("vfio-dev"))?
        .next()
        .context("no vfio-dev")??;
    ensure!(
        node.file_name()
            .to_string_lossy()
            .starts_with("noiommu-vfio"),
        "a name without noiommu"
    );
    for _ in 0..3 {
        let device = VfioDevice::new(&bare.0, space()?, false)?;
        ensure!(device.iommufd_dev_id().is_some(), "the device has no id");
        let edu = Edu::new(&device)?;
        edu.0.write(Edu::LIVENESS, 0x1357_9bdf);
        ensure_eq!(edu.0.read(Edu::LIVENESS), !0x1357_9bdf);
        let [event] = events()?;
        device.enable_msi(vec![&event])?;
        edu.raise(1);
        arrives(&event)?;
        ensure_eq!(edu.acknowledge(), 1);
        ensure_errno!(VfioDevice::new(&bare.0, space()?, false), EINVAL);
    }
    Ok(())
}

/// semantics: 65, 112, 114.  An address space that keeps memory where it is; DMA goes by physical addresses.
fn dma() -> Result<()> {
    let bare = Bare::new("TESTDEV0")?;
    let space = space()?;
    let device = VfioDevice::new(&bare.0, space.clone(), true)?;
    ensure_errno!(device.attach_hwpt(0xffff), ENOENT);
    let probe = DmaProbe::new(&device)?;
    let ram = Ram::new(&[(IOVA, 1)])?;
    ram.map(&space)?;
    ensure!(
        probe.writes(&ram, IOVA, ram.physical(IOVA)?)?,
        "memory is not reached"
    );
    ram.unmap(&space)?;
    device.detach_hwpt()?;
    device.attach_hwpt(space.ioas().id())?;
    Ok(())
}

/// semantics: 26.  Its group has another name, too: the crate, which does not know that name, finds none.
fn group() -> Result<()> {
    let bare = Bare::new("EDU0")?;
    ensure_errno!(
        VfioDevice::new(&bare.0, VfioContainer::create(None)?, false),
        ENOENT
    );
    Ok(())
}

const TESTS: &[Test] = &[("device", device), ("dma", dma), ("group", group)];

fn main() -> ExitCode {
    tap::run(TESTS)
}
