// SPDX-License-Identifier: GPL-2.0-only

//! Why an open or a bind was refused, for the log: an errno alone has too many reasons.
//!
//! The C core says nothing.  What a caller could have known of its own arguments is not said here
//! either.

use crate::kapi::{ratelimit::RateLimit, sched::TaskId};
use kernel::{dev_info, device::Device, fmt, prelude::*};

/// What stood in the way.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// There is no IOMMU, and the caller lacks the capability for that.
    NeedsRawIo,
    /// The group is used through its own file.
    GroupFileOpen,
    /// The group is used through files of its devices.
    DeviceBound,
    /// This very file has been bound before.
    BoundAlready,
    /// The device is open by another file.
    OtherFile,
    /// A descriptor that is none, or of something else.
    NotIommufd(c_int),
    /// The driver looks at no tokens, and one was given.
    TokenUnwanted,
    /// The driver wants another token, or one at all.
    Token,
    /// The driver's module is being unloaded.
    DriverLeaves,
    /// The driver's `bind_iommufd`, which mostly is iommufd itself.
    BindIommufd,
    /// The driver's `open_device`.
    OpenDevice,
    /// Neither a container nor an iommufd was set for the devices of the group.
    NoContainer,
    /// No IOMMU driver was chosen for the container.
    NoBackend,
    /// The device is open with another container or iommufd.
    OtherBackend,
    /// There is no IOMMU, and the caller lacks the capability, or the iommufd serves devices that
    /// have one.
    NoIommu,
    /// The address space for the ioctls of containers.
    Attach,
}

impl Reason {
    /// The refusal with an errno.
    pub(crate) fn with(self, errno: Error) -> Refusal {
        Refusal {
            errno,
            reason: Some(self),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeedsRawIo => "no IOMMU, which needs CAP_SYS_RAWIO",
            Self::GroupFileOpen => "the group's file is open",
            Self::DeviceBound => "a device of the group is bound",
            Self::BoundAlready => "this file is bound already",
            Self::OtherFile => "another file is bound",
            Self::NotIommufd(fd) => return f.write_fmt(fmt!("fd {} is no iommufd", fd)),
            Self::TokenUnwanted => "the driver takes no token",
            Self::Token => "the driver refuses the token, or that there is none",
            Self::DriverLeaves => "the driver is being unloaded",
            Self::BindIommufd => "the driver or iommufd refuses",
            Self::OpenDevice => "the driver cannot open the device",
            Self::NoContainer => "the group has neither container nor iommufd",
            Self::NoBackend => "the container has no IOMMU driver",
            Self::OtherBackend => "it is open with another container or iommufd",
            Self::NoIommu => "no IOMMU, which needs CAP_SYS_RAWIO and an iommufd without mappings",
            Self::Attach => "the iommufd's address space cannot be attached",
        })
    }
}

/// An errno, and its reason if that is worth a line in the log.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    errno: Error,
    reason: Option<Reason>,
}

impl From<Error> for Refusal {
    fn from(errno: Error) -> Self {
        Self {
            errno,
            reason: None,
        }
    }
}

/// Gives reasons to errnos.
pub(crate) trait Because<T> {
    /// If it failed, it did for this reason.
    fn because(self, reason: Reason) -> Result<T, Refusal>;
}

impl<T> Because<T> for Result<T> {
    #[inline]
    fn because(self, reason: Reason) -> Result<T, Refusal> {
        self.map_err(|errno| reason.with(errno))
    }
}

impl Refusal {
    /// The errno.  No lock is held by who asks for it.
    pub(crate) fn errno(&self) -> Error {
        self.errno
    }

    /// The errno, after the log was told why `what` was refused to the calling process, if there is a
    /// reason and it has not been told too often.  Only then `with_dev` is called, to find the device.
    /// Called without locks: the console may be slow.
    pub(crate) fn told(
        self,
        what: &str,
        limit: &RateLimit,
        with_dev: impl FnOnce(&dyn Fn(&Device)),
    ) -> Error {
        if let Some(reason) = self.reason {
            if limit.permits() {
                with_dev(&|dev| self.tell(what, reason, dev));
            }
        }
        self.errno
    }

    #[cold]
    fn tell(&self, what: &str, reason: Reason, dev: &Device) {
        dev_info!(
            dev,
            "{} by {} refused: {} ({})\n",
            what,
            TaskId::process(),
            reason,
            self.errno.to_errno()
        );
    }

    /// As [`told`](Self::told), of a group.
    #[cold]
    pub(crate) fn tell_of_group(&self, what: &str, limit: &RateLimit, group: i32) {
        if let Some(reason) = self.reason.filter(|_| limit.permits()) {
            pr_info!(
                "group {}: {} by {} refused: {} ({})\n",
                group,
                what,
                TaskId::process(),
                reason,
                self.errno.to_errno()
            );
        }
    }
}
