//! Many descriptors that are waited for again and again: what is idle costs nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors, each with a number of the caller's, of which some are readable.
///
/// The kernel forgets a descriptor when it is closed for good, that is in all processes: whoever closes one
/// removes it first. The set's own descriptor is readable when one of those in it is.
#[derive(Debug)]
pub struct WaitSet(OwnedFd);

impl WaitSet {
    /// An empty one.
    ///
    /// # Errors
    /// `EMFILE` when no more descriptors can be had; `Unsupported` where there is nothing like it.
    pub fn new() -> io::Result<Self> {
        sys::new().map(Self)
    }

    /// Puts a descriptor in.
    ///
    /// # Errors
    /// `EEXIST` when it is in, `EPERM` for what is always readable, such as a file.
    pub fn add(&self, fd: BorrowedFd<'_>, number: u32) -> io::Result<()> {
        sys::add(self.0.as_fd(), fd, number)
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// `ENOENT` when it is not in.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        sys::remove(self.0.as_fd(), fd)
    }

    /// The numbers of those that are readable now, or closed by the other end, up to `most` of them; never
    /// blocks.
    ///
    /// # Errors
    /// What `epoll_wait(2)` gives.
    pub fn ready(&self, most: usize) -> io::Result<Vec<u32>> {
        sys::ready(self.0.as_fd(), most)
    }
}

impl AsFd for WaitSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

    pub fn new() -> io::Result<OwnedFd> {
        Ok(epoll::create(CreateFlags::CLOEXEC)?)
    }

    pub fn add(set: BorrowedFd<'_>, fd: BorrowedFd<'_>, number: u32) -> io::Result<()> {
        let data = EventData::new_u64(number.into());
        Ok(epoll::add(set, fd, data, EventFlags::IN)?)
    }

    pub fn remove(set: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(set, fd)?)
    }

    pub fn ready(set: BorrowedFd<'_>, most: usize) -> io::Result<Vec<u32>> {
        let mut events: Vec<MaybeUninit<Event>> = Vec::new();
        events.resize_with(most.max(1), MaybeUninit::uninit);
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let (ready, _) = epoll::wait(set, events.as_mut_slice(), Some(&none))?;
        let number = |event: &Event| {
            let data = event.data;
            u32::try_from(data.u64()).unwrap_or(u32::MAX)
        };
        Ok(ready.iter().map(number).collect())
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    fn unsupported<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn new() -> io::Result<OwnedFd> {
        unsupported()
    }

    pub fn add(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: u32) -> io::Result<()> {
        unsupported()
    }

    pub fn remove(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> io::Result<()> {
        unsupported()
    }

    pub fn ready(_: BorrowedFd<'_>, _: usize) -> io::Result<Vec<u32>> {
        unsupported()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_tells_who_is_readable_until_that_is_taken_out() {
        let set = WaitSet::new().unwrap();
        let pairs: Vec<_> = (0..20).map(|_| crate::socket::pair().unwrap()).collect();
        for (number, (end, _)) in (0..).zip(&pairs) {
            set.add(end.as_fd(), number).unwrap();
        }
        assert_eq!(set.ready(20).unwrap(), []);
        rustix::io::write(&pairs[7].1, b"x").unwrap();
        rustix::io::write(&pairs[3].1, b"x").unwrap();
        let mut ready = set.ready(20).unwrap();
        ready.sort_unstable();
        assert_eq!(ready, [3, 7]);
        set.remove(pairs[3].0.as_fd()).unwrap();
        assert_eq!(set.ready(20).unwrap(), [7]);
        assert!(set.remove(pairs[3].0.as_fd()).is_err());
    }
}
