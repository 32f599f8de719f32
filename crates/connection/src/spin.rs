//! How long to look before sleeping.
//!
//! A process that sleeps takes tens of microseconds to wake; an answer that is a few microseconds away
//! is better waited for awake. But looking costs the processor that the other side may need, so the
//! time spent on it follows what it has brought: it grows while answers come soon and shrinks to
//! nothing while they do not.

use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_micros(100);
const SHORTEST: Duration = Duration::from_micros(1);
const FIRST: Duration = Duration::from_micros(50);

/// One channel's experience.
#[derive(Debug)]
pub(crate) struct Spin {
    budget: Duration,
}

impl Default for Spin {
    fn default() -> Self {
        Self {
            budget: if one_processor() {
                Duration::ZERO
            } else {
                FIRST
            },
        }
    }
}

impl Spin {
    /// Calls `look` again and again until it gives something or the budget is spent; then sleeps in
    /// `sleep` between looks until one of the two ends the wait.
    pub(crate) fn wait<T, E>(
        &mut self,
        mut look: impl FnMut() -> Option<Result<T, E>>,
        mut sleep: impl FnMut() -> Option<E>,
    ) -> Result<T, E> {
        if let Some(found) = look() {
            return found;
        }
        let start = Instant::now();
        while start.elapsed() < self.budget {
            // The other side may have been put on this very processor: let it run.
            std::thread::yield_now();
            if let Some(found) = look() {
                self.adapt(start.elapsed());
                return found;
            }
        }
        loop {
            if let Some(end) = sleep() {
                return Err(end);
            }
            if let Some(found) = look() {
                self.adapt(start.elapsed());
                return found;
            }
        }
    }

    /// An answer that took less than the longest spin would have been worth waiting for awake.
    fn adapt(&mut self, took: Duration) {
        if one_processor() {
            return;
        }
        self.budget = if took <= LONGEST {
            (self.budget + took).clamp(SHORTEST, LONGEST)
        } else {
            (self.budget / 2).max(SHORTEST)
        };
    }
}

/// On one processor the other side cannot answer while this one looks.
fn one_processor() -> bool {
    use std::sync::OnceLock;
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_answers_shrink_the_budget_and_soon_ones_grow_it() {
        let mut spin = Spin { budget: LONGEST };
        for _ in 0..20 {
            spin.adapt(Duration::from_millis(5));
        }
        assert_eq!(
            spin.budget,
            if one_processor() { LONGEST } else { SHORTEST }
        );
        for _ in 0..20 {
            spin.adapt(Duration::from_micros(10));
        }
        assert_eq!(spin.budget, LONGEST);
    }

    #[test]
    fn the_sleeper_may_end_the_wait() {
        let mut spin = Spin::default();
        let ended: Result<(), &str> = spin.wait(|| None, || Some("over"));
        assert_eq!(ended, Err("over"));
    }
}
