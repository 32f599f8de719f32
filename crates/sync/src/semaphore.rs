//! A number that is taken from and added to, and never falls below zero.
//!
//! | word | meaning |
//! |---|---|
//! | value | the number; bit 31 is set when somebody has waited long: then it is for those who have slept |
//! | waiting | 1 when somebody may sleep |
//! | sequence | what is slept on: it changes when somebody is to look again |
//!
//! Who adds clears `waiting` and wakes one; who wakes up sets it again, as others may sleep, and wakes the
//! next one when there is more to take.

use crate::{Kernel, LONG_WAIT, LONGEST_SLEEP, Sleep, Waiter, Word};

/// The largest value.
pub const VALUE_MAX: u32 = (1 << 31) - 1;

const STARVING: u32 = 1 << 31;

/// The value is as large as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// The words of a semaphore.
#[derive(Debug)]
pub struct Semaphore<'a, W> {
    value: &'a W,
    waiting: &'a W,
    sequence: &'a W,
}

impl<'a, W: Word> Semaphore<'a, W> {
    /// A semaphore over three words; when it is new, they are its value and zeros.
    pub const fn new(value: &'a W, waiting: &'a W, sequence: &'a W) -> Self {
        Self {
            value,
            waiting,
            sequence,
        }
    }

    /// What is slept on.
    pub const fn word(&self) -> &'a W {
        self.sequence
    }

    /// Takes one if it can be had without having slept, and nothing else.
    pub fn try_fresh(&self) -> bool {
        let now = self.value.load();
        now != 0 && now & STARVING == 0 && self.value.compare_exchange(now, now - 1).is_ok()
    }

    /// Takes one, or says what to sleep on. The waiter's tag does not matter.
    ///
    /// # Errors
    /// The sleep.
    pub fn step(&self, waiter: &Waiter, kernel: &impl Kernel<W>) -> Result<(), Sleep> {
        let sequence = self.sequence.load();
        if !waiter.last || waiter.slept {
            self.waiting.store(1);
        }
        let mut now = self.value.load();
        loop {
            let count = now & VALUE_MAX;
            let allowed = now & STARVING == 0 || waiter.slept || waiter.last;
            if count > 0 && allowed {
                let starving = if waiter.starving { 0 } else { now & STARVING };
                if let Err(other) = self.value.compare_exchange(now, (count - 1) | starving) {
                    now = other;
                    continue;
                }
                if count > 1 {
                    self.wake(kernel);
                }
                return Ok(());
            }
            let asking = if waiter.starving { STARVING } else { 0 };
            if !waiter.last
                && now | asking != now
                && let Err(other) = self.value.compare_exchange(now, now | asking)
            {
                now = other;
                continue;
            }
            return Err(Sleep {
                expected: sequence,
                at_most: if count > 0 { LONG_WAIT } else { LONGEST_SLEEP },
            });
        }
    }

    /// One who has slept goes without: whoever else sleeps must not pay for it.
    pub fn leave(&self, kernel: &impl Kernel<W>) {
        self.waiting.store(1);
        if self.value.load() & VALUE_MAX > 0 {
            self.wake(kernel);
        }
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`TooMany`] when that would be more than `most`.
    pub fn release(&self, most: u32, kernel: &impl Kernel<W>) -> Result<(), TooMany> {
        let mut now = self.value.load();
        loop {
            if now & VALUE_MAX >= most.min(VALUE_MAX) {
                return Err(TooMany);
            }
            match self.value.compare_exchange(now, now + 1) {
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        self.wake(kernel);
        Ok(())
    }

    /// Wakes one of those who sleep, if any: what whoever has added to the value by itself owes.
    pub fn wake(&self, kernel: &impl Kernel<W>) {
        if self.waiting.load() != 0 && self.waiting.swap(0) != 0 {
            self.sequence.add(1);
            kernel.wake(self.sequence, 1);
        }
    }
}
