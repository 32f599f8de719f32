//! Threads that end in the middle of it, which to the locks is what the death of a process is.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use mp_queue::blocking::{Filled, Had, Taker};
use mp_queue::layout::{LARGE, State};
use mp_queue::{Interest, Put, Queue, Taken};
use support::{message, queue, take, wait};

const CAPACITY: u64 = 16 << 10;

fn put(queue: &Arc<Queue>, message: &[u8]) {
    let put = queue.put(&[message], &[], Interest::Direct).unwrap();
    assert_eq!(put, Put::Done);
}

/// Runs something in a thread, which ends then with whatever locks it holds.
fn dies(queue: &Arc<Queue>, within: impl FnOnce(&Queue) + Send + 'static) {
    let queue = Arc::clone(queue);
    thread::spawn(move || within(&queue)).join().unwrap();
}

#[test]
fn a_sender_that_dies_before_publishing_has_put_in_nothing() {
    let queue = queue(CAPACITY, 0);
    put(&queue, b"before");
    dies(&queue, |queue| {
        let mut guard = queue.ring().lock_put().unwrap();
        assert!(guard.add(mp_queue::layout::SMALL, &[], &[b"half"]));
        std::mem::forget(guard);
    });
    put(&queue, b"after");
    assert_eq!(take(&queue).unwrap(), b"before");
    assert_eq!(take(&queue).unwrap(), b"after");
    assert!(take(&queue).is_none());
}

#[test]
fn a_state_that_was_prepared_does_not_count() {
    let queue = queue(CAPACITY, 0);
    put(&queue, b"before");
    dies(&queue, |queue| {
        let guard = queue.ring().lock_put().unwrap();
        let state = State {
            position: 999_999,
            count: 7,
            rest: 3,
        };
        queue.ring().header().put.prepare(state);
        std::mem::forget(guard);
    });
    dies(&queue, |queue| {
        let guard = queue.ring().lock_take().unwrap();
        let state = State {
            position: 888,
            count: 9,
            rest: 1,
        };
        queue.ring().header().taken.prepare(state);
        std::mem::forget(guard);
    });
    put(&queue, b"after");
    assert_eq!(queue.len(), 2);
    assert_eq!(take(&queue).unwrap(), b"before");
    assert_eq!(take(&queue).unwrap(), b"after");
}

/// Begins a message in pieces, brings in so many of them, and dies.
fn die_streaming(queue: &Arc<Queue>, pieces: u64) {
    dies(queue, move |queue| {
        let ring = queue.ring();
        ring.header().stream_lock.lock().unwrap();
        let mut guard = ring.lock_put().unwrap();
        assert!(guard.add(LARGE, &[100_000], &[]));
        guard.state.rest = 100_000;
        guard.publish(1);
        drop(guard);
        for _ in 0..pieces {
            ring.write(ring.header().put.own().position + 8, &[7; 1000]);
            ring.lock_put().unwrap().add_piece(1000);
        }
    });
}

#[test]
fn the_rest_of_a_message_whose_sender_died_is_not_waited_for() {
    for pieces in 0..10 {
        let queue = queue(CAPACITY, 0);
        put(&queue, b"before");
        die_streaming(&queue, pieces);
        let other = Arc::clone(&queue);
        // It is found out by whoever takes,
        let taker = thread::spawn(move || (wait(&other), wait(&other)));
        while queue.ring().header().put.seen().rest != 0 {
            thread::yield_now();
        }
        put(&queue, b"after");
        assert_eq!(
            taker.join().unwrap(),
            (b"before".to_vec(), b"after".to_vec())
        );
    }
}

#[test]
fn whoever_puts_next_cuts_it_off() {
    for pieces in 0..10 {
        let queue = queue(CAPACITY, 0);
        die_streaming(&queue, pieces);
        put(&queue, b"after");
        die_streaming(&queue, 1);
        assert_eq!(
            queue
                .put(&[&message(1, 50_000)], &[], Interest::Feed)
                .unwrap(),
            Put::Done
        );
        assert_eq!(wait(&queue), b"after");
        assert!(wait(&queue) == message(1, 50_000));
        assert!(queue.ring().task_done() && queue.ring().task_done());
        assert_eq!(queue.ring().unfinished().unwrap(), 0);
    }
}

#[test]
fn it_is_cut_off_even_when_the_ring_is_full() {
    let queue = queue(CAPACITY, 0);
    die_streaming(&queue, 16);
    let state = queue.ring().header().put.own();
    let room = queue.ring().room(state);
    dies(&queue, move |queue| {
        // To the last byte, as the one who died.
        let ring = queue.ring();
        ring.header().stream_lock.try_lock().unwrap();
        ring.lock_put().unwrap().add_piece(room as u32 - 8);
        assert_eq!(ring.room(ring.header().put.own()), 0);
    });
    assert!(queue.ring().mourn().unwrap());
    assert!(take(&queue).is_none());
    put(&queue, b"after");
    assert_eq!(take(&queue).unwrap(), b"after");
}

#[test]
fn one_that_lives_is_not_cut_off() {
    let queue = queue(CAPACITY, 0);
    assert_eq!(
        queue
            .put(&[&message(1, 100_000)], &[], Interest::Feed)
            .unwrap(),
        Put::Done
    );
    while queue.ring().header().put.seen().rest == 0 {
        thread::yield_now();
    }
    assert!(!queue.ring().mourn().unwrap());
    assert!(wait(&queue) == message(1, 100_000));
}

#[test]
fn what_a_taker_had_begun_is_lost_with_it_and_nothing_else() {
    for length in [600, 3000, 100_000] {
        let queue = queue(CAPACITY, 0);
        for number in 0..3 {
            let put = queue.put(&[&message(number, length)], &[], Interest::Feed);
            assert_eq!(put.unwrap(), Put::Done);
        }
        for part in [0, 500] {
            dies(&queue, move |queue| {
                let mut taker = Taker::default();
                let begun = taker.take(queue, &mut [], &mut Vec::new(), None, support::sleep);
                assert_eq!(begun.unwrap(), Had::Begun(length as u64));
                let bytes = &mut vec![0; part];
                let filled = taker.fill(queue, bytes, 0, None, support::sleep);
                assert_eq!(filled.unwrap(), Filled::Bytes(part));
            });
            put_anyway(&queue, b"after");
        }
        assert!(wait(&queue) == message(2, length));
        assert_eq!(wait(&queue), b"after");
        assert_eq!(wait(&queue), b"after");
        assert!(take(&queue).is_none());
    }
}

fn put_anyway(queue: &Arc<Queue>, message: &[u8]) {
    assert_eq!(
        queue.put(&[message], &[], Interest::Feed).unwrap(),
        Put::Done
    );
}

#[test]
fn a_taker_that_lives_has_it_for_itself() {
    let queue = queue(CAPACITY, 0);
    put_anyway(&queue, &message(1, 100_000));
    let begun = loop {
        match queue.take(&mut [], &mut Vec::new(), true).unwrap() {
            Taken::Begun(reading) => break reading,
            _ => thread::yield_now(),
        }
    };
    assert_eq!(begun.len(), 100_000);
    let other = Arc::clone(&queue);
    let taken = thread::spawn(move || other.take(&mut [], &mut Vec::new(), true).unwrap());
    assert!(matches!(taken.join().unwrap(), Taken::Nothing));
    queue.ring().header().read_lock.unlock();
    assert!(take(&queue).is_none());
}

#[test]
fn what_the_dead_had_in_store_is_not_counted() {
    let queue = queue(CAPACITY, 4);
    dies(&queue, |queue| {
        let store = &queue.ring().header().stores[5];
        store.owner.lock().unwrap();
        store.count.store(4, SeqCst);
    });
    assert!(!queue.has_no_place().unwrap());
    put(&queue, b"1");
    let store = &queue.ring().header().stores[6];
    store.owner.lock().unwrap();
    store.count.store(3, SeqCst);
    let other = Arc::clone(&queue);
    let full = thread::spawn(move || other.has_no_place().unwrap());
    assert!(full.join().unwrap());
    store.owner.unlock();
}

#[test]
fn a_sleeper_that_died_keeps_nobody_from_being_woken() {
    let queue = queue(CAPACITY, 0);
    dies(&queue, |queue| {
        let nap = std::time::Duration::from_millis(50);
        assert!(
            queue
                .ring()
                .watch_items(nap)
                .unwrap()
                .is_some_and(|sleep| sleep.at_most.is_none())
        );
    });
    let other = Arc::clone(&queue);
    let taker = thread::spawn(move || wait(&other));
    while queue.ring().header().put.sleepers.load(SeqCst) != 2 {
        thread::yield_now();
    }
    put(&queue, b"it");
    assert_eq!(taker.join().unwrap(), b"it");
}
