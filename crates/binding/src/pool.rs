//! Pools: who has taken which task, and calling the pool when there are results.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use mp_os::descriptor;
use mp_os::wake_up::WakeUp;
use mp_queue::claims::{Board, CELL_COUNT, CELLS, Given, PLACES, Patience, Place, Wish};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::connection;
use crate::queue::{Sleeper, end, failure, on};
use crate::{heap, status};

thread_local! {
    /// A number is not used again.
    static POOLS: RefCell<Vec<Option<Box<Pool>>>> = const { RefCell::new(Vec::new()) };
}

/// A pool, as one of its processes has it.
struct Pool {
    board: Board,
    /// Called when there are results, and the pool sleeps.
    wake_up: WakeUp,
    patience: Patience,
    /// When the pool began to look for results.
    began: Option<Instant>,
}

/// Where things are on a board, in bytes: its cells, how many there are, its places, how much each has.
#[napi]
pub fn pool_layout() -> Vec<u32> {
    [CELLS, CELL_COUNT, PLACES, size_of::<Place>()]
        .map(|number| number as u32)
        .to_vec()
}

/// Opens the board in a block, with the descriptor that came with it, or a new one if that is less than
/// zero: its number, or a status.
#[napi]
pub fn open_pool(block: i64, wake_up: i32) -> f64 {
    let open = || {
        let memory = heap::block(block).ok_or(std::io::ErrorKind::NotFound)?;
        let start = memory.start().ok_or(std::io::ErrorKind::InvalidInput)?;
        let size = memory.size;
        // SAFETY: the memory has so many bytes, and stays mapped for as long as the block is held. It was
        // made for a board.
        let board = unsafe { Board::new(start, size, Box::new(memory)) };
        let board = board.ok_or(std::io::ErrorKind::InvalidData)?;
        let wake_up = if wake_up < 0 {
            WakeUp::new()?
        } else {
            WakeUp::from(descriptor::adopt(wake_up)?)
        };
        POOLS.with_borrow_mut(|pools| {
            pools.push(Some(Box::new(Pool {
                board,
                wake_up,
                patience: Patience::default(),
                began: None,
            })));
            u32::try_from(pools.len() - 1).map_err(|_| std::io::ErrorKind::OutOfMemory.into())
        })
    };
    status::of(open())
}

/// Ends this environment's use of a board.
#[napi]
pub fn close_pool(pool: u32) {
    let closed = POOLS.with_borrow_mut(|pools| pools.get_mut(pool as usize)?.take());
    drop(closed);
}

/// The descriptor that is readable when the pool was called. It stays the board's.
#[napi]
pub fn pool_descriptor(pool: u32) -> f64 {
    with(pool, |pool| f64::from(pool.wake_up.as_fd().as_raw_fd()))
}

/// Takes up to `most` tasks, but not more than this worker's share among `share` of what waits, waiting at
/// most so many milliseconds, less than zero for ever: how many are in the array, each with its length in
/// front, in four bytes, at a multiple of eight; `LARGE` when one is for `queueFill`; `END` when
/// this worker is to leave; or a status. They are claimed in the place.
#[napi]
#[allow(
    clippy::too_many_arguments,
    reason = "a call from JavaScript has no cheaper way to say it"
)]
pub fn pool_take(
    pool: u32,
    tasks: u32,
    mut into: Uint8Array,
    place: u32,
    most: u32,
    share: u32,
    timeout: f64,
    interruptible: bool,
) -> f64 {
    // SAFETY: the array is an argument of this call on the JavaScript thread; nothing else runs on it.
    let scratch = unsafe { into.as_mut() };
    let mut sleeper = Sleeper::new(interruptible);
    let end = end(timeout);
    let wish = Wish { place, most, share };
    with(pool, |pool| {
        on(tasks, |entry| {
            let given = pool.patience.take_tasks(
                &entry.queue,
                &pool.board,
                wish,
                &mut entry.taker,
                scratch,
                &mut entry.descriptors,
                end,
                |sleep| sleeper.sleep(sleep),
            );
            match given {
                Ok(Given::Some(count)) => f64::from(count),
                Ok(Given::Begun) => status::LARGE,
                Ok(Given::Leave) => status::END,
                Ok(Given::TimedOut) => status::NOT_YET,
                Ok(Given::Interrupted) => status::INTERRUPTED,
                Err(error) => failure(&error),
            }
        })
    })
}

/// Calls the pool, if it sleeps: there is a result.
#[napi]
pub fn pool_call(pool: u32) {
    with(pool, |pool| {
        call(pool);
        status::DONE
    });
}

fn call(pool: &Pool) {
    if pool.board.disarm() {
        pool.wake_up.call();
    }
}

/// Puts in what is in the send scratch between two places as a result, if there is room: `DONE`, `NOT_YET`,
/// or a status.
#[napi]
pub fn pool_answer(pool: u32, results: u32, start: u32, end: u32) -> f64 {
    // SAFETY: the facade holds the registered array, and this borrow ends with the call.
    let scratch = unsafe { connection::send_scratch().bytes() };
    let Some(message) = scratch.get(start as usize..end as usize) else {
        return status::system(&std::io::ErrorKind::InvalidInput.into());
    };
    with(pool, |pool| {
        on(results, |entry| {
            match entry.queue.put(&[message], &[], mp_queue::Interest::Direct) {
                Ok(mp_queue::Put::Done) => {
                    call(pool);
                    status::DONE
                }
                Ok(mp_queue::Put::Full) => status::NOT_HELD,
                Ok(mp_queue::Put::NoRoom) => status::NOT_YET,
                Err(error) => failure(&error),
            }
        })
    })
}

/// Looks for results for as long as that has been worth it: 1 when there are some; or 0, and the pool will
/// be called when there are.
#[napi]
pub fn pool_look(pool: u32, results: u32, spin: bool) -> f64 {
    with(pool, |pool| {
        on(results, |entry| {
            let ring = entry.queue.ring();
            if spin {
                pool.began.get_or_insert_with(Instant::now);
                pool.board.disarm();
                if pool.patience.look(ring) {
                    return 1.0;
                }
            }
            f64::from(u8::from(!pool.board.arm(ring)))
        })
    })
}

/// There are results: how long that took is for the next time.
#[napi]
pub fn pool_found(pool: u32) {
    with(pool, |pool| {
        if let Some(began) = pool.began.take() {
            pool.patience.learn(began.elapsed());
        }
        status::DONE
    });
}

/// The pool has been called, and knows it.
#[napi]
pub fn pool_hear(pool: u32) {
    with(pool, |pool| {
        pool.wake_up.hear();
        status::DONE
    });
}

/// Lets workers leave: all who find nothing to do, and so many of the others. A status.
#[napi]
pub fn pool_dismiss(pool: u32, tasks: u32, closing: bool, leaving: u32) -> f64 {
    with(pool, |pool| {
        on(tasks, |entry| {
            match pool.board.dismiss(entry.queue.ring(), closing, leaving) {
                Ok(()) => status::DONE,
                Err(error) => failure(&error),
            }
        })
    })
}

/// How many workers are still to leave.
#[napi]
pub fn pool_leaving(pool: u32) -> f64 {
    with(pool, |pool| f64::from(pool.board.leaving()))
}

/// What is claimed in a place: the number of the first task, how many, and how many of them were begun; or a
/// status. `recall` takes back those that were not; `clear` forgets the claim, whose owner is gone.
#[napi]
pub fn pool_claim(pool: u32, tasks: u32, place: u32, recall: bool, clear: bool) -> Vec<f64> {
    let mut claim = Vec::new();
    let status = with(pool, |pool| {
        on(tasks, |entry| {
            match pool.board.look(entry.queue.ring(), place, recall, clear) {
                Ok(found) => {
                    claim = vec![
                        found.first as f64,
                        f64::from(found.count),
                        f64::from(found.begun),
                    ];
                    status::DONE
                }
                Err(error) => failure(&error),
            }
        })
    });
    if claim.is_empty() {
        claim.push(status);
    }
    claim
}

fn with(pool: u32, action: impl FnOnce(&mut Pool) -> f64) -> f64 {
    POOLS.with_borrow_mut(|pools| {
        let pool = pools.get_mut(pool as usize).and_then(Option::as_deref_mut);
        pool.map_or(status::NO_HANDLE, action)
    })
}
