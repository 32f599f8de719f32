//! Duplicating this process.
//!
//! fork(2) gives the child a copy of this process's memory and descriptors and of one thread, the
//! calling one. What the other threads were about is left as it was at that instant, and never
//! goes on. So only a process that runs all of its program on one thread can be duplicated, and
//! what its other threads did for it has to be begun anew, or be done without, in the child.

use std::{io, os::fd::OwnedFd, ptr, time::Duration};

use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::{Child, fork_memory, threads};

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Fork {
    /// The one that was there before, and the other.
    Parent(Child),
    /// The new one.
    Child,
}

/// How long other threads have to come to rest.
const PATIENCE: Duration = Duration::from_secs(1);

/// Readies this process for being duplicated: [`fork_memory::carry_over`], once its other threads
/// have nothing to do.
///
/// # Errors
///
/// `WouldBlock` when they always have, and those of [`fork_memory::carry_over`].
pub fn prepare() -> io::Result<()> {
    rest()?;
    fork_memory::carry_over()
}

/// The same for a process that does nothing else from now on: a copy of it costs little, however
/// much memory it has; see [`fork_memory::keep_in_file`].
///
/// # Errors
///
/// Those of [`prepare`].
pub fn prepare_for_many() -> io::Result<()> {
    rest()?;
    fork_memory::keep_in_file()?;
    fork_memory::carry_over()
}

fn rest() -> io::Result<()> {
    if threads::others_sleep(PATIENCE)? {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EAGAIN))
    }
}

/// Duplicates this process. Standard input of the child is `/dev/null`; it has all other
/// descriptors, its own copies of them.
///
/// # Errors
///
/// `EAGAIN` at the limit of processes, `ENOMEM`, and `EMFILE` when there is no descriptor for the
/// pidfd; there is no child then.
///
/// # Safety
///
/// Other threads are not in the child. The caller sees to it that nothing it does in the child
/// waits for one of them, or needs what one of them was holding.
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: as the caller has promised. The C library holds its own locks over it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            empty_standard_input();
            Ok(Fork::Child)
        }
        pid => Ok(Fork::Parent(Child {
            pid,
            pidfd: pidfd_of(pid)?,
        })),
    }
}

/// A child without a pidfd could neither be waited for nor signalled, so it is not to be.
fn pidfd_of(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: fork(2) gave a positive number.
    let named = unsafe { Pid::from_raw_unchecked(pid) };
    pidfd_open(named, PidfdFlags::empty()).map_err(|error| {
        // SAFETY: these touch no memory; the child has not been collected, so the number is its.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, ptr::null_mut(), 0);
        }
        error.into()
    })
}

/// A pidfd of this process itself.
///
/// # Errors
///
/// `EMFILE` or `ENFILE` when there are no descriptors left.
pub fn own_pidfd() -> io::Result<OwnedFd> {
    Ok(pidfd_open(getpid(), PidfdFlags::empty())?)
}

fn empty_standard_input() {
    // SAFETY: the path is a literal, and the descriptors are this process's own. Should it fail,
    // standard input is what it was.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if null > libc::STDIN_FILENO {
            libc::dup2(null, libc::STDIN_FILENO);
            libc::close(null);
        }
    }
}
