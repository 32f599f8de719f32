//! Queues: messages that any of several processes puts in, and any of several takes out, once.
//!
//! A queue is a piece of shared memory ([`layout`]): a ring of bytes, and two short critical sections, one
//! for those who put and one for those who take. Whoever is killed in one of them has changed nothing that
//! the others see: a state is written beside the one that counts, and then one word says that it counts
//! now ([`Ring`]).
//!
//! What does not fit the ring at once is kept in the process that puts it, where a thread brings it in as
//! there is room ([`Queue`]). A message larger than a good part of the ring passes through it in pieces;
//! whoever writes or reads one holds a lock meanwhile, by which the others know that it still lives.
//!
//! Nothing here knows about JavaScript.

pub mod blocking;
pub mod claims;
mod feeder;
mod large;
pub mod layout;
mod queue;
mod ring;
pub mod signal;
mod spin;

pub use large::{Lent, Memory, Reading, Step};
pub use queue::{Interest, Item, Put, Queue, Taken};
pub use ring::{Next, Ring, SHORT_SLEEP, Sleep};
