//! The resource tracker of this process's program, and others for those who want one of their own.

use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mp_os::descriptor;
use mp_tracker::client::{Outcome, Tracker};
use mp_tracker::message::Command;
use napi_derive::napi;

use crate::slab::Slab;
use crate::status;

/// What is started.
static PROGRAM: &[u8] = include_bytes!(env!("TRACKER"));

/// All trackers this process knows of.
struct Trackers {
    all: Slab<Tracker>,
    /// The program's.
    own: Option<u32>,
}

static TRACKERS: Mutex<Trackers> = Mutex::new(Trackers {
    all: Slab::new(),
    own: None,
});

fn trackers() -> MutexGuard<'static, Trackers> {
    TRACKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After a fork: the trackers are not this process's children.
pub fn renew() {
    for tracker in trackers().all.iter_mut() {
        tracker.disown();
    }
}

/// The handle of the program's tracker, or a status. Nothing is started.
#[napi]
pub fn own_tracker() -> f64 {
    let mut trackers = trackers();
    if let Some(own) = trackers.own {
        return own.into();
    }
    status::of(Tracker::new().map(|tracker| {
        let own = trackers.all.insert(tracker);
        trackers.own = Some(own);
        own
    }))
}

/// Says which tracker the program has, by its pipe and its ledger, which are taken over: its handle, or a
/// status.
#[napi]
pub fn use_tracker(pipe: i32, ledger: i32) -> f64 {
    let adopt = || -> io::Result<u32> {
        let tracker = Tracker::of(descriptor::adopt(pipe)?, descriptor::adopt(ledger)?);
        let mut trackers = trackers();
        let own = trackers.all.insert(tracker);
        trackers.own = Some(own);
        Ok(own)
    };
    status::of(adopt())
}

/// The handle of a tracker that is not the program's, or a status. Nothing is started.
#[napi]
pub fn new_tracker() -> f64 {
    status::of(Tracker::new().map(|tracker| trackers().all.insert(tracker)))
}

/// A tracker's pipe and ledger; or `[status]`.
#[napi]
pub fn tracker_descriptors(tracker: u32) -> Vec<f64> {
    match trackers().all.get_mut(tracker) {
        Some(tracker) => (tracker.descriptors().iter())
            .map(|fd| fd.as_raw_fd().into())
            .collect(),
        None => vec![status::NO_HANDLE],
    }
}

/// The process id of the tracker that was started last; 0 before there was one.
#[napi]
pub fn tracker_pid(tracker: u32) -> u32 {
    (trackers().all.get_mut(tracker)).map_or(0, |tracker| tracker.number())
}

/// Has a name looked after (`command` 0), forgotten (1), or sees to it that the tracker runs (2). Starts it
/// if it does not. Returns 0 if it ran, 1 if it was started for the first time, 2 if it had died, or a
/// status.
#[napi]
pub fn tell_tracker(tracker: u32, command: u32, name: String, kind: String) -> f64 {
    let mut trackers = trackers();
    let Some(tracker) = trackers.all.get_mut(tracker) else {
        return status::NO_HANDLE;
    };
    let outcome = match command {
        0 => tracker.send(Command::Register, name.as_bytes(), &kind, PROGRAM),
        1 => tracker.send(Command::Unregister, name.as_bytes(), &kind, PROGRAM),
        _ => tracker.ensure_running(PROGRAM),
    };
    status::of(outcome.map(|outcome| match outcome {
        Outcome::Running => 0,
        Outcome::Started => 1,
        Outcome::Restarted => 2,
    }))
}

/// A copy of the pidfd of a tracker that this process has started; less than zero otherwise.
#[napi]
pub fn tracker_process(tracker: u32) -> f64 {
    let mut trackers = trackers();
    let child = (trackers.all.get_mut(tracker)).and_then(|tracker| tracker.child());
    match child.map(|child| descriptor::duplicate(child.as_fd())) {
        Some(copy) => status::of(copy.map(IntoRawFd::into_raw_fd)),
        None => status::NO_HANDLE,
    }
}

/// Lets go of a tracker and waits at most so many milliseconds for its end. Returns its exit code; null
/// when it was not started here, or has not ended.
#[napi]
pub fn stop_tracker(tracker: u32, patience: u32) -> Option<i32> {
    let mut trackers = trackers();
    if trackers.own == Some(tracker) {
        trackers.own = None;
    }
    let stopped = trackers.all.remove(tracker)?;
    // Other threads are not to wait for it.
    drop(trackers);
    stopped
        .stop(Duration::from_millis(patience.into()))
        .ok()
        .flatten()
}
