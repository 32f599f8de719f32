//! The length in front of every message, as CPython's `multiprocessing.connection` writes it.
//!
//! | Payload | Bytes in front of it |
//! |---|---|
//! | up to 0x7FFFFFFF bytes | 4: the length, signed, big-endian |
//! | longer | 12: -1 as above (`ff ff ff ff`), then the length in 8 bytes, unsigned, big-endian |

/// The bytes of the short header, and of the first part of the long one.
pub const SHORT_HEADER: usize = 4;
/// The bytes of the long header.
pub const LONG_HEADER: usize = 12;
/// The longest payload that a short header can announce.
pub const SHORT_LIMIT: u64 = 0x7FFF_FFFF;

/// Stands in the short header's place where a long one follows.
const LONG_FOLLOWS: i32 = -1;

/// The bytes that go in front of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; LONG_HEADER],
    length: u8,
}

impl Header {
    /// The bytes to send: 4 or 12 of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or(&self.bytes)
    }
}

/// The header of a message with `payload` bytes. Long payloads get the long form, all others the
/// short one, which is the only one that CPython writes for them.
#[must_use]
pub fn header(payload: u64) -> Header {
    let mut bytes = [0; LONG_HEADER];
    let (first, rest) = bytes.split_at_mut(SHORT_HEADER);
    match i32::try_from(payload) {
        Ok(short) => {
            first.copy_from_slice(&short.to_be_bytes());
            Header {
                bytes,
                length: SHORT_HEADER as u8,
            }
        }
        Err(_) => {
            first.copy_from_slice(&LONG_FOLLOWS.to_be_bytes());
            rest.copy_from_slice(&payload.to_be_bytes());
            Header {
                bytes,
                length: LONG_HEADER as u8,
            }
        }
    }
}

/// Why the bytes in front of a message are not a length that can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The short length is negative, and not the -1 that announces a long one.
    #[error("message length {length} is negative")]
    NegativeLength {
        /// The length as received.
        length: i32,
    },
    /// The message is longer than the receiver takes.
    #[error("message of {length} bytes is longer than the {maximum} bytes accepted here")]
    TooLong {
        /// The length as received, in bytes.
        length: u64,
        /// The receiver's limit, in bytes.
        maximum: u64,
    },
}

/// What a [`LengthReader`] knows so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many more bytes of header are needed, never more than belong to it: 1 to 8.
    Wanted(usize),
    /// The header is complete, and so many bytes of payload follow.
    Length(u64),
}

/// Reads a header piece by piece, however the pieces are cut.
///
/// After [`Progress::Length`] or an error it stays as it is; use a new one for the next message.
#[derive(Clone, Copy, Debug)]
pub struct LengthReader {
    maximum: u64,
    bytes: [u8; LONG_HEADER],
    filled: usize,
}

impl LengthReader {
    /// A reader that accepts payloads of up to `maximum` bytes.
    #[must_use]
    pub fn new(maximum: u64) -> Self {
        Self {
            maximum,
            bytes: [0; LONG_HEADER],
            filled: 0,
        }
    }

    /// Whether nothing was fed yet: the end of the stream is then an orderly one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes as many bytes of `input` as belong to the header. Gives how many those were, and what
    /// is known now; the bytes that were not taken belong to the payload.
    ///
    /// # Errors
    ///
    /// [`FramingError`] as soon as the bytes seen can be no acceptable length.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Progress), FramingError> {
        let mut rest = input;
        loop {
            match self.progress()? {
                Progress::Wanted(wanted) if !rest.is_empty() => {
                    let (taken, left) = rest.split_at(wanted.min(rest.len()));
                    for (place, byte) in self.bytes.iter_mut().skip(self.filled).zip(taken) {
                        *place = *byte;
                    }
                    self.filled += taken.len();
                    rest = left;
                }
                progress => return Ok((input.len() - rest.len(), progress)),
            }
        }
    }

    /// What is known from the bytes fed so far.
    ///
    /// # Errors
    ///
    /// As [`LengthReader::feed`].
    pub fn progress(&self) -> Result<Progress, FramingError> {
        if self.filled < SHORT_HEADER {
            return Ok(Progress::Wanted(SHORT_HEADER - self.filled));
        }
        let [b0, b1, b2, b3, long @ ..] = self.bytes;
        let short = i32::from_be_bytes([b0, b1, b2, b3]);
        let length = match u64::try_from(short) {
            Ok(length) => length,
            Err(_) if short != LONG_FOLLOWS => {
                return Err(FramingError::NegativeLength { length: short });
            }
            Err(_) if self.filled < LONG_HEADER => {
                return Ok(Progress::Wanted(LONG_HEADER - self.filled));
            }
            Err(_) => u64::from_be_bytes(long),
        };
        if length > self.maximum {
            return Err(FramingError::TooLong {
                length,
                maximum: self.maximum,
            });
        }
        Ok(Progress::Length(length))
    }
}
