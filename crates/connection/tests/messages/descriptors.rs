//! Descriptors that travel beside messages.

use std::fs::File;
use std::io::{IoSlice, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mp_connection::{Connection, ReceiveError, Received, SendError};
use mp_os::socket::{self, MAX_DESCRIPTORS};

use crate::channel::{ANY, Channel, framed, never, now, payload, put, take};

/// Sends a message with descriptors beside it.
fn send(connection: &mut Connection, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let stream = framed(message);
    let sent = connection
        .try_send(&mut [IoSlice::new(&stream)], descriptors)
        .expect("there is room");
    assert_eq!(sent, stream.len());
}

/// Whether what is written to the descriptor comes out of the pipe.
fn leads_to(descriptor: OwnedFd, pipe: &mut PipeReader) -> bool {
    let word = *b"here";
    let mut arrived = [0; 4];
    File::from(descriptor)
        .write_all(&word)
        .expect("the pipe takes it");
    pipe.read_exact(&mut arrived).expect("it is there");
    arrived == word
}

#[test]
fn they_are_kept_for_their_message() {
    let (mut receiver, mut sender) = Channel::Socket.connections();
    let pipes: Vec<_> = (0..4).map(|_| std::io::pipe().unwrap()).collect();
    let mut scratch = [0; 8];
    // With a small message, with a large one, with an empty one, with none.
    for (message, beside) in [
        ("small", 0..2),
        ("larger than that", 2..3),
        ("", 3..4),
        ("none", 0..0),
    ] {
        let beside: Vec<_> = pipes[beside]
            .iter()
            .map(|(_, writer)| writer.as_fd())
            .collect();
        send(&mut sender, message.as_bytes(), &beside);
    }
    let mut readers = pipes.into_iter().map(|(reader, _)| reader);
    for (length, count) in [(5, 2), (16, 1), (0, 1), (4, 0)] {
        match receiver.try_receive(&mut scratch, ANY).unwrap() {
            Received::Small(small) => assert_eq!(small, length),
            Received::Large(large) => {
                assert_eq!(large, length as u64);
                receiver
                    .fill(&mut vec![0; length], 0, false, now())
                    .unwrap();
            }
        }
        let descriptors = receiver.take_descriptors();
        assert_eq!(
            descriptors.len(),
            count,
            "beside the message of {length} bytes"
        );
        for descriptor in descriptors {
            assert!(leads_to(descriptor, &mut readers.next().unwrap()));
        }
    }
    assert!(receiver.take_descriptors().is_empty());
}

#[test]
fn they_travel_with_the_first_byte() {
    let (reader, writer) = Channel::Socket.descriptors();
    let mut sender = Connection::new(writer).unwrap();
    let (mut pipe, pipe_writer) = std::io::pipe().unwrap();
    send(&mut sender, b"message", &[pipe_writer.as_fd()]);
    let mut descriptors = Vec::new();
    assert_eq!(
        socket::receive(reader.as_fd(), &mut [0], &mut descriptors).unwrap(),
        1
    );
    assert!(leads_to(descriptors.pop().expect("it is there"), &mut pipe));
    assert_eq!(
        socket::receive(reader.as_fd(), &mut [0; 64], &mut descriptors).unwrap(),
        10
    );
    assert!(descriptors.is_empty());
}

#[test]
fn they_are_kept_while_the_message_comes_in_pieces() {
    let (reader, writer) = Channel::Socket.descriptors();
    let mut receiver = Connection::new(reader).unwrap();
    let (mut pipe, pipe_writer) = std::io::pipe().unwrap();
    let stream = framed(b"small");
    let mut scratch = [0; 8];
    let first = [IoSlice::new(&stream[..1])];
    assert_eq!(
        socket::send(writer.as_fd(), &first, &[pipe_writer.as_fd()]).unwrap(),
        1
    );
    let writer = File::from(writer);
    for at in 1..stream.len() {
        let outcome = receiver.try_receive(&mut scratch, ANY);
        assert!(matches!(outcome, Err(ReceiveError::NotYet)));
        put(&writer, &stream[at..=at]);
    }
    assert_eq!(
        receiver.try_receive(&mut scratch, ANY).unwrap(),
        Received::Small(5)
    );
    let mut descriptors = receiver.take_descriptors();
    assert_eq!(descriptors.len(), 1);
    assert!(leads_to(descriptors.remove(0), &mut pipe));
}

#[test]
fn as_many_as_the_kernel_takes_and_no_more() {
    let (mut receiver, mut sender) = Channel::Socket.connections();
    let (_reader, writer) = std::io::pipe().unwrap();
    let many = vec![writer.as_fd(); MAX_DESCRIPTORS + 1];
    let stream = framed(b"x");
    for deadline in [now(), never()] {
        let outcome = sender.send(&mut [IoSlice::new(&stream)], &many, deadline);
        match outcome {
            Err(SendError::System(error)) => {
                assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    let nothing = receiver.try_receive(&mut [0; 8], ANY);
    assert!(
        matches!(nothing, Err(ReceiveError::NotYet)),
        "no byte of it was sent"
    );
    send(&mut sender, b"x", &many[1..]);
    assert_eq!(
        receiver.try_receive(&mut [0; 8], ANY).unwrap(),
        Received::Small(1)
    );
    assert_eq!(receiver.take_descriptors().len(), MAX_DESCRIPTORS);
}

#[test]
fn none_travel_over_a_pipe() {
    let (mut sender, reader) = Channel::Pipe.sender();
    let (_reader, writer) = std::io::pipe().unwrap();
    let stream = framed(b"x");
    let outcome = sender.try_send(&mut [IoSlice::new(&stream)], &[writer.as_fd()]);
    assert!(
        matches!(outcome, Err(SendError::NoDescriptors)),
        "{outcome:?}"
    );
    let outcome = sender.send(&mut [IoSlice::new(&stream)], &[writer.as_fd()], never());
    assert!(
        matches!(outcome, Err(SendError::NoDescriptors)),
        "{outcome:?}"
    );
    // Nothing of it was written.
    send(&mut sender, b"next", &[]);
    assert_eq!(take(&reader, 8), framed(b"next"));
}

#[test]
fn they_go_once_with_a_message_that_is_sent_in_parts() {
    let (mut receiver, mut sender) = Channel::Socket.connections();
    let (mut pipe, writer) = std::io::pipe().unwrap();
    let message = payload(0, 3 << 20);
    let stream = framed(&message);
    let first = sender
        .try_send(&mut [IoSlice::new(&stream)], &[writer.as_fd()])
        .unwrap();
    assert!(first > 0 && first < stream.len(), "the socket takes a part");
    // Full, it takes neither bytes nor descriptors.
    let nothing = sender
        .try_send(&mut [IoSlice::new(b"more")], &[writer.as_fd()])
        .unwrap();
    assert_eq!(nothing, 0);
    let rest = stream[first..].to_vec();
    let sending = std::thread::spawn(move || {
        sender
            .send(&mut [IoSlice::new(&rest)], &[], never())
            .unwrap();
    });
    let announced = receiver.receive(&mut [0; 8], ANY, never()).unwrap();
    assert_eq!(announced, Received::Large(message.len() as u64));
    let mut target = vec![0; message.len()];
    assert_eq!(
        receiver.fill(&mut target, 0, false, never()).unwrap(),
        message.len()
    );
    sending.join().unwrap();
    assert!(target == message);
    let mut descriptors = receiver.take_descriptors();
    assert_eq!(descriptors.len(), 1);
    assert!(leads_to(descriptors.remove(0), &mut pipe));
}

#[test]
fn they_go_once_however_often_the_kernel_is_called() {
    let (mut receiver, mut sender) = Channel::Socket.connections();
    let (mut pipe, writer) = std::io::pipe().unwrap();
    let message = payload(0, 3 << 20);
    let stream = framed(&message);
    let sending = std::thread::spawn(move || {
        let beside = [writer.as_fd()];
        sender
            .send(&mut [IoSlice::new(&stream)], &beside, never())
            .unwrap()
    });
    let mut target = vec![0; message.len()];
    let announced = receiver.receive(&mut [0; 8], ANY, never()).unwrap();
    assert_eq!(announced, Received::Large(message.len() as u64));
    receiver.fill(&mut target, 0, false, never()).unwrap();
    assert_eq!(sending.join().unwrap(), message.len() + 4);
    assert!(target == message);
    let mut descriptors = receiver.take_descriptors();
    assert_eq!(descriptors.len(), 1);
    assert!(leads_to(descriptors.remove(0), &mut pipe));
}

#[test]
fn those_nobody_takes_do_not_become_the_next_message_s() {
    let (mut receiver, mut sender) = Channel::Socket.connections();
    let (mut pipe, writer) = std::io::pipe().unwrap();
    let (mut next_pipe, next_writer) = std::io::pipe().unwrap();
    send(&mut sender, b"first", &[writer.as_fd(), writer.as_fd()]);
    send(&mut sender, b"next", &[next_writer.as_fd()]);
    drop(writer);
    for length in [5, 4] {
        let received = receiver.try_receive(&mut [0; 8], ANY).unwrap();
        assert_eq!(received, Received::Small(length));
    }
    let mut descriptors = receiver.take_descriptors();
    assert_eq!(descriptors.len(), 1);
    assert!(leads_to(descriptors.remove(0), &mut next_pipe));
    // Only when no writer is left does a pipe end.
    assert_eq!(pipe.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn those_nobody_takes_are_closed_with_the_connection() {
    let (mut receiver, mut sender) = Channel::Socket.connections();
    let (mut pipe, writer) = std::io::pipe().unwrap();
    send(&mut sender, b"x", &[writer.as_fd()]);
    drop(writer);
    assert_eq!(
        receiver.try_receive(&mut [0; 8], ANY).unwrap(),
        Received::Small(1)
    );
    drop(receiver);
    // Only when no writer is left does a pipe end.
    assert_eq!(pipe.read(&mut [0; 1]).unwrap(), 0);
}
