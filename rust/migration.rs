// SPDX-License-Identifier: GPL-2.0-only

//! The migration states of a device, and the state transitions: pure logic.
//!
//! C counterpart: `vfio_mig_get_next_state()`.  Drivers implement single transitions ("arcs").  This module
//! splits a request into arcs, and bypasses the states that a device does not support.

/// `VFIO_MIGRATION_STOP_COPY`: the device supports migration.
pub(crate) const STOP_COPY: u32 = 1 << 0;
/// `VFIO_MIGRATION_P2P`: the device can run without initiating peer-to-peer DMA.
pub(crate) const P2P: u32 = 1 << 1;
/// `VFIO_MIGRATION_PRE_COPY`: the device can be copied while it runs.
pub(crate) const PRE_COPY: u32 = 1 << 2;

/// `enum vfio_device_mig_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum State {
    Error = 0,
    Stop = 1,
    Running = 2,
    StopCopy = 3,
    Resuming = 4,
    RunningP2p = 5,
    PreCopy = 6,
    PreCopyP2p = 7,
}

impl State {
    /// All states, by number.
    pub(crate) const ALL: [Self; 8] = [
        Self::Error,
        Self::Stop,
        Self::Running,
        Self::StopCopy,
        Self::Resuming,
        Self::RunningP2p,
        Self::PreCopy,
        Self::PreCopyP2p,
    ];

    /// Returns the state with a number, if a device with the given capabilities supports it.  The error state
    /// is supported only by a device with all 32 capabilities, and no valid device has them.
    #[inline]
    fn of_device(number: u32, capabilities: u32) -> Option<Self> {
        let state = *Self::ALL.get(number as usize)?;
        state.is_supported(capabilities).then_some(state)
    }

    /// Tells whether a device with the given capabilities supports the state.
    #[inline]
    fn is_supported(self, capabilities: u32) -> bool {
        // The array has an element for each state.
        let needs = NEEDS.get(self as usize).copied().unwrap_or(u32::MAX);
        capabilities & needs == needs
    }

    /// Returns the name in debugfs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Stop => "STOP",
            Self::Running => "RUNNING",
            Self::StopCopy => "STOP_COPY",
            Self::Resuming => "RESUMING",
            Self::RunningP2p => "RUNNING_P2P",
            Self::PreCopy => "PRE_COPY",
            Self::PreCopyP2p => "PRE_COPY_P2P",
        }
    }
}

/// The capabilities that a device needs to support a state, by the number of the state.  The error state needs
/// all bits, as in the C core.
const NEEDS: [u32; 8] = [
    u32::MAX,
    STOP_COPY,
    STOP_COPY,
    STOP_COPY,
    STOP_COPY,
    STOP_COPY | P2P,
    STOP_COPY | PRE_COPY,
    STOP_COPY | P2P | PRE_COPY,
];

/// [`step`] for each pair of states, by their numbers.
const STEPS: [[State; 8]; 8] = {
    let mut steps = [[State::Error; 8]; 8];
    let mut from = 0;
    while from < 8 {
        let mut to = 0;
        while to < 8 {
            steps[from][to] = step(State::ALL[from], State::ALL[to]);
            to += 1;
        }
        from += 1;
    }
    steps
};

/// The reason for which there is no next state.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TransitionError {
    /// The device does not support the current state, which the driver passed.
    Current,
    /// The device does not support the requested state.
    New,
    /// There is no path to the requested state.
    NoWay,
}

/// Returns the state to which the first arc of the path leads, for a device that supports all states.
/// Returns the error state if there is no path.
const fn step(from: State, to: State) -> State {
    use State::*;
    match (from, to) {
        (Error, _) | (_, Error) => Error,
        (from, to) if from as u32 == to as u32 => to,

        (Stop, StopCopy) => StopCopy,
        (Stop, Resuming) => Resuming,
        (Stop, _) => RunningP2p,

        (Running, PreCopy) => PreCopy,
        (Running, _) => RunningP2p,

        (RunningP2p, Running | PreCopy) => Running,
        (RunningP2p, PreCopyP2p) => PreCopyP2p,
        (RunningP2p, _) => Stop,

        (PreCopy, PreCopyP2p | StopCopy) => PreCopyP2p,
        (PreCopy, _) => Running,

        (PreCopyP2p, PreCopy) => PreCopy,
        (PreCopyP2p, StopCopy) => StopCopy,
        (PreCopyP2p, _) => RunningP2p,

        // The data of a stop-copy cannot be copied again as a precopy.
        (StopCopy, PreCopy | PreCopyP2p) => Error,
        (StopCopy, _) => Stop,

        (Resuming, _) => Stop,
    }
}

/// Returns the next state on the path from `current` to `new`, for a device with the given capabilities
/// (`VFIO_MIGRATION_*`).  `current` and `new` are the numbers of states.
pub(crate) fn next_state(
    current: u32,
    new: u32,
    capabilities: u32,
) -> Result<State, TransitionError> {
    let current = State::of_device(current, capabilities).ok_or(TransitionError::Current)?;
    let new = State::of_device(new, capabilities).ok_or(TransitionError::New)?;
    let step = |from: State| match STEPS.get(from as usize) {
        Some(row) => row.get(new as usize).copied().unwrap_or(State::Error),
        None => State::Error,
    };
    let mut next = step(current);
    // Each arc leads nearer to `new`, which the device supports.
    while next != State::Error {
        if next.is_supported(capabilities) {
            return Ok(next);
        }
        next = step(next);
    }
    Err(TransitionError::NoWay)
}

#[cfg(test)]
mod tests {
    use super::{State::*, *};

    const ALL: u32 = STOP_COPY | P2P | PRE_COPY;

    fn path(from: State, to: State, capabilities: u32) -> Result<Vec<State>, TransitionError> {
        let mut path = Vec::new();
        let mut at = from;
        while at != to {
            at = next_state(at as u32, to as u32, capabilities)?;
            path.push(at);
            assert!(path.len() < 8, "{from:?} to {to:?}: {path:?}");
        }
        Ok(path)
    }

    #[test]
    fn every_way_ends_where_it_was_to_lead() {
        for capabilities in [STOP_COPY, STOP_COPY | P2P, STOP_COPY | PRE_COPY, ALL] {
            for from in State::ALL {
                for to in State::ALL {
                    let path = path(from, to, capabilities);
                    let from_exists = State::of_device(from as u32, capabilities).is_some();
                    let to_exists = State::of_device(to as u32, capabilities).is_some();
                    let forbidden = from == StopCopy && matches!(to, PreCopy | PreCopyP2p);
                    let expected = from == to || from_exists && to_exists && !forbidden;
                    assert_eq!(
                        path.is_ok(),
                        expected,
                        "{from:?} to {to:?} with {capabilities}"
                    );
                }
            }
        }
    }

    #[test]
    fn documented_ways() {
        assert_eq!(path(PreCopy, StopCopy, ALL), Ok(vec![PreCopyP2p, StopCopy]));
        assert_eq!(
            path(PreCopy, Resuming, ALL),
            Ok(vec![Running, RunningP2p, Stop, Resuming])
        );
        assert_eq!(
            path(Resuming, PreCopy, ALL),
            Ok(vec![Stop, RunningP2p, Running, PreCopy])
        );
        assert_eq!(path(StopCopy, RunningP2p, ALL), Ok(vec![Stop, RunningP2p]));
        // Paths that bypass states that the device does not support.
        assert_eq!(path(Running, Stop, STOP_COPY), Ok(vec![Stop]));
        assert_eq!(path(Stop, Running, STOP_COPY), Ok(vec![Running]));
        assert_eq!(
            path(PreCopy, StopCopy, STOP_COPY | PRE_COPY),
            Ok(vec![StopCopy])
        );
    }

    #[test]
    fn what_a_device_does_not_have() {
        assert_eq!(next_state(0, 1, ALL), Err(TransitionError::Current));
        // A driver that sets all bits claims the error state, too.
        assert_eq!(next_state(1, 0, u32::MAX), Err(TransitionError::NoWay));
        assert_eq!(next_state(3, 6, u32::MAX), Err(TransitionError::NoWay));
        assert_eq!(next_state(8, 1, ALL), Err(TransitionError::Current));
        assert_eq!(next_state(5, 1, STOP_COPY), Err(TransitionError::Current));
        assert_eq!(next_state(1, 0, ALL), Err(TransitionError::New));
        assert_eq!(next_state(1, 8, ALL), Err(TransitionError::New));
        assert_eq!(next_state(1, 6, STOP_COPY | P2P), Err(TransitionError::New));
        assert_eq!(next_state(3, 6, ALL), Err(TransitionError::NoWay));
        assert_eq!(next_state(1, 2, 0), Err(TransitionError::Current));
    }
}
