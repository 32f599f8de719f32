//! Duplicating this process, and having the fork server do it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use mp_os::descriptor;
use mp_os::process::footprint::Footprint;
use mp_os::process::fork::{self, Fork};
use mp_os::process::fork_server::{self, Practice, Served, StartError};
use mp_os::readiness::{self, Interest};
use mp_os::socket;
use napi::{Env, Result};
use napi_derive::napi;

use crate::descriptor::deadline;
use crate::{event_loop, heap, identity, process, status};

/// The two ends of a fork server's control socket, its clients' and its own; or `[status]`.
#[napi]
pub fn fork_server_control() -> Vec<f64> {
    numbers(socket::packet_pair().map(|(clients, server)| vec![clients, server]))
}

/// Has the fork server of that number make a child that is given its control socket and these descriptors:
/// `[pid, pidfd, channel]`; or
/// `[status]`: `END` when there is no server, `REFUSED` when it cannot fork. Blocks until the server has
/// answered.
#[napi]
pub fn start_forked(server: u32, descriptors: Vec<i32>) -> Vec<f64> {
    let start = || {
        let control = identity::control_of(server).ok_or(StartError::Gone)?;
        let given: Vec<BorrowedFd<'_>> = std::iter::once(Ok(control.as_fd()))
            .chain(descriptors.iter().map(|fd| descriptor::borrow(*fd)))
            .collect::<io::Result<_>>()?;
        fork_server::start(control.as_fd(), &given)
    };
    match start() {
        Ok(started) => vec![
            started.child.pid.into(),
            started.child.pidfd.into_raw_fd().into(),
            started.channel.into_raw_fd().into(),
        ],
        Err(StartError::Gone) => vec![status::END],
        Err(StartError::Refused) => vec![status::REFUSED],
        Err(StartError::System(error)) => vec![status::system(&error)],
    }
}

/// The exit code of a fork server's child, as `collectProcess` has it; null while it runs. Once it has
/// ended, waits at most so many milliseconds for the server's word.
#[napi]
pub fn collect_forked(pidfd: i32, channel: i32, patience: u32) -> Result<Option<i32>> {
    let patience = Duration::from_millis(patience.into());
    let collect = || {
        let (pidfd, channel) = (descriptor::borrow(pidfd)?, descriptor::borrow(channel)?);
        fork_server::collect(pidfd, channel, patience)
    };
    let status = collect().map_err(process::reason)?;
    Ok(status.map(process::exit_code))
}

thread_local! {
    /// What a fork server's child is likely to use.
    static FOOTPRINT: Cell<Footprint> = Cell::default();
}

/// Has a child of a fork server to be go through what all of its children do, so that they can be readied
/// for it. Returns in that child a descriptor for `endPractice`, in the server -1 when it is over, or a
/// status.
#[napi]
pub fn practise_fork(env: Env) -> Result<f64> {
    let heap = heap::before_forks();
    let practise = || {
        fork::prepare_for_many()?;
        // SAFETY: as in `serve_forks`.
        unsafe { fork_server::practise() }
    };
    match practise() {
        Ok(Practice::Child(report)) => {
            renew(&env, heap)?;
            Ok(report.into_raw_fd().into())
        }
        Ok(Practice::Over(footprint)) => {
            FOOTPRINT.set(footprint);
            Ok(status::NOT_YET)
        }
        Err(error) => Ok(status::system(&error)),
    }
}

/// In a child that practises: says what memory it has used, and ends.
#[napi]
pub fn end_practice(report: i32) {
    if let Ok(mut report) = descriptor::adopt(report).map(File::from) {
        // The server does without.
        let _ = report.write_all(&Footprint::of_this_process().to_bytes());
    }
    fork_server::leave(None, 0)
}

/// Makes this process a fork server. Returns `[channel]` in each child it makes, `[-1, job]` in one that
/// has nothing to do yet (see `awaitRequest`), and in the server `[END]` when nobody is left who could ask,
/// or `[status]`.
#[napi]
pub fn serve_forks(env: Env, control: i32) -> Result<Vec<f64>> {
    let heap = heap::before_forks();
    let serve = || {
        let control = descriptor::adopt(control)?;
        // Most is as `practise_fork` has left it.
        fork::prepare()?;
        // SAFETY: node was started with --single-threaded, so V8 has no other threads. libuv's are made
        // anew by `event_loop::renew`; those of this addon do not exist yet in a fork server.
        unsafe { fork_server::serve(control, FOOTPRINT.take()) }
    };
    match serve() {
        Ok(Served::Child(channel)) => {
            renew(&env, heap)?;
            Ok(vec![channel.into_raw_fd().into()])
        }
        Ok(Served::Spare(job)) => {
            renew(&env, heap)?;
            Ok(vec![status::NOT_YET, job.into_raw_fd().into()])
        }
        Ok(Served::Over) => Ok(vec![status::END]),
        Err(error) => Ok(vec![status::system(&error)]),
    }
}

/// In a child that has nothing to do yet: whether it has within so many milliseconds, for which it blocks.
#[napi]
pub fn has_request(job: i32, patience: f64) -> bool {
    descriptor::borrow(job)
        .and_then(|job| readiness::wait_one(job, Interest::Readable, deadline(patience)))
        .unwrap_or(true)
}

/// In a child that has nothing to do yet: blocks until it has, and returns its channel; `END` when nothing
/// will come, or a status.
#[napi]
pub fn await_request(job: i32) -> f64 {
    let wait = || fork_server::await_request(descriptor::adopt(job)?);
    match wait() {
        Ok(Some(channel)) => channel.into_raw_fd().into(),
        Ok(None) => status::END,
        Err(error) => status::system(&error),
    }
}

/// Answers everybody who asks that this process cannot fork, until nobody is left who could.
#[napi]
pub fn refuse_forks(control: i32) -> f64 {
    status::of_unit(descriptor::adopt(control).and_then(fork_server::refuse))
}

/// Sends descriptors over a channel, as `startForked` does: 0 or a status.
#[napi]
pub fn give_descriptors(channel: i32, descriptors: Vec<i32>) -> f64 {
    let give = || {
        let given: Vec<BorrowedFd<'_>> =
            (descriptors.iter().map(|fd| descriptor::borrow(*fd))).collect::<io::Result<_>>()?;
        fork_server::give(descriptor::borrow(channel)?, &given)
    };
    status::of_unit(give())
}

/// In a fork server's child: the descriptors it was given, in order; or `[status]`.
#[napi]
pub fn receive_given_descriptors(channel: i32) -> Vec<f64> {
    numbers(descriptor::borrow(channel).and_then(fork_server::receive_descriptors))
}

/// Duplicates this process: `[pid, pidfd]` in the parent, `[0]` in the child, or `[status]`.
#[napi]
pub fn fork_process(env: Env) -> Result<Vec<f64>> {
    let fork = || {
        fork::prepare()?;
        let heap = heap::before_fork()?;
        // SAFETY: the facade offers this only where node was started with --single-threaded, and only on
        // the first thread. libuv's threads are made anew by `event_loop::renew`; those of this addon
        // belong to the parent alone, and are forgotten by `identity::renew`.
        Ok((unsafe { fork::fork() }?, heap))
    };
    let forked: io::Result<_> = fork();
    match forked {
        Ok((Fork::Parent(child), _)) => {
            Ok(vec![child.pid.into(), child.pidfd.into_raw_fd().into()])
        }
        Ok((Fork::Child, heap)) => {
            renew(&env, heap)?;
            Ok(vec![0.0])
        }
        Err(error) => Ok(vec![status::system(&error)]),
    }
}

/// In a copy of a process: what belonged to the other is not this one's.
fn renew(env: &Env, heap: heap::Copying) -> Result<()> {
    identity::renew();
    heap.become_copy().map_err(process::reason)?;
    event_loop::renew(env)
}

/// Ends this process at once, telling over the channel (less than zero: none) with which exit code.
#[napi]
pub fn leave(code: i32, channel: i32) {
    fork_server::leave(descriptor::borrow(channel).ok(), code)
}

fn numbers(descriptors: io::Result<Vec<OwnedFd>>) -> Vec<f64> {
    match descriptors {
        Ok(descriptors) => (descriptors.into_iter())
            .map(|fd| fd.into_raw_fd().into())
            .collect(),
        Err(error) => vec![status::system(&error)],
    }
}
