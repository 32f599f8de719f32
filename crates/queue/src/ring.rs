//! The ring, as those see it who put in and who take out.

use std::any::Any;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use mp_os::futex;

use crate::layout::{self, CUT, Header, RING, State, WORD, padded};
use crate::signal::{Kernel, Signal};

/// Who may have lost a wake-up sleeps no longer than this.
pub const SHORT_SLEEP: Duration = Duration::from_millis(50);

/// A queue's memory.
pub struct Ring {
    header: NonNull<Header>,
    data: NonNull<u8>,
    capacity: u64,
    /// How far those who take are at least, and those who put. Both only grow, so what was seen once does
    /// until it is too little; and looking anew means to wait for the other processor's memory.
    known_taken: AtomicU64,
    known_put: AtomicU64,
    /// Keeps it mapped.
    _memory: Box<dyn Any + Send + Sync>,
}

// SAFETY: the header is made of atomics and of locks that are shared between processes anyway; the ring's
// bytes are written and read by whoever the locks and states say, one at a time.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// What is to be slept on, while it has this value, and for how long at most.
#[derive(Clone, Copy, Debug)]
pub struct Sleep<'a> {
    /// The word.
    pub word: &'a AtomicU32,
    /// What it was.
    pub expected: u32,
    /// Nothing for without end.
    pub at_most: Option<Duration>,
}

/// What is next in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// The kind of the record.
    pub kind: u8,
    /// Where its message begins, counted like [`State::position`].
    pub start: u64,
    /// How many bytes the message has; of a large one, in all.
    pub length: u64,
    /// Under which number how many descriptors travel with it.
    pub descriptors: Option<(u64, usize)>,
    /// Where the record ends.
    pub end: u64,
}

impl Ring {
    /// The ring in some memory; nothing when that is no queue.
    ///
    /// # Safety
    /// `start` must point to `length` bytes, at a multiple of 64, mapped for as long as `memory` exists,
    /// which are used as a queue only.
    pub unsafe fn new(
        start: NonNull<u8>,
        length: usize,
        memory: Box<dyn Any + Send + Sync>,
    ) -> Option<Self> {
        if length < RING || !start.as_ptr().addr().is_multiple_of(64) {
            return None;
        }
        let header = start.cast::<Header>();
        // SAFETY: there is enough memory for a header, and it is made of atomics.
        let capacity = unsafe { header.as_ref() }.capacity()?;
        if capacity > (length - RING) as u64 {
            return None;
        }
        // SAFETY: inside.
        let data = unsafe { start.add(RING) };
        Some(Self {
            header,
            data,
            capacity,
            known_taken: AtomicU64::new(0),
            known_put: AtomicU64::new(0),
            _memory: memory,
        })
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        // SAFETY: mapped for as long as `self`; all in it may be shared.
        unsafe { self.header.as_ref() }
    }

    /// How many bytes it has.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Messages up to this length go into the ring as a whole.
    pub fn longest_whole(&self) -> u64 {
        self.capacity / 4 - 2 * WORD
    }

    /// How many bytes can be put in after a state. There is always room for one [`CUT`].
    pub fn room(&self, put: State) -> u64 {
        let taken = self.header().taken.seen().position;
        self.known_taken.store(taken, Release);
        self.room_from(put, taken)
    }

    fn room_from(&self, put: State, taken: u64) -> u64 {
        (self.capacity - WORD).saturating_sub(put.position.saturating_sub(taken))
    }

    /// Whether so many bytes can be put in after a state.
    fn has_room(&self, put: State, bytes: u64) -> bool {
        self.room_from(put, self.known_taken.load(Acquire)) >= bytes || self.room(put) >= bytes
    }

    /// Up to where there are records, when somebody is there who takes. There may be more, if there is one.
    pub fn end_after(&self, position: u64) -> u64 {
        let known = self.known_put.load(Acquire);
        if known > position {
            return known;
        }
        let put = self.header().put.seen().position;
        self.known_put.store(put, Release);
        put
    }

    /// Locks for putting.
    pub fn lock_put(&self) -> io::Result<PutGuard<'_>> {
        self.header().put_lock.lock()?;
        Ok(PutGuard {
            ring: self,
            state: self.header().put.own(),
        })
    }

    /// Locks for taking.
    pub fn lock_take(&self) -> io::Result<TakeGuard<'_>> {
        self.header().take_lock.lock()?;
        Ok(TakeGuard {
            ring: self,
            state: self.header().taken.own(),
        })
    }

    /// Copies into the ring. Only where nobody else reads or writes.
    pub fn write(&self, position: u64, bytes: &[u8]) {
        let at = (position & (self.capacity - 1)) as usize;
        let first = bytes.len().min(self.capacity as usize - at);
        debug_assert!(bytes.len() as u64 <= self.capacity);
        // SAFETY: both parts are inside the ring; the caller is the only one to use that part of it, and
        // nobody outside has memory of ours.
        unsafe {
            let start = self.data.as_ptr();
            start
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), first);
            start.copy_from_nonoverlapping(bytes.as_ptr().add(first), bytes.len() - first);
        }
    }

    /// Copies out of the ring. Only what was put in and not taken out.
    pub fn read(&self, position: u64, bytes: &mut [u8]) {
        let at = (position & (self.capacity - 1)) as usize;
        let length = bytes.len().min(self.capacity as usize);
        let first = length.min(self.capacity as usize - at);
        // SAFETY: as in `write`; nobody writes there before it is taken out.
        unsafe {
            let start = self.data.as_ptr();
            bytes
                .as_mut_ptr()
                .copy_from_nonoverlapping(start.add(at), first);
            bytes
                .as_mut_ptr()
                .add(first)
                .copy_from_nonoverlapping(start, length - first);
        }
    }

    fn write_word(&self, position: u64, word: u64) {
        self.write(position, &word.to_ne_bytes());
    }

    fn read_word(&self, position: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(position, &mut bytes);
        u64::from_ne_bytes(bytes)
    }

    /// The record at a position, of what was put in until `end`; nothing when there is none yet.
    ///
    /// # Errors
    /// `InvalidData` when there cannot be such a record.
    pub fn record(&self, position: u64, end: u64) -> io::Result<Option<Next>> {
        let there = end.saturating_sub(position);
        if there == 0 {
            return Ok(None);
        }
        let (kind, length) = layout::parts(self.read_word(position));
        let payload = u64::from(length);
        let whole = WORD + padded(payload);
        let mut start = position + WORD;
        let mut descriptors = None;
        let mut message = payload;
        let words = match kind {
            layout::SMALL | layout::PIECE | CUT => 0,
            layout::WITH_DESCRIPTORS | layout::LARGE => 1,
            layout::LARGE_WITH_DESCRIPTORS => 2,
            _ => return Err(malformed()),
        };
        if whole > there || payload < words * WORD {
            return Err(malformed());
        }
        if kind == layout::LARGE || kind == layout::LARGE_WITH_DESCRIPTORS {
            message = self.read_word(start);
            start += WORD;
        } else {
            message -= words * WORD;
        }
        if kind == layout::WITH_DESCRIPTORS || kind == layout::LARGE_WITH_DESCRIPTORS {
            let word = self.read_word(start);
            start += WORD;
            descriptors = Some((word & ((1 << 48) - 1), (word >> 48) as usize));
        }
        Ok(Some(Next {
            kind,
            start,
            length: message,
            descriptors,
            end: position + whole,
        }))
    }

    /// Whether there is something to take that is not being taken.
    pub fn has_items(&self) -> bool {
        let header = self.header();
        let taken = header.taken.seen();
        taken.rest == 0 && header.put.seen().position != taken.position
    }

    /// How many messages are in the ring.
    pub fn count(&self) -> u64 {
        let header = self.header();
        let taken = header.taken.seen().count;
        header.put.seen().count.saturating_sub(taken)
    }

    /// How many messages are in the ring or in some process's store. With the lock of those who put.
    pub fn count_with_stores(&self) -> u64 {
        self.count() + self.stored()
    }

    /// How many messages processes have in store. Those of processes that have ended are forgotten.
    pub fn stored(&self) -> u64 {
        let mut all = 0;
        for store in &self.header().stores {
            let count = store.count.load(SeqCst);
            if count == 0 {
                continue;
            }
            if let Ok(Some(_)) = store.owner.try_lock() {
                store.count.store(0, SeqCst);
                store.owner.unlock();
            } else {
                all += count;
            }
        }
        all
    }

    /// Before sleeping until there is something to take: what to sleep on, or nothing when there is
    /// something. `nap` is how long to sleep when others do, too. Goes with [`Ring::unwatch_items`].
    ///
    /// # Errors
    /// When this is no queue.
    pub fn watch_items(&self, nap: Duration) -> io::Result<Option<Sleep<'_>>> {
        let header = self.header();
        let guard = self.lock_put()?;
        let taken = header.taken.seen();
        let mut at_most = None;
        if taken.rest != 0 {
            // Whoever takes it may be gone, and so may be the one who puts it in.
            at_most = Some(SHORT_SLEEP);
        } else if guard.state.position != taken.position {
            return Ok(None);
        }
        header.put.prepare(guard.state);
        let (expected, at_most) = self.signal().enter(&Futex, nap, at_most);
        Ok(Some(Sleep {
            word: &header.put.sequence,
            expected,
            at_most,
        }))
    }

    fn signal(&self) -> Signal<'_, AtomicU32> {
        let side = &self.header().put;
        Signal {
            sequence: &side.sequence,
            watched: &side.watched,
            sleepers: &side.sleepers,
            endless: &side.endless,
        }
    }

    /// Whoever slept does not any more.
    pub fn unwatch_items(&self) {
        self.signal().leave();
    }

    /// Who was woken, perhaps, and does not want anything: another one may.
    pub fn pass_on(&self) {
        if self.has_items() {
            let _ = futex::wake(&self.header().put.sequence, 1);
        }
    }

    /// Before sleeping until there is room for so many bytes, and, if that is asked for, fewer messages than
    /// there may be: what to sleep on, or nothing when it is so. `streaming` is for whoever puts in a message
    /// in pieces; others have to wait for its end.
    ///
    /// # Errors
    /// When this is no queue.
    pub fn watch_room(
        &self,
        bytes: u64,
        place: bool,
        streaming: bool,
    ) -> io::Result<Option<Sleep<'_>>> {
        let header = self.header();
        let guard = self.lock_take()?;
        let put = header.put.seen();
        let used = put.position.saturating_sub(guard.state.position);
        let has_room = (self.capacity - WORD).saturating_sub(used) >= bytes;
        let maxsize = u64::from(header.maxsize.load(Relaxed));
        let stored = if place && maxsize > 0 {
            self.stored()
        } else {
            0
        };
        let messages = put.count.saturating_sub(guard.state.count) + stored;
        let has_place = !place || maxsize == 0 || messages < maxsize;
        let in_the_way = put.rest != 0 && !streaming;
        if has_room && has_place && !in_the_way {
            return Ok(None);
        }
        let from = if has_place && !has_room {
            (put.position + WORD + bytes).saturating_sub(self.capacity)
        } else {
            0
        };
        let side = &header.taken;
        let threshold = header.threshold.load(Relaxed).min(from);
        header.threshold.store(threshold, Relaxed);
        let at_most = if in_the_way {
            Some(Duration::from_millis(5))
        } else {
            (stored > 0).then_some(SHORT_SLEEP)
        };
        Ok(Some(Sleep {
            word: &side.sequence,
            expected: side.sequence.load(Relaxed),
            at_most,
        }))
    }

    /// Counts a message as done with; says whether there was one.
    pub fn task_done(&self) -> bool {
        let header = self.header();
        let mut done = header.done.load(SeqCst);
        loop {
            let all = header.put.seen().count;
            if done >= all {
                return false;
            }
            match header.done.compare_exchange(done, done + 1, SeqCst, SeqCst) {
                Ok(_) => {
                    if done + 1 == all {
                        let _ = futex::add_and_wake(&header.all_done, u32::MAX);
                    }
                    return true;
                }
                Err(now) => done = now,
            }
        }
    }

    /// How many messages are not done with.
    ///
    /// # Errors
    /// When this is no queue.
    pub fn unfinished(&self) -> io::Result<u64> {
        let guard = self.lock_put()?;
        let done = self.header().done.load(SeqCst);
        Ok(guard.state.count.saturating_sub(done) + self.stored())
    }
}

/// Changes what was put in. Nothing changes before [`PutGuard::publish`].
pub struct PutGuard<'a> {
    ring: &'a Ring,
    /// The state as it will be.
    pub state: State,
}

impl PutGuard<'_> {
    /// Adds a record, if there is room: its head, words that go before the message, and the message.
    pub fn add(&mut self, kind: u8, words: &[u64], message: &[&[u8]]) -> bool {
        let length: usize = message.iter().map(|part| part.len()).sum();
        let payload = (words.len() * 8 + length) as u64;
        if !self.ring.has_room(self.state, WORD + padded(payload)) {
            return false;
        }
        let mut position = self.state.position;
        self.ring
            .write_word(position, layout::word(kind, payload as u32));
        position += WORD;
        for word in words {
            self.ring.write_word(position, *word);
            position += WORD;
        }
        for part in message {
            self.ring.write(position, part);
            position += part.len() as u64;
        }
        self.state.position += WORD + padded(payload);
        true
    }

    /// Puts a mark in the place of the rest of a message whose sender has ended. There is always room.
    pub fn cut(&mut self) {
        self.ring
            .write_word(self.state.position, layout::word(CUT, 0));
        self.state.position += WORD;
        self.state.rest = 0;
        self.publish_piece();
    }

    /// Adds the head of a piece that was written behind it, and publishes it.
    pub fn add_piece(&mut self, length: u32) {
        self.ring
            .write_word(self.state.position, layout::word(layout::PIECE, length));
        self.state.position += WORD + padded(u64::from(length));
        self.state.rest -= u64::from(length);
        self.publish_piece();
    }

    fn publish_piece(&mut self) {
        let header = self.ring.header();
        header.put.prepare(self.state);
        header.put.commit();
        if header.pieces_watched.load(Relaxed) == 0 {
            header.pieces.fetch_add(1, SeqCst);
            return;
        }
        if futex::add_and_wake(&header.pieces, u32::MAX).is_err() {
            header.pieces.fetch_add(1, SeqCst);
        }
        header.pieces_watched.store(0, Relaxed);
    }

    /// Makes what was added count, so many messages, and wakes as many.
    pub fn publish(&mut self, messages: u64) {
        self.state.count += messages;
        let side = &self.ring.header().put;
        side.prepare(self.state);
        let count = messages.min(u64::from(u32::MAX)) as u32;
        self.ring.signal().publish(&Futex, count);
    }

    /// Says again how things are, for those who slept because something was in the way.
    pub fn remind(&mut self) {
        self.ring.header().put.prepare(self.state);
        self.ring.signal().publish(&Futex, 1);
    }
}

/// The kernel.
struct Futex;

impl Kernel<AtomicU32> for Futex {
    fn add_and_wake(&self, word: &AtomicU32, count: u32) -> u32 {
        futex::add_and_wake(word, count).map_or_else(
            |_| {
                word.fetch_add(1, SeqCst);
                0
            },
            |count| count as u32,
        )
    }
}

impl Drop for PutGuard<'_> {
    fn drop(&mut self) {
        self.ring.header().put_lock.unlock();
    }
}

/// Changes what was taken out. Nothing changes before [`TakeGuard::publish`].
pub struct TakeGuard<'a> {
    ring: &'a Ring,
    /// The state as it will be.
    pub state: State,
}

impl TakeGuard<'_> {
    /// Makes the state count, and wakes those who wait for that much room.
    pub fn publish(&mut self) {
        let side = &self.ring.header().taken;
        side.prepare(self.state);
        let threshold = &self.ring.header().threshold;
        if self.state.position < threshold.load(Relaxed) {
            side.commit();
            return;
        }
        if futex::add_and_wake(&side.sequence, u32::MAX).is_err() {
            side.commit();
        }
        threshold.store(u64::MAX, Relaxed);
    }
}

impl Drop for TakeGuard<'_> {
    fn drop(&mut self) {
        self.ring.header().take_lock.unlock();
    }
}

/// The number of descriptors, and the number under which they travel, as one word.
pub fn descriptor_word(number: u64, count: usize) -> u64 {
    number & ((1 << 48) - 1) | (count as u64) << 48
}

/// The next number for descriptors. With the lock of those who put.
pub fn next_number(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Relaxed) & ((1 << 48) - 1)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the queue is damaged")
}
