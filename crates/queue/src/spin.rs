//! Looking before sleeping, for as long as it has been worth it.

use std::time::{Duration, Instant};

use mp_os::spin_budget::SpinBudget;

/// One thread's experience with a queue.
#[derive(Debug, Default)]
pub struct Spin {
    budget: SpinBudget,
}

impl Spin {
    /// Looks until there is something to see, or it is not worth it any more; says which.
    pub fn look(&self, mut look: impl FnMut() -> bool) -> bool {
        if self.budget.time().is_zero() {
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
            if start.elapsed() >= self.budget.time() {
                return false;
            }
            // Whoever is waited for may have been put on this very processor.
            std::thread::yield_now();
        }
    }

    /// It took so long in all, looking and sleeping.
    pub fn learn(&mut self, took: Duration) {
        self.budget.learn(took);
    }
}
