//! Taking and waiting, by a thread that can sleep.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use mp_os::mapping::Mapping;

use crate::large::{Reading, Step};
use crate::queue::{Queue, Taken};
use crate::ring::{SHORT_SLEEP, Sleep};
use crate::spin::Spin;

/// Who may have lost a wake-up sleeps ever longer, up to this.
pub const LONGEST_NAP: Duration = Duration::from_secs(4);

/// One who takes, and waits for it.
#[derive(Default)]
pub struct Taker {
    spin: Spin,
    /// A message in pieces that this thread has begun.
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

/// What became of the wait.
pub enum Had {
    /// A message is in the scratch: its length.
    Small(usize),
    /// A message in memory of its own.
    Large(Mapping),
    /// The time is over.
    TimedOut,
    /// The time is over, within a message in pieces: it is to be gone on with.
    Midway,
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
            if self.reading.is_some() {
                match self.read_on(queue, end, &mut sleep)? {
                    Some(had) => return Ok(had),
                    None => continue,
                }
            }
            match queue.take(scratch, descriptors, true)? {
                Taken::Small(length) => {
                    if let Some(began) = began {
                        self.spin.learn(began.elapsed());
                    }
                    return Ok(Had::Small(length));
                }
                Taken::Whole(mapping) => return Ok(Had::Large(mapping)),
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

    /// Goes on with a message in pieces; nothing when it turns out to be none.
    fn read_on(
        &mut self,
        queue: &Queue,
        end: Option<Instant>,
        sleep: &mut impl FnMut(&Sleep<'_>) -> Slept,
    ) -> io::Result<Option<Had>> {
        let ring = queue.ring();
        loop {
            let Some(reading) = &mut self.reading else {
                return Ok(None);
            };
            match ring.read_on(reading)? {
                Step::Complete => {
                    let memory = self.reading.take().and_then(|reading| reading.memory);
                    return Ok(memory.map(|memory| Had::Large(memory.into_mapping())));
                }
                Step::None => {
                    self.reading = None;
                    return Ok(None);
                }
                Step::Sleep(watched) => {
                    let began = Instant::now();
                    if !self
                        .spin
                        .look(|| watched.word.load(SeqCst) != watched.expected)
                    {
                        match sleep(&watched) {
                            Slept::Woken => {}
                            Slept::TimedOut => {
                                ring.mourn()?;
                            }
                            Slept::Interrupted => return Ok(Some(Had::Interrupted)),
                        }
                    }
                    self.spin.learn(began.elapsed());
                    if left(end).is_some_and(|left| left.is_zero()) {
                        return Ok(Some(Had::Midway));
                    }
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
