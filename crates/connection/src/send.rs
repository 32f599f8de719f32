//! Sending: parts one after the other, with descriptors beside the first byte.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use mp_os::descriptor::{self, Kind};
use mp_os::readiness::{self, Deadline, Interest};
use mp_os::socket;

use crate::Connection;

/// A pipe that is ready takes so many bytes without blocking (`PIPE_BUF`).
const READY_BYTES: usize = 4096;

/// The kernel takes at most so many parts in one call (`IOV_MAX`).
const PARTS: usize = 1024;

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Descriptors travel over Unix sockets only.
    #[error("descriptors can be sent over Unix sockets only")]
    NoDescriptors,
    /// What the kernel said.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// How many bytes of a large message a socket is given at a time. One of TCP takes no more without going to
/// and fro with its other end, and then that end would have little to do meanwhile.
const AT_ONCE: usize = 1 << 20;

impl Connection {
    /// Sends as much as is taken without blocking and returns how many bytes that was. Descriptors
    /// have gone with the first byte: they must be given again only when the answer is 0.
    ///
    /// # Errors
    /// `EPIPE` when nobody can read any more, and what else the kernel says.
    pub fn try_send(
        &mut self,
        parts: &mut [IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<usize, SendError> {
        self.send_while(parts, descriptors, |_, _| Ok(false))
    }

    /// Sends until all is sent or the deadline passes; the answer is how many bytes were sent.
    ///
    /// # Errors
    /// As [`Connection::try_send`].
    pub fn send(
        &mut self,
        parts: &mut [IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<usize, SendError> {
        self.send_while(parts, descriptors, |fd, _| {
            readiness::wait_one(fd, Interest::Writable, deadline)
        })
    }

    /// Sends; when the descriptor takes no more, `wait` decides whether to go on.
    fn send_while(
        &mut self,
        parts: &mut [IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        mut wait: impl FnMut(BorrowedFd<'_>, usize) -> io::Result<bool>,
    ) -> Result<usize, SendError> {
        if !descriptors.is_empty() && self.kind != Kind::Socket {
            return Err(SendError::NoDescriptors);
        }
        let mut rest = parts;
        // Leaves out parts that are empty from the start.
        IoSlice::advance_slices(&mut rest, 0);
        let mut sent = 0;
        while !rest.is_empty() {
            let beside = if sent == 0 { descriptors } else { &[] };
            match self.send_once(&rest[..rest.len().min(PARTS)], beside) {
                Ok(count) => {
                    sent += count;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait(self.as_fd(), sent)? {
                        break;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn send_once(
        &self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        match self.kind {
            Kind::Socket => match parts {
                [first, ..] if first.len() > AT_ONCE => {
                    let some = IoSlice::new(&first[..AT_ONCE]);
                    socket::send(self.as_fd(), &[some], descriptors)
                }
                _ => socket::send(self.as_fd(), parts, descriptors),
            },
            Kind::Stream => self.write_when_ready(parts),
        }
    }

    /// Whether a write to a pipe blocks is set where all its holders share it. So it is asked first,
    /// and then given no more than a ready pipe surely takes.
    fn write_when_ready(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let now = Deadline::after(Some(std::time::Duration::ZERO));
        if !readiness::wait_one(self.as_fd(), Interest::Writable, now)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let first = parts
            .iter()
            .find(|part| !part.is_empty())
            .map_or(&[][..], |part| part);
        if first.len() < READY_BYTES && parts.len() > 1 {
            let mut joined = Vec::with_capacity(READY_BYTES);
            for part in parts {
                let room = READY_BYTES - joined.len();
                joined.extend_from_slice(&part[..part.len().min(room)]);
            }
            return descriptor::write(self.as_fd(), &joined);
        }
        descriptor::write(self.as_fd(), &first[..first.len().min(READY_BYTES)])
    }
}
