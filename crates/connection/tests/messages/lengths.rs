//! The length in front of a message: the most that is allowed, and what cannot be.

use mp_connection::{Connection, ReceiveError, Received};
use proptest::prelude::*;

use crate::channel::{ANY, CHANNELS, Channel, channels, framed, never, now, put};

/// Whether nothing can be received any more, in whatever way it is tried.
fn is_broken(connection: &mut Connection) -> bool {
    let scratch = &mut [0; 64];
    (0..3).all(|_| {
        matches!(
            connection.try_receive(scratch, ANY),
            Err(ReceiveError::BadLength)
        ) && matches!(
            connection.receive(scratch, ANY, never()),
            Err(ReceiveError::BadLength)
        ) && matches!(
            connection.fill(&mut [0; 1], 0, false, now()),
            Err(ReceiveError::BadLength)
        )
    })
}

#[test]
fn a_message_may_be_as_long_as_the_maximum_and_no_longer() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let mut scratch = [0; 8];
        for (length, maximum) in [(0, 0), (5, 5), (5, 6)] {
            put(&writer, &framed(&vec![7; length]));
            let received = connection.try_receive(&mut scratch, maximum).unwrap();
            assert_eq!(received, Received::Small(length));
        }
        put(&writer, &framed(&[7; 20]));
        assert_eq!(
            connection.try_receive(&mut scratch, 20).unwrap(),
            Received::Large(20)
        );
        assert_eq!(connection.fill(&mut [0; 20], 0, false, now()).unwrap(), 20);
        put(&writer, &framed(&[7; 6]));
        put(&writer, &framed(&[7; 1]));
        let outcome = connection.try_receive(&mut scratch, 5);
        assert!(
            matches!(outcome, Err(ReceiveError::BadLength)),
            "{channel:?}: {outcome:?}"
        );
        assert!(is_broken(&mut connection), "{channel:?}");
    }
}

#[test]
fn the_maximum_holds_for_a_receive_that_waits_too() {
    let (mut connection, writer) = Channel::Socket.receiver();
    put(&writer, &framed(&[7; 100]));
    let outcome = connection.receive(&mut [0; 8], 99, never());
    assert!(
        matches!(outcome, Err(ReceiveError::BadLength)),
        "{outcome:?}"
    );
    assert!(is_broken(&mut connection));
}

#[test]
fn lengths_of_eight_bytes_are_understood() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let long = |length: u64| [&[0xFF; 4][..], &length.to_be_bytes()].concat();
        let mut scratch = [0; 8];
        put(&writer, &long(3));
        put(&writer, b"abc");
        assert_eq!(
            connection.try_receive(&mut scratch, ANY).unwrap(),
            Received::Small(3)
        );
        assert_eq!(&scratch[..3], b"abc");
        put(&writer, &long(1 << 40));
        assert_eq!(
            connection.try_receive(&mut scratch, ANY).unwrap(),
            Received::Large(1 << 40)
        );
        let outcome = connection.try_receive(&mut scratch, (1 << 40) - 1);
        assert!(
            matches!(outcome, Err(ReceiveError::BadLength)),
            "{channel:?}: {outcome:?}"
        );
        assert!(is_broken(&mut connection));
    }
}

proptest! {
    #[test]
    fn a_negative_length_breaks_the_connection_for_good(
        channel in channels(),
        length in i32::MIN..=-2,
        at_once in 0..=4_usize,
        before in 0..3_usize,
    ) {
        let (mut connection, writer) = channel.receiver();
        let mut scratch = [0; 8];
        for _ in 0..before {
            put(&writer, &framed(b"good"));
            prop_assert_eq!(connection.try_receive(&mut scratch, ANY).unwrap(), Received::Small(4));
        }
        let bytes = length.to_be_bytes();
        let (first, rest) = bytes.split_at(at_once);
        put(&writer, first);
        if !rest.is_empty() {
            let outcome = connection.try_receive(&mut scratch, ANY);
            prop_assert!(matches!(outcome, Err(ReceiveError::NotYet)), "{:?}", outcome);
            put(&writer, rest);
        }
        put(&writer, &framed(b"good"));
        let outcome = connection.try_receive(&mut scratch, ANY);
        prop_assert!(matches!(outcome, Err(ReceiveError::BadLength)), "{:?}", outcome);
        prop_assert!(is_broken(&mut connection));
    }
}
