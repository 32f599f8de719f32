//! Waiting, without a lock, until somebody who holds the lock says so.
//!
//! | word | meaning |
//! |---|---|
//! | sequence | what is slept on: it changes with each notification |
//! | next | the number that the next waiter is given |
//! | limit | those with numbers below it have been notified, or some of them |
//! | grants | how many of them may still go on |
//! | waiting | how many wait, notified or not |
//!
//! All of them are changed only by whoever holds the lock, so there is nothing to agree on with those who
//! sleep: one that was killed leaves a grant at worst, which wakes another one time too often.

use crate::{Kernel, Word};

/// One who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its number.
    pub number: u32,
    /// What the sequence was when it looked last: what to sleep on.
    pub seen: u32,
}

/// What one sees who looks, holding the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It was notified.
    Granted,
    /// It does not wait any longer.
    Over,
    /// It has to sleep on.
    Sleep(Ticket),
}

/// The words of a condition.
#[derive(Debug)]
pub struct Condition<'a, W> {
    sequence: &'a W,
    next: &'a W,
    limit: &'a W,
    grants: &'a W,
    waiting: &'a W,
}

impl<'a, W: Word> Condition<'a, W> {
    /// A condition over five words, which are zero when it is new.
    pub const fn new(words: &'a [W; 5]) -> Self {
        let [sequence, next, limit, grants, waiting] = words;
        Self {
            sequence,
            next,
            limit,
            grants,
            waiting,
        }
    }

    /// What is slept on.
    pub const fn word(&self) -> &'a W {
        self.sequence
    }

    /// Begins to wait; the lock is held, and released before the sleep.
    pub fn enter(&self) -> Ticket {
        let number = self.next.load();
        self.next.store(number.wrapping_add(1));
        self.waiting.store(self.waiting.load().saturating_add(1));
        Ticket {
            number,
            seen: self.sequence.load(),
        }
    }

    /// Looks whether the wait is over; the lock is held. `last` says that it is over in any case.
    pub fn look(&self, ticket: Ticket, last: bool) -> Look {
        let notified = ticket.number.wrapping_sub(self.limit.load()).cast_signed() < 0;
        let grants = self.grants.load();
        if notified && grants > 0 {
            self.grants.store(grants - 1);
            self.go();
            Look::Granted
        } else if last {
            self.go();
            Look::Over
        } else {
            Look::Sleep(Ticket {
                seen: self.sequence.load(),
                ..ticket
            })
        }
    }

    /// Lets so many of those who wait go on; the lock is held.
    pub fn notify(&self, count: u32, kernel: &impl Kernel<W>) {
        let waiting = self.waiting.load();
        if waiting == 0 || count == 0 {
            return;
        }
        let grants = self.grants.load().saturating_add(count).min(waiting);
        self.limit.store(self.next.load());
        self.grants.store(grants);
        self.sequence.add(1);
        kernel.wake(self.sequence, count);
    }

    fn go(&self) {
        let waiting = self.waiting.load().saturating_sub(1);
        self.waiting.store(waiting);
        if self.grants.load() > waiting {
            self.grants.store(waiting);
        }
    }
}
