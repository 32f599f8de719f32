//! The only crate that talks to the kernel: descriptors, sockets, readiness, memory, processes.
//!
//! One file per concept of the operating system. Nothing here knows what the bytes mean, and nothing
//! here knows that JavaScript exists.

pub mod address;
pub mod barrier;
pub mod client;
pub mod descriptor;
pub mod executable;
pub mod file_lock;
pub mod fresh_memory;
pub mod futex;
pub mod handed_memory;
pub mod listener;
pub mod mapping;
pub mod memory_file;
pub mod named_memory;
pub mod pipe;
pub mod process;
pub mod publication;
pub mod random;
pub mod readiness;
pub mod robust_mutex;
pub mod shared_file;
pub mod shared_memory;
pub mod socket;
pub mod spin_budget;
pub mod wait_set;
pub mod wake_up;
