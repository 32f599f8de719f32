//! Channels to test over, and what is written to them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mp_connection::{Connection, ReceiveError, Received};
use mp_os::readiness::Deadline;
use mp_os::socket;
use mp_wire::framing;
use proptest::prelude::*;

/// After how long a call that must not block counts as blocked.
const WATCHDOG: Duration = Duration::from_secs(60);

/// No limit for a message.
pub const ANY: u64 = u64::MAX;

/// What a channel is made of; the code that reads and writes is another one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Socket,
    Pipe,
}

/// Every kind of channel.
pub const CHANNELS: [Channel; 2] = [Channel::Socket, Channel::Pipe];

/// Any kind of channel.
pub fn channels() -> impl Strategy<Value = Channel> {
    prop_oneof![Just(Channel::Socket), Just(Channel::Pipe)]
}

impl Channel {
    /// The descriptors of a new channel: to read from, to write to.
    pub fn descriptors(self) -> (OwnedFd, OwnedFd) {
        match self {
            Self::Socket => socket::pair().expect("a pair of sockets"),
            Self::Pipe => {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                (reader.into(), writer.into())
            }
        }
    }

    /// A connection to receive from, and the bare other end.
    pub fn receiver(self) -> (Connection, File) {
        let (reader, writer) = self.descriptors();
        (
            Connection::new(reader).expect("a connection"),
            writer.into(),
        )
    }

    /// A connection to send with, and the bare other end.
    pub fn sender(self) -> (Connection, File) {
        let (reader, writer) = self.descriptors();
        (
            Connection::new(writer).expect("a connection"),
            reader.into(),
        )
    }

    /// Two connections: to receive from, to send with.
    pub fn connections(self) -> (Connection, Connection) {
        let (reader, writer) = self.descriptors();
        let connection = |fd| Connection::new(fd).expect("a connection");
        (connection(reader), connection(writer))
    }
}

/// Bytes of which no stretch looks like another one, so that one lost or swapped is noticed.
pub fn payload(seed: usize, length: usize) -> Vec<u8> {
    let mixed = |index: usize| (index ^ (seed << 20)).wrapping_mul(0x9E37_79B9) >> 13;
    (0..length).map(|index| mixed(index) as u8).collect()
}

/// A message as it goes over the channel.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = framing::header(message.len() as u64).as_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

/// Writes what the channel has room for without waiting.
pub fn put(mut writer: &File, bytes: &[u8]) {
    writer.write_all(bytes).expect("the channel takes it");
}

/// Reads exactly so many bytes.
pub fn take(mut reader: &File, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).expect("they were sent");
    bytes
}

/// A moment that has passed.
pub fn now() -> Deadline {
    Deadline::after(Some(Duration::ZERO))
}

/// A moment that is soon over.
pub fn soon() -> Deadline {
    Deadline::after(Some(Duration::from_millis(20)))
}

/// A moment that does not come.
pub fn never() -> Deadline {
    Deadline::after(None)
}

/// What is to be had without waiting: a message, or nothing yet. A large one is filled as far as it
/// goes; `large` keeps it until it is whole.
pub fn take_message(
    connection: &mut Connection,
    scratch: &mut [u8],
    large: &mut Option<(Vec<u8>, usize)>,
) -> Option<Vec<u8>> {
    match connection.try_receive(scratch, ANY) {
        Ok(Received::Small(length)) => Some(scratch[..length].to_vec()),
        Ok(Received::Large(length)) => {
            let length = usize::try_from(length).expect("no test sends so much");
            let (mut target, filled) = large.take().unwrap_or_else(|| (vec![0; length], 0));
            assert_eq!(target.len(), length, "it is announced as what it was");
            let filled = connection
                .fill(&mut target, filled, false, now())
                .expect("what is there can be taken");
            if filled == length {
                return Some(target);
            }
            *large = Some((target, filled));
            None
        }
        Err(ReceiveError::NotYet) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Runs what must not block, and fails the test when it does.
pub fn without_hanging<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    let worker = thread::spawn(move || {
        // The test has failed already when nobody listens.
        let _ = done.send(work());
    });
    match outcome.recv_timeout(WATCHDOG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it blocks"),
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it has sent before it ended"),
        },
    }
}
