//! Processes: starting them, waiting for them, ending them, and being one.

use std::ffi::{CString, c_int};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::IntoRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mp_os::descriptor;
use mp_os::process::watch::{ParentWatch, watch_parent};
use mp_os::process::{self as os, ExitStatus, Spawn, interrupt, threads};
use napi::{Error, Result};
use napi_derive::napi;

use crate::{heap, status};

static WATCH: Mutex<Option<ParentWatch>> = Mutex::new(None);

unsafe extern "C" {
    fn uv_tty_reset_mode() -> c_int;
}

/// What to start.
#[napi(object)]
pub struct SpawnRequest {
    /// The path of the executable.
    pub program: String,
    /// Its arguments, the program's name first.
    pub argv: Vec<String>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<String>,
    /// Its working directory, if not this process's.
    pub cwd: Option<String>,
    /// Descriptors of this process that are 3, 4, 5, … in the child.
    pub inherit: Vec<i32>,
    /// The signal the child gets when the calling thread ends.
    pub die_with_parent: Option<i32>,
}

/// What was started, or why nothing was.
#[napi(object)]
pub struct SpawnOutcome {
    /// The child's process id; 0 when there is none.
    pub pid: i32,
    /// A descriptor that becomes readable when the child ends; -1 when there is none.
    pub pidfd: i32,
    /// What failed, in words.
    pub failure: Option<String>,
    /// The system call that failed.
    pub syscall: Option<String>,
    /// The kernel's error number.
    pub errno: Option<i32>,
}

/// Starts a process; blocks until the program runs or has failed to.
#[napi]
pub fn spawn_process(request: SpawnRequest) -> Result<SpawnOutcome> {
    let spawn = Spawn {
        program: c_string(request.program)?,
        argv: c_strings(request.argv)?,
        env: c_strings(request.env)?,
        cwd: request.cwd.map(c_string).transpose()?,
        inherit: &request.inherit,
        die_with_parent: request.die_with_parent,
    };
    Ok(match os::spawn(&spawn) {
        Ok(child) => SpawnOutcome {
            pid: child.pid,
            pidfd: child.pidfd.into_raw_fd(),
            failure: None,
            syscall: None,
            errno: None,
        },
        Err(error) => SpawnOutcome {
            pid: 0,
            pidfd: -1,
            failure: Some(error.to_string()),
            syscall: Some(error.step.syscall().to_owned()),
            errno: error.source.raw_os_error(),
        },
    })
}

/// Collects a child's exit code, without blocking: the code, the signal's number negated, or null while
/// it runs.
#[napi]
pub fn collect_process(pidfd: i32) -> Result<Option<i32>> {
    let status = descriptor::borrow(pidfd)
        .and_then(os::try_wait)
        .map_err(reason)?;
    Ok(status.map(exit_code))
}

/// The exit code of a child that has just been found to have ended.
pub fn exit_code(status: ExitStatus) -> i32 {
    heap::child_ended();
    status.code()
}

/// Sends a signal: 0 or a status.
#[napi]
pub fn signal_process(pidfd: i32, signal: i32) -> f64 {
    status::of_unit(descriptor::borrow(pidfd).and_then(|fd| os::send_signal(fd, signal)))
}

/// Lets SIGINT end this process with exit code 1 after writing a banner to stderr, as an uncaught
/// `KeyboardInterrupt` does, unless the program listens for it.
#[napi]
pub fn raise_keyboard_interrupt_by_default(banner: String) -> f64 {
    extern "C" fn reset_terminal() -> c_int {
        // SAFETY: libuv documents this function as safe in a signal handler; it takes no arguments.
        unsafe { uv_tty_reset_mode() }
    }
    status::of_unit(interrupt::raise_keyboard_interrupt_by_default(
        &banner,
        Some(reset_terminal),
    ))
}

/// SIGINT does nothing to this process any more, unless it listens for it.
#[napi]
pub fn ignore_interrupts() {
    interrupt::ignore();
}

/// Ends this process when the other end of a descriptor is closed: SIGTERM, and after so many
/// milliseconds SIGKILL.
#[napi]
pub fn end_with_parent(fd: i32, grace: u32) -> f64 {
    let watched = descriptor::adopt(fd)
        .and_then(|fd| watch_parent(fd, Duration::from_millis(grace.into())))
        .map(|watch| *parent_watch() = Some(watch));
    status::of_unit(watched)
}

/// This process has begun to end by itself: a parent that ends now does not cut it short.
#[napi]
pub fn process_is_exiting() {
    if let Some(watch) = parent_watch().as_ref() {
        watch.exiting();
    }
}

/// The watch over this process's parent, if there is one.
fn parent_watch() -> std::sync::MutexGuard<'static, Option<ParentWatch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that nobody can foresee, not 0, for a generator that needs no secret.
#[napi]
pub fn random_seed() -> i32 {
    let mut bytes = [0; 4];
    // Without the kernel's (it is not to fail) the time is at least another one in each process.
    if mp_os::random::fill(&mut bytes).is_err() {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        bytes = since.subsec_nanos().to_ne_bytes();
    }
    i32::from_ne_bytes(bytes) | 1
}

/// A number that tells two states of this process's environment apart.
#[napi]
pub fn environment_hash() -> f64 {
    let mut hasher = DefaultHasher::new();
    for entry in std::env::vars_os() {
        entry.hash(&mut hasher);
    }
    // A double holds so many bits exactly.
    (hasher.finish() >> 11) as f64
}

/// The kernel's number of this process.
#[napi]
pub fn process_id() -> u32 {
    std::process::id()
}

/// The kernel's number of the calling thread.
#[napi]
pub fn thread_id() -> i32 {
    threads::gettid()
}

/// Whether the calling thread is the process's first.
#[napi]
pub fn is_main_thread() -> bool {
    threads::is_main_thread()
}

fn c_string(text: String) -> Result<CString> {
    CString::new(text).map_err(|error| {
        Error::from_reason(format!(
            "{:?} holds a NUL",
            error.into_vec().escape_ascii().to_string()
        ))
    })
}

fn c_strings(texts: Vec<String>) -> Result<Vec<CString>> {
    texts.into_iter().map(c_string).collect()
}

pub(crate) fn reason(error: std::io::Error) -> Error {
    Error::from_reason(error.to_string())
}
