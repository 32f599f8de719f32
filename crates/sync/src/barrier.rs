//! A place where a number of parties wait for one another.
//!
//! | words | meaning |
//! |---|---|
//! | 0, 1 | a lock, held while the others change and never while anybody waits |
//! | 2 | how many parties it takes |
//! | 3 | filling (0), acting (1): all are there and one runs the action; broken (2) |
//! | 4 | how many have arrived in this round |
//! | 5 | the number of the round: what is slept on |
//! | 16..48 | a bit for each of the last 1024 rounds: set for one that was broken |
//! | 48.. | the tags of the members, 0 for a free place |
//!
//! A member is whoever takes part: it has waited, or was sent the barrier. One that dies without having
//! left would be waited for in vain, so it breaks the barrier.

use std::time::Duration;

use crate::blocking::{self, Patience};
use crate::{Kernel, Lock, TAG, Word};

const PARTIES: usize = 2;
const STATE: usize = 3;
const COUNT: usize = 4;
const ROUND: usize = 5;
const ENDINGS: usize = 16;
const MEMBERS: usize = 48;

const FILLING: u32 = 0;
const ACTING: u32 = 1;
const BROKEN: u32 = 2;

const WORD_BITS: u32 = u32::BITS;
const ENDING_WORDS: u32 = (MEMBERS - ENDINGS) as u32;

/// How many members are known; those beyond that are not missed when they die.
pub const BARRIER_MEMBERS: usize = 464;
/// How many words a barrier has.
pub const BARRIER_WORDS: usize = MEMBERS + BARRIER_MEMBERS;

/// What one finds who arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The barrier is broken.
    Broken,
    /// All are there, and the last round's action is still running: come again in the next round.
    Busy {
        /// The round to sleep through.
        round: u32,
    },
    /// Others are still missing.
    Early {
        /// Which round it is.
        round: u32,
        /// The how manieth, from 0.
        index: u32,
    },
    /// All are there; this one runs the action, and then lets them pass.
    Last {
        /// Which round it is.
        round: u32,
        /// The how manieth, from 0.
        index: u32,
    },
}

/// How a round looks to one who waits in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It has not ended: sleep on.
    Closed,
    /// All were there.
    Passed,
    /// It was broken.
    Broken,
}

/// The words of a barrier.
#[derive(Debug)]
pub struct Barrier<'a, W> {
    words: &'a [W; BARRIER_WORDS],
}

impl<'a, W: Word> Barrier<'a, W> {
    /// A barrier over words that are zeros when it is new.
    pub const fn new(words: &'a [W; BARRIER_WORDS]) -> Self {
        Self { words }
    }

    /// What is slept on.
    pub const fn word(&self) -> &'a W {
        &self.words[ROUND]
    }

    /// Says how many parties it takes, once.
    pub fn set_parties(&self, parties: u32) {
        self.words[PARTIES].store(parties);
    }

    /// Takes somebody up among the members.
    pub fn join(&self, tag: u32) {
        let mut free = None;
        for place in self.members() {
            match place.load() {
                0 => {
                    free.get_or_insert(place);
                }
                member if member == tag => return,
                _ => {}
            }
        }
        if let Some(place) = free
            && place.compare_exchange(0, tag).is_err()
        {
            self.join(tag);
        }
    }

    /// A member goes, and will not be missed.
    pub fn part(&self, tag: u32) {
        for place in self.members() {
            let _ = place.compare_exchange(tag, 0);
        }
    }

    /// A member arrives. The last one looks whether the others still live: who died after having arrived
    /// breaks the barrier as well, though nobody was there to see it.
    pub fn arrive(&self, tag: u32, kernel: &impl Kernel<W>) -> Arrival {
        self.join(tag);
        self.locked(tag, kernel, || {
            let round = self.round();
            match self.words[STATE].load() {
                FILLING => {
                    let index = self.words[COUNT].load();
                    let count = index.saturating_add(1);
                    self.words[COUNT].store(count);
                    if count < self.words[PARTIES].load() {
                        return Arrival::Early { round, index };
                    }
                    if self.strike_out_the_dead(tag, kernel) {
                        self.words[STATE].store(BROKEN);
                        self.end(true, kernel);
                        return Arrival::Broken;
                    }
                    self.words[STATE].store(ACTING);
                    Arrival::Last { round, index }
                }
                ACTING => Arrival::Busy { round },
                _ => Arrival::Broken,
            }
        })
    }

    /// The last one has run the action: lets all pass. False when the round was broken meanwhile.
    pub fn pass(&self, round: u32, tag: u32, kernel: &impl Kernel<W>) -> bool {
        self.locked(tag, kernel, || {
            if self.round() != round {
                return self.ending(round) == Passage::Passed;
            }
            self.words[STATE].store(FILLING);
            self.end(false, kernel);
            true
        })
    }

    /// How a round has ended, if it has.
    pub fn look(&self, round: u32) -> Passage {
        if self.round() == round {
            Passage::Closed
        } else {
            self.ending(round)
        }
    }

    /// One who waits has no more time: breaks the round, unless all are there.
    pub fn give_up(&self, round: u32, tag: u32, kernel: &impl Kernel<W>) -> Passage {
        self.locked(tag, kernel, || {
            if self.round() != round {
                return self.ending(round);
            }
            if self.words[STATE].load() == ACTING {
                return Passage::Closed;
            }
            self.words[STATE].store(BROKEN);
            self.end(true, kernel);
            Passage::Broken
        })
    }

    /// One who waits goes, and is counted no more, if others are missing.
    pub fn leave(&self, round: u32, tag: u32, kernel: &impl Kernel<W>) -> Passage {
        self.locked(tag, kernel, || {
            if self.round() != round {
                return self.ending(round);
            }
            if self.words[STATE].load() == FILLING {
                let count = self.words[COUNT].load().saturating_sub(1);
                self.words[COUNT].store(count);
            }
            Passage::Closed
        })
    }

    /// Breaks the barrier for all.
    pub fn abort(&self, tag: u32, kernel: &impl Kernel<W>) {
        self.locked(tag, kernel, || {
            if self.words[STATE].swap(BROKEN) != BROKEN {
                self.end(true, kernel);
            }
        });
    }

    /// Makes the barrier as new; whoever waits finds it broken.
    pub fn reset(&self, tag: u32, kernel: &impl Kernel<W>) {
        self.locked(tag, kernel, || {
            let before = self.words[STATE].swap(FILLING);
            if before == ACTING || self.words[COUNT].load() > 0 {
                self.end(true, kernel);
            }
        });
    }

    /// Breaks the barrier if a member has died; says whether one has.
    pub fn mourn(&self, tag: u32, kernel: &impl Kernel<W>) -> bool {
        let died = self.strike_out_the_dead(tag, kernel);
        if died {
            self.abort(tag, kernel);
        }
        died
    }

    /// How many wait in this round.
    pub fn waiting(&self) -> u32 {
        if self.words[STATE].load() == FILLING {
            self.words[COUNT].load()
        } else {
            0
        }
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        self.words[STATE].load() == BROKEN
    }

    fn members(&self) -> &'a [W] {
        &self.words[MEMBERS..]
    }

    /// The dead are members no more; says whether there were any.
    fn strike_out_the_dead(&self, tag: u32, kernel: &impl Kernel<W>) -> bool {
        let mut died = false;
        for place in self.members() {
            let member = place.load();
            if member != 0 && member != tag && kernel.is_dead(member & TAG) {
                died |= place.compare_exchange(member, 0).is_ok();
            }
        }
        died
    }

    fn round(&self) -> u32 {
        self.words[ROUND].load()
    }

    fn bit_of(&self, round: u32) -> (&'a W, u32) {
        let index = (round / WORD_BITS) % ENDING_WORDS;
        (
            &self.words[ENDINGS + index as usize],
            1 << (round % WORD_BITS),
        )
    }

    fn ending(&self, round: u32) -> Passage {
        let (word, bit) = self.bit_of(round);
        if word.load() & bit == 0 {
            Passage::Passed
        } else {
            Passage::Broken
        }
    }

    /// Ends the round, with the lock held. The number changes last: until then nobody knows.
    fn end(&self, broken: bool, kernel: &impl Kernel<W>) {
        let (word, bit) = self.bit_of(self.round());
        let bits = word.load();
        word.store(if broken { bits | bit } else { bits & !bit });
        self.words[COUNT].store(0);
        self.words[ROUND].add(1);
        kernel.wake(self.word(), u32::MAX);
    }

    fn locked<T>(&self, tag: u32, kernel: &impl Kernel<W>, work: impl FnOnce() -> T) -> T {
        let lock = Lock::new(&self.words[0], &self.words[1]);
        let patience = || Patience::new(None, Duration::ZERO);
        // What the user wants has to wait: the lock is never held for long.
        while blocking::acquire(&lock, tag, patience(), kernel).is_err() {}
        let result = work();
        let _ = lock.release(kernel);
        result
    }
}
