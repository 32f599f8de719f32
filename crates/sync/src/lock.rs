//! A lock that knows its owner.
//!
//! | word | meaning |
//! |---|---|
//! | `0` | free |
//! | [`RESERVED`] | free, but only for those who have slept; with [`CONTENDED`] if others sleep, too |
//! | tag | held, and nobody waits: JavaScript takes and frees such a lock by itself |
//! | tag \| [`CONTENDED`] | held, and somebody may sleep |
//! | tag \| [`CONTENDED`] \| [`RESERVED`] | held, and somebody has waited long: the next release reserves it |
//! | tag \| [`BIASED`], and perhaps [`CONTENDED`] | the owner's alone, see `bias.rs` |
//!
//! Freeing a lock for everybody is fast, as whoever runs can take it at once; but then those who sleep may
//! never get it. So one who has waited long asks for a reservation. Who takes a reserved lock without
//! having asked leaves the request in place, as whoever asked still waits. A request whose owner is gone
//! is forgotten when nobody could be woken for it, or by the next one who has waited long.
//!
//! Next to it is a word that is 1 from the time a lock was taken over from a dead owner until it is
//! released. Such a lock is always contended, so that its release comes here.

use crate::{BIASED, Kernel, LONG_WAIT, LONGEST_SLEEP, Sleep, Word};

/// Set in the word when somebody may sleep.
pub const CONTENDED: u32 = 1 << 31;
/// Set in the word when somebody has waited long.
pub const RESERVED: u32 = 1 << 30;
/// The part of the word that says who holds it.
pub const TAG: u32 = BIASED - 1;

/// One who wants the lock.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// Who it is: 1 to [`TAG`].
    pub tag: u32,
    /// It has slept, so it may have what is reserved.
    pub slept: bool,
    /// It has waited long.
    pub starving: bool,
    /// It looks for the last time, or only once, and takes what it can get.
    pub last: bool,
    /// It has waited so long that the owner may be dead.
    pub suspicious: bool,
}

impl Waiter {
    /// One who comes just now.
    #[must_use]
    pub const fn new(tag: u32) -> Self {
        Self {
            tag,
            slept: false,
            starving: false,
            last: false,
            suspicious: false,
        }
    }
}

/// How a lock was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It was free.
    Free,
    /// Its owner had died with it.
    Abandoned,
}

/// The lock is free already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld;

/// The words of a lock.
#[derive(Debug)]
pub struct Lock<'a, W> {
    pub(crate) word: &'a W,
    abandoned: &'a W,
    pub(crate) inside: Option<&'a W>,
}

impl<'a, W: Word> Lock<'a, W> {
    /// A lock over two words, which are zero when it is new. Nobody has it biased.
    pub const fn new(word: &'a W, abandoned: &'a W) -> Self {
        Self {
            word,
            abandoned,
            inside: None,
        }
    }

    /// A lock that may be biased, over a third word, which is zero, too, when it is new.
    pub const fn biasable(word: &'a W, abandoned: &'a W, inside: &'a W) -> Self {
        Self {
            word,
            abandoned,
            inside: Some(inside),
        }
    }

    /// What is slept on.
    pub const fn word(&self) -> &'a W {
        self.word
    }

    /// The tag of the owner, 0 for none.
    pub fn owner(&self) -> u32 {
        let word = self.word.load();
        if word & BIASED != 0 && !self.is_inside() {
            return 0;
        }
        word & TAG
    }

    /// Takes the lock if it can be had without having slept, and nothing else.
    pub fn try_fresh(&self, tag: u32) -> bool {
        self.word.load() == 0 && self.word.compare_exchange(0, tag & TAG).is_ok()
    }

    /// Takes the lock, or says what to sleep on.
    ///
    /// # Errors
    /// The sleep.
    pub fn step(&self, waiter: &Waiter, kernel: &impl Kernel<W>) -> Result<Acquired, Sleep> {
        let mut now = self.word.load();
        loop {
            if now & BIASED != 0 {
                now = self.unbias(kernel);
            }
            let owner = now & TAG;
            let (next, outcome) = if owner == 0 {
                if now & RESERVED == 0 || waiter.slept || waiter.last {
                    (taken(waiter, now), Ok(Acquired::Free))
                } else {
                    // Whoever it is reserved for may be gone.
                    let next = now | CONTENDED;
                    let sleep = Sleep {
                        expected: next,
                        at_most: LONG_WAIT,
                    };
                    (next, Err(sleep))
                }
            } else if waiter.suspicious && owner != waiter.tag && kernel.is_dead(owner) {
                (taken(waiter, now) | CONTENDED, Ok(Acquired::Abandoned))
            } else {
                let starving = if waiter.starving { RESERVED } else { 0 };
                let next = now | CONTENDED | starving;
                let sleep = Sleep {
                    expected: next,
                    at_most: if waiter.slept {
                        LONGEST_SLEEP
                    } else {
                        LONG_WAIT
                    },
                };
                (next, Err(sleep))
            };
            if waiter.last && outcome.is_err() {
                return outcome;
            }
            if next != now
                && let Err(other) = self.word.compare_exchange(now, next)
            {
                now = other;
                continue;
            }
            if outcome == Ok(Acquired::Abandoned) {
                self.abandoned.store(1);
            }
            return outcome;
        }
    }

    /// One who has slept goes without the lock: whoever else sleeps must not pay for it.
    pub fn leave(&self, kernel: &impl Kernel<W>) {
        let mut now = self.word.load();
        loop {
            if now & TAG == 0 {
                kernel.wake(self.word, 1);
                return;
            }
            // Of a biased one nobody can have waited.
            if now & (CONTENDED | BIASED) != 0 {
                return;
            }
            match self.word.compare_exchange(now, now | CONTENDED) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// Frees the lock, whoever holds it.
    ///
    /// # Errors
    /// [`NotHeld`] when it is free.
    pub fn release(&self, kernel: &impl Kernel<W>) -> Result<(), NotHeld> {
        let mut now = self.word.load();
        loop {
            if now & BIASED != 0 {
                now = self.unbias(kernel);
            }
            if now & TAG == 0 {
                return Err(NotHeld);
            }
            if self.abandoned.load() != 0 {
                self.abandoned.store(0);
            }
            let next = now & RESERVED;
            if let Err(other) = self.word.compare_exchange(now, next) {
                now = other;
                continue;
            }
            if now & CONTENDED != 0 && kernel.wake(self.word, 1) == 0 && next == RESERVED {
                // Whoever asked for it does not sleep, if it is there at all.
                let _ = self.word.compare_exchange(RESERVED, 0);
            }
            return Ok(());
        }
    }
}

/// The word when the waiter takes the lock, which was as `now`. One who has slept does not know whether
/// others sleep still. A request that is not its own stays.
const fn taken(waiter: &Waiter, now: u32) -> u32 {
    let contended = if waiter.slept {
        CONTENDED
    } else {
        now & CONTENDED
    };
    let reserved = if waiter.starving { 0 } else { now & RESERVED };
    let contended = if reserved != 0 { CONTENDED } else { contended };
    (waiter.tag & TAG) | contended | reserved
}
