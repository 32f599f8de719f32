//! The same names where there are no pidfds: every call says that it is not supported here.

use std::{ffi::CString, io, time::Duration};

#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{
    BorrowedHandle as BorrowedFd, OwnedHandle as OwnedFd, RawHandle as RawFd,
};

use super::ExitStatus;

/// A program to be started in a process of its own.
#[derive(Clone, Debug)]
pub struct Spawn<'a> {
    /// The path of the program.
    pub program: CString,
    /// The arguments.
    pub argv: Vec<CString>,
    /// The whole environment, each entry as `NAME=value`.
    pub env: Vec<CString>,
    /// The directory to start in.
    pub cwd: Option<CString>,
    /// What the child is given as 3, 4, 5, …
    pub inherit: &'a [RawFd],
    /// The signal the child gets when its parent ends.
    pub die_with_parent: Option<i32>,
}

/// A process that was started.
#[derive(Debug)]
pub struct Child {
    /// Its number.
    pub pid: i32,
    /// What stands for it.
    pub pidfd: OwnedFd,
}

/// What was being done when a process could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnStep {
    /// Looking through what was asked for, and making room for it.
    Prepare,
    /// Making the process.
    Clone,
    /// Tying its life to the parent's.
    DieWithParent,
    /// Putting an inherited descriptor in its place.
    Inherit,
    /// Opening the standard streams.
    StandardStreams,
    /// Closing what is not inherited.
    CloseDescriptors,
    /// Entering the working directory.
    ChangeDirectory,
    /// Executing the program.
    Execute,
}

impl SpawnStep {
    /// The system call that failed.
    #[must_use]
    pub fn syscall(self) -> &'static str {
        "spawn"
    }
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct SpawnError {
    /// What was being done.
    pub step: SpawnStep,
    /// What was being done, in words.
    pub action: String,
    /// What the system said.
    pub source: io::Error,
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        error.source
    }
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "processes are supported on Linux only, so far",
    )
}

/// Not supported on this system.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn spawn(request: &Spawn<'_>) -> Result<Child, SpawnError> {
    Err(SpawnError {
        step: SpawnStep::Prepare,
        action: format!("start {}", request.program.to_string_lossy()),
        source: unsupported(),
    })
}

/// Not supported on this system.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn open(_pid: i32) -> io::Result<OwnedFd> {
    Err(unsupported())
}

/// Not supported on this system.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn try_wait(_pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    Err(unsupported())
}

/// Not supported on this system.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn wait(_pidfd: BorrowedFd<'_>, _timeout: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    Err(unsupported())
}

/// Not supported on this system.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn is_running(_pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    Err(unsupported())
}

/// Not supported on this system.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn send_signal(_pidfd: BorrowedFd<'_>, _signal: i32) -> io::Result<()> {
    Err(unsupported())
}

/// What Ctrl-C does to a process that has not asked for anything else.
pub mod interrupt {
    use std::{ffi::c_int, io};

    /// A function without arguments that is safe to call in a signal handler.
    pub type ResetTerminal = extern "C" fn() -> c_int;

    /// Not supported on this system.
    ///
    /// # Errors
    ///
    /// Always `Unsupported`.
    pub fn raise_keyboard_interrupt_by_default(
        _banner: &str,
        _reset_terminal: Option<ResetTerminal>,
    ) -> io::Result<()> {
        Err(super::unsupported())
    }

    /// Does nothing on this system.
    pub fn ignore() {}
}

/// Ctrl-C in calls that block.
pub mod attention {
    use std::io;

    /// There is none here.
    pub enum Attention {}

    impl Attention {
        /// Nothing.
        ///
        /// # Errors
        /// None.
        pub fn begin() -> io::Result<Option<Self>> {
            Ok(None)
        }

        /// Never.
        pub fn is_wanted(&self) -> bool {
            match *self {}
        }
    }
}

/// Threads.
pub mod threads {
    /// 0: threads have no number here.
    #[must_use]
    pub fn gettid() -> i32 {
        0
    }

    /// False: it cannot be known here.
    #[must_use]
    pub fn is_main_thread() -> bool {
        false
    }

    /// Nothing: there are no signals here.
    pub fn block_signals() {}
}

/// Not outliving the parent.
pub mod watch {
    use std::{io, time::Duration};

    use super::OwnedFd;

    /// A running watch; there are none here.
    #[derive(Clone, Debug)]
    pub enum ParentWatch {}

    impl ParentWatch {
        /// This process has begun to leave by itself.
        pub fn exiting(&self) {
            match *self {}
        }

        /// Ends the watch.
        pub fn stop(&self) {
            match *self {}
        }
    }

    /// Not supported on this system.
    ///
    /// # Errors
    ///
    /// Always `Unsupported`.
    pub fn watch_parent(_read_end: OwnedFd, _grace: Duration) -> io::Result<ParentWatch> {
        Err(super::unsupported())
    }
}
