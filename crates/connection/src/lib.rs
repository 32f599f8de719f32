//! Messages over a descriptor, as CPython's `Connection` has them: a length, then so many bytes.
//!
//! A [`Connection`] never reads past the message it is asked for: what follows stays in the kernel,
//! where `poll` sees it and where another process that holds the same end finds it. A message that has
//! come in part is kept until the rest has, so a receive that ran out of time loses nothing.
//!
//! Nothing here blocks unless its name or its deadline says so, and nothing here knows about JavaScript.

mod receive;
mod send;
mod spin;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mp_os::descriptor::{self, Kind};

pub use receive::{ReceiveError, Received};
pub use send::SendError;

/// One end of a channel of messages.
pub struct Connection {
    fd: OwnedFd,
    kind: Kind,
    incoming: receive::Incoming,
    spin: spin::Spin,
}

impl Connection {
    /// Takes over a descriptor: a socket, a pipe, a FIFO, a terminal.
    ///
    /// # Errors
    /// What `fstat(2)` gives.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let kind = descriptor::kind(fd.as_fd())?;
        Ok(Self {
            fd,
            kind,
            incoming: receive::Incoming::default(),
            spin: spin::Spin::default(),
        })
    }

    /// Gives the descriptor back; a message that has come in part is lost.
    pub fn into_descriptor(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
