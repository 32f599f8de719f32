//! The addon's surface: `#[napi]` functions over integers and buffers, and nothing else.
//!
//! What can go wrong on a hot path is a negative number ([`status`]), not an exception: the facade turns
//! it into the documented error. All state belongs to the environment (the thread) that made it.

mod backing_store;
mod challenge;
mod connection;
mod descriptor;
mod direct;
mod environment;
mod event_loop;
mod external;
mod fork;
mod garbage;
mod heap;
mod identity;
mod known_buffers;
mod layout;
mod listener;
mod log;
mod manager_call;
mod memory_file;
mod pickle;
mod pool;
mod process;
mod queue;
mod resource_tracker;
mod shared_memory;
mod slab;
mod source;
mod stack;
mod status;
mod symbol;
mod synchronize;
mod wait_set;
mod waiter;
mod watcher;

use napi_derive::napi;

/// The addon's version.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
