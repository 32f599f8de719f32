//! Descriptors that come when the process may open no more. This changes a limit of the whole process,
//! so it is alone in its program.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};

use mp_connection::{Connection, Received};
use mp_os::socket;
use mp_wire::framing;

/// How many descriptors the process may have open.
fn open_limit() -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a structure of ours of the right kind.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(status, 0);
    limit
}

fn set_open_limit(limit: libc::rlimit) {
    // SAFETY: the pointer is to a structure that outlives the call.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(status, 0);
}

fn send(connection: &mut Connection, message: &[u8], beside: &[std::os::fd::BorrowedFd<'_>]) {
    let header = framing::header(message.len() as u64);
    let mut parts = [IoSlice::new(header.as_bytes()), IoSlice::new(message)];
    let sent = connection
        .try_send(&mut parts, beside)
        .expect("there is room");
    assert_eq!(sent, header.as_bytes().len() + message.len());
}

#[test]
fn descriptors_that_find_no_place_are_lost_and_the_messages_are_not() {
    let (reader, writer) = socket::pair().unwrap();
    let mut receiver = Connection::new(reader).unwrap();
    let mut sender = Connection::new(writer).unwrap();
    let (pipe, _pipe_writer) = std::io::pipe().unwrap();
    // Bytes that would be a length of four, and a message of that length, if they were taken for one.
    send(
        &mut sender,
        &[0, 0, 0, 4, 1, 2, 3, 4],
        &[pipe.as_fd(), pipe.as_fd()],
    );
    send(&mut sender, b"next", &[]);

    let usual = open_limit();
    let lowest_free = pipe.try_clone().unwrap().as_raw_fd();
    set_open_limit(libc::rlimit {
        rlim_cur: lowest_free.try_into().unwrap(),
        ..usual
    });
    let mut scratch = [0; 64];
    let outcome = receiver.try_receive(&mut scratch, u64::MAX);
    set_open_limit(usual);

    assert!(receiver.take_descriptors().is_empty(), "none found a place");
    assert_eq!(outcome.unwrap(), Received::Small(8));
    assert_eq!(scratch[..8], [0, 0, 0, 4, 1, 2, 3, 4]);
    assert_eq!(
        receiver.try_receive(&mut scratch, u64::MAX).unwrap(),
        Received::Small(4)
    );
    assert_eq!(&scratch[..4], b"next");
    // There is room again.
    send(&mut sender, b"x", &[pipe.as_fd(), pipe.as_fd()]);
    assert_eq!(
        receiver.try_receive(&mut scratch, u64::MAX).unwrap(),
        Received::Small(1)
    );
    assert_eq!(receiver.take_descriptors().len(), 2);
}
