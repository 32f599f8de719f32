//! Queues by number.
//!
//! A queue belongs to the process, and its number to the environment. Small messages pass through the same
//! two buffers as those of connections.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use mp_os::futex::{self, Woken};
use mp_os::mapping::Mapping;
use mp_os::process::{attention::Attention, threads};
use mp_os::{descriptor, fresh_memory, handed_memory, socket};
use mp_queue::blocking::{self, Filled, Had, Slept, Taker};
use mp_queue::layout::{Header, RING};
use mp_queue::{Interest, Lent, Memory, Put, Queue, Ring, SHORT_SLEEP, Sleep, Taken};
use mp_shm::Word;
use mp_wire::frame;
use napi::bindgen_prelude::{Array, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;

use crate::connection::{self, HEADROOM};
use crate::waiter::{self, Call};
use crate::{heap, status};

/// How many bytes a ring has.
const CAPACITY: usize = 2 << 20;

/// How long a sender waits for the next piece of its message to be put in before it is copied.
const PATIENCE: Duration = Duration::from_millis(2);
/// The same when somebody is taking it.
const MORE_PATIENCE: Duration = Duration::from_millis(30);

/// Where the program listens for SIGINT, nobody sleeps longer: it may come just before.
const ATTENTIVE: Duration = Duration::from_millis(500);

/// The queues of this process, by the place of their memory.
static QUEUES: Mutex<Vec<(u32, usize, Weak<Queue>)>> = Mutex::new(Vec::new());

/// Large contents on their way to other processes, and with them.
static HANDED: handed_memory::Pool = handed_memory::Pool::new();

/// The process that they belong to.
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// A number is not used again: whoever still waits with it must not meet another queue.
    static ENTRIES: RefCell<Vec<Option<Box<Entry>>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Entry {
    pub(crate) queue: Arc<Queue>,
    block: i64,
    pub(crate) taker: Taker,
    /// A large message that was taken last.
    large: Option<Mapping>,
    /// What came beside messages.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// How many waits for messages are under way.
    watching: u32,
    /// What threads take for this one.
    reads: HashMap<u32, Arc<Mutex<Option<Read>>>>,
}

/// What a thread has taken.
struct Read {
    had: io::Result<Option<Mapping>>,
    descriptors: Vec<OwnedFd>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ring = self.queue.ring();
        for _ in 0..self.watching {
            ring.unwatch_items();
        }
        if self.watching > 0 {
            ring.pass_on();
        }
        if self.taker.reading.is_some() {
            ring.header().read_lock.unlock();
        }
        self.queue.leave();
    }
}

/// How many bytes of memory a queue wants.
#[napi]
pub fn queue_size() -> u32 {
    (RING + CAPACITY) as u32
}

/// Makes a queue in a block of zeros: its number, or a status.
#[napi]
pub fn create_queue(block: i64, maxsize: u32) -> f64 {
    let create = || {
        let memory = heap::block(block).ok_or(io::ErrorKind::NotFound)?;
        let start = memory.start().ok_or(io::ErrorKind::InvalidInput)?;
        if memory.size < RING + CAPACITY {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the block is large enough and new, and it stays mapped for as long as somebody has it.
        unsafe {
            Header::initialize(start.as_ptr().cast(), CAPACITY as u64, maxsize)?;
        }
        let (reader, writer) = socket::packet_pair()?;
        enter(block, reader, writer)
    };
    status::of(create())
}

/// Takes up a queue that came in a message, with its two sockets: its number, or a status.
#[napi]
pub fn open_queue(block: i64, reader: i32, writer: i32) -> f64 {
    let open = || {
        let (reader, writer) = (descriptor::adopt(reader), descriptor::adopt(writer));
        enter(block, reader?, writer?)
    };
    status::of(open())
}

fn enter(block: i64, reader: OwnedFd, writer: OwnedFd) -> io::Result<u32> {
    let memory = heap::block(block).ok_or(io::ErrorKind::NotFound)?;
    let mut queues = lock(&QUEUES);
    queues.retain(|(.., queue)| queue.strong_count() > 0);
    let known = queues
        .iter()
        .find(|(place, offset, _)| *place == memory.place && *offset == memory.offset)
        .and_then(|(.., queue)| queue.upgrade());
    let queue = match known {
        Some(queue) => queue,
        None => {
            let (place, offset, size) = (memory.place, memory.offset, memory.size);
            let start = memory.start().ok_or(io::ErrorKind::InvalidInput)?;
            // SAFETY: the memory has so many bytes, and stays mapped for as long as the block's segment is
            // held, which has no other blocks, as it is large. It was made for a queue.
            let ring = unsafe { Ring::new(start, size, Box::new(memory)) };
            let ring = ring.ok_or(io::ErrorKind::InvalidData)?;
            let queue = Arc::new(Queue::new(ring, reader, writer));
            queues.push((place, offset, Arc::downgrade(&queue)));
            queue
        }
    };
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    queue.enter();
    let entry = Entry {
        queue,
        block,
        taker: Taker::default(),
        large: None,
        descriptors: Vec::new(),
        watching: 0,
        reads: HashMap::new(),
    };
    ENTRIES.with_borrow_mut(|entries| {
        entries.push(Some(Box::new(entry)));
        u32::try_from(entries.len() - 1).map_err(|_| io::ErrorKind::OutOfMemory.into())
    })
}

/// Ends this environment's use of a queue. What it has put in is still brought into the ring.
#[napi]
pub fn close_queue(handle: u32) {
    let entry = ENTRIES.with_borrow_mut(|entries| entries.get_mut(handle as usize)?.take());
    drop(entry);
}

/// The numbers of a queue's two sockets, which stay its own.
#[napi]
pub fn queue_sockets(handle: u32) -> Vec<i32> {
    let mut sockets = Vec::new();
    on(handle, |entry| {
        sockets = (entry.queue.sockets().iter().map(AsRawFd::as_raw_fd)).collect();
        status::DONE
    });
    sockets
}

/// Messages that are longer come in pieces.
#[napi]
pub fn queue_longest_whole(handle: u32) -> f64 {
    on(handle, |entry| entry.queue.ring().longest_whole() as f64)
}

/// Puts in the object encoded in the send scratch up to `end`, as a plain frame: `DONE`, `NOT_HELD` when
/// there are as many messages as there may be, or a status. What does not fit is kept and brought in later;
/// or, with `direct`, it is not put in: `NOT_YET`.
#[napi]
pub fn queue_put(handle: u32, end: u32, direct: bool) -> f64 {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { connection::send_scratch().bytes() };
    let Some(message) = scratch.get_mut(HEADROOM - 1..end as usize) else {
        return status::system(&io::ErrorKind::InvalidInput.into());
    };
    message[0] = frame::PLAIN;
    let message: &[u8] = message;
    on(handle, |entry| {
        put(entry.queue.put(&[message], &[], interest(direct)))
    })
}

/// Puts in a message that is made of parts, with descriptors beside it, which are copied if need be. Parts
/// of a message in pieces are copied, too, unless `wait`: then this blocks for as long as the message is
/// making progress, so as not to have to.
#[napi]
pub fn queue_put_parts(
    handle: u32,
    parts: Vec<Uint8Array>,
    descriptors: Vec<i32>,
    direct: bool,
    wait: bool,
) -> f64 {
    let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let borrowed: io::Result<Vec<BorrowedFd<'_>>> = descriptors
        .iter()
        .map(|fd| descriptor::borrow(*fd))
        .collect();
    let descriptors = match borrowed {
        Ok(descriptors) => descriptors,
        Err(error) => return status::system(&error),
    };
    on(handle, |entry| {
        let queue = &entry.queue;
        if !wait || length <= queue.ring().longest_whole() {
            return put(queue.put(&parts, &descriptors, interest(direct)));
        }
        // SAFETY: the parts stay where they are until this call returns, and that is when the message is
        // finished or was copied.
        let lent = Arc::new(unsafe { Lent::borrow(&parts) });
        match queue.put_lent(&lent, &descriptors) {
            Ok(Put::Done) => {}
            other => return put(other),
        }
        while !lent.is_finished() {
            let before = lent.progress();
            let is_taken = before > queue.ring().capacity();
            lent.wait(if is_taken { MORE_PATIENCE } else { PATIENCE });
            if lent.progress() != before || lent.is_finished() {
                continue;
            }
            match lent.keep() {
                Ok(()) => break,
                // There is no memory for a copy: it takes as long as it takes.
                Err(_) => lent.wait(SHORT_SLEEP),
            }
        }
        status::DONE
    })
}

/// Copies large contents into memory that is handed over: the descriptor to send, which is the caller's to
/// close, and where each of them begins; nothing when that cannot be done now.
#[napi]
pub fn hand_over(contents: Vec<Uint8Array>) -> Vec<f64> {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    let contents: Vec<&[u8]> = contents.iter().map(|content| &**content).collect();
    let Ok(Some(parcel)) = HANDED.pack(&contents) else {
        return Vec::new();
    };
    let offsets = parcel.offsets.iter().map(|offset| *offset as f64);
    std::iter::once(f64::from(parcel.file.into_raw_fd()))
        .chain(offsets)
        .collect()
}

/// Puts contents that were handed over in the place of what the array holds: 0 or a status.
#[napi]
pub fn take_over(file: i32, offset: f64, mut target: Uint8Array) -> f64 {
    // SAFETY: the array is an argument of this call on the JavaScript thread; nothing else runs on it.
    let target = unsafe { target.as_mut() };
    let file = descriptor::borrow(file);
    status::of(file.and_then(|file| {
        handed_memory::unpack(file, offset as u64, target)?;
        Ok(0_u32)
    }))
}

/// Puts memory that was used before, if there is any, in the place of what the array holds, whose content is
/// lost: whether it has.
#[napi]
pub fn place_warm(mut target: Uint8Array) -> bool {
    // SAFETY: the array is an argument of this call on the JavaScript thread; nothing else runs on it.
    HANDED.place(unsafe { target.as_mut() }).unwrap_or(false)
}

/// Gives back the memory that was handed over and has come back a while ago; says whether any is kept.
#[napi]
pub fn trim_handed() -> bool {
    HANDED.trim()
}

/// Puts in messages, each with its length in front, in four bytes, at a multiple of eight: how many were
/// put in, or a status. With `direct`, only those for which there is room.
#[napi]
pub fn queue_put_many(handle: u32, batch: &[u8], direct: bool) -> f64 {
    let mut rest = batch;
    let messages = std::iter::from_fn(|| {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let message = after.get(..u32::from_ne_bytes(*length) as usize)?;
        let taken = (4 + message.len()).next_multiple_of(8).min(rest.len());
        rest = &rest[taken..];
        Some(message)
    });
    on(handle, |entry| {
        match entry.queue.put_many(messages, interest(direct)) {
            Ok(count) => count as f64,
            Err(error) => failure(&error),
        }
    })
}

/// Waits until there is room for a message of so many bytes, and a place if that is asked for: `DONE`,
/// `NOT_YET`, `INTERRUPTED` or another status. Returns early, too: whoever waits tries again.
#[napi]
pub fn queue_room(handle: u32, bytes: f64, place: bool, timeout: f64, interruptible: bool) -> f64 {
    let queue = match queue_of(handle) {
        Ok(queue) => queue,
        Err(status) => return status,
    };
    let mut sleeper = Sleeper::new(interruptible);
    let end = end(timeout);
    let slept = blocking::wait_for_room(&queue, room(bytes), place, end, |sleep| {
        sleeper.sleep(sleep)
    });
    match slept {
        Ok(Slept::Woken) => status::DONE,
        Ok(Slept::TimedOut) => status::NOT_YET,
        Ok(Slept::Interrupted) => status::INTERRUPTED,
        Err(error) => failure(&error),
    }
}

/// The same without blocking: a number to wait under, or `DONE`.
#[napi]
pub fn queue_room_later(handle: u32, bytes: f64, place: bool, at_most: f64) -> f64 {
    on(handle, |entry| {
        let ring = entry.queue.ring();
        match ring.watch_room(room(bytes), place, false) {
            Ok(Some(sleep)) => {
                // Whoever puts in a message in pieces may have ended.
                let _ = ring.mourn();
                later(entry, &sleep, at_most)
            }
            Ok(None) => status::DONE,
            Err(error) => failure(&error),
        }
    })
}

/// Takes a message, blocking at most so many milliseconds, less than zero for ever: its length, when it is
/// in the receive scratch; `LARGE` when it is for `queueFill`; or a status.
#[napi]
pub fn queue_take(handle: u32, timeout: f64, interruptible: bool) -> f64 {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { connection::receive_scratch().bytes() };
    let mut sleeper = Sleeper::new(interruptible);
    let end = end(timeout);
    on(handle, |entry| {
        let Entry {
            queue,
            taker,
            descriptors,
            ..
        } = entry;
        let had = taker.take(queue, scratch, descriptors, end, |sleep| {
            sleeper.sleep(sleep)
        });
        match had {
            Ok(Had::Small(length)) => length as f64,
            Ok(Had::Begun(_)) => status::LARGE,
            Ok(Had::TimedOut) => status::NOT_YET,
            Ok(Had::Interrupted) => status::INTERRUPTED,
            Err(error) => failure(&error),
        }
    })
}

/// Takes a message if there is one, without blocking: as `queueTake`, but for a message in pieces, which is
/// for `queueReadLater`: `BUSY`.
#[napi]
pub fn queue_try_take(handle: u32) -> f64 {
    // SAFETY: as in `queue_take`.
    let scratch = unsafe { connection::receive_scratch().bytes() };
    on(handle, |entry| {
        if entry.taker.reading.is_some() {
            return status::NOT_YET;
        }
        match entry.queue.take(scratch, &mut entry.descriptors, false) {
            Ok(Taken::Small(length)) => length as f64,
            Ok(Taken::Begun(reading)) => {
                entry.taker.reading = Some(reading);
                status::LARGE
            }
            Ok(Taken::Large) => status::BUSY,
            Ok(Taken::Nothing) => status::NOT_YET,
            Err(error) => failure(&error),
        }
    })
}

/// How many bytes the large message has that was begun.
#[napi]
pub fn queue_announced(handle: u32) -> f64 {
    on(handle, |entry| match &entry.taker.reading {
        Some(reading) => reading.len() as f64,
        None => status::END,
    })
}

/// Leaves the large message that was begun to whoever takes it out of the way: it is lost.
#[napi]
pub fn queue_forget(handle: u32) {
    on(handle, |entry| {
        if entry.taker.reading.take().is_some() {
            entry.queue.ring().header().read_lock.unlock();
        }
        status::DONE
    });
}

/// Takes the next bytes of the large message that was begun into an array, from `filled` on, until it is
/// full or the time is over: how much of it is filled then; `END` when there is no message any more; or a
/// status. `fresh` says that nobody has touched the array's memory yet.
#[napi]
pub fn queue_fill(
    handle: u32,
    mut target: Uint8Array,
    filled: f64,
    fresh: bool,
    timeout: f64,
    interruptible: bool,
) -> f64 {
    // SAFETY: the array is an argument of this call on the JavaScript thread; nothing else runs on it.
    let target = unsafe { target.as_mut() };
    let mut sleeper = Sleeper::new(interruptible);
    let end = end(timeout);
    on(handle, |entry| {
        fill(entry, target, filled as usize, fresh, end, &mut sleeper)
    })
}

fn fill(
    entry: &mut Entry,
    target: &mut [u8],
    mut filled: usize,
    fresh: bool,
    end: Option<Instant>,
    sleeper: &mut Sleeper,
) -> f64 {
    while filled < target.len() {
        let mut until = target.len();
        if fresh {
            until = fresh_memory::chunk_end(target, filled);
            if filled == 0 || until - filled == fresh_memory::CHUNK {
                fresh_memory::touch(&mut target[filled..until]);
            }
        }
        let chunk = &mut target[..until];
        let got = (entry.taker).fill(&entry.queue, chunk, filled, end, |sleep| {
            sleeper.sleep(sleep)
        });
        match got {
            Ok(Filled::Bytes(now)) => filled = now,
            Ok(Filled::Gone) => return status::END,
            Ok(Filled::Interrupted) => return status::INTERRUPTED,
            Err(error) => return failure(&error),
        }
        if filled < until {
            break;
        }
    }
    filled as f64
}

/// Waits for messages without blocking, at most so many milliseconds: a number to wait under, which goes
/// with `queueItemsOver`; or `DONE` when there are some. `nap` is how long to sleep when others do, too.
#[napi]
pub fn queue_items_later(handle: u32, nap: f64, at_most: f64) -> f64 {
    on(handle, |entry| {
        match entry.queue.ring().watch_items(duration(nap)) {
            Ok(Some(sleep)) => {
                let ticket = later(entry, &sleep, at_most);
                if ticket < 0.0 {
                    entry.queue.ring().unwatch_items();
                } else {
                    entry.watching += 1;
                }
                ticket
            }
            Ok(None) => status::DONE,
            Err(error) => failure(&error),
        }
    })
}

/// A wait for messages is over. `unwanted` says that none is wanted any more, so that another one who waits
/// is woken, if there are some.
#[napi]
pub fn queue_items_over(handle: u32, unwanted: bool) {
    on(handle, |entry| {
        let ring = entry.queue.ring();
        if entry.watching > 0 {
            entry.watching -= 1;
            ring.unwatch_items();
        }
        if unwanted {
            ring.pass_on();
        }
        status::DONE
    });
}

/// Has a thread take the message that is next: a number to wait under, or a status. Then it is for
/// `queueTakeRead`.
#[napi]
pub fn queue_read_later(handle: u32) -> f64 {
    on(handle, |entry| {
        let mut read = || {
            let (ticket, call) = waiter::expect_call()?;
            let place = Arc::new(Mutex::new(None));
            let (queue, result) = (Arc::clone(&entry.queue), Arc::clone(&place));
            thread::Builder::new()
                .name("queue reader".into())
                .stack_size(128 << 10)
                .spawn(move || {
                    threads::block_signals();
                    read_one(&queue, &result, call);
                })?;
            entry.reads.insert(ticket, place);
            Ok(ticket)
        };
        status::of(read())
    })
}

fn read_one(queue: &Queue, result: &Mutex<Option<Read>>, call: Call) {
    let mut descriptors = Vec::new();
    let had = read_message(queue, &mut descriptors);
    *lock(result) = Some(Read { had, descriptors });
    call.call();
}

fn read_message(queue: &Queue, descriptors: &mut Vec<OwnedFd>) -> io::Result<Option<Mapping>> {
    let mut sleeper = Sleeper::new(false);
    let mut taker = Taker::default();
    let now = Some(Instant::now());
    let Had::Begun(length) = taker.take(queue, &mut [], descriptors, now, |sleep| {
        sleeper.sleep(sleep)
    })?
    else {
        return Ok(None);
    };
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut memory = Memory::new(length)?;
    for start in (0..length).step_by(fresh_memory::CHUNK) {
        let chunk = memory.next(fresh_memory::CHUNK.min(length - start));
        let filled = taker.fill(queue, chunk, 0, None, |sleep| sleeper.sleep(sleep))?;
        if filled != Filled::Bytes(chunk.len()) {
            return Ok(None);
        }
    }
    Ok(Some(memory.into_mapping()))
}

/// What a thread has taken: `LARGE` when it is for `queueLarge`, `NOT_YET` when there was nothing any more,
/// `BUSY` when it is still at it, or a status.
#[napi]
pub fn queue_take_read(handle: u32, ticket: u32) -> f64 {
    on(handle, |entry| {
        let read = entry.reads.get(&ticket).map(|place| lock(place).take());
        let Some(read) = read else {
            return status::NOT_YET;
        };
        let Some(read) = read else {
            return status::BUSY;
        };
        entry.reads.remove(&ticket);
        entry.descriptors.extend(read.descriptors);
        match read.had {
            Ok(Some(mapping)) => {
                entry.large = Some(mapping);
                status::LARGE
            }
            Ok(None) => status::NOT_YET,
            Err(error) => failure(&error),
        }
    })
}

/// The parts of the large message that was taken: `[graph, number of descriptors, ...buffers]`.
#[napi(ts_return_type = "[ArrayBuffer, number, ...ArrayBuffer[]]")]
pub fn queue_large<'env>(env: &'env Env, handle: u32) -> Result<Array<'env>> {
    let mut large = None;
    on(handle, |entry| {
        large = entry.large.take();
        status::DONE
    });
    let mapping = large.ok_or_else(|| Error::from_reason("there is no large message"))?;
    connection::frame_parts(env, &Arc::new(mapping))
}

/// The descriptors that came beside the messages taken since this was last called. They are the caller's to
/// close.
#[napi]
pub fn queue_descriptors(handle: u32) -> Vec<i32> {
    let mut descriptors = Vec::new();
    on(handle, |entry| {
        let came = std::mem::take(&mut entry.descriptors);
        descriptors = came.into_iter().map(IntoRawFd::into_raw_fd).collect();
        status::DONE
    });
    descriptors
}

/// Takes messages that are there, up to so many, each with its length in front, in four bytes, at a
/// multiple of eight: how many, or a status. Not those that are large, or have descriptors.
#[napi]
pub fn queue_take_many(handle: u32, mut into: Uint8Array, most: f64) -> f64 {
    // SAFETY: the array is an argument of this call on the JavaScript thread; nothing else runs on it.
    let into = unsafe { into.as_mut() };
    on(handle, |entry| {
        match entry.queue.take_many(into, most as u64) {
            Ok((count, _)) => count as f64,
            Err(error) => failure(&error),
        }
    })
}

/// How many messages there are, as far as this process knows.
#[napi]
pub fn queue_length(handle: u32) -> f64 {
    on(handle, |entry| entry.queue.len() as f64)
}

/// Whether there are none that could be taken: 1, 0, or a status.
#[napi]
pub fn queue_is_empty(handle: u32) -> f64 {
    on(handle, |entry| {
        f64::from(u8::from(entry.queue.ring().count() == 0))
    })
}

/// Whether there are as many messages as there may be: 1, 0, or a status.
#[napi]
pub fn queue_is_full(handle: u32) -> f64 {
    on(handle, |entry| {
        status::of(entry.queue.has_no_place().map(u8::from))
    })
}

/// How many messages of this process are on their way into the ring.
#[napi]
pub fn queue_pending(handle: u32) -> f64 {
    on(handle, |entry| entry.queue.pending() as f64)
}

/// Waits until no message of this process is, so many milliseconds at most, less than zero for ever:
/// `DONE` or `NOT_YET`.
#[napi]
pub fn queue_flush(handle: u32, timeout: f64) -> f64 {
    let queue = match queue_of(handle) {
        Ok(queue) => queue,
        Err(status) => return status,
    };
    let at_most = (timeout >= 0.0).then(|| duration(timeout));
    if queue.flush(at_most) {
        status::DONE
    } else {
        status::NOT_YET
    }
}

/// Says whether the process may end before all messages of this process are in the ring.
#[napi]
pub fn queue_abandon(handle: u32, may: bool) {
    on(handle, |entry| {
        entry.queue.abandon(may);
        status::DONE
    });
}

/// Waits until all messages of this process are in their rings, but for those of queues that were abandoned.
#[napi]
pub fn flush_queues() {
    let queues: Vec<_> = lock(&QUEUES)
        .iter()
        .filter_map(|(.., queue)| queue.upgrade())
        .collect();
    for queue in queues {
        while !queue.is_abandoned() && !queue.flush(Some(SHORT_SLEEP)) {}
    }
}

/// Counts a message as done with: whether there was one.
#[napi]
pub fn queue_task_done(handle: u32) -> bool {
    on(handle, |entry| {
        f64::from(u8::from(entry.queue.ring().task_done()))
    }) == 1.0
}

/// How many messages are not done with.
#[napi]
pub fn queue_unfinished(handle: u32) -> f64 {
    on(handle, |entry| match entry.queue.ring().unfinished() {
        Ok(count) => count as f64,
        Err(error) => failure(&error),
    })
}

/// The index in a queue's block of the word that changes when all messages are done with.
#[napi]
pub fn queue_done_word() -> u32 {
    (std::mem::offset_of!(Header, all_done) / 4) as u32
}

/// In a copy of the process: what is on its way is the original's, and so is what is being read.
#[napi]
pub fn renew_queues() {
    // Called in processes that were started afresh, too.
    if PROCESS.swap(std::process::id(), Ordering::Relaxed) == std::process::id() {
        return;
    }
    HANDED.become_copy();
    for (.., queue) in lock(&QUEUES).iter() {
        if let Some(queue) = queue.upgrade() {
            queue.become_copy();
        }
    }
    ENTRIES.with_borrow_mut(|entries| {
        for entry in entries.iter_mut().flatten() {
            entry.taker.reading = None;
            entry.watching = 0;
            entry.reads.clear();
        }
    });
}

fn interest(direct: bool) -> Interest {
    if direct {
        Interest::Direct
    } else {
        Interest::Feed
    }
}

fn put(outcome: io::Result<Put>) -> f64 {
    match outcome {
        Ok(Put::Done) => status::DONE,
        Ok(Put::Full) => status::NOT_HELD,
        Ok(Put::NoRoom) => status::NOT_YET,
        Err(error) => failure(&error),
    }
}

/// The number of an error, which may be none of the system's.
pub(crate) fn failure(error: &io::Error) -> f64 {
    if error.kind() == io::ErrorKind::OutOfMemory {
        return status::system(&io::Error::from_raw_os_error(libc::ENOMEM));
    }
    status::system(error)
}

/// The room that a message of so many bytes takes.
fn room(bytes: f64) -> u64 {
    (bytes as u64).next_multiple_of(8) + 16
}

/// A time from JavaScript that has an end.
fn duration(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX)
}

pub(crate) fn end(timeout: f64) -> Option<Instant> {
    (timeout >= 0.0)
        .then(|| Instant::now().checked_add(duration(timeout)))
        .flatten()
}

/// A ticket for a sleep on a word of the queue's memory.
fn later(entry: &Entry, sleep: &Sleep<'_>, at_most: f64) -> f64 {
    let longest = Duration::from_secs(24 * 60 * 60);
    let at_most = if at_most < 0.0 {
        longest
    } else {
        duration(at_most).min(longest)
    };
    let at_most = sleep.at_most.map_or(at_most, |time| time.min(at_most));
    let Some(word) = word_at(entry, sleep.word) else {
        return status::NO_HANDLE;
    };
    status::of(waiter::wait_later(word, sleep.expected, at_most))
}

/// The word of the block that a word of the queue is.
fn word_at(entry: &Entry, word: &AtomicU32) -> Option<Word> {
    let start = std::ptr::from_ref(entry.queue.ring().header()).addr();
    let offset = std::ptr::from_ref(word).addr() - start;
    heap::word(entry.block, u32::try_from(offset).ok()?)
}

/// Sleeps in calls that block.
pub(crate) struct Sleeper {
    interruptible: bool,
    attention: Option<Attention>,
}

impl Sleeper {
    pub(crate) fn new(interruptible: bool) -> Self {
        Self {
            interruptible,
            attention: None,
        }
    }

    pub(crate) fn sleep(&mut self, sleep: &Sleep<'_>) -> Slept {
        let mut at_most = sleep.at_most;
        if self.interruptible {
            if self.attention.is_none() {
                self.attention = Attention::begin().ok().flatten();
            }
            at_most = Some(at_most.map_or(ATTENTIVE, |time| time.min(ATTENTIVE)));
        }
        let woken = futex::wait(sleep.word, sleep.expected, at_most);
        if self.attention.as_ref().is_some_and(Attention::is_wanted) {
            return Slept::Interrupted;
        }
        match woken {
            Ok(Woken::TimedOut) => Slept::TimedOut,
            Ok(_) => Slept::Woken,
            Err(_) => {
                thread::sleep(Duration::from_millis(1));
                Slept::TimedOut
            }
        }
    }
}

fn queue_of(handle: u32) -> std::result::Result<Arc<Queue>, f64> {
    ENTRIES.with_borrow_mut(|entries| {
        let entry = entry_of(entries, handle).ok_or(status::NO_HANDLE)?;
        Ok(Arc::clone(&entry.queue))
    })
}

pub(crate) fn on(handle: u32, action: impl FnOnce(&mut Entry) -> f64) -> f64 {
    ENTRIES.with_borrow_mut(|entries| entry_of(entries, handle).map_or(status::NO_HANDLE, action))
}

fn entry_of(entries: &mut [Option<Box<Entry>>], handle: u32) -> Option<&mut Entry> {
    entries.get_mut(handle as usize)?.as_deref_mut()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
