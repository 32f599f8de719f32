//! A queue as a process has it: the ring, what is still to go there, and what travels beside it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mp_os::{futex, shared_memory, socket};

use crate::large::{Lent, Reading};
use crate::layout::{self, STORES, WORD, padded};
use crate::ring::{PutGuard, Ring, descriptor_word, next_number};

/// A queue as a process has it. Its threads share it.
pub struct Queue {
    ring: Ring,
    /// Descriptors go in here,
    writer: OwnedFd,
    /// and come out there.
    reader: OwnedFd,
    backlog: Mutex<VecDeque<Item>>,
    /// How many messages are in the backlog, or just being taken from it.
    pending: AtomicU64,
    /// How many of them have not begun to be put in.
    stored: AtomicU64,
    /// Changes when there is something new for the feeder.
    pub(crate) news: AtomicU32,
    /// Changes when nothing is pending any more.
    drained: AtomicU32,
    pub(crate) feeder: AtomicU32,
    /// Whether the process may end before everything is in the ring.
    abandoned: AtomicU32,
    /// How many use the queue in this process, the feeder not counted.
    users: AtomicU32,
}

/// There is no feeder.
pub(crate) const NONE: u32 = u32::MAX;
/// There will be one soon.
pub(crate) const STARTING: u32 = u32::MAX - 1;
/// It has no place to say how much it has in store.
pub(crate) const ANONYMOUS: u32 = STORES as u32;

/// A message that could not be put in at once.
pub struct Item {
    pub(crate) body: Body,
    pub(crate) descriptors: Vec<OwnedFd>,
}

pub(crate) enum Body {
    Whole(Box<[u8]>),
    Pieces(Arc<Lent>),
}

/// What a message may do that does not go into the ring at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// It is kept, and the feeder brings it in.
    Feed,
    /// Nothing: its sender waits.
    Direct,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in the ring, or will be.
    Done,
    /// There are as many messages as there may be.
    Full,
    /// There is no room just now.
    NoRoom,
}

/// What was taken out.
#[derive(Debug)]
pub enum Taken {
    /// A message, which is in the scratch: its length.
    Small(usize),
    /// The beginning of a message that does not fit there, which is this thread's to read on.
    Begun(Reading),
    /// A message in pieces is next, which was not to be begun.
    Large,
    /// There is none.
    Nothing,
}

impl Queue {
    /// A queue in some memory, with the pair of sockets that descriptors travel through.
    pub fn new(ring: Ring, reader: OwnedFd, writer: OwnedFd) -> Self {
        Self {
            ring,
            writer,
            reader,
            backlog: Mutex::new(VecDeque::new()),
            pending: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            news: AtomicU32::new(0),
            drained: AtomicU32::new(0),
            feeder: AtomicU32::new(NONE),
            abandoned: AtomicU32::new(0),
            users: AtomicU32::new(0),
        }
    }

    /// Its ring.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The sockets.
    pub fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.reader.as_fd(), self.writer.as_fd()]
    }

    /// How many messages of this process are on their way into the ring.
    pub fn pending(&self) -> u64 {
        self.pending.load(SeqCst)
    }

    /// How many messages there are: in the ring, and those of this process that are to go there.
    pub fn len(&self) -> u64 {
        self.ring.count() + self.stored.load(SeqCst)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are as many messages as there may be.
    ///
    /// # Errors
    /// When this is no queue.
    pub fn has_no_place(&self) -> io::Result<bool> {
        Ok(self.is_full(&self.ring.lock_put()?))
    }

    /// One more uses it.
    pub fn enter(&self) {
        self.users.fetch_add(1, SeqCst);
    }

    /// One less does. The feeder ends when nobody does and it has nothing to do.
    pub fn leave(&self) {
        if self.users.fetch_sub(1, SeqCst) == 1 {
            self.tell_feeder();
        }
    }

    pub(crate) fn is_used(&self) -> bool {
        self.users.load(SeqCst) > 0
    }

    /// Puts in a message.
    ///
    /// # Errors
    /// `ENOMEM` for a copy of the message, or for more than the machine has, as nobody could take it; `EAGAIN` when there can be no more threads, `EMFILE`; when this is
    /// no queue.
    pub fn put(
        self: &Arc<Self>,
        message: &[&[u8]],
        descriptors: &[BorrowedFd<'_>],
        interest: Interest,
    ) -> io::Result<Put> {
        let length: usize = message.iter().map(|part| part.len()).sum();
        let whole = length as u64 <= self.ring.longest_whole();
        if whole {
            let mut guard = self.ring.lock_put()?;
            if self.is_full(&guard) {
                return Ok(Put::Full);
            }
            if self.pending() == 0 && self.put_whole(&mut guard, message, descriptors)? {
                guard.publish(1);
                return Ok(Put::Done);
            }
            drop(guard);
            if interest == Interest::Direct {
                return Ok(Put::NoRoom);
            }
        }
        let body = if whole {
            Body::Whole(message.concat().into_boxed_slice())
        } else {
            shared_memory::refuse_more_than_memory(length as u64)?;
            Body::Pieces(Arc::new(Lent::copy(message)?))
        };
        self.store(body, descriptors)
    }

    /// Puts in a message in pieces, whose parts are only lent: see [`Lent`].
    ///
    /// # Errors
    /// As [`Queue::put`].
    pub fn put_lent(
        self: &Arc<Self>,
        lent: &Arc<Lent>,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Put> {
        shared_memory::refuse_more_than_memory(lent.len())?;
        self.store(Body::Pieces(Arc::clone(lent)), descriptors)
    }

    /// Puts in messages, as many as there may be: how many that were. What does not fit is kept.
    ///
    /// # Errors
    /// As [`Queue::put`].
    pub fn put_many<'a>(
        self: &Arc<Self>,
        messages: impl Iterator<Item = &'a [u8]>,
        interest: Interest,
    ) -> io::Result<u64> {
        let mut messages = messages.peekable();
        let mut done = 0;
        let mut guard = self.ring.lock_put()?;
        let places = self.places(&guard);
        if self.pending() == 0 {
            while let Some(message) = messages.peek() {
                if done == places || !self.put_whole(&mut guard, &[message], &[])? {
                    break;
                }
                messages.next();
                done += 1;
            }
            if done > 0 {
                guard.publish(done);
            }
        }
        drop(guard);
        if interest == Interest::Feed {
            for message in messages {
                if self.put(&[message], &[], interest)? != Put::Done {
                    break;
                }
                done += 1;
            }
        }
        Ok(done)
    }

    /// How many messages there may be on top of those that there are.
    fn places(&self, guard: &PutGuard<'_>) -> u64 {
        let maxsize = u64::from(self.ring.header().maxsize.load(Relaxed));
        if maxsize == 0 {
            return u64::MAX;
        }
        let taken = self.ring.header().taken.seen().count;
        maxsize.saturating_sub(guard.state.count.saturating_sub(taken) + self.ring.stored())
    }

    fn is_full(&self, guard: &PutGuard<'_>) -> bool {
        self.ring.header().maxsize.load(Relaxed) != 0 && self.places(guard) == 0
    }

    /// Adds a message to what will be published, if it fits.
    pub(crate) fn put_whole(
        &self,
        guard: &mut PutGuard<'_>,
        message: &[&[u8]],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<bool> {
        if guard.state.rest != 0 && !self.ring.mourn_with(guard)? {
            return Ok(false);
        }
        if descriptors.is_empty() {
            return Ok(guard.add(layout::SMALL, &[], message));
        }
        let length: u64 = message.iter().map(|part| part.len() as u64).sum();
        if self.ring.room(guard.state) < 2 * WORD + padded(length) {
            return Ok(false);
        }
        let Some(word) = self.send_descriptors(descriptors)? else {
            return Ok(false);
        };
        Ok(guard.add(layout::WITH_DESCRIPTORS, &[word], message))
    }

    /// Sends descriptors, with the lock of those who put: under which number, or nothing when there is no
    /// room for them just now.
    pub(crate) fn send_descriptors(
        &self,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Option<u64>> {
        let number = next_number(&self.ring.header().next_number);
        let bytes = number.to_ne_bytes();
        for some in descriptors.chunks(socket::MAX_DESCRIPTORS) {
            loop {
                match socket::send(self.writer.as_fd(), &[IoSlice::new(&bytes)], some) {
                    Ok(_) => break,
                    Err(error) if is_crowded(&error) => {
                        // Those of senders that ended meanwhile are still there when nothing else is.
                        if self.ring.has_items() || !self.drop_one() {
                            return Ok(None);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Some(descriptor_word(number, descriptors.len())))
    }

    fn drop_one(&self) -> bool {
        socket::receive(self.reader.as_fd(), &mut [0; 8], &mut Vec::new()).is_ok()
    }

    /// Receives the descriptors of a message. Those that are missing are missed by whoever reads the
    /// message. With the lock of those who take.
    pub(crate) fn receive_descriptors(&self, number: u64, count: usize, into: &mut Vec<OwnedFd>) {
        let before = into.len();
        let mut bytes = [0; 8];
        while into.len() - before < count {
            if socket::peek(self.reader.as_fd(), &mut bytes).is_err() {
                return;
            }
            let next = u64::from_ne_bytes(bytes);
            if next > number {
                return;
            }
            if next < number {
                self.drop_one();
                continue;
            }
            let had = into.len();
            let received = socket::receive(self.reader.as_fd(), &mut bytes, into);
            if received.is_err() || into.len() == had {
                return;
            }
        }
    }

    /// Takes out a message. What travelled with it is added to `descriptors`. `begin` says whether one that
    /// comes in pieces may be begun, which [`Ring::read_on`] goes on with.
    ///
    /// # Errors
    /// `InvalidData` when the queue is damaged.
    pub fn take(
        &self,
        scratch: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
        begin: bool,
    ) -> io::Result<Taken> {
        let header = self.ring.header();
        if header.taken.sequence.load(Relaxed) == 0 && header.put.sequence.load(Relaxed) == 0 {
            return Ok(Taken::Nothing);
        }
        let mut guard = self.ring.lock_take()?;
        if guard.state.rest != 0 {
            // Somebody takes it, or has ended meanwhile.
            if header.read_lock.try_lock()?.is_none() {
                return Ok(Taken::Nothing);
            }
            if !begin {
                header.read_lock.unlock();
                return Ok(Taken::Large);
            }
            return Ok(Taken::Begun(Reading::dropping(guard.state.rest)));
        }
        let end = self.ring.end_after(guard.state.position);
        let Some(next) = self.ring.record(guard.state.position, end)? else {
            return Ok(Taken::Nothing);
        };
        let whole = matches!(next.kind, layout::SMALL | layout::WITH_DESCRIPTORS);
        let fits = usize::try_from(next.length).is_ok_and(|length| length <= scratch.len());
        let taken = if whole && fits {
            let length = next.length as usize;
            self.ring.read(next.start, &mut scratch[..length]);
            guard.state.position = next.end;
            Taken::Small(length)
        } else {
            if !whole && !matches!(next.kind, layout::LARGE | layout::LARGE_WITH_DESCRIPTORS) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !whole && !begin {
                return Ok(Taken::Large);
            }
            header.read_lock.lock()?;
            // A message that is all there is read like a piece.
            if !whole {
                guard.state.position = next.end;
            }
            guard.state.rest = next.length;
            Taken::Begun(Reading::new(next.length))
        };
        guard.state.count += 1;
        guard.publish();
        if let Some((number, count)) = next.descriptors {
            self.receive_descriptors(number, count, descriptors);
        }
        Ok(taken)
    }

    /// Takes out messages in one go, each with its length in front, in four bytes, at a multiple of eight:
    /// how many, and how many bytes. Those that are large or have descriptors are not among them.
    ///
    /// # Errors
    /// `InvalidData` when the queue is damaged.
    pub fn take_many(&self, into: &mut [u8], most: u64) -> io::Result<(u64, usize)> {
        let header = self.ring.header();
        let mut guard = self.ring.lock_take()?;
        let end = header.put.seen().position;
        let (mut count, mut filled) = (0, 0);
        while count < most && guard.state.rest == 0 {
            let Some(next) = self.ring.record(guard.state.position, end)? else {
                break;
            };
            let length = next.length as usize;
            if next.kind != layout::SMALL || length + 8 > into.len() - filled {
                break;
            }
            into[filled..filled + 4].copy_from_slice(&(length as u32).to_ne_bytes());
            self.ring
                .read(next.start, &mut into[filled + 4..filled + 4 + length]);
            filled = (filled + 4 + length).next_multiple_of(8).min(into.len());
            guard.state.position = next.end;
            guard.state.count += 1;
            count += 1;
        }
        if count > 0 {
            guard.publish();
        }
        Ok((count, filled))
    }

    /// Waits until all messages of this process are in the ring, so long at most; says whether they are.
    pub fn flush(&self, at_most: Option<Duration>) -> bool {
        let end = at_most.map(|time| Instant::now() + time);
        loop {
            let drained = self.drained.load(SeqCst);
            if self.pending() == 0 {
                return true;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let _ = futex::wait(&self.drained, drained, left);
        }
    }

    /// Says whether the process may end before everything is in the ring.
    pub fn abandon(&self, may: bool) {
        self.abandoned.store(may.into(), SeqCst);
    }

    /// Whether it may.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(SeqCst) != 0
    }

    /// In a copy of the process: what is on its way is the original's.
    pub fn become_copy(&self) {
        // All other threads slept when the copy was made, none of them with this lock.
        if let Ok(mut backlog) = self.backlog.try_lock() {
            backlog.clear();
        }
        self.pending.store(0, SeqCst);
        self.stored.store(0, SeqCst);
        self.feeder.store(NONE, SeqCst);
    }

    /// Keeps a message for the feeder.
    fn store(self: &Arc<Self>, body: Body, descriptors: &[BorrowedFd<'_>]) -> io::Result<Put> {
        let descriptors = descriptors
            .iter()
            .map(|fd| mp_os::descriptor::duplicate(*fd))
            .collect::<io::Result<Vec<_>>>()?;
        let store = self.ensure_feeder()?;
        let guard = self.ring.lock_put()?;
        if self.is_full(&guard) {
            return Ok(Put::Full);
        }
        if let Some(store) = self.ring.header().stores.get(store as usize) {
            store.count.fetch_add(1, SeqCst);
        }
        self.pending.fetch_add(1, SeqCst);
        self.stored.fetch_add(1, SeqCst);
        drop(guard);
        self.lock_backlog().push_back(Item { body, descriptors });
        self.tell_feeder();
        Ok(Put::Done)
    }

    /// So many messages that were in store are in the ring, or have begun to be. With the lock of those who
    /// put.
    pub(crate) fn published(&self, count: u64) {
        let store = self.feeder.load(SeqCst);
        if let Some(store) = self.ring.header().stores.get(store as usize) {
            store.count.fetch_sub(count, SeqCst);
        }
        self.stored.fetch_sub(count, SeqCst);
    }

    /// So many messages are in the ring as a whole that were pending.
    pub(crate) fn settled(&self, count: u64) {
        if self.pending.fetch_sub(count, SeqCst) == count {
            self.drained.fetch_add(1, SeqCst);
            let _ = futex::wake(&self.drained, u32::MAX);
        }
    }

    pub(crate) fn lock_backlog(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_feeder(&self) {
        self.news.fetch_add(1, SeqCst);
        let _ = futex::wake(&self.news, 1);
    }
}

/// Whether a socket takes no more descriptors just now.
fn is_crowded(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || matches!(error.raw_os_error(), Some(TOO_MANY_REFERENCES | NO_BUFFERS))
}

/// `ETOOMANYREFS`: the kernel limits how many descriptors are on their way.
const TOO_MANY_REFERENCES: i32 = 109;
/// `ENOBUFS`.
const NO_BUFFERS: i32 = 105;
