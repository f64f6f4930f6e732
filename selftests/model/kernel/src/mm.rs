// SPDX-License-Identifier: GPL-2.0-only

//! Address spaces, and how they end.

use crate::{
    sync::{
        aref::{ARef, AlwaysRefCounted, Shared},
        expect_alive,
    },
    workqueue::queues,
};
use core::ops::Deref;
use loom::sync::{
    atomic::{
        AtomicU32,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
    RwLock,
};
use std::sync::{atomic::AtomicBool, Arc, Mutex, MutexGuard};

/// The notifiers of an address space that a watch registers.
pub trait Notifier: Send + Sync {
    /// The address space has no users.
    fn begins(&self, may_wait: bool);
    /// As a callback of `struct mmu_notifier`.
    fn notified(&self);
}

/// The driver of the IOMMU.
pub trait IommuDriver: Sync {
    /// Its callback of `struct mmu_notifier`: it stops DMA to the address space.
    fn release(&self, mm: usize);
    /// The pages of the address space are freed.
    fn freed(&self, mm: usize);
}

struct Registered {
    notifier: Arc<dyn Notifier>,
    /// The callback of `struct mmu_notifier` has been called.
    notified: AtomicBool,
}

/// An address space.
pub struct Mm {
    id: usize,
    users: AtomicU32,
    registered: Mutex<Vec<Arc<Registered>>>,
    /// Each access to the list changes this number, so that loom runs the accesses in each order.
    accesses: AtomicU32,
    /// Read while interval notifiers run.
    invalidations: RwLock<()>,
    driver: &'static dyn IommuDriver,
    /// The driver registered its notifier last, so it is notified first.
    driver_first: bool,
}

/// The SRCU under which the callbacks of `struct mmu_notifier` run.
fn srcu() -> &'static RwLock<()> {
    loom::lazy_static! {
        static ref SRCU: RwLock<()> = RwLock::new(());
    }
    &SRCU
}

/// Waits until all running callbacks of `struct mmu_notifier` have returned.
pub fn synchronize() {
    drop(expect_alive(srcu().write()));
}

impl Mm {
    /// Makes an address space with a user.
    pub fn new(id: usize, driver: &'static dyn IommuDriver, driver_first: bool) -> Arc<Self> {
        Arc::new(Self {
            id,
            users: AtomicU32::new(1),
            registered: Mutex::new(Vec::new()),
            accesses: AtomicU32::new(0),
            invalidations: RwLock::new(()),
            driver,
            driver_first,
        })
    }

    /// Returns a number that stands for the address.
    pub fn as_raw(&self) -> usize {
        self.id
    }

    /// Registers notifiers.
    pub fn register(&self, notifier: Arc<dyn Notifier>) {
        let notified = AtomicBool::new(false);
        let registered = Arc::new(Registered { notifier, notified });
        self.list().push(registered);
    }

    /// Unregisters notifiers, and waits until they have returned.
    pub fn unregister(&self, notifier: &Arc<dyn Notifier>) {
        let removed = {
            let mut all = self.list();
            let place = all.iter().position(|r| Arc::ptr_eq(&r.notifier, notifier));
            all.remove(place.expect("the notifiers are registered"))
        };
        drop(expect_alive(self.invalidations.write()));
        let read = expect_alive(srcu().read());
        if !removed.notified.swap(true, Relaxed) {
            removed.notifier.notified();
        }
        drop(read);
        synchronize();
    }

    /// Takes a user, unless there is none.
    pub fn mmget_not_zero(self: &Arc<Self>) -> Option<ARef<MmWithUser>> {
        let mut users = self.users.load(Acquire);
        while users != 0 {
            match self
                .users
                .compare_exchange(users, users + 1, AcqRel, Acquire)
            {
                Ok(_) => return Some(MmWithUser::of(self.clone()).into()),
                Err(now) => users = now,
            }
        }
        None
    }

    /// Asserts that the address space has users.
    pub fn assert_used(&self) {
        assert_ne!(
            self.users.load(Relaxed),
            0,
            "an address space without users is bound"
        );
    }

    /// Tells whether the address space has no users.
    pub fn has_ended(&self) -> bool {
        self.users.load(Relaxed) == 0
    }

    /// Drops a user.  The last one ends the address space.
    pub fn put(&self, may_wait: bool) {
        if self.users.fetch_sub(1, AcqRel) == 1 {
            self.end(may_wait);
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Registered>>> {
        self.accesses.fetch_add(1, Relaxed);
        self.registered.lock().expect("one thread")
    }

    fn all(&self) -> Vec<Arc<Registered>> {
        self.list().clone()
    }

    fn end(&self, may_wait: bool) {
        {
            let _running = expect_alive(self.invalidations.read());
            for registered in self.all() {
                registered.notifier.begins(may_wait);
            }
        }
        {
            let _read = expect_alive(srcu().read());
            if self.driver_first {
                self.driver.release(self.id);
            }
            for registered in self.all() {
                if !registered.notified.swap(true, Relaxed) {
                    registered.notifier.notified();
                }
            }
            if !self.driver_first {
                self.driver.release(self.id);
            }
        }
        self.driver.freed(self.id);
    }
}

/// A user of an address space.
pub struct MmWithUser {
    mm: Arc<Mm>,
    /// Somebody else drops the user.
    is_moved: AtomicBool,
    shared: Shared<Self>,
}

impl MmWithUser {
    fn of(mm: Arc<Mm>) -> Arc<Self> {
        Shared::make(|shared| Self {
            mm,
            is_moved: AtomicBool::new(false),
            shared,
        })
    }

    /// The user is dropped in another task.
    pub fn into_mmput_async(this: ARef<Self>) -> ARef<MmWithUserAsync> {
        this.is_moved.store(true, Relaxed);
        Shared::make(|shared| MmWithUserAsync { user: this, shared }).into()
    }
}

impl AlwaysRefCounted for MmWithUser {
    fn shared(&self) -> &Shared<Self> {
        &self.shared
    }
}

impl Deref for MmWithUser {
    type Target = Arc<Mm>;

    fn deref(&self) -> &Arc<Mm> {
        &self.mm
    }
}

impl Drop for MmWithUser {
    fn drop(&mut self) {
        if !self.is_moved.load(Relaxed) {
            self.mm.put(true);
        }
    }
}

/// A user of an address space, whose drop does not wait.
pub struct MmWithUserAsync {
    user: ARef<MmWithUser>,
    shared: Shared<Self>,
}

impl AlwaysRefCounted for MmWithUserAsync {
    fn shared(&self) -> &Shared<Self> {
        &self.shared
    }
}

impl Deref for MmWithUserAsync {
    type Target = MmWithUser;

    fn deref(&self) -> &MmWithUser {
        &self.user
    }
}

impl Drop for MmWithUserAsync {
    fn drop(&mut self) {
        let mm = self.user.mm.clone();
        if mm.users.fetch_sub(1, AcqRel) == 1 {
            queues().schedule(move || mm.end(true));
        }
    }
}
