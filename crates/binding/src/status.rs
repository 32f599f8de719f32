//! How an outcome becomes one number.
//!
//! | number | meaning |
//! |---|---|
//! | ≥ 0 | the result: a length, a count, a descriptor |
//! | -1 | not yet: it would have to wait, or the time is over |
//! | -2 | the other end is closed |
//! | -3 | a large message is ready, in memory of its own |
//! | -4 | the other end was closed inside a message |
//! | -5 | bad message length |
//! | -6 | descriptors cannot travel this way |
//! | -7 | no such handle |
//! | -8 | the fork server cannot fork |
//! | -9 | done, and nothing to wait for |
//! | -10 | done: a lock was taken over from a dead owner |
//! | -11 | it is not held, it is full, or it is broken |
//! | -12 | come again when what is under way has ended |
//! | -13 | SIGINT came |
//! | ≤ -1000 | the kernel's error number, minus 1000, negated |
//!
//! `src/native-status.ts` reads the same table.

use std::io;

use mp_connection::{ReceiveError, SendError};

/// Nothing can be had or given without waiting.
pub const NOT_YET: f64 = -1.0;
/// The other end is closed.
pub const END: f64 = -2.0;
/// A large message is ready.
pub const LARGE: f64 = -3.0;
/// The other end was closed inside a message.
pub const END_INSIDE_MESSAGE: f64 = -4.0;
/// The length is negative or more than is allowed.
pub const BAD_LENGTH: f64 = -5.0;
/// Descriptors travel over Unix sockets only.
pub const NO_DESCRIPTORS: f64 = -6.0;
/// The handle was closed or never was.
pub const NO_HANDLE: f64 = -7.0;

/// The fork server runs what does not survive a fork.
pub const REFUSED: f64 = -8.0;

/// Done, where every number from 0 on means something else.
pub const DONE: f64 = -9.0;
/// The lock's owner had died.
pub const TAKEN_OVER: f64 = -10.0;
/// The lock is not held, the semaphore is full, the barrier is broken.
pub const NOT_HELD: f64 = -11.0;
/// The barrier's action is running.
pub const BUSY: f64 = -12.0;
/// The user wants the program's attention.
pub const INTERRUPTED: f64 = -13.0;

const SYSTEM: i32 = 1000;

/// The number of a system error.
pub fn system(error: &io::Error) -> f64 {
    f64::from(-SYSTEM - error.raw_os_error().unwrap_or(libc::EIO))
}

/// The number of why nothing was received.
pub fn receive(error: &ReceiveError) -> f64 {
    match error {
        ReceiveError::NotYet => NOT_YET,
        ReceiveError::End => END,
        ReceiveError::EndInsideMessage => END_INSIDE_MESSAGE,
        ReceiveError::BadLength => BAD_LENGTH,
        ReceiveError::System(error) => system(error),
    }
}

/// The number of why nothing was sent.
pub fn send(error: &SendError) -> f64 {
    match error {
        SendError::NoDescriptors => NO_DESCRIPTORS,
        SendError::System(error) => system(error),
    }
}

/// The number of an outcome whose result is one itself.
pub fn of<T: Into<f64>>(outcome: io::Result<T>) -> f64 {
    match outcome {
        Ok(value) => value.into(),
        Err(error) => system(&error),
    }
}

/// The number of an outcome without a result.
pub fn of_unit(outcome: io::Result<()>) -> f64 {
    of(outcome.map(|()| 0))
}
