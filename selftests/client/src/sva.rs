// SPDX-License-Identifier: GPL-2.0-only
//! The example in Rust of Documentation/sva.rst, which shows the part below: shared virtual addressing
//! with what the rust-vmm crates make ioctls of.

use std::fs::File;
use std::io;

use vfio_bindings::bindings::vfio::{VFIO_BASE, VFIO_TYPE};
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_ref};
use vmm_sys_util::ioctl_io_nr;

#[repr(C)]
#[derive(Default)]
struct VfioBindProcess {
    argsz: u32,
    flags: u32,
    pasid: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Default)]
struct VfioUnbindProcess {
    argsz: u32,
    flags: u32,
}

ioctl_io_nr!(VFIO_BIND_PROCESS, VFIO_TYPE.into(), VFIO_BASE + 26);
ioctl_io_nr!(VFIO_UNBIND_PROCESS, VFIO_TYPE.into(), VFIO_BASE + 27);

/// Binds the process; dropping it unbinds.
pub struct Bond<'a> {
    file: &'a File,
    /// PASID for DMA requests.
    pub pasid: u32,
}

impl<'a> Bond<'a> {
    /// `file` is a device file that is bound to an iommufd, or a container.
    pub fn new(file: &'a File) -> io::Result<Self> {
        let mut arg = VfioBindProcess {
            argsz: size_of::<VfioBindProcess>() as u32,
            ..Default::default()
        };
        // SAFETY: The kernel writes no more than `argsz` bytes to `arg`.
        match unsafe { ioctl_with_mut_ref(file, VFIO_BIND_PROCESS(), &mut arg) } {
            0 => Ok(Self {
                file,
                pasid: arg.pasid,
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Bond<'_> {
    /// DMA with the PASID must have been stopped; later DMA faults.
    fn drop(&mut self) {
        let arg = VfioUnbindProcess {
            argsz: size_of::<VfioUnbindProcess>() as u32,
            ..Default::default()
        };
        // SAFETY: The kernel reads no more than `argsz` bytes of `arg`.
        unsafe { ioctl_with_ref(self.file, VFIO_UNBIND_PROCESS(), &arg) };
    }
}
