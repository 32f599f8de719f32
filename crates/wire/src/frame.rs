//! The frame around an object: what stands in the payload of a message that carries one.
//!
//! **Plain**, for an object with nothing beside its graph:
//!
//! | Offset | Size | What |
//! |---|---|---|
//! | 0 | 1 | kind, 0x01 |
//! | 1 | to the end | graph |
//!
//! **Extended**, for an object with out-of-band buffers or descriptors; numbers are little-endian:
//!
//! | Offset | Size | What |
//! |---|---|---|
//! | 0 | 1 | kind, 0x02 |
//! | 1 | 3 | reserved for flags, zero |
//! | 4 | 4 | D: how many descriptors travel beside the message |
//! | 8 | 4 | N: how many out-of-band buffers follow |
//! | 12 | 4 | reserved, zero |
//! | 16 | 8 | G: length of the graph in bytes |
//! | 24 | 8 × N | length of each buffer in bytes |
//! | 24 + 8 × N | G | graph |
//! | next multiple of 64 | length of buffer 0 | buffer 0, zeros before it |
//! | next multiple of 64 | length of buffer 1 | buffer 1, zeros before it |
//! | … | | and so on; the payload ends where the last part does |
//!
//! Offsets count from the start of the payload. Where that is aligned to 64 bytes, as a receiver
//! that allocates for it makes sure, every buffer is aligned for every typed array and for vector
//! instructions. A buffer of length zero has its padding too.
//!
//! Reserved bytes and padding must be zero, and nothing may stand behind the last part. A writer
//! uses the extended form only where it must; a reader takes it anywhere.

use std::ops::Range;

/// The kind of a frame with a graph and nothing else.
pub const PLAIN: u8 = 0x01;
/// The kind of a frame with out-of-band buffers or descriptors.
pub const EXTENDED: u8 = 0x02;
/// What every pickle since protocol 2 begins with; never a kind of ours.
pub const PICKLE: u8 = 0x80;

/// The bytes in front of the graph in a plain frame.
pub const PLAIN_HEADER: usize = 1;
/// The bytes of an extended frame up to its table of buffer lengths.
pub const EXTENDED_HEADER: usize = 24;
/// The bytes of one entry of that table.
pub const TABLE_ENTRY: usize = 8;
/// Buffers start at multiples of this many bytes.
pub const ALIGNMENT: u64 = 64;

/// The most descriptors one message can carry: the kernel's `SCM_MAX_FD`.
pub const MAXIMUM_DESCRIPTORS: u32 = 253;
/// The most out-of-band buffers one frame can have; their table is then 512 KiB.
pub const MAXIMUM_BUFFERS: u32 = 65_536;

/// Zeros, of which the padding before a buffer is a part.
const ZEROS: [u8; ALIGNMENT as usize] = [0; ALIGNMENT as usize];

/// Why bytes are not a frame, or parts cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There are no bytes at all, not even the kind.
    #[error("empty message where an object was expected")]
    Empty,
    /// The peer speaks pickle.
    #[error("the message is a Python pickle (it begins with 0x80), not an object of this library")]
    Pickle,
    /// The first byte is no kind that is known here.
    #[error("unknown kind of message 0x{kind:02x}, where an object was expected")]
    UnknownKind {
        /// The first byte.
        kind: u8,
    },
    /// The bytes end before the parts that they announce.
    #[error("truncated object: {needed} bytes announced, {available} there")]
    Truncated {
        /// How many bytes there should be, as far as can be told.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// Bytes follow the last part.
    #[error("{surplus} bytes too many after the object")]
    TrailingBytes {
        /// How many.
        surplus: u64,
    },
    /// A reserved byte is not zero.
    #[error("reserved byte at offset {offset} of an object is not zero")]
    ReservedNotZero {
        /// Where it is, in bytes from the start of the payload.
        offset: u64,
    },
    /// A byte between two parts is not zero.
    #[error("padding before buffer {buffer} of an object is not zero")]
    PaddingNotZero {
        /// The buffer after the padding, counted from 0.
        buffer: u32,
    },
    /// More descriptors than a message can carry.
    #[error("{count} descriptors with one object; at most {MAXIMUM_DESCRIPTORS} can travel")]
    TooManyDescriptors {
        /// How many.
        count: u64,
    },
    /// More out-of-band buffers than a frame may have.
    #[error("{count} out-of-band buffers in one object; the limit is {maximum}")]
    TooManyBuffers {
        /// How many.
        count: u64,
        /// The limit that was exceeded.
        maximum: u32,
    },
    /// The lengths add up to more than can be counted or addressed.
    #[error("the parts of an object are longer together than can be addressed")]
    TooLong,
}

/// The layout of a frame that is to be written: which bytes go where around the caller's parts.
///
/// The payload is, in this order: [`FrameWriter::header`], the graph, and for each buffer
/// [`FrameWriter::padding`] and the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameWriter {
    header: Vec<u8>,
    paddings: Vec<u8>,
    length: u64,
}

impl FrameWriter {
    /// Lays out a frame with a graph of `graph` bytes, `buffers` of these lengths in bytes, and
    /// `descriptors` beside it. It is a plain one if there are neither buffers nor descriptors.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooManyBuffers`], [`FrameError::TooManyDescriptors`], or
    /// [`FrameError::TooLong`] when the total does not fit 64 bits.
    pub fn new(graph: u64, buffers: &[u64], descriptors: u32) -> Result<Self, FrameError> {
        if descriptors > MAXIMUM_DESCRIPTORS {
            return Err(FrameError::TooManyDescriptors {
                count: descriptors.into(),
            });
        }
        let count = u32::try_from(buffers.len()).unwrap_or(u32::MAX);
        if count > MAXIMUM_BUFFERS {
            let count = buffers.len() as u64;
            return Err(FrameError::TooManyBuffers {
                count,
                maximum: MAXIMUM_BUFFERS,
            });
        }
        if count == 0 && descriptors == 0 {
            let length = graph
                .checked_add(PLAIN_HEADER as u64)
                .ok_or(FrameError::TooLong)?;
            return Ok(Self {
                header: vec![PLAIN],
                paddings: Vec::new(),
                length,
            });
        }

        let mut header = Vec::with_capacity(EXTENDED_HEADER + TABLE_ENTRY * buffers.len());
        header.extend_from_slice(&[EXTENDED, 0, 0, 0]);
        header.extend_from_slice(&descriptors.to_le_bytes());
        header.extend_from_slice(&count.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&graph.to_le_bytes());
        for buffer in buffers {
            header.extend_from_slice(&buffer.to_le_bytes());
        }

        let mut end = graph
            .checked_add(header.len() as u64)
            .ok_or(FrameError::TooLong)?;
        let mut paddings = Vec::with_capacity(buffers.len());
        for buffer in buffers {
            let start = aligned(end)?;
            // Less than the alignment, so it fits.
            paddings.push((start - end) as u8);
            end = start.checked_add(*buffer).ok_or(FrameError::TooLong)?;
        }
        Ok(Self {
            header,
            paddings,
            length: end,
        })
    }

    /// The length of the whole payload in bytes.
    #[must_use]
    pub fn payload_length(&self) -> u64 {
        self.length
    }

    /// The bytes before the graph.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The zeros before buffer `buffer`, counted from 0: 0 to 63 of them, none for a buffer that
    /// there is not.
    #[must_use]
    pub fn padding(&self, buffer: usize) -> &'static [u8] {
        let length = self.paddings.get(buffer).copied().unwrap_or(0);
        ZEROS.get(..usize::from(length)).unwrap_or_default()
    }

    /// The zeros before each buffer, in order.
    pub fn paddings(&self) -> impl ExactSizeIterator<Item = &'static [u8]> + '_ {
        (0..self.paddings.len()).map(|buffer| self.padding(buffer))
    }
}

/// What the first bytes of a payload say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameHeader {
    /// A plain frame: all after the first byte is the graph.
    Plain,
    /// An extended frame.
    Extended {
        /// How many descriptors travel beside the message.
        descriptors: u32,
        /// How many out-of-band buffers follow the graph.
        buffers: u32,
        /// The length of the graph in bytes, as announced; nothing is known about its truth.
        graph: u64,
    },
}

/// Where the parts of a frame are in its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The object's graph.
    pub graph: Range<usize>,
    /// The out-of-band buffers, in order; each starts at a multiple of [`ALIGNMENT`].
    pub buffers: Vec<Range<usize>>,
    /// How many descriptors travel beside the message.
    pub descriptors: u32,
}

impl Frame {
    /// Reads as much as the first [`EXTENDED_HEADER`] bytes of a payload say. `prefix` is that
    /// many bytes, or the whole payload if it is shorter, or more of it; one byte is enough for a
    /// plain frame.
    ///
    /// # Errors
    ///
    /// [`FrameError`] when these bytes can begin no frame, [`FrameError::Truncated`] when they
    /// begin an extended one and are too few.
    pub fn parse_header(prefix: &[u8]) -> Result<FrameHeader, FrameError> {
        match prefix.first() {
            None => return Err(FrameError::Empty),
            Some(&PLAIN) => return Ok(FrameHeader::Plain),
            Some(&EXTENDED) => {}
            Some(&PICKLE) => return Err(FrameError::Pickle),
            Some(&kind) => return Err(FrameError::UnknownKind { kind }),
        }
        let Some(fields) = prefix.first_chunk::<EXTENDED_HEADER>() else {
            return Err(FrameError::Truncated {
                needed: EXTENDED_HEADER as u64,
                available: prefix.len() as u64,
            });
        };
        let [
            _kind,
            f0,
            f1,
            f2,
            d0,
            d1,
            d2,
            d3,
            n0,
            n1,
            n2,
            n3,
            r0,
            r1,
            r2,
            r3,
            graph @ ..,
        ] = *fields;
        for (offset, byte) in [
            (1, f0),
            (2, f1),
            (3, f2),
            (12, r0),
            (13, r1),
            (14, r2),
            (15, r3),
        ] {
            if byte != 0 {
                return Err(FrameError::ReservedNotZero { offset });
            }
        }
        let descriptors = u32::from_le_bytes([d0, d1, d2, d3]);
        let buffers = u32::from_le_bytes([n0, n1, n2, n3]);
        if descriptors > MAXIMUM_DESCRIPTORS {
            return Err(FrameError::TooManyDescriptors {
                count: descriptors.into(),
            });
        }
        if buffers > MAXIMUM_BUFFERS {
            return Err(FrameError::TooManyBuffers {
                count: buffers.into(),
                maximum: MAXIMUM_BUFFERS,
            });
        }
        Ok(FrameHeader::Extended {
            descriptors,
            buffers,
            graph: u64::from_le_bytes(graph),
        })
    }

    /// Finds the parts of a frame in its whole payload.
    ///
    /// What it allocates is a range per buffer, and only after the table of their lengths was seen
    /// to be there: no more than two bytes for each byte received.
    ///
    /// # Errors
    ///
    /// [`FrameError`] that says what is wrong with the bytes. Every range of a frame that is
    /// returned lies within `payload`, and no two overlap.
    pub fn parse(payload: &[u8]) -> Result<Self, FrameError> {
        let frame = Self::lay_out(payload, payload.len() as u64)?;
        let mut end = frame.graph.end;
        for (buffer, range) in (0_u32..).zip(&frame.buffers) {
            let padding = payload.get(end..range.start).unwrap_or_default();
            if padding.iter().any(|byte| *byte != 0) {
                return Err(FrameError::PaddingNotZero { buffer });
            }
            end = range.end;
        }
        Ok(frame)
    }

    /// Finds the parts of a frame whose payload has `total` bytes, from the first of them: the
    /// header and the table of lengths are enough. For a caller who has not received the rest;
    /// it is left to him to look at the padding.
    ///
    /// # Errors
    ///
    /// As [`Frame::parse`]; [`FrameError::Truncated`] also when `prefix` ends inside the table.
    pub fn lay_out(prefix: &[u8], total: u64) -> Result<Self, FrameError> {
        let FrameHeader::Extended {
            descriptors,
            buffers,
            graph,
        } = Self::parse_header(prefix)?
        else {
            return Ok(Self {
                graph: range(PLAIN_HEADER as u64, total, total)?,
                buffers: Vec::new(),
                descriptors: 0,
            });
        };
        let table_start = EXTENDED_HEADER as u64;
        // At most MAXIMUM_BUFFERS entries, so this cannot overflow.
        let table_end = table_start + u64::from(buffers) * TABLE_ENTRY as u64;
        let table = range(table_start, table_end, prefix.len() as u64)?;
        let graph_end = table_end.checked_add(graph).ok_or(FrameError::TooLong)?;
        let graph = range(table_end, graph_end, total)?;

        let (lengths, _) = prefix
            .get(table)
            .unwrap_or_default()
            .as_chunks::<TABLE_ENTRY>();
        let mut end = graph_end;
        let mut ranges = Vec::with_capacity(lengths.len());
        for length in lengths {
            let start = aligned(end)?;
            end = start
                .checked_add(u64::from_le_bytes(*length))
                .ok_or(FrameError::TooLong)?;
            ranges.push(range(start, end, total)?);
        }
        if end < total {
            return Err(FrameError::TrailingBytes {
                surplus: total - end,
            });
        }
        Ok(Self {
            graph,
            buffers: ranges,
            descriptors,
        })
    }
}

/// The range from `start` to `end`, or how many bytes are missing.
fn range(start: u64, end: u64, available: u64) -> Result<Range<usize>, FrameError> {
    let truncated = FrameError::Truncated {
        needed: end,
        available,
    };
    if start > end || end > available {
        return Err(truncated);
    }
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(truncated),
    }
}

fn aligned(offset: u64) -> Result<u64, FrameError> {
    offset
        .checked_next_multiple_of(ALIGNMENT)
        .ok_or(FrameError::TooLong)
}
