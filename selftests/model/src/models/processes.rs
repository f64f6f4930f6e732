// SPDX-License-Identifier: GPL-2.0-only

//! The models of processes that are bound to devices.

use super::explore;
use crate::{
    kapi::{
        iommu::IommuGroup,
        iommu_sva::{iommu, Iommu},
        workqueue::OwnedQueue,
    },
    processes::sva::{is_used, BoundProcesses, Deferred, DEFERRED},
    shared::vfio::iommu_driver::GroupType,
};
use kernel::{
    mm::{IommuDriver, Mm, MmWithUser},
    prelude::*,
    sync::{aref::ARef, atomic::reset_statics, Arc},
    workqueue::queues,
};
use std::sync::Arc as StdArc;

/// A device in each of two IOMMU groups, and a process.
struct World {
    processes: Arc<BoundProcesses>,
    /// The address space of the process, whose first user the thread that ends it drops.
    mm: StdArc<Mm>,
    groups: [IommuGroup; 2],
}

impl World {
    fn new(driver_first: bool) -> StdArc<Self> {
        reset_statics();
        *DEFERRED.lock() = Some(Deferred::new(OwnedQueue));
        let driver: &'static Iommu = iommu();
        StdArc::new(Self {
            processes: BoundProcesses::new(GFP_KERNEL).expect("allocations do not fail"),
            mm: Mm::new(1, driver as &dyn IommuDriver, driver_first),
            groups: [IommuGroup::with_id(1), IommuGroup::with_id(2)],
        })
    }

    /// `VFIO_BIND_PROCESS` on a device file, by the process.
    fn bind(&self, mm: &MmWithUser) -> Result {
        self.processes.bind(mm, &self.groups[0]).map(|_| ())
    }

    /// Takes a user of the address space, as a thread of the process has one.
    fn user(&self) -> ARef<MmWithUser> {
        self.mm.mmget_not_zero().expect("the process lives")
    }

    /// The process exits.
    fn exit(&self) {
        self.mm.put(true);
    }

    /// The process exits while the kernel handles a page request of it, so the handler ends the address space.
    fn exit_in_handler(&self) {
        iommu().handle_page_request(1, || self.mm.put(false));
    }

    /// The last user of the address space is a task that may hold a lock of the IOMMU core.
    fn exit_in_another_task(&self) {
        self.mm.put(false);
    }

    /// Returns the group that joins the container with this key, 1 or 2.
    fn group(&self, key: u64) -> &IommuGroup {
        &self.groups[usize::from(key != 1)]
    }

    /// A group joins the container.
    fn join(&self, key: u64) -> Result {
        self.processes.join(key, self.group(key), GroupType::Iommu)
    }

    fn leave(&self, key: u64) {
        self.processes.leave(key, self.group(key));
    }

    /// The device of the first group can access the address space.
    fn has_bond(&self) -> bool {
        iommu().is_bound(&self.groups[0], 1)
    }

    /// Closes the file, if the process lives.
    fn close(&self) {
        if !self.mm.has_ended() {
            self.processes.end_all();
        }
    }

    fn end(&self) {
        self.processes
            .for_each_pasid(|_| panic!("a process is left on the list"));
        iommu().assert_empty();
        assert!(!is_used(), "a process is counted that is not bound");
    }
}

/// Runs a model with up to `preemptions` preemptions.  `begin` sets the world up, and `threads` run in it.  The
/// environment variable `LOOM_MAX_PREEMPTIONS` overrides `preemptions`.
fn model(preemptions: usize, begin: fn(&World), threads: [fn(&World); 2]) {
    model_with(false, preemptions, begin, threads);
}

/// As [`model`], if the bonds cannot end in the task that ends the address space: with both orders in which the
/// notifiers can be called.
fn model_late(preemptions: usize, begin: fn(&World), threads: [fn(&World); 2]) {
    model_with(false, preemptions, begin, threads);
    model_with(true, preemptions, begin, threads);
}

fn model_with(driver_first: bool, preemptions: usize, begin: fn(&World), threads: [fn(&World); 2]) {
    explore(preemptions, move || {
        let world = World::new(driver_first);
        begin(&world);
        let worker = loom::thread::spawn(|| queues().work_for_module());
        queues().expect_threads(threads.len());
        for thread in threads {
            let world = world.clone();
            loom::thread::spawn(move || {
                thread(&world);
                drop(world);
                queues().thread_ends();
            });
        }
        queues().work();
        world.close();
        queues().work();
        queues().stop();
        worker.join().expect("a thread panics");
        world.end();
        drop(DEFERRED.lock().take());
    });
}

fn bound(world: &World) {
    assert_eq!(world.bind(&world.user()), Ok(()));
}

fn bound_in_container(world: &World) {
    assert_eq!(world.join(1), Ok(()));
    let bound = world.processes.bind_to_all(&world.user());
    assert!(bound.is_ok());
}

/// The close of the device's file.
fn close(world: &World) {
    world.processes.end_all();
    assert!(!world.has_bond(), "a closed file has a bond");
}

/// `VFIO_DEVICE_RESET`
fn reset(world: &World) {
    let resetting = world.processes.begin_reset();
    assert!(!world.has_bond(), "a device is reset with a bond");
    drop(resetting);
}

/// The first open of a device in a container.
fn open_in_container(world: &World) {
    let suspension = world.processes.suspend(1, &world.groups[0]);
    assert!(!world.has_bond(), "a device is opened with a bond");
    drop(suspension);
}

/// The bonds end with the address space, or with the file.
#[test]
fn exit_and_close() {
    model(2, bound, [World::exit, close]);
}

/// The handler of a page request ends the address space while the file is closed.
#[test]
fn exit_in_handler_and_close() {
    model_late(2, bound, [World::exit_in_handler, close]);
}

/// As above, with a task that handles no page request.
#[test]
fn exit_in_another_task_and_close() {
    model_late(2, bound, [World::exit_in_another_task, close]);
}

/// A reset ends the bonds, also those of a process that exits.
#[test]
fn exit_and_reset() {
    model(2, bound, [World::exit, reset]);
}

/// As above, with the handler of a page request.
#[test]
fn exit_in_handler_and_reset() {
    model_late(2, bound, [World::exit_in_handler, reset]);
}

/// No process is bound during a reset.
#[test]
fn bind_and_reset() {
    fn bind(world: &World) {
        let bound = world.bind(&world.user());
        assert!(matches!(bound, Ok(()) | Err(EBUSY)), "{bound:?}");
    }
    model(2, |_| (), [bind, reset]);
}

/// A thread unbinds the process while another thread of it exits.
#[test]
fn exit_and_unbind() {
    fn bound_twice_used(world: &World) {
        bound(world);
        // Of the second thread.
        core::mem::forget(world.user());
    }
    fn unbind_and_exit(world: &World) {
        let user = world.user();
        assert_eq!(world.processes.unbind(&user), Ok(1));
        assert_eq!(world.processes.unbind(&user), Err(ENOENT));
        drop(user);
        world.exit();
    }
    model(2, bound_twice_used, [World::exit, unbind_and_exit]);
}

/// A group joins a container whose process exits.
#[test]
fn exit_and_join() {
    fn join(world: &World) {
        assert_eq!(world.join(2), Ok(()));
        world.leave(2);
        world.leave(1);
    }
    model(2, bound_in_container, [World::exit, join]);
}

/// As above, with the handler of a page request.
#[test]
fn exit_in_handler_and_join() {
    fn join(world: &World) {
        assert_eq!(world.join(2), Ok(()));
        world.leave(1);
        world.leave(2);
    }
    model_late(2, bound_in_container, [World::exit_in_handler, join]);
}

/// The first open of a device in a container suspends the bonds of a process that exits.
#[test]
fn exit_and_open() {
    model(2, bound_in_container, [World::exit, open_in_container]);
}

/// As above, with the handler of a page request.
#[test]
fn exit_in_handler_and_open() {
    model_late(
        1,
        bound_in_container,
        [World::exit_in_handler, open_in_container],
    );
}

/// A process that lives has its bond again after the open.
#[test]
fn open_and_live() {
    fn open_and_look(world: &World) {
        open_in_container(world);
        assert!(world.has_bond(), "the bond is lost");
        world.exit();
    }
    fn idle(_: &World) {}
    model(2, bound_in_container, [open_and_look, idle]);
}

/// Two opens at a time, and the group leaves the container during one of them.
#[test]
fn open_twice() {
    fn open_and_leave(world: &World) {
        open_in_container(world);
        world.leave(1);
    }
    model(1, bound_in_container, [open_in_container, open_and_leave]);
}
