//! Looking before sleeping, for as long as it has been worth it.

use std::time::{Duration, Instant};

use mp_os::spin_budget::SpinBudget;

/// One channel's experience.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    budget: SpinBudget,
    limit: Option<Duration>,
}

impl Spin {
    /// From now on looks no longer than this, and takes what comes later for not worth looking for.
    pub(crate) fn limit(&mut self, limit: Duration) {
        self.limit = Some(limit);
    }

    fn time(&self) -> Duration {
        let time = self.budget.time();
        self.limit.map_or(time, |limit| time.min(limit))
    }

    fn learn(&mut self, took: Duration) {
        let late = self.limit.is_some_and(|limit| took > limit);
        self.budget.learn(if late { Duration::MAX } else { took });
    }

    /// Nothing came while one looked, and nobody knows when it will.
    pub(crate) fn was_in_vain(&mut self) {
        self.budget.learn(Duration::MAX);
    }

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
        while start.elapsed() < self.time() {
            // The other side may have been put on this very processor: let it run.
            std::thread::yield_now();
            if let Some(found) = look() {
                self.learn(start.elapsed());
                return found;
            }
        }
        loop {
            if let Some(end) = sleep() {
                return Err(end);
            }
            if let Some(found) = look() {
                self.learn(start.elapsed());
                return found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_limit_looks_no_longer() {
        let mut spin = Spin::default();
        let limit = Duration::from_micros(5);
        spin.limit(limit);
        assert!(spin.time() <= limit);
        for _ in 0..20 {
            spin.learn(2 * limit);
        }
        assert!(spin.time() <= Duration::from_micros(1));
    }

    #[test]
    fn the_sleeper_may_end_the_wait() {
        let mut spin = Spin::default();
        let ended: Result<(), &str> = spin.wait(|| None, || Some("over"));
        assert_eq!(ended, Err("over"));
    }
}
