//! Threads that sleep on words of shared memory in the stead of event loops.
//!
//! A thread sleeps on all words that it is given at once. When one of them has changed, or enough time is
//! over, it puts the number under which JavaScript waits into the *letterbox* of the environment, and
//! calls its event loop. It does not know what the words mean: whoever waits looks again.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mp_os::futex::{self, MAX_WORDS, Woken};
use mp_os::process::threads;
use mp_os::wake_up::WakeUp;
use mp_shm::Word;
use napi_derive::napi;

use crate::status;

/// Where the kernel cannot sleep on several words, they are looked at so often.
const GLANCE: Duration = Duration::from_millis(1);

/// What an environment is told.
struct Letterbox {
    wake_up: WakeUp,
    tickets: Mutex<Vec<u32>>,
}

/// One who waits.
struct Waiting {
    letterbox: Arc<Letterbox>,
    ticket: u32,
    word: Word,
    expected: u32,
    end: Instant,
}

impl Waiting {
    /// Tells it from all others.
    fn who(&self) -> (usize, u32) {
        (Arc::as_ptr(&self.letterbox).addr(), self.ticket)
    }
}

/// What a thread and those who ask it share.
struct Sleeper {
    /// Changes when there is something new.
    news: AtomicU32,
    waiting: Mutex<Vec<Waiting>>,
}

/// The threads of this process.
static SLEEPERS: Mutex<Vec<Arc<Sleeper>>> = Mutex::new(Vec::new());

struct Mine {
    letterbox: Option<Arc<Letterbox>>,
    next: u32,
}

thread_local! {
    static MINE: RefCell<Mine> = const { RefCell::new(Mine { letterbox: None, next: 0 }) };
}

impl Drop for Mine {
    fn drop(&mut self) {
        let Some(letterbox) = self.letterbox.take() else {
            return;
        };
        for sleeper in sleepers().iter() {
            let ours = |waiting: &Waiting| Arc::ptr_eq(&waiting.letterbox, &letterbox);
            lock(&sleeper.waiting).retain(|waiting| !ours(waiting));
        }
    }
}

/// A descriptor that is readable when `takeTickets` has something to tell, or a status. It stays open, and
/// the same, until `renewWaiters`.
#[napi]
pub fn waiter_descriptor() -> f64 {
    let descriptor = MINE.with_borrow_mut(|mine| {
        let letterbox = letterbox(mine)?;
        Ok(letterbox.wake_up.as_fd().as_raw_fd())
    });
    status::of(descriptor)
}

/// The numbers of waits that are over, in order.
#[napi]
pub fn take_tickets() -> Vec<u32> {
    MINE.with_borrow(|mine| {
        let Some(letterbox) = &mine.letterbox else {
            return Vec::new();
        };
        letterbox.wake_up.hear();
        mem::take(&mut *lock(&letterbox.tickets))
    })
}

/// Whoever waits under that number does not any more; it may be among the next tickets all the same.
#[napi]
pub fn drop_ticket(ticket: u32) {
    MINE.with_borrow(|mine| {
        let Some(letterbox) = &mine.letterbox else {
            return;
        };
        for sleeper in sleepers().iter() {
            lock(&sleeper.waiting).retain(|waiting| {
                waiting.ticket != ticket || !Arc::ptr_eq(&waiting.letterbox, letterbox)
            });
        }
    });
}

/// In a copy of the process, which has none of the threads, and shares its letterbox with the original.
#[napi]
pub fn renew_waiters() {
    // All threads slept when the copy was made, so none of them held a lock.
    if let Ok(mut sleepers) = SLEEPERS.try_lock() {
        for sleeper in sleepers.drain(..) {
            if let Ok(mut waiting) = sleeper.waiting.try_lock() {
                waiting.clear();
            }
        }
    }
    MINE.with_borrow_mut(|mine| mine.letterbox = None);
}

/// Lets this environment wait for a word to have another value than the expected, at most so long. Returns
/// the number under which it waits.
///
/// # Errors
/// When there can be no more descriptors or threads.
pub fn wait_later(word: Word, expected: u32, at_most: Duration) -> io::Result<u32> {
    MINE.with_borrow_mut(|mine| {
        let letterbox = Arc::clone(letterbox(mine)?);
        let ticket = mine.next;
        mine.next = mine.next.wrapping_add(1);
        hand_over(Waiting {
            letterbox,
            ticket,
            word,
            expected,
            end: Instant::now() + at_most,
        })?;
        Ok(ticket)
    })
}

/// Tells an environment, from whatever thread, that a wait of its is over.
pub struct Call {
    letterbox: Arc<Letterbox>,
    ticket: u32,
}

impl Call {
    /// Tells it.
    pub fn call(self) {
        deliver(vec![(self.letterbox, self.ticket)]);
    }
}

/// Lets this environment wait for a call: the number under which it does, and how to call.
///
/// # Errors
/// When there can be no more descriptors.
pub fn expect_call() -> io::Result<(u32, Call)> {
    MINE.with_borrow_mut(|mine| {
        let letterbox = Arc::clone(letterbox(mine)?);
        let ticket = mine.next;
        mine.next = mine.next.wrapping_add(1);
        Ok((ticket, Call { letterbox, ticket }))
    })
}

fn letterbox(mine: &mut Mine) -> io::Result<&Arc<Letterbox>> {
    if mine.letterbox.is_none() {
        mine.letterbox = Some(Arc::new(Letterbox {
            wake_up: WakeUp::new()?,
            tickets: Mutex::new(Vec::new()),
        }));
    }
    mine.letterbox
        .as_ref()
        .ok_or_else(|| io::ErrorKind::NotConnected.into())
}

fn hand_over(waiting: Waiting) -> io::Result<()> {
    let mut sleepers = sleepers();
    for sleeper in sleepers.iter() {
        let mut list = lock(&sleeper.waiting);
        // One word is for the news.
        if list.len() < MAX_WORDS - 1 {
            list.push(waiting);
            drop(list);
            sleeper.tell();
            return Ok(());
        }
    }
    let sleeper = Arc::new(Sleeper {
        news: AtomicU32::new(0),
        waiting: Mutex::new(vec![waiting]),
    });
    let own = Arc::clone(&sleeper);
    thread::Builder::new()
        .name("waiter".into())
        .stack_size(128 << 10)
        .spawn(move || {
            // They are for the program's own threads.
            threads::block_signals();
            own.run();
        })?;
    sleepers.push(sleeper);
    Ok(())
}

impl Sleeper {
    fn tell(&self) {
        self.news.fetch_add(1, Ordering::SeqCst);
        let _ = futex::wake(&self.news, 1);
    }

    fn run(&self) {
        let mut can_sleep = true;
        loop {
            let news = self.news.load(Ordering::SeqCst);
            let now = Instant::now();
            let mut ended = Vec::new();
            let mut words = Vec::new();
            let mut end: Option<Instant> = None;
            lock(&self.waiting).retain(|waiting| {
                if waiting.end <= now || waiting.word.load(Ordering::SeqCst) != waiting.expected {
                    ended.push((Arc::clone(&waiting.letterbox), waiting.ticket));
                    return false;
                }
                end = Some(end.map_or(waiting.end, |end| end.min(waiting.end)));
                // A copy of the process loses what is on this stack, and the letterbox has a descriptor.
                words.push((waiting.word.clone(), waiting.expected, waiting.who()));
                true
            });
            deliver(ended);
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if !can_sleep {
                let _ = futex::wait(&self.news, news, left.map(|_| GLANCE));
                continue;
            }
            let list: Vec<(&AtomicU32, u32)> = std::iter::once((&self.news, news))
                .chain(
                    words
                        .iter()
                        .map(|(word, expected, ..)| (&**word, *expected)),
                )
                .collect();
            match futex::wait_any(&list, left) {
                Ok((Woken::Called, Some(index))) => {
                    let called = index.checked_sub(1).and_then(|index| words.get(index));
                    if let Some((word, _, who)) = called
                        && !self.woken(*who)
                    {
                        // Who was called has given up meanwhile; the call may have been the only one.
                        let _ = futex::wake(word, 1);
                    }
                }
                Ok(_) => {}
                Err(_) => can_sleep = false,
            }
        }
    }

    /// Somebody called, whatever the word says: who was called may not be called again. Says whether there
    /// was anybody to be told.
    fn woken(&self, who: (usize, u32)) -> bool {
        let mut list = lock(&self.waiting);
        let place = list.iter().position(|waiting| waiting.who() == who);
        let Some(place) = place else {
            return false;
        };
        let waiting = list.remove(place);
        drop(list);
        deliver(vec![(waiting.letterbox, waiting.ticket)]);
        true
    }
}

fn deliver(ended: Vec<(Arc<Letterbox>, u32)>) {
    for (letterbox, ticket) in ended {
        let mut tickets = lock(&letterbox.tickets);
        tickets.push(ticket);
        if tickets.len() == 1 {
            letterbox.wake_up.call();
        }
    }
}

fn sleepers() -> MutexGuard<'static, Vec<Arc<Sleeper>>> {
    lock(&SLEEPERS)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
