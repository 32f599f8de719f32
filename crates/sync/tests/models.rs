//! The rules under all orders of events, up to a number of preemptions.

use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use mp_sync::{
    Acquired, Condition, Event, Kernel, LONG_WAIT, Lock, Look, Semaphore, Sleep, Waiter, Wake, Word,
};

/// A word of the model. Its loads are additions of nothing, as the model knows no order of all operations
/// but for those that change a word.
struct Modelled(AtomicU32);

impl Modelled {
    fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }
}

impl Word for Modelled {
    fn load(&self) -> u32 {
        self.0.fetch_add(0, SeqCst)
    }

    fn store(&self, value: u32) {
        self.0.swap(value, SeqCst);
    }

    fn swap(&self, value: u32) -> u32 {
        self.0.swap(value, SeqCst)
    }

    fn compare_exchange(&self, expected: u32, value: u32) -> Result<u32, u32> {
        self.0.compare_exchange(expected, value, SeqCst, SeqCst)
    }
}

/// A kernel in which nobody ever wakes up without being woken, so that a wake-up that is lost is a
/// deadlock, which the model finds.
struct Futex {
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
    dead: u32,
}

#[derive(Default)]
struct Sleepers {
    came: u32,
    asleep: Vec<(usize, u32)>,
}

impl Futex {
    fn new() -> Self {
        Self::with_dead(0)
    }

    fn with_dead(dead: u32) -> Self {
        Self {
            sleepers: Mutex::new(Sleepers::default()),
            changed: Condvar::new(),
            dead,
        }
    }
}

impl Kernel<Modelled> for Futex {
    fn sleep(&self, word: &Modelled, sleep: Sleep) -> Wake {
        let mut sleepers = self.sleepers.lock().unwrap();
        let expected = word.load();
        if expected != sleep.expected {
            return Wake::Woken;
        }
        // Short sleeps are those that somebody may owe nobody; and nobody wakes those who wait for the dead.
        let owner = expected & mp_sync::TAG;
        if (sleep.at_most == LONG_WAIT && owner == 0) || (self.dead != 0 && owner == self.dead) {
            return Wake::TimedOut;
        }
        let number = sleepers.came;
        sleepers.came += 1;
        let place = std::ptr::from_ref(word).addr();
        sleepers.asleep.push((place, number));
        while sleepers.asleep.iter().any(|(_, asleep)| *asleep == number) {
            sleepers = self.changed.wait(sleepers).unwrap();
        }
        Wake::Woken
    }

    fn wake(&self, word: &Modelled, count: u32) -> u32 {
        let mut sleepers = self.sleepers.lock().unwrap();
        let place = std::ptr::from_ref(word).addr();
        let mut woken = 0;
        sleepers.asleep.retain(|(asleep, _)| {
            let stays = *asleep != place || woken == count;
            woken += u32::from(!stays);
            stays
        });
        drop(sleepers);
        self.changed.notify_all();
        woken
    }

    fn is_dead(&self, tag: u32) -> bool {
        tag == self.dead
    }

    /// All words are in one order here, so nothing has to be done.
    fn barrier(&self) {}
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 20_000;
    builder.max_duration = Some(Duration::from_secs(20));
    builder.check(check);
}

struct Locked {
    futex: Futex,
    word: Modelled,
    abandoned: Modelled,
    /// Whether it is held by the owner that has it biased.
    inside: Modelled,
    /// Not atomic in its use: what the lock is there for.
    counter: Modelled,
}

impl Locked {
    fn new(futex: Futex, word: u32) -> Self {
        Self {
            futex,
            word: Modelled::new(word),
            abandoned: Modelled::new(0),
            inside: Modelled::new(0),
            counter: Modelled::new(0),
        }
    }

    fn lock(&self) -> Lock<'_, Modelled> {
        Lock::biasable(&self.word, &self.abandoned, &self.inside)
    }

    fn acquire(&self, tag: u32, impatient: bool) -> Acquired {
        let lock = self.lock();
        if lock.try_fresh(tag) {
            return Acquired::Free;
        }
        let mut waiter = Waiter::new(tag);
        loop {
            match lock.step(&waiter, &self.futex) {
                Ok(acquired) => return acquired,
                Err(sleep) => {
                    let wake = self.futex.sleep(lock.word(), sleep);
                    waiter.slept = true;
                    waiter.starving = impatient;
                    waiter.suspicious |= wake == Wake::TimedOut;
                }
            }
        }
    }

    fn count(&self) {
        let before = self.counter.load();
        self.counter.store(before + 1);
    }

    fn release(&self) {
        // JavaScript frees what nobody waits for by itself.
        let now = self.word.load();
        if now & !mp_sync::TAG == 0 && self.word.compare_exchange(now, 0).is_ok() {
            return;
        }
        self.lock().release(&self.futex).unwrap();
    }
}

#[test]
fn a_lock_excludes_and_loses_no_wake_up() {
    model(|| {
        let shared = Arc::new(Locked::new(Futex::new(), 0));
        let others: Vec<_> = (1..=2)
            .map(|tag| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.acquire(tag, false);
                    shared.count();
                    shared.release();
                })
            })
            .collect();
        shared.acquire(3, false);
        shared.count();
        shared.release();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.counter.load(), 3);
        assert_eq!(shared.lock().owner(), 0);
    });
}

#[test]
fn a_reserved_lock_is_had_by_those_who_wait_and_is_free_in_the_end() {
    model(|| {
        let shared = Arc::new(Locked::new(Futex::new(), 0));
        let others: Vec<_> = (1..=2)
            .map(|tag| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.acquire(tag, true);
                    shared.count();
                    shared.release();
                })
            })
            .collect();
        for _ in 0..2 {
            shared.acquire(3, false);
            shared.count();
            shared.release();
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.counter.load(), 4);
        assert_eq!(shared.word.load(), 0, "nothing stays reserved for nobody");
    });
}

#[test]
fn one_of_those_who_find_the_owner_dead_takes_over() {
    model(|| {
        const DEAD: u32 = 9;
        let shared = Arc::new(Locked::new(Futex::with_dead(DEAD), DEAD));
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let acquired = shared.acquire(1, false);
                let abandoned = shared.abandoned.load();
                shared.count();
                shared.release();
                (acquired, abandoned)
            })
        };
        let acquired = shared.acquire(2, false);
        let abandoned = shared.abandoned.load();
        shared.count();
        shared.release();
        let both = [(acquired, abandoned), other.join().unwrap()];
        let takeovers = both
            .iter()
            .filter(|(acquired, _)| *acquired == Acquired::Abandoned)
            .count();
        assert_eq!(takeovers, 1);
        for (acquired, abandoned) in both {
            assert_eq!(abandoned == 1, acquired == Acquired::Abandoned);
        }
        assert_eq!(shared.counter.load(), 2);
        assert_eq!(shared.abandoned.load(), 0);
    });
}

#[test]
fn one_who_leaves_passes_the_wake_up_on() {
    model(|| {
        let shared = Arc::new(Locked::new(Futex::new(), 0));
        shared.acquire(3, false);
        let leaver = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let lock = shared.lock();
                if let Err(sleep) = lock.step(&Waiter::new(1), &shared.futex) {
                    shared.futex.sleep(lock.word(), sleep);
                    lock.leave(&shared.futex);
                } else {
                    shared.release();
                }
            })
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.acquire(2, false);
                shared.count();
                shared.release();
            })
        };
        shared.release();
        leaver.join().unwrap();
        other.join().unwrap();
        assert_eq!(shared.counter.load(), 1);
    });
}

/// Who has a lock biased.
const OWNER: u32 = 3;

/// What `src/lock-word.ts` does in the thread that has a lock biased.
impl Locked {
    /// A biased lock, held or not.
    fn biased(futex: Futex, inside: u32) -> Self {
        Self {
            inside: Modelled::new(inside),
            ..Self::new(futex, OWNER | mp_sync::BIASED)
        }
    }

    fn is_biased(&self) -> bool {
        self.word.load() == OWNER | mp_sync::BIASED
    }

    /// Has it be like any other; whether its former owner holds it.
    fn unbias(&self) -> bool {
        self.lock().unbias(&self.futex) & mp_sync::TAG == OWNER
    }

    /// As its owner; whether it still is afterwards.
    fn take(&self) -> bool {
        self.inside.store(1);
        if self.is_biased() {
            return true;
        }
        if !self.unbias() {
            self.acquire(OWNER, false);
        }
        false
    }

    /// As its owner; whether that is all, and not for [`Lock::release`] to do.
    fn free(&self) -> bool {
        self.inside.store(0);
        self.is_biased() || !self.unbias()
    }
}

#[test]
fn a_biased_lock_excludes_those_who_come_while_it_is_used() {
    model(|| {
        let shared = Arc::new(Locked::biased(Futex::new(), 0));
        let others: Vec<_> = (1..=2)
            .map(|tag| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.acquire(tag, false);
                    shared.count();
                    shared.release();
                })
            })
            .collect();
        let stays = shared.take();
        shared.count();
        if !stays || !shared.free() {
            shared.release();
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.counter.load(), 3);
        assert_eq!(shared.lock().owner(), 0);
        assert_eq!(shared.word.load(), 0);
    });
}

#[test]
fn a_biased_lock_that_its_owner_and_another_free_is_free() {
    model(|| {
        let shared = Arc::new(Locked::biased(Futex::new(), 1));
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.lock().release(&shared.futex).is_ok())
        };
        if !shared.free() {
            // The other may be first.
            let _ = shared.lock().release(&shared.futex);
        }
        other.join().unwrap();
        assert_eq!(shared.lock().owner(), 0);
    });
}

#[test]
fn a_biased_lock_of_a_dead_owner_is_taken_over() {
    model(|| {
        let shared = Arc::new(Locked::biased(Futex::with_dead(OWNER), 1));
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let acquired = shared.acquire(1, false);
                shared.count();
                shared.lock().release(&shared.futex).unwrap();
                acquired
            })
        };
        let acquired = shared.acquire(2, false);
        shared.count();
        shared.lock().release(&shared.futex).unwrap();
        let both = [acquired, other.join().unwrap()];
        let takeovers = both.iter().filter(|one| **one == Acquired::Abandoned);
        assert_eq!(takeovers.count(), 1);
        assert_eq!(shared.counter.load(), 2);
        assert_eq!(shared.abandoned.load(), 0);
    });
}

struct Counted {
    futex: Futex,
    words: [Modelled; 3],
}

impl Counted {
    fn new(value: u32) -> Self {
        Self {
            futex: Futex::new(),
            words: [Modelled::new(value), Modelled::new(0), Modelled::new(0)],
        }
    }

    fn semaphore(&self) -> Semaphore<'_, Modelled> {
        let [value, waiting, sequence] = &self.words;
        Semaphore::new(value, waiting, sequence)
    }

    fn take(&self, impatient: bool) {
        let semaphore = self.semaphore();
        if semaphore.try_fresh() {
            return;
        }
        let mut waiter = Waiter::new(0);
        while let Err(sleep) = semaphore.step(&waiter, &self.futex) {
            if sleep.at_most == LONG_WAIT {
                // As the time is over.
                waiter.starving = true;
            } else {
                self.futex.sleep(semaphore.word(), sleep);
            }
            waiter.slept = true;
            waiter.starving |= impatient;
        }
    }

    fn give(&self) {
        self.semaphore().release(u32::MAX, &self.futex).unwrap();
    }
}

#[test]
fn a_semaphore_counts_and_loses_no_wake_up() {
    for impatient in [false, true] {
        model(move || {
            let shared = Arc::new(Counted::new(0));
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.take(impatient))
                })
                .collect();
            shared.give();
            shared.give();
            for taker in takers {
                taker.join().unwrap();
            }
            assert_eq!(shared.words[0].load() & mp_sync::VALUE_MAX, 0);
        });
    }
}

#[test]
fn a_semaphore_lets_no_more_in_than_its_value() {
    model(|| {
        let shared = Arc::new(Counted::new(1));
        let inside = Arc::new(Modelled::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (shared, inside) = (Arc::clone(&shared), Arc::clone(&inside));
                thread::spawn(move || {
                    shared.take(false);
                    assert_eq!(inside.swap(1), 0);
                    inside.store(0);
                    shared.give();
                })
            })
            .collect();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.words[0].load() & mp_sync::VALUE_MAX, 1);
    });
}

struct Notified {
    locked: Locked,
    words: [Modelled; 5],
    ready: Modelled,
}

impl Notified {
    fn new() -> Self {
        Self {
            locked: Locked::new(Futex::new(), 0),
            words: [(); 5].map(|()| Modelled::new(0)),
            ready: Modelled::new(0),
        }
    }

    fn condition(&self) -> Condition<'_, Modelled> {
        Condition::new(&self.words)
    }

    /// Waits, holding the lock before and after.
    fn wait(&self, tag: u32) {
        let condition = self.condition();
        let mut ticket = condition.enter();
        loop {
            self.locked.release();
            let sleep = Sleep {
                expected: ticket.seen,
                at_most: mp_sync::LONGEST_SLEEP,
            };
            self.locked.futex.sleep(condition.word(), sleep);
            self.locked.acquire(tag, false);
            match condition.look(ticket, false) {
                Look::Granted => return,
                Look::Over => unreachable!(),
                Look::Sleep(again) => ticket = again,
            }
        }
    }
}

#[test]
fn a_condition_wakes_as_many_as_were_notified() {
    model(|| {
        let shared = Arc::new(Notified::new());
        let waiters: Vec<_> = (1..=2)
            .map(|tag| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.locked.acquire(tag, false);
                    while shared.ready.load() == 0 {
                        shared.wait(tag);
                    }
                    shared.ready.store(shared.ready.load() - 1);
                    shared.locked.release();
                })
            })
            .collect();
        for _ in 0..2 {
            shared.locked.acquire(3, false);
            shared.ready.store(shared.ready.load() + 1);
            shared.condition().notify(1, &shared.locked.futex);
            shared.locked.release();
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(shared.ready.load(), 0);
        assert_eq!(shared.words[4].load(), 0, "nobody waits");
    });
}

#[test]
fn an_event_that_is_cleared_at_once_wakes_whoever_waited() {
    model(|| {
        let words = Arc::new(([Modelled::new(0), Modelled::new(0)], Futex::new()));
        let begun = Event::new(&words.0[0], &words.0[1]).begin();
        let other = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                let event = Event::new(&words.0[0], &words.0[1]);
                while let Err(sleep) = event.step(begun) {
                    words.1.sleep(event.word(), sleep);
                }
            })
        };
        let event = Event::new(&words.0[0], &words.0[1]);
        event.set(&words.1);
        event.clear();
        other.join().unwrap();
    });
}
