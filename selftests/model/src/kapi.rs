// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's interfaces.

use kernel::prelude::*;

/// Converts the result of a C function.
pub(crate) fn to_result(ret: c_int) -> Result {
    match ret {
        0 => Ok(()),
        ret => Err(Error::from_errno(ret)),
    }
}

pub(crate) mod capability {
    /// All threads of a model are privileged.
    pub(crate) fn sys_rawio() -> bool {
        true
    }
}

pub(crate) mod cdev {
    use kernel::{
        prelude::*,
        sync::{Arc, Mutex},
    };
    use std::collections::BTreeMap;

    /// The number of minors.
    pub(crate) const MINORS: u32 = 4;
    /// A device number.
    pub(crate) type DevT = u32;

    type Nodes<T> = Arc<Mutex<BTreeMap<u32, Arc<T>>>>;

    /// The nodes of a device number range.
    pub(crate) struct CharRegion<T>(Nodes<T>);

    impl<T> CharRegion<T> {
        pub(crate) fn new() -> Self {
            let nodes = Arc::new(Mutex::new(BTreeMap::new()), GFP_KERNEL);
            Self(nodes.expect("allocations do not fail"))
        }

        pub(crate) fn devt(&self, minor: u32) -> DevT {
            minor
        }

        pub(crate) fn add(&self, minor: u32, object: Arc<T>) -> Result<Cdev<T>> {
            let other = self.0.lock().insert(minor, object);
            assert!(other.is_none(), "two nodes have one minor");
            Ok(Cdev {
                nodes: self.0.clone(),
                minor,
            })
        }

        /// Returns the object of the only node, as open(2) finds it.
        pub(crate) fn lookup(&self) -> Option<Arc<T>> {
            let nodes = self.0.lock();
            assert!(nodes.len() <= 1, "an IOMMU group has two nodes");
            nodes.values().next().cloned()
        }

        /// Returns the same range.
        pub(crate) fn same(&self) -> Self {
            Self(self.0.clone())
        }
    }

    /// A node.
    pub(crate) struct Cdev<T> {
        nodes: Nodes<T>,
        minor: u32,
    }

    impl<T> Drop for Cdev<T> {
        fn drop(&mut self) {
            let object = self.nodes.lock().remove(&self.minor);
            drop(object);
        }
    }
}

pub(crate) mod class {
    use super::cdev::DevT;
    use kernel::{prelude::*, sync::Arc};

    pub(crate) struct ClassRegistration;
    pub(crate) struct ClassDevice;

    impl ClassDevice {
        pub(crate) fn create(
            _: &Arc<ClassRegistration>,
            _: DevT,
            _: &CStr,
            _: i32,
        ) -> Result<Self> {
            Ok(Self)
        }
    }
}

pub(crate) mod completion {
    use kernel::{sync::Monitor, time::Jiffies};

    /// An event that one task waits for.
    pub(crate) struct Completion(Monitor<bool>);

    /// How a wait ends.  No signal arrives, and no time passes.
    #[allow(dead_code)]
    pub(crate) enum Wait {
        Done,
        TimedOut,
        Interrupted,
    }

    impl Completion {
        pub(crate) fn new() -> Self {
            Self(Monitor::new(false))
        }

        pub(crate) fn complete(&self) {
            self.0
                .change(|done| assert!(!core::mem::replace(done, true), "a drain ends twice"));
        }

        pub(crate) fn try_wait(&self) -> bool {
            core::mem::take(&mut *self.0.lock())
        }

        pub(crate) fn wait_timeout(&self, _: Jiffies) -> Wait {
            self.0.wait_until(core::mem::take);
            Wait::Done
        }

        pub(crate) fn wait_interruptible_timeout(&self, timeout: Jiffies) -> Wait {
            self.wait_timeout(timeout)
        }
    }
}

pub(crate) mod debugfs {
    use core::marker::PhantomData;

    /// A directory.
    pub(crate) struct Dir;

    /// A directory whose files belong to an object.
    pub(crate) struct DirOf<T>(pub(crate) PhantomData<T>);
}

pub(crate) mod device {
    /// Tells whether an IOMMU translates the device's DMA.
    pub(crate) fn has_iommu(_: &kernel::device::Device) -> bool {
        true
    }
}

pub(crate) mod ida {
    use kernel::{prelude::*, sync::Mutex};
    use std::collections::BTreeSet;

    /// Numbers.
    pub(crate) struct Ida(Mutex<BTreeSet<u32>>);

    impl Ida {
        pub(crate) fn new() -> impl PinInit<Self> {
            Self(Mutex::new(BTreeSet::new()))
        }

        pub(crate) fn alloc(&self, max: u32) -> Result<u32> {
            let mut taken = self.0.lock();
            let free = (0..=max)
                .find(|number| !taken.contains(number))
                .ok_or(ENOSPC)?;
            taken.insert(free);
            Ok(free)
        }

        pub(crate) fn remove(&self, number: u32) {
            assert!(self.0.lock().remove(&number), "a number is released twice");
        }
    }
}

pub(crate) mod iommu {
    use kernel::{
        device::{Bound, Device},
        prelude::*,
    };
    use std::sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Arc,
    };

    /// An IOMMU group.
    #[derive(Clone)]
    pub(crate) struct IommuGroup {
        id: i32,
        owned: Arc<AtomicBool>,
    }

    impl IommuGroup {
        /// Returns the IOMMU group of all devices.
        pub(crate) fn of(_: &Device) -> Option<Self> {
            loom::lazy_static! {
                static ref ONLY: IommuGroup = IommuGroup {
                    id: 7,
                    owned: Arc::new(AtomicBool::new(false)),
                };
            }
            Some(ONLY.clone())
        }

        pub(crate) fn fake(_: &CStr, _: &Device) -> Result<(Self, FakeMember)> {
            Err(EINVAL)
        }

        /// Returns another group.
        pub(crate) fn with_id(id: i32) -> Self {
            Self {
                id,
                owned: Arc::new(AtomicBool::new(false)),
            }
        }

        pub(crate) fn id(&self) -> i32 {
            self.id
        }

        pub(crate) fn dma_owner_claimed(&self) -> bool {
            self.owned.load(Relaxed)
        }
    }

    pub(crate) struct FakeMember;

    /// The ownership of the DMA of a group.
    pub(crate) struct DmaOwner(IommuGroup);

    impl DmaOwner {
        pub(crate) fn claim(group: &IommuGroup) -> Result<Self> {
            match group.owned.swap(true, Relaxed) {
                false => Ok(Self(group.clone())),
                true => Err(EPERM),
            }
        }
    }

    impl Drop for DmaOwner {
        fn drop(&mut self) {
            assert!(
                self.0.owned.swap(false, Relaxed),
                "the ownership is released twice"
            );
        }
    }

    pub(crate) fn enforces_coherency(_: &Device<Bound>) -> bool {
        true
    }

    pub(crate) fn cache_coherent(_: &Device<Bound>) -> bool {
        true
    }
}

pub(crate) mod iommu_sva;

pub(crate) mod iommufd {
    use kernel::{
        prelude::*,
        sync::aref::{ARef, AlwaysRefCounted, Shared},
    };

    /// An iommufd.
    pub(crate) struct Ctx(Shared<Ctx>);

    impl AlwaysRefCounted for Ctx {
        fn shared(&self) -> &Shared<Self> {
            &self.0
        }
    }

    impl Ctx {
        pub(crate) fn open() -> ARef<Self> {
            Shared::make(Self).into()
        }

        pub(crate) fn from_fd(_: c_int) -> Result<ARef<Self>> {
            Ok(Self::open())
        }

        pub(crate) fn create_compat_ioas(&self) -> Result {
            Ok(())
        }

        pub(crate) fn set_compat_noiommu(&self) -> Result {
            Ok(())
        }

        pub(crate) fn compat_ioas(&self) -> Result<u32> {
            Ok(1)
        }

        pub(crate) fn as_raw(&self) -> *mut Self {
            core::ptr::from_ref(self).cast_mut()
        }
    }
}

// The module's own.
#[allow(clippy::all, dead_code)]
#[path = "../../../rust/kapi/kvm.rs"]
pub(crate) mod kvm;

pub(crate) mod mmu_notifier;

pub(crate) mod module {
    pub(crate) struct ModuleRef;
}

pub(crate) mod panic {
    macro_rules! warn_on {
        ($condition:expr) => {{
            let condition = $condition;
            assert!(!condition, "the module warns");
            condition
        }};
    }
    pub(crate) use warn_on;

    pub(crate) fn taint_user() {
        unreachable!("no device lacks an IOMMU");
    }
}

pub(crate) mod ratelimit {
    use kernel::prelude::*;

    pub(crate) struct RateLimit;

    impl RateLimit {
        pub(crate) fn new(_: &'static CStr) -> impl PinInit<Self> {
            Self
        }

        pub(crate) fn permits(&self) -> bool {
            false
        }
    }
}

pub(crate) mod sched {
    /// A task.
    pub(crate) struct TaskId;

    impl TaskId {
        pub(crate) fn process() -> Self {
            Self
        }

        pub(crate) fn current() -> Self {
            Self
        }
    }

    impl core::fmt::Display for TaskId {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a task")
        }
    }
}

pub(crate) mod series {
    use kernel::prelude::*;

    pub(crate) const EOPNOTSUPP: Error = Error::from_errno(-95);
}

pub(crate) mod workqueue {
    use kernel::workqueue::{HasWork, Queue};

    /// The module's queue.
    pub(crate) struct OwnedQueue;

    impl OwnedQueue {
        pub(crate) fn queue(&self) -> &Queue {
            &Queue
        }
    }

    /// Waits until the work is idle.
    pub(crate) fn flush_work<T: HasWork>(item: &T) {
        item.work().flush();
    }
}

pub(crate) mod uaccess {
    /// A string that user space has passed.
    pub(crate) struct UserString;
}
