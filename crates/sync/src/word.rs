//! What the rules are written in: shared words, and a kernel that lets threads sleep on them.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// A word that several threads or processes change. All of its operations are in one order that
/// everybody agrees on, as those of JavaScript's `Atomics` are.
pub trait Word {
    /// What it is now.
    fn load(&self) -> u32;
    /// Makes it another.
    fn store(&self, value: u32);
    /// Makes it another and says what it was.
    fn swap(&self, value: u32) -> u32;
    /// Makes it another if it is still as expected; else says what it is.
    ///
    /// # Errors
    /// What it is instead.
    fn compare_exchange(&self, expected: u32, value: u32) -> Result<u32, u32>;

    /// Adds to it, around the end if need be.
    fn add(&self, more: u32) {
        let mut now = self.load();
        while let Err(other) = self.compare_exchange(now, now.wrapping_add(more)) {
            now = other;
        }
    }
}

impl Word for AtomicU32 {
    fn load(&self) -> u32 {
        AtomicU32::load(self, SeqCst)
    }

    fn store(&self, value: u32) {
        AtomicU32::store(self, value, SeqCst);
    }

    fn swap(&self, value: u32) -> u32 {
        AtomicU32::swap(self, value, SeqCst)
    }

    fn compare_exchange(&self, expected: u32, value: u32) -> Result<u32, u32> {
        AtomicU32::compare_exchange(self, expected, value, SeqCst, SeqCst)
    }

    fn add(&self, more: u32) {
        self.fetch_add(more, SeqCst);
    }
}

/// What has to be slept on before a step is made again: the primitive's word, while it has this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// What the word was.
    pub expected: u32,
    /// At most so long.
    pub at_most: Duration,
}

/// Why a sleep was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Somebody woke us, or the word had changed already.
    Woken,
    /// The time was over.
    TimedOut,
    /// The user wants the program's attention.
    Interrupted,
}

/// Who lets threads sleep, and knows which of them are gone.
pub trait Kernel<W: Word> {
    /// Sleeps while the word has this value.
    fn sleep(&self, word: &W, sleep: Sleep) -> Wake;
    /// Wakes so many of those who sleep on the word, those first who have slept longest. Returns how many
    /// there were.
    fn wake(&self, word: &W, count: u32) -> u32;
    /// Whether whoever has this tag has died.
    fn is_dead(&self, tag: u32) -> bool;
    /// Makes a memory barrier in all threads that share words with this one.
    fn barrier(&self);
}
