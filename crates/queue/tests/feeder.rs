//! What does not fit the ring: it is brought in later, or in pieces.

mod support;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mp_os::socket;
use mp_queue::blocking::{Had, Taker};
use mp_queue::{Interest, Lent, Put, Queue};
use support::{message, queue, take, two, wait};

const CAPACITY: u64 = 16 << 10;

fn feed(queue: &Arc<Queue>, message: &[u8]) {
    let put = queue.put(&[message], &[], Interest::Feed).unwrap();
    assert_eq!(put, Put::Done);
}

#[test]
fn order_is_kept_whatever_the_lengths() {
    let [one, other] = two(CAPACITY, 0);
    let lengths = [
        0, 1, 100, 4000, 4080, 4081, 5000, 16_000, 16_384, 20_000, 70_000, 3,
    ];
    let messages =
        move || (0..600_u64).map(move |number| message(number, lengths[number as usize % 12]));
    let sender = thread::spawn(move || messages().for_each(|message| feed(&one, &message)));
    for message in messages() {
        assert!(wait(&other) == message);
    }
    sender.join().unwrap();
    assert!(take(&other).is_none());
}

#[test]
fn putting_does_not_wait_for_room() {
    let queue = queue(CAPACITY, 0);
    for number in 0..1000 {
        feed(&queue, &message(number, 1000));
    }
    feed(&queue, &message(1000, 100_000));
    assert_eq!(queue.len(), 1001);
    assert!(queue.pending() > 900);
    assert!(!queue.flush(Some(Duration::from_millis(1))));
    for number in 0..1000 {
        assert!(wait(&queue) == message(number, 1000));
    }
    assert!(wait(&queue) == message(1000, 100_000));
    assert!(queue.flush(None));
    assert_eq!(queue.len(), 0);
}

#[test]
fn every_length_around_the_edges_passes_in_pieces() {
    let queue = queue(CAPACITY, 0);
    let longest = queue.ring().longest_whole() as usize;
    for around in [
        longest,
        CAPACITY as usize,
        2 * CAPACITY as usize,
        32 << 10,
        160 << 10,
    ] {
        for length in around - 17..around + 18 {
            let message = message(length as u64, length);
            feed(&queue, &message);
            assert!(wait(&queue) == message, "{length} bytes");
        }
    }
}

#[test]
fn what_others_keep_counts_when_there_may_be_only_so_many() {
    let [one, other] = two(CAPACITY, 5);
    for number in 0..5 {
        feed(&one, &message(number, 30_000));
    }
    assert!(other.has_no_place().unwrap());
    assert_eq!(other.put(&[b"x"], &[], Interest::Feed).unwrap(), Put::Full);
    for number in 0..5 {
        assert!(wait(&other) == message(number, 30_000));
    }
    assert_eq!(other.put(&[b"x"], &[], Interest::Feed).unwrap(), Put::Done);
}

#[test]
fn what_is_kept_is_not_done_with() {
    let [one, other] = two(CAPACITY, 0);
    for number in 0..3 {
        feed(&one, &message(number, 30_000));
    }
    assert_eq!(other.ring().unfinished().unwrap(), 3);
    for left in (0..3).rev() {
        wait(&other);
        assert!(other.ring().task_done());
        assert_eq!(other.ring().unfinished().unwrap(), left);
    }
}

#[test]
fn lent_memory_is_ones_own_again() {
    let [one, other] = two(CAPACITY, 0);
    let mut memory = message(1, 300_000);
    {
        let parts: [&[u8]; 2] = [&memory[..7], &memory[7..]];
        // SAFETY: the parts stay until the message is kept, below.
        let lent = Arc::new(unsafe { Lent::borrow(&parts) });
        assert_eq!(one.put_lent(&lent, &[]).unwrap(), Put::Done);
        while lent.progress() == 0 {
            thread::yield_now();
        }
        lent.keep().unwrap();
        assert!(!lent.is_finished());
    }
    memory.fill(0);
    assert!(wait(&other) == message(1, 300_000));
}

#[test]
fn descriptors_come_with_what_was_kept() {
    let queue = queue(CAPACITY, 0);
    let (one, other) = socket::pair().unwrap();
    for number in 0..20 {
        feed(&queue, &message(number, 1000));
    }
    for length in [10, 50_000] {
        let body = message(9, length);
        let put = queue.put(&[&body], &[one.as_fd()], Interest::Feed);
        assert_eq!(put.unwrap(), Put::Done);
    }
    // Its sender does not have to keep it.
    drop(one);
    for number in 0..20 {
        assert!(wait(&queue) == message(number, 1000));
    }
    let mut came = Vec::new();
    let mut taker = Taker::default();
    for expected in [Had::Small(10), Had::Begun(50_000)] {
        let had = taker.take(&queue, &mut [0; 64], &mut came, None, support::sleep);
        assert_eq!(had.unwrap(), expected);
    }
    assert_eq!(came.len(), 2);
    drop(came);
    let mut byte = [0];
    assert_eq!(
        socket::receive(other.as_fd(), &mut byte, &mut Vec::new()).unwrap(),
        0
    );
}

#[test]
fn each_message_is_taken_once() {
    let [one, other] = two(CAPACITY, 0);
    const EACH: u64 = 3000;
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        for sender in 0..3 {
            let queue = if sender == 0 { &one } else { &other };
            scope.spawn(move || {
                for number in 0..EACH {
                    let number = sender * EACH + number;
                    let length = if number.is_multiple_of(97) {
                        20_000
                    } else {
                        (number % 300) as usize
                    };
                    let mut message = number.to_ne_bytes().to_vec();
                    message.extend(support::message(number, length));
                    feed(queue, &message);
                }
            });
        }
        let takers = [&one, &one, &other].map(|queue| {
            scope.spawn(move || {
                let mut numbers = Vec::new();
                while numbers.len() < EACH as usize {
                    let got = wait(queue);
                    let (number, rest) = got.split_first_chunk().unwrap();
                    let number = u64::from_ne_bytes(*number);
                    assert!(rest == message(number, rest.len()));
                    numbers.push(number);
                }
                numbers
            })
        });
        takers
            .into_iter()
            .flat_map(|taker| taker.join().unwrap())
            .collect()
    });
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..3 * EACH));
}

#[test]
fn a_feeder_ends_when_nobody_uses_the_queue() {
    let queue = queue(CAPACITY, 0);
    feed(&queue, &message(1, 100_000));
    assert!(wait(&queue) == message(1, 100_000));
    queue.leave();
    while Arc::strong_count(&queue) > 1 {
        thread::yield_now();
    }
    // And another one begins when it is wanted.
    queue.enter();
    feed(&queue, &message(2, 100_000));
    assert!(wait(&queue) == message(2, 100_000));
}
