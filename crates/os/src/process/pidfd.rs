//! What can be asked of, and done to, a process through its pidfd.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid},
};

use super::ExitStatus;

/// Opens a pidfd (close-on-exec) for the running process `pid`, child of ours or not.
///
/// # Errors
///
/// `InvalidInput` when `pid` is not positive; `ESRCH` when there is no such process.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = match pid {
        1.. => Pid::from_raw(pid),
        _ => None,
    }
    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no process")))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Collects the exit status of a child if it has ended; never blocks.
///
/// `None` while the process runs. [`ExitStatus::Unknown`] when it has ended and is not ours to
/// wait for (any more): it was never our child, or somebody else collected the status.
///
/// # Errors
///
/// `EBADF` or `EINVAL` when `pidfd` is no pidfd.
pub fn try_wait(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    match waitid(
        WaitId::PidFd(pidfd),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    ) {
        Ok(status) => Ok(status.map(|status| translate(&status))),
        Err(Errno::CHILD) if is_running(pidfd)? => Ok(None),
        Err(Errno::CHILD) => Ok(Some(ExitStatus::Unknown)),
        Err(error) => Err(error.into()),
    }
}

/// Blocks this thread until the process has ended or `timeout` has passed, then does what
/// [`try_wait`] does. Without a timeout it waits for ever. Signals do not cut the wait short.
///
/// # Errors
///
/// Those of [`try_wait`].
pub fn wait(pidfd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    // A deadline beyond what a clock can say is no deadline.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match ended_within(pidfd, left) {
            Ok(_) => return try_wait(pidfd),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the process still runs; works for processes that are not our children, and leaves the
/// status of one that is for [`try_wait`].
///
/// # Errors
///
/// `EBADF` when the descriptor is closed.
pub fn is_running(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    loop {
        match ended_within(pidfd, Some(Duration::ZERO)) {
            Ok(ended) => return Ok(!ended),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends `signal` to the process; 0 only asks whether it could be sent.
///
/// A process that has ended but whose status nobody has collected yet takes it without effect.
///
/// # Errors
///
/// `ESRCH` when the process is gone, `EPERM` when it belongs to somebody else, `EINVAL` when
/// there is no such signal.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: pidfd_send_signal(2) reads no memory when `info` is null, and the descriptor is
    // borrowed for the length of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0_u32,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A pidfd is readable once its process has ended, and for ever after.
fn ended_within(pidfd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool, Errno> {
    // A duration of more seconds than the kernel counts is as good as none.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut waited = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    poll(&mut waited, timeout.as_ref())?;
    let seen = waited[0].revents();
    if seen.contains(PollFlags::NVAL) {
        Err(Errno::BADF)
    } else {
        Ok(!seen.is_empty())
    }
}

fn translate(status: &WaitIdStatus) -> ExitStatus {
    if let Some(code) = status.exit_status() {
        ExitStatus::Exited(code)
    } else if let Some(signal) = status.terminating_signal() {
        ExitStatus::Signaled(signal)
    } else {
        ExitStatus::Unknown
    }
}
