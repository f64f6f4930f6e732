// SPDX-License-Identifier: GPL-2.0-only
//! An address space and the memory in it, as a virtual machine has it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{ensure, Context, Result};
use iommufd_bindings::iommufd::{iommu_hwpt_alloc, iommufd_hwpt_alloc_flags};
use iommufd_ioctls::{IommuFd, IommufdIoas};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioDeviceFd, VfioIommufd, VfioOps};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

use crate::sysfs::vfio_pci;

pub const PAGE: usize = 4096;

/// What devices are opened in: an iommufd, which takes their own files, or a container, which takes their
/// groups.
pub trait Space: VfioOps + Sized {
    /// A new one, for devices that a virtual machine may have to be told of.
    fn create(kvm: Option<Arc<VfioDeviceFd>>) -> Result<Arc<Self>>;
}

impl Space for VfioIommufd {
    fn create(kvm: Option<Arc<VfioDeviceFd>>) -> Result<Arc<Self>> {
        space_of(Arc::new(IommuFd::new()?), kvm)
    }
}

impl Space for VfioContainer {
    fn create(kvm: Option<Arc<VfioDeviceFd>>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self::new(kvm)?))
    }
}

/// The PCI device of that name, open in a new address space.
pub fn open<S: Space>(name: &str) -> Result<(Arc<S>, VfioDevice)> {
    let path = vfio_pci(name)?;
    let space = S::create(None)?;
    let device = VfioDevice::new(&path, space.clone(), true)?;
    Ok((space, device))
}

/// A new iommufd with one address space, for devices to be opened in.
pub fn space() -> Result<Arc<VfioIommufd>> {
    Space::create(None)
}

/// The same on an iommufd that is there, for devices that a virtual machine is told of.
pub fn space_of(iommufd: Arc<IommuFd>, kvm: Option<Arc<VfioDeviceFd>>) -> Result<Arc<VfioIommufd>> {
    let ioas = Arc::new(IommufdIoas::new(Arc::clone(&iommufd))?);
    Ok(Arc::new(VfioIommufd::new(iommufd, Some(ioas), kvm)?))
}

/// A page table of one's own for the device with that id; its id.
pub fn hwpt(space: &VfioIommufd, device: u32, flags: iommufd_hwpt_alloc_flags) -> Result<u32> {
    let mut alloc = iommu_hwpt_alloc {
        size: std::mem::size_of::<iommu_hwpt_alloc>() as u32,
        flags,
        dev_id: device,
        pt_id: space.ioas().id(),
        ..Default::default()
    };
    space.iommufd().alloc_iommu_hwpt(&mut alloc)?;
    Ok(alloc.out_hwpt_id)
}

/// Memory that devices see at the addresses that it has for us.
pub struct Ram(GuestMemoryMmap<()>);

impl Ram {
    /// Pages, each range of them by address and number.
    pub fn new(ranges: &[(u64, usize)]) -> Result<Self> {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|&(at, pages)| (GuestAddress(at), pages * PAGE))
            .collect();
        Ok(Self(GuestMemoryMmap::from_ranges(&ranges)?))
    }

    /// Gives all of it to the devices of an address space.
    pub fn map<S: Space>(&self, space: &Arc<S>) -> Result<()> {
        for region in self.0.iter() {
            let at = region.start_addr();
            // SAFETY: `Ram` never makes a reference to the memory: all access goes through vm-memory,
            // which is volatile.
            unsafe {
                space.vfio_dma_map(at.0, region.len() as usize, self.0.get_host_address(at)?)
            }?;
        }
        Ok(())
    }

    /// Takes it away again.
    pub fn unmap<S: Space>(&self, space: &Arc<S>) -> Result<()> {
        for region in self.0.iter() {
            space.vfio_dma_unmap(region.start_addr().0, region.len() as usize)?;
        }
        Ok(())
    }

    pub fn write(&self, at: u64, data: &[u8]) -> Result<()> {
        Ok(self.0.write_slice(data, GuestAddress(at))?)
    }

    pub fn read(&self, at: u64, size: usize) -> Result<Vec<u8>> {
        let mut data = vec![0; size];
        self.0.read_slice(&mut data, GuestAddress(at))?;
        Ok(data)
    }

    pub fn word(&self, at: u64) -> Result<u32> {
        Ok(self.0.read_obj(GuestAddress(at))?)
    }

    /// The physical address behind an address, of a page that is there.
    pub fn physical(&self, at: u64) -> Result<u64> {
        let virt = self.0.get_host_address(GuestAddress(at))? as u64;
        let page = PAGE as u64;
        let mut entry = [0; 8];
        File::open("/proc/self/pagemap")?
            .read_exact_at(&mut entry, virt / page * 8)
            .context("pagemap")?;
        let entry = u64::from_ne_bytes(entry);
        ensure!(entry >> 63 == 1, "the page at {at:#x} is not there");
        Ok((entry & ((1 << 55) - 1)) * page + virt % page)
    }
}
