// SPDX-License-Identifier: GPL-2.0-only

//! Device sets, their lock, and what it protects.
//!
//! `struct vfio_device_set` is shared with drivers: vfio-pci takes its lock and walks its list.
//! The fields of a device that the lock protects are reached through [`SetLocked`] only.

use super::{iommu_driver::Instance, Device, FirstOpen, Normal, Owner, Registered, State};
use crate::{bindings, kapi::kvm::KvmRef, shared::Core};
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{
    prelude::*,
    static_lock_class,
    sync::{
        lock::{mutex::MutexBackend, Backend, Guard, Lock},
        Arc, ArcBorrow, Mutex,
    },
};

/// A set that devices can be members of.  Owned by the table of sets.
///
/// # Invariants
///
/// Points to an initialised `struct vfio_device_set`; freed when dropped, unless it has members.
/// `device_count` of them have it in `dev_set`, or have left and a [`Left`] is what is left of them.
pub(crate) struct DevSet(NonNull<bindings::vfio_device_set>);

// SAFETY: All but the lock and the list, which has its lock, is constant.
unsafe impl Send for DevSet {}

impl DevSet {
    /// An empty set with the given key, an address that is only compared.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(id: usize) -> Result<Self> {
        let set = KBox::new(bindings::vfio_device_set::default(), GFP_KERNEL)?;
        let raw = KBox::into_raw(set);
        // SAFETY: The set is ours and does not move any more.
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
        // SAFETY: The device is in no set and its driver is busy assigning it one.
        // INVARIANT: The member is counted; the count is changed through `&mut self` alone.
        unsafe {
            list_init(&raw mut (*raw).dev_set_list);
            (*set).device_count += 1;
            (*raw).dev_set = set;
        }
        Joined(device.0)
    }

    /// Counts a member less; true if it was the last.
    pub(crate) fn part(&mut self, left: Left) -> bool {
        let set = self.0.as_ptr();
        if left.0 != self.0 {
            return false;
        }
        // SAFETY: By the type's invariants; the count is changed through `&mut self` alone.
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
        // SAFETY: `new()` made it from a box; no device is a member any more.
        drop(unsafe { KBox::from_raw(self.0.as_ptr()) });
    }
}

/// A device that is in no set, and whose driver is busy assigning it one.
pub(crate) struct Unassigned<'a>(&'a Device);

impl Owner<'_> {
    /// The device, if it is in no set.
    pub(crate) fn unassigned(&mut self) -> Option<Unassigned<'_>> {
        (!self.has_set()).then_some(Unassigned(self))
    }
}

/// A device that was counted as a member of its set, and is not on its list yet.
#[must_use = "drivers look for the members on the list"]
pub(crate) struct Joined<'a>(&'a Device);

impl Joined<'_> {
    /// Makes it the last on the list.  Takes the set's lock; that of the table is not held.
    pub(crate) fn enter(self) {
        let raw = self.0.as_raw();
        // SAFETY: `join()` counted it, which keeps the set.
        let _guard = unsafe { lock((*raw).dev_set) }.lock();
        // SAFETY: The list is initialised and locked; the entry, which `join()` initialised, is in no
        // list: this is called once.
        unsafe {
            bindings::list_add_tail(
                &raw mut (*raw).dev_set_list,
                &raw mut (*(*raw).dev_set).device_list,
            )
        }
    }
}

/// What is left of a member that is on the list no more: it is counted still, for
/// [`DevSet::part`].
#[must_use = "the set stays while it is counted"]
pub(crate) struct Left(NonNull<bindings::vfio_device_set>);

impl Left {
    /// The key of the set.
    pub(crate) fn id(&self) -> usize {
        // SAFETY: The count keeps the set, and the key is constant.
        unsafe { (*self.0.as_ptr()).set_id.addr() }
    }
}

/// Takes a device out of its set, if it is in one.
///
/// # Safety
///
/// The device is valid, and nobody assigns it a set now.
pub(super) unsafe fn leave(device: *mut bindings::vfio_device) -> Option<Left> {
    // SAFETY: By the caller's promise the field does not change.
    let set = NonNull::new(unsafe { (*device).dev_set })?;
    // SAFETY: The device is counted, which keeps the set.
    let guard = unsafe { lock(set.as_ptr()) }.lock();
    // SAFETY: The list is locked, and the entry in it, or, if it never came onto it, by itself.
    unsafe { list_del(&raw mut (*device).dev_set_list) };
    drop(guard);
    // SAFETY: As above.
    unsafe { (*device).dev_set = core::ptr::null_mut() };
    Some(Left(set))
}

/// # Safety
///
/// `set` is initialised, and not freed for `'a`.
unsafe fn lock<'a>(set: *mut bindings::vfio_device_set) -> &'a Mutex<()> {
    // SAFETY: By the caller's promise.
    unsafe { Lock::from_raw(&raw mut (*set).lock) }
}

impl Device<Registered> {
    fn set_lock(&self) -> &Mutex<()> {
        // SAFETY: A device that is registered is in a set, and leaves it when it is freed only.
        unsafe { lock((*self.as_raw()).dev_set) }
    }

    /// Takes the lock of the device's set.
    ///
    /// Order: outside iommufd's and the driver's; the group's is not held.
    pub(crate) fn lock_set(&self) -> DevSetGuard<'_> {
        DevSetGuard {
            device: self,
            _guard: self.set_lock().lock(),
        }
    }

    /// The same, if nobody has it: who only looks must not wait, for user memory may be pinned under the
    /// lock, and hardware reset.
    pub(crate) fn try_lock_set(&self) -> Option<DevSetGuard<'_>> {
        Some(DevSetGuard {
            device: self,
            _guard: self.set_lock().try_lock()?,
        })
    }

    /// The core's states of all devices in the device's set, if `f` is true of each of them: its first
    /// argument is this device, the second the other.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn states_of_set(
        &self,
        mut f: impl FnMut(&SetLocked<'_>, &SetLocked<'_>) -> bool,
    ) -> Result<Option<KVec<Arc<State>>>> {
        let mut states = KVec::new();
        let mut result = Ok(true);
        let _guard = self.set_lock().lock();
        let own = SetLocked { device: self };
        // SAFETY: The set's lock is held; a member is a device until it has left.
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

/// The set's lock, held.
pub(crate) struct DevSetGuard<'a> {
    device: &'a Device,
    _guard: Guard<'a, (), MutexBackend>,
}

impl DevSetGuard<'_> {
    /// The proof.  It borrows the guard: were it part of it, two guards could change theirs, and one be
    /// dropped.
    pub(crate) fn locked(&mut self) -> SetLocked<'_> {
        SetLocked {
            device: self.device,
        }
    }
}

/// Proof that the lock of `device`'s set is held, and the way to what it protects of that device.
///
/// It was made from the device and speaks of no other, so the lock of one set cannot be used to
/// change a device of another.
pub(crate) struct SetLocked<'a> {
    device: &'a Device,
}

impl<'a> SetLocked<'a> {
    /// The driver's side of the proof: its callbacks run under the lock and call back into the
    /// core.  Lockdep checks it.
    ///
    /// # Safety
    ///
    /// The device is registered, and the caller holds the lock of its set for `'a`.
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

    /// How many files have the device open.
    pub(crate) fn open_count(&self) -> u32 {
        // SAFETY: Under the set's lock.
        unsafe { (*self.device.as_raw()).open_count }
    }

    /// Written so that the lockless assertions of drivers read a whole value.
    pub(super) fn set_open_count(&mut self, count: u32) {
        // SAFETY: Under the set's lock.
        unsafe { (&raw mut (*self.device.as_raw()).open_count).write_volatile(count) }
    }

    /// Whether a cdev file is bound: read by vfio-pci, under the lock, through the inline
    /// `vfio_device_cdev_opened()`.
    pub(crate) fn set_cdev_opened(&mut self, opened: bool) {
        // SAFETY: Under the set's lock, as all writers of this byte once the device is
        // registered.
        unsafe { bindings::vfio_device::set_cdev_opened_raw(self.device.as_raw(), opened.into()) }
    }

    /// The machine that drivers find in the device while it is open; the result is the one before.
    pub(super) fn replace_kvm(&mut self, kvm: Option<KvmRef>) -> Option<KvmRef> {
        let raw = kvm.as_ref().map_or(core::ptr::null_mut(), KvmRef::as_raw);
        // SAFETY: Under the set's lock, taken exclusively (`&mut self`); no reference into the state
        // is kept.  What the field points to is held by what is stored beside it.
        unsafe {
            (*self.device.as_raw()).kvm = raw;
            core::ptr::replace(self.state().kvm.get(), kvm)
        }
    }

    /// Takes the machine back, if there is one.
    pub(super) fn take_kvm(&mut self) -> Option<KvmRef> {
        // SAFETY: Under the set's lock.
        match unsafe { (*self.device.as_raw()).kvm }.is_null() {
            true => None,
            false => self.replace_kvm(None),
        }
    }

    /// What the device is bound to, while its driver has it open.
    pub(super) fn open_by(&mut self) -> &mut Option<BoundTo> {
        // SAFETY: Under the set's lock, taken exclusively (`&mut self`) for as long as the result is.
        unsafe { &mut *self.state().open_by.get() }
    }

    fn state(&self) -> &'a LockedState {
        let state: ArcBorrow<'a, State> = self.device.state();
        let locked = core::ptr::from_ref(<Device as Core>::locked(&state));
        // SAFETY: The device keeps its state, for `'a`.
        unsafe { &*locked }
    }

    /// User space's choice of the second precopy format ends with the last close.
    pub(super) fn reset_precopy_info(&mut self) {
        // SAFETY: Under the set's lock.
        unsafe { (*self.device.as_raw()).precopy_info_v2 = 0 }
    }
}

/// What a device is bound to.
pub(super) enum BoundTo {
    Nothing,
    Iommufd,
    Container(Arc<Instance>),
}

/// What the lock of a device's set protects in the core's own state of the device.  Nothing, while it is
/// not open.
pub(crate) struct LockedState {
    first_open: UnsafeCell<Option<FirstOpen>>,
    kvm: UnsafeCell<Option<KvmRef>>,
    open_by: UnsafeCell<Option<BoundTo>>,
}

// SAFETY: It is reached through proof of the lock alone, and all of it is `Send`.
unsafe impl Sync for LockedState where (Option<FirstOpen>, Option<KvmRef>, Option<BoundTo>): Send {}

impl LockedState {
    /// That of a device that is not open.
    pub(crate) const fn new() -> Self {
        Self {
            first_open: UnsafeCell::new(None),
            kvm: UnsafeCell::new(None),
            open_by: UnsafeCell::new(None),
        }
    }
}

/// What the first open took and the last close gives back.
impl SetLocked<'_> {
    /// Stores it, or takes it back.
    pub(crate) fn set_first_open(&mut self, first: Option<FirstOpen>) -> Option<FirstOpen> {
        // SAFETY: Under the set's lock, taken exclusively (`&mut self`); no reference into it
        // outlives these functions.
        unsafe { core::ptr::replace(self.state().first_open.get(), first) }
    }

    /// Changes it, if the device is open.
    pub(crate) fn with_first_open_mut<R>(
        &mut self,
        f: impl FnOnce(&mut FirstOpen) -> R,
    ) -> Option<R> {
        // SAFETY: Under the set's lock, taken exclusively (`&mut self`), for the length of the call.
        unsafe { (*self.state().first_open.get()).as_mut() }.map(f)
    }

    /// Looks at it, if the device is open.
    pub(crate) fn with_first_open<R>(&self, f: impl FnOnce(&FirstOpen) -> R) -> Option<R> {
        // SAFETY: Under the set's lock; it is replaced through `&mut self` alone.
        unsafe { (*self.state().first_open.get()).as_ref() }.map(f)
    }
}

/// Sum of the open counts of a set's members.
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

/// The member whose parent is `dev`, or NULL.
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

/// Calls `f` for each member until it returns false.
///
/// # Safety
///
/// `set` is valid and the caller holds its lock.
unsafe fn for_each_member(
    set: *mut bindings::vfio_device_set,
    mut f: impl FnMut(*mut bindings::vfio_device) -> bool,
) {
    // SAFETY: The lock keeps the list as it is; each entry is in a device.
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
/// `entry` is in a locked list.
unsafe fn list_del(entry: *mut bindings::list_head) {
    // SAFETY: By the caller's promise.
    unsafe {
        (*(*entry).prev).next = (*entry).next;
        (*(*entry).next).prev = (*entry).prev;
        list_init(entry);
    }
}
