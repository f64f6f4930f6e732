// SPDX-License-Identifier: GPL-2.0-only

//! Files of a device: what each of them is allowed, and the operations on them.
//!
//! C counterpart: `device_cdev.c`, and `vfio_main.c`, "VFIO Device fd".
//!
//! A file comes into being by an open of `/dev/vfio/devices/vfioX`.  It has no access until it is
//! bound to an iommufd; from then on it has, until it is closed.  There is no way back.  Or it
//! comes by an ioctl of the group's file, and has access from the start.
//!
//! A file that is not bound does not keep the device: when the device is unregistered every
//! operation fails with `ENODEV`.  A bound one does, so unregistration waits for its close.
//!
//! Locks: none is held at entry.  Binding takes the group's lock, drops it, and takes the set's.

pub(crate) mod attach;
pub(crate) mod bind;
pub(crate) mod fdinfo;
pub(crate) mod feature;
pub(crate) mod gate;
pub(crate) mod group;
pub(crate) mod logging;
pub(crate) mod migration;
pub(crate) mod process;
pub(crate) mod region;
pub(crate) mod reset;

use crate::{
    device::{
        holders::{Held, Holder},
        open::Path,
        Link, State,
    },
    group::Group,
    kapi::{capability, iommu, kvm::KvmSlot},
    refusal::Reason,
    shared::{
        pm_runtime::resume,
        trace,
        vfio::{iommu_driver::GroupType, severable::Epoch, Device, Open, RegistrationRef},
    },
    uapi,
};
use gate::AccessGate;
use kernel::{fs::file, mm::virt::VmaNew, prelude::*, sync::Arc, uaccess::UserPtr};
pub(crate) use reset::GroupOf;

/// What a file of a device carries.
#[pin_data]
pub(crate) struct DeviceFile {
    path: Path,
    /// How the device reaches memory.
    kind: GroupType,
    /// The registration that the file was opened in.
    epoch: Epoch,
    gate: AccessGate,
    /// The machine that KVM says the file belongs to.
    #[pin]
    kvm: KvmSlot,
    /// Last: a file is there until it is closed.
    #[pin]
    held: Held,
}

impl DeviceFile {
    /// Opens the device, without access.
    ///
    /// # Errors
    ///
    /// In this order: `ENODEV` (not registered any more); `EPERM` (no IOMMU, and the caller lacks
    /// `CAP_SYS_RAWIO`); `ENOMEM`.
    pub(crate) fn open(state: &Arc<State>) -> Result<Pin<KBox<Self>>> {
        let result = Self::open_cdev(state.clone());
        if trace::open::enabled() {
            trace_open(state, &result);
        }
        result
    }

    fn open_cdev(state: Arc<State>) -> Result<Pin<KBox<Self>>> {
        let kind = |link: &Link| link.group().kind();
        let (epoch, kind) = state.link().with(kind).ok_or(ENODEV)?;
        if kind == GroupType::NoIommu && !capability::sys_rawio() {
            let refusal = Reason::NeedsRawIo.with(EPERM);
            return Err(refusal.told("open", state.refusals(), |tell| {
                state.with_parent(epoch, tell);
            }));
        }
        let file = Self::new(state, epoch, kind, Path::Cdev)?;
        // No file is added after the device is released: its number may be free then.
        match file.is_connected() {
            true => Ok(file),
            false => Err(ENODEV),
        }
    }

    /// A file without access.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn new(
        state: Arc<State>,
        epoch: Epoch,
        kind: GroupType,
        path: Path,
    ) -> Result<Pin<KBox<Self>>> {
        let holder = Holder::new(path, epoch);
        let file = pin_init!(Self {
            path,
            kind,
            epoch,
            gate: AccessGate::new(),
            kvm <- KvmSlot::new(),
            held <- Held::join(state, holder),
        });
        // Accounted: how many are opened is up to user space.
        KBox::pin_init(file, GFP_KERNEL_ACCOUNT)
    }

    /// The core's state of the device.
    pub(crate) fn state(&self) -> &Arc<State> {
        self.held.owner()
    }

    /// The device, if the file has access.
    ///
    /// # Errors
    ///
    /// `EINVAL`; `ENODEV` when there is nothing to have access to any more.
    #[inline]
    pub(crate) fn access(&self) -> Result<&Device<Open>> {
        self.gate.pass().ok_or_else(|| self.no_access())
    }

    #[cold]
    fn no_access(&self) -> Error {
        match self.is_connected() {
            true => EINVAL,
            false => ENODEV,
        }
    }

    /// Where KVM notes its machine.
    pub(crate) fn kvm(&self) -> &KvmSlot {
        &self.kvm
    }

    /// KVM has added the file to one of its devices, which holds it now, or takes it from one: the
    /// same machine does so once, whichever machine is noted.
    pub(crate) fn count_kvm(&self, added: bool) {
        self.held.count_kvm(added);
    }

    /// Looks at the device's parent, of a file that is bound or not.  None when there is no device
    /// any more.
    fn with_parent<R>(&self, f: impl FnOnce(&kernel::device::Device) -> R) -> Option<R> {
        match self.gate.pass() {
            Some(device) => Some(f(device.parent())),
            None => self.state().with_parent(self.epoch, f),
        }
    }

    /// Calls `f` with the device's number and its parent's name, for an event of a trace.  The name
    /// is empty when there is no device any more.
    #[cold]
    fn traced(&self, f: impl Fn(c_int, &CStr)) {
        // CAST: A minor has 20 bits.
        let minor = self.state().index() as c_int;
        if self.with_parent(|dev| f(minor, dev.name())).is_none() {
            f(minor, c"");
        }
    }

    /// The end of a file, however it came into being.
    pub(crate) fn close(self: Pin<KBox<Self>>) {
        if trace::close::enabled() {
            let (group, bound) = (self.path == Path::Group, self.gate.pass().is_some());
            self.traced(|minor, dev| trace::close::record(minor, dev, group, bound, 0));
        }
    }

    /// Whether the IOMMU makes all DMA of the device coherent, whatever the device asks for.
    /// None when there is no device any more.
    pub(crate) fn enforces_coherency(&self) -> Option<bool> {
        self.with_parent(iommu::enforces_coherency)
    }

    /// Whether the file stands for a device that exists.
    pub(crate) fn is_valid(&self) -> bool {
        self.gate.pass().is_some() || self.is_connected()
    }

    /// Whether the registration that the file was opened in still is.
    fn is_connected(&self) -> bool {
        self.state().link().is_connected(self.epoch)
    }

    /// A reference on that registration, and the group of the device.
    fn registration(&self) -> Option<(RegistrationRef, Arc<Group>)> {
        let link = self.state().link();
        link.registration(self.epoch, |link| link.group().clone())
    }

    /// ioctl(2).  The result is what the driver returned, or 0.
    ///
    /// # Errors
    ///
    /// Without access `EINVAL` or `ENODEV` for all but `VFIO_DEVICE_BIND_IOMMUFD`; `EIO` when
    /// the device cannot be resumed; those of the operation.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr, group_of: GroupOf) -> Result<c_int> {
        if cmd == uapi::DEVICE_BIND_IOMMUFD {
            return match cfg!(CONFIG_VFIO_DEVICE_CDEV) {
                true => bind::bind(self, arg).map(|()| 0),
                false => Err(ENOTTY),
            };
        }
        let device = self.access()?;
        let _powered = resume(device.parent())?;
        match cmd {
            uapi::DEVICE_ATTACH_IOMMUFD_PT if self.path == Path::Cdev => {
                attach::attach(device, arg).map(|()| 0)
            }
            uapi::DEVICE_DETACH_IOMMUFD_PT if self.path == Path::Cdev => {
                attach::detach(device, arg).map(|()| 0)
            }
            uapi::DEVICE_RESET => reset::reset(device, arg),
            uapi::DEVICE_PCI_HOT_RESET => reset::hot_reset(self, device, arg, group_of),
            uapi::DEVICE_FEATURE => feature::feature(self, device, arg),
            uapi::DEVICE_GET_REGION_INFO => region::get_info(device, arg).map(|()| 0),
            uapi::BIND_PROCESS => process::bind(self, device, arg).map(|()| 0),
            uapi::UNBIND_PROCESS => process::unbind(self, arg).map(|()| 0),
            _ => device.ioctl(cmd, arg),
        }
    }

    /// read(2) and pread(2).
    ///
    /// # Errors
    ///
    /// As [`access`](Self::access); `EINVAL` when the driver has none; the driver's.
    #[inline]
    pub(crate) fn read(&self, buf: UserPtr, count: usize, pos: &mut file::Offset) -> Result<isize> {
        self.access()?.read(buf, count, pos)
    }

    /// write(2) and pwrite(2).
    ///
    /// # Errors
    ///
    /// As [`access`](Self::access); `EINVAL` when the driver has none; the driver's.
    #[inline]
    pub(crate) fn write(
        &self,
        buf: UserPtr,
        count: usize,
        pos: &mut file::Offset,
    ) -> Result<isize> {
        self.access()?.write(buf, count, pos)
    }

    /// mmap(2).
    ///
    /// # Errors
    ///
    /// As [`access`](Self::access); `EINVAL` when the driver has none; the driver's.
    pub(crate) fn mmap(&self, vma: &VmaNew) -> Result {
        self.access()?.mmap(vma)
    }
}

/// The errno that user space gets, or 0.
fn errno_of<T>(result: &Result<T>) -> c_int {
    result.as_ref().err().map_or(0, |e| e.to_errno())
}

/// The event of an open of a device's node.
#[cold]
fn trace_open(state: &State, result: &Result<Pin<KBox<DeviceFile>>>) {
    let errno = errno_of(result);
    // CAST: A minor has 20 bits.
    let minor = state.index() as c_int;
    let record = |dev: &CStr| trace::open::record(minor, dev, false, errno);
    // On failure the device may be gone.
    let told = match result {
        Ok(file) => file.with_parent(|dev| record(dev.name())),
        Err(_) => state
            .link()
            .current_registration()
            .map(|(device, _)| record(device.parent().name())),
    };
    if told.is_none() {
        record(c"");
    }
}
