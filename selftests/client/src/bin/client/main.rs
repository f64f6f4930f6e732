// SPDX-License-Identifier: GPL-2.0-only
//! A client of the rust-vmm crates, on devices behind an IOMMU.

mod device;
mod interrupts;
mod mediated;
mod passing;
mod spaces;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use vfio_bindings::bindings::vfio::*;
use vfio_client::space::space;
use vfio_client::sysfs::vfio_pci;
use vfio_client::tap::{self, Test};
use vfio_ioctls::{VfioDevice, VfioIommufd};

const INTX: u32 = VFIO_PCI_INTX_IRQ_INDEX;
const MSI: u32 = VFIO_PCI_MSI_IRQ_INDEX;
const MSIX: u32 = VFIO_PCI_MSIX_IRQ_INDEX;

const IOVA: u64 = 0x1000_0000;

/// The device of that name, open, bound and attached to a new address space.
fn open(name: &str) -> Result<(Arc<VfioIommufd>, VfioDevice)> {
    let path = vfio_pci(name)?;
    let space = space()?;
    let device = VfioDevice::new(&path, space.clone(), true)?;
    Ok((space, device))
}

const TESTS: &[Test] = &[
    ("open_and_close", device::open_and_close),
    ("info", device::info),
    ("regions", device::regions),
    ("mapped_bar", device::mapped_bar),
    ("msi", interrupts::msi),
    ("intx", interrupts::intx),
    ("msix", interrupts::msix),
    ("dma", spaces::dma),
    ("attach", spaces::attach),
    ("two_devices", spaces::two_devices),
    ("pasid", spaces::pasid),
    ("passed_file", passing::passed_file),
    ("passed_bound", passing::passed_bound),
    ("kvm", device::kvm),
    ("mediated", mediated::mediated),
    ("migration", mediated::migration),
    ("dma_logging", mediated::dma_logging),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => tap::run(TESTS),
        [how @ ("send" | "send-bound"), path] => {
            match passing::send(Path::new(path), how == "send-bound") {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error:#}");
                    ExitCode::FAILURE
                }
            }
        }
        _ => {
            eprintln!("usage: client");
            ExitCode::FAILURE
        }
    }
}
