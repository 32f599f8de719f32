//! Locks and what is like them, over blocks of shared memory: the steps that JavaScript cannot make by
//! itself. Blocks are given by their number; their words are laid out as `crates/sync` says.
//!
//! | Block | words |
//! |---|---|
//! | lock | word, abandoned, count (of a recursive one), inside (of a biased one) |
//! | semaphore | value, waiting, sequence |
//! | condition | sequence, next, limit, grants, waiting |
//! | event | word, waiting |
//! | barrier | see `mp_sync::Barrier` |
//!
//! A function whose name ends in `later` returns a number of [`crate::waiter`] when there is something to
//! wait for.

use std::cell::OnceCell;
use std::ops::Deref;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use mp_os::barrier;
use mp_os::futex::{self, Woken};
use mp_os::process::attention::Attention;
use mp_sync::blocking::{self, Ended, Patience};
use mp_sync::{
    Acquired, Arrival, BARRIER_WORDS, Barrier, Condition, Event, Kernel, LONG_WAIT, LONGEST_SLEEP,
    Lock, Look, Passage, Semaphore, Sleep, Ticket, Waiter, Wake, Word,
};
use napi_derive::napi;

use crate::{heap, status, waiter};

const LOCK: usize = 4;
const SEMAPHORE: usize = 3;
const CONDITION: usize = 5;
const EVENT: usize = 2;

/// Takes a lock; waits for it at most so many milliseconds, less than zero for ever, and has done so for
/// `waited` already. Returns `DONE`, `TAKEN_OVER` when its owner had died, or a status: `INTERRUPTED` by
/// SIGINT where that is asked for.
#[napi]
pub fn lock_acquire(handle: i64, tag: u32, timeout: f64, waited: f64, interruptible: bool) -> f64 {
    on(handle, |words: &[AtomicU32; LOCK]| {
        let kernel = Futex::new(handle, interruptible);
        let patience = patience(timeout, waited);
        ended(blocking::acquire(&lock(words), tag, patience, &kernel).map(acquired))
    })
}

/// The same without blocking: a number to wait under, at most so many milliseconds.
#[napi]
pub fn lock_acquire_later(handle: i64, tag: u32, waited: f64, at_most: f64) -> f64 {
    on(handle, |words: &[AtomicU32; LOCK]| {
        let step = lock(words).step(&waiter_of(tag, waited), &Futex::new(handle, false));
        step.map_or_else(|sleep| later(handle, 0, sleep, at_most), acquired)
    })
}

/// Who has waited for a lock goes without it.
#[napi]
pub fn lock_leave(handle: i64) {
    on(handle, |words: &[AtomicU32; LOCK]| {
        lock(words).leave(&Futex::new(handle, false));
        status::DONE
    });
}

/// Frees a lock, whoever holds it: 0, or `NOT_HELD`.
#[napi]
pub fn lock_release(handle: i64) -> f64 {
    on(handle, |words: &[AtomicU32; LOCK]| {
        let released = lock(words).release(&Futex::new(handle, false));
        released.map_or(status::NOT_HELD, |()| 0.0)
    })
}

/// Whether a thread of this process may have a lock biased, so that it takes and frees it by itself. The
/// first time it may not yet.
#[napi]
pub fn lock_may_be_biased() -> bool {
    barrier::takes_part()
}

/// Makes a lock one like any other that is biased.
#[napi]
pub fn lock_unbias(handle: i64) {
    on(handle, |words: &[AtomicU32; LOCK]| {
        lock(words).unbias(&Futex::new(handle, false));
        status::DONE
    });
}

/// Takes one from a semaphore, as `lockAcquire` takes a lock.
#[napi]
pub fn semaphore_acquire(handle: i64, timeout: f64, waited: f64, interruptible: bool) -> f64 {
    on(handle, |words: &[AtomicU32; SEMAPHORE]| {
        let kernel = Futex::new(handle, interruptible);
        let patience = patience(timeout, waited);
        ended(blocking::take(&semaphore(words), patience, &kernel).map(|()| status::DONE))
    })
}

/// The same without blocking, as `lockAcquireLater`.
#[napi]
pub fn semaphore_acquire_later(handle: i64, waited: f64, at_most: f64) -> f64 {
    on(handle, |words: &[AtomicU32; SEMAPHORE]| {
        let step = semaphore(words).step(&waiter_of(0, waited), &Futex::new(handle, false));
        step.map_or_else(|sleep| later(handle, 2, sleep, at_most), |()| status::DONE)
    })
}

/// Who has waited for a semaphore goes without.
#[napi]
pub fn semaphore_leave(handle: i64) {
    on(handle, |words: &[AtomicU32; SEMAPHORE]| {
        semaphore(words).leave(&Futex::new(handle, false));
        status::DONE
    });
}

/// Adds one to a semaphore: 0, or `NOT_HELD` when it would be more than `most`.
#[napi]
pub fn semaphore_release(handle: i64, most: u32) -> f64 {
    on(handle, |words: &[AtomicU32; SEMAPHORE]| {
        let released = semaphore(words).release(most, &Futex::new(handle, false));
        released.map_or(status::NOT_HELD, |_| 0.0)
    })
}

/// Wakes one who waits for a semaphore, to which one has been added.
#[napi]
pub fn semaphore_wake(handle: i64) {
    on(handle, |words: &[AtomicU32; SEMAPHORE]| {
        semaphore(words).wake(&Futex::new(handle, false));
        status::DONE
    });
}

/// Begins to wait for a condition, whose lock is held: `[number, what its first word is]`.
#[napi]
pub fn condition_enter(handle: i64) -> Vec<u32> {
    let mut entered = Vec::new();
    on(handle, |words: &[AtomicU32; CONDITION]| {
        let Ticket { number, seen } = Condition::new(words).enter();
        entered = vec![number, seen];
        status::DONE
    });
    entered
}

/// Looks, with the lock held, whether who has that number was notified: `DONE`, `NOT_YET` when it was not
/// and waits no longer, else what the first word of the condition is, to sleep on.
#[napi]
pub fn condition_look(handle: i64, number: u32, last: bool) -> f64 {
    on(handle, |words: &[AtomicU32; CONDITION]| {
        let ticket = Ticket { number, seen: 0 };
        match Condition::new(words).look(ticket, last) {
            Look::Granted => status::DONE,
            Look::Over => status::NOT_YET,
            Look::Sleep(ticket) => ticket.seen.into(),
        }
    })
}

/// Lets so many go on who wait for a condition, whose lock is held.
#[napi]
pub fn condition_notify(handle: i64, count: u32) {
    on(handle, |words: &[AtomicU32; CONDITION]| {
        Condition::new(words).notify(count, &Futex::new(handle, false));
        status::DONE
    });
}

/// Whether an event is set, or was since its first word was `begun`: `DONE`, or that word, to sleep on.
#[napi]
pub fn event_look(handle: i64, begun: u32) -> f64 {
    on(handle, |words: &[AtomicU32; EVENT]| {
        let step = Event::new(&words[0], &words[1]).step(begun);
        step.map_or_else(|sleep| sleep.expected.into(), |()| status::DONE)
    })
}

/// Sets an event.
#[napi]
pub fn event_set(handle: i64) {
    on(handle, |words: &[AtomicU32; EVENT]| {
        Event::new(&words[0], &words[1]).set(&Futex::new(handle, false));
        status::DONE
    });
}

/// Clears an event.
#[napi]
pub fn event_clear(handle: i64) {
    on(handle, |words: &[AtomicU32; EVENT]| {
        Event::new(&words[0], &words[1]).clear();
        status::DONE
    });
}

/// Says how many parties a new barrier takes.
#[napi]
pub fn barrier_create(handle: i64, parties: u32) {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        Barrier::new(words).set_parties(parties);
        status::DONE
    });
}

/// Takes this thread up among the members of a barrier.
#[napi]
pub fn barrier_join(handle: i64, tag: u32) {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        Barrier::new(words).join(tag);
        status::DONE
    });
}

/// This thread will not be missed when it ends.
#[napi]
pub fn barrier_part(handle: i64, tag: u32) {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        Barrier::new(words).part(tag);
        status::DONE
    });
}

/// Arrives at a barrier: `[what, round, index]`, where what is `DONE` for the last one, `NOT_YET` for one
/// who has to wait for the round's end, `BUSY` for one who has to come again after it, `NOT_HELD` when it
/// is broken.
#[napi]
pub fn barrier_arrive(handle: i64, tag: u32) -> Vec<f64> {
    let mut arrived = Vec::new();
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        let arrival = Barrier::new(words).arrive(tag, &Futex::new(handle, false));
        arrived = match arrival {
            Arrival::Last { round, index } => vec![status::DONE, round.into(), index.into()],
            Arrival::Early { round, index } => vec![status::NOT_YET, round.into(), index.into()],
            Arrival::Busy { round } => vec![status::BUSY, round.into(), 0.0],
            Arrival::Broken => vec![status::NOT_HELD, 0.0, 0.0],
        };
        status::DONE
    });
    arrived
}

/// Lets all pass who have arrived: `DONE`, or `NOT_HELD` when the round was broken.
#[napi]
pub fn barrier_pass(handle: i64, round: u32, tag: u32) -> f64 {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        let passed = Barrier::new(words).pass(round, tag, &Futex::new(handle, false));
        if passed {
            status::DONE
        } else {
            status::NOT_HELD
        }
    })
}

/// Whether a round has ended: `DONE`, `NOT_HELD` when it was broken, `NOT_YET`. `mourn` says to look first
/// whether a member has died.
#[napi]
pub fn barrier_look(handle: i64, round: u32, tag: u32, mourn: bool) -> f64 {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        let barrier = Barrier::new(words);
        if mourn && barrier.look(round) == Passage::Closed {
            barrier.mourn(tag, &Futex::new(handle, false));
        }
        passage(barrier.look(round))
    })
}

/// One who waits has no more time, which breaks the barrier: as `barrierLook`.
#[napi]
pub fn barrier_give_up(handle: i64, round: u32, tag: u32) -> f64 {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        passage(Barrier::new(words).give_up(round, tag, &Futex::new(handle, false)))
    })
}

/// One who waits goes, and is not counted any more: as `barrierLook`.
#[napi]
pub fn barrier_leave(handle: i64, round: u32, tag: u32) -> f64 {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        passage(Barrier::new(words).leave(round, tag, &Futex::new(handle, false)))
    })
}

/// Breaks a barrier.
#[napi]
pub fn barrier_abort(handle: i64, tag: u32) {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        Barrier::new(words).abort(tag, &Futex::new(handle, false));
        status::DONE
    });
}

/// Makes a barrier as new.
#[napi]
pub fn barrier_reset(handle: i64, tag: u32) {
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        Barrier::new(words).reset(tag, &Futex::new(handle, false));
        status::DONE
    });
}

/// `[how many wait, whether it is broken]`, of a barrier.
#[napi]
pub fn barrier_state(handle: i64) -> Vec<u32> {
    let mut state = Vec::new();
    on(handle, |words: &[AtomicU32; BARRIER_WORDS]| {
        let barrier = Barrier::new(words);
        state = vec![barrier.waiting(), barrier.is_broken().into()];
        status::DONE
    });
    state
}

/// Sleeps on a word of a block, by its index, while it has that value; at most so many milliseconds, and
/// never for long: `DONE` when it may have changed, `NOT_YET`, `INTERRUPTED`.
#[napi]
pub fn word_wait(handle: i64, index: u32, expected: u32, timeout: f64, interruptible: bool) -> f64 {
    let Some(word) = word(handle, index) else {
        return status::NO_HANDLE;
    };
    let kernel = Futex::new(handle, interruptible);
    let at_most = milliseconds(timeout);
    ended(blocking::sleep(&*word, expected, at_most, &kernel).map(|()| status::DONE))
}

/// The same without blocking: a number to wait under.
#[napi]
pub fn word_wait_later(handle: i64, index: u32, expected: u32, at_most: f64) -> f64 {
    let sleep = Sleep {
        expected,
        at_most: LONGEST_SLEEP,
    };
    later(handle, index, sleep, at_most)
}

/// Whether that tag of a block's segment is one of this process's threads.
#[napi]
pub fn tag_is_of_this_process(handle: i64, tag: u32) -> bool {
    heap::is_of_this_process(handle, tag)
}

/// How many milliseconds anybody sleeps before looking again.
#[napi]
pub fn longest_sleep() -> u32 {
    LONGEST_SLEEP.as_millis() as u32
}

fn lock(words: &[AtomicU32; LOCK]) -> Lock<'_, AtomicU32> {
    Lock::biasable(&words[0], &words[1], &words[3])
}

fn semaphore(words: &[AtomicU32; SEMAPHORE]) -> Semaphore<'_, AtomicU32> {
    Semaphore::new(&words[0], &words[1], &words[2])
}

/// One who has waited so many milliseconds, in steps.
fn waiter_of(tag: u32, waited: f64) -> Waiter {
    Waiter {
        slept: waited > 0.0,
        starving: waited >= LONG_WAIT.as_secs_f64() * 1000.0,
        suspicious: waited > 0.0,
        ..Waiter::new(tag)
    }
}

fn acquired(acquired: Acquired) -> f64 {
    match acquired {
        Acquired::Free => status::DONE,
        Acquired::Abandoned => status::TAKEN_OVER,
    }
}

fn passage(passage: Passage) -> f64 {
    match passage {
        Passage::Passed => status::DONE,
        Passage::Broken => status::NOT_HELD,
        Passage::Closed => status::NOT_YET,
    }
}

fn ended(outcome: Result<f64, Ended>) -> f64 {
    outcome.unwrap_or_else(|ended| match ended {
        Ended::TimedOut => status::NOT_YET,
        Ended::Interrupted => status::INTERRUPTED,
    })
}

fn patience(timeout: f64, waited: f64) -> Patience {
    Patience::new(
        milliseconds(timeout),
        milliseconds(waited).unwrap_or_default(),
    )
}

/// A time from JavaScript; nothing for one without end.
fn milliseconds(time: f64) -> Option<Duration> {
    (time >= 0.0).then(|| Duration::try_from_secs_f64(time / 1000.0).unwrap_or(Duration::MAX))
}

fn later(handle: i64, index: u32, sleep: Sleep, at_most: f64) -> f64 {
    let Some(word) = word(handle, index) else {
        return status::NO_HANDLE;
    };
    let at_most = milliseconds(at_most).map_or(sleep.at_most, |time| time.min(sleep.at_most));
    status::of(waiter::wait_later(word, sleep.expected, at_most))
}

fn word(handle: i64, index: u32) -> Option<mp_shm::Word> {
    heap::word(handle, index.checked_mul(4)?)
}

/// Calls with the first words of a block.
fn on<const N: usize>(handle: i64, action: impl FnOnce(&[AtomicU32; N]) -> f64) -> f64 {
    let (Some(first), Some(_)) = (word(handle, 0), word(handle, N as u32 - 1)) else {
        return status::NO_HANDLE;
    };
    let first: &AtomicU32 = first.deref();
    // SAFETY: the words from the first to the last are inside the block, which stays mapped for as long as
    // `first` is borrowed from what keeps it; atomics may be shared with anybody.
    let words = unsafe { &*std::ptr::from_ref(first).cast::<[AtomicU32; N]>() };
    action(words)
}

/// The kernel, for those who use one block.
struct Futex {
    handle: i64,
    interruptible: bool,
    attention: OnceCell<Option<Attention>>,
}

impl Futex {
    fn new(handle: i64, interruptible: bool) -> Self {
        Self {
            handle,
            interruptible,
            attention: OnceCell::new(),
        }
    }
}

impl Kernel<AtomicU32> for Futex {
    fn sleep(&self, word: &AtomicU32, sleep: Sleep) -> Wake {
        let attention = self.attention.get_or_init(|| {
            if self.interruptible {
                Attention::begin().ok().flatten()
            } else {
                None
            }
        });
        let woken = futex::wait(word, sleep.expected, Some(sleep.at_most));
        if attention.as_ref().is_some_and(Attention::is_wanted) {
            return Wake::Interrupted;
        }
        match woken {
            Ok(Woken::TimedOut) => Wake::TimedOut,
            Ok(_) => Wake::Woken,
            // There is no such call here: it is looked again and again.
            Err(_) => {
                std::thread::sleep(sleep.at_most.min(Duration::from_millis(1)));
                if Word::load(word) == sleep.expected {
                    Wake::TimedOut
                } else {
                    Wake::Woken
                }
            }
        }
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        futex::wake(word, count).map_or(0, |count| count as u32)
    }

    fn is_dead(&self, tag: u32) -> bool {
        heap::is_alive(self.handle, tag).is_ok_and(|alive| !alive)
    }

    fn barrier(&self) {
        barrier::everywhere();
    }
}
