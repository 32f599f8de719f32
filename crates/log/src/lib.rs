//! What the engine says of itself. Any thread may say something; the facade's logger takes the lines, with
//! its own, when it is told that there are some.
//!
//! While nobody listens a line costs one load of a word, and is not even put together. Saying something
//! never blocks, as who is about to be copied may hold the lock: a line that comes in between is lost.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// The logger's level DEBUG.
pub const DEBUG: u32 = 10;
/// The logger's level INFO.
pub const INFO: u32 = 20;

/// Nothing has this level.
const OFF: u32 = u32::MAX;
/// The most lines that wait to be taken. Then the oldest are lost.
const MOST: usize = 1024;
/// How often a lock is tried that somebody else has.
const TRIES: usize = 100;

/// Written by the facade, read by whoever might say something. Nothing else depends on when it is seen.
static LEVEL: AtomicU32 = AtomicU32::new(OFF);
static LINES: Mutex<Lines> = Mutex::new(Lines {
    waiting: VecDeque::new(),
    call: None,
});

/// A line, and what level it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The level.
    pub level: u32,
    /// The process that has said it; a copy of it inherits what was not taken.
    pub process: u32,
    /// The message.
    pub message: String,
}

type Call = Box<dyn Fn() + Send>;

struct Lines {
    waiting: VecDeque<Line>,
    call: Option<Call>,
}

/// Whether anybody wants to know of what has this level.
#[must_use]
pub fn is_enabled(level: u32) -> bool {
    level >= LEVEL.load(Ordering::Relaxed)
}

/// From now on lines of this level and above are kept, none without a level. `call` is called whenever there
/// are some where there were none, by the thread that says something; it must not block.
pub fn listen(level: Option<u32>, call: Option<Call>) {
    if let Some(mut lines) = lock() {
        lines.call = call;
        LEVEL.store(level.unwrap_or(OFF), Ordering::Relaxed);
    }
}

/// The lines that wait, of this process.
#[must_use]
pub fn take() -> Vec<Line> {
    let all = lock().map(|mut lines| std::mem::take(&mut lines.waiting));
    let own = std::process::id();
    all.into_iter()
        .flatten()
        .filter(|line| line.process == own)
        .collect()
}

/// Keeps a line; see [`debug!`].
pub fn say(level: u32, message: String) {
    let Some(mut lines) = lock() else { return };
    if lines.waiting.len() == MOST {
        lines.waiting.pop_front();
    }
    lines.waiting.push_back(Line {
        level,
        process: std::process::id(),
        message,
    });
    if lines.waiting.len() == 1
        && let Some(call) = &lines.call
    {
        call();
    }
}

fn lock() -> Option<MutexGuard<'static, Lines>> {
    for _ in 0..TRIES {
        match LINES.try_lock() {
            Ok(lines) => return Some(lines),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

/// Says something with level DEBUG, if anybody wants to know; the arguments are those of `format!`.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)*) => {
        if $crate::is_enabled($crate::DEBUG) {
            $crate::say($crate::DEBUG, format!($($argument)*));
        }
    };
}

/// The same with level INFO.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => {
        if $crate::is_enabled($crate::INFO) {
            $crate::say($crate::INFO, format!($($argument)*));
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn messages() -> Vec<String> {
        take().into_iter().map(|line| line.message).collect()
    }

    /// One test, as there is one log.
    #[test]
    fn lines_are_kept_while_somebody_listens() {
        debug!("nobody {}", "listens");
        assert!(messages().is_empty());

        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let call: Call = Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        listen(Some(INFO), Some(call));
        assert!(!is_enabled(DEBUG));
        debug!("too fine");
        info!("number {}", 1);
        info!("number {}", 2);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(messages(), ["number 1", "number 2"]);
        info!("number {}", 3);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(messages(), ["number 3"]);

        for number in 0..2 * MOST {
            info!("{number}");
        }
        let kept = messages();
        assert_eq!((kept.len(), kept[0].as_str()), (MOST, "1024"));

        // A thread that never gets the lock goes on.
        info!("before");
        let held = LINES.lock().unwrap();
        std::thread::spawn(|| info!("lost")).join().unwrap();
        drop(held);
        assert_eq!(messages(), ["before"]);

        listen(None, None);
        info!("nobody again");
        assert!(messages().is_empty());
    }
}
