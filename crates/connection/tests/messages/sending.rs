//! Sending: what is taken without blocking, until a deadline, and whole.

use std::fs::File;
use std::io::IoSlice;
use std::thread;
use std::time::{Duration, Instant};

use mp_connection::{Connection, SendError};
use mp_os::readiness::Deadline;
use proptest::prelude::*;

use crate::channel::{CHANNELS, channels, never, now, payload, soon, take, without_hanging};

/// More than any channel holds.
const TOO_MUCH: usize = 8 << 20;

/// The bytes in parts of these sizes, in turn; some may be empty.
fn parts<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<IoSlice<'a>> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (part, after) = rest.split_at((*size).min(rest.len()));
        parts.push(IoSlice::new(part));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    parts
}

/// Whether nobody can read any more.
fn is_broken_pipe<T>(outcome: Result<T, SendError>) -> bool {
    matches!(outcome, Err(SendError::System(error)) if error.raw_os_error() == Some(libc::EPIPE))
}

#[test]
fn a_full_channel_takes_nothing_and_what_it_took_is_what_was_said() {
    for channel in CHANNELS {
        let (mut sender, reader) = channel.sender();
        let bytes = payload(0, TOO_MUCH);
        let (first, more) = {
            let bytes = bytes.clone();
            let (first, more, sender) = without_hanging(move || {
                let first = sender.try_send(&mut [IoSlice::new(&bytes)], &[]).unwrap();
                let more = sender
                    .try_send(&mut [IoSlice::new(&bytes[first..])], &[])
                    .unwrap();
                (first, more, sender)
            });
            // The channel ends here, so that what is in it can be counted.
            drop(sender);
            (first, more)
        };
        assert!(first > 0 && first < TOO_MUCH, "{channel:?} takes {first}");
        assert_eq!(more, 0, "{channel:?}");
        let arrived = read_to_end(&reader);
        assert_eq!(arrived.len(), first, "{channel:?}");
        assert!(arrived == bytes[..first]);
    }
}

fn read_to_end(mut reader: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut bytes).expect("it ends");
    bytes
}

#[test]
fn room_for_a_little_is_used() {
    for channel in CHANNELS {
        let (mut sender, reader) = channel.sender();
        let bytes = payload(0, TOO_MUCH);
        let (said, drained) = without_hanging(move || {
            let mut sent = sender.try_send(&mut [IoSlice::new(&bytes)], &[]).unwrap();
            let mut drained = Vec::new();
            // So much is surely enough for the sender to be let on.
            while sent < TOO_MUCH && drained.len() < 4 << 20 {
                drained.extend(take(&reader, 32 << 10));
                sent += sender
                    .try_send(&mut [IoSlice::new(&bytes[sent..])], &[])
                    .unwrap();
            }
            drop(sender);
            drained.extend(read_to_end(&reader));
            assert!(drained == bytes[..sent]);
            (sent, drained.len())
        });
        assert_eq!(said, drained, "{channel:?}");
        assert!(said > 4 << 20, "{channel:?} goes on after a pause: {said}");
    }
}

#[test]
fn nothing_to_send_is_sent_at_once() {
    for channel in CHANNELS {
        let (mut sender, reader) = channel.sender();
        let empty = || [IoSlice::new(b""), IoSlice::new(b"")];
        assert_eq!(sender.try_send(&mut [], &[]).unwrap(), 0);
        assert_eq!(sender.try_send(&mut empty(), &[]).unwrap(), 0);
        assert_eq!(
            without_hanging({
                move || {
                    let sent = sender.send(&mut empty(), &[], never()).unwrap();
                    drop(sender);
                    sent
                }
            }),
            0
        );
        assert!(read_to_end(&reader).is_empty(), "{channel:?}");
    }
}

#[test]
fn nothing_to_send_needs_no_room() {
    for channel in CHANNELS {
        let (mut sender, _reader) = channel.sender();
        let bytes = vec![7; TOO_MUCH];
        sender.try_send(&mut [IoSlice::new(&bytes)], &[]).unwrap();
        let sent = without_hanging(move || {
            let mut empty = [IoSlice::new(b""), IoSlice::new(b"")];
            sender.send(&mut empty, &[], never()).unwrap()
        });
        assert_eq!(sent, 0, "{channel:?}");
    }
}

#[test]
fn a_deadline_ends_a_send_and_the_rest_can_follow() {
    for channel in CHANNELS {
        let (mut sender, reader) = channel.sender();
        let bytes = payload(0, TOO_MUCH);
        let timeout = Duration::from_millis(30);
        let begun = Instant::now();
        let deadline = Deadline::after(Some(timeout));
        let sent = sender
            .send(&mut [IoSlice::new(&bytes)], &[], deadline)
            .unwrap();
        assert!(
            begun.elapsed() >= timeout,
            "{channel:?} waits until the deadline"
        );
        assert!(sent > 0 && sent < TOO_MUCH, "{channel:?} takes {sent}");
        assert_eq!(
            sender
                .send(&mut [IoSlice::new(&bytes[sent..])], &[], now())
                .unwrap(),
            0
        );
        let rest = bytes[sent..].to_vec();
        let sending = thread::spawn(move || sender.send(&mut [IoSlice::new(&rest)], &[], never()));
        let arrived = without_hanging(move || take(&reader, TOO_MUCH));
        assert_eq!(sending.join().unwrap().unwrap(), TOO_MUCH - sent);
        assert!(arrived == bytes, "{channel:?}");
    }
}

#[test]
fn a_channel_that_nobody_reads_is_broken() {
    for channel in CHANNELS {
        let (mut sender, reader) = channel.sender();
        drop(reader);
        for deadline in [now(), soon(), never()] {
            assert!(is_broken_pipe(sender.send(
                &mut [IoSlice::new(b"x")],
                &[],
                deadline
            )));
        }
        assert!(
            is_broken_pipe(sender.try_send(&mut [IoSlice::new(b"x")], &[])),
            "{channel:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_ends_a_send_that_waits() {
    for channel in CHANNELS {
        let (mut sender, reader) = channel.sender();
        let sending = thread::spawn(move || {
            is_broken_pipe(sender.send(&mut [IoSlice::new(&vec![7; TOO_MUCH])], &[], never()))
        });
        // The send has begun.
        take(&reader, 1);
        drop(reader);
        assert!(
            without_hanging(move || sending.join().unwrap()),
            "{channel:?}"
        );
    }
}

/// What a send of all, in those parts, brings to the other end.
fn send_all(mut sender: Connection, reader: File, bytes: Vec<u8>, sizes: &[usize]) -> Vec<u8> {
    let count = bytes.len();
    let receiving = thread::spawn(move || read_to_end(&reader));
    let sent = sender
        .send(&mut parts(&bytes, sizes), &[], never())
        .unwrap();
    assert_eq!(sent, count);
    drop(sender);
    receiving.join().unwrap()
}

#[test]
fn more_parts_than_the_kernel_takes_at_once() {
    for channel in CHANNELS {
        let bytes = payload(0, 5000);
        for sizes in [&[1][..], &[1, 0, 0, 0][..]] {
            let (sender, reader) = channel.sender();
            let (sent, sizes) = (bytes.clone(), sizes.to_vec());
            let arrived = without_hanging(move || send_all(sender, reader, sent, &sizes));
            assert!(arrived == bytes, "{channel:?}");
        }
    }
}

/// Sizes of parts; at least one is not empty.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![Just(0), 1..=16_usize, 4090..=4100_usize, 1..=300_000_usize];
    (1..=5000_usize, proptest::collection::vec(size, 0..6)).prop_map(|(first, rest)| {
        let mut sizes = rest;
        sizes.insert(sizes.len() / 2, first);
        sizes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_send_brings_all_parts_in_order(
        channel in channels(),
        length in prop_oneof![0..=5000_usize, 0..=2_000_000_usize],
        sizes in sizes(),
    ) {
        let (sender, reader) = channel.sender();
        let bytes = payload(0, length);
        let sent = bytes.clone();
        let arrived = without_hanging(move || send_all(sender, reader, sent, &sizes));
        prop_assert!(arrived == bytes);
    }

    #[test]
    fn what_is_said_to_be_taken_is_what_arrives(
        channel in channels(),
        length in prop_oneof![1..=5000_usize, 1..=3_000_000_usize],
        sizes in sizes(),
        reads in proptest::collection::vec(1..=400_000_usize, 1..6),
    ) {
        let (mut sender, reader) = channel.sender();
        let bytes = payload(0, length);
        let all = bytes.clone();
        let arrived = without_hanging(move || {
            let mut reads = reads.iter().cycle();
            let (mut sent, mut arrived) = (0, Vec::new());
            while arrived.len() < all.len() {
                if sent < all.len() {
                    sent += sender.try_send(&mut parts(&all[sent..], &sizes), &[]).unwrap();
                }
                let some = *reads.next().unwrap();
                // If less than was said had arrived, this would wait for ever.
                arrived.extend(take(&reader, some.min(sent - arrived.len())));
            }
            drop(sender);
            arrived.extend(read_to_end(&reader));
            arrived
        });
        prop_assert!(arrived == bytes);
    }
}
