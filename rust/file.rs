// SPDX-License-Identifier: GPL-2.0-only

//! Device files: the access of each file, and the operations on it.
//!
//! C counterpart: `device_cdev.c`, and `vfio_main.c`, section "VFIO Device fd".
//!
//! A file is made in one of two ways:
//!
//! - By an open of `/dev/vfio/devices/vfioX`.  The file has no access until `VFIO_DEVICE_BIND_IOMMUFD` binds
//!   it to an iommufd.  Then it has access until it is closed; there is no unbind.
//! - By `VFIO_GROUP_GET_DEVICE_FD` on the group file.  The file has access from the start.
//!
//! A file without access holds no registration reference.  Once unregistration has begun, all operations on the
//! file fail with `ENODEV`.  A file with access holds a reference on the registration, so unregistration waits
//! for the close of the file.
//!
//! Locks: the VFS calls the file operations without a lock of the core.  The submodules document the locks of
//! each ioctl.

pub(crate) mod attach;
pub(crate) mod bind;
mod container;
pub(crate) mod fdinfo;
pub(crate) mod feature;
mod get_device_fd;
pub(crate) mod group;
pub(crate) mod logging;
pub(crate) mod migration;
pub(crate) mod processes;
pub(crate) mod region;
pub(crate) mod reset;

use crate::{
    device::{
        holders::{Holder, HolderEntry},
        open::{OpenDevice, OpenedBy},
        State,
    },
    group::Group,
    kapi::{
        capability,
        cdev::CharNode,
        file::{FileOperations, FileTable, Mapping},
        iommu,
        kvm::KvmSlot,
        to_int,
    },
    refusal::Reason,
    shared::{
        pm_runtime::resume,
        trace::{self, traced},
        vfio::{iommu_driver::GroupType, Device, Generation, Open, RegistrationRef},
        OwnerModule,
    },
    uapi,
};
use kernel::{
    device::Bound,
    fs::{file, File},
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::{Arc, SetOnce},
    uaccess::UserPtr,
};

/// The private data of a device file.
#[pin_data]
pub(crate) struct DeviceFile {
    /// The access gate: the open device, after the file was granted access.  It is set once.  Like the C
    /// counterpart `vfio_device_file::access_granted`, it is written with release and read with acquire
    /// semantics.
    opened: SetOnce<OpenDevice>,
    /// The VM that KVM has assigned to the file.
    #[pin]
    kvm: KvmSlot,
    /// The entry on the device's list of files, with the registration in which the file was opened.  It is
    /// the last field, so that the file stays on the list until the open device is dropped.
    #[pin]
    entry: HolderEntry,
}

static TABLE: FileTable<DeviceFile> = FileTable::new::<OwnerModule>();

#[vtable]
impl FileOperations for DeviceFile {
    type Owner = Pin<KBox<Self>>;
    type Node = CharNode<State>;

    fn table() -> &'static FileTable<Self> {
        &TABLE
    }

    fn open(state: &Arc<State>) -> Result<Pin<KBox<Self>>> {
        let result = Self::open_cdev(state.clone());
        traced(trace::open::enabled(), result, |result| {
            trace_open(state, result);
        })
    }

    fn mapping<'a>(file: Pin<&'a Self>) -> Option<Mapping<'a>>
    where
        Self: 'a,
    {
        file.get_ref().state().inode().mapping()
    }

    fn release(file: Pin<KBox<Self>>) {
        file.close();
    }

    /// C counterpart: `vfio_device_fops_unl_ioctl()`.
    ///
    /// # Errors
    ///
    /// - `VFIO_DEVICE_BIND_IOMMUFD`: those of [`ioctl_bind`](Self::ioctl_bind).
    /// - All other ioctls: those of [`access`](Self::access), then those of
    ///   [`ioctl_with_access`](Self::ioctl_with_access).
    #[inline]
    fn ioctl(file: Pin<&Self>, _: &File, cmd: u32, arg: usize) -> isize {
        let arg = UserPtr::from_addr(arg);
        if cmd == uapi::DEVICE_BIND_IOMMUFD {
            return as_long(file.ioctl_bind(arg));
        }
        match file.access() {
            Ok(device) => file.ioctl_with_access(cmd, arg, device),
            Err(e) => as_long(e.to_errno()),
        }
    }

    fn read(file: Pin<&Self>, buf: UserPtr, count: usize, pos: &mut file::Offset) -> Result<isize> {
        file.access()?.read(buf, count, pos)
    }

    fn write(
        file: Pin<&Self>,
        buf: UserPtr,
        count: usize,
        pos: &mut file::Offset,
    ) -> Result<isize> {
        file.access()?.write(buf, count, pos)
    }

    fn mmap(file: Pin<&Self>, vma: &VmaNew) -> Result {
        file.access()?.mmap(vma)
    }

    fn show_fdinfo(file: Pin<&Self>, m: &SeqFile) {
        file.show_fdinfo(m);
    }
}

impl DeviceFile {
    /// Opens the cdev of the device.  The file has no access.  C counterpart: `vfio_device_fops_cdev_open()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `ENODEV`: the device is no longer registered.
    /// - `EPERM`: the device has no IOMMU, and the caller does not have `CAP_SYS_RAWIO`.
    /// - `ENOMEM`: out of memory.
    /// - `ENODEV`: the device was unregistered during the open.
    fn open_cdev(state: Arc<State>) -> Result<Pin<KBox<Self>>> {
        let generation = state.link().current().ok_or(ENODEV)?;
        if generation.group_type() == GroupType::NoIommu && !capability::sys_rawio() {
            let refusal = Reason::NeedsRawIo.with(EPERM);
            return Err(refusal.log("open", state.refusals(), |tell| {
                state.with_parent(generation, |dev| tell(dev));
            }));
        }
        let file = Self::new(state, generation, OpenedBy::Cdev)?;
        // If the device was released before the file joined the list, its minor can be free already.  So a
        // file whose device is gone does not stay on the list.
        match file.is_connected() {
            true => Ok(file),
            false => Err(ENODEV),
        }
    }

    /// Makes a file without access.  The file joins the device's list of files.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    #[inline]
    fn new(
        state: Arc<State>,
        generation: Generation,
        opened_by: OpenedBy,
    ) -> Result<Pin<KBox<Self>>> {
        let file = pin_init!(Self {
            opened: SetOnce::new(),
            kvm <- KvmSlot::new(),
            entry <- HolderEntry::join(state, generation, Holder::new(opened_by)),
        });
        // The allocation is accounted, because user space decides on the number of files.
        KBox::pin_init(file, GFP_KERNEL_ACCOUNT)
    }

    /// Returns the core's state of the device.
    pub(crate) fn state(&self) -> &Arc<State> {
        self.entry.owner()
    }

    /// Returns the generation to which the file belongs: the registration in which it was opened.
    #[inline]
    fn generation(&self) -> Generation {
        self.entry.label()
    }

    /// Tells how the file was made.  A file from a group has access from the start.
    #[inline]
    fn opened_by(&self) -> OpenedBy {
        self.opened
            .as_ref()
            .map_or(OpenedBy::Cdev, OpenDevice::opened_by)
    }

    /// Returns the type of the device's group: how the device accesses memory.
    #[inline]
    fn group_type(&self) -> GroupType {
        self.generation().group_type()
    }

    /// Returns the device, if the file has access.  Takes no lock.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the file has no access, and its device is registered.
    /// - `ENODEV`: the file has no access, and the link to its device is revoked.
    #[inline]
    pub(crate) fn access(&self) -> Result<&Device<Open>> {
        match self.opened.as_ref() {
            Some(opened) => Ok(opened.device()),
            None => Err(self.no_access()),
        }
    }

    /// Tells whether the file has access.  Takes no lock.
    #[inline]
    fn has_access(&self) -> bool {
        self.opened.as_ref().is_some()
    }

    /// Gives the file access until it is closed.  The file has no access yet, because a file of the node is bound
    /// at most once, and a file from a group is new.  Otherwise the drop of `opened` would end the new open.
    #[inline]
    fn grant(&self, opened: OpenDevice) {
        self.entry.set_bound();
        self.opened.populate(opened);
    }

    #[cold]
    fn no_access(&self) -> Error {
        match self.is_connected() {
            true => EINVAL,
            false => ENODEV,
        }
    }

    /// Returns the slot in which KVM records the VM of the file.
    pub(crate) fn kvm(&self) -> &KvmSlot {
        &self.kvm
    }

    /// Records that KVM has added the file to a KVM device, or removed the file from a KVM device.  A KVM
    /// device holds the files that were added to it.  Several VMs can hold the file, each of them once, but the slot
    /// of the file records only the VM that was set last.
    pub(crate) fn count_kvm(&self, added: bool) {
        self.entry.count_kvm(added);
    }

    /// Calls `f` with the device's parent.  The file need not be bound.  Returns None if the device is gone.
    fn with_parent<R>(&self, f: impl FnOnce(&kernel::device::Device<Bound>) -> R) -> Option<R> {
        match self.opened.as_ref() {
            Some(opened) => Some(f(opened.device().bound_parent())),
            None => self.state().with_parent(self.generation(), f),
        }
    }

    /// Records a trace event: calls `record` with the device's minor and the name of its parent.  The name is
    /// empty if the device is gone.
    #[cold]
    fn trace(&self, record: impl Fn(c_int, &CStr)) {
        // CAST: A minor has 20 bits.
        let minor = self.state().minor() as c_int;
        if self.with_parent(|dev| record(minor, dev.name())).is_none() {
            record(minor, c"");
        }
    }

    /// Closes the file, a cdev file or a file from a group.  The drop of the fields ends the access.  C
    /// counterpart: `vfio_device_fops_release()`.
    fn close(self: Pin<KBox<Self>>) {
        if trace::close::enabled() {
            let (group, bound) = (self.opened_by() == OpenedBy::Group, self.has_access());
            self.trace(|minor, dev| trace::close::record(minor, dev, group, bound, 0));
        }
    }

    /// Tells whether the IOMMU makes all DMA of the device coherent, whatever the device requests.  Returns
    /// None if the device is gone.  C counterpart: `vfio_file_enforced_coherent()`.
    pub(crate) fn enforces_coherency(&self) -> Option<bool> {
        self.with_parent(iommu::enforces_coherency)
    }

    /// Tells whether the file has access, or can still find its device.
    pub(crate) fn is_valid(&self) -> bool {
        self.has_access() || self.is_connected()
    }

    /// Tells whether the link to the device has not been revoked since the file was opened.  Takes no lock:
    /// the answer can be stale.
    fn is_connected(&self) -> bool {
        self.state().link().is_connected(self.generation())
    }

    /// Returns a reference on the registration in which the file was opened, and the group of the device.
    /// Returns None if the device is no longer registered.
    fn registration(&self) -> Option<(RegistrationRef, Arc<Group>)> {
        let link = self.state().link();
        link.registration(self.generation(), |link| link.group().clone())
    }

    /// Handles `VFIO_DEVICE_BIND_IOMMUFD`.  Returns 0, or a negative errno.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the kernel has no device nodes (`CONFIG_VFIO_DEVICE_CDEV=n`).
    /// - Those of [`bind::bind`].
    #[inline(never)]
    fn ioctl_bind(&self, arg: UserPtr) -> c_int {
        match cfg!(CONFIG_VFIO_DEVICE_CDEV) {
            true => to_int(bind::bind(self, arg)),
            false => ENOTTY.to_errno(),
        }
    }

    /// Handles an ioctl of a file with access, other than `VFIO_DEVICE_BIND_IOMMUFD`.  Returns 0 or the
    /// driver's result, or a negative errno.
    ///
    /// Most operations are functions that are not inlined, so that their stack frames do not add up here.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EIO`: the device cannot be resumed.
    /// - Those of the operation.
    #[inline(never)]
    fn ioctl_with_access(&self, cmd: u32, arg: UserPtr, device: &Device<Open>) -> isize {
        let _powered = match resume(device.bound_parent()) {
            Ok(powered) => powered,
            Err(e) => return as_long(e.to_errno()),
        };
        as_long(match cmd {
            uapi::DEVICE_ATTACH_IOMMUFD_PT if self.opened_by() == OpenedBy::Cdev => {
                to_int(attach::attach(device, arg))
            }
            uapi::DEVICE_DETACH_IOMMUFD_PT if self.opened_by() == OpenedBy::Cdev => {
                to_int(attach::detach(device, arg))
            }
            uapi::DEVICE_RESET if reset::concerns_bonds(device) => reset::reset(device, arg),
            uapi::DEVICE_PCI_HOT_RESET if reset::hot_reset_concerns_bonds(self, device) => {
                reset::hot_reset(self, device, arg)
            }
            uapi::DEVICE_FEATURE => feature::feature(self, device, arg),
            uapi::DEVICE_GET_REGION_INFO => to_int(region::get_info(device, arg)),
            uapi::BIND_PROCESS => to_int(processes::bind(self, device, arg)),
            uapi::UNBIND_PROCESS => to_int(processes::unbind(self, arg)),
            _ => device.ioctl(cmd, arg),
        })
    }
}

/// Returns the return value of an ioctl, as `long`.
#[inline]
fn as_long(ret: c_int) -> isize {
    // CAST: The conversion widens.
    ret as isize
}

/// Returns the negative errno of a result, or 0, for a trace event.
fn errno_of<T>(result: &Result<T>) -> c_int {
    result.as_ref().err().map_or(0, |e| e.to_errno())
}

/// Records the trace event of an open of a device's node.
fn trace_open(state: &State, result: &Result<Pin<KBox<DeviceFile>>>) {
    let errno = errno_of(result);
    // CAST: A minor has 20 bits.
    let minor = state.minor() as c_int;
    let record = |dev: &CStr| trace::open::record(minor, dev, false, errno);
    // After a failure the device can be gone.
    let recorded = match result {
        Ok(file) => file.with_parent(|dev| record(dev.name())),
        Err(_) => state
            .link()
            .current_registration()
            .map(|device| record(device.parent().name())),
    };
    if recorded.is_none() {
        record(c"");
    }
}
