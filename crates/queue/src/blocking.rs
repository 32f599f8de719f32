//! Taking and waiting, by a thread that can sleep.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::large::{Reading, Step};
use crate::queue::{Queue, Taken};
use crate::ring::{SHORT_SLEEP, Sleep};
use crate::spin::Spin;

/// Who may have lost a wake-up sleeps ever longer, up to this.
pub const LONGEST_NAP: Duration = Duration::from_secs(4);

/// One who takes, and waits for it.
#[derive(Debug, Default)]
pub struct Taker {
    spin: Spin,
    /// A message that this thread has begun to take.
    pub reading: Option<Reading>,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Somebody woke us, or there was no reason to sleep.
    Woken,
    /// The time was over.
    TimedOut,
    /// The user wants the program's attention.
    Interrupted,
}

/// What became of a wait for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Had {
    /// A message is in the scratch: its length.
    Small(usize),
    /// A message is to be filled in: its length.
    Begun(u64),
    /// The time is over.
    TimedOut,
    /// The user wants the program's attention.
    Interrupted,
}

/// What became of a wait for the next bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes of the target are there. With its last byte the message is complete.
    Bytes(usize),
    /// There is no message any more.
    Gone,
    /// The user wants the program's attention.
    Interrupted,
}

impl Taker {
    /// Takes a message, waiting for it until `end` at most. `sleep` sleeps, so long at most.
    ///
    /// # Errors
    /// As [`Queue::take`].
    pub fn take(
        &mut self,
        queue: &Queue,
        scratch: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
        end: Option<Instant>,
        mut sleep: impl FnMut(&Sleep<'_>) -> Slept,
    ) -> io::Result<Had> {
        let mut nap = SHORT_SLEEP;
        let mut began: Option<Instant> = None;
        loop {
            if let Some(reading) = &self.reading {
                if !reading.is_empty() {
                    return Ok(Had::Begun(reading.len()));
                }
                match self.fill(queue, &mut [], 0, end, &mut sleep)? {
                    Filled::Gone => continue,
                    Filled::Bytes(_) => return Ok(Had::TimedOut),
                    Filled::Interrupted => return Ok(Had::Interrupted),
                }
            }
            match queue.take(scratch, descriptors, true)? {
                Taken::Small(length) => {
                    if let Some(began) = began {
                        self.spin.learn(began.elapsed());
                    }
                    return Ok(Had::Small(length));
                }
                Taken::Begun(reading) => {
                    self.reading = Some(reading);
                    continue;
                }
                Taken::Large | Taken::Nothing => {}
            }
            let left = left(end);
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Had::TimedOut);
            }
            let ring = queue.ring();
            if began.is_none() {
                began = Some(Instant::now());
                if self.spin.look(|| ring.has_items()) {
                    continue;
                }
            }
            let Some(mut watched) = ring.watch_items(nap)? else {
                continue;
            };
            let own = watched.at_most;
            watched.at_most = shorter(own, left);
            let slept = sleep(&watched);
            ring.unwatch_items();
            match slept {
                Slept::Woken => {}
                Slept::TimedOut => {
                    if own == Some(nap) {
                        nap = (nap * 2).min(LONGEST_NAP);
                    }
                }
                Slept::Interrupted => {
                    ring.pass_on();
                    return Ok(Had::Interrupted);
                }
            }
        }
    }

    /// Takes the next bytes of the message that was begun, until the target is full, or `end`; `filled` of
    /// it are there already.
    ///
    /// # Errors
    /// As [`Queue::take`].
    pub fn fill(
        &mut self,
        queue: &Queue,
        target: &mut [u8],
        mut filled: usize,
        end: Option<Instant>,
        mut sleep: impl FnMut(&Sleep<'_>) -> Slept,
    ) -> io::Result<Filled> {
        let ring = queue.ring();
        loop {
            let Some(reading) = &mut self.reading else {
                return Ok(Filled::Gone);
            };
            match ring.read_on(reading, target, &mut filled)? {
                Step::Filled => return Ok(Filled::Bytes(filled)),
                Step::Complete => {
                    self.reading = None;
                    return Ok(Filled::Bytes(filled));
                }
                Step::None => {
                    self.reading = None;
                    // Nobody will say that it is done with.
                    ring.task_done();
                    return Ok(Filled::Gone);
                }
                Step::Sleep(mut watched) => {
                    let began = Instant::now();
                    let changed = || watched.word.load(SeqCst) != watched.expected;
                    if !self.spin.look(changed) {
                        let left = left(end);
                        if left.is_some_and(|left| left.is_zero()) {
                            // It may have ended all the same.
                            ring.mourn()?;
                            return Ok(Filled::Bytes(filled));
                        }
                        watched.at_most = shorter(watched.at_most, left);
                        match sleep(&watched) {
                            Slept::Woken => {}
                            Slept::TimedOut => {
                                ring.mourn()?;
                            }
                            Slept::Interrupted => return Ok(Filled::Interrupted),
                        }
                    }
                    self.spin.learn(began.elapsed());
                }
            }
        }
    }
}

/// Waits until there is room for so many bytes, and a place if that is asked for, until `end` at most.
/// Returns at once when there is.
///
/// # Errors
/// When this is no queue.
pub fn wait_for_room(
    queue: &Queue,
    bytes: u64,
    place: bool,
    end: Option<Instant>,
    mut sleep: impl FnMut(&Sleep<'_>) -> Slept,
) -> io::Result<Slept> {
    let left = left(end);
    if left.is_some_and(|left| left.is_zero()) {
        return Ok(Slept::TimedOut);
    }
    match queue.ring().watch_room(bytes, place, false)? {
        Some(mut watched) => {
            watched.at_most = shorter(watched.at_most, left);
            let slept = sleep(&watched);
            if slept == Slept::TimedOut {
                queue.ring().mourn()?;
            }
            Ok(slept)
        }
        None => Ok(Slept::Woken),
    }
}

fn left(end: Option<Instant>) -> Option<Duration> {
    end.map(|end| end.saturating_duration_since(Instant::now()))
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
