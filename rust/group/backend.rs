// SPDX-License-Identifier: GPL-2.0-only

//! The DMA backends of an open device: an iommufd, or the container of its group.
//!
//! Locks: `Group::inner`, to find the backend of the group and to drop the pin of a container.

use super::{BackendState, Group, GroupBackend, Users};
use crate::{
    container::{ContainerHandle, ContainerMembership},
    kapi::{capability, iommufd::Ctx},
    refusal::{Reason, Refusal},
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
};

/// The DMA backend of an open device.
pub(crate) enum OpenBackend {
    /// The device is bound to an iommufd.
    Iommufd(ARef<Ctx>),
    /// The iommufd of a group without an IOMMU.  It replaces the container.  The device is not bound to it.
    NoIommu(ARef<Ctx>),
    /// The container of the device's group, or the error of the attempt to pin the container.  The error is
    /// returned later, at its place in the order of the errors of a first open.
    Container(Result<ContainerPin, Refusal>),
}

impl OpenBackend {
    /// Tells whether both backends are the same iommufd or the same container.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Iommufd(a) | Self::NoIommu(a), Self::Iommufd(b) | Self::NoIommu(b)) => {
                core::ptr::eq(&raw const **a, &raw const **b)
            }
            (Self::Container(Ok(a)), Self::Container(Ok(b))) => {
                a.handle.is_in_same_container(&b.handle)
            }
            _ => false,
        }
    }

    /// Checks that the caller may open a device through its group.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the backend is the iommufd of a noiommu group, and one of these holds: the caller does not
    ///   have `CAP_SYS_RAWIO`; the iommufd has a compat IOAS, which only physical and emulated groups use.
    pub(crate) fn permit(&self) -> Result {
        match self {
            Self::Iommufd(_) | Self::Container(_) => Ok(()),
            Self::NoIommu(ctx) if capability::sys_rawio() && ctx.compat_ioas().is_err() => Ok(()),
            Self::NoIommu(_) => Err(EPERM),
        }
    }

    /// Returns the container handle, if the backend is a container that has a container driver.
    pub(crate) fn container_handle(&self) -> Option<&ContainerHandle> {
        match self {
            Self::Container(pin) => Some(pin.as_ref().ok()?.handle()),
            Self::Iommufd(_) | Self::NoIommu(_) => None,
        }
    }
}

impl Group {
    /// Returns the backend for an open of a device through `file`, the group file.  Returns None if no
    /// backend is set, or if the backend is being changed.  Takes `Group::inner`.
    pub(crate) fn backend(self: ArcBorrow<'_, Self>, file: &File) -> Option<OpenBackend> {
        let mut inner = self.inner.lock();
        let Users::GroupFile(BackendState::Set(backend)) = &mut inner.users else {
            return None;
        };
        Some(match backend {
            GroupBackend::Iommufd(ctx) if self.is_noiommu() => OpenBackend::NoIommu(ctx.clone()),
            GroupBackend::Iommufd(ctx) => OpenBackend::Iommufd(ctx.clone()),
            GroupBackend::Container { membership, opens } => {
                OpenBackend::Container(self.pin_container(membership, opens, file))
            }
        })
    }

    /// Pins the container.  C counterpart: `vfio_group_use_container()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: the container has no container driver.
    /// - `EBUSY`: the count of opens would overflow.
    fn pin_container(
        self: ArcBorrow<'_, Self>,
        membership: &ContainerMembership,
        opens: &mut u32,
        file: &File,
    ) -> Result<ContainerPin, Refusal> {
        let handle = membership.handle();
        let handle = handle.ok_or(Reason::NoIommuDriver.with(EINVAL))?;
        *opens = opens.checked_add(1).ok_or(EBUSY)?;
        Ok(ContainerPin {
            handle,
            _count: OpenCount(self.into()),
            _file: file.into(),
        })
    }
}

/// A pin of a group's container by an open device, from the first open to the last close.  It keeps the
/// group file open, and the group in the container.  The drop takes `Group::inner`.
pub(crate) struct ContainerPin {
    /// Dropped before `_count`.  When the count is 0, the group can leave the container, and no handle may keep the
    /// group attached then.
    handle: ContainerHandle,
    _count: OpenCount,
    _file: ARef<File>,
}

impl ContainerPin {
    /// Returns the container handle.
    pub(crate) fn handle(&self) -> &ContainerHandle {
        &self.handle
    }
}

/// One of the counted opens of a group's container.
struct OpenCount(Arc<Group>);

impl Drop for OpenCount {
    #[inline(never)]
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        let users = &mut inner.users;
        if let Users::GroupFile(BackendState::Set(GroupBackend::Container { opens, .. })) = users {
            *opens = opens.saturating_sub(1);
        }
    }
}
