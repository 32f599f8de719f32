//! Having V8 collect its garbage in time.
//!
//! V8 counts what lies outside its heap, ArrayBuffers above all, and when there is much of it begins to
//! collect, bit by bit, in tasks of the event loop. A loop that blocks the thread never gets there, and in
//! a process without V8's helper threads nobody else does it: each buffer of many megabytes that such a loop
//! has taken and dropped stays.

use std::cell::Cell;
use std::time::{Duration, Instant};

use napi::{Env, Result};
use napi_derive::napi;

/// What may come on top of what was left the last time.
const ROOM: i64 = 96 << 20;

/// At most one part in so many of the time goes into it, as long as no more than the most is outside.
const SHARE: u32 = 8;
const MOST: i64 = 256 << 20;

/// More than V8 bears without collecting at once.
const TOO_MUCH: i64 = 1 << 46;

thread_local! {
    /// What was left the last time, and has been since.
    static LEFT: Cell<i64> = const { Cell::new(0) };
    /// When it may be done again.
    static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// To be called before memory for a large buffer is allocated: has V8 collect if there is much outside its
/// heap that it has not looked at. The time that goes into it is limited, as what is in use is only found
/// out by looking.
#[napi]
pub fn collect_if_needed(env: Env) -> Result<()> {
    let outside = env.adjust_external_memory(0)?;
    let left = LEFT.get().min(outside);
    LEFT.set(left);
    if outside < left.saturating_add(ROOM) {
        return Ok(());
    }
    let start = Instant::now();
    if outside < left.saturating_add(MOST) && NEXT.get().is_some_and(|next| start < next) {
        return Ok(());
    }
    env.adjust_external_memory(TOO_MUCH)?;
    LEFT.set(env.adjust_external_memory(-TOO_MUCH)?);
    let took: Duration = start.elapsed();
    NEXT.set(start.checked_add(took * SHARE));
    Ok(())
}
