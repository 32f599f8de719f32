//! Messages that come in pieces: where they come from, and where they go.

use std::io;
use std::slice;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mp_os::mapping::Mapping;
use mp_os::{fresh_memory, futex};

use crate::layout;
use crate::ring::{PutGuard, Ring, SHORT_SLEEP, Sleep};

/// Bytes of one's own, as many as a message has.
pub struct Memory {
    mapping: Mapping,
    filled: usize,
    touched: usize,
}

impl Memory {
    /// Memory for so many bytes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(length: usize) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::anonymous(length)?,
            filled: 0,
            touched: 0,
        })
    }

    /// The next bytes to be filled, so many, or as many as there are left.
    pub fn next(&mut self, length: usize) -> &mut [u8] {
        let all = self.mapping.as_mut_slice();
        let end = all.len().min(self.filled + length);
        while self.touched < end {
            let chunk = fresh_memory::chunk_end(all, self.touched);
            fresh_memory::touch(&mut all[self.touched..chunk]);
            self.touched = chunk;
        }
        let start = self.filled;
        self.filled = end;
        &mut all[start..end]
    }

    /// What was filled.
    pub fn into_mapping(self) -> Mapping {
        self.mapping
    }
}

/// A message that somebody waits for to be put in, or that was copied when that took too long.
pub struct Lent {
    body: Mutex<Body>,
    length: u64,
    progress: AtomicU64,
    finished: AtomicU32,
}

enum Body {
    /// Memory of somebody who waits.
    Borrowed(Vec<(*const u8, usize)>),
    /// What was left when nobody waited any more, and where it begins in the message.
    Owned(Mapping, u64),
}

// SAFETY: the pointers are followed only with the lock of `body`, and whoever they belong to makes sure that
// there are none when the memory goes.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// Lends parts of a message.
    ///
    /// # Safety
    /// The parts must stay where they are until [`Lent::is_finished`] or [`Lent::keep`].
    pub unsafe fn borrow(parts: &[&[u8]]) -> Self {
        let length = parts.iter().map(|part| part.len() as u64).sum();
        let parts = parts
            .iter()
            .map(|part| (part.as_ptr(), part.len()))
            .collect();
        Self::new(Body::Borrowed(parts), length)
    }

    /// A copy of a message.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn copy(parts: &[&[u8]]) -> io::Result<Self> {
        // SAFETY: nobody else has it, and it owns its bytes when this returns.
        let lent = unsafe { Self::borrow(parts) };
        lent.keep()?;
        Ok(lent)
    }

    fn new(body: Body, length: u64) -> Self {
        Self {
            body: Mutex::new(body),
            length,
            progress: AtomicU64::new(0),
            finished: AtomicU32::new(0),
        }
    }

    /// How many bytes the message has.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How far it is.
    pub fn progress(&self) -> u64 {
        self.progress.load(SeqCst)
    }

    /// Whether all of it was put in, or will not be.
    pub fn is_finished(&self) -> bool {
        self.finished.load(SeqCst) != 0
    }

    /// Sleeps until it is finished, so long at most.
    pub fn wait(&self, at_most: Duration) {
        if !self.is_finished() {
            let _ = futex::wait(&self.finished, 0, Some(at_most));
        }
    }

    /// It is over.
    pub fn finish(&self) {
        let mut body = self.lock();
        *body = Body::Borrowed(Vec::new());
        drop(body);
        self.finished.store(1, SeqCst);
        let _ = futex::wake(&self.finished, u32::MAX);
    }

    /// Copies what is left of borrowed memory, which is its owner's again then.
    ///
    /// # Errors
    /// `ENOMEM`; nothing has changed then.
    pub fn keep(&self) -> io::Result<()> {
        let mut body = self.lock();
        let Body::Borrowed(parts) = &*body else {
            return Ok(());
        };
        if self.is_finished() || parts.is_empty() {
            return Ok(());
        }
        let start = self.progress();
        let left = usize::try_from(self.length - start).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut memory = Memory::new(left)?;
        for part in pieces(parts, start, left) {
            // By chunks, so that each is touched just before it is filled.
            for chunk in part.chunks(fresh_memory::CHUNK) {
                memory.next(chunk.len()).copy_from_slice(chunk);
            }
        }
        *body = Body::Owned(memory.into_mapping(), start);
        Ok(())
    }

    /// Copies the next bytes into the ring.
    pub fn write(&self, ring: &Ring, position: u64, length: usize) {
        let body = self.lock();
        let from = self.progress();
        match &*body {
            Body::Borrowed(parts) => {
                let mut at = position;
                for part in pieces(parts, from, length) {
                    ring.write(at, part);
                    at += part.len() as u64;
                }
            }
            Body::Owned(mapping, start) => {
                let from = (from - start) as usize;
                if let Some(bytes) = mapping.as_slice().get(from..from + length) {
                    ring.write(position, bytes);
                }
            }
        }
        self.progress.fetch_add(length as u64, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many bytes of the parts, from there on.
fn pieces(parts: &[(*const u8, usize)], from: u64, length: usize) -> impl Iterator<Item = &[u8]> {
    let mut skip = from;
    let mut left = length;
    parts.iter().filter_map(move |(start, size)| {
        let skipped = skip.min(*size as u64);
        skip -= skipped;
        let skipped = skipped as usize;
        let take = left.min(size - skipped);
        left -= take;
        if take == 0 {
            return None;
        }
        // SAFETY: the part is there for as long as it is borrowed: see `Lent::borrow`.
        Some(unsafe { slice::from_raw_parts(start.add(skipped), take) })
    })
}

/// A message that this thread takes bit by bit, and holds the lock for.
#[derive(Debug)]
pub struct Reading {
    /// How many bytes it has.
    length: u64,
    /// How many of them were given out.
    given: u64,
    /// How many of those are of the piece that is next.
    of_piece: u64,
    /// Whether it is only taken out of the way.
    dropped: bool,
}

/// How far the taking is.
#[derive(Debug)]
pub enum Step<'a> {
    /// The target is full, and so is the message: it is this thread's no more.
    Complete,
    /// The target is full.
    Filled,
    /// There is no message any more: it was only in the way, or its sender has ended.
    None,
    /// There is more to come.
    Sleep(Sleep<'a>),
}

impl Reading {
    /// Begins to take a message of so many bytes.
    pub(crate) fn new(length: u64) -> Self {
        Self {
            length,
            given: 0,
            of_piece: 0,
            dropped: false,
        }
    }

    /// Begins to take out of the way what somebody else has begun to take, of which so much is left.
    pub(crate) fn dropping(rest: u64) -> Self {
        Self {
            dropped: true,
            ..Self::new(rest)
        }
    }

    /// How many bytes the message has.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether it is only taken out of the way: there are no bytes of it to be had.
    pub fn is_empty(&self) -> bool {
        self.dropped
    }
}

impl Ring {
    /// Takes the next bytes of a message, `filled` of the target being there already. The thread holds the
    /// lock of those who read until there is no more to come.
    ///
    /// # Errors
    /// `InvalidData` when the queue is damaged.
    pub fn read_on(
        &self,
        reading: &mut Reading,
        target: &mut [u8],
        filled: &mut usize,
    ) -> io::Result<Step<'_>> {
        let header = self.header();
        loop {
            if !reading.dropped && *filled == target.len() {
                return Ok(Step::Filled);
            }
            let taken = header.taken.seen();
            let end = header.put.seen().position;
            let Some(next) = self.record(taken.position, end)? else {
                return self.watch_pieces(end);
            };
            let cut = next.kind == layout::CUT;
            let is_piece = matches!(
                next.kind,
                layout::PIECE | layout::SMALL | layout::WITH_DESCRIPTORS
            );
            if !cut && (!is_piece || next.length > taken.rest) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !cut && !reading.dropped {
                let rest = &mut target[*filled..];
                let left = usize::try_from(next.length - reading.of_piece).unwrap_or(usize::MAX);
                let length = rest.len().min(left);
                self.read(next.start + reading.of_piece, &mut rest[..length]);
                *filled += length;
                reading.given += length as u64;
                reading.of_piece += length as u64;
                if reading.of_piece < next.length {
                    return Ok(Step::Filled);
                }
                reading.of_piece = 0;
            }
            let mut guard = self.lock_take()?;
            guard.state.position = next.end;
            guard.state.rest = if cut { 0 } else { taken.rest - next.length };
            let rest = guard.state.rest;
            guard.publish();
            drop(guard);
            if rest > 0 {
                continue;
            }
            header.read_lock.unlock();
            self.remind_takers()?;
            if cut || reading.dropped {
                return Ok(Step::None);
            }
            return Ok(Step::Complete);
        }
    }

    /// Before sleeping until there is another piece than those before `end`.
    fn watch_pieces(&self, end: u64) -> io::Result<Step<'_>> {
        let header = self.header();
        let guard = self.lock_put()?;
        header.pieces_watched.store(1, SeqCst);
        let expected = header.pieces.load(SeqCst);
        let changed = guard.state.position != end;
        Ok(Step::Sleep(Sleep {
            word: &header.pieces,
            expected: if changed {
                expected.wrapping_sub(1)
            } else {
                expected
            },
            at_most: Some(SHORT_SLEEP),
        }))
    }

    /// Marks the end of a message in pieces whose sender has ended; says whether it has.
    ///
    /// # Errors
    /// When this is no queue.
    pub fn mourn(&self) -> io::Result<bool> {
        let mut guard = self.lock_put()?;
        self.mourn_with(&mut guard)
    }

    /// The same with the lock of those who put.
    ///
    /// # Errors
    /// As [`Ring::mourn`].
    pub fn mourn_with(&self, guard: &mut PutGuard<'_>) -> io::Result<bool> {
        let header = self.header();
        if guard.state.rest == 0 || header.stream_lock.try_lock()?.is_none() {
            return Ok(false);
        }
        guard.cut();
        header.stream_lock.unlock();
        Ok(true)
    }

    /// Wakes one who slept because a message in pieces was being taken.
    fn remind_takers(&self) -> io::Result<()> {
        let mut guard = self.lock_put()?;
        if self.has_items() && self.header().put.watched.load(SeqCst) != 0 {
            guard.remind();
        }
        Ok(())
    }
}
