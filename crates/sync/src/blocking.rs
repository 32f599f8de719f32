//! The steps, made by a thread that can sleep.

use std::hint;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::{
    Acquired, Kernel, LONG_WAIT, LONGEST_SLEEP, Lock, Semaphore, Sleep, Waiter, Wake, Word,
};

/// Why a wait ended without what was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The time is over.
    TimedOut,
    /// The user wants the program's attention.
    Interrupted,
}

/// How long a call waits, and since when.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    since: Instant,
    end: Option<Instant>,
}

impl Patience {
    /// Waits at most so long, or for ever; has waited already for `waited`.
    #[must_use]
    pub fn new(at_most: Option<Duration>, waited: Duration) -> Self {
        let now = Instant::now();
        Self {
            since: now.checked_sub(waited).unwrap_or(now),
            end: at_most.and_then(|time| now.checked_add(time)),
        }
    }

    fn left(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| {
            end.saturating_duration_since(Instant::now())
        })
    }

    fn is_long(&self) -> bool {
        self.since.elapsed() >= LONG_WAIT
    }
}

/// Times to look before the first sleep: some microseconds.
const LOOKS: u32 = 60;
/// Times to look, with others let run, once one has waited long and asked for a reservation.
const PATIENT_LOOKS: u32 = 20;

/// Takes a lock.
///
/// # Errors
/// Why not.
pub fn acquire<W: Word>(
    lock: &Lock<'_, W>,
    tag: u32,
    patience: Patience,
    kernel: &impl Kernel<W>,
) -> Result<Acquired, Ended> {
    if spin(|| lock.try_fresh(tag)) {
        return Ok(Acquired::Free);
    }
    until_had(
        Waiter::new(tag),
        patience,
        kernel,
        lock.word(),
        |waiter| lock.step(waiter, kernel),
        || lock.leave(kernel),
    )
}

/// Takes one from a semaphore.
///
/// # Errors
/// Why not.
pub fn take<W: Word>(
    semaphore: &Semaphore<'_, W>,
    patience: Patience,
    kernel: &impl Kernel<W>,
) -> Result<(), Ended> {
    if spin(|| semaphore.try_fresh()) {
        return Ok(());
    }
    until_had(
        Waiter::new(0),
        patience,
        kernel,
        semaphore.word(),
        |waiter| semaphore.step(waiter, kernel),
        || semaphore.leave(kernel),
    )
}

/// Sleeps on a word until its value is another, or the time is over: at most [`LONGEST_SLEEP`].
///
/// # Errors
/// Why it is still the same.
pub fn sleep<W: Word>(
    word: &W,
    expected: u32,
    at_most: Option<Duration>,
    kernel: &impl Kernel<W>,
) -> Result<(), Ended> {
    if spin(|| word.load() != expected) {
        return Ok(());
    }
    let at_most = at_most.map_or(LONGEST_SLEEP, |time| time.min(LONGEST_SLEEP));
    match kernel.sleep(word, Sleep { expected, at_most }) {
        Wake::Woken => Ok(()),
        Wake::TimedOut => Err(Ended::TimedOut),
        Wake::Interrupted => Err(Ended::Interrupted),
    }
}

fn until_had<W: Word, T>(
    mut waiter: Waiter,
    patience: Patience,
    kernel: &impl Kernel<W>,
    word: &W,
    mut step: impl FnMut(&Waiter) -> Result<T, Sleep>,
    leave: impl Fn(),
) -> Result<T, Ended> {
    // Whoever comes back after a slice of the wait has slept before.
    if patience.is_long() {
        waiter.slept = true;
        waiter.starving = true;
        waiter.suspicious = true;
    }
    let mut asked = false;
    loop {
        let sleep = match step(&waiter) {
            Ok(had) => return Ok(had),
            Err(sleep) => sleep,
        };
        if waiter.starving && !asked {
            asked = true;
            for _ in 0..PATIENT_LOOKS {
                thread::yield_now();
                if word.load() != sleep.expected
                    && let Ok(had) = step(&waiter)
                {
                    return Ok(had);
                }
            }
            continue;
        }
        let left = patience.left();
        if left.is_zero() {
            let last = Waiter {
                last: true,
                suspicious: true,
                ..waiter
            };
            return step(&last).map_err(|_| {
                leave();
                Ended::TimedOut
            });
        }
        let wake = kernel.sleep(
            word,
            Sleep {
                at_most: sleep.at_most.min(left),
                ..sleep
            },
        );
        waiter.slept = true;
        match wake {
            Wake::Woken => {}
            Wake::TimedOut => waiter.suspicious = true,
            Wake::Interrupted => {
                leave();
                return Err(Ended::Interrupted);
            }
        }
        if patience.is_long() {
            asked &= waiter.starving;
            waiter.starving = true;
        }
    }
}

/// Looks for some microseconds, ever less often.
fn spin(mut look: impl FnMut() -> bool) -> bool {
    if look() {
        return true;
    }
    if one_processor() {
        return false;
    }
    let mut pause = 1;
    for _ in 0..LOOKS {
        for _ in 0..pause {
            hint::spin_loop();
        }
        if look() {
            return true;
        }
        pause = (pause * 2).min(32);
    }
    false
}

/// On one processor nobody can do anything while this one looks.
fn one_processor() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| thread::available_parallelism().is_ok_and(|count| count.get() == 1))
}
