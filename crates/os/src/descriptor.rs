//! File descriptors: what kind they are, copies of them, and whether a new program inherits them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::FileType;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::process::{Resource, getrlimit};

/// What a descriptor refers to, as far as reading and writing messages cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A socket: single calls can be made not to block, and a Unix one carries descriptors.
    Socket,
    /// A pipe, a FIFO, a terminal, a file: whether a call blocks is a property of the shared
    /// description, which is not ours to change.
    Stream,
}

/// How many descriptors this process may have open at a time (`RLIMIT_NOFILE`).
pub fn most() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Borrows a descriptor given as a number, after asking the kernel whether it is open.
///
/// # Errors
/// `EBADF` when it is not.
pub fn borrow<'a>(fd: RawFd) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is not -1. Whether it is open is checked on the next line; a descriptor that
    // another part of the program closes later makes calls fail with EBADF, it breaks no memory.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl_getfd(borrowed)?;
    Ok(borrowed)
}

/// Takes over a descriptor given as a number, after asking the kernel whether it is open.
///
/// # Errors
/// `EBADF` when it is not.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    borrow(fd)?;
    // SAFETY: the descriptor is open, and the caller hands over its ownership: that is what the
    // function is for.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes a descriptor given as a number.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn close(fd: RawFd) -> io::Result<()> {
    adopt(fd).map(drop)
}

/// A copy of the descriptor that no new program inherits.
///
/// # Errors
/// `EMFILE` when the process may open no more.
pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, 3)?)
}

/// Makes the descriptor end with this program: a program started later does not inherit it.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn set_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fcntl_setfd(fd, FdFlags::CLOEXEC)?)
}

/// Tells a socket from everything else.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    let file_type = FileType::from_raw_mode(rustix::fs::fstat(fd.as_fd())?.st_mode);
    Ok(if file_type == FileType::Socket {
        Kind::Socket
    } else {
        Kind::Stream
    })
}

/// Reads what is there; 0 is the end.
///
/// # Errors
/// What `read(2)` gives.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd, buffer)?)
}

/// Writes as much as is taken.
///
/// # Errors
/// What `write(2)` gives.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, bytes)?)
}

/// Does something with a descriptor that may change its status flags, and puts them back: whether it
/// blocks is the affair of all who share it.
pub fn keeping_status_flags<T>(fd: BorrowedFd<'_>, action: impl FnOnce() -> T) -> T {
    let flags = rustix::fs::fcntl_getfl(fd);
    let outcome = action();
    if let Ok(flags) = flags {
        // It worked a moment ago, with the same flags.
        let _ = rustix::fs::fcntl_setfl(fd, flags);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn numbers_that_are_not_open_are_refused() {
        for fd in [-1, i32::MAX] {
            assert_eq!(borrow(fd).unwrap_err().raw_os_error(), Some(libc::EBADF));
            assert_eq!(close(fd).unwrap_err().raw_os_error(), Some(libc::EBADF));
        }
    }

    #[test]
    fn a_duplicate_outlives_its_original() {
        let (left, right) = crate::socket::pair().unwrap();
        let copy = duplicate(left.as_fd()).unwrap();
        drop(left);
        rustix::io::write(&right, b"x").unwrap();
        let mut byte = [0];
        assert_eq!(rustix::io::read(&copy, &mut byte).unwrap(), 1);
        assert!(fcntl_getfd(&copy).unwrap().contains(FdFlags::CLOEXEC));
    }

    #[test]
    fn sockets_are_told_from_pipes() {
        let (socket, _peer) = crate::socket::pair().unwrap();
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(kind(socket.as_fd()).unwrap(), Kind::Socket);
        assert_eq!(kind(reader.as_fd()).unwrap(), Kind::Stream);
        assert!(reader.as_raw_fd() > 2);
    }
}
