//! Receiving: one message at a time, whole, however many pieces it comes in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mp_os::descriptor::Kind;
use mp_os::readiness::{self, Deadline, Interest};
use mp_os::region::Region;
use mp_os::socket;
use mp_wire::framing::{self, LengthReader, Progress};

use crate::Connection;

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
    /// In a region of its own: [`Connection::take_large`].
    Large,
}

/// What has come of the next message.
pub(crate) struct Incoming {
    length: LengthReader,
    payload: Payload,
    descriptors: Vec<OwnedFd>,
    broken: bool,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            length: any_length(),
            payload: Payload::Nothing,
            descriptors: Vec::new(),
            broken: false,
        }
    }
}

#[derive(Default)]
enum Payload {
    /// The length has not come, or nothing after it.
    #[default]
    Nothing,
    /// The beginning of a small message.
    Part { bytes: Vec<u8>, filled: usize },
    /// A large message or the beginning of one.
    Large { region: Region, filled: usize },
}

impl Connection {
    /// Receives a message if one can be had without waiting. Messages up to the size of `scratch`
    /// come in it. Longer ones come in a region of their own.
    ///
    /// # Errors
    /// [`ReceiveError`]; a message longer than `maximum` is a bad length.
    pub fn try_receive(
        &mut self,
        scratch: &mut [u8],
        maximum: u64,
    ) -> Result<Received, ReceiveError> {
        let length = self.receive_length(maximum)?;
        let received = if length <= scratch.len() {
            self.receive_small(&mut scratch[..length])?;
            Received::Small(length)
        } else {
            self.receive_large(length)?;
            Received::Large
        };
        self.incoming.length = any_length();
        Ok(received)
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

    /// Receives a message straight into `target`, waiting for it until the deadline. `None` means that
    /// the next message does not fit, or has come in part already: [`Connection::receive`] has it.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn receive_into(
        &mut self,
        target: &mut [u8],
        deadline: Deadline,
    ) -> Result<Option<usize>, ReceiveError> {
        let length = self.wait_while_not_yet(deadline, |this| this.receive_length(u64::MAX))?;
        if length > target.len() || !matches!(self.incoming.payload, Payload::Nothing) {
            return Ok(None);
        }
        let mut filled = 0;
        let outcome = self.wait_while_not_yet(deadline, |this| {
            this.fill(&mut target[..length], &mut filled)
        });
        match outcome {
            Err(ReceiveError::NotYet) => self.keep(&target[..length], filled)?,
            Ok(()) => self.incoming.length = any_length(),
            Err(_) => {}
        }
        outcome.map(|()| Some(length))
    }

    /// The large message just received.
    pub fn take_large(&mut self) -> Option<Region> {
        match std::mem::take(&mut self.incoming.payload) {
            Payload::Large { region, .. } => Some(region),
            _ => None,
        }
    }

    /// The descriptors that have come beside the messages received since this was last called.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.incoming.descriptors)
    }

    fn wait_while_not_yet<T>(
        &mut self,
        deadline: Deadline,
        mut attempt: impl FnMut(&mut Self) -> Result<T, ReceiveError>,
    ) -> Result<T, ReceiveError> {
        loop {
            match attempt(self) {
                Err(ReceiveError::NotYet) => {
                    if let Some(end) = sleep(self.as_fd(), deadline) {
                        return Err(end);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    fn receive_length(&mut self, maximum: u64) -> Result<usize, ReceiveError> {
        if self.incoming.broken {
            return Err(ReceiveError::BadLength);
        }
        let length = loop {
            let wanted = match self.incoming.length.progress() {
                Ok(Progress::Length(length)) => break length,
                Ok(Progress::Wanted(wanted)) => wanted,
                Err(_) => return Err(self.break_off()),
            };
            let mut bytes = [0; framing::LONG_HEADER];
            let count = match self.read_some(&mut bytes[..wanted]) {
                Ok(0) if self.incoming.length.is_empty() => return Err(ReceiveError::End),
                Ok(0) => return Err(ReceiveError::EndInsideMessage),
                Err(ReceiveError::System(error)) if is_reset(&error) => {
                    return Err(ReceiveError::End);
                }
                other => other?,
            };
            if self.incoming.length.feed(&bytes[..count]).is_err() {
                return Err(self.break_off());
            }
        };
        match usize::try_from(length) {
            Ok(size) if length <= maximum => Ok(size),
            _ => Err(self.break_off()),
        }
    }

    /// After a length that cannot be, no byte that follows means anything.
    fn break_off(&mut self) -> ReceiveError {
        self.incoming.broken = true;
        ReceiveError::BadLength
    }

    fn receive_small(&mut self, scratch: &mut [u8]) -> Result<(), ReceiveError> {
        if let Payload::Nothing = self.incoming.payload {
            let mut filled = 0;
            let outcome = self.fill(scratch, &mut filled);
            if let Err(ReceiveError::NotYet) = outcome
                && filled > 0
            {
                self.keep(scratch, filled)?;
            }
            return outcome;
        }
        self.resume()?;
        match std::mem::take(&mut self.incoming.payload) {
            Payload::Part { bytes, .. } => scratch.copy_from_slice(&bytes),
            Payload::Large { region, .. } => scratch.copy_from_slice(region.as_slice()),
            Payload::Nothing => {}
        }
        Ok(())
    }

    fn receive_large(&mut self, length: usize) -> Result<(), ReceiveError> {
        match &self.incoming.payload {
            Payload::Large { .. } => {}
            Payload::Nothing => {
                let region = self.region(length)?;
                self.incoming.payload = Payload::Large { region, filled: 0 };
            }
            // Kept from a caller with a larger scratch buffer.
            Payload::Part { .. } => {
                let mut region = self.region(length)?;
                if let Payload::Part { bytes, filled } = &self.incoming.payload {
                    region.as_mut_slice()[..*filled].copy_from_slice(&bytes[..*filled]);
                    self.incoming.payload = Payload::Large {
                        region,
                        filled: *filled,
                    };
                }
            }
        }
        self.resume()
    }

    /// A length that no memory can hold breaks the connection like one that is not allowed.
    fn region(&mut self, length: usize) -> Result<Region, ReceiveError> {
        Region::new(length).map_err(|_| self.break_off())
    }

    /// Goes on with a message that has come in part.
    fn resume(&mut self) -> Result<(), ReceiveError> {
        let mut payload = std::mem::take(&mut self.incoming.payload);
        let outcome = match &mut payload {
            Payload::Nothing => Ok(()),
            Payload::Part { bytes, filled } => self.fill(bytes, filled),
            Payload::Large { region, filled } => self.fill(region.as_mut_slice(), filled),
        };
        self.incoming.payload = payload;
        outcome
    }

    /// Keeps the beginning of a message whose buffer goes back to the caller.
    fn keep(&mut self, target: &[u8], filled: usize) -> Result<(), ReceiveError> {
        self.incoming.payload = if target.len() > (1 << 20) {
            let mut region = self.region(target.len())?;
            region.as_mut_slice()[..filled].copy_from_slice(&target[..filled]);
            Payload::Large { region, filled }
        } else {
            Payload::Part {
                bytes: target.to_vec(),
                filled,
            }
        };
        Ok(())
    }

    fn fill(&mut self, target: &mut [u8], filled: &mut usize) -> Result<(), ReceiveError> {
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
    Ok(rustix::io::read(fd, buffer)?)
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
