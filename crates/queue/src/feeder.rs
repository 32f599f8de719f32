//! The thread that brings a process's messages into the ring as there is room.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use mp_os::futex;
use mp_os::process::threads;

use crate::large::Lent;
use crate::layout::{self, WORD, padded};
use crate::queue::{ANONYMOUS, Body, NONE, Queue, STARTING};
use crate::ring::SHORT_SLEEP;
use crate::spin::Spin;

/// The most bytes of a piece.
const LARGEST_PIECE: u64 = 128 << 10;
/// Smaller pieces than this are not worth it, but for the last.
const SMALLEST_PIECE: u64 = 32 << 10;

impl Queue {
    /// The place where the feeder says how much it has in store; starts it if there is none.
    pub(crate) fn ensure_feeder(self: &Arc<Self>) -> io::Result<u32> {
        loop {
            match self.feeder.load(SeqCst) {
                NONE => {
                    let started = self.feeder.compare_exchange(NONE, STARTING, SeqCst, SeqCst);
                    if started.is_err() {
                        continue;
                    }
                    let queue = Arc::clone(self);
                    let thread = thread::Builder::new()
                        .name("queue feeder".into())
                        .stack_size(128 << 10)
                        .spawn(move || {
                            // They are for the program's own threads.
                            threads::block_signals();
                            queue.feed();
                        });
                    if let Err(error) = thread {
                        self.feeder.store(NONE, SeqCst);
                        return Err(error);
                    }
                }
                STARTING => {
                    let _ = futex::wait(&self.feeder, STARTING, Some(SHORT_SLEEP));
                }
                place => return Ok(place),
            }
        }
    }

    fn feed(self: Arc<Self>) {
        let mut spin = Spin::default();
        self.feeder.store(self.claim_place(), SeqCst);
        let _ = futex::wake(&self.feeder, u32::MAX);
        mp_log::debug!("a queue's feeder thread has begun");
        loop {
            let news = self.news.load(SeqCst);
            if self.pending() > 0 {
                // What is wrong with the queue is found by those who use it.
                if self.feed_some(&mut spin).is_err() {
                    thread::sleep(SHORT_SLEEP);
                }
                continue;
            }
            if !self.is_used() {
                break;
            }
            let _ = futex::wait(&self.news, news, None);
        }
        mp_log::debug!("a queue's feeder thread is done");
        let place = self.feeder.swap(NONE, SeqCst);
        if let Some(store) = self.ring().header().stores.get(place as usize) {
            store.owner.unlock();
        }
        if self.pending() > 0 {
            // Somebody came back just now.
            let _ = self.ensure_feeder();
        }
    }

    fn claim_place(&self) -> u32 {
        let stores = &self.ring().header().stores;
        let free = (0..).zip(stores).find(|(_, store)| {
            // With the lock, as others may just be finding out that it is nobody's.
            let Ok(_guard) = self.ring().lock_put() else {
                return false;
            };
            let free = matches!(store.owner.try_lock(), Ok(Some(_)));
            if free {
                store.count.store(0, SeqCst);
            }
            free
        });
        free.map_or(ANONYMOUS, |(place, _)| place)
    }

    fn feed_some(&self, spin: &mut Spin) -> io::Result<()> {
        let large = {
            let backlog = self.lock_backlog();
            match backlog.front().map(|item| &item.body) {
                Some(Body::Pieces(lent)) => Some(Arc::clone(lent)),
                Some(Body::Whole(_)) => None,
                None => {
                    // It is being put there.
                    drop(backlog);
                    thread::yield_now();
                    return Ok(());
                }
            }
        };
        match large {
            Some(lent) => {
                self.feed_pieces(&lent, spin)?;
                self.lock_backlog().pop_front();
                self.settled(1);
                lent.finish();
                Ok(())
            }
            None => self.feed_whole(spin),
        }
    }

    /// Brings in what fits of the messages at the front.
    fn feed_whole(&self, spin: &mut Spin) -> io::Result<()> {
        let mut guard = self.ring().lock_put()?;
        let mut backlog = self.lock_backlog();
        let mut count = 0;
        let mut wanted = 0;
        while let Some(item) = backlog.front() {
            let Body::Whole(message) = &item.body else {
                break;
            };
            let descriptors: Vec<_> = item.descriptors.iter().map(AsFd::as_fd).collect();
            if !self.put_whole(&mut guard, &[message], &descriptors)? {
                wanted = 2 * WORD + padded(message.len() as u64);
                break;
            }
            count += 1;
            backlog.pop_front();
        }
        // Not for each message that is taken out, when there is much to bring in.
        let much = self.ring().capacity() / 4;
        let waiting: u64 = backlog.iter().take(64).map(Body::room_of).sum();
        drop(backlog);
        if count > 0 {
            guard.publish(count);
            self.published(count);
            self.settled(count);
        }
        drop(guard);
        if count == 0 && wanted > 0 {
            return self.wait_for_room(wanted.max(waiting.min(much)), wanted, false, spin);
        }
        Ok(())
    }

    fn feed_pieces(&self, lent: &Lent, spin: &mut Spin) -> io::Result<()> {
        let header = self.ring().header();
        while header.stream_lock.lock_for(SHORT_SLEEP)?.is_none() {}
        let streamed = self.stream(lent, spin);
        header.stream_lock.unlock();
        streamed
    }

    /// With the lock of those who put in messages in pieces.
    fn stream(&self, lent: &Lent, spin: &mut Spin) -> io::Result<()> {
        let ring = self.ring();
        loop {
            let mut guard = ring.lock_put()?;
            if guard.state.rest != 0 {
                guard.cut();
            }
            if self.begin(&mut guard, lent)? {
                guard.state.rest = lent.len();
                guard.publish(1);
                self.published(1);
                break;
            }
            drop(guard);
            self.wait_for_room(3 * WORD, 3 * WORD, false, spin)?;
        }
        loop {
            let state = ring.header().put.own();
            if state.rest == 0 {
                return Ok(());
            }
            let least = state.rest.min(SMALLEST_PIECE).min(ring.capacity() / 4);
            let room = ring.room(state).saturating_sub(WORD) & !(WORD - 1);
            let length = room.min(state.rest).min(LARGEST_PIECE);
            if length < least {
                let wanted = WORD + padded(least);
                self.wait_for_room(wanted, wanted, true, spin)?;
                continue;
            }
            lent.write(ring, state.position + WORD, length as usize);
            ring.lock_put()?.add_piece(length as u32);
        }
    }

    fn begin(&self, guard: &mut crate::ring::PutGuard<'_>, lent: &Lent) -> io::Result<bool> {
        if self.ring().room(guard.state) < 3 * WORD {
            return Ok(false);
        }
        let mut backlog = self.lock_backlog();
        let Some(item) = backlog.front_mut() else {
            return Ok(false);
        };
        if item.descriptors.is_empty() {
            return Ok(guard.add(layout::LARGE, &[lent.len()], &[]));
        }
        let descriptors: Vec<_> = item.descriptors.iter().map(AsFd::as_fd).collect();
        let Some(word) = self.send_descriptors(&descriptors)? else {
            return Ok(false);
        };
        // They are on their way, and not this process's any more.
        item.descriptors.clear();
        Ok(guard.add(layout::LARGE_WITH_DESCRIPTORS, &[lent.len(), word], &[]))
    }

    /// Waits until there is room for so many bytes; `needed` is how many are needed at least.
    fn wait_for_room(
        &self,
        wanted: u64,
        needed: u64,
        streaming: bool,
        spin: &mut Spin,
    ) -> io::Result<()> {
        let start = Instant::now();
        let ring = self.ring();
        let header = ring.header();
        let has_room = |bytes| ring.room(header.put.seen()) >= bytes;
        let free = || streaming || header.put.seen().rest == 0;
        if has_room(needed) {
            // Something else is in the way: others' messages, or descriptors.
            thread::sleep(Duration::from_millis(1));
        } else if !spin.look(|| has_room(wanted) && free())
            && let Some(sleep) = ring.watch_room(wanted, false, streaming)?
        {
            let _ = futex::wait(sleep.word, sleep.expected, sleep.at_most);
        }
        spin.learn(start.elapsed());
        Ok(())
    }
}

impl Body {
    fn room_of(item: &crate::queue::Item) -> u64 {
        match &item.body {
            Self::Whole(message) => 2 * WORD + padded(message.len() as u64),
            Self::Pieces(_) => 0,
        }
    }
}
