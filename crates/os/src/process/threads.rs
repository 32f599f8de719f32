//! Threads, as the kernel numbers them.

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

/// The number of the calling thread, unique in the system while the thread lives; on the main
/// thread it equals the number of the process.
#[must_use]
pub fn gettid() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Whether the calling thread is the one the process started with.
#[must_use]
pub fn is_main_thread() -> bool {
    gettid() == rustix::process::getpid().as_raw_nonzero().get()
}

/// No signal that is sent to the process is handled on the calling thread.
pub fn block_signals() {
    // SAFETY: all zeros is a set, which is filled before it is used; the call changes this thread only.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// Waits until all other threads of this process sleep, at most so long; says whether they do.
///
/// A thread that sleeps is not in the middle of something. What it waits for may come at any time,
/// of course, unless it is this thread that it comes from.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn others_sleep(patience: Duration) -> io::Result<bool> {
    let end = Instant::now() + patience;
    while !all_sleep()? {
        if Instant::now() >= end {
            return Ok(false);
        }
        thread::sleep(Duration::from_micros(100));
    }
    Ok(true)
}

fn all_sleep() -> io::Result<bool> {
    let own = gettid().to_string();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if task.file_name().to_str() == Some(own.as_str()) {
            continue;
        }
        // One that cannot be read has just ended.
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The name stands in parentheses, and may hold some.
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes());
        if state
            .and_then(<[u8]>::first)
            .is_some_and(|state| *state == b'R' || *state == b'D')
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_busy_thread_does_not_sleep() {
        static STOP: AtomicBool = AtomicBool::new(false);
        let busy = thread::spawn(|| {
            while !STOP.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        assert!(!others_sleep(Duration::from_millis(20)).unwrap());
        STOP.store(true, Ordering::Relaxed);
        busy.join().unwrap();
    }
}
