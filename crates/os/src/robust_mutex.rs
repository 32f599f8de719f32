//! Mutexes in memory that processes share, which the kernel takes from a thread that ends while it holds
//! one, in whatever way.

use std::io;
use std::time::Duration;

/// How a mutex was when it was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Whoever had it before has unlocked it.
    Clean,
    /// Whoever had it before ended with it: what it guards is as it was at that instant.
    Abandoned,
}

/// A mutex in shared memory. It is locked and unlocked by a thread, and belongs to that thread.
#[repr(C, align(64))]
pub struct RobustMutex(sys::Mutex);

// SAFETY: being used by several threads, through several mappings, is what it is for.
unsafe impl Sync for RobustMutex {}
// SAFETY: it is only ever used in place, but whoever refers to it may be anybody.
unsafe impl Send for RobustMutex {}

/// So many times a mutex that is taken is looked at before the thread sleeps.
const LOOKS: u32 = 64;

impl RobustMutex {
    /// Makes one in memory that nobody uses yet.
    ///
    /// # Safety
    /// `at` must point to memory for one, aligned, which is mapped for as long as anybody uses it.
    ///
    /// # Errors
    /// `Unsupported` where there are no such mutexes.
    pub unsafe fn initialize(at: *mut Self) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { sys::initialize((&raw mut (*at).0).cast()) }
    }

    /// Locks it, for as long as others hold it; looks for a moment before it sleeps.
    ///
    /// # Errors
    /// When the memory holds no mutex, or the calling thread holds it already.
    pub fn lock(&self) -> io::Result<Locked> {
        match self.look()? {
            Some(locked) => Ok(locked),
            None => sys::lock(&self.0),
        }
    }

    /// The same, for so long at most: nothing when others have held it all the time.
    ///
    /// # Errors
    /// As [`RobustMutex::lock`].
    pub fn lock_for(&self, at_most: Duration) -> io::Result<Option<Locked>> {
        match self.look()? {
            Some(locked) => Ok(Some(locked)),
            None => sys::lock_for(&self.0, at_most),
        }
    }

    /// Locks it if nobody holds it.
    ///
    /// # Errors
    /// When the memory holds no mutex.
    pub fn try_lock(&self) -> io::Result<Option<Locked>> {
        sys::try_lock(&self.0)
    }

    /// Unlocks it; does nothing when the calling thread does not hold it.
    pub fn unlock(&self) {
        sys::unlock(&self.0);
    }

    fn look(&self) -> io::Result<Option<Locked>> {
        for round in 0..LOOKS {
            if let Some(locked) = self.try_lock()? {
                return Ok(Some(locked));
            }
            for _ in 0..(1 << (round / 12)) {
                std::hint::spin_loop();
            }
        }
        Ok(None)
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::cell::UnsafeCell;
    use std::io;
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use super::Locked;

    pub type Mutex = UnsafeCell<libc::pthread_mutex_t>;

    /// `PTHREAD_MUTEX_ROBUST`, of which `libc` does not know.
    const ROBUST: libc::c_int = 1;

    unsafe extern "C" {
        fn pthread_mutexattr_setrobust(
            attributes: *mut libc::pthread_mutexattr_t,
            robust: libc::c_int,
        ) -> libc::c_int;
        fn pthread_mutex_consistent(mutex: *mut libc::pthread_mutex_t) -> libc::c_int;
    }

    /// # Safety
    /// As `RobustMutex::initialize`.
    pub unsafe fn initialize(at: *mut libc::pthread_mutex_t) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are initialized by the first call and destroyed by the last, and the
        // caller promises memory for the mutex.
        unsafe {
            let attributes = attributes.as_mut_ptr();
            check(libc::pthread_mutexattr_init(attributes))?;
            let made = check(libc::pthread_mutexattr_setpshared(
                attributes,
                libc::PTHREAD_PROCESS_SHARED,
            ))
            .and_then(|()| check(pthread_mutexattr_setrobust(attributes, ROBUST)))
            .and_then(|()| check(libc::pthread_mutex_init(at, attributes)));
            libc::pthread_mutexattr_destroy(attributes);
            made
        }
    }

    pub fn lock(mutex: &Mutex) -> io::Result<Locked> {
        // SAFETY: a mutex in memory that is mapped; that it is one is what `initialize` has seen to.
        locked(mutex, unsafe { libc::pthread_mutex_lock(mutex.get()) })
    }

    pub fn lock_for(mutex: &Mutex, at_most: Duration) -> io::Result<Option<Locked>> {
        // The call counts by the time of day.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let end = i64::try_from(at_most.as_nanos())
            .unwrap_or(i64::MAX)
            .saturating_add(now.tv_nsec);
        let end = libc::timespec {
            tv_sec: now.tv_sec.saturating_add(end / 1_000_000_000) as libc::time_t,
            tv_nsec: (end % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: as in `lock`; the time outlives the call.
        let result = unsafe { libc::pthread_mutex_timedlock(mutex.get(), &raw const end) };
        match result {
            libc::ETIMEDOUT => Ok(None),
            result => locked(mutex, result).map(Some),
        }
    }

    pub fn try_lock(mutex: &Mutex) -> io::Result<Option<Locked>> {
        // SAFETY: as in `lock`.
        let result = unsafe { libc::pthread_mutex_trylock(mutex.get()) };
        match result {
            libc::EBUSY => Ok(None),
            result => locked(mutex, result).map(Some),
        }
    }

    pub fn unlock(mutex: &Mutex) {
        // SAFETY: as in `lock`; a robust mutex refuses a thread that does not hold it.
        unsafe { libc::pthread_mutex_unlock(mutex.get()) };
    }

    fn locked(mutex: &Mutex, result: libc::c_int) -> io::Result<Locked> {
        match result {
            0 => Ok(Locked::Clean),
            libc::EOWNERDEAD => {
                // SAFETY: this thread holds the mutex.
                check(unsafe { pthread_mutex_consistent(mutex.get()) })?;
                Ok(Locked::Abandoned)
            }
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    fn check(result: libc::c_int) -> io::Result<()> {
        match result {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::time::Duration;

    use super::Locked;

    pub type Mutex = [u64; 8];

    /// # Safety
    /// None is needed.
    pub unsafe fn initialize(_: *mut u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn lock(_: &Mutex) -> io::Result<Locked> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn lock_for(_: &Mutex, _: Duration) -> io::Result<Option<Locked>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn try_lock(_: &Mutex) -> io::Result<Option<Locked>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn unlock(_: &Mutex) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::alloc::{Layout, alloc_zeroed};

    use super::*;

    fn mutex() -> &'static RobustMutex {
        // SAFETY: the memory is as large as is asked for, and stays for ever.
        unsafe {
            let at = alloc_zeroed(Layout::new::<RobustMutex>()).cast::<RobustMutex>();
            RobustMutex::initialize(at).unwrap();
            &*at
        }
    }

    #[test]
    fn one_at_a_time_holds_it() {
        let mutex = mutex();
        assert_eq!(mutex.lock().unwrap(), Locked::Clean);
        let other = std::thread::spawn(|| {
            let none = mutex.try_lock().unwrap();
            (none, mutex.lock_for(Duration::from_millis(1)).unwrap())
        });
        assert_eq!(other.join().unwrap(), (None, None));
        mutex.unlock();
        assert_eq!(mutex.try_lock().unwrap(), Some(Locked::Clean));
        mutex.unlock();
    }

    #[test]
    fn a_thread_that_ends_does_not_keep_it() {
        let mutex = mutex();
        std::thread::spawn(|| mutex.lock().unwrap()).join().unwrap();
        assert_eq!(mutex.lock().unwrap(), Locked::Abandoned);
        mutex.unlock();
        assert_eq!(mutex.lock().unwrap(), Locked::Clean);
        mutex.unlock();
        // Whoever does not hold it does not unlock it.
        let held = std::thread::spawn(move || {
            mutex.lock().unwrap();
            mutex
        });
        held.join().unwrap().unlock();
        assert_eq!(mutex.lock().unwrap(), Locked::Abandoned);
        mutex.unlock();
    }
}
