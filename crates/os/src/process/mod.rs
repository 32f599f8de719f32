//! Processes: starting, watching, signalling and outliving (or not) one another.
//!
//! A process is held by a *pidfd* wherever the kernel has them: it cannot be confused with a
//! later process of the same number, and it is readable from the moment the process ends, so it
//! is also what a sentinel is. Everything here needs Linux 5.4 or newer; on other systems the
//! same functions exist and return [`std::io::ErrorKind::Unsupported`].

pub mod signals;

#[cfg(target_os = "linux")]
pub mod attention;
mod detached;

#[cfg(target_os = "linux")]
mod exit;
#[cfg(target_os = "linux")]
pub mod footprint;
#[cfg(target_os = "linux")]
pub mod fork;
#[cfg(target_os = "linux")]
pub mod fork_memory;
#[cfg(target_os = "linux")]
pub mod fork_server;
#[cfg(target_os = "linux")]
pub mod interrupt;
#[cfg(target_os = "linux")]
mod memory_range;
#[cfg(target_os = "linux")]
mod pidfd;
#[cfg(target_os = "linux")]
mod spawn;
#[cfg(target_os = "linux")]
pub mod threads;
#[cfg(target_os = "linux")]
pub mod watch;

#[cfg(target_os = "linux")]
pub use self::{
    detached::detach,
    exit::ExitStatus,
    pidfd::{is_running, open, send_signal, try_wait, wait},
    spawn::{Child, Spawn, SpawnError, SpawnStep, spawn},
};

#[cfg(not(target_os = "linux"))]
mod exit;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub use self::{
    exit::ExitStatus,
    unsupported::{
        Child, Spawn, SpawnError, SpawnStep, attention, interrupt, is_running, open, send_signal,
        spawn, threads, try_wait, wait, watch,
    },
};
