// SPDX-License-Identifier: GPL-2.0-only

//! Being called when an eventfd is signalled (`include/linux/eventfd.h`, `wait.h`, `poll.h`).

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

/// Someone who is called.  Both functions run in the context of whoever signals or closes the
/// eventfd, atomic and with interrupts off.
pub(crate) trait Listener: Send + Sync + Sized + 'static {
    /// What the subscription keeps, for as long as the listener.
    type Data: Send + Sync;

    /// The eventfd has been signalled.
    fn signalled(this: ArcBorrow<'_, Self>, signal: Signal<'_, Self::Data>);
    /// The eventfd is being closed: nobody has it open any more.
    fn hung_up(this: ArcBorrow<'_, Self>);
    /// The subscription within the listener.
    fn subscription(&self) -> &Subscription<Self>;
}

/// A signal that has come.
pub(crate) struct Signal<'a, D>(&'a Calls<D>);

impl<D> Signal<'_, D> {
    /// Reads the eventfd to 0.
    pub(crate) fn take(&self) {
        let mut count = 0;
        // SAFETY: The eventfd is held.  A signal is made under the lock of its queue only, and
        // its lifetime ends there.
        unsafe { bindings::eventfd_ctx_do_read(self.0.ctx.as_ptr(), &mut count) }
    }

    /// What the subscription keeps.
    pub(crate) fn data(&self) -> Live<'_, D> {
        // INVARIANT: A signal is made under the lock of the eventfd's queue only, from which the entry
        // is taken before the subscription has ended.
        Live(&self.0.data)
    }
}

/// What a subscription keeps.
///
/// # Invariants
///
/// The subscription does not end for `'a`.
pub(crate) struct Live<'a, D>(&'a D);

impl<D> Deref for Live<'_, D> {
    type Target = D;

    fn deref(&self) -> &D {
        self.0
    }
}

/// Whom an eventfd calls.
struct Calls<D> {
    ctx: NonNull<bindings::eventfd_ctx>,
    data: D,
}

/// An eventfd, and the calls it makes to a listener that contains this.
///
/// # Invariants
///
/// While `active`, the entry is on the eventfd's queue and `wait.private` owns a reference on the
/// listener.
#[pin_data(PinnedDrop)]
pub(crate) struct Subscription<T: Listener> {
    calls: Calls<T::Data>,
    /// A subscription begins once: its end waits for one [`Fresh`].
    has_begun: AtomicFlag,
    active: AtomicFlag,
    /// It has begun, and whoever made it is done with it: until then the end waits.
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
    /// The eventfd that the caller's file descriptor stands for.
    ///
    /// # Errors
    ///
    /// `EBADF` when it is not open, `EINVAL` when it is something else.
    pub(crate) fn from_fd(fd: c_int) -> Result<Self> {
        let file = LocalFile::fget(u32::try_from(fd).map_err(|_| EBADF)?)?;
        let ctx = Self::ctx_of(&file)?;
        Ok(Self { file, ctx })
    }

    /// Whether it has been signalled and not yet read.
    pub(crate) fn is_signalled(&self) -> bool {
        self.poll(core::ptr::null_mut())
    }

    fn poll(&self, table: *mut bindings::poll_table) -> bool {
        // SAFETY: `file` is held; `table` is NULL or valid.
        let events = unsafe { bindings::vfio_helper_vfs_poll(self.file.as_ptr(), table) };
        events & bindings::POLLIN != 0
    }

    /// Another reference, for a subscription.
    fn ctx(&self) -> Result<NonNull<bindings::eventfd_ctx>> {
        Self::ctx_of(&self.file)
    }

    /// A reference, which the caller puts.
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

/// What `vfs_poll()` hands back to us while it runs.
#[repr(C)]
struct Table {
    table: bindings::poll_table,
    wait: *mut bindings::wait_queue_entry,
    queue: *mut bindings::wait_queue_head,
}

/// A subscription that has just begun and can be taken back without a trace.  Its end waits until this
/// is dropped.
pub(crate) struct Fresh<T: Listener> {
    listener: Arc<T>,
    queue: *mut bindings::wait_queue_head,
}

impl<T: Listener> Fresh<T> {
    /// What the subscription keeps.
    pub(crate) fn data(&self) -> Live<'_, T::Data> {
        // INVARIANT: The subscription does not end while `self` is there.
        Live(&self.listener.subscription().calls.data)
    }

    /// Ends the calls and leaves the eventfd as it is, which [`Subscription::end`] reads to 0.
    /// The eventfd must still be held by `_eventfd`, through which the subscription was made.
    pub(crate) fn cancel(self, _eventfd: &Eventfd) {
        let this = self.listener.subscription();
        if !this.active.xchg(false, Full) {
            return;
        }
        if !self.queue.is_null() {
            // SAFETY: By `Subscription`'s invariants; the queue is the eventfd's, which the
            // subscription holds.
            unsafe { bindings::remove_wait_queue(self.queue, this.wait.get()) };
        }
        drop(this.take_listener());
    }
}

impl<T: Listener> Drop for Fresh<T> {
    fn drop(&mut self) {
        self.listener.subscription().begun.complete_all();
    }
}

impl<T: Listener> Subscription<T> {
    /// A subscription that is not active yet.
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
                // SAFETY: `wait` is valid for writes.  A list head that points to itself can be
                // removed though it was never added.
                unsafe {
                    bindings::vfio_helper_init_waitqueue_func_entry(wait, Some(Self::woken));
                    let entry = &raw mut (*wait).entry;
                    (*entry).next = entry;
                    (*entry).prev = entry;
                }
            }),
        } ? Error)
    }

    /// Begins the calls.  They may come before this returns.  None when it has begun before, and for
    /// another eventfd than that of [`new`](Self::new).
    pub(crate) fn begin(listener: &Arc<T>, eventfd: &Eventfd) -> Option<Fresh<T>> {
        let this = listener.subscription();
        if eventfd.ctx != this.calls.ctx || this.has_begun.xchg(true, Full) {
            return None;
        }
        this.active.store(true, Release);
        // INVARIANT: The reference is stored here, and the entry is put on the queue below.
        // SAFETY: The entry is initialised and on no queue.
        unsafe { (*this.wait.get()).private = listener.clone().into_foreign() };
        let mut table = Table {
            table: bindings::poll_table::default(),
            wait: this.wait.get(),
            queue: core::ptr::null_mut(),
        };
        // SAFETY: `table` is valid for the length of the call.
        unsafe { bindings::vfio_helper_init_poll_funcptr(&mut table.table, Some(add_wait)) };
        eventfd.poll(&raw mut table.table);
        Some(Fresh {
            listener: listener.clone(),
            queue: table.queue,
        })
    }

    /// Ends the calls: none is running or will come when this returns.  The eventfd reads 0 then.
    pub(crate) fn end(&self) {
        if !self.active.xchg(false, Full) {
            return;
        }
        self.begun.wait_for_completion();
        let mut count = 0;
        // SAFETY: By the type's invariants; the queue's lock waits for calls that run.
        unsafe {
            bindings::eventfd_ctx_remove_wait_queue(
                self.calls.ctx.as_ptr(),
                self.wait.get(),
                &mut count,
            );
        }
        drop(self.take_listener());
    }

    /// What it keeps, whether it has ended or not.
    pub(crate) fn data(&self) -> &T::Data {
        &self.calls.data
    }

    /// The reference that the calls had.  Only for whoever has cleared `active` and taken the
    /// entry off the queue.
    fn take_listener(&self) -> Option<Arc<T>> {
        // SAFETY: The entry is on no queue, and it is ours: `active` was cleared once.  `private`
        // is what `begin()` stored.
        unsafe {
            let private = &raw mut (*self.wait.get()).private;
            let listener = core::ptr::replace(private, core::ptr::null_mut());
            (!listener.is_null()).then(|| Arc::<T>::from_foreign(listener))
        }
    }

    /// # Safety
    ///
    /// Called by the eventfd's wait queue, with its lock held.
    unsafe extern "C" fn woken(
        wait: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        // SAFETY: The entry is on the queue, hence subscribed: `private` is a reference, which
        // `take_listener()` takes back after the entry has left the queue.
        let listener = unsafe { Arc::<T>::borrow((*wait).private) };
        // CAST: A wake-up's key is a mask of poll events.
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
        // SAFETY: `self` owns the reference.  It is not subscribed any more: the subscription
        // would own a reference on what contains it.
        unsafe { bindings::eventfd_ctx_put(self.calls.ctx.as_ptr()) }
    }
}

/// # Safety
///
/// Called by `vfs_poll()` with the table of [`Subscription::begin`].
unsafe extern "C" fn add_wait(
    _file: *mut bindings::file,
    queue: *mut bindings::wait_queue_head,
    table: *mut bindings::poll_table,
) {
    let table: *mut Table = table.cast();
    // SAFETY: The table is the first field of ours.
    unsafe {
        (*table).queue = queue;
        bindings::add_wait_queue(queue, (*table).wait);
    }
}
