//! How long to look before sleeping.
//!
//! A process that sleeps takes tens of microseconds to wake; an answer that is a few microseconds away
//! is better waited for awake. But looking costs the processor that the other side may need, so the
//! time spent on it follows what it has brought: it grows while answers come soon and shrinks to
//! nothing while they do not.

use std::sync::OnceLock;
use std::time::Duration;

const LONGEST: Duration = Duration::from_micros(100);
const SHORTEST: Duration = Duration::from_micros(1);
const FIRST: Duration = Duration::from_micros(50);

/// How long it is worth looking, as far as experience goes.
#[derive(Debug)]
pub struct SpinBudget(Duration);

impl Default for SpinBudget {
    fn default() -> Self {
        Self(if one_processor() {
            Duration::ZERO
        } else {
            FIRST
        })
    }
}

impl SpinBudget {
    /// How long to look now.
    pub fn time(&self) -> Duration {
        self.0
    }

    /// It took so long in all, looking and sleeping. What took less than the longest spin would have
    /// been worth waiting for awake.
    pub fn learn(&mut self, took: Duration) {
        if one_processor() {
            return;
        }
        self.0 = if took <= LONGEST {
            (self.0 + took).clamp(SHORTEST, LONGEST)
        } else {
            (self.0 / 2).max(SHORTEST)
        };
    }
}

/// On one processor nobody can do anything while this one looks.
fn one_processor() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_answers_shrink_the_budget_and_soon_ones_grow_it() {
        let mut budget = SpinBudget(LONGEST);
        for _ in 0..20 {
            budget.learn(Duration::from_millis(5));
        }
        assert_eq!(
            budget.time(),
            if one_processor() { LONGEST } else { SHORTEST }
        );
        for _ in 0..20 {
            budget.learn(Duration::from_micros(10));
        }
        assert_eq!(budget.time(), LONGEST);
    }
}
