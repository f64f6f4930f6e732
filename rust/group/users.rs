// SPDX-License-Identifier: GPL-2.0-only

//! The users of a group, and the backend that user space sets for the group file.

use crate::{
    container::{Container, ContainerMembership},
    kapi::{iommu::IommuGroup, iommufd::Ctx},
    shared::vfio::iommu_driver::GroupType,
};
use core::num::NonZeroU32;
use kernel::{
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// The container or iommufd through which the devices of a group access memory.  User space sets it for the
/// group file.
pub(crate) enum GroupBackend {
    Container {
        membership: ContainerMembership,
        /// The number of devices that are open through the container, or are being opened.
        opens: u32,
    },
    Iommufd(ARef<Ctx>),
}

impl GroupBackend {
    /// Adds an IOMMU group of type `group_type` to a container.
    ///
    /// # Errors
    ///
    /// Those of [`ContainerMembership::join`].
    pub(crate) fn container(
        container: Arc<Container>,
        iommu_group: IommuGroup,
        group_type: GroupType,
    ) -> Result<Self> {
        Ok(Self::Container {
            membership: ContainerMembership::join(container, iommu_group, group_type)?,
            opens: 0,
        })
    }

    /// Prepares an iommufd for the ioctls of containers, for a group of type `group_type`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the group is a noiommu group and the iommufd serves other groups, or the reverse.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn iommufd(ctx: ARef<Ctx>, group_type: GroupType) -> Result<Self> {
        match group_type {
            GroupType::NoIommu => ctx.set_compat_noiommu()?,
            GroupType::Iommu | GroupType::Emulated => ctx.create_compat_ioas()?,
        }
        Ok(Self::Iommufd(ctx))
    }
}

/// The backend of the group file.
pub(super) enum BackendState {
    None,
    /// A task sets or releases the backend, without `Group::inner`.  The task can wait, for example for the
    /// container driver's lock of its mappings and for page requests in flight.
    Changing,
    Set(GroupBackend),
}

/// The users of a group: a group file or device files, never both.
///
/// With `repr(u32)` the discriminant has a field of its own, so one comparison tells the variants apart.
#[repr(u32)]
pub(super) enum Users {
    None,
    /// The group file, with its backend if one is set.
    GroupFile(BackendState),
    /// The number of cdev files of the group's devices that are bound or are being bound.
    Cdevs(NonZeroU32),
}

impl Users {
    /// Returns whether a backend is set for the group file, and whether it is being changed.
    pub(super) fn state(&self) -> (bool, bool) {
        match self {
            Self::GroupFile(BackendState::Set(_)) => (true, false),
            Self::GroupFile(BackendState::Changing) => (false, true),
            _ => (false, false),
        }
    }
}
