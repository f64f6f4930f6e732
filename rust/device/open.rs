// SPDX-License-Identifier: GPL-2.0-only

//! Opening and closing of a device.
//!
//! C counterpart: `vfio_df_open()` and `vfio_df_close()`, and the half of `vfio_df_group_open()`
//! that concerns the device.
//!
//! A device is open once by a file of its own, or any number of times by way of its group.  The
//! first open decides by which backend, takes what has to be held meanwhile, and the last close
//! gives it back ([`FirstOpen`]).
//!
//! Locks: the set's.  The group's own lock is not held: what an open needs of the group it has
//! taken before.

use crate::{
    container::ContainerAccess,
    group::backend::OpenBackend,
    kapi::{capability, kvm::KvmRef, module::ModuleRef},
    refusal::{Because, Reason, Refusal},
    shared::vfio::{
        opening::{Bound, Closing, Opened, Opening},
        set::DevSetGuard,
        Device, Open, Registered, RegistrationRef, SetLocked,
    },
    sva::Apart,
};
use kernel::prelude::*;

/// What is done with the device by each backend.
impl OpenBackend {
    /// Binds the device; also gives its id in the iommufd, if that knows it.
    ///
    /// # Errors
    ///
    /// The driver's, those of iommufd among them; those of the container's use; `EPERM` for a
    /// container without an IOMMU, unless the caller has `CAP_SYS_RAWIO`.
    fn bind<'a, 'l>(
        &self,
        opening: Opening<'a, 'l>,
    ) -> Result<(Bound<'a, 'l>, u32), (Opening<'a, 'l>, Refusal)> {
        match self {
            Self::Iommufd(ctx) => opening
                .bind_iommufd(ctx)
                .map_err(|(opening, e)| (opening, Reason::BindIommufd.with(e))),
            Self::NoIommu(_) => Ok((opening.bind_container(None), 0)),
            Self::Container(open) => {
                let access = match &open.usage {
                    Ok(usage) => usage.access(),
                    Err(e) => return Err((opening, *e)),
                };
                if open.is_noiommu && !capability::sys_rawio() {
                    return Err((opening, Reason::NeedsRawIo.with(EPERM)));
                }
                let state = opening.device().state();
                state.set_container(Some(access.clone()));
                Ok((opening.bind_container(access.instance()), 0))
            }
        }
    }

    /// The end of [`bind`](Self::bind), after the device was unbound: until then the driver can unpin,
    /// which may be asked of it.
    fn unbound(&self, device: &Device) {
        match self {
            Self::Iommufd(_) | Self::NoIommu(_) => {}
            Self::Container(_) => drop(device.state().set_container(None)),
        }
    }

    /// Attaches the address space that the ioctls of containers work on.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the iommufd has none; the driver's.
    fn attach_compat(&self, locked: &mut SetLocked<'_>) -> Result {
        match self {
            Self::Iommufd(ctx) => locked.attach_ioas(ctx.compat_ioas()?).map(|_| ()),
            Self::NoIommu(_) | Self::Container(_) => Ok(()),
        }
    }
}

/// What is held from the first open to the last close.  Dropped without the set's lock: the last
/// reference on a machine may end it, and a container's is given back under the group's lock.
pub(crate) struct FirstOpen {
    backend: OpenBackend,
    devid: u32,
    /// The machine, until the device has it: drivers see it while the device is open.
    kvm: Option<KvmRef>,
    /// The driver's module, until its `close_device` has run.
    module: Option<ModuleRef>,
    /// Counts attachments and detachments.
    attachments: u64,
}

impl FirstOpen {
    /// What a first open would hold.
    pub(crate) fn new(backend: OpenBackend, kvm: Option<KvmRef>) -> Self {
        Self {
            backend,
            devid: 0,
            kvm,
            module: None,
            attachments: 0,
        }
    }

    /// Counts a change of what is attached to a device that is open; the result is the count.
    pub(crate) fn count_attach(locked: &mut SetLocked<'_>) -> Option<u64> {
        locked.with_first_open_mut(|first| {
            first.attachments = first.attachments.wrapping_add(1);
            first.attachments
        })
    }

    /// The count of the last change.
    pub(crate) fn attachments(locked: &SetLocked<'_>) -> Option<u64> {
        locked.with_first_open(|first| first.attachments)
    }
}

/// By which kind of file a device is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// One of its own; alone.
    Cdev,
    /// Its group's; any number.
    Group,
}

impl Path {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cdev => "cdev",
            Self::Group => "group",
        }
    }
}

/// One open of a device; closed when dropped, which takes the set's lock.
pub(crate) struct OpenDevice {
    opened: Opened,
    devid: u32,
}

impl OpenDevice {
    /// Opens the device, which must not be open: for a file of its own.
    ///
    /// `first` is taken when this succeeds, and else left to be dropped without the lock.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the device is open; those of [`first`](Self::first).
    pub(crate) fn by_cdev(
        locked: &mut SetLocked<'_>,
        first: &mut Option<FirstOpen>,
    ) -> Result<Self, Refusal> {
        match locked.open_count() {
            0 => Self::first(locked, Path::Cdev, first),
            _ => Err(Reason::OtherFile.with(EINVAL)),
        }
    }

    /// Opens the device by way of its group, for the first time or once more.  The first time, the
    /// address space that an iommufd keeps for it is attached.  Takes the set's lock.
    ///
    /// `first` is taken by a first open that succeeds.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is open by another backend, where the C core mixes up the two; for a first
    /// open `EPERM` as for [`OpenBackend::permit`], and those of [`first`](Self::first).
    pub(crate) fn by_group(
        device: &Device<Registered>,
        first: &mut Option<FirstOpen>,
    ) -> Result<Self, Refusal> {
        let access = first.as_ref().and_then(|f| f.backend.container_access());
        let (_apart, mut guard) = lock_apart(device, 0, access);
        Self::by_group_locked(&mut guard.locked(), first)
    }

    fn by_group_locked(
        locked: &mut SetLocked<'_>,
        first: &mut Option<FirstOpen>,
    ) -> Result<Self, Refusal> {
        let backend = &first.as_ref().ok_or(EINVAL)?.backend;
        if locked.open_count() == 0 {
            backend.permit().because(Reason::NoIommu)?;
            return Self::first(locked, Path::Group, first);
        }
        match locked.with_first_open(|first| first.backend.is(backend)) {
            Some(true) => Ok(Self::again(locked)?),
            _ => Err(Reason::OtherBackend.with(EINVAL)),
        }
    }

    /// The first open.
    ///
    /// Order: the driver's module, its `bind_iommufd` or the container, its `open_device`, and for
    /// an iommufd of a group its `attach_ioas`; undone in reverse.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the driver's module is going away or the device is being unregistered; the
    /// driver's; those of the container's use; `ENODEV` when the iommufd of a group has no address
    /// space to attach.
    fn first(
        locked: &mut SetLocked<'_>,
        path: Path,
        first: &mut Option<FirstOpen>,
    ) -> Result<Self, Refusal> {
        let FirstOpen {
            backend,
            devid,
            kvm,
            module,
            ..
        } = first.as_mut().ok_or(EINVAL)?;
        let registration = RegistrationRef::try_get(locked.device()).ok_or(ENODEV)?;
        let driver = registration.driver_module().because(Reason::DriverLeaves)?;
        // The driver sees itself counted in its callbacks.
        let mut opening = locked.begin_open(registration)?;
        let has_machine = kvm.is_some();
        if let Some(machine) = kvm.take() {
            opening.set_kvm(machine);
        }
        match Self::bind_and_open(opening, path, backend) {
            Ok(open) => {
                *devid = open.devid;
                *module = Some(driver);
                locked.device().state().set_machine(has_machine);
                locked.set_first_open(first.take());
                locked.set_cdev_opened(path == Path::Cdev);
                Ok(open)
            }
            Err((machine, refusal)) => {
                *kvm = machine;
                Err(refusal)
            }
        }
    }

    /// On failure the machine comes back, to be dropped without the lock.
    fn bind_and_open(
        opening: Opening<'_, '_>,
        path: Path,
        backend: &OpenBackend,
    ) -> Result<Self, (Option<KvmRef>, Refusal)> {
        let (bound, devid) = backend
            .bind(opening)
            .map_err(|(opening, refusal)| (opening.cancel(), refusal))?;
        let (mut opened, locked) = bound.open().map_err(|(bound, e)| {
            let opening = bound.unbind();
            backend.unbound(opening.device());
            (opening.cancel(), Reason::OpenDevice.with(e))
        })?;
        if path == Path::Group {
            if let Err(e) = backend.attach_compat(locked) {
                let last = locked.driver_close(opened.closing().1);
                let kvm = last.and_then(|last| {
                    let unbound = last.unbind();
                    backend.unbound(unbound.device());
                    unbound.end()
                });
                return Err((kvm, Reason::Attach.with(e)));
            }
        }
        Ok(Self { opened, devid })
    }

    /// One more open, of which the driver sees nothing but the count.
    fn again(locked: &mut SetLocked<'_>) -> Result<Self> {
        let registration = RegistrationRef::try_get(locked.device()).ok_or(ENODEV)?;
        let opened = locked.open_again(registration)?;
        let devid = locked.with_first_open(|first| first.devid).unwrap_or(0);
        Ok(Self { opened, devid })
    }

    /// The id of the device in the iommufd; 0 when it is in none, without an IOMMU.
    pub(crate) fn devid(&self) -> u32 {
        self.devid
    }

    /// The device.
    #[inline]
    pub(crate) fn device(&self) -> &Device<Open> {
        self.opened.device()
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        let (device, closing) = self.opened.closing();
        let state = device.state();
        // Before the driver resets the device.
        state.processes().end_all();
        let access = state.container();
        let (apart, mut guard) = lock_apart(device, 1, access.as_ref());
        let first = close(&mut guard.locked(), closing);
        drop(guard);
        // While the group is still in its container.
        drop(apart);
        drop(first);
    }
}

/// Takes the lock of a device's set.  If the device has `count` opens then, the next step resets it:
/// until the first result is dropped, the processes of its container have no bonds with it.
///
/// Bonds do not end under the lock, for page requests in flight are waited for.
fn lock_apart<'a>(
    device: &'a Device<Registered>,
    count: u32,
    access: Option<&ContainerAccess>,
) -> (Option<Apart>, DevSetGuard<'a>) {
    let mut guard = device.lock_set();
    let Some(access) = access.filter(|_| guard.locked().open_count() == count) else {
        return (None, guard);
    };
    drop(guard);
    let apart = access.part_from_processes();
    (apart, device.lock_set())
}

/// Closes.  The last close gives what the first open took and the machine, to be dropped without the
/// lock.
///
/// Order: the driver's `close_device`, its `unbind_iommufd`, its module; the open count last.
fn close(locked: &mut SetLocked<'_>, closing: Closing<'_>) -> (Option<FirstOpen>, Option<KvmRef>) {
    let Some(last) = locked.driver_close(closing) else {
        return (None, None);
    };
    let mut unbound = last.unbind();
    let mut first = unbound.take_first_open();
    if let Some(first) = &mut first {
        first.backend.unbound(unbound.device());
        drop(first.module.take());
    }
    unbound.device().state().set_machine(false);
    (first, unbound.end())
}
