// SPDX-License-Identifier: GPL-2.0-only

//! The reasons for which an open or a BIND was refused.  The reason is logged, because several causes share
//! one errno.  An error without a [`Reason`] is not logged, for example an invalid structure or `ENOMEM`.
//!
//! The C core logs no refusals.

use crate::kapi::{ratelimit::RateLimit, sched::TaskId};
use kernel::{dev_info, device::Device, fmt, prelude::*};

/// The cause of a refusal.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// There is no IOMMU, and the caller does not have the required capability.
    NeedsRawIo,
    /// The group file is open.
    GroupFileOpen,
    /// A cdev file of a device of the group is bound or is being bound.
    DeviceBound,
    /// The same file is already bound.
    BoundAlready,
    /// The device is open through another file.
    OtherFile,
    /// The file descriptor is not open, or is not an iommufd.
    NotIommufd(c_int),
    /// A token was given to a driver that does not check tokens.
    TokenUnwanted,
    /// The driver refuses the token, or requires a token and none was given.
    Token,
    /// The driver's module is unloading.
    DriverLeaves,
    /// The driver's `bind_iommufd` failed; in most cases the errno comes from iommufd.
    BindIommufd,
    /// The driver's `open_device` failed.
    OpenDevice,
    /// The group has neither a container nor an iommufd.
    NoContainer,
    /// No container driver was chosen for the container.  The log calls it an IOMMU driver.
    NoIommuDriver,
    /// The device is open with another container or iommufd.
    OtherBackend,
    /// There is no IOMMU, and one of these holds: the caller does not have the required capability; the
    /// iommufd serves devices that have an IOMMU.
    NoIommu,
    /// The IOAS for the container ioctls of the iommufd cannot be attached.
    Attach,
}

impl Reason {
    /// Returns a refusal with this reason and the given errno.
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
            Self::NoIommuDriver => "the container has no IOMMU driver",
            Self::OtherBackend => "it is open with another container or iommufd",
            Self::NoIommu => {
                "no IOMMU, which needs CAP_SYS_RAWIO and an iommufd without compat IOAS"
            }
            Self::Attach => "the iommufd's address space cannot be attached",
        })
    }
}

/// An errno, with its reason if the reason is worth a line in the log.
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

/// Adds reasons to errnos.
pub(crate) trait Because<T> {
    /// Adds the reason to a failure.
    fn because(self, reason: Reason) -> Result<T, Refusal>;
}

impl<T> Because<T> for Result<T> {
    #[inline]
    fn because(self, reason: Reason) -> Result<T, Refusal> {
        self.map_err(|errno| reason.with(errno))
    }
}

impl Refusal {
    /// Returns the errno.
    pub(crate) fn errno(&self) -> Error {
        self.errno
    }

    /// Logs the reason why the operation `what` of the calling process was refused, and returns the errno.
    /// Nothing is logged if there is no reason, or if `limit` is exceeded.  Otherwise `with_dev` is called.  It
    /// calls its argument with the device, which logs the line, or does nothing if the device is gone.  The
    /// caller holds no locks, because the console can be slow.
    pub(crate) fn log(
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

    /// Does the same as [`log`](Self::log), for a group.  Does not return the errno.
    #[cold]
    pub(crate) fn log_for_group(&self, what: &str, limit: &RateLimit, group: i32) {
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
