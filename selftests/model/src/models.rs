// SPDX-License-Identifier: GPL-2.0-only

//! The models.  Each runs all interleavings of its threads, and of what they see of each other's writes, with up to
//! [`PREEMPTIONS`] places at which a thread stops although it could continue.

mod processes;
mod world;

use kernel::prelude::*;
use std::sync::{
    atomic::{AtomicU64, Ordering::Relaxed},
    Arc,
};
use world::World;

/// With three, a model takes seconds.  The environment variable `LOOM_MAX_PREEMPTIONS` overrides the number.
const PREEMPTIONS: usize = 3;

/// Calls `run` for each interleaving with up to `preemptions` preemptions.
fn explore(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        run();
    });
    println!("{} interleavings", runs.load(Relaxed));
}

/// Runs a model: a world, and threads in it.
fn model<const N: usize>(threads: impl Fn(&Arc<World>) -> [fn(&World); N] + Send + Sync + 'static) {
    explore(PREEMPTIONS, move || {
        let world = World::new();
        let running: Vec<_> = threads(&world)
            .into_iter()
            .map(|thread| {
                let world = world.clone();
                loom::thread::spawn(move || thread(&world))
            })
            .collect();
        for thread in running {
            thread.join().expect("a thread panics");
        }
        world.end();
    });
}

/// Opens the group and closes it.
fn use_group(world: &World) {
    drop(world.open_group());
}

/// Opens the node of the device, binds the file, and closes it.
fn bind(world: &World) {
    if let Ok(file) = world.open_cdev() {
        let _ = file.bind();
    }
}

/// Binds a file that was opened before, and drops the thread's reference on the file.
fn bind_shared(world: &World) {
    let _ = world.shared_file().bind();
}

/// Opens the device through the group that was opened before, and closes it.
fn open_and_close(world: &World) {
    let file = world.shared_device();
    assert!(file.is_ok());
    drop(file);
}

/// Opens the device through the group and a container, and closes everything.
fn use_container(world: &World) {
    let Ok(group) = world.open_group() else {
        return;
    };
    match group.set_container() {
        Ok(()) => {}
        // The last device has left the group.
        Err(e) => return assert_eq!(e, ENODEV),
    }
    let device = group.device();
    match (&device, group.unset()) {
        (Ok(_), unset) => assert_eq!(unset, Err(EBUSY)),
        // The group has left its container with the last device.
        (Err(e), Err(unset)) => assert_eq!((*e, unset), (ENODEV, EINVAL)),
        (Err(e), Ok(())) => assert_eq!(*e, ENODEV),
    }
}

/// Opens the device through the group and an iommufd, and closes everything, the device last.
fn use_iommufd(world: &World) {
    let Ok(group) = world.open_group() else {
        return;
    };
    match group.set_iommufd() {
        Ok(()) => {}
        Err(e) => return assert_eq!(e, ENODEV),
    }
    let device = group.device();
    assert_eq!(group.unset(), Ok(()));
    drop(group);
    drop(device);
}

/// Unregisters the device.
fn unregister(world: &World) {
    world.unregister();
}

/// Unregisters the device, and registers it again.
fn register_again(world: &World) {
    world.unregister();
    world.register();
}

/// The call succeeds, or fails because of the backend that the group has.
fn succeeds_or_einval(result: Result) {
    assert!(matches!(result, Ok(()) | Err(EINVAL)), "{result:?}");
}

/// The group's file and a bound file of its device are never open together.
#[test]
fn group_or_bind() {
    model(|_| [use_group, bind]);
}

/// A group is opened once at a time.
#[test]
fn group_twice() {
    model(|_| [use_group, use_group]);
}

/// As `group_or_bind`, with the whole use of a container.
#[test]
fn container_or_bind() {
    model(|_| [use_container, bind]);
}

/// After the close of the group's file the group has left its container, and can join another.
#[test]
fn container_twice() {
    model(|_| [use_container, use_container]);
}

/// As `group_or_bind`, with an iommufd, whose devices stay open when the group's file is closed.
#[test]
fn iommufd_or_bind() {
    model(|_| [use_iommufd, bind]);
}

/// Of two files of a device one is bound.
#[test]
fn bind_twice() {
    model(|_| [bind, bind]);
}

/// Two threads bind one file: one succeeds.
#[test]
fn bind_one_file_twice() {
    model(|world| {
        world.open_shared_file(2);
        [bind_shared, bind_shared]
    });
}

/// The removal of a device waits for a bound file, and an unbound file never reaches the device afterwards.
#[test]
fn bind_and_unregister() {
    model(|_| [bind, unregister]);
}

/// The removal of a device waits for files from its group, and the group leaves its container.
#[test]
fn container_and_unregister() {
    model(|_| [use_container, unregister]);
}

/// As above, with an iommufd.
#[test]
fn iommufd_and_unregister() {
    model(|_| [use_iommufd, unregister]);
}

/// A file of an earlier registration never reaches a later one.
#[test]
fn bind_and_register_again() {
    model(|world| {
        world.open_shared_file(1);
        [bind_shared, register_again]
    });
}

/// An open of the node while the device is registered again: the file belongs to one registration.
#[test]
fn open_and_register_again() {
    model(|_| [bind, register_again]);
}

/// All exclude each other, and each other's removal.
#[test]
fn group_bind_and_unregister() {
    model(|_| [use_group, bind, unregister]);
}

/// Two threads open the device through the group, each with a file of its own: the last close closes it.
#[test]
fn two_files() {
    model(|world| {
        world.open_container_with_driver();
        [open_and_close, open_and_close]
    });
}

/// A container that its last group has left has no driver, and can be used again.
#[test]
fn container_again() {
    fn use_again(world: &World) {
        for _ in 0..2 {
            let group = world.shared_group();
            let container = world.container();
            assert_eq!(world.join_shared_container(), Ok(()));
            assert_eq!(container.set_iommu(0), Ok(()));
            assert_eq!(group.unset(), Ok(()));
            assert_eq!(container.set_iommu(0), Err(EINVAL));
            world.assert_detached();
        }
    }
    model(|world| {
        world.open_shared_container();
        world.shared_group().unset().expect("no device is open");
        [use_again]
    });
}

/// A device joins the group while the last device leaves it: it gets a group that can be opened.
#[test]
fn leave_and_join() {
    fn join(world: &World) {
        world.register_second();
    }
    model(|_| [unregister, join]);
}

/// Of two `VFIO_SET_IOMMU` of a container, one succeeds.
#[test]
fn set_iommu_twice() {
    fn set_iommu(world: &World) {
        if world.container().set_iommu(0).is_ok() {
            world.count_success();
        }
    }
    model(|world| {
        world.open_shared_container();
        world.expect_one_success();
        [set_iommu, set_iommu]
    });
}

/// A container is set and unset by two threads of a process that share the group's file.
#[test]
fn set_and_unset() {
    fn set(world: &World) {
        succeeds_or_einval(world.join_new_container());
    }
    fn set_iommufd(world: &World) {
        succeeds_or_einval(world.set_shared_iommufd());
    }
    fn unset(world: &World) {
        succeeds_or_einval(world.shared_group().unset());
    }
    model(|world| {
        world.open_shared_group();
        [set, set_iommufd, unset]
    });
}

/// `VFIO_SET_IOMMU` and `VFIO_GROUP_UNSET_CONTAINER`: the group is attached to the data, or gone.
#[test]
fn set_iommu_and_unset() {
    fn set_iommu(world: &World) {
        let _ = world.container().set_iommu(0);
    }
    fn unset(world: &World) {
        assert_eq!(world.shared_group().unset(), Ok(()));
        world.assert_detached();
    }
    model(|world| {
        world.open_shared_container();
        [set_iommu, unset]
    });
}

/// A close of the device and `VFIO_GROUP_UNSET_CONTAINER`: the group is detached when the latter succeeds.
#[test]
fn close_and_unset() {
    fn use_device(world: &World) {
        drop(world.shared_device());
    }
    fn unset(world: &World) {
        match world.shared_group().unset() {
            Ok(()) => world.assert_detached(),
            Err(e) => assert_eq!(e, EBUSY),
        }
    }
    model(|world| {
        world.open_container_with_driver();
        [use_device, unset]
    });
}

/// KVM is told of a file while it is bound, and the machine is closed: the device has the machine until its last
/// close, or not at all.
#[test]
fn bind_and_machine() {
    fn use_machine(world: &World) {
        world.add_file_to_machine();
        world.close_machine();
    }
    model(|world| {
        world.open_shared_file(2);
        [bind_shared, use_machine]
    });
}

/// As above, with a machine that knew the file before, and a second file of the device.
#[test]
fn bind_and_close_machine() {
    model(|world| {
        world.open_shared_file(2);
        world.add_file_to_machine();
        [bind_shared, bind, World::close_machine]
    });
}

/// The same of a device that is opened through its group.
#[test]
fn group_and_machine() {
    fn use_machine(world: &World) {
        world.add_group_to_machine();
        world.close_machine();
    }
    model(|world| {
        world.open_container_with_driver();
        [open_and_close, use_machine]
    });
}

/// As above, with a machine that knew the group before.
#[test]
fn group_and_close_machine() {
    model(|world| {
        world.open_container_with_driver();
        world.add_group_to_machine();
        [open_and_close, World::close_machine]
    });
}
