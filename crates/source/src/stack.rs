//! Enough stack for sources however deeply they are nested.
//!
//! The parser and what walks over its tree go a call deeper for each level of nesting. How deep that
//! can be is limited by how much there is in the source that could open a level, so the analysis has a
//! thread with that much stack. Memory that is not touched costs nothing.

use std::thread;

use crate::error::SourceError;

/// What an analysis needs that has nothing nested.
const BASE: usize = 256 * 1024;

/// What a level takes at most.
const LEVEL: usize = if cfg!(debug_assertions) {
    16 * 1024
} else {
    2 * 1024
};

/// The most there is for an analysis.
const MOST: usize = 4 * 1024 * 1024 * 1024;

/// Runs `work`, which does nothing deeper than `source` is nested, where that cannot overflow.
pub fn with_enough<T: Send>(
    source: &str,
    work: impl FnOnce() -> Result<T, SourceError> + Send,
) -> Result<T, SourceError> {
    let needed = BASE + levels(source).saturating_mul(LEVEL);
    if needed > MOST {
        return Err(SourceError::TooLarge);
    }
    thread::scope(|scope| {
        thread::Builder::new()
            .name("source".to_owned())
            .stack_size(needed)
            .spawn_scoped(scope, work)?
            .join()
            .unwrap_or(Err(SourceError::Failed))
    })
}

/// How many levels a source can have at most.
fn levels(source: &str) -> usize {
    source.len()
}
