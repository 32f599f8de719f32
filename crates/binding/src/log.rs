//! The engine's lines on their way into the facade's logger.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};

use mp_os::wake_up::WakeUp;
use napi_derive::napi;

use crate::status;

/// What the thread that listens is called with; it stays open as long as anybody may watch it.
static CALLS: Mutex<Option<Arc<WakeUp>>> = Mutex::new(None);

/// A line of the log.
#[napi(object)]
pub struct LogLine {
    /// Its level, as the logger's.
    pub level: u32,
    /// The message.
    pub message: String,
}

/// Lines of this level and above are kept from now on. Returns a descriptor that is readable while there
/// are some, which belongs to the engine, or a status. A copy of a process must ask again.
#[napi]
pub fn listen_to_log(level: u32) -> f64 {
    let calls = match WakeUp::new() {
        Ok(calls) => Arc::new(calls),
        Err(error) => return status::system(&error),
    };
    let descriptor = calls.as_fd().as_raw_fd();
    let caller = Arc::clone(&calls);
    mp_log::listen(Some(level), Some(Box::new(move || caller.call())));
    *CALLS.lock().unwrap_or_else(PoisonError::into_inner) = Some(calls);
    f64::from(descriptor)
}

/// No lines are kept any more. Whoever watches the descriptor must have stopped.
#[napi]
pub fn ignore_log() {
    mp_log::listen(None, None);
    *CALLS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The lines that wait.
#[napi]
pub fn take_log_lines() -> Vec<LogLine> {
    if let Some(calls) = &*CALLS.lock().unwrap_or_else(PoisonError::into_inner) {
        calls.hear();
    }
    let lines = mp_log::take();
    lines
        .into_iter()
        .map(|line| LogLine {
            level: line.level,
            message: line.message,
        })
        .collect()
}
