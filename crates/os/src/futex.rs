//! Sleeping on a word of shared memory until another process says that it has changed.
//!
//! The word may be in any shared mapping; who sleeps and who wakes need not be in the same process.

use std::io;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How a sleep ended. Each may also happen for no reason: whoever wakes looks at the word again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody woke the sleeper.
    Called,
    /// The word did not have the expected value; nobody slept.
    Changed,
    /// The time is over.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// The most words that one call of [`wait_any`] takes.
pub const MAX_WORDS: usize = 128;

/// Sleeps while the word has the expected value, until woken or, if there is one, the timeout is over.
///
/// # Errors
/// What `futex(2)` gives; `Unsupported` where there is no such call.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> io::Result<Woken> {
    sys::wait(word, expected, timeout)
}

/// Wakes at most so many who sleep on the word, and says how many that were.
///
/// # Errors
/// As [`wait`].
pub fn wake(word: &AtomicU32, count: u32) -> io::Result<usize> {
    sys::wake(word, count)
}

/// Adds one to the word, around its end if need be, and wakes at most so many who sleep on it: in one
/// step, so that nobody can be killed in between. Says how many were woken.
///
/// # Errors
/// As [`wait`]; the word is as it was then.
pub fn add_and_wake(word: &AtomicU32, count: u32) -> io::Result<usize> {
    sys::add_and_wake(word, count)
}

/// Sleeps while each of these words has its expected value: until one of them is woken, and then says
/// which, or the timeout is over.
///
/// # Errors
/// `ENOSYS` before Linux 5.16, `EINVAL` for more than [`MAX_WORDS`] words or none; `Unsupported` where
/// there is no such call.
pub fn wait_any(
    words: &[(&AtomicU32, u32)],
    timeout: Option<Duration>,
) -> io::Result<(Woken, Option<usize>)> {
    sys::wait_any(words, timeout)
}

#[cfg(target_os = "linux")]
mod sys {
    use std::io;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::thread::futex;
    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::{MAX_WORDS, Woken};

    /// Without the private flag: the sleepers may be in other processes.
    const SHARED: futex::Flags = futex::Flags::empty();

    pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> io::Result<Woken> {
        let timeout = timeout.map(timespec);
        match futex::wait(word, SHARED, expected, timeout.as_ref()) {
            Ok(()) => Ok(Woken::Called),
            Err(errno) => early(errno),
        }
    }

    pub fn wake(word: &AtomicU32, count: u32) -> io::Result<usize> {
        // The kernel takes the number for a signed one.
        Ok(futex::wake(word, SHARED, count.min(i32::MAX as u32))?)
    }

    pub fn add_and_wake(word: &AtomicU32, count: u32) -> io::Result<usize> {
        // The comparison decides about a second word to wake on: here the same one, of which it wakes one more
        // once in 2^32 times.
        Ok(futex::wake_op(
            word,
            SHARED,
            count.min(i32::MAX as u32),
            0,
            word,
            futex::WakeOp::Add,
            futex::WakeOpCmp::Eq,
            1,
            0,
        )?)
    }

    pub fn wait_any(
        words: &[(&AtomicU32, u32)],
        timeout: Option<Duration>,
    ) -> io::Result<(Woken, Option<usize>)> {
        if words.is_empty() || words.len() > MAX_WORDS {
            return Err(Errno::INVAL.into());
        }
        let mut list = [futex::Wait::new(); MAX_WORDS];
        for (entry, (word, expected)) in list.iter_mut().zip(words) {
            entry.val = u64::from(*expected);
            entry.uaddr = word.as_ptr().cast::<std::ffi::c_void>().into();
            entry.flags = futex::WaitFlags::SIZE_U32;
        }
        // This call wants to know when, not for how long.
        let end = timeout.map(|timeout| {
            let now = clock_gettime(ClockId::Monotonic);
            now.checked_add(timespec(timeout)).unwrap_or(FOREVER)
        });
        let list = &list[..words.len()];
        match futex::waitv(
            list,
            futex::WaitvFlags::empty(),
            end.as_ref(),
            ClockId::Monotonic,
        ) {
            Ok(index) => Ok((Woken::Called, Some(index))),
            Err(errno) => Ok((early(errno)?, None)),
        }
    }

    const FOREVER: Timespec = Timespec {
        tv_sec: i64::MAX,
        tv_nsec: 0,
    };

    fn timespec(duration: Duration) -> Timespec {
        Timespec::try_from(duration).unwrap_or(FOREVER)
    }

    fn early(errno: Errno) -> io::Result<Woken> {
        match errno {
            Errno::AGAIN => Ok(Woken::Changed),
            Errno::TIMEDOUT => Ok(Woken::TimedOut),
            Errno::INTR => Ok(Woken::Interrupted),
            errno => Err(errno.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::Woken;

    pub fn wait(_: &AtomicU32, _: u32, _: Option<Duration>) -> io::Result<Woken> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn wake(_: &AtomicU32, _: u32) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn add_and_wake(_: &AtomicU32, _: u32) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn wait_any(
        _: &[(&AtomicU32, u32)],
        _: Option<Duration>,
    ) -> io::Result<(Woken, Option<usize>)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::shared_memory::{self, SharedMapping};

    const LONG: Option<Duration> = Some(Duration::from_secs(20));
    const SHORT: Option<Duration> = Some(Duration::from_millis(1));

    #[test]
    fn nobody_sleeps_when_the_word_has_changed() {
        assert_eq!(wait(&AtomicU32::new(1), 0, LONG).unwrap(), Woken::Changed);
        let (same, other) = (AtomicU32::new(1), AtomicU32::new(2));
        let words = [(&same, 1), (&other, 1)];
        assert_eq!(wait_any(&words, LONG).unwrap(), (Woken::Changed, None));
    }

    #[test]
    fn a_sleep_ends_in_time() {
        let word = AtomicU32::new(0);
        assert_eq!(wait(&word, 0, SHORT).unwrap(), Woken::TimedOut);
        let ended = wait_any(&[(&word, 0)], SHORT).unwrap();
        assert_eq!(ended, (Woken::TimedOut, None));
        let endless = Some(Duration::MAX);
        assert_eq!(wait(&word, 1, endless).unwrap(), Woken::Changed);
        assert_eq!(wait_any(&[(&word, 1)], endless).unwrap().0, Woken::Changed);
    }

    #[test]
    fn a_sleeper_is_woken_through_another_mapping_of_the_memory() {
        let file = shared_memory::create(4096).unwrap();
        let mappings = [(); 2].map(|()| SharedMapping::new(file.as_fd(), 4096).unwrap());
        let [here, there] = mappings.each_ref().map(|mapping| mapping.word(8).unwrap());
        std::thread::scope(|scope| {
            let one = scope.spawn(|| {
                while there.load(Ordering::Acquire) == 0 {
                    wait(there, 0, LONG).unwrap();
                }
            });
            let many = scope.spawn(|| {
                let still = AtomicU32::new(0);
                while there.load(Ordering::Acquire) == 0 {
                    let (woken, which) = wait_any(&[(&still, 0), (there, 0)], LONG).unwrap();
                    assert!(woken == Woken::Changed || which == Some(1));
                }
            });
            here.store(1, Ordering::Release);
            while !(one.is_finished() && many.is_finished()) {
                wake(here, u32::MAX).unwrap();
                std::thread::yield_now();
            }
        });
    }

    #[test]
    fn adding_wakes_and_wraps_around() {
        let word = AtomicU32::new(u32::MAX);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                while word.load(Ordering::Acquire) == u32::MAX {
                    wait(&word, u32::MAX, LONG).unwrap();
                }
            });
            assert!(add_and_wake(&word, 1).unwrap() <= 1);
            sleeper.join().unwrap();
        });
        assert_eq!(word.load(Ordering::Acquire), 0);
        assert_eq!(add_and_wake(&word, 1).unwrap(), 0);
        assert_eq!(word.load(Ordering::Acquire), 1);
    }

    #[test]
    fn too_many_words_are_an_error() {
        let word = AtomicU32::new(0);
        let words = vec![(&word, 0); MAX_WORDS + 1];
        let error = wait_any(&words, SHORT).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert!(wait_any(&[], SHORT).is_err());
    }
}
