//! Connecting to those who listen.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, connect as connect_to, socket_with, sockopt};

use crate::address::{self, Address};
use crate::listener::prepare;

/// A connection that is there, or will be.
#[derive(Debug)]
pub enum Connecting {
    /// It is there.
    Done(OwnedFd),
    /// When it can be written to, [`finish`] says what has become of it.
    UnderWay(OwnedFd),
}

/// Connects, without blocking.
///
/// # Errors
/// `ECONNREFUSED` or `ENOENT` when nobody listens; `EAGAIN` when a Unix socket's line is full: it has to be
/// tried again, as there is nothing to wait for.
pub fn connect(to: &Address) -> io::Result<Connecting> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(to.family(), SocketType::STREAM, flags, None)?;
    prepare(socket.as_fd(), to);
    let outcome = match to {
        Address::Inet(address) => connect_to(&socket, address),
        Address::Unix(name) => connect_to(&socket, &address::unix(name)?),
    };
    match outcome {
        Ok(()) => {
            make_blocking(socket.as_fd())?;
            Ok(Connecting::Done(socket))
        }
        // A signal does not keep the kernel from going on.
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(Connecting::UnderWay(socket)),
        Err(error) => Err(error.into()),
    }
}

/// What has become of a connection that was under way.
///
/// # Errors
/// Why it could not be made.
pub fn finish(socket: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::socket_error(socket)??;
    make_blocking(socket)
}

/// As descriptors are by custom; whoever is given one may rely on it.
fn make_blocking(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = fcntl_getfl(socket)?;
    Ok(fcntl_setfl(socket, flags - OFlags::NONBLOCK)?)
}
