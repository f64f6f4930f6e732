// SPDX-License-Identifier: GPL-2.0-only

//! The open and the close of a device.
//!
//! C counterpart: `vfio_df_open()` and `vfio_df_close()`, and the part of `vfio_df_group_open()` that
//! concerns the device.
//!
//! A device is open either once through a cdev file, or any number of times through its group.  The first
//! open chooses the backend and acquires [`OpenResources`].  The last close releases these resources.
//!
//! Locks:
//!
//! - The set's lock, and inside it `State::container`.
//! - `BoundProcesses::groups`, never together with the set's lock.  A close takes the device's `groups` before
//!   the set's lock.  A first open and a last close through a container take the container's `groups` before
//!   and after the set's lock.
//! - `Group::inner`, never together with the set's lock.  The caller acquires the resources of the group before
//!   an open.  A close releases them after it has released the set's lock.

use crate::{
    container::ContainerHandle,
    group::{backend::OpenBackend, GroupBlock},
    kapi::{capability, kvm::KvmRef, module::ModuleRef},
    refusal::{Because, Reason, Refusal},
    shared::vfio::{
        opening::{Bound, Closing, Opened, Opening},
        set::DevSetGuard,
        Device, Open, Registered, RegistrationRef, SetLocked,
    },
    sva::Suspension,
};
use kernel::prelude::*;

/// The operations of each backend on the device.
impl OpenBackend {
    /// Binds the device.  Returns the id of the device in the iommufd, or 0.
    ///
    /// # Errors
    ///
    /// - Iommufd: the errno of the driver's `bind_iommufd`, which includes the errnos of iommufd.
    /// - Container, in this order: the errno of the pin of the container; `EPERM` if the group has no IOMMU,
    ///   and the caller does not have `CAP_SYS_RAWIO`.
    fn bind<'a, 'l>(
        &self,
        opening: Opening<'a, 'l>,
    ) -> Result<(Bound<'a, 'l>, u32), (Opening<'a, 'l>, Refusal)> {
        match self {
            Self::Iommufd(ctx) => opening
                .bind_iommufd(ctx)
                .map_err(|(opening, e)| (opening, Reason::BindIommufd.with(e))),
            Self::NoIommu(_) => Ok((opening.bind_container(None), 0)),
            Self::Container(Err(e)) => Err((opening, *e)),
            Self::Container(Ok(pin)) => {
                let handle = pin.handle();
                if handle.is_noiommu() && !capability::sys_rawio() {
                    return Err((opening, Reason::NeedsRawIo.with(EPERM)));
                }
                let state = opening.device().state();
                state.set_container(Some(handle.clone()));
                Ok((opening.bind_container(Some(handle.data())), 0))
            }
        }
    }

    /// Clears the container handle that [`bind`](Self::bind) has stored in the device's state.  Called after the
    /// device is unbound: until then the driver can unpin pages, which needs the handle.
    fn unbound(&self, device: &Device) {
        match self {
            Self::Iommufd(_) | Self::NoIommu(_) => {}
            Self::Container(_) => drop(device.state().set_container(None)),
        }
    }

    /// Attaches the IOAS on which the container ioctls of an iommufd operate.  No effect for other backends.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the iommufd has no such IOAS.
    /// - The driver's errno.
    fn attach_compat(&self, locked: &mut SetLocked<'_>) -> Result {
        match self {
            Self::Iommufd(ctx) => locked.attach_ioas(&mut ctx.compat_ioas()?).map(|_| ()),
            Self::NoIommu(_) | Self::Container(_) => Ok(()),
        }
    }
}

/// The resources that are held from the first open to the last close.
///
/// The last close drops `module` under the set's lock, and the other resources without this lock.  The drop of
/// a VM reference can destroy the VM.  The drop of a container pin or of a group block takes `Group::inner`,
/// which is never held together with the set's lock.
pub(crate) struct OpenResources {
    backend: OpenBackend,
    /// The id of the device in the iommufd, or 0.
    devid: u32,
    /// The reference on the VM.  The first open moves it to the device, where the driver finds the VM while
    /// the device is open.
    kvm: Option<KvmRef>,
    /// The reference on the driver's module.  It is dropped after the driver's `close_device`.
    module: Option<ModuleRef>,
    /// The group block.  None for an open through the group.
    _block: Option<GroupBlock>,
}

impl OpenResources {
    /// Returns the resources for a first open.
    pub(crate) fn new(
        backend: OpenBackend,
        kvm: Option<KvmRef>,
        block: Option<GroupBlock>,
    ) -> Self {
        Self {
            backend,
            devid: 0,
            kvm,
            module: None,
            _block: block,
        }
    }
}

/// The kind of file through which a device is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum OpenedBy {
    /// A cdev file of the device.  It excludes all other opens.
    Cdev,
    /// A file from the group.  A device can have any number of these files.
    Group,
}

impl OpenedBy {
    /// Returns the word for the kind in fdinfo and in the debugfs file `holders`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cdev => "cdev",
            Self::Group => "group",
        }
    }
}

/// One open of a device.  The drop ends this open, and the drop of the last open closes the device ([`close`]).
pub(crate) struct OpenDevice {
    opened: Opened,
    devid: u32,
}

impl OpenDevice {
    /// Opens a device that is not open, for a cdev file.  The caller holds the set's lock.
    ///
    /// `resources` is taken on success.  On failure the caller drops `resources` without the lock.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: the device is open.
    /// - Those of [`first_open`](Self::first_open).
    pub(crate) fn by_cdev(
        locked: &mut SetLocked<'_>,
        resources: &mut Option<OpenResources>,
    ) -> Result<Self, Refusal> {
        match locked.open_count() {
            0 => Self::first_open(locked, OpenedBy::Cdev, resources),
            _ => Err(Reason::OtherFile.with(EINVAL)),
        }
    }

    /// Opens the device through its group, for the first time or once more.  Takes the set's lock.  A first
    /// open through a container takes these locks, one after the other:
    ///
    /// 1. the set's lock, to read the open count;
    /// 2. the locks of the container's [`BoundProcesses`](crate::sva::BoundProcesses), with which it can wait for
    ///    page requests in flight;
    /// 3. the set's lock;
    /// 4. the locks of the container's `BoundProcesses` again.
    ///
    /// A first open with an iommufd attaches the compat IOAS of the iommufd (`IOMMU_VFIO_IOAS`).
    ///
    /// A first open that succeeds takes `resources`.  Otherwise the caller drops `resources`.
    ///
    /// # Errors
    ///
    /// A first open, in this order:
    ///
    /// - `EPERM`, as for [`OpenBackend::permit`].
    /// - Those of [`first_open`](Self::first_open).
    ///
    /// A further open, in this order:
    ///
    /// - `EINVAL`: the device is open with another backend.  The C core opens the device again, with the
    ///   other backend (D2 in `Documentation/differences-from-c.rst`).
    /// - `EMFILE`: the open count would overflow.
    pub(crate) fn by_group(
        device: &Device<Registered>,
        resources: &mut Option<OpenResources>,
    ) -> Result<Self, Refusal> {
        let handle = resources
            .as_ref()
            .and_then(|f| f.backend.container_handle());
        let (_suspension, mut guard) = match handle {
            None => (None, device.lock_set()),
            Some(handle) => lock_suspended(device, 0, handle),
        };
        Self::by_group_locked(&mut guard.locked(), resources)
    }

    fn by_group_locked(
        locked: &mut SetLocked<'_>,
        resources: &mut Option<OpenResources>,
    ) -> Result<Self, Refusal> {
        let backend = &resources.as_ref().ok_or(EINVAL)?.backend;
        if locked.open_count() == 0 {
            backend.permit().because(Reason::NoIommu)?;
            return Self::first_open(locked, OpenedBy::Group, resources);
        }
        match locked.with_open_resources(|resources| resources.backend.is(backend)) {
            Some(true) => Ok(Self::further_open(locked)?),
            _ => Err(Reason::OtherBackend.with(EINVAL)),
        }
    }

    /// Opens the device for the first time.
    ///
    /// Order: the reference on the driver's module; the bind to the backend; the driver's `open_device`; for
    /// an iommufd of a group, the driver's `attach_ioas`.  A failure undoes the previous steps in reverse
    /// order.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `ENODEV`: the driver's module is unloading.
    /// - Those of [`OpenBackend::bind`].
    /// - The errno of the driver's `open_device`.
    /// - For an iommufd of a group, those of [`OpenBackend::attach_compat`].
    fn first_open(
        locked: &mut SetLocked<'_>,
        opened_by: OpenedBy,
        resources: &mut Option<OpenResources>,
    ) -> Result<Self, Refusal> {
        let OpenResources {
            backend,
            devid,
            kvm,
            module,
            ..
        } = resources.as_mut().ok_or(EINVAL)?;
        let registration = RegistrationRef::try_get(locked.device()).ok_or(ENODEV)?;
        let driver = registration.driver_module().because(Reason::DriverLeaves)?;
        // The driver's callbacks see an open count that includes this open.
        let mut opening = locked.begin_open(registration)?;
        let holds_vm = kvm.is_some();
        if let Some(vm) = kvm.take() {
            opening.set_kvm(vm);
        }
        match Self::bind_and_open(opening, opened_by, backend) {
            Ok(open) => {
                *devid = open.devid;
                *module = Some(driver);
                locked.device().state().set_holds_vm(holds_vm);
                locked.store_open_resources(resources);
                if opened_by == OpenedBy::Cdev {
                    locked.set_cdev_opened(true);
                }
                Ok(open)
            }
            Err((vm, refusal)) => {
                *kvm = vm;
                Err(refusal)
            }
        }
    }

    /// Binds and opens the device.  On failure the VM reference is returned, and the caller drops it without
    /// the lock.
    fn bind_and_open(
        opening: Opening<'_, '_>,
        opened_by: OpenedBy,
        backend: &OpenBackend,
    ) -> Result<Self, (Option<KvmRef>, Refusal)> {
        let (bound, devid) = backend
            .bind(opening)
            .map_err(|(opening, refusal)| (opening.cancel(), refusal))?;
        let (opened, locked) = bound.open(opened_by).map_err(|(bound, e)| {
            let opening = bound.unbind();
            backend.unbound(opening.device());
            (opening.cancel(), Reason::OpenDevice.with(e))
        })?;
        if opened_by == OpenedBy::Group {
            if let Err(e) = backend.attach_compat(locked) {
                let kvm = opened.close_locked(locked, |last| {
                    let unbound = last.unbind();
                    backend.unbound(unbound.device());
                    unbound.end()
                });
                return Err((kvm.flatten(), Reason::Attach.with(e)));
            }
        }
        Ok(Self { opened, devid })
    }

    /// Opens an open device once more.  The driver sees only the changed open count.
    fn further_open(locked: &mut SetLocked<'_>) -> Result<Self> {
        let registration = RegistrationRef::try_get(locked.device()).ok_or(ENODEV)?;
        let opened = locked.open_again(registration, OpenedBy::Group)?;
        let devid = locked
            .with_open_resources(|resources| resources.devid)
            .unwrap_or(0);
        Ok(Self { opened, devid })
    }

    /// Tells how the device was opened.
    #[inline]
    pub(crate) fn opened_by(&self) -> OpenedBy {
        self.opened.opened_by()
    }

    /// Returns the id of the device in the iommufd.  The id is 0 if the device is in no iommufd: it is open
    /// through a container, or it has no IOMMU and is open through its group.
    pub(crate) fn devid(&self) -> u32 {
        self.devid
    }

    /// Returns the device.
    #[inline]
    pub(crate) fn device(&self) -> &Device<Open> {
        self.opened.device()
    }
}

/// Ends one open of the device, and closes the device if it is the last open.
///
/// Takes these locks, and holds none of them while it takes another:
///
/// 1. the device's `BoundProcesses::groups`;
/// 2. the lock of the set;
/// 3. for a last close through a container: the container's `BoundProcesses::groups`, the lock of the set again,
///    and the container's `BoundProcesses::groups` again;
/// 4. for a last close: `Group::inner`, if the resources need it.
///
/// Can wait for page requests in flight with a `BoundProcesses::groups` held.
#[inline]
pub(crate) fn close(device: &Device<Registered>, opened_by: OpenedBy, closing: Closing<'_>) {
    let state = device.state();
    // The processes are unbound before the driver resets the device.
    if let Some(processes) = state.processes() {
        processes.end_all();
    }
    let handle = match opened_by {
        OpenedBy::Cdev => None,
        OpenedBy::Group => state.container(),
    };
    let (suspension, mut guard) = match handle {
        None => (None, device.lock_set()),
        Some(handle) => lock_to_close(device, handle),
    };
    let (mut resources, mut kvm) = (None, None);
    close_locked(&mut guard.locked(), closing, &mut resources, &mut kvm);
    drop(guard);
    // This makes the bonds again.  The group is still in its container, because `resources` holds the pin of
    // the container.
    drop(suspension);
    // The VM reference is dropped before the group block, as in the C core.
    drop(kvm);
    // `resources` is dropped before the registration reference.  So a task that has waited for the last
    // reference finds the group unblocked.
    drop(resources);
}

/// Takes the lock of a device's set, for a close of the device through a container.
///
/// `handle` is dropped while this open is still counted: a handle that exists longer would keep the group attached
/// when the group leaves the container.
#[inline(never)]
fn lock_to_close(
    device: &Device<Registered>,
    handle: ContainerHandle,
) -> (Option<Suspension>, DevSetGuard<'_>) {
    lock_suspended(device, 1, &handle)
}

/// Takes the lock of a device's set, for an open or a close of the device through a container.
///
/// `count` is 0 for an open and 1 for a close.  If the open count has this value, the call is a first open or a last
/// close, in which the driver resets the device.  All processes of the container are then unbound from the device
/// until the first result is dropped.  The lock is released while the bonds end, because the end of a bond waits for
/// page requests in flight.
fn lock_suspended<'a>(
    device: &'a Device<Registered>,
    count: u32,
    handle: &ContainerHandle,
) -> (Option<Suspension>, DevSetGuard<'a>) {
    let mut guard = device.lock_set();
    if guard.locked().open_count() != count {
        return (None, guard);
    }
    drop(guard);
    let suspension = handle.suspend_processes();
    (suspension, device.lock_set())
}

/// Ends one open of the device.  The last close moves the resources of the first open and the VM reference to
/// `resources` and `kvm`, which the caller drops without the lock.
///
/// Order of the last close: the driver's `close_device`, the unbind from the backend, the reference on the
/// driver's module; the open count last.
#[inline]
fn close_locked(
    locked: &mut SetLocked<'_>,
    closing: Closing<'_>,
    resources: &mut Option<OpenResources>,
    kvm: &mut Option<KvmRef>,
) {
    let Some(last) = locked.driver_close(closing) else {
        return;
    };
    let mut unbound = last.unbind();
    unbound.take_open_resources(resources);
    if let Some(resources) = resources {
        resources.backend.unbound(unbound.device());
        drop(resources.module.take());
    }
    unbound.device().state().set_holds_vm(false);
    *kvm = unbound.end();
}
