//! Ends that are closed: between messages, inside one, and with bytes unread.

use mp_connection::{Connection, ReceiveError, Received};

use crate::channel::{
    ANY, CHANNELS, Channel, framed, never, now, payload, put, take_message, without_hanging,
};

/// Fits the scratch.
const SMALL: usize = 5;
/// Does not.
const LARGE: usize = 20;
const SCRATCH: usize = 8;

/// A small, a large, and an empty message, and where each begins and ends.
fn stream() -> (Vec<u8>, Vec<usize>) {
    let mut stream = Vec::new();
    let mut boundaries = vec![0];
    for length in [SMALL, LARGE, 0] {
        stream.extend(framed(&payload(length, length)));
        boundaries.push(stream.len());
    }
    (stream, boundaries)
}

/// What the connection says at its end; the messages before it are whole. `waiting` says in which way
/// they are received.
fn end_of(connection: &mut Connection, messages: usize, waiting: bool) -> ReceiveError {
    let mut scratch = [0; SCRATCH];
    let mut received = 0;
    let mut target = [0; LARGE];
    let deadline = || if waiting { never() } else { now() };
    loop {
        let outcome = if waiting {
            connection.receive(&mut scratch, ANY, never())
        } else {
            connection.try_receive(&mut scratch, ANY)
        };
        let end = match outcome {
            Ok(Received::Small(length)) => {
                assert_eq!(scratch[..length], payload(length, length));
                None
            }
            Ok(Received::Large(length)) => {
                assert_eq!(length, LARGE as u64);
                match connection.fill(&mut target, 0, false, deadline()) {
                    Ok(filled) => {
                        assert_eq!((filled, &target[..]), (LARGE, &payload(LARGE, LARGE)[..]));
                        None
                    }
                    Err(end) => Some(end),
                }
            }
            Err(end) => Some(end),
        };
        match end {
            None => received += 1,
            Some(end) => {
                assert_eq!(received, messages, "every whole message has arrived");
                return end;
            }
        }
    }
}

/// What the connection says when it is asked once more.
fn end_again(connection: &mut Connection) -> ReceiveError {
    match connection.receive(&mut [0; SCRATCH], ANY, never()) {
        // Part of it has been taken; at least one byte has not.
        Ok(Received::Large(_)) => connection.fill(&mut [0], 0, false, never()).unwrap_err(),
        Ok(received) => panic!("{received:?} after the end"),
        Err(end) => end,
    }
}

/// Whether an end came where it says it did.
fn is_right(end: &ReceiveError, inside: bool) -> bool {
    match end {
        ReceiveError::End => !inside,
        ReceiveError::EndInsideMessage => inside,
        _ => false,
    }
}

#[test]
fn a_peer_that_closes_at_any_byte() {
    let (stream, boundaries) = stream();
    for channel in CHANNELS {
        for cut in 0..=stream.len() {
            for waiting in [false, true] {
                let (mut connection, writer) = channel.receiver();
                put(&writer, &stream[..cut]);
                drop(writer);
                let inside = !boundaries.contains(&cut);
                let messages = boundaries[1..].iter().filter(|end| **end <= cut).count();
                let (first, again) = without_hanging(move || {
                    let first = end_of(&mut connection, messages, waiting);
                    (first, end_again(&mut connection))
                });
                for end in [first, again] {
                    assert!(is_right(&end, inside), "{channel:?} at byte {cut}: {end:?}");
                }
            }
        }
    }
}

#[test]
fn a_peer_that_closes_after_the_beginning_was_taken() {
    let (stream, boundaries) = stream();
    for channel in CHANNELS {
        for cut in 1..SMALL + 4 {
            let (mut connection, writer) = channel.receiver();
            put(&writer, &stream[..cut]);
            let taken = take_message(&mut connection, &mut [0; SCRATCH], &mut None);
            assert_eq!(taken, None);
            drop(writer);
            assert!(!boundaries.contains(&cut));
            let end = end_of(&mut connection, 0, true);
            assert!(is_right(&end, true), "{channel:?} at byte {cut}: {end:?}");
        }
    }
}

/// A socket that is closed with bytes unread resets the connection, which is an end like any other.
#[test]
fn a_peer_that_closes_with_bytes_unread_at_any_byte() {
    let (stream, boundaries) = stream();
    for cut in 0..=stream.len() {
        let (mut connection, writer) = Channel::Socket.receiver();
        let sent = connection.try_send(&mut [std::io::IoSlice::new(b"unread")], &[]);
        assert_eq!(sent.unwrap(), 6);
        put(&writer, &stream[..cut]);
        drop(writer);
        let inside = !boundaries.contains(&cut);
        let messages = boundaries[1..].iter().filter(|end| **end <= cut).count();
        let end = end_of(&mut connection, messages, true);
        assert!(is_right(&end, inside), "at byte {cut}: {end:?}");
    }
}

#[test]
fn a_large_message_that_ends_in_its_second_part() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let stream = framed(&payload(0, LARGE));
        put(&writer, &stream[..stream.len() - 1]);
        drop(writer);
        let announced = connection.try_receive(&mut [0; SCRATCH], ANY);
        assert!(matches!(announced, Ok(Received::Large(_))));
        let mut part = [0; LARGE / 2];
        assert_eq!(
            connection.fill(&mut part, 0, false, never()).unwrap(),
            part.len()
        );
        // Nine of the ten have come; they are gone, but not the knowledge that one is missing.
        for room in [10, 1] {
            let end = connection
                .fill(&mut vec![0; room], 0, false, never())
                .unwrap_err();
            assert!(is_right(&end, true), "{channel:?}: {end:?}");
        }
    }
}
