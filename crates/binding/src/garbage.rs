//! Having V8 collect its garbage in time.
//!
//! V8 counts what lies outside its heap, ArrayBuffers above all, and when there is much of it begins to
//! collect, bit by bit, in tasks of the event loop. A loop that blocks the thread never gets there, and in
//! a process without V8's helper threads nobody else does it: each buffer of many megabytes that such a loop
//! has taken and dropped stays. Large blocks of shared memory it does not count at all.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mp_os::descriptor;
use napi::{Env, Result};
use napi_derive::napi;

/// At most one part in so many of the time goes into it, as long as there is room for more.
const SHARE: u32 = 8;

/// How many times as much shared memory may stay when it is too early to look.
const MOST_SHARED: i64 = 4;

/// More than V8 bears without collecting at once.
const TOO_MUCH: i64 = 1 << 46;

unsafe extern "C" {
    fn uv_get_total_memory() -> u64;
    fn uv_get_constrained_memory() -> u64;
}

/// Some kind of memory, in bytes.
struct Memory {
    /// What was left the last time, and has been since.
    left: Cell<i64>,
    /// When it may be done again.
    next: Cell<Option<Instant>>,
}

/// What may come on top of what was left the last time. Up to `some` nothing is done, above it unless it was
/// done a moment ago, and above `most` always.
struct Room {
    some: i64,
    most: i64,
}

thread_local! {
    static COUNTED: Memory = const { Memory::new() };
    static UNCOUNTED: Memory = const { Memory::new() };
    /// How much there is now of what V8 does not count.
    static UNCOUNTED_NOW: Arc<AtomicI64> = Arc::default();
}

/// A piece of memory that V8 does not count, as long as it is in use.
pub struct Uncounted {
    all: Arc<AtomicI64>,
    weight: i64,
}

/// To be called before memory for a large buffer is allocated: has V8 collect if there is much outside its
/// heap that it has not looked at. The time that goes into it is limited, as what is in use is only found
/// out by looking.
#[napi(js_name = "collectIfNeeded")]
pub fn collect_counted(env: &Env) -> Result<()> {
    let room = Room {
        some: 96 << 20,
        most: 256 << 20,
    };
    COUNTED.with(|memory| memory.collect(env, room, || env.adjust_external_memory(0)))
}

/// Counts so many bytes of shared memory that V8 does not count, until what this returns is dropped, on any
/// thread. The same is done before.
pub fn count(env: &Env, length: usize) -> Result<Uncounted> {
    let some = room_for_shared();
    let room = Room {
        some,
        most: MOST_SHARED * some,
    };
    // Relaxed, here and when it is subtracted: a number that nothing else depends on.
    let all = UNCOUNTED_NOW.with(Arc::clone);
    UNCOUNTED.with(|memory| memory.collect(env, room, || Ok(all.load(Ordering::Relaxed))))?;
    let weight = (length as i64).max(weight_of_descriptor());
    all.fetch_add(weight, Ordering::Relaxed);
    Ok(Uncounted { all, weight })
}

impl Drop for Uncounted {
    fn drop(&mut self) {
        self.all.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

/// Has V8 collect at once, and let go of what it finds.
pub fn collect(env: &Env) -> Result<()> {
    env.adjust_external_memory(TOO_MUCH)?;
    env.adjust_external_memory(-TOO_MUCH)?;
    Ok(())
}

/// How many bytes a piece of shared memory counts as at least, because it takes a descriptor: those that are
/// not in use take a quarter of all descriptors, at most.
fn weight_of_descriptor() -> i64 {
    static WEIGHT: OnceLock<i64> = OnceLock::new();
    *WEIGHT.get_or_init(|| {
        let descriptors = i64::try_from(descriptor::most()).unwrap_or(i64::MAX);
        MOST_SHARED * room_for_shared() / (descriptors / 4).max(1)
    })
}

/// V8 itself begins to collect for much less, but bit by bit. This is done at once, and takes milliseconds even
/// if little is in use.
fn room_for_shared() -> i64 {
    static ROOM: OnceLock<i64> = OnceLock::new();
    *ROOM.get_or_init(|| {
        // SAFETY: they read files of the system's; libuv has them for any thread.
        let (total, constrained) = unsafe { (uv_get_total_memory(), uv_get_constrained_memory()) };
        let memory = if constrained == 0 {
            total
        } else {
            total.min(constrained)
        };
        (memory / 16).min(1 << 30) as i64
    })
}

impl Memory {
    const fn new() -> Self {
        Self {
            left: Cell::new(0),
            next: Cell::new(None),
        }
    }

    fn collect(&self, env: &Env, room: Room, now: impl Fn() -> Result<i64>) -> Result<()> {
        let amount = now()?;
        let left = self.left.get().min(amount);
        self.left.set(left);
        if amount <= left.saturating_add(room.some) {
            return Ok(());
        }
        let start = Instant::now();
        let is_too_early = self.next.get().is_some_and(|next| start < next);
        if is_too_early && amount <= left.saturating_add(room.most) {
            return Ok(());
        }
        collect(env)?;
        self.left.set(now()?);
        let took: Duration = start.elapsed();
        self.next.set(start.checked_add(took * SHARE));
        Ok(())
    }
}
