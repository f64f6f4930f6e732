// SPDX-License-Identifier: GPL-2.0-only

//! Device sets, their lock, and the data that the lock protects.
//!
//! Drivers share `struct vfio_device_set`: vfio-pci takes its lock and walks its list.  The fields of a
//! device that the lock protects are accessible only through [`SetLocked`].

use super::{
    iommu_driver::IommuData, Core, Device, Normal, OpenResources, Registered, Registering, State,
};
use crate::{bindings, kapi::kvm::KvmRef};
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{
    prelude::*,
    static_lock_class,
    sync::{
        atomic::AtomicFlag,
        lock::{mutex::MutexBackend, Backend, Guard, Lock},
        Arc, ArcBorrow, Mutex,
    },
};

/// A device set.  The table of sets owns it.
///
/// # Invariants
///
/// Points to an initialised `struct vfio_device_set`, which is freed on drop unless it has members.  Each of
/// the `device_count` counted devices points to the set in `dev_set`, or has left the list and is represented
/// by a [`FormerMember`].
pub(crate) struct DevSet(NonNull<bindings::vfio_device_set>);

// SAFETY: All fields are constant, except for the lock, the list, which the lock protects, and the count,
// which is changed through `&mut self`.
unsafe impl Send for DevSet {}

impl DevSet {
    /// Allocates an empty set.  `id` is an address that serves only as a key.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new(id: usize) -> Result<Self> {
        let set = KBox::new(bindings::vfio_device_set::default(), GFP_KERNEL)?;
        let raw = KBox::into_raw(set);
        // SAFETY: This function owns the set, which does not move any more.
        unsafe {
            (*raw).set_id = core::ptr::without_provenance_mut(id);
            MutexBackend::init(
                &raw mut (*raw).lock,
                c"vfio_device_set.lock".as_char_ptr(),
                static_lock_class!().as_ptr(),
            );
            list_init(&raw mut (*raw).device_list);
            Ok(Self(NonNull::new_unchecked(raw)))
        }
    }

    /// Counts `device` as a member.
    pub(crate) fn join<'a>(&mut self, device: Unassigned<'a>) -> Joined<'a> {
        let (raw, set) = (device.0.as_raw(), self.0.as_ptr());
        // SAFETY: The device is in no set, and its driver is in the call that assigns one.
        // INVARIANT: The member is counted; the count is changed only through `&mut self`.
        unsafe {
            list_init(&raw mut (*raw).dev_set_list);
            (*set).device_count += 1;
            (*raw).dev_set = set;
        }
        Joined(device.0)
    }

    /// Removes one member from the count.  Returns true if it was the last member.  Has no effect, and
    /// returns false, if `left` belongs to another set.
    pub(crate) fn remove_member(&mut self, left: FormerMember) -> bool {
        let set = self.0.as_ptr();
        if left.0 != self.0 {
            return false;
        }
        // SAFETY: By the type's invariants; the count is changed only through `&mut self`.
        // INVARIANT: `left` was counted.
        unsafe {
            (*set).device_count -= 1;
            (*set).device_count == 0
        }
    }
}

impl Drop for DevSet {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants.
        let members = unsafe { (*self.0.as_ptr()).device_count };
        if crate::kapi::panic::warn_on!(members != 0) {
            return;
        }
        // SAFETY: `new()` made the set from a box; no device is a member any more.
        drop(unsafe { KBox::from_raw(self.0.as_ptr()) });
    }
}

/// A device that is in no set, and whose driver is in the call that assigns one.
pub(crate) struct Unassigned<'a>(&'a Device);

impl Registering<'_> {
    /// Returns the device if it is in no set.
    pub(crate) fn unassigned(&mut self) -> Option<Unassigned<'_>> {
        (!self.has_set()).then_some(Unassigned(self))
    }
}

/// A device that is counted as a member of its set, and is not yet on the list of the set.
#[must_use = "drivers look for the members on the list"]
pub(crate) struct Joined<'a>(&'a Device);

impl Joined<'_> {
    /// Appends the device to the list of its set.  Takes the set's lock.  The caller does not hold the lock
    /// of the table of sets.
    pub(crate) fn enter(self) {
        let raw = self.0.as_raw();
        // SAFETY: `join()` counted the device, which keeps the set.
        let _guard = unsafe { lock((*raw).dev_set) }.lock();
        // SAFETY: The list is initialised and locked.  `join()` initialised the entry, and only this
        // function, which consumes `self`, adds it to a list.
        unsafe {
            bindings::list_add_tail(
                &raw mut (*raw).dev_set_list,
                &raw mut (*(*raw).dev_set).device_list,
            )
        }
    }
}

/// A former member that has left the list and is still counted.  [`DevSet::remove_member`] consumes it.
#[must_use = "the set stays while it is counted"]
pub(crate) struct FormerMember(NonNull<bindings::vfio_device_set>);

impl FormerMember {
    /// Returns the key of the set.
    pub(crate) fn id(&self) -> usize {
        // SAFETY: The count keeps the set, and the key is constant.
        unsafe { (*self.0.as_ptr()).set_id.addr() }
    }
}

/// Removes a device from the list of its set, if it is in a set.  Takes the set's lock.
///
/// # Safety
///
/// The device is valid, and no other task uses its `dev_set` during the call.
pub(super) unsafe fn leave(device: *mut bindings::vfio_device) -> Option<FormerMember> {
    // SAFETY: By the caller's promise the field does not change.
    let set = NonNull::new(unsafe { (*device).dev_set })?;
    // SAFETY: The device is counted, which keeps the set.
    let guard = unsafe { lock(set.as_ptr()) }.lock();
    // SAFETY: The list is locked.  The entry is on it, or is initialised and on no list.
    unsafe { list_del(&raw mut (*device).dev_set_list) };
    drop(guard);
    // SAFETY: By the caller's promise no other task uses the field.
    unsafe { (*device).dev_set = core::ptr::null_mut() };
    Some(FormerMember(set))
}

/// # Safety
///
/// `set` is initialised, and is not freed during `'a`.
unsafe fn lock<'a>(set: *mut bindings::vfio_device_set) -> &'a Mutex<()> {
    // SAFETY: By the caller's promise.
    unsafe { Lock::from_raw(&raw mut (*set).lock) }
}

impl Device<Registered> {
    fn set_lock(&self) -> &Mutex<()> {
        // SAFETY: A registered device is in a set, and leaves it only when the device is freed.
        unsafe { lock((*self.as_raw()).dev_set) }
    }

    /// Takes the lock of the device's set.  May sleep.
    ///
    /// Lock order: this lock is outside the locks of iommufd and of the driver.  The caller does not hold
    /// `Group::inner`.
    pub(crate) fn lock_set(&self) -> DevSetGuard<'_> {
        DevSetGuard {
            device: self,
            _guard: self.set_lock().lock(),
        }
    }

    /// Returns the core's states of all devices in the device's set, if `f` returns true for each member;
    /// otherwise None.  The first argument of `f` is this device, the second is the member.  Takes the set's
    /// lock, and calls `f` under the lock.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn states_of_set(
        &self,
        mut f: impl FnMut(&SetLocked<'_>, &SetLocked<'_>) -> bool,
    ) -> Result<Option<KVec<Arc<State>>>> {
        let mut states = KVec::new();
        let mut result = Ok(true);
        let _guard = self.set_lock().lock();
        let own = SetLocked { device: self };
        // SAFETY: The set's lock is held; each member is a valid device until it leaves the list.
        unsafe {
            for_each_member((*self.as_raw()).dev_set, |member| {
                let device = Device::<Normal>::from_raw(member);
                let pushed = states.push(device.state().into(), GFP_KERNEL);
                result = pushed.map(|()| f(&own, &SetLocked { device }));
                matches!(result, Ok(true))
            })
        };
        Ok(result?.then_some(states))
    }
}

/// The guard of the set's lock.
pub(crate) struct DevSetGuard<'a> {
    device: &'a Device,
    _guard: Guard<'a, (), MutexBackend>,
}

impl DevSetGuard<'_> {
    /// Returns the proof that the lock is held.  The proof borrows the guard.  If it were a part of the
    /// guard, the proofs of two guards could be swapped, and one guard dropped.
    pub(crate) fn locked(&mut self) -> SetLocked<'_> {
        SetLocked {
            device: self.device,
        }
    }
}

/// Proof that the lock of `device`'s set is held.  It gives access to the data of this device that the lock
/// protects.
///
/// The proof is made from the device and is valid for this device only, so the lock of one set cannot serve
/// to change a device of another set.
pub(crate) struct SetLocked<'a> {
    device: &'a Device,
}

impl<'a> SetLocked<'a> {
    /// Makes the proof for a call from a driver callback: some callbacks run under the set's lock, and call
    /// the core.  Lockdep checks that the lock is held.
    ///
    /// # Safety
    ///
    /// The device is registered, and the caller holds the lock of its set for `'a`.  The core can hold another
    /// `SetLocked` of the device at the same time, so the caller accesses only the iommufd fields of the device, not
    /// its [`LockedState`].
    #[cfg(CONFIG_IOMMUFD)]
    pub(crate) unsafe fn assume(device: &'a Device) -> Self {
        // SAFETY: The device is in a set, which has an initialised lock.
        unsafe {
            bindings::vfio_helper_lockdep_assert_held(&raw mut (*(*device.as_raw()).dev_set).lock)
        };
        Self { device }
    }

    pub(crate) fn device(&self) -> &'a Device {
        self.device
    }

    /// Returns the number of files that have the device open.
    pub(crate) fn open_count(&self) -> u32 {
        // SAFETY: The set's lock is held.
        unsafe { (*self.device.as_raw()).open_count }
    }

    /// Sets the open count with one store, because assertions of drivers read it without the lock.
    pub(super) fn set_open_count(&mut self, count: u32) {
        // SAFETY: The set's lock is held.
        unsafe { (&raw mut (*self.device.as_raw()).open_count).write_volatile(count) }
    }

    /// Sets whether a cdev file is bound.  vfio-pci reads the value without the lock, with the inline function
    /// `vfio_device_cdev_opened()`.
    pub(crate) fn set_cdev_opened(&mut self, opened: bool) {
        // SAFETY: The set's lock is held.  All writers of this byte hold it after the device is registered.
        unsafe { bindings::vfio_device::set_cdev_opened_raw(self.device.as_raw(), opened.into()) }
    }

    /// Sets the VM that drivers find in the device while it is open.  Returns the previous reference.
    pub(super) fn replace_kvm(&mut self, kvm: Option<KvmRef>) -> Option<KvmRef> {
        let raw = kvm.as_ref().map_or(core::ptr::null_mut(), KvmRef::as_raw);
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`); no reference into the state is
        // kept.  The reference that is stored in the state keeps the VM that the field points to.
        unsafe {
            (*self.device.as_raw()).kvm = raw;
            core::ptr::replace(self.state().kvm.get(), kvm)
        }
    }

    /// Takes the VM reference out of the device, if there is one.
    pub(super) fn take_kvm(&mut self) -> Option<KvmRef> {
        // SAFETY: The set's lock is held.
        match unsafe { (*self.device.as_raw()).kvm }.is_null() {
            true => None,
            false => self.replace_kvm(None),
        }
    }

    /// Returns the object that the device is bound to.  None until the driver's `open_device` has succeeded,
    /// and again after the driver's `close_device`.
    pub(super) fn bound_to(&mut self) -> &mut Option<BoundTo> {
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`) for the lifetime of the result.
        unsafe { &mut *self.state().bound_to.get() }
    }

    fn state(&self) -> &'a LockedState {
        let state: ArcBorrow<'a, State> = self.device.state();
        let locked = core::ptr::from_ref(<Device as Core>::locked(&state));
        // SAFETY: The device keeps its state for `'a`, and by the promise of `Core` this is a field of the state.
        unsafe { &*locked }
    }

    /// Calls `f`, which attaches or detaches a page table, and counts the change if `f` succeeds.  Returns
    /// [`attachments`](Self::attachments).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device is not open, or is not bound to an iommufd.  `f` is not called.
    /// - The errno that `f` returns.
    #[inline]
    pub(super) fn change_attachment(&mut self, f: impl FnOnce(&Device) -> Result) -> Result<u64> {
        let bound_to = self.state().bound_to.get();
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`) during the call, so the device stays
        // bound.  `f` has no access to the value.  The driver's callback in `f` can make another `SetLocked` by
        // `assume()`, whose callers do not access the value.
        let Some(BoundTo::Iommufd { attachments }) = (unsafe { &mut *bound_to }) else {
            return Err(EINVAL);
        };
        f(self.device)?;
        *attachments = attachments.wrapping_add(1);
        Ok(*attachments)
    }

    /// Returns the number of attachments and detachments since the device was bound to its iommufd.  None if the
    /// device is not bound to an iommufd.
    pub(crate) fn attachments(&self) -> Option<u64> {
        // SAFETY: The set's lock is held; the value is replaced only through `&mut self`.
        match unsafe { &*self.state().bound_to.get() } {
            Some(BoundTo::Iommufd { attachments }) => Some(*attachments),
            _ => None,
        }
    }

    /// Resets user space's choice of the second precopy format, which ends with the last close.
    pub(super) fn reset_precopy_info(&mut self) {
        // SAFETY: This is part of the last close.  No file has access, except the file that is being closed, so no
        // ioctl writes the byte meanwhile.  The set's lock keeps the device from being opened again.
        unsafe { (*self.device.as_raw()).precopy_info_v2 = 0 }
    }
}

/// The object that a device is bound to.
pub(super) enum BoundTo {
    Nothing,
    /// An iommufd.  `attachments` is the number of attachments and detachments since the bind.
    Iommufd {
        attachments: u64,
    },
    Container(Arc<IommuData>),
}

/// The data in the core's own state of a device that the lock of the device's set protects.  The optional
/// fields are None while the device is not open.
pub(crate) struct LockedState {
    open_resources: UnsafeCell<Option<OpenResources>>,
    kvm: UnsafeCell<Option<KvmRef>>,
    bound_to: UnsafeCell<Option<BoundTo>>,
    /// Set while the driver opens or closes a device that supports migration.  Code that prints the migration state
    /// reads it without the lock.
    opens_or_closes: AtomicFlag,
}

// SAFETY: The data is accessed only with proof that the lock is held, and all fields are `Send`.
unsafe impl Sync for LockedState where (Option<OpenResources>, Option<KvmRef>, Option<BoundTo>): Send
{}

impl LockedState {
    /// Returns the data of a device that is not open.
    pub(crate) const fn new() -> Self {
        Self {
            open_resources: UnsafeCell::new(None),
            kvm: UnsafeCell::new(None),
            bound_to: UnsafeCell::new(None),
            opens_or_closes: AtomicFlag::new(false),
        }
    }

    /// Returns the flag that is set while the driver opens or closes a device that supports migration.
    pub(super) fn opens_or_closes(&self) -> &AtomicFlag {
        &self.opens_or_closes
    }
}

/// Moves a large value from `from` to `to`, if `to` is empty.  An assignment would copy it twice, and call the
/// drop of the empty target.
#[inline]
fn move_out<T>(from: &mut Option<T>, to: &mut Option<T>) {
    if to.is_none() {
        // SAFETY: Two exclusive references do not overlap.  The value in `from` is overwritten without a drop,
        // and there is none in `to`.
        unsafe {
            core::ptr::copy_nonoverlapping(from, to, 1);
            core::ptr::write(from, None);
        }
    }
}

/// The resources that the first open acquires and the last close releases.
impl SetLocked<'_> {
    /// Takes the resources out of `resources` and stores them, unless there are resources already.
    #[inline]
    pub(crate) fn store_open_resources(&mut self, resources: &mut Option<OpenResources>) {
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`) during the call.
        let stored = unsafe { &mut *self.state().open_resources.get() };
        move_out(resources, stored);
    }

    /// Moves the stored resources to `resources`, unless `resources` has resources already.
    #[inline]
    pub(super) fn take_open_resources(&mut self, resources: &mut Option<OpenResources>) {
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`) during the call.
        let stored = unsafe { &mut *self.state().open_resources.get() };
        move_out(stored, resources);
    }

    /// Calls `f` with the resources, if the device is open.
    pub(crate) fn with_open_resources<R>(&self, f: impl FnOnce(&OpenResources) -> R) -> Option<R> {
        // SAFETY: The set's lock is held; the value is replaced only through `&mut self`.
        unsafe { (*self.state().open_resources.get()).as_ref() }.map(f)
    }
}

/// Returns the sum of the open counts of a set's members.
///
/// # Safety
///
/// `set` is valid and the caller holds its lock.
pub(crate) unsafe fn open_count(set: *mut bindings::vfio_device_set) -> u32 {
    let mut count = 0u32;
    // SAFETY: By the caller's promise.
    unsafe {
        for_each_member(set, |device| {
            count = count.saturating_add((*device).open_count);
            true
        })
    };
    count
}

/// Returns the member whose parent is `dev`, or NULL.
///
/// # Safety
///
/// `set` is valid and the caller holds its lock.
pub(crate) unsafe fn find(
    set: *mut bindings::vfio_device_set,
    dev: *mut bindings::device,
) -> *mut bindings::vfio_device {
    let mut found = core::ptr::null_mut();
    // SAFETY: By the caller's promise.
    unsafe {
        for_each_member(set, |device| {
            if (*device).dev == dev {
                found = device;
            }
            found.is_null()
        })
    };
    found
}

/// Calls `f` for each member until `f` returns false.
///
/// # Safety
///
/// `set` is valid and the caller holds its lock.
unsafe fn for_each_member(
    set: *mut bindings::vfio_device_set,
    mut f: impl FnMut(*mut bindings::vfio_device) -> bool,
) {
    // SAFETY: The lock keeps the list unchanged; each entry is part of a device.
    unsafe {
        bindings::vfio_helper_lockdep_assert_held(&raw mut (*set).lock);
        let head = &raw mut (*set).device_list;
        let mut entry = (*head).next;
        while entry != head {
            if !f(kernel::container_of!(
                entry,
                bindings::vfio_device,
                dev_set_list
            )) {
                return;
            }
            entry = (*entry).next;
        }
    }
}

/// # Safety
///
/// `head` is valid and in no list.
unsafe fn list_init(head: *mut bindings::list_head) {
    // SAFETY: By the caller's promise.
    unsafe {
        (*head).next = head;
        (*head).prev = head;
    }
}

/// # Safety
///
/// `entry` is initialised.  If it is in a list, the caller holds the lock of the list.
unsafe fn list_del(entry: *mut bindings::list_head) {
    // SAFETY: By the caller's promise.
    unsafe {
        (*(*entry).prev).next = (*entry).next;
        (*(*entry).next).prev = (*entry).prev;
        list_init(entry);
    }
}
