//! The ring, by itself: whatever goes in comes out, in order and once, wherever it lies.

mod support;

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use mp_os::socket;
use mp_queue::layout::WORD;
use mp_queue::{Interest, Put, Queue, Taken};
use proptest::prelude::*;
use support::{message, queue, take};

const CAPACITY: u64 = 4096;

fn put(queue: &Arc<Queue>, message: &[u8]) -> Put {
    queue.put(&[message], &[], Interest::Direct).unwrap()
}

#[test]
fn messages_of_every_length_pass_wherever_they_lie() {
    let queue = queue(CAPACITY, 0);
    let longest = queue.ring().longest_whole() as usize;
    for length in 0..=longest {
        let message = message(length as u64, length);
        assert_eq!(put(&queue, &message), Put::Done, "{length} bytes");
        assert_eq!(take(&queue).unwrap(), message);
    }
    assert!(take(&queue).is_none());
}

#[test]
fn the_ring_is_filled_to_the_last_byte() {
    let queue = queue(CAPACITY, 0);
    // A record takes 16 bytes, and there is always room for a mark of 8.
    let fit = (CAPACITY - WORD) / 16;
    for _ in 0..100 {
        for number in 0..fit {
            assert_eq!(put(&queue, &number.to_ne_bytes()), Put::Done);
        }
        assert_eq!(put(&queue, b"x"), Put::NoRoom);
        assert_eq!(queue.len(), fit);
        for number in 0..fit {
            assert_eq!(take(&queue).unwrap(), number.to_ne_bytes());
        }
        assert!(take(&queue).is_none());
        // The next round begins somewhere else.
        assert_eq!(put(&queue, b"123456789"), Put::Done);
        assert!(take(&queue).is_some());
    }
}

#[test]
fn parts_are_put_together() {
    let queue = queue(CAPACITY, 0);
    let put = queue.put(&[b"ab", b"", b"c", b"defghijkl"], &[], Interest::Direct);
    assert_eq!(put.unwrap(), Put::Done);
    assert_eq!(take(&queue).unwrap(), b"abcdefghijkl");
}

#[test]
fn there_are_no_more_messages_than_there_may_be() {
    let queue = queue(CAPACITY, 2);
    assert_eq!(put(&queue, b"1"), Put::Done);
    assert!(!queue.has_no_place().unwrap());
    assert_eq!(put(&queue, b"2"), Put::Done);
    assert!(queue.has_no_place().unwrap());
    assert_eq!(put(&queue, b"3"), Put::Full);
    assert_eq!(queue.put(&[b"3"], &[], Interest::Feed).unwrap(), Put::Full);
    let more: [&[u8]; 2] = [b"3", b"4"];
    assert_eq!(queue.put_many(more.into_iter(), Interest::Feed).unwrap(), 0);
    assert_eq!(take(&queue).unwrap(), b"1");
    assert_eq!(queue.put_many(more.into_iter(), Interest::Feed).unwrap(), 1);
    assert_eq!(take(&queue).unwrap(), b"2");
    assert_eq!(take(&queue).unwrap(), b"3");
}

#[test]
fn many_go_in_and_out_in_one_go() {
    let queue = queue(CAPACITY, 0);
    let messages: Vec<Vec<u8>> = (0..40)
        .map(|number| message(number, number as usize))
        .collect();
    let put = queue.put_many(messages.iter().map(Vec::as_slice), Interest::Direct);
    assert_eq!(put.unwrap(), 40);
    let mut into = [0; 256];
    let mut out = Vec::new();
    loop {
        let (count, _) = queue.take_many(&mut into, 7).unwrap();
        if count == 0 {
            break;
        }
        assert!(count <= 7);
        let mut at = 0;
        for _ in 0..count {
            let length = u32::from_ne_bytes(into[at..at + 4].try_into().unwrap()) as usize;
            out.push(into[at + 4..at + 4 + length].to_vec());
            at = (at + 4 + length).next_multiple_of(8);
        }
    }
    assert_eq!(out, messages);
}

#[test]
fn what_does_not_fit_the_batch_stays() {
    let queue = queue(CAPACITY, 0);
    assert_eq!(put(&queue, &[7; 100]), Put::Done);
    assert_eq!(queue.take_many(&mut [0; 100], 9).unwrap().0, 0);
    assert_eq!(queue.take_many(&mut [0; 108], 9).unwrap().0, 1);
}

#[test]
fn descriptors_come_with_their_message() {
    let queue = queue(CAPACITY, 0);
    let pipes: Vec<_> = (0..3).map(|_| socket::pair().unwrap()).collect();
    for (number, (one, _)) in (0_u8..).zip(&pipes) {
        let put = queue.put(&[&[number]], &[one.as_fd(), one.as_fd()], Interest::Direct);
        assert_eq!(put.unwrap(), Put::Done);
        assert_eq!(self::put(&queue, b"none"), Put::Done);
    }
    for (number, (_, other)) in (0_u8..).zip(&pipes) {
        let mut came: Vec<OwnedFd> = Vec::new();
        let mut scratch = [0; 8];
        let taken = queue.take(&mut scratch, &mut came, true).unwrap();
        assert!(matches!(taken, Taken::Small(1)));
        assert_eq!(scratch[0], number);
        assert_eq!(came.len(), 2);
        socket::send(came[0].as_fd(), &[std::io::IoSlice::new(b"hello")], &[]).unwrap();
        let mut buffer = [0; 8];
        let length = socket::receive(other.as_fd(), &mut buffer, &mut Vec::new()).unwrap();
        assert_eq!(&buffer[..length], b"hello");
        let taken = queue.take(&mut scratch, &mut came, true).unwrap();
        assert!(matches!(taken, Taken::Small(4)) && came.len() == 2);
    }
}

#[test]
fn descriptors_of_a_sender_that_died_are_dropped() {
    let queue = queue(CAPACITY, 0);
    let (one, _other) = socket::pair().unwrap();
    // It had sent them, but not published the message.
    for _ in 0..3 {
        let stale = queue
            .ring()
            .header()
            .next_number
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let [_, writer] = queue.sockets();
        let bytes = stale.to_ne_bytes();
        socket::send(
            writer,
            &[std::io::IoSlice::new(&bytes)],
            &[one.as_fd(), one.as_fd()],
        )
        .unwrap();
    }
    let put = queue.put(&[b"one"], &[one.as_fd()], Interest::Direct);
    assert_eq!(put.unwrap(), Put::Done);
    let mut came = Vec::new();
    let taken = queue.take(&mut [0; 8], &mut came, true).unwrap();
    assert!(matches!(taken, Taken::Small(3)));
    assert_eq!(came.len(), 1);
}

#[test]
fn as_many_tasks_are_done_as_there_were() {
    let queue = queue(CAPACITY, 0);
    let ring = queue.ring();
    assert!(!ring.task_done());
    put(&queue, b"1");
    put(&queue, b"2");
    assert_eq!(ring.unfinished().unwrap(), 2);
    assert!(ring.task_done());
    let before = ring
        .header()
        .all_done
        .load(std::sync::atomic::Ordering::SeqCst);
    assert!(ring.task_done());
    assert_eq!(ring.unfinished().unwrap(), 0);
    let after = ring
        .header()
        .all_done
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_ne!(before, after);
    assert!(!ring.task_done());
}

#[test]
fn what_is_no_queue_is_refused() {
    assert!(support::ring_of(&support::memory(CAPACITY)).is_none());
}

#[derive(Clone, Debug)]
enum Action {
    Put(usize),
    PutMany(Vec<usize>),
    Take,
    TakeMany(u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (0_usize..1000).prop_map(Action::Put),
        prop::collection::vec(0_usize..200, 0..20).prop_map(Action::PutMany),
        Just(Action::Take),
        (1_u64..10).prop_map(Action::TakeMany),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_a_queue(actions in prop::collection::vec(action(), 1..300)) {
        let queue = queue(CAPACITY, 0);
        let mut model = VecDeque::new();
        let mut number = 0;
        for action in actions {
            match action {
                Action::Put(length) => {
                    number += 1;
                    let message = message(number, length);
                    if put(&queue, &message) == Put::Done {
                        model.push_back(message);
                    } else {
                        prop_assert!(length as u64 + 2 * WORD + queue.ring().count() * 8 > 0);
                        prop_assert!(!model.is_empty());
                    }
                }
                Action::PutMany(lengths) => {
                    let messages: Vec<_> = lengths.iter().map(|length| {
                        number += 1;
                        message(number, *length)
                    }).collect();
                    let put = queue.put_many(messages.iter().map(Vec::as_slice), Interest::Direct).unwrap();
                    model.extend(messages.into_iter().take(put as usize));
                }
                Action::Take => prop_assert_eq!(take(&queue), model.pop_front()),
                Action::TakeMany(most) => {
                    let mut into = vec![0; 64 << 10];
                    let (count, _) = queue.take_many(&mut into, most).unwrap();
                    prop_assert_eq!(count, most.min(model.len() as u64));
                    let mut at = 0;
                    for _ in 0..count {
                        let length = u32::from_ne_bytes(into[at..at + 4].try_into().unwrap()) as usize;
                        prop_assert_eq!(Some(into[at + 4..at + 4 + length].to_vec()), model.pop_front());
                        at = (at + 4 + length).next_multiple_of(8);
                    }
                }
            }
            prop_assert_eq!(queue.len(), model.len() as u64);
        }
    }
}
