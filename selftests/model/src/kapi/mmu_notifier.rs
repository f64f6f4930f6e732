// SPDX-License-Identifier: GPL-2.0-only

//! Notifiers for the end of an address space.

pub(crate) use kernel::mm::synchronize;

use kernel::{
    mm::{Mm, MmWithUser, Notifier},
    prelude::*,
    sync::{Arc, ArcBorrow},
};
use std::sync::Arc as StdArc;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Releaser {
    MayWait,
    MustNotWait,
}

pub(crate) trait Listener: Send + Sync + Sized + 'static {
    fn mm_release_begins(this: ArcBorrow<'_, Self>, releaser: Releaser);
    fn mm_release_notified(this: ArcBorrow<'_, Self>);
}

struct Registered<T>(Arc<T>);

impl<T: Listener> Notifier for Registered<T> {
    fn begins(&self, may_wait: bool) {
        let releaser = match may_wait {
            true => Releaser::MayWait,
            false => Releaser::MustNotWait,
        };
        T::mm_release_begins(self.0.as_arc_borrow(), releaser);
    }

    fn notified(&self) {
        T::mm_release_notified(self.0.as_arc_borrow());
    }
}

/// The registered notifiers of a listener.
pub(crate) struct Watch<T: Listener> {
    listener: Arc<T>,
    mm: StdArc<Mm>,
    notifier: StdArc<dyn Notifier>,
}

impl<T: Listener> Watch<T> {
    pub(crate) fn begin(listener: Arc<T>, mm: &MmWithUser) -> Result<Self> {
        mm.assert_used();
        let notifier: StdArc<dyn Notifier> = StdArc::new(Registered(listener.clone()));
        mm.register(notifier.clone());
        Ok(Self {
            listener,
            mm: StdArc::clone(mm),
            notifier,
        })
    }

    pub(crate) fn listener(&self) -> &Arc<T> {
        &self.listener
    }

    pub(crate) fn mm(&self) -> &StdArc<Mm> {
        &self.mm
    }
}

impl<T: Listener> Drop for Watch<T> {
    fn drop(&mut self) {
        self.mm.unregister(&self.notifier);
    }
}
