//! Tasks: messages of which it is known who has taken them.
//!
//! A pool's workers take tasks out of one queue. Beside it there is a *board*, where each worker has places.
//! In the same critical section in which it takes messages out, it writes their numbers into one of them: its
//! *claim*. So when it dies, it is known what it had. Nobody else writes there, but for whoever comes upon a
//! claim that never came to count: its owner has died before it published what it had taken.
//!
//! | at | what |
//! |---|---|
//! | 0 | [`Header`] |
//! | [`CELLS`] | words that the pool uses as it likes |
//! | [`PLACES`] | a [`Place`] each |

use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use mp_os::futex;

use crate::blocking::{LONGEST_NAP, Slept, Taker};
use crate::large::Reading;
use crate::layout::{self, State};
use crate::queue::Queue;
use crate::ring::{Ring, SHORT_SLEEP, Sleep};
use crate::spin::Spin;

/// Where the words begin that the pool uses as it likes, and how many there are.
pub const CELLS: usize = 64;
/// How many there are.
pub const CELL_COUNT: usize = 1008;
/// Where the places begin.
pub const PLACES: usize = CELLS + 4 * CELL_COUNT;

/// Set in [`Place::next`] when the tasks that were not begun were taken back.
pub const RECALLED: u32 = 1 << 31;

const _: () = assert!(PLACES.is_multiple_of(64) && size_of::<Place>() == 64);
const _: () = assert!(size_of::<Header>() <= CELLS);

/// What a board begins with.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Header {
    /// The number of the place, plus one, whose owner claimed last. Changed with the lock of those who take.
    last: AtomicU32,
    /// Whether those who find nothing to take are to leave. Written by the pool.
    closing: AtomicU32,
    /// How many are to leave, whatever there is to take. Changed with the lock of those who take.
    leaving: AtomicU32,
    /// Whether the pool sleeps, and wants to be called when there is a result. Written by the pool, and
    /// cleared by whoever calls it; who dies before it calls has a sentinel that wakes the pool.
    armed: AtomicU32,
}

/// Where one who takes says what it has.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Place {
    /// The number of the first message: how many were taken before it since the beginning.
    pub first: AtomicU64,
    /// How many messages. Written after the rest, and set to 0 before the rest is changed.
    pub count: AtomicU32,
    /// How many of them were begun, and [`RECALLED`].
    pub next: AtomicU32,
    /// How far the worker itself is, which the facade knows the meaning of.
    pub state: AtomicU32,
}

/// What somebody has claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The number of the first message.
    pub first: u64,
    /// How many messages.
    pub count: u32,
    /// How many of them were begun.
    pub begun: u32,
}

/// What became of an attempt to take tasks.
#[derive(Debug)]
pub enum Tasks {
    /// So many are in the scratch, each with its length in front, in four bytes, at a multiple of eight.
    Some(u32),
    /// One has begun that comes in pieces, or is too long for the scratch.
    Begun(Reading),
    /// There is none.
    None,
    /// Whoever asks is to leave.
    Leave,
}

/// How a wait for tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// So many are in the scratch.
    Some(u32),
    /// One is to be filled in.
    Begun,
    /// Whoever asks is to leave.
    Leave,
    /// The time is over.
    TimedOut,
    /// The user wants the program's attention.
    Interrupted,
}

/// A board.
pub struct Board {
    start: NonNull<u8>,
    places: usize,
    /// Keeps it mapped.
    _memory: Box<dyn Any + Send + Sync>,
}

// SAFETY: it is made of atomics.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

impl Board {
    /// The board in some memory; nothing where there is too little.
    ///
    /// # Safety
    /// `start` must point to `length` bytes, at a multiple of 64, mapped for as long as `memory` exists,
    /// which are used as a board only.
    pub unsafe fn new(
        start: NonNull<u8>,
        length: usize,
        memory: Box<dyn Any + Send + Sync>,
    ) -> Option<Self> {
        if length < PLACES || !start.as_ptr().addr().is_multiple_of(64) {
            return None;
        }
        Some(Self {
            start,
            places: (length - PLACES) / size_of::<Place>(),
            _memory: memory,
        })
    }

    fn header(&self) -> &Header {
        // SAFETY: there is memory for a header, mapped for as long as `self`, and it is made of atomics.
        unsafe { self.start.cast().as_ref() }
    }

    /// A place by its number.
    pub fn place(&self, number: u32) -> Option<&Place> {
        let number = number as usize;
        if number >= self.places {
            return None;
        }
        // SAFETY: inside, as above.
        Some(unsafe {
            self.start
                .add(PLACES + number * size_of::<Place>())
                .cast()
                .as_ref()
        })
    }

    /// Takes back what somebody claimed who died before it counted. With the lock of those who take.
    fn repair(&self, state: State) {
        let last = self.header().last.load(SeqCst);
        let Some(place) = last.checked_sub(1).and_then(|number| self.place(number)) else {
            return;
        };
        if place.first.load(SeqCst) >= state.count {
            place.count.store(0, SeqCst);
        }
    }

    fn claim(&self, number: u32, first: u64, count: u32) -> io::Result<()> {
        let place = self.place(number).ok_or(io::ErrorKind::InvalidInput)?;
        self.header().last.store(number + 1, SeqCst);
        place.count.store(0, SeqCst);
        place.first.store(first, SeqCst);
        place.next.store(0, SeqCst);
        place.count.store(count, SeqCst);
        Ok(())
    }

    /// What happens before a claim counts, for tests of what becomes of it. With the lock of those who take.
    #[doc(hidden)]
    pub fn claim_unpublished(&self, number: u32, first: u64, count: u32) {
        let _ = self.claim(number, first, count);
    }

    /// Whether somebody who finds nothing is not to sleep.
    fn is_urgent(&self) -> bool {
        let header = self.header();
        header.closing.load(SeqCst) != 0 || header.leaving.load(SeqCst) != 0
    }

    /// Lets those who find nothing to take leave, or, while `closing` is false, stay; and lets `leaving` of
    /// them leave whatever there is. All who sleep are woken.
    ///
    /// # Errors
    /// When this is no queue.
    pub fn dismiss(&self, ring: &Ring, closing: bool, leaving: u32) -> io::Result<()> {
        {
            let _guard = ring.lock_take()?;
            self.header().closing.store(closing.into(), SeqCst);
            self.header().leaving.store(leaving, SeqCst);
        }
        let guard = ring.lock_put()?;
        let side = &ring.header().put;
        side.prepare(guard.state);
        if futex::add_and_wake(&side.sequence, u32::MAX).is_err() {
            side.commit();
        }
        Ok(())
    }

    /// How many are still to leave.
    pub fn leaving(&self) -> u32 {
        self.header().leaving.load(SeqCst)
    }

    /// What is claimed in a place. `recall` takes back what was not begun; `clear` forgets all of it, when
    /// its owner is gone.
    ///
    /// # Errors
    /// When this is no queue, or there is no such place.
    pub fn look(&self, ring: &Ring, number: u32, recall: bool, clear: bool) -> io::Result<Claim> {
        let place = self.place(number).ok_or(io::ErrorKind::InvalidInput)?;
        let guard = ring.lock_take()?;
        self.repair(guard.state);
        let count = place.count.load(SeqCst);
        if count == 0 {
            return Ok(Claim::default());
        }
        let next = if recall {
            place.next.fetch_or(RECALLED, SeqCst)
        } else {
            place.next.load(SeqCst)
        };
        if clear {
            place.count.store(0, SeqCst);
        }
        Ok(Claim {
            first: place.first.load(SeqCst),
            count,
            begun: (next & !RECALLED).min(count),
        })
    }

    /// Says that the pool sleeps until it is called, unless there is something for it; says whether it does.
    pub fn arm(&self, results: &Ring) -> bool {
        let armed = &self.header().armed;
        armed.store(1, SeqCst);
        if results.has_items() {
            armed.store(0, SeqCst);
            return false;
        }
        true
    }

    /// Whether the pool is to be called, which is done once.
    pub fn disarm(&self) -> bool {
        let armed = &self.header().armed;
        armed.load(SeqCst) != 0 && armed.swap(0, SeqCst) != 0
    }
}

/// How tasks are taken.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The place for the claim.
    pub place: u32,
    /// How many at most.
    pub most: u32,
    /// Among how many workers those that wait are to be shared.
    pub share: u32,
}

impl Queue {
    /// Takes out tasks, and claims them. Descriptors that came with one are added.
    ///
    /// # Errors
    /// `InvalidData` when the queue is damaged; `InvalidInput` when there is no such place.
    pub fn take_tasks(
        &self,
        board: &Board,
        wish: Wish,
        scratch: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<Tasks> {
        let ring = self.ring();
        let header = ring.header();
        let mut guard = ring.lock_take()?;
        board.repair(guard.state);
        let leaving = board.header().leaving.load(SeqCst);
        if leaving > 0 {
            board.header().leaving.store(leaving - 1, SeqCst);
            return Ok(Tasks::Leave);
        }
        if guard.state.rest != 0 {
            // Somebody takes it, or has ended meanwhile.
            return Ok(match header.read_lock.try_lock()? {
                Some(_) => Tasks::Begun(Reading::dropping(guard.state.rest)),
                None => Tasks::None,
            });
        }
        let put = header.put.seen();
        let waiting = put.count.saturating_sub(guard.state.count);
        let most = waiting
            .div_ceil(u64::from(wish.share.max(1)))
            .min(u64::from(wish.most))
            .max(1);
        let first = guard.state.count;
        let (mut count, mut filled) = (0_u32, 0);
        let mut reading = None;
        let mut came = None;
        while u64::from(count) < most {
            let Some(next) = ring.record(guard.state.position, put.position)? else {
                break;
            };
            let whole = matches!(next.kind, layout::SMALL | layout::WITH_DESCRIPTORS);
            let fits = next.length.saturating_add(8) <= (scratch.len() - filled) as u64;
            if count > 0 && (next.kind != layout::SMALL || !fits) {
                break;
            }
            guard.state.count += 1;
            count += 1;
            if whole && fits {
                let length = next.length as usize;
                scratch[filled..filled + 4].copy_from_slice(&(length as u32).to_ne_bytes());
                ring.read(next.start, &mut scratch[filled + 4..filled + 4 + length]);
                filled = (filled + 4 + length).next_multiple_of(8).min(scratch.len());
                guard.state.position = next.end;
                if next.descriptors.is_some() {
                    came = next.descriptors;
                    break;
                }
                continue;
            }
            if !whole && !matches!(next.kind, layout::LARGE | layout::LARGE_WITH_DESCRIPTORS) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            header.read_lock.lock()?;
            // A message that is all there is read like a piece.
            if !whole {
                guard.state.position = next.end;
            }
            guard.state.rest = next.length;
            came = next.descriptors;
            reading = Some(Reading::new(next.length));
            break;
        }
        if count == 0 {
            return Ok(Tasks::None);
        }
        board.claim(wish.place, first, count)?;
        guard.publish();
        if let Some((number, count)) = came {
            self.receive_descriptors(number, count, descriptors);
        }
        Ok(reading.map_or(Tasks::Some(count), Tasks::Begun))
    }
}

/// One who waits for tasks, or for results.
#[derive(Debug, Default)]
pub struct Patience {
    spin: Spin,
}

impl Patience {
    /// Takes tasks, waiting for them until `end` at most. One that comes in pieces is left to the taker.
    ///
    /// # Errors
    /// As [`Queue::take_tasks`].
    #[allow(
        clippy::too_many_arguments,
        reason = "they are what a wait consists of"
    )]
    pub fn take_tasks(
        &mut self,
        queue: &Queue,
        board: &Board,
        wish: Wish,
        taker: &mut Taker,
        scratch: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
        end: Option<Instant>,
        mut sleep: impl FnMut(&Sleep<'_>) -> Slept,
    ) -> io::Result<Given> {
        let ring = queue.ring();
        let mut nap = SHORT_SLEEP;
        let mut began: Option<Instant> = None;
        loop {
            match queue.take_tasks(board, wish, scratch, descriptors)? {
                Tasks::Some(count) => {
                    if let Some(began) = began {
                        self.spin.learn(began.elapsed());
                    }
                    return Ok(Given::Some(count));
                }
                Tasks::Begun(reading) => {
                    let is_empty = reading.is_empty();
                    taker.reading = Some(reading);
                    if !is_empty {
                        return Ok(Given::Begun);
                    }
                    // What is left of a message whose taker is gone.
                    taker.fill(queue, &mut [], 0, end, &mut sleep)?;
                    continue;
                }
                Tasks::Leave => return Ok(Given::Leave),
                Tasks::None => {}
            }
            if board.header().closing.load(SeqCst) != 0 && !ring.has_items() {
                return Ok(Given::Leave);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Given::TimedOut);
            }
            if began.is_none() {
                began = Some(Instant::now());
                if self.spin.look(|| ring.has_items() || board.is_urgent()) {
                    continue;
                }
            }
            let Some(mut watched) = ring.watch_items(nap)? else {
                continue;
            };
            let own = watched.at_most;
            watched.at_most = shorter(own, left);
            // It may have been said just before the sleep was announced.
            let slept = if board.is_urgent() {
                Slept::Woken
            } else {
                sleep(&watched)
            };
            ring.unwatch_items();
            match slept {
                Slept::Woken => {}
                Slept::TimedOut if own == Some(nap) => nap = (nap * 2).min(LONGEST_NAP),
                Slept::TimedOut => {}
                Slept::Interrupted => {
                    ring.pass_on();
                    return Ok(Given::Interrupted);
                }
            }
        }
    }

    /// Looks for results for as long as it has been worth it; says whether there are some.
    pub fn look(&mut self, results: &Ring) -> bool {
        self.spin.look(|| results.has_items())
    }

    /// It took so long until there were some.
    pub fn learn(&mut self, took: Duration) {
        self.spin.learn(took);
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
