// SPDX-License-Identifier: GPL-2.0-only
//! A client of the rust-vmm crates, on devices behind an IOMMU, which it opens by their own files.

mod passing;
mod spaces;

use std::path::Path;
use std::process::ExitCode;

use vfio_client::cases::{device, interrupts, mediated, memory};
use vfio_client::tap::{self, Test};
use vfio_ioctls::VfioIommufd;

const TESTS: &[Test] = &[
    ("open_and_close", spaces::open_and_close),
    ("info", device::info::<VfioIommufd>),
    ("regions", device::regions::<VfioIommufd>),
    ("mapped_bar", device::mapped_bar::<VfioIommufd>),
    ("msi", interrupts::msi::<VfioIommufd>),
    ("intx", interrupts::intx::<VfioIommufd>),
    ("msix", interrupts::msix::<VfioIommufd>),
    ("dma", memory::dma::<VfioIommufd>),
    ("attach", spaces::attach),
    ("two_devices", memory::two_devices::<VfioIommufd>),
    ("pasid", spaces::pasid),
    ("passed_file", passing::passed_file),
    ("passed_bound", passing::passed_bound),
    ("kvm", device::kvm::<VfioIommufd>),
    ("mediated_attach", spaces::mediated_attach),
    ("mediated", mediated::mediated::<VfioIommufd>),
    ("migration", mediated::migration::<VfioIommufd>),
    ("dma_logging", mediated::dma_logging::<VfioIommufd>),
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
