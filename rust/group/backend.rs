// SPDX-License-Identifier: GPL-2.0-only

//! By what a device reaches memory while it is open: an iommufd, or the container of its group.
//!
//! Locks: the group's, to find what it has been given, and to end the use of a container.

use super::{Group, Provided, Provision, Users};
use crate::{
    container::{Container, ContainerAccess, ContainerMembership},
    kapi::{capability, iommufd::Ctx},
    refusal::{Reason, Refusal},
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
};

/// How an open device reaches memory.
pub(crate) enum OpenBackend {
    /// It is bound to an iommufd.
    Iommufd(ARef<Ctx>),
    /// Without an IOMMU, via its group: the iommufd takes the place of the container and does not
    /// know the device.
    NoIommu(ARef<Ctx>),
    /// Its group is in a container.
    Container(ContainerOpen),
}

/// An open via a container.
pub(crate) struct ContainerOpen {
    pub(crate) container: Arc<Container>,
    /// The use of it; an error has its place in the order of a first open.
    pub(crate) usage: Result<ContainerUse, Refusal>,
    /// A first open needs `CAP_SYS_RAWIO`.
    pub(crate) is_noiommu: bool,
}

impl OpenBackend {
    /// Whether both are one backend.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Iommufd(a) | Self::NoIommu(a), Self::Iommufd(b) | Self::NoIommu(b)) => {
                core::ptr::eq(&raw const **a, &raw const **b)
            }
            (Self::Container(a), Self::Container(b)) => {
                core::ptr::eq(&raw const *a.container, &raw const *b.container)
            }
            _ => false,
        }
    }

    /// Whether the caller may open a device by its group.
    ///
    /// # Errors
    ///
    /// `EPERM` without an IOMMU, unless the caller has `CAP_SYS_RAWIO` and nobody has done anything
    /// with the iommufd that makes sense with an IOMMU only.
    pub(crate) fn permit(&self) -> Result {
        match self {
            Self::Iommufd(_) | Self::Container(_) => Ok(()),
            Self::NoIommu(ctx) if capability::sys_rawio() && ctx.compat_ioas().is_err() => Ok(()),
            Self::NoIommu(_) => Err(EPERM),
        }
    }

    /// The way to memory by a container that has a backend.
    pub(crate) fn container_access(&self) -> Option<&ContainerAccess> {
        match self {
            Self::Container(open) => Some(open.usage.as_ref().ok()?.access()),
            Self::Iommufd(_) | Self::NoIommu(_) => None,
        }
    }
}

impl Group {
    /// The way to memory for an open of a device by `file`, the group's.  None when nothing is
    /// set.
    pub(crate) fn backend(self: ArcBorrow<'_, Self>, file: &File) -> Option<OpenBackend> {
        let mut inner = self.inner.lock();
        let Users::GroupFile(Provision::Set(provided)) = &mut inner.users else {
            return None;
        };
        Some(match provided {
            Provided::Iommufd(ctx) if self.is_noiommu() => OpenBackend::NoIommu(ctx.clone()),
            Provided::Iommufd(ctx) => OpenBackend::Iommufd(ctx.clone()),
            Provided::Container { place, opens } => OpenBackend::Container(ContainerOpen {
                container: place.container().clone(),
                usage: self.use_container(place, opens, file),
                is_noiommu: self.is_noiommu(),
            }),
        })
    }

    /// # Errors
    ///
    /// `EINVAL` when the container has no backend; `EBUSY` when it is in use too often.
    fn use_container(
        self: ArcBorrow<'_, Self>,
        place: &ContainerMembership,
        opens: &mut u32,
        file: &File,
    ) -> Result<ContainerUse, Refusal> {
        let access = place.access().ok_or(Reason::NoBackend.with(EINVAL))?;
        *opens = opens.checked_add(1).ok_or(EBUSY)?;
        Ok(ContainerUse {
            access,
            group: self.into(),
            _file: file.into(),
        })
    }
}

/// A device's use of its group's container, from the first open to the last close.  It keeps the
/// group's file open and in the container.
pub(crate) struct ContainerUse {
    access: ContainerAccess,
    group: Arc<Group>,
    _file: ARef<File>,
}

impl ContainerUse {
    /// The way to memory.
    pub(crate) fn access(&self) -> &ContainerAccess {
        &self.access
    }
}

impl Drop for ContainerUse {
    fn drop(&mut self) {
        let mut inner = self.group.inner.lock();
        let users = &mut inner.users;
        if let Users::GroupFile(Provision::Set(Provided::Container { opens, .. })) = users {
            *opens = opens.saturating_sub(1);
        }
    }
}
