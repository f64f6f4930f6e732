// SPDX-License-Identifier: GPL-2.0-only

//! Work queues.  A model has two tasks for them: one for the module's queue, and one for the kernel's, on which
//! `mmput_async()` ends address spaces.

use crate::sync::{expect_alive, Arc, Monitor};
use core::marker::PhantomData;
use loom::sync::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;

type Job = Box<dyn FnOnce()>;

/// What the tasks of a model have to do.
#[derive(Default)]
struct Jobs {
    module: VecDeque<Job>,
    module_runs: bool,
    kernel: VecDeque<Job>,
    /// The number of the model's own threads that have not ended.
    threads: usize,
    stop: bool,
}

/// The work queues.
pub struct Queues {
    jobs: Mutex<Jobs>,
    /// The module's queue has work, or has to stop.
    module_has_work: Condvar,
    /// The kernel's queue has work, or a thread or the module's work has ended.
    kernel_has_work: Condvar,
}

// SAFETY: The threads of a model are coroutines of one thread.
unsafe impl Send for Queues {}
// SAFETY: As above.
unsafe impl Sync for Queues {}

/// Returns the work queues.  Loom makes them anew for each interleaving.
pub fn queues() -> &'static Queues {
    loom::lazy_static! {
        static ref QUEUES: Queues = Queues {
            jobs: Mutex::new(Jobs::default()),
            module_has_work: Condvar::new(),
            kernel_has_work: Condvar::new(),
        };
    }
    &QUEUES
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        expect_alive(self.jobs.lock())
    }

    /// Queues a job to the kernel's queue.
    pub fn schedule(&self, job: impl FnOnce() + 'static) {
        self.lock().kernel.push_back(Box::new(job));
        self.kernel_has_work.notify_one();
    }

    /// The model has so many threads of its own.
    pub fn expect_threads(&self, number: usize) {
        self.lock().threads = number;
    }

    /// A thread of the model ends.
    pub fn thread_ends(&self) {
        self.lock().threads -= 1;
        self.kernel_has_work.notify_one();
    }

    /// Does the work of the module's queue until [`stop`](Self::stop).
    pub fn work_for_module(&self) {
        let mut jobs = self.lock();
        loop {
            match jobs.module.pop_front() {
                Some(job) => {
                    jobs.module_runs = true;
                    drop(jobs);
                    job();
                    jobs = self.lock();
                    jobs.module_runs = false;
                    self.kernel_has_work.notify_one();
                }
                None if jobs.stop => return,
                None => jobs = expect_alive(self.module_has_work.wait(jobs)),
            }
        }
    }

    /// Does the work of the kernel's queue, until all threads have ended and no work is left.
    pub fn work(&self) {
        let mut jobs = self.lock();
        loop {
            match jobs.kernel.pop_front() {
                Some(job) => {
                    drop(jobs);
                    job();
                    jobs = self.lock();
                }
                None if jobs.threads == 0 && jobs.module.is_empty() && !jobs.module_runs => break,
                None => jobs = expect_alive(self.kernel_has_work.wait(jobs)),
            }
        }
    }

    /// Ends [`work_for_module`](Self::work_for_module).
    pub fn stop(&self) {
        self.lock().stop = true;
        self.module_has_work.notify_one();
    }
}

#[derive(Default)]
struct State {
    pending: bool,
    running: usize,
}

/// A work of the object `T`.
pub struct Work<T>(std::sync::Arc<Monitor<State>>, PhantomData<fn(T)>);

/// Makes a work.
#[macro_export]
macro_rules! new_work {
    ($name:literal) => {
        $crate::workqueue::Work::new()
    };
}

impl<T> Work<T> {
    /// Makes the work, which is idle.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(
            std::sync::Arc::new(Monitor::new(State::default())),
            PhantomData,
        )
    }

    /// Waits until the work is idle.
    pub fn flush(&self) {
        self.0
            .wait_until(|state| !state.pending && state.running == 0);
    }
}

/// An object with a work.
pub trait HasWork: Sized {
    /// Returns the work.
    fn work(&self) -> &Work<Self>;
}

/// Says which field is the work.
#[macro_export]
macro_rules! impl_has_work {
    (impl HasWork<Self> for $type:ident { self.$field:ident }) => {
        impl $crate::workqueue::HasWork for $type {
            fn work(&self) -> &$crate::workqueue::Work<Self> {
                &self.$field
            }
        }
    };
}

/// An object that works.
pub trait WorkItem {
    /// What the queue holds.
    type Pointer;

    /// Works.
    fn run(this: Self::Pointer);
}

/// The module's queue.
pub struct Queue;

impl Queue {
    /// Queues the work, unless it is pending.
    pub fn enqueue<W, const ID: u64>(&self, item: W) -> Result<(), W>
    where
        W: Pointer,
    {
        item.enqueue()
    }
}

/// A reference on an object with a work.
pub trait Pointer: Sized {
    /// Queues the work, unless it is pending.
    fn enqueue(self) -> Result<(), Self>;
}

impl<T: HasWork + WorkItem<Pointer = Arc<T>> + 'static> Pointer for Arc<T> {
    fn enqueue(self) -> Result<(), Self> {
        let state = self.work().0.clone();
        if core::mem::replace(&mut state.lock().pending, true) {
            return Err(self);
        }
        let job = move || {
            {
                let mut state = state.lock();
                state.pending = false;
                state.running += 1;
            }
            T::run(self);
            state.change(|state| state.running -= 1);
        };
        queues().lock().module.push_back(Box::new(job));
        queues().module_has_work.notify_one();
        Ok(())
    }
}
