//! Memory that nobody has touched yet, and how to touch it cheaply.
//!
//! The first touch of a page costs more than the copy into it: the kernel is entered, finds a page and
//! clears it. Two things make it cheaper. A huge page is found once for 512 small ones; and a run of
//! pages can be asked for in one call. Whether huge pages are the better way depends on the machine: in
//! a virtual one, memory that was never used has to be found a second time, by the host, and huge pages
//! tend to be just that. So they are timed, and given a rest when they are slow.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::mm::{Advice, madvise};

/// What a huge page has.
pub const CHUNK: usize = 2 << 20;

/// Memory from this size on is worth the trouble.
const LARGE: usize = 1 << 20;

/// A huge page that takes longer than so many small ones is not worth it.
const SLOW: Duration = Duration::from_micros(600);

/// For how many chunks huge pages are given a rest after a slow one; twice as many after each further one
/// in a row, up to the most.
const REST: u32 = 8;
const LONGEST_REST: u32 = 512;

/// Chunks that are still to be filled with small pages, and how long the next rest is. Written and read by
/// all threads, relaxed: they are hints, and guard nothing.
static RESTING: AtomicU32 = AtomicU32::new(0);
static NEXT_REST: AtomicU32 = AtomicU32::new(REST);

/// Where the chunk ends in which so much of `memory` is filled: at a multiple of [`CHUNK`] in memory, or
/// at the end.
pub fn chunk_end(memory: &[u8], filled: usize) -> usize {
    let into = memory.as_ptr().addr().wrapping_add(filled) % CHUNK;
    memory.len().min(filled + (CHUNK - into))
}

/// Has the kernel find the pages for a chunk that is about to be filled for the first time. Changes no
/// content, and is never needed: where it cannot be done, the pages are found one by one.
pub fn touch(chunk: &mut [u8]) {
    if chunk.len() < LARGE {
        return;
    }
    let resting = RESTING.load(Ordering::Relaxed);
    let huge = chunk.len() == CHUNK && resting == 0 && advise(chunk, Advice::LinuxHugepage);
    let start = Instant::now();
    advise(chunk, Advice::LinuxPopulateWrite);
    if huge && start.elapsed() > SLOW {
        let rest = NEXT_REST.load(Ordering::Relaxed);
        RESTING.store(rest, Ordering::Relaxed);
        NEXT_REST.store((rest * 2).min(LONGEST_REST), Ordering::Relaxed);
    } else if huge {
        NEXT_REST.store(REST, Ordering::Relaxed);
    } else if resting > 0 {
        RESTING.store(resting - 1, Ordering::Relaxed);
    }
}

/// Advises on the whole pages of a chunk, and says whether the kernel listens.
fn advise(chunk: &mut [u8], advice: Advice) -> bool {
    let page = rustix::param::page_size();
    let start = chunk.as_mut_ptr().addr().next_multiple_of(page);
    let end = (chunk.as_ptr().addr() + chunk.len()) & !(page - 1);
    if start >= end {
        return false;
    }
    let at = chunk.as_mut_ptr().with_addr(start).cast();
    // SAFETY: the range lies within `chunk`, and neither piece of advice changes content.
    unsafe { madvise(at, end - start, advice) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_changes_nothing() {
        for length in [0, 1, LARGE - 1, LARGE, CHUNK, CHUNK + 1] {
            let mut memory = vec![7; length];
            touch(&mut memory);
            assert!(memory.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn chunks_follow_each_other_to_the_end() {
        let memory = vec![0; 5 * CHUNK + 3];
        let mut filled = 0;
        let mut count = 0;
        while filled < memory.len() {
            let end = chunk_end(&memory, filled);
            assert!(end > filled && end - filled <= CHUNK);
            filled = end;
            count += 1;
        }
        assert_eq!(filled, memory.len());
        assert!((6..=7).contains(&count));
    }
}
