// SPDX-License-Identifier: GPL-2.0-only

//! Bonds, and the IOMMU: which device may access which address space.

use super::iommu::IommuGroup;
use kernel::{
    device::{Bound, Device},
    mm::{IommuDriver, MmWithUser},
    sync::{expect_alive, Monitor},
};
use loom::sync::{
    atomic::{AtomicUsize, Ordering::Relaxed},
    Mutex,
};
use std::collections::{BTreeMap, BTreeSet};

/// No device has PASIDs, in the models of groups.
pub(crate) fn max_pasids(_: &Device<Bound>) -> u32 {
    0
}

/// An entry of a PASID table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// The device can access the address space.
    Present,
    /// The bond ends, and the driver of the IOMMU waits for page requests in flight.
    Unbinding,
    /// The driver of the IOMMU removes the entry, because the address space ends.
    Leaving,
    /// The driver of the IOMMU has removed the entry; the bond is left.
    Cleared,
}

#[derive(Default)]
struct State {
    /// The entries, by the group of the device and by the address space.
    entries: BTreeMap<(i32, usize), Entry>,
    /// The address spaces for which a page request is being handled.
    handled: BTreeSet<usize>,
}

/// The IOMMU core, and the driver of the IOMMU.
pub(crate) struct Iommu {
    /// The lock of all bonds.
    bonds: Mutex<()>,
    state: std::sync::Mutex<State>,
    /// Changes when a page request is answered.
    requests: Monitor<()>,
    /// Each access to the state changes this number, so that loom runs the accesses in each order.
    accesses: AtomicUsize,
}

/// Returns the IOMMU.
pub(crate) fn iommu() -> &'static Iommu {
    loom::lazy_static! {
        static ref IOMMU: Iommu = Iommu {
            bonds: Mutex::new(()),
            state: std::sync::Mutex::new(State::default()),
            requests: Monitor::new(()),
            accesses: AtomicUsize::new(0),
        };
    }
    &IOMMU
}

impl Iommu {
    fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        self.accesses.fetch_add(1, Relaxed);
        let mut state = self
            .state
            .lock()
            .expect("a thread of the model has panicked");
        f(&mut state)
    }

    /// Waits until no page request of the address space is being handled.
    fn wait_for_page_requests(&self, mm: usize) {
        self.requests
            .wait_until(|()| self.change(|state| !state.handled.contains(&mm)));
    }

    /// A page request of the address space is handled by `f`, which drops a user of the address space.
    pub(crate) fn handle_page_request(&self, mm: usize, f: impl FnOnce()) {
        self.change(|state| state.handled.insert(mm));
        f();
        self.requests
            .change(|()| self.change(|state| state.handled.remove(&mm)));
    }

    /// The device of the group can access the address space.
    pub(crate) fn is_bound(&self, group: &IommuGroup, mm: usize) -> bool {
        let key = (group.id(), mm);
        self.change(|state| state.entries.get(&key) == Some(&Entry::Present))
    }

    /// Nothing is left of the bonds.
    pub(crate) fn assert_empty(&self) {
        self.change(|state| assert!(state.entries.is_empty(), "a bond is left"));
    }
}

impl IommuDriver for Iommu {
    fn release(&self, mm: usize) {
        self.change(|state| {
            let mut entries = state.entries.iter().filter(|((_, its), _)| *its == mm);
            assert!(
                entries.all(|(_, entry)| *entry != Entry::Unbinding),
                "the driver of the IOMMU removes an entry beside a bond that ends"
            );
        });
        let change = |from, to| {
            self.change(|state| {
                let entries = state.entries.iter_mut().filter(|((_, its), _)| *its == mm);
                for (_, entry) in entries.filter(|(_, entry)| **entry == from) {
                    *entry = to;
                }
            });
        };
        change(Entry::Present, Entry::Leaving);
        change(Entry::Leaving, Entry::Cleared);
    }

    fn freed(&self, mm: usize) {
        self.change(|state| {
            let mut entries = state.entries.iter().filter(|((_, its), _)| *its == mm);
            assert!(
                entries.all(|(_, entry)| *entry == Entry::Cleared),
                "a device can access pages that are freed"
            );
        });
    }
}

/// A bond.
pub(crate) struct Bond {
    group: IommuGroup,
    mm: usize,
}

impl Bond {
    pub(crate) fn new(group: &IommuGroup, mm: &MmWithUser) -> Self {
        let iommu = iommu();
        let _bonds = expect_alive(iommu.bonds.lock());
        mm.assert_used();
        let mm = mm.as_raw();
        let old = iommu.change(|state| state.entries.insert((group.id(), mm), Entry::Present));
        assert_eq!(old, None, "an address space is bound twice");
        let group = group.clone();
        Self { group, mm }
    }

    pub(crate) fn pasid(&self) -> u32 {
        u32::try_from(self.mm).expect("the number is small")
    }

    pub(crate) fn is_with(&self, _: &Device) -> bool {
        true
    }

    pub(crate) fn is_of(&self, group: &IommuGroup) -> bool {
        self.group.id() == group.id()
    }

    pub(crate) fn wait_for_page_requests(&self) {
        iommu().wait_for_page_requests(self.mm);
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let iommu = iommu();
        let _bonds = expect_alive(iommu.bonds.lock());
        let key = (self.group.id(), self.mm);
        let entry = iommu.change(|state| {
            let entry = state.entries.get_mut(&key)?;
            let old = *entry;
            if old == Entry::Present {
                *entry = Entry::Unbinding;
            }
            Some(old)
        });
        match entry {
            // The driver waits for page requests in flight.
            Some(Entry::Present) => iommu.wait_for_page_requests(self.mm),
            Some(Entry::Cleared) => iommu.change(|state| {
                assert!(
                    !state.handled.contains(&self.mm),
                    "a page request is freed while it is being handled"
                );
            }),
            other => panic!("a bond ends beside the driver of the IOMMU: {other:?}"),
        }
        iommu.change(|state| state.entries.remove(&key));
    }
}
