//! A queue in memory of this process, and what is put into it.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mp_os::socket;
use mp_queue::blocking::{Filled, Had, Slept, Taker};
use mp_queue::layout::{Header, RING};
use mp_queue::{Queue, Ring, Sleep};

/// Memory for a queue, all zero.
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it is plain memory that is only given out as a pointer.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated like this, and its only owner is going.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Memory for a queue of that capacity.
pub fn memory(capacity: u64) -> Arc<Memory> {
    let layout = Layout::from_size_align(RING + capacity as usize, 4096).unwrap();
    // SAFETY: the layout is not empty.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    Arc::new(Memory { start, layout })
}

/// The queue in some memory.
pub fn ring_of(memory: &Arc<Memory>) -> Option<Ring> {
    // SAFETY: the memory is as large as it says, and the ring keeps it.
    unsafe {
        Ring::new(
            memory.start,
            memory.layout.size(),
            Box::new(Arc::clone(memory)),
        )
    }
}

/// A queue.
pub fn queue(capacity: u64, maxsize: u32) -> Arc<Queue> {
    let [queue, _] = two(capacity, maxsize);
    queue
}

/// The same queue, as two processes would have it.
pub fn two(capacity: u64, maxsize: u32) -> [Arc<Queue>; 2] {
    let memory = memory(capacity);
    // SAFETY: there is memory for a header, and nobody else has it yet.
    unsafe { Header::initialize(memory.start.as_ptr().cast(), capacity, maxsize) }.unwrap();
    let (reader, writer) = socket::packet_pair().unwrap();
    let again = (reader.try_clone().unwrap(), writer.try_clone().unwrap());
    [(reader, writer), again].map(|(reader, writer)| {
        let queue = Arc::new(Queue::new(ring_of(&memory).unwrap(), reader, writer));
        queue.enter();
        queue
    })
}

/// A message whose bytes tell which it is.
pub fn message(number: u64, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (number.wrapping_mul(31) as usize + at * 7 + (at >> 8)) as u8)
        .collect()
}

/// Sleeps as a process does.
pub fn sleep(sleep: &Sleep<'_>) -> Slept {
    match mp_os::futex::wait(sleep.word, sleep.expected, sleep.at_most).unwrap() {
        mp_os::futex::Woken::TimedOut => Slept::TimedOut,
        _ => Slept::Woken,
    }
}

/// The next message, if there is one now.
pub fn take(queue: &Queue) -> Option<Vec<u8>> {
    take_until(queue, Some(Instant::now()))
}

/// The next message, which comes soon.
pub fn wait(queue: &Queue) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(20);
    take_until(queue, Some(end)).expect("a message comes")
}

fn take_until(queue: &Queue, end: Option<Instant>) -> Option<Vec<u8>> {
    let mut taker = Taker::default();
    let mut scratch = vec![0; 512];
    loop {
        match taker
            .take(queue, &mut scratch, &mut Vec::new(), end, sleep)
            .unwrap()
        {
            Had::Small(length) => return Some(scratch[..length].to_vec()),
            Had::Begun(length) => {
                let mut message = vec![0; length as usize];
                // In two parts, which end within pieces.
                let (first, rest) = message.split_at_mut(length as usize / 3);
                let filled = taker.fill(queue, first, 0, None, sleep).unwrap();
                if filled == Filled::Gone {
                    continue;
                }
                match taker.fill(queue, rest, 0, None, sleep).unwrap() {
                    Filled::Bytes(filled) => assert_eq!(filled, rest.len()),
                    _ => continue,
                }
                return Some(message);
            }
            Had::TimedOut => return None,
            Had::Interrupted => unreachable!("nobody interrupts"),
        }
    }
}
