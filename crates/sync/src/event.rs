//! A flag that can be waited for.
//!
//! | word | meaning |
//! |---|---|
//! | word | bit 0 is the flag; the rest counts how often it was set |
//! | waiting | 1 when somebody may sleep |
//!
//! As the word counts, one who waits also learns of a flag that was set and cleared at once.

use crate::{Kernel, LONGEST_SLEEP, Sleep, Word};

const FLAG: u32 = 1;

/// The words of an event.
#[derive(Debug)]
pub struct Event<'a, W> {
    word: &'a W,
    waiting: &'a W,
}

impl<'a, W: Word> Event<'a, W> {
    /// An event over two words, which are zero when it is new.
    pub const fn new(word: &'a W, waiting: &'a W) -> Self {
        Self { word, waiting }
    }

    /// What is slept on.
    pub const fn word(&self) -> &'a W {
        self.word
    }

    /// The word as it is when somebody begins to wait.
    pub fn begin(&self) -> u32 {
        self.word.load()
    }

    /// Whether the flag is set, or was since the wait began.
    ///
    /// # Errors
    /// What to sleep on.
    pub fn step(&self, begun: u32) -> Result<(), Sleep> {
        self.waiting.store(1);
        let now = self.word.load();
        if now & FLAG != 0 || now >> 1 != begun >> 1 {
            return Ok(());
        }
        Err(Sleep {
            expected: now,
            at_most: LONGEST_SLEEP,
        })
    }

    /// Sets the flag and wakes everybody.
    pub fn set(&self, kernel: &impl Kernel<W>) {
        let mut now = self.word.load();
        while let Err(other) = self
            .word
            .compare_exchange(now, (now & !FLAG).wrapping_add(2) | FLAG)
        {
            now = other;
        }
        if self.waiting.swap(0) != 0 {
            kernel.wake(self.word, u32::MAX);
        }
    }

    /// Clears the flag.
    pub fn clear(&self) {
        let mut now = self.word.load();
        while let Err(other) = self.word.compare_exchange(now, now & !FLAG) {
            now = other;
        }
    }
}
