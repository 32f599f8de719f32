//! Tasks, and who has taken them.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use mp_queue::blocking::Slept;
use mp_queue::claims::{Board, Claim, Given, PLACES, Patience, Place, Tasks, Wish};
use mp_queue::{Interest, Put, Queue};
use support::queue;

const CAPACITY: u64 = 16 << 10;

/// Memory for a board.
#[repr(C, align(64))]
struct Memory([u8; PLACES + 4 * size_of::<Place>()]);

fn board() -> Arc<Board> {
    let mut memory = Box::new(Memory([0; _]));
    let start = std::ptr::NonNull::from(&mut memory.0).cast();
    // SAFETY: the memory is aligned, has so many bytes, and stays where it is for as long as the box does.
    let board = unsafe { Board::new(start, size_of::<Memory>(), memory) };
    Arc::new(board.unwrap())
}

fn put(queue: &Arc<Queue>, count: usize) {
    for i in 0..count {
        let put = queue.put(&[&[i as u8; 5]], &[], Interest::Direct).unwrap();
        assert_eq!(put, Put::Done);
    }
}

fn take(queue: &Queue, board: &Board, place: u32, most: u32, share: u32) -> Option<u32> {
    let wish = Wish { place, most, share };
    let mut scratch = [0; 1024];
    match queue
        .take_tasks(board, wish, &mut scratch, &mut Vec::new())
        .unwrap()
    {
        Tasks::Some(count) => Some(count),
        Tasks::None => None,
        other => panic!("{other:?}"),
    }
}

fn claim(queue: &Queue, board: &Board, place: u32) -> Claim {
    board.look(queue.ring(), place, false, false).unwrap()
}

#[test]
fn what_is_taken_is_claimed() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    put(&queue, 10);
    assert_eq!(take(&queue, &board, 0, 3, 1), Some(3));
    assert_eq!(take(&queue, &board, 1, 64, 1), Some(7));
    assert_eq!(take(&queue, &board, 2, 64, 1), None);
    let first = |first, count| Claim {
        first,
        count,
        begun: 0,
    };
    assert_eq!(claim(&queue, &board, 0), first(0, 3));
    assert_eq!(claim(&queue, &board, 1), first(3, 7));
    assert_eq!(claim(&queue, &board, 2), Claim::default());
}

#[test]
fn what_waits_is_shared_out() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    put(&queue, 10);
    assert_eq!(take(&queue, &board, 0, 64, 4), Some(3));
    assert_eq!(take(&queue, &board, 1, 64, 4), Some(2));
    assert_eq!(take(&queue, &board, 2, 1, 4), Some(1));
}

#[test]
fn a_claim_of_one_who_died_before_it_counted_is_nobodys() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    put(&queue, 4);
    assert_eq!(take(&queue, &board, 0, 1, 1), Some(1));
    let (other, its_board) = (Arc::clone(&queue), Arc::clone(&board));
    // It has claimed, and dies with the lock before it has published.
    thread::spawn(move || {
        let guard = other.ring().lock_take().unwrap();
        its_board.claim_unpublished(1, guard.state.count, 2);
        std::mem::forget(guard);
    })
    .join()
    .unwrap();
    assert_eq!(claim(&queue, &board, 1), Claim::default());
    assert_eq!(take(&queue, &board, 2, 64, 1), Some(3));
    assert_eq!(
        claim(&queue, &board, 2),
        Claim {
            first: 1,
            count: 3,
            begun: 0
        }
    );
    assert_eq!(claim(&queue, &board, 1), Claim::default());
}

#[test]
fn what_was_not_begun_can_be_taken_back() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    put(&queue, 3);
    assert_eq!(take(&queue, &board, 0, 64, 1), Some(3));
    let next = &board.place(0).unwrap().next;
    let begin = |index| next.compare_exchange(index, index + 1, SeqCst, SeqCst);
    assert!(begin(0).is_ok());
    let recalled = board.look(queue.ring(), 0, true, false).unwrap();
    assert_eq!((recalled.count, recalled.begun), (3, 1));
    assert!(begin(1).is_err());
    assert_eq!(
        board.look(queue.ring(), 0, false, true).unwrap(),
        recalled
    );
    assert_eq!(claim(&queue, &board, 0), Claim::default());
}

fn wait(queue: &Queue, board: &Board, sleep: impl FnMut(&mp_queue::Sleep<'_>) -> Slept) -> Given {
    let wish = Wish {
        place: 0,
        most: 1,
        share: 1,
    };
    let mut scratch = [0; 1024];
    Patience::default()
        .take_tasks(
            queue,
            board,
            wish,
            &mut Default::default(),
            &mut scratch,
            &mut Vec::new(),
            None,
            sleep,
        )
        .unwrap()
}

#[test]
fn those_who_find_nothing_leave_when_they_may() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    put(&queue, 1);
    board.dismiss(queue.ring(), true, 0).unwrap();
    assert_eq!(wait(&queue, &board, |_| unreachable!()), Given::Some(1));
    assert_eq!(wait(&queue, &board, |_| unreachable!()), Given::Leave);
}

#[test]
fn so_many_leave_whatever_there_is_to_do() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    put(&queue, 2);
    board.dismiss(queue.ring(), false, 1).unwrap();
    assert_eq!(wait(&queue, &board, |_| unreachable!()), Given::Leave);
    assert_eq!(board.leaving(), 0);
    assert_eq!(wait(&queue, &board, |_| unreachable!()), Given::Some(1));
}

#[test]
fn those_who_sleep_are_woken_to_leave() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    let (other, its_board) = (Arc::clone(&queue), Arc::clone(&board));
    let sleeper = thread::spawn(move || wait(&other, &its_board, |sleep| {
        let woken = mp_os::futex::wait(sleep.word, sleep.expected, sleep.at_most);
        if matches!(woken, Ok(mp_os::futex::Woken::TimedOut)) {
            Slept::TimedOut
        } else {
            Slept::Woken
        }
    }));
    board.dismiss(queue.ring(), true, 0).unwrap();
    assert_eq!(sleeper.join().unwrap(), Given::Leave);
}

#[test]
fn the_pool_is_called_once() {
    let (queue, board) = (queue(CAPACITY, 0), board());
    assert!(!board.disarm());
    assert!(board.arm(queue.ring()));
    put(&queue, 1);
    assert!(board.disarm());
    assert!(!board.disarm());
    assert!(!board.arm(queue.ring()), "there is something for it");
}
