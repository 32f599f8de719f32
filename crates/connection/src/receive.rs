//! Receiving: one message at a time, whole, however many pieces it comes in.
//!
//! A message that fits the caller's scratch buffer is received there. For a longer one the caller is
//! told its length, makes room, and fills that in as many steps and parts as it likes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mp_os::descriptor::{self, Kind};
use mp_os::fresh_memory;
use mp_os::readiness::{self, Deadline, Interest};
use mp_os::socket;
use mp_wire::framing::{self, LengthReader, Progress};

use crate::Connection;

/// How long one looks who reads ahead. The other side serves many: an answer that takes longer waits behind
/// those of others, who need the processor.
const GLANCE: std::time::Duration = std::time::Duration::from_micros(25);

/// Why no message can be had.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// None has come yet; what has come of one is kept.
    #[error("no message has come yet")]
    NotYet,
    /// The other end is closed and nothing is left.
    #[error("the other end is closed")]
    End,
    /// The other end was closed inside a message.
    #[error("got end of file during message")]
    EndInsideMessage,
    /// The length is negative or more than is allowed. The bytes that follow cannot be told apart from
    /// the next message, so nothing can be received any more.
    #[error("bad message length")]
    BadLength,
    /// What the kernel said.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// In the first so many bytes of the caller's scratch buffer.
    Small(usize),
    /// Still to come, so many bytes: [`Connection::fill`] takes them.
    Large(u64),
}

/// What has come of the next message.
pub(crate) struct Incoming {
    length: LengthReader,
    /// The beginning of a small message, its first `filled` bytes.
    part: Vec<u8>,
    filled: usize,
    /// How many bytes of a large message have been taken.
    taken: u64,
    descriptors: Vec<OwnedFd>,
    broken: bool,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            length: any_length(),
            part: Vec::new(),
            filled: 0,
            taken: 0,
            descriptors: Vec::new(),
            broken: false,
        }
    }
}

impl Connection {
    /// Receives a message if one can be had without waiting. One that does not fit `scratch` is only
    /// announced, and announced again until it has been filled in.
    ///
    /// # Errors
    /// [`ReceiveError`]; a message longer than `maximum` is a bad length.
    pub fn try_receive(
        &mut self,
        scratch: &mut [u8],
        maximum: u64,
    ) -> Result<Received, ReceiveError> {
        let length = self.receive_length()?;
        if length > maximum {
            return Err(self.break_off());
        }
        match usize::try_from(length) {
            Ok(size) if size <= scratch.len() => {
                self.receive_small(&mut scratch[..size])?;
                self.incoming.length = any_length();
                Ok(Received::Small(size))
            }
            _ => Ok(Received::Large(length)),
        }
    }

    /// Receives a message, waiting for it until the deadline, awake at first.
    ///
    /// # Errors
    /// As [`Connection::try_receive`]; [`ReceiveError::NotYet`] when the deadline has passed.
    pub fn receive(
        &mut self,
        scratch: &mut [u8],
        maximum: u64,
        deadline: Deadline,
    ) -> Result<Received, ReceiveError> {
        let mut spin = std::mem::take(&mut self.spin);
        let this = std::cell::RefCell::new((self, scratch));
        let outcome = spin.wait(
            || {
                let (connection, scratch) = &mut *this.borrow_mut();
                match connection.try_receive(scratch, maximum) {
                    Err(ReceiveError::NotYet) => None,
                    outcome => Some(outcome),
                }
            },
            || sleep(this.borrow().0.as_fd(), deadline),
        );
        this.into_inner().0.spin = spin;
        outcome
    }

    /// Reads what has come, be it a part of a message or many of them, and waits for the first byte until
    /// the deadline, awake at first. It is for those who are alone on their end, as nobody else finds what
    /// was read ahead; they do not use [`Connection::receive`] on it.
    ///
    /// # Errors
    /// [`ReceiveError::NotYet`] when the deadline has passed, [`ReceiveError::End`] at the end, and what
    /// the kernel says; `EINVAL` for a target without room.
    pub fn read_ahead(
        &mut self,
        target: &mut [u8],
        deadline: Deadline,
    ) -> Result<usize, ReceiveError> {
        self.reading_ahead(target, |fd| sleep(fd, deadline))
    }

    /// The same for one who sleeps in its own way: `sleep` gives why the wait ends, or nothing to look again.
    ///
    /// # Errors
    /// As [`Connection::read_ahead`].
    pub fn read_ahead_sleeping(
        &mut self,
        target: &mut [u8],
        sleep: impl FnMut(BorrowedFd<'_>) -> Option<ReceiveError>,
    ) -> Result<usize, ReceiveError> {
        self.reading_ahead(target, sleep)
    }

    /// The same for one who does not sleep: looks only as long as that has been worth it lately.
    ///
    /// # Errors
    /// As [`Connection::read_ahead`].
    pub fn look_ahead(&mut self, target: &mut [u8]) -> Result<usize, ReceiveError> {
        let outcome = self.reading_ahead(target, |_| Some(ReceiveError::NotYet));
        if let Err(ReceiveError::NotYet) = outcome {
            self.spin.was_in_vain();
        }
        outcome
    }

    fn reading_ahead(
        &mut self,
        target: &mut [u8],
        mut sleep: impl FnMut(BorrowedFd<'_>) -> Option<ReceiveError>,
    ) -> Result<usize, ReceiveError> {
        if target.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL).into());
        }
        let mut spin = std::mem::take(&mut self.spin);
        spin.limit(GLANCE);
        let this = std::cell::RefCell::new((self, target));
        let outcome = spin.wait(
            || {
                let (connection, target) = &mut *this.borrow_mut();
                match connection.read_some(target) {
                    Ok(0) => Some(Err(ReceiveError::End)),
                    Ok(count) => Some(Ok(count)),
                    Err(ReceiveError::NotYet) => None,
                    Err(ReceiveError::System(error)) if is_reset(&error) => {
                        Some(Err(ReceiveError::End))
                    }
                    Err(error) => Some(Err(error)),
                }
            },
            || sleep(this.borrow().0.as_fd()),
        );
        this.into_inner().0.spin = spin;
        outcome
    }

    /// Takes the next bytes of a large message, from `filled` on in `target`, until it is full or the
    /// deadline passes. Returns how much of it is filled then. With the message's last byte the
    /// connection is ready for the next. `fresh` says that nobody has touched the memory yet.
    ///
    /// # Errors
    /// As [`Connection::try_receive`], but for [`ReceiveError::NotYet`], which is no error here;
    /// `EINVAL` when the message has fewer bytes left than `target` has room for.
    pub fn fill(
        &mut self,
        target: &mut [u8],
        mut filled: usize,
        fresh: bool,
        deadline: Deadline,
    ) -> Result<usize, ReceiveError> {
        let length = self.receive_length()?;
        let room = target.len().saturating_sub(filled) as u64;
        if room > length - self.incoming.taken || self.incoming.filled > 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL).into());
        }
        let before = filled;
        let outcome = self.fill_until(target, &mut filled, fresh, deadline);
        self.incoming.taken += (filled - before) as u64;
        if self.incoming.taken == length {
            self.incoming.taken = 0;
            self.incoming.length = any_length();
        }
        outcome.map(|()| filled)
    }

    fn fill_until(
        &mut self,
        target: &mut [u8],
        filled: &mut usize,
        fresh: bool,
        deadline: Deadline,
    ) -> Result<(), ReceiveError> {
        while *filled < target.len() {
            let end = if fresh {
                fresh_memory::chunk_end(target, *filled)
            } else {
                target.len()
            };
            let starts = *filled == 0 || end - *filled == fresh_memory::CHUNK;
            if fresh && starts {
                fresh_memory::touch(&mut target[*filled..end]);
            }
            match self.read_to_fill(&mut target[..end], filled) {
                Err(ReceiveError::NotYet) => match sleep(self.as_fd(), deadline) {
                    None => {}
                    Some(ReceiveError::NotYet) => return Ok(()),
                    Some(error) => return Err(error),
                },
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// The descriptors that have come beside the messages received since this was last called.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.incoming.descriptors)
    }

    fn receive_length(&mut self) -> Result<u64, ReceiveError> {
        if self.incoming.broken {
            return Err(ReceiveError::BadLength);
        }
        loop {
            let wanted = match self.incoming.length.progress() {
                Ok(Progress::Length(length)) => return Ok(length),
                Ok(Progress::Wanted(wanted)) => wanted,
                Err(_) => return Err(self.break_off()),
            };
            if self.incoming.length.is_empty() {
                // Those that came beside the message before, and that nobody has asked for.
                self.incoming.descriptors.clear();
            }
            let mut bytes = [0; framing::LONG_HEADER];
            let count = match self.read_some(&mut bytes[..wanted]) {
                Ok(0) if self.incoming.length.is_empty() => return Err(ReceiveError::End),
                Ok(0) => return Err(ReceiveError::EndInsideMessage),
                Err(ReceiveError::System(error)) if is_reset(&error) => {
                    return Err(if self.incoming.length.is_empty() {
                        ReceiveError::End
                    } else {
                        ReceiveError::EndInsideMessage
                    });
                }
                other => other?,
            };
            if self.incoming.length.feed(&bytes[..count]).is_err() {
                return Err(self.break_off());
            }
        }
    }

    /// After a length that cannot be, no byte that follows means anything.
    fn break_off(&mut self) -> ReceiveError {
        self.incoming.broken = true;
        ReceiveError::BadLength
    }

    /// A small message goes straight to the caller's buffer if it is there as a whole, which is the
    /// rule. Otherwise its beginning is kept here, as that buffer serves other connections too.
    fn receive_small(&mut self, scratch: &mut [u8]) -> Result<(), ReceiveError> {
        if self.incoming.part.is_empty() {
            let mut filled = 0;
            let outcome = self.read_to_fill(scratch, &mut filled);
            if let Err(ReceiveError::NotYet) = outcome
                && filled > 0
            {
                self.incoming.part = scratch.to_vec();
                self.incoming.filled = filled;
            }
            return outcome;
        }
        let mut part = std::mem::take(&mut self.incoming.part);
        let mut filled = self.incoming.filled;
        let outcome = self.read_to_fill(&mut part, &mut filled);
        if outcome.is_ok() {
            scratch.copy_from_slice(&part);
            self.incoming.filled = 0;
        } else {
            self.incoming.part = part;
            self.incoming.filled = filled;
        }
        outcome
    }

    fn read_to_fill(&mut self, target: &mut [u8], filled: &mut usize) -> Result<(), ReceiveError> {
        while *filled < target.len() {
            match self.read_some(&mut target[*filled..]) {
                Ok(0) => return Err(ReceiveError::EndInsideMessage),
                Ok(count) => *filled += count,
                Err(ReceiveError::System(error)) if is_reset(&error) => {
                    return Err(ReceiveError::EndInsideMessage);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there, without blocking.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        loop {
            let outcome = match self.kind {
                Kind::Socket => {
                    socket::receive(self.fd.as_fd(), buffer, &mut self.incoming.descriptors)
                }
                Kind::Stream => read_when_ready(self.fd.as_fd(), buffer),
            };
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(ReceiveError::NotYet);
                }
                outcome => return Ok(outcome?),
            }
        }
    }
}

/// A pipe that is ready gives what it has; asking it first keeps the read from blocking.
fn read_when_ready(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let now = Deadline::after(Some(std::time::Duration::ZERO));
    if !readiness::wait_one(fd, Interest::Readable, now)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    descriptor::read(fd, buffer)
}

fn sleep(fd: BorrowedFd<'_>, deadline: Deadline) -> Option<ReceiveError> {
    match readiness::wait_one(fd, Interest::Readable, deadline) {
        Ok(true) => None,
        Ok(false) => Some(ReceiveError::NotYet),
        Err(error) => Some(error.into()),
    }
}

/// The other end was closed with bytes of ours unread, which is an end as good as any.
fn is_reset(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionReset
}

/// What a message may be long is the caller's to say, each time.
fn any_length() -> LengthReader {
    LengthReader::new(u64::MAX)
}
