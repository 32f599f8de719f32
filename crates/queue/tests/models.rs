//! Who sleeps and who wakes, under all orders of events up to a number of preemptions.

use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use mp_queue::signal::{Kernel, Signal, Word};

struct Modelled(AtomicU32);

impl Word for Modelled {
    fn get(&self) -> u32 {
        // The model knows no order of all operations but for those that change a word.
        self.0.fetch_add(0, SeqCst)
    }

    fn set(&self, value: u32) {
        self.0.swap(value, SeqCst);
    }

    fn add(&self, more: u32) -> u32 {
        self.0.fetch_add(more, SeqCst)
    }
}

/// A kernel in which nobody wakes up without being woken: a wake-up that is lost is a deadlock, which the
/// model finds. Naps end when everything else is over, which is later than any nap lasts.
#[derive(Default)]
struct Sleepers {
    came: u32,
    asleep: Vec<u32>,
    over: bool,
}

struct Futex {
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

impl Futex {
    fn sleep(&self, word: &Modelled, expected: u32, endless: bool) {
        let mut sleepers = self.sleepers.lock().unwrap();
        if word.get() != expected {
            return;
        }
        let number = sleepers.came;
        sleepers.came += 1;
        sleepers.asleep.push(number);
        while sleepers.asleep.contains(&number) && (endless || !sleepers.over) {
            sleepers = self.changed.wait(sleepers).unwrap();
        }
        sleepers.asleep.retain(|other| *other != number);
    }

    fn end(&self) {
        self.sleepers.lock().unwrap().over = true;
        self.changed.notify_all();
    }
}

impl Kernel<Modelled> for Futex {
    fn add_and_wake(&self, word: &Modelled, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        word.add(1);
        let count = sleepers.asleep.len().min(count as usize);
        sleepers.asleep.drain(..count);
        self.changed.notify_all();
        count as u32
    }
}

struct Queue {
    words: [Modelled; 4],
    put: Modelled,
    taken: Modelled,
    put_lock: Mutex<()>,
    take_lock: Mutex<()>,
    kernel: Futex,
}

impl Queue {
    fn new() -> Arc<Self> {
        let word = || Modelled(AtomicU32::new(0));
        Arc::new(Self {
            words: [(); 4].map(|()| word()),
            put: word(),
            taken: word(),
            put_lock: Mutex::new(()),
            take_lock: Mutex::new(()),
            kernel: Futex {
                sleepers: Mutex::new(Sleepers::default()),
                changed: Condvar::new(),
            },
        })
    }

    fn signal(&self) -> Signal<'_, Modelled> {
        let [sequence, watched, sleepers, endless] = &self.words;
        Signal {
            sequence,
            watched,
            sleepers,
            endless,
        }
    }

    fn put(&self, count: u32) {
        let _guard = self.put_lock.lock().unwrap();
        self.put.add(count);
        self.signal().publish(&self.kernel, count);
    }

    fn try_take(&self) -> bool {
        let _guard = self.take_lock.lock().unwrap();
        let there = self.put.get() != self.taken.get();
        if there {
            self.taken.add(1);
        }
        there
    }

    /// Before sleeping until there may be something: while the word has which value, and whether without
    /// end.
    fn enter(&self) -> Option<(u32, bool)> {
        let _guard = self.put_lock.lock().unwrap();
        if self.put.get() != self.taken.get() {
            return None;
        }
        let nap = Duration::from_millis(50);
        let (expected, at_most) = self.signal().enter(&self.kernel, nap, None);
        Some((expected, at_most.is_none()))
    }

    fn take(&self) {
        while !self.try_take() {
            if let Some((expected, endless)) = self.enter() {
                self.kernel.sleep(&self.words[0], expected, endless);
                self.signal().leave();
            }
        }
    }
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn what_is_put_in_is_taken() {
    model(3, || {
        let queue = Queue::new();
        let other = Arc::clone(&queue);
        let taker = thread::spawn(move || {
            other.take();
            other.take();
        });
        queue.put(1);
        queue.put(1);
        taker.join().unwrap();
    });
}

#[test]
fn two_who_sleep_are_both_served() {
    model(2, || {
        let queue = Queue::new();
        let takers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take())
        });
        queue.put(1);
        queue.put(1);
        queue.kernel.end();
        for taker in takers {
            taker.join().unwrap();
        }
    });
}

#[test]
fn many_at_once_wake_as_many() {
    model(2, || {
        let queue = Queue::new();
        let takers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take())
        });
        queue.put(2);
        queue.kernel.end();
        for taker in takers {
            taker.join().unwrap();
        }
    });
}

#[test]
fn one_who_is_killed_when_it_is_woken_takes_nobody_elses_sleep() {
    model(3, || {
        let queue = Queue::new();
        let killed = Arc::clone(&queue);
        // It is killed in its sleep, or when it is woken.
        let killed = thread::spawn(move || {
            if let Some((expected, _)) = killed.enter() {
                killed.kernel.sleep(&killed.words[0], expected, false);
            }
        });
        let other = Arc::clone(&queue);
        let taker = thread::spawn(move || other.take());
        queue.put(1);
        queue.kernel.end();
        killed.join().unwrap();
        taker.join().unwrap();
    });
}
