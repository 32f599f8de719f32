//! Receiving with a deadline.

use std::io::IoSlice;
use std::thread;
use std::time::{Duration, Instant};

use mp_connection::{ReceiveError, Received};
use mp_os::readiness::Deadline;

use crate::channel::{ANY, CHANNELS, framed, never, now, payload, put, soon, without_hanging};

#[test]
fn a_receive_waits_until_its_deadline_and_keeps_what_has_come() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let stream = framed(b"small");
        let mut scratch = [0; 8];
        for piece in [&stream[..0], &stream[..2], &stream[2..6]] {
            put(&writer, piece);
            let begun = Instant::now();
            let timeout = Duration::from_millis(20);
            let outcome = connection.receive(&mut scratch, ANY, Deadline::after(Some(timeout)));
            assert!(
                matches!(outcome, Err(ReceiveError::NotYet)),
                "{channel:?}: {outcome:?}"
            );
            assert!(
                begun.elapsed() >= timeout,
                "{channel:?} waits until the deadline"
            );
            scratch.fill(0xEE);
        }
        put(&writer, &stream[6..]);
        assert_eq!(
            connection.receive(&mut scratch, ANY, now()).unwrap(),
            Received::Small(5)
        );
        assert_eq!(&scratch[..5], b"small", "{channel:?}");
    }
}

#[test]
fn a_receive_wakes_when_the_message_comes() {
    for channel in CHANNELS {
        let (mut receiver, mut sender) = channel.connections();
        let (mut answered, mut answering) = channel.connections();
        let echo = thread::spawn(move || {
            let mut scratch = [0; 64];
            for _ in 0..100 {
                let received = receiver.receive(&mut scratch, ANY, never()).unwrap();
                let Received::Small(length) = received else {
                    panic!("{received:?}")
                };
                let stream = framed(&scratch[..length]);
                answering
                    .send(&mut [IoSlice::new(&stream)], &[], never())
                    .unwrap();
            }
        });
        without_hanging(move || {
            let mut scratch = [0; 64];
            for round in 0..100_usize {
                // Now and then so late that the other side sleeps.
                if round.is_multiple_of(10) {
                    thread::sleep(Duration::from_millis(1));
                }
                let message = payload(round, round % 60);
                let stream = framed(&message);
                sender
                    .send(&mut [IoSlice::new(&stream)], &[], never())
                    .unwrap();
                let received = answered.receive(&mut scratch, ANY, never()).unwrap();
                assert_eq!(received, Received::Small(message.len()));
                assert_eq!(scratch[..message.len()], message);
            }
            echo.join().unwrap();
        });
    }
}

#[test]
fn an_end_wakes_a_receive() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let receiving = thread::spawn(move || {
            let mut scratch = [0; 8];
            let first = connection.receive(&mut scratch, ANY, never());
            assert!(matches!(first, Ok(Received::Small(1))), "{first:?}");
            connection.receive(&mut scratch, ANY, never())
        });
        put(&writer, &framed(b"x"));
        drop(writer);
        let end = without_hanging(move || receiving.join().unwrap());
        assert!(
            matches!(end, Err(ReceiveError::End)),
            "{channel:?}: {end:?}"
        );
    }
}

#[test]
fn a_message_that_is_there_needs_no_time() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        for deadline in [now(), soon(), never()] {
            put(&writer, &framed(b"x"));
            let received = connection.receive(&mut [0; 8], ANY, deadline).unwrap();
            assert_eq!(received, Received::Small(1), "{channel:?}");
        }
    }
}
