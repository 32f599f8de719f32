//! Connections by number, and the two buffers that small messages pass through.
//!
//! The facade encodes into the send scratch, leaving [`HEADROOM`] bytes free in front for the headers
//! that are written here; a small message is received into the receive scratch and decoded there. So a
//! small message is never allocated, and crosses the boundary as one number.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::sync::Arc;
use std::time::Duration;

use mp_connection::{Connection, ReceiveError, Received};
use mp_os::descriptor;
use mp_os::mapping::Mapping;
use mp_os::process::attention::Attention;
use mp_os::readiness::{self, Interest};
use mp_wire::frame::{self, Frame, FrameHeader, FrameWriter};
use mp_wire::framing;
use napi::bindgen_prelude::{Array, Buffer, Either, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;

use crate::descriptor::deadline;
use crate::slab::Slab;
use crate::{external, status};

/// Room that the facade leaves in front of what it encodes.
pub(crate) const HEADROOM: usize = 64;

/// Bytes of the facade's that outlive every call which uses them.
#[derive(Clone, Copy)]
pub(crate) struct Scratch {
    start: *mut u8,
    length: usize,
}

thread_local! {
    static CONNECTIONS: RefCell<Slab<Entry>> = const { RefCell::new(Slab::new()) };
    static SEND: Cell<Scratch> = const { Cell::new(Scratch::NONE) };
    static RECEIVE: Cell<Scratch> = const { Cell::new(Scratch::NONE) };
}

pub(crate) struct Entry {
    pub(crate) connection: Connection,
    /// The length of the large message that was announced last.
    announced: u64,
}

impl Scratch {
    const NONE: Self = Self {
        start: std::ptr::dangling_mut(),
        length: 0,
    };

    fn of(bytes: &Uint8Array) -> Self {
        Self {
            start: bytes.as_ptr().cast_mut(),
            length: bytes.len(),
        }
    }

    /// # Safety
    /// The facade must hold the array that was registered, undetached, and no other reference to its
    /// bytes may be in use on the Rust side.
    pub(crate) unsafe fn bytes<'a>(self) -> &'a mut [u8] {
        // SAFETY: the caller's promise; start and length are those of a live Uint8Array, or nothing.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

/// Where the facade encodes.
pub(crate) fn send_scratch() -> Scratch {
    SEND.get()
}

/// Where small messages are received.
pub(crate) fn receive_scratch() -> Scratch {
    RECEIVE.get()
}

/// Registers the array that `connectionSend` sends from. The caller keeps it alive and undetached until
/// it registers another one.
#[napi]
pub fn set_send_scratch(bytes: Uint8Array) {
    SEND.set(Scratch::of(&bytes));
}

/// Registers the array that small messages are received into, likewise.
#[napi]
pub fn set_receive_scratch(bytes: Uint8Array) {
    RECEIVE.set(Scratch::of(&bytes));
}

/// Takes over a descriptor: the connection's number or a status.
#[napi]
pub fn open_connection(fd: i32) -> f64 {
    let connection = descriptor::borrow(fd)
        .and_then(descriptor::kind)
        .and_then(|_| descriptor::adopt(fd))
        .and_then(Connection::new);
    status::of(connection.map(|connection| {
        CONNECTIONS.with_borrow_mut(|table| {
            table.insert(Entry {
                connection,
                announced: 0,
            })
        })
    }))
}

/// Closes a connection and its descriptor: 0 or a status.
#[napi]
pub fn close_connection(handle: u32) -> f64 {
    match CONNECTIONS.with_borrow_mut(|table| table.remove(handle)) {
        Some(_) => 0.0,
        None => status::NO_HANDLE,
    }
}

/// Sends the object encoded in the send scratch up to `end`, as a plain frame. A timeout of 0 takes what
/// goes without blocking; otherwise blocks so many milliseconds, less than zero for ever. Returns how
/// many bytes are left, all at the end of the scratch's message, or a status.
#[napi]
pub fn connection_send(handle: u32, end: u32, timeout: f64) -> f64 {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { SEND.get().bytes() };
    let end = end as usize;
    if end < HEADROOM || end > scratch.len() {
        return status::system(&std::io::ErrorKind::InvalidInput.into());
    }
    let header = framing::header((end - HEADROOM + 1) as u64);
    let header = header.as_bytes();
    let start = HEADROOM - 1 - header.len();
    scratch[start..start + header.len()].copy_from_slice(header);
    scratch[HEADROOM - 1] = frame::PLAIN;
    on(handle, |entry| {
        entry.send(&mut [IoSlice::new(&scratch[start..end])], &[], timeout)
    })
}

/// Sends one message of bytes, framed: returns how many bytes of header and payload are left, or a
/// status. Blocks as `connectionSend` does.
#[napi]
pub fn connection_send_bytes(handle: u32, payload: &[u8], timeout: f64) -> f64 {
    let header = framing::header(payload.len() as u64);
    let mut parts = [IoSlice::new(header.as_bytes()), IoSlice::new(payload)];
    on(handle, |entry| entry.send(&mut parts, &[], timeout))
}

/// Sends parts as they are, the first `skip` bytes of them left out, descriptors beside the first byte.
/// Returns how many bytes are left, or a status. Blocks as `connectionSend` does.
#[napi]
pub fn connection_send_parts(
    handle: u32,
    parts: Vec<Uint8Array>,
    skip: f64,
    descriptors: Vec<i32>,
    timeout: f64,
) -> f64 {
    let skip = skip as usize;
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    if skip > rest.iter().map(|part| part.len()).sum::<usize>() {
        return status::system(&std::io::ErrorKind::InvalidInput.into());
    }
    IoSlice::advance_slices(&mut rest, skip);
    let borrowed: std::io::Result<Vec<BorrowedFd<'_>>> = descriptors
        .iter()
        .map(|fd| descriptor::borrow(*fd))
        .collect();
    match borrowed {
        Ok(descriptors) => on(handle, |entry| entry.send(rest, &descriptors, timeout)),
        Err(error) => status::system(&error),
    }
}

/// Sends bytes as they are, without a length in front; returns how many are left, or a status. Blocks as
/// `connectionSend` does.
#[napi]
pub fn connection_send_raw(handle: u32, bytes: &[u8], timeout: f64) -> f64 {
    on(handle, |entry| {
        entry.send(&mut [IoSlice::new(bytes)], &[], timeout)
    })
}

/// Reads what has come into the receive scratch, be it a part of a message or many, and returns how much,
/// or a status. A timeout of 0 does not block; less than zero blocks for ever. With `awake` it does not
/// sleep, but looks for a while if that has been worth it. With `interruptible` SIGINT ends the wait.
/// Descriptors are kept for `takeDescriptors`.
#[napi]
pub fn connection_read_ahead(handle: u32, timeout: f64, awake: bool, interruptible: bool) -> f64 {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { RECEIVE.get().bytes() };
    on(handle, |entry| {
        if awake {
            match entry.connection.look_ahead(scratch) {
                Ok(count) => count as f64,
                Err(error) => status::receive(&error),
            }
        } else {
            read_ahead(&mut entry.connection, scratch, timeout, interruptible)
        }
    })
}

/// How long one sleeps at a time who attends to SIGINT, which may come right before the sleep.
const ATTENTIVE: Duration = Duration::from_millis(500);

/// Waits for what comes, until the time is over or, if so wanted, SIGINT comes: how much it is, or a status.
pub(crate) fn read_ahead(
    connection: &mut Connection,
    scratch: &mut [u8],
    timeout: f64,
    interruptible: bool,
) -> f64 {
    let deadline = deadline(timeout);
    if !interruptible || timeout == 0.0 {
        return match connection.read_ahead(scratch, deadline) {
            Ok(count) => count as f64,
            Err(error) => status::receive(&error),
        };
    }
    let mut attention = None;
    let mut interrupted = false;
    let read = connection.read_ahead_sleeping(scratch, |fd| {
        let attention = attention.get_or_insert_with(|| Attention::begin().ok().flatten());
        let left = deadline
            .remaining()
            .map_or(ATTENTIVE, |left| left.min(ATTENTIVE));
        let ready = readiness::wait_until_signal(fd, Interest::Readable, left);
        interrupted = attention.as_ref().is_some_and(Attention::is_wanted);
        match ready {
            Err(error) => Some(error.into()),
            Ok(true) => None,
            Ok(false) => (interrupted || left.is_zero()).then_some(ReceiveError::NotYet),
        }
    });
    match read {
        Ok(count) => count as f64,
        Err(ReceiveError::NotYet) if interrupted => status::INTERRUPTED,
        Err(error) => status::receive(&error),
    }
}

/// Receives a message: its length, when it is in the receive scratch; -3 when it is large and waits to
/// be taken; or a status. A message longer than `maximum` bytes is a bad length. A timeout of 0 does not
/// block; less than zero blocks for ever.
#[napi]
pub fn connection_receive(handle: u32, maximum: f64, timeout: f64) -> f64 {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { RECEIVE.get().bytes() };
    let maximum = maximum as u64;
    on(handle, |entry| {
        let received = if timeout == 0.0 {
            entry.connection.try_receive(scratch, maximum)
        } else {
            entry
                .connection
                .receive(scratch, maximum, deadline(timeout))
        };
        match received {
            Ok(Received::Small(length)) => {
                if scratch[..length].first() != Some(&frame::EXTENDED) {
                    // Nothing but an extended frame has a use for them.
                    drop(entry.connection.take_descriptors());
                }
                length as f64
            }
            Ok(Received::Large(length)) => {
                entry.announced = length;
                status::LARGE
            }
            Err(error) => status::receive(&error),
        }
    })
}

/// The length of the large message that `connectionReceive` announced.
#[napi]
pub fn announced_length(handle: u32) -> f64 {
    on(handle, |entry| entry.announced as f64)
}

/// Takes the next bytes of a large message into an array, from `filled` on, until it is full or the
/// time is over. Returns how much of it is filled then, or a status. `fresh` says that nobody has touched
/// the array's memory yet.
#[napi]
pub fn connection_fill(
    handle: u32,
    mut target: Uint8Array,
    filled: f64,
    fresh: bool,
    timeout: f64,
) -> f64 {
    // SAFETY: the array is an argument of this call on the JavaScript thread; nothing else runs on it.
    let target = unsafe { target.as_mut() };
    on(handle, |entry| {
        match entry
            .connection
            .fill(target, filled as usize, fresh, deadline(timeout))
        {
            Ok(filled) => filled as f64,
            Err(error) => status::receive(&error),
        }
    })
}

/// How the first bytes of a large message go on, which is an object's frame of `total` bytes: the number
/// of bytes that must be known to say more, or, once they are, `[graph start, graph end, number of
/// descriptors, buffer start, buffer end, ...]`.
#[napi]
pub fn lay_out_frame(prefix: &[u8], total: f64) -> Result<Either<f64, Vec<f64>>> {
    if let FrameHeader::Extended { buffers, .. } = Frame::parse_header(prefix).map_err(reason)? {
        let known = frame::EXTENDED_HEADER + buffers as usize * frame::TABLE_ENTRY;
        if prefix.len() < known {
            return Ok(Either::A(known as f64));
        }
    }
    let frame = Frame::lay_out(prefix, total as u64).map_err(reason)?;
    Ok(Either::B(numbers(&frame)))
}

/// The parts of a frame in the receive scratch: `[graph start, graph end, number of descriptors,
/// buffer start, buffer end, ...]`.
#[napi]
pub fn parse_frame(length: u32) -> Result<Vec<f64>> {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { RECEIVE.get().bytes() };
    let bytes = scratch
        .get(..length as usize)
        .ok_or_else(|| Error::from_reason("too long"))?;
    Ok(numbers(&parse(bytes)?))
}

/// Reads a small file in memory into the receive scratch and closes it: its length, `LARGE` when it does
/// not fit (it stays open then), or a status.
#[napi]
pub fn read_small_file(fd: i32) -> f64 {
    // SAFETY: as in `connection_receive`.
    let scratch = unsafe { RECEIVE.get().bytes() };
    let mut read = || {
        let file = descriptor::borrow(fd)?;
        let length = mp_os::memory_file::read(file, scratch)?;
        if length == scratch.len() {
            return Ok(status::LARGE);
        }
        descriptor::close(fd)?;
        Ok(length as f64)
    };
    status::of(read())
}

/// The parts of a frame held in a file in memory, which is closed:
/// `[graph, number of descriptors, ...buffers]`, each a part of the file in place.
#[napi(ts_return_type = "[ArrayBuffer, number, ...ArrayBuffer[]]")]
pub fn map_frame_file<'env>(env: &'env Env, fd: i32) -> Result<Array<'env>> {
    let mapping = descriptor::adopt(fd)
        .and_then(|file| mp_os::memory_file::map(file.as_fd()))
        .map_err(|error| Error::from_reason(error.to_string()))?;
    frame_parts(env, &Arc::new(mapping))
}

/// Everything of an object's message but its graph and buffers, which the caller puts between:
/// `[length header + frame header, padding before the first buffer, before the second, ...]`.
/// `framed` says whether the length header is wanted.
#[napi]
pub fn frame_prefixes(
    graph_length: f64,
    buffer_lengths: Vec<f64>,
    descriptors: u32,
    framed: bool,
) -> Result<Vec<Buffer>> {
    let lengths: Vec<u64> = buffer_lengths.iter().map(|length| *length as u64).collect();
    let layout = FrameWriter::new(graph_length as u64, &lengths, descriptors).map_err(reason)?;
    let mut first = Vec::new();
    if framed {
        first.extend_from_slice(framing::header(layout.payload_length()).as_bytes());
    }
    first.extend_from_slice(layout.header());
    let paddings = layout.paddings().map(|padding| padding.to_vec().into());
    Ok(std::iter::once(first.into()).chain(paddings).collect())
}

/// The header of a message of so many bytes.
#[napi]
pub fn length_header(length: f64) -> Buffer {
    framing::header(length as u64).as_bytes().to_vec().into()
}

/// The descriptors that came beside the messages received since this was last called. They are the
/// caller's to close.
#[napi]
pub fn take_descriptors(handle: u32) -> Vec<i32> {
    CONNECTIONS.with_borrow_mut(|table| {
        let entry = table.get_mut(handle);
        let received = entry.map(|entry| entry.connection.take_descriptors());
        received
            .unwrap_or_default()
            .into_iter()
            .map(IntoRawFd::into_raw_fd)
            .collect()
    })
}

impl Entry {
    fn send(
        &mut self,
        parts: &mut [IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        timeout: f64,
    ) -> f64 {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let sent = if timeout == 0.0 {
            self.connection.try_send(parts, descriptors)
        } else {
            self.connection.send(parts, descriptors, deadline(timeout))
        };
        match sent {
            Ok(sent) => (total - sent) as f64,
            Err(error) => status::send(&error),
        }
    }
}

pub(crate) fn on(handle: u32, action: impl FnOnce(&mut Entry) -> f64) -> f64 {
    CONNECTIONS.with_borrow_mut(|table| table.get_mut(handle).map_or(status::NO_HANDLE, action))
}

fn numbers(frame: &Frame) -> Vec<f64> {
    let ranges = frame
        .buffers
        .iter()
        .flat_map(|range| [range.start as f64, range.end as f64]);
    [
        frame.graph.start as f64,
        frame.graph.end as f64,
        frame.descriptors.into(),
    ]
    .into_iter()
    .chain(ranges)
    .collect()
}

pub(crate) fn frame_parts<'env>(env: &'env Env, mapping: &Arc<Mapping>) -> Result<Array<'env>> {
    let frame = parse(mapping.as_slice())?;
    let count = u32::try_from(frame.buffers.len()).map_err(reason)?;
    let mut parts = env.create_array(2 + count)?;
    let part = |range: &std::ops::Range<usize>| {
        external::array_buffer(env, mapping, range.start, range.len())
    };
    parts.set(0, part(&frame.graph)?)?;
    parts.set(1, frame.descriptors)?;
    for (index, buffer) in (2..).zip(&frame.buffers) {
        parts.set(index, part(buffer)?)?;
    }
    Ok(parts)
}

fn parse(bytes: &[u8]) -> Result<Frame> {
    Frame::parse(bytes).map_err(reason)
}

fn reason(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}
