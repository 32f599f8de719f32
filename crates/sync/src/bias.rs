//! A lock that one thread takes and frees without atomic operations.
//!
//! Whoever made a lock is often the only one who uses it. Once it has used it for a while, it has the lock
//! *biased*: the word is its tag with [`BIASED`], and whether the lock is held stands in a word beside it,
//! `inside`, that only this thread writes.
//!
//! ```text
//! the owner takes it:    inside = 1; is the word as it was?
//! the owner frees it:    inside = 0; is the word as it was?
//! somebody else comes:   word |= CONTENDED; a barrier everywhere; is inside 1?
//! ```
//!
//! The owner needs no barrier between its write and its read, as the other makes one for it
//! ([`Kernel::barrier`]). If the owner read before that, its write was before it, too, and the other sees it.
//! If it reads after it, it sees that the word is another, and knows that somebody is about to decide. The
//! decision is one change of the word: to the tag alone, for a lock that is held, or to 0. After that the lock
//! is like any other, and stays so.
//!
//! An owner that finds the word changed waits for the decision, or makes it itself, and goes by it: if the
//! word has its tag, it holds the lock, whatever it was about to do. The decision may be made by several, of
//! which one is first; each has made a barrier of its own after the word was marked, so what the first one
//! read is right as of its change: while the word is marked, an owner that was inside stays so until there is
//! a decision, but for its way out, on which it waits for it.
//!
//! Whoever dies in between leaves a word that the next one deals with. An owner that died inside is one that
//! holds the lock, and is dead.

use crate::{CONTENDED, Kernel, Lock, TAG, Word};

/// Set in the word while it is for its owner alone to say, in another word, whether the lock is held.
pub const BIASED: u32 = 1 << 29;

impl<W: Word> Lock<'_, W> {
    /// Makes the lock one like any other, if it is biased. Returns the word.
    pub fn unbias(&self, kernel: &impl Kernel<W>) -> u32 {
        let mut now = self.word.load();
        while now & BIASED != 0 {
            let marked = now | CONTENDED;
            if now != marked
                && let Err(other) = self.word.compare_exchange(now, marked)
            {
                now = other;
                continue;
            }
            kernel.barrier();
            // Its release is to come here, where those who sleep are woken.
            let decision = if self.is_inside() {
                (now & TAG) | CONTENDED
            } else {
                0
            };
            now = match self.word.compare_exchange(marked, decision) {
                Ok(_) => decision,
                Err(other) => other,
            };
        }
        now
    }

    /// Whether the owner that has it biased holds it.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside.is_some_and(|inside| inside.load() != 0)
    }
}
