//! Which parts of a segment are free.

use std::collections::{BTreeMap, BTreeSet};

/// Blocks begin at multiples of so many bytes and have a multiple of them: no two share a cache line.
pub const ALIGNMENT: usize = 64;

/// What a block of so many bytes takes; nothing when there is no such number.
pub fn rounded(size: usize) -> Option<usize> {
    size.max(1).checked_next_multiple_of(ALIGNMENT)
}

/// The free ranges of some bytes. Neighbours are always one range.
#[derive(Debug)]
pub struct Allocator {
    start: usize,
    length: usize,
    /// Lengths by where the ranges start.
    by_start: BTreeMap<usize, usize>,
    /// The same, to find the smallest that is large enough.
    by_length: BTreeSet<(usize, usize)>,
    /// Nothing from here on was ever handed out.
    untouched: usize,
}

/// A range that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// Where it starts.
    pub start: usize,
    /// How many of its bytes, the first ones, were handed out before and may not be zero.
    pub used_before: usize,
}

impl Allocator {
    /// So many bytes from `start` on, all of them free. Both are multiples of [`ALIGNMENT`].
    pub fn new(start: usize, length: usize) -> Self {
        debug_assert!(start.is_multiple_of(ALIGNMENT) && length.is_multiple_of(ALIGNMENT));
        let mut allocator = Self {
            start,
            length,
            by_start: BTreeMap::new(),
            by_length: BTreeSet::new(),
            untouched: start,
        };
        allocator.insert(start, length);
        allocator
    }

    /// Hands out the start of the smallest free range that has so many bytes, a multiple of
    /// [`ALIGNMENT`].
    pub fn allocate(&mut self, length: usize) -> Option<Allocated> {
        debug_assert!(length > 0 && length.is_multiple_of(ALIGNMENT));
        let &(free, start) = self.by_length.range((length, 0)..).next()?;
        self.remove(start, free);
        if free > length {
            self.insert(start + length, free - length);
        }
        let end = start + length;
        let used_before = self.untouched.clamp(start, end) - start;
        self.untouched = self.untouched.max(end);
        Some(Allocated { start, used_before })
    }

    /// Takes back what was handed out.
    pub fn free(&mut self, start: usize, length: usize) {
        let (mut from, mut to) = (start, start + length);
        debug_assert!(from >= self.start && to <= self.start + self.length);
        if let Some((&before, &its_length)) = self.by_start.range(..start).next_back() {
            debug_assert!(before + its_length <= start, "freed twice");
            if before + its_length == start {
                self.remove(before, its_length);
                from = before;
            }
        }
        if let Some((&after, &its_length)) = self.by_start.range(start..).next() {
            debug_assert!(after >= to, "freed twice");
            if after == to {
                self.remove(after, its_length);
                to = after + its_length;
            }
        }
        self.insert(from, to - from);
    }

    /// Whether nothing is handed out.
    pub fn is_empty(&self) -> bool {
        self.by_start.get(&self.start) == Some(&self.length)
    }

    /// How many bytes are free.
    pub fn available(&self) -> usize {
        self.by_start.values().sum()
    }

    fn insert(&mut self, start: usize, length: usize) {
        self.by_start.insert(start, length);
        self.by_length.insert((length, start));
    }

    fn remove(&mut self, start: usize, length: usize) {
        self.by_start.remove(&start);
        self.by_length.remove(&(length, start));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: usize = 4096;
    const LENGTH: usize = 1 << 16;

    /// Allocates at most so many bytes, or frees the block of some number, or all.
    #[derive(Clone, Debug)]
    enum Step {
        Allocate(usize),
        Free(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..5000_usize).prop_map(Step::Allocate),
            1 => (LENGTH / 2..2 * LENGTH).prop_map(Step::Allocate),
            3 => any::<usize>().prop_map(Step::Free),
        ];
        prop::collection::vec(step, 0..400)
    }

    /// The free ranges are in order, apart from each other, inside, and the same in both tables.
    fn check(allocator: &Allocator, live: &[(usize, usize)]) {
        let free: BTreeSet<(usize, usize)> =
            allocator.by_start.iter().map(|(s, l)| (*l, *s)).collect();
        assert_eq!(free, allocator.by_length);
        let mut all: Vec<(usize, usize, bool)> = (allocator
            .by_start
            .iter()
            .map(|(start, length)| (*start, *length, true)))
        .chain(live.iter().map(|(start, length)| (*start, *length, false)))
        .collect();
        all.sort_unstable();
        let mut at = START;
        let mut free_before = false;
        for (start, length, free) in all {
            assert_eq!(start, at, "no gaps and no overlaps");
            assert!(start % ALIGNMENT == 0 && length % ALIGNMENT == 0 && length > 0);
            assert!(!(free && free_before), "free neighbours are one range");
            free_before = free;
            at = start + length;
        }
        assert_eq!(at, START + LENGTH);
    }

    proptest! {
        #[test]
        fn whatever_is_allocated_and_freed_adds_up(steps in steps()) {
            let mut allocator = Allocator::new(START, LENGTH);
            let mut live: Vec<(usize, usize)> = Vec::new();
            let mut touched = vec![false; START + LENGTH];
            for step in steps {
                match step {
                    Step::Allocate(size) => {
                        let length = rounded(size).unwrap();
                        let largest = allocator.by_start.values().max().copied();
                        match allocator.allocate(length) {
                            Some(Allocated { start, used_before }) => {
                                prop_assert!(touched[start + used_before..start + length].iter().all(|t| !t));
                                touched[start..start + length].fill(true);
                                live.push((start, length));
                            }
                            None => prop_assert!(largest.is_none_or(|largest| largest < length)),
                        }
                    }
                    Step::Free(which) if !live.is_empty() => {
                        let (start, length) = live.swap_remove(which % live.len());
                        allocator.free(start, length);
                    }
                    Step::Free(_) => {}
                }
                check(&allocator, &live);
            }
            for (start, length) in live.drain(..) {
                prop_assert!(!allocator.is_empty());
                allocator.free(start, length);
            }
            prop_assert!(allocator.is_empty());
            prop_assert_eq!(allocator.available(), LENGTH);
        }

        #[test]
        fn sizes_are_rounded_up(size in any::<usize>()) {
            match rounded(size) {
                Some(length) => {
                    prop_assert!(length >= size && length > 0 && length - size.max(1) < ALIGNMENT);
                    prop_assert_eq!(length % ALIGNMENT, 0);
                }
                None => prop_assert!(size > usize::MAX - ALIGNMENT),
            }
        }
    }

    #[test]
    fn the_smallest_range_that_fits_is_taken() {
        let mut allocator = Allocator::new(0, 1024);
        let starts = [256, 64, 128, 64].map(|length| allocator.allocate(length).unwrap().start);
        assert_eq!(starts, [0, 256, 320, 448]);
        allocator.free(0, 256);
        allocator.free(320, 128);
        assert_eq!(allocator.allocate(128).unwrap().start, 320);
        assert_eq!(allocator.allocate(192).unwrap().start, 0);
    }

    #[test]
    fn what_was_used_before_is_known() {
        let mut allocator = Allocator::new(0, 256);
        assert_eq!(allocator.allocate(128).unwrap().used_before, 0);
        allocator.free(0, 128);
        let again = allocator.allocate(192).unwrap();
        assert_eq!((again.start, again.used_before), (0, 128));
    }
}
