//! What a queue's memory holds.
//!
//! | at | what |
//! |---|---|
//! | 0 | [`Header`] |
//! | [`RING`] | the ring: a power of two of bytes |
//!
//! The ring holds *records*. Each begins at a multiple of eight with a word: its kind in the highest byte,
//! its length in the lower four. What is written of its payload begins right after it.
//!
//! | kind | payload |
//! |---|---|
//! | [`SMALL`] | a message |
//! | [`WITH_DESCRIPTORS`] | a word, the number under which the descriptors travel, with their count in the highest two bytes; then a message |
//! | [`LARGE`] | a word, how many bytes the message has; they follow in pieces |
//! | [`LARGE_WITH_DESCRIPTORS`] | the same, and then the word of the descriptors |
//! | [`PIECE`] | some of the bytes of the large message that is under way |
//! | [`CUT`] | none: whoever put in the large message ended before the rest of it |

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mp_os::robust_mutex::RobustMutex;

/// A whole message.
pub const SMALL: u8 = 1;
/// A whole message, with descriptors.
pub const WITH_DESCRIPTORS: u8 = 2;
/// The beginning of a message that comes in pieces.
pub const LARGE: u8 = 3;
/// The same, with descriptors.
pub const LARGE_WITH_DESCRIPTORS: u8 = 4;
/// A piece.
pub const PIECE: u8 = 5;
/// There will be no more pieces.
pub const CUT: u8 = 6;

/// What a record begins with.
pub const WORD: u64 = 8;

/// Where the ring begins.
pub const RING: usize = 8192;

/// How many processes at a time say how many messages they have in store.
pub const STORES: usize = 32;

const MAGIC: u32 = u32::from_le_bytes(*b"mpq1");

/// How far one side is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How many bytes were put in, or taken out, since the beginning.
    pub position: u64,
    /// How many messages.
    pub count: u64,
    /// How many bytes there are still to come of a message in pieces.
    pub rest: u64,
}

#[derive(Debug)]
#[repr(C)]
struct Slot {
    position: AtomicU64,
    count: AtomicU64,
    rest: AtomicU64,
}

/// How far one side is, for the other to see. The state that counts is the one in the slot whose number is
/// the lowest bit of `sequence`; only whoever holds the side's lock changes anything.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Side {
    /// How often the state has changed: what the other side sleeps on.
    pub sequence: AtomicU32,
    /// Whether somebody may sleep on it. Set by whoever is about to, with this side's lock.
    pub watched: AtomicU32,
    slots: [Slot; 2],
    /// How many sleep on it.
    pub sleepers: AtomicU32,
    /// Whether one of them sleeps without end.
    pub endless: AtomicU32,
}

/// How many messages a process has in store for the queue.
#[repr(C, align(64))]
pub struct Store {
    /// Held by the process's feeder for as long as it lives.
    pub owner: RobustMutex,
    /// How many. Changed with the lock of those who put.
    pub count: AtomicU64,
}

/// What stands in front of the ring.
#[repr(C)]
pub struct Header {
    magic: AtomicU32,
    /// How many messages there may be at a time; 0 for as many as there are.
    pub maxsize: AtomicU32,
    capacity: AtomicU64,
    /// Whoever puts holds it, for a moment.
    pub put_lock: RobustMutex,
    /// What was put in.
    pub put: Side,
    /// Held by whoever puts in a message in pieces, all the while.
    pub stream_lock: RobustMutex,
    /// Whoever takes holds it, for a moment.
    pub take_lock: RobustMutex,
    /// What was taken out.
    pub taken: Side,
    /// From which position on those are to be woken who wait for room.
    pub threshold: AtomicU64,
    /// Held by whoever takes a message in pieces, all the while.
    pub read_lock: RobustMutex,
    /// Changes with each piece.
    pub pieces: AtomicU32,
    /// Whether somebody sleeps on it.
    pub pieces_watched: AtomicU32,
    /// Under which number descriptors travel next. Changed with the lock of those who put.
    pub next_number: AtomicU64,
    /// How many messages are done with.
    pub done: AtomicU64,
    /// Changes when all are done with.
    pub all_done: AtomicU32,
    /// The processes with messages in store.
    pub stores: [Store; STORES],
}

const _: () = assert!(size_of::<Header>() <= RING);

impl Header {
    /// Makes an empty queue in memory of zeros that nobody uses yet.
    ///
    /// # Safety
    /// `at` must point to memory for a header, mapped for as long as anybody uses it.
    ///
    /// # Errors
    /// Where there are no locks that survive the death of whoever holds them.
    pub unsafe fn initialize(at: *mut Self, capacity: u64, maxsize: u32) -> io::Result<()> {
        // SAFETY: the caller's promise; nobody else has the memory yet.
        unsafe {
            for lock in [
                &raw mut (*at).put_lock,
                &raw mut (*at).stream_lock,
                &raw mut (*at).take_lock,
                &raw mut (*at).read_lock,
            ] {
                RobustMutex::initialize(lock)?;
            }
            for store in 0..STORES {
                RobustMutex::initialize(&raw mut (*at).stores[store].owner)?;
            }
            let header = &*at;
            header.maxsize.store(maxsize, Ordering::Relaxed);
            header.capacity.store(capacity, Ordering::Relaxed);
            header.threshold.store(u64::MAX, Ordering::Relaxed);
            header.magic.store(MAGIC, Ordering::Release);
        }
        Ok(())
    }

    /// How many bytes the ring has; nothing when this is no queue.
    pub fn capacity(&self) -> Option<u64> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        (self.magic.load(Ordering::Acquire) == MAGIC
            && capacity.is_power_of_two()
            && capacity >= 1024)
            .then_some(capacity)
    }
}

impl Side {
    /// How far the side is. For whoever holds its lock.
    pub fn own(&self) -> State {
        self.slots[self.sequence.load(Ordering::Relaxed) as usize & 1].load()
    }

    /// How far the side is, for everybody else.
    pub fn seen(&self) -> State {
        loop {
            let sequence = self.sequence.load(Ordering::Acquire);
            let state = self.slots[sequence as usize & 1].load();
            std::sync::atomic::fence(Ordering::Acquire);
            if self.sequence.load(Ordering::Relaxed) == sequence {
                return state;
            }
            std::hint::spin_loop();
        }
    }

    /// Writes a state beside the one that counts. With the side's lock held.
    pub fn prepare(&self, state: State) {
        let next = self.sequence.load(Ordering::Relaxed).wrapping_add(1);
        // Whoever still reads the slot as it was sees that the sequence has changed.
        std::sync::atomic::fence(Ordering::Release);
        self.slots[next as usize & 1].store(state);
    }

    /// Makes what was prepared count.
    pub fn commit(&self) {
        let next = self.sequence.load(Ordering::Relaxed).wrapping_add(1);
        self.sequence.store(next, Ordering::Release);
    }
}

impl Slot {
    fn load(&self) -> State {
        State {
            position: self.position.load(Ordering::Relaxed),
            count: self.count.load(Ordering::Relaxed),
            rest: self.rest.load(Ordering::Relaxed),
        }
    }

    fn store(&self, state: State) {
        self.position.store(state.position, Ordering::Relaxed);
        self.count.store(state.count, Ordering::Relaxed);
        self.rest.store(state.rest, Ordering::Relaxed);
    }
}

/// What a record begins with.
pub const fn word(kind: u8, length: u32) -> u64 {
    (kind as u64) << 56 | length as u64
}

/// The kind and the length that a record's word says.
pub const fn parts(word: u64) -> (u8, u32) {
    ((word >> 56) as u8, word as u32)
}

/// How much of the ring a payload takes.
pub const fn padded(length: u64) -> u64 {
    length.next_multiple_of(WORD)
}
