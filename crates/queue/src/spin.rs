//! How long to look before sleeping: the longer, the more often it was worth it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_micros(100);
const SHORTEST: Duration = Duration::from_micros(1);
const FIRST: Duration = Duration::from_micros(50);

/// One thread's experience with a queue.
#[derive(Debug)]
pub struct Spin {
    budget: Duration,
}

impl Default for Spin {
    fn default() -> Self {
        let budget = if one_processor() {
            Duration::ZERO
        } else {
            FIRST
        };
        Self { budget }
    }
}

impl Spin {
    /// Looks until there is something to see, or it is not worth it any more; says which.
    pub fn look(&self, mut look: impl FnMut() -> bool) -> bool {
        if self.budget.is_zero() {
            return look();
        }
        let start = Instant::now();
        loop {
            for _ in 0..32 {
                if look() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() >= self.budget {
                return false;
            }
            // Whoever is waited for may have been put on this very processor.
            std::thread::yield_now();
        }
    }

    /// It took so long in all, looking and sleeping.
    pub fn learn(&mut self, took: Duration) {
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

/// On one processor nobody can do anything while this one looks.
fn one_processor() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() == 1))
}
