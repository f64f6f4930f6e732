// SPDX-License-Identifier: GPL-2.0-only

//! Callbacks for signals of an eventfd (`include/linux/eventfd.h`, `include/linux/wait.h`,
//! `include/linux/poll.h`).

use crate::bindings;
use core::{ops::Deref, ptr::NonNull};
use kernel::{
    fs::LocalFile,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            ordering::{Full, Release},
            AtomicFlag,
        },
        Arc, ArcBorrow, Completion,
    },
    types::{ForeignOwnable, Opaque},
};

/// A type that is called when an eventfd is signalled or closed.  The code that signals or closes the eventfd makes
/// the calls, in atomic context and with interrupts off.  This code can be an interrupt handler.
///
/// # Safety
///
/// [`subscription`](Self::subscription) returns a field of the listener, and each call returns the same.
pub(crate) unsafe trait Listener: Send + Sync + Sized + 'static {
    /// The data of the subscription, which is dropped together with the listener.
    type Data: Send + Sync;

    /// The eventfd was signalled.
    fn signalled(this: ArcBorrow<'_, Self>, signal: Signal<'_, Self::Data>);
    /// The eventfd is being closed: its last file is released.
    fn hung_up(this: ArcBorrow<'_, Self>);
    /// Returns the subscription within the listener.
    fn subscription(&self) -> &Subscription<Self>;
}

/// A signal of the eventfd.
pub(crate) struct Signal<'a, D>(&'a Calls<D>);

impl<D> Signal<'_, D> {
    /// Reads the eventfd: its count becomes 0, or is decremented if the eventfd is a semaphore
    /// (`EFD_SEMAPHORE`).
    pub(crate) fn take(&self) {
        let mut count = 0;
        // SAFETY: The subscription holds the eventfd (`ctx`).  A signal is made only under the lock of the eventfd's
        // queue, which `eventfd_ctx_do_read()` requires, and its lifetime ends before the lock is released.
        unsafe { bindings::eventfd_ctx_do_read(self.0.ctx.as_ptr(), &mut count) }
    }

    /// Returns the data of the subscription.
    pub(crate) fn data(&self) -> Live<'_, D> {
        // INVARIANT: A signal is made only under the lock of the eventfd's queue.  The entry is removed from
        // the queue before the subscription has ended.
        Live(&self.0.data)
    }
}

/// The data of a subscription that has not ended.
///
/// # Invariants
///
/// The subscription does not end during `'a`.
pub(crate) struct Live<'a, D>(&'a D);

impl<D> Deref for Live<'_, D> {
    type Target = D;

    fn deref(&self) -> &D {
        self.0
    }
}

/// The eventfd of a subscription, and the data for its callbacks.
struct Calls<D> {
    ctx: NonNull<bindings::eventfd_ctx>,
    data: D,
}

/// The subscription of a listener to the signals of an eventfd.  The listener contains this value.
///
/// # Invariants
///
/// From [`begin`](Self::begin) on, while `active` is set, the entry `wait` is on the eventfd's queue, and
/// `wait.private` owns a reference on the listener.
#[pin_data(PinnedDrop)]
pub(crate) struct Subscription<T: Listener> {
    calls: Calls<T::Data>,
    /// Set when the subscription begins.  A subscription begins only once, because its end waits for one
    /// [`NewSubscription`].
    has_begun: AtomicFlag,
    active: AtomicFlag,
    /// Completed when the [`NewSubscription`] of the subscription is dropped.  The end waits for it.
    #[pin]
    begun: Completion,
    #[pin]
    wait: Opaque<bindings::wait_queue_entry>,
}

// SAFETY: The eventfd's wait-queue lock protects the entry.
unsafe impl<T: Listener> Send for Subscription<T> {}
// SAFETY: As above.
unsafe impl<T: Listener> Sync for Subscription<T> {}

/// A reference on an eventfd.
pub(crate) struct Eventfd {
    file: ARef<LocalFile>,
    ctx: NonNull<bindings::eventfd_ctx>,
}

impl Eventfd {
    /// Returns the eventfd of a file descriptor of the caller.
    ///
    /// # Errors
    ///
    /// - `EBADF`: the file descriptor is not open.
    /// - `EINVAL`: the file is not an eventfd.
    pub(crate) fn from_fd(fd: c_int) -> Result<Self> {
        let file = LocalFile::fget(u32::try_from(fd).map_err(|_| EBADF)?)?;
        let ctx = Self::ctx_of(&file)?;
        Ok(Self { file, ctx })
    }

    /// Tells whether the count of the eventfd is above 0: signals have not been read.
    pub(crate) fn is_signalled(&self) -> bool {
        self.poll(core::ptr::null_mut())
    }

    fn poll(&self, table: *mut bindings::poll_table) -> bool {
        // SAFETY: `self` holds the file.  The two callers pass NULL, and a table that lives during the call.
        let events = unsafe { bindings::vfio_helper_vfs_poll(self.file.as_ptr(), table) };
        events & bindings::POLLIN != 0
    }

    /// Returns another reference, for a subscription.
    fn ctx(&self) -> Result<NonNull<bindings::eventfd_ctx>> {
        Self::ctx_of(&self.file)
    }

    /// Returns a reference, which the caller puts.
    fn ctx_of(file: &LocalFile) -> Result<NonNull<bindings::eventfd_ctx>> {
        // SAFETY: `file` is valid.
        let ctx = unsafe { bindings::eventfd_ctx_fileget(file.as_ptr()) };
        NonNull::new(kernel::error::from_err_ptr(ctx)?).ok_or(EINVAL)
    }
}

impl Drop for Eventfd {
    fn drop(&mut self) {
        // SAFETY: `self` owns the reference.
        unsafe { bindings::eventfd_ctx_put(self.ctx.as_ptr()) }
    }
}

/// The poll table that `vfs_poll()` passes to `add_wait()`.
#[repr(C)]
struct Table {
    table: bindings::poll_table,
    wait: *mut bindings::wait_queue_entry,
    queue: *mut bindings::wait_queue_head,
}

/// A subscription that has just begun, and that can still be cancelled without an effect on the eventfd.
/// [`Subscription::end`] waits until this value is dropped.
pub(crate) struct NewSubscription<T: Listener> {
    listener: Arc<T>,
    queue: *mut bindings::wait_queue_head,
}

impl<T: Listener> NewSubscription<T> {
    /// Returns the data of the subscription.
    pub(crate) fn data(&self) -> Live<'_, T::Data> {
        // INVARIANT: The subscription does not end while `self` exists.
        Live(&self.listener.subscription().calls.data)
    }

    /// Ends the callbacks.  Unlike [`Subscription::end`], this does not read the eventfd.  The caller passes the
    /// eventfd of the subscription as proof that its file is open, so that it cannot hang up at the same time.
    pub(crate) fn cancel(self, _eventfd: &Eventfd) {
        let this = self.listener.subscription();
        if !this.active.xchg(false, Full) {
            return;
        }
        if !self.queue.is_null() {
            // SAFETY: By `Subscription`'s invariants; the queue belongs to the eventfd, which the
            // subscription holds.
            unsafe { bindings::remove_wait_queue(self.queue, this.wait.get()) };
        }
        drop(this.take_listener());
    }
}

impl<T: Listener> Drop for NewSubscription<T> {
    fn drop(&mut self) {
        self.listener.subscription().begun.complete_all();
    }
}

impl<T: Listener> Subscription<T> {
    /// Returns a subscription that is not active yet.
    pub(crate) fn new<'a>(eventfd: &'a Eventfd, data: T::Data) -> impl PinInit<Self, Error> + 'a
    where
        T::Data: 'a,
    {
        try_pin_init!(Self {
            calls: Calls {
                ctx: eventfd.ctx()?,
                data,
            },
            has_begun: AtomicFlag::new(false),
            active: AtomicFlag::new(false),
            begun <- Completion::new(),
            wait <- Opaque::ffi_init(|wait| {
                // SAFETY: `wait` is valid for writes.  A list head that points to itself can be removed even
                // if it was never added.
                unsafe {
                    bindings::vfio_helper_init_waitqueue_func_entry(wait, Some(Self::woken));
                    let entry = &raw mut (*wait).entry;
                    (*entry).next = entry;
                    (*entry).prev = entry;
                }
            }),
        } ? Error)
    }

    /// Begins the callbacks.  They can run before this returns.  Returns None if the subscription has begun
    /// before, or if `eventfd` is not the eventfd of [`new`](Self::new).
    pub(crate) fn begin(listener: &Arc<T>, eventfd: &Eventfd) -> Option<NewSubscription<T>> {
        let this = listener.subscription();
        if eventfd.ctx != this.calls.ctx || this.has_begun.xchg(true, Full) {
            return None;
        }
        this.active.store(true, Release);
        // INVARIANT: The reference is stored here, and the entry is added to the queue below.
        // SAFETY: The entry is initialised and on no queue.
        unsafe { (*this.wait.get()).private = listener.clone().into_foreign() };
        let mut table = Table {
            table: bindings::poll_table::default(),
            wait: this.wait.get(),
            queue: core::ptr::null_mut(),
        };
        // `add_wait()` uses the whole table, so the pointer is that of the whole table.
        let whole = &raw mut table;
        // SAFETY: `table` is valid during the call, and begins with the poll table.
        unsafe { bindings::vfio_helper_init_poll_funcptr(whole.cast(), Some(add_wait)) };
        eventfd.poll(whole.cast());
        Some(NewSubscription {
            listener: listener.clone(),
            queue: table.queue,
        })
    }

    /// Ends the callbacks, and reads the eventfd in the same way as [`Signal::take`].  When this returns, no
    /// callback runs and none will run.  May sleep.
    ///
    /// Has no effect, and does not wait, if the subscription has not begun, or if it has ended, was cancelled
    /// or is being ended by another task.
    pub(crate) fn end(&self) {
        if !self.active.xchg(false, Full) {
            return;
        }
        self.begun.wait_for_completion();
        let mut count = 0;
        // SAFETY: `active` was set, and only the task that cleared it, this task, removes the entry, so the
        // entry is on the queue.  `eventfd_ctx_remove_wait_queue()` takes the lock of the queue, under which
        // callbacks run.
        unsafe {
            bindings::eventfd_ctx_remove_wait_queue(
                self.calls.ctx.as_ptr(),
                self.wait.get(),
                &mut count,
            );
        }
        drop(self.take_listener());
    }

    /// Returns the data, even if the subscription has ended.
    pub(crate) fn data(&self) -> &T::Data {
        &self.calls.data
    }

    /// Takes the reference that the callbacks used.  The caller has cleared `active` and removed the entry
    /// from the queue.
    fn take_listener(&self) -> Option<Arc<T>> {
        // SAFETY: The entry is on no queue, and this task owns it: `active` is cleared only once.  `private`
        // is the pointer that `begin()` stored.
        unsafe {
            let private = &raw mut (*self.wait.get()).private;
            let listener = core::ptr::replace(private, core::ptr::null_mut());
            (!listener.is_null()).then(|| Arc::<T>::from_foreign(listener))
        }
    }

    /// # Safety
    ///
    /// The eventfd's wait queue calls this, with its lock held.
    unsafe extern "C" fn woken(
        wait: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        // SAFETY: The entry is on the queue, and the lock of the queue is held.  `private` is the reference
        // that `begin()` stored: `take_listener()` takes it only after the entry has left the queue.
        let listener = unsafe { Arc::<T>::borrow((*wait).private) };
        // CAST: The key of a wake-up is a mask of poll events.
        let events = key.addr() as c_uint;
        if events & bindings::POLLIN != 0 {
            T::signalled(listener, Signal(&listener.subscription().calls));
        }
        if events & bindings::POLLHUP != 0 {
            T::hung_up(listener);
        }
        0
    }
}

#[pinned_drop]
impl<T: Listener> PinnedDrop for Subscription<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: `self` owns the reference.  The subscription is not active any more: an active subscription
        // owns a reference on the value that contains it.
        unsafe { bindings::eventfd_ctx_put(self.calls.ctx.as_ptr()) }
    }
}

/// # Safety
///
/// `vfs_poll()` calls this with the table of [`Subscription::begin`].
unsafe extern "C" fn add_wait(
    _file: *mut bindings::file,
    queue: *mut bindings::wait_queue_head,
    table: *mut bindings::poll_table,
) {
    let table: *mut Table = table.cast();
    // SAFETY: `table` is the first field of a `Table`.
    unsafe {
        (*table).queue = queue;
        bindings::add_wait_queue(queue, (*table).wait);
    }
}
