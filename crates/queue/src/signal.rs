//! How those who put wake those who take.
//!
//! Whoever is about to sleep says so, with the lock of those who put, after having looked once more; so
//! whoever publishes knows exactly, and makes no system call when nobody sleeps. When somebody does, the
//! word that says what counts is changed and the sleeper woken in one call of the kernel, between whose
//! halves nobody can be killed.
//!
//! One who has been woken may be killed before it takes anything, and then another one who sleeps would not
//! know. So a sleeper sleeps without end only while it is the only one: who comes second wakes it, and both
//! sleep in naps from then on.
//!
//! The words are behind a trait, and so is the kernel, for `tests/models.rs`.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// A word that processes share.
pub trait Word {
    /// What it is.
    fn get(&self) -> u32;
    /// Makes it another.
    fn set(&self, value: u32);
    /// Adds to it, and says what it was.
    fn add(&self, more: u32) -> u32;
}

impl Word for AtomicU32 {
    fn get(&self) -> u32 {
        self.load(SeqCst)
    }

    fn set(&self, value: u32) {
        self.store(value, SeqCst);
    }

    fn add(&self, more: u32) -> u32 {
        self.fetch_add(more, SeqCst)
    }
}

/// Who wakes.
pub trait Kernel<W: Word> {
    /// Adds one to the word and wakes so many, in one step: how many that were.
    fn add_and_wake(&self, word: &W, count: u32) -> u32;
}

/// The words.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a, W> {
    /// Changes with everything that is published: what is slept on.
    pub sequence: &'a W,
    /// Whether somebody may sleep.
    pub watched: &'a W,
    /// How many sleep, or have died asleep.
    pub sleepers: &'a W,
    /// Whether one of them sleeps without end.
    pub endless: &'a W,
}

impl<W: Word> Signal<'_, W> {
    /// Makes what was prepared count, and wakes so many. With the lock of those who put.
    pub fn publish(&self, kernel: &impl Kernel<W>, count: u32) {
        if self.watched.get() == 0 {
            self.sequence.add(1);
        } else if kernel.add_and_wake(self.sequence, count) == 0 {
            // Whoever sleeps from now on says so again.
            self.watched.set(0);
        }
    }

    /// Before sleeping: while the word has which value, and how long at most. With the lock of those who
    /// put, after having seen that there is nothing to take, and having prepared the state as it is. `nap` is how long to sleep when others do, too,
    /// or `at_most`, if that is shorter. Goes with [`Signal::leave`].
    pub fn enter(
        &self,
        kernel: &impl Kernel<W>,
        nap: Duration,
        at_most: Option<Duration>,
    ) -> (u32, Option<Duration>) {
        let alone = self.sleepers.add(1) == 0;
        if !alone && self.endless.get() != 0 {
            self.endless.set(0);
            // It may be about to sleep, so the word has to change as well.
            kernel.add_and_wake(self.sequence, u32::MAX);
        }
        if alone && at_most.is_none() {
            self.endless.set(1);
        }
        self.watched.set(1);
        let at_most = if alone {
            at_most
        } else {
            Some(at_most.map_or(nap, |time| time.min(nap)))
        };
        (self.sequence.get(), at_most)
    }

    /// After having slept.
    pub fn leave(&self) {
        self.sleepers.add(u32::MAX);
    }
}
