//! Memory barriers on all processors at once.
//!
//! Two threads that each write a word and then read the other's both need a barrier in between, or both
//! may read what was there before. One that does this all the time and one that hardly ever does can share
//! the cost otherwise: the one does without, and the other has the kernel make a barrier wherever the one
//! may run.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// The process that takes part, and the one that has asked to. A copy of a process has another number, and
/// asks anew.
static TAKES_PART: AtomicU32 = AtomicU32::new(0);
static HAS_ASKED: AtomicU32 = AtomicU32::new(0);

/// Whether barriers that other processes, or other threads, make [`everywhere`] are made where this process
/// runs, too. The first time it sees to it that they soon are; that takes the kernel some milliseconds,
/// which a thread waits for. Never where the kernel has no such barriers (before Linux 4.16).
#[must_use]
pub fn takes_part() -> bool {
    let this = std::process::id();
    if TAKES_PART.load(SeqCst) == this {
        return true;
    }
    if HAS_ASKED.swap(this, SeqCst) != this {
        let ask = move || {
            if sys::take_part() {
                TAKES_PART.store(this, SeqCst);
            }
        };
        // Without a thread it does not take part.
        let _ = thread::Builder::new()
            .name("mp-barrier".into())
            .stack_size(STACK)
            .spawn(ask);
    }
    false
}

const STACK: usize = 64 << 10;

/// Makes a barrier wherever a process runs that [`takes_part`]: what its threads have written before, everybody
/// sees when this returns; and what was written before this was called, they see from then on.
pub fn everywhere() {
    if !sys::everywhere() {
        // Somebody may take part, and this process may not ask. No processor keeps a write to itself for as
        // long as this.
        thread::sleep(LONG);
    }
}

const LONG: Duration = Duration::from_millis(20);

#[cfg(target_os = "linux")]
mod sys {
    use rustix::thread::{MembarrierCommand, membarrier};

    pub(super) fn take_part() -> bool {
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
    }

    pub(super) fn everywhere() -> bool {
        membarrier(MembarrierCommand::GlobalExpedited).is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    pub(super) fn take_part() -> bool {
        false
    }

    /// Nobody takes part, so there is nothing to do.
    pub(super) fn everywhere() -> bool {
        true
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_soon_takes_part() {
        if !sys::everywhere() {
            return;
        }
        let begin = Instant::now();
        while !takes_part() {
            assert!(begin.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
        everywhere();
    }

    /// Each of two threads writes a word and reads the other's. One of them sees the other's write, though
    /// only one of them makes a barrier.
    #[test]
    fn one_barrier_does_for_both() {
        if !sys::everywhere() {
            return;
        }
        while !takes_part() {
            thread::sleep(Duration::from_millis(1));
        }
        use std::sync::atomic::Ordering::Relaxed;
        use std::sync::{Arc, Barrier, atomic::compiler_fence};
        const ROUNDS: usize = 20_000;
        let words: Arc<Vec<[AtomicU32; 2]>> = Arc::new(
            (0..ROUNDS)
                .map(|_| [AtomicU32::new(0), AtomicU32::new(0)])
                .collect(),
        );
        let start = Arc::new(Barrier::new(2));
        let fast = {
            let (words, start) = (Arc::clone(&words), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let saw = |[mine, theirs]: &[AtomicU32; 2]| {
                    mine.store(1, Relaxed);
                    compiler_fence(SeqCst);
                    theirs.load(Relaxed)
                };
                words.iter().map(saw).collect::<Vec<_>>()
            })
        };
        start.wait();
        let saw = |[theirs, mine]: &[AtomicU32; 2]| {
            mine.store(1, Relaxed);
            everywhere();
            theirs.load(Relaxed)
        };
        let slow: Vec<_> = words.iter().map(saw).collect();
        for (fast, slow) in fast.join().unwrap().into_iter().zip(slow) {
            assert!(fast == 1 || slow == 1);
        }
    }
}
