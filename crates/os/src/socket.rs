//! Unix stream sockets: pairs of them, and bytes with descriptors beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    sockopt,
};

/// The most descriptors that one message of the kernel carries (`SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 253;

/// How many bytes the kernel is asked to hold for a socket on its way: enough that a large message
/// is not cut into hundreds of turns. What the system allows at most is accepted.
const BUFFER_BYTES: usize = 1 << 20;

/// Two connected stream sockets, which no new program inherits.
///
/// # Errors
/// `EMFILE` or `ENFILE` when no more descriptors can be had.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let pair = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    for end in [&pair.0, &pair.1] {
        hold_much(end.as_fd());
    }
    Ok(pair)
}

/// Has the kernel hold more on its way through a Unix socket.
pub(crate) fn hold_much(end: BorrowedFd<'_>) {
    // The system may cap or refuse this; smaller buffers are slower, never wrong.
    let _ = sockopt::set_socket_send_buffer_size(end, BUFFER_BYTES);
}

/// Two connected sockets that keep messages apart, which no new program inherits.
///
/// # Errors
/// `EMFILE` or `ENFILE` when no more descriptors can be had.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// The first bytes of the message that is next, which stays there; never blocks.
///
/// # Errors
/// `EAGAIN` when there is none.
pub fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (length, _) = rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK)?;
    Ok(length)
}

/// Makes a pair one-way: nothing can be written to `reader` or read from `writer` any more.
///
/// # Errors
/// What `shutdown(2)` gives.
pub fn make_one_way(reader: BorrowedFd<'_>, writer: BorrowedFd<'_>) -> io::Result<()> {
    rustix::net::shutdown(reader, rustix::net::Shutdown::Write)?;
    Ok(rustix::net::shutdown(writer, rustix::net::Shutdown::Read)?)
}

/// Ends the connection of a pair, whoever else has a copy of this end: the other one reads its end.
///
/// # Errors
/// What `shutdown(2)` gives.
pub fn end(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, rustix::net::Shutdown::Both)?)
}

/// Sends what the socket takes at once, with descriptors beside the first byte; never blocks and never
/// raises `SIGPIPE`.
///
/// # Errors
/// `EAGAIN` when it takes nothing now, `EPIPE` or `ECONNRESET` when the other end is gone, `EINVAL` for
/// more than [`MAX_DESCRIPTORS`] descriptors.
pub fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if descriptors.is_empty() {
        return Ok(sendmsg(
            socket,
            parts,
            &mut SendAncillaryBuffer::default(),
            flags,
        )?);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if descriptors.len() > MAX_DESCRIPTORS
        || !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
    {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(sendmsg(socket, parts, &mut ancillary, flags)?)
}

/// Receives what has come, at most `buffer.len()` bytes, and appends the descriptors that came beside
/// it; never blocks. 0 means that the other end is closed.
///
/// Descriptors that this process may not open (`RLIMIT_NOFILE`) are lost; the bytes are not, and whoever
/// knows how many were to come will notice.
///
/// # Errors
/// `EAGAIN` when nothing has come, `ECONNRESET` when the other end closed with bytes unread.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(buffer)],
        &mut ancillary,
        flags,
    )?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn descriptors_travel_beside_bytes() {
        let (left, right) = pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let sent = send(left.as_fd(), &[IoSlice::new(b"ab")], &[writer.as_fd()]).unwrap();
        assert_eq!(sent, 2);
        drop(writer);
        let (mut buffer, mut descriptors) = ([0; 8], Vec::new());
        assert_eq!(
            receive(right.as_fd(), &mut buffer, &mut descriptors).unwrap(),
            2
        );
        assert_eq!(descriptors.len(), 1);
        rustix::io::write(&descriptors[0], b"through").unwrap();
        assert_eq!(rustix::io::read(&reader, &mut buffer).unwrap(), 7);
    }

    #[test]
    fn an_end_is_read_although_there_is_a_copy() {
        let (left, right) = pair().unwrap();
        let copy = right.try_clone().unwrap();
        end(right.as_fd()).unwrap();
        drop(right);
        assert_eq!(
            receive(left.as_fd(), &mut [0; 8], &mut Vec::new()).unwrap(),
            0
        );
        drop(copy);
    }

    #[test]
    fn a_call_never_blocks() {
        let (left, right) = pair().unwrap();
        let empty = receive(right.as_fd(), &mut [0; 8], &mut Vec::new()).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        let block = vec![7; 1 << 20];
        let full = loop {
            if let Err(error) = send(left.as_fd(), &[IoSlice::new(&block)], &[]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn too_many_descriptors_are_an_error() {
        let (left, _right) = pair().unwrap();
        let many = vec![left.as_fd(); MAX_DESCRIPTORS + 1];
        let error = send(left.as_fd(), &[IoSlice::new(b"x")], &many).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn a_one_way_pair_refuses_the_other_way() {
        let (reader, writer) = pair().unwrap();
        make_one_way(reader.as_fd(), writer.as_fd()).unwrap();
        assert!(send(reader.as_fd(), &[IoSlice::new(b"x")], &[]).is_err());
        assert_eq!(send(writer.as_fd(), &[IoSlice::new(b"x")], &[]).unwrap(), 1);
    }
}
