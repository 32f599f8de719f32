//! Messages that do not fit the scratch: announced, then filled in by steps.

use std::io::Write;
use std::thread;
use std::time::Duration;

use mp_connection::{Connection, ReceiveError, Received};
use mp_os::readiness::Deadline;
use proptest::prelude::*;

use crate::channel::{
    ANY, CHANNELS, channels, framed, never, now, payload, put, soon, take_message, without_hanging,
};

/// Whether the room given was refused.
fn refused(outcome: Result<usize, ReceiveError>) -> bool {
    matches!(outcome, Err(ReceiveError::System(error)) if error.raw_os_error() == Some(libc::EINVAL))
}

fn announced(connection: &mut Connection) -> Received {
    connection
        .try_receive(&mut [0; 8], ANY)
        .expect("an announcement")
}

#[test]
fn it_is_announced_again_until_it_has_been_filled() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let stream = framed(&payload(0, 100));
        put(&writer, &stream[..4]);
        assert_eq!(announced(&mut connection), Received::Large(100));
        assert_eq!(announced(&mut connection), Received::Large(100));
        put(&writer, &stream[4..64]);
        assert_eq!(announced(&mut connection), Received::Large(100));
        let mut target = vec![0; 100];
        assert_eq!(connection.fill(&mut target, 0, false, now()).unwrap(), 60);
        assert_eq!(announced(&mut connection), Received::Large(100));
        put(&writer, &stream[64..]);
        put(&writer, &framed(b"next"));
        assert_eq!(connection.fill(&mut target, 60, false, now()).unwrap(), 100);
        assert_eq!(target, payload(0, 100), "{channel:?}");
        let next = take_message(&mut connection, &mut [0; 8], &mut None);
        assert_eq!(next.as_deref(), Some(&b"next"[..]));
    }
}

#[test]
fn more_room_than_is_left_is_refused_and_nothing_is_lost() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        put(&writer, &framed(&payload(0, 10)));
        put(&writer, &framed(&payload(1, 10)));
        assert_eq!(announced(&mut connection), Received::Large(10));
        assert!(refused(connection.fill(&mut [0; 11], 0, false, now())));
        assert!(refused(connection.fill(&mut [0; 21], 10, false, now())));
        let mut first = [0; 6];
        assert_eq!(connection.fill(&mut first, 0, false, now()).unwrap(), 6);
        assert!(refused(connection.fill(&mut [0; 10], 0, false, now())));
        assert!(refused(connection.fill(&mut [0; 5], 0, false, now())));
        // Room for the four that are left, behind six that are another's.
        let mut second = [0; 10];
        assert_eq!(connection.fill(&mut second, 6, false, now()).unwrap(), 10);
        assert_eq!(
            [&first[..], &second[6..]].concat(),
            payload(0, 10),
            "{channel:?}"
        );
        assert_eq!(second[..6], [0; 6]);
        let next = take_message(&mut connection, &mut [0; 8], &mut None);
        assert_eq!(next, Some(payload(1, 10)));
    }
}

#[test]
fn a_small_message_that_has_begun_is_not_filled_elsewhere() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let stream = framed(b"small");
        put(&writer, &stream[..6]);
        let mut scratch = [0; 8];
        assert!(matches!(
            connection.try_receive(&mut scratch, ANY),
            Err(ReceiveError::NotYet)
        ));
        put(&writer, &stream[6..]);
        assert!(refused(connection.fill(&mut [0; 5], 0, false, now())));
        assert_eq!(
            connection.try_receive(&mut scratch, ANY).unwrap(),
            Received::Small(5)
        );
        assert_eq!(&scratch[..5], b"small", "{channel:?}");
    }
}

#[test]
fn a_fill_that_runs_out_of_time_says_how_far_it_came() {
    for channel in CHANNELS {
        let (mut connection, writer) = channel.receiver();
        let stream = framed(&payload(0, 50));
        put(&writer, &stream[..14]);
        assert_eq!(announced(&mut connection), Received::Large(50));
        let mut target = [0; 50];
        assert_eq!(connection.fill(&mut target, 0, false, soon()).unwrap(), 10);
        assert_eq!(connection.fill(&mut target, 10, false, soon()).unwrap(), 10);
        put(&writer, &stream[14..]);
        assert_eq!(
            connection.fill(&mut target, 10, false, never()).unwrap(),
            50
        );
        assert_eq!(target[..], payload(0, 50), "{channel:?}");
    }
}

/// One step of filling: into a part of so many bytes, for so many tenths of a millisecond.
type Step = (usize, u64);

/// Receives messages, each into parts of the sizes given, with a time-out for each try.
fn receive_in_steps(
    connection: &mut Connection,
    count: usize,
    fresh: bool,
    steps: &[Step],
) -> Vec<Vec<u8>> {
    let mut steps = steps.iter().cycle();
    let mut step = || {
        let (size, tenths) = steps.next().expect("there is at least one");
        (
            *size,
            Deadline::after(Some(Duration::from_micros(tenths * 100))),
        )
    };
    let mut scratch = [0; 8];
    let mut arrived = Vec::new();
    while arrived.len() < count {
        match connection.receive(&mut scratch, ANY, step().1) {
            Err(ReceiveError::NotYet) => {}
            Ok(Received::Small(length)) => arrived.push(scratch[..length].to_vec()),
            Ok(Received::Large(length)) => {
                let length = usize::try_from(length).expect("no test sends so much");
                let mut message = Vec::with_capacity(length);
                while message.len() < length {
                    let mut part = vec![0; step().0.min(length - message.len())];
                    let mut filled = 0;
                    while filled < part.len() {
                        filled = connection
                            .fill(&mut part, filled, fresh, step().1)
                            .expect("the sender is there");
                    }
                    message.extend_from_slice(&part);
                }
                arrived.push(message);
            }
            Err(error) => panic!("{error}"),
        }
    }
    arrived
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_is_filled_in_any_steps_and_parts(
        channel in channels(),
        lengths in proptest::collection::vec(
            prop_oneof![3 => 0..=50_000_usize, 1 => 2_000_000..=5_000_000_usize],
            1..4,
        ),
        steps in proptest::collection::vec(
            (prop_oneof![1..=70_000_usize, 1_000_000..=3_000_000_usize], 0..=10_u64),
            1..6,
        ),
        fresh in any::<bool>(),
    ) {
        // One small part is no slower than many, but a large message of nothing else is.
        let steps: Vec<Step> = steps.into_iter().chain([(400_000, 1)]).collect();
        let messages: Vec<_> =
            lengths.iter().enumerate().map(|(seed, length)| payload(seed, *length)).collect();
        let (mut connection, mut writer) = channel.receiver();
        let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        let sender = thread::spawn(move || writer.write_all(&stream));
        let count = messages.len();
        let arrived =
            without_hanging(move || receive_in_steps(&mut connection, count, fresh, &steps));
        sender.join().expect("the sender ends").expect("all is sent");
        prop_assert!(arrived == messages);
    }
}
