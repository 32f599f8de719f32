//! What processes wait for one another with: a lock, a semaphore, a condition, an event, a barrier.
//!
//! Each is a few words in memory that all of them map, and some rules for changing them. A rule never
//! sleeps: it is a *step*, which either has what was wanted, or says on which word to sleep and while it
//! has which value. Whoever sleeps, in whatever way, makes the step again afterwards; [`blocking`] does
//! so with a thread.
//!
//! Any process may be killed between any two changes of a word. So nobody relies on being woken: a sleep
//! lasts [`LONGEST_SLEEP`] at most, and then the step is made again. A waker that was killed costs time,
//! never more.
//!
//! The words are atomics behind a [`Word`], and the kernel is behind a [`Kernel`], so that the rules can
//! be checked under all orders of events that matter (see `tests/models.rs`).

mod barrier;
mod bias;
pub mod blocking;
mod condition;
mod event;
mod lock;
mod semaphore;
mod word;

use std::time::Duration;

pub use barrier::{Arrival, BARRIER_MEMBERS, BARRIER_WORDS, Barrier, Passage};
pub use bias::BIASED;
pub use condition::{Condition, Look, Ticket};
pub use event::Event;
pub use lock::{Acquired, CONTENDED, Lock, NotHeld, RESERVED, TAG, Waiter};
pub use semaphore::{Semaphore, TooMany, VALUE_MAX};
pub use word::{Kernel, Sleep, Wake, Word};

/// How long anybody sleeps before looking again.
pub const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How long somebody sleeps who wants what is reserved for those who have waited longer; and how long one
/// has waited who has waited long.
pub const LONG_WAIT: Duration = Duration::from_millis(1);
